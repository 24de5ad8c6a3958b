"""What is exported: the answers to one task, from a run folder or from the samples that lmms-eval logged.

lmms-eval's `*_samples_TASK.jsonl` (`--log_samples`) holds every answer, so it is scored here as a run would be. Its
`*_results.json` holds figures added up over images and no answers: nothing can be made of it, and that is said.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from boxlist.errors import InputError, unknown_name
from boxlist.metrics.coco import read_text
from boxlist.metrics.inputs import GivenAnswer
from boxlist.metrics.json_input import NotJsonError, is_whole_number, parse_json
from boxlist.protocols import DEFAULT_PROTOCOL, Protocol, protocol_named
from boxlist.runs.folder import RUN_FILE, RunFolder, read_run
from boxlist.tasks.datasets.catalog import documents
from boxlist.tasks.harness import IMAGES
from boxlist.tasks.probes import Probe, probe_named
from boxlist.tasks.sealed import unseal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from boxlist.tasks.datasets.split_folder import Document

SPLIT = "test"
_SAMPLES_NAME = re.compile(r"(?:.*_)?samples_(\w+)")


@dataclass(frozen=True)
class Source:
    """The answers to one task, each with its document, in the documents' order. `run` is run.json, or empty."""

    path: Path
    probe: Probe
    protocol: Protocol
    documents: Sequence[Document]
    answers: Sequence[GivenAnswer]
    run: Mapping[str, Any]


def read_source(path: Path, *, task: str | None = None, protocol: str | None = None) -> Source:
    """Read a finished run folder, or lmms-eval's samples. Raises `InputError` for anything else.

    `task` chooses among a run's tasks, and names that of a samples file whose name does not. `protocol` is for
    samples of models that are not boxlist's.
    """
    if path.is_dir():
        return _from_run(path, task)
    if path.suffix == ".jsonl":
        return _from_samples(path, task, protocol)
    raise InputError(
        str(path),
        expected="a run folder, or lmms-eval's *_samples_TASK.jsonl",
        got="a file of figures without the answers" if path.suffix == ".json" else "neither",
        remedy="Figures alone say nothing about single images: run lmms-eval with --log_samples.",
    )


def _from_run(path: Path, task: str | None) -> Source:
    run = read_run(path)
    if run.get("status") != "complete":
        raise InputError(
            str(path / RUN_FILE), expected="a finished run", got="an unfinished one", remedy="Repeat its command."
        )
    probe = probe_named(_chosen_task(path, task, run["tasks"]))
    asked = run["tasks"][probe.task]
    chosen = documents(probe.dataset, SPLIT)[: asked["n"]]
    with RunFolder.open(path) as folder:
        stored = folder.answers.read([(probe.task, document["image_id"]) for document in chosen])
        answers = [GivenAnswer(a.image_id, a.text, a.triggered, a.frame_wh_px, a.tokens) for a in stored]
    return Source(path, probe, protocol_named(run["protocol"]), chosen, answers, run)


def _chosen_task(path: Path, task: str | None, tasks: Mapping[str, Any]) -> str:
    if task is not None and task not in tasks:
        raise unknown_name(f"{path}: task", task, tasks)
    if task is None and len(tasks) != 1:
        raise InputError(str(path), expected="--task", got=f"a run of {', '.join(tasks)}", remedy="Choose one of them.")
    return task or next(iter(tasks))


def _from_samples(path: Path, task: str | None, protocol: str | None) -> Source:
    named = _SAMPLES_NAME.fullmatch(path.stem)
    name = task or (named[1] if named else None)
    if name is None:
        raise InputError(str(path), expected="--task", got="a name without one", remedy="Say which task was asked.")
    probe = probe_named(name)
    every = documents(probe.dataset, SPLIT)
    chosen: Protocol | None = protocol_named(protocol) if protocol else None
    found: dict[int, GivenAnswer] = {}
    # not splitlines, which also breaks at characters that JSON allows in a string
    for number, line in enumerate(read_text(path, "lmms-eval's samples").split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path.name}: line {number}"
        doc_id, text = _sample(line, where, every)
        if doc_id in found:
            raise InputError(where, expected="one answer a document", got="a second one", remedy="Remove one of them.")
        sealed = unseal(text)
        chosen = _same_protocol(where, chosen, sealed.protocol)
        document = every[doc_id]
        found[doc_id] = GivenAnswer(document["image_id"], sealed.text, sealed.triggered, sealed.frame, sealed.tokens)
    if not found:
        raise InputError(str(path), expected="samples", got="none", remedy="Run lmms-eval with --log_samples.")
    order = sorted(found)
    used = chosen or protocol_named(DEFAULT_PROTOCOL)
    return Source(path, probe, used, [every[index] for index in order], [found[index] for index in order], {})


def _sample(line: str, where: str, every: Sequence[Document]) -> tuple[int, str]:
    """The number of the document and the text of the answer on one line."""
    try:
        fields = parse_json(line, unique_keys=False)
    except NotJsonError as error:
        raise InputError(where, expected="JSON", got=str(error), remedy="Log the samples again.") from None
    doc_id = fields.get("doc_id") if isinstance(fields, dict) else None
    if not isinstance(fields, dict) or not is_whole_number(doc_id) or not 0 <= doc_id < len(every):
        raise _other_data(where, f"a doc_id below {len(every)}", json.dumps(doc_id)[:40])
    scored = fields.get(IMAGES)  # the row of boxlist's own tasks, which says what the number of the document does not
    if isinstance(scored, dict) and scored.get("image_id") != every[doc_id]["image_id"]:
        raise _other_data(where, f"image {every[doc_id]['image_id']}", json.dumps(scored.get("image_id"))[:40])
    answer = fields.get("filtered_resps")
    while isinstance(answer, list) and len(answer) == 1:
        answer = answer[0]
    if not isinstance(answer, str):
        got = type(answer).__name__
        raise InputError(where, expected="one text in filtered_resps", got=got, remedy="Log one answer a document.")
    return int(doc_id), answer


def _other_data(where: str, expected: str, got: str) -> InputError:
    remedy = "Give the samples of this task, logged with this version's data."
    return InputError(where, expected=expected, got=got, remedy=remedy)


def _same_protocol(where: str, chosen: Protocol | None, sealed: Protocol | None) -> Protocol | None:
    """What the answers say of themselves, which boxlist's models do, must be what was said before."""
    if sealed is None or chosen is None:
        return chosen or sealed
    if sealed.name != chosen.name:
        raise InputError(where, expected=f"protocol {chosen.name}", got=sealed.name, remedy="Drop --protocol.")
    return chosen
