from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from ssliqa_bench.leaderboard.collect import Board, Row
from tests.leaderboard.typed import collect


def only_row(boards: list[Board]) -> Row:
    (board,) = boards
    (section,) = board.sections
    (row,) = section.rows
    return row


def test_the_newest_record_of_a_cell_wins_and_older_ones_are_counted(made: ModuleType) -> None:
    old = made.record(srcc={"demo-wild": 0.1}, created="2026-01-31T12:00:00Z")
    # Fractions of a second and other zones: compared as times, not as texts.
    new = made.record(srcc={"demo-wild": 0.9}, created="2026-01-31T12:00:00.5Z")
    earlier = made.record(srcc={"demo-wild": 0.2}, created="2026-01-31T13:00:00+02:00")
    for order in ([old, new, earlier], [new, earlier, old]):
        row = only_row(collect(order))
        assert row.metric(0, "demo-wild", "srcc") == 0.9
        assert row.older == 2


def test_a_tie_in_time_goes_to_the_greater_key(made: ModuleType) -> None:
    one, two = ({**made.record(srcc={"demo-wild": 0.5}), "key": letter * 64} for letter in "ba")
    assert only_row(collect([one, two])).newest.key == "b" * 64
    assert only_row(collect([two, one])).newest.key == "b" * 64


def test_what_only_an_older_record_was_tested_on_makes_no_column(made: ModuleType) -> None:
    old = made.record(srcc={"demo-wild": 0.5, "live": 0.5}, created="2026-01-01T00:00:00Z")
    (board,) = collect([old, made.record(srcc={"demo-wild": 0.6})])
    assert board.sections[0].datasets == (("demo-wild", "unlabeled"),)


@pytest.mark.parametrize(
    "changes", [{"overrides": {"lr": 0.1}}, {"recipe": "check"}], ids=["overrides", "recipe"]
)  # fmt: skip
def test_other_settings_are_rows_of_their_own(made: ModuleType, changes: dict[str, Any]) -> None:
    (board,) = collect([made.record(), made.record(**changes)])
    assert [len(section.rows) for section in board.sections] == [2]


def test_each_amount_of_labels_is_a_section_of_its_own_all_shares_counts(made: ModuleType) -> None:
    # As a share 1.0 is not the count 1, although Python calls them equal.
    records = [made.record(budget=budget) for budget in (100, 1, 1.0, 0.25, None)]
    (board,) = collect(records)
    assert [repr(section.budget) for section in board.sections] == ["None", "0.25", "1.0", "1", "100"]


def test_demo_and_other_datasets_never_share_a_board(made: ModuleType) -> None:
    real = made.record(pair="koniq:livec", srcc={"koniq": 0.9, "livec": 0.8, "demo-wild": 0.7}, kind="authentic")
    real["datasets"]["demo-wild"]["kind"] = "demo"
    half = made.record(pair="koniq:demo-wild", srcc={"koniq": 0.9, "demo-wild": 0.7}, kind="authentic")
    half["datasets"]["demo-wild"]["kind"] = "demo"
    boards = {board.demo: board for board in collect([real, half, made.record()])}
    assert [dict(s.datasets).keys() for s in boards[False].sections] == [{"koniq", "livec"}]
    assert {str(s.pair): set(dict(s.datasets)) for s in boards[True].sections} == {
        "demo-syn:demo-wild": {"demo-syn", "demo-wild"},
        "koniq:demo-wild": {"koniq", "demo-wild"},
        "koniq:livec": {"demo-wild"},
    }


def test_columns_stand_labeled_unlabeled_external_and_the_unlabeled_side_ranks(made: ModuleType) -> None:
    srcc = {"aaa": 0.1, "demo-wild": 0.8, "demo-syn": 0.9, "zzz": 0.2}
    section = collect([made.record(srcc=srcc)])[0].sections[0]
    assert [name for name, _ in section.datasets] == ["demo-syn", "demo-wild", "aaa", "zzz"]
    assert section.ranking_dataset == "demo-wild"
    alone = collect([made.record(pair="demo-syn", srcc={"aaa": 0.1, "demo-syn": 0.9})])[0].sections[0]
    assert alone.ranking_dataset == "demo-syn"
