"""PaliGemma, which has no chat template: what it is asked, rows in a batch, controls, and what it cannot take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image

from boxlist.errors import InputError
from boxlist.models.likelihood import rows_of, score_all
from boxlist.models.prompt_encoding import encode_prompts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from boxlist.models.answers import ModelAnswer
    from boxlist.models.hf import BoxlistHF

PROMPTS = ["detect cat", "Where is the dog? Answer in location tokens.", "Point.", "detect cat ; dog ; bird", "caption"]
PICTURES = [
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (20 + 9 * seed, 40, 3), np.uint8))
    for seed in range(len(PROMPTS))
]
RAW: dict[str, Any] = {"max_new_tokens": 24}


@pytest.fixture(scope="module")
def paligemma(paligemma_base: Path) -> BoxlistHF:
    from boxlist.models.hf import BoxlistHF

    return BoxlistHF(str(paligemma_base), protocol="loc1024_yxyx", device="cpu")


def conversation(prompt: str, *pictures: Image.Image) -> list[dict[str, Any]]:
    content = [{"type": "image", "image": picture} for picture in pictures]
    return [{"role": "user", "content": [*content, {"type": "text", "text": prompt}]}]


def asked(model: BoxlistHF, ask: Callable[..., list[Any]], kwargs: dict[str, Any], size: int) -> list[ModelAnswer]:
    model.batch_size = size
    requests = ask(model, [(prompt, kwargs, "a") for prompt in PROMPTS])
    for document, picture in zip(model.task_dict["a"]["test"], PICTURES, strict=True):
        document["image"] = picture
    return [answer for _, answer in sorted(model.answers(requests))]


def test_the_prompt_is_the_processors_own(paligemma: BoxlistHF) -> None:
    """The image's tokens, the beginning, the task's text and a new line; nothing of it is a suffix."""
    inputs = encode_prompts(paligemma.processor, [conversation(PROMPTS[0], PICTURES[0])])
    text = paligemma.processor.tokenizer.decode(inputs["input_ids"][0])
    assert text == "<image>" * 4 + "<bos>detect cat\n"
    own = paligemma.processor(images=[PICTURES[0]], text=["<image>detect cat"]).convert_to_tensors("pt")
    del own["labels"]
    assert inputs.keys() == own.keys()
    assert all(torch.equal(inputs[key], own[key]) for key in own)
    assert not inputs["token_type_ids"].any()


@pytest.mark.parametrize(
    "kwargs",
    [RAW, {**RAW, "repetition_penalty": 1.3}, {**RAW, "drop_image_tokens": 0.5}, {**RAW, "temperature": 1.0}],
    ids=["greedy", "penalty", "hidden image tokens", "sampled"],
)
def test_rows_of_a_batch_get_what_they_get_alone(
    paligemma: BoxlistHF, ask: Callable[..., list[Any]], kwargs: dict[str, Any]
) -> None:
    """With fewer seats than questions, too, so that rows join others that are under way."""
    alone = asked(paligemma, ask, kwargs, 1)
    assert [asked(paligemma, ask, kwargs, size) for size in (2, 5)] == [alone, alone]
    assert len({answer.text for answer in alone}) == len(PROMPTS), "the prompts and pictures do differ"


def test_raw_answers_are_generate_s_own(paligemma: BoxlistHF, ask: Callable[..., list[Any]]) -> None:
    answers = asked(paligemma, ask, RAW, 3)
    for prompt, picture, answer in zip(PROMPTS, PICTURES, answers, strict=True):
        inputs = encode_prompts(paligemma.processor, [conversation(prompt, picture)])
        with torch.inference_mode():
            output = paligemma.model.generate(**inputs, max_new_tokens=24, do_sample=False)
        new = output[0, inputs["input_ids"].shape[1] :]
        assert answer.text == paligemma.processor.tokenizer.decode(new, skip_special_tokens=True)
        assert (answer.tokens, answer.prompt) == (len(new), prompt)


def test_beams(paligemma: BoxlistHF, ask: Callable[..., list[Any]]) -> None:
    found = [asked(paligemma, ask, {**RAW, "num_beams": 2}, size) for size in (1, 5)]
    assert found[0] == found[1]


def test_hidden_image_tokens_change_answers(paligemma: BoxlistHF, ask: Callable[..., list[Any]]) -> None:
    kinds: list[dict[str, Any]] = [RAW, {**RAW, "drop_image_tokens": 0.5}, {**RAW, "drop_image_tokens": 1.0}]
    texts = [tuple(answer.text for answer in asked(paligemma, ask, kind, 5)) for kind in kinds]
    assert len(set(texts)) == 3


def test_what_is_no_prefix_is_refused(paligemma: BoxlistHF) -> None:
    good = conversation("detect cat", PICTURES[0])
    for bad, got in (
        (conversation("detect cat"), "turns of user, 0 images, 'detect cat'"),
        (conversation("detect <image>", PICTURES[0]), "turns of user, 1 images, 'detect <image>'"),
        ([{"role": "system", "content": []}, *good], "turns of system, user, 1 images"),
    ):
        with pytest.raises(InputError) as caught:
            encode_prompts(paligemma.processor, [good, bad])
        assert str(caught.value).startswith(
            f"PaliGemma's prompt: expected one user turn with an image, and a text without <image>, got {got}"
        )


def plain_forward(model: BoxlistHF, option: str, picture: Image.Image) -> float:
    """The oracle: one suffix without padding, and the model's own loss over it, the end token left out."""
    inputs = model.processor(images=[picture], text=["<image>Is it left?"], suffix=[option]).convert_to_tensors("pt")
    inputs["labels"][:, -1] = -100
    with torch.no_grad():
        loss = float(model.model(**inputs).loss)
    return -loss * int((inputs["labels"] != -100).sum())


def test_how_likely_options_are(paligemma: BoxlistHF) -> None:
    options = ["left", "on the right side", "<loc0012> under"]
    conversations = [conversation("Is it left?", picture) for picture in PICTURES[:2]]
    rows = [rows_of(paligemma.processor, messages, options, "here") for messages in conversations]
    found = list(score_all(paligemma.processor, paligemma.model, rows, 4))
    expected = [[plain_forward(paligemma, option, picture) for option in options] for picture in PICTURES[:2]]
    np.testing.assert_allclose([[score.logprob for score in row] for row in found], expected, atol=1e-4, rtol=0)
    assert [score.tokens for score in found[0]] == [4, 17, 7]
    with pytest.raises(InputError, match="here: expected options to score, each of at least one token, got 2 options"):
        rows_of(paligemma.processor, conversations[0], ["left", ""], "here")


def test_the_greedy_answer_is_greedy(paligemma: BoxlistHF, ask: Callable[..., list[Any]]) -> None:
    written = asked(paligemma, ask, {"max_new_tokens": 4}, 1)[0].text
    (rows,) = [rows_of(paligemma.processor, conversation(PROMPTS[0], PICTURES[0]), [written, "x"], "here")]
    (found,) = score_all(paligemma.processor, paligemma.model, [rows], 2)
    assert [score.greedy for score in found] == [True, False]
