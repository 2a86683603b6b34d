"""SSLIQA against the paper's formulae: its losses, what the loop logs, its comparators, interruptions and bad input."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from ssliqa_bench.errors import InputError
from ssliqa_bench.methods.ssliqa.batch_consistency import batch_consistency
from ssliqa_bench.methods.ssliqa.branches import Branch, DualBranch, build_branch
from ssliqa_bench.methods.ssliqa.distributions import made_distributions
from ssliqa_bench.methods.ssliqa.ssliqa import (
    SSLIQA,
    BranchBatch,
    SupervisedBranch,
    SupervisedStudent,
    pair_loss,
    ramp_up,
    run_pair,
    run_supervised,
    steps_per_epoch,
    teachers_shares,
)
from ssliqa_bench.training import views
from ssliqa_bench.training.checkpoint import module_tensors
from ssliqa_bench.training.quality import build_backbone
from ssliqa_bench.training.stages import StageContext
from ssliqa_bench.types import Artifact

CPU = torch.device("cpu")
STUDENT = {"class": "ssliqa_bench.training.backbones.cnniqa:CNNIQA", "arguments": {"maps": 3, "width": 6}}
TEACHER = {"class": "ssliqa_bench.training.backbones.cnniqa:CNNIQA", "arguments": {"maps": 4, "width": 9}}
PARAMS: dict[str, Any] = {
    "student_backbone": STUDENT,
    "student_hidden": [],
    "teacher_backbone": TEACHER,
    "teacher_hidden": [7],
    "levels": 5,
    "rating_std": 0.6,
    "size": [],
    "original_sizes": [],
    "crop": 13,
    "crops": 2,
    "test_crops": 3,
    "labeled_batch": 2,
    "unlabeled_batch": 6,
    "epochs": 2,
    "lr": 1e-2,
    "lr_step": 0,
    "lr_factor": 0.5,
    "optimizer": "adam",
    "weight_decay": 0.0,
    "sample_consistency": True,
    "batch_consistency": True,
    "batch_weight": 100.0,
    "ramp_epochs": 2,
    "detach_teacher": False,
}
N_LABELED, N_UNLABELED = 6, 18  # one to three, as the batches


def context_of(made: ModuleType, kind: type[SSLIQA] = SSLIQA, **given: Any) -> StageContext:
    """What the stage of a learner is handed: what it declares and nothing else."""
    params = {**PARAMS, **given.pop("params", {})}
    (stage,) = kind(params).stages()
    labeled = given.pop("labeled", made.labeled_set(made.noise(N_LABELED)))
    unlabeled = given.pop("unlabeled", made.image_set(made.noise(N_UNLABELED, seed=5)))
    context = made.context(
        stage.name,
        labeled=labeled,
        unlabeled=unlabeled if "unlabeled" in stage.sets else None,
        counts={name: len(unlabeled) for name in stage.counts},
        **given,
    )
    return StageContext(**{**vars(context), "params": {name: params[name] for name in stage.params}})


def run(made: ModuleType, kind: type[SSLIQA] = SSLIQA, **given: Any) -> tuple[Artifact, StageContext]:
    context = context_of(made, kind, **given)
    (stage,) = kind({**PARAMS, **given.get("params", {})}).stages()
    return stage.run(context), context


def same(one: Artifact, other: Artifact) -> bool:
    assert one.tensors.keys() == other.tensors.keys()
    return all(np.array_equal(value, other.tensors[name]) for name, value in one.tensors.items())


# Losses


def branches(made: ModuleType) -> DualBranch:
    context = context_of(made)
    return DualBranch(build_branch(context, "student"), build_branch(context, "teacher")).eval()


def a_batch(weight: float = 0.25) -> BranchBatch:
    generator = torch.Generator().manual_seed(0)
    crops = torch.randint(0, 256, (8, 3, 13, 13), generator=generator, dtype=torch.uint8)
    target = torch.from_numpy(made_distributions(np.array([0.2, 0.9]), 0.6, 5)).float()
    return BranchBatch(crops, target, np.arange(6), weight)


def test_the_loss_is_the_papers_written_out(made: ModuleType) -> None:
    model, batch = branches(made), a_batch()
    terms = pair_loss(model, batch, PARAMS, teachers_shares)
    with torch.no_grad():
        (s, f_s, _), (t, f_t, _) = model(batch.crops)
    y = batch.target
    supervised = sum(float(((side[i] - y[i]) ** 2).sum()) for side in (t, s) for i in range(2)) / 2
    gaps = [float(((t[i] - s[i]) ** 2).sum()) for i in range(8)]
    sample = sum(gaps[:2]) / 2 + sum(gaps[2:]) / 6
    angles = float(batch_consistency(f_s, f_t))
    found = {name: float(value.detach()) for name, value in terms.items()}
    expected = {
        "loss": supervised + 0.25 * (sample + 100 * angles),
        "supervised": supervised,
        "sample": sample,
        "batch": angles,
        "weight": 0.25,
        "labeled": 2,
        "unlabeled": 6,
    }
    assert found == pytest.approx(expected, rel=1e-5)
    assert f_s.shape == (8, 6) and f_t.shape == (8, 9)  # what the layers and the dropout before them get


@pytest.mark.parametrize(("without", "kept"), [("sample", "batch"), ("batch", "sample")])
def test_without_one_of_the_consistencies(made: ModuleType, without: str, kept: str) -> None:
    model, batch = branches(made), a_batch()
    with torch.no_grad():
        terms = pair_loss(model, batch, {**PARAMS, f"{without}_consistency": False}, teachers_shares)
    assert without not in terms
    factor = 0.25 * (100 if kept == "batch" else 1)
    assert float(terms["loss"]) == pytest.approx(float(terms["supervised"] + factor * terms[kept]), rel=1e-6)


def gradients(made: ModuleType, role: str, **params: Any) -> list[torch.Tensor]:
    """Of the consistency terms alone, in one branch."""
    model, batch = branches(made), a_batch(1.0)
    terms = pair_loss(model, batch, {**PARAMS, **params}, teachers_shares)
    (terms["sample"] + terms["batch"]).backward()
    return [p.grad for p in getattr(model, role).parameters() if p.grad is not None]


def test_consistency_moves_both_branches_unless_the_teacher_is_detached(made: ModuleType) -> None:
    assert any(grad.any() for grad in gradients(made, "student"))
    assert any(grad.any() for grad in gradients(made, "teacher"))
    assert any(grad.any() for grad in gradients(made, "student", detach_teacher=True))
    assert gradients(made, "teacher", detach_teacher=True) == []


def test_the_student_may_be_drawn_to_something_else(made: ModuleType) -> None:
    model, batch = branches(made), a_batch()
    goal = torch.full((8, 5), 0.2)
    with torch.no_grad():
        terms = pair_loss(model, batch, PARAMS, lambda shares, given: goal if given is batch else shares)
    distances = (goal - model(batch.crops)[0].shares).square().sum(1)
    assert float(terms["sample"]) == pytest.approx(float(distances[:2].mean() + distances[2:].mean()), rel=1e-6)


# What the loop logs


@pytest.mark.parametrize("ratio", [1, 2, 3])
def test_ramp_up_rate_and_composition_over_ten_epochs(made: ModuleType, ratio: int) -> None:
    params = {
        "epochs": 10, "ramp_epochs": 10, "lr": 2e-4, "lr_step": 2, "crops": 1, "labeled_batch": 16,
        "unlabeled_batch": 16 * ratio,
    }  # fmt: skip
    sides = {
        "labeled": made.labeled_set(made.noise(16)),
        "unlabeled": made.image_set(made.noise(16 * ratio, seed=5)),
    }
    artifact, _ = run(made, params=params, **sides)
    log = artifact.meta["log"]
    assert [entry["epoch"] for entry in log] == list(range(1, 11))
    ramp = [math.exp(-5 * (1 - t / 10) ** 2) for t in range(1, 11)]
    assert [entry["weight"] for entry in log] == pytest.approx(ramp, rel=1e-6)
    rates = [2e-4 * 0.5 ** ((t - 1) // 2) for t in range(1, 11)]
    assert [entry["lr"] for entry in log] == pytest.approx(rates, rel=1e-12)
    assert {(entry["labeled"], entry["unlabeled"]) for entry in log} == {(16.0, 16.0 * ratio)}
    for entry in log:
        total = entry["supervised"] + entry["weight"] * (entry["sample"] + 100 * entry["batch"])
        assert entry["loss"] == pytest.approx(total, rel=1e-5)
    assert artifact.meta["steps"] == 10


def test_the_ramp_ends_at_one() -> None:
    assert [ramp_up(epoch, 4) for epoch in (3, 4, 40)] == [1.0, 1.0, 1.0]
    assert ramp_up(0, 4) == pytest.approx(math.exp(-5 * 0.75**2))
    assert steps_per_epoch(6000, 10, 48) == steps_per_epoch(2000, 10, 16) == 1250
    assert steps_per_epoch(7, 2, 4) == 4


def drawn_by(monkeypatch: pytest.MonkeyPatch, context: StageContext) -> dict[str, list[tuple[list[int], list[int]]]]:
    """Rows and visits of every batch that training draws crops for, by side."""
    seen: dict[str, list[tuple[list[int], list[int]]]] = {"labeled": [], "unlabeled": []}
    draw = views.draw

    def noted(images: Any, rows: Any, view: Any, *words: Any, visits: Any) -> torch.Tensor:
        assert view.flip and view.crop == 13 and view.crops == 1
        side = "labeled" if images is context.labeled.images else "unlabeled"
        seen[side].append((rows.tolist(), visits.tolist()))
        return draw(images, rows, view, *words, visits=visits)

    monkeypatch.setattr(views, "draw", noted)
    return seen


def test_every_image_comes_equally_often_each_time_in_another_crop(
    made: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = context_of(made)
    seen = drawn_by(monkeypatch, context)
    run_pair(context)
    for side, size, n in (("labeled", 2, N_LABELED), ("unlabeled", 6, N_UNLABELED)):
        assert len(seen[side]) == 2 * 6 and {len(rows) for rows, _ in seen[side]} == {size}
        for epoch in (0, 1):
            batches = seen[side][6 * epoch : 6 * epoch + 6]
            visits = sorted((row, visit) for rows, visits in batches for row, visit in zip(rows, visits, strict=True))
            assert visits == [(row, visit) for row in range(n) for visit in range(2)]


def test_both_branches_see_the_same_crops(made: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, torch.Tensor]] = []
    forward = Branch.forward

    def noted(self: Branch, crops: torch.Tensor) -> Any:
        seen.append((id(self), crops))
        return forward(self, crops)

    monkeypatch.setattr(Branch, "forward", noted)
    run(made)
    trained = [(who, crops) for who, crops in seen if len(crops) == 8]
    assert len({who for who, _ in trained}) == 2 and len(trained) == 2 * 12
    for (one, crops), (other, again) in zip(trained[::2], trained[1::2], strict=True):
        assert one != other and torch.equal(crops, again)


def test_fewer_images_than_a_batch_are_shown_again_and_it_is_said_once(made: ModuleType) -> None:
    artifact, context = run(made, unlabeled=made.image_set(made.noise(4, seed=5)))
    assert artifact.meta["steps"] == 2 * 2
    assert context.report.lines == [
        "4 unlabeled images are fewer than the 6 of a batch, so a batch shows some of them in several crops"
    ]
    assert {entry["unlabeled"] for entry in artifact.meta["log"]} == {6.0}


# Model and targets


def test_the_student_is_what_is_kept_and_what_predicts(made: ModuleType) -> None:
    artifact, context = run(made)
    shapes = {name: value.shape for name, value in module_tensors(build_branch(context, "student")).items()}
    assert {name: value.shape for name, value in artifact.tensors.items()} == shapes
    learner = SSLIQA(PARAMS)
    predictor = learner.model.made(learner.params, artifact, CPU)
    assert predictor.n_parameters == sum(p.numel() for p in learner.networks()["student"].parameters())
    predicted = predictor.predict(context.labeled.images)
    assert predicted.shape == (N_LABELED,) and (predicted > 0).all() and (predicted < 1).all()
    with pytest.raises(InputError, match="no model before its stage"):
        learner.model.made(learner.params, None, CPU)


def test_layers_between_features_and_levels() -> None:
    branch = SSLIQA({**PARAMS, "student_hidden": [128], "teacher_hidden": [8, 7]}).networks()
    widths = {
        role: [(m.in_features, m.out_features) for m in network.head if isinstance(m, torch.nn.Linear)]
        for role, network in branch.items()
    }
    assert widths == {"student": [(6, 128), (128, 5)], "teacher": [(9, 8), (8, 7), (7, 5)]}
    assert list(SupervisedBranch(PARAMS).networks()) == list(SupervisedStudent(PARAMS).networks()) == ["student"]


def test_a_network_starts_from_the_seed_and_its_role_alone(made: ModuleType) -> None:
    def start(kind: type[SSLIQA], role: str, **given: Any) -> dict[str, np.ndarray]:
        return module_tensors(build_branch(context_of(made, kind, **given), role))

    def equal(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
        return all(np.array_equal(value, other[name]) for name, value in one.items())

    first = start(SSLIQA, "student")
    assert equal(first, start(SupervisedStudent, "student", params={"lr": 1.0}))
    assert not equal(first, start(SSLIQA, "student", seed=8))
    teacher = {**PARAMS, "teacher_backbone": STUDENT, "teacher_hidden": []}
    assert not equal(first, start(SSLIQA, "teacher", params=teacher))


def test_pretrained_weights_of_each_branch_come_from_its_own_file(made: ModuleType, tmp_path: Any) -> None:
    torch.manual_seed(11)
    files = {}
    for role, spec in (("student", STUDENT), ("teacher", TEACHER)):
        files[f"{role}_backbone"] = str(tmp_path / f"{role}.pth")
        torch.save(build_backbone(spec).state_dict(), files[f"{role}_backbone"])
    context = context_of(made, weights=files)
    for role in ("student", "teacher"):
        stored = torch.load(files[f"{role}_backbone"], weights_only=True)
        built = build_branch(context, role).backbone.state_dict()
        assert all(torch.equal(value, stored[name]) for name, value in built.items())


def test_real_distributions_are_learned_where_there_are_some(made: ModuleType) -> None:
    plain = made.labeled_set(made.noise(N_LABELED))
    own = np.eye(5)[[4, 4, 3, 2, 1, 0]]
    told = type(plain)(plain.images, plain.score01, distribution=own)
    assert not same(run(made, labeled=plain)[0], run(made, labeled=told)[0])
    assert same(run(made, labeled=plain)[0], run(made, labeled=plain)[0])


def test_it_learns_what_the_labels_say(made: ModuleType) -> None:
    big = {"class": STUDENT["class"], "arguments": {"maps": 8, "width": 40}}
    params = {
        "student_backbone": big, "teacher_backbone": big, "teacher_hidden": [], "epochs": 12, "ramp_epochs": 12,
        "crops": 8, "lr": 1e-3, "batch_weight": 1.0, "labeled_batch": 8,
    }  # fmt: skip
    artifact, context = run(made, params=params, labeled=made.labeled_set(made.noise(12)))
    losses = [entry["supervised"] for entry in artifact.meta["log"]]
    assert losses[-1] < 0.9 * losses[0]
    model = SSLIQA.model.made({**PARAMS, **params, "test_crops": 10}, artifact, CPU)
    predicted = model.predict(context.labeled.images)
    assert np.corrcoef(predicted, context.labeled.score01)[0, 1] > 0.8


# Comparators


def test_the_comparator_makes_the_same_steps_on_labeled_images_only(
    made: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair, _ = run(made)
    context = context_of(made, SupervisedStudent)
    assert context.unlabeled is None and context.counts == {"unlabeled": N_UNLABELED}
    seen = drawn_by(monkeypatch, context)
    artifact = run_supervised(context)
    assert artifact.meta["steps"] == pair.meta["steps"] == 2 * 6
    assert seen["unlabeled"] == [] and {len(rows) for rows, _ in seen["labeled"]} == {8}
    counts = np.bincount([row for rows, _ in seen["labeled"] for row in rows])
    assert len(counts) == N_LABELED and np.ptp(counts) == 0
    rates = [[entry["lr"] for entry in a.meta["log"]] for a in (pair, artifact)]
    assert rates[0] == rates[1]


def test_the_baseline_shows_each_labeled_image_so_many_times(made: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    context = context_of(made, SupervisedBranch, labeled=made.labeled_set(made.noise(8)))
    seen = drawn_by(monkeypatch, context)
    artifact = run_supervised(context)
    assert context.counts == {} and artifact.meta["steps"] == 2 * 2
    for epoch in (0, 1):
        rows = [row for part, _ in seen["labeled"][2 * epoch : 2 * epoch + 2] for row in part]
        assert sorted(rows) == sorted(list(range(8)) * 2)


def test_supervised_training_is_a_plain_loop(made: ModuleType) -> None:
    from ssliqa_bench.training.loop import drawn_rows, earlier_visits
    from ssliqa_bench.training.views import View, draw
    from ssliqa_bench.types import derive_seed

    context = context_of(made, SupervisedBranch)
    found = run_supervised(context)
    plain = build_branch(context, "student")
    target = torch.from_numpy(made_distributions(context.labeled.score01, 0.6, 5)).float()
    optimizer = torch.optim.Adam(plain.parameters(), lr=1e-2)
    for epoch in range(2):
        torch.manual_seed(derive_seed(7, "student", "epoch", epoch))
        rows = drawn_rows(N_LABELED, 16, epoch, 7, "student", "labeled")
        visits = earlier_visits(rows)
        for part in (slice(0, 8), slice(8, 16)):
            view = View(13, flip=True)
            words = (7, "student", "strong", epoch)
            crops = draw(context.labeled.images, rows[part], view, *words, visits=visits[part])
            optimizer.zero_grad()
            (plain(crops).shares - target[rows[part]]).square().sum(1).mean().backward()
            optimizer.step()
    assert same(found, Artifact(module_tensors(plain)))


def test_stages_declare_what_they_read() -> None:
    for kind, sets, counts in (
        (SSLIQA, ("labeled", "unlabeled"), ()),
        (SupervisedBranch, ("labeled",), ()),
        (SupervisedStudent, ("labeled",), ("unlabeled",)),
    ):
        (stage,) = kind(PARAMS).stages()
        assert (stage.name, stage.sets, stage.counts, stage.inputs) == ("student", sets, counts, ())
        assert len(stage.params) == len(set(stage.params)) and "test_crops" not in stage.params
        reads_teacher = any(name.startswith("teacher") for name in stage.params)
        assert reads_teacher == (kind is SSLIQA)
    assert SupervisedStudent.needs == SSLIQA.needs and not SupervisedBranch.needs.unlabeled


# Interruptions


@pytest.mark.parametrize("kind", [SSLIQA, SupervisedBranch, SupervisedStudent])
@pytest.mark.parametrize("stop", [1, 2, 3])
def test_killed_and_resumed_equals_uninterrupted(made: ModuleType, kind: type[SSLIQA], stop: int) -> None:
    params = {"epochs": 3, "ramp_epochs": 3, "lr_step": 1}
    expected, _ = run(made, kind, params=params)
    checkpoints = made.Checkpoints(stop)
    with pytest.raises(made.Stopped):
        run(made, kind, params=params, checkpoints=checkpoints)
    torch.manual_seed(99)  # another process has another state
    np.random.seed(99)
    found, context = run(made, kind, params=params, checkpoints=made.Checkpoints(state=checkpoints.state))
    assert same(expected, found) and f"continues after epoch {stop} of 3" in context.report.lines[0]
    logs = [
        [{k: v for k, v in entry.items() if "second" not in k} for entry in artifact.meta["log"]]
        for artifact in (expected, found)
    ]
    assert logs[0] == logs[1]


# Bad input


def test_two_samples_are_enough_without_angles() -> None:
    small = {"labeled_batch": 1, "unlabeled_batch": 1}
    with pytest.raises(InputError, match="got a batch of 2; batch-level consistency needs 3 samples"):
        SSLIQA({**PARAMS, **small}).check()
    SSLIQA({**PARAMS, **small, "batch_consistency": False}).check()
    SupervisedBranch({**PARAMS, **small}).check()


def test_distributions_of_another_length_are_said(made: ModuleType) -> None:
    plain = made.labeled_set(made.noise(N_LABELED))
    told = type(plain)(plain.images, plain.score01, distribution=np.full((N_LABELED, 4), 0.25))
    with pytest.raises(InputError, match="levels: got 5; expected 4, the number of rating levels"):
        run(made, labeled=told)


def test_a_teacher_without_a_feature_map_is_said(made: ModuleType) -> None:
    flat = {"class": "ssliqa_bench.training.backbones.timm:TimmBackbone", "arguments": {"name": "test_vit"}}
    with pytest.raises(InputError, match="timm:test_vit.*without height and width"):
        run(made, params={"teacher_backbone": flat, "crop": 160})


def test_a_crop_that_a_branch_does_not_take_is_said(made: ModuleType) -> None:
    with pytest.raises(InputError, match="Parameter crop: the network of the student does not take crops of 9×9"):
        run(made, params={"crop": 9})
