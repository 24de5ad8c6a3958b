"""The collator on the pocket checkpoint: what is labelled, what is refused, what a batch holds."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import torch
from transformers import AutoProcessor

from boxlist.adapters_training.collator import Collator, EncodedSamples
from boxlist.adapters_training.encoding import IGNORE, Encoder, EndOfTurn, end_of_turn
from boxlist.adapters_training.lists import Sample, Teaching, samples
from boxlist.errors import InputError
from boxlist.protocols import PROTOCOLS
from boxlist.tasks.probes import probe_named

if TYPE_CHECKING:
    from pathlib import Path

    from boxlist.tasks.datasets.split_folder import Document

STOP_IDS = {2}


@pytest.fixture(scope="module")
def processor(pocket_base: Path) -> Any:
    return AutoProcessor.from_pretrained(pocket_base)


@pytest.fixture(scope="module")
def encoder(processor: Any) -> Encoder:
    return Encoder(processor, end_of_turn(processor, STOP_IDS, "pocket"), max_length=1024)


@pytest.fixture(scope="module")
def three(shapes: list[Document]) -> list[Sample]:
    """Three samples of different lengths."""
    by_length = sorted(shapes, key=lambda document: len(document["objects"]))
    chosen = [by_length[0], by_length[len(by_length) // 2], by_length[-1]]
    return samples(probe_named("boxlist_dense_bbox_shapes"), chosen, Teaching(PROTOCOLS["norm1000_xyxy"]))


def test_labels_are_the_answer_and_the_end_of_the_turn(encoder: Encoder, three: list[Sample]) -> None:
    tokenizer = encoder.processor.tokenizer
    for sample in three:
        tokens = encoder(sample).per_token
        labelled = tokens["labels"] != IGNORE
        assert tokenizer.decode(tokens["labels"][labelled]) == sample.answer + "<|im_end|>"
        assert bool((tokens["labels"][labelled] == tokens["input_ids"][labelled]).all())
        first = int(labelled.nonzero()[0])
        assert bool(labelled[first:].all()), "labels are one stretch, to the last token"


def test_the_prompt_is_encoded_as_for_generation(encoder: Encoder, three: list[Sample]) -> None:
    from boxlist.models.prompts import open_rgb

    sample = three[0]
    content = [{"type": "image", "image": open_rgb(sample.file, "test")}, {"type": "text", "text": sample.prompt}]
    prompt = encoder.processor.apply_chat_template(
        [{"role": "user", "content": content}],
        tokenize=True,
        add_generation_prompt=True,
        return_dict=True,
        return_tensors="pt",
    )
    encoded = encoder(sample)
    length = prompt["input_ids"].shape[1]
    for key in ("input_ids", "mm_token_type_ids"):
        assert torch.equal(encoded.per_token[key][:length], prompt[key][0])
    assert torch.equal(encoded.per_image["pixel_values"], prompt["pixel_values"])
    assert int(encoded.per_token["mm_token_type_ids"][length:].sum()) == 0


def test_a_batch_is_padded_on_the_right_and_its_images_are_joined(encoder: Encoder, three: list[Sample]) -> None:
    encoded = [encoder(sample) for sample in three]
    pad = encoder.processor.tokenizer.pad_token_id
    batch = Collator(pad)(encoded)
    lengths = [sample.length for sample in encoded]
    assert len(set(lengths)) == 3
    for row, length in enumerate(lengths):
        assert batch["attention_mask"][row].tolist() == [1] * length + [0] * (max(lengths) - length)
        assert bool((batch["input_ids"][row, length:] == pad).all())
        assert bool((batch["labels"][row, length:] == IGNORE).all())
        assert bool((batch["mm_token_type_ids"][row, length:] == 0).all())
    assert batch["image_grid_thw"].shape == (3, 3)
    assert len(batch["pixel_values"]) == sum(len(sample.per_image["pixel_values"]) for sample in encoded)


def test_truncation_is_refused(processor: Any, encoder: Encoder, three: list[Sample]) -> None:
    length = encoder(three[2]).length
    assert Encoder(processor, encoder.end, length)(three[2]).length == length
    message = (
        rf"sample {three[2].name}: expected at most max_length = {length - 1} tokens, got {length} \(prompt and image "
        r"\d+, answer \d+\)\. Raise max_length"
    )
    with pytest.raises(InputError, match=message):
        Encoder(processor, encoder.end, length - 1)(three[2])


def with_template(processor: Any, template: str | None) -> Any:
    other = copy.copy(processor)
    other.chat_template = template
    return other


def test_a_template_without_an_end_token_fails_loudly(processor: Any) -> None:
    bare = with_template(processor, processor.chat_template.replace("<|im_end|>\\n", "\\n"))
    message = r"processor of pocket: expected a chat template that ends an answer with a token that stops generation "
    with pytest.raises(InputError, match=message + r"\(<\|im_end\|>\), got '\\n' after the answer"):
        end_of_turn(bare, STOP_IDS, "pocket")
    with pytest.raises(InputError, match="got nothing after the answer"):
        end_of_turn(with_template(processor, "{{ messages[-1].content[0].text }}"), STOP_IDS, "pocket")
    with pytest.raises(InputError, match=r"a token that stops generation \(<\|endoftext\|>\), got '<\|im_end\|>"):
        end_of_turn(processor, {0}, "pocket")
    with pytest.raises(InputError, match="expected a chat template, got none"):
        end_of_turn(with_template(processor, None), STOP_IDS, "pocket")


def test_a_template_that_changes_the_answer_fails_loudly(processor: Any, three: list[Sample]) -> None:
    thinking = processor.chat_template.replace(
        "{{ message.role + '\\n' }}",
        "{{ message.role + '\\n' + ('<think></think>' if message.role != 'user' else '') }}",
    )
    assert thinking != processor.chat_template
    other = with_template(processor, thinking)
    encoder = Encoder(other, EndOfTurn("<|im_end|>", 2), 1024)
    with pytest.raises(InputError, match=r"expected a chat template that writes the answer as it is .*<think></think>"):
        encoder(three[0])


def test_an_answer_that_ends_the_turn_itself_fails_loudly(encoder: Encoder, three: list[Sample]) -> None:
    with pytest.raises(InputError, match="expected an answer that the tokenizer can write"):
        encoder(three[0]._replace(answer='[{"label": "<|im_end|>"}]'))


def test_an_image_that_is_none_is_refused(encoder: Encoder, three: list[Sample], tmp_path: Path) -> None:
    file = tmp_path / "picture.png"
    file.write_bytes(b"not a picture")
    with pytest.raises(InputError, match=r"picture.png: expected an image that can be read"):
        encoder(three[0]._replace(file=str(file)))


def test_samples_are_kept_while_there_is_room(encoder: Encoder, three: list[Sample]) -> None:
    size = encoder(three[0]).nbytes
    data = EncodedSamples(lambda _: three, encoder, cache_bytes=int(size * 1.5))
    assert data[0] is data[0]
    assert data[1] is not data[1]
    assert data[1].per_token.keys() == data[0].per_token.keys()
    assert data.longest == data[1].length
