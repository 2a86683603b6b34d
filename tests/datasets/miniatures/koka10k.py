"""KOKA10K: the miniatures of KonIQ-10k and of KADIS-700k side by side."""

from __future__ import annotations

import math
from pathlib import Path

from tests.datasets.miniatures import Make, Miniature, kadis, koniq, write_lines

_LABELED = {"photo-3.png": 4, "121-cc-774921.png": 0}


def _official(root: Path, *, with_kadis: bool = True, extra: bool = False, rule: str = "modal") -> Miniature:
    first = koniq.LAYOUTS["official"](root)
    shares = first.facts["distribution"]
    scores = {name: float(shares[k].argmax()) for k, name in enumerate(first.names)}
    if rule == "equal-width":
        scores = {name: float(min(int(first.scores[name] // 20), 4)) for name in first.names}
    names, labels, images = first.names, first.labels, dict(first.images)
    if with_kadis:
        second = kadis.LAYOUTS["pristine"](root)
        names, labels, images = (*names, *second.names), (*labels, *second.labels), {**images, **second.images}
        scores.update(dict.fromkeys(second.names, math.nan))
    if extra:
        scores.update({name: float(value) for name, value in _LABELED.items()})
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
        facts={"group": names, "split": None, "distribution": None, "rating_std": None},
        counts={
            "images": len(first.names),
            "optional_images": len(names) - len(first.names),
            "options": {"classes": rule, "kadis": ["kadis", "kadis700k"], "unlabeled": True},
        },
    )


LAYOUTS: dict[str, Make] = {
    "official": _official,
    "without KADIS": lambda root: _official(root, with_kadis=False),
    "own labels": lambda root: _official(root, extra=True),
    "equal width": lambda root: _official(root, rule="equal-width"),
}
