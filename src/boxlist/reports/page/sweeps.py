"""Runs that differ by one thing only: by their budget, with and without repeat-stop, or by their adapter's rank."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

from boxlist.errors import InputError
from boxlist.models.identity import ADAPTER_CONFIG, adapter_sha256, read_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from boxlist.reports.page.views import View

_LARGEST_CONFIG_BYTES = 1 << 20


class Sweep(NamedTuple):
    """Views that differ by a number only, in its order, each number once; `name` says what they have in common."""

    name: str
    numbers: list[int]
    views: list[View]


def budget_sweeps(views: Sequence[View]) -> list[Sweep]:
    """Views of two or more budgets that are equal otherwise; one sweep for each set of other controls."""
    found: dict[str, dict[int, View]] = defaultdict(dict)
    for view in views:
        controls = view.controls
        budget = controls.pop("budget", None)
        if _is_count(budget):
            key = _key(view.base_key, view.adapter.get("sha256"), view.task.terms.protocol, controls)
            found[key].setdefault(budget, view)
    return _sweeps(found.values(), "no other control")


def rank_sweeps(views: Sequence[View]) -> list[Sweep]:
    """Views of two or more adapter ranks with the same base, modules and controls."""
    found: dict[str, dict[int, View]] = defaultdict(dict)
    for view in views:
        lora = lora_of(view.adapter)
        rank = lora.get("r")
        if _is_count(rank):
            modules = lora.get("target_modules")
            modules = sorted(map(str, modules)) if isinstance(modules, list) else str(modules)
            found[_key(view.base_key, modules, view.task.terms.protocol, view.controls)].setdefault(rank, view)
    return _sweeps(found.values(), "raw")


def lora_of(adapter: Mapping[str, Any]) -> Mapping[str, Any]:
    """`r` and `target_modules` of an adapter: as the run recorded them, or else from its unchanged folder."""
    if "r" in adapter:
        return adapter
    folder = Path(str(adapter.get("path") or ""))
    config = folder / ADAPTER_CONFIG
    try:
        if not config.is_file() or config.stat().st_size > _LARGEST_CONFIG_BYTES:
            return {}
        return read_json(config) if adapter_sha256(folder) == adapter.get("sha256") else {}
    except (InputError, OSError):  # it is gone, or no adapter any more: nothing is known of it
        return {}


def controls_text(controls: Mapping[str, Any], none: str = "raw") -> str:
    """Controls as `--controls` takes them."""
    return ", ".join(name if value is True else f"{name}={value}" for name, value in controls.items()) or none


def _sweeps(found: Iterable[Mapping[int, View]], none: str) -> list[Sweep]:
    sweeps = []
    for by_number in found:
        if len(by_number) > 1:
            numbers = sorted(by_number)
            controls = {name: value for name, value in by_number[numbers[0]].controls.items() if name != "budget"}
            sweeps.append(Sweep(controls_text(controls, none), numbers, [by_number[number] for number in numbers]))
    return sweeps


def _key(*parts: object) -> str:
    return json.dumps(parts, sort_keys=True, default=str)


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
