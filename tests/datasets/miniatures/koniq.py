"""KonIQ-10k, a few dozen images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.datasets.miniatures import Make, Miniature, write_image

_N = 30
_SETS = ("training", "training", "training", "validation", "test")


def _write(root: Path, folder: str, *, images: str = "512x384", size: tuple[int, int] = (64, 48)) -> Miniature:
    home = root / folder
    names = tuple(f"{10004473376 + 7919 * k}.jpg" for k in range(_N))
    random = np.random.default_rng(1)
    # Six images each whose most frequent rating is 1, 2, …, 5.
    chances = 1.0 / (1 + np.abs(np.arange(5) - np.arange(_N)[:, None] // 6)) ** 2
    counts = random.multinomial(100, chances / chances.sum(1, keepdims=True))
    mean = counts @ np.arange(1, 6) / 100
    spread = np.sqrt(((np.arange(1, 6) - mean[:, None]) ** 2 * counts).sum(1) / 99)
    score = 25 * (mean - 1)
    paths = {}
    for k, name in enumerate(names):
        paths[name] = home / images / name
        write_image(paths[name], k, size, score[k] / 100)
    shares = [[f"{c / 100:.12g}" for c in row] for row in counts]
    return Miniature(
        dataset="koniq",
        root=root,
        folder=home,
        labels=(home / "koniq10k_distributions_sets.csv",),
        names=names,
        images=paths,
        scores=dict(zip(names, score.tolist(), strict=True)),
        facts={
            "mean": mean,
            "rating_std": 25 * spread,
            "distribution": counts / 100,
            "shares": shares,
            "split": tuple(_SETS[k % 5] for k in range(_N)),
        },
    )


def _sets(root: Path) -> Miniature:
    made = _write(root, "koniq")
    spread = made.facts["rating_std"] / 25
    rows = [
        ",".join([name, *made.facts["shares"][k], "100", repr(made.scores[name]), repr(float(spread[k])), split])
        for k, (name, split) in enumerate(zip(made.names, made.facts["split"], strict=True))
    ]
    made.labels[0].write_text("\n".join(["image_name,c1,c2,c3,c4,c5,c_total,MOS,SD,set", *rows, ""]))
    return made


def _scores(root: Path) -> Miniature:
    made = _write(root, "koniq-10k")
    spread = made.facts["rating_std"] / 25
    counts = (made.facts["distribution"] * 100).round().astype(int)
    labels = made.folder / "koniq10k_scores_and_distributions.csv"
    rows = []
    for k, name in enumerate(made.names):
        numbers = [float(made.facts["mean"][k]), float(spread[k]), made.scores[name]]
        rows.append(",".join([f'"{name}"', *map(str, counts[k]), "100", *map(repr, numbers)]))
    labels.write_text("\n".join(['"image_name",c1,c2,c3,c4,c5,c_total,MOS,SD,MOS_zscore', *rows, ""]))
    facts = {**made.facts, "split": None}
    return Miniature(**{**vars(made), "labels": (labels,), "facts": facts})


def _pyiqa(root: Path) -> Miniature:
    made = _write(root, "koniq10k")
    labels = root / "meta_info" / "meta_info_KonIQ10kDataset.csv"
    labels.parent.mkdir(parents=True)
    words = {"training": "train", "validation": "val", "test": "test"}
    split = tuple(words[word] for word in made.facts["split"])
    rows = [f"{name},{made.scores[name]!r},{word}" for name, word in zip(made.names, split, strict=True)]
    labels.write_text("\n".join(["img_name,mos,official_split", *rows, ""]))
    facts = {"split": split, "rating_std": None, "distribution": None}
    return Miniature(**{**vars(made), "labels": (labels,), "facts": facts})


LAYOUTS: dict[str, Make] = {"official": _sets, "scores": _scores, "pyiqa": _pyiqa}
