"""The words of the command line as a request."""

from __future__ import annotations

from pathlib import Path

import pytest

from boxlist.controls.table import Controls
from boxlist.errors import InputError
from boxlist.runs.request import RunRequest, default_name, read_pairs, take_batch_size


def test_pairs_keep_their_kinds() -> None:
    read = read_pairs("pretrained=0012, adapter=a=b,batch_size=4,top_p=.9,x=1e-3,flag=True,gone=None", "--model-args")
    assert read == {
        "pretrained": "0012",
        "adapter": "a=b",
        "batch_size": 4,
        "top_p": 0.9,
        "x": 0.001,
        "flag": True,
        "gone": None,
    }


@pytest.mark.parametrize("word", ["nan", "inf", "1_000", "0x10", "١٢", "9" * 60])
def test_words_that_only_look_like_numbers_stay_words(word: str) -> None:
    assert read_pairs(f"x={word}", "--gen-kwargs") == {"x": word}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pretrained", "--model-args 'pretrained': expected name=value, got neither. Write name=value."),
        ("=x", "--model-args '=x': expected name=value, got neither. Write name=value."),
        ("a=1,a=2", "--model-args a: expected it once, got it twice. Drop one of them."),
    ],
)
def test_pairs_that_are_none(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_pairs(text, "--model-args")
    assert str(caught.value) == message


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", "", "x" * 200, "a b", "-x", "a\n"])
def test_a_name_is_one_folder(name: str) -> None:
    with pytest.raises(InputError, match="expected letters, digits and"):
        RunRequest(tasks=("t",), name=name, model_args={"pretrained": "m"})


def test_a_request_needs_a_model_and_a_task() -> None:
    with pytest.raises(InputError, match="--model-args: expected pretrained=CHECKPOINT, got none"):
        RunRequest(tasks=("t",), name="n", model_args={})
    with pytest.raises(InputError, match="--tasks: expected at least one task, got none"):
        RunRequest(tasks=(), name="n", model_args={"pretrained": "m"})


def test_controls_do_not_hide_among_generation_kwargs() -> None:
    with pytest.raises(InputError, match="--gen-kwargs budget: expected it among --controls"):
        RunRequest(tasks=("t",), name="n", model_args={"pretrained": "m"}, generation_kwargs={"budget": 8})


@pytest.mark.parametrize(
    ("model_args", "controls", "name"),
    [
        ({"pretrained": "org/Model-8B"}, Controls(), "Model-8B-raw"),
        ({"pretrained": "m", "adapter": "runs/demo/adapter/"}, Controls(budget=8), "adapter-budget=8"),
        ({"pretrained": "/ä ö/"}, Controls(repeat_stop=True), "model-repeat_stop"),
    ],
)
def test_default_names_are_names(model_args: dict[str, str], controls: Controls, name: str) -> None:
    assert default_name(model_args, controls) == name
    assert RunRequest(tasks=("t",), name=name, model_args={"pretrained": "m"}, out=Path("o")).path == Path("o", name)


def test_the_batch_size_is_taken_out_of_model_args() -> None:
    model_args = read_pairs("pretrained=m,batch_size=4", "--model-args")
    assert take_batch_size(model_args) == 4
    assert model_args == {"pretrained": "m"}
    assert take_batch_size(model_args) == 1
    for wrong in ("0", "auto", "1.5", "true"):
        with pytest.raises(InputError, match="--model-args batch_size: expected a whole number from 1"):
            take_batch_size(read_pairs(f"batch_size={wrong}", "--model-args"))
