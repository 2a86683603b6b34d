"""Whole runs of the noisy student on a tiny dataset with references: teacher, comparators, told labels, errors."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from ssliqa_bench.errors import InputError
from ssliqa_bench.leaderboard.collect import collect
from ssliqa_bench.leaderboard.compare import paired_gain
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.runner.forecast import Forecaster
from ssliqa_bench.store.records import iter_records
from ssliqa_bench.testing import metrics_with_pseudo_labels
from tests.resealed import reseal

if TYPE_CHECKING:
    from tests.conftest import Bench

PAIR = "tiny-a:tiny-a"
SMALL = {"fr_crop": 48, "grid": 3, "fr_batch_size": 4}  # the images have 48 pixels
SET = tuple(word for name, value in SMALL.items() for word in ("--set", f"{name}={value}"))
BUDGET = ("--budget", "8")


@pytest.fixture
def paired(bench: Bench, tmp_path: Path) -> Bench:
    """Commands on a copy of the tiny datasets whose images of tiny-a state the sharpest of their scene as reference."""
    shutil.copytree(bench.data, tmp_path / "data")
    bench.data = tmp_path / "data"
    folder = bench.data / "tiny-a"
    (folder / "refs").mkdir()
    rows = list(csv.DictReader((folder / "labels.csv").open()))
    for row in rows:
        row["reference"] = f"{row['image'][0]}0.png"
        shutil.copy(folder / "images" / row["reference"], folder / "refs")
    with open(folder / "labels.csv", "w", newline="") as handle:
        writer = csv.DictWriter(handle, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return bench


def stages(bench: Bench) -> dict[str, list[Path]]:
    """Folders of stored artifacts by the name of their stage, read without the package."""
    found: dict[str, list[Path]] = {}
    for path in (bench.store / "artifacts").glob("*/artifact.json"):
        found.setdefault(json.loads(path.read_text())["facts"]["stage"], []).append(path.parent)
    return found


def tensors(folder: Path) -> dict[str, Any]:
    """The arrays of a stored artifact, read without the package."""
    (data,) = folder.glob("tensors-*.safetensors")
    return load_file(data)


def test_a_forecast_for_the_full_reference_learner_goes_with_its_labeled_images(paired: Bench) -> None:
    """On one dataset labeled and unlabeled images together are as many at every budget."""
    paired.run("iqa-conformer", *BUDGET, *SET, "--seed", "1", "--recipe", "check", pair=PAIR)
    (record,) = iter_records(paired.store)
    seconds = record.facts.seconds
    (roles,) = (dataset.roles for dataset in record.datasets.values())
    registry = load_registry([paired.data / "registry.yaml"])
    for budget in (4, 12):
        plan, settings = paired.plan(
            "iqa-conformer", PAIR, budget=budget, recipe="check", overrides=tuple(sorted(SMALL.items()))
        )
        found = Forecaster(registry, settings).look(plan.spec).seconds
        # Of 24 images a forecast takes a fifth for the test part, the split a third: whole scenes.
        assert found == pytest.approx(seconds.train * budget / 8 + seconds.predict * 5 / roles["test"])


def test_the_teacher_is_that_of_the_full_reference_learner(paired: Bench) -> None:
    """Its stage has the same key, although the student brings a backbone and a class of its own."""
    key = paired.run("noisy-student", *BUDGET, *SET, pair=PAIR)["key"]
    assert {name: len(own) for name, own in stages(paired).items()} == {
        "conformer": 1, "pseudo-labels": 1, "student": 1,
    }  # fmt: skip
    paired.run("iqa-conformer", *BUDGET, *SET, pair=PAIR)
    assert len(stages(paired)["conformer"]) == 1
    code = paired.facts(key)["code"]["files"]
    assert {"ssliqa_bench/integrations/pyiqa.py", "ssliqa_bench/methods/full_reference/training.py"} <= set(code)
    facts = paired.facts(key)
    assert [stage["name"] for stage in facts["stages"]] == ["student"]
    assert facts["model_steps"] == facts["stages"][0]["steps"] < facts["steps"]


def test_gains_are_measured_against_as_many_steps_of_the_student(paired: Bench) -> None:
    for method in ("noisy-student", "bns-supervised", "bns-oracle"):
        paired.run(method, *BUDGET, *(SET if method == "noisy-student" else ()), pair=PAIR)
    for path in (paired.store / "records").glob("*/facts.json"):
        reseal(path, lambda facts: facts["cell"].update(overrides={}))
    (board,) = collect(iter_records(paired.store))
    (section,) = board.sections
    rows = {row.method: row for row in section.rows}
    gain = paired_gain(rows["noisy-student"], section.rows, "tiny-a", "comparator")
    assert gain.reference is rows["bns-supervised"] and gain.notes == () and gain.stat.value is not None
    other = paired_gain(rows["noisy-student"], section.rows, "tiny-a", "oracle")
    assert other.reference is rows["bns-oracle"] and other.stat.value is not None


def test_the_student_can_be_told_the_true_scores(paired: Bench) -> None:
    from ssliqa_bench.runner.learners import make_learner
    from ssliqa_bench.runner.sources import open_sources

    plan, settings = paired.plan("noisy-student", PAIR, budget=8, overrides=tuple(SMALL.items()))
    metrics = metrics_with_pseudo_labels(plan, settings, "true")
    found = stages(paired)
    assert set(found) == {"pseudo-labels", "student"} and set(metrics) == {"tiny-a"}  # no teacher was needed
    source = open_sources(plan, settings, make_learner(plan))[0]["tiny-a"]
    rows = sorted((source.pixels.hashes[row], source.table.score01[row]) for row in source.rows("unlabeled"))
    told = tensors(found["pseudo-labels"][0])["labels"]
    np.testing.assert_array_equal(told, [score for _, score in rows])
    metrics_with_pseudo_labels(plan, settings, "shuffled")
    assert len(stages(paired)["student"]) == 2
    plan, settings = paired.plan("bns-supervised", PAIR, budget=8)
    with pytest.raises(InputError, match='"bns-supervised" makes no pseudo-labels'):
        metrics_with_pseudo_labels(plan, settings, "true")


def test_further_rounds_and_metrics_as_teachers(paired: Bench) -> None:
    (paired.data / "mine.py").write_text(METRIC)
    words = ("--set", "rounds=2", "--set", "teachers=[pyiqa:mine,conformer]", "--set", "metric_class=mine:Mine")
    key = paired.run("noisy-student", *BUDGET, *SET, *words, pair=PAIR)["key"]
    facts = paired.facts(key)
    assert [stage["name"] for stage in facts["stages"]] == ["student", "student-2"]
    assert any(name.endswith("mine.py") for name in facts["code"]["files"])
    labels = {name: tensors(own[0]) for name, own in stages(paired).items()}
    first, second = labels["pseudo-labels"]["labels"], labels["pseudo-labels-2"]["labels"]
    assert first.shape == second.shape and not np.allclose(first, second)


METRIC = """
import numpy as np

