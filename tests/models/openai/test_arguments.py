"""Model arguments of `boxlist_openai`: what is read, and what is refused without a secret being repeated."""

from __future__ import annotations

from typing import Any

import pytest

from boxlist.errors import InputError
from boxlist.models.generation import read_generation_kwargs
from boxlist.models.openai.arguments import Server, read_protocol, read_server, request_fields

GIVEN = {"base_url": "http://127.0.0.1:8000/v1/", "model": "org/model"}


def test_what_is_given_is_read_and_the_rest_has_defaults() -> None:
    assert read_server(GIVEN) == Server("http://127.0.0.1:8000/v1", "org/model")
    texts = {"concurrency": "4", "retries": "0", "backoff": "0", "chunk_timeout": "2.5", "api_key_env": None}
    assert read_server({**GIVEN, **texts, "protocol": "pixel_xyxy", "seed": 3}) == Server(
        "http://127.0.0.1:8000/v1", "org/model", concurrency=4, retries=0, backoff=0.0, chunk_timeout=2.5
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"base_url": ""}, "boxlist_openai: expected base_url=http://127.0.0.1:8000/v1, got none. Give base_url."),
        ({"model": None}, "boxlist_openai: expected model=NAME, got none. Give model."),
        ({"pretrained": "x"}, "model argument 'pretrained': expected one of answer_timeout, api_key_env, backoff,"),
        ({"concurency": 2}, "Did you mean concurrency?"),
        ({"concurrency": 0}, "model argument concurrency: expected a whole number from 1 to 256, got 0."),
        ({"concurrency": 1.5}, "expected a whole number from 1 to 256, got 1.5."),
        ({"retries": -1}, "model argument retries: expected a whole number from 0 to 100, got -1."),
        ({"chunk_timeout": 0}, "model argument chunk_timeout: expected seconds above 0, at most 86400, got 0."),
        ({"answer_timeout": "nan"}, "expected seconds above 0, at most 86400, got 'nan'."),
        ({"first_timeout": "soon"}, "got 'soon'."),
        ({"base_url": "ftp://host"}, "base_url: expected http(s)://HOST[:PORT][/PATH], got 'ftp://host'."),
        ({"base_url": "127.0.0.1:8000"}, "got '127.0.0.1:8000'."),
        ({"base_url": "http:///v1"}, "got 'http:///v1'."),
        ({"base_url": "http://a b"}, "got 'http://a b'."),
        ({"base_url": "http://a\r\nx: y"}, "got no address."),
        ({"base_url": "http://a:99999"}, "base_url: expected http(s)://HOST[:PORT][/PATH], got no address."),
        ({"base_url": "file:///etc/passwd"}, "got 'file:///etc/passwd'."),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_server({**GIVEN, **arguments})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [
        {"base_url": "http://me:sk-secret@host/v1"},
        {"base_url": "http://sk-secret@host/v1"},
        {"base_url": "https://host/v1?api_key=sk-secret"},
        {"base_url": "https://host/v1#sk-secret"},
        {"api_key_env": "sk-secret"},
        {"api_key": "sk-secret"},
        {"api_key_env": "TOY_KEY"},
    ],
    ids=str,
)
def test_errors_repeat_no_secret(arguments: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY_KEY", "sk-secret\nwith a line break")
    with pytest.raises(InputError) as caught:
        read_server({**GIVEN, **arguments})
    assert "secret" not in str(caught.value)


def test_the_key_comes_from_the_environment_and_stays_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOY_KEY", raising=False)
    with pytest.raises(InputError) as caught:
        read_server({**GIVEN, "api_key_env": "TOY_KEY"})
    assert str(caught.value) == (
        "environment variable TOY_KEY: expected the server's key, got nothing. Set it: export TOY_KEY=..."
    )
    monkeypatch.setenv("TOY_KEY", "sk-secret\n")
    server = read_server({**GIVEN, "api_key_env": "TOY_KEY"})
    assert server.headers["authorization"] == "Bearer sk-secret"
    assert "secret" not in repr(server)
    assert server.without_key("wrong key sk-secret!") == "wrong key (key)!"


@pytest.mark.parametrize(
    ("kwargs", "fields"),
    [
        ({"max_new_tokens": 5}, {"max_tokens": 5, "temperature": 0.0}),
        ({"max_new_tokens": 5, "temperature": 0.0, "top_k": 3, "seed": 1}, {"max_tokens": 5, "temperature": 0.0}),
        (
            {"max_new_tokens": 5, "temperature": 0.7},
            {"max_tokens": 5, "temperature": 0.7, "top_p": 1.0, "seed": 11},
        ),
        (
            {"max_new_tokens": 5, "do_sample": True, "top_k": 3, "top_p": 0.5},
            {"max_tokens": 5, "temperature": 1.0, "top_p": 0.5, "seed": 11, "top_k": 3},
        ),
        (
            {"max_new_tokens": 5, "repetition_penalty": 1.05, "budget": 8, "repeat_stop": True, "until": "x"},
            {"max_tokens": 5, "temperature": 0.0, "repetition_penalty": 1.05},
        ),
    ],
)
def test_fields_of_a_request(kwargs: dict[str, Any], fields: dict[str, Any]) -> None:
    assert request_fields(read_generation_kwargs(kwargs), seed=11) == fields


@pytest.mark.parametrize("kwargs", [{"no_repeat_ngram_size": 3}, {"num_beams": 2}], ids=str)
def test_what_no_server_can_do(kwargs: dict[str, Any]) -> None:
    (name,) = kwargs
    with pytest.raises(InputError) as caught:
        request_fields(read_generation_kwargs(kwargs))
    assert str(caught.value) == (
        f"boxlist_openai: {name}: expected options that servers have, got one that none has. "
        f"Leave {name} out, or use boxlist_hf."
    )


def test_protocols_in_pixels_of_the_resized_image() -> None:
    assert read_protocol(None).name == "norm1000_xyxy"
    with pytest.raises(InputError, match="protocol resized_pixel_xyxy: expected one that needs no size of the resized"):
        read_protocol("resized_pixel_xyxy")
