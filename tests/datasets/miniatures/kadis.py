"""KADIS-700k, a dozen pristine photographs; of four the distorted images exist."""

from __future__ import annotations

import math
from pathlib import Path

from tests.datasets.miniatures import Make, Miniature, write_image, write_lines

# Photograph, first and second type.
_ROWS = (
    ("121-cc-774921.png", 23, ""),
    ("19-199047.png", 7, 8),
    *((f"photo-{k}.png", 1 + 2 * k, "") for k in range(10)),
)
_MADE = 4


def _write(root: Path, folder: str, distorted: bool) -> Miniature:
    home = root / folder
    names, images, facts = [], {}, {"group": [], "distortion": [], "level": [], "reference": []}
    for k, (photograph, kind, _) in enumerate(_ROWS):
        write_image(home / "ref_imgs" / photograph, 3700 + k, (52, 40), 1)
        if not distorted:
            names.append(photograph)
            images[photograph] = home / "ref_imgs" / photograph
            facts["group"].append(photograph)
        for level in range(1, 6) if distorted and k < _MADE else ():
            name = f"{photograph[:-4]}_{kind:02d}_{level:02d}.bmp"
            # Some tools write the same images as PNG.
            images[name] = home / "dist_imgs" / (name if k else name.replace(".bmp", ".png"))
            write_image(images[name], 3720 + 5 * k + level, (52, 40), 1 - level / 5)
            names.append(name)
            facts["group"].append(photograph)
            facts["distortion"].append(f"{kind:02d}")
            facts["level"].append(str(level))
            facts["reference"].append(str(home / "ref_imgs" / photograph))
    labels = home / "kadis700k_ref_imgs.csv"
    write_lines(labels, ["ref_im,dist_type_1,dist_type_2", *(",".join(map(str, row)) for row in _ROWS)])
    return Miniature(
        dataset="kadis-distorted" if distorted else "kadis",
        root=root,
        folder=home,
        labels=(labels,),
        names=tuple(names),
        images=images,
        scores=dict.fromkeys(names, math.nan),
        facts={name: tuple(values) if values else None for name, values in facts.items()},
        counts={
            "groups": _MADE if distorted else len(_ROWS),
            "options": {"images": "distorted" if distorted else "pristine", "photographs": len(_ROWS)},
        },
    )


LAYOUTS: dict[str, Make] = {
    "pristine": lambda root: _write(root, "kadis700k", distorted=False),
    "pristine, other folder": lambda root: _write(root, "KADIS700", distorted=False),
    "distorted": lambda root: _write(root, "kadis700k", distorted=True),
}
