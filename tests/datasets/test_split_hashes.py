"""The released hashes are those of the splits that the real name lists give, and splits have their published sizes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from ssliqa_bench.datasets.classes import classes_of
from ssliqa_bench.datasets.splits import assign_roles
from ssliqa_bench.datasets.table import Table
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.schema import ClassFields
from ssliqa_bench.specs import Pair
from tests.datasets.annotated import annotated_tables, split_hashes
from tests.datasets.annotations import needs_annotations

HASHES = Path(__file__).parents[2] / "benchmarks" / "split_hashes.csv"
pytestmark = needs_annotations


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Table]:
    return annotated_tables(tmp_path_factory.mktemp("annotated"))


@pytest.mark.timeout(900)
@pytest.mark.slow  # every protocol, pair and seed: four minutes
def test_released_hashes(tables: dict[str, Table]) -> None:
    assert HASHES.read_text().splitlines() == list(split_hashes(tables))


@pytest.mark.parametrize(
    ("protocol", "pair", "sizes"),
    [
        ("official", "koniq", {"labeled": 7058, "validation": 1000, "test": 2015}),
        ("ssliqa", "koniq:koniq", {"labeled": 2000, "unlabeled": 6000, "test": 2000, "unused": 73}),
        ("ntire2022", "pipal", {"labeled": 180 * 116, "test": 20 * 116, "unused": 1000}),
        ("pipal-train", "pipal", {"labeled": 162 * 116, "validation": 18 * 116, "test": 20 * 116, "unused": 1000}),
        # of classes of 76, 1379, 5150 and 3468 images, each 10 % (rounded up) tested, as many held out
        ("koka10k", "koka10k:koka10k", {"labeled": 8057, "validation": 1008, "test": 1008, "unlabeled": 140_000}),
        ("ssiqa", "koniq", {"labeled": 8058, "test": 2015}),
    ],
)
def test_sizes(tables: dict[str, Table], protocol: str, pair: str, sizes: dict[str, int]) -> None:
    registry = load_registry()
    sides = Pair.parse(pair)
    for seed in range(3):
        roles = assign_roles(sides, {sides.labeled: tables[sides.labeled]}, registry.protocol(protocol), seed)
        assert Counter(roles[sides.labeled]) == sizes


def test_both_copies_of_a_picture_fall_on_one_side(tables: dict[str, Table]) -> None:
    """Four fifths of the 1,161 groups are trained on; the pair of equal pictures makes one side larger by one."""
    table = tables["livec"]
    for seed in range(6):
        roles = assign_roles(Pair.parse("livec"), {"livec": table}, load_registry().protocol("ssiqa"), seed)["livec"]
        pair = {roles[table.name.index(name)] for name in ("246.bmp", "333.bmp")}
        assert len(pair) == 1
        assert Counter(roles) == {"labeled": 928 + (pair == {"labeled"}), "test": 233 + (pair == {"test"})}


def test_classes_of_koka10k(tables: dict[str, Table]) -> None:
    """Counts in the whole by both rules, and in the test part by the protocol's."""
    table, protocol = tables["koka10k"], load_registry().protocol("koka10k")
    whole = {rule: classes_of(table, ClassFields(rule=rule)) for rule in ("modal", "equal_width")}
    counts = {rule: np.bincount(own[own >= 0], minlength=5).tolist() for rule, own in whole.items()}
    assert counts == {"modal": [76, 1379, 5150, 3468, 0], "equal_width": [183, 1189, 3081, 5408, 212]}
    for seed in range(3):
        roles = assign_roles(Pair("koka10k", "koka10k"), {"koka10k": table}, protocol, seed)["koka10k"]
        tested = whole["modal"][np.array(roles) == "test"]
        assert np.bincount(tested, minlength=5).tolist() == [8, 138, 515, 347, 0]


def test_the_starred_columns_test_the_four_common_distortions(tables: dict[str, Table]) -> None:
    registry = load_registry()
    for pair, kinds in (("live:csiq", 4), ("tid2013:kadid", 4), ("kadid:tid2013", 4), ("csiq:live", 5)):
        sides = registry.pair(pair)
        own = {name: tables[name] for name in sides.datasets}
        roles = assign_roles(sides, own, registry.protocol("ssiqa"), 0)
        unlabeled = own[str(sides.unlabeled)]
        assert unlabeled.distortion is not None
        tested = {d for d, role in zip(unlabeled.distortion, roles[unlabeled.dataset], strict=True) if role == "test"}
        trained = {d for d, role in zip(unlabeled.distortion, roles[unlabeled.dataset], strict=True)
                   if role == "unlabeled"}  # fmt: skip
        assert len(tested) == kinds and len(trained) == len(set(unlabeled.distortion))


def test_pipal_is_tested_on_the_published_validation_references(tables: dict[str, Table]) -> None:
    roles = assign_roles(Pair("pipal"), {"pipal": tables["pipal"]}, load_registry().protocol("pipal"), 0)
    counts = Counter(roles["pipal"])
    assert counts["test"] == 1000 and counts["labeled"] + counts["validation"] + counts["unused"] == 23200
    assert counts["validation"] == pytest.approx(2320, abs=116)


def test_ntire2022_is_the_split_of_the_authors_code(tables: dict[str, Table]) -> None:
    """180 and 20 references, cut in the order of their names between A0223 and A0224, whatever the seed."""
    table = tables["pipal"]
    parts = []
    for seed in (0, 7):
        roles = assign_roles(Pair("pipal"), {"pipal": table}, load_registry().protocol("ntire2022"), seed)["pipal"]
        parts.append([{g for g, own in zip(table.group, roles, strict=True) if own == r} for r in ("labeled", "test")])
    assert parts[0] == parts[1]
    learned, tested = parts[0]
    assert (len(learned), max(learned), len(tested), min(tested)) == (180, "A0223.bmp", 20, "A0224.bmp")
