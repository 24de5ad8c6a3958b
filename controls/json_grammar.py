"""Answers held to a protocol's JSON schema, token by token, by llguidance: the control `json_only`.

A grammar cannot forbid repeats (no engine implements `uniqueItems` over free coordinates), and does not end a list; the
controls on the list do that, and both can be on at once.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from boxlist.errors import BoxlistError, MissingExtraError
from boxlist.list_schema import list_schema

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from boxlist.protocol import Protocol

# White space may stand between any two parts, as models write it, but not for ever.
_WHITE_SPACE = r"[ \n\t]{0,20}"


class JsonGrammar:
    """A protocol's schema, compiled for one tokenizer; `begin` gives each row its own place in it."""

    def __init__(self, tokenizer: Any, grammar: str, eos_token_ids: frozenset[int], vocabulary_size: int) -> None:
        self._tokenizer = tokenizer
        self._grammar = grammar
        self._eos_token_ids = eos_token_ids
        self._vocabulary_size = vocabulary_size

    @classmethod
    def of(cls, protocol: Protocol, tokenizer: Any, eos_token_ids: Iterable[int], vocabulary_size: int) -> Self:
        """Compile it for a fast tokenizer of Hugging Face; `vocabulary_size` is the width of the model's logits.

        Raises `InputError` where the protocol writes no JSON list, `MissingExtraError` without llguidance.
        """
        schema = list_schema(protocol)
        try:
            from llguidance import LLMatcher
            from llguidance.hf import from_tokenizer
        except ImportError:
            raise MissingExtraError("llguidance", "grammar") from None
        options = {"whitespace_flexible": True, "whitespace_pattern": _WHITE_SPACE}
        grammar = LLMatcher.grammar_from_json_schema(json.dumps({**schema, "x-guidance": options}))
        ends = frozenset(eos_token_ids)
        known = from_tokenizer(tokenizer, n_vocab=vocabulary_size, eos_token=sorted(ends))
        return cls(known, grammar, ends, vocabulary_size)

    def begin(self) -> GrammarPlace:
        """The beginning of an answer."""
        from llguidance import LLMatcher

        matcher = LLMatcher(self._tokenizer, self._grammar)
        return GrammarPlace(matcher, self._eos_token_ids, self._vocabulary_size)


class GrammarPlace:
    """How far one answer is in the grammar."""

    def __init__(self, matcher: Any, eos_token_ids: frozenset[int], vocabulary_size: int) -> None:
        self._matcher = matcher
        self._eos_token_ids = eos_token_ids
        self._over = False
        self._vocabulary_size = vocabulary_size
        self._raise_errors()

    def allowed(self) -> NDArray[np.bool_]:
        """Which tokens may come next, `(vocabulary,)`: behind the list only the end of turn, and behind that any."""
        if self._over:
            return np.ones(self._vocabulary_size, dtype=np.bool_)
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        self._raise_errors()
        return np.unpackbits(bits, count=self._vocabulary_size, bitorder="little").astype(np.bool_)

    def take(self, token_id: int) -> None:
        """Go on behind a token that is allowed."""
        if not self._over:
            self._matcher.consume_token(token_id)
            self._raise_errors()
            self._over = token_id in self._eos_token_ids

    def _raise_errors(self) -> None:
        if self._matcher.is_error():
            raise BoxlistError(f"llguidance: {str(self._matcher.get_error())[:300]}")
