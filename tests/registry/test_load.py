"""Users' files over the packaged registry, and everything that can be wrong in them, told in one go."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ssliqa_bench.errors import RegistryError
from ssliqa_bench.registry.load import load_registry

DATASET = """\
datasets:
  mine:
    kind: authentic
    scale: [0, 100]
    direction: higher_is_better
"""
METHOD = "methods:\n  a:\n    class: m:C\n"


def write(folder: Path, text: str, name: str = "mine.yaml") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def problems(folder: Path, text: str) -> list[str]:
    """The lines of the one error that a user's file gives, without the folder."""
    with pytest.raises(RegistryError) as caught:
        load_registry([write(folder, text)])
    lines = str(caught.value).replace(f"{folder}{os.sep}", "").splitlines()
    return lines[1:] if len(lines) > 1 else lines


# What stands in the user's file, and the one line that it gives after "mine.yaml:".
ONE_PROBLEM = {
    "method:\n  a: {}\n": '1 method: got an unknown section; expected "methods".',
    "- a\n": '1: got ["a"]; expected a mapping of parameters, datasets, backbones, protocols, methods.',
    "datasets: 3\n": "1 datasets: got 3; expected a mapping of names to entries.",
    "methods:\n  a: 1\n": "2 methods.a: got 1; expected a mapping.",
    "methods:\n  a:b: {}\n":
        '2 methods.a:b: got the name "a:b"; expected a name of small letters, digits, dot, dash and underscore.',
    METHOD + "    name: b\n":
        "4 methods.a.name: got an unknown key; expected the name as the key of the entry only.",
    METHOD + "    variants: [b]\n": '4 methods.a.variants: got ["b"]; expected a mapping of names to variants.',
    METHOD + "    variants:\n      b: 1\n": "5 methods.a.variants.b: got 1; expected a mapping.",
    METHOD + "    variants:\n      b: {params: {lr: 1}}\n":
        "5 methods.a.variants.b.params: got an unknown key; expected one of aliases, description, like, recipes, set, "
        "title, unlabeled_role, variants.",
    METHOD + "    variants:\n      ssiqa: {}\n":
        '5 methods.a.variants.ssiqa: got "ssiqa", the name of another method; expected a name used nowhere else.',
    METHOD + "    params: {lr: 1}\n    variants:\n      b:\n        set: {lrr: 1}\n":
        '7 methods.b.params.lrr: got an unknown parameter; expected "lr".',
    METHOD + "    about: {citation: pan2024ssiq}\n":
        '4 methods.a.about.citation: got the unknown key "pan2024ssiq"; expected "pan2024ssiqa" or "fang2020spaq", or '
        "the BibTeX entry itself.",
    METHOD + "    parms: {x: 1}\n": '4 methods.a.parms: got an unknown key; expected "params" or "parameters".',
    METHOD + "    class_path: m:C\n": '4 methods.a.class_path: got an unknown key; expected "class".',
    METHOD.replace("m:C", "m.C"):
        '3 methods.a.class: got "m.C"; expected "module:Name", for example mypackage.mymodule:MyClass.',
    "methods:\n  a:\n    params: {x: 1}\n":
        '2 methods.a: got neither class nor extends; expected class: "module:Name", or extends: a method.',
    METHOD + "    params: {lr: {x: 1}}\n":
        "4 methods.a.params.lr: got a nested value; expected true, false, null, a number, text or a list of these.",
    METHOD + "    params: {LR: 1}\n":
        "4 methods.a.params.LR: got the name LR; expected small letters, digits and underscore.",
    METHOD + "    recipes: {none/tuned: {}}\n":
        '4 methods.a.recipes.none/tuned: got no recipe none; expected recipe none beside it.',
    METHOD + "    recipes: {default: {}}\n":
        '4 methods.a.recipes.default: got the reserved name "default"; expected another name.',
    METHOD + "    unlabeled_role: label\n":
        '4 methods.a.unlabeled_role: got "label"; expected "unlabeled" or "labeled".',
    METHOD + "    about: {trained_on: koniq}\n":
        '4 methods.a.about.trained_on: got "koniq"; expected a list of dataset names ([] for none), or "unknown".',
    METHOD + "    about: a method\n": '4 methods.a.about: got "a method"; expected a mapping.',
    METHOD + "    aliases: b\n": '4 methods.a.aliases: got "b"; expected a list.',
    METHOD + "    aliases: [ssiqa]\n":
        '4 methods.a.aliases[0]: got "ssiqa", the name of another entry; expected a name used nowhere else.',
    METHOD + "    like: ridge-prob\n": '4 methods.a.like: got "ridge-prob"; expected "ridge-probe".',
    "methods:\n  a:\n    extends: ridge-prob\n": '3 methods.a.extends: got "ridge-prob"; expected "ridge-probe".',
    "methods:\n  a:\n    extends: ssiqa\n    params: {k_1: 3}\n":
        '4 methods.a.params.k_1: got an unknown parameter; expected "k1".',
    "methods:\n  a:\n    extends: ssiqa\n    params: {k1: few}\n":
        '4 methods.a.params.k1: got "few"; expected a number from 0 to 1000000.',
    "methods:\n  ssiqa:\n    params: {k1: few}\n":
        '3 methods.ssiqa.params.k1: got "few"; expected a number from 0 to 1000000.',
    "methods:\n  ssiqa:\n    recipes:\n      demo: {phase_lr: 0}\n":
        "4 methods.ssiqa.recipes.demo.phase_lr: got 0; expected a number above 0, at most 100.",
    METHOD + "    params: {epochs: 0}\n":
        "4 methods.a.params.epochs: got 0; expected a whole number from 1 to 100000.",
    METHOD + "    params: {epoch: 3}\n":
        '4 methods.a.params.epoch: got a parameter that is not declared; expected "epochs", or its declaration under '
        "parameters: epoch: {type: integer, meaning: …}.",
    METHOD + "    params: {optimizer: lion}\n":
        '4 methods.a.params.optimizer: got "lion"; expected adam, adamw or sgd.',
    METHOD + "    params: {backbone: cnniqua}\n":
        '4 methods.a.params.backbone: got "cnniqua"; expected "cnniqa" or "cnniqa-wide".',
    METHOD + "    parameters: {factor: {type: number}}\n":
        "4 methods.a.parameters.factor.meaning: got nothing; expected one sentence about its effect.",
    METHOD + "    parameters: {own: {type: weights, of: backbon, switch: pretrained, meaning: File.}}\n":
        '4 methods.a.parameters.own.of: got "backbon"; expected "backbone" or "teacher_backbone" or '
        '"student_backbone".',
    "parameters:\n  LR: {type: number, meaning: Rate.}\n":
        '2 parameters.LR: got the name "LR"; expected small letters, digits and underscore.',
    "parameters:\n  a: {type: nummer, meaning: A.}\n":
        '2 parameters.a.type: got "nummer"; expected "integer", "number", "boolean", "text", "choice", "integers", '
        '"texts", "size", "backbone", "class" or "weights".',
    "parameters:\n  a: {type: text, least: 1, meaning: A.}\n":
        "2 parameters.a.least: got a bound of type text; expected bounds only of integer, number, integers.",
    "parameters:\n  a: {type: number, least: 1, above: 1, meaning: A.}\n":
        "2 parameters.a.above: got least and above; expected one of the two.",
    "parameters:\n  a: {type: choice, meaning: A.}\n":
        "2 parameters.a.type: got no choices; expected choices with type: choice, and only then.",
    "parameters:\n  a: {type: weights, of: backbone, meaning: A.}\n":
        "2 parameters.a.of: got only one of the two, or another type; expected of and switch together, with type: "
        "weights.",
    "parameters:\n  a: {type: weights, of: backbone, switch: crop, meaning: A.}\n":
        "2 parameters.a.switch: got \"crop\"; expected one of SWITCHES.",
    "methods:\n  a:\n    extends: ssiqa\n    recipes:\n      demo: {epoch: 3}\n":
        '5 methods.a.recipes.demo.epoch: got an unknown parameter; expected "epochs".',
    DATASET.replace("higher_is_better", "up"):
        '5 datasets.mine.direction: got "up"; expected "higher_is_better" or "lower_is_better".',
    DATASET.replace("[0, 100]", "[100, 0]"):
        "4 datasets.mine.scale: got [100, 0]; expected [low, high], two numbers, the low one first.",
    DATASET.replace("[0, 100]", '["0", 1]'):
        '4 datasets.mine.scale: got ["0", 1]; expected [low, high], two numbers, the low one first.',
    DATASET + "    images: many\n": '6 datasets.mine.images: got "many"; expected a whole number.',
    DATASET + "    images: -1\n": "6 datasets.mine.images: got -1; expected at least 0.",
    DATASET + "    rating_statistics: 1\n": "6 datasets.mine.rating_statistics: got 1; expected true or false.",
    DATASET + "    split_as: konik\n": '6 datasets.mine.split_as: got "konik"; expected "koniq".',
    DATASET + "    groups_as: konik\n": '6 datasets.mine.groups_as: got "konik"; expected "koniq".',
    DATASET + "    groups_as: other\n  other: {kind: unlabeled, groups_as: mine}\n":
        "6 datasets.mine.groups_as: got a circle (mine > other > mine); expected a chain that ends at a dataset "
        "without groups_as.",
    DATASET + "    working_size: 512\n": "6 datasets.mine.working_size: got 512; expected a mapping.",
    DATASET + "    subsets:\n      common4:\n        distortions: [jpeg]\n        distortion: [jpeg]\n":
        '8 datasets.mine.subsets.common4.distortions: got an unknown key; expected "distortion".',
    "protocols:\n  p:\n    budget: 1.5\n":
        "3 protocols.p.budget: got 1.5; expected a count (whole number from 1) or a fraction (number with a dot, up to "
        "1.0).",
    "protocols:\n  p:\n    budget: all\n": '3 protocols.p.budget: got "all"; expected a whole number or a number.',
    "protocols:\n  p:\n    split: {rule: file}\n":
        "3 protocols.p.split.file: got nothing; expected a file with rule: file, and only then.",
    "protocols:\n  p:\n    split: {train: 1.5}\n":
        "3 protocols.p.split.train: got 1.5; expected a share between 0 and 1, or with test a count.",
    "protocols:\n  p:\n    split: {reul: random}\n": '3 protocols.p.split.reul: got an unknown key; expected "rule".',
    "protocols:\n  p:\n    tests: [demo-sym]\n":
        '3 protocols.p.tests[0]: got "demo-sym"; expected "demo-syn".',
    "protocols:\n  p:\n    extra_unlabeled: {dataset: nnit, count: 5}\n":
        '3 protocols.p.extra_unlabeled.dataset: got "nnit"; expected "nnid".',
    "protocols:\n  p:\n    extra_unlabeled: {dataset: nnid}\n":
        "3 protocols.p.extra_unlabeled.count: got neither count nor names; expected how many to draw (count), or a "
        "file that names them (names).",
    DATASET + "    subsets: {four-of-mine: {distortion: [a]}}\nprotocols:\n  p:\n    subset: {name: for-of-mine}\n":
        '9 protocols.p.subset.name: got "for-of-mine"; expected "four-of-mine".',
    "backbones:\n  b: {}\n":
        '2 backbones.b: got neither class nor stands_for; expected class: "module:Name", or stands_for: PREFIX:NAME.',
    "backbones:\n  b:\n    stands_for: keras:x\n":
        '3 backbones.b.stands_for: got "keras:x"; expected PREFIX:NAME with timm or torchvision.',
}


