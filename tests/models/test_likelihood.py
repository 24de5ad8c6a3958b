"""Log-probabilities of given texts: against plain forward passes one by one, in any batch, and as answers of a run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from lmms_eval.api.instance import Instance
from PIL import Image

from boxlist.errors import InputError
from boxlist.metrics.option_scores import read_option_scores
from boxlist.models.generation import read_generation_kwargs
from boxlist.models.likelihood import rows_of
from boxlist.models.openai.arguments import request_fields
from boxlist.models.openai.model import BoxlistOpenAI

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from boxlist.models.hf import BoxlistHF

PROMPT = "Describe the spatial relationship."
CAPTIONS = (
    "A photo of a red circle to the left of a blue star",
    "A photo of a red circle",
    "left",
    " a green cross, above and to the right of a very small pink triangle.",
    "Unseen words: Ä 漢字 zyx\n\n42",
)
TOLERANCE = 1e-4


@pytest.fixture
def model(pocket: BoxlistHF) -> Iterator[BoxlistHF]:
    yield pocket
    pocket.batch_size = 1


def noise(size_wh_px: tuple[int, int], seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (size_wh_px[1], size_wh_px[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


PICTURES = [noise((224, 224), 1), noise((160, 320), 2), noise((96, 64), 3)]


def requests_for(model: BoxlistHF, captions: Sequence[str], pictures: Sequence[Image.Image]) -> list[Instance]:
    """One request for each picture and caption, as lmms-eval's `multiple_choice` tasks build them."""
    model.task_dict = {"choice": {"test": [{"picture": picture} for picture in pictures]}}
    return [
        Instance(
            request_type="loglikelihood",
            arguments=(PROMPT, caption, lambda document: [document["picture"]], doc_id, "choice", "test"),
            idx=number,
            metadata={"task": "choice", "doc_id": doc_id, "repeats": 1},
        )
        for doc_id in range(len(pictures))
        for number, caption in enumerate(captions)
    ]


def plain_forward(model: BoxlistHF, caption: str, picture: Image.Image | None) -> tuple[float, bool]:
    """The oracle: no padding, no batch, no cut of the logits; the loss of transformers' own forward, and its argmax."""
    content: list[dict[str, Any]] = [{"type": "image"}] if picture else []
    content.append({"type": "text", "text": PROMPT if picture else ""})
    prompt = model.processor.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
    )
    images = {"images": [picture]} if picture else {}
    before = model.processor(text=[prompt], **images, return_tensors="pt")["input_ids"].shape[1]
    inputs = model.processor(text=[prompt + caption], **images, return_tensors="pt")
    labels = inputs["input_ids"].clone()
    labels[:, :before] = -100
    with torch.no_grad():
        output = model.model(**inputs, labels=labels)
    scored = labels.shape[1] - before
    greedy = (output.logits[0, before - 1 : -1].argmax(-1) == labels[0, before:]).all()
    return -float(output.loss) * scored, bool(greedy)


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_scores_are_those_of_plain_forward_passes(model: BoxlistHF, batch_size: int) -> None:
    model.batch_size = batch_size
    found = model.loglikelihood(requests_for(model, CAPTIONS, PICTURES))
    expected = [plain_forward(model, caption, picture) for picture in PICTURES for caption in CAPTIONS]
    assert [greedy for _, greedy in found] == [greedy for _, greedy in expected]
    np.testing.assert_allclose([one for one, _ in found], [one for one, _ in expected], atol=TOLERANCE, rtol=0)


def test_the_greedy_answer_is_greedy_and_no_other_is(model: BoxlistHF, ask: Callable[..., list[Any]]) -> None:
    """What the model itself writes, cut short, is what greedy decoding would write."""
    requests = ask(model, [(PROMPT, {"max_new_tokens": 6}, "a")])
    written = dict(model.answers(requests))[0].text
    white = Image.new("RGB", (224, 224), "white")
    (own, own_greedy), (other, other_greedy) = model.loglikelihood(requests_for(model, [written, "zyx"], [white]))
    assert own_greedy
    assert not other_greedy
    assert own > other


def test_text_alone_has_a_likelihood_too(model: BoxlistHF) -> None:
    """lmms-eval asks so for the unconditional part of `acc_mutual_info`."""
    metadata = {"task": "choice", "doc_id": 0, "repeats": 1}
    request = Instance(request_type="loglikelihood", arguments=("", "left"), idx=0, metadata=metadata)
    assert model.loglikelihood([request])[0][0] == pytest.approx(plain_forward(model, "left", None)[0], abs=TOLERANCE)


def test_a_target_that_is_a_function_of_the_document(model: BoxlistHF) -> None:
    """lmms-eval's `loglikelihood` tasks pass `doc_to_target` itself."""
    by_text = requests_for(model, ["left"], PICTURES[:1])[0]
    context, _, *rest = by_text.args
    metadata = {"task": "choice", "doc_id": 0, "repeats": 1}
    by_function = Instance(
        request_type="loglikelihood", arguments=(context, lambda _: "left", *rest), idx=0, metadata=metadata
    )
    assert model.loglikelihood([by_function]) == model.loglikelihood([by_text])


