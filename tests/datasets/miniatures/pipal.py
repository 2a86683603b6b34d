"""PIPAL, three references of the training part and one of the validation set."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from tests.datasets.miniatures import Make, Miniature, changed, write_image, write_lines, write_meta_info

_TRAIN = ("A0001", "A0060", "A0248")
_TEST = "A0005"
_KINDS = ("00", "04", "06")


def _write(
    root: Path,
    place: Callable[[int], str],
    *,
    reference: str = "Train_Ref",
    test: str | None = None,
    test_reference: str = "Val_Ref",
) -> Miniature:
    """`place` gives the folder of the images of each reference; `test` that of the validation set."""
    home = root / "PIPAL"
    names, images, scores = [], {}, {}
    rows = [(r, name, kind, k) for r, name in enumerate(_TRAIN) for kind in _KINDS for k in range(3)]
    rows += [(3, _TEST, "10", 2 * k) for k in range(5)] if test else []
    for r, pristine, kind, k in rows:
        name = f"{pristine}_{kind}_{k:02d}.bmp"
        names.append(name)
        images[name] = home / (place(r) if kind != "10" else str(test)) / name
        scores[name] = round(1000 + 37.1234 * len(names) % 700, 4)
        write_image(images[name], 3400 + len(names), (44, 44), (scores[name] - 1000) / 700)
    folders = {pristine: reference if pristine != _TEST else test_reference for _, pristine, _, _ in rows}
    for k, (pristine, folder) in enumerate(folders.items()):
        write_image(home / folder / f"{pristine}.bmp", 3490 + k, (44, 44), 1)
    facts = {
        "group": tuple(f"{pristine}.bmp" for _, pristine, _, _ in rows),
        "reference": tuple(str(home / folders[pristine] / f"{pristine}.bmp") for _, pristine, _, _ in rows),
        "distortion": tuple(kind for _, _, kind, _ in rows),
        "split": tuple("test" if kind == "10" else "train" for _, _, kind, _ in rows),
        "level": None,
        "rating_std": None,
    }
    counts = {"images": len(_TRAIN) * 9, "optional_images": 5, "groups": 3, "references": 3}
    return Miniature("pipal", root, home, (), tuple(names), images, scores, facts, counts)


def _lists(made: Miniature, place: str) -> Miniature:
    labels = []
    for pristine in _TRAIN:
        labels.append(made.folder / place / f"{pristine}.txt")
        of_reference = [name for name in made.names if name.startswith(pristine)]
        write_lines(labels[-1], [f"{name},{made.scores[name]:.4f}" for name in of_reference])
    return changed(made, labels=tuple(labels))


def _test_list(made: Miniature, path: str) -> Miniature:
    """The list of the validation set; not among `labels`, since the dataset can be read without it."""
    of_test = [name for name in made.names if name.startswith(_TEST)]
    write_lines(made.folder / path, [f"{name}, {made.scores[name]:.4f}" for name in of_test])
    return made


def _official(root: Path) -> Miniature:
    return _lists(_write(root, lambda r: f"Distortion_{r + 1}"), "Train_Label")


def _with_validation(root: Path) -> Miniature:
    made = _write(root, lambda r: f"Distortion_{r + 1}", test="Val_Dist")
    return _test_list(_lists(made, "Train_Label"), f"Val_Label/{_TEST}.txt")


def _nested(root: Path) -> Miniature:
    made = _write(
        root,
        lambda r: f"training/Distortion/Distortion_{r + 1}",
        reference="training/Reference_train",
        test="validation/Dis",
        test_reference="validation/Ref",
    )
    return _test_list(_lists(made, "training/MOS_Scores_train"), "validation/pipal21_val.txt")


def _pyiqa(root: Path) -> Miniature:
    made = _write(root, lambda r: "Dist_Imgs")
    # The mirror's own idea of a split is not the official one.
    rows = [(group, name, made.scores[name], "val") for name, group in zip(made.names, made.facts["group"])]
    return changed(made, labels=(write_meta_info(root, "PIPAL", "ref_name,dist_name,mos,official_split", rows),))


def _challenge(root: Path, images: str, references: str) -> Miniature:
    """The challenge's test pairs, without scores, beside the training part."""
    home = _lists(_write(root, lambda r: f"Distortion_{r + 1}"), "Train_Label").folder
    rows = [(pristine, f"{pristine}_10_{k:02d}.bmp") for pristine in ("A0007", "A0011") for k in range(4)]
    for k, (_, name) in enumerate(rows):
        write_image(home / images / name, 3450 + k, (44, 44), k / 8)
    for k, pristine in enumerate(("A0007", "A0011")):
        write_image(home / references / f"{pristine}.bmp", 3480 + k, (44, 44), 1)
    names = tuple(name for _, name in rows)
    facts = {
        "group": tuple(f"{pristine}.bmp" for pristine, _ in rows),
        "reference": tuple(str(home / references / f"{pristine}.bmp") for pristine, _ in rows),
        "distortion": ("10",) * len(rows),
        "split": None,
        "level": None,
        "rating_std": None,
    }
    found = {name: home / images / name for name in names}
    counts = {"images": len(rows), "groups": 2, "references": 2}
    scores = dict.fromkeys(names, math.nan)
    return Miniature("pipal-ntire2022", root, home, (), names, found, scores, facts, counts)


LAYOUTS: dict[str, Make] = {
    "official": _official,
    "with the validation set": _with_validation,
    "nested": _nested,
    "pyiqa": _pyiqa,
    "challenge": lambda root: _challenge(root, "NTIRE2022_FR_Testing_Dis", "NTIRE2022_FR_Testing_Ref"),
    "challenge, nested": lambda root: _challenge(root, "testing/Dis", "testing/Ref"),
    "challenge, short": lambda root: _challenge(root, "Dis", "Ref"),
}
