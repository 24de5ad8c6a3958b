"""GATE.yaml: what a run is held against, read strictly. Paths are relative to the file.

baseline: baseline.json            # written by boxlist gate GATE.yaml --accept; or a run folder
run: runs/candidate                # or --run RUN
seed: 0                            # of resamples and permutations; this is the default
tasks:
  boxlist_dense_bbox_shapes:
    margins: {f1@0.3: 0.03, duplicate_rate: 0.02}                   # may not be that much worse
    limits: {parse_valid: {at_least: 0.95}, max_repeat: {at_most: 4}}    # whatever the baseline
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from boxlist.errors import InputError, unknown_name
from boxlist.metrics.table import METRICS
from boxlist.strict_yaml import read_strict_yaml

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

KEYS = ("baseline", "run", "seed", "tasks")
TASK_KEYS = ("margins", "limits")
LIMIT_KEYS = ("at_least", "at_most")
_EXAMPLE = "tasks: {TASK: {margins: {f1@0.3: 0.03}, limits: {parse_valid: {at_least: 0.95}}}}"
_MAX_SEED = 2**32 - 1


@dataclass(frozen=True)
class Limit:
    """What a run's own figure must keep to, whatever the baseline."""

    at_least: float | None
    at_most: float | None

    def holds(self, value: float) -> bool:
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)

    def __str__(self) -> str:
        bounds = (("at least", self.at_least), ("at most", self.at_most))
        return ", ".join(f"{words} {bound:g}" for words, bound in bounds if bound is not None)


@dataclass(frozen=True)
class TaskRules:
    """The lines of one task."""

    margins: Mapping[str, float]
    limits: Mapping[str, Limit]


@dataclass(frozen=True)
class GatePlan:
    """A gate file. `baseline` is None where only limits are asked for, `run` where the command line must say it."""

    path: Path
    baseline: Path | None
    run: Path | None
    seed: int
    tasks: Mapping[str, TaskRules]


def read_plan(path: Path) -> GatePlan:
    """Read and check a gate file; every fault is an `InputError` with file, line and key."""
    given = read_strict_yaml(path, "gate file", see="docs/ci/README.md")
    at = _Places(path, path.read_bytes())
    at.check_keys(given, (), KEYS)
    tasks = at.mapping(given.get("tasks"), ("tasks",))
    rules = {str(name): _rules(at, name, row) for name, row in tasks.items()}
    if not any(rule.margins or rule.limits for rule in rules.values()):
        raise InputError(at.where(("tasks",)), expected="margins or limits", got="none", remedy=f"Such as {_EXAMPLE}.")
    baseline = _path(at, given, "baseline")
    if baseline is None and any(rule.margins for rule in rules.values()):
        raise InputError(
            str(path), expected="a baseline to hold margins against", got="none", remedy="Add baseline: baseline.json."
        )
    seed = given.get("seed", 0)
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed <= _MAX_SEED:
        raise InputError(
            at.where(("seed",)), expected="a whole number from 0", got=repr(seed)[:40], remedy="Change it."
        )
    return GatePlan(path, baseline, _path(at, given, "run"), seed, rules)


class _Places:
    """Says where a key of the file stands, for messages."""

    def __init__(self, path: Path, text: bytes) -> None:
        self._path, self._root = path, yaml.compose(text, Loader=yaml.SafeLoader)

    def where(self, keys: tuple[object, ...]) -> str:
        node, line = self._root, None
        for key in keys:
            pairs = node.value if isinstance(node, yaml.MappingNode) else []
            found = next(((name, value) for name, value in pairs if name.value == str(key)), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        place = f"{self._path}, line {line}" if line else str(self._path)
        return ": ".join([place, *(str(key)[:80] for key in keys)])

    def beside(self, name: str) -> Path:
        """A path as the file means it: relative to its folder."""
        return self._path.parent / name

    def mapping(self, value: object, keys: tuple[object, ...]) -> Mapping[Any, Any]:
        if not isinstance(value, Mapping):
            got = "nothing" if value is None else repr(value)[:40]
            raise InputError(self.where(keys), expected="keys and values", got=got, remedy=f"Such as {_EXAMPLE}.")
        return value

    def check_keys(self, given: Mapping[Any, Any], keys: tuple[object, ...], known: Collection[str]) -> None:
        for key in given:
            if key not in known:
                raise unknown_name(f"{self.where((*keys, key))}: key", str(key), known)

    def number(self, value: object, keys: tuple[object, ...], expected: str, *, least: float, most: float) -> float:
        # NaN lies between no bounds
        if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
            raise InputError(self.where(keys), expected=expected, got=repr(value)[:40], remedy="Change it.")
        return float(value)


def _rules(at: _Places, name: object, row: object) -> TaskRules:
    keys = ("tasks", name)
    task = at.mapping(row, keys)
    at.check_keys(task, keys, TASK_KEYS)
    margins, limits = (at.mapping(task.get(kind) or {}, (*keys, kind)) if kind in task else {} for kind in TASK_KEYS)
    return TaskRules(
        {metric: _margin(at, (*keys, "margins", metric), metric, value) for metric, value in margins.items()},
        {metric: _limit(at, (*keys, "limits", metric), metric, value) for metric, value in limits.items()},
    )


def _margin(at: _Places, keys: tuple[object, ...], metric: object, value: object) -> float:
    row = METRICS.get(str(metric))
    if row is None:
        raise unknown_name(f"{at.where(keys)}: metric", str(metric), METRICS)
    if row.higher_is_better is None:
        raise InputError(
            at.where(keys), expected="a metric with a better end", got="one with none", remedy="Put it under limits."
        )
    if row.over_images != "ratio":
        raise InputError(
            at.where(keys), expected="a mean or a ratio", got=f"a {row.over_images}", remedy="Put it under limits."
        )
    if row.unit == "share":
        return at.number(value, keys, "a share above 0 and below 1, such as 0.03", least=1e-6, most=1 - 1e-6)
    return at.number(value, keys, f"a number of {row.unit} above 0", least=1e-6, most=1e9)


def _limit(at: _Places, keys: tuple[object, ...], metric: object, value: object) -> Limit:
    row = METRICS.get(str(metric))
    if row is None:
        raise unknown_name(f"{at.where(keys)}: metric", str(metric), METRICS)
    bounds = at.mapping(value, keys)
    at.check_keys(bounds, keys, LIMIT_KEYS)
    if not bounds:
        raise InputError(at.where(keys), expected="at_least or at_most", got="neither", remedy="Add one.")
    most, words = (1.0, "a share from 0 to 1") if row.unit == "share" else (1e9, f"a number of {row.unit} from 0")
    read = {key: at.number(bound, (*keys, key), words, least=0.0, most=most) for key, bound in bounds.items()}
    return Limit(read.get("at_least"), read.get("at_most"))


def _path(at: _Places, given: Mapping[Any, Any], key: str) -> Path | None:
    value = given.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise InputError(at.where((key,)), expected="a path", got=repr(value)[:40], remedy="Change it.")
    return at.beside(value)
