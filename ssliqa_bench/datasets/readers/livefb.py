"""LIVE-FB (FLIVE, PaQ-2-PiQ): pictures or patches, the authors' lists or the label file of pyiqa's mirror.

Source: Ying et al., "From Patches to Pictures (PaQ-2-PiQ): Mapping the Perceptual Space of Picture Quality", CVPR
2020. The official parts are in two more lists: one of the pictures with a side over 640 pixels (test), one of the
others, whose column `is_valid` marks the validation part. Three pictures are in neither and are unused.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ssliqa_bench.datasets.readers.layout import Images, first_file, first_folder, meta_info, read_meta_info
from ssliqa_bench.datasets.table import RawTable
from ssliqa_bench.errors import DataError
from ssliqa_bench.tabular import Rows, read_rows

LOG = logging.getLogger("ssliqa_bench")

_LISTS = {"pictures": "labels_image.csv", "patches": "labels_patch.csv"}
# The authors named them after > 640 and <= 640; the signs did not survive everywhere.
_TEST = ("labels640.csv", "labels>640.csv")
_OTHERS = ("labels=640_padded.csv", "labels<=640_padded.csv", "labels640_padded.csv")
_PATCHES, _PATCH = "patches/", "_patch_"
_NO_PART = "EE371R/"
_TRUTH = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}


def read_livefb(folder: Path, options: Mapping[str, Any]) -> RawTable:
    """Read LIVE-FB: MOS on 0 to 100, and the official split where its two lists are there.

    Args:
        folder: `FLIVE_Database`, with `database` and the lists, which may also lie inside that.
        options: `parts`: `pictures` (default) or `patches`; the group of a patch is its picture, by the name that the
            list of pictures gives it.

    Raises:
        DataError: a file or folder is missing, or a patch's name does not say of which picture it is.
    """
    parts = str(options.get("parts", "pictures"))
    if parts not in _LISTS:
        raise DataError(f'Reader read_livefb: option parts is "{parts}"; expected {" or ".join(_LISTS)}.')
    patches = parts == "patches"
    database = first_folder(folder, ("database", "."))
    mirror = meta_info(folder, "FLIVE")
    rows, column = _read(folder, _LISTS[parts], mirror, patches)
    names = rows.column(column["image"])
    pictures = [_picture(rows, row, name) for row, name in enumerate(names)] if patches else names
    groups: tuple[str, ...] | None = None
    if patches:
        groups = _names_of_pictures(rows, pictures, *_read(folder, _LISTS["pictures"], mirror, False))
    part = _official_parts(folder, mirror)
    images = Images(database)
    return RawTable(
        name=tuple(names),
        path=tuple(images.path(name) for name in names),
        score=rows.numbers(column["score"]),
        source=rows.source,
        lines=rows.lines,
        group=groups,
        split=tuple(part.get(_key(picture), "unused") for picture in pictures) if part is not None else None,
    )


def _read(folder: Path, name: str, mirror: Path, patches: bool) -> tuple[Rows, Mapping[str, str]]:
    """The rows of pictures or of patches, from the authors' list or from the mirror's, which has both."""
    labels = first_file(folder, (name, f"database/{name}", mirror))
    if labels != mirror:
        return read_rows(labels), {"image": "name", "score": "mos"}
    rows, column = read_meta_info(labels)
    return _some_rows(rows, [image.startswith(_PATCHES) == patches for image in rows.column(column["image"])]), column


def _some_rows(rows: Rows, wanted: Sequence[bool]) -> Rows:
    return rows.select([row for row, take in enumerate(wanted) if take])


def _picture(rows: Rows, row: int, name: str) -> str:
    picture, found, _ = name.removeprefix(_PATCHES).rpartition(_PATCH)
    if not found:
        raise DataError(f'{rows.source}:{rows.lines[row]}: patch name is "{name}"; expected the name of its picture, '
                        f"{_PATCH} and a number.")
    return picture


def _names_of_pictures(
    rows: Rows, pictures: Sequence[str], listed: Rows, column: Mapping[str, str]
) -> tuple[str, ...]:
    """The picture of each patch, as the list of pictures names it."""
    full = {_key(name): name for name in listed.column(column["image"])}
    unknown = [row for row, picture in enumerate(pictures) if _key(picture) not in full]
    if unknown:
        first = f"line {rows.lines[unknown[0]]}, {pictures[unknown[0]]}"
        raise DataError(f"{rows.source}: {len(unknown)} of {len(pictures)} patches are of pictures that "
                        f"{listed.source} does not list (first: {first}).")
    return tuple(full[_key(picture)] for picture in pictures)


def _key(picture: str) -> str:
    """What lists call a picture, folder and ending left out: no two pictures share it."""
    name = os.path.basename(picture)
    stem, ending = os.path.splitext(name)
    return stem if ending.lower() in (".jpg", ".jpeg", ".png", ".bmp") else name


def _official_parts(folder: Path, mirror: Path) -> dict[str, str] | None:
    """Picture -> official part, by the authors' lists or the mirror's; None, and said, where neither is complete."""
    places = [f"{place}{name}" for name in _TEST for place in ("", "database/")]
    others = [f"{place}{name}" for name in _OTHERS for place in ("", "database/")]
    try:
        test = first_file(folder, places, "list of the test part")
        rest = first_file(folder, others, "list of the training and validation parts")
    except DataError as error:
        part = _parts_of_mirror(mirror) if mirror.is_file() else None
        if part is None:
            LOG.warning("LIVE-FB is read without its official split. %s", str(error))
        return part
    part = {_key(name): "test" for name in read_rows(test).column("name_image")}
    rows = read_rows(rest)
    for row, (name, valid) in enumerate(zip(rows.column("name_image"), rows.column("is_valid"), strict=True)):
        if valid.lower() not in _TRUTH:
            raise DataError(f'{rest}:{rows.lines[row]}: is_valid is "{valid}"; expected True or False.')
        if part.setdefault(_key(name), "validation" if _TRUTH[valid.lower()] else "train") == "test":
            raise DataError(f"{rest}:{rows.lines[row]}: {name} is in the test part of {test.name} as well.")
    return part


def _parts_of_mirror(mirror: Path) -> dict[str, str] | None:
    rows, column = read_meta_info(mirror)
    if "split" not in column:
        return None
    # The mirror has the three pictures of no part in its training part.
    return {
        _key(name): "unused" if name.startswith(_NO_PART) else word
        for name, word in zip(rows.column(column["image"]), rows.column(column["split"]), strict=True)
        if not name.startswith(_PATCHES)
    }
