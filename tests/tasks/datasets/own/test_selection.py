from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from boxlist.errors import InputError
from boxlist.metrics.coco import read_coco
from boxlist.tasks.datasets.own.build import plan_own
from boxlist.tasks.datasets.own.faults import FAULTS, Tally
from boxlist.tasks.datasets.own.importing import check_own

if TYPE_CHECKING:
    from collections.abc import Callable

CocoSet = Any  # the fixture's class lies in conftest.py, which is no module to import from


def chosen(coco: CocoSet, **choices: Any) -> dict[int | str, list[str]]:
    """The labels of each image of the test split, by id."""
    plan = plan_own(coco.spec(**choices), Tally())
    return {one.image.id: [item["label"] for item in one.objects] for one in plan.splits["test"].kept}


def notes(coco: CocoSet, **choices: Any) -> list[str]:
    return plan_own(coco.spec(**choices), Tally()).notes


EVERYTHING = {11: ["cat", "cat"], 12: ["dog", "cat"], 13: ["dog"], 14: []}


def test_everything_is_kept_by_default_in_the_order_of_the_ids(coco: CocoSet) -> None:
    assert list(chosen(coco).items()) == list(EVERYTHING.items())
    plan = plan_own(coco.spec(), Tally())
    assert plan.labels == ["cat", "dog"]
    assert plan.notes == ["classes without a box, which the prompt does not name: emu"]


def test_boxes_are_those_that_scoring_reads_from_the_same_file(coco: CocoSet) -> None:
    spec = coco.spec()
    truths = read_coco(spec.annotations).truths
    kept = plan_own(spec, Tally()).splits["test"].kept
    assert {one.image.id for one in kept} == set(truths)
    for one in kept:
        assert [item["box_xyxy_px"] for item in one.objects] == truths[one.image.id].boxes_xyxy_px.tolist()
        assert tuple(item["label"] for item in one.objects) == truths[one.image.id].labels


def test_classes_and_aliases(coco: CocoSet) -> None:
    assert chosen(coco, classes=("dog",)) == {11: [], 12: ["dog"], 13: ["dog"], 14: []}
    assert chosen(coco, aliases=(("cat", "pet"), ("dog", "pet")))[12] == ["pet", "pet"]
    assert plan_own(coco.spec(classes=("emu", "cat")), Tally()).labels == ["emu", "cat"]  # as the user named them
    assert "3 boxes of other classes left out" in notes(coco, classes=("dog",))
    with pytest.raises(InputError, match=r"--classes 'cats': expected one of cat, dog, emu, .* Did you mean cat"):
        chosen(coco, classes=("cats",))
    with pytest.raises(InputError, match=r"--alias 'cow': expected one of cat, dog, emu"):
        chosen(coco, aliases=(("cow", "cat"),))
    with pytest.raises(InputError, match=r"--classes 'cat': expected one of dog, emu, pet"):
        chosen(coco, classes=("cat",), aliases=(("cat", "pet"),))


@pytest.mark.parametrize("name", ["{box_format}", "a\nb", " ", "x" * 101])
def test_a_class_that_a_prompt_cannot_say_is_refused(coco: CocoSet, name: str) -> None:
    coco.content["categories"][0]["name"] = name
    with pytest.raises(InputError, match=r"expected class names that a prompt can say: .* Rename it with --alias"):
        chosen(coco)
    assert chosen(coco, aliases=((name, "cat"),)) == EVERYTHING


def test_classes_that_no_comparison_tells_apart_are_refused(coco: CocoSet) -> None:
    coco.content["categories"][1]["name"] = " CAT"
    with pytest.raises(InputError, match=r"got ' CAT' and 'cat'. Make them one with --alias 'cat'=' CAT'"):
        chosen(coco)


def test_counts_and_sizes(coco: CocoSet) -> None:
    assert list(chosen(coco, min_objects=1)) == [11, 12, 13]
    assert list(chosen(coco, min_objects=1, max_objects=1)) == [13]
    assert list(chosen(coco, max_objects=0)) == [14]
    assert chosen(coco, min_area=5)[12] == ["dog"]
    assert chosen(coco, min_area=4)[12] == ["dog", "cat"]
    assert "1 boxes below 5 square pixels left out" in notes(coco, min_area=5)
    assert "1 images with fewer than 1 boxes left out" in notes(coco, min_objects=1)
    assert "2 images with more than 1 boxes left out" in notes(coco, max_objects=1)


