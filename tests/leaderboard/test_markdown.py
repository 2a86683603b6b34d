from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy import stats

from ssliqa_bench.leaderboard.numbers import count, decimals, mebibytes, signed
from tests.leaderboard.typed import build_boards

EXAMPLE = Path(__file__).with_name("example_board.md")
WILD = "### Gain from unlabeled images on demo-wild"


def board(records: list[dict[str, Any]], *, cost: bool = True) -> str:
    """The page of the only pair."""
    (text,) = (own for name, own in build_boards(records, formats=("md",), cost=cost).items()
               if "--" in name)
    return text


def table(text: str, heading: str) -> list[dict[str, str]]:
    """The first table after a heading, one dictionary per row, without emphasis and code marks."""
    lines = text[text.index(heading) :].splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip().replace("*", "").replace("`", "") for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return [dict(zip(rows[0], row, strict=True)) for row in rows[2:]]


def test_the_example_board(made: ModuleType, tmp_path: Path) -> None:
    """The whole board of a demo suite as a reader sees it; a change of the boards shows here."""
    text = board(made.demo_suite())
    (tmp_path / EXAMPLE.name).write_text(text, encoding="utf-8", newline="\n")
    assert text == EXAMPLE.read_text(encoding="utf-8"), f"if it is meant: cp {tmp_path / EXAMPLE.name} {EXAMPLE}"


def test_pseudo_labels_of_every_stage_are_means_over_the_runs(made: ModuleType) -> None:
    records = made.demo_suite()
    assert "Pseudo-labels" not in board(records)
    rng = np.random.default_rng(0)
    for record in records:
        if record["cell"]["method"] == "ssiqa":
            values = rng.uniform(size=7).tolist()
            record["pseudo_labels"] = {
                "last": {"n": 640, "srcc": values[0], "bias": values[1] - 0.5, "mae": values[2],
                         "mae_by_spread": values[3:]}
            }  # fmt: skip
    held = [record["pseudo_labels"]["last"] for record in records if "pseudo_labels" in record]
    (row,) = table(board(records), "### Pseudo-labels")
    assert (row["Method"], row["Stage"]) == ("ssiqa", "last")
    assert row["SRCC"] == f"{np.mean([own['srcc'] for own in held]):.3f}"
    assert row["Bias"] == f"{np.mean([own['bias'] for own in held]):+.3f}"
    assert row["MAE, 4th quarter"] == f"{np.mean([own['mae_by_spread'][3] for own in held]):.3f}"
    assert "Coverage" not in row  # nothing was chosen
    chosen = rng.uniform(size=len(held)).tolist()
    for record, share in zip((own for own in records if "pseudo_labels" in own), chosen, strict=True):
        record["stages"][-1]["log"] = [{"epoch": 1, "mask": 0.0}, {"epoch": 2, "mask": share}]
    (row,) = table(board(records), "### Pseudo-labels")
    assert row["Coverage"] == f"{np.mean(chosen):.3f}"


def pseudo_labelled(made: ModuleType, method: str, log: dict[str, float], **fields: Any) -> list[dict[str, Any]]:
    """Runs of a method whose two stages have figures of pseudo-labels, the last with a log."""
    records = [made.record(method, seed, srcc={"demo-wild": 0.8}, first=0.7, **fields) for seed in range(3)]
    for record in records:
        record["stages"][-1]["log"] = [{"epoch": 1, **log}]
        record["pseudo_labels"] = {
            name: {"n": 640, "srcc": 0.6, "bias": 0.0, "mae": 0.1, "mae_by_spread": [0.1, 0.1, 0.1, 0.2]}
            for name in ("initial", "last")
        }
    return records


def test_rows_that_make_no_pseudo_labels_are_not_in_their_table(made: ModuleType) -> None:
    learner = pseudo_labelled(made, "ssiqa", {"loss": 0.1})
    others = [own for name in ("supervised", "supervised-long", "oracle")
              for own in pseudo_labelled(made, name, {"loss": 0.1})]  # fmt: skip
    rows = table(board([*learner, *others]), "### Pseudo-labels")
    assert {row["Method"] for row in rows} == {"ssiqa"}
    assert "### Pseudo-labels" not in board(others)


