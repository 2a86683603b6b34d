"""KOKA10K: the miniatures of KonIQ-10k and of KADIS-700k side by side."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from tests.datasets.miniatures import Make, Miniature, kadis, koniq, write_lines

_LABELED = {"photo-3.png": 4, "121-cc-774921.png": 0}


def _official(root: Path, *, with_kadis: bool = True, extra: bool = False) -> Miniature:
    first = koniq.LAYOUTS["official"](root)
    shares = dict(zip(first.names, first.facts["distribution"], strict=True))
    scores = dict(first.scores)
    names, labels, images = first.names, first.labels, dict(first.images)
    if with_kadis:
        second = kadis.LAYOUTS["pristine"](root)
        names, labels, images = (*names, *second.names), (*labels, *second.labels), {**images, **second.images}
        scores.update(dict.fromkeys(second.names, math.nan))
        shares.update(dict.fromkeys(second.names, np.full(5, np.nan)))
    if extra:
        scores.update({name: 25.0 * value for name, value in _LABELED.items()})
        shares.update({name: np.eye(5)[value] for name, value in _LABELED.items()})
        rows = [f"{name},{value}" for name, value in _LABELED.items()]
        write_lines(first.folder / "koka10k_labels.csv", ["image,class", *rows])
    return Miniature(
        dataset="koka10k",
        root=root,
        folder=first.folder,
        labels=labels,
        names=names,
        images=images,
        scores=scores,
        facts={
            "group": names, "split": None, "distribution": np.stack([shares[n] for n in names]), "rating_std": None,
        },
        counts={
            "images": len(first.names),
            "optional_images": len(names) - len(first.names),
            "options": {"kadis": ["kadis", "kadis700k"], "unlabeled": True},
        },
    )


LAYOUTS: dict[str, Make] = {
    "official": _official,
    "without KADIS": lambda root: _official(root, with_kadis=False),
    "own labels": lambda root: _official(root, extra=True),
}
