"""The answers, ground truth and pictures of a file of `boxlist score`, which holds none of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from boxlist.errors import InputError
from boxlist.metrics.coco import read_coco, read_text
from boxlist.metrics.inputs import GivenAnswer
from boxlist.metrics.saved_answers import read_saved_answers
from boxlist.protocols import protocol_named
from boxlist.reports.page.answered import BOXES, Answered
from boxlist.tasks.datasets.fingerprints import file_sha256
from boxlist.tasks.datasets.pictures import open_picture

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from PIL import Image

    from boxlist.metrics.inputs import GroundTruth, ImageId
    from boxlist.reports.saved_runs import SavedRun


class Files(NamedTuple):
    """Where the answers that were scored lie, their ground truth, and its pictures."""

    answers: Path
    ground_truth: Path
    pictures: Path


class _NamedImage(msgspec.Struct, gc=False):
    id: int | str
    file_name: str = ""


class _NamedImages(msgspec.Struct):
    images: list[_NamedImage]


def from_files(run: SavedRun, files: Files) -> Answered:
    """The one task of a scores file; `InputError` where the files are not those that it was made from."""
    where = str(run.path)
    if run.run or len(run.tasks) != 1:
        raise InputError(
            where, expected="a file of boxlist score, with one task", got="another", remedy="Leave --answers out."
        )
    (task,) = run.tasks.values()
    if task.terms.images != file_sha256(files.ground_truth):
        raise InputError(
            str(files.ground_truth), expected=f"the ground truth of {where}", got="another", remedy="Give that one."
        )
    truths = read_coco(files.ground_truth, drop_invalid=True).truths
    saved = read_saved_answers(files.answers, truths)
    answers = {answer.image_id: answer for answer in saved.answers}
    pictures = _Pictures(files.pictures, _file_names(files.ground_truth), truths)

    def read(image_ids: Sequence[ImageId]) -> Iterator[GivenAnswer]:
        yield from (answers.get(image_id) or GivenAnswer(image_id, "") for image_id in image_ids)

    return Answered(
        kind=BOXES,
        protocol=protocol_named(str(task.terms.protocol)),
        images=str(task.terms.images),
        image_ids=task.image_ids,
        answers=read,
        truth=truths.__getitem__,
        picture=pictures.open,
        prompt=lambda _image_id: "",
        target=lambda _image_id: "",
    )


class _Pictures:
    """The pictures in a folder, by the names that the ground truth gives; nothing outside the folder is opened."""

    def __init__(self, folder: Path, names: Mapping[ImageId, str], truths: Mapping[ImageId, GroundTruth]) -> None:
        self._folder, self._names, self._truths = folder.resolve(), names, truths

    def open(self, image_id: ImageId) -> Image.Image:
        """The picture, RGB; `InputError` when it is not there, or of another size than the ground truth says."""
        name = self._names.get(image_id, "")
        path = (self._folder / name).resolve()
        if not name or not path.is_relative_to(self._folder) or not path.is_file():
            raise InputError(
                f"{self._folder}: image {image_id!r}",
                expected="its picture",
                got=f"no file {name[:80]!r}",
                remedy="Put it there.",
            )
        width, height = self._truths[image_id].size_wh_px
        return open_picture(
            {
                "image_id": 0,
                "file": str(path),
                "width": width,
                "height": height,
                "objects": [],
                "question": {},
                "sha256": "",
                "pixels_sha256": "",
            }
        )


def _file_names(ground_truth: Path) -> dict[ImageId, str]:
    try:
        found = msgspec.json.decode(read_text(ground_truth, "a COCO file"), type=_NamedImages)
    except msgspec.DecodeError as error:
        raise InputError(
            f"{ground_truth}: images", expected="file names as text", got=str(error)[:120], remedy="Fix the file."
        ) from None
    return {image.id: image.file_name for image in found.images}
