"""Bytes of a stream, cut anywhere."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxlist.models.openai import stream
from boxlist.models.openai.stream import AttemptFailedError, Piece, events, read_piece, said

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence


def read(chunks: Sequence[bytes]) -> list[bytes]:
    async def arriving() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    async def all_of_it() -> list[bytes]:
        return [data async for data in events(arriving())]

    return asyncio.run(all_of_it())


@given(st.lists(st.text(max_size=8), max_size=6), st.sampled_from(["\n\n", "\r\n\r\n"]), st.data())
def test_chunks_may_be_cut_anywhere(texts: list[str], end: str, data: st.DataObject) -> None:
    """In the middle of a character too: é and its like are two bytes or more."""
    lines = [f"data: {json.dumps(text, ensure_ascii=False)}{end}: a comment{end}" for text in texts]
    whole = "".join(lines).encode("utf-8", "surrogatepass")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    chunks = [whole[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    found = [data.decode("utf-8", "surrogatepass") for data in read(chunks)]
    assert found == [json.dumps(text, ensure_ascii=False).strip() for text in texts]


def test_the_last_line_needs_no_end() -> None:
    assert read([b"data: {}\n", b"dat", b"a:[DONE]"]) == [b"{}", b"[DONE]"]
    assert read([b"event: x\nid: 3\n\n"]) == []


def test_a_stream_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "LONGEST_LINE", 100)
    monkeypatch.setattr(stream, "LONGEST_STREAM", 1000)
    with pytest.raises(AttemptFailedError, match="more than 100 bytes a line, or 1000 an answer"):
        read([b"data: " + b"x" * 50] * 3)
    with pytest.raises(AttemptFailedError, match="or 1000 an answer"):
        read([b"data: x\n"] * 200)


@pytest.mark.parametrize(
    ("data", "piece"),
    [
        (b'{"choices": [{"delta": {"content": "a"}}]}', Piece("a")),
        (b'{"choices": [{"delta": {"content": null, "reasoning_content": "hm"}}]}', Piece()),
        (b'{"choices": [{"delta": null, "finish_reason": "stop"}]}', Piece(finish="stop")),
        (b'{"choices": [{"delta": {"content": 5}, "finish_reason": null}], "usage": null}', Piece()),
        (b'{"choices": [], "usage": {"completion_tokens": 3}}', Piece(tokens=3)),
        (b'{"choices": [], "usage": null}', Piece()),
        (b'{"choices": ["odd"], "usage": {"completion_tokens": true}}', Piece()),
    ],
)
def test_pieces(data: bytes, piece: Piece) -> None:
    assert read_piece(data) == piece


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"[]", "no JSON object: '[]'"),
        (b"\xff\xfe", "no JSON object: "),
        (b'{"choices": "a"}', "JSON that is no chat completion"),
        (b'{"choices": []}', "JSON that is no chat completion"),
        (b'{"error": {"message": "too long", "code": 400}}', "an error in its answer: too long"),
    ],
)
def test_what_is_no_piece(data: bytes, message: str) -> None:
    with pytest.raises(AttemptFailedError) as caught:
        read_piece(data)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ({"error": {"message": "m" * 999, "type": "x"}}, "m" * 160),
        ({"error": "plain"}, "plain"),
        ({"object": "error", "message": "old vLLM"}, "old vLLM"),
        ({"detail": [{"loc": ["body"], "msg": "FastAPI"}]}, "[{'loc': ['body'], 'msg': 'FastAPI'}]"),
        ({"error": {"code": 5}}, '{"code": 5}'),
        ({"status": "no"}, '{"status": "no"}'),
    ],
)
def test_a_server_s_own_words(reply: dict[str, object], words: str) -> None:
    assert said(reply) == words
