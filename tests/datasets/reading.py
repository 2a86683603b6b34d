"""Reading miniatures and real label files in tests."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from ssliqa_bench.datasets.base import load_table
from ssliqa_bench.datasets.table import RawTable, Table
from ssliqa_bench.errors import DataError
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.lookup import load_object
from tests.datasets.annotations import ANNOTATIONS
from tests.datasets.miniatures import Miniature


def read(made: Miniature, cache: str = "cache") -> Table:
    """The table of a miniature."""
    return load_table(made.entry(), made.root, made.root.parent / cache)


def refusal(made: Miniature) -> str:
    """What is said of a miniature that cannot be read; it names the dataset."""
    with pytest.raises(DataError) as caught:
        read(made, "other-cache")
    assert str(caught.value).startswith(f"{made.dataset}: ")
    return str(caught.value)


def rewrite(path: Path, old: str, new: str) -> None:
    """Replace a text in a label file that has it."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def read_annotations(
    dataset: str, home: Path, files: Mapping[str, str], folders: tuple[str, ...] = (), **options: object
) -> RawTable:
    """What a dataset's reader makes of real label files, laid out below `home` without any image.

    Args:
        files: file or folder among the annotations -> its path below the dataset's folder.
        folders: image folders that the reader looks for; they stay empty.
    """
    folder = home / "dataset"
    for place in (".", *folders):
        (folder / place).mkdir(parents=True, exist_ok=True)
    for source, target in files.items():
        path = folder / target
        path.parent.mkdir(parents=True, exist_ok=True)
        if (ANNOTATIONS / source).is_dir():
            shutil.copytree(ANNOTATIONS / source, path, dirs_exist_ok=True)
        else:
            shutil.copy(ANNOTATIONS / source, path)
    entry = load_registry().dataset(dataset)
    table = load_object(entry.reader)(folder, {**entry.options, **options})
    assert isinstance(table, RawTable)
    return table
