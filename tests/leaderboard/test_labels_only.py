"""Comparisons with the best row that learned from labels alone, and when gains are no evidence."""

from __future__ import annotations

import csv
import importlib.util
import io
import re
import sys
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy import stats

from ssliqa_bench.leaderboard.bar import trains_stages
from ssliqa_bench.leaderboard.collect import collect
from ssliqa_bench.leaderboard.labels_only import best_labels_only
from ssliqa_bench.leaderboard.ranking import remarks
from ssliqa_bench.leaderboard.view import SectionView
from ssliqa_bench.registry.load import load_registry
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
    section = section_of(records)
    best = best_labels_only(row_of(section, "ssiqa"), section)
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
    section = section_of([*runs(made, {k: SCORES[k] for k in ("ssiqa", "supervised-long")}), *lucky])
    best = best_labels_only(row_of(section, "ssiqa"), section)
    assert best is not None and (best.row.method, best.chosen_from) == ("supervised-long", 1)
    records = runs(made, SCORES)
    for own in records:
        if own["cell"]["method"] == "supervised":
            own["datasets"][WILD]["fingerprint"], own["created"] = "older", "2020-01-01T00:00:00Z"
    section = section_of(records)
    best = best_labels_only(row_of(section, "ssiqa"), section)
    assert best is not None and best.row.method == "supervised-long"
    section = section_of(runs(made, {"ssiqa": SCORES["ssiqa"]}))
    assert best_labels_only(section.rows[0], section) is None


def test_each_learner_is_compared_with_the_best_row_on_its_own_splits(made: ModuleType) -> None:
    """Heads with 20 splits beside a network with 5: where both are on record, the network has the higher mean."""
    base = np.linspace(0.55, 0.65, 20)
    records = [
        *runs(made, {"ssiqa": list(base + 0.01), "supervised": list(base)}, recipe="frozen"),
        *runs(made, {"ssiqa": list(base[:5] + 0.07), "supervised": list(base[:5] + 0.05)}, recipe="last-stages"),
        *runs(made, {"supervised-long": list(base[:4] + 0.2)}, recipe="short"),
    ]
    section = section_of(records)
    view = SectionView(section)
    learners = {row.recipe: row for row in section.rows if row.method == "ssiqa"}
    expected = {"frozen": (base.mean(), 1, 0.01), "last-stages": (base[:5].mean() + 0.05, 2, 0.02)}
    for recipe, (mean, chosen_from, gain) in expected.items():
        best, over = view.best_labels_only(learners[recipe]), view.over_best(learners[recipe], WILD)
        assert best is not None and over is not None
        assert (best.row.method, best.row.recipe, best.chosen_from) == ("supervised", recipe, chosen_from)
        assert (best.value, over.paired.stat.value) == pytest.approx((mean, gain))
        assert not over.paired.notes, "all splits of the learner count"
    words = " ".join(board(records).split())
    assert (
        "Best labels-only row on demo-wild with all scores: `supervised` (frozen), 0.600 over seeds 0 to 19; "
        "`supervised` (last-stages), 0.611 over seeds 0 to 4, the highest mean of 2 such rows." in words
    )
    assert words.count("0.600 over seeds 0 to 19") == 2, "in the opening and below the table"


def test_where_no_row_has_all_splits_of_a_learner_those_with_the_most_are_taken(made: ModuleType) -> None:
    scores = {"ssiqa": [*SCORES["ssiqa"], 0.8], "supervised": SCORES["supervised"], "supervised-long": [0.99, 0.99]}
    section = section_of(runs(made, scores))
    best = best_labels_only(row_of(section, "ssiqa"), section)
    assert best is not None and (best.row.method, best.seeds) == ("supervised", (0, 1, 2, 3, 4))
    assert "over 5 of 6 runs" in flat(runs(made, scores))["ssiqa"]["notes"]