def test_a_text_that_changes_the_prompts_last_token_is_scored_with_it() -> None:
    """All options then begin at the same token, so that their sums are about the same thing."""

    class Tokenizer:
        bos_token = None

        def __call__(self, text: str, **_: object) -> dict[str, list[int]]:
            """A token a letter, but ':' and ')' are one where they meet."""
            return {"input_ids": [ord(letter) for letter in text.replace(":)", "\u263a")]}

    class Processor:
        tokenizer = Tokenizer()

        def apply_chat_template(self, *_: object, **_options: object) -> list[str]:
            return ["go:"]

    rows = rows_of(Processor(), [{"role": "user", "content": []}], [")x", "xy"], "here")
    assert [row.scored_ids for row in rows] == [[ord("\u263a"), ord("x")], [ord(":"), ord("x"), ord("y")]]
    with pytest.raises(InputError, match="here: expected options to score, each of at least one token, got 2 options"):
        rows_of(Processor(), [{"role": "user", "content": []}], ["x", ""], "here")


def scored(model: BoxlistHF, documents: Sequence[dict[str, Any]]) -> list[str]:
    """The answers' texts where a task asks for likelihood."""

    def to_messages(document: dict[str, Any]) -> list[dict[str, Any]]:
        words = {"type": "text", "text": PROMPT, "options": document["options"]}
        return [{"role": "user", "content": [{"type": "image", "url": document["picture"]}, words]}]

    model.task_dict = {"choice": {"test": list(documents)}}
    requests = [
        Instance(
            request_type="generate_until",
            arguments=(PROMPT, to_messages, {"likelihood": True}, doc_id, "choice", "test"),
            idx=0,
            metadata={"task": "choice", "doc_id": doc_id, "repeats": 1},
        )
        for doc_id in range(len(documents))
    ]
    answers = dict(model.answers(requests))
    assert all(
        (a.finish, a.tokens, a.triggered, a.prompt) == ("likelihood", 0, False, PROMPT) for a in answers.values()
    )
    return [answers[index].text for index in range(len(documents))]


def test_a_task_of_likelihoods_gets_the_scores_of_its_options(model: BoxlistHF) -> None:
    documents: list[dict[str, Any]] = [{"picture": p, "options": CAPTIONS[: 2 + n]} for n, p in enumerate(PICTURES)]
    model.batch_size = 4
    for text, document, picture in zip(scored(model, documents), documents, PICTURES, strict=True):
        found = read_option_scores(text, len(document["options"]))
        assert found is not None
        expected = model.loglikelihood(requests_for(model, document["options"], [picture]))
        assert [one.greedy for one in found] == [greedy for _, greedy in expected]
        np.testing.assert_allclose([one.logprob for one in found], [one for one, _ in expected], atol=TOLERANCE, rtol=0)
        tokens = [len(model.processor.tokenizer(option)["input_ids"]) for option in document["options"]]
        assert [one.tokens for one in found] == tokens
    assert json.loads(text).keys() == {"option_scores"}


def test_protocols_that_need_the_resized_size_get_it(pocket_base: Any) -> None:
    from boxlist.models.hf import BoxlistHF
    from boxlist.tasks.sealed import unseal

    model = BoxlistHF(str(pocket_base), device="cpu", protocol="resized_pixel_xyxy")
    document = {"picture": PICTURES[0], "options": ["left", "right"]}

    def to_messages(document: dict[str, Any]) -> list[dict[str, Any]]:
        words = {"type": "text", "text": PROMPT, "options": document["options"]}
        return [{"role": "user", "content": [{"type": "image", "url": document["picture"]}, words]}]

    model.task_dict = {"choice": {"test": [document]}}
    request = Instance(
        request_type="generate_until",
        arguments=(PROMPT, to_messages, {"likelihood": True}, 0, "choice", "test"),
        idx=0,
        metadata={"task": "choice", "doc_id": 0, "repeats": 1},
    )
    sealed = unseal(model.generate_until([request])[0])
    assert (sealed.finish, sealed.triggered, sealed.tokens) == ("likelihood", False, 0)
    assert sealed.frame is not None
    assert read_option_scores(sealed.text, 2) is not None


def test_a_task_without_options_is_refused(model: BoxlistHF) -> None:
    with pytest.raises(InputError, match=r"choice, document 0: expected options to score.*, got none"):
        scored(model, [{"picture": PICTURES[0], "options": ()}])


@pytest.mark.parametrize(
    "kwargs", [{"budget": 2}, {"repeat_stop": True}, {"do_sample": True}, {"num_beams": 2}], ids=str
)
def test_nothing_that_steers_generation_goes_with_likelihood(kwargs: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="generation kwarg likelihood: expected neither controls, sampling nor beams"):
        read_generation_kwargs({"likelihood": True, **kwargs})


def test_servers_are_not_asked() -> None:
    with pytest.raises(InputError, match=r"boxlist_openai: likelihood: .* Use boxlist_hf, or the probe that asks"):
        request_fields(read_generation_kwargs({"likelihood": True}))
    server = BoxlistOpenAI.__new__(BoxlistOpenAI)
    with pytest.raises(InputError, match=r"boxlist_openai: expected a model that tells .* Use boxlist_hf, or ask"):
        server.loglikelihood([])
