"""Suites: order and number of runs, canonical names, problems with their lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssliqa_bench.errors import InputError, RegistryError
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.lookup import Registry
from ssliqa_bench.registry.suite import load_runs, load_suite, packaged_suites
from ssliqa_bench.specs import Pair, RunSpec


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry()


def write(folder: Path, text: str) -> Path:
    file = folder / "own.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_order_is_methods_then_pairs_budgets_and_seeds(tmp_path: Path, registry: Registry) -> None:
    suite = load_suite(write(tmp_path, """\
title: Own
description: two blocks
runs:
  - methods: [ssiqa, piqe]
    pairs: [demo-syn:demo-wild, demo-wild:demo-syn]
    seeds: [7, 3]
    budgets: [null, 0.5]
  - methods: [supervised]
    pairs: [demo-syn]
    seeds: 2
    unlabeled_budgets: [10]
    recipe: check
    tests: [demo-wild]
"""), registry)
    assert (suite.name, suite.title, suite.description) == ("own", "Own", "two blocks")
    there, back = Pair("demo-syn", "demo-wild"), Pair("demo-wild", "demo-syn")
    expected = [
        RunSpec(method, pair, "standard", seed, budget=budget)
        for method in ("ssiqa", "piqe") for pair in (there, back) for budget in (None, 0.5) for seed in (7, 3)
    ]
    expected += [
        RunSpec("supervised", Pair("demo-syn"), "standard", seed, "check", (), None, 10, ("demo-wild",))
        for seed in (0, 1)
    ]
    assert list(suite.runs) == expected


def test_seeds_default_to_the_protocols_repeats_and_can_be_replaced(tmp_path: Path, registry: Registry) -> None:
    file = write(tmp_path, "title: t\nruns:\n  - {methods: [piqe], pairs: [demo-syn]}\n")
    repeats = registry.protocol("standard").repeats
    assert [run.seed for run in load_suite(file, registry).runs] == list(range(repeats))
    assert [run.seed for run in load_suite(file, registry, seeds=[100, 101]).runs] == [100, 101]


def test_set_is_checked_against_every_method_and_typed_as_it_is(tmp_path: Path, registry: Registry) -> None:
    block = "title: t\nruns:\n  - {methods: [supervised, ssiqa], pairs: [demo-syn], seeds: 1, set: {k1: 3, lr: 1}}\n"
    with pytest.raises(RegistryError) as caught:
        load_suite(write(tmp_path, block), registry)
    assert str(caught.value).startswith(
        f'{tmp_path}/own.yaml:3 runs[0].methods[0]: Unknown parameter "k1" of supervised.'
    )
    runs = load_suite(write(tmp_path, block.replace("supervised, ", "")), registry).runs
    assert [run.overrides for run in runs] == [(("k1", 3), ("lr", 1.0))]
    assert isinstance(dict(runs[0].overrides)["lr"], float)


def test_a_run_named_by_two_blocks_is_planned_once(tmp_path: Path, registry: Registry) -> None:
    suite = load_suite(write(tmp_path, """\
title: t
runs:
  - {methods: [piqe, ssiqa], pairs: [demo-syn], seeds: 2}
  - {methods: [ssiqa, oracle], pairs: [demo-syn], seeds: [1, 2]}
  - {methods: [ssiqa], pairs: [demo-syn], seeds: [1], set: {k1: 9}}
"""), registry)
    assert [(run.method, run.seed, run.overrides) for run in suite.runs] == [
        ("piqe", 0, ()), ("piqe", 1, ()), ("ssiqa", 0, ()), ("ssiqa", 1, ()), ("ssiqa", 2, ()),
        ("oracle", 1, ()), ("oracle", 2, ()), ("ssiqa", 1, (("k1", 9),)),
    ]  # fmt: skip


def test_runs_of_several_suites_are_there_once_where_they_come_first(tmp_path: Path, registry: Registry) -> None:
    files = []
    for name, block in (("a", "methods: [piqe, ssiqa], seeds: 2"), ("b", "methods: [ssiqa, oracle], seeds: [1, 2]")):
        files.append(tmp_path / f"{name}.yaml")
        files[-1].write_text(f"title: t\nruns:\n  - {{{block}, pairs: [demo-syn]}}\n")
    found = [(run.method, run.seed) for run in load_runs(files, registry)]
    assert found == [("piqe", 0), ("piqe", 1), ("ssiqa", 0), ("ssiqa", 1), ("ssiqa", 2), ("oracle", 1), ("oracle", 2)]
    assert load_runs(files[:1], registry) == load_suite(files[0], registry).runs
    assert len(load_runs(files, registry, seeds=[7])) == 3
    with pytest.raises(InputError, match='Unknown suite "nothing"'):
        load_runs([files[0], "nothing"], registry)


def test_aliases_do_not_reach_a_run(tmp_path: Path) -> None:
    user = tmp_path / "user.yaml"
    user.write_text("datasets:\n  demo-syn: {aliases: [syn]}\nmethods:\n  ssiqa: {aliases: [ss-iqa]}\n")
    file = write(tmp_path, "title: t\nruns:\n  - {methods: [ss-iqa], pairs: ['syn:syn'], tests: [syn], seeds: 1}\n")
    run, = load_suite(file, load_registry([user])).runs
    assert (run.method, str(run.pair), run.tests) == ("ssiqa", "demo-syn:demo-syn", ("demo-syn",))


def test_all_problems_are_told_at_once_with_lines(tmp_path: Path, registry: Registry) -> None:
    file = write(tmp_path, """\
