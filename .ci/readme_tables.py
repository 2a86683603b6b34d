"""Renew what the documentation quotes: the table of datasets, the first rows of the board on human scores, and the
tables of the first results, which benchmarks/claims/open.py makes from the committed records.

    python .ci/readme_tables.py            write them
    python .ci/readme_tables.py --check    exit code 1 where a file is not current

Each part has its place between two markers; nothing else of a file is changed.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from ssliqa_bench.files import write_text
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.schema import DatasetEntry
from ssliqa_bench.store.record import Record
from ssliqa_bench.store.records import iter_records

ROOT = Path(__file__).resolve().parent.parent
CLAIMS = ROOT / "benchmarks" / "claims"
BOARD = ROOT / "leaderboards" / "open" / "standard" / "livec--livec.md"
_ROWS = 10


def dataset_table() -> str:
    """All datasets of the registry: counts, kind, scores and their direction, folder names, how to get them."""
    lines = [
        "| dataset | kind | images | groups | scores | folder below the data root | how to get it |",
        "| --- | --- | ---: | ---: | --- | --- | --- |",
    ]
    for name, entry in load_registry().datasets.items():
        cells = (f"`{name}`", entry.kind, _images(entry), _number(entry.groups), _scores(entry), _folders(entry),
                 _way(entry))  # fmt: skip
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join(lines)


def board() -> str:
    """The first rows of the first table of the board on human scores."""
    text = BOARD.read_text(encoding="utf-8")
    start = text.index("\n| ") + 1
    return "\n".join(text[start:].splitlines()[: 2 + _ROWS])


@functools.cache
def claims(name: str = "open") -> ModuleType:
    """A module of benchmarks/claims, which import each other as scripts do."""
    if str(CLAIMS) not in sys.path:
        sys.path.insert(0, str(CLAIMS))
    return importlib.import_module(name)


@functools.cache
def records(board: str) -> list[Record]:
    """The committed records of a board, read once."""
    return list(iter_records(ROOT / "leaderboards" / board))


@functools.cache
def first_results() -> dict[tuple[str, str, str], Any]:
    """What the committed records on human scores show, by pair, labels and the rest of a setting."""
    found: dict[tuple[str, str, str], Any] = claims().all_findings([*records("open"), *records("last-stages")])
    return found


@functools.cache
def settings() -> dict[tuple[str, str, str], Any]:
    """Figures of the committed records on human scores, by pair, labels and the rest of a setting."""
    found: dict[tuple[str, str, str], Any] = claims().figures(records("open"))
    return found


def _own(pair: str, labels: str, rest: str) -> Any:
    return first_results()[pair, labels, f"protocol standard, {rest}"]


def _gains(pair: str, labels: str, rest: str) -> str:
    return str(claims("open_tables").gain_table(_own(pair, labels, rest)))


def _last_stages() -> str:
    return str(claims("open_tables").trained_table(_own("livec:livec", "93", "recipe frozen/last-stages")))


def _by_labels(pair: str, *labels: str) -> str:
    """Gains with the settings of recipe `frozen`, by number of labels."""
    found = {count: _own(pair, count, "recipe frozen") for count in labels}
    return str(claims("open_tables").by_labels_table(found))


def _across(pair: str, labels: str, rest: str, figure: str) -> str:
    own = _own(pair, labels, f"recipe frozen{rest}")
    return str(claims("open_tables").reference_table(own, figure))


def _official() -> str:
    """Rows on the authors' split of BIQ2021, by number of labels."""
    found = {
        f"{labels} labels": settings()["biq2021:biq2021", labels, "protocol official, recipe frozen/tuned-on-livec"]
        for labels in ("100", "all")
    }
    return str(claims("open_tables").mean_table(found))


def _overview() -> str:
    """Settings with learners beside comparators, unless labels alone miss the bar below which no gain is shown."""
    shown = {key: own for key, own in first_results().items() if own.over_best}
    return str(claims("open_tables").overview_table(shown))


def _livec_differences(figures: Callable[[Any], Any], what: str) -> str:
    """Differences on LIVE In the Wild with 93 labels, by recipe."""
    by_recipe = {
        recipe: figures(settings()["livec:livec", "93", f"protocol standard, recipe {recipe}"])
        for recipe in ("frozen", "frozen/tuned-on-biq2021")
    }
    return str(claims("open_tables").difference_table(by_recipe, what))


def _permuted() -> str:
    shuffled = claims("shuffled")
    rows = shuffled.rows(shuffled.of_store(ROOT / "leaderboards" / "open"), shuffled.of_table())
    return str(claims("open_tables").permuted_table(rows))


def _duplicates() -> str:
    validity = claims("open_validity")
    over, rows = {**validity.COMPARED, **validity.MORE}, []
    for name, found in validity.kept().items():
        mean, gains, holds = validity.judged(found)
        rows.append((name, over[name], mean, gains, len(found), holds))
    return str(claims("open_tables").duplicate_table(rows))


