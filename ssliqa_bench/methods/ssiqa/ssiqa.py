"""SS-IQA: knowledge distillation by kernel ridge regression, and incremental learning on unlabeled blocks.

Source: Pan et al., "Semi-Supervised Blind Image Quality Assessment through Knowledge Distillation and
Incremental Learning", AAAI 2024. Choices that the paper does not specify (scale of the scores, size of the set
the regression is fitted on, its constants, when pseudo-labels are made) are in docs/methods/ssiqa.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import torch

from ssliqa_bench.errors import InputError, RunError
from ssliqa_bench.methods.base import Needs, Work
from ssliqa_bench.methods.ssiqa.kernel_ridge import fit_kernel_ridge
from ssliqa_bench.methods.supervised import TRAINING_PARAMS, Supervised, initial_stage, run_initial, strong_view
from ssliqa_bench.training.checkpoint import module_tensors
from ssliqa_bench.training.images import ImageSet
from ssliqa_bench.training.loop import Schedule, drawn_rows
from ssliqa_bench.training.quality import read_views, stored_model, train_on_scores
from ssliqa_bench.training.stages import CountName, Stage, StageContext
from ssliqa_bench.training.views import View, draw
from ssliqa_bench.types import Artifact, FloatArray, IntArray, derive_seed

# What decides the steps and rates of a phase, whoever labels its images.
_STEP_PARAMS = (
    *TRAINING_PARAMS,
    "blocks",
    "phase_epochs",
    "phase_lr",
    "phase_lr_step",
    "phase_lr_factor",
    "k1",
    "k2",
)
_PHASE_PARAMS = (*_STEP_PARAMS, "weak_views")
_LABEL_PARAMS = ("pseudo_labels", "krr_subset", "krr_rate", "krr_max", "krr_gamma", "krr_lambda")


@dataclass(frozen=True)
class TeacherView:
    """What the teacher sees of the two sides: quality (n,) and features (n, d), means over the weak views."""

    labeled_quality: FloatArray
    labeled_features: FloatArray
    block_quality: FloatArray
    block_features: FloatArray


LabelBlock = Callable[[StageContext, IntArray, TeacherView], FloatArray]


def count_one_in(n: int, rate: float) -> int:
    """One in `rate` of n images: ceil(n / rate), at most all; rate 0 means none."""
    return 0 if rate == 0 else min(n, math.ceil(n / rate))


def smallest_difference(first: FloatArray, second: FloatArray, count: int) -> IntArray:
    """SDK-Sample: positions of the `count` smallest |first - second|, ties by position, in ascending order."""
    order = np.argsort(np.abs(first - second), kind="stable")
    return np.sort(order[:count])


def block_rows(n: int, blocks: int, seed: int) -> list[IntArray]:
    """Cut n unlabeled images once, uniformly at random, into equal blocks (sizes differ by at most one)."""
    if blocks < 1 or blocks > n:
        raise InputError(f"Parameter blocks: got {blocks}; expected 1 to {n}, the number of unlabeled images.")
    order = np.random.Generator(np.random.Philox(key=derive_seed(seed, "blocks"))).permutation(n)
    return [np.sort(part) for part in np.array_split(order, blocks)]


def phase_items(n_labeled: int, block_sizes: list[int], phase: int, k1: float, k2: float) -> int:
    """Images of one epoch of phase i (from 1): its block, E^A, and E^B of every block used before."""
    replay = sum(count_one_in(size, k2) for size in block_sizes[: phase - 1])
    return block_sizes[phase - 1] + count_one_in(n_labeled, k1) + replay


def pseudo_labels(context: StageContext, block: IntArray, view: TeacherView) -> FloatArray:
    """Pseudo-labels (m,) of a block: kernel ridge regression on the teacher's features, or the teacher itself.

    Source: Eq. 1 to 3. `krr_subset: all` fits on all labeled images (above `krr_max` on a seeded subset
    stratified by score); `sdk` on the one in `krr_rate` that the teacher fits best, the paper's D^A'.
    """
    p, labeled = context.params, context.labeled
    assert labeled is not None
    if p["pseudo_labels"] == "model":
        return view.block_quality
    if p["krr_subset"] == "sdk":
        count = count_one_in(len(labeled), p["krr_rate"])
        rows = smallest_difference(view.labeled_quality, labeled.score01, count)
    else:
        rows = _stratified(labeled.score01, int(p["krr_max"]), context)
    regression = fit_kernel_ridge(
        view.labeled_features[rows], labeled.score01[rows], penalty=p["krr_lambda"], gamma=p["krr_gamma"]
    )
    return regression.predict(view.block_features)


def run_phase(context: StageContext, label_block: LabelBlock = pseudo_labels) -> Artifact:
    """Incremental phase i on block i - 1 with the teacher Θ_{i-1}; leaves Θ_i and all pseudo-labels so far.

    `label_block` makes the pseudo-labels; tests put others in its place to see what labels are worth.
    """
    labeled, unlabeled = context.labeled, context.unlabeled
    assert labeled is not None and unlabeled is not None
    p, phase = context.params, int(context.settings["phase"])
    teacher = context.inputs[str(context.settings["teacher"])]
    model = stored_model(teacher, p["backbone"], context.device)
    blocks = block_rows(len(unlabeled), int(p["blocks"]), context.seed)
    block = blocks[phase - 1]
    used = [teacher.tensors[f"labels.{k}"] for k in range(phase - 1)]

    quality_a, features_a = _teacher_reads(model, labeled.images, context)
    quality_b, features_b = _teacher_reads(model, unlabeled.subset(block), context)
    labels = label_block(context, block, TeacherView(quality_a, features_a, quality_b, features_b))
    if not np.isfinite(labels).all():
        raise RunError(
            f"{context.name}: {int((~np.isfinite(labels)).sum())} of {len(labels)} pseudo-labels are not "
            f"finite. Raise krr_lambda, or look at the initial phase: its features may not be finite."
        )

    replay_a = smallest_difference(quality_a, labeled.score01, count_one_in(len(labeled), p["k1"]))
    images = unlabeled.subset(block) + labeled.images.subset(replay_a)
    targets = [labels, labeled.score01[replay_a]]
    replayed = {}
    for k, stored in enumerate(used):
        rows = np.zeros(0, dtype=np.int64)
        if p["k2"]:
            quality, _ = _teacher_reads(model, unlabeled.subset(blocks[k]), context)
            rows = smallest_difference(quality, stored, count_one_in(len(stored), p["k2"]))
        images = images + unlabeled.subset(blocks[k][rows])
        targets.append(stored[rows])
        replayed[f"replay.{k}"] = rows
    items = len(images)
    facts = train_on_scores(
        model,
        images,
        np.concatenate(targets),
        lambda epoch: drawn_rows(items, items, epoch, context.seed, context.name, "rows"),
        items,
        _phase_schedule(context),
        strong_view(context),
        context,
    )
    stored_labels = {f"labels.{k}": values for k, values in enumerate([*used, labels])}
    return Artifact({**module_tensors(model), **stored_labels, "replay.labeled": replay_a, **replayed}, facts)


def run_labels_only_phase(context: StageContext) -> Artifact:
    """The phase of the comparator: E^A as in SS-IQA, every pseudo-labeled row replaced by a draw from A."""
    labeled = context.labeled
    assert labeled is not None
    p = context.params
    model = stored_model(context.inputs[str(context.settings["teacher"])], p["backbone"], context.device)
    quality, _ = _teacher_reads(model, labeled.images, context)
    replay = smallest_difference(quality, labeled.score01, count_one_in(len(labeled), p["k1"]))
    items = _items_of(context, len(labeled))

    def rows(epoch: int) -> IntArray:
        drawn = drawn_rows(len(labeled), items - len(replay), epoch, context.seed, context.name, "draws")
        return _shuffled(np.concatenate((replay, drawn)), context, epoch)

    facts = train_on_scores(
        model, labeled.images, labeled.score01, rows, items, _phase_schedule(context), strong_view(context), context
    )
    return Artifact(module_tensors(model), facts)


def run_oracle_phase(context: StageContext) -> Artifact:
    """The phase of the oracle: as many steps at the same rates, all rows drawn from the labels of both sides."""
    labeled = context.labeled
    assert labeled is not None
    model = stored_model(context.inputs[str(context.settings["teacher"])], context.params["backbone"], context.device)
    items = _items_of(context, context.counts["labeled"])
    facts = train_on_scores(
        model,
        labeled.images,
        labeled.score01,
        lambda epoch: drawn_rows(len(labeled), items, epoch, context.seed, context.name, "rows"),
        items,
        _phase_schedule(context),
        strong_view(context),
        context,
    )
    return Artifact(module_tensors(model), facts)


class SSIQA(Supervised):
    """Θ_0 from the labeled side, then one student per block of the unlabeled side."""

    needs: ClassVar[Needs] = Needs(unlabeled=True)

    def stages(self) -> list[Stage]:
        """`initial`, then `phase-1` … `phase-N`."""
        params = (*_PHASE_PARAMS, *_LABEL_PARAMS)
        return [initial_stage(), *self._phases(run_phase, params, sets=("labeled", "unlabeled"))]

    def work(self, labeled: int, unlabeled: int) -> Work | None:
        """The initial phase, and in every phase what the teacher reads and the student learns from."""
        p, blocks = self.params, int(self.params["blocks"])
        sizes = [unlabeled // blocks + (k < unlabeled % blocks) for k in range(blocks)]
        learned = labeled * int(p["epochs"])
        read = 0
        for phase in range(1, blocks + 1):
            learned += phase_items(labeled, sizes, phase, p["k1"], p["k2"]) * int(p["phase_epochs"])
            read += labeled + sizes[phase - 1] + (sum(sizes[: phase - 1]) if p["k2"] else 0)
        return Work(learned * int(p["crops"]), read * int(p["crops"]) * int(p["weak_views"]))

    def _phases(self, run: Callable[[StageContext], Artifact], params: tuple[str, ...], **reads: Any) -> list[Stage]:
        """Every phase; its teacher is the model of the stage before."""
        names = ["initial", *(f"phase-{phase}" for phase in range(1, int(self.params["blocks"]) + 1))]
        return [
            Stage(
                name, run, inputs=(teacher,), params=params, settings={"phase": phase, "teacher": teacher}, **reads
            )
            for phase, (teacher, name) in enumerate(pairwise(names), start=1)
        ]


class SupervisedLong(SSIQA):
    """The comparator: same Θ_0, steps, phases, rates and views as SS-IQA, labels of A only."""

    def stages(self) -> list[Stage]:
        """As SS-IQA; of the unlabeled side a phase knows the number of images."""
        initial, *phases = super().stages()
        return [initial, *(phase.labels_only(run_labels_only_phase, _PHASE_PARAMS, ("unlabeled",)) for phase in phases)]


class Oracle(SSIQA):
    """The upper reference: labels of both sides, from scratch, with the steps of the comparator."""

    def stages(self) -> list[Stage]:
        """As the comparator; the runner hands over both sides as labeled."""
        initial, *phases = super().stages()
        sides: tuple[CountName, ...] = ("labeled", "unlabeled")
        return [
            initial.labels_only(run_initial, initial.params, ("labeled",)),
            *(phase.labels_only(run_oracle_phase, _STEP_PARAMS, sides) for phase in phases),
        ]


def _teacher_reads(model: torch.nn.Module, images: ImageSet, context: StageContext) -> tuple[FloatArray, FloatArray]:
    """Quality and features as the teacher sees them: the mean over `weak_views` weak views per image."""
    p = context.params
    view = View(int(p["crop"]), int(p["crops"]))
    reads = [
        read_views(
            model,
            images,
            lambda rows, k=k: draw(images, rows, view, context.seed, context.name, "weak", k),
            context.device,
            context.precision,
        )
        for k in range(int(p["weak_views"]))
    ]
    quality, features = zip(*reads, strict=True)
    return np.mean(quality, axis=0), np.mean(features, axis=0)


def _phase_schedule(context: StageContext) -> Schedule:
    p = context.params
    return Schedule(
        p["phase_epochs"], p["phase_lr"], 0, p["phase_lr_step"], p["phase_lr_factor"], p["weight_decay"], p["optimizer"]
    )


def _items_of(context: StageContext, n_labeled: int) -> int:
    """Images per epoch that SS-IQA would see in this phase."""
    p = context.params
    sizes = [len(rows) for rows in block_rows(context.counts["unlabeled"], int(p["blocks"]), context.seed)]
    return phase_items(n_labeled, sizes, int(context.settings["phase"]), p["k1"], p["k2"])


def _shuffled(rows: IntArray, context: StageContext, epoch: int) -> IntArray:
    key = derive_seed(context.seed, context.name, "order", epoch)
    return np.random.Generator(np.random.Philox(key=key)).permutation(rows)


def _stratified(scores: FloatArray, limit: int, context: StageContext) -> IntArray:
    """All rows, or a seeded `limit` of them spread evenly over the ranks of the scores."""
    if len(scores) <= limit:
        return np.arange(len(scores))
    fitted = f"{limit} of {len(scores)} labeled images, stratified by score"
    context.report.note(f"kernel ridge regression fitted on {fitted}")
    ranked = np.argsort(scores, kind="stable")
    random = np.random.Generator(np.random.Philox(key=derive_seed(context.seed, context.name, "strata")))
    return np.sort(np.array([random.choice(stratum) for stratum in np.array_split(ranked, limit)]))
