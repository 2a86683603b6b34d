"""Files of the site: page, script, style, charts, and the data as scripts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.resources import files
from typing import Any

from ssliqa_bench.leaderboard.boards import build_pages
from ssliqa_bench.leaderboard.collect import collect
from ssliqa_bench.leaderboard.few_labels import few_labels
from ssliqa_bench.leaderboard.few_labels_page import NAME as FEW_LABELS
from ssliqa_bench.leaderboard.few_labels_page import drawn, few_label_pages
from ssliqa_bench.leaderboard.few_labels_page import section_name as section_of_few
from ssliqa_bench.leaderboard.page import Page
from ssliqa_bench.leaderboard.published_page import published_pages
from ssliqa_bench.leaderboard.ranks_page import NAME as RANKS
from ssliqa_bench.leaderboard.ranks_page import rank_page, ranked_protocols
from ssliqa_bench.leaderboard.ranks_page import section_name as section_of_ranks
from ssliqa_bench.leaderboard.site.board_documents import (
    board_document,
    board_id,
    board_list,
    curve_chart,
    rank_chart,
)
from ssliqa_bench.leaderboard.site.documents import ImageNames, ReadPredictions, index, row_document, row_id, script
from ssliqa_bench.leaderboard.view import SectionView
from ssliqa_bench.registry.load import notices_of
from ssliqa_bench.registry.lookup import Registry
from ssliqa_bench.store.failures import Failure
from ssliqa_bench.store.notices import notice_name
from ssliqa_bench.store.record import Record

FOLDER = "site"
_ASSETS = ("index.html", "site.css", "site.js", "pages.js", "boards.js", "charts.js", "compare.js", "uplot.min.js",
           "uplot.min.css", "uplot-LICENSE.txt")  # fmt: skip


def build_site(
    records: Iterable[Record], read: ReadPredictions, registry: Registry, failures: Iterable[Failure] = ()
) -> dict[str, str]:
    """The text of every file of the site by its path below the output folder, `site/index.html` first of all.

    The order of the records does not matter. Predictions are read of datasets whose scores may be passed on; names
    and scores of a dataset with a notice have its notice beside them.
    """
    given, lacking = list(records), list(failures)
    boards = [(board, [SectionView(section) for section in board.sections]) for board in collect(given, lacking)]
    boards.sort(key=lambda own: (own[0].demo, own[0].protocol))
    folder = files("ssliqa_bench.leaderboard.site") / "assets"
    texts = {f"{FOLDER}/{name}": (folder / name).read_text(encoding="utf-8") for name in _ASSETS}
    pages, charts = _pages(given, lacking)
    known = {**index(boards, registry), "boards": board_list(pages)}
    texts[f"{FOLDER}/data/index.js"] = script("index", known)
    for page in pages:
        document = board_document(page, charts.get(page.name, {}))
        texts[f"{FOLDER}/data/boards/{board_id(page)}.js"] = script("boards", document, board_id(page))
        texts |= {f"{FOLDER}/data/boards/{path}": text for path, text in page.beside.items()}
    images = ImageNames()
    for _, views in boards:
        for view in views:
            for item in view.ranked:
                name = row_id(item.row, view)
                document = row_document(item.row, read, images)
                texts[f"{FOLDER}/data/rows/{name}.js"] = script("rows", document, name)
    for name, document in images.documents().items():
        texts[f"{FOLDER}/data/images/{file_name(name)}.js"] = script("images", document, name)
    notices = notices_of(registry)
    for dataset in notices.keys() & images.datasets:
        text = notices[dataset].read_text(encoding="utf-8")
        texts[f"{FOLDER}/data/images/{notice_name(dataset)}"] = text
    return dict(sorted(texts.items()))


def _pages(records: list[Record], failures: list[Failure]) -> tuple[list[Page], dict[str, dict[str, Any]]]:
    """All boards of the site, and the charts of their sections by page."""
    few = few_labels(records)
    ranks = ranked_protocols(records)
    pages = build_pages(records, failures=failures)
    pages += [*few_label_pages(records), rank_page(ranks), *published_pages(records)]
    charts = {
        FEW_LABELS: {section_of_few(k): curve_chart(one) for k, one in enumerate(few) if drawn(one)},
        RANKS: {section_of_ranks(name): rank_chart(found) for name, (_, found) in ranks.items() if found is not None},
    }
    return pages, charts


def file_name(text: str) -> str:
    """A name of a dataset as part of a file's name; the site's script makes the same."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", text)
