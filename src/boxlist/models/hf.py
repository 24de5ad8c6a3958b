"""`boxlist_hf`: any checkpoint of `AutoModelForImageTextToText`, with a LoRA adapter, a protocol and the controls."""

from __future__ import annotations

from collections import deque
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, Self

import torch

from boxlist.controls.answer_watch import AnswerWatch
from boxlist.controls.hf_generation import RowReader, finished_rows
from boxlist.controls.json_grammar import JsonGrammar
from boxlist.controls.text_decoder import Vocabulary
from boxlist.errors import InputError, unknown_name
from boxlist.metrics.option_scores import option_scores_text
from boxlist.models.answers import LIKELIHOOD, ModelAnswer
from boxlist.models.batches import plan_pools, question_seed, read_requests
from boxlist.models.chat_model import ChatModel, whole_argument
from boxlist.models.frames import resized_frames
from boxlist.models.generation import without_hidden_defaults
from boxlist.models.image_tokens import hidden_image_tokens
from boxlist.models.likelihood import encode, requested_rows, rows_of, score_all
from boxlist.models.loading import load_processor_and_model
from boxlist.models.prompt_encoding import encode_prompts
from boxlist.models.prompts import rgb_part
from boxlist.models.rows_in_flight import RowChoice, prefill
from boxlist.models.seats import Boarded, Seat, answer_in_seats
from boxlist.protocols import DEFAULT_PROTOCOL, protocol_named

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from lmms_eval.api.instance import Instance
    from transformers import BatchFeature, GenerationConfig

    from boxlist.models.batches import Question
    from boxlist.models.frames import Frame
    from boxlist.models.generation import GenerationOptions
    from boxlist.models.likelihood import Row
    from boxlist.models.prompts import Prompt

_ARGUMENTS = (
    "pretrained",
    "adapter",
    "protocol",
    "dtype",
    "device",
    "batch_size",
    "trust_remote_code",
    "revision",
    "adapter_revision",
    "attn_implementation",
    "seed",
)


