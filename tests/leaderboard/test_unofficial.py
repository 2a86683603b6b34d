"""Scores that no source of a dataset passes on are marked, and what was measured with them is never ranked."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from ssliqa_bench.errors import InputError
from ssliqa_bench.leaderboard.boards import render_pages
from ssliqa_bench.leaderboard.few_labels import few_labels
from ssliqa_bench.leaderboard.few_labels_page import few_label_pages
from ssliqa_bench.leaderboard.published import PublishedFigures, Shelf
from ssliqa_bench.leaderboard.ranking import rank_rows
from ssliqa_bench.leaderboard.ranks import srcc_table
from ssliqa_bench.leaderboard.versus import contenders, duels
from ssliqa_bench.store.predictions import Predictions
from tests.leaderboard.typed import build_boards, collect, typed

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


def test_no_other_table_ranks_or_compares_it_unmarked(made: ModuleType) -> None:
    """Learned from such scores or tested on them, on real data, for every table beside the boards."""
    asked = {"pair": "livec", "kind": "authentic"}
    learned = typed(unofficial(made.record("ssiqa", srcc={"livec": 0.9}, **asked), "livec"))
    official = typed(made.record("supervised", srcc={"livec": 0.8}, **asked))
    abroad = made.record("oracle-free", srcc={"livec": 0.9, "koniq": 0.7}, **asked)
    only_trained = typed(unofficial(abroad, "livec"))
    assert srcc_table([learned, official], "standard") == {"supervised": {"livec": 0.8}}
    with pytest.raises(InputError, match="oracle-free: no record"):
        srcc_table([only_trained], "standard", ["oracle-free"])
    (curves,) = few_labels([learned, official])
    assert [curve.method for curve in curves.curves] == ["supervised"]
    page = render_pages(few_label_pages([learned, official]), ["md"])["few-labels/index.md"]
    assert "Left out: 1 record with *unofficial labels*" in page
    assert "Left out" not in render_pages(few_label_pages([official]), ["md"])["few-labels/index.md"]
    one, other = contenders([learned, official])
    (duel,) = duels(one, other, lambda record, dataset: Predictions((), (), ()))
    assert duel.unofficial


def test_a_printed_figure_is_not_reproduced_by_it(made: ModuleType) -> None:
    published = PublishedFigures()
    row = next(own for own in published.rows("ssiqa") if (own.table, own.method, own.test, own.metric, own.row_group)
               == ("1", "NIQE", "livec", "srcc", "D_B"))  # fmt: skip
    asked = {"pair": "livec", "protocol": "ssiqa", "recipe": "default", "kind": "authentic"}
    documents = [made.record("niqe", srcc={"livec": 0.45}, **asked) for _ in range(2)]
    unofficial(documents[1], "livec")
    states = [Shelf([typed(own)]).match(row, published.sources["ssiqa"]).state for own in documents]
    assert states == ["reproduced", "runnable with data"]
