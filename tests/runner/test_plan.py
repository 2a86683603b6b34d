"""What names a run: everything that determines its result, and nothing else."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from ssliqa_bench.errors import InputError
from ssliqa_bench.runner.keys import differences
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.store.records import read_record

if TYPE_CHECKING:
    from tests.conftest import Bench


def edit_registry(bench: Bench, **fields: Any) -> None:
    """Change fields of the entry of tiny-a."""
    path = bench.data / "registry.yaml"
    content = yaml.safe_load(path.read_text())
    content["datasets"]["tiny-a"].update(fields)
    path.write_text(yaml.safe_dump(content))


def changed(one: Any, other: Any) -> set[str]:
    """Where the keys of two plans differ."""
    paths = {found.path for found in differences(one.key_parts, other.key_parts)}
    assert (one.key == other.key) == (not paths)
    return paths


@pytest.mark.parametrize(
    ("asked", "paths"),
    [
        ({"threads": 2}, {"threads"}),
        ({"overrides": (("lr", 0.5),)}, {"cell.overrides.lr", "params.lr"}),
        ({"overrides": (("lr", 1e-3),)}, {"cell.overrides.lr"}),
        ({"budget": 8}, {"cell.budget", "rows.tiny-a.roles.labeled"}),
        ({"budget": 16}, {"cell.budget"}),
        ({"unlabeled_budget": 0.5}, {"cell.unlabeled_budget", "rows.tiny-b.roles.unlabeled"}),
        ({"skip_bad": True}, set()),
        ({"tests": ("tiny-c",)}, set()),
    ],
)
def test_each_setting_that_matters_changes_the_key_and_no_other(
    bench: Bench, asked: dict[str, Any], paths: set[str]
) -> None:
    assert changed(bench.plan("supervised")[0], bench.plan("supervised", **asked)[0]) == paths


def test_another_seed_is_another_split_and_another_training(bench: Bench) -> None:
    found = changed(bench.plan("supervised")[0], bench.plan("supervised", seed=1)[0])
    assert {"seed", "cell.seed", "rows.tiny-a.roles.test", "rows.tiny-b.roles.test"} <= found
    assert not {path for path in found if path.startswith(("params.", "code.", "versions."))}


def test_another_recipe_is_other_parameters(bench: Bench) -> None:
    found = changed(bench.plan("supervised")[0], bench.plan("supervised", recipe="demo")[0])
    assert found == {"cell.recipe", "params.epochs", "params.crops", "params.test_crops"}


def test_the_device_is_keyed_with_its_precision(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from ssliqa_bench.runner import devices

    monkeypatch.setattr(devices, "cuda_devices", lambda: 1)
    found = changed(bench.plan("supervised")[0], bench.plan("supervised", device="cuda")[0])
    assert found == {"device", "precision"}
    assert bench.key("supervised", device="auto") == bench.key("supervised", device="cuda")


def test_aliases_and_defaults_spelled_out_are_the_same_run(bench: Bench) -> None:
    plain = bench.key("ssiqa-k1-20")
    assert bench.key("ssiqa-k2-20") == plain, "an alias"
    assert bench.key("ssiqa-k1-20", protocol="standard", recipe="check") == plain
    assert bench.key("supervised", overrides=(("epochs", 2),)) == bench.key("supervised", overrides=(("epochs", 2.0),))


def test_where_the_data_lies_and_how_it_is_ordered_is_not_keyed(own_bench: Bench, tiny_pair: Path) -> None:
    moved = own_bench.key("supervised")
    labels = own_bench.data / "tiny-a" / "labels.csv"
    header, *rows = labels.read_text().splitlines()
    labels.write_text("\n".join([header, *reversed(rows)]) + "\n")
    assert own_bench.key("supervised") == moved
    own_bench.data = tiny_pair
    assert own_bench.key("supervised") == moved


@pytest.mark.parametrize(
    ("fields", "paths"),
    [
        ({"scale": [0, 5]}, {"rows.tiny-a.scores"}),
        ({"working_size": {"short_side": 40}}, {"rows.tiny-a.working_size"}),
        ({"direction": "lower_is_better"}, {"rows.tiny-a.fingerprint", "rows.tiny-a.scores"}),
        ({"about": {"title": "Another title", "citation": "@misc{x}"}}, set()),
        ({"labels_redistributable": True}, set()),
    ],
)
def test_fields_of_a_dataset_that_change_what_learners_see_are_keyed(
    own_bench: Bench, fields: dict[str, Any], paths: set[str]
) -> None:
    before = own_bench.plan("supervised")[0]
    edit_registry(own_bench, **fields)
    found = changed(before, own_bench.plan("supervised")[0])
    assert (found <= paths) and bool(found) == bool(paths)


def test_ratings_that_a_learner_may_ask_for_are_keyed(own_bench: Bench) -> None:
    def write(spread: float) -> Any:
        labels = own_bench.data / "tiny-a" / "labels.csv"
        rows = list(csv.DictReader(labels.open()))
        with labels.open("w", newline="") as handle:
            writer = csv.DictWriter(handle, list({**rows[0], "rating_std": 0}))
            writer.writeheader()
            writer.writerows({**row, "rating_std": spread} for row in rows)
        return own_bench.plan("supervised")[0]

    edit_registry(own_bench, rating_statistics=True)
    assert changed(write(0.5), write(0.6)) == {"rows.tiny-a.scores"}


def test_a_protocol_that_hands_over_test_images_is_another_run(own_bench: Bench) -> None:
    def plan(**fields: Any) -> Any:
        file = own_bench.registry({"protocols": {"own": {"about": {"title": "Own"}, **fields}}})
        return own_bench.plan("ssiqa", protocol="own", registry=file)[0]

    plain = plan()
    assert changed(plain, plan(transductive=True)) == {"transductive"}
    assert changed(plain, plan(mapping="linear")) == {"mapping"}
    assert changed(plain, plan(aggregate="median", repeats=9, tests=["tiny-c"])) == set()
    assert changed(plain, own_bench.plan("ssiqa")[0]) == {"cell.protocol"}


def test_transductive_images_reach_the_learner(own_bench: Bench) -> None:
    from ssliqa_bench.runner.learner_sets import make_sets
    from ssliqa_bench.runner.learners import make_learner
    from ssliqa_bench.runner.sources import open_sources

    file = own_bench.registry({"protocols": {"own": {"about": {"title": "Own"}, "transductive": True}}})
    plan, settings = own_bench.plan("ssiqa", protocol="own", registry=file)
    sets = make_sets(plan, make_learner(plan), open_sources(plan, settings, make_learner(plan))[0])
    assert sets.unlabeled is not None and len(sets.unlabeled) == 24 and len(sets.tests["tiny-b"].names) == 8


def test_extra_unlabeled_images_are_keyed_and_reach_the_learner(own_bench: Bench) -> None:
    from ssliqa_bench.runner.learner_sets import make_sets
    from ssliqa_bench.runner.learners import make_learner
    from ssliqa_bench.runner.sources import open_sources

    def plan(transductive: bool = False, **extra: Any) -> Any:
        fields = {"about": {"title": "Own"}, "transductive": transductive}
        if extra:
            fields["extra_unlabeled"] = {"dataset": "tiny-c", **extra}
        file = own_bench.registry({"protocols": {"own": fields}})
        return own_bench.plan("ssiqa", protocol="own", registry=file)

    (plain, settings), (few, _), (more, _) = plan(), plan(count=6), plan(count=8)
    rows = {"rows.tiny-c"} | {f"rows.tiny-c.{part}" for part in
                              ("fingerprint", "roles", "roles.unlabeled", "scores", "working_size")}  # fmt: skip
    assert changed(plain, few) <= rows and changed(plain, few)
    assert changed(few, more) == {"rows.tiny-c.roles.unlabeled"}
    (own_bench.store.parent / "named.csv").write_text("image\n00.png\n")
    assert changed(few, plan(names="named.csv")[0]) == {"rows.tiny-c.roles.unlabeled"}
    for transductive, unlabeled, tested in ((False, 16 + 6, 16), (True, 24 + 6, 24)):
        asked, _ = plan(transductive, count=6)
        learner = make_learner(asked)
        sets = make_sets(asked, learner, open_sources(asked, settings, learner)[0])
        assert sets.unlabeled is not None and len(sets.unlabeled) == unlabeled
        assert len(sets.tests["tiny-c"].names) == tested


def test_a_weights_file_is_keyed_by_what_it_holds(bench: Bench, tmp_path: Path) -> None:
    for name, content in (("one.pth", b"PKa"), ("two.pth", b"PKa"), ("three.pth", b"PKb")):
        (tmp_path / name).write_bytes(content)

    def plan(name: str) -> Any:
        overrides = (("pretrained", True), ("weights_file", str(tmp_path / name)))
        return bench.plan("supervised", overrides=overrides)[0]

    one, two, three = plan("one.pth"), plan("two.pth"), plan("three.pth")
    assert changed(one, two) == set()
    assert changed(one, three) == {"weights.backbone", "params.weights_file", "cell.overrides.weights_file"}
    assert str(tmp_path) not in str(one.key_parts) and str(tmp_path) not in str(one.spec)


def test_a_record_says_which_run_it_answers(finished: Bench) -> None:
    plan = finished.plan("ssiqa")[0]
    assert read_record(finished.store, plan.key).spec == plan.spec


def test_settings_come_from_the_environment_where_nothing_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSLIQA_DATA", "/somewhere/data")
    monkeypatch.delenv("SSLIQA_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere/cache")
    found = Settings.from_environment(store=Path("s"), data_root=None, threads=None)
    assert (found.store, found.threads, found.keep) == (Path("s"), 1, "phases")
    assert (found.data_root, found.cache_root) == (Path("/somewhere/data"), Path("/somewhere/cache/ssliqa-bench"))
    assert Settings.from_environment(data_root=Path("mine")).data_root == Path("mine")
    monkeypatch.setenv("SSLIQA_CACHE", "/own")
    assert Settings.from_environment().cache_root == Path("/own")
    with pytest.raises(InputError, match="--keep"):
        Settings.from_environment(keep="everything")


def test_a_class_named_by_an_override_is_keyed_by_its_code_and_not_by_its_path(bench: Bench) -> None:
    """One source under two names gives equal keys; two definitions of one source do not."""
    source = "class One:\n    shift = 1\n\n\nclass Two:\n    shift = 2\n"
    entry = {
        "about": {"title": "T", "description": "D"},
        "extends": "supervised",
        "class": "ssliqa_bench.methods.supervised:Supervised",
        "params": {"metric_class": "ssliqa_bench.integrations.pyiqa:Metric"},
    }
    registry = bench.registry({"methods": {"named": entry}})
    plans = {}
    for module in ("made_first", "made_second"):
        (registry.parent / module).mkdir()
        (registry.parent / module / "__init__.py").write_text(source)
        for name in ("One", "Two"):
            changed = (("metric_class", f"{module}:{name}"),)
            plans[module, name] = bench.plan("named", registry=registry, overrides=changed)[0]
    keys = {place: plan.key for place, plan in plans.items()}
    assert keys["made_first", "One"] == keys["made_second", "One"] != keys["made_first", "Two"]
    assert "made_first" not in str(plans["made_first", "One"].key_parts)
    assert keys["made_first", "One"] != bench.key("named", registry=registry)
    told = plans["made_first", "One"].method_code.told(plans["made_first", "One"].code)
    assert told["definitions"]["metric_class"] == "made_first:One"


def test_code_holds_the_classes_that_parameters_name(bench: Bench) -> None:
    """Those of all parameters for a run; for a stage, of the parameters that it reads."""
    named_class = {"metric_class": "ssliqa_bench.integrations.pyiqa:Metric"}
    entries = {
        name: {
            "about": {"title": "T", "description": "D"},
            "extends": "supervised",
            "class": "ssliqa_bench.methods.supervised:Supervised",
            "params": params,
        }
        for name, params in (("plain", {}), ("named", named_class))
    }
    registry = bench.registry({"methods": entries})
    plain, named = (bench.plan(name, registry=registry)[0] for name in entries)
    assert "metric_class" in named.key_parts["code"] and "metric_class" not in plain.key_parts["code"]
    assert "pyiqa" in named.key_parts["versions"] and "pyiqa" not in plain.key_parts["versions"]
    told = named.method_code.told(named.code)
    assert told["definitions"]["metric_class"] == named_class["metric_class"]
    assert "ssliqa_bench/integrations/pyiqa.py" in told["files"]
    assert "ssliqa_bench" not in str(named.key_parts), "no path of a class or file is keyed"
    entry = "ssliqa_bench.methods.supervised:run_initial"

    def part(plan: Any, *params: str) -> dict[str, Any]:
        return plan.behind(entry, params=params).part(plan.code)

    assert part(named, "backbone") == part(plain, "backbone") != part(named, "backbone", "metric_class")
    assert part(named, "lr") == part(plain, "lr") != part(plain, "lr", "backbone")
    cnniqa = "ssliqa_bench/training/backbones/cnniqa.py"
    assert cnniqa in plain.method_code.told(plain.code)["files"]
    assert cnniqa not in plain.behind(entry, params=("lr",)).told(plain.code)["files"]


def test_weights_of_a_package_are_keyed_by_the_file_and_by_what_converts_it(bench: Bench) -> None:
    def made(pretrained: bool) -> Any:
        overrides = (("backbone", "efficientnet-lite0"), ("crop", 64), ("pretrained", pretrained))
        return bench.plan(overrides=overrides)[0]

    def files(plan: Any) -> dict[str, str]:
        behind = plan.behind("ssliqa_bench.methods.supervised:run_initial", params=["backbone"])
        return behind.told(plan.code)["files"]

    plan, random = made(True), made(False)
    facts = plan.backbones["backbone"].weights
    assert plan.key_parts["weights"] == {"backbone": facts.sha256}
    assert plan.method.params["backbone"] == "timm:tf_efficientnet_lite0.in1k"
    converter = "ssliqa_bench/training/backbones/efficientnet_lite.py"
    assert converter in files(plan) and converter not in files(random)
    assert plan.key_parts["code"].keys() - random.key_parts["code"].keys() == {"backbone.weights"}


OUTSIDE = """
from ssliqa_bench.methods.base import Model
from ssliqa_bench.methods.supervised import Supervised, build_quality

