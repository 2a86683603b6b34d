"""KADID-10k, two references and five types of distortion."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.datasets.miniatures import Make, Miniature, changed, write_image, write_lines, write_meta_info

_ROWS = [(reference, kind, level) for reference in (1, 81) for kind in (1, 9, 10, 11, 25) for level in range(1, 6)]


def _write(root: Path, folders: tuple[str, ...] = ("images",)) -> Miniature:
    home = root / "kadid10k"
    names = tuple(f"I{reference:02d}_{kind:02d}_{level:02d}.png" for reference, kind, level in _ROWS)
    images, scores, spread = {}, {}, []
    for k, (name, (_, kind, level)) in enumerate(zip(names, _ROWS, strict=True)):
        images[name] = home / folders[k % len(folders)] / name
        scores[name] = round(5 - 0.79 * level - 0.001 * kind, 2)
        spread.append(0.0 if k == 0 else round(0.4 + 0.01 * k, 3))
        write_image(images[name], 3000 + k, (44, 36), 1 - level / 5)
    for reference in (1, 81):
        write_image(home / folders[0] / f"I{reference:02d}.png", 3090 + reference, (44, 36), 1)
    facts = {
        "group": tuple(f"I{reference:02d}.png" for reference, _, _ in _ROWS),
        "reference": tuple(str(home / folders[0] / f"I{reference:02d}.png") for reference, _, _ in _ROWS),
        "distortion": tuple(f"{kind:02d}" for _, kind, _ in _ROWS),
        "level": tuple(str(level) for _, _, level in _ROWS),
        "rating_std": np.array(spread),
    }
    return Miniature("kadid", root, home, (), names, images, scores, facts, {"groups": 2, "references": 2})


def _lines(made: Miniature) -> list[tuple[object, ...]]:
    return [
        (name, group, f"{made.scores[name]:.2f}", spread)
        for name, group, spread in zip(made.names, made.facts["group"], made.facts["rating_std"], strict=True)
    ]


def _official(root: Path, folders: tuple[str, ...] = ("images",), labels: str = "dmos.csv") -> Miniature:
    made = _write(root, folders)
    rows = [",".join(map(str, row)) for row in _lines(made)]
    write_lines(made.folder / labels, ["dist_img,ref_img,dmos,var", *rows])
    return changed(made, labels=(made.folder / labels,))


def _parts(root: Path) -> Miniature:
    folders = tuple(f"kadid10k_part{k}/images" for k in (1, 2, 3))
    return _official(root, folders, "kadid10k_part1/dmos.csv")


def _pyiqa(root: Path) -> Miniature:
    made = _write(root)
    rows = [(group, name, score, spread) for name, group, score, spread in _lines(made)]
    return changed(made, labels=(write_meta_info(root, "KADID10k", "ref_name,dist_name,mos,std", rows),))


LAYOUTS: dict[str, Make] = {"official": _official, "three parts": _parts, "pyiqa": _pyiqa}
