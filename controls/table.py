"""The controls: what changes generation without changing weights. One row each in `CONTROLS`.

Controls travel as flat scalars in generation kwargs, so that a harness groups and caches by them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from boxlist.controls.list_rules import DriftStop, MostItems, NearRepeatStop, RepeatLimit, SkipRepeats, StaleStop
from boxlist.errors import InputError, unknown_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from boxlist.controls.list_rules import ListRule
    from boxlist.protocols import Protocol

Kind = Literal["count", "factor", "switch"]
Scalar = int | float | bool


@dataclass(frozen=True)
class Control:
    """One control: its name, the kind and range of the values it takes, where it acts, and where it comes from.

    One that acts on the prompt appends its `sentence`, with `{n}` replaced by its value and `{classes}` by the names of
    the data set's classes. One that acts on the logits
    is a keyword argument of the same name to transformers' `generate`. One that acts on the list watches its records:
    `make_rule(value, protocol)` gives the rule for one answer.
    """

    name: str
    kind: Kind
    acts_on: Literal["prompt", "image", "logits", "grammar", "list"]
    meaning: str
    largest: float = 1
    smallest: int = 1
    sentence: str = ""
    source: str = ""
    make_rule: Callable[[Any, Protocol], ListRule] | None = None

    @property
    def expected(self) -> str:
        """The values it takes, in words for error messages."""
        if self.kind == "count":
            return f"a whole number from {self.smallest} to {self.largest:g}"
        if self.kind == "factor":
            return f"a number above 0, at most {self.largest:g}"
        return "no value, true or false"


_ROWS = (
    Control(
        "budget",
        "count",
        "prompt",
        "Asks in the prompt for at most N objects. The model may ignore it.",
        largest=10_000,
        sentence="Return at most {n} objects.",
        source="the paper's budget-8 control",
    ),
    Control(
        "repetition_penalty",
        "factor",
        "logits",
        "transformers' repetition_penalty: divides positive (multiplies negative) logits of every token already seen, "
        "in the answer and in the prompt, image placeholders included. 1 changes nothing.",
        largest=100,
        source="Keskar et al. 2019; transformers RepetitionPenaltyLogitsProcessor",
    ),
    Control(
        "no_repeat_ngram_size",
        "count",
        "logits",
        "transformers' no_repeat_ngram_size: no run of N tokens may come twice, the prompt's runs included. "
        "Small N bans correct coordinates within the first records; read it beside parse_valid.",
        largest=10_000,
        source="transformers NoRepeatNGramLogitsProcessor",
    ),
    Control(
        "repeat_stop",
        "switch",
        "list",
        "Ends the answer when a record comes that it already holds; drops that record and closes the list.",
        source="the paper's object-level repeat-stop",
        make_rule=lambda _on, _protocol: RepeatLimit(1),
    ),
    Control(
        "repeat_limit",
        "count",
        "list",
        "As repeat_stop, but at the N-th repeated record; the N-1 before it stay.",
        largest=10_000,
        make_rule=lambda n, _protocol: RepeatLimit(n),
    ),
    Control(
        "stale_stop",
        "count",
        "list",
        "Ends the answer after N records in a row that it already holds, and drops them.",
        largest=10_000,
        make_rule=lambda n, _protocol: StaleStop(n),
    ),
    Control(
        "near_repeat_stop",
        "factor",
        "list",
        "Ends the answer at a record whose box has an IoU of at least x with an earlier one of its label.",
        make_rule=NearRepeatStop,
    ),
    Control(
        "drift_stop",
        "count",
        "list",
        "Ends the answer at the N-th record in a row of one label that stand at equal steps; keeps the first two.",
        smallest=3,
        largest=10_000,
        source="Qwen3-VL issue 2020",
        make_rule=DriftStop,
    ),
    Control(
        "max_items",
        "count",
        "list",
        "Ends the answer at its record N+1, which is dropped: a budget that the model cannot ignore.",
        largest=10_000,
        make_rule=lambda n, _protocol: MostItems(n),
    ),
    Control(
        "repeat_skip",
        "switch",
        "list",
        "Drops every record that the answer already holds and goes on; it ends nothing and saves no tokens.",
        make_rule=lambda _on, protocol: SkipRepeats(protocol),
    ),
    Control(
        "json_only",
        "switch",
        "grammar",
        "Lets the model write nothing but a JSON list of records with the protocol's keys, in its order and range.",
        source="llguidance",
    ),
    Control(
        "drop_image_tokens",
        "factor",
        "image",
        "Hides a random share x of the image's tokens from the language model; drawn anew for each question.",
        source="the redundancy paper, section 3.4",
    ),
    Control(
        "class_list",
        "switch",
        "prompt",
        "Names the data set's classes in the prompt.",
        sentence="The classes are: {classes}.",
        source="FindIt, arXiv 2606.04282: class names as queries",
    ),
)
CONTROLS: dict[str, Control] = {row.name: row for row in _ROWS}
_RAW = "raw"
MAX_CLASSES = 400


@dataclass(frozen=True)
class Controls:
    """The controls of one request, one field a row of `CONTROLS`; the default is a raw answer."""

    budget: int | None = None
    repetition_penalty: float | None = None
    no_repeat_ngram_size: int | None = None
    repeat_stop: bool = False
    repeat_limit: int | None = None
    stale_stop: int | None = None
    near_repeat_stop: float | None = None
    drift_stop: int | None = None
    max_items: int | None = None
    repeat_skip: bool = False
    json_only: bool = False
    drop_image_tokens: float | None = None
    class_list: bool = False

    def __post_init__(self) -> None:
        for name, value in self.to_kwargs().items():
            _checked(CONTROLS[name], value)

    @property
    def name(self) -> str:
        """What `parse_controls` reads back.

        >>> Controls(budget=8, repeat_stop=True).name, Controls().name
        ('budget=8,repeat_stop', 'raw')
        """
        parts = [name if value is True else f"{name}={_plain(value)}" for name, value in self.to_kwargs().items()]
        return ",".join(parts) or _RAW

    def to_kwargs(self) -> dict[str, Scalar]:
        """Flat scalars for generation kwargs; controls that are off are absent.

        >>> Controls(budget=8, repeat_stop=True).to_kwargs()
        {'budget': 8, 'repeat_stop': True}
        """
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in given.items() if value is not None and value is not False}

    def prompt_ending(self, classes: Sequence[str] = ()) -> str:
        """What goes behind the prompt: a space and a sentence for each control that acts there.

        `classes` are the data set's. Raises `InputError` where a control names them and there are none, or too many.

        >>> Controls(budget=8).prompt_ending()
        ' Return at most 8 objects.'
        """
        rows = [(CONTROLS[name], value) for name, value in self.to_kwargs().items()]
        said = [f" {row.sentence.replace('{n}', str(value))}" for row, value in rows if row.acts_on == "prompt"]
        return "".join(said).replace("{classes}", _listed(classes)) if self.class_list else "".join(said)

    def logits_kwargs(self) -> dict[str, Scalar]:
        """Keyword arguments for transformers' `generate`.

        >>> Controls(budget=8, repetition_penalty=1.05).logits_kwargs()
        {'repetition_penalty': 1.05}
        """
        return {name: value for name, value in self.to_kwargs().items() if CONTROLS[name].acts_on == "logits"}

    def inside_engine(self) -> dict[str, Scalar]:
        """Those that an engine itself must be able to do; those on the prompt and on the list work with any.

        >>> Controls(budget=8, json_only=True).inside_engine()
        {'json_only': True}
        """
        return {
            name: value for name, value in self.to_kwargs().items() if CONTROLS[name].acts_on not in {"prompt", "list"}
        }

    @property
    def on_list(self) -> Controls:
        """Those that watch the list's records: what a finished greedy answer can be replayed under."""
        return Controls(**{name: value for name, value in self.to_kwargs().items() if CONTROLS[name].make_rule})  # type: ignore[arg-type]  # each field gets its own kind back

    @classmethod
    def from_kwargs(cls, kwargs: Mapping[str, object]) -> Controls:
        """Pick the controls out of generation kwargs, leaving the rest alone. `None` and `False` are off."""
        return cls(**{name: _read(row, kwargs[name]) for name, row in CONTROLS.items() if name in kwargs})  # type: ignore[arg-type]  # _read returns each row's own kind


