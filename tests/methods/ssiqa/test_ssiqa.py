"""SS-IQA against the paper's steps written out plainly: samples, pseudo-labels, phases and their comparators."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ssliqa_bench.errors import InputError, RunError
from ssliqa_bench.methods.ssiqa import ssiqa
from ssliqa_bench.methods.ssiqa.ssiqa import (
    SSIQA,
    Oracle,
    SupervisedLong,
    TeacherView,
    block_rows,
    count_one_in,
    phase_items,
    pseudo_labels,
    run_labels_only_phase,
    run_oracle_phase,
    run_phase,
    smallest_difference,
)
from ssliqa_bench.methods.supervised import Supervised, run_initial
from ssliqa_bench.training.loop import Schedule
from ssliqa_bench.training.quality import stored_model
from ssliqa_bench.training.stages import Stage, StageContext
from ssliqa_bench.training.views import View, draw
from ssliqa_bench.types import Artifact

CPU = torch.device("cpu")
PARAMS = {
    "blocks": 3,
    "phase_epochs": 2,
    "phase_lr": 1e-3,
    "phase_lr_step": 0,
    "phase_lr_factor": 0.1,
    "pseudo_labels": "krr",
    "k1": 5,
    "k2": 2,
    "weak_views": 4,
    "krr_subset": "all",
    "krr_rate": 3,
    "krr_max": 10_000,
    "krr_gamma": None,
    "krr_lambda": 0.1,
}
N_LABELED, N_UNLABELED = 11, 16  # blocks of 6, 5 and 5


# Samples and blocks


@pytest.mark.parametrize(
    ("n", "rate", "count"),
    [
        (623, 100, 7),
        (600, 100, 6),
        (5, 100, 1),
        (1, 1, 1),
        (10, 3, 4),
        (640, 5, 128),
        (9, 0, 0),
        (0, 100, 0),
        (4, 0.5, 4),
    ],
)
def test_one_in_so_many(n: int, rate: float, count: int) -> None:
    assert count_one_in(n, rate) == count


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=1, max_size=30), st.integers(0, 30))
def test_smallest_differences_are_those_of_a_plain_loop(pairs: list[tuple[int, int]], count: int) -> None:
    left = dict(enumerate(abs(a - b) for a, b in pairs))
    expected = []
    for _ in range(min(count, len(pairs))):
        expected.append(min(left, key=lambda k: (left[k], k)))
        del left[expected[-1]]
    first, second = np.array(pairs, dtype=np.float64).T
    assert smallest_difference(first, second, count).tolist() == sorted(expected)


@given(blocks=st.integers(1, 8), more=st.integers(0, 60), seed=st.integers(0, 5))
def test_blocks_are_equal_disjoint_and_everything(blocks: int, more: int, seed: int) -> None:
    n = blocks + more
    parts = block_rows(n, blocks, seed)
    sizes = [len(part) for part in parts]
    assert len(parts) == blocks and max(sizes) - min(sizes) <= 1
    assert sorted(np.concatenate(parts).tolist()) == list(range(n))
    for part, again in zip(parts, block_rows(n, blocks, seed), strict=True):
        np.testing.assert_array_equal(part, again)


def test_blocks_are_random_and_follow_the_seed() -> None:
    first, other = block_rows(60, 3, 0)[0], block_rows(60, 3, 1)[0]
    assert first.tolist() != other.tolist() and first.tolist() != list(range(20))
    in_first = np.mean([3 in block_rows(60, 3, seed)[0] for seed in range(300)])
    assert in_first == pytest.approx(1 / 3, abs=0.1)


@pytest.mark.parametrize("blocks", [0, 5])
def test_more_blocks_than_images_are_refused(blocks: int) -> None:
    with pytest.raises(InputError, match=f"blocks: got {blocks}; expected 1 to 4"):
        block_rows(4, blocks, 0)


def test_images_of_an_epoch_are_block_and_replays() -> None:
    sizes = [214, 213, 213]
    assert [phase_items(375, sizes, i, 5, 5) for i in (1, 2, 3)] == [214 + 75, 213 + 75 + 43, 213 + 75 + 43 + 43]
    assert [phase_items(375, sizes, i, 0, 0) for i in (1, 2, 3)] == sizes


# Pseudo-labels


def teacher_view(seed: int = 0) -> TeacherView:
    rng = np.random.default_rng(seed)
    return TeacherView(
        rng.uniform(0, 1, N_LABELED), rng.normal(2, 3, (N_LABELED, 4)), rng.uniform(0, 1, 6), rng.normal(2, 3, (6, 4))
    )


def ridge(features: NDArray[Any], scores: NDArray[Any], others: NDArray[Any]) -> NDArray[Any]:
    """The paper's closed form on standardised features and centred scores, gamma = 1/d, lambda = 0.1."""
    mean, deviation = features.mean(0), features.std(0)
    deviation = np.where(np.ptp(features, axis=0) == 0, 1.0, deviation)
    fitted, asked = (features - mean) / deviation, (others - mean) / deviation

    def kernel(left: NDArray[Any]) -> NDArray[Any]:
        return np.exp(-((left[:, None] - fitted[None]) ** 2).sum(2) / features.shape[1])

    alpha = np.linalg.solve(kernel(fitted) + 0.1 * np.eye(len(fitted)), scores - scores.mean())
    return kernel(asked) @ alpha + scores.mean()


