"""LIVE-FB, pictures of three folders, two patches of each but the first three."""

from __future__ import annotations

from pathlib import Path

from tests.datasets.miniatures import Make, Miniature, changed, write_image, write_lines, write_meta_info

_PREFIXES = ("VOC2012__", "JPEGImages__", "EMOTIC__", "AVA__")
_PICTURES = (
    *(f"EE371R/cj{k}.jpg" for k in range(3)),
    *(f"blur_dataset/motion{k:04d}.{'JPG' if k == 2 else 'jpg'}" for k in range(5)),
    *(f"voc_emotic_ava/{_PREFIXES[k % 4]}{2007 + k}.jpg" for k in range(20)),
)


def _part(k: int) -> str:
    if k < 3:
        return "unused"
    return "test" if k % 6 == 0 else "validation" if k % 6 == 1 else "train"


def _write(root: Path, folder: str = "FLIVE_Database", patches: bool = False) -> Miniature:
    home = root / folder
    names, groups, split = [], [], []
    for k, picture in enumerate(_PICTURES):
        file = picture.split("/")[1]
        of_picture = [f"patches/{file}_patch_{p}.jpg" for p in (1, 2)] if k >= 3 else []
        for name in of_picture if patches else [picture]:
            names.append(name)
            groups.append(picture)
            split.append(_part(k))
    images = {name: home / "database" / name for name in names}
    scores = {name: 0.0 if k == 4 else round(20 + 74.33 * k / len(names), 8) for k, name in enumerate(names)}
    for k, name in enumerate(names):
        write_image(images[name], 3500 + 60 * patches + k, (48, 40), scores[name] / 100)
    facts = {"group": tuple(groups), "split": tuple(split), "reference": None, "rating_std": None}
    return Miniature("livefb-patches" if patches else "livefb", root, home, (), tuple(names), images, scores, facts)


def _official(root: Path, *, patches: bool = False, place: str = "", splits: bool = True) -> Miniature:
    made = _write(root, patches=patches)
    labels = made.folder / place / f"labels_{'patch' if patches else 'image'}.csv"
    write_lines(labels, ["name,mos", *(f"{name},{made.scores[name]!r}" for name in made.names)])
    every = (labels,)
    if patches:
        every = (labels, labels.with_name("labels_image.csv"))
        write_lines(every[1], ["name,mos", *(f"{name},50.0" for name in _PICTURES)])
    if not splits:
        return changed(made, labels=every, facts={**made.facts, "split": None})
    of_part: dict[str, list[str]] = {}
    for k, picture in enumerate(_PICTURES):
        of_part.setdefault(_part(k), []).append(picture)
    database = made.folder / "database"
    write_lines(database / "labels640.csv", ["mos_image,name_image", *(f"50.0,{name}" for name in of_part["test"])])
    rest = [f"{name},50.0,{part == 'validation'}" for part in ("train", "validation") for name in of_part[part]]
    write_lines(database / "labels=640_padded.csv", ["name_image,mos_image,is_valid", *rest])
    return changed(made, labels=every)


def _pyiqa(root: Path, patches: bool = False) -> Miniature:
    made, other = _write(root, patches=patches), _write(root, patches=not patches)
    words = {"train": "train", "validation": "val", "test": "test", "unused": "train"}
    rows = [
        (name, one.scores[name], words[part])
        for one in (other, made)
        for name, part in zip(one.names, one.facts["split"], strict=True)
    ]
    labels = write_meta_info(root, "FLIVE", "img_name,mos,official_split", rows)
    split = tuple("val" if part == "validation" else part for part in made.facts["split"])
    return changed(made, labels=(labels,), facts={**made.facts, "split": split})


LAYOUTS: dict[str, Make] = {
    "official": _official,
    "lists inside": lambda root: _official(root, place="database"),
    "without the lists of parts": lambda root: _official(root, splits=False),
    "patches": lambda root: _official(root, patches=True),
    "pyiqa": _pyiqa,
    "pyiqa patches": lambda root: _pyiqa(root, patches=True),
}
