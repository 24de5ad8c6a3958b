"""Load a checkpoint and, if asked, a LoRA adapter on top of it. Anything doubtful is refused, never guessed.

In float32 the adapter is merged into the weights, which changes logits by rounding only. In shorter numbers it is not:
there merging rounds the sum, so the same adapter would give other logits than it was trained with; unmerged it costs
two thin matrix products a module.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from boxlist.errors import InputError, unknown_name
from boxlist.models.identity import (
    ADAPTER_CONFIG,
    adapter_folder,
    adapter_sha256,
    base_identity,
    checkpoint_folder,
    read_json,
)
from boxlist.models.prompt_encoding import asks_by_prefix

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from transformers import PreTrainedModel, ProcessorMixin

__all__ = ["DTYPES", "Loaded", "adapter_sha256", "base_identity", "load_adapter", "load_processor_and_model"]

DTYPES = ("auto", "float32", "bfloat16", "float16")
_SHOWN_KEYS = 3
NOT_QUANTISED = r"(?!.*language_model\.).*"  # names of modules: all outside the language part, the output's too


class Loaded(NamedTuple):
    """A processor that pads on the left, and a model in evaluation mode on its device."""

    processor: ProcessorMixin
    model: PreTrainedModel


def load_processor_and_model(
    pretrained: str,
    adapter: str | None = None,
    *,
    dtype: str = "auto",
    device: str = "auto",
    trust_remote_code: bool = False,
    revision: str | None = None,
    adapter_revision: str | None = None,
    attn_implementation: str | None = None,
    quantisation: str = "none",
) -> Loaded:
    """Load through `AutoProcessor` and `AutoModelForImageTextToText`, by path or hub id.

    `dtype` auto is the checkpoint's own on a GPU and float32 on a CPU, where bfloat16 is slower and lets the answers
    depend on the batch. `device` auto is a GPU if there is one. `trust_remote_code` lets the checkpoint bring Python
    code and run it. With `quantisation` nf4 the linear layers of the language part are stored in 4 bits, and the model
    stays where it is loaded. Raises `InputError` with the remedy when anything does not fit.
    """
    import torch
    from transformers import AutoModelForImageTextToText

    place = torch_device(device)
    folder = checkpoint_folder(pretrained, revision, with_code=trust_remote_code)
    lora = None if adapter is None else adapter_folder(adapter, adapter_revision)
    code = {"trust_remote_code": trust_remote_code}
    processor = load_processor(pretrained, folder, **code)
    model, report = _load_part(
        AutoModelForImageTextToText,
        pretrained,
        folder,
        dtype=torch_dtype(dtype, place),
        use_safetensors=True,
        attn_implementation=attn_implementation,
        output_loading_info=True,
        **_quantised(quantisation),
        **code,
    )
    _refuse_bad_weights(pretrained, report)
    if lora is not None:
        model = load_adapter(model, lora)
        if model.dtype == torch.float32:
            model = model.merge_and_unload()
    return Loaded(processor, (model if quantisation != "none" else model.to(place)).eval())


def load_processor(pretrained: str, folder: Path, **code: bool) -> ProcessorMixin:
    """The processor of a checkpoint's folder, which pads on the left. Raises `InputError` when it has no chat template,
    and is not PaliGemma's either."""
    from transformers import AutoProcessor

    processor = _load_part(AutoProcessor, pretrained, folder, **code)
    asks = getattr(processor, "chat_template", None) or asks_by_prefix(processor)
    if getattr(processor, "tokenizer", None) is None or not asks:
        raise InputError(
            pretrained,
            expected="a processor with a tokenizer and a chat template",
            got=type(processor).__name__,
            remedy="Use an instruction-tuned checkpoint, or add chat_template.jinja to the folder.",
        )
    processor.tokenizer.padding_side = "left"
    if processor.tokenizer.pad_token_id is None:
        processor.tokenizer.pad_token = processor.tokenizer.eos_token
    return processor


def load_adapter(model: PreTrainedModel, folder: Path) -> PreTrainedModel:
    """Put the LoRA adapter of `folder` on `model`, unmerged. Raises `InputError` unless every weight has its place."""
    import warnings

    from peft import LoraConfig, PeftModel
    from safetensors import SafetensorError

    refuse_odd_adapter(folder)
    try:
        with warnings.catch_warnings():
            # peft 0.21 asks transformers 5.23 for a name that is deprecated there
            warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")
            config = LoraConfig.from_pretrained(str(folder))
            config.inference_mode = True
            wrapped = PeftModel(model, config)
            report = wrapped.load_adapter(
                str(folder),
                "default",
                torch_device=str(model.device),
                key_mapping=getattr(model, "_checkpoint_conversion_mapping", None),
            )
    except (RuntimeError, ValueError, TypeError, KeyError, SafetensorError) as error:
        raise _misfit(folder, _first_line(error)) from None
    for what, keys in (("not in the file", report.missing_keys), ("with no place", report.unexpected_keys)):
        if keys:
            shown = ", ".join(keys[:_SHOWN_KEYS])
            raise _misfit(folder, f"{len(keys)} weights {what}: {shown}")
    return wrapped


