"""How often each lesson is given: the mixes of the legs, and lessons drawn by them."""

from __future__ import annotations

from collections.abc import Callable

from boxlist.adapters_training.pocket.lessons import (
    Classroom,
    Lesson,
    attribute,
    blind_list,
    blind_list_within,
    box,
    box_after,
    box_by_part,
    count_of,
    form,
    form_within,
    inventory,
    inventory_within,
    name_at,
    names,
    names_within,
    point,
    point_by_part,
    spatial_count,
    total,
)

# How often each lesson is given: short answers first, then easier matches among them, then everything.
LessonWeights = dict[Callable[[Classroom], Lesson | None], float]
SHORT: LessonWeights = {point: 4, box: 4, box_after: 1, name_at: 3, names: 2, total: 1, spatial_count: 1}
MATCHING: LessonWeights = {
    point: 2.5, point_by_part: 2, box: 2, box_by_part: 2, attribute: 3, box_after: 1, name_at: 1.5, names: 1.5,
    total: 0.5, spatial_count: 1,
}  # fmt: skip
VOCABULARY: LessonWeights = {
    point: 3, box: 3, box_after: 2, name_at: 1, names: 2, total: 1, spatial_count: 3, inventory: 2, form: 1,
    blind_list: 1.5,
}  # fmt: skip
FULL: LessonWeights = {
    point: 2.5, point_by_part: 0.5, box: 2.5, box_by_part: 0.5, attribute: 0.5, box_after: 3, name_at: 1, names: 2.5,
    total: 1, count_of: 3, spatial_count: 4, inventory: 2, form: 1, blind_list: 1.5,
}  # fmt: skip
COUNTING: LessonWeights = {
    count_of: 6, spatial_count: 5, total: 1, point: 1, point_by_part: 1.5, box: 0.5, box_after: 0.5, name_at: 0.5,
    names: 0.5, inventory: 0.3, blind_list: 0.3,
}  # fmt: skip
LAST: LessonWeights = {
    point: 5, point_by_part: 0.5, box: 3, attribute: 0.5, box_after: 3, name_at: 0.5, names: 2, total: 0.5, count_of: 3,
    spatial_count: 4, inventory: 1.5, form: 0.5, blind_list: 1.5,
}  # fmt: skip
BUDGETS: LessonWeights = {
    point: 3, box: 2, box_after: 3, name_at: 0.5, total: 0.5, count_of: 2, spatial_count: 3, blind_list_within: 4,
    form_within: 1, names_within: 5, inventory_within: 1.5,
}  # fmt: skip
READING: LessonWeights = {
    point: 4, point_by_part: 1, box: 4, box_by_part: 0.5, attribute: 1, box_after: 3, name_at: 0.5, names: 3,
    total: 0.5, count_of: 3, spatial_count: 3,
}  # fmt: skip
EVERYTHING: LessonWeights = {
    point: 5, point_by_part: 1, box: 4, attribute: 0.5, box_after: 2, name_at: 0.3, names: 2, total: 0.3, count_of: 3,
    spatial_count: 3, inventory: 3, form: 0.5, blind_list: 2.5,
}  # fmt: skip
SPARING: LessonWeights = {
    point: 6, point_by_part: 1, box: 4, attribute: 0.5, box_after: 3, name_at: 0.3, names: 2, total: 1, count_of: 5,
    spatial_count: 4, inventory: 1.5, form: 0.3, blind_list: 1,
}  # fmt: skip
MIXES = {
    "short": SHORT, "matching": MATCHING, "full": FULL, "counting": COUNTING, "last": LAST, "budgets": BUDGETS,
    "reading": READING, "everything": EVERYTHING, "sparing": SPARING,
}  # fmt: skip
KINDS = tuple(dict.fromkeys(maker.__name__ for mix in MIXES.values() for maker in mix))


def draw_lessons(room: Classroom, weights: LessonWeights, count: int) -> list[Lesson]:
    """`count` lessons at most; a scene that cannot answer a question is asked another."""
    makers = list(weights)
    share = [weights[maker] / sum(weights.values()) for maker in makers]
    drawn = room.rng.choice(len(makers), size=count, p=share)
    return [lesson for index in drawn if (lesson := makers[int(index)](room)) is not None]
