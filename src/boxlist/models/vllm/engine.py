"""vLLM's engine: started with what a raw answer needs, and asked one question at a time."""

from __future__ import annotations

import os
from contextlib import aclosing
from importlib.util import find_spec
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from boxlist.controls.hf_generation import RowReader
from boxlist.controls.text_decoder import Vocabulary
from boxlist.errors import BoxlistError, InputError, unknown_name
from boxlist.models.identity import adapter_folder, checkpoint_folder, read_json
from boxlist.models.loading import DTYPES, load_processor
from boxlist.models.vllm.adapters import rank_for

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from pathlib import Path

    from boxlist.controls.answer_watch import AnswerWatch
    from boxlist.controls.hf_generation import RowAnswer
    from boxlist.models.vllm.arguments import Setting

_QUIET = {"VLLM_LOGGING_LEVEL": "ERROR", "VLLM_NO_USAGE_STATS": "1"}  # nothing is reported to vLLM's makers
# Architectures whose code in transformers interleaves the rotary sections whatever the configuration says; vLLM does
# it only where that says so, and checkpoints that transformers saved do not.
_INTERLEAVED = frozenset({"qwen3_vl", "qwen3_vl_moe", "qwen3_5", "qwen3_5_moe"})
_SHOWN = 200


class Conversation(NamedTuple):
    """A prompt with the chat template applied, and its images in order."""

    text: str
    images: Sequence[Any]


class Engine:
    """A running engine, and what its answers are read with. All of it is used from one event loop."""

    def __init__(self, setting: Setting, seed: int, loop: asyncio.Runner) -> None:
        """Load and start. Raises `InputError` when something does not fit, before the engine starts where it can."""
        _need_libraries(setting)
        for name, value in _QUIET.items():
            os.environ.setdefault(name, value)
        folder = checkpoint_folder(setting.pretrained, setting.revision, with_code=setting.trust_remote_code)
        lora = None if setting.adapter is None else adapter_folder(setting.adapter, setting.adapter_revision)
        adapter = {} if lora is None else {"enable_lora": True, "max_loras": 1, "max_lora_rank": rank_for(lora)}
        code = {"trust_remote_code": setting.trust_remote_code}
        self.processor: Any = load_processor(setting.pretrained, folder, **code)
        if not self.processor.chat_template:
            raise InputError(
                setting.pretrained,
                expected="a processor with a chat template",
                got=type(self.processor).__name__,
                remedy="Ask this model through boxlist_hf.",
            )
        self._vocabulary = Vocabulary.of(self.processor.tokenizer)
        self._eos = end_of_turn_ids(folder, self.processor.tokenizer, **code)
        arguments = {"dtype": _dtype(setting.dtype), "seed": seed, **code, **adapter, **setting.engine}
        self._engine = _started(setting.pretrained, folder, arguments)
        self._lora = None if lora is None else loop.run(self._with_adapter(lora.resolve()))
        self._numbers = count()

    @property
    def conditions(self) -> dict[str, str | None]:
        """`device` and `dtype_used`, as the engine has them."""
        from vllm.platforms import current_platform

        dtype = str(self._engine.model_config.dtype).removeprefix("torch.")
        return {"device": str(current_platform.device_type), "dtype_used": dtype}

    def conversation(self, messages: Sequence[Mapping[str, Any]]) -> Conversation:
        """The prompt as the processor's chat template writes it; an image part holds a PIL image."""
        text: str = self.processor.apply_chat_template([list(messages)], tokenize=False, add_generation_prompt=True)[0]
        images = [part["image"] for message in messages for part in message["content"] if part["type"] == "image"]
        return Conversation(text, images)

    async def ask(
        self, asked: Conversation, fields: Mapping[str, Any], watch: AnswerWatch | None, where: str
    ) -> RowAnswer:
        """The whole answer; the request ends in the engine as soon as `watch` says that the answer is over.

        `fields` are `SamplingParams`' own. Raises `InputError`, naming `where`, for a prompt that the engine refuses
        and for an answer that ends because the engine holds no more tokens; `BoxlistError` when the engine dies.
        """
        from vllm.exceptions import VLLMClientError, VLLMServerError

        reader = RowReader(watch, self._vocabulary, self._eos)
        try:
            async with aclosing(self.stream(asked, fields, whole=watch is None)) as stream:
                async for piece in stream:
                    reader.feed(piece.token_ids)
                    if reader.over:
                        break
        except (ValueError, VLLMClientError) as error:
            raise _refusal(where, error) from None
        except VLLMServerError as error:
            raise BoxlistError(
                f"{where}: vLLM's engine broke down: {_told(error)} VLLM_LOGGING_LEVEL=INFO shows why; the same "
                "command continues."
            ) from error
        if not reader.over and reader.tokens < fields["max_tokens"]:
            raise InputError(
                where,
                expected=f"room for {fields['max_tokens']} tokens behind the prompt",
                got=f"an engine that was full after {reader.tokens}",
                remedy="Give a larger max_model_len=, or a smaller max_new_tokens.",
            )
        return reader.answer()

    async def stream(self, asked: Conversation, fields: Mapping[str, Any], *, whole: bool) -> AsyncGenerator[Any, None]:
        """vLLM's `CompletionOutput`s: new tokens in each, or all in one. Closing it ends the request in the engine."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        params = SamplingParams(
            **fields,
            detokenize=False,
            ignore_eos=True,  # the tokenizer's own end is not always the checkpoint's
            stop_token_ids=sorted(self._eos),
            output_kind=RequestOutputKind.FINAL_ONLY if whole else RequestOutputKind.DELTA,
        )
        prompt = await self._rendered(asked)
        number = f"boxlist-{next(self._numbers)}"
        async with aclosing(self._engine.generate(prompt, params, number, lora_request=self._lora)) as stream:
            async for piece in stream:
                yield piece.outputs[0]

    def close(self) -> None:
        """End the engine's processes."""
        self._engine.shutdown()

    async def _rendered(self, asked: Conversation) -> Any:
        """The prompt as tokens, special ones added as `apply_chat_template` adds them."""
        from vllm.renderers.inputs.preprocess import parse_model_prompt

        bos = self.processor.tokenizer.bos_token
        renderer = self._engine.renderer
        tokens = renderer.default_cmpl_tok_params.with_kwargs(
            add_special_tokens=bos is None or not asked.text.startswith(bos)
        )
        media = {"multi_modal_data": {"image": list(asked.images)}} if asked.images else {}
        prompt = parse_model_prompt(self._engine.model_config, {"prompt": asked.text, **media})
        (rendered,) = await renderer.render_cmpl_async([prompt], tokens)
        return rendered

    async def _with_adapter(self, folder: Path) -> Any:
        from vllm.lora.request import LoRARequest

        request = LoRARequest(lora_name="adapter", lora_int_id=1, lora_path=str(folder))
        try:
            await self._engine.add_lora(request)
        except (RuntimeError, ValueError) as error:
            raise _refusal(f"adapter {folder}", error) from None
        return request


