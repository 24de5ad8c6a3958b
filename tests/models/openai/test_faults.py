"""Against a faulty server of our own: nothing is lost, nothing counts twice, and no half answer is an answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from boxlist.errors import InputError
from boxlist.models.openai.model import BoxlistOpenAI

from .conftest import FAST, FaultyServer, Reply, event, good, list_for

if TYPE_CHECKING:
    from collections.abc import Callable

LIMITS: dict[str, Any] = {"max_new_tokens": 64}
Ask = "Callable[[BoxlistOpenAI, list[tuple[str, dict[str, Any], str]]], list[Any]]"


def model_of(server: FaultyServer, **more: Any) -> BoxlistOpenAI:
    return BoxlistOpenAI(**{"base_url": server.base_url, "model": "toy", **FAST, **more})


def texts_of(server: FaultyServer, model: BoxlistOpenAI, ask: Callable[..., list[Any]], n: int = 6) -> list[str]:
    """The answers to n questions, each given once."""
    requests = ask(model, [(f"Question {row}.", LIMITS, "a") for row in range(n)])
    pairs = list(model.answers(requests))
    assert sorted(index for index, _ in pairs) == list(range(n))
    return [answer.text for _, answer in sorted(pairs, key=lambda pair: pair[0])]


def expected(server: FaultyServer) -> set[str]:
    """The right text for every question that was asked."""
    return {list_for(body) for body in server.bodies}


HALF = event(list_for({"messages": "another"})[:30])
FAULTS: dict[str, tuple[Reply, dict[str, Any]]] = {
    "cut in an answer": (Reply((HALF,), then="cut"), {}),
    "cut without a trace": (Reply((HALF,), then="cut", chunked=False), {}),
    "ends early": (Reply((HALF, "data: [DONE]\n\n")), {}),
    "says nothing": (Reply(()), {}),
    "429, at once": (Reply(("{}",), status=429, kind="application/json", headers=(("retry-after", "0"),)), {}),
    "429, at a date": (Reply((), status=429, headers=(("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT"),)), {}),
    "429, in a month": (Reply((), status=429, headers=(("retry-after", "2592000"),)), {}),
    "429, some day": (Reply((), status=429, headers=(("retry-after", "soon"),)), {}),
    "500": (Reply(('{"error": {"message": "out of memory"}}',), status=500, kind="application/json"), {}),
    "503": (Reply(("<html>",), status=503, kind="text/html"), {}),
    "no JSON": (Reply((HALF, "data: {'text'\n\n")), {}),
    "JSON of another kind": (Reply((HALF, 'data: {"text": "hi"}\n\n')), {}),
    "deep JSON": (Reply((HALF, "data: " + "[" * 100_000 + "\n\n")), {}),
    "a page": (Reply(("<html>sign in</html>",), kind="text/html"), {}),
    "an error in the stream": (Reply((HALF, 'data: {"error": "CUDA out of memory"}\n\n')), {}),
    "aborted": (Reply((HALF, event(finish="abort"))), {}),
    "a line without end": (Reply((HALF, "data: " + "x" * 2_000_000)), {}),
    "never begins": (Reply((), then="silent"), {"first_timeout": 0.05}),
    "no text": (Reply((event(role="assistant"),), then="hang"), {"first_timeout": 0.05}),
    "stops in the middle": (Reply((HALF,), then="hang"), {"chunk_timeout": 0.05}),
    "takes too long": (Reply((HALF,), then="hang"), {"answer_timeout": 0.05}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_goes_wrong_once_is_asked_again(faulty: FaultyServer, ask: Callable[..., list[Any]], fault: str) -> None:
    reply, arguments = FAULTS[fault]
    faulty.behave = lambda body, nth: good(list_for(body)) if nth else reply
    texts = texts_of(faulty, model_of(faulty, **arguments), ask)
    assert len(faulty.bodies) == 12
    assert set(texts) == expected(faulty)
    assert len(set(texts)) == 6


@pytest.mark.parametrize("fault", ["cut in an answer", "no JSON", "500", "never begins", "a page", "aborted"])
def test_what_goes_wrong_each_time_is_told_in_one_line(
    faulty: FaultyServer, ask: Callable[..., list[Any]], fault: str
) -> None:
    reply, arguments = FAULTS[fault]
    faulty.behave = lambda body, _: reply if "1." in json.dumps(body["messages"]) else good(list_for(body))
    model = model_of(faulty, **arguments)
    requests = ask(model, [(f"Question {row}.", LIMITS, "a") for row in range(6)])
    found = []
    with pytest.raises(InputError) as caught:
        found.extend(model.answers(requests))
    why = {
        "cut in an answer": "peer closed connection without sending complete message body (incomplete chunked read)",
        "no JSON": "no JSON object: \"{'text'\"",
        "500": "status 500: out of memory",
        "never begins": "nothing in time (first_timeout or chunk_timeout)",
        "a page": "text/html for an event stream: no JSON object: '<html>sign in</html>'",
        "aborted": "finish_reason 'abort', which is neither stop nor length",
    }
    assert str(caught.value) == (
        f"{faulty.base_url}: a, document 1: expected a whole answer, got {why[fault]}, after 4 attempts. "
        "The same command continues once the server is well."
    )
    assert 1 not in dict(found)
    assert {answer.text for _, answer in found} <= expected(faulty)
