"""Comparisons with the best row that learned from labels alone, and when gains are no evidence."""

from __future__ import annotations

import csv
import importlib.util
import io
import re
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy import stats

from ssliqa_bench.leaderboard.collect import collect
from ssliqa_bench.leaderboard.labels_only import best_labels_only
from ssliqa_bench.leaderboard.ranking import remarks
from ssliqa_bench.leaderboard.view import SectionView
from ssliqa_bench.store.records import iter_records
from tests.leaderboard.test_compare import row_of, section_of
from tests.leaderboard.test_markdown import board, table
from tests.leaderboard.typed import build_boards

ROOT = Path(__file__).resolve().parents[2]
WILD = "demo-wild"
HEADING = "### Gain from unlabeled images on demo-wild (unlabeled)"
Document = dict[str, Any]

SCORES = {
    "ssiqa": [0.80, 0.83, 0.79, 0.84, 0.81],
    "supervised-long": [0.76, 0.78, 0.77, 0.80, 0.75],
    "supervised": [0.78, 0.80, 0.77, 0.79, 0.81],
    "oracle": [0.90, 0.91, 0.92, 0.93, 0.94],
}


def runs(made: ModuleType, scores: dict[str, list[float]], **fields: Any) -> list[Document]:
    return [
        made.record(name, seed, srcc={WILD: value}, **fields)
        for name, own in scores.items()
        for seed, value in enumerate(own)
    ]


def probe(made: ModuleType, scores: list[float]) -> list[Document]:
    """Runs of `ridge-probe`, a closed-form fit on labels alone with another recipe."""
    found = runs(made, {"ridge-probe": scores}, recipe="frozen", steps=0)
    for own in found:
        own["method"]["family"] = "baseline"
        own["stages"] = [{"name": "fit", "key": "4" * 64, "steps": 0, "seconds": 0.1, "cached": False, "log": [],
                          "metrics": own["metrics"]}]  # fmt: skip
    return found


def flat(records: list[Document]) -> dict[str, dict[str, str]]:
    """The lines of the flat table by method."""
    (text,) = (own for name, own in build_boards(records, formats=("csv",)).items())
    return {line["method"]: line for line in csv.DictReader(io.StringIO(text))}


def test_gains_over_the_best_labels_only_row_are_those_of_scipy_whatever_its_steps(made: ModuleType) -> None:
    records = runs(made, SCORES)
    best = best_labels_only(section_of(records))
    assert best is not None and best.row.method == "supervised" and best.chosen_from == 2
    assert best.value == pytest.approx(np.mean(SCORES["supervised"]))
    assert best.row.newest.facts.steps != row_of(section_of(records), "ssiqa").newest.facts.steps
    gap = np.subtract(SCORES["ssiqa"], SCORES["supervised"])
    lo, hi = stats.t.interval(0.95, 4, gap.mean(), gap.std(ddof=1) * np.sqrt(1 / 5 + 0.2 / 0.8))
    line = flat(records)["ssiqa"]
    assert line["best_labels_only"] == "supervised (demo)"
    assert [float(line[name]) for name in ("over_best", "over_best_lo", "over_best_hi")] == pytest.approx(
        [gap.mean(), lo, hi]
    )
    assert float(line["gain"]) == pytest.approx(np.mean(np.subtract(SCORES["ssiqa"], SCORES["supervised-long"])))
    text = board(records)
    (row,) = table(text, HEADING)
    assert row["Over best labels-only"] == f"{gap.mean():+.3f} [{lo:+.3f}, {hi:+.3f}]"
    words = " ".join(text.split())
    assert "Best labels-only row on demo-wild with all scores: `supervised` (demo), 0.790, the highest mean of" in words
    assert "Trained on labels alone, so without a gain: `supervised`." in words
    for name in ("oracle", "supervised", "supervised-long"):
        assert flat(records)[name]["over_best"] == "", "only learners are compared"


def test_a_row_with_few_splits_or_old_images_is_not_the_best(made: ModuleType) -> None:
    lucky = runs(made, {"supervised": [0.99, 0.99]})
    best = best_labels_only(section_of([*runs(made, {k: SCORES[k] for k in ("ssiqa", "supervised-long")}), *lucky]))
    assert best is not None and (best.row.method, best.chosen_from) == ("supervised-long", 1)
    records = runs(made, SCORES)
    for own in records:
        if own["cell"]["method"] == "supervised":
            own["datasets"][WILD]["fingerprint"], own["created"] = "older", "2020-01-01T00:00:00Z"
    best = best_labels_only(section_of(records))
    assert best is not None and best.row.method == "supervised-long"
    assert best_labels_only(section_of(runs(made, {"ssiqa": SCORES["ssiqa"]}))) is None


