"""`boxlist_openai` as a model of lmms-eval: many questions at once, answers as they finish."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import httpx
import torch

from boxlist.controls.answer_watch import AnswerWatch
from boxlist.models.answers import ModelAnswer
from boxlist.models.as_they_finish import as_they_finish, refuse_batch_size
from boxlist.models.batches import question_seed, read_requests
from boxlist.models.chat_model import ChatModel, whole_argument
from boxlist.models.openai.arguments import read_protocol, read_server, request_fields
from boxlist.models.openai.asking import Asker
from boxlist.models.openai.listing import ask_listing
from boxlist.models.openai.pictures import image_url_part
from boxlist.protocols import DEFAULT_PROTOCOL

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from lmms_eval.api.instance import Instance

    from boxlist.models.batches import Question


class BoxlistOpenAI(ChatModel):
    """A chat model behind a server. `arguments.Server` says what else may be given; `concurrency` is what `batch_size`
    is to `boxlist_hf`. `seed` matters only where a task samples."""

    name = "boxlist_openai"
    device = torch.device("cpu")  # lmms-eval gathers its figures there; the model is elsewhere

    def __init__(
        self,
        protocol: str = DEFAULT_PROTOCOL,
        seed: int = 0,
        batch_size: int | str = 1,
        device: str | None = None,  # noqa: ARG002  lmms-eval passes these two
        max_batch_size: int | None = None,  # noqa: ARG002
        **server: object,
    ) -> None:
        super().__init__()
        refuse_batch_size(self.name, batch_size)
        self.protocol = read_protocol(protocol)
        self.batch_size, self.seed = 1, whole_argument("seed", seed, low=0)
        self.server = read_server(server)
        self._names = ask_listing(self.server).names

    @property
    def conditions(self) -> dict[str, str | None]:
        """Nothing: a server does not say what it runs on."""
        return {"device": None, "dtype_used": None}

    def answers(self, requests: Sequence[Instance], done: Collection[int] = ()) -> Iterator[tuple[int, ModelAnswer]]:
        """Yield (index into `requests`, answer) as each finishes, at most `concurrency` being asked at a time.

        All generation kwargs are checked before the first question. When one question fails for good, no other is
        begun, those under way are yielded as they finish, and then the failure is raised. Closing the iterator closes
        every stream.
        """
        questions = [question for question in read_requests(requests) if question.index not in done]
        for question in questions:
            request_fields(question.options)
        with asyncio.Runner() as loop:
            client = loop.run(self._client())
            asker = Asker(self.server, client, self._names, random.Random(self.seed))
            try:
                yield from as_they_finish(
                    loop, questions, lambda question: self._ask(asker, question), self.server.concurrency
                )
            finally:
                loop.run(client.aclose())

    async def _client(self) -> httpx.AsyncClient:
        timeout = httpx.Timeout(None, connect=self.server.connect_timeout)
        limits = httpx.Limits(max_connections=self.server.concurrency)
        return httpx.AsyncClient(
            headers={**self.server.headers, "content-type": "application/json"}, timeout=timeout, limits=limits
        )

    async def _ask(self, asker: Asker, question: Question) -> tuple[int, ModelAnswer]:
        options = question.options
        prompt = self._prompt(question, image_url_part)
        seed = question_seed(self.seed if options.seed is None else options.seed, question) & 0x7FFFFFFF
        fields = {"messages": prompt.messages, **request_fields(options, seed)}
        where = f"{question.task}, document {question.doc_id}"
        answered = await asker.ask(fields, lambda: AnswerWatch(self.protocol, options.until, options.controls), where)
        return question.index, ModelAnswer(answered.text, answered.tokens, answered.finish, prompt.text)
