"""The formats of boards: one file for each, which turns a page into text; a further format is a row of `RENDERERS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ssliqa_bench.leaderboard.page import Page
from ssliqa_bench.leaderboard.renderers import csv_text, json_text, latex, markdown

# Suffix of the files -> what writes one page; None where the format has nothing of a page.
RENDERERS: Mapping[str, Callable[[Page], str | None]] = {
    "md": markdown.render,
    "csv": csv_text.render,
    "tex": latex.render,
    "json": json_text.render,
}
# The site is no rendering of single pages: it has data that readers filter and compare (`site/build.py`).
SITE = "html"
FORMATS = (*RENDERERS, SITE)
