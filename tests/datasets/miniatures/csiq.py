"""CSIQ, two pristine pictures, one of them called 1600; the highest level of contrast change exists once only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from openpyxl import Workbook

from tests.datasets.miniatures import Make, Miniature, changed, write_image, write_lines, write_meta_info

_REFERENCES = ("1600", "aerial_city")
# Folder, suffix of the file names, words of the authors' tables.
_TYPES = (
    ("awgn", "AWGN", "noise"),
    ("jpeg", "JPEG", "jpeg"),
    ("jpeg2000", "jpeg2000", "jpeg 2000"),
    ("fnoise", "fnoise", "fnoise"),
    ("blur", "BLUR", "blur"),
    ("contrast", "contrast", "contrast"),
)
_ROWS = [
    (reference, k + 1, level)
    for reference in _REFERENCES
    for k in range(len(_TYPES))
    for level in (1, 3, 5)
    if not (k == 5 and level == 5 and reference == "1600")
]


def _write(root: Path, place: Callable[[str, str], str], folder: str = "csiq") -> Miniature:
    """`place` gives the path of an image below the dataset's folder from folder and file name."""
    home = root / folder
    names, scores, images = [], {}, {}
    for k, (reference, kind, level) in enumerate(_ROWS):
        place_name, suffix, _ = _TYPES[kind - 1]
        name = f"{reference}.{suffix}.{level}.png"
        names.append(name)
        scores[name] = round(level / 5 - 0.01 * kind, 6) if k else 0.0
        images[name] = home / place(place_name, name)
        write_image(images[name], 500 + k, (40, 40), 1 - level / 5)
    for k, reference in enumerate(_REFERENCES):
        write_image(home / "src_imgs" / f"{reference}.png", 560 + k, (40, 40), 1)
    groups = tuple(f"{reference}.png" for reference, _, _ in _ROWS)
    facts = {
        "group": groups,
        "reference": tuple(str(home / "src_imgs" / name) for name in groups),
        "distortion": tuple(_TYPES[kind - 1][1] for _, kind, _ in _ROWS),
        "level": tuple(str(level) for _, _, level in _ROWS),
        "rating_std": None,
    }
    return Miniature("csiq", root, home, (), tuple(names), images, scores, facts, {"groups": 2, "references": 2})


def _usual(place: str, name: str) -> str:
    return f"dst_imgs/{place}/{name}"


def write_workbook(made: Miniature, path: Path, *, heading: str = "dmos", sheet: str = "all_by_image") -> None:
    """The authors' workbook: a sheet with broken formulas, then the table, its heading in row 4 and column D."""
    book = Workbook()
    first = book.active
    assert first is not None
    first.title = "realign"
    for _ in range(4):
        first.append([None, "#REF!", 1600])
    table = book.create_sheet(sheet)
    for _ in range(3):
        table.append([None])
    table.append([None, None, None, "image", "dst_idx", "dst_type", "dst_lev", "dmos_std", heading])
    for (reference, kind, level), name in zip(_ROWS, made.names, strict=True):
        image = int(reference) if reference.isdigit() else reference
        table.append([None, None, None, image, kind, _TYPES[kind - 1][2], level, 0.0, made.scores[name]])
    path.parent.mkdir(parents=True, exist_ok=True)
    book.save(path)


def _workbook(root: Path, file: str = "csiq.DMOS.xlsx") -> Miniature:
    made = _write(root, _usual)
    write_workbook(made, made.folder / file)
    return changed(made, labels=(made.folder / file,))


def _export(root: Path) -> Miniature:
    made = _write(root, lambda place, name: f"dst_imgs/{place.upper()}/{name}", "CSIQ")
    labels = made.folder / "csiq.beta.txt"
    write_lines(labels, [
        "\t".join(map(str, (reference, kind, _TYPES[kind - 1][2].replace(" ", ""), level, 0.1, made.scores[name])))
        for (reference, kind, level), name in zip(_ROWS, made.names, strict=True)
    ])  # fmt: skip
    return changed(made, labels=(labels,))


def _list(root: Path) -> Miniature:
    made = _write(root, lambda place, name: f"dst_imgs_all/{name}")
    labels = made.folder / "csiq_label.txt"
    write_lines(labels, [f"{name} {made.scores[name]}" for name in made.names])
    return changed(made, labels=(labels,))


def _pyiqa(root: Path) -> Miniature:
    made = _write(root, lambda place, name: f"dst_imgs/{name}", "CSIQ")
    rows = [(group, name, made.scores[name], 0.1) for name, group in zip(made.names, made.facts["group"])]
    return changed(made, labels=(write_meta_info(root, "CSIQ", "ref_name,dist_name,mos,std", rows),))


LAYOUTS: dict[str, Make] = {
    "workbook": _workbook,
    "older workbook": lambda root: _workbook(root, "csiq.beta.xlsx"),
    "capital folders, text": _export,
    "one folder, list": _list,
    "pyiqa": _pyiqa,
}
