"""Protocols composed by name: one name a format, what is written and asked for, and what is refused."""

from __future__ import annotations

import contextlib
import itertools
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxlist.errors import InputError
from boxlist.metrics.inputs import GivenAnswer
from boxlist.protocols import (
    BOX_KEYS,
    LABEL_KEYS,
    MAX_NAME_CHARS,
    PARTS,
    PROTOCOLS,
    Protocol,
    is_protocol_name,
    protocol_named,
)
from boxlist.records import Record
from boxlist.scanner import Answer, read_answer
from boxlist.tasks.kinds import KINDS
from boxlist.tasks.probes import render_prompt
from boxlist.tasks.sealed import seal, unseal
from boxlist.tasks.truths import box_list_text

UNITS = ("pixel", "resized_pixel", "norm1000", "norm1", "percent")
ORDERS = ("xyxy", "xywh", "yxyx", "yxhw", "cxcywh")
BY_CHOICE = {choice: [part for part in PARTS if PARTS[part] == choice] for choice in dict.fromkeys(PARTS.values())}
RED, TREE = Record("red", (1, 2, 3, 4)), Record("tree", (5, 6, 7, 8))


def every_format() -> list[Protocol]:
    """All that can be composed, keys left to a few."""
    keys = ["", "+box_2d", "+coordinates+class_name"]
    shapes = ["", "+label_first", "+nested", "+plain", "+plain+label_first", "+plain+nested"]
    names = [
        f"{u}_{o}{s}{k}" for u, o, s, k in itertools.product(UNITS, ORDERS, shapes, keys) if not ("plain" in s and k)
    ]
    return [protocol_named(name) for name in names]


def test_every_order_and_unit_can_be_composed() -> None:
    names = [f"{unit}_{order}" for unit in UNITS for order in ORDERS]
    assert [protocol_named(name).name for name in names] == names
    for name, row in PROTOCOLS.items():
        assert protocol_named(name) is row
    formats = every_format()
    assert len({protocol.name for protocol in formats}) > 250


@pytest.mark.parametrize("protocol", every_format()[::7], ids=lambda protocol: protocol.name)
def test_what_is_written_is_read_back(protocol: Protocol) -> None:
    assert protocol_named(protocol.name) == protocol
    assert is_protocol_name(protocol.name)
    assert len(protocol.name) <= MAX_NAME_CHARS
    assert read_answer(protocol.write([RED, TREE]), protocol) == Answer("valid", (RED, TREE))
    assert read_answer(protocol.write([]), protocol) == Answer("valid", ())
    frame = (40, 30) if protocol.needs_frame else None
    sealed = unseal(seal("[]", protocol=protocol, finish="eos", tokens=1, frame_wh_px=frame))
    assert (sealed.protocol, sealed.text) == (protocol, "[]")


@given(parts=st.permutations(["plain", "label_first", "norm1000_xyxy"]), more=st.sampled_from(["", "+per_box"]))
def test_one_format_has_one_name(parts: list[str], more: str) -> None:
    base, *others = ["norm1000_xyxy", *(part for part in parts if part != "norm1000_xyxy")]
    assert protocol_named("+".join([base, *others]) + more).name == "norm1000_xyxy+plain+label_first"


@pytest.mark.parametrize(
    ("given_name", "own_name"),
    [
        ("norm1000_xyxy+json+per_box+box_first+bbox_2d+label", "norm1000_xyxy"),
        ("norm1000_yxyx+box_2d", "norm1000_yxyx"),  # Gemini's row has that key
        ("norm1000_yxyx+bbox_2d", "norm1000_yxyx+bbox_2d"),
        ("norm1000_xyxy+nested+label_first", "norm1000_xyxy+nested"),
        ("pixel_xywh+class+box", "pixel_xywh+box+class"),
    ],
)
def test_what_a_name_need_not_say_is_left_out(given_name: str, own_name: str) -> None:
    assert protocol_named(given_name).name == own_name
    assert is_protocol_name(own_name)
    assert is_protocol_name(given_name) == (given_name == own_name)


