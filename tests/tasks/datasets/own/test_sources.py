"""YOLO and Pascal VOC folders, and files that are none; supervision is the independent reader of both formats."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from boxlist.errors import InputError
from boxlist.tasks.datasets.own.build import plan_own
from boxlist.tasks.datasets.own.faults import Tally
from boxlist.tasks.datasets.own.importing import check_own
from boxlist.tasks.datasets.own.spec import OwnSpec

if TYPE_CHECKING:
    from boxlist.tasks.datasets.own.build import Plan

CocoSet = Any  # the fixture's class lies in conftest.py, which is no module to import from


def picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (50, 100, 3), dtype=np.uint8)).save(path)


@pytest.fixture
def yolo(tmp_path: Path) -> Path:
    """Ultralytics' layout: images/train, images/val, labels/train, labels/val."""
    for number, (split, name) in enumerate((("train", "a"), ("train", "b"), ("val", "c"))):
        picture(tmp_path / "images" / split / f"{name}.jpg", number)
        (tmp_path / "labels" / split).mkdir(parents=True, exist_ok=True)
        text = f"1 0.5 0.5 0.2 0.4\n\n0 0.1 {0.2 + number / 10} 0.1 0.2\n"
        (tmp_path / "labels" / split / f"{name}.txt").write_text(text)
    (tmp_path / "labels" / "train" / "b.txt").unlink()
    (tmp_path / "data.yaml").write_text(
        "path: ../datasets/x\ntrain: images/train\nval: images/val\nnames: [cat, dog]\n"
    )
    return tmp_path


VOC = """<annotation><folder>JPEGImages</folder><filename>{name}.jpg</filename>
<size><width>100</width><height>50</height><depth>3</depth></size><segmented>0</segmented>
<object><name>dog</name><pose>Left</pose><truncated>0</truncated><difficult>0</difficult>
<bndbox><xmin>{x}</xmin><ymin>2</ymin><xmax>40</xmax><ymax>30</ymax></bndbox>
<part><name>head</name><bndbox><xmin>9</xmin><ymin>9</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></part></object>
</annotation>"""


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    for number, name in enumerate(("a", "b", "c")):
        picture(tmp_path / "JPEGImages" / f"{name}.jpg", number)
        (tmp_path / "Annotations").mkdir(exist_ok=True)
        (tmp_path / "Annotations" / f"{name}.xml").write_text(VOC.format(name=name, x=number + 1))
    return tmp_path


def plan(form: Any, root: Path, **choices: Any) -> Plan:
    return plan_own(OwnSpec(form, str(root), **choices), Tally())


def boxes(made: Plan, split: str) -> dict[str, list[tuple[str, list[float]]]]:
    return {
        Path(one.file.name).name: [(item["label"], list(item["box_xyxy_px"])) for item in one.objects]
        for one in made.splits[split].kept
    }


def test_a_yolo_folder_with_its_own_splits(yolo: Path) -> None:
    made = plan("yolo", yolo)
    assert list(boxes(made, "train")) == ["a.jpg", "b.jpg"]
    assert boxes(made, "train")["b.jpg"] == []  # no label file: no objects
    (dog, cat) = boxes(made, "test")["c.jpg"]
    assert dog == ("dog", [40, 15, 60, 35])
    assert cat[0] == "cat"
    assert cat[1] == pytest.approx([5, 15, 15, 25])
    assert made.labels == ["cat", "dog"]


def test_a_yolo_folder_is_read_as_supervision_reads_it(yolo: Path) -> None:
    import supervision

    folders = (yolo / "images" / "val", yolo / "labels" / "val", yolo / "data.yaml")
    theirs = supervision.DetectionDataset.from_yolo(*map(str, folders))
    ours = boxes(plan("yolo", yolo), "test")
    for path, _, detections in theirs:
        ours_here = ours[Path(path).name]
        assert [label for label, _ in ours_here] == [theirs.classes[number] for number in detections.class_id]
        assert np.allclose([box for _, box in ours_here], detections.xyxy, atol=1e-4)
    assert len(theirs) == len(ours) == 1


def test_other_layouts_of_yolo(yolo: Path) -> None:
    """Roboflow's: train/images beside train/labels, and paths that go up from a folder that is not there."""
    for split in ("train", "val"):
        for kind in ("images", "labels"):
            (yolo / split).mkdir(exist_ok=True)
            (yolo / kind / split).rename(yolo / split / kind)
    (yolo / "data.yaml").write_text("train: ../train/images\nval: ../val/images\nnames: {0: cat, 1: dog}\n")
    made = plan("yolo", yolo)
    assert (list(boxes(made, "train")), list(boxes(made, "test"))) == (["a.jpg", "b.jpg"], ["c.jpg"])
    (yolo / "data.yaml").write_text("names: [cat, dog]\n")
    (yolo / "train" / "images").rename(yolo / "images" / "all")
    (yolo / "train" / "labels").rename(yolo / "labels" / "all")
    made = plan("yolo", yolo, split_share=0.5)
    assert sorted([*boxes(made, "train"), *boxes(made, "test")]) == ["a.jpg", "b.jpg"]


