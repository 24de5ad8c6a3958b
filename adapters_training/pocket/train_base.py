"""Train a pocket base: `python -m boxlist.adapters_training.pocket.train_base FAMILY --work DIR --out DIR`.

Stages: words (the tokenizer), vision (what sees, under a throw-away dense head), language (the decoder on top). Each
leaves its result in the work folder and is not run again; the checkpoint is assembled at the end.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from boxlist.adapters_training.pocket.families import FAMILIES, Family
from boxlist.adapters_training.pocket.language import Leg, train_leg
from boxlist.adapters_training.pocket.lessons import VOCABULARY, classroom, draw_lessons
from boxlist.adapters_training.pocket.vision import dense_head, train_vision
from boxlist.adapters_training.pocket.words import train_tokenizer
from boxlist.tasks.datasets.shapes import draw_scene
from boxlist.tasks.probes import probe_named, render_prompt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from transformers import PreTrainedTokenizerFast

    from boxlist.protocols import Protocol

PROBES = {
    "dense_bbox": "boxlist_dense_bbox_shapes",
    "inventory": "boxlist_inventory_shapes",
    "spatial_count": "boxlist_spatial_count_shapes",
}


@dataclass(frozen=True)
class Plan:
    """Steps, batches, rates and seeds of the stages; the card quotes them."""

    legs: tuple[Leg, ...]
    vision_steps: int
    vision_batch: int = 64
    vision_rate: float = 1.5e-3
    words_seed: int = 5
    seed: int = 0


# The legs are the history of the committed weights. Of the first family's, the first three were cut short when they
# learnt too slowly, and the last began from the weights of the one before it rounded to bfloat16. Of the second's, all
# but the last were cut short; in the first leg heads 0 and 1 alone were told where to look, and up to the sixth each told
# head counted as much as all that count.
PLANS = {
    "qwen3vl": Plan(
        legs=(
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
        ),
        vision_steps=1500,
    ),
    "gemma4": Plan(
        legs=(
            Leg(
                "matching", 300, 1.5e-3, of_steps=600, seed=2, questions=10, limit=256, objects=(2, 8), gaze=0.6, told=0
            ),
            Leg(
                "reading",
                100,
                1.5e-3,
                of_steps=800,
                seed=3,
                questions=10,
                limit=256,
                objects=(2, 10),
                gaze=0.6,
                sight=0.3,
            ),
            Leg(
                "everything",
                200,
                1.5e-3,
                of_steps=700,
                seed=4,
                batch=12,
                questions=8,
                limit=320,
                gaze=0.6,
                sight=0.3,
                told=0.2,
            ),
            Leg(
                "reading",
                150,
                2e-3,
                of_steps=450,
                seed=5,
                batch=12,
                questions=12,
                limit=320,
                objects=(2, 5),
                gaze=1.0,
                sight=0.3,
                told=0.3,
            ),
            Leg(
                "reading",
                250,
                2e-3,
                of_steps=500,
                seed=6,
                batch=12,
                questions=12,
                limit=320,
                objects=(2, 6),
                gaze=0.4,
                sight=0.1,
                told=0.03,
            ),
            Leg(
                "everything",
                200,
                1.5e-3,
                of_steps=500,
                seed=7,
                batch=12,
                questions=8,
                limit=320,
                gaze=0.4,
                sight=0.1,
                told=0.03,
            ),
            Leg(
                "sparing",
                200,
                1.5e-3,
                of_steps=900,
                seed=8,
                batch=12,
                questions=10,
                limit=320,
                gaze=1.0,
                sight=0.1,
                told=0.02,
                rooted=True,
            ),
            Leg(
                "sparing",
                450,
                7e-4,
                seed=9,
                batch=12,
                questions=10,
                limit=320,
                gaze=1.0,
                sight=0.1,
                told=0.02,
                rooted=True,
            ),
        ),
        vision_steps=1200,
    ),
}


def probe_prompts(protocol: Protocol) -> dict[str, str]:
    """The probes' prompts word for word, questions left open."""
    open_question = {word: "{" + word + "}" for word in ("counted", "subject", "reference")}
    return {kind: render_prompt(probe_named(task).prompt, protocol, open_question) for kind, task in PROBES.items()}


