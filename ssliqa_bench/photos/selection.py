"""Which learner one's own photographs get, whether unlabeled images helped, and how good a model to expect.

The whole procedure of choosing is repeated inside every split of an outer cross-validation, or on the training part
where there are labels enough to split off one test part, so that the figures are not flattered by the choice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ssliqa_bench.evaluation.comparisons import Comparison, compare_splits
from ssliqa_bench.photos.fold_fits import Candidate, Photographs, fit, predicted, predictor
from ssliqa_bench.photos.folds import FOLDS, Expected, expected_of, expected_of_part, folds, measured
from ssliqa_bench.types import FloatArray, IntArray, derive_seed

# From so many groups of scored photographs on, one test part is split off in place of cross-validation: its interval
# is narrow enough then, and one training takes a tenth of the time of ten.
MINIMUM_TEST_PART = 1000

Said = Literal["helped", "hurt", "cannot tell"]
_SAID: dict[str, Said] = {"better": "helped", "worse": "hurt"}


@dataclass(frozen=True)
class Family:
    """The learners among which is chosen.

    Attributes:
        labels_only: learners from labels; at least one.
        unlabeled: a learner from unlabeled images too; None where there are no such images.
        comparator: the same learner without them, same steps; one of `labels_only`.
    """

    labels_only: tuple[Candidate, ...]
    unlabeled: Candidate | None = None
    comparator: Candidate | None = None

    @property
    def all(self) -> tuple[Candidate, ...]:
        """All of them."""
        return self.labels_only if self.unlabeled is None else (*self.labels_only, self.unlabeled)


@dataclass(frozen=True)
class Choice:
    """What cross-validation on some images chose.

    Attributes:
        chosen: the learner.
        srcc: SRCC on each split, by learner.
        difference: of SRCC, with unlabeled images less without; None without such images.
        said: the verdict on them; None without.
    """

    chosen: Candidate
    srcc: Mapping[str, FloatArray]
    difference: Comparison | None = None
    said: Said | None = None


@dataclass(frozen=True)
class HeldOutPredictions:
    """What the models of the outer splits say of images that they were not trained on; n rows, in the given order.

    Attributes:
        predictions: mean over the repeats, on [0, 1]; NaN of images outside of the test part where there is one alone.
        expected: SRCC, PLCC and mean absolute error (native units) that are expected on new images, with intervals.
        chosen: how often each learner was chosen.
    """

    predictions: FloatArray
    expected: Mapping[str, Expected]
    chosen: Mapping[str, int]

    @property
    def rows(self) -> IntArray:
        """Images with a prediction."""
        return np.flatnonzero(np.isfinite(self.predictions))


def choose(
    family: Family, photos: Photographs, rows: IntArray, seed: int, *, repeats: int = 1,
    device: str = "cpu", done: Callable[[], None] = lambda: None,
) -> Choice:  # fmt: skip
    """Choose a learner by repeated five-fold cross-validation on some images.

    Of the learners from labels, the one with the highest mean SRCC is taken. The one that learns from unlabeled images
    replaces it only where these helped, by the corrected resampled t-test against the same learner without them on the
    same splits, and where it is the better of the two.

    Args:
        done: called after every fit.
    """
    if len(family.all) == 1:
        return Choice(family.labels_only[0], {})
    groups = [photos.groups[int(row)] for row in rows]
    found: dict[str, list[float]] = {candidate.name: [] for candidate in family.all}
    for number, (_, training, test) in enumerate(folds(groups, repeats, derive_seed(seed, "choice"), least=2)):
        for candidate in family.all:
            model = predictor(
                candidate, fit(candidate, photos, rows[training], derive_seed(seed, number), device), device
            )
            said = predicted(model, photos.labeled, rows[test])
            found[candidate.name].append(measured(said, photos.score01[rows[test]], photos.scale)["srcc"])
            done()
    table = {name: np.array(values) for name, values in found.items()}
    best = max(family.labels_only, key=lambda candidate: table[candidate.name].mean())
    if family.unlabeled is None or family.comparator is None:
        return Choice(best, table)
    ours, theirs = table[family.unlabeled.name], table[family.comparator.name]
    difference = compare_splits(ours - theirs, 1.0 / min(FOLDS, len(set(groups))))
    verdict = _SAID.get(difference.verdict, "cannot tell")
    if verdict == "helped" and ours.mean() > table[best.name].mean():
        best = family.unlabeled
    return Choice(best, table, difference, verdict)


def held_out(
    family: Family, photos: Photographs, seed: int, *, repeats: int = 2, device: str = "cpu",
    done: Callable[[], None] = lambda: None,
) -> HeldOutPredictions:  # fmt: skip
    """Repeat choice and training in every split of repeated five-fold cross-validation; test what was left out.

    From 1,000 groups of images on there is one split: a test part of a fifth of the images.
    """
    sums, counts = np.zeros(len(photos)), np.zeros(len(photos))
    figures, chosen = [], Counter[str]()
    alone = has_test_part(photos)
    for number, (_, training, test) in enumerate(folds(photos.groups, repeats, derive_seed(seed, "outer"))):
        inner = derive_seed(seed, "outer", number)
        taken = choose(family, photos, training, inner, device=device, done=done).chosen
        said = predicted(predictor(taken, fit(taken, photos, training, inner, device), device), photos.labeled, test)
        done()
        sums[test] += said
        counts[test] += 1
        figures.append(measured(said, photos.score01[test], photos.scale))
        chosen[taken.name] += 1
        if alone:
            groups = [photos.groups[int(row)] for row in test]
            expected = expected_of_part(said, photos.score01[test], groups, photos.scale)
            return HeldOutPredictions(np.where(counts > 0, sums, np.nan), expected, dict(chosen))
    return HeldOutPredictions(sums / counts, expected_of(figures), dict(chosen))


def has_test_part(photos: Photographs) -> bool:
    """Whether there are groups of images enough to split off one test part in place of cross-validation."""
    return len(set(photos.groups)) >= MINIMUM_TEST_PART


def fits(family: Family, photos: Photographs, repeats: int) -> int:
    """How many fits `held_out` and the final `choose` with the same repeats make."""
    inner = FOLDS * len(family.all) if len(family.all) > 1 else 0
    outer = 1 if has_test_part(photos) else repeats * FOLDS
    return outer * (inner + 1) + repeats * inner


def recommended(choice: Choice) -> str:
    """What the verdict means for the user, as a sentence; "" without unlabeled images."""
    if choice.said is None or choice.difference is None:
        return ""
    gain = f"{choice.difference.mean:+.3f} SRCC"
    kept = choice.chosen.learns_from_unlabeled
    if choice.difference.lo is not None and choice.difference.hi is not None:
        gain += f" [{choice.difference.lo:+.3f}, {choice.difference.hi:+.3f}]"
    return {
        "helped": f"Unlabeled images helped ({gain})"
        + ("." if kept else f", but {choice.chosen.name}, from labels alone, is still better and is kept."),
        "hurt": f"Unlabeled images hurt ({gain}): the model is trained without them.",
        "cannot tell": f"It cannot be told whether unlabeled images help ({gain}): the model is trained without them.",
    }[choice.said]
