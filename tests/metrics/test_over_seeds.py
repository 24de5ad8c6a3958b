"""Figures over training seeds: worked by hand, against a loop over every resample, and with one seed the usual ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from boxlist.errors import InputError
from boxlist.metrics.over_seeds import SeedDifference, differences_over_seeds, figures_over_seeds
from boxlist.metrics.paired import paired_differences
from boxlist.metrics.summary import summarise_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from boxlist.metrics.columns import Columns

IMAGES = 40


def drawn_run(rng: np.random.Generator, images: int = IMAGES) -> Columns:
    n_gt, n_pred = rng.integers(1, 9, images), rng.integers(0, 12, images)
    return {
        "n_gt": np.full(images, 5) + n_gt % 2,
        "n_pred": n_pred,
        "tp@0.3": np.minimum(rng.integers(0, 6, images), n_pred),
        "duplicate_rate": rng.uniform(0, 0.5, images),
        "max_repeat": rng.integers(1, 5, images),
        "distance": rng.uniform(0, 9, images),
    }


def f1(run: Columns, places: NDArray[Any]) -> float:
    return float(2 * run["tp@0.3"][places].sum() / (run["n_pred"][places] + run["n_gt"][places]).sum())


def alike(rates: list[float]) -> list[Columns]:
    """A run a rate, whose images all have it."""
    return [{"duplicate_rate": np.full(IMAGES, rate)} for rate in rates]


def test_two_seeds_whose_images_are_alike() -> None:
    """Of four draws of two seeds one is twice the first, one twice the second: more than 2.5% each."""
    found = figures_over_seeds(alike([0.2, 0.6]), ["duplicate_rate"])["duplicate_rate"]
    assert found["value"] == pytest.approx(0.4)
    assert (found["ci_low"], found["ci_high"]) == pytest.approx((0.2, 0.6))
    assert (found["n"], found["interval"], found["few_images"]) == (IMAGES, "percentile", False)


def test_what_every_seed_gains_alike_is_gained_for_certain() -> None:
    """Drawn apart, seeds so far from each other would leave an interval from -0.65 to 0.75."""
    before, after = alike([0.1, 0.3, 0.8]), alike([0.15, 0.35, 0.85])
    found = differences_over_seeds(before, after, ["duplicate_rate"])["duplicate_rate"]
    assert found == pytest.approx((0.05, 0.05, 0.05))
    assert found.leaves_zero_out
    for others in ([0.15, 0.25, 0.8], [0.1, 0.3, 0.8]):
        assert not differences_over_seeds(before, alike(others), ["duplicate_rate"])["duplicate_rate"].leaves_zero_out


def test_the_largest_of_maxima_and_null_where_a_run_is_undefined() -> None:
    rng = np.random.default_rng(5)
    runs = [drawn_run(rng), drawn_run(rng)]
    runs[1]["max_repeat"][3] = 17
    found = figures_over_seeds(runs, ["max_repeat"])["max_repeat"]
    assert (found["value"], found["ci_low"]) == (17.0, None)
    nothing: Columns = {"tp@0.3": np.zeros(IMAGES), "n_pred": np.zeros(IMAGES), "n_gt": np.full(IMAGES, 2)}
    one_hit: Columns = {**nothing, "tp@0.3": np.ones(IMAGES), "n_pred": np.full(IMAGES, 2)}
    assert figures_over_seeds([one_hit, nothing], ["precision@0.3"])["precision@0.3"]["value"] is None
    undefined = differences_over_seeds([one_hit], [nothing], ["precision@0.3"])["precision@0.3"]
    assert undefined == SeedDifference(None, None, None)
    assert not undefined.leaves_zero_out


def test_a_rate_of_0_in_every_run_has_wilsons_interval_over_images() -> None:
    found = figures_over_seeds(alike([0.0, 0.0, 0.0]), ["duplicate_rate"])["duplicate_rate"]
    alone = summarise_columns(alike([0.0])[0], IMAGES, ["duplicate_rate"])["duplicate_rate"]
    assert found == alone
    assert found["interval"] == "wilson"


@pytest.mark.parametrize("pictures", [None, np.arange(IMAGES) % 35])
def test_one_seed_has_the_usual_interval(pictures: NDArray[np.int64] | None) -> None:
    rng = np.random.default_rng(1)
    a, b = drawn_run(rng), drawn_run(rng)
    if pictures is not None:
        a, b = ({**run, "picture": pictures.astype(np.float64)} for run in (a, b))
    metrics = ["f1@0.3", "duplicate_rate", "max_repeat", "point_distance_median"]
    assert figures_over_seeds([a], metrics, seed=3) == summarise_columns(a, IMAGES, metrics, seed=3)
    usual = paired_differences(a, b, metrics, seed=3)
    for name, found in differences_over_seeds([a], [b], metrics, seed=3).items():
        assert found == pytest.approx((usual[name]["difference"], usual[name]["ci_low"], usual[name]["ci_high"]))


def test_against_a_loop_over_every_resample() -> None:
    """Images first, then which of the three seeds: each drawn run's F1 over the same drawn images, and their mean."""
    rng = np.random.default_rng(2)
    a, b = ([drawn_run(rng) for _ in range(3)] for _ in range(2))
    images, seeds = np.random.default_rng(7), np.random.default_rng((7, 2))
    figures, differences = [], []
    for drawn in seeds.integers(0, 3, (200, 3)):
        places = images.integers(0, IMAGES, IMAGES, dtype=np.uint16)
        before, after = ([f1(runs[seed], places) for seed in drawn] for runs in (a, b))
        figures.append(sum(before) / 3)
        differences.append(sum(after) / 3 - sum(before) / 3)
    found = figures_over_seeds(a, ["f1@0.3"], seed=7, resamples=200)["f1@0.3"]
    everywhere = np.arange(IMAGES)
    assert found["value"] == pytest.approx(np.mean([f1(run, everywhere) for run in a]))
    assert (found["ci_low"], found["ci_high"]) == pytest.approx(np.percentile(figures, [2.5, 97.5]))
    apart = differences_over_seeds(a, b, ["f1@0.3"], seed=7, resamples=200)["f1@0.3"]
    assert apart[1:] == pytest.approx(np.percentile(differences, [2.5, 97.5]))


def test_seeds_that_have_no_partner_are_refused_and_a_single_run_stands_for_all() -> None:
    with pytest.raises(InputError, match="difference over seeds: expected runs of the same seeds, got 2 and 3 runs"):
        differences_over_seeds(alike([0.1, 0.2]), alike([0.1, 0.2, 0.3]), ["duplicate_rate"])
    found = differences_over_seeds(alike([0.1]), alike([0.2, 0.6]), ["duplicate_rate"])["duplicate_rate"]
    assert found == pytest.approx((0.3, 0.1, 0.5))
