r"""Reading many answers at once that are written exactly as the protocol asks, with numpy alone.

`[{"bbox_2d": [1, 2, 3, 4], "label": "tree"}, ...]`, spaced as `json.dumps` spaces, whole numbers, no backslash, labels
of 32 bytes at most. The quotes cut the text into records, every byte between them is compared with what must stand
there, and comparisons, numbers and labels all go eight bytes at a time: `words[i]` is the eight bytes from i,
little-endian. An answer with any other byte is called unreadable, which says nothing about it but that the scanner
must read it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from boxlist.protocols import Protocol

    Words = NDArray[np.uint64]
    Places = NDArray[np.int64]

MAX_CHARS = 1 << 14
_MAX_DIGITS = 6  # so that what follows a number is in the same eight bytes
_LABEL_WORDS = 4
_QUOTES = 6  # in a record: around its two keys and its label
_PADDING = 256  # more than a record's fixed bytes and longest numbers, so that no place lies beyond the buffer
_ODD = np.uint64(0x9E3779B97F4A7C15)


class CanonicalAnswers(NamedTuple):
    """`readable` `(A,)` says which answers could be read; the rest is about those only.

    `counts` `(A,)` of records is 0 for the others; `labels` `(P,)` and `coordinates` `(P, 4)` are in the order of the
    answers.
    """

    readable: NDArray[np.bool_]
    counts: NDArray[np.int64]
    labels: NDArray[np.int64]
    coordinates: NDArray[np.float64]


def read_canonical(texts: Sequence[str], protocol: Protocol, number_of: Callable[[str], int]) -> CanonicalAnswers:
    """Read the answers that are canonical; `number_of` turns a label into a number from 0."""
    opening, closing = f'[{{"{protocol.box_key}": ['.encode(), b'"}]'
    buffer, ends = _joined([text if len(text) <= MAX_CHARS else "" for text in texts])
    words: Words = np.ndarray((len(buffer) - 7,), "<u8", buffer, 0, (1,))
    tried = _stands_at(words, np.concatenate([[0], ends[:-1]]), opening) if len(ends) else np.ones(0, dtype=bool)
    counts, quotes = _records(np.frombuffer(buffer, np.uint8), ends, tried)

    fits = _stands_at(words, quotes[0], opening[2:])
    coordinates, at, numbers_fit = _read_numbers(words, quotes[0] + len(opening) - 2)
    fits &= numbers_fit & _stands_at(words, at, f'], "{protocol.label_key}": "'.encode())
    after = quotes[5]
    followed = _stands_at(words, after, b'"}, {"')
    last = np.cumsum(counts)[counts > 0] - 1
    followed[last] = _stands_at(words, after[last], closing) & (after[last] + len(closing) == ends[counts > 0])
    fits &= followed
    labels = _read_labels(words, quotes[4] + 1, after, number_of)
    fits &= labels >= 0

    answer = np.repeat(np.arange(len(texts)), counts)
    readable = (counts > 0) & (np.bincount(answer[~fits], minlength=len(texts)) == 0)
    kept = readable[answer]
    return CanonicalAnswers(readable, np.where(readable, counts, 0), labels[kept], coordinates[kept])


def _joined(texts: list[str]) -> tuple[bytes, Places]:
    """All texts in one padded buffer, and where in it each ends."""
    whole = "".join(texts)
    if whole.isascii():
        encoded, lengths = whole.encode(), list(map(len, texts))
    else:
        parts = [text.encode("utf-8", "surrogatepass") for text in texts]
        encoded, lengths = b"".join(parts), list(map(len, parts))
    return encoded + bytes(_PADDING), np.cumsum(np.array(lengths, dtype=np.int64))


def _records(
    characters: NDArray[np.uint8], ends: Places, tried: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many records each text has, and the places of their quotes, `(6, P)`.

    A text that is not to be tried, has a backslash, or quotes that do not come in sixes, has no records.
    """
    quotes = np.flatnonzero(characters == ord('"'))
    n_quotes = np.diff(np.searchsorted(quotes, ends), prepend=0)
    whole = tried & (n_quotes % _QUOTES == 0)
    whole[np.searchsorted(ends, np.flatnonzero(characters == ord("\\")), side="right")] = False
    if not whole.all():
        quotes = quotes[np.repeat(whole, n_quotes)]
    return np.where(whole, n_quotes // _QUOTES, 0), np.ascontiguousarray(quotes.reshape(-1, _QUOTES).T)


def _stands_at(words: Words, places: Places, literal: bytes) -> NDArray[np.bool_]:
    """Whether `literal` stands at each place."""
    same = np.ones(len(places), dtype=bool)
    for start in range(0, len(literal), 8):
        piece = literal[start : start + 8]
        mask = np.uint64((1 << 8 * len(piece)) - 1)
        same &= (words[places + start] & mask) == np.uint64(int.from_bytes(piece, "little"))
    return same


def _read_numbers(words: Words, at: Places) -> tuple[NDArray[np.float64], Places, NDArray[np.bool_]]:
    """Four numbers from each place: `(P, 4)`, the places just past them, and which were four whole numbers."""
    coordinates = np.empty((len(at), 4))
    fits = np.ones(len(at), dtype=bool)
    for index in range(4):
        eight = words[at]
        minus = (eight & np.uint64(0xFF)) == ord("-")
        if minus.any():
            at = at + minus
            eight = words[at]
        value, n_digits = _read_digits(eight)
        leading_zero = ((eight & np.uint64(0xFF)) == ord("0")) & (n_digits > 1)
        fits &= (n_digits >= 1) & (n_digits <= _MAX_DIGITS) & ~leading_zero
        coordinates[:, index] = np.where(minus, -value, value)
        if index < 3:
            between = (eight >> (n_digits << 3).astype(np.uint64)) & np.uint64(0xFFFF)
            fits &= between == int.from_bytes(b", ", "little")
            n_digits += 2
        at = at + n_digits
    return coordinates, at, fits


def _read_digits(eight: Words) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The number that the leading digits of eight bytes write, and how many digits there are.

    The first byte that is no digit is the lowest to have its high bit set after the sum, where digits give 0x76 to
    0x7F and so carry nothing into their neighbour.
    """
    figures = eight ^ np.uint64(0x3030303030303030)
    other = ((figures + np.uint64(0x7676767676767676)) | figures) & np.uint64(0x8080808080808080)
    lowest = other & (~other + np.uint64(1))
    n_digits = np.bitwise_count(lowest - np.uint64(1)) >> np.uint8(3)
    # digits to the high end, zeros before them; then neighbours are added up: 2, 4 and 8 digits
    value = figures << (np.uint64(8) * (np.uint64(8) - n_digits))
    value = (value * np.uint64(10 * (1 << 8) + 1) >> np.uint64(8)) & np.uint64(0x00FF00FF00FF00FF)
    value = (value * np.uint64(100 * (1 << 16) + 1) >> np.uint64(16)) & np.uint64(0x0000FFFF0000FFFF)
    value = value * np.uint64(10_000 * (1 << 32) + 1) >> np.uint64(32)
    return value.astype(np.float64), n_digits.astype(np.int64)


def _read_labels(words: Words, starts: Places, ends: Places, number_of: Callable[[str], int]) -> NDArray[np.int64]:
    """A number for each label `(P,)`; -1 where it is too long, or not what may stand in a JSON string as it is.

    Labels are told apart by a hash of their bytes and then compared with the one label that has that hash, so two that
    share it are not confused: the later one is given up.
    """
    lengths = ends - starts
    n_words = min(_LABEL_WORDS, -(-int(lengths.max(initial=0)) // 8))
    parts = [_masked(words[starts + 8 * index], lengths - 8 * index) for index in range(n_words)]
    hashed = lengths.astype(np.uint64)
    for part in parts:
        hashed = (hashed ^ part ^ (hashed >> np.uint64(29))) * _ODD
    distinct = np.unique(hashed)
    group = np.searchsorted(distinct, hashed)
    example = np.zeros(len(distinct), dtype=np.int64)
    example[group[::-1]] = np.arange(len(group))[::-1]
    same = (lengths <= 8 * _LABEL_WORDS) & (lengths == lengths[example][group])
    for part in parts:
        same &= part == part[example][group]
    texts = [b"".join(part[index].tobytes() for part in parts)[: lengths[index]] for index in example.tolist()]
    numbers = [
        number_of(text.decode("utf-8", "surrogatepass")) if min(text, default=32) >= 32 else -1 for text in texts
    ]
    return np.where(same, np.array(numbers, dtype=np.int64)[group], -1)


def _masked(part: Words, length: NDArray[np.int64]) -> Words:
    """The first `length` bytes of eight, the others 0; all of them from 8 on, none up to 0."""
    unused = np.uint64(8) * (8 - np.clip(length, 0, 8)).astype(np.uint64)
    # a shift by 64 bits is left undefined, so shift in two steps
    half = unused >> np.uint64(1)
    masked: Words = (part << half << half) >> half >> half
    return masked
