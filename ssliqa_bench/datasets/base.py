"""From a registry entry to a table: find or make the files, call the reader, turn the direction, check everything.

A reader is a function `reader(folder, options) -> RawTable`. It knows one file format and reports the columns in
the dataset's own direction and spelling. What is true of every dataset (finite scores inside the valid range,
unique names, files that exist, one direction) is checked and done here, once.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ssliqa_bench.datasets.copies import find_copies, join_groups
from ssliqa_bench.datasets.generators import generated_folder
from ssliqa_bench.datasets.readers.names import near_files
from ssliqa_bench.datasets.table import RawTable, Reader, Table
from ssliqa_bench.datasets.table_cache import KeptTable
from ssliqa_bench.errors import DataError
from ssliqa_bench.registry.lookup import load_object
from ssliqa_bench.text import RENAMING, is_utf8, printable
from ssliqa_bench.types import FloatArray

if TYPE_CHECKING:
    from ssliqa_bench.registry.schema import DatasetEntry

LOG = logging.getLogger("ssliqa_bench")

_FIRST = 3






@dataclass(frozen=True)
class RowProblem:
    """A rule that rows of a table break: which rule, the rows, and the message that a run stops with.

    Attributes:
        rule: `count`, `names`, `files`, `scores`, `range`, `ratings`, `missing` or `references`.
    """

    rule: str
    rows: tuple[int, ...]
    message: str


def load_table(
    entry: DatasetEntry,
    data_root: Path,
    cache_root: Path,
    *,
    load: Callable[[str], Any] = load_object,
    skip_missing: bool = False,
) -> Table:
    """Read a dataset: scores higher-is-better, every image file present, nothing decoded.

    A generated dataset is made below `cache_root` on first use. `rating_std` is passed on only where the
    registry says that it is the spread of the ratings. `facts` holds the named subsets, name -> distortions, the
    dataset after whose groups its own are named, the groups that have copies in them, how many copies there are, the
    model by which scores follow from individual ratings, the images whose scores are unofficial, and those that were
    left out for want of a file.

    Args:
        load: imports what "module:name" names; `Registry.load` also finds modules beside users' files.
        skip_missing: leave out images whose file is not there, in place of an error; some have to be there.

    Raises:
        DataError: the folder or files are missing, or the content contradicts the registry entry.
    """
    raw = read_raw(entry, dataset_folder(entry, data_root, cache_root, load=load), cache_root, load=load)
    missing: tuple[int, ...] = ()
    for problem in row_problems(entry, raw):
        if not (skip_missing and problem.rule == "missing" and len(problem.rows) < len(raw.name)):
            raise DataError(problem.message)
        missing = problem.rows
    left_out = tuple(raw.name[row] for row in missing)
    if left_out:
        LOG.warning("%s: %d of %d images have no file and are left out (first: %s).", entry.name, len(left_out),
                    len(raw.name), left_out[0])  # fmt: skip
        raw = raw.without(missing)
    scale = entry.native_scale
    if raw.unofficial:
        LOG.warning("%s: the scores of %d images (first: %s) come from a list that no source of the dataset passes on. "
                    "Results on them are marked *unofficial labels* and are never ranked.", entry.name,
                    len(raw.unofficial), raw.unofficial[0])  # fmt: skip
    copies = find_copies(entry, raw, cache_root)
    group, copied = join_groups(groups_of(entry, raw), copies.sets)
    return Table(
        dataset=entry.name,
        name=raw.name,
        path=tuple(os.path.abspath(path) for path in raw.path),
        score=scale.turned(raw.score),
        score01=scale.to01(raw.score),
        group=group,
        scale_width=scale.high - scale.low,
        split_as=entry.split_as or "",
        rating_std=raw.rating_std if entry.rating_statistics else None,
        distribution=_shares(entry, raw),
        reference=raw.reference and tuple(path and os.path.abspath(path) for path in raw.reference),
        distortion=raw.distortion,
        level=raw.level,
        split=raw.split,
        role=raw.role,
        part=raw.part,
        n_ratings=_rating_counts(raw),
        facts={
            "subsets": {name: rule.distortion for name, rule in entry.subsets.items()},
            "groups_as": entry.groups_as or entry.name,
            "copies": copied,
            "copies_counted": copies.counts(),
            "same_image": tuple(tuple(raw.name[row] for row in rows) for rows in copies.same_image),
            "ratings_model": raw.ratings_model,
            "unofficial": frozenset(raw.unofficial),
            "missing": left_out,
        },
    )


def read_raw(
    entry: DatasetEntry, folder: Path, cache_root: Path, *, load: Callable[[str], Any] = load_object
) -> RawTable:
    """What the reader of a dataset finds in its folder, in the dataset's own direction, nothing checked yet.

    Raises:
        DataError: label files are missing or not as the reader expects them.
    """
    place = os.path.abspath(folder)
    if not is_utf8(place):
        raise DataError(f"{entry.name}: {printable(place)}: the path of the folder is not valid UTF-8. {RENAMING}")
    reader = load(entry.reader)
    kept = KeptTable(Path(cache_root) / "tables", entry, folder, reader)
    raw = kept.load()
    if raw is None or missing_rows(raw) or _missing_references(raw):  # put right since, in another layout perhaps
        raw = _read(entry, reader, folder)
        kept.save(raw)
    return raw


def find_folder(entry: DatasetEntry, data_root: Path, cache_root: Path) -> Path | None:
    """The folder of a dataset's files as they are now: nothing is made and none of them is looked at."""
    if entry.generator is not None:
        folders = [_generated_home(cache_root) / _generated_name(entry)]
    else:
        folders = [Path(data_root) / name for name in (entry.folder, *entry.other_folders)]
    return next((folder for folder in folders if folder.is_dir()), None)


