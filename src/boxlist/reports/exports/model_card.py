"""The `model-index` block of a model card: the figures of one run, as hubs show them beside a model.

Made by huggingface_hub, which checks it as well. Goes between the `---` lines of an adapter's README.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from boxlist.metrics.table import METRICS
from boxlist.reports.exports.scores import source_scores
from boxlist.tasks.datasets.catalog import dataset_sha256

if TYPE_CHECKING:
    from collections.abc import Mapping

    from boxlist.reports.exports.source import Source

SHOWN = (
    *("f1@0.3", "f1@0.5", "duplicate_rate", "max_repeat", "parse_valid", "predictions_per_image", "trigger_rate"),
    *("target_shape_valid", "count_exact", "spatial_accuracy", "choice_accuracy", "referring_iou"),
)
_PIPELINE = "image-text-to-text"


def model_card(source: Source) -> tuple[str, list[str]]:
    """The block as YAML, `model-index:` and all, without the `---` lines; figures that are undefined are left out."""
    from huggingface_hub import EvalResult, ModelCardData

    task = source_scores(source)["tasks"][source.probe.task]
    dataset = source.probe.dataset
    results = [
        EvalResult(
            task_type=_PIPELINE,
            task_name=source.probe.task,
            dataset_type=f"boxlist/{dataset}",
            dataset_name=f"{dataset} ({source.protocol.name}, controls: {_controls(source.run)})",
            dataset_split="test",
            dataset_revision=dataset_sha256(dataset, "test"),
            metric_type=name,
            metric_name=f"{name}: {METRICS[name].definition}",
            metric_value=round(figure["value"], 4),
            metric_args=_interval(figure),
        )
        for name in SHOWN
        if (figure := task["metrics"].get(name)) is not None and figure["value"] is not None
    ]
    data = ModelCardData(model_name=_model_name(source), eval_results=results)
    text: str = data.to_yaml()
    return f"{text}\n", ["put it between the --- lines of the adapter's README.md"]


def _interval(figure: Mapping[str, Any]) -> dict[str, Any]:
    """What stands beside a figure: images, and the 95% interval where there is one."""
    bounds = {
        f"ci95_{end}": round(figure[f"ci_{end}"], 4) for end in ("low", "high") if figure[f"ci_{end}"] is not None
    }
    return {"images": figure["n"], **bounds}


def _controls(run: Mapping[str, Any]) -> str:
    given: Mapping[str, Any] = run.get("controls") or {}
    return ", ".join(name if value is True else f"{name}={value}" for name, value in given.items()) or "none"


def _model_name(source: Source) -> str:
    """The last part of the adapter's or the model's name: a path of this machine is nobody's business."""
    adapter, base = source.run.get("adapter") or {}, source.run.get("base") or {}
    return Path(str(adapter.get("path") or base.get("path") or source.path.stem)).name
