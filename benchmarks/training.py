"""Training with boxlist beside TRL's SFTTrainer: the same model, data, batches and LoRA; samples a second and memory.

    .venv/bin/python -m pip install --no-deps --target runs/trl trl==1.16.0
    .venv/bin/python benchmarks/training.py --trl runs/trl [--vocabulary 262144] [--batch 8] [--steps 1] [--rounds 2]

TRL is no dependency: where it is not installed and no folder is given, this says so and ends. The model is the second
pocket model, Gemma 4's classes, enlarged to Gemma's vocabulary by random words that no text uses. Questions, answers,
LoRA, optimizer and rates are those of the recipe `pocket_gemma4_shapes_qkvo_r32`. Both sides load float32 weights and
multiply in bfloat16, as each does by itself on a CPU. TRL gets a list as prompt and completion, of which it learns
the completion alone, and `max_length=None`, as its documentation says for pictures; all else is TRL's own. By itself
it computes the loss without holding all logits (`loss_type="chunked_nll"` is another name of that), but on a CPU at
every token; "at labels alone" is what it does on a GPU. The model's chat template is made to end with the end of the
turn, since TRL learns all that follows an answer. So both have the same labels, and should have the same losses up to
rounding.

Each contender trains in a process of its own, in turn: one step to warm up, then `--steps` steps, timed from the end
of a step to the end of the last, by the clock and of the processor, so with the making of their batches. boxlist
encodes all samples before it begins and TRL at each step: "1st epoch" is the processor's figure with boxlist's
encoding counted. Memory is the process's peak, and what of it came after training began. Figures are medians over the
rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from boxlist.adapters_training.lists import Sample
    from boxlist.adapters_training.recipe import Recipe

RECIPE = "pocket_gemma4_shapes_qkvo_r32"
WARM_UP = 1
KEYS = ("wall", "processor", "first_epoch", "peak_mb", "growth_mb")
TURN_END = r"{{ '<turn|>\n' }}"
LAST_TURN_END = r"{{ '<turn|>' }}{%- if not loop.last or add_generation_prompt -%}{{ '\n' }}{%- endif -%}"
SOME = 40  # samples that are encoded once more, for the time of it


class Contender(NamedTuple):
    """One line of the table: whose trainer, and what of it is not as it comes."""

    title: str
    trl: bool = False
    options: tuple[tuple[str, bool], ...] = ()
    labels_alone: bool = False


_KEPT = (("gradient_checkpointing", False),)
CONTENDERS = {
    "trl": Contender("TRL, as it is: gradient checkpointing", trl=True),
    "trl_kept": Contender("TRL, none", trl=True, options=_KEPT),
    "trl_labels": Contender("TRL, none, loss at labels alone", trl=True, options=_KEPT, labels_alone=True),
    "boxlist": Contender("boxlist, as it is"),
    "boxlist_grouped": Contender("boxlist, group_by_length", options=(("group_by_length", True),)),
    "boxlist_checkpointing": Contender("boxlist, gradient_checkpointing", options=(("gradient_checkpointing", True),)),
}

BY_DEFAULT = [name for name in CONTENDERS if name != "boxlist_grouped"]  # it begins with the longest: an epoch or none


def enlarge(folder: Path, words: int) -> None:
    """Write the pocket model with a vocabulary of so many words into a checkpoint folder."""
    import torch
    from transformers import AutoModelForImageTextToText

    from boxlist.adapters_training.recipe import base_location

    pocket = Path(base_location("pocket:gemma4"))
    shutil.copytree(pocket, folder, dirs_exist_ok=True)
    template = folder / "chat_template.jinja"
    text = template.read_text(encoding="utf-8")
    shortened = text.replace(TURN_END, LAST_TURN_END)
    if shortened == text:
        raise AssertionError(f"{template} does not end turns with {TURN_END}")
    template.write_text(shortened, encoding="utf-8")
    model = AutoModelForImageTextToText.from_pretrained(pocket, dtype="bfloat16")
    torch.manual_seed(0)
    model.resize_token_embeddings(words, mean_resizing=False)
    model.save_pretrained(folder)


class Clock:
    """When each step ended, by the clock and of the processor, and its loss; as a callback of either trainer."""

    def __init__(self) -> None:
        self.resident_mb = 0.0
        self.ends: list[tuple[float, float]] = []

    def callback(self) -> Any:
        from transformers import TrainerCallback

        clock = self

        class Ends(TrainerCallback):  # type: ignore[misc] # transformers is not typed
            def on_train_begin(self, *_: Any, **__: Any) -> None:
                pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
                clock.resident_mb = pages * resource.getpagesize() / 2**20

            def on_step_end(self, *_: Any, **__: Any) -> None:
                clock.ends.append((time.monotonic(), time.process_time()))

        return Ends()


def recipe_of(contender: Contender, options: argparse.Namespace, base: Path) -> Recipe:
    from boxlist.adapters_training.recipe import change_recipe, load_recipe

    changes = {
        "base": str(base),
        "batch_size": options.batch,
        "steps": options.steps + WARM_UP,
        "warmup_steps": 0,
        **({} if contender.trl else dict(contender.options)),
    }
    return change_recipe(load_recipe(RECIPE), changes, "benchmark")


def boxlist_trainer(recipe: Recipe, work: Path) -> tuple[Any, float]:
    """The trainer of `boxlist train` with all that it has prepared, and the seconds of its encoding of a sample."""
    from boxlist.adapters_training.held_out import SPLIT, hold_out
    from boxlist.adapters_training.train import _open_session
    from boxlist.adapters_training.trainer import list_trainer
    from boxlist.tasks.datasets.catalog import documents
    from boxlist.tasks.probes import probe_named

    probe = probe_named(recipe.task)
    session = _open_session(recipe, probe, hold_out(probe, documents(probe.dataset, SPLIT), None), sys.stderr)
    encode, some = session.data.encoder, session.data.samples[:SOME]
    began = time.process_time()
    for sample in some:
        encode(sample)
    encoding = (time.process_time() - began) / len(some)
    return list_trainer(session.model, recipe, session.data, session.collator, work), encoding


def samples_of(recipe: Recipe) -> list[Sample]:
    """The questions and answers that boxlist trains on, in its order."""
    from boxlist.adapters_training.held_out import SPLIT
    from boxlist.adapters_training.lists import Teaching, samples
    from boxlist.protocols import protocol_named
    from boxlist.tasks.datasets.catalog import documents
    from boxlist.tasks.probes import probe_named

    probe = probe_named(recipe.task)
    teaching = Teaching(protocol_named(recipe.protocol), recipe.list_order, recipe.seed, budgets=recipe.budgets)
    return samples(probe, documents(probe.dataset, SPLIT), teaching)


def trl_trainer(contender: Contender, recipe: Recipe, work: Path) -> Any:
    """TRL's trainer for the same, with its own collator and loss."""
    import peft
    import trl
    from datasets import Dataset, Image, List

    rows = [
        {
            "prompt": [{"role": "user", "content": sample.prompt}],
            "completion": [{"role": "assistant", "content": sample.answer}],
            "images": [sample.file],
        }
        for sample in samples_of(recipe)
    ]
    if contender.labels_alone:
        trl.trainer.utils._use_triton = lambda _: True
    arguments = trl.SFTConfig(
        output_dir=str(work),
        max_length=None,
        max_steps=recipe.steps,
        per_device_train_batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=recipe.schedule,
        warmup_steps=recipe.warmup_steps,
        optim="adamw_torch",
        seed=recipe.seed,
        data_seed=recipe.seed,
        use_cpu=True,
        dataloader_pin_memory=False,
        logging_steps=1,
        report_to="none",
        disable_tqdm=True,
        **dict(contender.options),
    )
    lora = peft.LoraConfig(
        r=recipe.rank, lora_alpha=recipe.alpha, lora_dropout=recipe.dropout, target_modules=recipe.target_pattern
    )
    return trl.SFTTrainer(
        model=recipe.base_location,
        args=arguments,
        train_dataset=Dataset.from_list(rows).cast_column("images", List(Image())),
        peft_config=lora,
    )


