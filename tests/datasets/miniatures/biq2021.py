"""BIQ2021, a few dozen images of its three parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.datasets.miniatures import Make, Miniature, write_image, write_lines

_TRAIN, _TEST = 20, 10


def _official(root: Path) -> Miniature:
    home = root / "BIQ2021"
    names = tuple(f"ss0{1 + k % 3} ({3 * k + 1}).jpg" for k in range(_TRAIN + _TEST))
    score = np.round(np.random.default_rng(21).uniform(0, 1, len(names)), 4)
    paths = {}
    for k, name in enumerate(names):
        # One image of the release has capitals on disk that the list does not have.
        paths[name] = home / "Images" / (name.replace(".jpg", ".JPG") if k == 4 else name)
        write_image(paths[name], 700 + k, (60, 60), float(score[k]))
    lists = {"Train": (names[:_TRAIN], ",,"), "Test": (names[_TRAIN:], "")}
    for word, (own, end) in lists.items():
        rows = [f"{name},{score[names.index(name)]}{end}" for name in own]
        write_lines(home / f"{word} (Images and MOS).csv", [f"Image Name,MOS{end}", *rows])
    labels = tuple(home / f"{word} (Images and MOS).csv" for word in lists)
    facts = {"split": ("train",) * _TRAIN + ("test",) * _TEST, "part": tuple(name[:4] for name in names)}
    scores = dict(zip(names, score.tolist(), strict=True))
    return Miniature("biq2021", root, home, labels, names, paths, scores, facts, {"copies": None})


LAYOUTS: dict[str, Make] = {"official": _official}
