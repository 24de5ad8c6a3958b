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

    from boxlist.models.answers import ModelAnswer

LIMITS: dict[str, Any] = {"max_new_tokens": 64}


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


MANY = {"retries": 50, "concurrency": 6}  # so short a timeout may strike a good answer too, on a busy machine
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
    "never begins": (Reply((), then="silent"), {"first_timeout": 0.3, **MANY}),
    "no text": (Reply((event(role="assistant"),), then="hang"), {"first_timeout": 0.3, **MANY}),
    "stops in the middle": (Reply((HALF,), then="hang"), {"chunk_timeout": 0.3, **MANY}),
    "takes too long": (Reply((HALF,), then="hang"), {"answer_timeout": 0.3, **MANY}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_goes_wrong_once_is_asked_again(faulty: FaultyServer, ask: Callable[..., list[Any]], fault: str) -> None:
    reply, arguments = FAULTS[fault]
    faulty.behave = lambda body, nth: good(list_for(body)) if nth else reply
    texts = texts_of(faulty, model_of(faulty, **arguments), ask)
    assert len(faulty.bodies) == 12 or (arguments and len(faulty.bodies) > 12)
    assert set(texts) == expected(faulty)
    assert len(set(texts)) == 6


@pytest.mark.parametrize("fault", ["cut in an answer", "no JSON", "500", "a page", "aborted"])
def test_what_goes_wrong_each_time_is_told_in_one_line(
    faulty: FaultyServer, ask: Callable[..., list[Any]], fault: str
) -> None:
    reply, _ = FAULTS[fault]
    faulty.behave = lambda body, _: reply if "1." in json.dumps(body["messages"]) else good(list_for(body))
    model = model_of(faulty)
    requests = ask(model, [(f"Question {row}.", LIMITS, "a") for row in range(6)])
    found: list[tuple[int, ModelAnswer]] = []
    with pytest.raises(InputError) as caught:
        found.extend(model.answers(requests))
    why = {
        "cut in an answer": "peer closed connection without sending complete message body (incomplete chunked read)",
        "no JSON": "no JSON object: \"{'text'\"",
        "500": "status 500: out of memory",
        "a page": "text/html for an event stream: no JSON object: '<html>sign in</html>'",
        "aborted": "finish_reason 'abort', which is neither stop nor length",
    }
    assert str(caught.value) == (
        f"{faulty.base_url}: a, document 1: expected a whole answer, got {why[fault]}, after 4 attempts. "
        "The same command continues once the server is well."
    )
    assert 1 not in dict(found)
    assert {answer.text for _, answer in found} <= expected(faulty)


def test_a_server_that_is_silent_for_ever(faulty: FaultyServer, ask: Callable[..., list[Any]]) -> None:
    faulty.behave = lambda _body, _nth: Reply((), then="silent")
    model = model_of(faulty, first_timeout=0.05, retries=1)
    with pytest.raises(InputError, match=r"got nothing in time \(first_timeout or chunk_timeout\), after 2 attempts"):
        list(model.answers(ask(model, [("?", LIMITS, "a")])))


def test_a_server_that_dies_half_way_and_comes_back(faulty: FaultyServer, ask: Callable[..., list[Any]]) -> None:
    model = model_of(faulty, concurrency=2)
    requests = ask(model, [(f"Question {row}.", LIMITS, "a") for row in range(8)])
    arriving = model.answers(requests)
    found = [next(arriving) for _ in range(3)]
    faulty.stop()
    faulty.start()
    found += arriving
    assert sorted(index for index, _ in found) == list(range(8))
    assert {answer.text for _, answer in found} == expected(faulty)


def test_a_server_that_dies_for_good(faulty: FaultyServer, ask: Callable[..., list[Any]]) -> None:
    """What was answered before is handed over; the rest is told in one line."""
    model = model_of(faulty, concurrency=1)
    arriving = model.answers(ask(model, [(f"Question {row}.", LIMITS, "a") for row in range(8)]))
    assert [next(arriving)[0] for _ in range(3)] == [0, 1, 2]
    faulty.stop()
    with pytest.raises(InputError, match=r"document 3: expected a whole answer, got .*, after 4 attempts"):
        next(arriving)


def test_so_many_at_once_and_no_more(faulty: FaultyServer, ask: Callable[..., list[Any]]) -> None:
    """The server answers nobody until three ask at once, and never sees four."""
    faulty.together = 3
    assert len(set(texts_of(faulty, model_of(faulty, concurrency=3), ask, n=9))) == 9
    assert faulty.most_at_once == 3


def test_closing_the_iterator_closes_the_streams(faulty: FaultyServer, ask: Callable[..., list[Any]]) -> None:
    faulty.behave = lambda body, _: (
        good(list_for(body)) if "n 0." in json.dumps(body["messages"]) else Reply((HALF,), then="hang")
    )
    model = model_of(faulty, concurrency=4)
    arriving = model.answers(ask(model, [(f"Question {row}.", LIMITS, "a") for row in range(4)]))
    assert next(arriving)[0] == 0
    arriving.close()  # type: ignore[attr-defined]  # it is a generator
    assert all(faulty.hung_up.acquire(timeout=60) for _ in range(3))


REFUSALS: dict[str, tuple[Reply, str]] = {
    "401": (
        Reply(('{"error": "Incorrect key: sk-secret"}',), status=401, kind="application/json"),
        (
            "URL/chat/completions: expected a key that this server takes, got 401 with no key. "
            "Name its variable: api_key_env=OPENAI_API_KEY"
        ),
    ),
    "redirect": (
        Reply((), status=307, headers=(("location", "http://elsewhere.example/v1"),)),
        (
            "URL/chat/completions: expected an answer, got a redirect to http://elsewhere.example/v1. "
            "boxlist follows none: give the right base_url."
        ),
    ),
    "field": (
        Reply(('{"detail": "Unexpected fields in the request: top_k"}',), status=422, kind="application/json"),
        (
            "URL: expected a server that takes the request, got status 422: Unexpected fields in the request: top_k. "
            "Leave out what it does not know, or ask another server."
        ),
    ),
    "too long": (
        Reply(('{"message": "context is 4096 tokens", "code": 400}',), status=400, kind="application/json"),
        (
            "URL: expected a server that takes the request, got status 400: context is 4096 tokens. "
            "Leave out what it does not know, or ask another server."
        ),
    ),
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_what_no_attempt_would_mend_is_told_at_once(
    faulty: FaultyServer, ask: Callable[..., list[Any]], refusal: str
) -> None:
    reply, message = REFUSALS[refusal]
    faulty.behave = lambda _body, _nth: reply
    model = model_of(faulty, concurrency=1)
    with pytest.raises(InputError) as caught:
        list(model.answers(ask(model, [("?", LIMITS, "a")] * 3)))
    assert str(caught.value) == message.replace("URL", faulty.base_url)
    assert len(faulty.bodies) == 1, "no other question is begun"


def test_one_refused_question_lets_those_under_way_finish(faulty: FaultyServer, ask: Callable[..., list[Any]]) -> None:
    faulty.together = 3
    bad = Reply(("{}",), status=413, kind="application/json")
    faulty.behave = lambda body, _: bad if "n 0." in json.dumps(body["messages"]) else good(list_for(body))
    model = model_of(faulty)
    found: list[tuple[int, ModelAnswer]] = []
    requests = ask(model, [(f"Question {row}.", LIMITS, "a") for row in range(9)])
    with pytest.raises(InputError, match="status 413"):
        found.extend(model.answers(requests))
    assert len(found) == len(faulty.bodies) - 1


def test_ends_and_tokens(faulty: FaultyServer, ask: Callable[..., list[Any]]) -> None:
    replies = [
        good("[]", tokens=2),
        good("[1", finish="length", tokens=64),
        Reply((event("["), event("]", finish="stop"), "data: [DONE]\n\n")),  # no usage
        Reply((event("[]"), event(finish="stop", usage={"completion_tokens": 9}))),  # as transformers serve
        Reply((event("[]"), event(finish="stop")), then="cut"),  # whole: only what follows is lost
        Reply((": keep alive\r\n", "event: x\n", event("[]").replace("\n", "\r\n"), event(finish="stop")[:-2])),
        Reply((event("[]"), event(finish="stop", usage={"completion_tokens": -1}))),
        Reply((event(finish="stop", usage=None),)),
        Reply((event("[", usage={"completion_tokens": 1}), event("]", finish="stop"))),
    ]
    faulty.behave = lambda body, _: replies[int(body["messages"][0]["content"][1]["text"])]
    model = model_of(faulty, chunk_timeout=5)
    found = dict(model.answers(ask(model, [(str(row), LIMITS, "a") for row in range(len(replies))])))
    assert [(a.text, a.finish, a.tokens) for _, a in sorted(found.items())] == [
        ("[]", "eos", 2), ("[1", "length", 64), ("[]", "eos", None), ("[]", "eos", 9), ("[]", "eos", None),
        ("[]", "eos", None), ("[]", "eos", None), ("", "eos", None), ("[]", "eos", None),
    ]  # fmt: skip


RECORD = '{"bbox_2d": [1, 2, 3, 4], "label": "tree"}'
OTHER = '{"bbox_2d": [1, 2, 3, 5], "label": "tree"}'


@pytest.mark.parametrize(
    ("kwargs", "text", "finish"),
    [
        ({"repeat_stop": True}, f"[{RECORD}, {OTHER}]", "repeat_stop"),
        ({"max_items": 1}, f"[{RECORD}]", "max_items"),
        ({"until": ["}, {", "zzz"]}, f"[{RECORD[:-1]}", "eos"),
    ],
    ids=["repeat_stop", "max_items", "until"],
)
def test_a_control_closes_the_stream(
    faulty: FaultyServer, ask: Callable[..., list[Any]], kwargs: dict[str, Any], text: str, finish: str
) -> None:
    """The server would go on for ever; it is hung up on, and no token count is made up."""
    pieces = ["[", *(piece for record in (RECORD, OTHER, RECORD, RECORD) for piece in (record[:9], record[9:], ", "))]
    faulty.behave = lambda _body, _nth: Reply(tuple(map(event, pieces)), then="hang")
    model = model_of(faulty)
    ((_, answer),) = model.answers(ask(model, [("?", {**LIMITS, **kwargs}, "a")]))
    assert (answer.text, answer.finish, answer.tokens) == (text, finish, None)
    assert answer.triggered == (finish != "eos")
    assert faulty.hung_up.acquire(timeout=60)
    assert len(faulty.bodies) == 1
    assert "stop" not in faulty.bodies[0]
