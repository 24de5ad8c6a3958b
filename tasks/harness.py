"""The functions that the probes' YAML files name: documents in, messages out, answers scored, figures added up.

lmms-eval scores each document by itself and then adds a list up for each metric. Here every such item carries one
image's whole row of columns, and adding up is `metrics.summarise` over the rows in the order of their ids: the figures
and intervals are the very ones that `boxlist run` writes, bit for bit.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from boxlist.errors import InputError
from boxlist.metrics.inputs import GivenAnswer
from boxlist.metrics.summary import summarise
from boxlist.metrics.table import METRICS
from boxlist.protocols import DEFAULT_PROTOCOL, protocol_named
from boxlist.tasks.datasets.catalog import class_names, documents
from boxlist.tasks.datasets.pictures import open_picture
from boxlist.tasks.kinds import KINDS
from boxlist.tasks.probes import render_prompt
from boxlist.tasks.sealed import unseal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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


def target_dense_bbox(doc: Mapping[str, Any]) -> str:
    """The right list of boxes, in the default protocol."""
    return _target("dense_bbox", doc)


def target_inventory(doc: Mapping[str, Any]) -> str:
    """The right inventory."""
    return _target("inventory", doc)


def target_part_inventory(doc: Mapping[str, Any]) -> str:
    """The right inventory of a photograph."""
    return _target("part_inventory", doc)


def target_spatial_count(doc: Mapping[str, Any]) -> str:
    """The right count and relation."""
    return _target("spatial_count", doc)


def target_option_likelihood(doc: Mapping[str, Any]) -> str:
    """The right option."""
    return _target("option_likelihood", doc)


def target_option_choice(doc: Mapping[str, Any]) -> str:
    """The right option."""
    return _target("option_choice", doc)


def target_referring(doc: Mapping[str, Any]) -> str:
    """The right box, in the default protocol."""
    return _target("referring", doc)


def target_pointing(doc: Mapping[str, Any]) -> str:
    """The right points, in percent."""
    return _target("pointing", doc)


def target_shape_question(doc: Mapping[str, Any]) -> str:
    """The right answer to a question about shapes."""
    return _target("shape_question", doc)


def target_absent(doc: Mapping[str, Any]) -> str:
    """The boxes of the classes that were asked for and are there, in the default protocol."""
    return _target("absent", doc)


def process_dense_bbox(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, Any]:
    """Score one answer to a dense-box probe."""
    return _process("dense_bbox", doc, results)


def process_inventory(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, Any]:
    """Score one answer to an inventory probe."""
    return _process("inventory", doc, results)


def process_part_inventory(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, Any]:
    """Score one answer to an inventory probe of photographs."""
    return _process("part_inventory", doc, results)


def process_spatial_count(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, Any]:
    """Score one answer to a spatial and count probe."""
    return _process("spatial_count", doc, results)


def process_option_likelihood(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, Any]:
    """Score the likelihoods of the options of one document."""
    return _process("option_likelihood", doc, results)


def process_option_choice(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, Any]:
    """Score one choice between options."""
    return _process("option_choice", doc, results)


def process_referring(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, Any]:
    """Score one answer to a referring expression."""
    return _process("referring", doc, results)


def process_pointing(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, Any]:
    """Score one answer to a pointing probe."""
    return _process("pointing", doc, results)


def process_shape_question(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, Any]:
    """Score one answer to a question about shapes."""
    return _process("shape_question", doc, results)


def process_absent(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, Any]:
    """Score one answer to a probe that names absent classes."""
    return _process("absent", doc, results)


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


def _target(kind: str, doc: Mapping[str, Any]) -> str:
    return KINDS[kind].target(_document(doc), protocol_named(DEFAULT_PROTOCOL))


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
    row = KINDS[kind].score([answer], [document], protocol)[0]
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
