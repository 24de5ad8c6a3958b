"""Training on PaliGemma's own classes: its processor's tokens and labels, what sees what, and a whole training."""

from __future__ import annotations

import copy
import io
import json
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, AutoProcessor

from boxlist.adapters_training import train as training
from boxlist.adapters_training.collator import Collator
from boxlist.adapters_training.dry_run import dry_run
from boxlist.adapters_training.encoding import IGNORE
from boxlist.adapters_training.lists import Teaching, samples
from boxlist.adapters_training.recipe import Recipe
from boxlist.adapters_training.repeats import Against
from boxlist.adapters_training.suffix_encoding import SuffixEncoder, encoder_for
from boxlist.adapters_training.weights_file import WEIGHTS_FILE
from boxlist.cli import main
from boxlist.errors import InputError
from boxlist.models.prompts import open_rgb
from boxlist.models.rows_in_flight import RowChoice, prefill
from boxlist.protocols import PROTOCOLS
from boxlist.tasks.probes import probe_named

if TYPE_CHECKING:
    from pathlib import Path

    from boxlist.adapters_training.encoding import Encoder
    from boxlist.adapters_training.lists import Sample
    from boxlist.adapters_training.train import TrainedAdapter
    from boxlist.tasks.datasets.split_folder import Document

TASK, PROTOCOL, EOS = "boxlist_dense_bbox_shapes", "loc1024_yxyx", 1


@pytest.fixture(scope="module")
def processor(paligemma_base: Path) -> Any:
    return AutoProcessor.from_pretrained(paligemma_base)


@pytest.fixture(scope="module")
def encoder(processor: Any) -> Encoder:
    return encoder_for(processor, {EOS}, "tiny", 1024)


