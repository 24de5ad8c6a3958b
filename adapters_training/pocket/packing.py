"""Several questions about one picture in one sequence.

They share the picture's tokens. A block mask lets every question see the picture and itself only, and each restarts its
positions after the picture, so the model computes exactly what it would for the questions one by one, at a fraction of
the work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from boxlist.adapters_training.pocket.vision import cell_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerFast

    from boxlist.adapters_training.pocket.families import Family
    from boxlist.adapters_training.pocket.lessons import Lesson


class Packed(NamedTuple):
    """A batch of packed sequences, padded on the right. `segment` is 0 for the shared prefix, -1 for padding."""

    ids: NDArray[np.int64]  # (B, T)
    labels: NDArray[np.int64]  # (B, T), -100 where nothing is asked
    weights: NDArray[np.float32]  # (B, T), what each token's loss counts
    segment: NDArray[np.int64]  # (B, T)
    positions: NDArray[np.int64]  # (3, B, T)
    kinds: NDArray[np.int64]  # (B, T), index into the lesson kinds, -1 elsewhere
    cells: NDArray[np.int64]  # (2, B, T), the cells for the subject's and the reference's head, -1 where any will do
    shares: list[tuple[int, int, NDArray[np.int64]]]  # row, place, and the places that counting heads share it among
    images: NDArray[np.uint8]


class Packer:
    """Turns lessons into packed sequences of one tokenizer.

    With `rooted`, an answer of n tokens counts as the root of n, or short answers drown in long lists.
    """

    def __init__(
        self, family: Family, tokenizer: PreTrainedTokenizerFast, kinds: tuple[str, ...], rooted: bool = False
    ) -> None:
        self.family = family
        self.rooted = rooted
        self.tokenizer = tokenizer
        self.kinds = kinds
        markup = family.markup
        self.end_of_turn = tokenizer.convert_tokens_to_ids(markup.end)
        self.asking = len(self._encode(markup.ask))
        self.digits = frozenset(tokenizer.convert_tokens_to_ids(list("0123456789")))
        before = self._encode(markup.before_image)
        image = tokenizer.convert_tokens_to_ids(markup.image)
        self.prefix = [*before, *[image] * family.image_tokens, *self._encode(markup.after_image)]
        start = len(before)
        text = np.tile(np.arange(start), (3, 1))
        self.prefix_positions = np.concatenate([text, family.image_places(start)], axis=1)
        self.image_slice = slice(start, start + family.image_tokens)

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False).input_ids
        return ids

    def _segment(self, lesson: Lesson) -> tuple[list[int], list[int]]:
        question = self._encode(f"{lesson.prompt}{self.family.markup.ask}")
        answer = self._encode(f"{lesson.answer}{self.family.markup.end}")
        return question + answer, [-100] * len(question) + answer

    def pack(self, lessons: list[list[Lesson]], images: NDArray[np.uint8], limit: int) -> Packed:
        """Pack each picture's lessons, leaving out those that would pass `limit` tokens.

        Rows are as long as the longest, or as `limit` in a family of fixed length.
        """
        rows: list[list[tuple[list[int], list[int], Lesson]]] = []
        for asked in lessons:
            room = limit - len(self.prefix)
            row = []
            for lesson in asked:
                ids, labels = self._segment(lesson)
                if len(ids) <= room:
                    room -= len(ids)
                    row.append((ids, labels, lesson))
            rows.append(row)
        longest = len(self.prefix) + max(sum(len(ids) for ids, _, _ in row) for row in rows)
        shape = (len(rows), limit if self.family.fixed_length else longest)
        packed = Packed(
            np.zeros(shape, np.int64),
            np.full(shape, -100, np.int64),
            np.ones(shape, np.float32),
            np.full(shape, -1, np.int64),
            np.zeros((3, *shape), np.int64),
            np.full(shape, -1, np.int64),
            np.full((2, *shape), -1, np.int64),
            [],
            images,
        )
        for index, row in enumerate(rows):
            self._fill(packed, index, row)
        return packed

    def _fill(self, packed: Packed, index: int, row: list[tuple[list[int], list[int], Lesson]]) -> None:
        at = len(self.prefix)
        packed.ids[index, :at] = self.prefix
        packed.segment[index, :at] = 0
        packed.positions[:, index, :at] = self.prefix_positions
        first = int(self.prefix_positions[0, -1]) + 1
        for number, (ids, labels, lesson) in enumerate(row, start=1):
            span = slice(at, at + len(ids))
            packed.ids[index, span] = ids
            packed.labels[index, span] = labels
            if self.rooted:
                packed.weights[index, span] = (len(labels) - labels.count(-100)) ** -0.5
            packed.segment[index, span] = number
            packed.positions[:, index, span] = first + np.arange(len(ids))
            packed.kinds[index, span] = self.kinds.index(lesson.kind)
            self._mark_gaze(packed, index, at, ids, lesson)
            at += len(ids)

    def _mark_gaze(self, packed: Packed, index: int, at: int, ids: list[int], lesson: Lesson) -> None:
        grid = self.family.grid
        asked = ids.index(self.end_of_turn)
        looks_from = at + asked - 2  # the object's name ends before the closing mark
        if lesson.counted is not None:
            number = next(place for place in range(asked, len(ids)) if ids[place] in self.digits)
            cells = np.array(sorted({cell_of(item, grid) for item in lesson.counted}), np.int64)
            columns = self.image_slice.start + cells
            packed.shares.extend((index, at + place, columns) for place in range(asked, number))
            looks_from = at + number
        if lesson.named or lesson.ends:
            first = asked + self.asking  # of the answer
            spans = self.tokenizer(lesson.answer, add_special_tokens=False, return_offsets_mapping=True).offset_mapping
            last = {end: at + first + place for place, (_, end) in enumerate(spans)}
            ends = np.array([last[end] for end in lesson.ends], np.int64)
            packed.shares.extend((index, int(place), ends[:number]) for number, place in enumerate(ends, start=1))
            for item, start, end in lesson.named:
                places = [first + place - 1 for place, (a, b) in enumerate(spans) if b > start and a < end]
                packed.cells[:, index, at + np.array(places)] = cell_of(item, grid)
        if lesson.about is not None:
            packed.cells[0, index, looks_from : at + len(ids)] = cell_of(lesson.about, grid)
            packed.cells[1, index, looks_from : at + len(ids)] = cell_of(lesson.other or lesson.about, grid)


def block_mask(segment: NDArray[np.int64], both_ways: slice | None = None) -> NDArray[np.bool_]:
    """`(B, T, T)`: may a token (row) see another (column)? The prefix, its own segment, nothing later.

    Tokens in the span `both_ways` see each other wherever they stand.
    """
    mine, other = segment[:, :, None], segment[:, None, :]
    causal = np.tril(np.ones((segment.shape[1], segment.shape[1]), np.bool_))
    seen: NDArray[np.bool_] = ((mine == other) | (other == 0)) & causal
    if both_ways is not None:
        seen[:, both_ways, both_ways] = True
    return seen