def test_a_default_part_gives_the_row_itself() -> None:
    assert protocol_named("norm1000_xyxy+json") is PROTOCOLS["norm1000_xyxy"]


@pytest.mark.parametrize(
    ("name", "written", "words"),
    [
        (
            "norm1000_xyxy+label_first+box_2d+class_name",
            '[{"class_name": "red", "box_2d": [1, 2, 3, 4]}, {"class_name": "tree", "box_2d": [5, 6, 7, 8]}]',
            'a JSON list of {"class_name": "...", "box_2d": [x1, y1, x2, y2]} in thousandths',
        ),
        (
            "pixel_yxhw+nested",
            '[{"label": "red", "bbox_2d": [[1, 2, 3, 4]]}, {"label": "tree", "bbox_2d": [[5, 6, 7, 8]]}]',
            'a JSON list of {"label": "...", "bbox_2d": [[y, x, height, width], ...]} in pixels of the image, one for',
        ),
        (
            "percent_xyxy+plain",
            "[1, 2, 3, 4] red\n[5, 6, 7, 8] tree",
            "one line for each object, written [x1, y1, x2, y2] label in percent of the image size, from 0 to 100,",
        ),
        (
            "norm1_cxcywh+plain+nested",
            "red: [1, 2, 3, 4]\ntree: [5, 6, 7, 8]",
            "one line for each label, written label: [center x, center y, width, height], [center x, center y, width, ",
        ),
    ],
)
def test_the_prompt_asks_for_what_is_written(name: str, written: str, words: str) -> None:
    protocol = protocol_named(name)
    assert protocol.write([RED, TREE]) == written
    asked = render_prompt("Answer with a JSON list of {box_format}. Go.", protocol)
    assert asked.startswith(f"Answer with {words}")
    assert asked.endswith(("or the word none if there is nothing. Go.", "one for each label. Go.", "0 to 1000. Go."))


def test_a_prompt_for_one_box_keeps_its_own_words() -> None:
    assert render_prompt("Answer with {box_format}", protocol_named("pixel_xyxy+plain")) == (
        "Answer with [x1, y1, x2, y2] label in pixels of the image"
    )
    assert render_prompt("a JSON list of {box_format}", PROTOCOLS["loc1024_yxyx"]).startswith("<loc y1>")


def test_height_before_width_by_hand() -> None:
    """The box with corners (20, 30) and (60, 50) in an image of 200 x 100."""
    for name, numbers in {
        "pixel_yxhw": [30, 20, 20, 40],
        "norm1000_yxhw": [300, 100, 200, 200],
        "percent_yxhw": [30, 10, 20, 20],
        "percent_cxcywh": [20, 40, 20, 20],
        "resized_pixel_yxhw": [15, 40, 10, 80],
    }.items():
        protocol = protocol_named(name)
        np.testing.assert_allclose(protocol.from_xyxy_px([20, 30, 60, 50], (200, 100), (400, 50)), [numbers])
        np.testing.assert_allclose(protocol.to_xyxy_px(numbers, (200, 100), (400, 50)), [[20, 30, 60, 50]])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("norm1000_xyxy+nestd", "protocol 'norm1000_xyxy+nestd': part 'nestd': expected one of bbox, bbox_2d, "),
        ("norm1000_xyxy+", "protocol 'norm1000_xyxy+': part '': expected one of "),
        ("+plain", "protocol '': expected one of loc1024_yxyx, norm1000_cxcywh, "),
        ("norm1000_hwxy", "protocol 'norm1000_hwxy': expected one of "),
        (
            "norm1000_xyxy+plain+json",
            "protocol 'norm1000_xyxy+plain+json': expected one syntax, got plain and json. Drop one of them.",
        ),
        (
            "norm1000_xyxy+box+bbox",
            "protocol 'norm1000_xyxy+box+bbox': expected one key of the box, got box and bbox. Drop one of them.",
        ),
        (
            "norm1000_xyxy+plain+box",
            "protocol 'norm1000_xyxy+plain+box': expected keys in JSON only, got plain and box. Drop one of them.",
        ),
        (
            "norm1000_xyxy+nested+box_first",
            "protocol 'norm1000_xyxy+nested+box_first': expected the label before its boxes where they are nested, ",
        ),
        (
            "loc1024_yxyx+nested",
            "protocol 'loc1024_yxyx+nested': expected no parts after this name, got nested. Compose with a box ",
        ),
        ("norm1000_xy+plain", "protocol 'norm1000_xy+plain': expected no parts after this name, got plain. "),
    ],
)
def test_nonsense_is_refused(name: str, message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}"):
        protocol_named(name)
    assert not is_protocol_name(name)


