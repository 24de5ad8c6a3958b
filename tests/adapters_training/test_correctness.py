"""What training on lists of boxes must do right, and what shows when it does not.

Six checks, each a function of the thing under test. Each passes on what `boxlist train` builds, and fails on versions
that are broken on purpose, most of which raise no error by themselves.
"""

from __future__ import annotations

import copy
import dataclasses
import io
import json
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import torch
from transformers import Trainer, TrainingArguments

from boxlist.adapters_training import encoding
from boxlist.adapters_training import train as training
from boxlist.adapters_training.collator import EncodedSamples
from boxlist.adapters_training.encoding import IGNORE, Encoder
from boxlist.adapters_training.held_out import HeldOut
from boxlist.adapters_training.lora import attach_lora
from boxlist.adapters_training.recipe import LIST_ORDERS, Recipe
from boxlist.adapters_training.trainer import ListTrainer, list_trainer
from boxlist.metrics.inputs import GivenAnswer
from boxlist.metrics.intervals import FewImagesWarning
from boxlist.metrics.summary import summarise
from boxlist.models.hf import BoxlistHF
from boxlist.models.loading import Loaded, load_processor_and_model
from boxlist.models.prompts import open_rgb
from boxlist.protocols import protocol_named
from boxlist.tasks.harness import doc_to_messages
from boxlist.tasks.probes import probe_named, score_rows
from boxlist.tasks.truths import box_list_text, in_reading_order

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from PIL.Image import Image
    from torch import Tensor

    from boxlist.adapters_training.encoding import Encoded
    from boxlist.adapters_training.lists import Sample
    from boxlist.tasks.datasets.split_folder import Document, DocumentObject

    Collate = Callable[[Sequence[Encoded]], dict[str, Any]]

PROBE = probe_named("boxlist_dense_bbox_shapes")
FAMILIES = {"qwen3vl": "norm1000_xyxy", "gemma4": "pixel_xyxy"}
WH_PX = (300, 300)
RECIPE = Recipe(
    base="", task=PROBE.task, steps=1, learning_rate=2e-2, rank=4, alpha=8, batch_size=2, dtype="float32", seed=3
)


class Family(NamedTuple):
    """A pocket model as `boxlist train` opens it, and `boxlist run`'s model around the same weights."""

    recipe: Recipe
    documents: list[Document]
    session: Any
    answering: BoxlistHF

    @property
    def data(self) -> EncodedSamples:
        data: EncodedSamples = self.session.data
        return data

    @property
    def silent_about_token_types(self) -> bool:
        return self.recipe.base == "pocket:gemma4"


class Asked(NamedTuple):
    """What evaluation gave the model, and its logits `(V,)` for the first token of the answer."""

    inputs: dict[str, Tensor]
    logits: Tensor


class Request(NamedTuple):
    """One question in the form of lmms-eval's requests."""

    args: tuple[str, Any, dict[str, Any], int, str, str]


@pytest.fixture(scope="module")
def few(shapes: list[Document]) -> list[Document]:
    """Four documents, from the shortest list to the longest."""
    by_length = sorted(shapes[:100], key=lambda document: len(document["objects"]))
    return [by_length[place] for place in (0, 30, 60, -1)]


@pytest.fixture(scope="module")
def open_family(few: list[Document]) -> Callable[[str], Family]:
    opened: dict[str, Family] = {}

    def open_it(name: str) -> Family:
        if name not in opened:
            recipe = dataclasses.replace(RECIPE, base=f"pocket:{name}", protocol=FAMILIES[name])
            session = training._open_session(recipe, PROBE, HeldOut(few, []), io.StringIO())
            model = session.model.eval().get_base_model()
            processor = session.data.encoder.processor
            answering = BoxlistHF.of_loaded(processor, model, protocol=recipe.protocol, batch_size=1)
            opened[name] = Family(recipe, few, session, answering)
        return opened[name]

    return open_it


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest, open_family: Callable[[str], Family]) -> Family:
    return open_family(request.param)


@pytest.fixture
def gemma(open_family: Callable[[str], Family]) -> Family:
    return open_family("gemma4")


def training_set(family: Family, **changes: Any) -> EncodedSamples:
    """What `boxlist train` teaches by the recipe with these changes."""
    loaded = Loaded(family.data.encoder.processor, family.session.model.get_base_model())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "load_processor_and_model", lambda *_, **__: loaded)
        patch.setattr(training, "attach_lora", lambda model, *_: (model, None))
        recipe = dataclasses.replace(family.recipe, **changes)
        data: EncodedSamples = training._open_session(recipe, PROBE, HeldOut(family.documents, []), io.StringIO()).data
        return data