@pytest.mark.parametrize("text", ONE_PROBLEM)
def test_one_problem_is_one_line(tmp_path: Path, text: str) -> None:
    switches = sorted(name for name, own in load_registry().parameters.items() if own.type == "boolean")
    expected = ONE_PROBLEM[text].replace("SWITCHES", ", ".join(switches))
    assert problems(tmp_path, text) == [f"mine.yaml:{expected}"]


def test_what_is_set_with_a_broken_declaration_is_not_reported(tmp_path: Path) -> None:
    found = problems(tmp_path, "parameters:\n  own: {type: nummer, meaning: A.}\n" + METHOD + "    params: {own: 1}\n")
    assert len(found) == 1 and found[0].startswith("mine.yaml:2 parameters.own.type:")


def test_a_method_may_mean_something_else_by_a_name(tmp_path: Path) -> None:
    """Its own declaration holds for its variants too, and for nothing else."""
    own = "    parameters: {teacher: {type: integers, meaning: Layers of the teacher.}}\n    params: {teacher: [3]}\n"
    registry = load_registry([write(tmp_path, METHOD + own + "  b: {extends: a, params: {teacher: [4, 5]}}\n")])
    assert registry.resolve_method("b", None, {"teacher": [6]}).params["teacher"] == [6]
    assert registry.resolve_method("b").declared["teacher"].expects == "a list of whole numbers"
    assert registry.resolve_method("simmatch").declared["teacher"].expects == "temporal or ema"


