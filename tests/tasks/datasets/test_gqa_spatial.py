"""GQA-spatial from GQA's own files: questions with their programs, scene graphs, drawn images."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from PIL import Image

from boxlist.errors import InputError
from boxlist.tasks.datasets.catalog import build_dataset, check_dataset, describe_dataset, documents
from boxlist.tasks.datasets.gqa_spatial import Asking, Related, relations

if TYPE_CHECKING:
    from pathlib import Path


def step(operation: str, argument: str, *dependencies: int) -> dict[str, Any]:
    return {"operation": operation, "dependencies": list(dependencies), "argument": argument}


def question(answer: str, *program: dict[str, Any], image: str = "2386621") -> dict[str, Any]:
    """A question with the fields that GQA's files have; only some of them are used."""
    return {
        "semantic": list(program),
        "entailed": [],
        "equivalent": [],
        "question": "...?",
        "imageId": image,
        "isBalanced": True,
        "groups": {"global": None, "local": ""},
        "answer": answer,
        "fullAnswer": "",
        "semanticStr": "",
        "annotations": {"answer": {}, "question": {}, "fullAnswer": {}},
        "types": {"detailed": "relVerify", "semantic": "rel", "structural": "verify"},
    }


MAN, BUS, SIGN, TINY, OTHER = "1001", "1002", "1003", "1004", "1005"
SELECT_BUS = step("select", f"bus ({BUS})")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        # who is to the left of the bus? the man
        (
            question(
                "man",
                SELECT_BUS,
                step("relate", f"person,to the left of,s ({MAN})", 0),
                step("query", "name", 1),
            ),
            [Related(MAN, "left", BUS)],
        ),
        # what is the bus to the left of? o: the bus is the subject
        (
            question("sign", SELECT_BUS, step("relate", f"_,to the left of,o ({SIGN})", 0), step("query", "name", 1)),
            [Related(BUS, "left", SIGN)],
        ),
        # the red bus: a filter is not the object
        (
            question(
                "man",
                SELECT_BUS,
                step("filter color", "red", 0),
                step("relate", f"man,to the right of,s ({MAN})", 1),
            ),
            [Related(MAN, "right", BUS)],
        ),
        (
            question("yes", SELECT_BUS, step("verify rel", f"man,to the right of,s ({MAN})", 0)),
            [Related(MAN, "right", BUS)],
        ),
        (question("no", SELECT_BUS, step("verify rel", f"man,to the right of,s ({MAN})", 0)), []),
        (
            question("left", SELECT_BUS, step("choose rel", f"man,to the left of|to the right of,s ({MAN})", 0)),
            [Related(MAN, "left", BUS)],
        ),
        (
            question(
                "to the right of", SELECT_BUS, step("choose rel", f"a,to the left of|to the right of,s ({MAN})", 0)
            ),
            [Related(MAN, "right", BUS)],
        ),
        (question("man", SELECT_BUS, step("relate", f"man,in front of,s ({MAN})", 0)), []),  # another relation
        (question("no", step("select", "bus (-)"), step("relate", f"man,to the left of,s ({MAN})", 0)), []),
        (question("no", SELECT_BUS, step("relate", "man,to the left of,s (-)", 0)), []),  # not in the scene
        (question("x", SELECT_BUS, step("relate", "men,to the left of,s (1,2)", 0)), []),  # several objects
        (question("x", step("relate", f"man,to the left of,s ({MAN})")), []),  # of nothing
        (question("x", step("filter a", "b", 0), step("relate", f"man,to the left of,s ({MAN})", 0)), []),  # a circle
        (question("x", SELECT_BUS, step("relate", f"man,to the left of,s ({MAN})", 7)), []),  # of a step not there
        (question("blue", SELECT_BUS, step("query", "color", 0)), []),
    ],
)
def test_what_a_program_says(asked: dict[str, Any], expected: list[Related]) -> None:
    assert relations(msgspec.convert(asked, Asking)) == expected


def scene() -> dict[str, Any]:
    def item(name: str, x: int, y: int, w: int, h: int) -> dict[str, Any]:
        return {"name": name, "x": x, "y": y, "w": w, "h": h, "attributes": ["red"], "relations": []}

    objects = {
        MAN: item("man", 0, 20, 40, 60),
        BUS: item("bus", 80, 10, 100, 80),
        SIGN: item("sign", 150, 0, 30, 30),
        TINY: item("bird", 0, 0, 5, 5),
        OTHER: item("man", 45, 20, 30, 60),
    }
    return {"width": 200, "height": 100, "location": "street", "weather": "none", "objects": objects}


