"""`boxlist run`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from boxlist.commands.command import Command, add_json, print_run, quiet, say, whole_number

if TYPE_CHECKING:
    import argparse


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default="boxlist_hf", help="a boxlist model class (default: %(default)s)")
    parser.add_argument(
        "--model-args",
        required=True,
        metavar="K=V,...",
        help="pretrained=CHECKPOINT, and adapter=, protocol=, dtype=, device=, revision=, trust_remote_code=; "
        "for boxlist_openai base_url=URL,model=NAME, and protocol=, concurrency=, api_key_env=, retries=",
    )
    parser.add_argument("--tasks", required=True, metavar="A,B", help="the probes to ask")
    parser.add_argument("--controls", default="", metavar="C,...", help="such as budget=8,repeat_stop (default: raw)")
    parser.add_argument("--name", help="the run folder's name (default: from adapter or checkpoint, and controls)")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="where run folders lie (default: %(default)s)")
    parser.add_argument("--limit", type=whole_number, metavar="N", help="only the first N images of each task")
    parser.add_argument("--batch-size", type=whole_number, metavar="N", help="images at a time (default: 1)")
    parser.add_argument("--max-new-tokens", type=whole_number, metavar="N", help="instead of the task's own limit")
    parser.add_argument("--gen-kwargs", default="", metavar="K=V,...", help="other generation arguments")
    parser.add_argument("--seed", type=int, default=0, help="of sampling and of the intervals (default: 0)")
    parser.add_argument("--fresh", action="store_true", help="delete this run's answers and scores, and start again")
    add_json(parser)


def _run(arguments: argparse.Namespace) -> int:
    from boxlist.controls.table import parse_controls
    from boxlist.runs.request import RunRequest, default_name, read_pairs, take_batch_size

    controls = parse_controls(arguments.controls)
    model_args = read_pairs(arguments.model_args, "--model-args")
    generation = read_pairs(arguments.gen_kwargs, "--gen-kwargs")
    if arguments.max_new_tokens is not None:
        generation["max_new_tokens"] = arguments.max_new_tokens
    batch_size = take_batch_size(model_args)
    request = RunRequest(
        tasks=tuple(filter(None, (name.strip() for name in arguments.tasks.split(",")))),
        name=arguments.name or default_name(model_args, controls),
        model_args=model_args,
        model=arguments.model,
        controls=controls,
        out=arguments.out,
        limit=arguments.limit,
        batch_size=arguments.batch_size or batch_size,
        seed=arguments.seed,
        generation_kwargs=generation,
        fresh=arguments.fresh,
    )
    quiet(arguments)
    from boxlist.runs.engine import run

    return print_run(run(request, say), as_json=arguments.json)


COMMAND = Command(
    "run", "ask a model the probes' questions, under controls, and score the answers", _add_arguments, _run
)
