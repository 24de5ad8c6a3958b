"""The lessons that teach the pocket base what a budget means."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest

from boxlist.adapters_training.pocket.families import QWEN3VL
from boxlist.adapters_training.pocket.lessons import (
    Classroom,
    Lesson,
    blind_list_within,
    box_record,
    classroom,
    form_within,
    inventory_within,
    names_within,
)
from boxlist.adapters_training.pocket.mixes import KINDS
from boxlist.adapters_training.pocket.packing import Packer
from boxlist.adapters_training.pocket.train_base import probe_prompts
from boxlist.adapters_training.pocket.vision import draw_batch
from boxlist.scanner import read_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PROTOCOL = QWEN3VL.protocol
_BUDGET = re.compile(r" Return at most (\d+) objects\.$")


def rooms(count: int) -> Iterator[Classroom]:
    rng = np.random.default_rng(5)
    for scene in draw_batch(rng, count)[0]:
        yield classroom(scene, probe_prompts(PROTOCOL), rng, QWEN3VL)


def budget_of(lesson: Lesson) -> int | None:
    found = _BUDGET.search(lesson.prompt)
    return int(found[1]) if found else None


def lists_of(maker: Callable[[Classroom], Lesson | None]) -> list[tuple[int | None, int]]:
    """Budget and number of records of a hundred lessons."""
    taught = [lesson for room in rooms(100) if (lesson := maker(room)) is not None]
    return [(budget_of(lesson), len(read_answer(lesson.answer, PROTOCOL).records)) for lesson in taught]


@pytest.mark.parametrize("maker", [blind_list_within, form_within])
def test_lists_are_cut_at_the_budget_and_not_before(maker: Callable[[Classroom], Lesson | None]) -> None:
    taught = lists_of(maker)
    under = [(budget, count) for budget, count in taught if budget is not None]
    assert 50 <= len(under) <= 80  # two in three
    assert all(count <= budget for budget, count in under)
    assert sum(count == budget for budget, count in under) >= len(under) / 3


def test_blind_lists_are_never_of_the_picture_itself() -> None:
    for room in rooms(100):
        lesson = blind_list_within(room)
        assert lesson is not None
        own = {box_record(item, room.scene.size_wh_px, PROTOCOL) for item in room.objects}
        assert own.isdisjoint(read_answer(lesson.answer, PROTOCOL).records)


def test_names_under_a_budget_are_the_first_in_reading_order() -> None:
    for room in rooms(50):
        lesson = names_within(room)
        assert lesson is not None
        labels = [item.label for item in room.objects]
        assert lesson.answer.split(", ") == labels[: budget_of(lesson)]
        assert [lesson.answer[:end].rpartition(", ")[2] for end in lesson.ends] == labels[: len(lesson.ends)]


def test_slots_beyond_the_budget_stay_empty() -> None:
    for room in rooms(50):
        lesson = inventory_within(room)
        assert lesson is not None
        filled = min(len(room.objects), budget_of(lesson) or 8, 8)
        assert lesson.answer.count('"color": "none"') == 8 - filled


def test_behind_each_name_attention_is_shared_among_the_names_so_far(pocket_base: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(pocket_base)
    answer = PROTOCOL.write(
        [box_record(item, (224, 224), PROTOCOL) for item in draw_batch(np.random.default_rng(1), 1)[0][0].objects]
    )
    ends = tuple(match.start() for match in re.finditer('"}', answer))
    lesson = Lesson("form_within", "Write.", answer, ends=ends)
    packed = Packer(QWEN3VL, tokenizer, KINDS).pack([[lesson]], np.zeros((1, 224, 224, 3), np.uint8), 700)
    assert [len(columns) for _, _, columns in packed.shares] == list(range(1, len(ends) + 1))
    for _, place, columns in packed.shares:
        assert columns[-1] == place
        assert min(columns) > QWEN3VL.image_tokens
        written = tokenizer.decode(packed.ids[0, : place + 1]).rpartition("assistant\n")[2]
        assert answer.startswith(written)
        assert answer[len(written) :].startswith('"}')