def dataset_folder(
    entry: DatasetEntry, data_root: Path, cache_root: Path, *, load: Callable[[str], Any] = load_object
) -> Path:
    """The folder of a dataset's files, made first where the entry has a generator.

    Raises:
        DataError: there is no such folder.
    """
    if (generator := entry.generator) is not None:
        hashes = Path(cache_root) / "hashes" / f"{entry.name}.json"

        def make(empty: Path) -> None:  # what makes a dataset is not loaded where it is made already
            load(generator)(empty)

        return generated_folder(_generated_name(entry), _generated_home(cache_root), make, hashes)
    folder = find_folder(entry, data_root, cache_root)
    if folder is not None:
        return folder
    others = f" (nor {', '.join(entry.other_folders)} beside it)" if entry.other_folders else ""
    if entry.made_from is not None:
        raise DataError(
            f"{entry.name}: folder {Path(data_root) / entry.folder} not found. Its images are made from those of "
            f'{entry.made_from.dataset}: "ssliqa-bench data prepare {entry.name}".'
        )
    fetching = f'"ssliqa-bench data download {entry.name}" fetches it or prints how, ' if entry.download else ""
    raise DataError(
        f"{entry.name}: folder {Path(data_root) / entry.folder} not found{others}. Put the dataset there, or name the "
        f'folder that holds its folder with --data-root; {fetching}"ssliqa-bench show {entry.name}" names its source.'
    )


def _generated_home(cache_root: Path) -> Path:
    return Path(cache_root) / "generated"


def _generated_name(entry: DatasetEntry) -> str:
    return f"{entry.name}-v{entry.generator_version}"


def _read(entry: DatasetEntry, reader: Reader, folder: Path) -> RawTable:
    try:
        return _utf8(reader(folder, entry.options))
    except DataError as error:
        raise DataError(f"{entry.name}: {error}") from error
    except (OSError, TypeError, ValueError) as error:
        raise DataError(
            f"{entry.name}: its reader {entry.reader} failed on {folder} with options {dict(entry.options)}: {error}. "
            f'"ssliqa-bench show {entry.name}" shows the entry.'
        ) from error


def _utf8(raw: RawTable) -> RawTable:
    """The table, unless a name cannot be written to a record.

    Raises:
        DataError: names the first image whose name is not valid UTF-8, and how to rename it.
    """
    wrong = [i for i, name in enumerate(raw.name) if not is_utf8(name)]
    if wrong:
        raise DataError(f"{raw.source}: {len(wrong)} of {len(raw.name)} image names are not valid UTF-8 (first: "
                        f"{printable(raw.name[wrong[0]])}). {RENAMING}")
    return raw


