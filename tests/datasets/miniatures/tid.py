"""TID2013 and TID2008, two references and four types of distortion, capitals mixed as in the real lists."""

from __future__ import annotations

from pathlib import Path

from tests.datasets.miniatures import Make, Miniature, changed, write_image, write_lines, write_meta_info

# Reference and its file; the last one is spelled small on disk.
_REFERENCES = {"01": "I01.BMP", "25": "i25.bmp"}
_KINDS = ("01", "08", "10", "11")


def _name(reference: str, kind: str, level: int) -> str:
    if kind == "01" and level == 1:
        return f"I{reference}_{kind}_{level}.bmp"
    return f"I{reference}_{kind}_{level}.BMP" if kind == "11" and level == 1 else f"i{reference}_{kind}_{level}.bmp"


def _write(root: Path, year: int) -> Miniature:
    home = root / f"tid{year}"
    levels = range(1, 6 if year == 2013 else 5)
    rows = [(reference, kind, level) for reference in _REFERENCES for kind in _KINDS for level in levels]
    names = tuple(_name(*row) for row in rows)
    images, scores = {}, {}
    for k, (name, (_, _, level)) in enumerate(zip(names, rows, strict=True)):
        # The disk of some copies has another spelling than the list.
        images[name] = home / "distorted_images" / name.replace(".BMP", ".bmp")
        scores[name] = round(7.2 - level - 0.05 * (k % 7), 5)
        write_image(images[name], 600 + k + year, (40, 36), 1 - level / 5)
    for k, file in enumerate(_REFERENCES.values()):
        write_image(home / "reference_images" / file, 690 + k + year, (40, 36), 1)
    facts = {
        "group": tuple(f"I{reference}" for reference, _, _ in rows),
        "reference": tuple(str(home / "reference_images" / _REFERENCES[reference]) for reference, _, _ in rows),
        "distortion": tuple(kind for _, kind, _ in rows),
        "level": tuple(str(level) for _, _, level in rows),
        "rating_std": None,
    }
    return Miniature(f"tid{year}", root, home, (), names, images, scores, facts, {"groups": 2, "references": 2})


def _official(root: Path, year: int) -> Miniature:
    made = _write(root, year)
    labels = made.folder / "mos_with_names.txt"
    write_lines(labels, [f"{made.scores[name]:.5f} {name}" for name in made.names])
    write_lines(made.folder / "mos_std.txt", ["0.13013"] * len(made.names))
    return changed(made, labels=(labels,))


def _pyiqa(root: Path, year: int) -> Miniature:
    made = _write(root, year)
    rows = [(f"{group}.BMP", name, made.scores[name], 0.13) for name, group in zip(made.names, made.facts["group"])]
    return changed(made, labels=(write_meta_info(root, f"TID{year}", "ref_name,dist_name,mos,std", rows),))


LAYOUTS: dict[str, Make] = {
    "2013 official": lambda root: _official(root, 2013),
    "2013 pyiqa": lambda root: _pyiqa(root, 2013),
    "2008 official": lambda root: _official(root, 2008),
    "2008 pyiqa": lambda root: _pyiqa(root, 2008),
}
