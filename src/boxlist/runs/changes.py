"""Whether the answers on disk were made from what a run has now; every difference is named.

What can change an answer is refused. What hardly can (package versions, batch size, device) is only told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from boxlist.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from boxlist.runs.folder import RunFolder
    from boxlist.runs.inputs import RunInputs

# Rows of run.json that must be the same for answers to be reused, in the order in which changes are told.
INPUT_ROWS = (
    "replayed_from", "model", "base", "adapter", "protocol", "dtype", "controls", "options", "seed", "tasks", "code",
)  # fmt: skip
# Where an input came from, not what it is; and a hash whose text stands beside it.
_NOT_COMPARED = frozenset({"path", "prompt_sha256"})
_SHORT = 44
_SHOWN_CHANGES = 8


def refuse_changes(folder: RunFolder, inputs: RunInputs) -> None:
    """Raise `InputError` naming every input that is not what the stored answers, if any, were made from."""
    stored = folder.run()
    if stored is None or not folder.answers.keys():
        return
    found = changes(stored, inputs.rows)
    images = _image_changes(folder, inputs)
    found += [text for text in images if not found or "prompt" not in text]
    if not found:
        return
    more = f"; and {len(found) - _SHOWN_CHANGES} more" if len(found) > _SHOWN_CHANGES else ""
    raise _refusal(folder, "; ".join(found[:_SHOWN_CHANGES]) + more)


def refuse_other_dtype(folder: RunFolder, dtype: str | None) -> None:
    """The same, for the number type that `dtype=auto` came to once the model was loaded."""
    before = (folder.run() or {}).get("dtype_used") or dtype
    if folder.answers.keys() and before != dtype:
        raise _refusal(folder, f"dtype: {before} -> {dtype}")


def changes(stored: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Each changed input as `what: old -> new`. A task more, or more images of one, is no change.

    >>> changes({"protocol": "pixel_xyxy", "seed": 0}, {"protocol": "norm1_xyxy", "seed": 0})
    ['protocol: pixel_xyxy -> norm1_xyxy']
    """
    tasks_before, tasks_now = _grown(stored.get("tasks") or {}, now.get("tasks") or {})
    before, after = {**stored, "tasks": tasks_before}, {**now, "tasks": tasks_now}
    found = []
    for row in INPUT_ROWS:
        old, new = dict(_leaves(row, before.get(row))), dict(_leaves(row, after.get(row)))
        names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
        found += [f"{name}: {_change(old.get(name), new.get(name))}" for name in names]
    return found


def drift(stored: Mapping[str, Any], versions: Mapping[str, str], batch_size: int) -> list[str]:
    """What changed that is not refused: versions and batch size, as `what: old -> new`."""
    old: Mapping[str, str] = stored.get("versions") or {}
    found = [f"{name} {old[name]} -> {new}" for name, new in versions.items() if name in old and old[name] != new]
    if stored.get("batch_size", batch_size) != batch_size:
        found.append(f"batch size {stored['batch_size']} -> {batch_size}")
    return found


def _image_changes(folder: RunFolder, inputs: RunInputs) -> list[str]:
    """Tasks with answers whose image or prompt is not today's: the first of each, and a count."""
    asked = {question.key: question for question in inputs.questions}
    found: dict[tuple[str, str], list[str]] = {}
    for (task, image_id), prompt, image in folder.answers.hashes():
        question = asked.get((task, image_id))
        if question is None:
            continue
        for what, old, new in (("image", image, question.image_sha256), ("prompt", prompt, question.prompt_sha256)):
            if old != new:
                found.setdefault((what, task), []).append(f"{image_id}: {old[:12]} -> {new[:12]}")
    return [_first_of(what, task, texts) for (what, task), texts in found.items()]


def _first_of(what: str, task: str, texts: Sequence[str]) -> str:
    name = "image" if what == "image" else "prompt of image"
    others = f" (and {len(texts) - 1} more)" if len(texts) > 1 else ""
    return f"{task}: {name} {texts[0]}{others}"


def _grown(stored: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The `tasks` rows without what may grow: a task that is new, and more images of one."""
    old: dict[str, Any] = {}
    new: dict[str, Any] = {}
    for name, row in stored.items():
        if name not in now:
            old[name] = f"{row.get('n')} images"
            continue
        more = row.get("n", 0) <= now[name].get("n", 0)
        old[name], new[name] = ({**each, "n": 0} if more else each for each in (row, now[name]))
    return old, new


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Every scalar below `value`, with the dotted path to it."""
    if not isinstance(value, Mapping):
        yield name, value
        return
    for key, inner in value.items():
        if key not in _NOT_COMPARED:
            yield from _leaves(f"{name} {key}" if name else str(key), inner)


def _change(old: Any, new: Any) -> str:
    """`old -> new`, both shortened, long texts to where they differ."""
    texts = ["none" if value is None else str(value) for value in (old, new)]
    same = next((place for place, (a, b) in enumerate(zip(*texts, strict=False)) if a != b), 0)
    if same > _SHORT // 2 and not any(_is_hash(text) for text in texts):
        texts = [f"...{text[same - 10 :]}" for text in texts]
    return " -> ".join(_shorten(text) for text in texts)


def _shorten(text: str) -> str:
    if _is_hash(text):
        return text[:12]
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 3]}..."


def _is_hash(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")


def _refusal(folder: RunFolder, got: str) -> InputError:
    return InputError(
        str(folder.path),
        expected="the inputs that its answers were made from",
        got=got,
        remedy="Take another --name, or delete its answers and start again with --fresh.",
    )
