"""SPAQ, a few dozen photographs of two shapes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from openpyxl import Workbook

from tests.datasets.miniatures import Make, Miniature, changed, write_image, write_meta_info

WORKBOOK = "MOS and Image attribute scores.xlsx"
_N = 24


def _write(root: Path, images: str) -> Miniature:
    home = root / "SPAQ"
    names = tuple(f"{k + 1:05d}.jpg" for k in range(_N))
    score = np.random.default_rng(9).uniform(2, 96, _N).round(2)
    paths = {name: home / images / name for name in names}
    for k, name in enumerate(names):
        write_image(paths[name], 3200 + k, (60, 48) if k % 2 else (48, 60), score[k] / 100)
    facts = {"rating_std": None, "reference": None, "split": None}
    # Short sides of 512 pixels would only make the tests slow.
    counts = {"groups": _N, "working_size": None}
    return Miniature("spaq", root, home, (), names, paths, dict(zip(names, score.tolist(), strict=True)), facts, counts)


def write_workbook(made: Miniature, path: Path, name: str = "Image name", mos: str = "MOS") -> None:
    """The workbook of scores, and beside it that of EXIF tags with a Brightness of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for file, header in ((path, [name, mos, "Brightness", "Colorfulness", "Contrast", "Noisiness", "Sharpness"]),
                         (path.with_name("EXIF_tags.xlsx"), ["Image name", "Brightness", "Exposure time"])):
        book = Workbook()
        sheet = book.active
        assert sheet is not None
        sheet.append(header)
        for image in made.names:
            sheet.append([image, made.scores[image] if file == path else -3.5, *([50.0] * (len(header) - 2))])
        book.save(file)


def _official(root: Path, images: str = "TestImage", annotations: str = "Annotations") -> Miniature:
    made = _write(root, images)
    labels = made.folder / annotations / WORKBOOK
    write_workbook(made, labels)
    return changed(made, labels=(labels,))


def _pyiqa(root: Path, header: str = "img_name,mos") -> Miniature:
    made = _write(root, "TestImage")
    rows = [(name, made.scores[name]) for name in made.names]
    return changed(made, labels=(write_meta_info(root, "SPAQ", header, rows),))


LAYOUTS: dict[str, Make] = {
    "official": _official,
    "small letters": lambda root: _official(root, annotations="annotations"),
    "Dataset": lambda root: _official(root, "Dataset/TestImage", "Dataset/Annotations"),
    "pyiqa": _pyiqa,
    "pyiqa with the workbook's heading": lambda root: _pyiqa(root, "Image name,mos"),
}
