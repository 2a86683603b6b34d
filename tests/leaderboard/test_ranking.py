from __future__ import annotations

import csv
from types import ModuleType
from typing import Any

import pytest

from ssliqa_bench.leaderboard.boards import render_pages
from ssliqa_bench.leaderboard.compare import paired_gain
from ssliqa_bench.leaderboard.few_labels import few_labels
from ssliqa_bench.leaderboard.few_labels_page import few_label_pages
from ssliqa_bench.leaderboard.ranking import Remark, rank_rows, remarks, span
from ssliqa_bench.leaderboard.run_notes import notes_of, run_notes
from tests.leaderboard.typed import build_boards, collect, typed


def test_reference_rows_stand_by_their_value_without_a_rank(made: ModuleType) -> None:
    (board,) = collect(made.demo_suite())
    ranked = [(item.row.method, item.rank, item.status) for item in rank_rows(board.sections[0])]
    assert ranked == [
        ("oracle", None, "oracle"),
        ("ssiqa", 1, "ranked"),
        ("supervised-long", None, "comparator"),
        ("supervised", 2, "ranked"),
        ("ssiqa-1in100", 3, "ranked"),
        ("piqe", 4, "ranked"),
    ]


def test_seen_undefined_and_untested_rows_are_not_ranked_and_ties_share_a_rank(made: ModuleType) -> None:
    def run(method: str, value: float | None, **changes: object) -> dict[str, object]:
        return made.record(method, pair="koniq:livec", kind="authentic", srcc={"livec": value}, **changes)  # type: ignore[no-any-return]

    records = [
        run("first", 0.9),
        run("also-first", 0.9),
        run("third", 0.8),
        run("saw-it", 0.99, trained_on=["live", "livec"]),
        run("saw-another", 0.7, trained_on=["live"]),
        run("nobody-knows", 0.6, trained_on="unknown"),
        run("constant", None),
        made.record("elsewhere", pair="koniq:livec", kind="authentic", srcc={"koniq": 0.9}),
    ]
    ranked = {item.row.method: (item.rank, item.status) for item in rank_rows(collect(records)[0].sections[0])}
    assert ranked == {
        "saw-it": (None, "seen"),
        "also-first": (1, "ranked"),
        "first": (1, "ranked"),
        "third": (3, "ranked"),
        "saw-another": (4, "ranked"),
        "nobody-knows": (5, "ranked"),
        "constant": (None, "undefined"),
        "elsewhere": (None, "untested"),
    }
    assert list(ranked)[:4] == ["saw-it", "also-first", "first", "third"]


def first_remarks(records: list[dict[str, Any]]) -> list[Remark]:
    section = collect(records)[0].sections[0]
    return remarks(section.rows[0], section)


def test_remarks_name_everything_a_reader_must_know(made: ModuleType) -> None:
    runs = [made.record(seed=seed, trained_on="unknown") for seed in range(3)]
    runs[1]["protocol"].update(transductive=True, stratified=True)
    runs[1]["leak"] = {"reason": "the copies are known", "found": ["two images have two roles"]}
    runs[1]["datasets"]["demo-wild"]["skipped"] = 2
    runs[2]["datasets"]["demo-wild"]["skipped"] = 1
    runs[0]["notes"] = ["3 images were  converted\nfrom 16 bits"]
    older = made.record(seed=0, created="2025-01-01T00:00:00Z")
    found = first_remarks([*runs, older])
    assert [remark.mark for remark in found if remark.mark] == ["mixed", "transductive", "stratified", "leak allowed"]
    sentences = " | ".join(remark.sentence.plain for remark in found)
    assert "differ in protocol" in sentences
    assert "1 to 2 unreadable images of demo-wild skipped (seeds 1, 2)" in sentences
    assert "training data of its weights is unknown" in sentences
    assert "1 older record of the same runs not shown" in sentences
    assert "converted" not in sentences, "what runs note stands by itself"


def test_notes_of_runs_stand_once_with_their_seeds(made: ModuleType) -> None:
    runs = [made.record(seed=seed) for seed in range(3)]
    runs[0]["notes"] = ["3 images were  converted\nfrom 16 bits"]
    runs[1]["notes"] = runs[2]["notes"] = ["collapsed"]
    row = collect(runs)[0].sections[0].rows[0]
    assert run_notes(row) == ["3 images were converted from 16 bits (seed 0)", "collapsed (seeds 1, 2)"]


