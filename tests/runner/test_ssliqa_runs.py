"""SSLIQA through the command line: what it is handed, what a record says, interruptions, bad input."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ssliqa_bench.store.artifacts import ArtifactStore

if TYPE_CHECKING:
    from tests.conftest import Bench

WORDS = ("--set", "epochs=3", "--set", "ramp_epochs=3")


class Killed(BaseException):
    """Stands for the end of the process."""


def test_comparators_and_oracle_make_the_same_steps(bench: Bench) -> None:
    facts = {
        method: bench.facts(bench.run(method)["key"])
        for method in ("ssliqa-small", "ssliqa-small-supervised", "ssliqa-small-oracle", "ssliqa-small-teacher")
    }
    assert len({f["steps"] for f in facts.values()}) == 1
    parameters = {method: f["n_parameters"] for method, f in facts.items()}
    assert parameters["ssliqa-small"] == parameters["ssliqa-small-supervised"] == 205_305
    assert parameters["ssliqa-small-teacher"] == 777_605
    (stage,) = facts["ssliqa-small"]["stages"]
    assert stage["name"] == "student" and {"supervised", "sample", "batch", "weight"} <= stage["log"][0].keys()
    assert facts["ssliqa-small"]["notes"] == [
        "student: 16 unlabeled images are fewer than the 48 of a batch, so a batch shows some of them in several crops"
    ]


@pytest.mark.parametrize("epoch", [1, 2])
def test_an_interrupted_run_goes_on_and_gives_the_same_bits(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epoch: int
) -> None:
    save = ArtifactStore.save_checkpoint

    def save_and_stop(store: ArtifactStore, key: str, state: Any) -> None:
        save(store, key, state)
        if state.meta["epoch"] == epoch:
            raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(ArtifactStore, "save_checkpoint", save_and_stop)
        bench.run("ssliqa-small", *WORDS)
    code, _, err = bench("run", "--pair", "tiny-a:tiny-b", "--method", "ssliqa-small", *WORDS)
    assert code == 0 and f"student: continues after epoch {epoch}" in err
    other = type(bench)(bench.data, tmp_path / "whole", bench.capture, bench.log)
    key = other.run("ssliqa-small", *WORDS)["key"]
    assert bench.predictions(key) == other.predictions(key)
    assert bench.facts(key)["metrics"] == other.facts(key)["metrics"]
    for artifact in sorted((other.store / "artifacts").iterdir()):
        (data,) = artifact.glob("tensors-*.safetensors")
        assert (bench.store / "artifacts" / artifact.name / data.name).read_bytes() == data.read_bytes()


def test_labels_and_rating_statistics_are_used_where_a_dataset_has_them(bench: Bench) -> None:
    """The tiny datasets have none; the demo sets have both, and the sixty images of the checks are theirs."""
    from ssliqa_bench.runner.learner_sets import make_sets
    from ssliqa_bench.runner.learners import make_learner
    from ssliqa_bench.runner.sources import open_sources

    plan, settings = bench.plan("ssliqa-small")
    sets = make_sets(plan, make_learner(plan), open_sources(plan, settings, make_learner(plan))[0])
    assert sets.labeled is not None and sets.labeled.distribution is None and sets.labeled.rating_std is None
    plan, settings = bench.plan("ssliqa-small", pair="demo-syn:demo-wild")
    sets = make_sets(plan, make_learner(plan), open_sources(plan, settings, make_learner(plan))[0])
    assert sets.labeled is not None and sets.labeled.distribution is not None and sets.labeled.rating_std is not None
    assert sets.labeled.distribution.shape == (len(sets.labeled), 5)


def test_bad_input_is_one_message(bench: Bench) -> None:
    small = ("--set", "labeled_batch=1", "--set", "unlabeled_batch=1")
    code, err = bench.fails("ssliqa-small", *small)
    assert code == 2 and "batch-level consistency needs 3 samples or more" in err
    code, err = bench.fails("ssliqa-small", "--set", "teacher_backbone=timm:test_vit")
    assert code == 2 and "timm:test_vit" in err and "without height and width" in err
    code, err = bench.fails("ssliqa-small", "--set", "levels=4", pair="demo-syn:demo-wild")
    assert code == 2 and "Parameter levels: got 4; expected 5" in err
    code, err = bench.fails("ssliqa-small", pair="tiny-a")
    assert code == 2 and "learns from unlabeled images" in err
