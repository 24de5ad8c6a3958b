"""`boxlist_vllm` beside `boxlist_hf` in float32: the same answers? And what vLLM's own repetition detection would stop.

    .venv-vllm/bin/python benchmarks/vllm_engine.py --adapter runs/demo/adapter [--images 80]

`make test-vllm` makes that environment. vLLM's detection (`SamplingParams.repetition_detection`) ends a request when
its last tokens are one pattern `min_count` times in a row; repeat-stop ends it when any earlier record comes again.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boxlist.adapters_training.pocket import CHECKPOINT
from boxlist.controls.list_watch import REPEAT_STOP, replay
from boxlist.controls.table import Controls
from boxlist.models.batches import read_requests
from boxlist.models.hf import BoxlistHF
from boxlist.models.prompts import rgb_part
from boxlist.models.vllm.arguments import sampling_fields
from boxlist.models.vllm.model import BoxlistVLLM
from boxlist.protocols import DEFAULT_PROTOCOL, protocol_named
from boxlist.runs.inputs import plan_task
from boxlist.runs.quiet import quiet_libraries
from boxlist.runs.requests import build_requests

if TYPE_CHECKING:
    from boxlist.models.answers import ModelAnswer
    from boxlist.models.batches import Question
    from boxlist.runs.inputs import TaskPlan

TASK = "boxlist_dense_bbox_shapes"
PATTERNS = ((64, 2), (64, 3), (256, 2))  # longest pattern in tokens, times in a row
SMALL: dict[str, Any] = {"gpu_memory_utilization": 0.05, "max_model_len": 2048, "enforce_eager": True}


def asked(model: Any, plan: TaskPlan, title: str) -> list[ModelAnswer]:
    """All answers in order; prints what they took."""
    requests, _ = build_requests(model, model.name, {TASK: plan}, plan.questions)
    began = time.monotonic()
    found = dict(model.answers(requests))
    seconds = time.monotonic() - began
    tokens = sum(answer.tokens or 0 for answer in found.values())
    ends = dict(Counter(answer.finish for answer in found.values()))
    print(f"{title:28} {len(found) / seconds:6.2f} images/s {tokens:8,} tokens {ends}")
    return [found[place] for place in range(len(found))]


def compare(ours: list[ModelAnswer], theirs: list[ModelAnswer]) -> None:
    """How many answers are the same, and where the others first differ."""
    other = [(one, two) for one, two in zip(ours, theirs, strict=True) if one != two]
    print(f"{len(ours) - len(other)} of {len(ours)} answers are the same: text, end and tokens")
    for one, two in other[:5]:
        place = next((p for p, (a, b) in enumerate(zip(one.text, two.text, strict=False)) if a != b), -1)
        print(f"  from character {place}: {one.text[place : place + 30]!r} and {two.text[place : place + 30]!r}")


async def detected(model: BoxlistVLLM, questions: list[Question], longest: int, times: int) -> list[tuple[bool, int]]:
    """For each question whether vLLM's own detection ended the answer, and its tokens."""
    from vllm.sampling_params import RepetitionDetectionParams

    pattern = RepetitionDetectionParams(max_pattern_size=longest, min_count=times)

    async def one(question: Question) -> tuple[bool, int]:
        conversation = model._engine.conversation(model._prompt(question, rgb_part).messages)
        fields = {**sampling_fields(question.options), "repetition_detection": pattern}
        ended, tokens = False, 0
        async for piece in model._engine.stream(conversation, fields, whole=True):
            ended, tokens = piece.finish_reason == "repetition", len(piece.token_ids)
        return ended, tokens

    return list(await asyncio.gather(*(one(question) for question in questions)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--adapter", type=Path, default=Path("runs/demo/adapter"))
    parser.add_argument("--images", type=int, default=80)
    options = parser.parse_args()
    if find_spec("vllm") is None:
        print("vllm is not installed here; make test-vllm makes .venv-vllm, whose python runs this")
        return
    if not options.adapter.is_dir():
        parser.error(f"{options.adapter}: no adapter there; run make demo first, or give --adapter")
    quiet_libraries()
    plans = {
        controls: plan_task(
            TASK, protocol=protocol_named(DEFAULT_PROTOCOL), controls=controls, overrides={}, limit=options.images
        )
        for controls in (Controls(), REPEAT_STOP)
    }
    ours = BoxlistHF(str(CHECKPOINT), str(options.adapter), dtype="float32", device="cpu", batch_size=32)
    theirs = BoxlistVLLM(pretrained=str(CHECKPOINT), adapter=str(options.adapter), dtype="float32", **SMALL)
    raw = asked(ours, plans[Controls()], "boxlist_hf, raw")
    served = asked(theirs, plans[Controls()], "boxlist_vllm, raw")
    compare(raw, served)
    stopped = asked(theirs, plans[REPEAT_STOP], "boxlist_vllm, repeat_stop")
    replays = [replay(answer.text, theirs.protocol) for answer in served]
    same = sum(answer.text == cut.text for answer, cut in zip(stopped, replays, strict=True))
    triggers = sum(cut.triggered for cut in replays)
    print(f"{same} of {len(stopped)} live answers are the replay of the raw ones, which stops {triggers}")
    requests, _ = build_requests(theirs, theirs.name, {TASK: plans[Controls()]}, plans[Controls()].questions)
    for longest, times in PATTERNS:
        found = theirs._loop.run(detected(theirs, read_requests(requests), longest, times))
        both = sum(ended and cut.triggered for (ended, _), cut in zip(found, replays, strict=True))
        tokens = sum(tokens for _, tokens in found)
        title = f"repetition_detection {longest}x{times}"
        print(f"{title:28} ends {sum(ended for ended, _ in found)}, {both} of them repeat a record; {tokens:,} tokens")
    theirs.close()


if __name__ == "__main__":
    main()
