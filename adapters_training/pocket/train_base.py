"""Train the pocket base from scratch: `python -m boxlist.adapters_training.pocket.train_base --work DIR`.

Stages: words (the tokenizer), vision (the tower under a throw-away dense head), language (the decoder on top). Each
leaves its result in the work folder and is not run again; the checkpoint is assembled at the end.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from boxlist.adapters_training.pocket.architecture import pocket_config
from boxlist.adapters_training.pocket.language import Leg, train_leg
from boxlist.adapters_training.pocket.lessons import PROTOCOL, VOCABULARY, classroom, draw_lessons
from boxlist.adapters_training.pocket.vision import train_vision
from boxlist.adapters_training.pocket.words import SPECIAL_TOKENS, build_processor, train_tokenizer
from boxlist.tasks.datasets.shapes import draw_scene
from boxlist.tasks.probes import probe_named, render_prompt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from transformers import PreTrainedTokenizerFast, Qwen3VLForConditionalGeneration

PROBES = {
    "dense_bbox": "boxlist_dense_bbox_shapes",
    "inventory": "boxlist_inventory_shapes",
    "spatial_count": "boxlist_spatial_count_shapes",
}


@dataclass(frozen=True)
class Plan:
    """Steps, batches, rates and seeds of the stages; the card quotes them.

    The legs are the history of the committed weights: the first three were cut short when they learnt too slowly, and
    the last began from the weights of the one before it rounded to bfloat16.
    """

    words_seed: int = 5
    seed: int = 0
    vision_steps: int = 1500
    vision_batch: int = 64
    vision_rate: float = 1.5e-3
    legs: tuple[Leg, ...] = (
        Leg("short", 600, 1.5e-3, of_steps=3000, seed=2),
        Leg("matching", 200, 1.2e-3, of_steps=1200, seed=3),
        Leg("matching", 200, 2e-3, of_steps=800, seed=4, objects=(2, 4)),
        Leg("matching", 600, 1.5e-3, of_steps=1000, seed=5, objects=(2, 8), gaze=0.3),
        Leg("full", 300, 1.2e-3, of_steps=900, seed=6, batch=20, questions=4, limit=420, gaze=0.2),
        Leg("full", 200, 1.2e-3, of_steps=700, seed=7, batch=20, questions=4, limit=420, gaze=0.4),
        Leg("counting", 400, 1.5e-3, seed=8, questions=7, limit=360, objects=(2, 8), gaze=0.5),
        Leg("full", 100, 8e-4, of_steps=350, seed=9, batch=20, questions=4, limit=420, gaze=0.3),
        Leg("full", 360, 1e-3, seed=10, batch=20, questions=4, limit=420, gaze=0.6),
        Leg("last", 400, 1.2e-3, seed=11, questions=4, limit=420, objects=(2, 10), gaze=0.6),
        Leg("budgets", 500, 8e-4, seed=12, batch=20, questions=4, limit=460, gaze=0.6),
    )


def probe_prompts() -> dict[str, str]:
    """The probes' prompts word for word, questions left open."""
    open_question = {word: "{" + word + "}" for word in ("counted", "subject", "reference")}
    return {kind: render_prompt(probe_named(task).prompt, PROTOCOL, open_question) for kind, task in PROBES.items()}


def lesson_texts(prompts: Mapping[str, str], seed: int, scenes: int = 1500) -> Iterator[str]:
    """Whole conversations to learn the vocabulary from."""
    rng = np.random.default_rng(seed)
    for _ in range(scenes):
        room = classroom(draw_scene(rng, int(rng.integers(1, 13))), prompts, rng)
        for lesson in draw_lessons(room, VOCABULARY, 4):
            yield (
                f"<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>{lesson.prompt}<|im_end|>\n"
                f"<|im_start|>assistant\n{lesson.answer}<|im_end|>\n"
            )


def new_model(tokenizer: PreTrainedTokenizerFast, seed: int) -> Qwen3VLForConditionalGeneration:
    import torch
    from transformers import Qwen3VLForConditionalGeneration

    torch.manual_seed(seed)
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS}
    config = pocket_config(len(tokenizer), ids)
    config._attn_implementation = "eager"
    model = Qwen3VLForConditionalGeneration(config)
    model.generation_config.eos_token_id = ids["<|im_end|>"]
    model.generation_config.pad_token_id = ids["<|endoftext|>"]
    model.generation_config.do_sample = False
    return model.train()


def train(work: Path, out: Path, plan: Plan) -> None:
    """Run the stages that the work folder lacks, then write the checkpoint to `out`."""
    import torch
    from transformers import AutoTokenizer

    work.mkdir(parents=True, exist_ok=True)
    prompts = probe_prompts()
    if not (work / "words" / "tokenizer.json").exists():
        train_tokenizer(lesson_texts(prompts, plan.words_seed)).save_pretrained(work / "words")
    tokenizer = AutoTokenizer.from_pretrained(work / "words")
    model = new_model(tokenizer, plan.seed)

    def keep(name: str) -> None:
        torch.save(model.state_dict(), work / f"{name}.tmp")
        (work / f"{name}.tmp").replace(work / name)

    def log(line: str) -> None:
        with (work / "log.txt").open("a") as file:
            file.write(line + "\n")
        sys.stderr.write(line + "\n")

    if not (work / "vision.pt").exists():
        train_vision(model, plan.vision_steps, plan.vision_batch, plan.vision_rate, plan.seed, log)
        keep("vision.pt")
    model.load_state_dict(torch.load(work / "vision.pt", weights_only=True))
    for number, leg in enumerate(plan.legs, start=1):
        name = f"leg{number}.pt"
        if not (work / name).exists():
            train_leg(model, tokenizer, prompts, leg, log)
            keep(name)
        model.load_state_dict(torch.load(work / name, weights_only=True))
    model.to(torch.bfloat16).save_pretrained(out)
    build_processor(tokenizer).save_pretrained(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--work", type=Path, required=True, help="folder for the stages' results")
    parser.add_argument("--out", type=Path, required=True, help="folder for the finished checkpoint")
    options = parser.parse_args()
    train(options.work, options.out, Plan())


if __name__ == "__main__":
    main()
