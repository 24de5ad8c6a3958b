"""Per-row stopping inside transformers' `generate`: end of turn, stop strings, the list's rules.

What `generate` returns for a row that stopped is not to be trusted: without an end-of-turn id it goes on writing
real tokens into finished rows. So each row keeps its own tokens, and `answers` gives the rows as they ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from transformers import StoppingCriteria

from boxlist.controls.answer_watch import UNTIL
from boxlist.controls.text_decoder import TextDecoder
from boxlist.errors import BoxlistError, InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from boxlist.controls.answer_watch import AnswerWatch
    from boxlist.controls.text_decoder import Vocabulary


class RowAnswer(NamedTuple):
    """How one row ended. `tokens` counts what the model wrote for it, the end-of-turn token included.

    `finish` is `eos`, also where a stop string of `until` ended the row, `length`, or the name of the control that did.
    """

    text: str
    tokens: int
    finish: str


class RowStopping(StoppingCriteria):  # type: ignore[misc]  # transformers is untyped here
    """Stops each row of one `generate` call of your own; one object a call. `boxlist_hf` reads its rows itself.

    `watches` has one entry a row, None where only the end of turn stops it. `prompt_length` is the width of the
    left-padded prompt. Beam search is refused: its rows are candidates that change places at every step.
    """

    def __init__(
        self,
        watches: Sequence[AnswerWatch | None],
        vocabulary: Vocabulary,
        *,
        prompt_length: int,
        eos_token_ids: Collection[int],
    ) -> None:
        self._rows = [RowReader(watch, vocabulary, eos_token_ids) for watch in watches]
        self._width = prompt_length

    def __call__(self, input_ids: torch.Tensor, _scores: object, **_kwargs: object) -> torch.Tensor:
        """Read what is new in every row; `(B,)` booleans, True for the rows that are over."""
        if input_ids.shape[0] != len(self._rows):
            raise InputError(
                "until and controls on the list",
                expected=f"{len(self._rows)} rows, one an answer",
                got=f"{input_ids.shape[0]}",
                remedy="They watch one text a row: use num_beams=1 and one returned sequence.",
            )
        if input_ids.shape[1] <= self._width:
            raise BoxlistError("RowStopping serves one generate call with its own prompt length; make a new one.")
        for row, token_ids in zip(self._rows, input_ids[:, self._width :].tolist(), strict=True):
            row.feed(token_ids)
        self._width = input_ids.shape[1]
        return torch.tensor([row.over for row in self._rows], device=input_ids.device)

    def answers(self) -> list[RowAnswer]:
        """The rows as they ended; call it once `generate` has returned."""
        return [row.answer() for row in self._rows]


def finished_rows(token_ids: torch.Tensor, vocabulary: Vocabulary, eos_token_ids: Collection[int]) -> list[RowAnswer]:
    """Rows that nothing watched, from the new tokens `(B, L)` that `generate` returned."""
    rows = [RowReader(None, vocabulary, eos_token_ids) for _ in range(token_ids.shape[0])]
    for row, ids in zip(rows, token_ids.tolist(), strict=True):
        row.feed(ids)
    return [row.answer() for row in rows]


class RowReader:
    """One row: its tokens up to its end, whatever is written into it afterwards; without a watch the turn's end."""

    def __init__(self, watch: AnswerWatch | None, vocabulary: Vocabulary, eos_token_ids: Collection[int]) -> None:
        self._watch = watch
        self._vocabulary = vocabulary
        self._decoder = TextDecoder(vocabulary)
        self._eos = frozenset(eos_token_ids)
        self._ids: list[int] = []
        self._pieces: list[str] = []
        self._ended_turn = False

    @property
    def over(self) -> bool:
        return self._ended_turn or (self._watch is not None and self._watch.ending is not None)

    @property
    def tokens(self) -> int:
        """How many tokens it has, the end-of-turn token included."""
        return len(self._ids)

    def feed(self, token_ids: Sequence[int]) -> None:
        """Take the next tokens; those behind its end are passed over."""
        for token_id in token_ids:
            if self.over:
                return
            self._ids.append(token_id)
            if token_id in self._eos:
                self._ended_turn = True
            elif self._watch is not None:
                self._show(self._watch, self._decoder.feed(token_id))

    def answer(self) -> RowAnswer:
        """The row as it ended; nothing is to be fed after it."""
        raw = self._vocabulary.text(self._ids[:-1] if self._ended_turn else self._ids)
        finish = "eos" if self._ended_turn else "length"
        if self._watch is None:
            return RowAnswer(raw, len(self._ids), finish)
        self._show(self._watch, self._decoder.finish())
        self._watch.finish()
        if "".join(self._pieces) != raw:
            raise BoxlistError(
                "This tokenizer reads differently token by token than at once, so its answers cannot be watched while "
                "they are written. Run without until and controls on the list, then apply those with boxlist replay."
            )
        if self._watch.ending is not None:
            finish = "eos" if self._watch.ending == UNTIL else self._watch.ending
        return RowAnswer(self._watch.text(), len(self._ids), finish)

    def _show(self, watch: AnswerWatch, piece: str) -> None:
        self._pieces.append(piece)
        watch.feed(piece)
