"""The weights file of an adapter, read without torch: the digest of its tensors, and what its metadata vouches for."""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boxlist.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

WEIGHTS_FILE = "adapter_model.safetensors"
DIGEST_KEY = "boxlist_provenance_sha256"
MAX_HEADER_BYTES = 64 * 1024 * 1024


def tensors_sha256(weights: str | Path) -> str:
    """The digest of the tensors of a safetensors file: names, types, shapes and bytes, and not its metadata.

    Reads the file format itself (8-byte header length, JSON header, data), so that no torch is needed.
    """
    file = Path(weights)
    header, start = _header(file)
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        for name in sorted(header):
            entry = header[name]
            digest.update(json.dumps([name, entry["dtype"], entry["shape"]]).encode())
            begin, end = entry["data_offsets"]
            stream.seek(start + begin)
            left = end - begin
            while left > 0:
                piece = stream.read(min(left, 1 << 20))
                if not piece:
                    raise _bad_weights(file, f"tensor {name[:80]!r} is cut off")
                digest.update(piece)
                left -= len(piece)
    return digest.hexdigest()


def provenance_digest(weights: str | Path) -> str | None:
    """The digest of the provenance that the weights' metadata names, or None."""
    metadata = _read_header(Path(weights))[0].get("__metadata__", {})
    digest = metadata.get(DIGEST_KEY) if isinstance(metadata, dict) else None
    return digest if isinstance(digest, str) else None


def tensor_entries(weights: str | Path) -> dict[str, dict[str, Any]]:
    """Type, shape and place of every tensor, by name, as the header of the file says them."""
    return _header(Path(weights))[0]


def write_metadata(weights: str | Path, metadata: Mapping[str, str]) -> None:
    """Replace the metadata of a safetensors file; the tensors stay as they are, and equal input gives equal bytes.

    The safetensors library writes metadata in an order that differs from process to process.
    """
    file = Path(weights)
    header, start = _read_header(file)
    header.pop("__metadata__", None)
    text = json.dumps({"__metadata__": dict(sorted(metadata.items())), **header}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the format aligns the data
    fresh = file.with_suffix(".part")
    with file.open("rb") as old, fresh.open("wb") as new:
        old.seek(start)
        new.write(struct.pack("<Q", len(text)) + text)
        shutil.copyfileobj(old, new)
    fresh.replace(file)


def _header(file: Path) -> tuple[dict[str, Any], int]:
    """The tensors' entries, checked, and where the data starts."""
    header, start = _read_header(file)
    header.pop("__metadata__", None)
    for name, entry in header.items():
        offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
        if not (
            isinstance(offsets, list)
            and len(offsets) == 2
            and all(isinstance(offset, int) for offset in offsets)
            and 0 <= offsets[0] <= offsets[1]
            and {"dtype", "shape"} <= entry.keys()
            and isinstance(entry["shape"], list)
            and all(isinstance(side, int) and side >= 0 for side in entry["shape"])
        ):
            raise _bad_weights(file, f"no valid entry for tensor {name[:80]!r}")
    return header, start


def _read_header(file: Path) -> tuple[dict[str, Any], int]:
    if not file.is_file():
        raise _bad_weights(file, "no such file")
    with file.open("rb") as stream:
        first = stream.read(8)
        length = struct.unpack("<Q", first)[0] if len(first) == 8 else 0
        if not 0 < length <= MAX_HEADER_BYTES:
            raise _bad_weights(file, "no safetensors header")
        raw = stream.read(length)
    try:
        header = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise _bad_weights(file, "a broken header") from error
    if not isinstance(header, dict):
        raise _bad_weights(file, "a broken header")
    return header, 8 + length


def _bad_weights(file: Path, got: str) -> InputError:
    return InputError(str(file), expected="a safetensors file of an adapter", got=got, remedy="Restore the file.")