def test_a_polygon_counts_by_its_bounds_and_a_confidence_not_at_all(yolo: Path) -> None:
    (yolo / "labels" / "val" / "c.txt").write_text("0 0.1 0.2 0.3 0.2 0.2 0.6\n1 0.5 0.5 0.2 0.2 0.87\n")
    cat, dog = boxes(plan("yolo", yolo), "test")["c.jpg"]
    assert (cat[0], dog[0]) == ("cat", "dog")
    assert cat[1] == pytest.approx([10, 10, 30, 30])
    assert dog[1] == pytest.approx([40, 20, 60, 30])


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("7 .5 .5 .2 .2", r"c\.txt: line 1: expected a class below 2, got 7"),
        ("-1 .5 .5 .2 .2", r"c\.txt: line 1: expected a class below 2, got -1"),
        ("0 .5 .5", r"c\.txt: line 1: expected class, x, y, width, height, got '0 \.5 \.5'"),
        ("0 nan .5 .2 .2", r"c\.txt: line 1: expected class, x, y, width, height, got '0 nan"),
        ("cat .5 .5 .2 .2", r"c\.txt: line 1: expected a class number and numbers, got 'cat"),
        ("\n0 .5 .5 .2 .2 .1 .1 .1", r"c\.txt: line 2: expected class, x, y, width, height"),
    ],
)
def test_a_label_that_is_none_is_named_by_file_and_line(yolo: Path, label: str, message: str) -> None:
    (yolo / "labels" / "val" / "c.txt").write_text(label + "\n")
    with pytest.raises(InputError, match=message):
        plan("yolo", yolo)


def test_bad_yolo_boxes_and_images_are_counted(yolo: Path) -> None:
    (yolo / "labels" / "val" / "c.txt").write_text("0 50 25 20 20\n0 .5 .5 -.2 .2\n")  # pixels, and a negative width
    (yolo / "images" / "train" / "b.jpg").write_text("none")
    lines = check_own(OwnSpec("yolo", str(yolo)))
    assert [line.partition(":")[0] for line in lines] == ["unreadable", "no_extent", "outside_image"]
    assert "annotation c.txt:1" in lines[2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"expected a data\.yaml with names, got none. Give the folder above it"),
        ("names: [", r"data\.yaml: expected YAML"),
        ("- a", r"data\.yaml: expected keys and values, got list"),
        ("names: cat", r"data\.yaml: names: expected a list of class names"),
        ("names: {a: cat}", r"data\.yaml: names: expected a list of class names"),
        ("names: [cat, dog]\ntrain: /etc\nval: images/val", r"data\.yaml: train: expected a folder inside, got '/etc'"),
        ("names: [cat, dog]\ntrain: list.txt", r"data\.yaml: train: expected a folder of images, got 'list\.txt'"),
    ],
)
def test_a_wrong_data_file_is_one_line(yolo: Path, text: str | None, message: str) -> None:
    (yolo / "data.yaml").unlink()
    if text is not None:
        (yolo / "data.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        plan("yolo", yolo)


def test_a_split_that_links_elsewhere_is_refused(yolo: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    (yolo / "images" / "out").symlink_to(tmp_path_factory.mktemp("elsewhere"))
    (yolo / "data.yaml").write_text("names: [cat, dog]\ntrain: images/out\nval: images/val\n")
    with pytest.raises(InputError, match=r"train: expected a folder inside, got 'images/out', a link to elsewhere"):
        plan("yolo", yolo)


def test_a_voc_folder_with_and_without_lists(voc: Path) -> None:
    assert boxes(plan("voc", voc), "test") == {
        f"{n}.jpg": [("dog", [x, 1, 40, 30])] for n, x in zip("abc", (0, 1, 2), strict=True)
    }
    (voc / "ImageSets" / "Main").mkdir(parents=True)
    (voc / "ImageSets" / "Main" / "train.txt").write_text("a\nc\n")
    (voc / "ImageSets" / "Main" / "val.txt").write_text("b -1\n")
    (voc / "ImageSets" / "Main" / "test.txt").write_text("2008_000001\n")  # never given out
    made = plan("voc", voc)
    assert (list(boxes(made, "train")), list(boxes(made, "test"))) == (["a.jpg", "c.jpg"], ["b.jpg"])
    (voc / "ImageSets" / "Main" / "train.txt").write_text("a\nz\n")
    with pytest.raises(InputError, match=r"train\.txt: expected names of annotations, got 1 without, such as 'z'"):
        plan("voc", voc)


def test_a_voc_folder_is_read_as_supervision_reads_it(voc: Path) -> None:
    import supervision

    theirs = supervision.DetectionDataset.from_pascal_voc(str(voc / "JPEGImages"), str(voc / "Annotations"))
    ours = boxes(plan("voc", voc), "test")
    for path, _, detections in theirs:
        assert np.allclose([box for _, box in ours[Path(path).name]], detections.xyxy)
    assert len(theirs) == len(ours)


def test_bad_voc_boxes_and_images_are_counted(voc: Path) -> None:
    path = voc / "Annotations" / "b.xml"
    path.write_text(path.read_text().replace("<xmax>40", "<xmax>1").replace("<width>100", "<width>90"))
    (voc / "JPEGImages" / "c.jpg").unlink()
    lines = check_own(OwnSpec("voc", str(voc)))
    assert [line.partition(":")[0] for line in lines] == ["missing", "wrong_size", "no_extent"]
    path.write_text('<!DOCTYPE a [<!ENTITY x "y">]><annotation/>')
    with pytest.raises(InputError, match=r"b\.xml: expected XML without a document type"):
        check_own(OwnSpec("voc", str(voc)))


def test_a_folder_of_neither_is_refused(tmp_path: Path) -> None:
    for form in ("yolo", "voc"):
        with pytest.raises(InputError, match=r"expected .*, got no such folder. Check the path"):
            plan(form, tmp_path / "none")
    with pytest.raises(InputError, match=r"expected Annotations/\*\.xml and JPEGImages/, got no annotations"):
        plan("voc", tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "expected a COCO file with images, annotations and categories, got .*truncated"),
        ("[]", "expected a COCO file .* got Expected `object`, got `array`"),
        ('{"images": [], "annotations": []}', "missing required field `categories`"),
        (
            '{"images": [{"id": 1}], "annotations": [], "categories": []}',
            r"missing required field `width` .*images\[0\]",
        ),
        ("[" * 100_000, "brackets nested too deeply|Expected `object`"),
    ],
)
def test_what_is_no_coco_file_is_one_line(coco: CocoSet, text: str, message: str) -> None:
    spec = coco.spec()
    coco.file.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        plan_own(spec, Tally())
    assert "\n" not in str(caught.value)