def parse_controls(text: str) -> Controls:
    """Read `budget=8,repeat_stop`; empty and `raw` mean no control. Raises `InputError`.

    >>> parse_controls("repeat_stop, budget=8").name
    'budget=8,repeat_stop'
    """
    if text.strip() in {"", _RAW}:
        return Controls()
    given: dict[str, object] = {}
    for part in text.split(","):
        name, has_value, value = (piece.strip() for piece in part.partition("="))
        if name not in CONTROLS:
            raise _unknown(name, text)
        if name in given:
            raise InputError(
                f"controls {text[:200]!r}",
                expected="each control once",
                got=f"{name} twice",
                remedy="Drop one of them.",
            )
        if not has_value and CONTROLS[name].kind != "switch":
            raise InputError(
                f"control {name}",
                expected=CONTROLS[name].expected,
                got="no value",
                remedy=f"Write {name}={8 if CONTROLS[name].kind == 'count' else 1.05}.",
            )
        given[name] = value if has_value else True
    return Controls.from_kwargs(given)


def budget_sentence(n: int) -> str:
    """What the budget control appends to the prompt, after one space.

    >>> budget_sentence(8)
    'Return at most 8 objects.'
    """
    return Controls(budget=n).prompt_ending().strip()


def _listed(classes: Sequence[str]) -> str:
    if not 0 < len(classes) <= MAX_CLASSES:
        raise InputError(
            "control class_list",
            expected=f"a data set with 1 to {MAX_CLASSES} classes",
            got=f"one with {len(classes)}",
            remedy="Leave the control out, or choose another task.",
        )
    return ", ".join(" ".join(name.split()) for name in classes)


