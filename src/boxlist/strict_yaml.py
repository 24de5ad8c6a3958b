"""YAML files that people write: bounded in size, safe to load, and a key given twice is an error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from boxlist.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

MAX_YAML_BYTES = 64 * 1024


class _StrictLoader(yaml.SafeLoader):
    """Safe YAML in which a key given twice is an error, not a silent overwrite."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = next((key for place, key in enumerate(keys) if key in keys[:place]), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(
                None, None, f"key {str(twice)[:80]!r} is given twice", node.start_mark
            )
        return super().construct_mapping(node, deep=deep)


def read_strict_yaml(file: Path, what: str, *, see: str) -> dict[Any, Any]:
    """The keys and values of a YAML file; `InputError` for anything else. `what` and `see` are for messages.

    >>> from pathlib import Path; from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder, "a.yaml")
    ...     _ = file.write_text("steps: 3")
    ...     read_strict_yaml(file, "recipe", see="README.md")
    {'steps': 3}
    """
    with file.open("rb") as stream:
        text = stream.read(MAX_YAML_BYTES + 1)
    if len(text) > MAX_YAML_BYTES:
        raise InputError(str(file), expected=f"at most {MAX_YAML_BYTES} bytes", got="more", remedy=f"Is this a {what}?")
    try:
        given = yaml.load(text, Loader=_StrictLoader)  # noqa: S506 (a SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InputError(
            str(file), expected="YAML", got=" ".join(str(error).split())[:200], remedy="Fix the file."
        ) from error
    if not isinstance(given, dict):
        raise InputError(str(file), expected="keys and values", got=type(given).__name__, remedy=f"See {see}.")
    return given
