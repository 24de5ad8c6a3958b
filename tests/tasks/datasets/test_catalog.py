from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from boxlist.errors import InputError
from boxlist.tasks.datasets import catalog
from boxlist.tasks.datasets.catalog import (
    build_dataset,
    check_dataset,
    data_root,
    dataset_folder,
    documents,
)
from boxlist.tasks.datasets.dataset import Dataset, Order
from boxlist.tasks.datasets.shapes_split import ShapesOptions, build

if TYPE_CHECKING:
    from collections.abc import Callable

SMALL = ShapesOptions(train_images=3, test_images=2)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place for data, where the shapes set is a small one."""
    monkeypatch.setenv("BOXLIST_DATA", str(tmp_path / "data"))
    use_small_shapes(monkeypatch)
    return tmp_path / "data"


def use_small_shapes(patch: pytest.MonkeyPatch, also: Callable[[Path], None] | None = None) -> None:
    def build_small(order: Order) -> None:
        build(order.folder, SMALL)
        if also is not None:
            also(order.folder)

    row = Dataset("shapes", 1, "Apache-2.0", "drawn", build_small)
    patch.setitem(catalog.DATASETS, "shapes", row)


def test_built_on_first_use_and_then_kept(root: Path) -> None:
    folder = dataset_folder("shapes", "test")
    assert folder == root / "shapes-v1" / "test"
    before = (folder / "manifest.json").stat().st_mtime_ns
    assert dataset_folder("shapes", "test") == folder
    assert build_dataset("shapes") == folder.parent
    assert (folder / "manifest.json").stat().st_mtime_ns == before
    assert [path.name for path in root.iterdir()] == ["shapes-v1"]
    assert check_dataset("shapes") == []


def test_a_document_says_where_its_picture_is_and_what_is_in_it(root: Path) -> None:
    first = documents("shapes", "train")[0]
    assert Path(first["file"]) == (root / "shapes-v1" / "train" / "images" / "0001.png").resolve()
    assert set(first) == {
        *("image_id", "file", "width", "height", "objects", "question", "answer", "sha256", "pixels_sha256"),
    }
    assert set(first["objects"][0]) == {"label", "box_xyxy_px", "color", "shape", "size"}
    assert set(first["question"]) == {"counted", "subject", "reference"}


def test_annotations_are_coco(root: Path) -> None:
    coco = json.loads((dataset_folder("shapes", "train") / "annotations.json").read_bytes())
    assert {"images", "annotations", "categories", "info", "licenses"} == set(coco)
    assert len(coco["categories"]) == 50
    first = coco["annotations"][0]
    assert first["id"] == 1
    assert first["iscrowd"] == 0
    assert first["area"] == first["bbox"][2] * first["bbox"][3]


def test_the_default_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("BOXLIST_DATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data_root() == tmp_path / ".cache" / "boxlist" / "data"
    monkeypatch.setenv("BOXLIST_DATA", "~/elsewhere")
    assert data_root() == tmp_path / "elsewhere"


def test_unknown_names_list_near_ones() -> None:
    with pytest.raises(
        InputError, match=r"data set 'shape': expected one of .*shapes, .*trees, .* Did you mean shapes"
    ):
        build_dataset("shape")
    with pytest.raises(
        InputError, match=r"split of shapes 'tests': expected one of test, train, .* Did you mean test?"
    ):
        dataset_folder("shapes", "tests")


def test_check_says_what_is_not_built(root: Path) -> None:
    assert check_dataset("shapes") == [f"{root / 'shapes-v1'}: not built; run: boxlist data build shapes"]


def lose_an_image(split: Path) -> str:
    (split / "images" / "0002.png").unlink()
    return f"{split / 'images' / '0002.png'}: missing"


def add_an_image(split: Path) -> str:
    shutil.copy(split / "images" / "0001.png", split / "images" / "0009.png")
    return f"{split / 'images' / '0009.png'}: in no manifest"


def cut_an_image(split: Path) -> str:
    path = split / "images" / "0003.png"
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-7])
    return f"{path}: {size - 7} bytes, {size} in the manifest"


def alter_the_annotations(split: Path) -> str:
    path = split / "annotations.json"
    path.write_bytes(path.read_bytes().replace(b'"count": 1', b'"count": 2').replace(b'"count": 3', b'"count": 2'))
    return f"{path}: its bytes have another hash than the manifest says"


def lose_the_manifest(split: Path) -> str:
    (split / "manifest.json").unlink()
    return f"{split / 'manifest.json'}: expected a manifest, got No such file or directory."


def break_the_manifest(split: Path) -> str:
    (split / "manifest.json").write_text("{")
    return f"{split / 'manifest.json'}: expected JSON, got something else."


def age_the_manifest(split: Path) -> str:
    (split / "manifest.json").write_text('{"schema": 0, "files": []}')
    return f"{split / 'manifest.json'}: expected a manifest of schema 1, got another."


@pytest.mark.parametrize(
    "damage",
    [
        *(lose_an_image, add_an_image, cut_an_image, alter_the_annotations),
        *(lose_the_manifest, break_the_manifest, age_the_manifest),
    ],
)
def test_damage_is_named_when_a_split_is_opened_and_repaired_by_a_build(
    root: Path, damage: Callable[[Path], str]
) -> None:
    problem = damage(build_dataset("shapes") / "train")
    with pytest.raises(InputError) as caught:
        documents("shapes", "train")
    said = str(caught.value)
    assert said.startswith(f"data shapes, train split: expected the files that its manifest lists, got {problem}")
    assert said.endswith("Run: boxlist data build shapes")
    assert check_dataset("shapes")[0].startswith(problem)
    build_dataset("shapes")
    assert check_dataset("shapes") == []
    assert [path.name for path in root.iterdir()] == ["shapes-v1"]


def test_an_altered_image_of_equal_size_is_found_when_asked(root: Path) -> None:
    path = build_dataset("shapes") / "test" / "images" / "1001.png"
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    assert len(documents("shapes", "test")) == 2
    problem = f"{path}: its bytes have another hash than the manifest says"
    with pytest.raises(InputError, match="its bytes have another hash"):
        documents("shapes", "test", verify=True)
    assert check_dataset("shapes") == [problem]


def test_a_hidden_file_of_a_file_manager_does_no_harm(root: Path) -> None:
    (build_dataset("shapes") / "test" / "images" / ".DS_Store").touch()
    assert check_dataset("shapes") == []


def test_a_picture_in_both_splits_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def same_scenes(folder: Path) -> None:
        shutil.rmtree(folder / "test")
        shutil.copytree(folder / "train", folder / "test")

    use_small_shapes(monkeypatch, same_scenes)
    with pytest.raises(InputError, match=r"test/images/0001\.png: the same picture as train/images/0001\.png"):
        build_dataset("shapes")
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device"), SystemExit])
def test_an_interrupted_build_leaves_nothing(root: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def interrupt(folder: Path) -> None:
        raise error

    use_small_shapes(monkeypatch, interrupt)
    with pytest.raises((KeyboardInterrupt, SystemExit, InputError)) as caught:
        build_dataset("shapes")
    if caught.type is InputError:
        assert str(caught.value) == (
            f"data shapes: {root / 'shapes-v1'}: expected a folder to build in, got No space left on device. "
            "Free some space there, or set BOXLIST_DATA to another folder."
        )
    assert list(root.iterdir()) == []
    use_small_shapes(monkeypatch)
    assert len(documents("shapes", "train")) == 3


def test_what_a_killed_build_left_is_not_data_and_goes_after_a_day(root: Path) -> None:
    old, new = root / ".shapes-v1.building-old", root / ".shapes-v1.building-new"
    for left in (old, new):
        (left / "fresh" / "train").mkdir(parents=True)
    os.utime(old, (0, 0))
    assert len(documents("shapes", "train")) == 3
    assert sorted(path.name for path in root.iterdir()) == [".shapes-v1.building-new", "shapes-v1"]


def test_a_place_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BOXLIST_DATA", str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"data shapes: .*file: expected a folder to build in, got File exists"):
        build_dataset("shapes")


def test_the_first_of_two_builds_is_kept(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process finishes while this one is still drawing."""
    seen: list[int] = []

    def finish_first(_folder: Path) -> None:
        if not seen:
            seen.append(0)
            seen[0] = (build_dataset("shapes") / "test" / "manifest.json").stat().st_mtime_ns

    use_small_shapes(monkeypatch, finish_first)
    place = build_dataset("shapes")
    assert (place / "test" / "manifest.json").stat().st_mtime_ns == seen[0]
    assert [path.name for path in root.iterdir()] == ["shapes-v1"]


BUILD_SMALL = """
import sys
from boxlist.tasks.datasets import catalog
from boxlist.tasks.datasets.shapes_split import ShapesOptions, build
small = lambda order: build(order.folder, ShapesOptions(train_images=3, test_images=2))
catalog.DATASETS["shapes"] = catalog.Dataset("shapes", 1, "Apache-2.0", "drawn", small)
sys.stdin.readline()
catalog.build_dataset("shapes")
print(catalog.check_dataset("shapes"))
"""


def test_processes_that_build_at_once_agree(tmp_path: Path) -> None:
    environment = {**os.environ, "BOXLIST_DATA": str(tmp_path)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment}
    workers = [subprocess.Popen([sys.executable, "-c", BUILD_SMALL], **pipes) for _ in range(3)]  # type: ignore[call-overload]
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    assert [worker.communicate(timeout=120)[0] for worker in workers] == ["[]\n"] * 3
    assert [path.name for path in tmp_path.iterdir()] == ["shapes-v1"]
