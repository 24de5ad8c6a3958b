"""`scores.json` as a person reads it: a block a task, a line a metric, with its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from boxlist.metrics.intervals import FEW_IMAGES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from boxlist.metrics.summary import MetricValue


def scores_text(scores: Mapping[str, Any]) -> str:
    """One block a task.

    >>> value = {"value": 0.5, "ci_low": 0.25, "ci_high": 0.75, "n": 80}
    >>> print(scores_text({"tasks": {"boxes": {"n": 80, "metrics": {"f1@0.3": value}}}}))
    boxes (80 images)
      f1@0.3  0.500  [0.250, 0.750]
    """
    blocks = []
    for name, task in scores["tasks"].items():
        width = max((len(metric) for metric in task["metrics"]), default=0)
        lines = [f"  {metric.ljust(width)}  {value_text(value)}" for metric, value in task["metrics"].items()]
        blocks.append("\n".join([f"{name} ({task['n']} images)", *lines]))
    return "\n\n".join(blocks)


def value_text(value: MetricValue) -> str:
    """A figure with its interval; `undefined` where there is none."""
    if value["value"] is None:
        return "undefined"
    if value["ci_low"] is None or value["ci_high"] is None:
        return f"{value['value']:.3f}"
    return f"{value['value']:.3f}  [{value['ci_low']:.3f}, {value['ci_high']:.3f}]"


def few_images_text(scores: Mapping[str, Any]) -> str | None:
    """A warning about tasks with so few images that their intervals are too narrow; None when there is none.

    >>> few_images_text({"tasks": {"boxes": {"n": 8}}})
    'warning: under 30 images intervals are narrower than they should be: boxes has 8'
    """
    counts = {name: task.get("pictures", task["n"]) for name, task in scores["tasks"].items()}
    few = [f"{name} has {count}" for name, count in counts.items() if count < FEW_IMAGES]
    if not few:
        return None
    return f"warning: under {FEW_IMAGES} images intervals are narrower than they should be: {', '.join(few)}"
