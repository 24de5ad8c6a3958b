"""What a control costs and saves beside raw answers of the same adapter: columns of a study, no metrics of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from boxlist.controls.list_watch import replay as watch_again
from boxlist.controls.table import Controls
from boxlist.metrics.intervals import FEW_IMAGES, RESAMPLES, percentile_intervals
from boxlist.metrics.pictures import picture_column, pictures_of
from boxlist.metrics.summary import MetricValue, Parts, by_picture, resampled_values
from boxlist.protocols import protocol_named
from boxlist.runs.folder import read_run, read_scores
from boxlist.runs.inputs import SPLIT
from boxlist.tasks.datasets.catalog import documents
from boxlist.tasks.probes import probe_named
from boxlist.tasks.truths import box_list_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from boxlist.metrics.inputs import ImageRow
    from boxlist.protocol import Protocol

TP_LOST, TOKENS_SAVED, TRUTH_TRIGGER = "tp_lost@0.3", "tokens_saved", "truth_trigger_rate"
TRADE_COLUMNS = frozenset({TP_LOST, TOKENS_SAVED, TRUTH_TRIGGER})


def trade(row: Path, raw: Path, task: str, controls: Controls) -> dict[str, MetricValue]:
    """A run's folder beside that of the raw answers to the same questions.

    `tp_lost@0.3` is the share of the raw answers' true positives that the run's answers no longer have, negative where
    they gain some; since matching is one-to-one, repeats are none. `tokens_saved` is the share of the raw answers'
    tokens that were not generated, null where a run does not count its own (a replay). `truth_trigger_rate` is the
    share of images whose right list would set the controls off: what they cost a model that makes no mistakes.
    """
    scores = [read_scores(folder)["tasks"][task]["per_image"] for folder in (row, raw)]
    tokens = [read_run(folder)["tokens"] for folder in (row, raw)]
    return {
        TP_LOST: tp_lost(*scores),
        TOKENS_SAVED: _figure(None if None in tokens else 1 - tokens[0] / tokens[1], len(scores[0])),
        TRUTH_TRIGGER: truth_trigger_rate(task, protocol_named(read_run(row)["protocol"]), controls.on_list),
    }


def tp_lost(rows: Sequence[ImageRow], raw_rows: Sequence[ImageRow]) -> MetricValue:
    """The share of the raw true positives at IoU 0.3 that is gone, pooled, with its interval over the same images.

    Null where the raw answers have none.
    """
    kept = {row["image_id"]: row["tp@0.3"] for row in rows}
    raw = np.array([row["tp@0.3"] for row in raw_rows], dtype=np.float64)
    lost = raw - np.array([kept[row["image_id"]] for row in raw_rows], dtype=np.float64)
    if not raw.sum():
        return _figure(None, len(raw_rows))
    pictures = pictures_of(picture_column(raw_rows))
    samples = resampled_values([by_picture(Parts(lost, raw, raw > 0), pictures)], RESAMPLES, 0)
    (interval,) = percentile_intervals(samples)
    found = _figure(float(lost.sum() / raw.sum()), len(raw_rows))
    if interval is None:
        return found
    return {**found, "ci_low": interval.low, "ci_high": interval.high, "interval": "percentile"}


def truth_trigger_rate(task: str, protocol: Protocol, on_list: Controls) -> MetricValue:
    """How often the right list, in reading order, sets the controls off; null for those that watch no list."""
    found = documents(probe_named(task).dataset, SPLIT)
    if on_list == Controls() or protocol.needs_frame:
        return _figure(None, len(found))
    fired = [watch_again(box_list_text(document, protocol), protocol, on_list).triggered for document in found]
    return _figure(float(np.mean(fired)), len(found))


def _figure(value: float | None, n: int) -> MetricValue:
    return MetricValue(value=value, ci_low=None, ci_high=None, n=n, interval=None, few_images=n < FEW_IMAGES)
