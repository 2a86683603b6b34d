"""The learning curve, what a power law makes of it, and which photographs to score next."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import optimize, stats

from ssliqa_bench.cli.app import main
from ssliqa_bench.errors import InputError
from ssliqa_bench.photos.budget import Curve, learning_curve, unbiased_srcc
from ssliqa_bench.photos.fold_fits import Candidate
from ssliqa_bench.photos.next_labels import next_labels
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.runner.settings import Settings
from tests.photos.made import made_photographs

LABELS = np.array([10.0, 20.0, 40.0, 80.0])


@pytest.fixture(scope="module")
def ridge() -> Candidate:
    return Candidate.of("ridge-probe", load_registry(), Settings.from_environment(quiet=True), "frozen")


@pytest.mark.parametrize("exponent", [0.125, 0.25, 0.5])
def test_a_power_law_is_found_again_and_carried_on(exponent: float) -> None:
    truth = 0.8 - 1.2 * LABELS**-exponent
    curve = Curve.of(LABELS, np.tile(truth, (5, 1)) + 0.01 * np.arange(-2, 3)[:, None])
    assert curve.exponent == exponent and curve.shares[exponent] == pytest.approx(1, abs=1e-9)
    middle, lo, hi = curve.expected(160)
    assert middle == pytest.approx(0.8 - 1.2 * 160**-exponent, abs=1e-9) and lo < middle < hi


def test_exponents_share_where_the_splits_cannot_tell_them_apart() -> None:
    random = np.random.default_rng(3)
    curve = Curve.of(LABELS, 0.75 - 0.9 * LABELS**-0.5 + 0.3 * random.normal(size=(10, 4)))
    assert sum(curve.shares.values()) == pytest.approx(1) and max(curve.shares.values()) < 0.6


def test_what_is_expected_is_the_fit_of_scipy_and_the_error_that_of_the_splits() -> None:
    random = np.random.default_rng(0)
    values = 0.75 - 0.9 * LABELS**-0.5 + 0.03 * random.normal(size=(10, 4))
    shares = {0.25: 0.2, 0.5: 0.5, 1.0: 0.3}
    curve = Curve(LABELS, values, shares)

    def law(row: np.ndarray, c: float) -> float:
        (a, b), _ = optimize.curve_fit(lambda m, a, b: a - b * m**-c, LABELS, row, p0=(0.5, 0.5), sigma=LABELS**-0.5)
        return float(a - b * 200**-c)

    each = {c: law(values.mean(axis=0), c) for c in shares}
    mean = sum(share * each[c] for c, share in shares.items())
    middle, lo, hi = curve.expected(200)
    assert middle == pytest.approx(mean, abs=1e-6)
    splits = [sum(share * law(row, c) for c, share in shares.items()) for row in values]
    spread = sum(share * (each[c] - mean) ** 2 for c, share in shares.items())
    error = np.hypot(np.std(splits, ddof=1) * np.sqrt(0.1 + 0.25), np.sqrt(spread))
    assert hi - middle == pytest.approx(stats.norm.ppf(0.975) * error, rel=1e-3)
    assert middle - lo == pytest.approx(hi - middle)


def test_srcc_of_small_parts_is_that_of_large_ones_on_average() -> None:
    random = np.random.default_rng(4)
    first = random.normal(size=(600, 12))
    second = 0.7 * first + np.sqrt(1 - 0.49) * random.normal(size=first.shape)
    large = 6 / np.pi * np.arcsin(0.7 / 2)  # of a bivariate normal distribution
    found = np.array([unbiased_srcc(a, b) for a, b in zip(first, second, strict=True)])
    plain = np.mean([stats.spearmanr(a, b).statistic for a, b in zip(first, second, strict=True)])
    assert found.mean() == pytest.approx(large, abs=3 * found.std() / np.sqrt(len(found)))
    assert plain < large - 0.02
    assert unbiased_srcc(np.ones(5), np.arange(5.0)) == 0.0


def test_labels_for_a_target_are_where_the_curve_and_its_interval_reach_it() -> None:
    values = np.tile(0.8 - 1.2 * LABELS**-0.5, (5, 1)) + 0.02 * np.arange(-2, 3)[:, None]
    curve = Curve.of(LABELS, values)
    middle, few, many = curve.needed(0.7)
    assert middle is not None and few is not None and few <= middle
    assert middle == pytest.approx((1.2 / 0.1) ** 2, rel=0.04)
    assert many is None or many >= middle
    assert curve.needed(0.95) == (None, curve.needed(0.95)[1], None)


def test_the_curve_rises_where_labels_help(ridge: Candidate) -> None:
    told: list[tuple[int, int]] = []
    photos = made_photographs(80)
    curve = learning_curve(ridge, photos, repeats=1, progress=lambda done, total: told.append((done, total)))
    assert curve.srcc.shape == (5, len(curve.labels)) and curve.labels[0] == 10 and curve.labels[-1] == 64
    assert curve.srcc.mean(axis=0)[-1] > curve.srcc.mean(axis=0)[0]
    assert told[-1] == (5 * len(curve.labels), 5 * len(curve.labels))


def test_pictures_unlike_all_that_are_scored_come_first_and_none_comes_twice(ridge: Candidate) -> None:
    photos = made_photographs(30, unlabeled=20)
    source = photos.unlabeled
    assert source is not None
    source._values[7] = 4 * source._values[7] + 3  # type: ignore[attr-defined]
    found = next_labels(ridge, photos, 20)
    assert found[0].row == 7 and sorted(one.row for one in found) == list(range(20))
    assert all(one.disagreement > 0 and one.distance > 0 for one in found)
    assert [one.row for one in next_labels(ridge, photos, 5)] == [one.row for one in found[:5]]


def test_a_copy_of_what_was_picked_is_near_it_and_waits(ridge: Candidate) -> None:
    photos = made_photographs(30, unlabeled=20)
    source = photos.unlabeled
    assert source is not None
    for row in (7, 8):
        source._values[row] = 4 * source._values[7] + 3 if row == 7 else source._values[7]  # type: ignore[attr-defined]
    found = next_labels(ridge, photos, 20)
    copies = [one for one in found if one.row in (7, 8)]
    assert copies[0] is found[0] and copies[1].distance == pytest.approx(0, abs=1e-6)


def test_what_cannot_be_asked_is_refused(ridge: Candidate) -> None:
    photos = made_photographs(30, unlabeled=5)
    with pytest.raises(InputError, match="expected 1 to 5"):
        next_labels(ridge, photos, 6)
    with pytest.raises(InputError, match="needs --unlabeled"):
        next_labels(ridge, replace(photos, unlabeled=None), 1)


@pytest.mark.parametrize("command", ["label-budget", "next-labels"])
def test_few_labels_are_refused_with_why(command: str, tmp_path: object, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "photos"  # type: ignore[operator]
    folder.mkdir()
    table = folder.parent / "scores.csv"
    table.write_text("image,score\na.jpg,1\nb.jpg,2\n")
    words = [command, "--labels", str(table), "--images", str(folder)]
    assert main([*words, *(["--unlabeled", str(folder)] if command == "next-labels" else [])]) == 2
    assert "expected at least 20" in capsys.readouterr().err


def test_more_photographs_than_there_are_is_refused_before_any_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "more").mkdir()
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / "more" / name).write_bytes(b"no image")
    (tmp_path / "scores.csv").write_text("image,score\n")
    words = ["next-labels", "--labels", str(tmp_path / "scores.csv"), "--images", str(tmp_path / "more"),
             "--unlabeled", str(tmp_path / "more")]  # fmt: skip
    assert main([*words, "--n", "3"]) == 2
    assert "--n: got 3" in capsys.readouterr().err
