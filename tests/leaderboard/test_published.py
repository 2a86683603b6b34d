"""Published figures: every printed number is on a page, in one of four states, beside ours where records match."""

from __future__ import annotations

import csv
import os
import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from ssliqa_bench.errors import InputError
from ssliqa_bench.evaluation.comparisons import mean_correlation
from ssliqa_bench.leaderboard.boards import render_pages
from ssliqa_bench.leaderboard.page import Page, PageTable, Section, walk
from ssliqa_bench.leaderboard.published import COLUMNS, METRICS, STATES, Match, Printed, PublishedFigures, Shelf
from ssliqa_bench.leaderboard.published_page import published_pages
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.specs import Pair
from ssliqa_bench.store.record import Record
from tests.leaderboard.typed import typed

FOLDER = Path(__file__).parents[2] / "benchmarks" / "published"
SHARED = Path(os.environ.get("SSLIQA_SHARED") or Path(__file__).parents[3] / "shared") / "published"
PAPERS = ("ssiqa", "ssliqa", "dang2024", "bns2022")
PUBLISHED = PublishedFigures(FOLDER)
TABLES = [(paper, table) for paper in PAPERS for table in PUBLISHED.sources[paper].tables]


@pytest.fixture(scope="module")
def pages() -> dict[str, Page]:
    return {page.name: page for page in published_pages([], PUBLISHED)}


@pytest.fixture
def niqe(made: ModuleType) -> Callable[..., Record]:
    def make(seed: int, srcc: float = 0.45, **more: Any) -> Record:
        asked = {"pair": "livec", "protocol": "ssiqa", "recipe": "default", "kind": "authentic", **more}
        return typed(made.record("niqe", seed, srcc={"livec": srcc}, **asked))

    return make


