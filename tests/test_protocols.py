"""Protocols: numbers worked by hand, round trips, what is written, and what is refused."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxlist.errors import InputError
from boxlist.protocols import (
    BOX_KEYS,
    DEFAULT_POINT_PROTOCOL,
    DEFAULT_PROTOCOL,
    LABEL_KEYS,
    POINT_KEYS,
    PROTOCOLS,
    Protocol,
    SizeWH,
    protocol_named,
)
from boxlist.records import Record
from boxlist.scanner import Answer, read_answer

BOX_PROTOCOLS = [protocol for protocol in PROTOCOLS.values() if not protocol.writes_points]
SIZE = SizeWH(200, 100)
FRAME = SizeWH(400, 50)
# the box with corners (20, 30) and (60, 50) in an image of 200 x 100, resized to 400 x 50
BOX_XYXY_PX = [20.0, 30.0, 60.0, 50.0]
BY_HAND: dict[str, list[float]] = {
    "pixel_xyxy": [20, 30, 60, 50],
    "norm1000_xyxy": [100, 300, 300, 500],
    "resized_pixel_xyxy": [40, 15, 120, 25],
    "norm1_xyxy": [0.1, 0.3, 0.3, 0.5],
    "norm1000_yxyx": [300, 100, 500, 300],
    "loc1024_yxyx": [307.2, 102.4, 512, 307.2],
    "pixel_xywh": [20, 30, 40, 20],
    "norm1_xywh": [0.1, 0.3, 0.2, 0.2],
    "norm1000_xywh": [100, 300, 200, 200],
    "pixel_cxcywh": [40, 40, 40, 20],
    "norm1_cxcywh": [0.2, 0.4, 0.2, 0.2],
    "norm1000_cxcywh": [200, 400, 200, 200],
}
WRITTEN = {
    "pixel_xyxy": '[{"bbox_2d": [20, 30, 60, 50], "label": "tree"}]',
    "norm1000_xyxy": '[{"bbox_2d": [100, 300, 300, 500], "label": "tree"}]',
    "resized_pixel_xyxy": '[{"bbox_2d": [40, 15, 120, 25], "label": "tree"}]',
    "norm1_xyxy": '[{"bbox_2d": [0.1, 0.3, 0.3, 0.5], "label": "tree"}]',
    "norm1000_yxyx": '[{"box_2d": [300, 100, 500, 300], "label": "tree"}]',
    "loc1024_yxyx": "<loc0307><loc0102><loc0512><loc0307> tree",
    "pixel_xywh": '[{"bbox": [20, 30, 40, 20], "label": "tree"}]',
    "norm1_xywh": '[{"bbox": [0.1, 0.3, 0.2, 0.2], "label": "tree"}]',
    "norm1000_xywh": '[{"bbox": [100, 300, 200, 200], "label": "tree"}]',
    "pixel_cxcywh": '[{"bbox": [40, 40, 40, 20], "label": "tree"}]',
    "norm1_cxcywh": '[{"bbox": [0.2, 0.4, 0.2, 0.2], "label": "tree"}]',
    "norm1000_cxcywh": '[{"bbox": [200, 400, 200, 200], "label": "tree"}]',
}


def test_every_box_protocol_is_worked_by_hand() -> None:
    assert {protocol.name for protocol in BOX_PROTOCOLS} == BY_HAND.keys() == WRITTEN.keys()


def test_rows_are_what_they_are_called() -> None:
    for name, protocol in PROTOCOLS.items():
        assert protocol.name == name
        assert name.endswith(f"_{protocol.order}")
        if protocol.syntax == "json":
            assert protocol.box_key in (POINT_KEYS if protocol.writes_points else BOX_KEYS)
        assert protocol.label_key in LABEL_KEYS
        assert protocol.n_coordinates == (2 if protocol.order in {"xy", "yx"} else 4)
    assert DEFAULT_PROTOCOL in PROTOCOLS
    assert PROTOCOLS[DEFAULT_POINT_PROTOCOL].writes_points


@pytest.mark.parametrize("protocol", BOX_PROTOCOLS, ids=lambda protocol: protocol.name)
def test_numbers_by_hand(protocol: Protocol) -> None:
    numbers = BY_HAND[protocol.name]
    np.testing.assert_allclose(protocol.from_xyxy_px(BOX_XYXY_PX, SIZE, FRAME), [numbers], rtol=1e-12)
    np.testing.assert_allclose(protocol.to_xyxy_px(numbers, SIZE, FRAME), [BOX_XYXY_PX], rtol=1e-12)


@pytest.mark.parametrize("protocol", BOX_PROTOCOLS, ids=lambda protocol: protocol.name)
def test_what_is_written_is_read_back(protocol: Protocol) -> None:
    rounded = protocol.round(BY_HAND[protocol.name])
    record = Record("tree", tuple(rounded.tolist()))
    assert protocol.write([record]) == WRITTEN[protocol.name]
    answer = read_answer(protocol.write([record, record]), protocol)
    assert answer.status == "valid"
    assert [one.key for one in answer.records] == [record.key] * 2


@settings(deadline=None)
@given(
    name=st.sampled_from([protocol.name for protocol in BOX_PROTOCOLS]),
    boxes=st.lists(st.tuples(*[st.floats(-2000, 2000)] * 4), max_size=4),
    size=st.tuples(st.integers(1, 4000), st.integers(1, 4000)),
    frame=st.tuples(st.integers(1, 4000), st.integers(1, 4000)),
)
def test_there_and_back(
    name: str, boxes: list[tuple[float, ...]], size: tuple[int, int], frame: tuple[int, int]
) -> None:
    protocol = PROTOCOLS[name]
    numbers = protocol.from_xyxy_px(boxes, size, frame)
    assert numbers.shape == (len(boxes), 4)
    back = protocol.to_xyxy_px(numbers, size, frame)
    np.testing.assert_allclose(back, np.reshape(boxes, (-1, 4)), rtol=1e-9, atol=1e-6)


POINT_PROTOCOLS = [protocol for protocol in PROTOCOLS.values() if protocol.writes_points]
# the point (20, 30) in an image of 200 x 100, resized to 400 x 50, and how it is written
POINT_BY_HAND: dict[str, tuple[list[float], str]] = {
    "percent_xy": ([10, 30], '<point x="10.0" y="30.0" alt="tree">tree</point>'),
    "pixel_xy": ([20, 30], '<point x="20.0" y="30.0" alt="tree">tree</point>'),
    "norm1000_xy": ([100, 300], '[{"point_2d": [100, 300], "label": "tree"}]'),
    "norm1000_yx": ([300, 100], '[{"point": [300, 100], "label": "tree"}]'),
    "resized_pixel_xy": ([40, 15], '[{"point_2d": [40, 15], "label": "tree"}]'),
}


@pytest.mark.parametrize("protocol", POINT_PROTOCOLS, ids=lambda protocol: protocol.name)
def test_points_by_hand(protocol: Protocol) -> None:
    numbers, written = POINT_BY_HAND[protocol.name]
    np.testing.assert_allclose(protocol.from_xy_px([20, 30], SIZE, FRAME), [numbers], rtol=1e-12)
    np.testing.assert_allclose(protocol.to_xy_px(numbers, SIZE, FRAME), [[20, 30]], rtol=1e-12)
    record = Record("tree", tuple(protocol.round(numbers).tolist()))
    assert protocol.write([record]) == written
    assert read_answer(written, protocol) == Answer("valid", (record,))


@pytest.mark.parametrize("key", POINT_KEYS)
def test_point_keys_are_read_under_every_json_protocol_of_points(key: str) -> None:
    for protocol in POINT_PROTOCOLS:
        if protocol.syntax == "json":
            text = f'[{{"{key}": [1, 2], "label": "tree"}}]'
            assert read_answer(text, protocol) == Answer("valid", (Record("tree", (1, 2)),))
            # a box is no point, and a point is no box
            assert read_answer('[{"bbox_2d": [1, 2], "label": "tree"}]', protocol).status == "malformed"
            assert read_answer(text, PROTOCOLS["norm1000_xyxy"]).status == "malformed"


def test_points_of_one_label_share_a_tag() -> None:
    percent = PROTOCOLS["percent_xy"]
    two = [Record('a "b" & <c>', (1, 2.5)), Record('a "b" & <c>', (39.04, 100))]
    label = "a &quot;b&quot; &amp; &lt;c&gt;"
    assert percent.write(two) == f'<points x1="1.0" y1="2.5" x2="39.04" y2="100.0" alt="{label}">{label}</points>'
    assert percent.write([two[0], Record("d", (3, 4))]) == (
        f'<point x="1.0" y="2.5" alt="{label}">{label}</point>\n<point x="3.0" y="4.0" alt="d">d</point>'
    )
    assert read_answer(percent.write(two[:1]), percent).records == (two[0],)
    assert percent.write([]) == ""


def test_nothing_is_clipped_or_reordered() -> None:
    protocol = PROTOCOLS["norm1000_xyxy"]
    np.testing.assert_allclose(protocol.to_xyxy_px([900, -10, 100, 2000], (100, 100)), [[90, -1, 10, 200]])


def test_every_image_may_have_its_own_size() -> None:
    protocol = PROTOCOLS["norm1000_xyxy"]
    boxes = protocol.to_xyxy_px([[100, 100, 500, 500]] * 2, [[100, 200], [10, 20]])
    np.testing.assert_allclose(boxes, [[10, 20, 50, 100], [1, 2, 5, 10]])


def test_a_resized_frame_must_be_given() -> None:
    protocol = PROTOCOLS["resized_pixel_xyxy"]
    assert protocol.needs_frame
    assert [name for name, row in PROTOCOLS.items() if row.needs_frame] == ["resized_pixel_xyxy", "resized_pixel_xy"]
    message = (
        "protocol resized_pixel_xyxy: expected the size of the resized image, got none. "
        "Give each answer a frame: [width, height], or use another protocol."
    )
    for convert in (protocol.to_xyxy_px, protocol.from_xyxy_px):
        with pytest.raises(InputError, match=re.escape(message)):
            convert([[1, 2, 3, 4]], SIZE)


def test_rounding_is_what_the_family_writes() -> None:
    assert PROTOCOLS["norm1000_xyxy"].round([10.4, 10.6, -0.2, 1000]).tolist() == [10, 11, 0, 1000]
    assert PROTOCOLS["norm1_xyxy"].round([0.12344, 0.12346, 0, 1]).tolist() == [0.1234, 0.1235, 0, 1]
    assert PROTOCOLS["loc1024_yxyx"].round([-3, 1023.4, 1023.6, 1024]).tolist() == [0, 1023, 1023, 1023]


def test_an_empty_list_is_written_and_read() -> None:
    for protocol in BOX_PROTOCOLS:
        text = protocol.write([])
        expected = Answer("empty", ()) if protocol.syntax == "loc" else Answer("valid", ())
        assert read_answer(text, protocol) == expected


def test_labels_are_written_as_they_are() -> None:
    record = Record('\u6a39 "x"', (1, 2, 3.5, 4))
    assert PROTOCOLS["norm1000_xyxy"].write([record]) == '[{"bbox_2d": [1, 2, 3.5, 4], "label": "\u6a39 \\"x\\""}]'


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "norm1000_xyxy",
            '{"bbox_2d": [x1, y1, x2, y2], "label": "..."} in thousandths of the image size, from 0 to 1000',
        ),
        ("pixel_xywh", '{"bbox": [x, y, width, height], "label": "..."} in pixels of the image'),
        ("norm1_cxcywh", '{"bbox": [center x, center y, width, height], "label": "..."} in shares of the image size'),
        ("resized_pixel_xyxy", '{"bbox_2d": [x1, y1, x2, y2], "label": "..."} in pixels of the resized image'),
        ("norm1000_yxyx", '{"box_2d": [y1, x1, y2, x2], "label": "..."} in thousandths'),
        ("loc1024_yxyx", "<loc y1><loc x1><loc y2><loc x2> label, separated by ' ; '"),
        ("percent_xy", '<point x="..." y="...">label</point> in percent of the image size, from 0 to 100'),
        ("norm1000_xy", '{"point_2d": [x, y], "label": "..."} in thousandths of the image size, from 0 to 1000'),
        ("norm1000_yx", '{"point": [y, x], "label": "..."} in thousandths of the image size, from 0 to 1000'),
    ],
)
def test_the_format_in_words(name: str, words: str) -> None:
    assert PROTOCOLS[name].box_format().startswith(words)


def test_an_unknown_protocol_lists_its_near_matches() -> None:
    with pytest.raises(InputError, match=r"^protocol 'norm1000_xyx': expected one of loc1024_yxyx, ") as raised:
        protocol_named("norm1000_xyx")
    assert raised.value.remedy.startswith("Did you mean ")
    assert "norm1000_xyxy" in raised.value.remedy
    assert protocol_named("pixel_xyxy") is PROTOCOLS["pixel_xyxy"]
