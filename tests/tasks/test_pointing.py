"""The kind `pointing`: what the right answer looks like, in which protocol, and that it scores as right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from boxlist.metrics.inputs import GivenAnswer
from boxlist.protocols import PROTOCOLS
from boxlist.scanner import read_answer
from boxlist.tasks.kinds import KINDS
from boxlist.tasks.truths import point_protocol, points_text

if TYPE_CHECKING:
    from boxlist.tasks.datasets.split_folder import Document

DOCUMENT: Document = {
    "image_id": 1,
    "file": "/nowhere.png",
    "width": 200,
    "height": 100,
    "objects": [],
    "question": {"label": "men"},
    "answer": {"points_xy_px": [[62.0, 50.0], [38.0, 50.0], [38.0, 25.0]]},
    "sha256": "",
    "pixels_sha256": "",
}


def test_points_are_written_from_left_to_right_then_from_top_to_bottom() -> None:
    assert points_text(DOCUMENT, PROTOCOLS["percent_xy"]) == (
        '<points x1="19.0" y1="25.0" x2="19.0" y2="50.0" x3="31.0" y3="50.0" alt="men">men</points>'
    )
    assert points_text(DOCUMENT, PROTOCOLS["norm1000_yx"]).startswith('[{"point": [250, 190], "label": "men"}, ')


@pytest.mark.parametrize(
    "name", ["percent_xy", "pixel_xy", "norm1000_xy", "norm1000_yx", "norm1000_xyxy", "pixel_xyxy"]
)
def test_the_right_answer_is_right_under_any_protocol(name: str) -> None:
    """A run whose protocol writes boxes points in percent."""
    protocol = PROTOCOLS[name]
    kind = KINDS["pointing"]
    text = kind.target(DOCUMENT, protocol)
    assert read_answer(text, point_protocol(protocol)).status == "valid"
    (row,) = kind.score([GivenAnswer(1, text)], [DOCUMENT], protocol)
    assert (row["distance"], row["near_tp"], row["n_pred"], row["n_gt"]) == (0.0, 3, 3, 3)
    assert point_protocol(protocol).name == (name if protocol.writes_points else "percent_xy")