def taught_text(data: EncodedSamples, index: int) -> str:
    """What the labels of a sample say, without the end of the turn."""
    labels = data[index].per_token["labels"]
    text: str = data.encoder.processor.tokenizer.decode(labels[labels != IGNORE])
    return text.removesuffix(data.encoder.end.text)


def question(answering: BoxlistHF, document: Document, tokens: int) -> Request:
    """What `boxlist run` asks about a document, for an answer of at most so many tokens."""
    row = {"file": document["file"], "document": json.dumps(document), "classes": "[]"}
    answering.task_dict[PROBE.task] = {"train": [row]}
    messages = partial(doc_to_messages, lmms_eval_specific_kwargs={"prompt": PROBE.prompt})
    return Request((PROBE.prompt, messages, {"max_new_tokens": tokens}, 0, PROBE.task, "train"))


def asked(family: Family, document: Document) -> Asked:
    """Ask about a document as `boxlist run` does, and look on."""
    answering = family.answering
    encode, inputs, logits = answering._encode, [], []

    def encoded(conversations: list[list[dict[str, Any]]]) -> Any:
        inputs.append(encode(conversations))
        return inputs[-1]

    door = answering.model.register_forward_hook(lambda *seen: logits.append(seen[-1].logits[0, -1]))
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(answering, "_encode", encoded)
            list(answering.answers([question(answering, document, 1)]))
    finally:
        door.remove()
    return Asked(dict(inputs[0]), logits[0])


# 1: every labelled token of a step weighs the same, in a short list and in a dense one


class ByModel(Trainer):  # type: ignore[misc] # transformers is not typed
    """transformers' own Trainer with the model's own loss: a mean of the micro-batches' means."""

    def compute_loss(self, model: Any, inputs: dict[str, Any], **options: Any) -> Any:
        inputs.pop("loss_weights")
        return super().compute_loss(model, inputs, **options)


def check_tokens_weigh_the_same(trainer: type[Trainer], family: Family, work: Path) -> None:
    """A short list and a dense one teach the same together as one after the other within a step."""
    together, apart = (first_step(trainer, family, work, batch_size) for batch_size in (2, 1))
    assert float((together - apart).norm() / together.norm()) < 1e-4


def first_step(trainer: type[Trainer], family: Family, work: Path, batch_size: int) -> Tensor:
    """What a step of plain gradient descent changes, which is its gradient; the model stays as it was."""
    samples = family.data.samples
    arguments = TrainingArguments(
        output_dir=str(work),
        max_steps=1,
        per_device_train_batch_size=batch_size,
        gradient_accumulation_steps=2 // batch_size,
        learning_rate=0.5,
        optim="sgd",
        max_grad_norm=0,
        use_cpu=True,
        dataloader_pin_memory=False,
        remove_unused_columns=False,
        save_strategy="no",
        disable_tqdm=True,
        report_to="none",
    )
    data = EncodedSamples(lambda _: [samples[0], samples[-1]], family.data.encoder)
    weights = [weight for weight in family.session.model.parameters() if weight.requires_grad]
    before = [weight.detach().clone() for weight in weights]
    trainer(
        model=family.session.model, args=arguments, train_dataset=data, data_collator=family.session.collator
    ).train()
    changes = torch.cat([(weight - old).detach().flatten() for weight, old in zip(weights, before, strict=True)])
    with torch.no_grad():
        for weight, old in zip(weights, before, strict=True):
            weight.copy_(old)
    family.session.model.eval()
    return changes


def test_tokens_weigh_the_same_under_accumulation(family: Family, tmp_path: Path) -> None:
    check_tokens_weigh_the_same(ListTrainer, family, tmp_path)
    with pytest.raises(AssertionError):
        check_tokens_weigh_the_same(ByModel, family, tmp_path)


# 2: `mm_token_type_ids` reach the model


def check_questions_are_read_as_at_evaluation(collate: Collate, family: Family) -> None:
    """A batch gives the same logits for the first token of each answer as evaluation does."""
    encoded = [family.data[index] for index in range(2)]
    batch = collate(encoded)
    with torch.no_grad():
        logits = family.session.model(**{key: batch[key] for key in batch.keys() - {"labels", "loss_weights"}}).logits
    for row, (one, document) in enumerate(zip(encoded, family.documents, strict=False)):
        last = int((one.per_token["labels"] != IGNORE).nonzero()[0]) - 1
        assert float((logits[row, last] - asked(family, document).logits).abs().max()) < 1e-3


