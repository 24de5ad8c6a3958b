"""The probes: what is asked of a model. A probe is one YAML file that lmms-eval and boxlist both read.

The YAML holds the prompt, the data set, the generation settings and the metrics; `kind` names the row of `KINDS` that
scores the answers. boxlist reads the files itself, so nothing here needs lmms-eval.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from boxlist.errors import InputError, unknown_name
from boxlist.metrics.pictures import PICTURE
from boxlist.metrics.table import METRICS
from boxlist.tasks.datasets.catalog import data_root
from boxlist.tasks.datasets.own.sets import own_probes
from boxlist.tasks.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from boxlist.metrics.inputs import GivenAnswer, ImageId, ImageRow
    from boxlist.protocols import Protocol
    from boxlist.tasks.datasets.split_folder import Document

_PLACEHOLDER = re.compile(r"(a JSON list of (?=\{box_format\}))?\{([a-z][a-z0-9_]*)\}")


@dataclass(frozen=True)
class Probe:
    """One probe. `prompt` is the template, before `render_prompt`; `metrics` are rows of `metrics.table.METRICS`."""

    task: str
    kind: str
    dataset: str
    prompt: str
    metrics: tuple[str, ...]
    generation_kwargs: Mapping[str, Any]
    yaml_path: Path

    @property
    def is_own(self) -> bool:
        """Whether it asks about a set of the user's own, so that its file lies with the data."""
        return not self.yaml_path.is_relative_to(tasks_path())


def tasks_path() -> Path:
    """The folder to give to `lmms-eval --include_path`."""
    return Path(__file__).resolve().parent


@cache
def probes() -> dict[str, Probe]:
    """Every probe of boxlist's by task name, sorted."""
    found = [_read_probe(path) for path in tasks_path().glob("*/*.yaml")]
    return {probe.task: probe for probe in sorted(found, key=lambda probe: probe.task)}


def probe_named(name: str) -> Probe:
    """Look a probe up by its task name, the user's own too; an unknown name is an `InputError` with near matches."""
    if name in probes():
        return probes()[name]
    if name not in task_names():
        raise unknown_name("task", name, task_names())
    return _read_probe(_own()[name])


def task_names() -> list[str]:
    """Every task: boxlist's, sorted, then the user's own."""
    return [*probes(), *_own()]


def _own() -> dict[str, Path]:
    return {path.stem: path for path in own_probes(data_root())}


def render_prompt(template: str, protocol: Protocol, question: Mapping[str, str] | None = None) -> str:
    """Fill a prompt template: `{box_format}` from the protocol, `a JSON list of {box_format}` by what it writes instead
    of such a list, if it writes another, any other `{word}` from the document's question;
    `{hint}` is a box of the question in the protocol's numbers.

    One pass, so that nothing filled in is filled in again; braces around anything but a small word are left alone.
    Raises `InputError` when the template asks for a word that the question does not have.

    >>> render_prompt('How many {counted}s? {"count": number}', None, {"counted": "star"})
    'How many stars? {"count": number}'
    """

    def fill(match: re.Match[str]) -> str:
        word = match[2]
        if word == "box_format":
            return protocol.list_format() if match[1] else protocol.box_format()
        if word == "hint" and question and word in question:
            return _hint(question[word], protocol)
        if not question or word not in question:
            raise InputError(
                "prompt",
                expected=f"a question that says {{{word}}}",
                got=", ".join(question or ()) or "no question",
                remedy="Give this prompt to a data set with questions.",
            )
        return question[word]

    return _PLACEHOLDER.sub(fill, template)


def _hint(words: str, protocol: Protocol) -> str:
    """Where a question's reference lies, in the protocol's own numbers: its box and the image's size come as JSON.

    Empty where the question has no reference. Raises `InputError` for a protocol that needs the resized image's size,
    which nobody knows before the model has read the image.
    """
    if not words:
        return ""
    *box_xyxy_px, width, height = json.loads(words)
    numbers = protocol.round(protocol.from_xyxy_px([box_xyxy_px], (width, height)))[0].tolist()
    return f" at [{', '.join(f'{number:g}' for number in numbers)}]"


def score_rows(
    probe: Probe, answers: Sequence[GivenAnswer], documents: Sequence[Document], protocol: Protocol
) -> list[ImageRow]:
    """Score the answers to a probe: one row an answer, in the order of the documents.

    Documents without an answer are left out. Raises `InputError` for an answer about no document, or two about one.
    """
    by_image: dict[ImageId, GivenAnswer] = {}
    known = {document["image_id"] for document in documents}
    for answer in answers:
        if answer.image_id not in known or answer.image_id in by_image:
            raise InputError(
                f"{probe.task}: answer to image {answer.image_id!r}",
                expected="one answer to an image of the data set",
                got="a second one" if answer.image_id in by_image else "an unknown image",
                remedy=f"Score answers against {probe.dataset} as it was asked.",
            )
        by_image[answer.image_id] = answer
    asked = [document for document in documents if document["image_id"] in by_image]
    kind = KINDS[probe.kind]
    rows = kind.score([by_image[document["image_id"]] for document in asked], asked, protocol)
    return kind.across(with_pictures(rows, asked))


def with_pictures(rows: Sequence[ImageRow], documents: Sequence[Document]) -> list[ImageRow]:
    """The rows of documents, in one order; those whose document names its picture name it too, and so are resampled
    with all others about it."""
    return [
        {**row, PICTURE: document["picture"]} if "picture" in document else row
        for row, document in zip(rows, documents, strict=True)
    ]


class _Loader(yaml.SafeLoader):
    """Plain YAML; `!function boxlist.x.y` stays the string that it is."""


def _dotted_name(loader: yaml.SafeLoader, node: yaml.Node) -> object:
    if not isinstance(node, yaml.ScalarNode):
        raise yaml.constructor.ConstructorError(None, None, "expected a dotted name", node.start_mark)
    return loader.construct_scalar(node)


_Loader.add_constructor("!function", _dotted_name)


def read_task_yaml(path: Path) -> dict[str, Any]:
    """A task's YAML with its includes merged as lmms-eval merges them: later and outer keys win, whole."""
    try:
        config = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a SafeLoader
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        got = " ".join(str(error).split())[:300]
        raise InputError(f"{path}", expected="a task in YAML", got=got, remedy="Correct the file.") from error
    if not isinstance(config, dict):
        got = type(config).__name__
        raise InputError(f"{path}", expected="a mapping", got=got, remedy="Correct the file.")
    included = config.pop("include", [])
    merged: dict[str, Any] = {}
    for name in reversed([included] if isinstance(included, str) else included):
        merged |= read_task_yaml(path.parent / name)
    return merged | config


def _read_probe(path: Path) -> Probe:
    config = read_task_yaml(path)
    try:
        listed = [entry["metric"] for entry in config["metric_list"]]
        return Probe(
            task=config["task"],
            kind=config["metadata"]["probe"],
            dataset=config["metadata"]["dataset"],
            prompt=config["lmms_eval_specific_kwargs"]["default"]["prompt"],
            metrics=tuple(name for name in listed if name in METRICS),
            generation_kwargs=config["generation_kwargs"],
            yaml_path=path,
        )
    except (KeyError, TypeError) as error:
        got = f"none of {error}"
        raise InputError(
            f"{path}", expected="every key of a probe", got=got, remedy="Compare with the others."
        ) from error
