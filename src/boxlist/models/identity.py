"""Find checkpoints and adapters on disk or on the hub, and say by content what they are. No torch here.

Only safetensors count as weights: nothing is ever unpickled, and from the hub nothing else is downloaded.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boxlist.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
_PICKLED = ("adapter_model.bin", "adapter_model.pt", "pytorch_model.bin")
_MODEL_FILES = ("*.json", "*.jinja", "*.safetensors", "*.model", "*.txt", "*.tiktoken")
_READING_FILES = (  # what turns a conversation into the model's input, and its output into text
    "*token*.json",
    "vocab*",
    "merges.txt",
    "*.model",
    "*.tiktoken",
    "*processor_config.json",
    "chat_template.*",
    "additional_chat_templates/*",
)


def checkpoint_folder(pretrained: str, revision: str | None = None, *, with_code: bool = False) -> Path:
    """The folder of a checkpoint: `pretrained` itself, or the local copy of a hub repository (downloaded if need be).

    Raises `InputError` when there is none, or when it holds no `config.json` or no safetensors.
    """
    folder = _local_or_hub(pretrained, revision, (*_MODEL_FILES, *(["*.py"] if with_code else [])), "checkpoint")
    if not (folder / "config.json").is_file():
        is_adapter = (folder / ADAPTER_CONFIG).is_file()
        raise InputError(
            str(pretrained),
            expected="a checkpoint folder with config.json",
            got="an adapter" if is_adapter else "a folder without one",
            remedy="Give it as adapter=, beside pretrained=." if is_adapter else "Check the path.",
        )
    if not any(folder.glob("*.safetensors")):
        raise InputError(
            str(pretrained),
            expected="weights in safetensors",
            got="none",
            remedy="Save the model again with save_pretrained(safe_serialization=True); other formats can run code.",
        )
    return folder


def adapter_folder(adapter: str, revision: str | None = None) -> Path:
    """The folder of a LoRA adapter, by path or hub id. Raises `InputError` when it is none, or is pickled."""
    folder = _local_or_hub(adapter, revision, (ADAPTER_CONFIG, ADAPTER_WEIGHTS, "adapter_provenance.json"), "adapter")
    if not (folder / ADAPTER_CONFIG).is_file():
        raise InputError(
            str(adapter),
            expected=f"an adapter folder with {ADAPTER_CONFIG}",
            got="a folder without one",
            remedy="Check the path; boxlist train writes such a folder.",
        )
    if not (folder / ADAPTER_WEIGHTS).is_file():
        pickled = [name for name in _PICKLED if (folder / name).is_file()]
        raise InputError(
            str(adapter),
            expected=ADAPTER_WEIGHTS,
            got=f"only {pickled[0]}, a pickle, which can run code when it is read" if pickled else "no weights",
            remedy="Save the adapter again with save_pretrained(safe_serialization=True).",
        )
    return folder


def adapter_sha256(adapter: str | Path, revision: str | None = None) -> str:
    """sha256 over the bytes of an adapter's weights and configuration, wherever they lie and whatever their dates."""
    folder = adapter_folder(str(adapter), revision)
    return _sha256_of_files([folder / ADAPTER_CONFIG, folder / ADAPTER_WEIGHTS], folder)


def base_identity(pretrained: str | Path, revision: str | None = None) -> dict[str, str]:
    """What a checkpoint is, by content; every file is read anew each time.

    `config_sha256` covers config.json, `generation_config_sha256` generation_config.json (the end-of-turn ids),
    `processor_sha256` tokenizer, processor and chat template, `weights_sha256` the safetensors. `model_type` is as
    config.json says it.
    """
    folder = checkpoint_folder(str(pretrained), revision)
    return {
        "model_type": str(read_json(folder / "config.json").get("model_type")),
        "config_sha256": _sha256_of_files([folder / "config.json"], folder),
        "generation_config_sha256": _sha256_of_files(folder.glob("generation_config.json"), folder),
        "processor_sha256": _sha256_of_files(reading_files(folder), folder),
        "weights_sha256": _sha256_of_files(folder.glob("*.safetensors"), folder),
    }


def reading_files(folder: Path) -> set[Path]:
    """Tokenizer, processor and chat template of a checkpoint: what stands between words and the model's numbers."""
    return {path for pattern in _READING_FILES for path in folder.glob(pattern) if path.is_file()}


def checkpoint_rows(arguments: Mapping[str, object]) -> dict[str, Any]:
    """What identifies `boxlist_hf`'s model in `run.json`, by content: base, adapter and the number type asked for."""
    pretrained, adapter = str(arguments["pretrained"]), arguments.get("adapter")
    base = base_identity(pretrained, _text(arguments.get("revision")))
    dtype = str(arguments.get("dtype") or "auto")
    rows: dict[str, Any] = {"base": {"path": pretrained, **base}, "adapter": None, "dtype": dtype}
    if adapter is not None:
        folder = adapter_folder(str(adapter), _text(arguments.get("adapter_revision")))
        config = read_json(folder / ADAPTER_CONFIG)
        modules = config.get("target_modules")
        rows["adapter"] = {
            "path": str(adapter),
            "sha256": adapter_sha256(folder),
            # what reports tell adapters apart by, also once the folder is gone
            "r": config.get("r"),
            "target_modules": ",".join(sorted(map(str, modules))) if isinstance(modules, list) else str(modules),
        }
    return rows


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def read_json(path: Path) -> dict[str, object]:
    """A JSON object from a file; `InputError` when it is something else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(
            str(path), expected="JSON", got=str(error)[:120], remedy="Restore the file from where it came."
        ) from None
    if not isinstance(content, dict):
        raise InputError(str(path), expected="a JSON object", got=type(content).__name__, remedy="Restore the file.")
    return content


def _local_or_hub(name: str, revision: str | None, patterns: Sequence[str], what: str) -> Path:
    folder = Path(name).expanduser()
    if name and folder.is_dir():
        return folder
    if name and folder.exists():
        raise InputError(name, expected=f"a folder with a {what}", got="a file", remedy="Give the folder it lies in.")
    looks_like_path = not name or name.startswith(("/", ".", "~")) or name.count("/") != 1 or "\\" in name
    if looks_like_path:
        raise InputError(
            f"{what} {name!r}",
            expected="a folder, or a hub id such as owner/name",
            got="neither",
            remedy="Check the path.",
        )
    return _from_hub(name, revision, patterns, what)


def _from_hub(name: str, revision: str | None, patterns: Sequence[str], what: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(patterns)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        first_line = str(error).strip().partition("\n")[0][:160] or type(error).__name__
        raise InputError(
            f"{what} {name!r}",
            expected="a folder here, or a hub repository that can be reached",
            got=first_line,
            remedy="Check the path or the hub id, the revision, and that you may read it.",
        ) from None


def _sha256_of_files(paths: Iterable[Path], folder: Path) -> str:
    """One hash over names (relative to `folder`) and contents, in the order of names."""
    total = hashlib.sha256()
    for path in sorted(paths, key=lambda path: path.relative_to(folder).as_posix()):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{path.relative_to(folder).as_posix()}\0{content}\n".encode())
    return total.hexdigest()
