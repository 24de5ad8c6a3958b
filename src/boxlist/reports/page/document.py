"""The report as one HTML file without a network: every text is escaped, and the policy runs the page's script only."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

from markupsafe import Markup

import boxlist
from boxlist.metrics.intervals import FEW_IMAGES, RESAMPLES
from boxlist.reports.leaderboard.cells import figure_text
from boxlist.reports.leaderboard.entries import shown
from boxlist.reports.page.figures import FIGURES, MAX_RUNS, draw_all
from boxlist.reports.page.ink import SERIES
from boxlist.reports.page.plates import make_plates
from boxlist.reports.page.sweeps import controls_text
from boxlist.reports.page.views import make_groups, make_views, mapping

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from boxlist.reports.page.answered import Answered
    from boxlist.reports.page.figures import Chart
    from boxlist.reports.page.plates import Plate
    from boxlist.reports.page.views import Group, View
    from boxlist.reports.saved_runs import SavedRun

_COLUMNS = (
    ("f1@0.3", "F1@0.3", True),
    ("f1@0.5", "F1@0.5", True),
    ("target_shape_valid", "right shape", True),
    ("count_exact", "right count", True),
    ("spatial_accuracy", "right relation", True),
    ("question_accuracy", "right answers", True),
    ("right_empty_list", "right empty list", True),
    ("hallucinated_class_rate", "absent classes found", True),
    ("choice_accuracy", "right choice", True),
    ("referring_iou", "mean IoU", True),
    ("duplicate_rate", "duplicate rate", True),
    ("max_repeat", "max repeat", False),
    ("parse_valid", "parse-valid", False),
    ("predictions_per_image", "records an image", False),
    ("trigger_rate", "trigger rate", False),
)
"""The table's metrics: name, head, whether the interval is told."""


class RunRow(NamedTuple):
    """A run in a group's table."""

    view: View
    base: str
    adapter: str
    controls: str
    cells: list[str]


class Section(NamedTuple):
    """A group with its table and figures."""

    group: Group
    heads: list[str]
    rows: list[RunRow]
    charts: list[Chart]


def make_report(
    runs: Sequence[SavedRun],
    *,
    given: Mapping[int, Answered] | None = None,
    n_images: int,
    problems: Sequence[str] = (),
    say: Callable[[str], None],
) -> str:
    """The whole page. `given` are answers from elsewhere, by the run's place; `say` hears of what is left out."""
    said = list(problems)

    def problem(line: str) -> None:
        said.append(line)
        say(line)

    views = make_views(runs, given or {}, problem)
    sections = [_section(group, f"g{number}") for number, group in enumerate(make_groups(views))]
    plates = make_plates(views, n_images, problem)
    return render(views, sections, plates, said)


def render(views: Sequence[View], sections: Sequence[Section], plates: Sequence[Plate], problems: Sequence[str]) -> str:
    """The page's HTML. Its own style and script are marked as safe, and nothing else but the charts."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(_own_file),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    drawn = {chart.row for section in sections for chart in section.charts}
    style, script = _own_file("_page.css"), _own_file("_page.js")
    return environment.get_template("_page.html.jinja").render(
        policy=_policy(script),
        style=Markup(style),  # noqa: S704 - this package's own
        script=Markup(script),  # noqa: S704 - likewise
        version=boxlist.__version__,
        sections=sections,
        plates=plates,
        choices=_choices(views, plates),
        problems=problems,
        not_drawn=[row for row in FIGURES if row not in drawn],
        n_runs=len({view.number for view in views}),
        resamples=RESAMPLES,
        few=FEW_IMAGES,
        max_runs=MAX_RUNS,
        n_colours=len(SERIES),
    )


def _policy(script: str) -> str:
    """Nothing loads from anywhere, and only this script runs. Charts have styles of their own, hence unsafe-inline."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _own_file(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")


def _choices(views: Sequence[View], plates: Sequence[Plate]) -> list[dict[str, Any]]:
    """What the list of views offers: those that some picture has, in their order."""
    there = {panel.view for plate in plates for panel in plate.panels}
    several = len({view.task.name for view in views}) > 1
    return [
        {
            "number": number,
            "text": f"{view.label} · {shown(view.task.name)}" if several else view.label,
            "boxes": bool(view.answered and view.answered.has_boxes),
        }
        for number, view in enumerate(views)
        if number in there
    ]


def _last_parts(path: object, n_parts: int) -> str:
    """The end of a path, or of a hub id; empty where there is none."""
    return shown("/".join(str(path or "").strip("/").split("/")[-n_parts:]))


def _section(group: Group, prefix: str) -> Section:
    columns = [column for column in _COLUMNS if any(view.figure(column[0]) for view in group.views)]
    rows = [
        RunRow(
            view,
            _last_parts(mapping(view.run.run.get("base")).get("path"), 2),
            _last_parts(view.adapter.get("path"), 1),
            shown(controls_text(view.controls)) if "controls" in view.run.run else "",
            [figure_text(name, view.task.figures.get(name), with_interval=interval) for name, _, interval in columns],
        )
        for view in group.views
    ]
    return Section(group, [head for _, head, _ in columns], rows, draw_all(group.views, prefix))
