"""Every entry of the packaged registry and every packaged suite, so that a new entry is tested without new code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from ssliqa_bench.errors import RegistryError
from ssliqa_bench.registry.load import data_folder, load_registry, notice_of
from ssliqa_bench.registry.lookup import locate_module
from ssliqa_bench.registry.schema import KINDS
from ssliqa_bench.registry.suite import load_suite, packaged_suites
from ssliqa_bench.runner.learners import learner_of

REGISTRY = load_registry()
# What stands for all methods PREFIX:NAME is none itself.
METHODS = [name for name, entry in REGISTRY.methods.items() if entry.prefix is None]
RECIPES = [(name, recipe) for name in METHODS for recipe in REGISTRY.recipes(name) or ["default"]]
CLASS_PATHS = sorted(
    {m.class_path for m in REGISTRY.methods.values() if m.class_path}
    | {b.class_path for b in REGISTRY.backbones.values() if b.class_path}
    | {d.reader for d in REGISTRY.datasets.values()}
    | {d.generator for d in REGISTRY.datasets.values() if d.generator}
)


def resolved(name: str, recipe: str) -> dict[str, object]:
    return REGISTRY.resolve_method(name, recipe).params


def test_the_package_reads_the_files_at_the_top_level() -> None:
    root = Path(__file__).parents[2]
    assert (data_folder() / "registry.yaml").read_bytes() == (root / "registry.yaml").read_bytes()
    assert sorted(packaged_suites()) == sorted(path.stem for path in (root / "benchmarks").glob("*.yaml"))


@pytest.mark.parametrize("class_path", CLASS_PATHS)
def test_every_class_path_leads_to_a_name_in_a_file(class_path: str) -> None:
    module, _, name = class_path.partition(":")
    file = locate_module(module)
    assert file is not None, module
    tree = ast.parse(file.read_text(encoding="utf-8"))
    defined = {node.name for node in tree.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
    assert name in defined


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in KINDS for name in getattr(REGISTRY, kind)])
def test_every_entry_says_what_it_is(kind: str, name: str) -> None:
    entry = getattr(REGISTRY, kind)[name]
    assert entry.about.title not in ("", name)
    assert entry.about.description.endswith(".")
    assert re.fullmatch(r"registry\.yaml:\d+", REGISTRY.sources[kind][name][0])
    if kind in ("methods", "backbones"):
        citation = entry.about.citation
        assert re.match(r"@\w+\{\w+,\n", citation)
        assert citation.count("{") == citation.count("}")
        assert re.search(r"year += \{\d{4}\}", citation)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_states_what_its_weights_have_seen(name: str) -> None:
    assert REGISTRY.method(name).about.trained_on != "unknown"


@pytest.mark.parametrize(("name", "recipe"), RECIPES)
def test_every_recipe_resolves_to_a_known_backbone(name: str, recipe: str) -> None:
    for key, value in resolved(name, recipe).items():
        if key == "backbone" or key.endswith("_backbone"):
            assert REGISTRY.resolve_backbone(str(value)).class_path


@pytest.mark.parametrize("name", list(REGISTRY.datasets))
def test_a_notice_is_whole_and_its_terms_are_quoted_from_it(name: str) -> None:
    entry = REGISTRY.datasets[name]
    file = notice_of(entry)
    assert (file is None) == (entry.notice is None)
    if file is None:
        assert not entry.labels_redistributable or entry.kind == "demo"
        return
    notice = file.read_text(encoding="utf-8")
    assert "NOTICE STARTS" in notice and "NOTICE ENDS" in notice
    quoted = re.findall(r'"([^"]+)"', entry.about.terms)
    assert quoted and all(text in " ".join(notice.split()) for text in quoted)


def test_a_notice_that_is_nowhere_is_said() -> None:
    with pytest.raises(RegistryError, match=r'datasets\.livec\.notice: "none\.txt" is no file'):
        notice_of(REGISTRY.datasets["livec"].model_copy(update={"notice": "none.txt"}))


@pytest.mark.parametrize("name", list(REGISTRY.datasets))
def test_ranges_hold_together(name: str) -> None:
    entry = REGISTRY.datasets[name]
    assert entry.valid_range[0] < entry.valid_range[1]
    assert entry.kind == "demo" or entry.labels_redistributable is False or entry.about.terms
    assert entry.recipe[-1] == ("demo" if entry.kind == "demo" else "paper")


@pytest.mark.parametrize("suite", list(packaged_suites()))
def test_every_suite_expands_to_distinct_runs(suite: str) -> None:
    runs = load_suite(suite, REGISTRY).runs
    assert runs
    assert len({str((run, run.recipe, run.overrides, run.budget, run.unlabeled_budget)) for run in runs}) == len(runs)


def test_the_demo_suite() -> None:
    runs = load_suite("demo", REGISTRY).runs
    methods = ["oracle", "supervised", "ridge-probe", "piqe", "supervised-long", "ssiqa"]
    expected = [(method, seed) for method in methods for seed in range(5)]
    expected += [(method, seed) for method in ("ssiqa-1in100", "ssiqa-il") for seed in range(3)]
    assert [(run.method, run.seed) for run in runs] == expected
    assert {(str(run.pair), run.protocol) for run in runs} == {("demo-syn:demo-wild", "standard")}


FAMILY = [name for name in METHODS if REGISTRY.resolve_method(name).chain[0] == "supervised"]


@pytest.mark.parametrize("recipe", ["paper", "demo", "check"])
@pytest.mark.parametrize("name", FAMILY)
def test_the_whole_family_shares_the_parameters_of_the_initial_phase(name: str, recipe: str) -> None:
    root = resolved("supervised", recipe)
    assert {key: resolved(name, recipe)[key] for key in root} == root


@pytest.mark.parametrize("recipe", ["paper", "demo", "check"])
def test_variants_differ_from_ssiqa_in_what_they_are_named_after(recipe: str) -> None:
    base = resolved("ssiqa", recipe)
    expected: dict[str, dict[str, object]] = {
        "ssiqa-1in100": {"krr_subset": "sdk"},
        "ssiqa-il": {"pseudo_labels": "model"},
        "ssiqa-krr": {"blocks": 1, "k1": 0, "k2": 0},
        "supervised-long": {},
        "supervised-long-krr": {"blocks": 1, "k1": 0, "k2": 0},
        "oracle": {},
        **{f"ssiqa-q{q}": {"blocks": q} for q in (1, 2, 4, 6)},
        # Table 6 of the paper: one rate varies, the other is 20.
        **{f"ssiqa-k1-{k}": {"k1": k, "k2": 20} for k in (0, 10, 20, 50, 100)},
        **{f"ssiqa-k2-{k}": {"k1": 20, "k2": k} for k in (0, 10, 20, 50, 100)},
    }
    for name, difference in expected.items():
        assert resolved(name, recipe) == {**base, **difference}, name
    assert base["blocks"] == 3
    assert resolved("ssiqa-baseline", recipe) == resolved("supervised", recipe)


def test_recipe_paper_has_the_numbers_of_the_paper() -> None:
    params = resolved("ssiqa", "paper")
    stated = {
        "backbone": "timm:deit3_small_patch16_224.fb_in1k", "pretrained": True, "crop": 224, "epochs": 9,
        "warmup_epochs": 3, "lr": 2e-4, "lr_step": 3, "lr_factor": 0.1, "smooth_l1_beta": 1.0, "batch_size": 32,
        "weight_decay": 0, "test_crops": 10, "blocks": 3, "phase_epochs": 6, "phase_lr": 2e-5, "phase_lr_step": 2,
        "phase_lr_factor": 0.1, "k1": 100, "k2": 100, "weak_views": 4, "krr_max": 10000, "krr_gamma": None,
        "krr_lambda": 0.1, "krr_subset": "all", "pseudo_labels": "krr",
    }  # fmt: skip
    assert {key: params[key] for key in stated} == stated


def test_recipe_check_is_demo_with_one_epoch_of_fewer_crops() -> None:
    demo, check = resolved("ssiqa", "demo"), resolved("ssiqa", "check")
    assert {key for key in demo if demo[key] != check[key]} == {"epochs", "phase_epochs", "crops", "test_crops"}
    assert check["epochs"] == check["phase_epochs"] == 1


COMPARATORS = [name for name in METHODS if REGISTRY.method(name).like]
TRAINED = "epochs"  # how the parameters end that say how long a stage trains


@pytest.mark.parametrize("name", METHODS)
def test_what_learns_from_unlabeled_images_has_a_comparator(name: str) -> None:
    """Else boards show no gain for it: an entry that learns from labels alone, whose `like` names it or an ancestor."""
    method = REGISTRY.resolve_method(name, default_recipes=("check",))
    if method.about.family in ("comparator", "control"):
        return
    learner = learner_of(method, REGISTRY.backbones_of(method))
    trains = any(parameter.endswith(TRAINED) for stage in learner.stages() for parameter in stage.params)
    if not learner.needs.unlabeled or not trains:  # a fit in closed form has no steps to match
        return
    matching = [other for other in COMPARATORS if REGISTRY.method(other).about.family == "comparator"
                and REGISTRY.method(other).like in method.chain
                and REGISTRY.resolve_method(other).unlabeled_role == "unlabeled"]  # fmt: skip
    assert matching, f"{name}: add an entry of the family comparator with like: {name}"


@pytest.mark.parametrize("name", COMPARATORS)
def test_a_comparator_has_the_numbers_of_what_it_is_compared_with(name: str) -> None:
    """In every recipe of both that is not tuned; a control changes what it is there for."""
    own, like = REGISTRY.method(name), REGISTRY.method(name).like
    assert own.about.family in ("comparator", "control") and like in METHODS
    if own.about.family == "control":
        return
    common = {*REGISTRY.recipes(name)} & {*REGISTRY.recipes(like)}
    for recipe in sorted({"default"} | {recipe for recipe in common if "/tuned-on-" not in recipe}):
        theirs = resolved(like, recipe)
        assert {key: theirs.get(key) for key in resolved(name, recipe)} == resolved(name, recipe), recipe


@pytest.mark.parametrize("name", METHODS)
def test_an_oracle_is_named_so_and_belongs_to_a_method(name: str) -> None:
    told = REGISTRY.resolve_method(name).unlabeled_role == "labeled"
    assert told == ("oracle" in name.split("-"))
    assert not told or name in COMPARATORS
