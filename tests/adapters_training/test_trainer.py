"""What our Trainer adds: epochs that draw anew, batches of like lengths, checkpointing that changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, AutoProcessor

from boxlist.adapters_training.collator import Collator, EncodedSamples
from boxlist.adapters_training.encoding import Encoder, EndOfTurn
from boxlist.adapters_training.lists import Teaching, samples
from boxlist.adapters_training.lora import attach_lora
from boxlist.adapters_training.recipe import change_recipe
from boxlist.adapters_training.trainer import list_trainer
from boxlist.adapters_training.weights_file import WEIGHTS_FILE
from boxlist.protocols import PROTOCOLS
from boxlist.tasks.probes import probe_named

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from boxlist.adapters_training.recipe import Recipe
    from boxlist.adapters_training.train import TrainedAdapter
    from boxlist.tasks.datasets.split_folder import Document

TASK = "boxlist_dense_bbox_shapes"


@pytest.fixture(scope="module")
def data(pocket_base: Path, shapes: list[Document]) -> EncodedSamples:
    encoder = Encoder(AutoProcessor.from_pretrained(pocket_base), EndOfTurn("<|im_end|>", 2), 1024)
    taught = samples(probe_named(TASK), shapes[:40], Teaching(PROTOCOLS["norm1000_xyxy"]))
    return EncodedSamples(lambda _: taught, encoder)


def batches(recipe: Recipe, data: EncodedSamples, pocket_base: Path, work: Path) -> list[Any]:
    """The batches of the first epoch."""
    model, _ = attach_lora(AutoModelForImageTextToText.from_pretrained(pocket_base), recipe)
    torch.manual_seed(recipe.seed)
    return list(list_trainer(model, recipe, data, Collator(0), work).get_train_dataloader())


def test_like_lengths_share_a_batch(
    small_recipe: Recipe, data: EncodedSamples, pocket_base: Path, tmp_path: Path
) -> None:
    padding = {}
    for grouped in (False, True):
        recipe = change_recipe(small_recipe, {"group_by_length": grouped, "batch_size": 4}, "test")
        found = batches(recipe, data, pocket_base, tmp_path)
        lengths = [length for batch in found for length in batch["attention_mask"].sum(1).tolist()]
        assert sorted(lengths) == sorted(data[index].length for index in range(len(data)))
        padding[grouped] = sum(batch["attention_mask"].numel() for batch in found) - sum(lengths)
    assert padding[True] < 0.6 * padding[False]


def test_checkpointing_trains_the_same_adapter(train_small: Callable[..., TrainedAdapter], tmp_path: Path) -> None:
    kept = train_small(tmp_path / "a", steps=2)
    computed_again = train_small(tmp_path / "b", steps=2, gradient_checkpointing=True)
    assert computed_again.losses == pytest.approx(kept.losses, rel=1e-6)
    weights = [load_file(adapter.folder / WEIGHTS_FILE) for adapter in (kept, computed_again)]
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("changes", [{"list_order": "random_each_epoch"}, {"noise_records": 2}])
def test_epochs_draw_anew(
    train_small: Callable[..., TrainedAdapter], tmp_path: Path, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight images in batches of four: an epoch has two steps."""
    asked: list[int] = []
    begin = EncodedSamples.begin_epoch

    def noted(data: EncodedSamples, epoch: int) -> None:
        asked.append(epoch)
        begin(data, epoch)

    monkeypatch.setattr(EncodedSamples, "begin_epoch", noted)
    whole = train_small(tmp_path / "whole", steps=6, batch_size=4, checkpoint_every=3, **changes)
    assert asked == [0, 1, 2]
    once = train_small(tmp_path / "once", steps=6, batch_size=4, list_order="random")
    assert whole.losses[2:] != once.losses[2:]
    monkeypatch.setattr(EncodedSamples, "begin_epoch", lambda *_: None)
    stuck = train_small(tmp_path / "stuck", steps=6, batch_size=4, **changes)
    assert stuck.losses[:2] == whole.losses[:2]
    assert stuck.losses[2:] != whole.losses[2:]


def test_a_resumed_epoch_draws_what_it_drew(
    train_small: Callable[..., TrainedAdapter], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {"steps": 6, "batch_size": 4, "checkpoint_every": 3, "list_order": "random_each_epoch"}
    whole = train_small(tmp_path / "whole", **changes)

    class Killed(BaseException):
        pass

    begin = EncodedSamples.begin_epoch

    def killed_in_the_third(data: EncodedSamples, epoch: int) -> None:
        if epoch == 2:
            raise Killed
        begin(data, epoch)

    with monkeypatch.context() as patch:
        patch.setattr(EncodedSamples, "begin_epoch", killed_in_the_third)
        with pytest.raises(Killed):
            train_small(tmp_path / "broken", **changes)
    resumed = train_small(tmp_path / "broken", resume=True, **changes)  # from step 3, in the second epoch
    assert resumed.losses == whole.losses
    assert (resumed.folder / WEIGHTS_FILE).read_bytes() == (whole.folder / WEIGHTS_FILE).read_bytes()
