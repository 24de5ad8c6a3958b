"""The functions that the probes' YAML files name: documents in, messages out, answers scored, figures added up.

lmms-eval scores each document by itself and then adds a list up for each metric. Here every such item carries one
image's whole row of columns, and adding up is `metrics.summarise` over the rows in the order of their ids: the figures
and intervals are the very ones that `boxlist run` writes, bit for bit.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from boxlist.errors import InputError
from boxlist.metrics.inputs import GivenAnswer
from boxlist.metrics.summary import summarise
from boxlist.metrics.table import METRICS
from boxlist.protocols import DEFAULT_PROTOCOL, protocol_named
from boxlist.tasks.datasets.catalog import class_names, documents
from boxlist.tasks.datasets.pictures import open_picture
from boxlist.tasks.kinds import KINDS
from boxlist.tasks.probes import render_prompt, with_pictures
from boxlist.tasks.sealed import unseal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from datasets import Dataset
    from PIL.Image import Image

    from boxlist.metrics.inputs import ImageRow
    from boxlist.metrics.summary import MetricValue
    from boxlist.tasks.datasets.split_folder import Document

SEED = 0
IMAGES = "images"
"""The metric that counts images. Its items are the rows themselves, so that a log of samples holds each row once."""

End = Literal["value", "ci_low", "ci_high"]


@dataclass(frozen=True, slots=True)
class Item:
    """One image's row on its way to one figure. A log of samples shows only the columns that the figure is made of."""

    metric: str
    kind: str
    row: ImageRow

    def __str__(self) -> str:
        return " ".join(f"{column}={self.row[column]}" for column in dict.fromkeys(METRICS[self.metric].columns))


def load_documents(rows: Dataset) -> Dataset:
    """`process_docs`: turn the stub's one row, which names a data set and a split, into that split's documents.

    A document is one column of text: a table would give every object the keys of every other. No column is an image,
    so lmms-eval strips nothing before scoring.
    """
    from datasets import Dataset

    stub = rows[0]
    try:
        found = documents(stub["dataset"], stub["split"])
        classes = json.dumps(class_names(stub["dataset"], stub["split"]))
    except InputError as error:
        # lmms-eval tries five times and then says only that it gave up
        logging.getLogger(__name__).error("%s", error)  # noqa: TRY400 - one line, no traceback
        raise
    return Dataset.from_list(
        [
            {
                "image_id": document["image_id"],
                "file": document["file"],
                "document": json.dumps(document),
                "classes": classes,
            }
            for document in found
        ]
    )


def doc_to_visual(doc: Mapping[str, Any]) -> list[Image]:
    """The picture, for models that take text and pictures apart."""
    return [open_picture(_document(doc))]


def doc_to_text(doc: Mapping[str, Any], lmms_eval_specific_kwargs: Mapping[str, Any]) -> str:
    """The prompt in the default protocol."""
    prompt = lmms_eval_specific_kwargs["prompt"]
    return render_prompt(prompt, protocol_named(DEFAULT_PROTOCOL), _document(doc)["question"])


def doc_to_messages(doc: Mapping[str, Any], lmms_eval_specific_kwargs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One user turn: the picture, then the prompt in the default protocol.

    The picture carries its file, for models that send it on; the text its own template, question and classes, so that a
    boxlist model can write the prompt in its own protocol, and the options whose likelihood a probe may ask for. Other
    models pass these keys over.
    """
    words = {
        "type": "text",
        "text": doc_to_text(doc, lmms_eval_specific_kwargs),
        "template": lmms_eval_specific_kwargs["prompt"],
        "question": _document(doc)["question"],
        "classes": json.loads(doc["classes"]),
        "options": _document(doc).get("answer", {}).get("options", ()),
    }
    picture = {"type": "image", "url": doc_to_visual(doc)[0], "file": _document(doc)["file"]}
    return [{"role": "user", "content": [picture, words]}]


class _Functions(NamedTuple):
    """What a YAML file names for its kind of probe: the right answer's text, and the scores of one answer."""

    target: Callable[[Mapping[str, Any]], str]
    process: Callable[[Mapping[str, Any], Sequence[str]], dict[str, Any]]


def _functions(kind: str) -> _Functions:
    def target(doc: Mapping[str, Any]) -> str:
        return KINDS[kind].target(_document(doc), protocol_named(DEFAULT_PROTOCOL))

    def process(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, Any]:
        return _process(kind, doc, results)

    return _Functions(target, process)


target_dense_bbox, process_dense_bbox = _functions("dense_bbox")
target_inventory, process_inventory = _functions("inventory")
target_part_inventory, process_part_inventory = _functions("part_inventory")
target_spatial_count, process_spatial_count = _functions("spatial_count")
target_option_likelihood, process_option_likelihood = _functions("option_likelihood")
target_option_choice, process_option_choice = _functions("option_choice")
target_referring, process_referring = _functions("referring")
target_pointing, process_pointing = _functions("pointing")
target_shape_question, process_shape_question = _functions("shape_question")
target_absent, process_absent = _functions("absent")


def count(rows: Sequence[ImageRow]) -> int:
    """How many images were scored."""
    return len(rows)


def value(items: Sequence[Item]) -> float | None:
    """A metric's figure over images; None where it is undefined."""
    return _figure(items, "value")


def ci_low(items: Sequence[Item]) -> float | None:
    """The lower end of a metric's 95% interval."""
    return _figure(items, "ci_low")


def ci_high(items: Sequence[Item]) -> float | None:
    """The upper end of a metric's 95% interval."""
    return _figure(items, "ci_high")


def _document(doc: Mapping[str, Any]) -> Document:
    document: Document = json.loads(doc["document"])
    return document


def _process(kind: str, doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, Any]:
    """The image's row, once as it is and once for each figure.

    Whatever the model wrote, this does not raise: lmms-eval would try five times and then drop the whole evaluation.
    An answer without a trailer, or under a protocol of points where boxes are asked for, is read in the default one.
    """
    document = _document(doc)
    sealed = unseal(results[0] if results else "")
    protocol = sealed.protocol
    if protocol is None or (protocol.writes_points and not KINDS[kind].reads_points):
        protocol = protocol_named(DEFAULT_PROTOCOL)
    answer = GivenAnswer(document["image_id"], sealed.text, sealed.triggered, sealed.frame, sealed.tokens)
    (row,) = with_pictures(KINDS[kind].score([answer], [document], protocol), [document])
    figures: dict[str, Any] = {IMAGES: row}
    for name in KINDS[kind].metrics:
        ends = ("",) if METRICS[name].over_images == "maximum" else ("", "_ci_low", "_ci_high")
        figures.update({f"{name}{end}": Item(name, kind, row) for end in ends})
    return figures


def _figure(items: Sequence[Item], end: End) -> float | None:
    """Add up. All metrics of the probe are summarised together, as `boxlist run` does, since the last bits of an
    interval depend on which columns are resampled in one product."""
    first = items[0]
    rows = sorted((item.row for item in items), key=lambda row: row["image_id"])
    return _summary(first.kind, rows)[first.metric][end]


def _summary(kind: str, rows: list[ImageRow]) -> dict[str, MetricValue]:
    """The figures of all metrics, made once for the same rows: lmms-eval asks for each end of each one by one."""
    known = _LATEST.get(kind)
    if known is None or known[0] != rows:
        known = _LATEST[kind] = (rows, summarise(KINDS[kind].across(rows), KINDS[kind].metrics, SEED))
    return known[1]


_LATEST: dict[str, tuple[list[ImageRow], dict[str, MetricValue]]] = {}