class Mine:
    def __init__(self, name, device):
        assert name == "mine"

    def predict(self, images):
        return np.array([-np.abs(images[k].astype(float) - images.references[k]).mean() for k in range(len(images))])
"""


def test_bad_inputs_are_said_in_one_message(paired: Bench) -> None:
    code, said = paired.fails("noisy-student", *BUDGET, pair="tiny-b:tiny-b")
    assert code == 2 and "tiny-b states none" in said and "Datasets with references: " in said and "pipal" in said
    code, said = paired.fails("noisy-student", *BUDGET, "--set", "teachers=[conformr]", pair=PAIR)
    assert code == 2 and 'there is no "conformr"; expected conformer, transformer, pyiqa:NAME' in said
    code, said = paired.fails("noisy-student", *BUDGET, *SET, "--set", "teachers=[conformer,pyiqa:nosuch]", pair=PAIR)
    assert code == 2 and "nosuch" in said and "epochs of" not in said, "before anything is trained"
    words = ("--set", "fr_crop=48", "--set", "fr_batch_size=4")
    code, said = paired.fails("noisy-student", *BUDGET, *words, pair=PAIR)
    assert code == 2 and "maps of 3×3 places; expected 8×8" in said
    code, said = paired.fails("noisy-student", pair=PAIR)
    assert code == 2 and "no image is left unlabeled" in said
    code, said = paired.fails("noisy-student", *BUDGET, "--set", "rounds=0", pair=PAIR)
    assert code == 2 and "--set rounds: got 0; expected a whole number from 1 to 1000" in said
    (paired.data / "mine.py").write_text(METRIC.replace("return ", "return np.nan * "))
    words = ("--set", "teachers=[pyiqa:mine]", "--set", "metric_class=mine:Mine")
    code, said = paired.fails("noisy-student", *BUDGET, *words, pair=PAIR)
    assert code == 1 and 'teacher "pyiqa:mine" gives no finite value for 8 of 8 labeled images' in said