def labels_of(made: ModuleType, view: TeacherView, **params: Any) -> tuple[NDArray[Any], StageContext]:
    labeled = made.labeled_set(made.noise(N_LABELED))
    context = made.context("phase-1", labeled=labeled, params={**PARAMS, **params})
    return pseudo_labels(context, np.arange(6), view), context


def test_without_regression_they_are_the_teachers_own(made: ModuleType) -> None:
    view = teacher_view()
    found, _ = labels_of(made, view, pseudo_labels="model")
    np.testing.assert_array_equal(found, view.block_quality)


def test_regression_on_all_labeled_images(made: ModuleType) -> None:
    view = teacher_view()
    found, context = labels_of(made, view)
    np.testing.assert_allclose(found, ridge(view.labeled_features, context.labeled.score01, view.block_features))
    assert context.report.lines == []


@pytest.mark.parametrize(("rate", "count"), [(3, 4), (100, 1), (1, 11)])
def test_regression_on_the_best_fitted(made: ModuleType, rate: int, count: int) -> None:
    view = teacher_view(1)
    found, context = labels_of(made, view, krr_subset="sdk", krr_rate=rate, k1=0)
    scores = context.labeled.score01
    rows = sorted(range(N_LABELED), key=lambda k: abs(view.labeled_quality[k] - scores[k]))[:count]
    np.testing.assert_allclose(found, ridge(view.labeled_features[rows], scores[rows], view.block_features))