def end_of_turn_ids(folder: Path, tokenizer: Any, **code: bool) -> frozenset[int]:
    """The ids that end an answer: the checkpoint's own, the tokenizer's where it names none, as in `boxlist_hf`."""
    from transformers import AutoConfig, GenerationConfig

    try:
        config = GenerationConfig.from_pretrained(str(folder))
    except OSError:
        config = GenerationConfig.from_model_config(AutoConfig.from_pretrained(str(folder), **code))
    eos = tokenizer.eos_token_id if config.eos_token_id is None else config.eos_token_id
    return frozenset(eos if isinstance(eos, list) else [] if eos is None else [eos])


def _started(pretrained: str, folder: Path, arguments: Mapping[str, Any]) -> Any:
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.v1.engine.async_llm import AsyncLLM

    try:
        return AsyncLLM.from_engine_args(
            AsyncEngineArgs(
                model=str(folder),
                generation_config="vllm",  # no default of the checkpoint's steers
                load_format="safetensors",
                limit_mm_per_prompt={"video": 0, "audio": 0},
                disable_log_stats=True,
                use_tqdm_on_load=False,
                hf_overrides=_as_in_transformers(folder),
                **arguments,
            )
        )
    except (RuntimeError, ValueError, TypeError, OSError, ImportError) as error:
        raise InputError(
            pretrained,
            expected="a checkpoint and an engine that vLLM can start on this machine",
            got=_told(error),
            remedy="Change the model arguments; VLLM_LOGGING_LEVEL=INFO shows all that vLLM says.",
        ) from error


def _as_in_transformers(folder: Path) -> dict[str, Any]:
    """What the configuration must be told for vLLM to compute what transformers does."""
    if read_json(folder / "config.json").get("model_type") not in _INTERLEAVED:
        return {}
    return {"text_config": {"rope_parameters": {"mrope_interleaved": True}}}


def _need_libraries(setting: Setting) -> None:
    if find_spec("vllm") is None:
        raise InputError(
            "boxlist_vllm",
            expected="vLLM installed",
            got="nothing",
            remedy="Install it, and boxlist behind it, in an environment of its own: it pins another transformers.",
        )
    if "ray" in setting.engine.values() and find_spec("ray") is None:
        raise InputError(
            "boxlist_vllm with ray", expected="Ray installed", got="nothing", remedy="Run: pip install 'ray[default]'"
        )


def _dtype(name: str) -> str:
    """As in `boxlist_hf`, `auto` is the checkpoint's own on an accelerator and float32 on a CPU."""
    from vllm.platforms import current_platform

    if name not in DTYPES:
        raise unknown_name("dtype", name, DTYPES)
    return "float32" if name == "auto" and current_platform.is_cpu() else name


def _refusal(where: str, error: Exception) -> BoxlistError:
    return InputError(where, expected="what vLLM takes", got=_told(error), remedy="Change it, or use boxlist_hf.")


def _told(error: BaseException) -> str:
    """What is wrong, in one line. pydantic says first that something is, then where and what, then where to read on."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if lines and "validation error" in lines[0]:
        lines = [line for line in lines[1:] if not line.startswith("For further information")]
    text = next((line for line in lines if "error" in line.lower()), next(iter(lines), ""))
    return (text or type(error).__name__)[:_SHOWN]
