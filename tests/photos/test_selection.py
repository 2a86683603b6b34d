"""Folds, the choice of a learner, the verdict on unlabeled images, and figures that the choice does not flatter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from ssliqa_bench.errors import DataError, InputError
from ssliqa_bench.photos import selection
from ssliqa_bench.photos.fold_fits import Candidate, fit, predicted, predictor
from ssliqa_bench.photos.folds import expected_of, expected_of_part, folds, measured
from ssliqa_bench.photos.selection import Family, choose, fits, held_out, recommended
from ssliqa_bench.photos.training import family_of
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.types import Artifact, Scale, derive_seed
from tests.photos.made import made_photographs

SHORT = {"epochs": 1, "epoch_steps": 4}


def candidate(name: str, **changed: object) -> Candidate:
    return Candidate.of(name, load_registry(), Settings.from_environment(quiet=True), "frozen", changed)


@pytest.fixture(scope="module")
def ridge() -> Candidate:
    return candidate("ridge-probe")


@pytest.fixture(scope="module")
def pair() -> Family:
    """Pseudo-labels and the comparator, a few steps each."""
    ours, theirs = candidate("pseudo-label", **SHORT), candidate("pseudo-label-supervised", **SHORT)
    return Family((theirs,), ours, theirs)


@pytest.mark.parametrize("repeats", [1, 3])
def test_folds_part_images_by_group_and_cover_each_once_per_repeat(repeats: int) -> None:
    groups = [f"scene {k % 9}" for k in range(50)]
    found = list(folds(groups, repeats, seed=3))
    assert len(found) == 5 * repeats and [repeat for repeat, _, _ in found] == sorted(repeat for repeat, _, _ in found)
    for number in range(repeats):
        tests = np.concatenate([test for repeat, _, test in found if repeat == number])
        assert sorted(tests.tolist()) == list(range(50))
    for _, training, test in found:
        assert not {groups[k] for k in training} & {groups[k] for k in test}
        assert len(training) + len(test) == 50 and 5 <= len(test) <= 17
    again = list(folds(groups, repeats, seed=3))
    assert all((a[2] == b[2]).all() for a, b in zip(found, again, strict=True))
    assert len({tuple(test.tolist()) for _, _, test in found}) > 3 * repeats


def test_too_few_groups_are_refused() -> None:
    with pytest.raises(DataError, match="4 groups"):
        list(folds(["a", "b", "c", "d"] * 10, 1, 0))


def test_figures_are_those_of_scipy_and_the_interval_that_of_the_corrected_test() -> None:
    random = np.random.default_rng(5)
    splits = []
    for _ in range(10):
        scores = random.uniform(size=12)
        said = scores + 0.2 * random.normal(size=12)
        found = measured(said, scores, Scale(1, 5))
        assert found["srcc"] == pytest.approx(stats.spearmanr(said, scores).statistic)
        assert found["plcc"] == pytest.approx(stats.pearsonr(said, scores).statistic)
        assert found["mae"] == pytest.approx(4 * np.abs(said - scores).mean())
        splits.append(found)
    own = expected_of(splits)["mae"]
    values = np.array([split["mae"] for split in splits])
    reach = stats.t.ppf(0.975, 9) * values.std(ddof=1) * np.sqrt(1 / 10 + 0.2 / 0.8)
    assert (own.mean, own.lo, own.hi) == pytest.approx((values.mean(), values.mean() - reach, values.mean() + reach))


def test_small_test_parts_in_perfect_order_have_an_interval_that_ends_at_one() -> None:
    values = [1.0, 0.9, 1.0, 0.8, 0.95]
    own = expected_of([{"srcc": value, "plcc": value, "mae": 0.1} for value in values])["srcc"]
    reach = stats.t.ppf(0.975, 4) * np.std(values, ddof=1) * np.sqrt(1 / 5 + 0.2 / 0.8)
    assert (own.mean, own.lo, own.hi) == pytest.approx((0.93, 0.93 - reach, 1.0))


def test_a_fit_sees_no_score_of_a_row_that_is_held_out(ridge: Candidate) -> None:
    photos = made_photographs(40)
    rows = np.arange(30)
    model = predictor(ridge, fit(ridge, photos, rows, seed=1))
    said = predicted(model, photos.labeled, range(30, 40))
    shuffled = photos.score01.copy()
    shuffled[30:] = shuffled[30:][::-1]
    again = predictor(ridge, fit(ridge, replace(photos, score01=shuffled), rows, seed=1))
    assert (predicted(again, photos.labeled, range(30, 40)) == said).all()
    assert stats.spearmanr(said, photos.score01[30:]).statistic > 0.5


def test_unlabeled_copies_of_held_out_images_never_reach_the_learner(
    pair: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = made_photographs(30, unlabeled=8)
    assert photos.unlabeled is not None and pair.unlabeled is not None
    seen: list[set[str]] = []
    rows = np.arange(25)

    def watch(context: object) -> Artifact:
        images = context.unlabeled  # type: ignore[attr-defined]
        seen.append(
            set() if images is None else {images._items[k][0].hashes[images._items[k][1]] for k in range(len(images))}
        )
        return Artifact({}, {})

    watched = replace(pair.unlabeled, learner=_Watched(pair.unlabeled, watch))  # type: ignore[arg-type]
    copies = replace(photos, unlabeled=_Both(photos.unlabeled, photos.labeled))  # type: ignore[arg-type]
    fit(watched, copies, rows, 0)
    held = set(photos.labeled.hashes[25:])
    assert seen and all(not own & held for own in seen) and any(set(photos.unlabeled.hashes) <= own for own in seen)
    with pytest.raises(InputError, match="other photographs"):
        fit(watched, replace(photos, unlabeled=_Only(photos.labeled, 25)), rows, 0)  # type: ignore[arg-type]


def test_the_best_learner_from_labels_is_chosen(ridge: Candidate, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = candidate("kernel-ridge")
    photos = made_photographs(60)
    found = choose(Family((kernel, ridge)), photos, np.arange(60), seed=0)
    means = {name: values.mean() for name, values in found.srcc.items()}
    assert found.chosen.name == max(means, key=lambda name: means[name]) and found.said is None
    assert all(len(values) == 5 for values in found.srcc.values()) and max(means.values()) > 0.7


@pytest.mark.parametrize(("gain", "said"), [(0.1, "helped"), (-0.1, "hurt"), (0.0, "cannot tell")])
def test_the_verdict_follows_the_paired_test_and_a_loss_is_never_kept(
    pair: Family, monkeypatch: pytest.MonkeyPatch, gain: float, said: str
) -> None:
    random = np.random.default_rng(0)
    figures = iter(
        value
        for base in random.uniform(0.4, 0.6, size=10)
        for value in (base, base + gain + 0.01 * random.normal())  # comparator, then with unlabeled images
    )
    monkeypatch.setattr(selection, "fit", lambda *_: None)
    monkeypatch.setattr(selection, "predictor", lambda *_: None)
    monkeypatch.setattr(selection, "predicted", lambda *_: None)
    monkeypatch.setattr(selection, "measured", lambda *_: {"srcc": next(figures)})
    found = choose(pair, made_photographs(30, 5), np.arange(30), 0, repeats=2)
    assert found.said == said and found.difference is not None and found.difference.n == 10
    assert found.chosen.learns_from_unlabeled == (said == "helped")
    assert said.split()[0] in recommended(found).lower() or said == "cannot tell"
    if said == "hurt":
        assert "trained without them" in recommended(found)


def test_unlabeled_images_that_weigh_nothing_never_help() -> None:
    ours = candidate("pseudo-label", **SHORT, unlabeled_weight=0.0)
    theirs = candidate("pseudo-label-supervised", **SHORT)
    photos = made_photographs(30, unlabeled=20)
    found = choose(Family((theirs,), ours, theirs), photos, np.arange(30), 0)
    assert found.difference is not None and abs(found.difference.mean) < 0.1  # dropout is drawn anew
    assert found.said == "cannot tell" and found.chosen.name == theirs.name


def test_held_out_predictions_cover_every_image_and_the_count_of_fits_is_right(ridge: Candidate) -> None:
    photos = made_photographs(40, groups=12)
    family = Family((ridge, candidate("kernel-ridge")))
    done: list[int] = []
    found = held_out(family, photos, 0, repeats=1, done=lambda: done.append(1))
    assert np.isfinite(found.predictions).all() and len(found.rows) == 40 and sum(found.chosen.values()) == 5
    choose(family, photos, np.arange(40), 0, repeats=1, done=lambda: done.append(1))
    assert len(done) == fits(family, photos, 1)
    assert stats.spearmanr(found.predictions, photos.score01).statistic > 0.6
    assert found.expected["srcc"].splits == 5


def test_with_many_labels_one_test_part_is_split_off_that_no_choice_has_seen(
    ridge: Candidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "MINIMUM_TEST_PART", 150)
    photos = made_photographs(200, groups=160)
    family = Family((ridge, candidate("kernel-ridge")))
    done: list[int] = []
    found = held_out(family, photos, 0, done=lambda: done.append(1))
    tested = found.rows
    groups = np.array(photos.groups)
    assert 35 <= len(tested) <= 45 and not set(groups[tested]) & set(np.delete(groups, tested))
    name = next(iter(found.chosen))
    taken = next(one for one in family.all if one.name == name)
    training = np.setdiff1d(np.arange(200), tested)
    model = predictor(taken, fit(taken, photos, training, derive_seed(0, "outer", 0)))
    said = predicted(model, photos.labeled, tested)
    np.testing.assert_allclose(found.predictions[tested], said)
    scores = photos.score01[tested]
    assert found.expected["srcc"].mean == pytest.approx(stats.spearmanr(said, scores).statistic)
    for figure in found.expected.values():
        assert figure.splits == 1 and figure.lo is not None and figure.hi is not None
        assert figure.lo < figure.mean < figure.hi
    choose(family, photos, np.arange(200), 0, repeats=2, done=lambda: done.append(1))
    assert len(done) == fits(family, photos, 2)


def test_the_error_of_a_test_part_is_that_of_the_sums_over_groups() -> None:
    random = np.random.default_rng(1)
    said, scores = random.uniform(size=120), random.uniform(size=120)
    alone = expected_of_part(said, scores, [str(k) for k in range(120)], Scale(1, 5))["mae"]
    errors = 4 * np.abs(said - scores)
    reach = stats.t.ppf(0.975, 119) * errors.std(ddof=1) / np.sqrt(120)
    assert (alone.mean, alone.hi) == (pytest.approx(errors.mean()), pytest.approx(errors.mean() + reach))
    twice = expected_of_part(np.tile(said, 2), np.tile(scores, 2), [str(k) for k in range(120)] * 2, Scale(1, 5))["mae"]
    assert (twice.mean, twice.lo, twice.hi) == pytest.approx((alone.mean, alone.lo, alone.hi))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"method": "pseudo-label", "unlabeled": False}, "--unlabeled"),
        ({"method": "auto", "unlabeled": True, "overrides": {"epochs": 3}}, "--method"),
        ({"method": "auto", "unlabeled": True, "recipe": "demo"}, "frozen features"),
        ({"method": "niqe", "unlabeled": False, "recipe": None}, "family"),
        ({"method": "rigde-probe", "unlabeled": False}, "ridge-probe"),
    ],
)
def test_families_that_cannot_be_are_refused(asked: dict[str, object], said: str) -> None:
    settings = Settings.from_environment(quiet=True)
    if asked["method"] == "niqe":
        pytest.importorskip("pyiqa")
    with pytest.raises(InputError, match=said):
        family_of(registry=load_registry(), settings=settings, **asked)  # type: ignore[arg-type]


def test_a_variant_is_compared_with_the_comparator_of_what_it_extends() -> None:
    registry, settings = load_registry(), Settings.from_environment(quiet=True)
    found = family_of("ssiqa-q1", registry, settings, unlabeled=True, recipe="check")
    assert found.unlabeled is not None and found.comparator is not None
    assert found.unlabeled.name == "ssiqa-q1" and found.comparator.method.like == "ssiqa"
    assert found.comparator.params["blocks"] == found.unlabeled.params["blocks"] == 1


class _Watched:
    """A learner whose stages are all watched."""

    def __init__(self, candidate: Candidate, watch: object) -> None:
        self.needs, self._stages, self._watch = candidate.learner.needs, candidate.learner.stages(), watch

    def stages(self) -> list[object]:
        return [_WatchedStage(stage, self._watch) for stage in self._stages]


class _WatchedStage:
    def __init__(self, stage: object, run: object) -> None:
        self._stage, self.run = stage, run

    def __getattr__(self, name: str) -> object:
        return getattr(self._stage, name)


class _Both:
    """Two sources one after the other, as hashes alone."""

    def __init__(self, first: object, second: object) -> None:
        self.hashes = (*first.hashes, *second.hashes)  # type: ignore[attr-defined]


class _Only:
    """The last images of a source."""

    def __init__(self, source: object, first: int) -> None:
        self.hashes = source.hashes[first:]  # type: ignore[attr-defined]


def test_a_training_part_of_few_scenes_is_chosen_on_with_fewer_folds(ridge: Candidate) -> None:
    photos = made_photographs(30, groups=4)
    found = choose(Family((ridge, candidate("kernel-ridge"))), photos, np.arange(30), 0)
    assert all(len(values) == 4 for values in found.srcc.values())
