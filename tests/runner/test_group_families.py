"""Pairs of datasets whose groups carry the same names: what is left unused is told wherever roles are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from tests.conftest import Bench

TOLD = "8 images of tiny-b are unused: their groups are in the test or validation part of tiny-a"


def same_scenes(bench: Bench) -> None:
    """Say that the scenes of tiny-b are those of tiny-a, and take the scores of tiny-b away."""
    path = bench.data / "registry.yaml"
    content = yaml.safe_load(path.read_text())
    content["datasets"]["tiny-b"].update(groups_as="tiny-a", kind="unlabeled", options={"unlabeled": True})
    path.write_text(yaml.safe_dump(content))
    labels = bench.data / "tiny-b" / "labels.csv"
    rows = [line.split(",") for line in labels.read_text().splitlines()]
    labels.write_text("\n".join(",".join([row[0], row[1] if k == 0 else "", *row[2:]]) for k, row in enumerate(rows)))


def test_what_a_pair_leaves_out_is_told(own_bench: Bench) -> None:
    same_scenes(own_bench)
    planned = own_bench.run("supervised", "--dry-run")
    assert planned["notes"] == [TOLD]
    assert planned["roles"]["tiny-b"] == {"unlabeled": 16, "unused": 8}
    entry = own_bench.run("supervised")
    assert TOLD in own_bench.facts(entry["key"])["notes"]


def test_a_test_on_the_same_scenes_is_a_leak(own_bench: Bench) -> None:
    path = own_bench.data / "registry.yaml"
    content = yaml.safe_load(path.read_text())
    content["datasets"]["tiny-c"]["groups_as"] = "tiny-a"
    path.write_text(yaml.safe_dump(content))
    code, err = own_bench.fails("supervised", "--test", "tiny-c")
    assert code == 2 and "tiny-c: 4 groups are in its test part and in labeled of tiny-a" in err
    assert "--allow-leak" in err
    assert json.loads(own_bench("run", "--method", "supervised", "--pair", "tiny-a:tiny-b", "--test", "tiny-c",
                                "--allow-leak", "seen before", "--json")[1])["runs"][0]["status"] == "done"  # fmt: skip


def test_extra_unlabeled_images_run_and_are_recorded(own_bench: Bench) -> None:
    (own_bench.store.parent / "named.csv").write_text("image\n00.png\n01.png\n10.png\n")
    file = own_bench.registry({"protocols": {
        "night": {"extra_unlabeled": {"dataset": "tiny-c", "count": 8}},
        "named": {"extra_unlabeled": {"dataset": "tiny-c", "names": "named.csv"}, "tests": ["tiny-c"]},
        "both": {"extra_unlabeled": {"dataset": "tiny-c", "count": 8}, "transductive": True},
    }})  # fmt: skip
    words = ("--registry", str(file), "--protocol")
    for protocol, roles, recorded in (
        ("night", {"test": 16, "unlabeled": 8}, {"dataset": "tiny-c", "count": 8, "names": None}),
        ("named", {"test": 16, "unlabeled": 3, "unused": 5},
         {"dataset": "tiny-c", "count": None, "names": "named.csv"}),
        ("both", {"test": 24}, {"dataset": "tiny-c", "count": 8, "names": None}),
    ):
        entry = own_bench.run("ssiqa", *words, protocol)
        facts = own_bench.facts(entry["key"])
        assert facts["datasets"]["tiny-c"]["roles"] == roles and facts["protocol"]["extra_unlabeled"] == recorded
        assert entry["metrics"]["tiny-c"]["side"] == "external" and entry["metrics"]["tiny-c"]["n"] == roles["test"]
        assert own_bench.run("ssiqa", *words, protocol)["status"] == "cached"
    assert own_bench.facts(own_bench.run("supervised")["key"])["protocol"]["extra_unlabeled"] is None
    code, out, err = own_bench("store", "verify", "--registry", str(own_bench.data / "registry.yaml"),
                               "--registry", str(file))  # fmt: skip
    assert code == 0, (out, err)