def test_the_boards_agree_with_the_script_that_prints_the_claims() -> None:
    """The script computes the same differences from the records by itself, one recipe after the other."""
    spec = importlib.util.spec_from_file_location("claims_open", ROOT / "benchmarks" / "claims" / "open.py")
    assert spec is not None and spec.loader is not None
    claims = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
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
        for line in over[2].splitlines():
            method, mean, rest = line.split(maxsplit=2)
            (row,) = (own for own in view.section.rows if (own.method, own.recipe) == (method, place[3]))
            best = view.best_labels_only(row)
            assert best is not None
            if (best.row.method, best.row.recipe) != (over[1], place[3]):
                continue  # the best row has another recipe
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
    said = "labels-only training is more than 0.01 below the linear `ridge-probe` on the same splits, so gains over "
    assert (f"On demo-wild with all scores, {said}labels-only training are not shown." in words) != shown
    assert ("Over best labels-only demo-wild |" in text and "Gain demo-wild |" in text) == shown, "no empty columns"
    assert ("1 learner against its own labels-only comparator" in words) == shown
    assert ("1 learner against the best labels-only row" in words) == shown
    assert ("no gain is shown" in line["notes"]) != shown
    overview = build_boards(records, formats=("md",))["demo/standard.md"]
    assert ("1 not distinguished" in overview or "1 better" in overview) == shown
    # On other splits the linear model says nothing.
    for own in records:
        if own["cell"]["method"] == "ridge-probe":
            own["cell"]["seed"] += 50
    assert flat(records)["ssiqa"]["gain"] != ""


def test_one_recipe_that_reaches_the_linear_model_shows_no_gains_of_another(made: ModuleType) -> None:
    ahead = {name: [value + 0.05 for value in own] for name, own in SCORES.items()}
    records = [*runs(made, SCORES), *runs(made, ahead, recipe="frozen"), *probe(made, ahead["supervised"])]
    (text,) = build_boards(records, formats=("csv",)).values()
    lines = {own["recipe"]: own for own in csv.DictReader(io.StringIO(text)) if own["method"] == "ssiqa"}
    for recipe, shown in {"frozen": True, "demo": False}.items():
        line = lines[recipe]
        assert (line["gain"] != "", line["over_best"] != "", line["verdict"] != "") == (shown,) * 3, recipe
    words = " ".join(board(records).split())
    assert (
        "labels-only training with recipe `demo` is more than 0.01 below the linear `ridge-probe` on the same splits, "
        "so gains over labels-only training are not shown for this recipe." in words
    )
    assert "Best labels-only row on demo-wild with all scores: " in words
    assert "1 learner against its own labels-only comparator" in words
    assert "1 learner against the best labels-only row (corrected for 2 comparisons)" in words, "hidden rows count"
    rows = table(board(records), HEADING)
    assert {(row["Method"], row["Recipe"]) for row in rows} == {("ssiqa", "frozen")}


@pytest.mark.parametrize(("splits", "shown"), [(1, True), (2, True), (3, False)])
def test_a_few_splits_of_the_linear_model_hide_no_gain(made: ModuleType, splits: int, shown: bool) -> None:
    ahead = [value + 0.03 for value in SCORES["supervised"]]
    line = flat([*runs(made, SCORES), *probe(made, ahead[:splits])])["ssiqa"]
    assert (line["gain"] != "", line["verdict"] != "") == (shown, shown)


LAST_STAGES = "frozen/last-stages"
COMMAND = "ssliqa-bench run --method {} --recipe {} --pair demo-syn:demo-wild --protocol standard --seeds 5"


@pytest.mark.parametrize("recipe", [LAST_STAGES, f"{LAST_STAGES}/tuned"])
def test_training_stages_of_a_network_shows_no_gain_without_the_linear_model_on_record(
    made: ModuleType, recipe: str
) -> None:
    records = runs(made, SCORES, recipe=recipe)
    line, text = flat(records)["ssiqa"], board(records)
    assert (line["gain"], line["over_best"], line["verdict"], line["p"]) == ("", "", "", "")
    assert "training on labels alone is not known to reach ridge-probe here; no gain is shown" in line["notes"]
    words = " ".join(text.split())
    assert f"labels-only training with recipe `{recipe}`, which trains stages of a network, must reach" in words
    assert f"The missing runs: `{COMMAND.format('ridge-probe', 'frozen')}`." in words
    assert "Gain demo-wild |" not in text and "against its own labels-only comparator" not in words.partition("##")[0]
    # With the probe, gains are shown or not by what it says, whatever its own recipe is.
    for gap, shown in ((0.005, True), (0.03, False)):
        with_probe = [*records, *probe(made, [value + gap for value in SCORES["supervised"]])]
        assert (flat(with_probe)["ssiqa"]["gain"] != "") == shown
        assert "The missing runs" not in board(with_probe)
    few = [*records, *probe(made, SCORES["supervised"][:2])]
    assert flat(few)["ssiqa"]["gain"] == "" and "fewer than 3 splits of both" in " ".join(board(few).split())