def test_above_the_largest_size_a_stratified_subset_is_fitted(
    made: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted: list[NDArray[Any]] = []
    fit = ssiqa.fit_kernel_ridge

    def noted(features: NDArray[Any], scores: NDArray[Any], **words: Any) -> Any:
        fitted.append(scores)
        return fit(features, scores, **words)

    monkeypatch.setattr(ssiqa, "fit_kernel_ridge", noted)
    _, context = labels_of(made, teacher_view(), krr_max=4)
    labels_of(made, teacher_view(), krr_max=4)
    ranks = [sorted(context.labeled.score01).index(score) for score in sorted(fitted[0])]
    # eleven scores in four strata: ranks 0-2, 3-5, 6-8, 9-10
    assert [bound <= rank <= bound + 2 for rank, bound in zip(ranks, (0, 3, 6, 9), strict=True)] == [True] * 4
    np.testing.assert_array_equal(fitted[0], fitted[1])
    assert "on 4 of 11 labeled images, stratified by score" in context.report.lines[0]


# Phases


class Run:
    """The stages of a learner, run in memory one after the other, and what each phase was trained on."""

    def __init__(
        self, made: ModuleType, monkeypatch: pytest.MonkeyPatch, kind: type[Supervised], **params: Any
    ) -> None:
        self.sides = made.noise(N_LABELED), made.noise(N_UNLABELED, seed=5)
        self.labeled, self.unlabeled = made.labeled_set(self.sides[0]), made.image_set(self.sides[1])
        told = np.concatenate([self.labeled.score01, np.linspace(0.8, 0.2, N_UNLABELED)])
        both = made.LabeledSet(self.labeled.images + self.unlabeled, told)
        self.artifacts: dict[str, Artifact] = {}
        self.contexts: dict[str, StageContext] = {}
        self.trained: dict[str, dict[str, Any]] = {}
        train = ssiqa.train_on_scores

        def noted(*words: Any) -> dict[str, Any]:
            names = ("model", "images", "scores", "rows", "items", "schedule", "view", "context")
            told = dict(zip(names, words, strict=True))
            self.trained[told["context"].name] = told
            return train(*words)

        monkeypatch.setattr(ssiqa, "train_on_scores", noted)
        counts = {"labeled": N_LABELED, "unlabeled": N_UNLABELED}
        every = made.context(params={**PARAMS, **params}).params
        for stage in kind({**every, "test_crops": 2}).stages():
            # A stage is handed what it declares and nothing else.
            context = made.context(
                stage.name,
                labeled=(both if kind is Oracle else self.labeled) if "labeled" in stage.sets else None,
                unlabeled=self.unlabeled if "unlabeled" in stage.sets else None,
                counts={name: counts[name] for name in stage.counts},
                inputs={name: self.artifacts[name] for name in stage.inputs},
                settings=stage.settings,
            )
            declared = {name: every[name] for name in stage.params}
            self.contexts[stage.name] = StageContext(**{**vars(context), "params": declared})
            self.artifacts[stage.name] = stage.run(self.contexts[stage.name])

    def pixels(self, stage: str) -> list[bytes]:
        """The images that a phase was trained on."""
        images = self.trained[stage]["images"]
        return [images[k].tobytes() for k in range(len(images))]

    def rows_of(self, side: int, pixels: list[bytes]) -> list[int]:
        """Where images stand in the labeled (0) or unlabeled (1) side."""
        known = [picture.tobytes() for picture in self.sides[side].pictures]
        return [known.index(one) for one in pixels]

    def steps(self) -> dict[str, int]:
        """Optimiser steps by stage."""
        return {name: artifact.meta["steps"] for name, artifact in self.artifacts.items()}


@pytest.fixture(scope="module")
def full(made: ModuleType) -> Any:
    """SS-IQA in three phases. Not to be changed."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield Run(made, monkeypatch, SSIQA)


def read_plainly(run: Run, teacher: str, images: Any, stage: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Quality and features of a teacher, image by image: means over four weak views of two crops each."""
    model = stored_model(run.artifacts[teacher], run.contexts["initial"].params["backbone"], CPU)
    quality, features = [], []
    for k in range(len(images)):
        crops = torch.cat([draw(images, [k], View(13, 2), 7, stage, "weak", view) for view in range(4)])
        with torch.no_grad():
            outputs = model(crops)
        quality.append(float(outputs[0].double().mean()))
        features.append(outputs[1].double().mean(0).numpy())
    return np.array(quality), np.array(features)


def closest(values: NDArray[Any], targets: NDArray[Any], count: int) -> list[int]:
    return sorted(sorted(range(len(values)), key=lambda k: abs(values[k] - targets[k]))[:count])


@pytest.mark.parametrize("phase", [1, 2, 3])
def test_a_phase_is_the_papers_written_out(full: Run, phase: int) -> None:
    stage, teacher = f"phase-{phase}", "initial" if phase == 1 else f"phase-{phase - 1}"
    blocks = block_rows(N_UNLABELED, 3, 7)
    scores = full.labeled.score01
    quality, features = read_plainly(full, teacher, full.labeled.images, stage)
    _, block_features = read_plainly(full, teacher, full.unlabeled.subset(blocks[phase - 1]), stage)
    labels = ridge(features, scores, block_features)
    replay = closest(quality, scores, math.ceil(N_LABELED / 5))
    targets = [labels, scores[replay]]
    rows = [*blocks[phase - 1]]
    for k in range(phase - 1):
        stored = full.artifacts[teacher].tensors[f"labels.{k}"]
        np.testing.assert_array_equal(stored, full.artifacts[f"phase-{k + 1}"].tensors[f"labels.{k}"])
        old, _ = read_plainly(full, teacher, full.unlabeled.subset(blocks[k]), stage)
        chosen = closest(old, stored, math.ceil(len(blocks[k]) / 2))
        rows += [*blocks[k][chosen]]
        targets.append(stored[chosen])

    shown, size = full.pixels(stage), len(blocks[phase - 1])
    assert full.rows_of(0, shown[size : size + len(replay)]) == replay
    assert full.rows_of(1, shown[:size] + shown[size + len(replay) :]) == rows
    np.testing.assert_allclose(full.trained[stage]["scores"], np.concatenate(targets), rtol=1e-4, atol=1e-5)

    artifact = full.artifacts[stage]
    np.testing.assert_allclose(artifact.tensors[f"labels.{phase - 1}"], labels, rtol=1e-4, atol=1e-5)
    assert artifact.tensors["replay.labeled"].tolist() == replay
    assert {name for name in artifact.tensors if name.startswith("labels")} == {f"labels.{k}" for k in range(phase)}


def test_each_image_of_a_phase_is_shown_once_an_epoch_in_strong_views(full: Run) -> None:
    for phase, stage in enumerate(("phase-1", "phase-2", "phase-3"), start=1):
        told = full.trained[stage]
        assert told["items"] == len(told["images"]) == phase_items(N_LABELED, [6, 5, 5], phase, 5, 2)
        for epoch in range(2):
            assert sorted(told["rows"](epoch)) == list(range(told["items"]))
        assert told["rows"](0).tolist() != told["rows"](1).tolist()
        assert told["view"] == View(13, 2, flip=True)


def test_a_phase_starts_from_its_teacher_with_a_fresh_optimiser(made: ModuleType, monkeypatch: Any) -> None:
    run = Run(made, monkeypatch, SSIQA, phase_lr=0.0)
    start = run.artifacts["initial"].tensors
    for stage in ("phase-1", "phase-2", "phase-3"):
        for name, value in start.items():
            np.testing.assert_array_equal(run.artifacts[stage].tensors[name], value)
        assert run.contexts[stage].report.starts[0][3] == 0


def test_phases_move_the_model(full: Run) -> None:
    heads = [artifact.tensors["model.head.weight"].tobytes() for artifact in full.artifacts.values()]
    assert list(full.artifacts) == ["initial", "phase-1", "phase-2", "phase-3"] and len(set(heads)) == 4


def test_rates_of_phases_fall_as_the_parameters_say(made: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"phase_epochs": 3, "phase_lr": 1e-3, "phase_lr_step": 2, "phase_lr_factor": 0.25}
    run = Run(made, monkeypatch, SSIQA, **own, weight_decay=0.5, optimizer="adamw")
    for stage in ("phase-1", "phase-3"):
        schedule = run.trained[stage]["schedule"]
        assert schedule == Schedule(3, 1e-3, 0, 2, 0.25, 0.5, "adamw")
        assert [entry["lr"] for entry in run.artifacts[stage].meta["log"]] == pytest.approx([1e-3, 1e-3, 2.5e-4])


@pytest.mark.parametrize(("k1", "k2"), [(0, 2), (5, 0), (0, 0)])
def test_k_0_switches_that_replay_off_and_no_other(
    made: ModuleType, monkeypatch: pytest.MonkeyPatch, k1: int, k2: int
) -> None:
    run = Run(made, monkeypatch, SSIQA, k1=k1, k2=k2)
    labeled, old = (3 if k1 else 0), (3 if k2 else 0)
    tensors = run.artifacts["phase-2"].tensors
    assert len(tensors["replay.labeled"]) == labeled and len(tensors["replay.0"]) == old
    assert run.trained["phase-2"]["items"] == 5 + labeled + old


def test_stored_pseudo_labels_of_earlier_blocks_are_replayed(full: Run) -> None:
    """Neither true scores nor the teacher's present opinion: what was stored when the block was learned."""
    stored = np.linspace(5.0, 6.0, 6)
    stored[[1, 4, 5]] = read_plainly(full, "phase-1", full.unlabeled.subset(block_rows(16, 3, 7)[0]), "phase-2")[0][
        [1, 4, 5]
    ]
    teacher = Artifact({**full.artifacts["phase-1"].tensors, "labels.0": stored})
    artifact = run_phase(StageContext(**{**vars(full.contexts["phase-2"]), "inputs": {"phase-1": teacher}}))
    assert artifact.tensors["replay.0"].tolist() == [1, 4, 5]
    np.testing.assert_array_equal(artifact.tensors["labels.0"], stored)


def again(context: StageContext, made: ModuleType) -> StageContext:
    """The same context without the checkpoints of its first run."""
    return StageContext(**{**vars(context), "checkpoints": made.Checkpoints()})


def test_other_pseudo_labels_may_be_put_in_their_place(full: Run, made: ModuleType) -> None:
    seen: list[tuple[str, list[int], TeacherView]] = []

    def told(context: StageContext, block: NDArray[Any], view: TeacherView) -> NDArray[Any]:
        seen.append((context.name, block.tolist(), view))
        return np.linspace(0, 1, len(block))

    artifact = run_phase(again(full.contexts["phase-2"], made), told)
    ((name, block, view),) = seen
    assert (name, block) == ("phase-2", block_rows(N_UNLABELED, 3, 7)[1].tolist())
    assert view.labeled_quality.shape == (N_LABELED,) and view.block_features.shape == (5, 6)
    np.testing.assert_array_equal(artifact.tensors["labels.1"], np.linspace(0, 1, 5))
    assert not np.array_equal(
        artifact.tensors["model.head.weight"], full.artifacts["phase-2"].tensors["model.head.weight"]
    )


def test_pseudo_labels_that_are_not_finite_stop_the_run(full: Run, made: ModuleType) -> None:
    with pytest.raises(RunError, match="phase-1: 2 of 6 pseudo-labels are not finite"):
        run_phase(again(full.contexts["phase-1"], made), lambda *_: np.array([0.1, np.nan, 0.2, np.inf, 0.3, 0.4]))


def test_a_phase_is_the_same_when_made_again(full: Run, made: ModuleType) -> None:
    artifact = run_phase(again(full.contexts["phase-3"], made))
    for name, value in full.artifacts["phase-3"].tensors.items():
        np.testing.assert_array_equal(artifact.tensors[name], value)


# Comparators


@pytest.mark.parametrize(("k1", "k2", "blocks"), [(5, 2, 3), (0, 0, 1), (2, 1, 2)])
def test_steps_are_those_of_ssiqa(
    made: ModuleType, monkeypatch: pytest.MonkeyPatch, k1: int, k2: int, blocks: int
) -> None:
    runs = [Run(made, monkeypatch, kind, k1=k1, k2=k2, blocks=blocks) for kind in (SSIQA, SupervisedLong, Oracle)]
    sizes = [len(rows) for rows in block_rows(N_UNLABELED, blocks, 7)]
    items = [phase_items(N_LABELED, sizes, i, k1, k2) for i in range(1, blocks + 1)]
    expected = {"initial": 2 * 3} | {f"phase-{i}": 2 * math.ceil(n / 4) for i, n in enumerate(items, start=1)}
    for run in runs:
        assert run.steps() == expected
        assert [told["items"] for told in run.trained.values()] == items
        shown = [sum(images for images, _ in run.contexts[name].report.steps) for name in expected]
        assert shown == [2 * N_LABELED, *(2 * n for n in items)]
        for stage, told in run.trained.items():
            assert told["schedule"] == runs[0].trained[stage]["schedule"]
            assert told["view"] == runs[0].trained[stage]["view"]
            assert [len(told["rows"](epoch)) for epoch in range(2)] == [told["items"]] * 2
            rates = [[entry["lr"] for entry in r.artifacts[stage].meta["log"]] for r in (run, runs[0])]
            assert rates[0] == rates[1]


def test_the_comparator_replaces_pseudo_labeled_rows_by_draws_from_the_labeled_side(
    made: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(made, monkeypatch, SupervisedLong)
    for stage, teacher in (("phase-1", "initial"), ("phase-2", "phase-1"), ("phase-3", "phase-2")):
        told = run.trained[stage]
        assert told["images"] is run.labeled.images and told["scores"] is run.labeled.score01
        quality, _ = read_plainly(run, teacher, run.labeled.images, stage)
        replay = closest(quality, run.labeled.score01, 3)
        drawn = np.zeros(N_LABELED)
        for epoch in range(11):
            counts = np.bincount(told["rows"](epoch), minlength=N_LABELED)
            counts[replay] -= 1
            assert counts.min() >= 0 and counts.sum() == told["items"] - 3
            drawn += counts
        assert np.ptp(drawn) == 0  # over eleven epochs each image comes equally often
        assert told["rows"](0).tolist() != told["rows"](1).tolist()


def test_the_comparator_sees_no_unlabeled_image_and_the_oracle_all_labels(
    made: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = Run(made, monkeypatch, SupervisedLong)
    assert all(context.unlabeled is None and len(context.labeled) == N_LABELED for context in long.contexts.values())
    oracle = Run(made, monkeypatch, Oracle)
    for context in oracle.contexts.values():
        assert context.unlabeled is None and len(context.labeled) == N_LABELED + N_UNLABELED
    told = oracle.trained["phase-1"]
    rows = np.concatenate([told["rows"](epoch) for epoch in range(27)])
    counts = np.bincount(rows)
    assert len(counts) == N_LABELED + N_UNLABELED and np.ptp(counts) == 0


def test_all_share_the_start_of_the_supervised_learner(made: ModuleType) -> None:
    params = {**made.context().params, **PARAMS}
    (start,) = Supervised(params).stages()
    assert start.run is run_initial and start.sets == ("labeled",) and start.counts == () and start.settings == {}
    for kind in (SSIQA, SupervisedLong):
        assert kind(params).stages()[0] == start
    own = Oracle(params).stages()[0]
    assert own == Stage("initial", run_initial, sets=("labeled",), counts=("labeled",), params=start.params)


@pytest.mark.parametrize(
    ("kind", "run", "sets", "counts"),
    [
        (SSIQA, run_phase, ("labeled", "unlabeled"), ()),
        (SupervisedLong, run_labels_only_phase, ("labeled",), ("unlabeled",)),
        (Oracle, run_oracle_phase, ("labeled",), ("labeled", "unlabeled")),
    ],
)
def test_stages_are_phases_each_taught_by_the_one_before(
    made: ModuleType, kind: type[SSIQA], run: Any, sets: tuple[str, ...], counts: tuple[str, ...]
) -> None:
    stages = kind({**made.context().params, **PARAMS, "blocks": 4}).stages()
    names = ["initial", *(f"phase-{i}" for i in range(1, 5))]
    assert [stage.name for stage in stages] == names and all(stage.predicts for stage in stages)
    for number, stage in enumerate(stages[1:], start=1):
        assert stage.run is run and stage.sets == sets and stage.counts == counts
        assert stage.inputs == (names[number - 1],)
        assert stage.settings == {"phase": number, "teacher": names[number - 1]}


def test_comparators_do_not_depend_on_how_pseudo_labels_are_made(made: ModuleType) -> None:
    params = {**made.context().params, **PARAMS}
    for kind in (SupervisedLong, Oracle):
        read = {name for stage in kind(params).stages() for name in stage.params}
        assert not read & {"pseudo_labels", *(name for name in params if name.startswith("krr"))}
        assert {"k1", "k2", "blocks"} <= read
        assert ("weak_views" in read) == (kind is SupervisedLong), "the oracle is handed true labels"