def test_ids_used_twice_and_images_without_a_file_are_refused(coco: CocoSet) -> None:
    coco.content["images"].append(coco.content["images"][0])
    with pytest.raises(InputError, match=r"instances\.json: image 11: expected ids used once, got this one twice"):
        plan_own(coco.spec(), Tally())
    coco.content["images"].pop()
    coco.content["categories"].append({"id": 3, "name": "cow"})
    with pytest.raises(InputError, match=r"instances\.json: category 3: expected ids used once"):
        plan_own(coco.spec(), Tally())
    coco.content["categories"].pop()
    del coco.content["images"][1]["file_name"]
    with pytest.raises(InputError, match=r"instances\.json: image 12: expected a file_name, got none"):
        plan_own(coco.spec(), Tally())


def test_a_byte_order_mark_does_no_harm(coco: CocoSet) -> None:
    spec = coco.spec()
    coco.file.write_bytes(b"\xef\xbb\xbf" + coco.file.read_bytes())
    assert len(plan_own(spec, Tally()).splits["test"].kept) == 4


def test_a_training_file_of_its_own(coco: CocoSet, tmp_path: Path) -> None:
    train = type(coco)(tmp_path / "other")
    train.content["categories"] = coco.content["categories"]
    train.image(1, "t.png", {9: [[1, 1, 5, 5]]}, seed=50)
    train.image(2, "u.png", {3: [[1, 1, 5, 5]]}, seed=0)  # the test file's a.png
    train.spec()
    given = {"train_annotations": str(train.file), "train_images": str(train.images)}
    spec = coco.spec(**given)
    (line,) = check_own(spec)
    assert line == (
        "in_both_splits: 1 training images that are test images too, such as image 2, u.png. Take them out of one, or "
        "pass --bad-images drop."
    )
    made = plan_own(coco.spec(**given, bad_images="drop"), Tally())
    assert [one.image.id for one in made.splits["train"].kept] == [1]
    assert made.labels == ["cat", "dog", "emu"]
    with pytest.raises(InputError, match=r"--part all: expected a set without splits, got a set with its own train"):
        plan_own(coco.spec(**given, part="all"), Tally())
    with pytest.raises(InputError, match=r"--split-share: expected one way to split, got --train-coco too"):
        coco.spec(**given, split_share=0.5)
    train.content["categories"] = [{"id": 3, "name": "cow"}]
    train.spec()
    with pytest.raises(InputError, match=r"expected one list of classes, got two. Give files of one set"):
        plan_own(spec, Tally())
