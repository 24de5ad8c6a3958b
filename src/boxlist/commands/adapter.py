"""`boxlist adapter`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from boxlist.commands.command import WRONG_INPUT, Command, add_json, print_json, quiet, say
from boxlist.errors import InputError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action",
        choices=tuple(_ACTIONS),
        help="say what it is, check its files, write its model card, merge it into its base, or put it on the hub",
    )
    parser.add_argument("path", metavar="PATH", help="the adapter's folder, or a hub id")
    parser.add_argument("--base", help="verify, merge: its base, a folder, a hub id or pocket:NAME")
    parser.add_argument("--revision", help="verify, merge: commit, tag or branch of the base's hub id")
    parser.add_argument("--run", type=Path, help="card: a finished run of this adapter, whose scores go on the card")
    parser.add_argument("--task", help="card: which task of the run")
    parser.add_argument("--out", type=Path, help="card: the file (default: README.md in PATH); merge: a new folder")
    parser.add_argument(
        "--dtype", choices=("base", "float32"), default="base", help="merge: numbers of the checkpoint (%(default)s)"
    )
    parser.add_argument("--to", metavar="OWNER/NAME", help="push: the hub repository; made private if it is missing")
    parser.add_argument("--public", action="store_true", help="push: make a missing repository public")
    add_json(parser)


def _adapter(arguments: argparse.Namespace) -> int:
    quiet(arguments)
    from boxlist.models.identity import adapter_folder

    return _ACTIONS[arguments.action](arguments, adapter_folder(arguments.path))


def _show(arguments: argparse.Namespace, folder: Path) -> int:
    from boxlist.adapters_training.adapter_summary import adapter_summary, summary_text

    summary = adapter_summary(folder)
    if arguments.json:
        print_json(summary)
    else:
        print(summary_text(summary))
    return 0


def _verify(arguments: argparse.Namespace, folder: Path) -> int:
    from boxlist.adapters_training.verification import WRONG, verify_adapter

    findings = verify_adapter(folder, _base(arguments), arguments.revision)
    if arguments.json:
        print_json({"adapter": str(folder), "findings": [finding._asdict() for finding in findings]})
    else:
        print("\n".join(f"{outcome:<13} {matter}: {words}" for matter, outcome, words in findings))
    return WRONG_INPUT if any(finding.outcome == WRONG for finding in findings) else 0


def _card(arguments: argparse.Namespace, folder: Path) -> int:
    from boxlist.reports.adapter_card import write_card

    file = write_card(folder, arguments.run, arguments.out, task=arguments.task)
    if arguments.json:
        print_json({"adapter": str(folder), "card": str(file)})
    else:
        print(file)
    return 0


def _merge(arguments: argparse.Namespace, folder: Path) -> int:
    from boxlist.adapters_training.merging import merge_adapter
    from boxlist.adapters_training.provenance import read_provenance

    base = _base(arguments)
    if arguments.out is None or base is None:
        provenance = read_provenance(folder)
        named = "its base" if provenance is None else provenance.base["name"][:120]
        missing = "--out, a new folder" if arguments.out is None else f"--base, {named}"
        raise InputError("adapter merge", expected=missing, got="none", remedy="Add it.")
    merged = merge_adapter(folder, base, arguments.out, revision=arguments.revision, dtype=arguments.dtype)
    for words in merged.warnings:
        say(f"warning: {words}")
    if arguments.json:
        print_json({"checkpoint": str(merged.folder), "dtype": merged.dtype, "warnings": merged.warnings})
    else:
        print(f"{merged.folder}: base and adapter, added in float32, stored in {merged.dtype}")
    return 0


def _push(arguments: argparse.Namespace, folder: Path) -> int:
    from boxlist.adapters_training.pushing import push_adapter

    if arguments.to is None:
        raise InputError("adapter push", expected="--to, a hub repository OWNER/NAME", got="none", remedy="Add it.")
    address = push_adapter(folder, arguments.to, public=arguments.public)
    if arguments.json:
        print_json({"adapter": str(folder), "commit": address})
    else:
        print(address)
    return 0


def _base(arguments: argparse.Namespace) -> str | None:
    from boxlist.adapters_training.recipe import base_location

    return None if arguments.base is None else base_location(arguments.base)


_ACTIONS: dict[str, Callable[[argparse.Namespace, Path], int]] = {
    "show": _show,
    "verify": _verify,
    "card": _card,
    "merge": _merge,
    "push": _push,
}

COMMAND = Command("adapter", "show, verify, describe, merge or push a LoRA adapter", _add_arguments, _adapter)