def test_a_users_file_changes_a_declaration_key_by_key(tmp_path: Path) -> None:
    registry = load_registry([write(tmp_path, "parameters:\n  lr: {most: 1000}\n")])
    assert registry.parameters["lr"].expects == "a number above 0, at most 1000"
    assert registry.parameters["lr"].meaning == load_registry().parameters["lr"].meaning


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    found = problems(tmp_path, """\
datasets:
  mine:
    kind: authentik
    scale: [1, 5]
    scale: [1, 5]
    direction: up
    colour: blue
protocols:
  p: {mapping: logistic3, aggregate: mode, repeats: 0}
methods:
  a: {extends: nothing-like-this, aliases: [x]}
  b: {class: "m:C", aliases: [x]}
""")
    assert [line.partition(": got")[0] for line in found] == [
        "mine.yaml:3 datasets.mine.kind",
        "mine.yaml:5 datasets.mine.scale",
        "mine.yaml:6 datasets.mine.direction",
        "mine.yaml:7 datasets.mine.colour",
        "mine.yaml:9 protocols.p.repeats",
        "mine.yaml:9 protocols.p.aggregate",
        "mine.yaml:9 protocols.p.mapping",
        "mine.yaml:11 methods.a.extends",
        "mine.yaml:12 methods.b.aliases[0]",
    ]


