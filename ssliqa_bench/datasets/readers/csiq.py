"""CSIQ: the authors' workbook, its exports as text, or the label file of pyiqa's mirror.

Source: Larson, Chandler, "Most apparent distortion: full-reference image quality assessment and the role of
strategy", Journal of Electronic Imaging 19(1), 2010. Images are called REFERENCE.TYPE.LEVEL.png; the folders, and
their capitals, differ between copies, the file names do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ssliqa_bench.datasets.readers.layout import Images, first_file, first_folder, meta_info, read_meta_info
from ssliqa_bench.datasets.table import RawTable
from ssliqa_bench.errors import DataError
from ssliqa_bench.tabular import Rows, read_rows
from ssliqa_bench.tabular.workbook import read_workbook

_WORKBOOKS = ("csiq.DMOS.xlsx", "csiq.beta.xlsx")
_EXPORT, _LIST = "csiq.beta.txt", "csiq_label.txt"
_COLUMNS = ("image", "dst_idx", "dst_type", "dst_lev", "dmos_std", "dmos")
# The distortion as the authors' tables call it, and as the file names do.
_SUFFIX = {
    "noise": "AWGN",
    "awgn": "AWGN",
    "jpeg": "JPEG",
    "jpeg 2000": "jpeg2000",
    "jpeg2000": "jpeg2000",
    "fnoise": "fnoise",
    "blur": "BLUR",
    "contrast": "contrast",
}


def read_csiq(folder: Path, options: Mapping[str, Any]) -> RawTable:
    """Read CSIQ: DMOS on 0 to 1, lower is better; group and reference are the pristine image.

    The spread beside the scores is not said to be that of the ratings, and 0 for 25 images: it is not taken.

    Args:
        folder: `CSIQ`, with `src_imgs` and `dst_imgs` or `dst_imgs_all`.
        options: none.

    Raises:
        DataError: a file, folder or column is missing, or a name is no REFERENCE.TYPE.LEVEL.png.
    """
    images = Images(first_folder(folder, ("dst_imgs", "dst_imgs_all")), flat=True)
    references = Images(folder / "src_imgs")
    labels = first_file(folder, (*_WORKBOOKS, _EXPORT, _LIST, meta_info(folder, "CSIQ")))
    reads: tuple[str, ...] = ()
    if labels.name in _WORKBOOKS:
        rows = read_workbook(labels, _COLUMNS, sheet="all_by_image")
        names, score = _composed(rows), "dmos"
        reads = tuple(str(path) for path in (labels, folder, references.folders[0]) if path.exists())
    elif labels.name == _EXPORT:
        rows = read_rows(labels, "\t", _COLUMNS)
        names, score = _composed(rows), "dmos"
    elif labels.name == _LIST:
        rows = read_rows(labels, " ", ("image", "dmos"))
        names, score = rows.column("image"), "dmos"
    else:
        rows, column = read_meta_info(labels)
        names, score = [Path(name).name for name in rows.column(column["image"])], column["score"]
    parts = [_parts(rows, row, name) for row, name in enumerate(names)]
    pristine = tuple(f"{reference}.png" for reference, _, _ in parts)
    return RawTable(
        name=tuple(names),
        path=tuple(images.path(name) for name in names),
        score=rows.numbers(score),
        source=rows.source,
        lines=rows.lines,
        reference=tuple(references.found(name) for name in pristine),
        group=pristine,
        distortion=tuple(kind for _, kind, _ in parts),
        level=tuple(level for _, _, level in parts),
        reads=reads,
    )


def _composed(rows: Rows) -> list[str]:
    """The file names that a table's columns stand for."""
    columns = (rows.column(name) for name in ("image", "dst_type", "dst_lev"))
    names = []
    for row, (image, kind, level) in enumerate(zip(*columns, strict=True)):
        if kind.lower() not in _SUFFIX:
            raise DataError(f'{rows.source}:{rows.lines[row]}: dst_type is "{kind}"; expected one of '
                            f"{', '.join(_SUFFIX)}.")
        names.append(f"{image}.{_SUFFIX[kind.lower()]}.{level}.png")
    return names


def _parts(rows: Rows, row: int, name: str) -> tuple[str, str, str]:
    reference, _, rest = name.partition(".")
    kind, _, rest = rest.partition(".")
    level = rest.partition(".")[0]
    if kind.lower() not in _SUFFIX or not level.isdigit():
        raise DataError(f'{rows.source}:{rows.lines[row]}: image name is "{name}"; expected REFERENCE.TYPE.LEVEL.png '
                        f"with TYPE one of {', '.join(dict.fromkeys(_SUFFIX.values()))}.")
    return reference, _SUFFIX[kind.lower()], level