def test_near_matches_are_named() -> None:
    for name, near in {"norm1000_xyxy+nestd": "nested", "norm1000_yxwh": "norm1000_yxhw"}.items():
        with pytest.raises(InputError) as refused:
            protocol_named(name)
        assert near in refused.value.remedy


@given(st.text(max_size=300) | st.lists(st.sampled_from([*PARTS, "norm1000_xyxy"]), max_size=40).map("+".join))
def test_any_text_is_a_name_or_refused_in_a_short_line(text: str) -> None:
    with contextlib.suppress(InputError):
        protocol = protocol_named(text)
        assert is_protocol_name(protocol.name)
        assert protocol_named(protocol.name) == protocol
        return
    assert not is_protocol_name(text)
    with pytest.raises(InputError) as refused:
        protocol_named(text)
    assert len(str(refused.value)) < 2_000


def test_every_part_chooses_something() -> None:
    assert set(BY_CHOICE) == {"syntax", "structure", "sequence", "key of the box", "key of the label"}
    assert set(BOX_KEYS) < set(BY_CHOICE["key of the box"])
    assert set(LABEL_KEYS) < set(BY_CHOICE["key of the label"])


@pytest.mark.parametrize("key", BY_CHOICE["key of the box"])
@pytest.mark.parametrize("label_key", BY_CHOICE["key of the label"])
def test_a_protocols_own_keys_are_read(key: str, label_key: str) -> None:
    for structure in ("per_box", "nested"):
        protocol = protocol_named(f"pixel_xyxy+{structure}+{key}+{label_key}")
        assert f'"{key}"' in protocol.write([RED])
        assert f'"{label_key}"' in protocol.write([RED])
        assert read_answer(protocol.write([RED, TREE]), protocol) == Answer("valid", (RED, TREE))


SCENE: Any = {
    "image_id": 1,
    "file": "none.png",
    "width": 224,
    "height": 160,
    "objects": [
        {"label": "red", "box_xyxy_px": [10, 20, 60, 70]},
        {"label": "tree", "box_xyxy_px": [100, 30, 180, 150]},
        {"label": "red", "box_xyxy_px": [120, 5, 150, 25]},
    ],
    "question": {},
    "sha256": "",
    "pixels_sha256": "",
}


@pytest.mark.parametrize("protocol", every_format()[::7], ids=lambda protocol: protocol.name)
def test_the_right_answer_scores_one_in_every_format(protocol: Protocol) -> None:
    frame = (448, 320) if protocol.needs_frame else None
    text = box_list_text(SCENE, protocol, frame)
    (row,) = KINDS["dense_bbox"].score([GivenAnswer(1, text, frame_wh_px=frame)], [SCENE], protocol)
    assert (row["tp@0.5"], row["n_pred"], row["n_gt"], row["status"]) == (3, 3, 3, "valid")
    cut = text[: text.rindex("]") if protocol.syntax == "plain" else -1]
    (row,) = KINDS["dense_bbox"].score([GivenAnswer(1, cut, frame_wh_px=frame)], [SCENE], protocol)
    assert (row["tp@0.5"] >= 2, row["status"]) == (True, "truncated")