def test_a_missing_field_has_the_line_of_its_entry(tmp_path: Path) -> None:
    found = problems(tmp_path, "datasets:\n  other:\n    kind: unlabeled\n  mine:\n    kind: authentic\n")
    assert found == [
        "mine.yaml:4 datasets.mine.scale: got nothing; expected [low, high], the nominal ends of the score scale.",
        'mine.yaml:4 datasets.mine.direction: got nothing; expected "higher_is_better" or "lower_is_better".',
    ]


def test_a_circle_is_told_once_and_its_variants_are_not_blamed(tmp_path: Path) -> None:
    found = problems(tmp_path, "methods:\n  c: {extends: b}\n  a: {extends: b}\n  b: {extends: a}\n")
    assert found == [
        "mine.yaml:3 methods.a.extends: got a circle (a > b > a); expected a chain that ends at a method with a class."
    ]


def test_what_extends_a_broken_entry_is_not_reported(tmp_path: Path) -> None:
    found = problems(tmp_path, "methods:\n  a: {class: wrong}\n  b: {extends: a}\n")
    assert len(found) == 1
    assert found[0].startswith("mine.yaml:2 methods.a.class:")


def test_a_users_entry_is_merged_key_by_key(tmp_path: Path) -> None:
    plain = load_registry()
    file = write(tmp_path, "methods:\n  ssiqa:\n    about: {title: Ours}\n    params: {k1: 7}\n"
                           "    recipes: {demo: {k2: 9}}\n")
    merged = load_registry([file])
    before, after = plain.method("ssiqa"), merged.method("ssiqa")
    assert after.about.title == "Ours"
    assert after.about.description == before.about.description
    assert after.params == {**before.params, "k1": 7}
    assert after.recipes["demo"] == {**before.recipes["demo"], "k2": 9}
    assert after.recipes["check"] == before.recipes["check"]
    packaged, = plain.sources["methods"]["ssiqa"]
    assert merged.sources["methods"]["ssiqa"] == (packaged, f"{file}:2")


