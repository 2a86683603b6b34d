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