@pytest.mark.parametrize(("log", "coverage"), [
    ({"unlabeled_loss": 0.2}, "1.000"), ({"consistency_loss": 0.2}, "1.000"), ({"unlabeled": 14.0}, "1.000"),
    ({"unlabeled_loss": 0.2, "mask": 0.25}, "0.250"), ({"loss": 0.3}, "–"),
])  # fmt: skip
def test_coverage_is_one_where_the_record_tells_that_all_images_were_learned_from(
    made: ModuleType, log: dict[str, float], coverage: str
) -> None:
    # Beside another learner that chooses, so that the table has the column in any case.
    records = [*pseudo_labelled(made, "ssiqa", log), *pseudo_labelled(made, "rankup", {"mask": 0.5})]
    text = board(records)
    shown = {(row["Method"], row["Stage"]): row["Coverage"] for row in table(text, "### Pseudo-labels")}
    assert shown["ssiqa", "last"] == coverage and shown["rankup", "last"] == "0.500"
    assert shown["ssiqa", "initial"] == "–", "learned from labels"
    words = " ".join(text.split())
    assert "a dash where it draws none or its record does not tell" in words
    assert "by confidence, which here is how closely the predictions for an image's crops agree" in words


def test_phases_of_ssiqa_learn_all_of_their_block_and_other_peoples_learners_are_not_known(made: ModuleType) -> None:
    records = pseudo_labelled(made, "ssiqa", {"loss": 0.1})
    for record in records:
        record["stages"][-1]["name"] = "phase-1"
        record["pseudo_labels"]["phase-1"] = record["pseudo_labels"].pop("last")
        record["key_parts"]["params"]["blocks"] = 3
    others = pseudo_labelled(made, "theirs", {"unlabeled_loss": 0.1})
    for record in others:
        record["code"]["definitions"]["entry"] = "theirs.learner:Learner"
    rows = table(board([*records, *others]), "### Pseudo-labels")
    shown = {(row["Method"], row["Stage"]): row["Coverage"] for row in rows}
    assert shown == {("ssiqa", "initial"): "–", ("ssiqa", "phase-1"): "1.000", ("theirs", "initial"): "–",
                     ("theirs", "last"): "–"}  # fmt: skip


def test_numbers_are_those_of_the_records(made: ModuleType) -> None:
    records = made.demo_suite()

    def values(method: str, dataset: str) -> np.ndarray:
        runs = sorted((r for r in records if r["cell"]["method"] == method), key=lambda r: r["cell"]["seed"])
        return np.array([run["metrics"][dataset]["srcc"] for run in runs])

    ours, long, oracle = (values(m, "demo-wild") for m in ("ssiqa", "supervised-long", "oracle"))
    (row,) = [row for row in table(board(records), "## demo-syn:demo-wild") if row["Method"] == "ssiqa"]
    assert row["SRCC demo-wild (unlabeled)"] == f"{ours.mean():.3f} ± {ours.std(ddof=1):.3f}"
    assert (row["#"], row["Recipe"], row["Runs"]) == ("1", "demo", "5")
    (row,) = [row for row in table(board(records), WILD) if row["Method"] == "ssiqa"]
    gain = ours - long
    lo, hi = stats.t.interval(0.95, 4, gain.mean(), gain.std(ddof=1) * np.sqrt(1 / 5 + 0.2 / 0.8))
    assert row["Gain"] == f"{gain.mean():+.3f} [{lo:+.3f}, {hi:+.3f}]"
    assert row["To oracle"] == f"{(ours - oracle).mean():+.3f} ± {(ours - oracle).std(ddof=1):.3f}"


def test_a_median_protocol_shows_the_interquartile_range(made: ModuleType) -> None:
    values = [0.5, 0.9, 0.7, 0.6]
    fields = {"aggregate": "median"}
    text = board([made.record(seed=k, srcc={"demo-wild": v}, protocol_fields=fields) for k, v in enumerate(values)])
    low, middle, high = np.percentile(values, [25, 50, 75])
    assert table(text, "## demo-syn")[0]["SRCC demo-wild (unlabeled)"] == f"{middle:.3f} ({high - low:.3f})"
    assert "median over the runs, interquartile range in parentheses" in " ".join(text.split())


def test_without_an_oracle_the_distance_is_a_dash_with_a_reason(made: ModuleType) -> None:
    text = board([r for r in made.demo_suite() if r["cell"]["method"] != "oracle"])
    (row,) = [row for row in table(text, WILD) if row["Method"] == "ssiqa"]
    assert row["Gain"].startswith("+")
    letter = re.fullmatch(r"– \[([a-z])\]", row["To oracle"])
    assert letter is not None
    assert f"- [{letter[1]}] no oracle of this method on record" in text


def test_undefined_values_are_dashes_and_said(made: ModuleType) -> None:
    runs = [made.record(seed=seed, srcc={"demo-wild": 0.8}) for seed in range(3)]
    runs[1]["metrics"]["demo-wild"].update(plcc_mapped=None, mapping="flat")
    runs[2]["metrics"]["demo-wild"].update(mapping="linear")
    text = board(runs)
    (row,) = table(text, "### Further measures on demo-wild")
    assert row["PLCC"].startswith("– [")
    assert row["RMSE"].startswith("0.300 ± 0.000 [")
    assert row["KRCC"] == "0.600 ± 0.000"
    assert "PLCC undefined on demo-wild in 1 of 3 runs." in text
    assert "mapping *flat* in 1 of 3 runs." in text and "mapping *linear* in 1 of 3 runs." in text


