"""What a report shows: each task of each run under a short name of its own, and the views that share their images."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from boxlist.errors import InputError
from boxlist.reports.leaderboard.entries import shown
from boxlist.reports.page.answered import DocumentShelf, from_run
from boxlist.reports.page.curves import read_curves

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from boxlist.metrics.summary import MetricValue
    from boxlist.reports.page.answered import Answered
    from boxlist.reports.page.curves import Curves
    from boxlist.reports.saved_runs import SavedRun, SavedTask

LONGEST_LABEL = 34


@dataclass(frozen=True)
class View:
    """One task of one run. `label` tells the run from the others, `number` its place among them.

    `answered` is None where there are no answers, `curves` also where they hold no boxes.
    """

    label: str
    number: int
    run: SavedRun
    task: SavedTask
    answered: Answered | None = None
    curves: Curves | None = None

    def figure(self, metric: str) -> MetricValue | None:
        """The run's figure, None where it is undefined or not there."""
        found = self.task.figures.get(metric)
        return None if found is None or found["value"] is None else found

    def value(self, metric: str) -> float | None:
        found = self.figure(metric)
        return found["value"] if found else None

    @property
    def controls(self) -> dict[str, Any]:
        return dict(mapping(self.run.run.get("controls")))

    @property
    def base_key(self) -> str:
        """Equal for the same base weights, wherever they lay."""
        base = mapping(self.run.run.get("base"))
        return json.dumps({name: value for name, value in base.items() if name != "path"} or dict(base), sort_keys=True)

    @property
    def adapter(self) -> Mapping[str, Any]:
        return mapping(self.run.run.get("adapter"))


class Group(NamedTuple):
    """The views of one task over the same images; `differing` names terms that are not the same for all of them."""

    task: str
    n_images: int
    views: list[View]
    differing: list[str]


def make_views(runs: Sequence[SavedRun], given: Mapping[int, Answered], problem: Callable[[str], None]) -> list[View]:
    """A view for each task of each run; what has no answers to show is said through `problem`.

    `given` are answers that come from elsewhere, by the run's place.
    """
    shelf = DocumentShelf()
    views = []
    for number, (run, label) in enumerate(zip(runs, short_labels(runs), strict=True)):
        for task in run.tasks.values():
            view = View(label, number, run, task)
            try:
                answered = given[number] if number in given else _open(run, task, shelf)
                curves = read_curves(answered, task) if answered and answered.has_boxes else None
                view = View(label, number, run, task, answered, curves)
            except InputError as error:
                problem(f"{label}, {shown(task.name)}: no answers shown: {error}")
            views.append(view)
    return views


def _open(run: SavedRun, task: SavedTask, shelf: DocumentShelf) -> Answered | None:
    """None for a file of `boxlist score`, which has no answers beside it."""
    return from_run(run, task, shelf) if run.run else None


def make_groups(views: Sequence[View]) -> list[Group]:
    """The views by task and images, in the order of their first ones."""
    found: dict[tuple[str, str | None], list[View]] = defaultdict(list)
    for view in views:
        alone = not view.run.run and len(view.run.tasks) == 1  # its task is named after the answers file
        found["" if alone else view.task.name, view.task.terms.images].append(view)
    return [
        Group(
            task=shown(members[0].task.name),
            n_images=max(len(view.task.image_ids) for view in members),
            views=members,
            differing=[name for name, differs in _differing(members).items() if differs],
        )
        for members in found.values()
    ]


def _differing(views: Sequence[View]) -> dict[str, bool]:
    return {
        "number of images": len({len(view.task.image_ids) for view in views}) > 1,
        **{
            name: len({getattr(view.task.terms, name) for view in views}) > 1
            for name in ("prompt", "protocol", "definitions")
        },
    }


def short_labels(runs: Sequence[SavedRun]) -> list[str]:
    """The runs' names on one printable line, told apart by their folder, or by a number, where they are equal."""
    labels = [_clipped(shown(run.name)) for run in runs]
    again = {label for label, count in Counter(labels).items() if count > 1}
    labels = [
        _clipped(f"{shown(run.path.resolve().parent.name)}/{shown(run.name)}") if label in again else label
        for run, label in zip(runs, labels, strict=True)
    ]
    again = {label for label, count in Counter(labels).items() if count > 1}
    return [f"{label} #{place}" if label in again else label for place, label in enumerate(labels, start=1)]


def _clipped(label: str) -> str:
    """The middle goes: names begin with the model and end with the controls."""
    if len(label) <= LONGEST_LABEL:
        return label
    return f"{label[: LONGEST_LABEL // 2 - 1]}…{label[-LONGEST_LABEL // 2 :]}"


def mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
