"""`boxlist data`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from boxlist.commands.command import WRONG_INPUT, Command, add_json, print_json
from boxlist.commands.own_data import add_own_data, read_own_data
from boxlist.errors import InputError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=tuple(_ACTIONS), help="build it, check every file, list all, import your own")
    parser.add_argument(
        "name", metavar="NAME", nargs="?", help="the data set; for import, what to call it; list NAME says more"
    )
    parser.add_argument("--from", dest="origin", type=Path, metavar="DIR", help="what it is built from, if it needs it")
    parser.add_argument(
        "--option", action="append", default=[], metavar="NAME=VALUE", help="how it is built; list NAME shows which"
    )
    parser.add_argument("--force", action="store_true", help="replace the one that is built")
    add_json(parser)
    add_own_data(parser)


def _data(arguments: argparse.Namespace) -> int:
    return _ACTIONS[arguments.action](arguments)


def _build(arguments: argparse.Namespace) -> int:
    from boxlist.tasks.datasets.catalog import build_dataset, dataset_named, describe_dataset
    from boxlist.tasks.datasets.dataset import read_options

    name = _name(arguments)
    options = read_options(dataset_named(name), arguments.option)
    build_dataset(name, arguments.origin, options, force=arguments.force)
    return _show(arguments, name, [], describe_dataset(name))


def _check(arguments: argparse.Namespace) -> int:
    from boxlist.tasks.datasets.catalog import check_dataset, describe_dataset

    spec = read_own_data(arguments)
    if spec is not None:
        from boxlist.tasks.datasets.own.importing import check_own

        return _show(arguments, spec.annotations, check_own(spec), ["nothing is wrong with it"])
    name = _name(arguments)
    problems = check_dataset(name)
    return _show(arguments, name, problems, [] if problems else describe_dataset(name))


def _import(arguments: argparse.Namespace) -> int:
    from boxlist.tasks.datasets.catalog import describe_dataset
    from boxlist.tasks.datasets.own.importing import import_own, own_folder, own_task

    spec = read_own_data(arguments)
    if spec is None:
        got, remedy = "none of them", "Say what to import."
        raise InputError("data import", expected="--coco, --yolo or --voc", got=got, remedy=remedy)
    name = import_own(spec, _name(arguments), force=arguments.force)
    lines = [
        f"boxlist run --tasks {own_task(name)} ...",
        f"lmms-eval --include_path {own_folder(name)} --tasks {own_task(name)} ...",
    ]
    return _show(arguments, name, [], describe_dataset(name) + lines)


def _list(arguments: argparse.Namespace) -> int:
    from boxlist.tasks.datasets.catalog import dataset_named, list_datasets

    rows = list_datasets()
    if arguments.name is not None:
        rows = [row for row in rows if row["name"] == dataset_named(arguments.name).name]
    if arguments.json:
        print_json({"data": rows})
    elif arguments.name is None:
        table = [_columns(row) for row in rows]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        for line in table:
            print("  ".join(map(str.ljust, line, widths)).rstrip())
    else:
        print("\n".join(_details(rows[0])))
    return 0


def _columns(row: dict[str, Any]) -> tuple[str, ...]:
    """A data set in a line of the table: name, splits with the images they have, what it needs, licence."""
    sizes = ", ".join(f"{split} {'-' if count is None else count}" for split, count in row["images"].items())
    return row["name"], sizes, "--from DIR" if row["needs"] else "", row["licence"]


def _details(row: dict[str, Any]) -> list[str]:
    """The same with what it needs and where that is to be had, and every option."""
    lines = ["  ".join(filter(None, _columns(row)))]
    if row["needs"] is not None:
        lines += [f"--from DIR: {row['needs']['what']}", f"  from {row['needs']['where']}"]
    return lines + [f"--option {option['name']}={option['default']}: {_meaning(option)}" for option in row["options"]]


def _meaning(option: dict[str, Any]) -> str:
    choices = f" ({', '.join(map(str, option['choices']))})" if option["choices"] else ""
    return f"{option['meaning']}{choices}"


def _name(arguments: argparse.Namespace) -> str:
    if arguments.name is None:
        remedy = "boxlist data list shows them."
        raise InputError(f"data {arguments.action}", expected="the name of a data set", got="none", remedy=remedy)
    return str(arguments.name)


def _show(arguments: argparse.Namespace, name: str, problems: list[str], lines: list[str]) -> int:
    if arguments.json:
        print_json({"data": name, "problems": problems, "splits": lines})
    else:
        print("\n".join(problems or lines))
    return WRONG_INPUT if problems else 0


_ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {
    "build": _build,
    "check": _check,
    "list": _list,
    "import": _import,
}

COMMAND = Command("data", "build, check or list data sets, or import your own", _add_arguments, _data)
