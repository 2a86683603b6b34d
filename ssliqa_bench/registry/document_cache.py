"""The packaged registry as parsed, kept as JSON: reading its YAML takes longer than all that follows.

What is kept lies in the user's cache folder, under the checksums of the file and of the code that reads it. A copy
that is damaged, of another version, or that cannot be written counts as absent: then the file is read, with the same
result.
"""

from __future__ import annotations

from pathlib import Path

from ssliqa_bench import __version__
from ssliqa_bench.caches import recall, remember
from ssliqa_bench.files import digest, sha256_file
from ssliqa_bench.registry import document as document_code
from ssliqa_bench.registry.document import Document
from ssliqa_bench.registry.problems import KeyPath

# What reads a file, what it gives, and what folds that.
_READERS = (Path(__file__).with_name("yamlfile.py"), Path(document_code.__file__), Path(__file__))


def read_kept(path: Path, shown_as: str) -> Document:
    """Read a file, or what was kept of it; only a document without problems is kept.

    Raises:
        RegistryError: as `read_yaml`.
    """
    try:
        key = _key(path)
    except OSError:  # whatever it is, the reader says it in its own words
        return read(path, shown_as)
    kept = recall("registry", path, key)
    if kept is not None:
        return Document(shown_as, kept["value"], _unfolded(kept["lines"]))
    document = read(path, shown_as)
    if not document.problems and key == _key(path):  # it has not changed while it was read
        remember("registry", path, key, {"value": document.value, "lines": _folded(document.lines)})
    return document


def _key(path: Path) -> str:
    return digest([__version__, *(sha256_file(file) for file in (*_READERS, path))])


def read(path: Path, shown_as: str | None = None) -> Document:
    """Read a file, without a copy; see `read_yaml`."""
    from ssliqa_bench.registry.yamlfile import read_yaml  # what is kept needs no parser

    return read_yaml(path, shown_as)


def _folded(lines: dict[KeyPath, int]) -> list[tuple[int, str | int | None, int]]:
    """Depth, last part and line of every path."""
    return [(len(path), path[-1] if path else None, line) for path, line in lines.items()]


def _unfolded(lines: list[tuple[int, str | int, int]]) -> dict[KeyPath, int]:
    """Lines by path: each follows the one that it continues."""
    found: dict[KeyPath, int] = {}
    path: list[str | int] = []
    for depth, part, line in lines:
        del path[max(depth - 1, 0) :]
        if depth:
            path.append(part)
        found[tuple(path)] = line
    return found
