"""Run a model: gather its inputs, ask what has no answer yet, keep each answer as it comes, score."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from boxlist.errors import BoxlistError
from boxlist.runs.answers_file import StoredAnswer
from boxlist.runs.changes import drift, refuse_changes, refuse_other_dtype
from boxlist.runs.folder import RunFolder
from boxlist.runs.inputs import gather, sha256_text
from boxlist.runs.progress import Progress
from boxlist.runs.scoring import score_answers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from boxlist.models.answers import ModelAnswer
    from boxlist.runs.inputs import Question, RunInputs
    from boxlist.runs.request import RunRequest

Say = Callable[[str], None]


class RunResult(NamedTuple):
    """A finished run: its folder, what `run.json` and `scores.json` say, and how many answers this call computed."""

    path: Path
    run: Mapping[str, Any]
    scores: Mapping[str, Any]
    computed: int


class RunInterruptedError(KeyboardInterrupt):
    """Ctrl-C during a run: says what is kept and how to go on."""


def run(request: RunRequest, say: Say = lambda _: None) -> RunResult:
    """Do what is asked, or what is left of it. `say` gets one line about anything the user should know.

    Raises `InputError` before anything is written when the request is wrong, when the folder is in use, or when its
    answers were made from other inputs; `RunInterruptedError` on Ctrl-C.
    """
    inputs = gather(request)
    for warning in inputs.warnings:
        say(warning)
    with RunFolder.open(request.path) as folder:
        if not request.fresh:
            refuse_changes(folder, inputs)
            _tell(folder, inputs, request, say)
        stored = set() if request.fresh else folder.answers.keys()
        missing = [question for question in inputs.questions if question.key not in stored]
        if missing:
            _ask(request, inputs, folder, missing, say)
        scores = score_answers(folder, inputs.plans, request.protocol, request.seed)
        folder.write_scores(scores)
        row = _run_row(request, inputs, folder)
        folder.write_run(row)
    return RunResult(request.path, row, scores, len(missing))


def _tell(folder: RunFolder, inputs: RunInputs, request: RunRequest, say: Say) -> None:
    """One line about each thing that is worth knowing and no reason to stop."""
    if folder.answers.dropped_torn_line:
        say(f"{folder.path}: the last answer was cut off when the run was killed; it is asked again")
    drifted = drift(folder.run() or {}, inputs.versions, request.batch_size)
    if drifted and folder.answers.keys():
        say(f"{folder.path}: has answers from other conditions, which may differ slightly: {'; '.join(drifted)}")


def _ask(request: RunRequest, inputs: RunInputs, folder: RunFolder, missing: Sequence[Question], say: Say) -> None:
    """Load the model, ask, and keep each answer as it arrives."""
    from boxlist.runs.requests import build_requests

    began = time.monotonic()
    model = _load(request)
    instances, questions = build_requests(model, request.model, inputs.plans, missing)
    if request.fresh and (deleted := folder.discard()):
        say(f"{folder.path}: {deleted} answers deleted (--fresh)")
    conditions = model.conditions
    refuse_other_dtype(folder, conditions["dtype_used"])
    before = (folder.run() or {}).get("device")
    if folder.answers.keys() and before != conditions["device"]:
        say(f"{folder.path}: has answers from another device, {before}, which may differ slightly")
    folder.write_run({**_run_row(request, inputs, folder), **conditions, "status": "running"})
    session = folder.answers.tally().sessions + 1
    done = len(inputs.questions) - len(missing)
    try:
        with Progress(request.name, len(inputs.questions), done) as progress:
            for index, answer in model.answers(instances):
                folder.answers.append(_stored(questions[index], answer, session, time.monotonic() - began))
                progress.advance()
    except KeyboardInterrupt:
        kept = folder.answers.tally().answers
        raise RunInterruptedError(
            f"{folder.path}: stopped with {kept} of {len(inputs.questions)} answers kept; the same command continues"
        ) from None


def _load(request: RunRequest) -> Any:
    from boxlist.models import MODELS

    module, _, name = MODELS[request.model].path.rpartition(".")
    options = {**request.model_args, "batch_size": request.batch_size, "seed": request.seed}
    return getattr(import_module(module), name)(**options)


def _stored(question: Question, answer: ModelAnswer, session: int, at: float) -> StoredAnswer:
    if sha256_text(answer.prompt) != question.prompt_sha256:
        raise BoxlistError(f"{question.task}: image {question.image_id}: the prompt sent is not the one planned")
    return StoredAnswer(
        task=question.task,
        image_id=question.image_id,
        prompt_sha256=question.prompt_sha256,
        image_sha256=question.image_sha256,
        text=answer.text,
        tokens=answer.tokens,
        finish=answer.finish,
        triggered=answer.triggered,
        frame_wh_px=answer.frame_wh_px,
        session=session,
        at=round(at, 3),
    )


def _run_row(request: RunRequest, inputs: RunInputs, folder: RunFolder) -> dict[str, Any]:
    """What `run.json` says once all answers are there; what only a loaded model knows is kept from before."""
    progress = folder.answers.tally()
    before = folder.run() or {}
    return {
        "boxlist": inputs.versions["boxlist"],
        "name": request.name,
        "status": "complete",
        "model_args": dict(request.model_args),
        **inputs.rows,
        "limit": request.limit,
        "batch_size": request.batch_size,
        "device": before.get("device"),
        "dtype_used": before.get("dtype_used"),
        "versions": dict(inputs.versions),
        "sessions": progress.sessions,
        "answers": progress.answers,
        "tokens": progress.tokens,
        "wall_seconds": progress.wall_seconds,
    }