def printed(paper: str) -> list[dict[str, str]]:
    with (FOLDER / f"{paper}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def find(paper: str, **where: str) -> Printed:
    (row,) = (row for row in PUBLISHED.rows(paper) if all(getattr(row, k) == value for k, value in where.items()))
    return row


def match(records: Sequence[Record], paper: str = "ssiqa", **where: str) -> Match:
    usual = {"table": "1", "row_group": "D_B", "method": "NIQE", "test": "livec", "metric": "srcc"}
    row = find(paper, **{**usual, **where})
    return Shelf(records).match(row, PUBLISHED.sources[paper])


@pytest.mark.parametrize(("paper", "table"), TABLES)
def test_twenty_cells_of_each_table_are_those_of_the_file(pages: dict[str, Page], paper: str, table: str) -> None:
    sections = [block for block in walk(pages[f"published/{paper}"].blocks) if isinstance(block, Section)]
    place = list(PUBLISHED.sources[paper].tables).index(table)
    (shown,) = (block for block in sections[place].blocks if isinstance(block, PageTable))
    names = [column.name for column in shown.columns]
    lines = [dict(zip(names, row, strict=True)) for row in shown.rows]
    rows = [row for row in printed(paper) if row["table"] == table]
    heads = {"group": "row_group", **{name: name for name in ("method", "variant", "labeled", "unlabeled", "test")}}
    for row in random.Random(f"{paper} {table}").sample(rows, min(20, len(rows))):
        own = [{name: line[name].value.plain if name in line else "" for name in heads} for line in lines]
        line = lines[own.index({name: row[head] for name, head in heads.items()})]
        std = f" ± {row['std']}" if row["std"] else ""
        assert line[row["metric"]].value.plain == row["value"] + std
        assert set(line["state"].value.plain.split(", ")) <= set(STATES)


def test_all_printed_numbers_of_the_papers_are_there(pages: dict[str, Page]) -> None:
    data = pages["published/index"].data
    assert data is not None
    names = [column.name for column in data.columns]
    shown = [{name: cell.value.plain if name in COLUMNS else cell for name, cell in zip(names, row, strict=True)}
             for row in data.rows]  # fmt: skip
    expected = [row for paper in PAPERS for row in printed(paper)]
    assert len(expected) == 1080
    assert [{name: row[name] for name in COLUMNS} for row in shown if row["paper"] in PAPERS] == expected
    filled = sum(
        cell.value is not None
        for paper in PAPERS
        for block in walk(pages[f"published/{paper}"].blocks) if isinstance(block, PageTable)
        for row in block.rows
        for column, cell in zip(block.columns, row, strict=True) if not column.text
    )  # fmt: skip
    assert filled == 1080


def test_the_count_at_the_top_is_that_of_the_states(pages: dict[str, Page]) -> None:
    index = pages["published/index"]
    data, (counts,) = index.data, (block for block in index.blocks if isinstance(block, PageTable))
    assert data is not None
    at = [column.name for column in data.columns].index("state")
    found = Counter(row[at].value.plain for row in data.rows)
    assert [cell.number for cell in counts.rows[-1][1:]] == [*(found[state] for state in STATES), len(data.rows)]
    assert found["reproduced"] == 0 and all(found[state] for state in STATES[1:])


def test_every_format_renders_the_same_twice() -> None:
    formats = ("md", "csv", "json", "tex")
    first, second = (render_pages(published_pages([], PUBLISHED), formats) for _ in range(2))
    assert first == second
    assert {"published/index.csv", "published/ssliqa.md", "published/bns2022.tex", "published/index.json"} <= set(first)


def test_rules_name_what_the_registry_holds() -> None:
    registry = load_registry()
    for source in PUBLISHED.sources.values():
        for row in PUBLISHED.rows(source.name):
            ours = source.ours(row)
            if ours is None:
                continue
            assert row.metric in METRICS
            registry.method(ours.method)
            protocol = registry.protocol(ours.protocol)
            for pair in map(Pair.parse, ours.pairs):
                names = {*pair.datasets, *protocol.tests}
                assert {registry.dataset(name).name for name in names} == names
                assert ours.dataset in names, (row, ours)


def test_a_figure_is_reproduced_by_records_of_its_method_dataset_and_protocol(niqe: Callable[..., Record]) -> None:
    values = [0.45 + 0.01 * seed for seed in range(4)]
    found = match([niqe(seed, value) for seed, value in enumerate(values)])
    assert found.state == "reproduced" and found.stat is not None
    assert found.stat.value == pytest.approx(np.mean(values))
    assert (found.lo, found.hi) == pytest.approx(mean_correlation(values, 1 - 0.8))
    assert "4 of 5 repeats are on record." in found.differs
    assert any("seeds" in text for text in found.differs)


@pytest.mark.parametrize(
    "other", [{"pair": "koniq"}, {"protocol": "standard"}, {"recipe": "demo"}, {"overrides": {"x": 1}}, {"budget": 10}]
)
def test_other_records_do_not_stand_for_a_figure(niqe: Callable[..., Record], other: dict[str, Any]) -> None:
    found = match([niqe(0, **other)])
    assert found.state == "runnable with data"
    assert found.command == "ssliqa-bench run --method niqe --pair livec --protocol ssiqa"


def test_states_of_figures_without_a_record() -> None:
    assert match([], method="LPSI").state == "no verifiable source"
    hidden = find("bns2022", table="7", method="NIQE", test="pipal_ntire2022_test", metric="srcc")
    assert Shelf([]).match(hidden, PUBLISHED.sources["bns2022"]).state == "labels not public"
    starred = match([], test="csiq")
    assert starred.ours is not None and starred.ours.pairs == ("live:csiq",)
    ratio = find("ssliqa", table="VI", row_group="Labeled:Unlabeled = 1:2", variant="AlexNet + TReS", metric="srcc")
    ours = PUBLISHED.sources["ssliqa"].ours(ratio)
    assert ours is not None and (ours.method, ours.unlabeled_budget) == ("ssliqa-tres-1to2", 4000)


def test_the_difference_is_ours_minus_theirs(niqe: Callable[..., Record]) -> None:
    (index, *_) = published_pages([niqe(seed) for seed in range(5)], PUBLISHED)
    (table,) = (block for block in walk(index.blocks) if isinstance(block, PageTable) and block.name == "reproduced")
    names = [column.name for column in table.columns]
    rows = [dict(zip(names, row, strict=True)) for row in table.rows]
    (row,) = (row for row in rows if row["metric"].value.plain == "SRCC")
    theirs = find("ssiqa", row_group="D_B", method="NIQE", test="livec", metric="srcc").number
    assert row["difference"].number == pytest.approx(0.45 - theirs) and row["runs"].number == 5


def test_a_file_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"sources\.yaml: is missing"):
        _ = PublishedFigures(tmp_path).sources
    (tmp_path / "sources.yaml").write_text("papers: {own: {title: Own, tables: {'1': {title: One}}, rules: []}}")
    (tmp_path / "own.csv").write_text("paper,table\nown,1\n")
    with pytest.raises(InputError, match=r"own\.csv:1: got the columns paper, table; expected paper, table, row_group"):
        PublishedFigures(tmp_path).rows("own")
    (tmp_path / "own.csv").write_text(",".join(COLUMNS) + "\nown,2" + "," * 11 + "\n")
    with pytest.raises(InputError, match=r"own\.csv: table 2 is not named"):
        PublishedFigures(tmp_path).rows("own")


@pytest.mark.data
@pytest.mark.parametrize("paper", PAPERS)
def test_the_files_are_those_that_were_transcribed(paper: str) -> None:
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is not there (SSLIQA_SHARED names another folder)")
    with (SHARED / f"{paper}.csv").open(newline="", encoding="utf-8") as file:
        assert [{name: row[name] for name in COLUMNS} for row in csv.DictReader(file)] == printed(paper)
