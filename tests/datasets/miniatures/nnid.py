"""NNID, two scenes per subset; the names of sub1024 stand again in Sub2048."""

from __future__ import annotations

from pathlib import Path

from tests.datasets.miniatures import Make, Miniature, changed, write_image, write_lines

_CONTENTS = {
    "sub512": ("D1_IC001", "D2_IC01"),
    "sub1024": ("D1_IC01", "D3_IC30"),
    "Sub2048": ("D1_IC01", "D3_IC30"),
}


def _official(root: Path, other_letters: bool = False) -> Miniature:
    home = root / "NNID"
    names, groups, scores, images = [], [], {}, {}
    for subset, contents in _CONTENTS.items():
        for content in contents:
            for k in range(1, 6):
                name = f"{subset}/{content}_img{k}.jpg"
                names.append(name)
                groups.append(f"{subset}/{content}")
                scores[name] = round(0.08 + 0.025 * len(names), 9)
                place = subset.swapcase() if other_letters else subset
                images[name] = home / place / f"{content}_img{k}.jpg"
                write_image(images[name], 3300 + len(names), (56, 40), scores[name])
    labels = []
    for subset in _CONTENTS:
        labels.append(home / f"mos{subset[3:]}_with_names.txt")
        of_subset = [name for name in names if name.startswith(f"{subset}/")]
        write_lines(labels[-1], [f"{scores[name]}\t{name.split('/')[1]}" for name in of_subset])
    made = Miniature("nnid", root, home, (), tuple(names), images, scores, {"group": tuple(groups)}, {"groups": 6})
    return changed(made, labels=tuple(labels))


LAYOUTS: dict[str, Make] = {
    "official": _official,
    "other capitals": lambda root: _official(root, other_letters=True),
}
