"""Errors by score range and SRCC by group as pages: against a plain loop, withheld data, awkward names, the command."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from ssliqa_bench.cli.app import main
from ssliqa_bench.evaluation.mapping import fit_mapping
from ssliqa_bench.leaderboard.boards import render_pages
from ssliqa_bench.leaderboard.breakdown_pages import breakdown_pages
from ssliqa_bench.leaderboard.few_labels_page import few_label_pages
from ssliqa_bench.leaderboard.not_run_page import not_run_page
from ssliqa_bench.store.failures import Failure
from ssliqa_bench.store.predictions import Predictions
from ssliqa_bench.store.record import Record
from tests.leaderboard.test_renderers import AWKWARD
from tests.leaderboard.typed import typed, write

GROUPS = ("day", "night")


def predictions(record: Record, dataset: str, count: int = 120) -> Predictions:
    random = np.random.default_rng([record.cell.seed, len(record.cell.method)])
    score = np.round(random.uniform(0, 100, count), 3)
    guess = score / 100 + random.normal(0, 0.2, count)
    names = tuple(f"{dataset}-{k}.png" for k in range(count))
    groups = tuple(GROUPS[k % 2] for k in range(count))
    return Predictions(names, tuple(score.tolist()), tuple(guess.tolist()), group=groups)


def records(made: ModuleType, **changes: Any) -> list[Record]:
    found = [made.record(name, seed, srcc={"demo-wild": 0.7}) for name in ("ssiqa", "piqe") for seed in range(3)]
    for own in found:
        own["datasets"]["demo-wild"].update(changes)
    return [typed(own) for own in found]


def line(text: str, heading: str, method: str) -> list[str]:
    """The cells of a method in the first table below a heading."""
    found = next(own for own in text[text.index(heading) :].splitlines() if f"`{method}`" in own)
    return [cell.strip() for cell in found.strip("|").split("|")][1:]


def test_tables_are_those_of_a_plain_loop(made: ModuleType) -> None:
    given = records(made)
    pages = breakdown_pages(given, predictions)
    assert render_pages(pages, ("md", "tex", "json")) == render_pages(
        breakdown_pages(given[::-1], predictions), ("md", "tex", "json"))
    text = render_pages(pages, ("md",))["breakdowns/demo/standard/demo-syn--demo-wild.md"]
    text = text[text.index("## demo-syn:demo-wild") :]
    bias, rmse, groups = [], [], []
    for own in (own for own in given if own.cell.method == "ssiqa"):
        rows = predictions(own, "demo-wild")
        errors = fit_mapping(rows.prediction, rows.score).apply(rows.prediction) - np.array(rows.score)
        fifths = np.array_split(np.argsort(rows.score), 5)
        bias.append([errors[fifth].mean() for fifth in fifths])
        rmse.append([np.sqrt((errors[fifth] ** 2).mean()) for fifth in fifths])
        groups.append([spearmanr(rows.prediction[k::2], rows.score[k::2]).statistic for k in range(2)])
    for heading, expected in (("Mean error", bias), ("RMSE", rmse), ("SRCC by group", groups)):
        assert [float(cell) for cell in line(text, heading, "ssiqa")] == pytest.approx(np.mean(expected, 0), abs=6e-4)


def test_predictions_that_may_not_be_passed_on_are_not_read(made: ModuleType) -> None:
    def never(record: Record, dataset: str) -> Predictions:
        raise AssertionError("read")

    (text,) = render_pages(breakdown_pages(records(made, labels_redistributable=False), never), ("md",)).values()
    assert "not recomputable here" in text and "Mean error" not in text


@pytest.mark.parametrize("name", ["md", "csv", "tex", "json"])
def test_awkward_names_steer_no_further_page(made: ModuleType, name: str) -> None:
    given = [typed(made.record(text, seed, recipe=text, budget=budget, srcc={"demo-wild": 0.5 + budget / 1000}))
             for text in AWKWARD for seed in range(2) for budget in (10, 40)]  # fmt: skip
    lacking = [Failure(cell=own.cell, state="failed", error=" ".join(own.cell.method.split())) for own in given]
    pages = [*breakdown_pages(given, predictions), *few_label_pages(given), not_run_page(lacking)]
    texts = render_pages(pages, (name,))
    assert all(re.fullmatch(r"[A-Za-z0-9._/-]+", path) for path in texts) and texts
    for text in texts.values():
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u2028-\u202e]", text)
        if name == "md":
            assert "<script>" not in re.sub(r"`[^`]*`", "", text)
        if name == "csv":
            assert not re.search(r'(?m)(^|,)"?[=+@]', re.sub(r"(?<=,)[+-][\d.]+", "", text))
        else:
            assert "two\nlines" not in text


def test_the_command_writes_and_checks_them(made: ModuleType, tmp_path: Path) -> None:
    own = made.record("ssiqa", 0, srcc={"demo-wild": 0.7})
    own["datasets"]["demo-wild"]["labels_redistributable"] = False
    write(tmp_path / "runs", own)
    words = ["leaderboard", "--breakdowns", "--store", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]
    assert main(words) == 0 and main([*words, "--check"]) == 0
    assert (tmp_path / "out/breakdowns/demo/standard/demo-syn--demo-wild.md").is_file()
    assert main([*words, "--published"]) == 2 and main([*words, "--format", "html"]) == 2
