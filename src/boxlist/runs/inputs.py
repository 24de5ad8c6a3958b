"""What the answers of a run depend on, gathered before any model is loaded: by content, never by path alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import boxlist
from boxlist.adapters_training.provenance import check_adapter
from boxlist.controls.list_watch import rules_of
from boxlist.errors import InputError
from boxlist.models import MODELS
from boxlist.models.generation import read_generation_kwargs
from boxlist.models.identity import adapter_folder
from boxlist.scanner import RecordScanner
from boxlist.tasks.probes import probe_named, render_prompt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from boxlist.controls.table import Controls
    from boxlist.models import ModelRow
    from boxlist.protocols import Protocol
    from boxlist.runs.answers_file import AnswerKey
    from boxlist.runs.request import RunRequest
    from boxlist.tasks.datasets.catalog import Document
    from boxlist.tasks.probes import Probe

SPLIT = "test"
# The sources that decide what is generated. Scores are worked out anew each time, so metrics are not among them.
CODE = ("*.py", "controls/**/*.py", "models/**/*.py", "tasks/harness.py", "tasks/probes.py", "tasks/sealed.py")
_NOT_CODE = frozenset(
    {
        *("__init__.py", "cli.py", "demo.py", "errors.py", "folder_lock.py", "progress.py"),
        *("strict_yaml.py", "whole_files.py"),
    }
)


class Question(NamedTuple):
    """One image of one task, as this run asks about it."""

    task: str
    doc_id: int
    image_id: int | str
    prompt_sha256: str
    image_sha256: str

    @property
    def key(self) -> AnswerKey:
        return self.task, self.image_id


@dataclass(frozen=True)
class TaskPlan:
    """One task of a run: its probe, its documents in order, and what generation gets."""

    probe: Probe
    documents: Sequence[Document]
    questions: Sequence[Question]
    generation_kwargs: Mapping[str, Any]
    dataset: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        return {
            "prompt": self.probe.prompt,
            "prompt_sha256": sha256_text(self.probe.prompt),
            "generation_kwargs": dict(self.generation_kwargs),
            "dataset": dict(self.dataset),
            "n": len(self.questions),
        }


@dataclass(frozen=True)
class RunInputs:
    """Everything that answers depend on."""

    rows: Mapping[str, Any]
    plans: Mapping[str, TaskPlan]
    versions: Mapping[str, str]
    warnings: Sequence[str] = ()

    @property
    def questions(self) -> list[Question]:
        return [question for plan in self.plans.values() for question in plan.questions]


def gather(request: RunRequest) -> RunInputs:
    """Check a request without loading the model, and hash everything that its answers depend on.

    Raises `InputError` for what is wrong with it: names, paths, options, an adapter that does not fit, images that
    are not the data set's.
    """
    RecordScanner(request.protocol)  # refuses what cannot be read back
    rules_of(request.controls, request.protocol)  # and what cannot be watched
    model = MODELS[request.model]
    plans = {name: _plan_of(request, name, model) for name in dict.fromkeys(request.tasks)}
    identity = model.identify(request.model_args)
    rows = {
        "model": request.model,
        **identity,
        "protocol": request.protocol.name,
        "controls": request.controls.to_kwargs(),
        "options": {n: value for n, value in request.model_args.items() if n not in model.no_option},
        "seed": request.seed,
        "tasks": {name: plan.to_json() for name, plan in plans.items()},
        "code": code_hashes(),
    }
    warnings: list[str] = []
    if identity["adapter"] is not None:
        folder = adapter_folder(identity["adapter"]["path"], request.text_arg("adapter_revision"))
        warnings = _check_adapter(folder, identity["base"], request, plans)
    return RunInputs(rows=rows, plans=plans, versions=versions(model.packages), warnings=warnings)


def plan_task(
    name: str, *, protocol: Protocol, controls: Controls, overrides: Mapping[str, Any], limit: int | None
) -> TaskPlan:
    """Look a task up, load its documents, and hash each image's bytes and each prompt as it will be sent."""
    from boxlist.tasks.datasets.catalog import class_names, dataset_sha256, documents, made_from

    probe = probe_named(name)
    chosen = documents(probe.dataset, SPLIT)[:limit]
    ending = controls.prompt_ending(class_names(probe.dataset, SPLIT) if controls.class_list else ())
    questions = []
    hashes: dict[str, str] = {}  # several questions may be about one file
    for doc_id, document in enumerate(chosen):
        prompt = render_prompt(probe.prompt, protocol, document["question"]) + ending
        image = hashes.get(document["file"]) or hashes.setdefault(document["file"], image_sha256(document))
        questions.append(Question(name, doc_id, document["image_id"], sha256_text(prompt), image))
    return TaskPlan(
        probe=probe,
        documents=chosen,
        questions=questions,
        generation_kwargs={**probe.generation_kwargs, **overrides, **controls.to_kwargs()},
        dataset={
            "name": probe.dataset,
            "split": SPLIT,
            "sha256": dataset_sha256(probe.dataset, SPLIT),
            "made_from": made_from(probe.dataset, SPLIT),
        },
    )


def image_sha256(document: Document) -> str:
    """Hash an image's bytes as they are now; `InputError` when they are not those of the data set."""
    found = sha256_file(Path(document["file"]))
    if found != document["sha256"]:
        raise InputError(
            f"image {document['image_id']}: {document['file']}",
            expected=f"the data set's image {document['sha256'][:12]}",
            got=f"other bytes, {found[:12]}",
            remedy="Restore it, or build the data again: boxlist data build NAME",
        )
    return found


def _plan_of(request: RunRequest, name: str, model: ModelRow) -> TaskPlan:
    plan = plan_task(
        name,
        protocol=request.protocol,
        controls=request.controls,
        overrides=request.generation_kwargs,
        limit=request.limit,
    )
    model.take(read_generation_kwargs(plan.generation_kwargs))
    if request.protocol.writes_points and "{box_format}" in plan.probe.prompt:
        raise InputError(
            f"protocol {request.protocol.name}",
            expected=f"one that writes boxes, which {name} asks for",
            got="one that writes points",
            remedy="Run pointing tasks by themselves under it.",
        )
    return plan


def _check_adapter(
    folder: Path, base: Mapping[str, Any], request: RunRequest, plans: Mapping[str, TaskPlan]
) -> list[str]:
    return check_adapter(
        folder,
        base_identity=base,
        protocol=request.protocol.name,
        any_protocol=request.any_protocol,
        prompts={name: plan.probe.prompt for name, plan in plans.items()},
        evaluation_images={
            digest: f"{plan.probe.dataset} {Path(document['file']).name}"
            for plan in plans.values()
            for document in plan.documents
            for digest in (document["sha256"], document["pixels_sha256"])
        },
    )


def code_hashes() -> dict[str, str]:
    """sha256 of each source file that generation depends on, by its path in the package."""
    root = Path(boxlist.__file__).parent
    files = {file.relative_to(root).as_posix(): file for pattern in CODE for file in root.glob(pattern)}
    return {name: sha256_file(files[name]) for name in sorted(files.keys() - _NOT_CODE)}


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Versions of what generation runs on, without importing any of it."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def sha256_text(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def sha256_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise InputError(str(path), expected="a file", got="none", remedy="Restore it or rebuild it.") from None
