"""Verdicts against a margin: what passes, what fails, what cannot be told, and how often they err."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize

from boxlist.metrics.non_inferiority import Evidence, Judgement, judge, unchanged, weigh
from boxlist.metrics.paired import Pair
from boxlist.metrics.summary import Parts
from boxlist.metrics.table import METRICS

EVIDENCE = Evidence(
    baseline=0.6, run=0.6, worse_by=0.0, bound=0.02, least=-0.02, p=0.9, error=0.01, jump=0.2, n=80, none_worse=False
)


def rates(values: list[float]) -> Parts:
    found = np.array(values, dtype=np.float64)
    return Parts(found, np.ones(len(found)), np.ones(len(found), dtype=np.bool_))


def verdict(evidence: Evidence, margin: float = 0.03) -> Judgement:
    (judged,) = judge([evidence], [margin])
    return judged


def test_a_bound_within_the_margin_passes() -> None:
    found = verdict(EVIDENCE)
    assert (found.verdict, found.images_needed) == ("pass", None)


def test_worse_by_more_than_the_margin_beyond_chance_fails() -> None:
    worse = replace(EVIDENCE, worse_by=0.04, bound=0.06, least=0.02, p=0.001)
    assert verdict(worse).verdict == "fail"
    assert verdict(worse, 0.05).verdict == "cannot tell"
    assert verdict(worse, 0.07).verdict == "pass", "worse beyond chance, but within what is allowed"


@pytest.mark.parametrize(("p", "least"), [(0.06, 0.02), (0.001, 0.0)])
def test_what_may_be_chance_does_not_fail(p: float, least: float) -> None:
    found = verdict(replace(EVIDENCE, worse_by=0.04, bound=0.06, least=least, p=p))
    assert (found.verdict, found.reason) == ("cannot tell", "worse by more than the margin, but it may be chance")


def test_p_is_adjusted_for_all_lines() -> None:
    worse = replace(EVIDENCE, worse_by=0.04, bound=0.06, least=0.02, p=0.03)
    assert [line.verdict for line in judge([worse, EVIDENCE], [0.03, 0.03])] == ["cannot tell", "pass"]
    assert [line.p for line in judge([worse, EVIDENCE], [0.03, 0.03])] == [0.06, 0.9]
    assert verdict(worse).verdict == "fail"


def test_few_images_never_pass_but_may_fail() -> None:
    found = verdict(replace(EVIDENCE, n=29))
    assert (found.verdict, found.images_needed) == ("cannot tell", 30)
    assert found.reason == "under 30 images nothing passes"
    worse = replace(EVIDENCE, worse_by=0.5, bound=0.6, least=0.4, p=0.001, n=12)
    assert verdict(worse).verdict == "fail"


def test_images_needed_settle_it_four_times_in_five() -> None:
    open_question = replace(EVIDENCE, worse_by=0.01, bound=0.035, error=0.015)
    needed = verdict(open_question).images_needed
    # 0.02 to the margin are 1.645 + 0.842 standard errors of that many images
    assert needed == pytest.approx(80 * ((1.644854 + 0.841621) * 0.015 / 0.02) ** 2, abs=1)
    assert verdict(replace(open_question, worse_by=0.03)).images_needed is None


def test_undefined_cannot_be_told() -> None:
    empty = Parts(np.zeros(3), np.zeros(3), np.zeros(3, dtype=np.bool_))
    (evidence,) = weigh([Pair(rates([1, 1, 1]), empty)], [METRICS["parse_valid"]])
    found = verdict(evidence)
    assert (found.verdict, found.reason) == ("cannot tell", "undefined: no image that it is about")
    assert (evidence.baseline, evidence.run, evidence.n) == (1.0, None, 3)
    assert judge([], []) == []
    assert weigh([], []) == []


def test_worse_follows_the_metrics_better_end() -> None:
    low, high = rates([0.0] * 30 + [0.5] * 30), rates([0.0] * 20 + [0.5] * 40)
    valid, duplicates = weigh([Pair(low, high)] * 2, [METRICS["parse_valid"], METRICS["duplicate_rate"]])
    assert valid.worse_by == pytest.approx(-5 / 60)
    assert duplicates.worse_by == pytest.approx(5 / 60)
    assert valid.jump == duplicates.jump == pytest.approx(0.5)
    assert (valid.none_worse, duplicates.none_worse) == (True, False)
    assert duplicates.bound is not None
    assert duplicates.bound > 5 / 60
    assert duplicates.least is not None
    assert duplicates.least < 5 / 60


def test_what_no_image_showed_may_still_be() -> None:
    same = rates([1.0] * 80)
    (evidence,) = weigh([Pair(same, same)], [METRICS["parse_valid"]])
    assert evidence.bound == pytest.approx(1 - 0.05 ** (1 / 80))
    found = verdict(evidence, 0.02)
    assert (found.verdict, found.images_needed) == ("cannot tell", 149)
    assert found.reason == "no image got worse, but one in 27 may"
    assert verdict(evidence, 0.04).verdict == "pass"
    assert 1 - 0.05 ** (1 / 149) < 0.02 < 1 - 0.05 ** (1 / 148)
    assert unchanged(found)._replace(evidence=EVIDENCE) == Judgement(
        "pass", EVIDENCE, 1.0, found.detectable, None, "no image changed"
    )


def test_more_than_no_change_lowers_the_bound() -> None:
    before = rates([1.0] * 70 + [0.0] * 10)
    (evidence,) = weigh([Pair(before, rates([1.0] * 80))], [METRICS["parse_valid"]])
    assert evidence.bound is not None
    assert evidence.bound < -0.02


@pytest.mark.parametrize(("error", "jump", "n", "lines", "margin"), [(0.02, 0.2, 80, 1, 0.03), (0.0, 1.0, 400, 3, 0.2)])
def test_detectable_solves_its_equations(error: float, jump: float, n: int, lines: int, margin: float) -> None:
    evidence = replace(EVIDENCE, error=error or None, jump=jump, n=n)
    found = judge([evidence] * lines, [margin] * lines)[0].detectable
    z = {1: 1.959964, 3: 2.393980}[lines]

    def noise(x: float) -> float:
        return float(np.sqrt(error**2 + jump * x / n))

    chance = optimize.brentq(lambda x: x - (z + 0.841621) * noise(x), 1e-9, 9)
    beyond = optimize.brentq(lambda x: x - margin - 0.841621 * noise(x), 1e-9, 9)
    assert found == pytest.approx(max(chance, beyond), abs=1e-4)
    assert judge([replace(evidence, jump=None)], [margin])[0].detectable is None


def test_error_rates_of_simulated_lines() -> None:
    """60 images a run, each wrong with 20%: the shares that fail, without a difference and at what is detectable."""
    rng = np.random.default_rng(7)
    metric, n, pairs = METRICS["parse_valid"], 60, 150

    def judged(worse: float) -> list[Judgement]:
        found = []
        for seed in range(pairs):
            pair = Pair(rates((rng.random(n) < 0.8).tolist()), rates((rng.random(n) < 0.8 - worse).tolist()))
            found += judge(weigh([pair], [metric], seed, resamples=200, permutations=400), [0.03])
        return found

    same = judged(0.0)
    assert sum(line.verdict == "fail" for line in same) / pairs <= 0.05
    stated = float(np.mean([line.detectable for line in same if line.detectable]))
    assert sum(line.verdict == "fail" for line in judged(stated)) / pairs >= 0.8
