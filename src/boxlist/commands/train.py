"""`boxlist train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from boxlist.commands.command import Command, add_json, print_json, quiet

if TYPE_CHECKING:
    import argparse


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", metavar="RECIPE", help="a recipe's YAML file, or the name of one that comes along")
    parser.add_argument("--out", type=Path, help="the adapter's folder (default: runs/adapters/RECIPE)")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted training, or keep a finished")
    parser.add_argument("--dry-run", action="store_true", help="say what would be trained; needs no weights, no data")
    add_json(parser)


def _train(arguments: argparse.Namespace) -> int:
    quiet(arguments)
    if arguments.dry_run:
        return _dry_run(arguments)
    from boxlist.adapters_training.train import train
    from boxlist.processes import Processes

    trained = train(arguments.recipe, arguments.out, resume=arguments.resume)
    if Processes.join().rank:
        return 0
    last = trained.losses[-1] if trained.losses else None
    if arguments.json:
        print_json({"adapter": str(trained.folder), "steps": len(trained.losses), "loss": last})
    else:
        print(f"{trained.folder}: {len(trained.losses)} steps" + ("" if last is None else f", loss {last:.3f}"))
    return 0


def _dry_run(arguments: argparse.Namespace) -> int:
    from boxlist.adapters_training.dry_run import dry_run
    from boxlist.adapters_training.dry_run_text import dry_run_text

    found = dry_run(arguments.recipe)
    if arguments.json:
        print_json(found.to_dict())
    else:
        print(dry_run_text(found))
    return 0


COMMAND = Command("train", "train a LoRA adapter from a recipe", _add_arguments, _train)