def relate(subject: str, side: str = "left") -> dict[str, Any]:
    return step("relate", f"_,to the {side} of,s ({subject})", 0)


VAL = {
    "0003": question("man", SELECT_BUS, relate(MAN)),
    "0001": question("yes", SELECT_BUS, step("verify rel", f"sign,to the right of,s ({SIGN})", 0)),
    "0002": question("bird", SELECT_BUS, relate(TINY)),  # too small
    "0004": question(
        "man", SELECT_BUS, step("filter color", "red", 0), step("relate", f"_,to the left of,s ({MAN})", 1)
    ),
    "0005": question("man", step("select", f"man ({OTHER})"), relate(MAN)),  # two of a name cannot be told apart
    "0006": question("x", SELECT_BUS, relate("99")),  # no such object
    "0007": question("man", SELECT_BUS, relate(MAN), image="1"),  # no such scene
}
TRAIN = {
    "1": question("man", SELECT_BUS, relate(MAN), image="5"),
    "2": question("x", SELECT_BUS, relate(SIGN, "right")),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BOXLIST_DATA", str(tmp_path / "built"))
    gqa = tmp_path / "gqa"
    (gqa / "images").mkdir(parents=True)
    for name, questions, images in (("val", VAL, ["2386621"]), ("train", TRAIN, ["5", "2386621"])):
        (gqa / f"{name}_balanced_questions.json").write_text(json.dumps(questions))
        (gqa / f"{name}_sceneGraphs.json").write_text(json.dumps({image: scene() for image in images}))
    for image in ("5", "2386621"):
        pixels = np.random.default_rng(int(image)).integers(0, 256, (100, 200, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(gqa / "images" / f"{image}.jpg", format="JPEG")
    return gqa


def test_the_filters_and_their_funnel(folder: Path) -> None:
    build_dataset("gqa_spatial", folder)
    found = documents("gqa_spatial", "test", verify=True)
    assert [d["question"]["expression"] for d in found] == ["sign to the right of bus", "man to the left of bus"]
    assert found[1]["question"]["describe"] == (
        "Describe the spatial relationship between the man and the bus in the image."
    )
    assert found[1]["answer"]["box_xyxy_px"] == [0, 20, 40, 80]
    told = describe_dataset("gqa_spatial")
    assert told[told.index("gqa_spatial test: 1 images, 2 boxes") + 1 :] == [
        "  7 balanced questions",
        "  7 relations of left and right",
        "  4 with both objects in the scene",
        "  3 that pass the filters on objects",
        "  2 that differ",
        "  2 questions; 9265 in the redundancy paper",
    ]
    assert check_dataset("gqa_spatial") == []


def test_no_test_picture_is_trained_on(folder: Path) -> None:
    build_dataset("gqa_spatial", folder)
    assert [d["file"].rpartition("/")[2] for d in documents("gqa_spatial", "train")] == ["5.jpg"]
    assert "  1 questions dropped: the picture is in the test split" in describe_dataset("gqa_spatial")
    assert "  1 questions; 66356 in the redundancy paper" in describe_dataset("gqa_spatial")


def test_the_open_choices(folder: Path) -> None:
    def built(**options: Any) -> list[str]:
        build_dataset("gqa_spatial", folder, options, force=True)
        return [d["question"]["expression"] for d in documents("gqa_spatial", "test")]

    assert built(repeated="drop") == ["sign to the right of bus"], "there are two men"
    assert built(duplicates="keep").count("man to the left of bus") == 2
    assert "bird to the left of bus" in built(min_area=0.001)
    with pytest.raises(InputError, match=r"got none for 0 questions.* or loosen the filters"):
        built(max_area=0.3)  # the bus covers 40%


def test_the_same_every_time(folder: Path) -> None:
    def built() -> list[bytes]:
        place = build_dataset("gqa_spatial", folder, force=True)
        return [(place / s / n).read_bytes() for s in ("train", "test") for n in ("annotations.json", "manifest.json")]

    assert built() == built()


def test_wrong_files_are_one_line(folder: Path) -> None:
    (folder / "val_sceneGraphs.json").write_text('{"1": {"width": "wide"}}')
    with pytest.raises(InputError, match=r"val_sceneGraphs.json: expected GQA's file, got Expected `int`, got `str`"):
        build_dataset("gqa_spatial", folder)
    (folder / "train_sceneGraphs.json").unlink()
    with pytest.raises(InputError, match=r"train_sceneGraphs.json.* add --option train=false"):
        build_dataset("gqa_spatial", folder)
