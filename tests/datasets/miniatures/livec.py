"""LIVE Challenge, a few dozen images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.io import savemat

from tests.datasets.miniatures import Make, Miniature, write_image

_N = 30
_TRAINING = tuple(f"t{k}.bmp" for k in range(1, 8))


def _write(root: Path, folder: str, images: str) -> Miniature:
    home = root / folder
    names = tuple(f"{100 + k}.{'bmp' if k % 3 else 'JPG'}" if k else "100.bmp" for k in range(_N))
    random = np.random.default_rng(2)
    score, spread = random.uniform(5, 90, _N), random.uniform(7, 28, _N)
    paths = {}
    for k, name in enumerate(names):
        paths[name] = home / images / name
        write_image(paths[name], 100 + k, (60, 60), score[k] / 100)
    for k, name in enumerate(_TRAINING):
        write_image(home / images / "trainingImages" / name, 200 + k, (60, 60))
    return Miniature("livec", root, home, (), names, paths, dict(zip(names, score.tolist(), strict=True)),
                     {"rating_std": spread}, {"twins": ()})  # fmt: skip


def _matlab(made: Miniature, data: Path, training: bool) -> Miniature:
    data.mkdir(parents=True)
    extra = _TRAINING if training else ()
    names = np.array([*extra, *made.names], dtype=object).reshape(-1, 1)
    score = np.array([50.0] * len(extra) + list(made.scores.values())).reshape(1, -1)
    spread = np.array([np.nan] * len(extra) + list(made.facts["rating_std"])).reshape(1, -1)
    columns = {"AllImages_release": names, "AllMOS_release": score, "AllStdDev_release": spread}
    for name, values in columns.items():
        savemat(data / f"{name}.mat", {name: values})
    return Miniature(**{**vars(made), "labels": tuple(data / f"{name}.mat" for name in columns)})


def _official(root: Path) -> Miniature:
    made = _write(root, "ChallengeDB_release", "Images")
    return _matlab(made, made.folder / "Data", training=True)


def _without_training(root: Path) -> Miniature:
    made = _write(root, "livec", "Images")
    return _matlab(made, made.folder / "Data", training=False)


def _doubled(root: Path) -> Miniature:
    made = _write(root, "ChallengeDB_release", "ChallengeDB_release/Images")
    return _matlab(made, made.folder / "ChallengeDB_release" / "Data", training=True)


def _pyiqa(root: Path, training: bool = True) -> Miniature:
    made = _write(root, "LIVEC", "Images")
    labels = root / "meta_info" / "meta_info_LIVEChallengeDataset.csv"
    labels.parent.mkdir(parents=True)
    rows = [f"{name},50.0,10.0" for name in (_TRAINING if training else ())]
    rows += [
        f"{name},{made.scores[name]!r},{spread!r}"
        for name, spread in zip(made.names, made.facts["rating_std"].tolist(), strict=True)
    ]
    labels.write_text("\n".join(["img_name,mos,std", *rows, ""]))
    return Miniature(**{**vars(made), "labels": (labels,)})


LAYOUTS: dict[str, Make] = {
    "official": _official,
    "without training pictures": _without_training,
    "doubled folder": _doubled,
    "pyiqa": _pyiqa,
    "pyiqa without training pictures": lambda root: _pyiqa(root, training=False),
}
