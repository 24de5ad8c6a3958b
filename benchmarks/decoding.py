"""Images per second of `boxlist_hf` beside stock lmms-eval's `huggingface` chat model: same weights, prompts, batch.

    python benchmarks/decoding.py --adapter runs/demo/adapter [--task TASK] [--images 80] [--batch 32] [--rounds 3]

lmms-eval loads no LoRA adapters, so it gets the pocket base with the adapter merged in, in a folder of its own. Two
things in lmms-eval 0.7.3 do not work with transformers 5.23 and are mended here: it picks `AutoModel`, which cannot
generate, and passes `audios=`, which processors refuse. It always loads bfloat16; "float32" is the same in the numbers
that boxlist uses on a CPU. Each
contender answers all images in a process of its own, in turn, and prints the seconds of `generate_until` alone, by the
clock and of the processor, and the process's peak memory. Figures are medians over the rounds; compare the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from boxlist.adapters_training.pocket import CHECKPOINT
from boxlist.controls.table import parse_controls
from boxlist.protocols import DEFAULT_PROTOCOL, protocol_named
from boxlist.runs.inputs import plan_task
from boxlist.runs.quiet import quiet_libraries
from boxlist.runs.requests import build_requests
from boxlist.tasks.sealed import unseal

TASKS = ("boxlist_dense_bbox_shapes", "boxlist_dense_bbox_trees")


class Contender(NamedTuple):
    """One line of the table: which model class, in which numbers, under which controls."""

    title: str
    stock: bool
    dtype: str
    controls: str = ""


CONTENDERS = {
    "stock": Contender("lmms-eval huggingface, as it is (bfloat16)", True, "bfloat16"),
    "stock32": Contender("lmms-eval huggingface, float32", True, "float32"),
    "raw": Contender("boxlist_hf, raw", False, "float32"),
    "stop": Contender("boxlist_hf, repeat_stop", False, "float32", "repeat_stop"),
}


def merge(adapter: Path, folder: Path) -> None:
    """Write the base with the adapter's weights added in as an ordinary checkpoint in float32."""
    from boxlist.models.loading import load_processor_and_model

    processor, model = load_processor_and_model(str(CHECKPOINT), str(adapter), dtype="float32", device="cpu")
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


class WithoutAudios:
    """A processor that is not told of audios and videos, of which there are none."""

    def __init__(self, processor: Any) -> None:
        self._processor = processor

    def __call__(self, *, audios: object, videos: object, **kwargs: Any) -> Any:
        if audios or videos:
            raise ValueError("the benchmark has images only")
        return self._processor(**kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._processor, name)


def load(contender: Contender, adapter: Path, merged: Path, batch: int) -> Any:
    if not contender.stock:
        from boxlist.models.hf import BoxlistHF

        return BoxlistHF(str(CHECKPOINT), str(adapter), dtype=contender.dtype, device="cpu", batch_size=batch)
    from lmms_eval.models.chat.huggingface import Huggingface
    from transformers import AutoModelForImageTextToText

    model = Huggingface(str(merged), device="cpu", device_map="cpu", batch_size=batch)
    model.processor = WithoutAudios(model.processor)
    model._model = AutoModelForImageTextToText.from_pretrained(merged, dtype=contender.dtype).eval()
    return model


def answer(name: str, merged: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Answer all images once: seconds, peak memory in MB, and how long the answers are."""
    quiet_libraries()
    contender = CONTENDERS[name]
    model = load(contender, options.adapter, merged, options.batch)
    plan = plan_task(
        options.task,
        protocol=protocol_named(DEFAULT_PROTOCOL),
        controls=parse_controls(contender.controls),
        overrides={},
        limit=options.images,
    )
    requests, _ = build_requests(
        model, "huggingface" if contender.stock else "boxlist_hf", {options.task: plan}, plan.questions
    )
    began, spent = time.monotonic(), time.process_time()
    texts = model.generate_until(requests)
    seconds, processor = time.monotonic() - began, time.process_time() - spent
    characters = [len(unseal(getattr(text, "text", text)).text) for text in texts]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    spent_on = {"seconds": seconds, "processor": processor, "peak_mb": peak}
    return {**spent_on, "images": len(texts), "characters": sum(characters)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--adapter", type=Path, default=Path("runs/demo/adapter"))
    parser.add_argument("--task", choices=TASKS, default=TASKS[0])
    parser.add_argument("--images", type=int, default=80)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--answer", nargs=2, metavar=("CONTENDER", "MERGED"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.adapter.is_dir():
        parser.error(f"{options.adapter}: no adapter there; run make demo first, or give --adapter")
    if options.answer:
        name, merged = options.answer
        print(json.dumps(answer(name, Path(merged), options)))
        return
    with tempfile.TemporaryDirectory() as merged:
        merge(options.adapter, Path(merged))
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in CONTENDERS}
        rest = [f"--{name}={getattr(options, name)}" for name in ("adapter", "task", "images", "batch")]
        for _ in range(options.rounds):
            for name in CONTENDERS:
                words = [sys.executable, __file__, "--answer", name, merged, *rest]
                done = subprocess.run(words, capture_output=True, text=True, check=True)
                found[name].append(json.loads(done.stdout.splitlines()[-1]))
    show(found)


def show(found: dict[str, list[dict[str, Any]]]) -> None:
    """One line a contender; ratios to the first."""
    middle = {
        name: {key: statistics.median(row[key] for row in rows) for key in rows[0]} for name, rows in found.items()
    }
    first = middle["stock"]
    ratio = f"{'x stock':>9}"
    print(f"{'':44}{'s':>8}{'images/s':>10}{ratio}{'cpu s':>8}{ratio}{'peak MB':>9}{ratio}{'chars':>9}")
    for name, row in middle.items():
        faster, leaner = (first[key] / row[key] for key in ("seconds", "processor"))
        print(
            f"{CONTENDERS[name].title:44}{row['seconds']:8.1f}{row['images'] / row['seconds']:10.2f}{faster:9.2f}"
            f"{row['processor']:8.1f}{leaner:9.2f}{row['peak_mb']:9.0f}{row['peak_mb'] / first['peak_mb']:9.2f}"
            f"{row['characters']:9,.0f}"
        )


if __name__ == "__main__":
    main()
