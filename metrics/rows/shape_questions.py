"""The metrics of questions about shapes."""

from __future__ import annotations

from boxlist.metrics.metric import rate
from boxlist.metrics.shape_questions import FORMS

ROWS = (
    rate(
        "question_accuracy", "question_correct", "boxlist", "share of right answers; unreadable is wrong", better=True
    ),
    *(
        rate(
            f"{name}_accuracy",
            f"{name}_correct",
            "the redundancy paper (seed 003), section 4.1",
            f"share of right answers to the questions of type {name}; unreadable is wrong",
            better=True,
        )
        for name in FORMS
    ),
)

SHAPE_QUESTION_METRICS = (
    *("question_accuracy", *(f"{name}_accuracy" for name in FORMS)),
    *("count_mae", "count_exact", "target_shape_valid"),
)