def without_token_types(family: Family) -> Collate:
    def collate(batch: Sequence[Encoded]) -> dict[str, Any]:
        joined = family.session.collator(batch)
        del joined["mm_token_type_ids"]
        return joined  # type: ignore[no-any-return]

    return collate


def all_text(family: Family) -> Collate:
    def collate(batch: Sequence[Encoded]) -> dict[str, Any]:
        joined = family.session.collator(batch)
        return {**joined, "mm_token_type_ids": torch.zeros_like(joined["mm_token_type_ids"])}

    return collate


def test_token_types_are_kept(family: Family) -> None:
    check_questions_are_read_as_at_evaluation(family.session.collator, family)
    with pytest.raises(AssertionError):
        check_questions_are_read_as_at_evaluation(all_text(family), family)
    with pytest.raises(AssertionError if family.silent_about_token_types else ValueError):
        check_questions_are_read_as_at_evaluation(without_token_types(family), family)


def test_without_token_types_gemma_has_another_loss_and_no_error(gemma: Family) -> None:
    encoded = [gemma.data[index] for index in range(2)]
    losses = []
    for collate in (gemma.session.collator, without_token_types(gemma)):
        batch = collate(encoded)
        del batch["loss_weights"]
        with torch.no_grad():
            losses.append(float(gemma.session.model(**batch).loss))
    assert losses[1] == pytest.approx(losses[0], rel=0.1), "which nobody would notice"
    assert losses[1] != pytest.approx(losses[0], rel=1e-3)


# 3: images come in the same size as at evaluation (what is written down about it: test_resizing.py)


def check_images_are_those_of_evaluation(encoder: Encoder, family: Family, picture: Path) -> None:
    """`picture` is a file of `WH_PX`, another size than the processor's."""
    document: Document = {**family.documents[0], "file": str(picture), "width": WH_PX[0], "height": WH_PX[1]}
    there = asked(family, document).inputs
    here = encoder.prompt(family.data.samples[0]._replace(file=str(picture))).per_image
    assert {"pixel_values", "image_grid_thw", "image_position_ids"} & there.keys() == here.keys()
    for key, tensor in here.items():
        assert torch.equal(tensor, there[key]), key


class HalfSize(Encoder):
    """Makes images smaller before the processor sees them."""

    def prompt(self, sample: Sample) -> Encoded:
        def half(file: str, name: str) -> Image:
            image = open_rgb(file, name)
            return image.resize((image.width // 2, image.height // 2))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(encoding, "open_rgb", half)
            return super().prompt(sample)


@pytest.mark.parametrize(
    ("name", "setting", "value"),
    [
        ("qwen3vl", "size", {"shortest_edge": 112 * 112, "longest_edge": 112 * 112}),
        ("qwen3vl", "resample", 0),
        ("gemma4", "max_soft_tokens", 140),
        ("gemma4", "resample", 0),
    ],
)
def test_images_are_resized_as_at_evaluation(
    open_family: Callable[[str], Family], name: str, setting: str, value: object, tmp_path: Path
) -> None:
    family = open_family(name)
    encoder, picture = family.data.encoder, tmp_path / "picture.png"
    open_rgb(family.documents[0]["file"], "test").resize(WH_PX).save(picture)
    check_images_are_those_of_evaluation(encoder, family, picture)
    half = HalfSize(encoder.processor, encoder.end, encoder.max_length)
    with pytest.raises(AssertionError):
        check_images_are_those_of_evaluation(half, family, picture)
    other = copy.deepcopy(encoder.processor)
    setattr(other.image_processor, setting, value)
    with pytest.raises(AssertionError):
        check_images_are_those_of_evaluation(Encoder(other, encoder.end, encoder.max_length), family, picture)


# 4: boxes are written in the protocol's order and unit


def check_boxes_are_the_protocols(data: EncodedSamples, family: Family) -> None:
    """The answers that are taught get full marks from evaluation."""
    answers = [GivenAnswer(sample.image_id, taught_text(data, n)) for n, sample in enumerate(data.samples)]
    rows = score_rows(PROBE, answers, family.documents, protocol_named(family.recipe.protocol))
    with pytest.warns(FewImagesWarning):
        figures = summarise(rows, ["f1@0.5", "mean_max_iou"], resamples=2)
    assert figures["f1@0.5"]["value"] == 1
    assert (figures["mean_max_iou"]["value"] or 0) > 0.98, "whole numbers of a protocol round"


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("qwen3vl", "pixel_xyxy"),  # boxes left as the data set has them
        ("qwen3vl", "norm1000_yxyx"),
        ("gemma4", "norm1000_xyxy"),  # the other family's
        ("gemma4", "pixel_xywh"),
    ],
)
def test_boxes_are_transformed_with_the_protocol(open_family: Callable[[str], Family], name: str, other: str) -> None:
    family = open_family(name)
    check_boxes_are_the_protocols(family.data, family)
    with pytest.raises(AssertionError):
        check_boxes_are_the_protocols(training_set(family, protocol=other), family)


