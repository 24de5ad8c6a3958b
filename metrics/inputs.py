"""What is scored: the answers that were given, and the ground truth of the images they are about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from boxlist.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

ImageId: TypeAlias = int | str
ImageRow: TypeAlias = dict[str, Any]
"""One image's columns, ready for JSON; an undefined value is None. A list of them is `per_image` in scores.json."""


class GroundTruth(NamedTuple):
    """The objects of one image: `boxes_xyxy_px` is `(N, 4)`, exclusive right and bottom ends, `labels` its N labels."""

    image_id: ImageId
    labels: tuple[str, ...]
    boxes_xyxy_px: NDArray[np.float64]
    size_wh_px: tuple[int, int]


class PointTruth(NamedTuple):
    """What one question asks to point at: `points_xy_px` is `(N, 2)`, in pixels of the original image."""

    image_id: ImageId
    points_xy_px: NDArray[np.float64]
    size_wh_px: tuple[int, int]


class GivenAnswer(NamedTuple):
    """A model's text for one image; `frame_wh_px` is the processor's resized image, which some protocols need."""

    image_id: ImageId
    text: str
    triggered: bool = False
    frame_wh_px: tuple[int, int] | None = None
    tokens: int | None = None


def answers_in_order(answers: Iterable[GivenAnswer], image_ids: Sequence[ImageId]) -> list[GivenAnswer]:
    """One answer for each image, in their order; an image without one has the empty answer.

    Raises `InputError` for an image id that is there twice, two answers to one image, and an answer to another image.
    """
    answers = list(answers)
    by_image: dict[ImageId, GivenAnswer | None] = dict.fromkeys(image_ids)
    if len(by_image) != len(image_ids):
        twice = next(image_id for place, image_id in enumerate(image_ids) if image_id in image_ids[:place])
        raise InputError(
            f"ground truth of image {twice!r}", expected="one", got="two", remedy="Give each image its own id."
        )
    if [answer.image_id for answer in answers] == list(by_image):  # the usual case, and the fastest
        return answers
    for answer in answers:
        if by_image.get(answer.image_id, answer) is not None:
            known = answer.image_id in by_image
            raise InputError(
                f"answer to image {answer.image_id!r}",
                expected="one answer an image" if known else "an image that has a ground truth",
                got="a second one" if known else "an unknown id",
                remedy="Score answers against the ground truth of their own images.",
            )
        by_image[answer.image_id] = answer
    return [answer or GivenAnswer(image_id, "") for image_id, answer in by_image.items()]
