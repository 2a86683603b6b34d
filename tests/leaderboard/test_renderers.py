"""All formats at once: shuffled records, awkward names, what JSON and LaTeX hold."""

from __future__ import annotations

import csv
import io
import json
import random
import re
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from markdown_it import MarkdownIt

from ssliqa_bench.leaderboard import boards
from ssliqa_bench.leaderboard.page import Cell, CodeText, Link, Mark, Page, Paragraph, Phrase, joined, phrase
from ssliqa_bench.leaderboard.renderers import RENDERERS, latex, markdown
from tests.leaderboard.typed import build_boards, typed

FORMATS = tuple(RENDERERS)
AWKWARD = [
    "a|b", "<script>alert(1)</script>", "=cmd|' /C calc'!A0", "R&D &lt;", "two\nlines\r\nthree", "\x1b[31mred\x1b[0m",
    "`tick` ``two``", "*star* _under_ [x](javascript:alert(1))", "\\end{longtable} 50% $x_1$ #1 ~ ^", "\u202egnp.exe",
]  # fmt: skip


def awkward_records(made: ModuleType) -> list[dict[str, Any]]:
    """Every awkward text as a method, a title, a recipe, an override and a note, and one as a dataset."""
    records = []
    for k, text in enumerate(AWKWARD):
        for seed in range(3):
            own = made.record(text, seed, recipe=text, overrides={text: text}, srcc={"demo-syn": 0.5 + k / 100},
                              notes=[text])  # fmt: skip
            own["method"].update(title=text, family=text, trained_on="unknown", chain=[text])
            records.append(own)
    return [*records, made.record(pair="a/../b|<c>")]


@pytest.mark.parametrize("name", FORMATS)
def test_shuffled_records_give_the_same_bytes(made: ModuleType, name: str) -> None:
    records = made.demo_suite(range(3)) + made.demo_suite([0, 1], created="2026-02-01T00:00:00+00:00", budget=0.1)
    expected = build_boards(records, formats=(name,))
    random.Random(name).shuffle(records)
    assert build_boards(records, formats=(name,)) == expected and expected


@pytest.mark.parametrize("name", FORMATS)
def test_awkward_names_steer_nothing(made: ModuleType, name: str) -> None:
    texts = build_boards(awkward_records(made), formats=(name,))
    assert all(re.fullmatch(r"[A-Za-z0-9._/-]+", path) and ".." not in path.split("/") for path in texts)
    for text in texts.values():
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u2028-\u202e]", text), "nothing that steers a terminal"
        if name != "csv":  # a cell of CSV may hold a line end, inside quotes
            assert "two\nlines" not in text
    everything = "".join(texts.values())
    assert "alert(1)" in everything and "calc" in everything and "gnp.exe" in everything


def test_awkward_names_keep_markdown_tables_in_shape(made: ModuleType) -> None:
    shown = set()
    for text in build_boards(awkward_records(made), formats=("md",)).values():
        for block in (block.splitlines() for block in text.split("\n\n") if block.startswith("|")):
            cells = {len(re.split(r"(?<!\\)\|", line)) for line in block}
            assert len(cells) == 1, block
        tokens = MarkdownIt("commonmark").enable("table").parse(text.replace(markdown.MARKER, ""))
        inner = [child for token in tokens for child in token.children or ()]
        assert not {"html_block", "html_inline", "image"} & {token.type for token in [*tokens, *inner]}
        links = [str(token.attrGet("href")) for token in inner if token.type == "link_open"]
        assert links and all(link.endswith(".md") and ":" not in link for link in links)
        shown |= {token.content for token in inner if token.type == "code_inline"}
    assert {"<script>alert(1)</script>", "`tick` ``two``", "a|b", "two lines\\r three"} <= shown


def test_awkward_names_are_no_formula_in_csv(made: ModuleType) -> None:
    (text,) = build_boards(awkward_records(made), formats=("csv",)).values()
    rows = list(csv.DictReader(io.StringIO(text), strict=True))
    assert len(rows) == len(AWKWARD) + 1
    assert not any(cell.startswith(("=", "@", "+")) and not re.fullmatch(r"[+-]?[\d.e-]+", cell)
                   for row in rows for cell in row.values())  # fmt: skip
    assert "'=cmd|' /C calc'!A0" in {row["method"] for row in rows}


def test_latex_has_balanced_braces_and_no_raw_special(made: ModuleType) -> None:
    for text in build_boards(awkward_records(made), formats=("tex",)).values():
        body = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
        assert not re.search(r"(?<!\\)[#%]", body)
        bare = re.sub(r"\\[{}]", "", body)
        assert bare.count("{") == bare.count("}")
        assert body.count(r"\begin{longtable}") == body.count(r"\end{longtable}")
        for block in re.findall(r"\\begin\{longtable\}.*?\\end\{longtable\}", body, re.DOTALL):
            lines = [line for line in block.splitlines() if line.endswith(r"\\")]
            assert len({len(re.findall(r"(?<!\\)&", line)) for line in lines}) == 1


