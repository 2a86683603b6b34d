"""Files of the site: page, script, style, charts, and the data as scripts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.resources import files

from ssliqa_bench.leaderboard.collect import collect
from ssliqa_bench.leaderboard.site.documents import Images, ReadPredictions, index, row_document, row_id, script
from ssliqa_bench.leaderboard.view import View
from ssliqa_bench.registry.lookup import Registry
from ssliqa_bench.store.record import Record

FOLDER = "site"
_ASSETS = ("index.html", "site.css", "site.js", "pages.js", "charts.js", "compare.js", "uplot.min.js", "uplot.min.css",
           "uplot-LICENSE.txt")  # fmt: skip


def build_site(records: Iterable[Record], read: ReadPredictions, registry: Registry) -> dict[str, str]:
    """The text of every file of the site by its path below the output folder, `site/index.html` first of all.

    The order of the records does not matter. Predictions are read of datasets whose scores may be passed on.
    """
    boards = [(board, [View(section) for section in board.sections]) for board in collect(records)]
    boards.sort(key=lambda own: (own[0].demo, own[0].protocol))
    folder = files("ssliqa_bench.leaderboard.site") / "assets"
    texts = {f"{FOLDER}/{name}": (folder / name).read_text(encoding="utf-8") for name in _ASSETS}
    texts[f"{FOLDER}/data/index.js"] = script("index", index(boards, registry))
    images = Images()
    for _, views in boards:
        for view in views:
            for item in view.ranked:
                name = row_id(item.row, view)
                document = row_document(item.row, read, images)
                texts[f"{FOLDER}/data/rows/{name}.js"] = script("rows", document, name)
    for name, document in images.documents().items():
        texts[f"{FOLDER}/data/images/{file_name(name)}.js"] = script("images", document, name)
    return dict(sorted(texts.items()))


def file_name(text: str) -> str:
    """A name of a dataset as part of a file's name; the site's script makes the same."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", text)
