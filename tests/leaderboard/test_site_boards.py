"""Boards on the site: all pages, their numbers as printed, curves, ranks, and what is computed from predictions."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from ssliqa_bench.leaderboard.boards import build_pages
from ssliqa_bench.leaderboard.compare import Stat
from ssliqa_bench.leaderboard.few_labels import FewLabels, HorizontalLine, LabelCurve, Point, few_labels
from ssliqa_bench.leaderboard.page import PageTable, Section, walk
from ssliqa_bench.leaderboard.ranks_page import rank_page, ranked_protocols
from ssliqa_bench.leaderboard.run_parts import errors_by_range, fitted_mapping, srcc_by_group
from ssliqa_bench.leaderboard.site.board_documents import board_document, curve_chart, rank_chart
from ssliqa_bench.store.predictions import Predictions
from tests.leaderboard.site_records import site_of, some_records
from tests.leaderboard.typed import typed


def test_every_board_is_a_page_of_the_site_with_the_numbers_that_markdown_prints(made: ModuleType) -> None:
    records = some_records(made)
    texts = site_of(records)
    index = texts["site/data/index.js"]
    for page in build_pages(map(typed, records)):
        assert f'"name":"{page.name}"' in index
        tables = [block for block in walk(page.blocks) if isinstance(block, PageTable)]
        shown = [block for block in _walk(board_document(page, {})["blocks"]) if block["type"] == "table"]
        assert [len(own["rows"]) for own in shown] == [len(own.rows) for own in tables]
    for name in ("published/index", "published/ssliqa", "few-labels/index", "ranks/index"):
        assert f'"name":"{name}"' in index
    demo = "".join(text for path, text in texts.items() if path.startswith("site/data/boards/"))
    assert "\\u003cscript" not in demo and "Gain from unlabeled images on demo-wild" in demo and "Splits" in demo


def _walk(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [own for block in blocks for own in (block, *_walk(block.get("blocks", [])))]


def test_cells_hold_text_marks_notes_and_the_best(made: ModuleType) -> None:
    seen = made.record("musiq", 0, srcc={"demo-wild": 0.99}, trained_on=["demo-wild"])
    records = [*made.demo_suite(range(3)), seen, made.record("other", 0, trained_on="unknown")]
    (page,) = [own for own in build_pages(map(typed, records)) if "--" in own.name]
    document = board_document(page, {})
    (opening, *_) = [block for block in document["blocks"] if block["type"] == "table"]
    at = [title for title, _ in opening["columns"]].index("SRCC demo-wild (unlabeled)")
    by_method = {row[1][0]["code"] if isinstance(row[1], list) else row[1]["text"][0]["code"]: row[at]
                 for row in opening["rows"]}  # fmt: skip
    assert by_method["musiq"] == {"text": "0.990", "mark": "seen"}
    assert by_method["ssiqa"]["best"] is True and by_method["ssiqa"]["text"].startswith("0.8")
    assert document["notes"] and all(own for own in document["notes"])


def test_curves_have_the_labels_only_first_and_say_what_is_left_out() -> None:
    def curve(name: str, top: float) -> LabelCurve:
        points = (Point(n, Stat(v, None, 3), v - 0.1, v + 0.1) for n, v in ((10, 0.3), (80, top)))
        return LabelCurve(name, name, tuple(points))

    one = LabelCurve("alone", "alone", (Point(10, Stat(0.2, None, 3)),))
    curves = (one, *(curve(f"m{k}", 0.5 + k / 100) for k in range(9)), curve("supervised", 0.4))
    lines = tuple(HorizontalLine(f"l{k}", "", Point(0, Stat(0.1 * k, None, 1)), "seen") for k in range(8))
    chart = curve_chart(FewLabels("a:a", "a", "standard", "demo", curves, lines))
    assert [own["name"] for own in chart["curves"]][:2] == ["supervised", "m8"] and len(chart["curves"]) == 8
    assert chart["curves"][0]["points"][0] == [10, 0.3, pytest.approx(0.2), 0.4]
    assert [own["name"] for own in chart["lines"]] == ["l7", "l6", "l5", "l4", "l3", "l2"]
    assert chart["left"] == 11 - 8 + 8 - 6


def test_ranks_are_given_from_six_datasets_on(made: ModuleType) -> None:
    def records(count: int) -> list[Any]:
        return [typed(made.record(name, 0, pair=f"d{k}", kind="authentic", srcc={f"d{k}": value + k / 100}))
                for name, value in (("ssiqa", 0.6), ("piqe", 0.4)) for k in range(count)]  # fmt: skip

    few = ranked_protocols(records(5))
    assert few["standard"] == (5, None)
    (section,) = [block for block in rank_page(few).blocks if isinstance(block, Section)]
    assert "5 independent datasets on record; 6 are needed" in section.blocks[0].text.plain  # type: ignore[union-attr]
    count, ranks = ranked_protocols(records(6))["standard"]
    assert count == 6 and ranks is not None and dict(ranks.ranks) == {"ssiqa": 1.0, "piqe": 2.0}
    chart = rank_chart(ranks)
    assert chart["ranks"] == [["ssiqa", 1.0], ["piqe", 2.0]] and len(chart["datasets"]) == 6
    shifted = [own for own in records(7) if (own.cell.method, own.cell.pair) not in (("ssiqa", "d6"), ("piqe", "d0"))]
    assert ranked_protocols(shifted)["standard"] == (5, None), "six each, and five in common"
    assert ranked_protocols(map(typed, made.demo_suite([0]))) == {}


def test_errors_by_range_and_srcc_by_group_are_those_of_a_plain_loop() -> None:
    random = np.random.default_rng(5)
    score = np.round(random.uniform(0, 100, 90)).tolist()
    guess = (np.array(score) / 100 + random.normal(0, 0.2, 90)).tolist()
    groups = tuple("abc"[k % 3] if k < 80 else f"single-{k}" for k in range(90))
    rows = Predictions(tuple(map(str, range(90))), tuple(score), tuple(guess), group=groups)
    mapping = fitted_mapping(rows, "logistic4")
    assert mapping is not None
    found = errors_by_range(rows, mapping)
    assert sum(own["n"] for own in found) == 90 and len(found) == 5
    for own in found:
        at = [k for k in range(90) if own["from"] <= score[k] <= own["to"]]
        gaps = [float(mapping.apply(guess[k])) - score[k] for k in at]
        assert own["n"] == len(at)
        assert own["bias"] == pytest.approx(sum(gaps) / len(at))
        assert own["rmse"] == pytest.approx((sum(gap**2 for gap in gaps) / len(at)) ** 0.5)
    by_group = srcc_by_group(rows)
    assert list(by_group) == ["a", "b", "c"], "a group of one image has no SRCC"
    for name, value in by_group.items():
        at = [k for k in range(90) if groups[k] == name]
        assert value == pytest.approx(spearmanr([score[k] for k in at], [guess[k] for k in at]).statistic)
    assert errors_by_range(rows, None) == [] and fitted_mapping(rows, "none") is None
    few = Predictions(rows.image[:49], rows.score[:49], rows.prediction[:49])
    assert errors_by_range(few, fitted_mapping(few, "logistic4")) == [] and srcc_by_group(few) == {}


def test_few_labels_of_one_number_draw_nothing(made: ModuleType) -> None:
    records = [typed(made.record("ssiqa", seed, budget=10)) for seed in range(2)]
    assert curve_chart(few_labels(records)[0])["curves"] == []


def test_the_site_shows_srcc_within_parts_where_that_decides_ranks(made: ModuleType) -> None:
    records = []
    for method, whole, within in (("ssiqa", 0.7, 0.5), ("supervised-long", 0.8, 0.4)):
        for seed in range(3):
            own = made.record(method, seed, pair="livec:livec", kind="authentic", srcc={"livec": whole})
            own["datasets"]["livec"].update(rank_by="srcc_within_parts", labels_redistributable=False)
            parts = {"a": {"n": 90, "srcc": within + 0.1}, "b": {"n": 60, "srcc": within - 0.15}}
            own["metrics"]["livec"]["by"] = {"part": {"values": parts, "within": within, "n": 150, "unlabeled": 0}}
            records.append(own)
    texts = site_of(records)
    text = texts["site/data/index.js"]
    rows = json.loads(text[text.index("=", text.index(".index")) + 1 : -2])["rows"]
    assert [(own["method"], own["rank"]) for own in rows] == [("ssiqa", 1), ("supervised-long", None)]
    assert rows[0]["results"]["livec"]["within_parts"][0] == 0.5 and rows[0]["results"]["livec"]["srcc"][0] == 0.7
    assert rows[0]["results"]["livec"]["gain"][0] == pytest.approx(0.1)
