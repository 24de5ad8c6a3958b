"""Every metric that boxlist reports, by name. What they say stands in `rows`, a file a kind of probe."""

from __future__ import annotations

import hashlib

from boxlist.metrics.metric import Metric
from boxlist.metrics.rows import absent, boxes, choices, points, referring, shape_questions, structure

__all__ = ["METRICS", "Metric", "definitions_sha256"]

_KINDS = (boxes, structure, points, choices, referring, shape_questions, absent)
METRICS: dict[str, Metric] = {row.name: row for kind in _KINDS for row in kind.ROWS}


def definitions_sha256() -> str:
    """What every metric means, as one hash: figures of two versions compare only if it is the same."""
    rows = sorted(
        repr((row.name, row.numerator, row.denominator, row.needs, row.definition)) for row in METRICS.values()
    )
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()
