"""Negative controls: learners whose labels say nothing about their images.

The scores of the labeled images are permuted before training, so that what is learned cannot predict quality. A mean
SRCC that differs from 0 over many splits is a reason to look for test scores, or a substitute for them, that
reach the training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import ClassVar

import numpy as np

from ssliqa_bench.methods.regression.base import run_scores
from ssliqa_bench.methods.regression.kernel_ridge import KernelRidge, run_kernel_ridge
from ssliqa_bench.methods.regression.pseudo_label import PseudoLabel, run_pseudo_label_student
from ssliqa_bench.methods.regression.rankup import RankUp, run_rankup
from ssliqa_bench.methods.supervised import Supervised, run_initial
from ssliqa_bench.training.stages import Stage, StageContext
from ssliqa_bench.types import Artifact, derive_seed


def with_shuffled_scores(context: StageContext) -> StageContext:
    """The same images with what was said of them permuted; one permutation for all columns, drawn by the seed.

    Every stage of a learner sees the same permutation.
    """
    labeled = context.labeled
    assert labeled is not None  # declared by every stage that runs this
    order = np.random.Generator(np.random.Philox(key=derive_seed(context.seed, "shuffled"))).permutation(len(labeled))
    shares, spread = labeled.distribution, labeled.rating_std
    shuffled = replace(
        labeled,
        score01=labeled.score01[order],
        distribution=None if shares is None else shares[order],
        rating_std=None if spread is None else spread[order],
    )
    return replace(context, labeled=shuffled)


def run_shuffled_initial(context: StageContext) -> Artifact:
    """Supervised training on permuted scores."""
    return run_initial(with_shuffled_scores(context))


def run_shuffled_teacher(context: StageContext) -> Artifact:
    """The teacher of static pseudo-labels on permuted scores."""
    return run_scores(with_shuffled_scores(context))


def run_shuffled_student(context: StageContext) -> Artifact:
    """The student of static pseudo-labels on permuted scores."""
    return run_pseudo_label_student(with_shuffled_scores(context))


def run_shuffled_rankup(context: StageContext) -> Artifact:
    """RankUp on permuted scores."""
    return run_rankup(with_shuffled_scores(context))


def run_shuffled_kernel_ridge(context: StageContext) -> Artifact:
    """Kernel ridge regression on permuted scores."""
    return run_kernel_ridge(with_shuffled_scores(context))


class _Shuffled(Supervised):
    """A learner whose stages are run by functions that permute the scores first.

    Attributes:
        runs: function by stage.
    """

    runs: ClassVar[Mapping[str, Callable[[StageContext], Artifact]]]

    def stages(self) -> list[Stage]:
        """Those of the learner."""
        return [replace(stage, run=self.runs[stage.name]) for stage in super().stages()]


class SupervisedShuffled(_Shuffled):
    """Supervised learning of permuted scores."""

    runs: ClassVar[Mapping[str, Callable[[StageContext], Artifact]]] = {"initial": run_shuffled_initial}


class KernelRidgeShuffled(_Shuffled, KernelRidge):
    """Kernel ridge regression of permuted scores."""

    runs: ClassVar[Mapping[str, Callable[[StageContext], Artifact]]] = {"kernel-ridge": run_shuffled_kernel_ridge}


class PseudoLabelShuffled(_Shuffled, PseudoLabel):
    """Static pseudo-labels of a teacher of permuted scores."""

    runs: ClassVar[Mapping[str, Callable[[StageContext], Artifact]]] = {
        "teacher": run_shuffled_teacher,
        "student": run_shuffled_student,
    }


class RankUpShuffled(_Shuffled, RankUp):
    """RankUp on permuted scores."""

    runs: ClassVar[Mapping[str, Callable[[StageContext], Artifact]]] = {"training": run_shuffled_rankup}
