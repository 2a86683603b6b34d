"""`run` with learners, datasets and protocols of one's own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from tests.conftest import Bench

LEARNER = '''
from ssliqa_bench.methods.supervised import Supervised, run_initial
from ssliqa_bench.training.stages import Stage

SHIFT = 0.0


def run_own(context):
    """Supervised training, its result moved by a constant."""
    artifact = run_initial(context)
    artifact.tensors["model.head.bias"] += SHIFT
    return artifact


class Own(Supervised):
    def stages(self):
        (initial,) = super().stages()
        return [Stage("initial", run_own, sets=initial.sets, params=initial.params)]
'''


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return bool(one["key"] == other["key"] and one["metrics"] == other["metrics"])


def test_editing_a_loss_runs_again_and_names_the_file(bench: Bench) -> None:
    file = bench.registry({"methods": {"own": {"about": {"title": "Own"}, "class": "own_learner:Own",
                                               "extends": "supervised"}}})
    source = file.parent / "own_learner.py"
    source.write_text(LEARNER)
    words = ("--registry", str(file))
    first = bench.run("own", *words)
    assert bench.run("own", *words)["status"] == "cached"
    commented = LEARNER.replace('"""Supervised training', '"""Training').replace("\nSHIFT", "\n# moved by\nSHIFT")
    source.write_text(commented)
    run = ("run", "--method", "own", "--pair", "tiny-a:tiny-b", "--json", *words)
    code, _, out, _ = bench.fresh(*run)
    assert code == 0 and same(json.loads(out)["runs"][0], first), "comments and docstrings are no code"
    source.write_text(LEARNER.replace("SHIFT = 0.0", "SHIFT = 0.5"))
    code, heavy, out, _ = bench.fresh("store", "why", first["key"][:8], *words)
    assert code == 0 and "another key" in out and "code own_learner.py (changed)" in out
    assert out.count("(changed)") == 1 and not heavy
    code, _, out, err = bench.fresh(*run)
    (entry,) = json.loads(out)["runs"]
    assert code == 0 and entry["status"] == "done" and entry["key"] != first["key"]
    assert f"Stored run {first['key'][:12]} differs in: code own_learner.py (changed)" in err
    old, new = bench.predictions(first["key"]), bench.predictions(entry["key"])
    assert {round(new[image] - old[image], 5) for image in old} == {0.5}


def test_a_file_beside_a_learner_that_is_no_python_is_named(bench: Bench) -> None:
    entry = {"about": {"title": "Own"}, "class": "own_learner:Own", "extends": "supervised"}
    file = bench.registry({"methods": {"own": entry}})
    (file.parent / "own_learner.py").write_text(LEARNER)
    (file.parent / "draft.py").write_text("def half(:\n")
    code, err = bench.fails("own", "--registry", str(file))
    assert code == 2 and "draft.py" in err


PLAIN = """
import numpy as np
from ssliqa_bench.methods.base import Learner, Model, Needs

class Brightness:
    n_parameters = 0
    def __init__(self, value):
        self.value = value
    def predict(self, images):
        return np.array([float(images[k].std()) for k in range(len(images))]) * self.value

def build(context):
    return Brightness(context.params["factor"])

class Contrast(Learner):
    needs = Needs(labels=False)
    model = Model(build, ("factor",))
    def stages(self):
        return []

class NoLearner:
    pass
