"""`boxlist_hf`: any checkpoint of `AutoModelForImageTextToText`, with a LoRA adapter, a protocol and the controls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import torch
from transformers import StoppingCriteriaList

from boxlist.controls.answer_watch import AnswerWatch
from boxlist.controls.hf_generation import RowStopping, finished_rows
from boxlist.controls.text_decoder import Vocabulary
from boxlist.errors import InputError, unknown_name
from boxlist.models.answers import ModelAnswer
from boxlist.models.batches import batch_seed, plan_batches, read_requests
from boxlist.models.chat_model import ChatModel, whole_argument
from boxlist.models.generation import without_hidden_defaults
from boxlist.models.growing_cache import growing_cache
from boxlist.models.loading import load_processor_and_model
from boxlist.models.prompts import rgb_part
from boxlist.models.shrinking_loop import shrinking_loop
from boxlist.protocols import DEFAULT_PROTOCOL, protocol_named

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lmms_eval.api.instance import Instance
    from transformers import BatchFeature, GenerationConfig

    from boxlist.controls.hf_generation import RowAnswer
    from boxlist.models.batches import Question
    from boxlist.models.generation import GenerationOptions

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

    `seed` matters only where a task samples; there an answer depends on the batch it is in as well.
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
        base = self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model
        base.generation_config = _generation_config(base, self.processor.tokenizer)
        eos = base.generation_config.eos_token_id
        self._eos_token_ids = frozenset(eos if isinstance(eos, list) else [] if eos is None else [eos])
        self._vocabulary = Vocabulary.of(self.processor.tokenizer)

    @property
    def device(self) -> torch.device:
        return torch.device(self.model.device)

    def answers(self, requests: Sequence[Instance]) -> Iterator[tuple[int, ModelAnswer]]:
        """Yield (index into `requests`, answer) as each batch finishes.

        `task_dict[task][split][doc_id]` must give the documents, as lmms-eval arranges it. All generation kwargs are
        checked before the first batch. Nothing is caught: a failing batch raises, and the answers so far stand.
        """
        questions = read_requests(requests)
        for batch in plan_batches(questions, self.task_dict, self.batch_size):
            prompts = [self._prompt(question, rgb_part) for question in batch]
            inputs = self._encode([prompt.messages for prompt in prompts])
            frames = self._frames(inputs, len(batch))
            rows = self._generate(inputs, batch)
            for question, prompt, row, frame in zip(batch, prompts, rows, frames, strict=True):
                yield question.index, ModelAnswer(row.text, row.tokens, row.finish, prompt.text, frame)

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
        inputs = self.processor.apply_chat_template(
            conversations,
            tokenize=True,
            add_generation_prompt=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True, "padding_side": "left"},
        )
        return inputs.to(self.device, dtype=self.model.dtype)

    def _frames(self, inputs: BatchFeature, rows: int) -> list[tuple[int, int] | None]:
        """Width and height of each row's resized image, where the protocol needs it."""
        if not self.protocol.needs_frame:
            return [None] * rows
        grids = inputs.get("image_grid_thw")
        patch = getattr(getattr(self.processor, "image_processor", None), "patch_size", None)
        if grids is None or len(grids) != rows or not isinstance(patch, int):
            raise InputError(
                f"protocol {self.protocol.name}",
                expected="one image a prompt, and a processor that tells its resized size (image_grid_thw)",
                got=type(self.processor).__name__,
                remedy="Use a protocol in pixels of the image, or normalised.",
            )
        return [(int(width) * patch, int(height) * patch) for _, height, width in grids.tolist()]

    def _generate(self, inputs: BatchFeature, batch: Sequence[Question]) -> list[RowAnswer]:
        options = batch[0].options
        prompt_length = inputs["input_ids"].shape[1]
        stopping = RowStopping(
            [self._watch(question) for question in batch],
            self._vocabulary,
            prompt_length=prompt_length,
            eos_token_ids=self._eos_token_ids,
        )
        live = {"stopping_criteria": StoppingCriteriaList([stopping])} if options.watches_text else {}
        seed = batch_seed(self.seed if options.seed is None else options.seed, batch)
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.inference_mode(), torch.random.fork_rng(devices, enabled=options.do_sample):
            if options.do_sample:
                torch.manual_seed(seed)
            output = self.model.generate(**inputs, **options.to_hf(), **live, **self._loop(options))
        if live:
            return stopping.answers()
        return finished_rows(output[:, prompt_length:], self._vocabulary, self._eos_token_ids)

    def _loop(self, options: GenerationOptions) -> dict[str, Any]:
        """Our own loop and cache; beams change rows at every step, which only transformers' own can do."""
        if options.num_beams > 1:
            return {}
        return {"custom_generate": shrinking_loop, "past_key_values": growing_cache(self.model.config)}

    def _watch(self, question: Question) -> AnswerWatch:
        options = question.options
        return AnswerWatch(self.protocol, options.until, options.controls)


def _generation_config(model: Any, tokenizer: Any) -> GenerationConfig:
    """The checkpoint's own token ids, the tokenizer's where it names none, and nothing that steers."""
    config = without_hidden_defaults(model.generation_config)
    if config.eos_token_id is None:
        config.eos_token_id = tokenizer.eos_token_id
    if config.pad_token_id is None:
        config.pad_token_id = tokenizer.pad_token_id
    return config
