"""The metrics of questions with given options."""

from __future__ import annotations

from boxlist.metrics.metric import pooled, rate

WHATS_UP = "What's Up (Kamath et al., EMNLP 2023), table 3"

ROWS = (
    rate(
        "choice_accuracy",
        "choice_correct",
        WHATS_UP,
        "share of images whose right option is chosen, or is the likeliest by itself; unreadable is wrong",
        better=True,
    ),
    rate(
        "choice_accuracy_per_token",
        "choice_correct_per_token",
        "boxlist",
        "the same by log-probability per token of the option",
        better=True,
    ),
    *(
        pooled(
            f"{name}_accuracy",
            f"{name}s_correct",
            f"{name}s",
            WHATS_UP,
            f"share of {name}s, all of whose images were asked, with every choice right",
        )
        for name in ("pair", "set")
    ),
    rate("choice_readable", "choice_readable", "boxlist", "share of answers that name one option", better=True),
)

OPTION_CHOICE_METRICS = ("choice_accuracy", "pair_accuracy", "set_accuracy", "choice_readable")
OPTION_LIKELIHOOD_METRICS = (*OPTION_CHOICE_METRICS, "choice_accuracy_per_token")
