"""What the runs of a row noted of themselves, without saying the same thing many times."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ssliqa_bench.leaderboard.collect import Row
from ssliqa_bench.leaderboard.compare import name_seeds
from ssliqa_bench.leaderboard.page import CodeText, Item, Items, joined, phrase
from ssliqa_bench.leaderboard.words import setting

# Numbers that are no part of a name; one that a bracket, a comma or a space follows.
_NUMBER = re.compile(r"(?<![\w.,-])[-+]?\d+(?:\.\d+)?(?![\w-]|[.,]\d)")


# Notes on one image, and as they are on several: first all are brought to the second form, to be put together. Records
# of earlier versions have that form of one image too.
_FORMS = (
    (r"1 image of {name} is unused: a copy of it is", r"1 images of {name} are unused: a copy of each is"),
    (r"1 image of {name} is unused: its group is", r"1 images of {name} are unused: their groups are"),
    (r"1 of {count} test images of {name} looks like", r"1 of {count} test images of {name} look like"),
)
_PARTS = {"name": r"(?P<name>\S+)", "count": r"(?P<count>\d+(?: to \d+)?)"}
_BACK = {"name": r"\g<name>", "count": r"\g<count>"}


def _several(text: str) -> str:
    for one, several in _FORMS:
        text = re.sub(f"^{one.format(**_PARTS)}", several.format(**_BACK), text)
    return text


def _one(text: str) -> str:
    for one, several in _FORMS:
        text = re.sub(f"^{several.format(**_PARTS)}", one.format(**_BACK), text)
    return text


def run_notes(row: Row) -> list[str]:
    """The notes of a row, each once with its seeds; those that differ in their numbers alone are one with ranges."""
    said: dict[tuple[str, ...], dict[int, list[list[str]]]] = {}
    for seed in row.seeds:
        for note in row.runs[seed].notes:
            text = _several(" ".join(note.split()))
            words = tuple(_NUMBER.split(text))
            said.setdefault(words, {}).setdefault(seed, []).append(_NUMBER.findall(text))
    found = []
    for words, by_seed in sorted(said.items(), key=lambda item: sorted(item[1])):
        columns = zip(*(numbers for own in by_seed.values() for numbers in own), strict=True)
        numbers = [*map(_range, columns), ""]
        text = "".join(part for pair in zip(words, numbers, strict=True) for part in pair)
        found.append(f"{_one(text)} ({name_seeds(by_seed)})")
    return found


def _range(numbers: Sequence[str]) -> str:
    ends = sorted(dict.fromkeys(numbers), key=float)
    return " to ".join(dict.fromkeys((ends[0], ends[-1])))


def notes_of(rows: Sequence[Row]) -> Items | None:
    """The notes of some rows: first what several share, with their names, then those of single rows."""
    by_note: dict[str, list[Row]] = {}
    for row in rows:
        for note in run_notes(row):
            by_note.setdefault(note, []).append(row)
    entries = []
    for note, own in by_note.items():
        if len(own) > 1:
            names = joined((CodeText(name) for name in dict.fromkeys(row.method for row in own)), ", ")
            entries.append(Item(phrase(note, ": ", "all rows" if len(own) == len(rows) else names)))
    for row in rows:
        if alone := [note for note in run_notes(row) if len(by_note[note]) == 1]:
            entries.append(Item(phrase(CodeText(row.method), ", ", setting(row)), tuple(map(phrase, alone))))
    return Items(tuple(entries)) if entries else None
