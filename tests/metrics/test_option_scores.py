"""The text of option scores: written and read back alike, and nothing else is taken for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxlist.metrics.option_scores import OptionScore, option_scores_text, read_option_scores

SCORES = st.builds(
    OptionScore, st.floats(-1e6, 0.0).map(lambda number: round(number, 6)), st.integers(1, 500), st.booleans()
)


@given(st.lists(SCORES, min_size=1, max_size=8))
def test_what_is_written_is_read_back(scores: list[OptionScore]) -> None:
    assert read_option_scores(option_scores_text(scores), len(scores)) == tuple(scores)


GOOD = '{"logprob": -1.5, "tokens": 3, "greedy": false}'


@pytest.mark.parametrize(
    "text",
    [
        "",  # no answer
        "A mug on a table",  # a model's own words
        GOOD,  # one score without the key
        f"[{GOOD}, {GOOD}]",
        f'{{"option_scores": [{GOOD}]}}',  # one score for two options
        f'{{"option_scores": [{GOOD}, {GOOD}, {GOOD}]}}',
        f'{{"option_scores": [{GOOD}, {GOOD}], "more": 1}}',
        f'{{"option_scores": [{GOOD}, {GOOD.replace("-1.5", "0.5")}]}}',  # more than certain
        f'{{"option_scores": [{GOOD}, {GOOD.replace("-1.5", "NaN")}]}}',
        f'{{"option_scores": [{GOOD}, {GOOD.replace("-1.5", "-1e999")}]}}',
        f'{{"option_scores": [{GOOD}, {GOOD.replace("-1.5", "true")}]}}',
        f'{{"option_scores": [{GOOD}, {GOOD.replace("3", "0")}]}}',  # no tokens
        f'{{"option_scores": [{GOOD}, {GOOD.replace("false", "0")}]}}',
        f'{{"option_scores": [{GOOD}, 7]}}',
        '{"option_scores": {"a": 1, "b": 2}}',
    ],
)
def test_anything_else_is_unreadable(text: str) -> None:
    assert read_option_scores(text, 2) is None


def test_the_digits_that_depend_on_the_batch_are_left_out() -> None:
    assert "-3.141593," in option_scores_text([OptionScore(-3.14159265358979, 1, greedy=False)])
