"""Loading checkpoints and adapters: exact when they fit, one clear line when they do not."""

from __future__ import annotations

import json
import pickle
import shutil
import warnings
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from boxlist.errors import InputError
from boxlist.models.loading import load_processor_and_model, torch_device, torch_dtype

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TARGETS = r".*language_model\.layers\.\d+\.self_attn\.(q|k|v|o)_proj"


@pytest.fixture
def make_adapter(recitations: Any, tmp_path: Path) -> Callable[..., Path]:
    """Save a LoRA adapter for the reciting model: `make_adapter(name, random=...)`."""

    def make(name: str = "adapter", *, random: bool = True) -> Path:
        from peft import LoraConfig, get_peft_model

        _, model = load_processor_and_model(str(recitations.folder), device="cpu")
        with warnings.catch_warnings():  # peft 0.21 uses a name that transformers 5.23 deprecates
            warnings.simplefilter("ignore", FutureWarning)
            wrapped = get_peft_model(model, LoraConfig(r=4, target_modules=TARGETS))
        if random:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(1)
                for weight_name, weight in wrapped.named_parameters():
                    if "lora_" in weight_name:
                        torch.nn.init.normal_(weight, std=0.3)
        wrapped.save_pretrained(tmp_path / name)
        return tmp_path / name

    return make


@pytest.fixture
def logits(recitations: Any) -> Callable[..., torch.Tensor]:
    """The logits of a fixed text under an adapter, or none."""

    def run(adapter: Path | None) -> torch.Tensor:
        processor, model = load_processor_and_model(
            str(recitations.folder), None if adapter is None else str(adapter), device="cpu"
        )
        assert not model.training
        assert processor.tokenizer.padding_side == "left"
        with torch.inference_mode():
            result: torch.Tensor = model(**processor.tokenizer("Scene 1. [1, 2]", return_tensors="pt")).logits
        return result

    return run


def test_an_adapter_of_zeros_changes_nothing_and_random_weights_do(
    make_adapter: Callable[..., Path], logits: Callable[..., torch.Tensor]
) -> None:
    base = logits(None)
    assert torch.equal(logits(make_adapter("zeros", random=False)), base)
    assert (logits(make_adapter("random")) - base).abs().max() > 0.1


def test_in_short_numbers_the_adapter_is_not_merged_and_its_file_is_what_runs(
    make_adapter: Callable[..., Path], recitations: Any
) -> None:
    folder = make_adapter()
    _, model = load_processor_and_model(str(recitations.folder), str(folder), device="cpu", dtype="bfloat16")
    stored = load_file(folder / "adapter_model.safetensors")
    running = {name.replace(".default", ""): weight for name, weight in model.named_parameters() if "lora_" in name}
    assert set(running) == set(stored)
    assert all(torch.equal(running[name], stored[name].to(running[name].dtype)) for name in stored)


def test_in_float32_the_adapter_is_merged_and_the_sum_is_exact(
    make_adapter: Callable[..., Path], recitations: Any
) -> None:
    folder = make_adapter()
    _, base = load_processor_and_model(str(recitations.folder), device="cpu")
    _, model = load_processor_and_model(str(recitations.folder), str(folder), device="cpu")
    config = json.loads((folder / "adapter_config.json").read_text())
    stored = load_file(folder / "adapter_model.safetensors")
    before, after = dict(base.named_parameters()), dict(model.named_parameters())
    assert before.keys() == after.keys(), "no module of the adapter's is left"
    adapted = {name.removeprefix("base_model.model.").removesuffix(".lora_A.weight") for name in stored}
    adapted = {name for name in adapted if f"base_model.model.{name}.lora_B.weight" in stored}
    assert adapted
    for name, weight in after.items():
        module = name.removesuffix(".weight")
        expected = before[name]
        if module in adapted:
            down, up = (stored[f"base_model.model.{module}.lora_{part}.weight"] for part in "AB")
            expected = expected + (up @ down) * (config["lora_alpha"] / config["r"])
            assert not torch.equal(expected, before[name])
        assert torch.allclose(weight, expected, atol=1e-6), name


def test_dtype_and_device() -> None:
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert torch_dtype("auto", cpu) is torch.float32
    assert torch_dtype("auto", cuda) == "auto"
    assert torch_dtype("bfloat16", cpu) is torch.bfloat16
    assert torch_device("cpu") == cpu
    assert torch_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(InputError, match="dtype 'bf16': expected one of auto, bfloat16, float16, float32"):
        torch_dtype("bf16", cpu)
    for name in ("cuda:99", "tpu", "nonsense:x"):
        with pytest.raises(InputError, match=f"device '{name}': expected auto, cpu, or a device of this machine"):
            torch_device(name)


def test_adapter_for_another_base(make_adapter: Callable[..., Path], pocket_base: Path) -> None:
    """The reciting model is 64 wide and has 2 layers, the pocket 192 and 6."""
    folder = make_adapter()
    with pytest.raises(InputError) as caught:
        load_processor_and_model(str(pocket_base), str(folder), device="cpu")
    message = str(caught.value)
    assert message.startswith(f"adapter {folder}: expected LoRA weights that fit this base, each in its place, got")
    assert "It was made for " in message
    assert "\n" not in message


