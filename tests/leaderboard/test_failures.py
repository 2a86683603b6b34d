"""Runs without a result: kept by sweeps, marked on boards in every format, never ranked, gone once they succeed."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ssliqa_bench.cli.app import main
from ssliqa_bench.errors import CorruptFileError
from ssliqa_bench.leaderboard.boards import build_pages, render_pages
from ssliqa_bench.leaderboard.site.build import build_site
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.store.failures import Failure, forget_failure, note_failure, read_failures
from ssliqa_bench.store.record import Record, RunCell
from tests.leaderboard.site_records import predictions
from tests.leaderboard.typed import typed

STATES = ("failed", "weights not available", "data not available")


def failure(cell: RunCell, state: Any, **changes: Any) -> Failure:
    return Failure(cell=cell.model_copy(update=changes), state=state, error=f"why it is {state} | <b>")


@pytest.fixture
def records(made: ModuleType) -> list[Record]:
    return [typed(own) for own in made.demo_suite(range(3)) if own["cell"]["method"] in ("ssiqa", "supervised-long")]


def cell(records: list[Record], method: str = "ssiqa") -> RunCell:
    return next(own.cell for own in records if own.cell.method == method)


@pytest.mark.parametrize("state", STATES)
def test_a_method_without_a_result_is_marked_in_every_format_and_not_ranked(records: list[Record], state: str) -> None:
    lacking = [failure(cell(records), state, method="gone", seed=seed) for seed in range(3)]
    pages = build_pages(records, failures=lacking)
    texts = render_pages(pages, ("md", "csv", "tex", "json"))
    assert texts == render_pages(build_pages(records[::-1], failures=lacking[::-1]), ("md", "csv", "tex", "json"))
    page = texts["demo/standard/demo-syn--demo-wild.md"]
    opening = next(line for line in page.splitlines() if "`gone`" in line)
    assert f"*{state}*" in opening and not any(own in opening for own in ("0.000", " 0 "))
    assert "no result of seeds 0 to 2" in page and "never" not in opening
    lines = [own for own in csv.DictReader(io.StringIO(texts["demo/standard.csv"])) if own["method"] == "gone"]
    assert len(lines) == 2 and {(own["status"], own["rank"], own["srcc"], own["marks"]) for own in lines} == {
        (state, "", "", state)
    }
    assert state in texts["demo/standard/demo-syn--demo-wild.tex"]
    assert state in json.dumps(json.loads(texts["demo/standard/demo-syn--demo-wild.json"]))
    assert "`gone`" in texts["not-run.md"] and "0 1 2" in texts["not-run.md"] and "<b>" not in texts["not-run.md"]
    site = build_site(records, predictions, load_registry(), lacking)
    index = site["site/data/index.js"]
    (row,) = [own for own in json.loads(index[index.index("=", index.index(".index")) + 1 : -2])["rows"]
              if own["method"] == "gone"]  # fmt: skip
    assert row["marks"] == [state] and row["rank"] is None and row["runs"] == [] and row["results"] == {}


def test_a_row_with_some_failed_seeds_names_them(records: list[Record]) -> None:
    pages = build_pages(records, failures=[failure(cell(records), "failed", seed=7)])
    page = render_pages(pages, ("md",))["demo/standard/demo-syn--demo-wild.md"]
    assert "`ssiqa` *failed*" in page and "no result of seed 7: why it is failed" in page


def test_a_record_makes_a_failure_void(records: list[Record]) -> None:
    void = [failure(own.cell, "failed") for own in records]
    assert render_pages(build_pages(records, failures=void), ("md",)) == render_pages(build_pages(records), ("md",))


def test_what_has_no_board_stands_on_the_page_of_runs_without_a_result(records: list[Record]) -> None:
    lacking = [failure(cell(records), "data not available", pair="koniq:livec")]
    texts = render_pages(build_pages(records, failures=lacking), ("md",))
    assert "koniq:livec" in texts["not-run.md"] and "koniq:livec" not in texts["demo/standard.md"]


def test_failures_are_read_as_written_and_a_damaged_one_is_refused(records: list[Record], tmp_path: Path) -> None:
    own = cell(records)
    note_failure(tmp_path, own, "failed", "a\nb" + 1000 * "x")
    note_failure(tmp_path, own, "data not available", "second")
    (found,) = read_failures(tmp_path)
    assert found.cell == own and found.state == "data not available" and found.error == "second"
    (file,) = (tmp_path / "failures").iterdir()
    file.write_text(file.read_text().replace("second", "third"))
    with pytest.raises(CorruptFileError, match="checksum"):
        read_failures(tmp_path)
    forget_failure(tmp_path, own)
    assert read_failures(tmp_path) == []


def test_a_sweep_keeps_what_failed(tmp_path: Path) -> None:
    suite = tmp_path / "suite.yaml"
    (tmp_path / "none").mkdir()
    suite.write_text("title: t\ndescription: d\nruns:\n  - methods: [supervised]\n    pairs: [livec]\n    seeds: 2\n")
    words = ["--store", str(tmp_path / "runs"), "--data-root", str(tmp_path / "none"), "--device", "cpu"]
    assert main(["sweep", str(suite), *words]) == 1
    found = read_failures(tmp_path / "runs")
    assert [(own.cell.method, own.cell.pair, own.cell.seed) for own in found] == [
        ("supervised", "livec", 0), ("supervised", "livec", 1)
    ]  # fmt: skip
    assert {own.state for own in found} <= {"data not available", "weights not available"}
    assert all("livec" in own.error or "weights" in own.error for own in found)
