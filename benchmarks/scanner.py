"""The scanner: cost of a token while generating, which must not grow, and of reading whole answers beside `json.loads`.

Every figure is processor time, the best of several rounds; the ratios are what to compare between machines.
"""

from __future__ import annotations

import json
import random
import time
from typing import TYPE_CHECKING

from boxlist.protocols import DEFAULT_PROTOCOL, PROTOCOLS, protocol_named
from boxlist.records import Record
from boxlist.scanner import RecordScanner, read_answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from boxlist.protocols import Protocol

PROTOCOL = PROTOCOLS[DEFAULT_PROTOCOL]
LABELS = ("red circle", "blue square", "green triangle", "tree")
ROUNDS = 5


def answer(n_records: int, rng: random.Random, protocol: Protocol = PROTOCOL) -> str:
    records = (
        Record(rng.choice(LABELS), tuple(rng.randrange(1001) for _ in range(PROTOCOL.n_coordinates)))
        for _ in range(n_records)
    )
    return protocol.write(list(records))


def tokens(text: str, n: int, rng: random.Random) -> list[str]:
    """Pieces of one to five characters, about as a tokenizer cuts JSON."""
    pieces: list[str] = []
    at = 0
    while len(pieces) < n:
        width = rng.randrange(1, 6)
        pieces.append(text[at : at + width])
        at += width
    return pieces


def best_s(work: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def feed_all(pieces: list[str], protocol: Protocol = PROTOCOL) -> RecordScanner:
    scanner = RecordScanner(protocol)
    for piece in pieces:
        scanner.feed(piece)
    return scanner


def print_streaming(rng: random.Random) -> None:
    print("feeding one row token by token")
    print(f"{'tokens':>8} {'us/token':>9} {'us/character':>13} {'of 100 tokens':>14}")
    first = 0.0
    for n in (100, 1_000, 8_000):
        pieces = tokens(answer(n // 8, rng), n, rng)
        cost = best_s(lambda pieces=pieces: [feed_all(pieces) for _ in range(8_000 // len(pieces))])  # type: ignore[misc]
        cost /= 8_000 // n * n
        first = first or cost
        per_character = cost * n / len("".join(pieces))
        print(f"{n:8,} {cost * 1e6:9.2f} {per_character * 1e6:13.2f} {cost / first:13.2f}x")


def print_formats(rng: random.Random) -> None:
    n = 4_000
    print(f"\nfeeding one row of {n:,} tokens in other formats")
    print(f"{'':>32} {'us/token':>10} {'us/character':>13}")
    for parts in ("", "+label_first", "+nested", "+plain", "+plain+label_first", "+plain+nested"):
        protocol = protocol_named(DEFAULT_PROTOCOL + parts)
        pieces = tokens(answer(n // 4, rng, protocol), n, rng)
        cost = best_s(lambda pieces=pieces, protocol=protocol: feed_all(pieces, protocol))  # type: ignore[misc]
        print(f"{protocol.name:>32} {cost / n * 1e6:10.2f} {cost / len(''.join(pieces)) * 1e6:13.2f}")


def print_reading(rng: random.Random) -> None:
    n_answers, n_records = 2_000, 12
    texts = [answer(n_records, rng) for _ in range(n_answers)]
    fenced = [f"```json\n{text}\n```" for text in texts]
    cut = [text[: -len(text) // 30] for text in texts]
    peer = best_s(lambda: [json.loads(text) for text in texts])
    print(f"\nreading {n_answers:,} whole answers of {n_records} records")
    print(f"{'':>32} {'us/record':>10} {'of json.loads':>14}")
    rows: dict[str, Callable[[], object]] = {
        "read_answer": lambda: [read_answer(text, PROTOCOL) for text in texts],
        "read_answer, fenced": lambda: [read_answer(text, PROTOCOL) for text in fenced],
        "read_answer, cut": lambda: [read_answer(text, PROTOCOL) for text in cut],
        "RecordScanner, in one piece": lambda: [feed_all([text]) for text in texts],
    }
    print(f"{'json.loads':>32} {peer / n_answers / n_records * 1e6:10.2f} {1:13.2f}x")
    for name, work in rows.items():
        cost = best_s(work)
        print(f"{name:>32} {cost / n_answers / n_records * 1e6:10.2f} {cost / peer:13.2f}x")


def print_hostile() -> None:
    print("\nhostile text, 1 MB in one piece")
    for unit in ("{", "[", '"', '{"a":', "[{", '["'):
        text = unit * (1_000_000 // len(unit))
        print(f"{unit!r:>32} {best_s(lambda text=text: read_answer(text, PROTOCOL)):9.3f} s")  # type: ignore[misc]


def main() -> None:
    rng = random.Random(20260615)
    print_streaming(rng)
    print_formats(rng)
    print_reading(rng)
    print_hostile()


if __name__ == "__main__":
    main()