def torch_device(name: str) -> torch.device:
    """`auto`, or any device that torch knows and this machine has; under several processes each has its own GPU."""
    import torch

    rank = os.environ.get("LOCAL_RANK", "0")
    if name in {"auto", ""}:
        name = f"cuda:{rank}" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
        return torch.device(name)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"device {name!r}",
            expected="auto, cpu, or a device of this machine",
            got=_first_line(error),
            remedy="Pass device=auto or device=cpu.",
        ) from None


def torch_dtype(name: str, device: torch.device) -> torch.dtype | str:
    """The dtype to load in; `auto` means the checkpoint's own, on a CPU float32."""
    import torch

    if name not in DTYPES:
        raise unknown_name("dtype", name, DTYPES)
    if name == "auto":
        return torch.float32 if device.type == "cpu" else "auto"
    dtype: torch.dtype = getattr(torch, name)
    return dtype


def _load_part(part: Any, pretrained: str, folder: Path, **options: Any) -> Any:
    """`part.from_pretrained(folder)`, with what can be wrong about the folder as one line."""
    from safetensors import SafetensorError

    try:
        return part.from_pretrained(str(folder), **options)
    except (OSError, ValueError, ImportError, KeyError, RuntimeError, TypeError, SafetensorError) as error:
        needs_code = "trust_remote_code" in str(error)
        raise InputError(
            str(pretrained),
            expected="a checkpoint for images and text that this transformers knows",
            got=_first_line(error),
            remedy="If you have read its code and trust it, pass trust_remote_code=True."
            if needs_code
            else "Check the folder, and that transformers is recent enough for this model.",
        ) from error


def _quantised(quantisation: str) -> dict[str, Any]:
    """What makes transformers store the language part in NF4; the eyes, the projector and the output stay as they are.

    Such a model lies where it is loaded, so it is loaded to its place at once.
    """
    if quantisation == "none":
        return {}
    import torch
    from transformers import BitsAndBytesConfig

    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=quantisation,
        bnb_4bit_compute_dtype=torch.bfloat16,
        llm_int8_skip_modules=[NOT_QUANTISED],
    )
    return {"quantization_config": config, "device_map": {"": str(torch_device("auto"))}}


def _refuse_bad_weights(pretrained: str, report: dict[str, Any]) -> None:
    """Weights that are missing would be random numbers, and so would every figure."""
    for what in ("missing_keys", "mismatched_keys", "error_msgs"):
        if found := report.get(what):
            shown = ", ".join(str(item) for item in list(found)[:_SHOWN_KEYS])
            raise InputError(
                str(pretrained),
                expected="weights for every part of the model",
                got=f"{len(found)} {what.replace('_', ' ')}: {shown}",
                remedy="The checkpoint is incomplete or of another architecture; fetch it again.",
            )


def refuse_odd_adapter(folder: Path) -> None:
    """LoRA only, and nothing that imports modules or fetches more files by what the adapter's author wrote."""
    config = read_json(folder / ADAPTER_CONFIG)
    if config.get("peft_type") != "LORA":
        raise InputError(
            f"{folder / ADAPTER_CONFIG}: peft_type",
            expected="LORA",
            got=str(config.get("peft_type"))[:80],
            remedy="Only LoRA adapters (with DoRA and rsLoRA) are supported.",
        )
    if config.get("megatron_config") is not None:
        raise InputError(
            f"{folder / ADAPTER_CONFIG}: megatron_config",
            expected="none",
            got="one, which would import a module that the adapter names",
            remedy="Convert the adapter to plain PEFT.",
        )


def _misfit(folder: Path, got: str) -> InputError:
    named = str(read_json(folder / ADAPTER_CONFIG).get("base_model_name_or_path"))[:120]
    return InputError(
        f"adapter {folder}",
        expected="LoRA weights that fit this base, each in its place",
        got=got,
        remedy=f"It was made for {named}; pass that as pretrained=.",
    )


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # torch and peft say "Error(s) in loading state_dict for X:" first, and what is wrong in the next line
    text = " ".join(lines[:2]) if lines and lines[0].endswith(":") else next(iter(lines), "")
    return (text or type(error).__name__)[:240]