class Turned:
    def __init__(self, model):
        self.model, self.n_parameters = model, model.n_parameters

    def predict(self, images):
        return -self.model.predict(images)

def build_negated(context):
    return Turned(build_quality(context))

class Plain(Supervised):
    pass

class Negated(Supervised):
    model = Model(build_negated, Supervised.model.params)
"""


def outside(folder: Path, module: str) -> Path:
    """A registry file in a folder with two methods, whose classes stand in one module beside it."""
    folder.mkdir()
    (folder / f"{module}.py").write_text(OUTSIDE)
    classes = {"own": "Plain", "own-negated": "Negated"}
    methods = {
        name: {"about": {"title": "T", "description": "D"}, "extends": "supervised", "class": f"{module}:{made}"}
        for name, made in classes.items()
    }
    (folder / "mine.yaml").write_text(yaml.safe_dump({"methods": methods}))
    return folder / "mine.yaml"


def test_two_classes_of_one_module_have_keys_of_their_own(bench: Bench, tmp_path: Path) -> None:
    registry = outside(tmp_path / "one", "learners")
    plain, negated = (bench.plan(name, registry=registry)[0] for name in ("own", "own-negated"))
    assert changed(plain, negated) == {"cell.method", "code.entry.definition"}


def test_a_class_that_negates_is_not_answered_with_the_predictions_of_its_neighbour(
    bench: Bench, tmp_path: Path
) -> None:
    """They share the artifact of their stage, and no prediction."""
    words = ("--registry", str(outside(tmp_path / "one", "learners")))
    plain, negated = (bench.run(name, *words) for name in ("own", "own-negated"))
    assert negated["status"] == "done"
    assert [stage["cached"] for stage in bench.facts(negated["key"])["stages"]] == [True]
    told, turned = bench.predictions(plain["key"]), bench.predictions(negated["key"])
    assert turned == {image: -value for image, value in told.items()} != told
    assert negated["metrics"]["tiny-a"]["srcc"] == pytest.approx(-plain["metrics"]["tiny-a"]["srcc"])


def test_why_names_file_and_definition(bench: Bench, tmp_path: Path) -> None:
    registry = outside(tmp_path / "one", "learners")
    key = bench.run("own", "--registry", str(registry))["key"]
    registry.write_text(registry.read_text().replace("learners:Plain", "learners:Negated"))
    code, out, _ = bench("store", "why", key[:8], "--registry", str(registry))
    assert code == 0 and "definition entry (learners:Plain -> learners:Negated)" in out and ".py (" not in out
    source = tmp_path / "one" / "learners.py"
    source.write_text(source.read_text().replace("-self.model", "+self.model"))
    code, out, _ = bench("store", "why", key[:8], "--registry", str(registry))
    assert code == 0 and "code learners.py (changed)" in out


def test_the_name_of_a_module_is_not_keyed(bench: Bench, tmp_path: Path) -> None:
    files = [outside(tmp_path / module, module) for module in ("learners", "renamed")]
    plans = [bench.plan("own", registry=file)[0] for file in files]
    assert changed(*plans) == set()
    told = [plan.method_code.told(plan.code) for plan in plans]
    assert [own["definitions"]["entry"] for own in told] == ["learners:Plain", "renamed:Plain"]
    assert "learners.py" in told[0]["files"] and "renamed.py" in told[1]["files"]