# 5: lists come in the order that the recipe says


def largest_first(document: Document) -> list[DocumentObject]:
    def area(item: DocumentObject) -> float:
        x1, y1, x2, y2 = item["box_xyxy_px"]
        return (x2 - x1) * (y2 - y1)

    return sorted(in_reading_order(document), key=area, reverse=True)


ORDERS: dict[str, Callable[[Document], list[DocumentObject]]] = {
    "reading": in_reading_order,
    "annotation": lambda document: list(document["objects"]),
    "size": largest_first,
}


def check_lists_come_in_order(order: str, data: EncodedSamples, family: Family) -> None:
    epochs = []
    for epoch in (0, 1, 0):
        data.begin_epoch(epoch)
        epochs.append([taught_text(data, index) for index in range(len(data))])
    assert epochs[2] == epochs[0], "an epoch is drawn again as it was"
    assert (epochs[1] != epochs[0]) == (order == "random_each_epoch")
    protocol = protocol_named(family.recipe.protocol)
    written = {
        name: [box_list_text(document, protocol, None, ordered(document)) for document in family.documents]
        for name, ordered in ORDERS.items()
    }
    if order in written:
        assert epochs[0] == written[order]
    else:
        assert epochs[0] not in written.values()
        for drawn, given in zip(epochs[0], written["annotation"], strict=True):
            assert sorted(json.loads(drawn), key=str) == sorted(json.loads(given), key=str)


class Stuck(EncodedSamples):
    """Teaches the first epoch for ever."""

    def begin_epoch(self, epoch: int) -> None:
        pass


@pytest.mark.parametrize("order", LIST_ORDERS)
def test_lists_come_in_the_order_of_the_recipe(order: str, gemma: Family) -> None:
    data = training_set(gemma, list_order=order)
    check_lists_come_in_order(order, data, gemma)
    ignored = training_set(gemma, list_order="annotation" if order == "reading" else "reading")
    with pytest.raises(AssertionError):
        check_lists_come_in_order(order, ignored, gemma)
    if order == "random_each_epoch":
        with pytest.raises(AssertionError):
            check_lists_come_in_order(order, Stuck(data._samples_of, data.encoder), gemma)


# 6: the end of the turn is trained


def check_the_end_is_trained(data: EncodedSamples, family: Family) -> None:
    """Every sample ends with a token at which evaluation stops, and it is learnt."""
    for index in range(len(data)):
        tokens = data[index].per_token
        assert int(tokens["labels"][-1]) in family.answering._eos_token_ids
        assert int(tokens["labels"][-1]) == int(tokens["input_ids"][-1])
        assert float(tokens["loss_weights"][-1]) == 1


def without_end(data: EncodedSamples) -> EncodedSamples:
    return EncodedSamples(lambda _: [sample._replace(end_weight=0.0) for sample in data.samples], data.encoder)


def test_the_end_of_the_turn_is_trained(family: Family) -> None:
    check_the_end_is_trained(family.data, family)
    with pytest.raises(AssertionError):
        check_the_end_is_trained(without_end(family.data), family)


def check_it_ends(data: EncodedSamples, gemma: Family, work: Path) -> None:
    """An adapter of twelve steps on one short answer gives it, and ends."""
    loaded = load_processor_and_model(gemma.recipe.base_location, device="cpu", dtype="float32")
    model, _ = attach_lora(loaded.model, gemma.recipe)
    recipe = dataclasses.replace(gemma.recipe, steps=12, batch_size=1, schedule="constant")
    list_trainer(model, recipe, data, gemma.session.collator, work).train()
    answering = BoxlistHF.of_loaded(loaded.processor, model.eval(), protocol=recipe.protocol, batch_size=1)
    ((_, said),) = answering.answers([question(answering, gemma.documents[0], 12)])
    assert said.text.startswith(data.samples[0].answer), "it is learnt"
    assert (said.text, said.finish) == (data.samples[0].answer, "eos")


def test_who_has_not_learnt_the_end_does_not_end(gemma: Family, tmp_path: Path) -> None:
    sample = gemma.data.samples[0]._replace(answer="red red red red")
    data = EncodedSamples(lambda _: [sample], gemma.data.encoder)
    check_it_ends(data, gemma, tmp_path / "whole")
    with pytest.raises(AssertionError, match="red red red red red"):
        check_it_ends(without_end(data), gemma, tmp_path / "broken")