def test_crowds(coco: CocoSet) -> None:
    coco.box(13, 3, [0, 0, 30, 30], iscrowd=1, segmentation={"counts": [1, 2], "size": [40, 60]})
    assert chosen(coco) == EVERYTHING
    assert chosen(coco, crowd="keep")[13] == ["dog", "cat"]
    assert list(chosen(coco, crowd="drop-image")) == [11, 12, 14]
    assert list(chosen(coco, crowd="drop-image", classes=("dog",))) == [11, 12, 13, 14]  # a crowd of another class
    assert "1 crowd regions left out" in notes(coco)


def lead_out(coco: CocoSet) -> None:
    coco.content["images"][0]["file_name"] = "../../secret.png"


def lose(coco: CocoSet) -> None:
    (coco.images / "a.png").unlink()


def cut(coco: CocoSet) -> None:
    path = coco.images / "a.png"
    path.write_bytes(path.read_bytes()[:-900])


def turn(coco: CocoSet) -> None:
    coco.content["images"][0] |= {"width": 40, "height": 60}
    coco.content["annotations"] = coco.content["annotations"][2:]


def copy(coco: CocoSet) -> None:
    coco.image(15, "again.png", {3: [[1, 1, 4, 4]]}, seed=0)


BAD_IMAGES: list[tuple[Callable[[CocoSet], None], str, list[int]]] = [
    (lead_out, "outside: 1 file names that lead out of the image folder, such as image 11, ../../secret.png", [12]),
    (lose, "missing: 1 image files that are not there, such as image 11, a.png: no such file", [12]),
    (cut, "unreadable: 1 image files that cannot be read whole, such as image 11, a.png: ", [12]),
    (
        turn,
        "wrong_size: 1 images of another size than annotated, such as image 11, a.png: 40x60, is",
        [12],
    ),
    (copy, "same_picture: 1 pictures that occur twice, such as image 15, again.png: as image 11", [11, 12]),
]


@pytest.mark.parametrize(("damage", "line", "left"), BAD_IMAGES, ids=lambda value: getattr(value, "__name__", ""))
def test_a_bad_image_is_refused_or_dropped(
    coco: CocoSet, damage: Callable[[CocoSet], None], line: str, left: list[int]
) -> None:
    damage(coco)
    spec = coco.spec()
    found = check_own(spec)
    assert len(found) == 1
    assert found[0].startswith(line)
    assert found[0].endswith(", or pass --bad-images drop.")
    tally = Tally()
    plan = plan_own(spec, tally)
    with pytest.raises(InputError) as caught:
        tally.refuse("here", spec)
    assert str(caught.value).startswith("here: expected no ")
    assert str(caught.value).endswith("--bad-images drop. boxlist data check, with the same options, lists them all.")
    assert [one.image.id for one in plan.splits["test"].kept] == [*left, 13, 14]
    tally.refuse("here", coco.spec(bad_images="drop"))


MORE = 1e300  # than any picture has
BAD_BOXES = [
    (
        (11, 4, [1, 1, 5, 5]),
        "unknown_category: 1 boxes of a class that is not declared, such as annotation 6, ",
    ),
    ((99, 3, [1, 1, 5, 5]), "unknown_image: 1 boxes on an image that is not declared, such as annotation 6, image 99"),
    (
        (11, 3, [1, 1, 0, 5]),
        "no_extent: 1 boxes without four finite numbers and an extent, such as image 11, ",
    ),
    ((11, 3, [1, 1, 5, -4]), "no_extent: 1"),
    ((11, 3, [1, 1, MORE, 4]), "no_extent: 1"),
    ((11, 3, None), "no_extent: 1"),
    ((11, 3, [55, 1, 10, 5]), "outside_image: 1 boxes that reach outside their image, such as image 11, annotation 6"),
    ((11, 3, [-2, 1, 10, 5]), "outside_image: 1"),
    ((11, 3, [70, 1, 10, 5]), "outside_image: 1"),
    ((11, 3, [1, 2, 10, 20]), "same_box: 1 boxes that occur twice, such as image 11: cat at [1, 2, 11, 22]"),
]