def test_seen_cells_are_marked_and_never_best(made: ModuleType) -> None:
    def run(method: str, value: float, **changes: Any) -> dict[str, Any]:
        return made.record(method, pair="koniq:livec", kind="authentic", srcc={"livec": value}, **changes)  # type: ignore[no-any-return]

    text = board([run("saw", 0.99, trained_on=["livec"]), run("good", 0.8), run("weak", 0.5)])
    rows = {row["Method"]: row for row in table(text, "## koniq:livec")}
    assert (rows["saw"]["#"], rows["saw"]["SRCC livec (unlabeled)"]) == ("seen", "0.990 seen")
    assert rows["good"]["#"] == "1" and "**0.800**" in text and "**0.990**" not in text
    assert "*seen*: its initial weights were trained on that dataset" in text


def test_a_dataset_tested_in_some_runs_only_says_in_which(made: ModuleType) -> None:
    runs = [made.record(seed=0, srcc={"demo-wild": 0.8, "live": 0.4}), made.record(seed=1, srcc={"demo-wild": 0.8})]
    text = board(runs)
    assert "SRCC live (external)" in text
    assert "tested on live in 1 of 2 runs (seed 0)." in text


def test_overrides_and_budgets_are_named(made: ModuleType) -> None:
    text = board([made.record(overrides={"name": "a|b", "lr": 0.1}, budget=0.25), made.record(budget=100)])
    assert "## demo-syn:demo-wild, 25 % of the scores" in text
    assert "## demo-syn:demo-wild, 100 scores" in text
    assert table(text, "25 % of the scores")[0]["Recipe"] == 'demo, lr=0.1, name="a\\|b"'


def test_several_comparators_are_named_in_a_column(made: ModuleType) -> None:
    own = made.record("long-1in100", srcc={"demo-wild": 0.5})
    own["method"].update(like="ssiqa-1in100", chain=["supervised", "long-1in100"])
    names = {row["Method"]: row["Comparator"] for row in table(board([*made.demo_suite([0]), own]), "### Gain")}
    assert names == {"ssiqa": "supervised-long", "ssiqa-1in100": "long-1in100"}


def test_no_cost_leaves_cost_out(made: ModuleType) -> None:
    with_cost, without = (board(made.demo_suite(), cost=cost) for cost in (True, False))
    assert table(with_cost, "### Cost")[0]["Memory (MiB)"] == "812"
    assert "### Cost" not in without and "Parameters" not in without
    assert table(with_cost, "### Gain") == table(without, "### Gain")


def test_only_demo_boards_carry_the_banner(made: ModuleType) -> None:
    real = board([made.record(pair="koniq:livec", srcc={"livec": 0.5}, kind="authentic")])
    assert "no evidence about human opinion" in " ".join(board(made.demo_suite()).replace("> ", "").split())
    assert "human opinion" not in real and "Demo data" not in real


def test_tables_are_aligned_and_plain(made: ModuleType) -> None:
    text = board(made.demo_suite())
    blocks = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert len(blocks) == 8
    for block in blocks:
        assert len({len(line) for line in block}) == 1
        assert len(block[0]) <= 165
    assert "\r" not in text and text.endswith("\n") and not text.endswith("\n\n")


@pytest.mark.parametrize(
    ("show", "value", "text"),
    [(decimals, -0.0004, "0.000"), (signed, -0.0004, "+0.000"), (signed, 0.0125, "+0.013"), (signed, -0.25, "-0.250"),
     (decimals, 1.0, "1.000"), (count, 22050664.0, "22,050,664"), (mebibytes, 3 * 2**30, "3,072")],
)  # fmt: skip
def test_numbers_are_printed_in_one_way(show: Any, value: float, text: str) -> None:
    assert show(value) == text


def test_what_runs_note_stands_at_the_end_of_a_section_and_not_between_its_tables(made: ModuleType) -> None:
    runs = [made.record(seed=seed) for seed in range(2)]
    runs[1]["notes"] = ["student: 3 of 9 | images selected"]
    text = board(runs)
    section = text[: text.index("## Methods")]
    assert section.rstrip().endswith(r"  - student: 3 of 9 \| images selected (seed 1)")
    assert section.count("images selected") == 1 and "### Notes of the runs" in section
    assert "### Notes of the runs" not in board(runs[:1])
