"""How images were resized is written down with an adapter, and an evaluation that does otherwise is refused."""

from __future__ import annotations

import copy
import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from transformers import AutoProcessor

from boxlist import cli
from boxlist.adapters_training.provenance import PROVENANCE_FILE
from boxlist.adapters_training.recipe import pocket_folder
from boxlist.adapters_training.resizing import IMAGES, images_record, refuse_other_resizing
from boxlist.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from boxlist.adapters_training.train import TrainedAdapter


@pytest.fixture(scope="module")
def processor(pocket_base: Path) -> Any:
    return AutoProcessor.from_pretrained(pocket_base)


def with_record(trained: TrainedAdapter, to: Path, record: object) -> Path:
    """A copy of an adapter that says this about its images; None for one from before it was written down."""
    folder = shutil.copytree(trained.folder, to)
    content = json.loads((folder / PROVENANCE_FILE).read_text())
    del content["training"][IMAGES]
    if record is not None:
        content["training"][IMAGES] = record
    (folder / PROVENANCE_FILE).write_text(json.dumps(content))
    return folder


def test_an_adapter_says_how_its_images_were_resized(trained: TrainedAdapter, processor: Any) -> None:
    record = trained.provenance.training[IMAGES]
    assert record["first_image"] == {"from_wh_px": [224, 224], "to_wh_px": [224, 224]}
    assert record["settings"]["size"] == {"shortest_edge": 224 * 224, "longest_edge": 224 * 224}
    assert (record["settings"]["patch_size"], record["settings"]["merge_size"]) == (16, 2)
    assert (record["settings"]["do_resize"], record["settings"]["resample"]) == (True, 3)
    refuse_other_resizing(trained.folder, processor)


@pytest.mark.parametrize(
    ("family", "wh_px", "to_wh_px"),
    [
        ("qwen3vl", (224, 224), [224, 224]),
        ("qwen3vl", (400, 100), [448, 128]),  # 448 x 112 has its 50,176 pixels; sides go up to multiples of 32
        ("gemma4", (224, 224), [224, 224]),
        ("gemma4", (300, 100), [392, 112]),  # multiples of 28, 70 tokens of 28 x 28 at most
    ],
)
def test_the_size_is_that_of_the_patches(family: str, wh_px: tuple[int, int], to_wh_px: list[int]) -> None:
    own = AutoProcessor.from_pretrained(pocket_folder(f"pocket:{family}"))
    inputs = own.image_processor(images=[Image.new("RGB", wh_px)], return_tensors="pt")
    record = images_record(own, wh_px, inputs)
    assert record["first_image"] == {"from_wh_px": list(wh_px), "to_wh_px": to_wh_px}
    assert json.loads(json.dumps(record)) == record


def test_an_image_of_one_size_whatever_it_was(paligemma_base: Path) -> None:
    own = AutoProcessor.from_pretrained(paligemma_base)
    inputs = own.image_processor(images=[Image.new("RGB", (60, 20))], return_tensors="pt")
    assert images_record(own, (60, 20), inputs)["first_image"]["to_wh_px"] == [28, 28]


def test_other_settings_are_refused_by_name(trained: TrainedAdapter, processor: Any) -> None:
    other = copy.deepcopy(processor)
    other.image_processor.resample = 2
    with pytest.raises(
        InputError, match=r"expected images that are resized as in its training, got resample is 2, was 3\. Use"
    ):
        refuse_other_resizing(trained.folder, other)
    other.image_processor.size = {"shortest_edge": 112 * 112, "longest_edge": 112 * 112}
    with pytest.raises(
        InputError, match=r"size is .*12544.*, was .*50176.*; an image of 224x224 pixels comes to 96x96"
    ):
        refuse_other_resizing(trained.folder, other)


def test_a_library_that_does_otherwise_with_the_same_settings_is_refused(
    trained: TrainedAdapter, tmp_path: Path, processor: Any
) -> None:
    record = copy.deepcopy(trained.provenance.training[IMAGES])
    record["first_image"]["to_wh_px"] = [256, 192]
    record["settings"]["since_removed"] = 1
    with pytest.raises(InputError, match=r"got an image of 224x224 pixels comes to 224x224, came to 256x192\. Use"):
        refuse_other_resizing(with_record(trained, tmp_path / "a", record), processor)
    record["first_image"]["to_wh_px"] = None
    refuse_other_resizing(with_record(trained, tmp_path / "b", record), processor)


def test_an_adapter_from_before_it_was_written_down_stays_usable(
    trained: TrainedAdapter,
    train_small: Callable[..., TrainedAdapter],
    tmp_path: Path,
    processor: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = with_record(trained, tmp_path / "old", None)
    refuse_other_resizing(folder, processor)
    assert train_small(folder, resume=True).losses == trained.losses
    assert cli.main(["adapter", "show", str(folder)]) == 0
    assert "images     how they were resized was not written down" in capsys.readouterr().out


def test_it_is_shown(trained: TrainedAdapter, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["adapter", "show", str(trained.folder)]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("images ")]
    assert line.startswith(
        "images     the first was 224x224 pixels and came to 224x224; settings: do_convert_rgb true, "
    )
    assert "patch_size 16" in line


@pytest.mark.parametrize(
    "record",
    [
        [],
        {},
        {"settings": {"size": 1}, "first_image": {"from_wh_px": [1 << 20, 1 << 20], "to_wh_px": None}},
        {"settings": {"size": 1}, "first_image": {"from_wh_px": [0, 5], "to_wh_px": [5, 5]}},
        {"settings": {"size": 1}, "first_image": {"from_wh_px": [5, 5], "to_wh_px": [5]}},
        {"settings": {}, "first_image": {"from_wh_px": [5, 5], "to_wh_px": None}},
        {"settings": 3, "first_image": {"from_wh_px": [5, 5], "to_wh_px": [5, 5]}},
    ],
)
def test_a_broken_record_is_refused_and_can_be_shown(
    trained: TrainedAdapter, tmp_path: Path, processor: Any, record: object, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = with_record(trained, tmp_path / "a", record)
    with pytest.raises(InputError, match=r"training\.images: expected settings, and the first image's size"):
        refuse_other_resizing(folder, processor)
    assert cli.main(["adapter", "show", str(folder)]) == 0
    assert capsys.readouterr().out


def test_a_run_asks(
    trained: TrainedAdapter, tmp_path: Path, pocket_base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With weights that name no provenance, or the edited one would be refused for itself."""
    from safetensors.numpy import load_file, save_file

    record = copy.deepcopy(trained.provenance.training[IMAGES])
    record["first_image"]["to_wh_px"] = [32, 32]
    folder = with_record(trained, tmp_path / "a", record)
    save_file(load_file(folder / "adapter_model.safetensors"), folder / "adapter_model.safetensors")
    words = ["run", "--model-args", f"pretrained={pocket_base},adapter={folder},device=cpu", "--limit", "1"]
    words += ["--tasks", "boxlist_dense_bbox_shapes", "--out", str(tmp_path / "runs"), "--name", "night"]
    assert cli.main(words) == 2
    assert "an image of 224x224 pixels comes to 224x224, came to 32x32" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
