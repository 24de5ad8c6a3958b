"""Runs of a model that there is not: ground truth, disturbed by a seed, written by the real writer of run folders.

No figure made from them says anything about any model.
"""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from boxlist.controls.table import Controls, parse_controls
from boxlist.models.identity import adapter_sha256
from boxlist.protocols import protocol_named
from boxlist.runs.answers_file import StoredAnswer
from boxlist.runs.folder import RunFolder
from boxlist.runs.inputs import plan_task
from boxlist.runs.scoring import score_answers
from boxlist.tasks.truths import box_list_text, inventory_text, spatial_count_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from boxlist.tasks.datasets.catalog import Document

SHAPES, TREES = "boxlist_dense_bbox_shapes", "boxlist_dense_bbox_trees"
INVENTORY, SPATIAL = "boxlist_inventory_shapes", "boxlist_spatial_count_shapes"
PROTOCOL = protocol_named("norm1000_xyxy")


class Fake(NamedTuple):
    """How a run's answers are disturbed: boxes moved, records forgotten and invented, and how many repeat."""

    shift: float = 25
    forget: float = 0.2
    invent: float = 0.1
    repeat: float = 0.2
    copies: int = 8
    seed: int = 1


_USUAL = Fake()


def fake_answer(document: Document, task: str, fake: Fake, controls: Controls) -> tuple[str, bool]:
    """An answer, and whether repeat-stop would have ended it."""
    chance = random.Random(f"{fake.seed} {document['image_id']} {controls.budget}")
    if task == INVENTORY:
        return (inventory_text(document) if chance.random() > fake.forget else "[]"), False
    if task == SPATIAL:
        return (spatial_count_text(document) if chance.random() > fake.forget else "many"), False
    records = []
    for record in json.loads(box_list_text(document, PROTOCOL)):
        if chance.random() < fake.forget:
            continue
        box = [max(0, round(number + chance.gauss(0, fake.shift))) for number in record["bbox_2d"]]
        records.append({**record, "bbox_2d": box})
        if chance.random() < fake.invent:
            x, y = chance.randrange(800), chance.randrange(800)
            records.append({"bbox_2d": [x, y, x + 150, y + 150], "label": record["label"]})
    records = records[: controls.budget]
    if records and chance.random() < fake.repeat:
        if controls.repeat_stop:
            return json.dumps(records), True
        records += [records[-1]] * chance.randint(1, fake.copies)
        return json.dumps(records)[: -chance.randint(1, 30)], False
    return json.dumps(records), False


def save_fake(
    path: Path,
    fake: Fake = _USUAL,
    *,
    tasks: Sequence[str] = (SHAPES,),
    controls: str = "",
    limit: int = 12,
    adapter: Path | None = None,
    texts: Callable[[Document], str] | None = None,
    **more: Any,
) -> Path:
    """Write a finished run folder; `texts` gives the answers instead, `more` are rows of `run.json`."""
    chosen = parse_controls(controls)
    plans = {task: plan_task(task, protocol=PROTOCOL, controls=chosen, overrides={}, limit=limit) for task in tasks}
    with RunFolder.open(path) as folder:
        for task, plan in plans.items():
            for question, document in zip(plan.questions, plan.documents, strict=True):
                text, triggered = fake_answer(document, task, fake, chosen)
                text = texts(document) if texts else text
                fields = (question.prompt_sha256, question.image_sha256, text, len(text) // 4, "eos", triggered)
                folder.answers.append(StoredAnswer(task, question.image_id, *fields, None, 1, 0.0))
        folder.write_scores(score_answers(folder, plans, PROTOCOL, 0))
        folder.write_run(
            {
                "name": path.name,
                "status": "complete",
                "base": {"path": "fake/base", "weights_sha256": "b" * 64},
                "adapter": {"path": str(adapter), "sha256": adapter_sha256(adapter)} if adapter else None,
                "protocol": PROTOCOL.name,
                "controls": chosen.to_kwargs(),
                "seed": 0,
                "tasks": {task: plan.to_json() for task, plan in plans.items()},
                **more,
            }
        )
    return path


def save_adapter(folder: Path, rank: int) -> Path:
    """A folder that looks like an adapter of that rank; its weights are none."""
    folder.mkdir(parents=True)
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": 2 * rank, "target_modules": ["q_proj", "v_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    (folder / "adapter_model.safetensors").write_bytes(bytes(8 + rank))
    return folder


@pytest.fixture(scope="session", name="save_fake")
def save_fake_fixture() -> Callable[..., Path]:
    """`save_fake(path, Fake(...), tasks=, controls=, limit=, adapter=, texts=, **rows_of_run_json)`."""
    return save_fake


@pytest.fixture(scope="session")
def fake_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs with the data for every figure: a base, two ranks, two budgets with and without repeat-stop."""
    out = tmp_path_factory.mktemp("page")
    four, eight = (save_adapter(out / "adapters" / f"qv-r{rank}", rank) for rank in (4, 8))
    runs = out / "runs"
    save_fake(runs / "base", Fake(shift=150, repeat=0), tasks=(SHAPES, INVENTORY, SPATIAL))
    save_fake(runs / "r4-raw", Fake(repeat=0.5, copies=22), adapter=four)
    save_fake(runs / "r8-raw", Fake(repeat=0.5, copies=22), adapter=eight)
    for budget in (4, 6):
        for controls in (f"budget={budget}", f"budget={budget},repeat_stop"):
            save_fake(runs / f"r8-{controls.replace(',', '+')}", Fake(repeat=0.5), adapter=eight, controls=controls)
    return runs