@pytest.fixture(scope="module")
def three(shapes: list[Document]) -> list[Sample]:
    """Three samples of different lengths."""
    by_length = sorted(shapes, key=lambda document: len(document["objects"]))
    chosen = [by_length[0], by_length[len(by_length) // 2], by_length[-1]]
    return samples(probe_named(TASK), chosen, Teaching(PROTOCOLS[PROTOCOL]))


def by_processor(processor: Any, asked: list[Sample], **options: Any) -> Any:
    """What PaliGemma's processor makes of the samples by itself, padded on the right."""
    return processor(
        images=[[open_rgb(sample.file, "test")] for sample in asked],
        text=[f"<image>{sample.prompt}" for sample in asked],
        padding=True,
        padding_side="right",
        **options,
    ).convert_to_tensors("pt")


def test_samples_are_the_processors_own_token_for_token(processor: Any, encoder: Encoder, three: list[Sample]) -> None:
    assert isinstance(encoder, SuffixEncoder)
    batch = Collator(processor.tokenizer.pad_token_id)([encoder(sample) for sample in three])
    weights = batch.pop("loss_weights")
    own = by_processor(processor, three, suffix=[sample.answer for sample in three])
    assert batch.keys() == own.keys() == {"input_ids", "attention_mask", "token_type_ids", "labels", "pixel_values"}
    for key, tensor in own.items():
        assert torch.equal(batch[key], tensor), key
    assert torch.equal(weights != 0, batch["labels"] != IGNORE)


def test_labels_are_the_answer_and_the_end(encoder: Encoder, three: list[Sample]) -> None:
    tokenizer = encoder.processor.tokenizer
    for sample in three:
        tokens = encoder(sample).per_token
        labelled = tokens["labels"] != IGNORE
        assert tokenizer.decode(tokens["labels"][labelled]) == sample.answer + "<eos>"
        assert tokens["labels"][-1] == EOS
        assert sample.answer.startswith("<loc")
        assert torch.equal(tokens["token_type_ids"] == 1, labelled)


def test_what_is_not_learnt_is_still_a_suffix(encoder: Encoder, shapes: list[Document]) -> None:
    """Noise records have no label, and what follows must not see them from the front either."""
    (sample,) = samples(probe_named(TASK), shapes[:1], Teaching(PROTOCOLS[PROTOCOL], against=Against(noise_records=2)))
    tokens = encoder(sample).per_token
    assert bool((tokens["labels"][tokens["token_type_ids"] == 1] == IGNORE).any())
    assert int(tokens["token_type_ids"].sum()) == tokens["token_type_ids"].numel() - encoder.prompt(sample).length


def test_a_prompt_that_is_known_is_not_encoded_again(encoder: Encoder, three: list[Sample]) -> None:
    prompt = encoder.prompt(three[0])
    again = encoder(three[0], prompt)
    assert again.per_image["pixel_values"] is prompt.per_image["pixel_values"]
    assert all(torch.equal(again.per_token[key], row) for key, row in encoder(three[0]).per_token.items())


def teacher_forced(model: Any, batch: dict[str, Any]) -> torch.Tensor:
    """Logits `(B, L, V)` of the training forward."""
    with torch.no_grad():
        logits: torch.Tensor = model(**{key: row for key, row in batch.items() if key not in {"labels"}}).logits
    return logits


def test_training_and_generation_see_the_same(
    paligemma_base: Path, processor: Any, encoder: Encoder, three: list[Sample]
) -> None:
    """Logits of every token of the answers: the training's forward, padded on the right and in training mode, against
    steps of generation with a cache, padded on the left."""
    from boxlist.models.prompt_encoding import encode_prompts

    model = AutoModelForImageTextToText.from_pretrained(paligemma_base, dtype=torch.float32).train()
    encoded = [encoder(sample) for sample in three]
    batch = Collator(processor.tokenizer.pad_token_id)(encoded)
    del batch["loss_weights"]
    trained = teacher_forced(model, batch)
    causal = teacher_forced(model, {**batch, "token_type_ids": torch.ones_like(batch["token_type_ids"])})
    leaking = teacher_forced(model, {**batch, "token_type_ids": torch.zeros_like(batch["token_type_ids"])})
    model.eval()
    turns = [
        [
            {"type": "image", "image": open_rgb(sample.file, "test")},
            {"type": "text", "text": sample.prompt},
        ]
        for sample in three
    ]
    inputs = encode_prompts(processor, [[{"role": "user", "content": content}] for content in turns])
    rows = prefill(model, inputs, [RowChoice()] * len(three), max_new_tokens=64, do_sample=False)
    starts = [encoder.prompt(sample).length for sample in three]
    for step in range(min(row.length - start for row, start in zip(encoded, starts, strict=True))):
        places = [start + step for start in starts]
        for row, place in enumerate(places):
            torch.testing.assert_close(rows._logits[row], trained[row, place - 1], atol=1e-4, rtol=1e-4)
            assert not torch.allclose(rows._logits[row], causal[row, place - 1], atol=1e-2), "the prefix is seen"
        rows._chosen = torch.stack([encoded[row].per_token["input_ids"][place] for row, place in enumerate(places)])
        rows.go_on()
    assert not torch.allclose(leaking[0, starts[0]], trained[0, starts[0]], atol=1e-2), "answers are not"


def test_what_cannot_be_encoded_is_refused(processor: Any, encoder: Encoder, three: list[Sample]) -> None:
    with pytest.raises(InputError, match=r"expected an answer that the tokenizer can write"):
        encoder(three[0]._replace(answer="a <eos> b"))
    with pytest.raises(InputError, match=r"expected an answer without <image>, got 'a <image> b'\. Change the label"):
        encoder(three[0]._replace(answer="a <image> b"))
    with pytest.raises(InputError, match=r"PaliGemma's prompt: expected one user turn with an image, and a text witho"):
        encoder(three[0]._replace(prompt="a <image> b"))
    length = encoder(three[2]).length
    with pytest.raises(InputError, match=rf"at most max_length = {length - 1} tokens, got {length} \(prompt and image"):
        encoder_for(processor, {EOS}, "tiny", length - 1)(three[2])


def test_processors_that_are_no_paligemma_s_need_a_template(processor: Any, pocket_base: Path) -> None:
    message = (
        "processor of tiny: expected a generation config that stops at <eos>, which ends what is taught, got <bos>"
    )
    with pytest.raises(InputError, match=message):
        encoder_for(processor, {2}, "tiny", 64)
    other = copy.copy(processor)
    other.chat_template = "{{ messages[0].content[1].text }}"
    with pytest.raises(InputError, match="processor of tiny: expected PaliGemma's without a chat template, got one"):
        encoder_for(other, {EOS}, "tiny", 64)
    pocket = AutoProcessor.from_pretrained(pocket_base)
    pocket.chat_template = None
    with pytest.raises(InputError, match="processor of pocket: expected a chat template, got none"):
        encoder_for(pocket, {2}, "pocket", 64)


@pytest.fixture(scope="module")
def recipe(paligemma_base: Path) -> Recipe:
    return Recipe(
        base=str(paligemma_base),
        task=TASK,
        protocol=PROTOCOL,
        targets="qkvo_mlp",
        steps=4,
        learning_rate=1e-2,
        rank=8,
        alpha=16,
        batch_size=4,
        schedule="constant",
        dtype="float32",
        gradient_checkpointing=True,
    )


@pytest.fixture(scope="module")
def tuned(recipe: Recipe, shapes: list[Document], tmp_path_factory: pytest.TempPathFactory) -> TrainedAdapter:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "documents", lambda *_: shapes[:4])
        return training.train(recipe, tmp_path_factory.mktemp("adapters") / "tuned", progress=io.StringIO())


def test_an_adapter_is_trained_on_the_language_part(tuned: TrainedAdapter) -> None:
    assert len(tuned.losses) == 4
    assert tuned.losses == sorted(tuned.losses, reverse=True)
    assert tuned.losses[-1] < tuned.losses[0] - 1
    weights = load_file(tuned.folder / WEIGHTS_FILE)
    assert len(weights) == 2 * 2 * 7, "two matrices for each of seven modules in two layers"
    assert all(".language_model.layers." in name for name in weights)
    assert all(bool(weight.any()) for name, weight in weights.items() if "lora_B" in name)
    assert tuned.provenance.training["end_of_turn"] == "<eos>"


def test_the_adapter_answers_through_boxlist_run(
    tuned: TrainedAdapter, paligemma_base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = {}
    for name, more in (("base", ""), ("adapted", f",adapter={tuned.folder}")):
        arguments = f"pretrained={paligemma_base},protocol={PROTOCOL},device=cpu,batch_size=2{more}"
        words = ["run", "--model", "boxlist_hf", "--model-args", arguments, "--tasks", TASK, "--limit", "3"]
        assert main(["--debug", *words, "--max-new-tokens", "16", "--out", str(tmp_path), "--name", name]) == 0
        lines = (tmp_path / name / "answers.jsonl").read_text().splitlines()
        texts[name] = {answer["image_id"]: answer["text"] for answer in map(json.loads, lines)}
        scores = json.loads((tmp_path / name / "scores.json").read_text())
        assert scores["tasks"][TASK]["n"] == 3
    assert texts["base"].keys() == texts["adapted"].keys()
    assert texts["base"] != texts["adapted"]
    capsys.readouterr()


def test_a_dry_run_measures_its_samples(recipe: Recipe, shapes: list[Document]) -> None:
    found = dry_run(recipe)
    assert found.tokens.measured_on > 0
    assert found.parts == {"language": 14}
