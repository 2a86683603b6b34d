"""LIVE, three pristine photographs: two images per distortion and photograph, and copies of the photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.io import savemat

from tests.datasets.miniatures import Make, Miniature, changed, write_image, write_meta_info

_REFERENCES = ("bikes.bmp", "house.bmp", "studentsculpture.bmp")
_FOLDERS = ("jp2k", "jpeg", "wn", "gblur", "fastfading")
# Of each photograph two distorted images and one copy, in no simple order.
_ORDER = ((0, 0.2), (1, 0.7), (2, None), (1, 0.4), (0, None), (2, 0.8), (2, 0.3), (1, None), (0, 0.9))


def _write(root: Path, folder: str, dataset: str) -> Miniature:
    home = root / folder
    all_names, copies, references, scores = [], [], [], []
    for f, place in enumerate(_FOLDERS):
        for k, (reference, harm) in enumerate(_ORDER):
            all_names.append(f"{place}/img{k + 1}.bmp")
            references.append(_REFERENCES[reference])
            copies.append(harm is None)
            scores.append(0.0 if harm is None else round(5 + 100 * harm + f - (26.5 if dataset == "live" else 0), 3))
            number = 300 + 3 * f + reference if harm is None else 340 + 20 * f + k
            write_image(home / all_names[-1], number, (48, 40), 1 - (harm or 0))
    for k, reference_name in enumerate(_REFERENCES):
        write_image(home / "refimgs" / reference_name, 440 + k, (48, 40), 1)
    kept = [k for k, copy in enumerate(copies) if not copy]
    names = tuple(all_names[k] for k in kept)
    group = tuple(references[k] for k in kept)
    return Miniature(
        dataset=dataset,
        root=root,
        folder=home,
        labels=(),
        names=names,
        images={name: home / name for name in names},
        scores={all_names[k]: scores[k] for k in kept},
        facts={
            "group": group,
            "reference": tuple(str(home / "refimgs" / name) for name in group),
            "distortion": tuple(name.split("/")[0] for name in names),
            "rating_std": None,
            "level": None,
            "all": (scores, copies, references),
        },
        counts={
            "groups": 3,
            "references": 3,
            "options": {
                "scores": "realigned" if dataset == "live" else "old",
                "counts": {place: len(_ORDER) for place in _FOLDERS},
            },
        },
    )


def _matlab(made: Miniature, place: Path) -> Miniature:
    scores, copies, references = made.facts["all"]
    row = np.array(scores).reshape(1, -1)
    orgs = np.array(copies, dtype=np.uint8).reshape(1, -1)
    if made.dataset == "live":
        labels = place / "dmos_realigned.mat"
        savemat(labels, {"dmos_new": row, "dmos_std": np.full(row.shape, 2.0), "orgs": orgs})
    else:
        labels = place / "dmos.mat"
        savemat(labels, {"dmos": row, "orgs": orgs})
    names = np.array(references, dtype=object).reshape(1, -1)
    savemat(place / "refnames_all.mat", {"refnames_all": names})
    return changed(made, labels=(labels, place / "refnames_all.mat"))


def _official(root: Path, dataset: str = "live") -> Miniature:
    made = _write(root, "databaserelease2", dataset)
    return _matlab(made, made.folder)


def _doubled(root: Path) -> Miniature:
    made = _write(root, "live/databaserelease2", "live")
    return changed(_matlab(made, made.folder), folder=root / "live")


def _pyiqa(root: Path) -> Miniature:
    made = _write(root, "LIVEIQA_release2", "live-old")
    rows = [(f"refimgs/{group}", name, made.scores[name]) for name, group in zip(made.names, made.facts["group"])]
    return changed(made, labels=(write_meta_info(root, "LIVEIQA", "ref_name,dist_name,mos", rows),))


LAYOUTS: dict[str, Make] = {
    "official": _official,
    "doubled folder": _doubled,
    "older scores": lambda root: _official(root, "live-old"),
    "pyiqa": _pyiqa,
}
