"""Tables whose entries name their columns: JSON (list of objects, object of lists, names to numbers) and Parquet."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ssliqa_bench.errors import DataError
from ssliqa_bench.tabular.rows import Rows
from ssliqa_bench.text import is_utf8, printable

_SHAPES = '[{"image": …, "score": …}, …], {"image": […], "score": […]} or one object per line'


def read_json(text: str, source: str) -> Rows:
    """Rows of JSON: a list of objects, one object per line, an object of equally long lists, or image → score.

    `lines` count the entries from 1.

    Raises:
        DataError: not JSON, a key that occurs twice, another shape, or a value that is no text or number.
    """
    content = _parsed(text, source)
    if isinstance(content, Mapping) and content and all(isinstance(value, list) for value in content.values()):
        lengths = {str(name): len(value) for name, value in content.items()}
        if len(set(lengths.values())) != 1:
            told = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise DataError(f"{source}: the lists differ in length ({told}); expected one value per image in each.")
        return _rows(source, [dict(zip(content, values)) for values in zip(*content.values())], tuple(content))
    if isinstance(content, Mapping) and content and not any(isinstance(v, (Mapping, list)) for v in content.values()):
        content = [{"image": name, "score": value} for name, value in content.items()]
    if not isinstance(content, list) or not all(isinstance(entry, Mapping) for entry in content):
        raise DataError(f"{source}: JSON of another shape; expected {_SHAPES}.")
    if not content:
        raise DataError(f"{source}: the file is empty; expected {_SHAPES}.")
    return _rows(source, content, tuple(dict.fromkeys(str(name) for entry in content for name in entry)))


def read_parquet(path: Path) -> Rows:
    """Rows of a Parquet file; `lines` count them from 1.

    Raises:
        DataError: damaged, or not Parquet.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with open(path, "rb") as file:  # pyarrow opens no name that is not UTF-8
            table = parquet.read_table(file)
        entries, names = table.to_pylist(), tuple(map(str, table.schema.names))
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: not readable as Parquet ({error}).") from error
    return _rows(str(path), entries, names)


def _parsed(text: str, source: str) -> Any:
    options: dict[str, Any] = {
        "object_pairs_hook": lambda pairs: _unique(pairs, source),
        # Digits stay as they are written: a number is parsed once, where its column is read.
        "parse_float": str,
        "parse_int": str,
        "parse_constant": str,
    }
    try:
        return json.loads(text, **options)
    except RecursionError as error:
        raise DataError(f"{source}: JSON that is nested too deeply; expected {_SHAPES}.") from error
    except ValueError as whole:
        lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
        if len(lines) < 2 or not lines[0][1].rstrip().endswith("}"):
            raise DataError(f"{source}: not readable as JSON ({whole}).") from whole
        entries = []
        for number, line in lines:
            try:
                entries.append(json.loads(line, **options))
            except (ValueError, RecursionError) as error:
                raise DataError(f"{source}:{number}: not readable as JSON ({error}).") from error
        return entries


def _unique(pairs: Sequence[tuple[str, Any]], source: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise DataError(f'{source}: the key "{name}" occurs twice in one object.')
        found[name] = value
    return found


def _rows(source: str, entries: Sequence[Mapping[str, Any]], header: tuple[str, ...]) -> Rows:
    cells = []
    for number, entry in enumerate(entries, start=1):
        cells.append(tuple(_cell(entry.get(name), f"{source}: entry {number}: {name}") for name in header))
    return Rows(source, header, tuple(range(1, len(cells) + 1)), tuple(cells), header_line=0)


def _cell(value: Any, where: str) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, (Mapping, list)):
        raise DataError(f"{where} is a list or an object; expected text or a number.")
    text = str(value).strip()
    if not is_utf8(text):  # an escape such as "\\ud800" in JSON
        raise DataError(f"{where} holds half a character ({printable(text)}); expected text.")
    return text
