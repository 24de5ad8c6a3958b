"""Scoring box lists: rows worked by hand, properties over images, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxlist.errors import InputError
from boxlist.metrics import boxes
from boxlist.metrics.boxes import score_box_columns, score_boxes
from boxlist.metrics.inputs import GivenAnswer, GroundTruth
from boxlist.protocols import PROTOCOLS, protocol_named
from boxlist.records import Record

PIXELS = protocol_named("pixel_xyxy")


def truth(image_id: int | str, *objects: tuple[str, list[float]], size: tuple[int, int] = (100, 100)) -> GroundTruth:
    corners = np.array([box for _, box in objects], dtype=np.float64).reshape(-1, 4)
    return GroundTruth(image_id, tuple(label for label, _ in objects), corners, size)


def answer(image_id: int | str, *records: tuple[str, tuple[float, ...]], **options: Any) -> GivenAnswer:
    return GivenAnswer(image_id, PIXELS.write(Record(label, box) for label, box in records), **options)


TWO = truth(1, ("cat", [0, 0, 10, 10]), ("dog", [50, 50, 60, 60]))


def row_of(*records: tuple[str, tuple[float, ...]]) -> dict[str, Any]:
    (row,) = score_boxes([answer(1, *records)], [TWO], PIXELS)
    return row


def test_a_row_worked_by_hand() -> None:
    row = row_of(
        ("cat", (0, 0, 10, 10)),  # the cat, exactly
        ("dog", (50, 50, 60, 54)),  # the dog at 0.4
        ("cat", (0, 0, 10, 10)),  # an exact repeat: here the tail starts
        ("cat", (0, 0, 10, 9.5)),  # nearly the cat: 0.95
        ("dog", (50, 50, 60, 58)),  # the dog at 0.8, so this one and not the earlier is its match
        ("bird", (9, 9, 5, 5)),  # impossible
    )
    assert row == {
        "image_id": 1,
        "status": "valid",
        "tokens": None,
        "parse_valid": True,
        "n_pred": 6,
        "n_pred_strict": 6,
        "n_gt": 2,
        "invalid_boxes": 1,
        "mean_max_iou": pytest.approx((1 + 0.8) / 2),
        "duplicates": 1,
        "duplicate_rate": pytest.approx(1 / 6),
        "max_repeat": 2,
        "near_duplicates": 2,
        "near_duplicate_rate": pytest.approx(2 / 6),
        "n_tail": 4,
        "tp@0.3": 2,
        "prefix_tp@0.3": 1,
        "tail_tp@0.3": 2,
        "tp@0.5": 2,
        "prefix_tp@0.5": 1,
        "tail_tp@0.5": 2,
        "tp@0.3_strict": 2,
        "recall@0.3": 1.0,
        "tp@0.5_strict": 2,
        "recall@0.5": 1.0,
        "triggered": False,
    }


def test_a_broken_off_answer_is_scored_but_not_strictly() -> None:
    text = PIXELS.write([Record("cat", (0, 0, 10, 10)), Record("dog", (50, 50, 60, 60))])
    (row,) = score_boxes([GivenAnswer(1, text[:-4])], [TWO], PIXELS)
    assert (row["status"], row["parse_valid"]) == ("truncated", False)
    assert (row["n_pred"], row["tp@0.5"], row["recall@0.5"]) == (1, 1, 0.5)
    assert (row["n_pred_strict"], row["tp@0.5_strict"]) == (0, 0)


def test_labels_compare_normalised() -> None:
    assert row_of(("  CAT ", (0, 0, 10, 10)))["tp@0.5"] == 1
    assert row_of(("cats", (0, 0, 10, 10)))["tp@0.5"] == 0


def test_an_image_with_nothing_in_it() -> None:
    empty = truth(2)
    rows = score_boxes([answer(1), answer(2, ("cat", (0, 0, 1, 1)))], [TWO, empty], PIXELS)
    nothing_given, nothing_there = rows
    assert (nothing_given["duplicate_rate"], nothing_given["max_repeat"], nothing_given["recall@0.3"]) == (0.0, 0, 0.0)
    assert (nothing_there["recall@0.3"], nothing_there["mean_max_iou"]) == (None, None)
    assert (nothing_there["n_pred"], nothing_there["tp@0.3"]) == (1, 0)


def test_an_image_without_an_answer_has_the_empty_one() -> None:
    (row,) = score_boxes([], {1: TWO}, PIXELS)
    assert (row["status"], row["parse_valid"], row["n_pred"], row["n_gt"]) == ("empty", False, 0, 2)


def test_no_images() -> None:
    assert score_boxes([], [], PIXELS) == []


def test_rows_are_json_and_keep_what_the_answer_says() -> None:
    rows = score_boxes([answer(1, ("cat", (0, 0, 1, 1)), triggered=True, tokens=17)], [TWO, truth(2)], PIXELS)
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    assert [(row["triggered"], row["tokens"]) for row in rows] == [(True, 17), (False, None)]


@pytest.mark.parametrize("name", [name for name, row in PROTOCOLS.items() if row.n_coordinates == 4])
def test_every_box_protocol(name: str) -> None:
    protocol = protocol_named(name)
    numbers = protocol.round(protocol.from_xyxy_px(TWO.boxes_xyxy_px, TWO.size_wh_px, (200, 50)))
    text = protocol.write(Record(label, tuple(box)) for label, box in zip(TWO.labels, numbers.tolist(), strict=True))
    (row,) = score_boxes([GivenAnswer(1, text, frame_wh_px=(200, 50))], [TWO], protocol)
    assert row["tp@0.5"] == 2
    assert row["mean_max_iou"] > 0.9


@pytest.mark.parametrize("numbers", ["1e308, 1e308, 1.7e308, 1.7e308", "-1e308, 0, 1.7e308, 10", "1e12, 0, 2e12, 9"])
@pytest.mark.parametrize("protocol", ["pixel_xyxy", "norm1_xywh", "norm1_cxcywh"])
def test_numbers_that_no_picture_has_are_impossible_boxes(numbers: str, protocol: str) -> None:
    text = f'[{{"bbox_2d": [{numbers}], "label": "cat"}}, {{"bbox_2d": [{numbers}], "label": "cat"}}]'
    (row,) = score_boxes([GivenAnswer(1, text)], [TWO], protocol_named(protocol))
    assert (row["invalid_boxes"], row["tp@0.3"], row["mean_max_iou"]) == (2, 0, 0.0)
    assert (row["duplicates"], row["near_duplicates"]) == (1, 0)


def test_a_whole_number_beyond_int64_is_read() -> None:
    (row,) = score_boxes([GivenAnswer(1, f'[{{"bbox_2d": [0, 0, 10, {10**30}], "label": "cat"}}]')], [TWO], PIXELS)
    assert (row["n_pred"], row["invalid_boxes"]) == (1, 1)


def test_thousands_of_boxes_in_one_image() -> None:
    """Pairs go in chunks; 2,000 x 2,000 at once would be 32 MB an array, and there are ten of them."""
    side = [[x * 12.0, y * 12.0, x * 12 + 10.0, y * 12 + 10.0] for x in range(50) for y in range(40)]
    big = truth("big", *(("cat", box) for box in side), size=(600, 480))
    (row,) = score_boxes([answer("big", *(("cat", tuple(box)) for box in side[::-1]))], [big], PIXELS)
    assert (row["tp@0.5"], row["mean_max_iou"], row["near_duplicates"]) == (2000, 1.0, 0)


def test_two_answers_to_one_image_are_refused() -> None:
    with pytest.raises(InputError, match="answer to image 1: expected one answer an image, got a second one"):
        score_boxes([answer(1), answer(1)], [TWO], PIXELS)


def test_an_answer_to_an_unknown_image_is_refused() -> None:
    with pytest.raises(InputError, match="answer to image '1': expected an image that has a ground truth"):
        score_boxes([answer("1")], [TWO], PIXELS)


def test_two_ground_truths_of_one_image_are_refused() -> None:
    with pytest.raises(InputError, match="ground truth of image 1: expected one, got two"):
        score_boxes([], [TWO, TWO], PIXELS)


@pytest.mark.parametrize(
    ("labels", "corners", "message"),
    [
        (("a",), [[0, 0, float("nan"), 1]], r"ground truth of image 5, box 0: expected finite coordinates, got \[0.0"),
        (("a",), [[0, 0, 1, 1], [0, 0, 2, 2]], "ground truth of image 5: expected 2 labels, got 1"),
        ((), [[0, 0, 1, 1]], "ground truth of image 5: expected 1 labels, got 0"),
        (("a",), [[0, 0, 1]], r"ground truth of image 5: expected boxes of shape \(N, 4\), got \(1, 3\)"),
    ],
)
def test_wrong_ground_truths_are_refused(labels: tuple[str, ...], corners: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        score_boxes([], [TWO, GroundTruth(5, labels, np.array(corners, dtype=np.float64), (10, 10))], PIXELS)


def test_a_frame_is_asked_for_where_it_is_needed() -> None:
    resized = protocol_named("resized_pixel_xyxy")
    with pytest.raises(InputError) as refused:
        score_boxes([answer(1, ("cat", (0, 0, 1, 1)))], [TWO], resized)
    assert str(refused.value) == (
        "answer to image 1: expected the size of the resized image, which protocol resized_pixel_xyxy needs, got none. "
        'Give each answer its "frame": [width, height], or use another protocol.'
    )
    assert score_boxes([answer(1)], [TWO], resized)[0]["n_pred"] == 0  # nothing to read, nothing to ask


def test_points_are_refused() -> None:
    with pytest.raises(InputError, match="protocol percent_xy: expected one that writes boxes"):
        score_boxes([], [TWO], protocol_named("percent_xy"))


coordinate = st.integers(0, 20)
record = st.tuples(st.sampled_from(["cat", "dog"]), st.tuples(coordinate, coordinate, coordinate, coordinate))
objects = st.tuples(
    st.sampled_from(["cat", "dog"]),
    st.tuples(coordinate, coordinate, st.integers(1, 9), st.integers(1, 9)).map(
        lambda b: [b[0], b[1], b[0] + b[2], b[1] + b[3]]
    ),
)
pictures = st.lists(st.tuples(st.lists(record, max_size=5), st.lists(objects, max_size=4)), max_size=4)


@given(pictures, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=60)
def test_images_do_not_depend_on_each_other(given_pictures: list[Any], shuffler: Any) -> None:
    answers = [answer(i, *records) for i, (records, _) in enumerate(given_pictures)]
    truths = [truth(i, *there) for i, (_, there) in enumerate(given_pictures)]
    together = score_boxes(answers, truths, PIXELS)
    alone = [score_boxes([a], [t], PIXELS)[0] for a, t in zip(answers, truths, strict=True)]
    assert together == alone
    shuffled = answers[:]
    shuffler.shuffle(shuffled)
    assert score_boxes(shuffled, truths, PIXELS) == together


@given(pictures)
@settings(deadline=None, max_examples=60)
def test_blocks_of_images_are_no_part_of_the_result(given_pictures: list[Any]) -> None:
    answers = [answer(i, *records) for i, (records, _) in enumerate(given_pictures)]
    truths = [truth(i, *there) for i, (_, there) in enumerate(given_pictures)]
    together = score_boxes(answers, truths, PIXELS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boxes, "BLOCK_IMAGES", 2)
        assert score_boxes(answers, truths, PIXELS) == together


@given(pictures)
@settings(deadline=None, max_examples=60)
def test_renaming_labels_changes_nothing(given_pictures: list[Any]) -> None:
    def rows(name: dict[str, str]) -> list[dict[str, Any]]:
        answers = [
            answer(i, *((name[label], box) for label, box in records)) for i, (records, _) in enumerate(given_pictures)
        ]
        truths = [
            truth(i, *((name[label], box) for label, box in there)) for i, (_, there) in enumerate(given_pictures)
        ]
        return score_boxes(answers, truths, PIXELS)

    assert rows({"cat": "cat", "dog": "dog"}) == rows({"cat": "zebra Ä", "dog": "a cat"})


@given(pictures)
@settings(deadline=None, max_examples=60)
def test_bounds_between_columns(given_pictures: list[Any]) -> None:
    answers = [answer(i, *records) for i, (records, _) in enumerate(given_pictures)]
    truths = [truth(i, *there) for i, (_, there) in enumerate(given_pictures)]
    for row in score_box_columns(answers, truths, PIXELS).rows():
        assert row["prefix_tp@0.3"] <= row["tp@0.3"] <= min(row["n_pred"], row["n_gt"])
        assert row["tp@0.5"] <= row["tp@0.3"]
        assert row["tail_tp@0.3"] <= row["n_tail"] <= row["n_pred"]
        assert row["duplicates"] == 0 or row["n_tail"] >= row["duplicates"]
        assert row["max_repeat"] <= row["duplicates"] + 1
        if row["n_gt"]:
            # every match is some truth's IoU, and the best is at least that
            assert row["mean_max_iou"] >= 0.3 * row["tp@0.3"] / row["n_gt"]