def test_notes_that_differ_in_numbers_are_one_and_what_all_rows_share_stands_once(made: ModuleType) -> None:
    runs = [made.record(name, seed) for name in ("ssiqa", "supervised-long") for seed in range(4)]
    for k, own in enumerate(runs):
        seed = k % 4
        own["notes"] = [f"{1 + seed} of 234 images of tid2013 are alike; deviation {0.1 + seed / 20:.3f} on [0, 1]"]
        own["notes"] += ["levels 3, 4"] if own["cell"]["method"] == "ssiqa" and seed in (0, 2) else []
    rows = collect(runs)[0].sections[0].rows
    shared = "1 to 4 of 234 images of tid2013 are alike; deviation 0.100 to 0.250 on [0, 1] (seeds 0 to 3)"
    assert run_notes(rows[0]) == [shared, "levels 3, 4 (seeds 0, 2)"]
    items = notes_of(rows)
    assert items is not None
    found = [(own.text.plain, [below.plain for below in own.below]) for own in items.entries]
    assert found == [(f"{shared}: all rows", []), ("ssiqa, demo", ["levels 3, 4 (seeds 0, 2)"])]
    assert notes_of(collect([made.record()])[0].sections[0].rows) is None


def test_notes_on_one_image_are_in_the_singular_and_are_put_together_with_those_on_several(made: ModuleType) -> None:
    runs = [made.record(seed=seed) for seed in range(3)]
    runs[0]["notes"] = ["1 images of livec are unused: a copy of each is labeled"]
    runs[0]["notes"] += ["1 of 233 test images of a look like b"]  # as earlier versions wrote them
    runs[1]["notes"] = ["1 image of livec is unused: a copy of it is labeled", "1 of 234 test images of a looks like b"]
    row = collect(runs[:2])[0].sections[0].rows[0]
    alike = "1 of 233 to 234 test images of a looks like b (seeds 0, 1)"
    assert run_notes(row) == ["1 image of livec is unused: a copy of it is labeled (seeds 0, 1)", alike]
    runs[2]["notes"] = ["3 images of livec are unused: a copy of each is labeled"]
    runs[2]["notes"] += ["2 of 233 test images of a look like b"]
    row = collect(runs)[0].sections[0].rows[0]
    assert run_notes(row) == ["1 to 3 images of livec are unused: a copy of each is labeled (seeds 0 to 2)",
                              "1 to 2 of 233 to 234 test images of a look like b (seeds 0 to 2)"]  # fmt: skip


def test_an_evaluation_of_another_version_is_named(made: ModuleType) -> None:
    runs = [made.record(seed=seed, evaluation_version=0) for seed in range(2)]
    (remark,) = first_remarks(runs)
    assert "evaluated with version 0 of the metrics" in remark.sentence.plain and not remark.mark
    mixed = first_remarks([made.record(seed=0, evaluation_version=0), made.record(seed=1)])
    assert [own.mark for own in mixed] == ["mixed", ""]


def test_a_plain_row_has_no_remarks(made: ModuleType) -> None:
    assert first_remarks([made.record(seed=seed) for seed in range(3)]) == []


@pytest.mark.parametrize(
    ("gaps", "marks"),
    [
        ({"demo-syn": [0.02, 0.01, 0.03], "demo-wild": [0.1, 0.1, 0.1]}, []),
        ({"demo-syn": [-0.05, -0.05, -0.06], "demo-wild": [0.1, 0.1, 0.1]}, ["demo-syn"]),
        ({"demo-syn": [-0.05, 0.02, -0.02], "demo-wild": [0.1, 0.1, 0.1]}, ["demo-syn"]),  # a lower mean is enough
        ({"demo-syn": [-0.05], "demo-wild": [0.1]}, ["demo-syn"]),
        ({"demo-syn": [0.02, 0.01, 0.03], "demo-wild": [-0.05, 0.02, -0.02]}, ["demo-wild"]),
        ({"demo-syn": [-0.05, -0.05, -0.06], "demo-wild": [-0.1, -0.1, -0.1]}, ["demo-syn", "demo-wild"]),
    ],
)
def test_an_oracle_below_labels_only_bounds_nothing_on_that_dataset(
    made: ModuleType, gaps: dict[str, list[float]], marks: list[str]
) -> None:
    seeds = range(len(gaps["demo-wild"]))
    records = [made.record("supervised-long", seed, srcc={"demo-syn": 0.7, "demo-wild": 0.8}) for seed in seeds]
    for seed in seeds:
        oracle = {"demo-syn": 0.7 + gaps["demo-syn"][seed], "demo-wild": 0.8 + gaps["demo-wild"][seed]}
        records.append(made.record("oracle", seed, srcc=oracle))
    section = collect(records)[0].sections[0]
    (row,) = [row for row in section.rows if row.method == "oracle"]
    found = remarks(row, section)
    assert [remark.mark for remark in found] == [f"reference not valid on {name}" for name in marks]
    assert all("it is below supervised-long" in remark.sentence.plain for remark in found)
    (page,) = (text for name, text in build_boards(records, formats=("md",)).items() if "--" in name)
    opening = page.partition("\n## ")[0]
    assert ("*reference not valid on demo-wild*" in opening) == ("demo-wild" in marks)
    assert "*reference not valid on demo-syn*" not in opening, "the first table is in the order of the other dataset"
    assert ("*reference not valid on demo-syn*" in page) == ("demo-syn" in marks)


