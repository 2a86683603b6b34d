"""Records made with other images, scores or splits than the newest one are marked, and not ranked beside it."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from ssliqa_bench.leaderboard.ranking import rank_rows
from ssliqa_bench.store.comparable import outdated
from tests.leaderboard.typed import build_boards, collect, stale_records, typed

A, WILD = "demo-syn", "demo-wild"
LATER = "2026-02-28T12:00:00Z"


def made_later(made: ModuleType, method: str, seed: int = 0, *, field: str = "fingerprint", dataset: str = WILD,
               **how: Any) -> dict[str, Any]:  # fmt: skip
    """A record of later, made with a changed dataset."""
    record: dict[str, Any] = made.record(method, seed, created=LATER, **how)
    record["datasets"][dataset][field] = "another"
    return record


@pytest.mark.parametrize("dataset", [A, WILD])
@pytest.mark.parametrize("field", ["fingerprint", "split_hash"])
def test_what_was_made_before_a_change_is_marked_and_not_ranked(made: ModuleType, field: str, dataset: str) -> None:
    before = made.record("ssiqa", srcc={A: 0.9, WILD: 0.99})
    after = [made_later(made, name, field=field, dataset=dataset) for name in ("supervised", "piqe")]
    (board,) = collect([before, *after])
    ranks = {item.row.method: (item.rank, item.status) for item in rank_rows(board.sections[0])}
    assert ranks == {"ssiqa": (None, "outdated"), "supervised": (1, "ranked"), "piqe": (1, "ranked")}
    text = build_boards([before, *after])["demo/standard/demo-syn--demo-wild.md"]
    lines = [line for line in text.splitlines() if line.startswith("| old |")]
    assert len(lines) == 2 and all("`ssiqa` *outdated*" in line and "**" not in line for line in lines)
    assert f"images, scores or split of {dataset} differ" in text
    (stale,) = stale_records([before, *after], before["code"]["files"])
    assert (stale.key, stale.files, stale.datasets) == (before["key"], (), (dataset,))
    assert outdated(map(typed, [before, *after])) == {before["key"]: (dataset,)}


def test_a_dataset_that_was_only_tested_on_leaves_the_rank_and_marks_its_own_column(made: ModuleType) -> None:
    scores = {A: 0.9, WILD: 0.9, "demo-more": 0.99}
    before = made.record("ssiqa", srcc=scores)
    after = made_later(made, "supervised", srcc=dict.fromkeys(scores, 0.5), dataset="demo-more")
    (board,) = collect([before, after])
    assert {item.row.method: item.rank for item in rank_rows(board.sections[0])} == {"ssiqa": 1, "supervised": 2}
    text = build_boards([before, after])["demo/standard/demo-syn--demo-wild.md"]
    assert "0.990 *outdated*" in text


def test_one_seed_of_another_time_marks_the_row(made: ModuleType) -> None:
    records = [made.record("ssiqa", 0), made_later(made, "ssiqa", 1), made_later(made, "supervised", 1)]
    (board,) = collect(records)
    assert {item.row.method: item.status for item in rank_rows(board.sections[0])} == {
        "ssiqa": "outdated", "supervised": "ranked"}  # fmt: skip


def test_what_a_newer_record_of_the_same_run_replaces_is_not_outdated(made: ModuleType) -> None:
    old, new = made.record("ssiqa"), made_later(made, "ssiqa")
    new["key"] = "e" * 64
    assert outdated(map(typed, [old, new, made_later(made, "supervised")])) == {}


def test_other_splits_of_other_pairs_and_seeds_are_no_change(made: ModuleType) -> None:
    records = [made.record("ssiqa", 0), made_later(made, "ssiqa", 1, field="split_hash"),
               made_later(made, "ssiqa", 0, field="split_hash", pair=f"{WILD}:{A}"),
               made_later(made, "ssiqa", 0, field="split_hash", budget=0.5)]  # fmt: skip
    assert outdated(map(typed, records)) == {}
