"""How likely a model finds each option of a question: the text that the engine writes for it, and its reader.

Such an answer is no text of the model's own. A model's engine writes it where a probe asks for likelihoods, as
`{"option_scores": [{"logprob": -3.25, "tokens": 9, "greedy": false}, ...]}` in the order of the options.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, NamedTuple

from boxlist.metrics.json_input import NotJsonError, is_whole_number, parse_json_answer

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY = "option_scores"
_FIELDS = {"logprob", "tokens", "greedy"}
_DIGITS = 6
"""Kept of a log-probability: beyond them float32 gives other digits in another batch."""


class OptionScore(NamedTuple):
    """The log-probability of one option after the prompt, summed over its tokens, in nats; how many tokens those are;
    and whether greedy decoding would write it."""

    logprob: float
    tokens: int
    greedy: bool


def option_scores_text(scores: Sequence[OptionScore]) -> str:
    """The scores as an answer's text.

    >>> option_scores_text([OptionScore(-0.5, 2, True)])
    '{"option_scores": [{"logprob": -0.5, "tokens": 2, "greedy": true}]}'
    """
    rows = [{"logprob": round(one.logprob, _DIGITS), "tokens": one.tokens, "greedy": one.greedy} for one in scores]
    return json.dumps({KEY: rows}, allow_nan=False)


def read_option_scores(text: str, n_options: int) -> tuple[OptionScore, ...] | None:
    """What `option_scores_text` wrote about `n_options`; None for anything else."""
    try:
        value = parse_json_answer(text)
    except NotJsonError:
        return None
    if not isinstance(value, dict) or set(value) != {KEY} or not isinstance(value[KEY], list):
        return None
    scores = [_read(row) for row in value[KEY]]
    found = tuple(score for score in scores if score is not None)
    return found if len(found) == len(scores) == n_options else None


def _read(row: object) -> OptionScore | None:
    if not isinstance(row, dict) or set(row) != _FIELDS:
        return None
    logprob, tokens, greedy = row["logprob"], row["tokens"], row["greedy"]
    if isinstance(logprob, bool) or not isinstance(logprob, int | float) or not math.isfinite(logprob) or logprob > 0:
        return None
    if not is_whole_number(tokens) or tokens < 1 or not isinstance(greedy, bool):
        return None
    return OptionScore(float(logprob), int(tokens), greedy)
