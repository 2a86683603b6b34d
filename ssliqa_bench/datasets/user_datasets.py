"""`data add`: from a label file and a folder of one's own photographs to a registry file that runs can name."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ssliqa_bench.datasets.base import read_raw
from ssliqa_bench.datasets.check import CONVERSIONS, DatasetCheck, Progress, check_dataset
from ssliqa_bench.datasets.ratings import COLUMNS
from ssliqa_bench.datasets.readers.names import near_files
from ssliqa_bench.datasets.readers.table import read_csv
from ssliqa_bench.datasets.table import RawTable
from ssliqa_bench.errors import DataError, InputError
from ssliqa_bench.files import atomic_path
from ssliqa_bench.paths import folder_to_read
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.schema import NAME_RULE, is_name
from ssliqa_bench.tabular import read_rows
from ssliqa_bench.text import RENAMING, is_utf8, printable

LOG = logging.getLogger("ssliqa_bench")

_FIRST = 10
_FEWEST = 6  # images of which four fifths leave two for the test
_UNLABELED = "-unlabeled"
_HEAD = "# Made by `ssliqa-bench data add`. Paths are relative to this file.\n"


@dataclass(frozen=True)
class OwnPhotographs:
    """What the user says about the photographs: a label file and its images, a folder without scores, or both.

    Attributes:
        labels: a table with columns `image` and `score`, or those that `columns` names.
        images: the folder that the names in it are relative to; given exactly where `labels` is.
        unlabeled: a folder of photographs without scores; scored ones that lie there too are left out.
        scale: the nominal ends of the scores; None takes the smallest and the largest that are there, or 1 to P where
            the scores are means of ratings c1 to cP.
        columns: our column name -> that of the label file.
        separator: one character between the cells of the label file; "" recognises it.
        ratings: how scores follow from a table of individual ratings, as the option of `read_csv`; "" leaves it to it.
    """

    name: str
    labels: Path | None = None
    images: Path | None = None
    unlabeled: Path | None = None
    scale: tuple[float, float] | None = None
    direction: str = "higher_is_better"
    columns: Mapping[str, str] = field(default_factory=dict)
    separator: str = ""
    ratings: str = ""

    @property
    def scored(self) -> bool:
        """Whether some of the photographs have scores."""
        return self.labels is not None

    @property
    def entries(self) -> tuple[str, ...]:
        """Names of the datasets that become of them, the one with scores first."""
        if not self.scored:
            return (self.name,)
        return (self.name,) if self.unlabeled is None else (self.name, self.name + _UNLABELED)


@dataclass(frozen=True)
class Added:
    """What was written: names of the entries, how many images each has, and the scale of the scores if there are any.

    `rows` says which lines of the label file were read, `conversions` what decoding changed in the images of an entry.
    """

    images: Mapping[str, int]
    scale: tuple[float, float] | None
    rows: str = ""
    conversions: Mapping[str, str] = field(default_factory=dict)


def add_dataset(
    own: OwnPhotographs,
    file: Path,
    cache_root: Path,
    *,
    force: bool = False,
    processes: int = 1,
    progress: Progress | None = None,
) -> Added:
    """Check photographs and their scores and write a registry file for them; decodes every image.

    Args:
        file: the registry file; must not be there unless `force`.

    Raises:
        InputError: a name that is taken or cannot be one, or the file is there.
        DataError: something is wrong with the label file or the images; nothing is written.
    """
    if own.scored != (own.images is not None) or not (own.scored or own.unlabeled):
        raise InputError("Give --labels with --images for photographs with scores, --unlabeled for those without, or "
                         "all three.")  # fmt: skip
    names = own.entries
    _check_names(names)
    if file.exists() and not force:
        raise InputError(f"{file}: is there already. Name another file with --registry-file, or replace it with "
                         f"--force.")  # fmt: skip
    raw = read_labels(own)
    scale = None if raw is None else own.scale or _scale(own, raw)
    if raw is not None and raw.split is None and len(raw.name) < _FEWEST:
        LOG.warning("%s: %d images with a score; a split of 80/20 leaves 1 of them for the test. Runs need 2, so add "
                    "images: at least %d.", own.name, len(raw.name), _FEWEST)  # fmt: skip
    entries = {} if raw is None or scale is None else {own.name: _labeled_entry(own, raw, scale, file)}
    if own.unlabeled is not None:
        entries[names[-1]] = _unlabeled_entry(own, own.unlabeled, file)
    with atomic_path(file) as part:
        part.write_text(_registry_text(entries), encoding="utf-8")
        known = load_registry([part])
        images: dict[str, int] = {}
        changes: dict[str, str] = {}
        for name in names:
            against = () if name == own.name else (own.name,)
            checks = check_dataset(name, known, file.parent, cache_root, processes=processes, against=against,
                                   progress=progress)  # fmt: skip
            _refuse(name, checks, scored=own.scored and name == own.name)
            if found := [check.seen for check in checks if check.name == CONVERSIONS]:
                changes[name] = found[0]
            entry = known.dataset(name)
            images[name] = len(read_raw(entry, Path(entry.folder), cache_root).name)
    return Added(images, scale, "" if raw is None else f"{raw.source}: {raw.extent}", changes)


def _registry_text(entries: Mapping[str, Any]) -> str:
    """The registry file.

    Raises:
        InputError: a path in it is not valid UTF-8, or the current folder's.
    """
    for entry in entries.values():
        for path in (entry.get("folder"), *(entry.get("options") or {}).values()):
            if isinstance(path, str) and not is_utf8(path):
                raise InputError(f"{printable(path)}: the path is not valid UTF-8. {RENAMING}")
    return _HEAD + yaml.safe_dump({"datasets": entries}, sort_keys=False, allow_unicode=True)


def _check_names(names: Sequence[str]) -> None:
    known = load_registry()
    for name in names:
        if not is_name(name):
            raise InputError(f'Dataset name "{name}": expected {NAME_RULE}.')
        if name in known.datasets or name in known.aliases["datasets"]:
            raise InputError(f'Dataset name "{name}": is that of a dataset of the field; choose another.')


def read_labels(own: OwnPhotographs) -> RawTable | None:
    """The label file as read, images not looked at; None where there is none.

    Raises:
        InputError: a folder is not there.
        DataError: something is wrong with the label file.
    """
    for option, folder in (("--images", own.images), ("--unlabeled", own.unlabeled)):
        if folder is not None:
            folder_to_read(folder, "a folder of photographs", option)
    if own.images is None:
        return None
    try:
        raw = read_csv(own.images, _options(own, lambda path: os.path.abspath(path)))
    except DataError as error:
        way = " Name the file's columns with --columns image=…,score=…." if "no column" in str(error) else ""
        raise DataError(f"{own.name}: {error}{way}") from error
    if not raw.name:
        raise DataError(f"{own.name}: {raw.source}: lists no image.")
    return raw


def _scale(own: OwnPhotographs, raw: RawTable) -> tuple[float, float]:
    if raw.scores_from == "ratings" and raw.distribution is not None:
        return 1.0, float(raw.distribution.shape[1])
    low, high = float(np.min(raw.score)), float(np.max(raw.score))
    if low == high:
        raise DataError(f"{own.name}: {raw.source}: every score is {low:g}; expected scores that differ.")
    return low, high


def _options(own: OwnPhotographs, spelled: Callable[[Path], str]) -> dict[str, Any]:
    """Options of the reader of the label file; none where there is no label file."""
    options = _scored_names(own, spelled)
    options |= {"ratings": own.ratings} if own.ratings else {}
    return options | _rating_levels(own)


def _scored_names(own: OwnPhotographs, spelled: Callable[[Path], str]) -> dict[str, Any]:
    """Those of them that say which images are in the label file, and not how their scores follow."""
    if own.labels is None or own.images is None:
        return {}
    options: dict[str, Any] = {"labels": spelled(own.labels), "images": spelled(own.images)}
    options |= {"columns": dict(own.columns)} if own.columns else {}
    return options | ({"separator": own.separator} if own.separator else {})


def _rating_levels(own: OwnPhotographs) -> dict[str, int]:
    """How many levels individual ratings have, where the scale states it."""
    low, high = own.scale or (0.0, 0.0)
    if low != 1 or not high.is_integer() or own.labels is None:
        return {}
    header = read_rows(own.labels, own.separator).header
    long = all(own.columns.get(name, name) in header for name in COLUMNS)
    return {"levels": int(high)} if long and own.columns.get("score", "score") not in header else {}


def _spelling(file: Path) -> Callable[[Path], str]:
    """How a path is written in a registry file: relative to it where that needs no way up."""
    home = os.path.abspath(file.parent)

    def spelled(path: Path) -> str:
        full = os.path.abspath(path)
        return os.path.relpath(full, home) if os.path.commonpath([full, home]) == home else full

    return spelled


def _labeled_entry(own: OwnPhotographs, raw: RawTable, scale: tuple[float, float], file: Path) -> dict[str, Any]:
    spelled = _spelling(file)
    reach = {}
    if raw.ratings_model:  # scores free of the raters' biases may leave the scale by a little
        low, high = float(np.floor(raw.score.min())), float(np.ceil(raw.score.max()))
        if low < scale[0] or high > scale[1]:
            reach = {"valid_range": [min(low, scale[0]), max(high, scale[1])]}
    return {
        "about": {"title": f"{own.name}, own photographs", "family": "own"},
        "kind": "authentic" if raw.distortion is None else "synthetic",
        "folder": spelled(Path(str(own.images))),
        "options": _options(own, spelled),
        "images": len(raw.name),
        "scale": list(scale),
        **reach,
        "direction": own.direction,
        "rating_statistics": raw.rating_std is not None,
    }


def _unlabeled_entry(own: OwnPhotographs, folder: Path, file: Path) -> dict[str, Any]:
    spelled = _spelling(file)
    return {
        "about": {"title": f"{own.name}, own photographs without scores", "family": "own"},
        "kind": "unlabeled",
        "reader": "ssliqa_bench.datasets.readers.folder:read_folder",
        "folder": spelled(folder),
        **({"options": _scored_names(own, spelled)} if own.scored else {}),
    }


def _refuse(name: str, checks: Sequence[DatasetCheck], *, scored: bool) -> None:
    # Photographs without scores are never split, so that copies among them tear nothing.
    failed = [c for c in checks if not c.holds and (scored or c.name != "duplicates")]
    if not failed:
        return
    lines = []
    for check in failed:
        more = f"\n  … and {len(check.listed) - _FIRST:,} more" if len(check.listed) > _FIRST else ""
        near = [near_files(place) if check.name == "files" else [] for place in check.listed[:_FIRST]]
        hints = [f" (near: {', '.join(names)})" if names else "" for names in near]
        places = (f"\n  {place}{hint}" for place, hint in zip(check.listed, hints))
        lines.append(f"{check.name}: {check.seen}{''.join(places)}{more}")
    hint = (_HINTS if scored else _UNLABELED_HINTS).get(failed[0].name)
    raise DataError("\n".join([f"{name}: nothing was written.", *lines, *([hint] if hint else [])]))


_HINTS = {
    "files": "Names in the label file are relative to --images.",
    "scores": "State the ends of the scale with --scale LO,HI.",
    "ratings": "Columns c1 to cP are the ratings per level: counts or shares, at least one of them above 0.",
    "split": "A column group needs at least two values; a column split has train, test and validation.",
    "readable": "Repair these files or take them out of the label file.",
    "duplicates": "Delete the copies, or give them the same value in a column group.",
}
_UNLABELED_HINTS = {"readable": "Repair these files or take them out of the folder."}
