"""A batch of seats: each question is answered in one, and the next waiting question takes it over."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from boxlist.models.answers import ModelAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from boxlist.controls.hf_generation import RowReader
    from boxlist.models.batches import Question
    from boxlist.models.rows_in_flight import RowsInFlight

# Rows change when this share of the seats is over: prompts are read in batches, and leaving copies what stays of the
# cache, which takes about as long as a step.
_WORTH_CHANGING = 1 / 8


class Seat(NamedTuple):
    """A row of the batch, and the question that is answered in it."""

    question: Question
    prompt: str
    frame_wh_px: tuple[int, int] | None
    reader: RowReader

    @property
    def over(self) -> bool:
        return self.reader.over or self.reader.tokens >= self.question.options.max_new_tokens

    def answer(self) -> tuple[int, ModelAnswer]:
        row = self.reader.answer()
        return self.question.index, ModelAnswer(row.text, row.tokens, row.finish, self.prompt, self.frame_wh_px)


class Boarded(NamedTuple):
    """Rows whose prompts are read, and the seat of each."""

    rows: RowsInFlight
    seats: list[Seat]


def answer_in_seats(
    questions: Sequence[Question], size: int, board: Callable[[Sequence[Question]], Boarded]
) -> Iterator[tuple[int, ModelAnswer]]:
    """Answer in `size` seats, and yield each answer as it ends; `board` reads the prompts of some questions.

    When no question waits any more, rows that are over leave, and the batch shrinks.
    """
    waiting = deque(questions)
    now: Boarded | None = None
    while waiting or now is not None:
        now = board(_next(waiting, size)) if now is None else _changed(now, waiting, board)
        for seat, token in zip(now.seats, now.rows.choose(), strict=True):
            if not seat.over:
                seat.reader.feed([token])
                if seat.over:
                    yield seat.answer()
        if all(seat.over for seat in now.seats):
            now = None
        else:
            now.rows.go_on()


def _changed(now: Boarded, waiting: deque[Question], board: Callable[[Sequence[Question]], Boarded]) -> Boarded:
    """The same after seats that are over were taken by waiting questions, or given up."""
    over = [place for place, seat in enumerate(now.seats) if seat.over]
    if not over or len(over) < len(now.seats) * _WORTH_CHANGING or not now.rows.can_change:
        return now
    seats = list(now.seats)
    if waiting:
        joining = board(_next(waiting, len(over)))
        taken, over = over[: len(joining.seats)], over[len(joining.seats) :]
        now.rows.replace(taken, joining.rows)
        for place, seat in zip(taken, joining.seats, strict=True):
            seats[place] = seat
    if over:
        kept = [place for place, seat in enumerate(seats) if not seat.over]
        now.rows.keep(kept)
        seats = [seats[place] for place in kept]
    return Boarded(now.rows, seats)


def _next(waiting: deque[Question], most: int) -> list[Question]:
    return [waiting.popleft() for _ in range(min(most, len(waiting)))]