def test_json_holds_the_numbers_of_the_records(made: ModuleType) -> None:
    records = made.demo_suite()
    texts = build_boards(records, formats=("json",))
    page = json.loads(texts["demo/standard/demo-syn--demo-wild.json"])
    (opening,) = [block for block in page["blocks"] if block["type"] == "table"]
    names = [column["name"] for column in opening["columns"]]
    rows = [dict(zip(names, row, strict=True)) for row in opening["rows"]]
    (ours,) = [row for row in rows if row["method"] == [{"code": "ssiqa"}]]
    values = [run["metrics"]["demo-wild"]["srcc"] for run in records if run["cell"]["method"] == "ssiqa"]
    assert ours["srcc-demo-wild"]["value"] == pytest.approx(np.mean(values), abs=1e-15)
    assert ours["srcc-demo-wild"]["best"] is True and ours["rank"] == "1"
    assert json.loads(texts["demo/standard.json"])["data"]["rows"]


def test_stored_intervals_and_breakdowns_are_shown(made: ModuleType) -> None:
    records = [made.record(seed=seed, srcc={"demo-syn": 0.8}) for seed in range(2)]
    for k, own in enumerate(records):
        ends = {"lo": 0.7 + k / 10, "hi": 0.9, "method": "bootstrap", "units": 40, "resamples": 1000}
        parts = {"blur": {"n": 30, "srcc": 0.5 + k / 5}, "noise|white": {"n": 30, "srcc": None if k else 0.4}}
        kind = {"values": parts, "within": 0.6, "n": 60, "unlabeled": 0}
        own["metrics"]["demo-syn"].update(intervals={"srcc": ends, "krcc": None}, by={"distortion": kind})
    text = build_boards(records, formats=("md",))["demo/standard/demo-syn--demo-wild.md"]
    sure = text.partition("### Uncertainty of single runs on demo-syn")[2]
    assert "| `ssiqa` | 0.750 to 0.900 |" in sure
    kinds = text.partition("### SRCC by distortion on demo-syn")[2].partition("###")[0]
    assert "| Method  | Mean within |  blur | noise\\|white |" in kinds
    assert "|       0.600 | 0.600 |            – |" in kinds
    single = build_boards(records[:1], formats=("md",))["demo/standard/demo-syn--demo-wild.md"]
    assert "0.800 [0.700, 0.900]" in single and "of a single run, for other test images" in single


def test_every_board_names_its_splits(made: ModuleType) -> None:
    records = made.demo_suite(range(2))
    texts = build_boards(records)
    other = made.demo_suite(range(2))
    for own in other:
        own["datasets"]["demo-syn"]["split_hash"] = "another"
    assert all("Splits" in text or "splits" in text for text in texts.values())

    def digest(texts: dict[str, str]) -> set[str]:
        return set(re.findall(r"Splits `([0-9a-f]{12})`", "".join(texts.values())))

    assert len(digest(texts)) == 1 and digest(texts) != digest(build_boards(other))


def test_the_first_table_fits_a_screen_and_says_what_is_left_out(made: ModuleType) -> None:
    records = [made.record(f"method-{k:02}", srcc={"demo-syn": 0.9 - k / 100}) for k in range(30)]
    records += made.demo_suite([0], budget=0.1)
    text = build_boards(records, formats=("md",))["demo/standard/demo-syn--demo-wild.md"]
    opening = text[: text.index("\n## ")]
    lines = [line for line in opening.splitlines() if line.startswith("|")]
    assert len(lines) == 22 and max(map(len, lines)) <= 120
    assert "16 further rows below" in opening and text.index("| --:") < 600


def test_phrases_are_equal_by_their_words() -> None:
    assert phrase("a", "b", "", CodeText("c")) == phrase("ab", CodeText("c")) == Phrase(("ab", CodeText("c")))
    assert joined([CodeText("a"), phrase("b ", Mark("c"))], "; ").plain == "a; b c"
    assert not phrase("") and Cell().number is None


@pytest.mark.parametrize(("target", "address"), [
    ("demo/standard", "../../demo/standard.md"), ("open/standard/x", "x.md"), ("https://a.b/c d", "https://a.b/c%20d"),
    ("javascript:alert(1)", "../../javascript:alert(1).md"),
])  # fmt: skip
def test_links_lead_to_pages_and_web_addresses_only(target: str, address: str) -> None:
    page = Page("open/standard/here", phrase("t"), (Paragraph(phrase("See ", Link("that", target), ".")),))
    assert f"See [that]({address})." in markdown.render(page)
    assert "that" in latex.render(page)


def test_paragraphs_begin_no_list_by_accident() -> None:
    words = phrase("x" * 116 + " 1. not a list " + "y" * 110 + " - nor this")
    lines = markdown.render(Page("p", phrase("t"), (Paragraph(words),))).splitlines()
    assert any(line.startswith("1\\.") for line in lines) and not any(re.match(r"\d+\.|- ", line) for line in lines)


def test_pages_of_records_are_those_that_are_rendered(made: ModuleType) -> None:
    records = made.demo_suite([0])
    pages = boards.build_pages(map(typed, records))
    assert boards.render_pages(pages, ("md", "csv")) == build_boards(records)