def test_the_boards_agree_with_the_script_that_prints_the_claims() -> None:
    """The script computes the same differences from the records by itself, one recipe after the other."""
    spec = importlib.util.spec_from_file_location("claims_open", ROOT / "benchmarks" / "claims" / "open.py")
    assert spec is not None and spec.loader is not None
    claims = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(claims)
    printed, folder = io.StringIO(), ROOT / "leaderboards" / "open"
    with redirect_stdout(printed):
        claims.main([folder])
    sections = {(str(own.pair), str(own.budget or "all")): SectionView(own)
                for held in collect(iter_records(folder)) for own in held.sections}  # fmt: skip
    compared = 0
    for text in printed.getvalue().split("\n== ")[1:]:
        place = re.match(r"(\S+), (\S+) labels, protocol \S+ recipe ([^\s,:]+)", text)
        over = re.search(r"^gain over (?!own)(\S+?): .*\n((?:\S+ +[+-].*\n)+)", text, re.MULTILINE)
        assert place is not None and over is not None, text
        view = sections[place[1], place[2]]
        best = view.best_labels_only
        assert best is not None
        if (best.row.method, best.row.recipe) != (over[1], place[3]):
            continue  # the section's best row has another recipe
        for line in over[2].splitlines():
            method, mean, rest = line.split(maxsplit=2)
            (row,) = (own for own in view.section.rows if (own.method, own.recipe) == (method, place[3]))
            found = view.over_best(row, view.section.ranking_dataset)
            assert found is not None and found.lo is not None and found.hi is not None
            shown = f"{found.paired.stat.value:+.4f} {found.lo:+.4f} to {found.hi:+.4f}"
            assert f"{mean} {rest}".startswith(shown), line
            compared += 1
    assert compared > 5, printed.getvalue()


@pytest.mark.parametrize(("gap", "shown"), [(0.005, True), (0.03, False)])
def test_no_gain_is_shown_where_training_on_labels_stays_below_the_linear_model(
    made: ModuleType, gap: float, shown: bool
) -> None:
    records = [*runs(made, SCORES), *probe(made, [value + gap for value in SCORES["supervised"]])]
    line, text = flat(records)["ssiqa"], board(records)
    words = " ".join(text.split())
    assert (line["gain"] != "", line["over_best"] != "", line["verdict"] != "") == (shown,) * 3
    assert (HEADING in text and "| Verdict" in text) == shown
    assert ("labels-only training does not reach `ridge-probe`" in words) != shown
    assert ("1 learner against labels only" in words) == shown
    assert ("no gain is shown" in line["notes"]) != shown
    overview = build_boards(records, formats=("md",))["demo/standard.md"]
    assert ("1 not distinguished" in overview or "1 better" in overview) == shown
    # On other splits the linear model says nothing.
    for own in records:
        if own["cell"]["method"] == "ridge-probe":
            own["cell"]["seed"] += 50
    assert flat(records)["ssiqa"]["gain"] != ""


def test_an_oracle_without_a_comparator_is_held_against_the_best_labels_only_row(made: ModuleType) -> None:
    scores = {**SCORES, "oracle": [value - 0.05 for value in SCORES["supervised"]]}
    del scores["supervised-long"]
    records = runs(made, scores)
    section = section_of(records)
    (remark,) = remarks(row_of(section, "oracle"), section)
    assert remark.mark == "reference not valid here"
    assert "on demo-wild it is below supervised" in remark.sentence.plain
    line = flat(records)["ssiqa"]
    assert line["to_oracle"] == "" and "oracle is below supervised on demo-wild" in line["notes"]
    text = board(records)
    assert "Gain of training on the withheld scores" not in text and "`oracle` *reference not valid here*" in text
    assert float(flat(runs(made, SCORES))["ssiqa"]["to_oracle"]) < 0


def test_the_overview_counts_methods_and_not_their_recipes(made: ModuleType) -> None:
    records = runs(made, {k: SCORES[k] for k in ("ssiqa", "supervised")})
    for own in runs(made, {"ssiqa": SCORES["supervised"]}):
        own["cell"]["recipe"] = "tuned"
        records.append(own)
    (row,) = table(build_boards(records, formats=("md",))["demo/standard.md"], "# Leaderboard")
    assert row["Methods"] == "2"