def test_span() -> None:
    assert [span([]), span([5, 5]), span([9, 3, 5])] == ["", "5", "3 to 9"]


def test_a_submission_is_marked_wherever_it_stands(made: ModuleType) -> None:
    handed = {"submission": {"lower_is_better": False, "left_out": 0}, "steps": 0, "stages": []}
    theirs = [made.record("theirs", seed, srcc={"demo-syn": 0.99, "demo-wild": 0.99}, **handed) for seed in range(5)]
    records = [*made.demo_suite(), *theirs]
    (section,) = collect(records)[0].sections
    row = next(own for own in section.rows if own.method == "theirs")
    (remark,) = remarks(row, section)
    assert remark.mark == "unverified" and "the code behind them was not run here" in remark.sentence.plain
    assert [(own.rank, own.status) for own in rank_rows(section) if own.row is row] == [(None, "unverified")]
    texts = {name: text for name, text in build_boards(records).items() if name.endswith(".md")}
    assert "`theirs`" not in texts.pop("demo/standard.md")  # no method of theirs is the best of a pair
    (page,) = texts.values()
    assert "`theirs` *unverified*" in page and "**0.990**" not in page
    gain = paired_gain(row, section.rows, "demo-wild", "comparator")
    assert [note.plain for note in gain.notes] == ["submitted predictions; no step-matched comparator"]


def test_a_dataset_may_be_ranked_by_the_srcc_within_its_parts(made: ModuleType) -> None:
    """Whole SRCC says the opposite: both figures are shown, ranks and gains follow the one within parts."""

    def run(method: str, seed: int, whole: float, within: float) -> dict[str, Any]:
        found: dict[str, Any] = made.record(method, seed, pair="livec:livec", kind="authentic",
                                            srcc={"livec": whole})  # fmt: skip
        found["datasets"]["livec"]["rank_by"] = "srcc_within_parts"
        parts = {"ss01": {"n": 90, "srcc": within + 0.1}, "ss02": {"n": 60, "srcc": within - 0.15}}
        found["metrics"]["livec"]["by"] = {"part": {"values": parts, "within": within, "n": 150, "unlabeled": 0}}
        return found

    within = {"ssiqa": (0.50, 0.52, 0.51, 0.53), "supervised-long": (0.40, 0.42, 0.41, 0.44)}
    whole = {"ssiqa": 0.70, "supervised-long": 0.80}
    records = [run(method, seed, whole[method], value) for method, own in within.items()
               for seed, value in enumerate(own)]  # fmt: skip
    (section,) = collect(records)[0].sections
    assert [item.row.method for item in rank_rows(section)] == ["ssiqa", "supervised-long"]
    row = next(own for own in section.rows if own.method == "ssiqa")
    gain = paired_gain(row, section.rows, "livec", "comparator")
    assert gain.differences == pytest.approx([a - b for a, b in zip(*within.values())])
    flat = build_boards(records)["standard.csv"]
    (line,) = [own for own in csv.DictReader(flat.splitlines()) if own["method"] == "ssiqa"]
    assert float(line["srcc"]) == pytest.approx(0.70)
    assert float(line["srcc_within_parts"]) == pytest.approx(0.515)
    assert float(line["srcc_within_parts_lo"]) < 0.515 < float(line["srcc_within_parts_hi"])
    (curves,) = few_labels(map(typed, records))
    assert curves.measure == "SRCC within parts" and curves.curves[0].points[0].stat.value == pytest.approx(0.515)
    few = render_pages(few_label_pages(map(typed, records)), ["md", "csv"])
    assert "SRCC within parts" in few["few-labels/index.csv"]
    assert "recipe demo: SRCC within parts" in few["few-labels/index.md"]
    page = build_boards(records)["standard/livec--livec.md"]
    assert "SRCC within parts, livec" in page and "Ranked by SRCC within parts of livec" in page
    opening = next(text for text in page.splitlines() if text.startswith("| 1 | ") or "| `ssiqa`" in text)
    assert "0.515" in opening and "0.700" not in opening
    words = " ".join(build_boards(records)["standard.md"].split())
    assert "SRCC within parts: the mean of" in words and "In brackets: 95 % interval" in words, "both on the overview"