RESULTS = ROOT / "docs" / "open.md"
_TUNED_ON = {"livec": "recipe frozen/tuned-on-biq2021", "biq2021": "recipe frozen/tuned-on-livec"}
# Name of a part -> the file that it is quoted in, and what makes it.
PARTS: dict[str, tuple[Path, Callable[[], str]]] = {
    "datasets": (ROOT / "docs" / "datasets.md", dataset_table),
    "board": (ROOT / "README.md", board),
    "gains overview": (RESULTS, _overview),
    "gains livec tuned": (RESULTS, lambda: _gains("livec:livec", "93", _TUNED_ON["livec"])),
    "gains livec": (RESULTS, lambda: _gains("livec:livec", "93", "recipe frozen")),
    "gains livec by labels": (RESULTS, lambda: _by_labels("livec:livec", "46", "93", "232")),
    "gains last-stages": (RESULTS, _last_stages),
    "gains biq2021 tuned": (RESULTS, lambda: _gains("biq2021:biq2021", "100", _TUNED_ON["biq2021"])),
    "gains biq2021": (RESULTS, lambda: _gains("biq2021:biq2021", "100", "recipe frozen")),
    "gains biq2021 by labels": (RESULTS, lambda: _by_labels("biq2021:biq2021", "100", "500")),
    "biq2021 official": (RESULTS, _official),
    "gains across": (RESULTS, lambda: _across("livec:biq2021", "93", ", 2000 unlabeled", "SRCC on BIQ2021")),
    "gains across, all labels": (
        RESULTS, lambda: _across("livec:biq2021", "all", ", 2000 unlabeled", "SRCC on BIQ2021")),
    "gains across, labels of BIQ2021": (
        RESULTS, lambda: _across("biq2021:livec", "200", "", "SRCC on LIVE In the Wild")),
    "gains last-stages across": (
        RESULTS, lambda: _across("livec:biq2021", "93", "/last-stages, 500 unlabeled", "SRCC on BIQ2021")),
    "controls weight 0": (RESULTS, lambda: _livec_differences(claims().controls, "control")),
    "controls permuted": (RESULTS, _permuted),
    "controls duplicates": (RESULTS, _duplicates),
    "true scores livec": (RESULTS, lambda: _livec_differences(claims().upper_references, "with true scores")),
}


def renewed(name: str, text: str) -> str:
    """The text of a file with one part as it should be."""
    pattern = rf"(<!-- {name}: [^>]*-->\n).*?(<!-- end of {name} -->)"
    if len(re.findall(pattern, text, re.DOTALL)) != 1:
        sys.exit(f'{PARTS[name][0]}: expected one "<!-- {name}: … -->" and after it one "<!-- end of {name} -->".')
    content = PARTS[name][1]()
    return re.sub(pattern, lambda m: f"{m[1]}\n{content}\n\n{m[2]}", text, flags=re.DOTALL)


def _images(entry: DatasetEntry) -> str:
    return _number(entry.images) + (f" (+ {entry.optional_images:,})" if entry.optional_images else "")


def _number(count: int | None) -> str:
    return "" if count is None else f"{count:,}"


def _scores(entry: DatasetEntry) -> str:
    if entry.kind == "unlabeled":
        return "none"
    low, high = entry.scale
    return f"{entry.score_type}; {low:g} to {high:g}, {entry.direction.split('_')[0]} is better"


def _folders(entry: DatasetEntry) -> str:
    if entry.generator is not None:
        return "in the cache"
    return ", ".join(f"`{name}`" for name in dict.fromkeys((entry.folder, *entry.other_folders)))


def _way(entry: DatasetEntry) -> str:
    if entry.generator is not None:
        return "made on first use"
    if entry.download is not None and entry.download.url is not None:
        way = f"`ssliqa-bench data download {entry.name}`"
    else:
        way = entry.download.note.strip() if entry.download is not None else ""
    return f"{way} [Home page]({entry.about.home})" if entry.about.home else way


def main() -> int:
    """Write the files, or with --check compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 where a file is old")
    check, old_files = parser.parse_args().check, []
    for name, (file, _) in PARTS.items():
        old = file.read_text(encoding="utf-8")
        new = renewed(name, old)
        if new != old:
            old_files.append(file.relative_to(ROOT).as_posix())
            if not check:
                write_text(file, new)
    if not old_files:
        print("All tables are current.")
    elif check:
        print(f'{", ".join(old_files)}: not current; "make readme" renews them.', file=sys.stderr)
    else:
        print(f"Renewed: {', '.join(old_files)}.")
    return int(bool(old_files) and check)


if __name__ == "__main__":
    sys.exit(main())
