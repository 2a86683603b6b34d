"""LIVE, release 2: the realigned DMOS or those of the older file, or the label file of pyiqa's mirror.

Source: Sheikh, Sabir, Bovik, "A Statistical Evaluation of Recent Full Reference Image Quality Assessment
Algorithms", IEEE TIP 15(11), 2006. The MATLAB files list 982 images in the order of the five folders; 203 of them
are copies of the pristine images, which `orgs` marks and which carry no opinion score.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence, Sized
from pathlib import Path
from typing import Any

from ssliqa_bench.datasets.readers.layout import (
    Images,
    first_file,
    mat_numbers,
    mat_texts,
    meta_info,
    read_meta_info,
)
from ssliqa_bench.datasets.table import RawTable
from ssliqa_bench.errors import DataError

# How many images img1.bmp … imgN.bmp each folder holds, in the order of the MATLAB arrays.
COUNTS = {"jp2k": 227, "jpeg": 233, "wn": 174, "gblur": 174, "fastfading": 174}
_VARIABLES = {"realigned": ("dmos_realigned.mat", "dmos_new"), "old": ("dmos.mat", "dmos")}
_REFERENCES = "refnames_all.mat"


def read_live(folder: Path, options: Mapping[str, Any]) -> RawTable:
    """Read LIVE: DMOS, lower is better; group and reference are the pristine image.

    The spread that the realigned file has is not said to be that of the ratings, so it is not taken.

    Args:
        folder: `databaserelease2` or a folder that holds it; for pyiqa's mirror, `LIVEIQA_release2`.
        options: `scores`: `realigned` (default) or `old`, which rank the images differently; `counts`: how many
            images each folder holds, where it is not the released dataset.

    Raises:
        DataError: a file or variable is missing, or lists disagree in length.
    """
    scores = str(options.get("scores", "realigned"))
    if scores not in _VARIABLES:
        raise DataError(f'Reader read_live: option scores is "{scores}"; expected {" or ".join(_VARIABLES)}.')
    release = next((f for f in (folder, folder / "databaserelease2") if (f / "jp2k").is_dir()), folder)
    if scores == "old" and not (release / "dmos.mat").is_file() and meta_info(folder, "LIVEIQA").is_file():
        return _mirrored(release, meta_info(folder, "LIVEIQA"))
    return _official(release, scores, options.get("counts") or COUNTS)


def _official(release: Path, scores: str, counts: Mapping[str, int]) -> RawTable:
    file, variable = _VARIABLES[scores]
    candidates: Sequence[str | Path] = (file,) if scores == "realigned" else (file, meta_info(release, "LIVEIQA"))
    labels = _find(release, candidates, scores)
    references = first_file(release, (_REFERENCES,), "list of reference names")
    scored, copies = mat_numbers(labels, variable), mat_numbers(labels, "orgs")
    names = [f"{place}/img{k}.bmp" for place, count in counts.items() for k in range(1, count + 1)]
    pristine = mat_texts(references, "refnames_all")
    columns: dict[str, Sized] = {
        f"{variable} of {labels}": scored,
        f"orgs of {labels}": copies,
        f"refnames_all of {references}": pristine,
    }
    for what, values in columns.items():
        if len(values) != len(names):
            raise DataError(
                f"{what} has {len(values)} entries; expected {len(names)}, one per image in the order of the folders "
                f"{', '.join(counts)}, copies of the pristine images among them."
            )
    kept = [k for k, copy in enumerate(copies) if not copy]
    seen = tuple(str(path) for path in (labels, references, release, release / "refimgs") if path.exists())
    return _table(release, [names[k] for k in kept], [pristine[k] for k in kept], scored[kept], str(labels),
                  reads=seen)  # fmt: skip


def _find(release: Path, candidates: Sequence[str | Path], scores: str) -> Path:
    try:
        return first_file(release, candidates)
    except DataError as error:
        other = "live-old" if scores == "realigned" else "live"
        raise DataError(
            f"{error} The release has the older scores; the realigned ones come as a separate download of the authors "
            f'and are put beside them. The entry for the other file is "{other}".'
        ) from error


def _mirrored(release: Path, labels: Path) -> RawTable:
    rows, column = read_meta_info(labels)
    names = ["/".join(Path(name).parts[-2:]) for name in rows.column(column["image"])]
    if "reference" not in column:
        raise DataError(f"{rows.source}:1: no column ref_name; found {', '.join(rows.header)}. It names the picture "
                        f"that an image is a version of.")
    pristine = rows.column(column["reference"])
    return _table(release, names, pristine, rows.numbers(column["score"]), rows.source, rows.lines)


def _table(
    release: Path,
    names: Sequence[str],
    pristine: Sequence[str],
    score: Any,
    source: str,
    lines: tuple[int, ...] | None = None,
    reads: tuple[str, ...] = (),
) -> RawTable:
    images, references = Images(release), Images(release / "refimgs")
    group = tuple(os.path.basename(name) for name in pristine)
    return RawTable(
        name=tuple(names),
        path=tuple(images.path(name) for name in names),
        score=score,
        source=source,
        lines=lines,
        reference=tuple(references.found(name) for name in group),
        group=group,
        distortion=tuple(name.split("/")[0] for name in names),
        reads=reads,
    )
