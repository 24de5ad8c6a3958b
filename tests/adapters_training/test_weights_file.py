"""The weights file read without torch: what its digest covers, and files that are none."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from boxlist.adapters_training.weights_file import DIGEST_KEY, provenance_digest, tensors_sha256, write_metadata
from boxlist.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

TENSORS: dict[str, np.ndarray] = {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.ones(2, dtype=np.float16)}


def saved(folder: Path, tensors: dict[str, np.ndarray], metadata: dict[str, str] | None = None) -> str:
    file = folder / "weights.safetensors"
    save_file(tensors, file, metadata=metadata)
    return tensors_sha256(file)


def test_the_digest_is_of_the_tensors_and_not_of_the_metadata(tmp_path: Path) -> None:
    assert saved(tmp_path, TENSORS) == saved(tmp_path, TENSORS, {"format": "pt", "more": "x"})


@pytest.mark.parametrize(
    "other",
    [
        {**TENSORS, "b": TENSORS["b"] + 1e-7},
        {**TENSORS, "b": TENSORS["b"].reshape(3, 2)},
        {**TENSORS, "a": np.ones(2, dtype=np.float16).view(np.int16)},
        {"c": TENSORS["b"], "a": TENSORS["a"]},
        {"b": TENSORS["b"]},
    ],
    ids=["a value", "a shape", "a type", "a name", "one fewer"],
)
def test_the_digest_tells_tensors_apart(tmp_path: Path, other: dict[str, np.ndarray]) -> None:
    assert saved(tmp_path, TENSORS) != saved(tmp_path, other)


def test_the_metadata_names_the_provenance(tmp_path: Path) -> None:
    saved(tmp_path, TENSORS, {DIGEST_KEY: "abc"})
    assert provenance_digest(tmp_path / "weights.safetensors") == "abc"
    saved(tmp_path, TENSORS)
    assert provenance_digest(tmp_path / "weights.safetensors") is None


def test_metadata_is_replaced_and_the_tensors_stay(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    before = saved(tmp_path, TENSORS, {"old": "x"})
    write_metadata(file, {"format": "pt", DIGEST_KEY: "ä" * 40})
    with safe_open(file, framework="numpy") as opened:
        assert opened.metadata() == {"format": "pt", DIGEST_KEY: "ä" * 40}
        assert all((opened.get_tensor(name) == tensor).all() for name, tensor in TENSORS.items())
    assert tensors_sha256(file) == before
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def header(entries: object) -> bytes:
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "got no safetensors header"),
        (b"\x80\x04pickle.", "got no safetensors header"),
        (struct.pack("<Q", 10**15) + b"{}", "got no safetensors header"),
        (struct.pack("<Q", 2) + b"{", "got a broken header"),
        (struct.pack("<Q", 9000) + b"[" * 9000, "got a broken header"),
        (header([1]), "got a broken header"),
        (header({"a": 1}), "got no valid entry for tensor 'a'"),
        (header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}), "got no valid entry for tensor 'a'"),
        (header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 10**12]}}), "got tensor 'a' is cut off"),
    ],
)
def test_a_broken_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "weights.safetensors"
    file.write_bytes(content)
    with pytest.raises(InputError, match=f"expected a safetensors file of an adapter, {message}"):
        tensors_sha256(file)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="got no such file"):
        tensors_sha256(tmp_path / "weights.safetensors")
