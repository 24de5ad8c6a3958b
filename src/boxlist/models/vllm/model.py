"""`boxlist_vllm` as a model of lmms-eval: many questions at once, answers as they finish."""

from __future__ import annotations

import asyncio
import weakref
from typing import TYPE_CHECKING

import torch

from boxlist.controls.answer_watch import AnswerWatch
from boxlist.models.answers import ModelAnswer
from boxlist.models.as_they_finish import as_they_finish, refuse_batch_size
from boxlist.models.batches import question_seed, read_requests
from boxlist.models.chat_model import ChatModel, whole_argument
from boxlist.models.frames import resized_frame
from boxlist.models.prompts import rgb_part
from boxlist.models.vllm.arguments import read_setting, sampling_fields
from boxlist.models.vllm.engine import Engine
from boxlist.protocols import DEFAULT_PROTOCOL, protocol_named

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from lmms_eval.api.instance import Instance

    from boxlist.models.batches import Question


class BoxlistVLLM(ChatModel):
    """A chat model on vLLM's own engine. `arguments.Setting` and `ENGINE_ARGUMENTS` say what may be given.

    `seed` matters only where a task samples; there each question draws from a seed of its own.
    """

    name = "boxlist_vllm"
    device = torch.device("cpu")  # lmms-eval gathers its figures there; the model is in processes of the engine's own

    def __init__(
        self,
        protocol: str = DEFAULT_PROTOCOL,
        seed: int = 0,
        batch_size: int | str = 1,
        device: str | None = None,  # noqa: ARG002  lmms-eval passes these two
        max_batch_size: int | None = None,  # noqa: ARG002
        **setting: object,
    ) -> None:
        super().__init__()
        refuse_batch_size(self.name, batch_size)
        self.protocol = protocol_named(str(protocol))
        self.batch_size, self.seed = 1, whole_argument("seed", seed, low=0)
        checked = read_setting(setting)
        self._concurrency = checked.concurrency
        self._loop = asyncio.Runner()
        self._engine = Engine(checked, self.seed, self._loop)
        self._end = weakref.finalize(self, self._engine.close)

    @property
    def conditions(self) -> dict[str, str | None]:
        return self._engine.conditions

    def answers(self, requests: Sequence[Instance], done: Collection[int] = ()) -> Iterator[tuple[int, ModelAnswer]]:
        """Yield (index into `requests`, answer) as each finishes, `concurrency` being under way at a time.

        All generation kwargs are checked before the first question. When one question fails, no other is begun,
        those under way are yielded as they finish, and then the failure is raised.
        """
        questions = [question for question in read_requests(requests) if question.index not in done]
        for question in questions:
            sampling_fields(question.options)
        return as_they_finish(self._loop, questions, self._ask, self._concurrency)

    def clean(self) -> None:
        """Keep the engine: lmms-eval deletes models here, and a second evaluation would then fail."""

    def close(self) -> None:
        """End the engine's processes now; else they end with this object."""
        self._end()

    async def _ask(self, question: Question) -> tuple[int, ModelAnswer]:
        options = question.options
        prompt = self._prompt(question, rgb_part)
        conversation = self._engine.conversation(prompt.messages)
        frame = resized_frame(self.protocol, self._engine.processor, conversation.images)
        seed = question_seed(self.seed if options.seed is None else options.seed, question)
        watch = AnswerWatch(self.protocol, options.until, options.controls) if options.watches_text else None
        where = f"{question.task}, document {question.doc_id}"
        row = await self._engine.ask(conversation, sampling_fields(options, seed), watch, where)
        return question.index, ModelAnswer(row.text, row.tokens, row.finish, prompt.text, frame)
