"""Run a model: gather its inputs, ask what has no answer yet, keep each answer as it comes, score."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from boxlist.adapters_training.resizing import refuse_other_resizing
from boxlist.errors import BoxlistError
from boxlist.models.identity import adapter_folder
from boxlist.processes import Processes
from boxlist.progress import Progress
from boxlist.runs.answers_file import StoredAnswer
from boxlist.runs.changes import drift, refuse_changes, refuse_other_dtype
from boxlist.runs.folder import RunFolder, answers_of_rank
from boxlist.runs.inputs import gather, sha256_text
from boxlist.runs.scoring import score_answers

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from boxlist.models.answers import ModelAnswer
    from boxlist.runs.answers_file import AnswerKey
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
    answers were made from other inputs; `RunInterruptedError` on Ctrl-C. Of several processes of one run only the
    first comes back; the others exit when their work is done.
    """
    processes = Processes.join()
    if processes.rank:
        _assist(request, processes)
    told = False
    try:
        inputs = gather(request)
        for warning in inputs.warnings:
            say(warning)
        with RunFolder.open(request.path) as folder:
            folder.take_in()
            if not request.fresh:
                refuse_changes(folder, inputs)
                _tell(folder, inputs, request, say)
            stored = set() if request.fresh else folder.answers.keys()
            missing = [question for question in inputs.questions if question.key not in stored]
            told = processes.tell(_Begin(stored, folder.answers.tally().sessions + 1) if missing else None) or True
            if missing:
                _lead(request, inputs, folder, processes, say)
            scores = score_answers(folder, inputs.plans, request.protocol, request.seed)
            folder.write_scores(scores)
            row = _run_row(request, inputs, folder)
            folder.write_run(row)
    finally:
        if not told:
            processes.tell(None)
    return RunResult(request.path, row, scores, len(missing))


class _Begin(NamedTuple):
    """What the first process tells the others: what has an answer, and the number of this session."""

    stored: set[AnswerKey]
    session: int


def _tell(folder: RunFolder, inputs: RunInputs, request: RunRequest, say: Say) -> None:
    """One line about each thing that is worth knowing and no reason to stop."""
    if folder.answers.dropped_torn_line:
        say(f"{folder.path}: the last answer was cut off when the run was killed; it is asked again")
    drifted = drift(folder.run() or {}, inputs.versions, request.batch_size)
    if drifted and folder.answers.keys():
        say(f"{folder.path}: has answers from other conditions, which may differ slightly: {'; '.join(drifted)}")


def _lead(request: RunRequest, inputs: RunInputs, folder: RunFolder, processes: Processes, say: Say) -> None:
    """Answer the first process's share, and take in what the others answered."""
    session = folder.answers.tally().sessions + 1
    share = _Share.of(request, inputs, processes, set() if request.fresh else folder.answers.keys())
    _check_resizing(request, inputs, share.model)
    if request.fresh and (deleted := folder.discard()):
        say(f"{folder.path}: {deleted} answers deleted (--fresh)")
    conditions = share.model.conditions
    refuse_other_dtype(folder, conditions["dtype_used"])
    before = (folder.run() or {}).get("device")
    if folder.answers.keys() and before != conditions["device"]:
        say(f"{folder.path}: has answers from another device, {before}, which may differ slightly")
    folder.write_run({**_run_row(request, inputs, folder), **conditions, "status": "running"})
    processes.tell()
    try:
        with Progress(request.name, len(share.questions), len(share.done)) as progress:
            for answer in share.answers(session):
                folder.answers.append(answer)
                progress.advance()
        processes.wait()
    except KeyboardInterrupt:
        folder.take_in()
        kept = folder.answers.tally().answers
        raise RunInterruptedError(
            f"{folder.path}: stopped with {kept} of {len(inputs.questions)} answers kept; the same command continues"
        ) from None
    folder.take_in()


def _check_resizing(request: RunRequest, inputs: RunInputs, model: Any) -> None:
    """Refuse an adapter whose training resized images otherwise than the processor of a loaded model does."""
    adapter, processor = inputs.rows["adapter"], getattr(model, "processor", None)
    if adapter is not None and processor is not None:
        refuse_other_resizing(adapter_folder(adapter["path"], request.text_arg("adapter_revision")), processor)


def _assist(request: RunRequest, processes: Processes) -> NoReturn:
    """Answer another process's share. What is wrong with the request is for the first to say."""
    begin: _Begin | None = processes.tell()
    if begin is not None:
        share = _Share.of(request, gather(request), processes, begin.stored)
        processes.tell()
        answers = answers_of_rank(request.path, processes.rank)
        try:
            for answer in share.answers(begin.session):
                answers.append(answer)
        finally:
            answers.close()
        processes.wait()
    raise SystemExit(0)


@dataclass(frozen=True)
class _Share:
    """What one process answers: lmms-eval's requests, their questions, and the indices of those that are done."""

    model: Any
    instances: Sequence[Any]
    questions: Sequence[Question]
    done: frozenset[int]
    began: float

    @classmethod
    def of(cls, request: RunRequest, inputs: RunInputs, processes: Processes, stored: Collection[AnswerKey]) -> _Share:
        """Load the model and build its requests: all of each task of which something is missing."""
        from boxlist.runs.requests import build_requests

        began = time.monotonic()
        model = _load(request)
        unfinished = {question.task for question in inputs.questions if question.key not in stored}
        wanted = processes.share([question for question in inputs.questions if question.task in unfinished])
        instances, questions = build_requests(model, request.model, inputs.plans, wanted)
        done = frozenset(index for index, question in enumerate(questions) if question.key in stored)
        return cls(model, instances, questions, done, began)

    def answers(self, session: int) -> Iterator[StoredAnswer]:
        for index, answer in self.model.answers(self.instances, self.done):
            yield _stored(self.questions[index], answer, session, time.monotonic() - self.began)


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
