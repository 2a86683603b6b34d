"""Renew what README.md takes from elsewhere: the table of datasets and the quoted demo board.

    python .ci/readme_tables.py            write them into README.md
    python .ci/readme_tables.py --check    exit code 1 where README.md is not current

Each stands between two markers; nothing else of the file is touched.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

from ssliqa_bench.files import write_text
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.schema import DatasetEntry

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
BOARD = ROOT / "leaderboards" / "demo" / "standard.md"
_SECTION = "\n## demo-syn:demo-wild\n"
_FURTHER = "### Further measures"


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
    """The first tables of the demo pair with all labels, SRCC and gains, up to its further measures."""
    text = BOARD.read_text(encoding="utf-8")
    start = text.index("\n| ", text.index(_SECTION))
    return text[start : text.index(_FURTHER, start)].strip()


PARTS: dict[str, Callable[[], str]] = {"datasets": dataset_table, "board": board}


def renewed(readme: str) -> str:
    """The text of README.md with both parts as they should be."""
    for name, make in PARTS.items():
        pattern = rf"(<!-- {name}: [^>]*-->\n).*?(<!-- end of {name} -->)"
        if len(re.findall(pattern, readme, re.DOTALL)) != 1:
            sys.exit(f'README.md: expected one "<!-- {name}: … -->" and after it one "<!-- end of {name} -->".')
        content = make()
        readme = re.sub(pattern, lambda m, text=content: f"{m[1]}\n{text}\n\n{m[2]}", readme, flags=re.DOTALL)
    return readme


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
    """Write README.md, or with --check compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 where README.md is old")
    check = parser.parse_args().check
    old = README.read_text(encoding="utf-8")
    new = renewed(old)
    if new == old:
        print("README.md is current.")
        return 0
    if check:
        print('README.md is not current: "make readme" renews it.', file=sys.stderr)
        return 1
    write_text(README, new)
    print("README.md is renewed.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