def row_problems(entry: DatasetEntry, raw: RawTable) -> Iterator[RowProblem]:
    """Every rule that rows break, one message per rule with the count and the first places."""
    where = f"{entry.name}: {raw.source}"
    if not raw.name:
        yield RowProblem("count", (), f"{where}: lists no image.")
        return
    if entry.images is not None:
        whole = entry.images + (entry.optional_images or 0)
        if len(raw.name) not in (entry.images, whole):
            also = f", or {whole} with the optional part" if whole != entry.images else ""
            yield RowProblem("count", (), f"{where}: lists {len(raw.name)} images; expected {entry.images}{also}.")

    def problems(
        rule: str, rows: Sequence[int], what: str, show: Callable[[int], str], then: str = ""
    ) -> Iterator[RowProblem]:
        if rows:
            first = ", ".join(f"{raw.place(i)}{show(i)}" for i in rows[:_FIRST])
            message = f"{where}: {len(rows)} of {len(raw.name)} {what} (first: {first}). {then}".rstrip()
            yield RowProblem(rule, tuple(rows), message)

    counts = Counter(raw.name)
    yield from problems("names", [i for i, name in enumerate(raw.name) if counts[name] > 1],
                        "rows share their image name with another row", lambda i: f'"{raw.name[i]}"')
    files = Counter(raw.path)
    yield from problems("files", [i for i, path in enumerate(raw.path) if files[path] > 1 and counts[raw.name[i]] == 1],
                        "rows share their image file with another row under another name",
                        lambda i: f'"{raw.name[i]}"')
    unscored_allowed = entry.kind == "unlabeled" or entry.options.get("unlabeled") is True
    wrong = np.isinf(raw.score) if unscored_allowed else ~np.isfinite(raw.score)
    yield from problems("scores", np.flatnonzero(wrong).tolist(), "scores are no finite number",
                        lambda i: f"{raw.name[i]} {raw.score[i]}")
    low, high = entry.valid_range
    outside = np.flatnonzero((raw.score < low) | (raw.score > high)).tolist()
    yield from problems("range", outside, f"scores lie outside the valid range {low:g} to {high:g}",
                        lambda i: f"{raw.name[i]} {raw.score[i]:g}")
    yield from problems("ratings", _broken_ratings(raw), "rating distributions are negative, empty or not finite",
                        lambda i: raw.name[i])
    missing = missing_rows(raw)
    folder = _common_folder(raw.path[i] for i in missing) if missing else ""
    near = near_files(raw.path[missing[0]]) if missing else []
    hint = f"Near: {', '.join(near)}. " if near else ""
    yield from problems("missing", missing, f"images have no file under {folder}", lambda i: f'"{raw.name[i]}"',
                        f'{hint}"ssliqa-bench data check {entry.name}" lists them all; run, sweep and test leave them '
                        f"out with --skip-bad.")
    yield from problems("references", _missing_references(raw), "reference images have no file",
                        lambda i: str(raw.reference[i]) if raw.reference else "")


def missing_rows(raw: RawTable) -> list[int]:
    """Rows whose image file is not there."""
    return [i for i, path in enumerate(raw.path) if not os.path.isfile(path)]


def _missing_references(raw: RawTable) -> list[int]:
    """Rows whose reference image is named but not there; several rows share one."""
    there = {path: os.path.isfile(path) for path in set(raw.reference or ()) if path}
    return [i for i, path in enumerate(raw.reference or ()) if path and not there[path]]


def _common_folder(paths: Iterable[str]) -> str:
    return os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in paths])


def groups_of(entry: DatasetEntry, raw: RawTable) -> tuple[str, ...]:
    """What must not be torn, by row: the group column, else the reference image, else every image on its own; copies
    are not yet put together."""
    if entry.split_by == "image":
        return raw.name
    stated = raw.group if raw.group is not None else raw.reference
    if stated is None:
        return raw.name
    # A reference is named by its file: the folder it lies in differs from machine to machine.
    groups = stated if raw.group is not None else tuple(Path(path).name for path in stated)
    return tuple(group or name for group, name in zip(groups, raw.name, strict=True))


def _broken_ratings(raw: RawTable) -> list[int]:
    """Scored rows whose ratings make no distribution; an image without a score may have none."""
    if raw.distribution is None:
        return []
    total = raw.distribution.sum(axis=1)
    broken = (raw.distribution < 0).any(axis=1) | ~np.isfinite(total) | (total <= 0)
    return np.flatnonzero(broken & np.isfinite(raw.score)).tolist()


def _shares(entry: DatasetEntry, raw: RawTable) -> FloatArray | None:
    """Shares of the rating levels, worst level first, rows sum to 1; a row without ratings is all NaN."""
    if raw.distribution is None:
        return None
    total = raw.distribution.sum(axis=1, keepdims=True)
    usable = (raw.distribution >= 0).all(axis=1, keepdims=True) & np.isfinite(total) & (total > 0)
    shares: FloatArray = raw.distribution / np.where(usable, total, np.nan)
    return shares if entry.higher_is_better else shares[:, ::-1].copy()


def _rating_counts(raw: RawTable) -> FloatArray | None:
    """How many ratings each image has: as the reader states it, else the sum of a distribution that holds counts."""
    if raw.n_ratings is not None or raw.distribution is None:
        return raw.n_ratings
    total = raw.distribution.sum(axis=1)
    known = np.isfinite(total)
    counts = raw.distribution[known]
    # Whole numbers that add up to the same 100 in every row are percentages.
    if not len(counts) or (counts != np.floor(counts)).any() or (total[known] == 100).all() or total[known].max() <= 1:
        return None
    return np.where(known & (total > 0), total, np.nan)
