"""Train a pocket base: `python -m boxlist.adapters_training.pocket.train_base FAMILY --work DIR --out DIR`.

Stages: words (the tokenizer), vision (what sees, under a throw-away dense head), language (the decoder on top). Each
leaves its result in the work folder and is not run again; the checkpoint is assembled at the end.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from boxlist.adapters_training.pocket.families import FAMILIES, Family
from boxlist.adapters_training.pocket.language import train_leg
from boxlist.adapters_training.pocket.lessons import classroom
from boxlist.adapters_training.pocket.mixes import VOCABULARY, draw_lessons
from boxlist.adapters_training.pocket.plans import PLANS, Plan
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
