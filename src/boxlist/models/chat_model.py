"""What boxlist's models have in common towards lmms-eval: one way in, sealed texts out, everything else refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from lmms_eval.api.model import lmms
from tqdm import tqdm

from boxlist.errors import InputError
from boxlist.models.prompts import build_prompt
from boxlist.tasks.sealed import seal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from lmms_eval.api.instance import Instance

    from boxlist.models.answers import ModelAnswer
    from boxlist.models.batches import Question
    from boxlist.models.prompts import PicturePart, Prompt
    from boxlist.protocols import Protocol


class ChatModel(lmms):  # type: ignore[misc]  # lmms-eval is untyped
    """A chat model of lmms-eval. `answers` is the way in for `boxlist run`; `generate_until` is lmms-eval's."""

    is_simple = False
    name: ClassVar[str]
    protocol: Protocol

    def answers(self, requests: Sequence[Instance], done: Collection[int] = ()) -> Iterator[tuple[int, ModelAnswer]]:
        """Yield (index into `requests`, answer) in any order, each once, but for those whose index is in `done`.

        The answers are those that would come with nothing done.
        """
        raise NotImplementedError

    @property
    def conditions(self) -> dict[str, str | None]:
        """What `run.json` says about where answers come from: `device` and `dtype_used`, None where unknown."""
        raise NotImplementedError

    def generate_until(self, requests: Sequence[Instance]) -> list[str]:
        """Sealed answers in the order of `requests`."""
        texts = [""] * len(requests)
        done = self.answers(requests)
        for index, answer in tqdm(done, total=len(requests), desc=self.name, disable=self.rank != 0):
            texts[index] = seal(
                answer.text,
                protocol=self.protocol,
                finish=answer.finish,
                tokens=answer.tokens,
                frame_wh_px=answer.frame_wh_px,
            )
        return texts

    def loglikelihood(self, requests: Sequence[Instance]) -> list[tuple[float, bool]]:  # noqa: ARG002
        """Refused, but by an engine that sees log-probabilities of a given text."""
        raise InputError(
            self.name,
            expected="a model that tells how likely a given text is",
            got="loglikelihood",
            remedy="Use boxlist_hf, or ask the same question by generation.",
        )

    def generate_until_multi_round(self, requests: Sequence[Instance]) -> NoReturn:  # noqa: ARG002
        """Refused: there are no rounds in boxlist's probes."""
        raise self._refused("generate_until_multi_round")

    def _prompt(self, question: Question, picture: PicturePart) -> Prompt:
        document = self.task_dict[question.task][question.split][question.doc_id]
        where = f"{question.task}, document {question.doc_id}"
        try:
            messages = question.doc_to_messages(document)
        except OSError as error:
            file = document.get("file", where) if isinstance(document, dict) else where
            raise InputError(
                str(file), expected="an image that can be read", got=str(error)[:160], remedy="Replace the file."
            ) from error
        return build_prompt(messages, self.protocol, question.options.controls, where, picture)

    def _refused(self, what: str) -> InputError:
        return InputError(
            self.name,
            expected="tasks with output_type generate_until",
            got=what,
            remedy="Choose other tasks; boxlist scores what a model writes.",
        )


def whole_argument(name: str, value: Any, *, low: int) -> int:
    """A model argument that is a whole number, as text too; `InputError` when it is none."""
    text = str(value)
    if text.isascii() and text.isdigit() and int(text[:18]) >= low:
        return int(text[:18])
    raise InputError(
        f"model argument {name}",
        expected=f"a whole number of {low} or more",
        got=repr(value)[:40],
        remedy=f"Give {name} a number.",
    )
