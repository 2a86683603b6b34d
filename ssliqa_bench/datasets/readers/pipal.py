"""PIPAL: the training part, and the NTIRE 2021 validation set as its test part where it is there; the challenge's test
pairs, whose scores nobody outside has.

Source: Gu et al., "PIPAL: a Large-Scale Image Quality Assessment Dataset for Perceptual Image Restoration", ECCV
2020. Names are AREFERENCE_TYPE_INDEX.bmp; the index counts the images of a type and is no level.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ssliqa_bench.datasets.readers.layout import Images, first_folder, meta_info, read_meta_info
from ssliqa_bench.datasets.table import RawTable
from ssliqa_bench.errors import DataError
from ssliqa_bench.tabular import Rows, read_rows

_NAME = re.compile(r"(A\d{4})_(\d\d)_\d+\.bmp", re.IGNORECASE)
_TRAIN_LABELS = ("Train_Label", "training/Train_Label", "training/MOS_Scores_train", "MOS_Scores_train")
_TRAIN_IMAGES = (
    "Dist_Imgs", "Train_Dist", "training", "Distortion",
    *(f"Distortion{dash}{k}" for dash in ("_", "") for k in (1, 2, 3, 4)),
)  # fmt: skip
_TRAIN_REFERENCES = ("Train_Ref", "training/Train_Ref", "training/Reference_train", "Reference_train")
# How the validation set is unpacked is not settled anywhere; its lists have the form of the training part's.
_TEST_LABELS = ("Val_Label", "Valid_Label", "validation/Val_Label", "validation/Label", "pipal21_val.txt",
                "validation/pipal21_val.txt")  # fmt: skip
_TEST_IMAGES = ("Val_Dist", "Val_Dis", "Valid_Dist", "Valid_Dis", "validation/Dis", "validation/Dist", "Dist_Imgs")
_TEST_REFERENCES = ("Val_Ref", "Valid_Ref", "validation/Ref")
_CHALLENGE_IMAGES = ("NTIRE2022_FR_Testing_Dis", "testing/Dis", "test/Dis", "Test_Dis", "Dis")
_CHALLENGE_REFERENCES = ("NTIRE2022_FR_Testing_Ref", "testing/Ref", "test/Ref", "Test_Ref", "Ref")
_PARTS = ("scored", "challenge")
# The types of the training part are 00 to 06; validation and test images have this one.
_CHALLENGE = "10"


def read_pipal(folder: Path, options: Mapping[str, Any]) -> RawTable:
    """Read PIPAL: Elo scores, higher is better; group and reference are the pristine image.

    Args:
        folder: `PIPAL`, with `Train_Label`, `Train_Ref` and the distorted images; the validation set is found in
            `Val_Label` (or `pipal21_val.txt`), `Val_Dist` and `Val_Ref`, or below `validation`; the challenge's test
            pairs in `NTIRE2022_FR_Testing_Dis` and `NTIRE2022_FR_Testing_Ref`, or `Dis` and `Ref`, perhaps below
            `testing`. Scores of the validation set are unofficial, as no download has them.
        options: `part`: `scored` (default), or `challenge`, the test pairs, without scores.

    Raises:
        DataError: a file or folder is missing, or scores are not the Elo scores.
    """
    part = str(options.get("part", _PARTS[0]))
    if part not in _PARTS:
        raise DataError(f'Reader read_pipal: option part is "{part}"; expected one of {", ".join(_PARTS)}.')
    return _challenge(folder) if part == "challenge" else _scored(folder)


def _challenge(folder: Path) -> RawTable:
    """The test pairs: every image of their folder is one, there is no list."""
    place = first_folder(folder, _CHALLENGE_IMAGES)
    images = Images(place, flat=True)
    references = Images(first_folder(folder, _CHALLENGE_REFERENCES, "folder of references"), flat=True)
    names = sorted(name for name in images.names if name.lower().endswith(".bmp"))
    codes = [_codes(name, f"{place}") for name in names]
    return RawTable(
        name=tuple(names),
        path=tuple(images.path(name) for name in names),
        score=np.full(len(names), np.nan),
        source=str(place),
        # Whoever checks the table reports missing ones.
        reference=tuple(references.path(f"{reference}.bmp") for reference, _ in codes),
        group=tuple(f"{reference}.bmp" for reference, _ in codes),
        distortion=tuple(kind for _, kind in codes),
    )


def _scored(folder: Path) -> RawTable:
    train_images = _images(folder, _TRAIN_IMAGES)
    test_images = _images(folder, _TEST_IMAGES)
    references = _images(folder, (*_TRAIN_REFERENCES, *_TEST_REFERENCES))
    place = next((folder / name for name in _TRAIN_LABELS if (folder / name).is_dir()), None)
    mirror = meta_info(folder, "PIPAL")
    if place is not None:
        train = [read_rows(path, columns=("image", "score")) for path in _lists(place)]
        _check_lists(place, train, train_images)
        source = str(place)
    elif mirror.is_file():
        rows, column = read_meta_info(mirror)
        train, source = [_renamed(rows, column)], str(mirror)
    else:
        raise DataError(f"No label files in {folder}; looked for {', '.join(_TRAIN_LABELS)} and {mirror}.")
    test = [read_rows(path, columns=("image", "score")) for path in _test_lists(folder)]
    source = f"{source} and {Path(test[0].source).parent}" if test else source
    tables = [*train, *test]
    names = tuple(Path(name).name for rows in tables for name in rows.column("image"))
    places = [(rows, row) for rows in tables for row in range(len(rows.cells))]
    codes = [_codes(name, f"{rows.source}:{rows.lines[row]}") for (rows, row), name in zip(places, names, strict=True)]
    score = np.concatenate([rows.numbers("score") for rows in tables]) if tables else np.empty(0)
    if score.size and score.max() <= 1:
        raise DataError(f"{source}: scores reach {score.max():g}, so they were scaled to 0 to 1; expected the Elo "
                        f"scores, about 900 to 1850.")
    paths = [(test_images if kind == _CHALLENGE else train_images).path(name)
             for name, (_, kind) in zip(names, codes, strict=True)]  # fmt: skip
    return RawTable(
        name=names,
        path=tuple(paths),
        score=score,
        source=source,
        lines=tuple(line for rows in tables for line in rows.lines),
        files=tuple(Path(rows.source).name for rows in tables for _ in rows.lines) if len(tables) > 1 else None,
        reference=tuple(references.found(f"{reference}.bmp") for reference, _ in codes),
        group=tuple(f"{reference}.bmp" for reference, _ in codes),
        distortion=tuple(kind for _, kind in codes),
        split=tuple("test" if kind == _CHALLENGE else "train" for _, kind in codes),
        # No download holds the labels of the validation set: whoever has a list got it from somebody.
        unofficial=tuple(name for name, (_, kind) in zip(names, codes, strict=True) if kind == _CHALLENGE),
    )


def _images(folder: Path, candidates: Sequence[str]) -> Images:
    there = [folder / name for name in candidates if (folder / name).is_dir()]
    return Images(*(there or [folder / candidates[0]]), flat=True)


def _lists(place: Path) -> list[Path]:
    return sorted(path for path in place.iterdir() if path.suffix.lower() == ".txt")


def _test_lists(folder: Path) -> list[Path]:
    place = next((folder / name for name in _TEST_LABELS if (folder / name).exists()), None)
    if place is None:
        return []
    return _lists(place) if place.is_dir() else [place]


def _check_lists(place: Path, train: Sequence[Rows], images: Images) -> None:
    """Every reference of which there are distorted images of the training part needs a list."""
    listed = {Path(rows.source).stem.upper() for rows in train}
    matches = (_NAME.fullmatch(name) for name in images.names)
    shown = {match.group(1).upper() for match in matches if match and match.group(2) != _CHALLENGE}
    missing = sorted(shown - listed)
    if missing:
        first = ", ".join(f"{reference}.txt" for reference in missing[:3])
        raise DataError(f"{place}: {len(missing)} of {len(shown)} references have images but no list (first: {first}); "
                        f"fetch the label archive again.")


def _renamed(rows: Rows, column: Mapping[str, str]) -> Rows:
    ours = {column["image"]: "image", column["score"]: "score"}
    return replace(rows, header=tuple(ours.get(name, name) for name in rows.header))


def _codes(name: str, where: str) -> tuple[str, str]:
    """Reference and type of an image."""
    found = _NAME.fullmatch(name)
    if found is None:
        raise DataError(f'{where}: image name is "{name}"; expected a name as A0001_00_00.bmp: reference, type and '
                        f"index.")
    return found.group(1).upper(), found.group(2)
