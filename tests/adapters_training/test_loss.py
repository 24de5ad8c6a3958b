"""The loss without logits, against the plain one that autograd sees through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForImageTextToText, AutoProcessor

from boxlist.adapters_training import loss as loss_module
from boxlist.adapters_training.collator import Collator
from boxlist.adapters_training.encoding import IGNORE, Encoder, end_of_turn
from boxlist.adapters_training.lists import Teaching, samples
from boxlist.adapters_training.loss import loss_instead_of_logits, summed_loss
from boxlist.adapters_training.recipe import pocket_folder
from boxlist.protocols import PROTOCOLS
from boxlist.tasks.probes import probe_named

if TYPE_CHECKING:
    from torch import Tensor

    from boxlist.tasks.datasets.split_folder import Document


def plain_loss(hidden: Tensor, head: Tensor, labels: Tensor, weights: Tensor, cap: float | None) -> Tensor:
    """The definition, a token at a time."""
    total = torch.zeros((), dtype=hidden.dtype)
    for row in range(labels.shape[0]):
        for place in range(1, labels.shape[1]):
            if labels[row, place] == IGNORE:
                continue
            logits = head @ hidden[row, place - 1]
            logits = logits if cap is None else cap * torch.tanh(logits / cap)
            p = torch.softmax(logits, 0)[labels[row, place]]
            weight = weights[row, place]
            total = total + (-weight * p.log() if weight > 0 else weight * (1 - p).log())
    return total


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**31),
    cap=st.sampled_from([None, 2.0, 30.0]),
    rows=st.integers(1, 3),
    block=st.sampled_from([1, 20, 1 << 24]),
)
def test_it_is_the_plain_loss_with_its_gradient(seed: int, cap: float | None, rows: int, block: int) -> None:
    make = torch.Generator().manual_seed(seed)
    hidden = torch.randn(rows, 6, 5, generator=make, dtype=torch.float64)
    head = torch.randn(7, 5, generator=make, dtype=torch.float64)
    labels = torch.randint(0, 7, (rows, 6), generator=make)
    labels[torch.rand(rows, 6, generator=make) < 0.4] = IGNORE
    weights = torch.tensor([1.0, 1.0, 4.0, 0.5, -1.0, -3.0])[torch.randint(0, 6, (rows, 6), generator=make)]
    plain, ours = hidden.clone().requires_grad_(), hidden.clone().requires_grad_()
    expected = plain_loss(plain, head, labels, weights, cap) * 0.25
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loss_module, "LOGITS_AT_ONCE", block)
        found = summed_loss(ours, head, labels, weights, cap) * 0.25
    assert found.item() == pytest.approx(expected.item(), rel=1e-5, abs=1e-6)
    if expected.requires_grad:
        torch.autograd.backward(expected)
        torch.autograd.backward(found)
        torch.testing.assert_close(ours.grad, plain.grad, rtol=1e-4, atol=1e-5)


def test_a_batch_without_labels_has_no_loss() -> None:
    hidden = torch.randn(1, 3, 4, requires_grad=True)
    total = summed_loss(hidden, torch.randn(5, 4), torch.full((1, 3), IGNORE), torch.zeros(1, 3), None)
    torch.autograd.backward(total)
    assert total.item() == 0
    assert hidden.grad is not None
    assert not hidden.grad.any()


def test_a_sure_repeat_has_a_bounded_gradient() -> None:
    """p of the repeat is 1 to the last bit: -log(1 - p) has no bound."""
    hidden = torch.tensor([[[1000.0], [0.0]]], requires_grad=True)
    labels, weights = torch.tensor([[IGNORE, 0]]), torch.tensor([[0.0, -1.0]])
    total = summed_loss(hidden, torch.tensor([[1.0], [-1.0]]), labels, weights, None)
    torch.autograd.backward(total)
    assert total.item() == pytest.approx(-torch.tensor(1e-4).log().item())
    assert hidden.grad is not None
    assert bool(hidden.grad.isfinite().all())


@pytest.mark.parametrize(("family", "protocol"), [("qwen3vl", "norm1000_xyxy"), ("gemma4", "pixel_xyxy")])
def test_every_family_gives_the_loss_that_its_own_logits_give(
    family: str, protocol: str, shapes: list[Document]
) -> None:
    folder = pocket_folder(f"pocket:{family}")
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    batch = collated(folder, shapes, protocol)
    labels, weights = batch.pop("labels"), batch.pop("loss_weights")
    cap = model.config.get_text_config().to_dict().get("final_logit_softcapping")
    with torch.no_grad():
        with loss_instead_of_logits(model, labels, weights):
            ours = model(**batch)["logits"]
        outputs = model(**batch, labels=labels)
    n = int((labels[:, 1:] != IGNORE).sum())
    assert float(ours) / n == pytest.approx(float(outputs.loss), rel=1e-5)
    assert outputs.logits.shape == (*labels.shape, model.config.get_text_config().vocab_size), "the head is back"
    assert model.config.get_text_config().to_dict().get("final_logit_softcapping") == cap
    assert (cap is not None) == (family == "gemma4")


def test_an_error_within_leaves_the_model_as_it_was(shapes: list[Document]) -> None:
    folder = pocket_folder("pocket:gemma4")
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    ids = torch.tensor([[5, 6, 7]])
    with pytest.raises(RuntimeError, match="stop"), loss_instead_of_logits(model, ids, torch.ones(1, 3)):
        raise RuntimeError("stop")
    with torch.no_grad():
        assert model(input_ids=ids).logits.shape == (1, 3, 512)
    assert model.config.get_text_config().final_logit_softcapping == 30.0


def collated(folder: Any, shapes: list[Document], protocol: str) -> dict[str, Any]:
    """Three samples in one batch."""
    processor = AutoProcessor.from_pretrained(folder)
    stops = AutoModelForImageTextToText.from_pretrained(folder).generation_config.eos_token_id
    stop_ids = set(stops) if isinstance(stops, list) else {stops}
    encoder = Encoder(processor, end_of_turn(processor, stop_ids, "pocket"), 1024)
    taught = samples(probe_named("boxlist_dense_bbox_shapes"), shapes[:3], Teaching(PROTOCOLS[protocol]))
    return Collator(processor.tokenizer.pad_token_id)([encoder(sample) for sample in taught])
