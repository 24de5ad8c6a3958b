"""lmms-eval's own requests for the questions of a run: its task objects, its instances, nothing rebuilt here."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING, Any

from boxlist.errors import BoxlistError
from boxlist.tasks.probes import tasks_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from boxlist.runs.inputs import Question, TaskPlan


def build_requests(
    model: Any, model_name: str, plans: Mapping[str, TaskPlan], wanted: Sequence[Question]
) -> tuple[list[Any], list[Question]]:
    """The instances of the wanted questions, and the question of each, in the same order.

    Gives the model the documents that its requests refer to, as lmms-eval's evaluator does.
    """
    from lmms_eval.tasks import TaskManager, get_task_dict

    by_document = {(question.task, question.doc_id): question for question in wanted}
    names = list(dict.fromkeys(question.task for question in wanted))
    instances: list[Any] = []
    questions: list[Question] = []
    with contextlib.redirect_stderr(io.StringIO()):
        own = [str(plan.probe.yaml_path.parent) for plan in plans.values() if plan.probe.is_own]
        manager = TaskManager(include_path=[str(tasks_path()), *own], include_defaults=False, model_name=model_name)
        tasks = get_task_dict(names, manager, "chat")
        for name in names:
            task, plan = tasks[name], plans[name]
            task.set_config(key="generation_kwargs", value=dict(plan.generation_kwargs))
            model.task_dict[name] = task.dataset
            task.build_all_requests(limit=len(plan.questions), rank=0, world_size=1)
            _check_order(task, plan)
            for instance in task.instances:
                question = by_document.get((name, instance.doc_id))
                if question is not None:
                    instances.append(instance)
                    questions.append(question)
    if len(questions) != len(wanted):
        raise BoxlistError(f"lmms-eval built {len(questions)} requests for {len(wanted)} questions")
    return instances, questions


def _check_order(task: Any, plan: TaskPlan) -> None:
    """lmms-eval must mean the same documents by the same numbers."""
    ids = [document["image_id"] for document in task.eval_docs_no_media][: len(plan.questions)]
    if ids != [question.image_id for question in plan.questions]:
        raise BoxlistError(f"{plan.probe.task}: lmms-eval's documents are not those of the run")