def test_the_missing_runs_are_those_of_labels_alone_where_these_are_not_on_record(made: ModuleType) -> None:
    records = runs(made, {"ssiqa": SCORES["ssiqa"]}, recipe=LAST_STAGES, budget=0.25)
    records += [own for own in probe(made, SCORES["supervised"]) if own["cell"].update(budget=0.25) is None]
    assert flat(records)["ssiqa"]["over_best"] == ""
    command = COMMAND.format("supervised", LAST_STAGES).replace(" --seeds", " --budget 0.25 --seeds")
    assert f"The missing runs: `{command}`." in " ".join(board(records).split())


def test_other_recipes_on_the_same_board_need_no_linear_model(made: ModuleType) -> None:
    records = [*runs(made, SCORES), *runs(made, SCORES, recipe=LAST_STAGES), *runs(made, SCORES, recipe="frozen")]
    (text,) = build_boards(records, formats=("csv",)).values()
    lines = {own["recipe"]: own for own in csv.DictReader(io.StringIO(text)) if own["method"] == "ssiqa"}
    assert {recipe: line["gain"] != "" for recipe, line in lines.items()} == {
        "demo": True, "frozen": True, LAST_STAGES: False
    }  # fmt: skip
    # Both reasons beside each other, each with its recipes.
    below = probe(made, [value + 0.03 for value in SCORES["supervised"]])
    for own in records:
        if own["cell"]["recipe"] == LAST_STAGES:
            own["cell"]["seed"] += 50
    words = " ".join(board([*records, *below]).split())
    assert "training with recipe `demo` or `frozen` is more than 0.01 below the linear `ridge-probe`" in words
    assert f"training with recipe `{LAST_STAGES}`, which trains stages of a network, must reach" in words


def test_recipes_of_the_registry_that_train_stages_of_a_network_are_known_as_such() -> None:
    """By their names: a board reads records alone."""
    registry = load_registry()
    found = {
        recipe
        for name, entry in registry.methods.items()
        for recipe in (registry.recipes(name) if entry.prefix is None else ())
        if registry.resolve_method(name, recipe=recipe).params.get("backbone") == "lite0-last-stages"
    }
    assert found and all(map(trains_stages, found))
    assert not any(map(trains_stages, ("demo", "frozen", "frozen/tuned-on-livec", "frozen/last-stages-else", "paper")))


def test_an_oracle_without_a_comparator_is_held_against_the_best_labels_only_row(made: ModuleType) -> None:
    scores = {**SCORES, "oracle": [value - 0.05 for value in SCORES["supervised"]]}
    del scores["supervised-long"]
    records = runs(made, scores)
    section = section_of(records)
    (remark,) = remarks(row_of(section, "oracle"), section)
    assert remark.mark == "reference not valid on demo-wild"
    assert "it is below supervised" in remark.sentence.plain
    line = flat(records)["ssiqa"]
    assert line["to_oracle"] == "" and "on demo-wild: oracle is below supervised there" in line["notes"]
    text = board(records)
    assert "Gain of training on the withheld scores" not in text
    assert "`oracle` *reference not valid on demo-wild*" in text
    assert float(flat(runs(made, SCORES))["ssiqa"]["to_oracle"]) < 0


def test_the_overview_counts_methods_and_not_their_recipes(made: ModuleType) -> None:
    records = runs(made, {k: SCORES[k] for k in ("ssiqa", "supervised")})
    for own in runs(made, {"ssiqa": SCORES["supervised"]}):
        own["cell"]["recipe"] = "tuned"
        records.append(own)
    (row,) = table(build_boards(records, formats=("md",))["demo/standard.md"], "# Leaderboard")
    assert row["Methods"] == "2"


def test_the_first_table_lists_the_highest_oracle_and_the_best_labels_only_row_alone(made: ModuleType) -> None:
    records = runs(made, SCORES)
    records += runs(made, {"rankup": [0.70, 0.71, 0.70, 0.72, 0.73], "rankup-supervised": [0.69, 0.68, 0.7, 0.7, 0.71]})
    for record in runs(made, {"oracle": [0.85, 0.86, 0.85, 0.87, 0.86]}):
        record["cell"]["method"], record["method"]["like"] = "rankup-oracle", "rankup"
        records.append(record)
    opening, _, below = board(records).partition("\n## ")
    listed = re.findall(r"^\| .*?`([\w-]+)`", opening, re.MULTILINE)
    assert listed == ["oracle", "ssiqa", "supervised", "rankup"], "in the order of means"
    assert "3 further rows, other comparators and oracles among them, below" in opening
    for name in ("supervised-long", "rankup-supervised", "rankup-oracle"):
        assert f"| `{name}`" in below