"""


def plain_method(bench: Bench, name: str = "Contrast", source: str = PLAIN, **params: Any) -> tuple[str, str]:
    """Write a method that learns nothing beside a registry file; gives the option that names the file."""
    entry = {"about": {"title": "Contrast"}, "class": f"plain_learner:{name}", "params": {"factor": 1.0, **params}}
    kinds = {"factor": "number", **dict.fromkeys(params, "texts")}
    declared = {key: {"type": kind, "meaning": "Something."} for key, kind in kinds.items()}
    file = bench.registry({"parameters": declared, "methods": {"contrast": entry}})
    (file.parent / "plain_learner.py").write_text(source)
    return "--registry", str(file)


def test_a_method_that_learns_nothing_scores_datasets(own_bench: Bench) -> None:
    words = plain_method(own_bench)
    entry = own_bench.run("contrast", *words, pair="tiny-a")
    facts = own_bench.facts(entry["key"])
    assert entry["seconds"] == 0 and facts["stages"] == [] and not (own_bench.store / "artifacts").exists()
    code, out, err = own_bench("test", entry["key"][:8], "--on", "tiny-c", "--json", *words)
    assert code == 0, err
    assert json.loads(out)["runs"][0]["metrics"].keys() == {"tiny-a", "tiny-c"}
    doubled = own_bench.run("contrast", "--set", "factor=-2", *words, pair="tiny-a")
    old, new = own_bench.predictions(entry["key"]), own_bench.predictions(doubled["key"])
    assert all(new[image] == -2 * old[image] for image in new)
    assert doubled["metrics"]["tiny-a"]["srcc"] == pytest.approx(-entry["metrics"]["tiny-a"]["srcc"])


def test_a_model_that_forgets_to_declare_what_it_reads_is_stopped(bench: Bench) -> None:
    """Else the second value would be answered with the predictions of the first."""
    words = plain_method(bench, source=PLAIN.replace('Model(build, ("factor",))', "Model(build)"))
    for factor in ("1.0", "3.0"):
        code, err = bench.fails("contrast", "--set", f"factor={factor}", *words)
        assert code == 2 and 'plain_learner:build reads the parameter "factor", which it does not declare' in err
        assert 'Model(build, params=(…, "factor"))' in err
    assert bench.files() == {}


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("Model(lambda context: Brightness(1.0))", "Model, build: got a lambda"),
        ('Model(build, ("factor", "size"))', 'declares the parameter "size", which its method does not have'),
        ("None", "does not say how its model is built"),
    ],
)
def test_a_model_that_no_key_could_describe_is_refused(bench: Bench, model: str, said: str) -> None:
    words = plain_method(bench, source=PLAIN.replace('Model(build, ("factor",))', model))
    code, err = bench.fails("contrast", *words)
    assert code == 2 and said in err and bench.files() == {}


def test_a_model_whose_predictions_are_not_finite_leaves_no_record(bench: Bench) -> None:
    words = plain_method(bench, source=PLAIN.replace("* self.value", "* np.inf"))
    code, err = bench.fails("contrast", *words)
    assert code == 1 and "8 of 8 predictions are not finite" in err
    assert all(path.startswith("failures/") for path in bench.files())


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("NoLearner", PLAIN, "not a subclass of"),
        ("Contrats", PLAIN, "Contrast"),
        ("Contrast", "import no_such_library_at_all\n" + PLAIN, "no_such_library_at_all"),
        ("Contrast", PLAIN.replace("return []", "return ["), "plain_learner.py"),
    ],
)
def test_a_class_that_cannot_be_used_is_said(bench: Bench, name: str, source: str, message: str) -> None:
    code, err = bench.fails("contrast", *plain_method(bench, name, source))
    assert code == 2 and message in err
    assert bench.files() == {}


def test_a_module_that_is_nowhere_is_said(bench: Bench) -> None:
    file = bench.registry({"methods": {"own": {"about": {"title": "Own"}, "class": "nowhere_learner:Own"}}})
    code, err = bench.fails("own", "--registry", str(file))
    assert code == 2 and '"nowhere_learner"' in err and "beside the registry file" in err


def test_the_table_shows_names_and_values_as_they_are(bench: Bench) -> None:
    words = (*plain_method(bench, kinds=["[red]", ":b:"]), "--set", 'kinds=[":b:", "[b]"]')
    code, out, err = bench("run", "--method", "contrast", "--pair", "tiny-a:tiny-b", *words)
    assert code == 0, err
    assert "kinds=[':b:', '[b]']" in out


def test_images_without_any_score_serve_as_the_unlabeled_side(own_bench: Bench) -> None:
    labels = own_bench.data / "tiny-b" / "labels.csv"
    rows = [line.split(",") for line in labels.read_text().splitlines()]
    labels.write_text("".join(f"{row[0]},{row[2]}\n" for row in rows))
    registry = own_bench.data / "registry.yaml"
    content = yaml.safe_load(registry.read_text())
    photos = {"about": {"title": "Photos"}, "kind": "unlabeled", "folder": "tiny-b", "options": {"unlabeled": True}}
    content["datasets"]["tiny-b"] = photos
    registry.write_text(yaml.safe_dump(content))
    entry = own_bench.run("ssiqa", "--set", "blocks=1")
    assert entry["metrics"].keys() == {"tiny-a"}
    assert own_bench.facts(entry["key"])["datasets"]["tiny-b"]["roles"] == {"unlabeled": 24}
    assert own_bench.run("ssiqa", "--set", "blocks=1")["status"] == "cached"
    code, err = own_bench.fails("oracle")
    assert code == 2 and "needs the scores of both sides" in err and "tiny-b has none for 24 of its 24" in err
    code, err = own_bench.fails("supervised", "--recipe", "check", pair="tiny-b:tiny-a")
    assert code == 2 and "tiny-b" in err and "keeps its score" in err


def test_validation_and_budgets_of_a_protocol_reach_the_record(bench: Bench) -> None:
    protocol = {"about": {"title": "Few"}, "validation": 0.25, "budget": 8, "tests": ["tiny-c"], "aggregate": "median"}
    file = bench.registry({"protocols": {"few": protocol}})
    entry = bench.run("supervised", "--protocol", "few", "--registry", str(file))
    facts = bench.facts(entry["key"])
    roles = facts["datasets"]["tiny-a"]["roles"]
    assert roles["labeled"] + roles["validation"] == 8 and roles["validation"] >= 1
    assert facts["protocol"]["aggregate"] == "median" and entry["protocol"] == "few"
    assert entry["metrics"]["tiny-c"]["side"] == "external"


def test_a_split_from_a_file_holds_and_leaves_no_path_in_the_record(bench: Bench) -> None:
    parts = [f"tiny-{side},{scene}{level}.png,{'test' if scene < 2 else 'train'}"
             for side in "ab" for scene in range(6) for level in range(4)]
    (bench.store.parent / "parts.csv").write_text("\n".join(["dataset,image,role", *parts]) + "\n")
    protocol = {"about": {"title": "Fixed"}, "split": {"rule": "file", "file": "parts.csv"}}
    file = bench.registry({"protocols": {"fixed": protocol}})
    entry = bench.run("supervised", "--protocol", "fixed", "--registry", str(file))
    assert {image[0] for _, image in bench.predictions(entry["key"])} == {"0", "1"}
    text = (bench.record(entry["key"]) / "facts.json").read_text()
    assert '"file": "parts.csv"' in text and str(bench.store.parent) not in text


def test_a_registry_that_is_wrong_is_told_before_anything_runs(bench: Bench) -> None:
    file = bench.store.parent / "wrong.yaml"
    file.write_text(yaml.safe_dump({"methods": {"own": {"about": {"title": "Own"}, "clas": "a:B"}}}))
    code, err = bench.fails("own", "--registry", str(file))
    assert code == 2 and "wrong.yaml:" in err and "clas" in err
