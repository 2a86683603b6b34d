"""Pairs of one dataset, of two, and without unlabeled images stand under headings of their own on boards."""

from __future__ import annotations

import csv
import io
import json
import re
from types import ModuleType
from typing import Any

import pytest

from tests.leaderboard.test_markdown import table
from tests.leaderboard.typed import build_boards

# By the heading that they belong below, in the order of the headings; the first letters would give another order.
PAIRS = {
    "Unlabeled images of the same dataset": ["koniq:koniq", "livec:livec"],
    "Unlabeled images of another dataset": ["koniq:livec", "livec:koniq"],
    "No unlabeled images": ["koniq"],
}
QUESTIONS = {
    "koniq--koniq": "Semi-supervised learning: ", "livec--livec": "Semi-supervised learning: ",
    "koniq--livec": "Domain adaptation: ", "livec--koniq": "Domain adaptation: ", "koniq": "No unlabeled images: ",
}  # fmt: skip


@pytest.fixture
def records(made: ModuleType) -> list[dict[str, Any]]:
    found = [
        made.record(method, seed, pair=pair, kind="authentic")
        for pairs in PAIRS.values()
        for pair in sorted(pairs, reverse=True)
        for method in ("supervised", "ssiqa")
        for seed in range(3)
    ]
    for record in found:
        labeled, _, unlabeled = record["cell"]["pair"].partition(":")
        if labeled == unlabeled:
            record["datasets"][labeled]["side"] = "labeled"
    return found


def test_the_overview_has_a_table_for_each_question(records: list[dict[str, Any]]) -> None:
    text = build_boards(records, formats=("md",))["standard.md"]
    assert re.findall(r"^## (.*)$", text, re.MULTILINE)[:3] == list(PAIRS)
    for heading, pairs in PAIRS.items():
        rows = table(text, f"## {heading}")
        assert [re.sub(r"\[(.*)\].*", r"\1", row["Pair"]) for row in rows] == pairs
        assert ("SRCC unlabeled" in rows[0]) == ("another" in heading)
    # A board with pairs of one kind has the heading of that kind alone.
    alone = [own for own in records if own["cell"]["pair"] == "koniq:livec"]
    text = build_boards(alone, formats=("md",))["standard.md"]
    assert "## Unlabeled images of another dataset" in text and "same dataset" not in text


def test_the_page_of_a_pair_begins_with_its_question(records: list[dict[str, Any]]) -> None:
    texts = build_boards(records, formats=("md",))
    for name, question in QUESTIONS.items():
        first = texts[f"standard/{name}.md"].split("\n\n")[2]
        assert first.startswith(question) and first.endswith("?"), name


def test_all_formats_have_the_pairs_in_the_same_order(records: list[dict[str, Any]]) -> None:
    order = [pair for pairs in PAIRS.values() for pair in pairs]
    texts = build_boards(records, formats=("csv", "json", "tex"))
    lines = csv.DictReader(io.StringIO(texts["standard.csv"]))
    assert list(dict.fromkeys(line["pair"] for line in lines)) == order
    blocks = json.loads(texts["standard.json"])["blocks"]
    assert [block["title"] for block in blocks if block["name"].startswith("pairs-")] == list(PAIRS)
    assert re.findall(r"^\\subsection\*\{(.*)\}$", texts["standard.tex"], re.MULTILINE)[:3] == list(PAIRS)


def test_pairs_without_a_common_question_change_no_column(records: list[dict[str, Any]]) -> None:
    same = [own for own in records if own["cell"]["pair"] == "koniq:koniq"]
    heads = [build_boards(given, formats=("csv",))["standard.csv"].splitlines()[0] for given in (same, records)]
    assert heads[0] == heads[1]
