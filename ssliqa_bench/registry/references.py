"""Citations by key: the BibTeX entries that come with the package, `_data/references.bib`."""

from __future__ import annotations

import functools
import re
from pathlib import Path

# What a citation that is a key looks like; anything else is the citation itself.
KEY = re.compile(r"[A-Za-z][A-Za-z0-9:_-]*")
_ENTRY = re.compile(r"^@\w+\{([^,\s]+),", re.MULTILINE)


@functools.lru_cache
def read_references(file: Path) -> dict[str, str]:
    """The entries of a BibTeX file, each as it is written there, by key."""
    text = file.read_text(encoding="utf-8")
    begins = list(_ENTRY.finditer(text))
    ends = [entry.start() for entry in begins[1:]] + [len(text)]
    return {entry[1]: text[entry.start() : end].strip() + "\n" for entry, end in zip(begins, ends, strict=True)}


_FIELD = re.compile(r"^\s*(\w+)\s*=\s*\{(.*?)\}\s*,?\s*$", re.MULTILINE | re.DOTALL)


def reference_words(citation: str) -> str:
    """A BibTeX entry in words: authors, title, where and when it appeared; any other citation as it is, on one line."""
    if not _ENTRY.match(citation):
        return " ".join(citation.split())
    fields = {name.lower(): " ".join(re.sub(r"\\url|[{}]", "", value).split())
              for name, value in _FIELD.findall(citation)}  # fmt: skip
    people = [" ".join(reversed(own.split(", ", 1))) for own in fields.get("author", "").split(" and ") if own]
    authors = " and ".join([", ".join(people[:-1]), people[-1]] if len(people) > 1 else people)
    place = next((fields[name] for name in ("journal", "booktitle", "howpublished") if name in fields), "")
    where = " ".join(part for part in (place, fields.get("volume", "")) if part)
    when = ", ".join(part for part in (where, fields.get("year", "")) if part)
    return "".join(f"{part}. " for part in (authors, fields.get("title", ""), when) if part).rstrip()