class BoxlistHF(ChatModel):
    """A chat model of lmms-eval that runs on transformers.

    Answers are greedy unless a task's generation kwargs say otherwise; what a checkpoint's generation_config.json
    says about sampling and penalties never applies, so a raw answer has no hidden control.

    `seed` matters only where a task samples; there each question draws from a seed of its own.
    """

    name = "boxlist_hf"

    def __init__(
        self,
        pretrained: str = "",
        adapter: str | None = None,
        protocol: str = DEFAULT_PROTOCOL,
        dtype: str = "auto",
        device: str = "auto",
        batch_size: int | str = 1,
        trust_remote_code: bool = False,
        revision: str | None = None,
        adapter_revision: str | None = None,
        attn_implementation: str | None = None,
        seed: int = 0,
        max_batch_size: int | None = None,  # noqa: ARG002  lmms-eval passes it; batches here have one size
        **unknown: object,
    ) -> None:
        super().__init__()
        for name in unknown:
            raise unknown_name("model argument", name, _ARGUMENTS)
        if not pretrained:
            raise InputError(
                "boxlist_hf", expected="pretrained=CHECKPOINT", got="none", remedy="Give a folder or a hub id."
            )
        if trust_remote_code not in (True, False):
            raise InputError(
                "trust_remote_code", expected="True or False", got=repr(trust_remote_code)[:40], remedy="Correct it."
            )
        self.protocol = protocol_named(str(protocol))
        self.batch_size = whole_argument("batch_size", batch_size, low=1)
        self.seed = whole_argument("seed", seed, low=0)
        self.processor, self.model = load_processor_and_model(
            str(pretrained),
            None if adapter is None else str(adapter),
            dtype=dtype,
            device=device,
            trust_remote_code=trust_remote_code,
            revision=revision,
            adapter_revision=adapter_revision,
            attn_implementation=attn_implementation,
        )
        self._be_ready()

    @classmethod
    def of_loaded(cls, processor: Any, model: Any, *, protocol: str, batch_size: int) -> Self:
        """The same around a model that is loaded, such as one in training; its generation config is replaced."""
        loaded = cls.__new__(cls)
        ChatModel.__init__(loaded)
        loaded.protocol, loaded.batch_size, loaded.seed = protocol_named(protocol), batch_size, 0
        loaded.processor, loaded.model = processor, model
        loaded._be_ready()
        return loaded

    def _be_ready(self) -> None:
        """Leave the model nothing that steers, and look up how its answers end."""
        base = self._base
        base.generation_config = _generation_config(base, self.processor.tokenizer)
        eos = base.generation_config.eos_token_id
        self._eos_token_ids = frozenset(eos if isinstance(eos, list) else [] if eos is None else [eos])
        self._vocabulary = Vocabulary.of(self.processor.tokenizer)

    @property
    def device(self) -> torch.device:
        return torch.device(self.model.device)

    def answers(self, requests: Sequence[Instance], done: Collection[int] = ()) -> Iterator[tuple[int, ModelAnswer]]:
        """Yield (index into `requests`, answer) as each row finishes, but for those whose index is in `done`.

        `task_dict[task][split][doc_id]` must give the documents, as lmms-eval arranges it. All generation kwargs are
        checked before the first batch. Nothing is caught: a row that fails raises, and the answers so far stand.

        In float32 an answer does not depend on what else is asked. In shorter numbers the rows that share a batch
        decide on the last bits, so a pool of which only some is done is asked again, whole, and only what is new is
        yielded: a run that was interrupted ends as an unbroken one.
        """
        done = frozenset(done)
        for pool in plan_pools(read_requests(requests), self.task_dict, self.batch_size):
            missing = [question for question in pool if question.index not in done]
            if missing:
                asked = missing if self.model.dtype == torch.float32 else pool
                answer_all = self._way(pool[0].options)
                yield from ((index, answer) for index, answer in answer_all(asked) if index not in done)

    def loglikelihood(self, requests: Sequence[Instance]) -> list[tuple[float, bool]]:
        """(log-probability of the continuation in nats, whether greedy decoding would write it) of each request."""
        rows = requested_rows(self.processor, requests, self.task_dict)
        scores = score_all(self.processor, self.model, rows, self.batch_size)
        return [(one.logprob, one.greedy) for one in chain.from_iterable(scores)]

    @property
    def conditions(self) -> dict[str, str | None]:
        return {"device": str(self.device), "dtype_used": str(self.model.dtype).removeprefix("torch.")}

    def clean(self) -> None:
        """Free caches, and keep the model: lmms-eval deletes it here, and a second evaluation would then fail."""
        accelerator = getattr(self, "accelerator", None)
        if accelerator is not None:
            accelerator.free_memory()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _encode(self, conversations: list[list[dict[str, Any]]]) -> BatchFeature:
        return encode_prompts(self.processor, conversations).to(self.device, dtype=self.model.dtype)

    def _frames(self, inputs: BatchFeature, rows: int) -> list[Frame | None]:
        return resized_frames(self.protocol, self.processor, inputs.get("image_grid_thw"), rows)

    def _way(self, options: GenerationOptions) -> Callable[[Sequence[Question]], Iterator[tuple[int, ModelAnswer]]]:
        if options.likelihood:
            return self._by_likelihood
        return self._by_beams if options.num_beams > 1 else self._by_seats

    def _by_likelihood(self, pool: Sequence[Question]) -> Iterator[tuple[int, ModelAnswer]]:
        """Nothing is generated: how likely each option of a question is, `batch_size` options at a time."""
        asked: deque[tuple[int, Prompt, tuple[int, int] | None]] = deque()

        def rows_in_turn() -> Iterator[list[Row]]:
            for question in pool:
                prompt = self._prompt(question, rgb_part)
                where = f"{question.task}, document {question.doc_id}"
                rows = rows_of(self.processor, prompt.messages, prompt.options, where)
                frame = self._frames(encode(self.processor, rows[:1]), 1)[0] if self.protocol.needs_frame else None
                asked.append((question.index, prompt, frame))
                yield rows

        for scores in score_all(self.processor, self.model, rows_in_turn(), self.batch_size):
            index, prompt, frame = asked.popleft()
            yield index, ModelAnswer(option_scores_text(scores), 0, LIKELIHOOD, prompt.text, frame)

    def _by_seats(self, pool: Sequence[Question]) -> Iterator[tuple[int, ModelAnswer]]:
        """Up to `batch_size` rows at a time: waiting questions take the places of rows that are over."""
        return answer_in_seats(pool, self.batch_size, self._boarded)

    def _boarded(self, questions: Sequence[Question]) -> Boarded:
        """Read the prompts of some questions."""
        prompts = [self._prompt(question, rgb_part) for question in questions]
        inputs = self._encode([prompt.messages for prompt in prompts])
        frames = self._frames(inputs, len(questions))
        seats = [
            Seat(question, prompt.text, frame, self._reader(question))
            for question, prompt, frame in zip(questions, prompts, frames, strict=True)
        ]
        options = questions[0].options
        share = options.controls.drop_image_tokens
        hidden = None
        if share is not None:
            hidden = hidden_image_tokens(inputs, self._base.config, share, [self._generator(q) for q in questions])
        choices = [self._choice(question) for question in questions]
        return Boarded(prefill(self.model, inputs, choices, hidden=hidden, **options.to_hf()), seats)

    def _choice(self, question: Question) -> RowChoice:
        options = question.options
        return RowChoice(
            self._generator(question) if options.do_sample else None,
            self._grammar.begin() if options.controls.json_only else None,
        )

    @cached_property
    def _grammar(self) -> JsonGrammar:
        width = self._base.get_output_embeddings().weight.shape[0]
        return JsonGrammar.of(self.protocol, self.processor.tokenizer, self._eos_token_ids, width)

    @property
    def _base(self) -> Any:
        """The model without its adapter's wrapper."""
        return self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model

    def _reader(self, question: Question) -> RowReader:
        options = question.options
        watch = AnswerWatch(self.protocol, options.until, options.controls) if options.watches_text else None
        return RowReader(watch, self._vocabulary, self._eos_token_ids)

    def _generator(self, question: Question) -> torch.Generator:
        seed = self.seed if question.options.seed is None else question.options.seed
        return torch.Generator().manual_seed(question_seed(seed, question))

    def _by_beams(self, pool: Sequence[Question]) -> Iterator[tuple[int, ModelAnswer]]:
        """Batch by batch, in transformers' own loop: beams change rows at every step."""
        for start in range(0, len(pool), self.batch_size):
            batch = pool[start : start + self.batch_size]
            prompts = [self._prompt(question, rgb_part) for question in batch]
            inputs = self._encode([prompt.messages for prompt in prompts])
            frames = self._frames(inputs, len(batch))
            with torch.inference_mode(), torch.random.fork_rng(enabled=batch[0].options.do_sample):
                if batch[0].options.do_sample:
                    torch.manual_seed(question_seed(self.seed, batch[0]))
                output = self.model.generate(**inputs, **batch[0].options.to_hf())
            new = output[:, inputs["input_ids"].shape[1] :]
            rows = finished_rows(new, self._vocabulary, self._eos_token_ids)
            for question, prompt, row, frame in zip(batch, prompts, rows, frames, strict=True):
                yield question.index, ModelAnswer(row.text, row.tokens, row.finish, prompt.text, frame)


def _generation_config(model: Any, tokenizer: Any) -> GenerationConfig:
    """The checkpoint's own token ids, the tokenizer's where it names none, and nothing that steers."""
    config = without_hidden_defaults(model.generation_config)
    if config.eos_token_id is None:
        config.eos_token_id = tokenizer.eos_token_id
    if config.pad_token_id is None:
        config.pad_token_id = tokenizer.pad_token_id
    return config