@pytest.mark.parametrize(("entry", "line"), BAD_BOXES)
def test_a_bad_box_is_refused_or_dropped(coco: CocoSet, entry: tuple[int, int, Any], line: str) -> None:
    coco.box(*entry)
    spec = coco.spec()
    found = check_own(spec)
    assert len(found) == 1
    assert found[0].startswith(line)
    assert "--bad-boxes " in found[0]
    tally = Tally()
    plan_own(spec, tally)
    with pytest.raises(InputError, match="here: expected no "):
        tally.refuse("here", spec)
    assert chosen(coco, bad_boxes="drop") == EVERYTHING


def test_a_box_that_reaches_outside_may_be_clipped(coco: CocoSet) -> None:
    coco.box(14, 3, [-2, 30, 12, 20])
    coco.box(14, 3, [70, 1, 10, 5])
    plan = plan_own(coco.spec(bad_boxes="clip"), Tally())
    image = next(one for one in plan.splits["test"].kept if one.image.id == 14)
    assert [item["box_xyxy_px"] for item in image.objects] == [[0, 30, 10, 40]]
    assert "1 boxes wholly outside left out" in plan.notes
    assert "2 boxes that reach outside their image: clip" in plan.notes


def test_a_rounding_error_is_clipped_without_asking(coco: CocoSet) -> None:
    coco.box(14, 3, [50, 30, 10.6, 10.0000001])
    assert check_own(coco.spec()) == []
    plan = plan_own(coco.spec(), Tally())
    image = next(one for one in plan.splits["test"].kept if one.image.id == 14)
    assert image.objects[0]["box_xyxy_px"] == [50, 30, 60, 40]
    assert "1 boxes clipped by a pixel or less" in plan.notes


def test_a_fault_of_a_class_that_is_left_out_does_not_matter(coco: CocoSet) -> None:
    coco.box(11, 3, [1, 1, 0, 5])
    (coco.images / "a.png").unlink()
    assert check_own(coco.spec(classes=("dog",), min_objects=1)) == []


def test_examples_are_few_and_printable(coco: CocoSet) -> None:
    for number in range(50):
        coco.image(100 + number, f"n{number}.png", {3: [[1, 1, 0, 0]]})
        coco.content["images"][-1]["file_name"] = "x\x1b[31m" + "y" * 500
    no_extent, outside = sorted(check_own(coco.spec()))
    assert no_extent.count(";") == 2
    assert outside.startswith("outside: 50 file names")
    assert outside.isprintable()
    assert len(outside) < 600


def test_every_fault_has_a_row_that_says_what_to_do() -> None:
    tally = Tally()
    for name in FAULTS:
        tally.add(name, "this")
    assert [line.partition(":")[0] for line in tally.lines()] == list(FAULTS)
    assert all(", or pass --bad-" in line for line in tally.lines())
    assert tally.lines()[10].endswith("Correct them, or pass --bad-boxes clip or drop.")


def test_splits_follow_seed_and_content_alone(coco: CocoSet) -> None:
    for number in range(20):
        coco.image(20 + number, f"more{number}.png", {3: [[1, 1, 4, 4]]}, seed=100 + number)

    def train(**choices: Any) -> set[int]:
        splits = plan_own(coco.spec(split_share=0.75, **choices), Tally()).splits
        one, other = ({kept.file.pixels_sha256 for kept in splits[split].kept} for split in ("train", "test"))
        assert not one & other
        assert (len(one), len(other)) == (18, 6)
        return {int(kept.image.id) for kept in splits["train"].kept}

    first = train()
    assert train(split_seed=1) != first
    for image in coco.content["images"]:
        (coco.images / image["file_name"]).rename(coco.images / f"renamed{image['id']}.png")
        image["file_name"] = f"renamed{image['id']}.png"
    coco.content["images"].reverse()
    assert train() == first
    everything = plan_own(coco.spec(split_share=0.75, part="all"), Tally()).splits
    assert (list(everything), len(everything["test"].kept)) == (["test"], 24)
    asked = plan_own(coco.spec(split_share=0.75, part="train"), Tally()).splits
    assert {kept.image.id for kept in asked["test"].kept} == first
    with pytest.raises(InputError, match=r"--part train: expected a train split, got none. Add --split-share"):
        plan_own(coco.spec(part="train"), Tally())