def test_files_are_merged_in_the_order_given(tmp_path: Path) -> None:
    first = write(tmp_path, "protocols:\n  standard: {repeats: 3, aggregate: median}\n", "first.yaml")
    second = write(tmp_path, "protocols:\n  standard: {repeats: 4}\n", "second.yaml")
    protocol = load_registry([first, second]).protocol("standard")
    assert (protocol.repeats, protocol.aggregate) == (4, "median")
    assert load_registry([second, first]).protocol("standard").repeats == 3


def test_paths_of_a_users_file_are_relative_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    home = tmp_path / "home"
    home.mkdir()
    write(home, DATASET + "    options: {labels: my.csv, images: photos, separator: ;}\n"
                "  with-folder:\n    folder: ../pictures\n    kind: unlabeled\n"
                "  demo-wild: {options: {labels: /other/labels.csv}}\n"
                "  koniq: {options: {images: 1024x768}}\n"
                "  my-koniq:\n    kind: unlabeled\n    reader: ssliqa_bench.datasets.readers.koniq:read_koniq\n"
                "    options: {images: 512x384}\n"
                "protocols:\n  fixed: {split: {rule: file, file: split.csv}}\n"
                "  night: {extra_unlabeled: {dataset: nnid, names: night.csv}}\n")
    (home / "split.csv").write_text("image,role\n")
    monkeypatch.chdir(home)
    registry = load_registry([Path("mine.yaml")])
    monkeypatch.chdir(tmp_path / "elsewhere")
    mine = registry.dataset("mine")
    assert Path(mine.folder).resolve() == home
    assert mine.options == {"labels": str(home / "my.csv"), "images": str(home / "photos"), "separator": ";"}
    assert Path(registry.dataset("with-folder").folder).resolve() == tmp_path / "pictures"
    # An entry that only changes a packaged one keeps its place below the data root.
    assert registry.dataset("demo-wild").folder == "demo-wild"
    assert registry.dataset("demo-wild").options == {"labels": "/other/labels.csv"}
    # What readers of official folders call `images` is a choice, not a path.
    assert registry.dataset("koniq").options == {"images": "1024x768"}
    assert registry.dataset("my-koniq").options == {"images": "512x384"}
    assert registry.protocol("night").extra_unlabeled.names == str(home / "night.csv")  # type: ignore[union-attr]
    assert registry.protocol("fixed").split.file == str(home / "split.csv")
    assert registry.search_folders == (home,)


def test_what_a_dataset_leaves_out(tmp_path: Path) -> None:
    registry = load_registry([write(tmp_path, DATASET + "  pool: {kind: unlabeled}\n")])
    mine, pool = registry.dataset("mine"), registry.dataset("pool")
    assert (mine.valid_range, mine.recipe, mine.labels_redistributable) == ((0.0, 100.0), ("paper",), False)
    assert mine.about.title == "mine"
    assert (pool.scale, pool.higher_is_better) == ((0.0, 1.0), True)


FAMILY = """\
methods:
  leaf: {extends: middle, about: {title: Leaf}}
  middle: {extends: root, about: {family: own, trained_on: [live]}}
  root:
    class: "m:C"
    about: {title: Root, description: first, citation: "@misc{a}", family: roots, trained_on: []}
    params: {lr: 0.1, epochs: 3}
    variants:
      short:
        title: Short
        like: bare
        set: {epochs: 1}
        variants:
          shorter: {title: Shorter, unlabeled_role: labeled, set: {lr: 0.2}, recipes: {demo: {epochs: 2}}}
  bare: {class: "m:C"}
"""


def test_who_extends_a_method_is_neither_its_paper_nor_its_weights(tmp_path: Path) -> None:
    registry = load_registry([write(tmp_path, FAMILY)])
    leaf = registry.method("leaf").about
    assert (leaf.title, leaf.family, leaf.citation, leaf.description) == ("Leaf", "own", "", "")
    assert leaf.trained_on == "unknown"
    assert registry.method("middle").about.trained_on == ("live",)
    assert registry.method("bare").about.trained_on == "unknown"