def test_adapter_whose_targets_this_base_lacks(make_adapter: Callable[..., Path], recitations: Any) -> None:
    folder = make_adapter()
    _edit(folder, target_modules=["query_key_value"])
    with pytest.raises(InputError, match=r"adapter .*: expected LoRA weights that fit this base.*query_key_value"):
        load_processor_and_model(str(recitations.folder), str(folder), device="cpu")


def test_missing_and_surplus_adapter_weights(make_adapter: Callable[..., Path], recitations: Any) -> None:
    folder = make_adapter()
    weights = load_file(folder / "adapter_model.safetensors")
    name = sorted(weights)[0]
    save_file({key: value for key, value in weights.items() if key != name}, folder / "adapter_model.safetensors")
    with pytest.raises(InputError, match=r"got 1 weights not in the file: .*lora_A"):
        load_processor_and_model(str(recitations.folder), str(folder), device="cpu")
    save_file(
        {**weights, name.replace("layers.0", "layers.7"): weights[name].clone()}, folder / "adapter_model.safetensors"
    )
    with pytest.raises(InputError, match=r"got 1 weights with no place: .*layers\.7"):
        load_processor_and_model(str(recitations.folder), str(folder), device="cpu")


def test_adapters_that_ask_for_more_than_lora(make_adapter: Callable[..., Path], recitations: Any) -> None:
    folder = make_adapter()
    other_kind: dict[str, Any] = {"peft_type": "XLORA"}
    importing: dict[str, Any] = {"peft_type": "LORA", "megatron_config": {}, "megatron_core": "os"}
    for changes, message in (
        (other_kind, r"adapter_config.json: peft_type: expected LORA, got XLORA. Only LoRA adapters"),
        (importing, r"megatron_config: expected none, got one, which would import a module"),
    ):
        _edit(folder, **changes)
        with pytest.raises(InputError, match=message):
            load_processor_and_model(str(recitations.folder), str(folder), device="cpu")


def test_a_pickle_is_never_read(make_adapter: Callable[..., Path], recitations: Any, tmp_path: Path) -> None:
    class Burglar:
        def __reduce__(self) -> tuple[Any, ...]:
            return (tmp_path / "was_here").touch, ()

    folder = make_adapter()
    (folder / "adapter_model.safetensors").unlink()
    (folder / "adapter_model.bin").write_bytes(pickle.dumps(Burglar()))
    with pytest.raises(InputError, match=r"expected adapter_model.safetensors, got only adapter_model.bin, a pickle"):
        load_processor_and_model(str(recitations.folder), str(folder), device="cpu")
    assert not (tmp_path / "was_here").exists()


@pytest.mark.parametrize("content", [b"", b"not safetensors at all", b"\xff" * 64])
def test_broken_adapter_weights(make_adapter: Callable[..., Path], recitations: Any, content: bytes) -> None:
    folder = make_adapter()
    (folder / "adapter_model.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=r"adapter .*: expected LoRA weights that fit this base"):
        load_processor_and_model(str(recitations.folder), str(folder), device="cpu")


@pytest.mark.parametrize(
    ("breakage", "message"),
    [
        ("no processor", "expected a checkpoint for images and text"),
        ("no template", "expected a processor with a tokenizer and a chat template"),
        ("not a vision model", "expected a checkpoint for images and text that this transformers knows"),
        ("unknown model", "expected a checkpoint for images and text that this transformers knows"),
        ("remote code", "pass trust_remote_code=True"),
        ("broken weights", "expected a checkpoint for images and text"),
        ("missing weights", "expected weights for every part of the model, got 1 missing keys"),
        ("other sizes", "expected"),
    ],
)
def test_broken_checkpoints(recitations: Any, tmp_path: Path, breakage: str, message: str) -> None:
    folder = shutil.copytree(recitations.folder, tmp_path / "base")
    _break(folder, breakage)
    with pytest.raises(InputError) as caught:
        load_processor_and_model(str(folder), device="cpu")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def _break(folder: Path, breakage: str) -> None:
    weights = folder / "model.safetensors"
    if breakage == "no processor":
        for file in ("processor_config.json", "tokenizer.json", "tokenizer_config.json"):
            (folder / file).unlink()
    elif breakage == "no template":
        (folder / "chat_template.jinja").unlink()
    elif breakage == "not a vision model":
        _edit(folder, "config.json", model_type="bert", architectures=["BertModel"])
    elif breakage == "unknown model":
        _edit(folder, "config.json", model_type="no_such_model")
    elif breakage == "remote code":
        code = {"AutoConfig": "conf.Conf", "AutoModelForImageTextToText": "mod.Mod"}
        _edit(folder, "config.json", model_type="no_such_model", auto_map=code)
        (folder / "conf.py").write_text("raise SystemExit('code of the checkpoint ran')")
    elif breakage == "broken weights":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif breakage == "missing weights":
        tensors = load_file(weights)
        tensors.pop(next(name for name in sorted(tensors) if "language_model.layers.0" in name))
        save_file(tensors, weights, metadata={"format": "pt"})
    else:
        config = json.loads((folder / "config.json").read_text())
        config["text_config"]["intermediate_size"] = 96
        (folder / "config.json").write_text(json.dumps(config))


def _edit(folder: Path, file: str = "adapter_config.json", **changes: Any) -> None:
    path = folder / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
