"""GATE.yaml: what it says, and what is refused, with the line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from boxlist.errors import InputError
from boxlist.reports.gate.plan import Limit, read_plan

if TYPE_CHECKING:
    from collections.abc import Callable

TASK = "boxlist_dense_bbox_shapes"
ROOT = Path(__file__).parents[3]


def test_a_plan(write_gate: Callable[..., Path], tmp_path: Path) -> None:
    plan = read_plan(write_gate())
    assert (plan.baseline, plan.run, plan.seed) == (tmp_path / "baseline.json", None, 0)
    assert plan.tasks[TASK].margins == {"f1@0.3": 0.05}
    assert plan.tasks[TASK].limits == {"parse_valid": Limit(0.95, None), "max_repeat": Limit(None, 4.0)}


def test_the_committed_example_is_a_plan() -> None:
    plan = read_plan(ROOT / "docs" / "ci" / "gate.yaml")
    assert set(plan.tasks[TASK].margins) == {"f1@0.3", "duplicate_rate"}


def test_limits_alone_need_no_baseline(write_gate: Callable[..., Path]) -> None:
    plan = read_plan(write_gate("tasks: {t: {limits: {count_mae: {at_least: 0, at_most: 2}}}}\nrun: /abs/run\nseed: 7"))
    assert (plan.baseline, plan.run, plan.seed) == (None, Path("/abs/run"), 7)


def test_limits_hold_up_to_their_ends() -> None:
    limit = Limit(0.5, 0.75)
    assert [limit.holds(value) for value in (0.49, 0.5, 0.75, 0.76)] == [False, True, True, False]
    assert (str(limit), str(Limit(None, 4.0))) == ("at least 0.5, at most 0.75", "at most 4")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"gate.yaml: expected keys and values, got NoneType"),
        ("tasks: [unclosed", r"gate.yaml: expected YAML, got .*line 1"),
        ("tasks: {t: {}}\ntasks: {}", r"key 'tasks' is given twice"),
        ("task: {}", r"gate.yaml, line 1: task: key 'task': expected one of .* Did you mean tasks\?"),
        ("seed: 1", r"gate.yaml: tasks: expected keys and values, got nothing\. Such as tasks: "),
        ("tasks:\n  t: 3", r"gate.yaml, line 2: tasks: t: expected keys and values, got 3"),
        ("tasks:\n  t:\n    margin: {}", r"line 3: tasks: t: margin: key 'margin': .* Did you mean margins\?"),
        ("tasks: {t: {}}", r"line 1: tasks: expected margins or limits, got none"),
        ("tasks: {t: {margins: {f1@0.3: 0.1}}}", r"gate.yaml: expected a baseline to hold margins against, got none"),
        (
            "tasks: {t: {margins: {f1@0.4: 0.1}}}",
            r"f1@0.4: metric 'f1@0.4': expected one of .* Did you mean f1@0.5 or f1@0.3",
        ),
        (
            "tasks: {t: {margins: {trigger_rate: 0.1}}}",
            r"expected a metric with a better end, got one with none\. Put it",
        ),
        ("tasks: {t: {margins: {max_repeat: 1}}}", r"max_repeat: expected a mean or a ratio, got a maximum"),
        ("tasks: {t: {margins: {f1@0.3: 3}}}", r"f1@0.3: expected a share above 0 and below 1, such as 0.03, got 3\."),
        ("tasks: {t: {margins: {f1@0.3: 0}}}", r"expected a share above 0 and below 1, such as 0.03, got 0\."),
        ("tasks: {t: {margins: {f1@0.3: yes}}}", r"such as 0.03, got True\."),
        ("tasks: {t: {margins: {f1@0.3: .nan}}}", r"such as 0.03, got nan\."),
        (f"tasks: {{t: {{margins: {{f1@0.3: 1{'0' * 400}}}}}}}", r"such as 0.03, got 10{39}\."),
        ("tasks: {t: {margins: {count_mae: -1}}}", r"count_mae: expected a number of objects above 0, got -1\."),
        ("tasks: {t: {limits: {parse_valid: 0.9}}}", r"parse_valid: expected keys and values, got 0.9\."),
        ("tasks: {t: {limits: {parse_valid: {}}}}", r"parse_valid: expected at_least or at_most, got neither\."),
        ("tasks: {t: {limits: {parse_valid: {min: 1}}}}", r"key 'min': expected one of at_least, at_most, got"),
        ("tasks: {t: {limits: {parse_valid: {at_least: 95}}}}", r"at_least: expected a share from 0 to 1, got 95\."),
        ("tasks: {t: {limits: {validity: {at_least: 1}}}}", r"metric 'validity': expected one of "),
        (
            "seed: -1\ntasks: {t: {limits: {parse_valid: {at_least: 1}}}}",
            r"line 1: seed: expected a whole number from 0",
        ),
        ("run: 3\ntasks: {t: {limits: {parse_valid: {at_least: 1}}}}", r"line 1: run: expected a path, got 3\."),
        (
            "tasks: !!python/object/apply:os.getcwd []",
            r"gate.yaml: expected YAML, got could not determine a constructor",
        ),
    ],
)
def test_faults_are_named_with_their_line(write_gate: Callable[..., Path], text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_plan(write_gate(text))
