"""Questions and answers from documents: what each probe teaches, in which order and which notation."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from boxlist.adapters_training.lists import Teaching, samples
from boxlist.errors import InputError
from boxlist.protocols import PROTOCOLS, SizeWH
from boxlist.tasks.probes import probe_named

if TYPE_CHECKING:
    from boxlist.tasks.datasets.split_folder import Document, DocumentObject

NORM1000 = PROTOCOLS["norm1000_xyxy"]


def drawn(label: str, box_xyxy_px: list[int]) -> DocumentObject:
    color, shape = label.split()
    return {"label": label, "box_xyxy_px": box_xyxy_px, "color": color, "shape": shape, "size": "small"}


@pytest.fixture
def document() -> Document:
    """Three objects, annotated from the bottom up."""
    return {
        "image_id": 5,
        "file": "/nowhere/5.png",
        "width": 200,
        "height": 100,
        "objects": [
            drawn("red star", [20, 80, 40, 100]),
            drawn("blue cross", [150, 0, 160, 10]),
            drawn("cyan circle", [1, 0, 11, 10]),
        ],
        "question": {"counted": "star", "subject": "red star", "reference": "blue cross"},
        "answer": {"count": 1, "relation": "left"},
        "sha256": "0" * 64,
        "pixels_sha256": "1" * 64,
    }


def taught(document: Document, teaching: Teaching, task: str = "boxlist_dense_bbox_shapes") -> str:
    (sample,) = samples(probe_named(task), [document], teaching)
    assert sample.name == "shapes image 5"
    return sample.answer


def test_a_box_list_in_reading_order_and_whole_thousandths(document: Document) -> None:
    assert taught(document, Teaching(NORM1000)) == (
        '[{"bbox_2d": [5, 0, 55, 100], "label": "cyan circle"}, '
        '{"bbox_2d": [750, 0, 800, 100], "label": "blue cross"}, '
        '{"bbox_2d": [100, 800, 200, 1000], "label": "red star"}]'
    )


def labels(answer: str) -> list[str]:
    return [record["label"] for record in json.loads(answer)]


def test_the_order_is_the_recipes(document: Document) -> None:
    assert labels(taught(document, Teaching(NORM1000, "annotation"))) == ["red star", "blue cross", "cyan circle"]
    drawn = {tuple(labels(taught(document, Teaching(NORM1000, "random", seed)))) for seed in range(40)}
    assert len(drawn) == 6
    assert taught(document, Teaching(NORM1000, "random", 1)) == taught(document, Teaching(NORM1000, "random", 1))


@pytest.mark.parametrize(
    ("protocol", "first"),
    [
        ("pixel_xyxy", '[{"bbox_2d": [1, 0, 11, 10], "label": "cyan circle"}'),
        ("norm1_xyxy", '[{"bbox_2d": [0.005, 0, 0.055, 0.1], "label": "cyan circle"}'),
        ("norm1000_yxyx", '[{"box_2d": [0, 5, 100, 55], "label": "cyan circle"}'),
        ("pixel_xywh", '[{"bbox": [1, 0, 10, 10], "label": "cyan circle"}'),
        ("loc1024_yxyx", "<loc0000><loc0005><loc0102><loc0056> cyan circle ; "),
    ],
)
def test_the_notation_is_the_protocols(document: Document, protocol: str, first: str) -> None:
    assert taught(document, Teaching(PROTOCOLS[protocol])).startswith(first)


def test_resized_pixels_are_those_of_the_processors_frame(document: Document) -> None:
    teaching = Teaching(PROTOCOLS["resized_pixel_xyxy"], frame_of=lambda _: SizeWH(400, 400))
    assert taught(document, teaching).startswith('[{"bbox_2d": [2, 0, 22, 40]')


def test_an_image_of_nothing_is_an_empty_list(document: Document) -> None:
    document["objects"] = []
    assert taught(document, Teaching(NORM1000)) == "[]"


def test_the_other_probes_teach_their_truth(document: Document) -> None:
    inventory = json.loads(taught(document, Teaching(NORM1000, "annotation"), "boxlist_inventory_shapes"))
    assert list(inventory) == [f"slot_{place}" for place in range(1, 9)]
    assert inventory["slot_1"] == {"color": "cyan", "shape": "circle", "size": "small"}
    assert taught(document, Teaching(NORM1000), "boxlist_spatial_count_shapes") == '{"count": 1, "relation": "left"}'


def test_the_prompt_is_rendered_in_the_protocol(document: Document) -> None:
    (sample,) = samples(probe_named("boxlist_dense_bbox_shapes"), [document], Teaching(PROTOCOLS["pixel_xywh"]))
    assert PROTOCOLS["pixel_xywh"].box_format() in sample.prompt
    (sample,) = samples(probe_named("boxlist_spatial_count_shapes"), [document], Teaching(NORM1000))
    assert "How many star objects" in sample.prompt
    assert "red star seen from the blue cross" in sample.prompt


def test_budgets_ask_again_and_end_the_list_there(document: Document) -> None:
    """One question more a picture for each; the answers are beginnings of the whole list, in the order taught."""
    probe = probe_named("boxlist_dense_bbox_shapes")
    plain, *budgeted = samples(probe, [document], Teaching(NORM1000, budgets=12))
    whole = json.loads(plain.answer)
    assert (len(whole), len(budgeted)) == (3, 12)
    budgets = [int(sample.prompt.removeprefix(f"{plain.prompt} Return at most ").split()[0]) for sample in budgeted]
    assert set(budgets) == {1, 2, 3, 4, 5}, "from 1 to two more than there are objects"
    for budget, sample in zip(budgets, budgeted, strict=True):
        assert sample.prompt == f"{plain.prompt} Return at most {budget} objects."
        assert json.loads(sample.answer) == whole[:budget]
    assert samples(probe, [document], Teaching(NORM1000, budgets=12)) == [plain, *budgeted], "drawn from the seed"


def test_budgets_are_for_lists_only(document: Document) -> None:
    with pytest.raises(
        InputError, match=r"recipe: budgets: expected 0 for boxlist_inventory_shapes, got 1. Only lists"
    ):
        samples(probe_named("boxlist_inventory_shapes"), [document], Teaching(NORM1000, budgets=1))
