"""Generation kwargs: what is read, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from boxlist.controls.table import Controls
from boxlist.errors import InputError
from boxlist.models.generation import GenerationOptions, read_generation_kwargs, without_hidden_defaults


def test_a_task_of_lmms_eval_reads_as_it_means() -> None:
    kwargs = {"max_new_tokens": 768, "do_sample": False, "temperature": 0.0, "until": [], "num_beams": 1, "top_p": None}
    assert read_generation_kwargs(kwargs) == GenerationOptions(max_new_tokens=768)
    assert read_generation_kwargs(kwargs).to_hf() == {"max_new_tokens": 768, "do_sample": False, "num_beams": 1}


def test_controls_are_read_and_passed_on() -> None:
    options = read_generation_kwargs(
        {"budget": 8, "repetition_penalty": 1.05, "no_repeat_ngram_size": 3, "repeat_stop": True}
    )
    assert options.controls == Controls(8, 1.05, 3, True)
    assert options.watches_text
    hf = options.to_hf()
    assert (hf["repetition_penalty"], hf["no_repeat_ngram_size"]) == (1.05, 3)
    assert not {"budget", "repeat_stop", "until", "seed"} & set(hf)


@pytest.mark.parametrize(
    ("kwargs", "sampled"),
    [
        ({"temperature": 0.7}, {"do_sample": True, "temperature": 0.7, "top_p": 1.0, "top_k": 0}),
        ({"do_sample": True}, {"do_sample": True, "temperature": 1.0, "top_p": 1.0, "top_k": 0}),
        (
            {"do_sample": True, "top_k": 5, "top_p": 0.5},
            {"do_sample": True, "temperature": 1.0, "top_p": 0.5, "top_k": 5},
        ),
        ({"do_sample": False, "temperature": 0.7, "top_k": 5}, {"do_sample": False}),  # greedy has no temperature
        ({"do_sample": "true"}, {"do_sample": True, "temperature": 1.0, "top_p": 1.0, "top_k": 0}),
    ],
)
def test_sampling(kwargs: dict[str, Any], sampled: dict[str, Any]) -> None:
    hf = read_generation_kwargs(kwargs).to_hf()
    del hf["max_new_tokens"], hf["num_beams"]
    assert hf == sampled


def test_options_that_mean_the_same_are_equal_and_group_together() -> None:
    same: list[dict[str, Any]] = [
        {},
        {"until": None},
        {"until": [""]},
        {"temperature": 0, "repeat_stop": False},
        {"do_sample": False, "top_k": 9},
    ]
    assert len({read_generation_kwargs(kwargs) for kwargs in same}) == 1
    assert read_generation_kwargs({"until": "a"}) == read_generation_kwargs({"until": ["a"]})
    assert read_generation_kwargs({"seed": 0}) != read_generation_kwargs({})


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"max_new_token": 5}, "generation kwarg 'max_new_token': expected one of"),
        ({"repeatstop": True}, "Did you mean repeat_stop"),
        ({"max_new_tokens": 0}, "generation kwarg max_new_tokens: expected a whole number from 1 to 1000000, got 0."),
        ({"max_new_tokens": 3.5}, "got 3.5."),
        ({"max_new_tokens": True}, "got True."),
        ({"max_new_tokens": "many"}, "got 'many'."),
        ({"max_new_tokens": float("inf")}, "got inf."),
        ({"temperature": float("nan")}, "generation kwarg temperature: expected a number, got nan."),
        ({"temperature": -1}, "generation kwarg temperature: expected a number from 0 to 100, got -1."),
        ({"do_sample": True, "temperature": 0}, "temperature: expected above 0 where do_sample is true, got 0."),
        ({"do_sample": "perhaps"}, "generation kwarg do_sample: expected true or false, got 'perhaps'."),
        ({"do_sample": True, "top_p": 1.5}, "generation kwarg top_p: expected a number from 0 to 1, got 1.5."),
        ({"until": 5}, "generation kwarg until: expected a text or a list of texts, got 5."),
        ({"budget": 0}, "control budget: expected a whole number from 1 to 10000, got 0."),
        ({"num_beams": 2, "repeat_stop": True}, "num_beams with repeat_stop: expected num_beams=1, got 2. repeat_stop"),
        ({"num_beams": 3, "until": ["\n"]}, "num_beams with until: expected num_beams=1, got 3."),
    ],
)  # fmt: skip
def test_refused(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_generation_kwargs(kwargs)
    assert message in str(caught.value)


def test_hidden_defaults_go_and_token_ids_stay() -> None:
    """Qwen's own generation_config.json samples at 0.7 with a penalty: a raw answer must not."""
    from transformers import GenerationConfig

    config = GenerationConfig(
        do_sample=True, temperature=0.7, top_p=0.8, top_k=20, repetition_penalty=1.3, no_repeat_ngram_size=3,
        num_beams=4, max_length=77, min_length=5, eos_token_id=[1, 2], pad_token_id=3, suppress_tokens=[9],
    )  # fmt: skip
    clean = without_hidden_defaults(config)
    for name in (
        "do_sample",
        "temperature",
        "top_p",
        "top_k",
        "repetition_penalty",
        "no_repeat_ngram_size",
        "num_beams",
    ):
        assert getattr(clean, name) in (None, GenerationConfig._get_default_generation_params()[name]), name
    assert (clean.max_length, clean.min_length) in [(None, None), (20, 0)]
    assert (clean.eos_token_id, clean.pad_token_id, clean.suppress_tokens) == ([1, 2], 3, [9])