title: t
runs:
  - methods: [ssiqa,
              ridge-prob]
    pairs: [demo-syn:demo-sild, "a:b:c"]
    tests: [nowhere]
    protocol: standart
  - methods: [piqe]
    pairs: [demo-syn]
    recipe: papr
""")
    with pytest.raises(RegistryError) as caught:
        load_suite(file, registry)
    lines = str(caught.value).replace(f"{tmp_path}/", "").splitlines()
    assert lines[0] == "6 problems in the suite:"
    assert [line.partition(": ")[0] for line in lines[1:]] == [
        "own.yaml:4 runs[0].methods[1]", "own.yaml:5 runs[0].pairs[0]", "own.yaml:5 runs[0].pairs[1]",
        "own.yaml:6 runs[0].tests[0]", "own.yaml:7 runs[0].protocol", "own.yaml:8 runs[1].methods[0]",
    ]  # fmt: skip
    assert "Did you mean 'ridge-probe'?" in lines[1]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- a\n", "own.yaml:1: got [\"a\"]; expected a mapping with title and runs."),
        ("title: t\n", "own.yaml:1 runs: got nothing; expected a value."),
        ("title: t\nruns: []\n", "own.yaml:2 runs: got []; expected a list that is not empty."),
        ("title: t\nruns:\n  - {methods: [], pairs: [a]}\n",
         "own.yaml:3 runs[0].methods: got []; expected a list that is not empty."),
        ("title: t\nruns:\n  - {method: [], methods: [a], pairs: [a]}\n",
         'own.yaml:3 runs[0].method: got an unknown key; expected "methods".'),
        ("title: t\nruns:\n  - {methods: [piqe], pairs: [demo-syn], seeds: 0}\n",
         "own.yaml:3 runs[0].seeds: got 0; expected at least 1 or a list."),
        ("title: t\nruns:\n  - {methods: [piqe], pairs: [demo-syn], seeds: [1, -1]}\n",
         "own.yaml:3 runs[0].seeds[1]: got -1; expected at least 0."),
    ],
)
def test_a_suite_of_another_form(tmp_path: Path, registry: Registry, text: str, problem: str) -> None:
    with pytest.raises(RegistryError) as caught:
        load_suite(write(tmp_path, text), registry)
    assert str(caught.value).replace(f"{tmp_path}/", "") == problem


def test_packaged_suites_go_by_their_bare_name(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "demo" in packaged_suites()
    assert load_suite("demo", registry).file == "benchmarks/demo.yaml"
    with pytest.raises(InputError, match=r'Unknown suite "dmo"\. Did you mean \'demo\'\? "ssliqa-bench list suites"'):
        load_suite("dmo", registry)
    with pytest.raises(RegistryError, match=r"demo\.yaml: no such file"):
        load_suite("demo.yaml", registry)


@pytest.mark.parametrize(("suite", "method", "pair", "protocol"), [
    *(("ssiqa_tables", "pyiqa:ilniqe", pair, "ssiqa") for pair in ("live:csiq", "kadid:tid2013", "livefb:spaq")),
    *(("ssliqa_tables", "niqe", "koniq-1to5:koniq-1to5", protocol) for protocol in ("ssliqa", "ssliqa-cross")),
    # SS-IQA's row on LIVE Challenge stands on the board of SSLIQA: same pair, same protocol.
    ("ssiqa_tables", "ssiqa", "koniq-1to5:koniq-1to5", "ssliqa-cross"),
    ("ssliqa_tables", "ssliqa", "koniq-1to5:koniq-1to5", "ssliqa-cross"),
])  # fmt: skip
def test_suites_of_papers_hold_the_rows_of_their_tables(
    registry: Registry, suite: str, method: str, pair: str, protocol: str
) -> None:
    specs = load_suite(suite, registry, seeds=[0]).runs
    assert any((spec.method, str(spec.pair), spec.protocol) == (method, pair, protocol) for spec in specs)
