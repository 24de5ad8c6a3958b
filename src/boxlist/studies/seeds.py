"""Rows of several training seeds: an adapter each, one figure of all of them, and differences between rows."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

from boxlist.errors import InputError
from boxlist.metrics.columns import to_columns
from boxlist.metrics.over_seeds import differences_over_seeds, figures_over_seeds
from boxlist.metrics.pictures import picture_column
from boxlist.metrics.table import METRICS
from boxlist.studies.pool import recipe_of
from boxlist.studies.trade import TRADE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from boxlist.metrics.columns import Columns
    from boxlist.metrics.over_seeds import SeedDifference
    from boxlist.metrics.summary import MetricValue, TaskScores
    from boxlist.reports.control_table import Cells
    from boxlist.studies.grid import Asked, GridRow
    from boxlist.studies.study_file import AdapterSource, Study, StudyModel

DIFFERENCES = (
    "Differences are from the block's first row, paired by image and by seed, and called different where the interval "
    "leaves 0 out, with no correction for how many of them there are."
)
_SEEDS = (
    "Rows are over training seeds {seeds}: the mean of their figures (max repeat: the largest). Intervals resample "
    "seeds and images, the same images for every seed. {n} seeds are few: where they differ more than images do, an "
    "interval reaches no further than from the lowest to the highest, and what makes no difference at all still falls "
    "on one side for all of them in one case of {chance}."
)


class SeedRun(NamedTuple):
    """The run of one training seed, and where its adapter comes from."""

    seed: int
    source: AdapterSource
    asked: Asked


def seed_runs(where: str, model: StudyModel, asked: Asked, seeds: Sequence[object]) -> tuple[SeedRun, ...]:
    """A run a seed: of the adapter itself for the seed that its recipe has, of `<role>-seed<N>` for others.

    Raises `InputError` for seeds that are none, an adapter that is not trained here, and a role of such a name.
    """
    role = asked.adapter
    source = model.adapters[role]
    if not seeds or len(set(map(str, seeds))) < len(seeds):
        raise InputError(where, expected="seeds, each once", got=str(seeds)[:80], remedy="Write them as [0, 1, 2].")
    if source.recipe is None:
        raise InputError(
            where,
            expected="a recipe, to train it once a seed",
            got="an adapter from elsewhere" if source.path else "none",
            remedy="Name one, or take the seeds away.",
        )
    own = recipe_of(source).seed
    runs = []
    for seed in seeds:
        changed = dataclasses.replace(source, changes={**source.changes, "seed": seed})
        number = recipe_of(changed).seed
        if number == own:
            runs.append(SeedRun(number, source, asked))
            continue
        name = f"{role}-seed{number}"
        if model.adapters.get(name, changed) != changed:
            raise InputError(
                where, expected=f"no other adapter called {name}", got="one", remedy="Rename that one: it is of a seed."
            )
        runs.append(SeedRun(number, changed, asked._replace(adapter=name)))
    return tuple(runs)


def refuse_unpaired(where: str, rows: Sequence[GridRow]) -> None:
    """Rows to compare are of one task, and of the same seeds where they have any; otherwise an `InputError`."""
    tasks = dict.fromkeys(row.asked.task for row in rows)
    seeds = dict.fromkeys(tuple(run.seed for run in row.seeds) for row in rows if row.seeds)
    for expected, found in (("rows of one task", tasks), ("rows of the same seeds", seeds)):
        if len(found) > 1:
            raise InputError(
                f"{where}: differences",
                expected=expected,
                got=" and ".join(map(str, found)),
                remedy="Put the others into a block of their own.",
            )


def refuse_trade_columns(study: Study, rows: Iterable[GridRow]) -> None:
    """What a control costs is worked out run by run; no figure of it is over seeds."""
    wrong = sorted(TRADE_COLUMNS.intersection(study.columns))
    if wrong and any(row.seeds for row in rows):
        raise InputError(
            f"study {study.name}: columns",
            expected="columns of metrics, with seeds",
            got=", ".join(wrong),
            remedy="Take them away, or the seeds.",
        )


class SeedFigures(NamedTuple):
    """What a row with seeds, or in a block with differences, has beside its figures.

    `by_seed` are each run's own figures, `differences` those from the block's first row, none for that row itself.
    """

    by_seed: Sequence[Mapping[str, MetricValue]]
    differences: Mapping[str, SeedDifference]


def over_seeds(runs: Sequence[TaskScores]) -> dict[str, MetricValue]:
    """One task's figures over the runs of all seeds."""
    metrics = [name for name in runs[0]["metrics"] if name in METRICS]
    return figures_over_seeds(_columns(runs, metrics), metrics)


def row_differences(
    first: Sequence[TaskScores], row: Sequence[TaskScores], metrics: Sequence[str]
) -> dict[str, SeedDifference]:
    """A row's figures less those of the first, paired by image and by seed."""
    columns = _columns([*first, *row], metrics)
    return differences_over_seeds(columns[: len(first)], columns[len(first) :], metrics)


def seed_note(rows: Iterable[GridRow]) -> str | None:
    """What a reader has to know of rows of several seeds."""
    seeds = next((row.seeds for row in rows if len(row.seeds) > 1), None)
    if seeds is None:
        return None
    return _SEEDS.format(seeds=", ".join(str(run.seed) for run in seeds), n=len(seeds), chance=2 ** (len(seeds) - 1))


def difference_table(rows: Sequence[tuple[str, SeedFigures]], metrics: Sequence[str]) -> Cells:
    """A line a row, under a head: its name, and for each metric the seeds' own figures and the difference."""
    head = ["row", *(text for name in metrics for text in (f"{name}, seed by seed", "difference [95%]"))]
    return [
        head,
        *(
            [name, *(cell for metric in metrics for cell in (_each(found, metric), _difference(found, metric)))]
            for name, found in rows
        ),
    ]


def _each(found: SeedFigures, metric: str) -> str:
    values = [run[metric]["value"] for run in found.by_seed]
    return " / ".join("undefined" if value is None else f"{value:.3f}" for value in values)


def _difference(found: SeedFigures, metric: str) -> str:
    one = found.differences.get(metric)
    if one is None or one.difference is None:
        return ""
    text = f"{one.difference:+.3f}"
    if one.ci_low is not None and one.ci_high is not None:
        text += f" [{one.ci_low:+.3f}, {one.ci_high:+.3f}]"
    return f"{text}, different" if one.leaves_zero_out else text


def _columns(runs: Sequence[TaskScores], metrics: Sequence[str]) -> list[Columns]:
    """Of each run the columns of the metrics. Runs of a task are over its images in the order of its data set."""
    ids = [[row["image_id"] for row in run["per_image"]] for run in runs]
    if any(others != ids[0] for others in ids):
        raise InputError("rows over seeds", expected="runs of the same images", got="others", remedy="Pass --fresh.")
    needed = dict.fromkeys(column for name in metrics for column in METRICS[name].columns)
    return [to_columns(run["per_image"], needed) | picture_column(run["per_image"]) for run in runs]
