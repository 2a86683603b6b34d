"""Scores that no source of a dataset passes on are marked, and what was measured with them is never ranked."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from ssliqa_bench.leaderboard.ranking import rank_rows
from tests.leaderboard.typed import build_boards, collect

A, WILD = "demo-syn", "demo-wild"
PAGE = "demo/standard/demo-syn--demo-wild.md"


def unofficial(record: dict[str, Any], dataset: str) -> dict[str, Any]:
    record["datasets"][dataset]["unofficial_labels"] = True
    return record


@pytest.mark.parametrize("dataset", [A, WILD])
def test_a_row_with_unofficial_labels_has_no_rank_and_is_never_best(made: ModuleType, dataset: str) -> None:
    records = [unofficial(made.record("ssiqa", srcc={A: 0.9, WILD: 0.99}), dataset), made.record("piqe")]
    (board,) = collect(records)
    ranks = {item.row.method: (item.rank, item.status) for item in rank_rows(board.sections[0])}
    assert ranks == {"ssiqa": (None, "unofficial"), "piqe": (1, "ranked")}
    text = build_boards(records)[PAGE]
    lines = [line for line in text.splitlines() if line.startswith("| unofficial |")]
    assert lines and all("`ssiqa` *unofficial labels*" in line and "**" not in line for line in lines)
    assert f"no source of {dataset} publishes the scores" in text


def test_one_seed_marks_the_row(made: ModuleType) -> None:
    (board,) = collect([made.record("ssiqa", 0), unofficial(made.record("ssiqa", 1), WILD)])
    assert [(item.rank, item.status) for item in rank_rows(board.sections[0])] == [(None, "unofficial")]


def test_of_a_dataset_that_was_only_tested_on_the_column_is_marked(made: ModuleType) -> None:
    scores = {A: 0.9, WILD: 0.9, "demo-more": 0.99}
    record = unofficial(made.record("ssiqa", srcc=scores), "demo-more")
    (board,) = collect([record])
    assert [item.rank for item in rank_rows(board.sections[0])] == [1]
    assert "0.990 *unofficial*" in build_boards([record])[PAGE]
