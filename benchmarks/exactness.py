"""Are answers of `boxlist_hf` in batches the tokens of `model.generate` one by one? In float32 and in bfloat16.

    python benchmarks/exactness.py --adapter runs/demo/repeats-adapter [--images 24] [--batch 8]

Greedy, on the photographs of `trees`, where answers of many lengths come and go. One by one means transformers' own
loop and cache, one prompt without padding. In float32 the adapter is merged in both. In bfloat16 rounding depends on
who shares the batch; where two tokens are nearly equally likely an answer then goes another way.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

from boxlist.adapters_training.pocket import CHECKPOINT
from boxlist.controls.hf_generation import RowReader
from boxlist.controls.table import Controls
from boxlist.models.batches import read_requests
from boxlist.models.hf import BoxlistHF
from boxlist.models.prompts import rgb_part
from boxlist.protocols import DEFAULT_PROTOCOL, protocol_named
from boxlist.runs.inputs import plan_task
from boxlist.runs.quiet import quiet_libraries
from boxlist.runs.requests import build_requests

TASK = "boxlist_dense_bbox_trees"


def one_by_one(model: BoxlistHF, requests: list[Any]) -> list[str]:
    """What transformers writes to each prompt alone."""
    texts = []
    for question in read_requests(requests):
        inputs = model._encode([model._prompt(question, rgb_part).messages])
        with torch.inference_mode():
            output = model.model.generate(**inputs, **question.options.to_hf())
        reader = RowReader(None, model._vocabulary, model._eos_token_ids)
        reader.feed(output[0, inputs["input_ids"].shape[1] :].tolist())
        texts.append(reader.answer().text)
    return texts


def first_difference(one: str, other: str) -> int:
    """The first character that differs."""
    return next((p for p, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--adapter", type=Path, default=Path("runs/demo/repeats-adapter"))
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--batch", type=int, default=8)
    options = parser.parse_args()
    if not options.adapter.is_dir():
        parser.error(f"{options.adapter}: no adapter there; run make demo first, or give --adapter")
    quiet_libraries()
    plan = plan_task(
        TASK, protocol=protocol_named(DEFAULT_PROTOCOL), controls=Controls(), overrides={}, limit=options.images
    )
    print(f"{options.images} answers, batches of {options.batch}, beside one by one")
    for dtype in ("float32", "bfloat16"):
        model = BoxlistHF(str(CHECKPOINT), str(options.adapter), dtype=dtype, device="cpu", batch_size=options.batch)
        requests, _ = build_requests(model, model.name, {TASK: plan}, plan.questions)
        batched = [answer.text for _, answer in sorted(model.answers(requests))]
        pairs = list(zip(batched, one_by_one(model, requests), strict=True))
        other = [(ours, theirs) for ours, theirs in pairs if ours != theirs]
        shares = sorted(first_difference(ours, theirs) / max(map(len, (ours, theirs))) for ours, theirs in other)
        where = f"; they part after {shares[0]:.0%} to {shares[-1]:.0%} of the answer" if other else ""
        print(f"{dtype:10} {len(pairs) - len(other)} of {len(pairs)} are the same{where}")


if __name__ == "__main__":
    main()
