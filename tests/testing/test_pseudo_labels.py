"""True and shuffled scores in the place of pseudo-labels: the hook with which a learner's gain is bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ssliqa_bench.testing import metrics_with_pseudo_labels
from ssliqa_bench.types import derive_seed

if TYPE_CHECKING:
    from tests.conftest import Bench


def told_in(store: Any) -> dict[str, list[np.ndarray]]:
    """The pseudo-labels that phases of a store were told, block by block, read without the package."""
    import json

    from safetensors.numpy import load_file

    found = {}
    for path in (store / "artifacts").glob("*/artifact.json"):
        if json.loads(path.read_text())["facts"]["stage"] == "phase-3":
            (data,) = path.parent.glob("tensors-*.safetensors")
            tensors = load_file(data)
            found[path.parent.name] = [tensors[f"labels.{k}"] for k in range(3)]
    return found


@pytest.mark.parametrize("labels", ["true", "shuffled"])
def test_phases_are_told_the_scores_of_their_blocks(finished: Bench, labels: str) -> None:
    from ssliqa_bench.methods.ssiqa.ssiqa import block_rows
    from ssliqa_bench.runner.learners import make_learner
    from ssliqa_bench.runner.sources import open_sources

    plan, settings = finished.plan("ssiqa")
    before, records = told_in(finished.store), finished.files("records")
    metrics = metrics_with_pseudo_labels(plan, settings, labels)
    assert set(metrics) == {"tiny-a", "tiny-b"} and metrics["tiny-b"].n == 8
    assert finished.files("records") == records  # no record is written, and Θ_0 is found
    ((_, told),) = [item for item in told_in(finished.store).items() if item[0] not in before]

    source = open_sources(plan, settings, make_learner(plan))[0]["tiny-b"]
    by_content = sorted((source.pixels.hashes[row], source.table.score01[row]) for row in source.rows("unlabeled"))
    scores = np.array([score for _, score in by_content])
    blocks = block_rows(len(scores), 3, derive_seed(plan.spec.seed, "training"))
    found = np.empty(len(scores))
    for block, values in zip(blocks, told, strict=True):
        found[block] = values
    if labels == "true":
        np.testing.assert_array_equal(found, scores)
    else:
        assert sorted(found) == sorted(scores) and not np.array_equal(found, scores)


def test_only_phases_are_made_anew(finished: Bench) -> None:
    plan, settings = finished.plan("ssiqa")
    before = set(finished.files("artifacts"))
    metrics_with_pseudo_labels(plan, settings, "true")
    first = set(finished.files("artifacts"))
    assert len(first - before) == 3 * 2  # three phases, each its tensors and its facts
    metrics_with_pseudo_labels(plan, settings, "true")
    assert set(finished.files("artifacts")) == first
    metrics_with_pseudo_labels(plan, settings, "shuffled")
    assert len(set(finished.files("artifacts")) - first) == 3 * 2
