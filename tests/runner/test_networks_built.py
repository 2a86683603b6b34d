"""How often networks are built: never to look at a run, and once for all that is asked of a stage's model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ssliqa_bench.runner.tasks import StageStates, Task, do

if TYPE_CHECKING:
    from tests.conftest import Bench

METRIC = """
import numpy as np
from ssliqa_bench.methods.base import Learner, Model, Needs

BUILT = []

class Contrast:
    n_parameters = 0

    def predict(self, images):
        return np.array([float(images[k].std()) for k in range(len(images))])

def build(context):
    BUILT.append(context)
    return Contrast()

class Own(Learner):
    needs = Needs(labels=False)
    model = Model(build)

    def stages(self):
        return []
"""


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every network of quality that is made from now on."""
    from ssliqa_bench.training.backbones.base import QualityModel

    made: list[Any] = []
    real = QualityModel.__init__

    def counting(self: Any, *given: Any, **named: Any) -> None:
        made.append(type(self))
        real(self, *given, **named)

    monkeypatch.setattr(QualityModel, "__init__", counting)
    return made


def test_planning_and_looking_build_none(bench: Bench, built: list[Any]) -> None:
    plan, settings = bench.plan("ssiqa")
    looked = do(Task(0, plan.spec, "look", key=plan.key), [bench.data / "registry.yaml"], settings)
    assert isinstance(looked, StageStates) and len(looked.stages) == 4 and built == []


def test_a_stage_is_trained_in_one_network_and_judged_with_another(bench: Bench, built: list[Any]) -> None:
    """The same one predicts the test sets and says how good the pseudo-labels are."""
    entry = bench.run("ssiqa")
    facts = bench.facts(entry["key"])
    assert len(facts["stages"]) == 4 and len(facts["pseudo_labels"]) == 4
    assert len(built) == 2 * 4


def test_stages_that_the_store_has_are_judged_with_one_network_each(finished: Bench, built: list[Any]) -> None:
    finished.run("ssiqa", "--test", "tiny-c")
    assert len(built) == 1, "the final model alone"


def test_a_method_without_stages_builds_its_model_once(bench: Bench) -> None:
    import sys

    file = bench.registry({"methods": {"own": {"about": {"title": "Own"}, "class": "counted_metric:Own"}}})
    (file.parent / "counted_metric.py").write_text(METRIC)
    bench.run("own", "--registry", str(file))
    assert len(sys.modules["counted_metric"].BUILT) == 1
