"""What a row of the catalog is: a data set's name, splits, licence, what it needs, its options, and how it is built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from boxlist.errors import InputError, unknown_name
from boxlist.tasks.datasets.manifest import Heading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

Value = int | float | str | bool
_WORDS = {"true": True, "false": False}


class Option(NamedTuple):
    """One named choice of a data set. Its type is that of its default; `choices` are all that it may be, if not any."""

    name: str
    default: Value
    meaning: str
    choices: tuple[Value, ...] = ()


class Needs(NamedTuple):
    """What the user must have: `what` completes "--from DIR is ...", `where` says where to get it."""

    what: str
    where: str


@dataclass(frozen=True)
class Order:
    """One build: where to write, what it is made from (None where nothing is needed), and every option's value."""

    dataset: Dataset
    folder: Path
    origin: Path | None
    options: Mapping[str, Any]

    def heading(
        self, split: str, labels: Sequence[str], *, made_from: Mapping[str, Any] | None = None, **counts: Any
    ) -> Heading:
        """The heading of a split; `made_from` says what else the manifest is to hold, such as hashes of the source."""
        row = self.dataset
        options = {**self.options, **(made_from or {})}
        return Heading(row.name, row.version, split, labels, row.licence, row.source, options, {"boxes": 0, **counts})

    @property
    def source_folder(self) -> Path:
        """The folder that the user gave; there is one wherever the row says that it needs one."""
        if self.origin is None:
            raise ValueError(f"the row of {self.dataset.name} does not say that it needs a source")
        return self.origin


@dataclass(frozen=True)
class Dataset:
    """A data set: `build(order)` writes one folder a split (`order.folder / split`), equal for equal input.

    `shares_pictures` says that one picture may be asked several questions, so that documents name theirs.
    `folder` is where it lies under the data root, by default its name and version. `size` says for people how much the
    test split holds, as it is built by default: images, where it says no other.
    """

    name: str
    version: int
    licence: str
    source: str
    build: Callable[[Order], None]
    splits: tuple[str, ...] = ("train", "test")
    needs: Needs | None = None
    options: tuple[Option, ...] = ()
    folder: str = ""
    size: str = ""
    shares_pictures: bool = False

    @property
    def folder_name(self) -> str:
        return self.folder or f"{self.name}-v{self.version}"


def read_options(row: Dataset, given: Iterable[str]) -> dict[str, Value]:
    """The options that `name=value` words choose, those alone; `InputError` for an unknown name or another type.

    >>> row = Dataset("x", 1, "", "", lambda order: None, options=(Option("seed", 0, "of the shuffle"),))
    >>> read_options(row, ["seed=7"])
    {'seed': 7}
    """
    table = {option.name: option for option in row.options}
    chosen: dict[str, Value] = {}
    for word in given:
        name, equals, text = word.partition("=")
        if not equals:
            raise InputError(f"--option {word[:80]!r}", expected="name=value", got="no =", remedy="Write name=value.")
        if name not in table:
            raise unknown_name(f"option of {row.name}", name, table)
        chosen[name] = _value(table[name], text, row.name)
    return chosen


def check_options(row: Dataset, given: Mapping[str, Value]) -> dict[str, Value]:
    """Every option's value: the given ones, checked, and the defaults of the others."""
    unknown = given.keys() - {option.name for option in row.options}
    if unknown:
        raise unknown_name(f"option of {row.name}", min(unknown), [option.name for option in row.options])
    return {option.name: given.get(option.name, option.default) for option in row.options}


def _value(option: Option, text: str, dataset: str) -> Value:
    kind = type(option.default)
    try:
        value: Value = _WORDS[text.lower()] if kind is bool else kind(text)
    except (KeyError, ValueError):
        value = ""
    right = type(value) is kind and (value in option.choices or not option.choices)
    if not right or (isinstance(value, float) and value - value != 0):
        names = {int: "a whole number", float: "a finite number", bool: "true or false", str: "text"}
        expected = f"one of {', '.join(map(str, option.choices))}" if option.choices else names[kind]
        raise InputError(
            f"--option {option.name} of {dataset}", expected=expected, got=repr(text[:80]), remedy=f"{option.meaning}."
        )
    return value
