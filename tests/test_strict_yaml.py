"""YAML that people write: what is read, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from boxlist.errors import InputError
from boxlist.strict_yaml import MAX_YAML_BYTES, read_strict_yaml

if TYPE_CHECKING:
    from pathlib import Path


def test_keys_and_values_are_read(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("steps: 3\nnested: {a: [1, x]}\n")
    assert read_strict_yaml(file, "thing", see="the guide") == {"steps": 3, "nested": {"a": [1, "x"]}}
    file.write_text(f"a: {'x' * (MAX_YAML_BYTES - 3)}")
    assert len(read_strict_yaml(file, "thing", see="the guide")["a"]) == MAX_YAML_BYTES - 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\na: 2", "expected YAML, got key 'a' is given twice"),
        ("a: {b: 1, b: 2}", "expected YAML, got key 'b' is given twice"),
        ("- 1", "expected keys and values, got list. See the guide."),
        ("", "expected keys and values, got NoneType. See the guide."),
        ("a: !!python/object/apply:os.getcwd []", "expected YAML, got could not determine a constructor"),
        ("a" * (MAX_YAML_BYTES + 1), "expected at most 65536 bytes, got more. Is this a thing?"),
    ],
)
def test_anything_else_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(text)
    with pytest.raises(InputError) as refused:
        read_strict_yaml(file, "thing", see="the guide")
    assert f"{file}: {said}" in str(refused.value)
    assert "\n" not in str(refused.value)