def _unknown(name: str, text: str) -> InputError:
    if name == _RAW:
        return InputError(
            f"controls {text[:200]!r}",
            expected="raw alone, or controls",
            got="raw beside others",
            remedy="Drop raw, or drop the others.",
        )
    return unknown_name("control", name, CONTROLS)


def _read(row: Control, value: object) -> Scalar | None:
    """A value as it may come: a scalar, or text from a command line."""
    if isinstance(value, str):
        value = _from_text(value.strip())
    if value is None or value is False:
        return None if row.kind != "switch" else False
    return _checked(row, value)


def _from_text(text: str) -> object:
    words: dict[str, object] = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return float(text) if len(text) <= 40 else text
    except ValueError:
        return text


def _checked(row: Control, value: object) -> Scalar:
    """The value in the row's own type, or an `InputError` that says what the row takes."""
    if row.kind == "switch":
        if value is True or (isinstance(value, int | float) and value == 1):
            return True
        if isinstance(value, int | float) and value == 0:
            return False
    elif isinstance(value, int | float) and not isinstance(value, bool):
        in_range = math.isfinite(value) and 0 < value <= row.largest
        if in_range and row.kind == "factor":
            return float(value)
        if in_range and value >= row.smallest and float(value).is_integer():
            return int(value)
    raise InputError(
        f"control {row.name}",
        expected=row.expected,
        got=repr(value)[:80],
        remedy="Correct the value, or leave the control out to turn it off.",
    )


def _plain(number: float) -> int | float:
    """2.0 is written 2."""
    return int(number) if float(number).is_integer() else number
