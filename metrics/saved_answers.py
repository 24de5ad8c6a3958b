"""Saved answers of any model: JSONL, one answer a line, `{"image_id": 17, "response": "[...]"}`.

`image_id` is the COCO id. A line may also have `frame` ([width, height] of the processor's resized image), `triggered`
(repeat-stop ended the answer) and `tokens`; other keys are let be. Blank lines are passed over.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from boxlist.errors import InputError
from boxlist.metrics.coco import is_image_id, read_text
from boxlist.metrics.inputs import GivenAnswer, ImageId
from boxlist.metrics.json_input import NotJsonError, is_whole_number, parse_json, show

if TYPE_CHECKING:
    from collections.abc import Collection

_FIX = "Fix or remove the line."


class SavedAnswers(NamedTuple):
    """The answers in the file's order, and the images that have none, in the ground truth's."""

    answers: list[GivenAnswer]
    missing: list[ImageId]


def read_saved_answers(path: str | Path, image_ids: Collection[ImageId]) -> SavedAnswers:
    """Read answers to `image_ids`. The first bad line is an `InputError` with its number."""
    path = Path(path)
    wanted = dict.fromkeys(image_ids)
    lines: dict[ImageId, int] = {}
    answers = []
    # not splitlines, which also breaks at characters that JSON allows in a string
    for number, line in enumerate(read_text(path, "saved answers, one JSON object a line").split("\n"), start=1):
        if not line.strip():
            continue
        answer = _read_line(line, f"{path.name}: line {number}", wanted)
        if answer.image_id in lines:
            raise InputError(
                f"{path.name}: line {number}",
                expected="one answer an image",
                got=f"a second one to image {answer.image_id!r}, after line {lines[answer.image_id]}",
                remedy="Remove one of the two lines.",
            )
        lines[answer.image_id] = number
        answers.append(answer)
    return SavedAnswers(answers, [image_id for image_id in wanted if image_id not in lines])


def _read_line(line: str, where: str, wanted: Collection[ImageId]) -> GivenAnswer:
    try:
        fields = parse_json(line)
    except NotJsonError as error:
        raise InputError(where, expected="a JSON object", got=f"no JSON ({error})", remedy=_FIX) from None
    if not isinstance(fields, dict):
        raise InputError(where, expected="a JSON object", got=show(fields), remedy=_FIX)
    for key in ("image_id", "response"):
        if key not in fields:
            raise InputError(where, expected=f'"{key}"', got=", ".join(map(show, fields)) or "{}", remedy=_FIX)
    image_id, text = fields["image_id"], fields["response"]
    if not is_image_id(image_id):
        raise InputError(where, expected="image_id, a number or text", got=show(image_id), remedy=_FIX)
    if image_id not in wanted:
        raise InputError(
            where,
            expected="the image_id of an image in the ground truth",
            got=show(image_id),
            remedy=_other_type(image_id, wanted) or "Score answers against the ground truth of their own images.",
        )
    if not isinstance(text, str):
        raise InputError(where, expected="response as text", got=show(text), remedy=_FIX)
    if len(fields) == 2:
        return GivenAnswer(image_id, text)
    return GivenAnswer(image_id, text, **_options(fields, where))


def _options(fields: dict[str, Any], where: str) -> dict[str, Any]:
    frame, triggered, tokens = fields.get("frame"), fields.get("triggered", False), fields.get("tokens")
    if frame is not None:
        if (
            not isinstance(frame, list)
            or len(frame) != 2
            or not all(is_whole_number(side) and side > 0 for side in frame)
        ):
            raise InputError(where, expected="frame as [width, height] in pixels", got=show(frame), remedy=_FIX)
        frame = (frame[0], frame[1])
    if not isinstance(triggered, bool):
        raise InputError(where, expected="triggered as true or false", got=show(triggered), remedy=_FIX)
    if tokens is not None and (not is_whole_number(tokens) or tokens < 0):
        raise InputError(where, expected="tokens as a whole number", got=show(tokens), remedy=_FIX)
    return {"frame_wh_px": frame, "triggered": triggered, "tokens": tokens}


def _other_type(image_id: ImageId, wanted: Collection[ImageId]) -> str | None:
    """The remedy when the ground truth has the same id as a number where this is text, or the other way round."""
    if isinstance(image_id, int) and str(image_id) in wanted:
        return f'The ground truth has it as text: write "{image_id}".'
    if isinstance(image_id, str) and image_id.isascii() and image_id.isdigit() and len(image_id) < 19:
        return f"The ground truth has it as a number: write {int(image_id)}." if int(image_id) in wanted else None
    return None
