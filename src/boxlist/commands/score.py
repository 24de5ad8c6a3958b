"""`boxlist score`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from boxlist.commands.command import Command, add_json, print_scores, say

if TYPE_CHECKING:
    import argparse

SHOWN_IDS = 5


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "answers", type=Path, metavar="ANSWERS", help='JSON lines: {"image_id": ..., "response": "..."}'
    )
    parser.add_argument("--ground-truth", type=Path, required=True, metavar="COCO", help="a COCO annotations file")
    parser.add_argument("--protocol", required=True, help="how the answers write boxes, such as pixel_xyxy")
    parser.add_argument("--out", type=Path, default=Path("scores.json"), help="the file to write (%(default)s)")
    parser.add_argument("--task", help="the task's name in it (default: the answers file's, without its ending)")
    parser.add_argument("--seed", type=int, default=0, help="of the intervals (default: 0)")
    parser.add_argument("--drop-invalid", action="store_true", help="leave impossible ground-truth boxes out")
    add_json(parser)


def _score(arguments: argparse.Namespace) -> int:
    import warnings

    from boxlist.metrics.intervals import FewImagesWarning
    from boxlist.reports.score_command import score_files

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewImagesWarning)  # said below, in one line
        scores = score_files(
            arguments.answers,
            arguments.ground_truth,
            arguments.protocol,
            arguments.out,
            arguments.seed,
            task=arguments.task,
            drop_invalid=arguments.drop_invalid,
        )
    for task in scores["tasks"].values():
        missing = task["missing_answers"]
        if missing:
            more = ", ..." if len(missing) > SHOWN_IDS else ""
            ids = ", ".join(map(str, missing[:SHOWN_IDS]))
            say(f"{len(missing)} images have no answer and count as empty: {ids}{more}")
    print_scores(scores, {"out": str(arguments.out)}, as_json=arguments.json)
    return 0


COMMAND = Command("score", "score any model's saved answers against a COCO file", _add_arguments, _score)
