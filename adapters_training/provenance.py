"""What an adapter was made from, beside its weights, and the check that an evaluation asks before it uses them.

`adapter_provenance.json` names base, protocol, prompt, every training image by content, and the recipe. Its digest is
in the metadata of the adapter's safetensors file, and it holds the digest of the tensors: each vouches for the other.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boxlist.adapters_training.weights_file import WEIGHTS_FILE, provenance_digest, tensors_sha256
from boxlist.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SCHEMA = 1
PROVENANCE_FILE = "adapter_provenance.json"
MAX_PROVENANCE_BYTES = 64 * 1024 * 1024
_SHOWN = 3  # names that an error lists

# Section -> key -> type. Sections may hold more; what is named here must be there.
_LAYOUT: dict[str, dict[str, type]] = {
    "adapter": {"tensors_sha256": str},
    "base": {"name": str, "identity": dict},
    "protocol": {"name": str, "list_order": str},
    "prompt": {"task": str, "template": str, "template_sha256": str},
    "data": {"dataset": str, "split": str, "images": list},
    "recipe": {},
    "training": {"trainable_parameters": int, "loss_normalisation": str},
    "versions": {},
}


@dataclass(frozen=True)
class Provenance:
    """The record beside an adapter. Sections are plain JSON; the properties are what a check needs."""

    adapter: Mapping[str, Any]
    base: Mapping[str, Any]
    protocol: Mapping[str, Any]
    prompt: Mapping[str, Any]
    data: Mapping[str, Any]
    recipe: Mapping[str, Any]
    training: Mapping[str, Any]
    versions: Mapping[str, Any]

    @property
    def base_identity(self) -> Mapping[str, Any]:
        identity: Mapping[str, Any] = self.base["identity"]
        return identity

    @property
    def image_hashes(self) -> frozenset[str]:
        """The training images' digests: of their files and, where known, of their pixels."""
        images = self.data["images"]
        return frozenset(image[key] for image in images for key in ("sha256", "pixels_sha256") if key in image)

    def to_dict(self) -> dict[str, Any]:
        """The record as it is written."""
        return {"schema": SCHEMA, **{name: getattr(self, name) for name in _LAYOUT}}

    def to_json(self) -> str:
        """The file's text: the same sections always give the same bytes."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False) + "\n"


def text_sha256(text: str) -> str:
    """The digest of a text in UTF-8."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def read_provenance(adapter: str | Path) -> Provenance | None:
    """Read and check the provenance of an adapter folder; None when it has none.

    Raises `InputError` for a file that is too large, not JSON, of another schema, or lacks what a check needs.
    """
    file = Path(adapter) / PROVENANCE_FILE
    if not file.is_file():
        return None
    return parse_provenance(_read_bounded(file), str(file))


