"""One task of one run with its answers, truths and pictures at hand: each is read when it is asked for.

Nothing in a run folder is written, and no answer is taken for another data set's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from boxlist.controls.table import Controls
from boxlist.errors import InputError
from boxlist.metrics.inputs import GivenAnswer
from boxlist.protocols import protocol_named
from boxlist.runs.answers_file import AnswersFile
from boxlist.runs.folder import ANSWERS_FILE
from boxlist.tasks.datasets.catalog import class_names, dataset_sha256, documents
from boxlist.tasks.datasets.pictures import open_picture
from boxlist.tasks.kinds import KINDS
from boxlist.tasks.probes import probe_named, render_prompt
from boxlist.tasks.truths import ground_truth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from PIL import Image

    from boxlist.metrics.inputs import GroundTruth, ImageId
    from boxlist.protocols import Protocol
    from boxlist.reports.saved_runs import SavedRun, SavedTask
    from boxlist.tasks.datasets.catalog import Document
    from boxlist.tasks.probes import Probe

SPLIT = "test"
BOXES = "dense_bbox"
_BOX_KINDS = frozenset({BOXES, "absent"})


class PictureKey(NamedTuple):
    """Equal for the same picture in all runs and tasks: the data set's hash, and the image's id in it."""

    images: str
    image_id: ImageId


@dataclass(frozen=True)
class Answered:
    """What was asked, answered and right, image by image. `answers` gives them in the order of the ids given."""

    kind: str
    protocol: Protocol
    images: str
    image_ids: tuple[ImageId, ...]
    answers: Callable[[Sequence[ImageId]], Iterator[GivenAnswer]]
    truth: Callable[[ImageId], GroundTruth]
    picture: Callable[[ImageId], Image.Image]
    prompt: Callable[[ImageId], str]
    target: Callable[[ImageId], str]

    @property
    def has_boxes(self) -> bool:
        return self.kind in _BOX_KINDS

    def key(self, image_id: ImageId) -> PictureKey:
        return PictureKey(self.images, image_id)


class DocumentShelf:
    """The documents of each data set, read once for all runs."""

    def __init__(self) -> None:
        self._read: dict[str, tuple[str, list[Document]]] = {}

    def documents(self, name: str, sha256: str | None, where: str) -> list[Document]:
        """The data set's documents; `InputError` when it is not the one that the run was asked about."""
        if name not in self._read:
            found = documents(name, SPLIT)
            self._read[name] = dataset_sha256(name, SPLIT), found
        own, found = self._read[name]
        if own != sha256:
            raise InputError(
                where,
                expected=f"answers about the data set {name} as it is here, {own[:8]}",
                got=f"another, {str(sha256)[:8]}",
                remedy="Use the boxlist that made the run.",
            )
        return found


def from_run(run: SavedRun, task: SavedTask, shelf: DocumentShelf) -> Answered:
    """A run folder's task. `InputError` when its probe, its data or one of its answers is not there any more."""
    where = f"{run.path}: task {task.name}"
    probe = probe_named(task.name)
    wanted = set(task.image_ids)
    known: dict[ImageId, Document] = {
        d["image_id"]: d for d in shelf.documents(probe.dataset, task.terms.images, where) if d["image_id"] in wanted
    }
    answers = _open_answers(run.path / ANSWERS_FILE)
    keys = {(task.name, image_id) for image_id in wanted}
    if len(known) < len(wanted) or not keys <= answers.keys():
        raise InputError(
            where,
            expected=f"{len(wanted)} images and their answers",
            got=f"{len(known)} images, {len(keys & answers.keys())} answers",
            remedy="Repeat the run's command to ask again.",
        )
    protocol = protocol_named(str(run.run.get("protocol")))
    kind = KINDS[probe.kind]
    return Answered(
        kind=kind.name,
        protocol=protocol,
        images=str(task.terms.images),
        image_ids=task.image_ids,
        answers=partial(_read, answers, task.name),
        truth=lambda image_id: ground_truth(known[image_id]),
        picture=lambda image_id: open_picture(known[image_id]),
        prompt=_prompter(run, task, probe, protocol, known),
        # a frame is the resized image's size, which the truth of a probe without boxes does not need
        target=lambda image_id: "" if kind.name in _BOX_KINDS else kind.target(known[image_id], protocol),
    )


def _open_answers(path: Path) -> AnswersFile:
    """The answers of a finished run. A last line that is torn would be cut off on opening, so it is refused here."""
    if not path.is_file():
        raise InputError(str(path), expected="the run's answers", got="none", remedy="Charts need none; pictures do.")
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 1))
        if file.read() not in {b"", b"\n"}:
            raise InputError(
                str(path),
                expected="whole lines",
                got="a torn last one",
                remedy="Repeat the run's command to ask again.",
            )
    return AnswersFile(path)


def _read(answers: AnswersFile, task: str, image_ids: Sequence[ImageId]) -> Iterator[GivenAnswer]:
    for answer in answers.read([(task, image_id) for image_id in image_ids]):
        yield GivenAnswer(
            answer.image_id, answer.text, triggered=bool(answer.triggered), frame_wh_px=answer.frame_wh_px
        )


def _prompter(
    run: SavedRun, task: SavedTask, probe: Probe, protocol: Protocol, known: Mapping[ImageId, Document]
) -> Callable[[ImageId], str]:
    """The prompt as it was sent: the run's own template, and the sentences of its controls."""
    template = str(run.run["tasks"][task.name].get("prompt") or probe.prompt)
    controls = Controls.from_kwargs(run.run.get("controls") or {})
    ending = controls.prompt_ending(class_names(probe.dataset, SPLIT) if controls.class_list else ())
    return lambda image_id: render_prompt(template, protocol, known[image_id]["question"]) + ending
