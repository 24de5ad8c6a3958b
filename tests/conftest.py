"""Fixtures for every test: the pocket checkpoint, a place for data sets, and a quiet, offline Hugging Face."""

from __future__ import annotations

import os
import string
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Threads that wait for work must not take the core from those that have some: on two cores it is tenfold.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"

# No test asserts on wall time. The same examples every time, so that a change is judged by itself; `pytest
# --hypothesis-profile search` looks for new ones, and what it finds becomes an `@example`.
settings.register_profile("boxlist", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=2000)
settings.load_profile("boxlist")


@pytest.fixture(scope="session")
def pocket_base() -> Path:
    """The folder of the pocket checkpoint, as it is committed."""
    from boxlist.adapters_training.pocket import CHECKPOINT

    assert (CHECKPOINT / "model.safetensors").is_file(), f"the pocket checkpoint is missing: {CHECKPOINT}"
    return CHECKPOINT


@pytest.fixture(scope="session", autouse=True)
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Data sets are built once for all tests, and not in the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("boxlist-data")
        patch.setenv("BOXLIST_DATA", str(root))
        yield root


@pytest.fixture(scope="session")
def paligemma_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of PaliGemma 2's own classes with 80 thousand random weights and a token a letter, which sees an
    image as four patches and writes nonsense about it."""
    import torch
    from transformers import PaliGemmaConfig, PaliGemmaForConditionalGeneration

    processor = _paligemma_processor()
    config = PaliGemmaConfig(
        text_config={
            "model_type": "gemma2",
            "vocab_size": len(processor.tokenizer),
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 16,
            "query_pre_attn_scalar": 16,
            "initializer_range": 0.5,
        },
        vision_config={
            "model_type": "siglip_vision_model",
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": 28,
            "patch_size": 14,
            "vision_use_head": False,
        },
        projection_dim=32,
        image_token_id=processor.image_token_id,
        pad_token_id=processor.tokenizer.pad_token_id,
        bos_token_id=processor.tokenizer.bos_token_id,
        eos_token_id=processor.tokenizer.eos_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = PaliGemmaForConditionalGeneration(config)
    with torch.no_grad():  # what comes next depends on all that came before, not on the last token alone
        model.get_input_embeddings().weight.mul_(0.1)
        model.model.language_model.norm.weight.fill_(9)  # which is 1 more as a factor; else no token could be likely
    folder = tmp_path_factory.mktemp("paligemma")
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _paligemma_processor() -> Any:
    from transformers import GemmaTokenizer, PaliGemmaProcessor, SiglipImageProcessor

    names = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "\n", "\u2581", *(f"<0x{byte:02X}>" for byte in range(256))]
    letters = string.ascii_letters + string.digits + string.punctuation
    tokenizer = GemmaTokenizer(vocab={name: place for place, name in enumerate([*names, *letters])}, merges=[])
    image_processor = SiglipImageProcessor(size={"height": 28, "width": 28})
    image_processor.image_seq_length = 4
    return PaliGemmaProcessor(image_processor, tokenizer)  # which adds <image>, <loc0000> and so on
