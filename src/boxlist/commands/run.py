"""`boxlist run`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from boxlist.commands.command import Command, add_json, print_run, quiet, say, whole_number
from boxlist.commands.own_data import add_own_data, read_own_data
from boxlist.errors import InputError

if TYPE_CHECKING:
    import argparse

OWN_PROBE = "dense_bbox"


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default="boxlist_hf", help="a boxlist model class (default: %(default)s)")
    parser.add_argument(
        "--model-args",
        required=True,
        metavar="K=V,...",
        help="pretrained=CHECKPOINT, and adapter=, protocol=, dtype=, device=, revision=, trust_remote_code=; "
        "for boxlist_openai base_url=URL,model=NAME, and protocol=, concurrency=, api_key_env=, retries=; "
        "for boxlist_vllm as boxlist_hf without device=, and concurrency=, tensor_parallel_size=, max_model_len=, ...",
    )
    parser.add_argument("--tasks", required=True, metavar="A,B", help="the probes to ask; dense_bbox: your own images")
    parser.add_argument("--controls", default="", metavar="C,...", help="such as budget=8,repeat_stop (default: raw)")
    parser.add_argument("--name", help="the run folder's name (default: from adapter or checkpoint, and controls)")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="where run folders lie (default: %(default)s)")
    parser.add_argument("--limit", type=whole_number, metavar="N", help="only the first N images of each task")
    parser.add_argument("--batch-size", type=whole_number, metavar="N", help="images at a time (default: 1)")
    parser.add_argument("--max-new-tokens", type=whole_number, metavar="N", help="instead of the task's own limit")
    parser.add_argument("--gen-kwargs", default="", metavar="K=V,...", help="other generation arguments")
    parser.add_argument("--seed", type=int, default=0, help="of sampling and of the intervals (default: 0)")
    parser.add_argument(
        "--any-protocol", action="store_true", help="ask an adapter in another protocol than it was trained in"
    )
    parser.add_argument("--fresh", action="store_true", help="delete this run's answers and scores, and start again")
    add_json(parser)
    add_own_data(parser)


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
        tasks=_tasks(arguments),
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
        any_protocol=arguments.any_protocol,
    )
    quiet(arguments)
    from boxlist.runs.engine import run

    return print_run(run(request, say), as_json=arguments.json)


def _tasks(arguments: argparse.Namespace) -> tuple[str, ...]:
    """The names of the probes. `dense_bbox` is the one that asks about the user's own images, which are read first."""
    names = list(filter(None, (name.strip() for name in arguments.tasks.split(","))))
    spec = read_own_data(arguments)
    if spec is None:
        return tuple(names)
    if OWN_PROBE not in names:
        got = arguments.tasks[:80] or "nothing"
        raise InputError("--tasks", expected=f"{OWN_PROBE}, for your own images", got=got, remedy="Add it.")
    from boxlist.tasks.datasets.own.importing import import_own, own_task

    task = own_task(import_own(spec))
    return tuple(task if name == OWN_PROBE else name for name in names)


COMMAND = Command(
    "run", "ask a model the probes' questions, under controls, and score the answers", _add_arguments, _run
)