def parse_provenance(text: bytes, where: str) -> Provenance:
    """`read_provenance` for bytes already read; `where` names them in errors."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            where, expected="JSON", got=str(error)[:120], remedy="Restore the file, or train the adapter again."
        ) from error
    if not isinstance(found, dict):
        raise _broken(where, "one JSON object", type(found).__name__)
    if found.get("schema") != SCHEMA:
        raise InputError(
            f"{where}: schema", expected=str(SCHEMA), got=repr(found.get("schema"))[:80], remedy="Update boxlist."
        )
    for section, keys in _LAYOUT.items():
        if not isinstance(found.get(section), dict):
            raise _broken(f"{where}: {section}", "an object", type(found.get(section)).__name__)
        for key, kind in keys.items():
            value = found[section].get(key)
            if not isinstance(value, kind):
                raise _broken(f"{where}: {section}.{key}", kind.__name__, type(value).__name__)
    for place, image in enumerate(found["data"]["images"]):
        if not (isinstance(image, dict) and all(isinstance(image.get(key), str) for key in ("name", "sha256"))):
            raise _broken(f"{where}: data.images[{place}]", "an object with name and sha256", repr(image)[:80])
    return Provenance(**{section: found[section] for section in _LAYOUT})


def write_provenance(folder: Path, provenance: Provenance) -> str:
    """Write the record beside the weights and return its digest, which belongs into their metadata."""
    text = provenance.to_json()
    (folder / PROVENANCE_FILE).write_text(text, encoding="utf-8")
    return text_sha256(text)


def check_adapter(
    adapter: str | Path,
    *,
    base_identity: Mapping[str, Any],
    protocol: str,
    prompts: Mapping[str, str],
    evaluation_images: Mapping[str, str],
    any_protocol: bool = False,
) -> list[str]:
    """Refuse an adapter that does not fit an evaluation; the warnings say what could not be checked.

    `prompts` maps each task evaluated to its raw template: only the task that the adapter was trained on is compared,
    and what a control appends to it is no mismatch. `evaluation_images` maps the sha256 of an image's
    file or of its pixels, or both, to a name. With `any_protocol` another protocol is a warning. Raises one
    `InputError` that lists every difference (base, protocol, prompt, overlap), or says that weights and provenance do
    not belong together.
    """
    folder = Path(adapter)
    provenance = read_provenance(folder)
    if provenance is None:
        unchecked = "that base, protocol and prompt are those of its training, nor that no evaluation image was in it"
        return [f"{folder}: no {PROVENANCE_FILE}: cannot check {unchecked}."]
    check_belongs(folder, provenance)
    other_protocol = list(_protocol_differences(provenance, protocol))
    differences = [
        *base_differences(provenance, base_identity),
        *(() if any_protocol else other_protocol),
        *_prompt_differences(provenance, prompts),
        *_overlap(provenance, evaluation_images),
    ]
    if differences:
        raise InputError(
            f"adapter {folder}",
            expected="an evaluation with the base, protocol and prompt of its training, on other images",
            got="; ".join(differences),
            remedy="Evaluate it as it was trained, or train an adapter for this evaluation (boxlist train)."
            + (" To ask it in this format all the same: --any-protocol." if differences == other_protocol else ""),
        )
    missing = sorted(set(_hashes(provenance.base_identity)) - set(_hashes(base_identity)))
    unknown = [f"cannot check the base's {', '.join(missing)}: not known of the base in use"] if missing else []
    return [f"{folder}: {words}." for words in [*other_protocol, *unknown]]


def check_belongs(folder: Path, provenance: Provenance) -> None:
    """Raise `InputError` unless the weights and the provenance of a folder name each other's digest."""
    weights = folder / WEIGHTS_FILE
    if tensors_sha256(weights) != provenance.adapter["tensors_sha256"]:
        raise InputError(
            f"adapter {folder}",
            expected=f"the tensors that {PROVENANCE_FILE} describes",
            got="others",
            remedy="Restore the weights or train again.",
        )
    named = provenance_digest(weights)
    found = hashlib.sha256(_read_bounded(folder / PROVENANCE_FILE)).hexdigest()
    if named is not None and named != found:
        raise InputError(
            f"adapter {folder}",
            expected=f"the {PROVENANCE_FILE} that was written with its weights",
            got="another, or an edited one",
            remedy="Restore the file or train again.",
        )


def base_differences(provenance: Provenance, identity: Mapping[str, Any]) -> Iterable[str]:
    """In what a base differs from the one that was trained on, in words; nothing where it is the same."""
    trained, used = _hashes(provenance.base_identity), _hashes(identity)
    differing = sorted(key for key in trained.keys() & used.keys() if trained[key] != used[key])
    if differing:
        shown = ", ".join(f"{key} {used[key][:12]} is not {trained[key][:12]}" for key in differing[:_SHOWN])
        yield f"another base than {provenance.base['name'][:120]} ({shown})"


def _protocol_differences(provenance: Provenance, protocol: str) -> Iterable[str]:
    trained = provenance.protocol["name"]
    if trained != protocol:
        yield f"protocol {protocol} where it learnt {trained[:80]}"


def _prompt_differences(provenance: Provenance, prompts: Mapping[str, str]) -> Iterable[str]:
    task = provenance.prompt["task"]
    if task in prompts and text_sha256(prompts[task]) != provenance.prompt["template_sha256"]:
        yield f"another prompt for {task[:80]} than it was trained on ({provenance.prompt['template'][:120]!r})"


def _overlap(provenance: Provenance, evaluation_images: Mapping[str, str]) -> Iterable[str]:
    trained = provenance.image_hashes
    shared = sorted({name for sha256, name in evaluation_images.items() if sha256 in trained})
    if shared:
        more = f" and {len(shared) - _SHOWN} more" if len(shared) > _SHOWN else ""
        counted = f"{len(shared)} evaluation image{'s' if len(shared) > 1 else ''}"
        yield f"overlap: {counted} it was trained on ({', '.join(shared[:_SHOWN])}{more})"


def _hashes(identity: Mapping[str, Any]) -> dict[str, str]:
    """The parts of an identity that must be equal: the digests. A name or a path may differ."""
    return {key: value for key, value in identity.items() if key.endswith("sha256") and isinstance(value, str)}


def _read_bounded(file: Path) -> bytes:
    with file.open("rb") as stream:
        text = stream.read(MAX_PROVENANCE_BYTES + 1)
    if len(text) > MAX_PROVENANCE_BYTES:
        raise InputError(
            str(file), expected=f"at most {MAX_PROVENANCE_BYTES} bytes", got="more", remedy="Restore the file."
        )
    return text


def _broken(where: str, expected: str, got: str) -> InputError:
    return InputError(where, expected=expected, got=got, remedy="Restore the file, or train the adapter again.")
