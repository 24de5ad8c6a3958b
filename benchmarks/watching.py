"""What watching answers for repeats costs while they are generated, by way of watching, in one run.

    python benchmarks/watching.py [--rows 8]

An answer of unique records, so that nothing ever fires, is fed token by token in the pocket's own tokens (about 22 a
record), at three lengths; the figure is processor time a token a row over the whole answer, the best of several rounds.
Beside it, one decode step of the pocket model with that many rows and 1,000 tokens in its cache. The peers:

- re-decoding: the whole answer is decoded and searched for records at every step, as a stopping criterion does that
  keeps no state;
- vLLM's detection: `check_sequence_repetition` of vLLM 0.32 (v1/core/sched/utils.py), which compares the tail with what
  stands before it for every pattern length; it sees adjacent cycles only. Its nine lines are repeated here, because
  vLLM cannot be installed beside this transformers;
- n-gram blocking: transformers' `NoRepeatNGramLogitsProcessor`, with the pocket's vocabulary and with Qwen3-VL's.
"""

from __future__ import annotations

import argparse
import random
import re
import time
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoConfig, AutoModelForImageTextToText, AutoTokenizer, NoRepeatNGramLogitsProcessor

from boxlist.adapters_training.pocket import CHECKPOINT
from boxlist.controls.answer_watch import AnswerWatch
from boxlist.controls.hf_generation import RowReader
from boxlist.controls.table import Controls
from boxlist.controls.text_decoder import Vocabulary
from boxlist.models.growing_cache import GrowingCache
from boxlist.protocols import DEFAULT_PROTOCOL, protocol_named
from boxlist.records import Record

if TYPE_CHECKING:
    from collections.abc import Callable

PROTOCOL = protocol_named(DEFAULT_PROTOCOL)
LENGTHS = (100, 1_000, 8_000)
QWEN_VOCABULARY = 151_936
ROUNDS = 3
_RECORD = re.compile(r"\{[^{}]*\}")


def answer_tokens(tokenizer: Any, n: int, rng: random.Random) -> list[int]:
    """`n` tokens of a list of unique records."""
    places = rng.sample(range(999**2), n // 8 + 8)
    records = [Record("red circle", (p % 999, p // 999, p % 999 + 1, p // 999 + 1)) for p in places]
    ids: list[int] = tokenizer.backend_tokenizer.encode(PROTOCOL.write(records)).ids
    return ids[:n]


def best(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Least processor seconds of `work`."""
    found = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return min(found)


def watched(ids: list[int], vocabulary: Vocabulary, controls: Controls | None) -> None:
    """boxlist: with its rules, or only the reading that happens without any control."""
    watch = None if controls is None else AnswerWatch(PROTOCOL, (), controls)
    reader = RowReader(watch, vocabulary, ())
    for token in ids:
        reader.feed((token,))
        if reader.over:
            raise SystemExit("the answer of unique records fired")


def decoded_again(ids: list[int], tokenizer: Any, steps: range) -> None:
    """Decode everything so far, and look for a record that occurs twice, at each of some steps."""
    for step in steps:
        records = _RECORD.findall(tokenizer.decode(ids[: step + 1]))
        if len(records) != len(set(records)):
            raise SystemExit("the answer of unique records fired")


def tail_repeats(ids: list[int], longest: int, count: int = 3) -> bool:
    """vLLM's `check_sequence_repetition`."""
    for length in range(1, longest + 1):
        if length * count > len(ids):
            return False
        if all(
            ids[-(length * again + place)] == ids[-place] for place in range(1, length + 1) for again in range(1, count)
        ):
            return True
    return False


def vllm_watched(ids: list[int], longest: int, steps: range) -> None:
    for step in steps:
        tail_repeats(ids[: step + 1][-3 * longest :], longest)


def ngram_seconds(ids: list[int], rows: int, size: int, vocabulary: int) -> float:
    """One step of n-gram blocking at this length, a row."""
    processor = NoRepeatNGramLogitsProcessor(size)
    given, scores = torch.tensor([ids] * rows), torch.zeros(rows, vocabulary)
    return best(lambda: processor(given, scores)) / rows


def step_seconds(rows: int, tokens: int) -> float:
    """One decode step of the pocket model."""
    model = AutoModelForImageTextToText.from_pretrained(CHECKPOINT, dtype=torch.float32).eval()
    cache = GrowingCache(AutoConfig.from_pretrained(CHECKPOINT))
    with torch.inference_mode():
        model(input_ids=torch.full((rows, tokens), 20), past_key_values=cache, logits_to_keep=1)
        next_ids = torch.full((rows, 1), 20)

        def step() -> bool:
            mask = torch.ones((rows, cache.get_seq_length() + 1), dtype=torch.long)
            positions = torch.full((4, rows, 1), cache.get_seq_length())
            model(input_ids=next_ids, attention_mask=mask, position_ids=positions, past_key_values=cache)
            return False

        step()
        return best(lambda: any(step() for _ in range(20))) / 20


def spread(n: int, most: int = 200) -> range:
    """Steps over the whole answer, at most this many: the slow peers are sampled."""
    return range(0, n, max(1, n // most))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=8)
    rows = parser.parse_args().rows
    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(CHECKPOINT)
    vocabulary = Vocabulary.of(tokenizer)
    rng = random.Random(20260615)
    answers = {n: answer_tokens(tokenizer, n, rng) for n in LENGTHS}
    step = step_seconds(rows, 1_000)
    stop, all_rules = Controls(repeat_stop=True), Controls(repeat_stop=True, near_repeat_stop=0.9, drift_stop=4)
    ways: dict[str, Callable[[list[int]], float]] = {
        "boxlist, reading tokens only": lambda ids: best(lambda: watched(ids, vocabulary, None)) / len(ids),
        "boxlist, repeat_stop": lambda ids: best(lambda: watched(ids, vocabulary, stop)) / len(ids),
        "boxlist, three rules": lambda ids: best(lambda: watched(ids, vocabulary, all_rules)) / len(ids),
        "decoding again at every step": lambda ids: (
            best(lambda: decoded_again(ids, tokenizer, spread(len(ids)))) / len(spread(len(ids)))
        ),
        "vLLM's detection, patterns to 64": lambda ids: (
            best(lambda: vllm_watched(ids, 64, spread(len(ids)))) / len(spread(len(ids)))
        ),
        "vLLM's detection, patterns to 512": lambda ids: (
            best(lambda: vllm_watched(ids, 512, spread(len(ids)))) / len(spread(len(ids)))
        ),
        "n-gram blocking, n=5, 512 words": lambda ids: ngram_seconds(ids, rows, 5, len(tokenizer)),
        "n-gram blocking, n=5, Qwen's words": lambda ids: ngram_seconds(ids, rows, 5, QWEN_VOCABULARY),
    }
    print(f"one decode step of the pocket model, {rows} rows, 1,000 tokens: {step * 1e3:.2f} ms of processor time")
    print(f"{'us a token a row':36}{''.join(f'{n:>10,}' for n in LENGTHS)}   {rows} rows, of that step")
    for name, cost in ways.items():
        found = [cost(answers[n]) for n in LENGTHS]
        share = found[1] * rows / step
        print(f"{name:36}{''.join(f'{seconds * 1e6:10.2f}' for seconds in found)}   {share:8.2%}")


if __name__ == "__main__":
    main()