def test_a_variant_is_its_parent_with_other_parameters(tmp_path: Path) -> None:
    registry = load_registry([write(tmp_path, FAMILY)])
    for name, title in (("short", "Short"), ("shorter", "Shorter")):
        about = registry.method(name).about
        assert (about.title, about.description, about.family) == (title, "", "roots")
        assert (about.citation, about.trained_on) == ("@misc{a}", ())
    short, shorter = registry.method("short"), registry.method("shorter")
    assert (short.extends, short.like, shorter.extends, shorter.like) == ("root", "bare", "short", None)
    assert registry.resolve_method("short", None).params == {"lr": 0.1, "epochs": 1}
    assert registry.resolve_method("shorter", "demo").params == {"lr": 0.2, "epochs": 2}
    assert registry.resolve_method("shorter", "demo").unlabeled_role == "labeled"
    line = FAMILY.splitlines().index("      short:") + 1
    assert registry.sources["methods"]["short"] == (f"{tmp_path / 'mine.yaml'}:{line}",)


def test_a_variant_of_a_packaged_method_has_its_paper(tmp_path: Path) -> None:
    registry = load_registry([write(tmp_path, "methods: {ssiqa: {variants: {mine: {set: {k1: 3}}}}}\n")])
    assert registry.method("mine").about.citation == registry.method("ssiqa").about.citation != ""
    parent, own = (registry.resolve_method(name, "demo").params for name in ("ssiqa", "mine"))
    assert own == {**parent, "k1": 3}


def test_a_citation_may_be_the_key_of_a_packaged_reference(tmp_path: Path) -> None:
    registry = load_registry([write(tmp_path, 'methods: {a: {class: "m:C", about: {citation: pan2024ssiqa}}}\n')])
    assert registry.method("a").about.citation == registry.method("ssiqa").about.citation


def test_a_citation_that_resembles_no_packaged_reference_is_taken_as_it_is_written(tmp_path: Path) -> None:
    registry = load_registry([write(tmp_path, 'methods: {a: {class: "m:C", about: {citation: c}}}\n')])
    assert registry.method("a").about.citation == "c"


def test_aliases_lead_to_canonical_names(tmp_path: Path) -> None:
    registry = load_registry([write(tmp_path, DATASET + "    aliases: [mine10k]\n"
                                    "protocols:\n  p: {tests: [mine10k]}\n")])
    assert registry.dataset("mine10k").name == "mine"
    assert str(registry.pair("mine10k:demo-syn")) == "mine:demo-syn"
    assert registry.protocol("p").tests == ("mine",)


def test_a_missing_file_and_a_second_copy(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"absent\.yaml: no such file"):
        load_registry([tmp_path / "absent.yaml"])
    file = write(tmp_path, DATASET)
    assert load_registry([file, file]).dataset("mine").name == "mine"


def test_reading_the_registry_imports_nothing_heavy(tmp_path: Path) -> None:
    """From a folder without any of the project's files, as an installed package would."""
    script = (
        "import sys; from ssliqa_bench.registry.load import load_registry;"
        "r = load_registry(); r.resolve_method('ssiqa', 'demo'); r.resolve_backbone('timm:x');"
        "print(sorted({'numpy', 'pandas', 'scipy', 'torch', 'timm', 'pyiqa'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60,
                          env={**os.environ, "PYTHONPATH": str(root)})
    assert done.stdout.strip() == "[]", done.stderr


def test_a_chain_of_groups_ends_at_its_root(tmp_path: Path) -> None:
    registry = load_registry([write(tmp_path, "datasets:\n  a: {kind: unlabeled, groups_as: b}\n"
                                              "  b: {kind: unlabeled, split_as: c}\n  c: {kind: unlabeled}\n")])
    assert [registry.dataset(name).groups_as for name in "abc"] == ["c", "c", None]
    assert registry.datasets["a"].groups_as == "b", "the entry says what its file says"
