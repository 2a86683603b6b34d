"""`list` and `show`, through the command line in process."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ssliqa_bench.cli.app import main
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.suite import load_suite, packaged_suites


def output(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(words) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    return printed.out


def document(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    return json.loads(output(capsys, *words, "--json"))


@pytest.mark.parametrize("kind", ["datasets", "protocols", "backbones", "suites"])
def test_list_names_every_entry_once_in_the_order_of_the_file(capsys: pytest.CaptureFixture[str], kind: str) -> None:
    names = list(packaged_suites() if kind == "suites" else getattr(load_registry(), kind))
    lines = output(capsys, "list", kind).splitlines()
    assert lines[0].split()[0] == "name"
    assert [line.split()[0].removesuffix(":NAME") for line in lines[1:]] == names
    found = document(capsys, "list", kind)
    assert list(found) == [kind]
    assert [entry["name"] for entry in found[kind]] == names
    assert {entry["entry"] for entry in found[kind]} == {kind[:-1]}


def test_methods_are_listed_by_family_with_their_variants_folded(capsys: pytest.CaptureFixture[str]) -> None:
    registry = load_registry()
    text, whole = output(capsys, "list", "methods"), output(capsys, "list", "methods", "--all")
    named = {line.split()[0].removesuffix(":NAME"): line for line in text.splitlines() if re.match("  [a-z]", line)}
    assert set(named) == set(registry.methods) - registry.variants
    assert "(+16 variants)" in named["ssiqa"]
    assert f"{len(registry.variants)} variants: ssliqa-bench list methods --all" in text
    families = {entry.about.family for entry in registry.methods.values()}
    assert families == {line for line in text.splitlines()[:-1] if re.match("[a-z]", line)}
    found = re.findall(r"^ {2,4}([a-z][\w.-]*)", whole, re.MULTILINE)
    assert sorted(found) == sorted(registry.methods)
    assert whole.index("\n    ssiqa-il ") > whole.index("\n  ssiqa ")
    assert max(map(len, whole.splitlines())) <= 80
    everything = document(capsys, "list", "methods")["methods"]
    assert [entry["name"] for entry in everything] == list(registry.methods)


def test_list_of_something_else_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "method"]) == 2
    assert "methods" in capsys.readouterr().err


def test_show_a_method(capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys, "show", "ssiqa")
    for words in ("ssiqa  (method)", "supervised, ssiqa", "supervised-long", "@inproceedings{pan2024ssiqa,"):
        assert words in text
    row = next(line.split() for line in text.splitlines() if line.startswith("k1 "))
    registry = load_registry()
    assert row[:5] == ["k1", "100", "5", "5", "1"]  # paper, demo, check, frozen, and what begins with frozen
    assert row[1:] == [str(registry.resolve_method("ssiqa", name).params["k1"]) for name in registry.recipes("ssiqa")]
    entry, protocol = document(capsys, "show", "ssiqa")["entries"]
    assert protocol["repeats"] == 10, "a paper's protocol has the name of its method"
    assert entry["chain"] == ["supervised", "ssiqa"]
    assert entry["comparators"] == ["supervised-long", "oracle"]
    assert entry["parameters"]["demo"] == load_registry().resolve_method("ssiqa", "demo").params
    assert entry["files"][0].startswith("registry.yaml:")
    assert "origins" not in entry


def test_show_params_tells_what_sets_each_value(capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys, "show", "ssiqa-krr", "--params")
    demo = text.split("\n\nrecipe demo\n")[1].split("\n\nrecipe ")[0]
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in demo.splitlines()[1:] if line}
    assert rows["k1"] == "0 ssiqa-krr"
    assert rows["phase_lr"] == "0.0003 ssiqa, recipe demo"
    assert rows["lr_factor"] == "0.1 supervised"
    entry, = document(capsys, "show", "ssiqa-krr", "--params")["entries"]
    assert entry["origins"]["demo"]["backbone"] == "supervised, recipe demo"
    assert entry["origins"]["demo"].keys() == entry["parameters"]["demo"].keys()


def test_show_params_counts_the_networks(capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys, "show", "ssliqa", "--params")
    paper = text.split("\n\nrecipe paper\n")[1].split("\n\nrecipe ")[0]
    lines = [" ".join(line.split()) for line in paper.splitlines()]
    assert lines[-5:] == [
        "network parameters rounded",
        "student 2,470,981 2.5 M",
        "teacher 45,255,749 45.3 M",
        "together 47,726,730 47.8 M",
        "student / teacher 5.52%",
    ]
    entry = document(capsys, "show", "ssliqa", "--params")["entries"][0]
    assert entry["networks"]["paper"] == {"student": 2_470_981, "teacher": 45_255_749}
    assert "networks" not in document(capsys, "show", "ssliqa")["entries"][0]
    assert "rounded" not in output(capsys, "show", "piqe", "--params")  # a metric has no network of ours


def test_networks_that_cannot_be_made_are_said_in_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("methods:\n  mine: {extends: ssliqa, params: {teacher_backbone: 'timm:test_vit'}}\n")
    text = output(capsys, "show", "mine", "--params", "--registry", str(file))
    assert 'networks not counted: Backbone "timm:test_vit"' in text and "labeled_batch" in text


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("demo-syn", ["demo-syn  (dataset)", "525", "registry.yaml:"]),
        ("standard", ["standard  (protocol)", "logistic4"]),
        ("demo", ["demo  (suite)", "benchmarks/demo.yaml", str(len(load_suite("demo", load_registry()).runs))]),
        ("timm", ["timm:NAME  (backbone)"]),
        ("deit3-small", ["deit3-small  (backbone)", "timm:deit3_small_patch16_224.fb_in1k", "Apache-2.0"]),
        ("timm:deit3_small_patch16_224.fb_in1k", ["DeiT III", "224"]),
        ("timm:resnet18", ["timm:resnet18  (backbone)", "name: resnet18"]),
        ("ssiqa-k2-20", ["ssiqa-k1-20  (method)"]),
    ],
)
def test_show_every_kind(capsys: pytest.CaptureFixture[str], name: str, words: list[str]) -> None:
    text = output(capsys, "show", name)
    assert [word for word in words if word not in text] == []
    assert len(document(capsys, "show", name)["entries"]) == 1


def test_show_an_unknown_name_hints_over_all_kinds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "demo-wilt"]) == 2
    error = capsys.readouterr().err
    assert error.startswith('Error: Unknown name "demo-wilt". Did you mean "demo-wild" (dataset)')
    assert error.count("\n") == 1
    assert main(["show", "suprvised"]) == 2
    assert '"supervised" (method)' in capsys.readouterr().err


def test_a_users_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("methods:\n  mine: {extends: ssiqa, params: {k1: 3}}\n  piqe: {about: {title: Mine}}\n"
                    "protocols:\n  piqe: {repeats: 2}\n")
    words = ("--registry", str(file))
    assert "mine" in [entry["name"] for entry in document(capsys, "list", "methods", *words)["methods"]]
    method, protocol = document(capsys, "show", "piqe", *words)["entries"]
    assert (method["entry"], method["about"]["title"]) == ("method", "Mine")
    assert len(method["files"]) == 2
    assert method["files"][1] == f"{file}:3"
    assert (protocol["entry"], protocol["repeats"]) == ("protocol", 2)
    text = output(capsys, "show", "piqe", *words)
    assert "piqe  (method)" in text
    assert "piqe  (protocol)" in text


def test_a_users_file_with_problems(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("methods:\n  mine: {extends: ssiqa, params: {k_1: 3}, lik: ssiqa}\n")
    assert main(["list", "methods", "--registry", str(file)]) == 2
    assert f'Error: {file}:2 methods.mine.lik: got an unknown key; expected "like"' in capsys.readouterr().err


def test_a_method_by_its_prefix(capsys: pytest.CaptureFixture[str]) -> None:
    (entry,) = document(capsys, "show", "pyiqa:lpips-vgg+")["entries"]
    assert entry["entry"] == "method" and entry["name"] == "pyiqa:lpips-vgg+" and entry["prefix"] is None
    assert entry["parameters"] == {"default": {"metric": "lpips-vgg+", "weights_file": None}}
    assert output(capsys, "show", "pyiqa").startswith("pyiqa:NAME  (method)")
    assert "pyiqa:NAME" in output(capsys, "list", "methods")
    assert main(["show", "pyiqa:"]) == 2
    assert "pyiqa stands for all methods pyiqa:NAME" in capsys.readouterr().err


def test_methods_with_a_recipe_are_listed_alone(capsys: pytest.CaptureFixture[str]) -> None:
    registry = load_registry()
    expected = [name for name in registry.methods if name != "pyiqa" and "frozen" in registry.recipes(name)]
    found = document(capsys, "list", "methods", "--recipe", "frozen")["methods"]
    assert [entry["name"] for entry in found] == expected and "noisy-student" not in expected
    text = output(capsys, "list", "methods", "--recipe", "frozen")
    assert sorted(re.findall(r"^  ([a-z]\S*)", text, re.MULTILINE)) == sorted(expected) and "variants" not in text
    assert main(["list", "methods", "--recipe", "none-of-these"]) == 2
    assert main(["list", "datasets", "--recipe", "frozen"]) == 2
    assert "only methods have recipes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("method", "who"),
    [
        ("noisy-student", "a learner that must train the network itself"),
        ("ssliqa", "a learner that must train the network itself"),
        ("brisque", "a metric, which trains nothing,"),
        ("pyiqa:niqe", "a metric, which trains nothing,"),
    ],
)
def test_what_is_said_where_a_method_has_no_recipe_for_frozen_features(
    method: str, who: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the recipe does, and nothing about a learner: a registry does not state why an entry lacks it."""
    assert main(["run", "--method", method, "--pair", "demo-syn:demo-wild", "--recipe", "frozen", "--dry-run"]) == 2
    said = capsys.readouterr().err
    assert f'{method} has no recipe "frozen". This recipe trains a head on stored features of a network that' in said
    assert f"as it is; {who} has none." in said and f"{method} trains" not in said
    (command,) = re.findall(r'"ssliqa-bench (list methods --recipe frozen)" shows the \d+ methods', said)
    assert "\n  supervised " in output(capsys, *command.split())


def test_a_recipe_of_other_methods_is_told_without_that_reason(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", "--method", "ucvme", "--pair", "demo-syn:demo-wild", "--recipe", "frozen/last-stages"]
    assert main([*words, "--dry-run"]) == 2
    said = capsys.readouterr().err
    assert 'ucvme has no recipe "frozen/last-stages". "ssliqa-bench list methods --recipe frozen/last-stages"' in said