def lesson_texts(family: Family, prompts: Mapping[str, str], seed: int, scenes: int = 1500) -> Iterator[str]:
    """Whole conversations to learn the vocabulary from."""
    rng = np.random.default_rng(seed)
    markup = family.markup
    before = markup.before_image + markup.image + markup.after_image
    for _ in range(scenes):
        room = classroom(draw_scene(rng, int(rng.integers(1, 13))), prompts, rng, family)
        for lesson in draw_lessons(room, VOCABULARY, 4):
            yield f"{before}{lesson.prompt}{markup.ask}{lesson.answer}{markup.end}\n"


def new_model(family: Family, tokenizer: PreTrainedTokenizerFast, seed: int) -> Any:
    import torch
    import transformers

    torch.manual_seed(seed)
    markup = family.markup
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in markup.special}
    config = family.config(len(tokenizer), ids)
    config._attn_implementation = "eager"
    model = getattr(transformers, family.model_class)(config)
    model.generation_config.eos_token_id = ids[markup.end]
    model.generation_config.pad_token_id = ids[markup.padding]
    model.generation_config.do_sample = False
    return model.train()


def train(family: Family, work: Path, out: Path, plan: Plan) -> None:
    """Run the stages that the work folder lacks, then write the checkpoint to `out`."""
    import torch
    from torch import nn
    from transformers import AutoTokenizer

    work.mkdir(parents=True, exist_ok=True)
    prompts = probe_prompts(family.protocol)
    if not (work / "words" / "tokenizer.json").exists():
        train_tokenizer(lesson_texts(family, prompts, plan.words_seed), family.markup).save_pretrained(work / "words")
    tokenizer = AutoTokenizer.from_pretrained(work / "words")
    model = new_model(family, tokenizer, plan.seed)
    heads = nn.ModuleList([dense_head(family), dense_head(family)])  # of what image tokens hold, and what words do

    def keep(name: str) -> None:
        torch.save({"model": model.state_dict(), "heads": heads.state_dict()}, work / f"{name}.tmp")
        (work / f"{name}.tmp").replace(work / name)

    def take(name: str) -> None:
        stage = torch.load(work / name, weights_only=True)
        model.load_state_dict(stage["model"])
        heads.load_state_dict(stage["heads"])

    def log(line: str) -> None:
        with (work / "log.txt").open("a") as file:
            file.write(line + "\n")
        sys.stderr.write(line + "\n")
        keep("latest.pt")

    if not (work / "vision.pt").exists():
        train_vision(family, model, heads[0], plan.vision_steps, plan.vision_batch, plan.vision_rate, plan.seed, log)
        keep("vision.pt")
    take("vision.pt")
    for number, leg in enumerate(plan.legs, start=1):
        name = f"leg{number}.pt"
        if not (work / name).exists():
            train_leg(model, heads, family, tokenizer, prompts, leg, log)
            keep(name)
        take(name)
    save(family, model, tokenizer, out)


def save(family: Family, model: Any, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    """Write an ordinary checkpoint in bfloat16."""
    import torch

    model.to(torch.bfloat16).save_pretrained(out)
    family.build_processor(tokenizer, family.markup.template).save_pretrained(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("family", choices=FAMILIES, help="the architecture")
    parser.add_argument("--work", type=Path, required=True, help="folder for the stages' results")
    parser.add_argument("--out", type=Path, required=True, help="folder for the finished checkpoint")
    options = parser.parse_args()
    train(FAMILIES[options.family], options.work, options.out, PLANS[options.family])


if __name__ == "__main__":
    main()