def train(name: str, options: argparse.Namespace, base: Path) -> dict[str, Any]:
    """Train once: samples a second by both clocks, memory in MB, and the losses."""
    from boxlist.runs.quiet import quiet_libraries

    quiet_libraries()
    contender = CONTENDERS[name]
    recipe = recipe_of(contender, options, base)
    clock, encoding = Clock(), 0.0
    with tempfile.TemporaryDirectory() as work:
        if contender.trl:
            trainer = trl_trainer(contender, recipe, Path(work))
        else:
            trainer, encoding = boxlist_trainer(recipe, Path(work))
        trainer.add_callback(clock.callback())
        trainer.train()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    count = recipe.batch_size * options.steps
    wall, processor = (
        count / (last - first) for first, last in zip(clock.ends[WARM_UP - 1], clock.ends[-1], strict=True)
    )
    return {
        "wall": wall,
        "processor": processor,
        "first_epoch": 1 / (1 / processor + encoding),
        "peak_mb": peak,
        "growth_mb": peak - clock.resident_mb,
        "losses": [entry["loss"] for entry in trainer.state.log_history if "loss" in entry],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--trl", type=Path, help="the folder that TRL was installed into")
    parser.add_argument("--vocabulary", type=int, default=262_144)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", choices=CONTENDERS, nargs="*", default=BY_DEFAULT)
    parser.add_argument("--train", nargs=2, metavar=("CONTENDER", "BASE"), help=argparse.SUPPRESS)
    parser.add_argument("--enlarge", type=Path, metavar="BASE", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.trl:
        sys.path.append(str(options.trl))
    if find_spec("trl") is None:
        print("trl is not installed here; benchmarks/training.py says at its top how to have it beside")
    elif options.enlarge:
        enlarge(options.enlarge, options.vocabulary)
    elif options.train:
        name, base = options.train
        print(json.dumps(train(name, options, Path(base))))
    else:
        with tempfile.TemporaryDirectory() as base:
            show(rounds(options, base), options)


def rounds(options: argparse.Namespace, base: str) -> dict[str, list[dict[str, Any]]]:
    """What each contender's processes found. This one stays small: a child's peak begins with its parent's."""
    words = [sys.executable, __file__, *(["--trl", str(options.trl)] if options.trl else [])]
    words += [f"--{name}={getattr(options, name)}" for name in ("vocabulary", "batch", "steps")]
    surroundings = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_WAIT_POLICY": "PASSIVE", "PYTHONWARNINGS": "ignore"}

    def run(*more: str) -> str:
        return subprocess.run([*words, *more], capture_output=True, text=True, check=True, env=surroundings).stdout

    run("--enlarge", base)
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in options.only}
    for _ in range(options.rounds):
        for name in options.only:
            found[name].append(json.loads(run("--train", name, base).splitlines()[-1]))
    return found


def show(found: dict[str, list[dict[str, Any]]], options: argparse.Namespace) -> None:
    """One line a contender, ratios to the first, and the losses of the first round."""
    print(f"{options.vocabulary:,} words, {options.rounds} rounds of {options.steps} steps of {options.batch} samples")
    ratio = f"{'x':>6}"
    print(
        f"{'samples a second':39}{'clock':>7}{ratio}{'cpu':>7}{ratio} {'least - most':>14}{'1st epoch':>11}{ratio}"
        f"{'peak MB':>9}{ratio}{'growth':>8}{ratio}"
    )
    first: dict[str, float] = {}
    for name, rows in found.items():
        middle = {key: statistics.median(row[key] for row in rows) for key in KEYS}
        first = first or middle
        of = {key: middle[key] / first[key] for key in KEYS}
        spread = [row["processor"] for row in rows]
        print(
            f"{CONTENDERS[name].title:39}{middle['wall']:7.2f}{of['wall']:6.2f}"
            f"{middle['processor']:7.2f}{of['processor']:6.2f}  {min(spread):6.2f} - {max(spread):4.2f}"
            f"{middle['first_epoch']:11.2f}{of['first_epoch']:6.2f}{middle['peak_mb']:9.0f}{of['peak_mb']:6.2f}"
            f"{middle['growth_mb']:8.0f}{of['growth_mb']:6.2f}"
        )
    print("loss of each step, the first of which no step of training has changed")
    for name, rows in found.items():
        print(f"{CONTENDERS[name].title:39}" + "".join(f"{loss:9.4f}" for loss in rows[0]["losses"]))


if __name__ == "__main__":
    main()
