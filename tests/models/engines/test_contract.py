"""What every engine does alike: same prompts, same controls, greedy, the answers of `boxlist_hf`; same refusals.

`make test` runs it for `boxlist_hf` and `boxlist_openai`, `make test-vllm` for `boxlist_vllm` too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from boxlist.controls.list_watch import replay
from boxlist.controls.table import CONTROLS, Controls
from boxlist.errors import InputError
from boxlist.models import MODELS
from boxlist.models.generation import read_generation_kwargs
from boxlist.tasks.datasets.shapes import draw_scene, render
from boxlist.tasks.probes import probe_named, render_prompt

if TYPE_CHECKING:
    from collections.abc import Callable

    from boxlist.models.hf import BoxlistHF

    from ..conftest import Recitations

RAW: dict[str, Any] = {"max_new_tokens": 160}
ON_LIST: list[dict[str, Any]] = [
    {"repeat_stop": True},
    {"repeat_limit": 2},
    {"stale_stop": 2},
    {"near_repeat_stop": 0.3},
    {"drift_stop": 3},
    {"max_items": 3},
    {"repeat_skip": True},
    {"max_items": 4, "repeat_stop": True},
]
OTHERS: list[dict[str, Any]] = [
    {},
    {"budget": 2},
    {"budget": 2, "repeat_stop": True},
    {"until": ["label"]},
    {"until": ["]"], "repeat_stop": True},
    {"max_new_tokens": 1},
    {"max_new_tokens": 9, "repeat_stop": True},
]


def test_the_table_has_no_other_controls() -> None:
    """A control that is added is added here too."""
    elsewhere = {
        "class_list",  # its sentence needs a data set's classes, which a task's documents carry: tests/runs
        "repetition_penalty",  # transformers serve has none: test_vllm_engine.py
    }
    kwargs = [*ON_LIST, *OTHERS, *NOT_ON_SERVERS.values()]
    assert {name for one in kwargs for name in one} & CONTROLS.keys() == CONTROLS.keys() - elsewhere


@pytest.mark.parametrize("control", [*ON_LIST, *OTHERS], ids=str)
def test_answers_are_those_of_boxlist_hf(
    reciting: Any,
    recite: BoxlistHF,
    recitations: Recitations,
    answers: Callable[..., list[Any]],
    control: dict[str, Any],
) -> None:
    rows = [(prompt, {**RAW, **control}, "a") for prompt in recitations.answers]
    recite.batch_size = 1
    expected, found = answers(recite, rows), answers(reciting, rows)
    assert [(a.text, a.finish, a.prompt) for a in found] == [(a.text, a.finish, a.prompt) for a in expected]
    for ours, theirs in zip(expected, found, strict=True):
        assert theirs.tokens in {ours.tokens, None}, "None where a server does not say"


@pytest.mark.parametrize("control", ON_LIST, ids=str)
def test_a_control_on_the_list_is_its_replay_on_the_raw_answer(
    reciting: Any, recitations: Recitations, answers: Callable[..., list[Any]], control: dict[str, Any]
) -> None:
    prompts = [prompt for prompt in recitations.answers if "Return" not in prompt]
    raw = answers(reciting, [(prompt, RAW, "a") for prompt in prompts])
    assert [answer.text for answer in raw] == [recitations.answers[prompt] for prompt in prompts]
    live = answers(reciting, [(prompt, {**RAW, **control}, "a") for prompt in prompts])
    replayed = [replay(answer.text, reciting.protocol, Controls(**control)) for answer in raw]
    assert [(a.text, a.finish if a.triggered else None) for a in live] == [tuple(stopped) for stopped in replayed]


def test_requests_of_every_kind_in_one_call(
    reciting: Any, recitations: Recitations, answers: Callable[..., list[Any]]
) -> None:
    """Each is answered as if it were alone."""
    prompts = list(recitations.answers)[:3]
    rows = [(prompt, {**RAW, **kind}, "a") for prompt in prompts for kind in [*OTHERS, *ON_LIST[:3]]]
    together = answers(reciting, rows)
    alone = [answers(reciting, [row])[0] for row in rows[::4]]
    assert [(a.text, a.finish) for a in together[::4]] == [(a.text, a.finish) for a in alone]


def test_real_pictures(seeing: Any, pocket: BoxlistHF, answers: Callable[..., list[Any]]) -> None:
    """Four drawn scenes of other sizes, raw and under controls."""
    rng = np.random.default_rng(11)
    pictures = [Image.fromarray(render(draw_scene(rng, 3 + number))) for number in range(3)]
    pictures.append(pictures[0].crop((0, 0, 200, 100)))
    prompt = render_prompt(probe_named("boxlist_dense_bbox_shapes").prompt, pocket.protocol)
    controls: list[dict[str, Any]] = [{}, {"repeat_stop": True}, {"max_items": 2}]
    rows = [(prompt, {"max_new_tokens": 64, **control}, "a") for control in controls for _ in pictures]
    pocket.batch_size = 1
    expected, found = (answers(model, rows, pictures * len(controls)) for model in (pocket, seeing))
    assert [(a.text, a.finish, a.prompt) for a in found] == [(a.text, a.finish, a.prompt) for a in expected]
    assert len({answer.text for answer in expected}) >= 4


def test_what_is_done_is_not_asked_again(
    reciting: Any, recitations: Recitations, ask: Callable[..., list[Any]]
) -> None:
    prompts = list(recitations.answers)[:5]
    found = dict(reciting.answers(ask(reciting, [(prompt, RAW, "a") for prompt in prompts]), {0, 3}))
    assert {row: answer.text for row, answer in found.items()} == {
        row: recitations.answers[prompts[row]] for row in (1, 2, 4)
    }


def test_a_call_may_be_left_and_another_begun(
    reciting: Any, recitations: Recitations, ask: Callable[..., list[Any]], answers: Callable[..., list[Any]]
) -> None:
    prompts = list(recitations.answers)[:6]
    rows = [(prompt, RAW, "a") for prompt in prompts]
    under_way = reciting.answers(ask(reciting, rows))
    next(under_way)
    under_way.close()
    assert [answer.text for answer in answers(reciting, rows)] == [recitations.answers[prompt] for prompt in prompts]


EVERYWHERE: dict[str, tuple[dict[str, Any], str]] = {
    "beams and a control": (
        {"num_beams": 2, "repeat_stop": True},
        (
            "num_beams with repeat_stop: expected num_beams=1, got 2. "
            "repeat_stop follows one text a row, and beams change places: drop num_beams or repeat_stop."
        ),
    ),
    "beams and until": ({"num_beams": 2, "until": ["]"]}, "num_beams with until: expected num_beams=1, got 2."),
    "unknown control": ({"repeatstop": True}, "generation kwarg 'repeatstop': expected one of "),
    "a budget of nothing": (
        {"budget": 0},
        (
            "control budget: expected a whole number from 1 to 10000, got 0. "
            "Correct the value, or leave the control out to turn it off."
        ),
    ),
    "near repeats above 1": ({"near_repeat_stop": 2}, "control near_repeat_stop: expected a number above 0, at most 1"),
    "no temperature": (
        {"do_sample": True, "temperature": 0},
        "generation kwarg temperature: expected above 0 where do_sample is true, got 0. Correct it, or leave it out.",
    ),
}
NOT_ON_SERVERS: dict[str, dict[str, Any]] = {
    "num_beams": {"num_beams": 2},
    "no_repeat_ngram_size": {"no_repeat_ngram_size": 3},
    "json_only": {"json_only": True},
    "drop_image_tokens": {"drop_image_tokens": 0.5},
}


@pytest.mark.parametrize("case", EVERYWHERE)
def test_wrong_combinations_are_refused_in_the_same_words(
    reciting: Any, ask: Callable[..., list[Any]], case: str
) -> None:
    """Before anything is asked, though the first request is right."""
    kwargs, message = EVERYWHERE[case]
    with pytest.raises(InputError) as caught:
        list(reciting.answers(ask(reciting, [("Scene 1.", RAW, "a"), ("Scene 1.", kwargs, "a")])))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("name", NOT_ON_SERVERS)
def test_what_only_boxlist_hf_does_is_refused_elsewhere(
    reciting: Any, engine: str, recitations: Recitations, answers: Callable[..., list[Any]], name: str
) -> None:
    kwargs, prompt = NOT_ON_SERVERS[name], next(iter(recitations.answers))
    options = read_generation_kwargs(kwargs)
    if engine == "boxlist_hf":
        MODELS[engine].take(options)
        return
    expected = (
        f"{engine}: {name}: expected options that servers have, got one that none has. "
        f"Leave {name} out, or use boxlist_hf."
    )
    with pytest.raises(InputError) as caught:
        answers(reciting, [(prompt, {"max_new_tokens": 4, **kwargs}, "a")])
    assert str(caught.value) == expected
    with pytest.raises(InputError) as caught:  # boxlist run asks the table, and loads nothing
        MODELS[engine].take(options)
    assert str(caught.value) == expected
