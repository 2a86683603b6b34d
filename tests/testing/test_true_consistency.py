"""The true distributions in the place of the teacher's: the hook with which SSLIQA's gain is bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ssliqa_bench.testing import metrics_with_true_consistency, true_consistency

if TYPE_CHECKING:
    from tests.conftest import Bench


def test_the_student_is_drawn_to_the_distributions_of_the_unlabeled_images(bench: Bench) -> None:
    from ssliqa_bench.methods.ssliqa.distributions import made_distributions
    from ssliqa_bench.runner.learners import make_learner
    from ssliqa_bench.runner.sources import open_sources

    plan, settings = bench.plan("ssliqa-small")
    metrics = metrics_with_true_consistency(plan, settings)
    assert set(metrics) == {"tiny-a", "tiny-b"} and metrics["tiny-b"].n == 8
    assert not (bench.store / "records").exists()  # no record is written
    source = open_sources(plan, settings, make_learner(plan))[0]["tiny-b"]
    by_content = sorted((source.pixels.hashes[row], source.table.score01[row]) for row in source.rows("unlabeled"))
    scores = np.array([score for _, score in by_content])
    np.testing.assert_array_equal(true_consistency._TOLD["true"], made_distributions(scores, 0.6, 5))


def test_it_is_another_model_than_the_ordinary_one_and_found_again(bench: Bench) -> None:
    ordinary = bench.run("ssliqa-small")
    plan, settings = bench.plan("ssliqa-small")
    before = set(bench.files("artifacts"))
    metrics = metrics_with_true_consistency(plan, settings)
    told = set(bench.files("artifacts"))
    assert len(told - before) == 2  # the tensors and the facts of one stage
    assert metrics["tiny-b"].plcc_raw != ordinary["metrics"]["tiny-b"]["plcc_raw"]
    assert metrics_with_true_consistency(plan, settings) == metrics
    assert set(bench.files("artifacts")) == told
