"""Whether a dataset on disk is what its registry entry says: `data check`, `check dataset` and `data status`.

A run stops at the first thing that is wrong. Here everything is looked at and every place listed, images decoded.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ssliqa_bench.datasets.base import RowProblem, dataset_folder, find_folder, groups_of, read_raw, row_problems
from ssliqa_bench.datasets.conversions import conversions
from ssliqa_bench.datasets.copies import find_copies, join_groups
from ssliqa_bench.datasets.parallel import image_content, in_order
from ssliqa_bench.datasets.splits import part_of, scored_units
from ssliqa_bench.datasets.table import RawTable
from ssliqa_bench.errors import DataError, InputError
from ssliqa_bench.registry.lookup import Registry
from ssliqa_bench.registry.schema import DatasetEntry
from ssliqa_bench.types import FloatArray

_SHARE = 16  # images that a process decodes at a time
_FEWEST_LEVELS = 3  # for a rank correlation that says something
CONVERSIONS = "conversions"  # name of the check that counts what decoding changed; it always holds
# Content hashes by row, why other files cannot be read, and what decoding changed, as `conversions` puts it.
_Content = tuple[dict[int, str], tuple[str, ...], str]


@dataclass(frozen=True)
class DatasetCheck:
    """One property of a dataset: whether it holds, what was seen, and every place where it does not."""

    name: str
    holds: bool
    seen: str
    listed: tuple[str, ...] = ()


@dataclass(frozen=True)
class DatasetStatus:
    """A dataset as it is found on this machine, without opening an image.

    Attributes:
        state: `complete`, `incomplete`, `wrong` (its labels cannot be read), `not found`, or `made on first use`.
        folder: where it was found.
        expected, found: images by the registry (or by the label file, where it does not say), and image files.
        bytes: size of the image files.
        note: what is wrong or what to do, in a few words.
    """

    dataset: str
    kind: str
    state: str
    folder: str | None = None
    expected: int | None = None
    found: int | None = None
    bytes: int | None = None
    note: str = ""


# Called with the dataset, the number of images done and the number of all.
Progress = Callable[[str, int, int], None]


def dataset_status(
    entry: DatasetEntry, data_root: Path, cache_root: Path, *, load: Callable[[str], Any]
) -> DatasetStatus:
    """What exists of a dataset. Problems are reported in the note; nothing is raised."""
    told = partial(DatasetStatus, entry.name, entry.kind, expected=entry.images)
    try:
        folder = find_folder(entry, data_root, cache_root)
        if folder is None:
            if entry.generator is not None:
                return told("made on first use")
            return told("not found", note=_way(entry))
        raw = read_raw(entry, folder, cache_root, load=load)
    except (DataError, OSError) as error:
        place = next((str(p) for p in [find_folder(entry, data_root, cache_root)] if p is not None), None)
        return told("wrong", folder=place, note=_short(str(error), entry))
    except Exception as error:  # a reader of somebody else's: one broken dataset hides no other
        return told("wrong", folder=str(folder), note=_short(f"{type(error).__name__}: {error}", entry))
    sizes = [size for size in map(_size, raw.path) if size is not None]
    problems = {problem.rule: problem for problem in row_problems(entry, raw)}
    told = partial(told, folder=str(folder), found=len(sizes), bytes=sum(sizes))
    if entry.images is None:
        told = partial(told, expected=len(raw.name))
    if not problems:
        more = len(raw.name) - (len(raw.name) if entry.images is None else entry.images)
        without = "without the optional part" if entry.optional_images else ""
        return told("complete", note=f"with {more:,} of the optional part" if more else without)
    if "missing" in problems:
        missing = len(problems["missing"].rows)
        return told("incomplete", note=f"{missing:,} images missing: ssliqa-bench data check {entry.name}")
    if "count" in problems:
        return told("incomplete", note=f"{len(raw.name):,} images listed: ssliqa-bench data check {entry.name}")
    return told("wrong", note=_short(next(iter(problems.values())).message, entry))


def check_dataset(
    name: str,
    registry: Registry,
    data_root: Path,
    cache_root: Path,
    *,
    processes: int = 1,
    against: Sequence[str] = (),
    progress: Progress | None = None,
) -> list[DatasetCheck]:
    """Look at everything that can be wrong with a dataset on disk; decodes every image of it.

    Args:
        against: further datasets on disk, none of whose images may be in this one.
        processes: how many share the decoding.

    Raises:
        DataError: the folder of the dataset, or of one of `against`, is not there.
        InputError: an unknown name.
    """
    entry = registry.dataset(name)
    others = [registry.dataset(other) for other in dict.fromkeys(against)]
    folders = {e.name: dataset_folder(e, data_root, cache_root, load=registry.load) for e in (entry, *others)}
    decoding = partial(_content, processes=processes, progress=progress)
    try:
        raw = read_raw(entry, folders[entry.name], cache_root, load=registry.load)
    except DataError as error:
        return [DatasetCheck("labels", False, str(error))]
    read = f"{raw.source} read by {entry.reader.rpartition(':')[2]}"
    checks = [DatasetCheck("labels", True, read if raw.lines is None else f"{read}: {raw.extent}")]
    problems = {problem.rule: problem for problem in row_problems(entry, raw)}
    groups, copies = _joined(entry, raw, cache_root)
    checks += [_count(entry, raw, problems), *copies, *_groups(entry, raw, groups), _names(raw, problems)]
    checks += [_scores(entry, raw, problems), *_ratings(raw, problems), _splits(entry, raw, groups)]
    checks.append(_missing(raw, problems))
    content, unreadable, changes = decoding(entry.name, raw)
    checks.append(_readable(content, unreadable))
    if changes:
        checks.append(DatasetCheck(CONVERSIONS, True, changes))
    checks.append(_twins(entry, raw, groups, content))
    for other in others:
        named = {found: raw.name[row] for row, found in content.items()}
        checks.append(_shared(other, named, partial(decoding, other.name), folders, cache_root, registry))
    return [*checks, *_direction(entry, raw)]


def _count(entry: DatasetEntry, raw: RawTable, problems: Mapping[str, RowProblem]) -> DatasetCheck:
    expected = "not stated in the registry" if entry.images is None else f"registry: {entry.images:,}"
    if entry.optional_images:
        expected += f", with the optional part {entry.images + entry.optional_images:,}"  # type: ignore[operator]
    return DatasetCheck("count", "count" not in problems, f"{len(raw.name):,} images listed ({expected})")


def _joined(entry: DatasetEntry, raw: RawTable, cache_root: Path) -> tuple[tuple[str, ...], list[DatasetCheck]]:
    """The group of every row, copies put together, and what is to be said of the copies."""
    groups = groups_of(entry, raw)
    try:
        copies = find_copies(entry, raw, cache_root)
    except DataError as error:
        return groups, [DatasetCheck("copies", False, str(error))]
    counts = copies.counts()
    seen = f"{counts}; copies are one group" if counts else "no two files have equal bytes"
    return join_groups(groups, copies.sets)[0], [DatasetCheck("copies", True, seen)]


def _groups(entry: DatasetEntry, raw: RawTable, named: Sequence[str]) -> Iterator[DatasetCheck]:
    """Groups and references against the registry, which counts those of the dataset without its optional part."""
    more = 0 if entry.images is None else len(raw.name) - entry.images
    if more:
        if more == entry.optional_images and (entry.groups is not None or entry.references is not None):
            groups = len(set(named))
            why = "the registry counts groups and references without the optional part"
            yield DatasetCheck("groups", True, f"{groups:,} with the optional part; not compared: {why}")
        return
    groups = len(set(named))
    if entry.groups is not None:
        yield DatasetCheck("groups", groups == entry.groups, f"{groups:,} (registry: {entry.groups:,})")
    if entry.references is not None and raw.reference is not None:
        references = {path for path in raw.reference if path and os.path.isfile(path)}
        holds = len(references) >= entry.references
        without = "" if holds else "; only methods that compare with the reference need them"
        yield DatasetCheck(
            "references", holds, f"{len(references):,} files (registry: {entry.references:,}){without}"
        )


def _names(raw: RawTable, problems: Mapping[str, RowProblem]) -> DatasetCheck:
    rows = [row for rule in ("names", "files") if rule in problems for row in problems[rule].rows]
    if not rows:
        return DatasetCheck("names", True, "every name and every file occurs once")
    return DatasetCheck(
        "names", False, f"{len(rows):,} rows share their name or their file with another", _places(raw, rows)
    )


def _scores(entry: DatasetEntry, raw: RawTable, problems: Mapping[str, RowProblem]) -> DatasetCheck:
    finite = raw.score[np.isfinite(raw.score)]
    low, high = entry.valid_range
    seen = f"{finite.min():g} to {finite.max():g} (valid: {low:g} to {high:g})" if len(finite) else "none"
    unscored = len(raw.score) - len(finite)
    if unscored and len(finite):
        seen += f", {unscored:,} images without"
    broken = sorted({row for rule in ("scores", "range") if rule in problems for row in problems[rule].rows})
    if broken:
        seen += f"; {len(broken):,} are not numbers or out of range"
    return DatasetCheck("scores", not broken, seen, tuple(f"{p}: {raw.score[r]:g}" for p, r in
                                                          zip(_places(raw, broken), broken, strict=True)))


def _ratings(raw: RawTable, problems: Mapping[str, RowProblem]) -> Iterator[DatasetCheck]:
    """Ratings per level, where the labels have them."""
    if raw.distribution is None:
        return
    rows = problems["ratings"].rows if "ratings" in problems else ()
    seen = f"{raw.distribution.shape[1]} levels"
    if rows:
        seen += f"; {len(rows):,} of {len(raw.name):,} rating distributions are negative, empty or not finite"
    listed = (f"{place}: {', '.join(f'{v:g}' for v in raw.distribution[row])}" for place, row in
              zip(_places(raw, rows), rows, strict=True))  # fmt: skip
    yield DatasetCheck("ratings", not rows, seen, tuple(listed))


def _splits(entry: DatasetEntry, raw: RawTable, named: Sequence[str]) -> DatasetCheck:
    """What a split by group needs, and the words of the dataset's own split."""
    try:
        groups = len(scored_units(entry.name, named, raw.score))
        seen, holds = f"{groups:,} groups with a score to split" if groups else "no score, so that none is tested", True
    except InputError as error:
        seen, holds = str(error), False
    unknown = []
    for row, word in enumerate(raw.split or ()):
        try:
            part_of(word, f"{raw.place(row)}{raw.name[row]}")
        except DataError as error:
            unknown.append(str(error))
    if raw.split is not None:
        seen += f"; {len(unknown):,} unknown words in its own split" if unknown else "; has a split of its own"
    return DatasetCheck("split", holds and not unknown, seen, tuple(unknown))


def _missing(raw: RawTable, problems: Mapping[str, RowProblem]) -> DatasetCheck:
    rows = problems["missing"].rows if "missing" in problems else ()
    seen = f"{len(rows):,} of {len(raw.name):,} images have no file" if rows else "every image has its file"
    return DatasetCheck("files", not rows, seen, tuple(raw.path[row] for row in rows))


def _content(
    name: str, raw: RawTable, *, processes: int, progress: Progress | None
) -> _Content:
    """The content hash of every row whose file can be decoded, why the others cannot, and what decoding converted;
    missing files are left out."""
    rows = [row for row, path in enumerate(raw.path) if os.path.isfile(path)]
    content: dict[int, str] = {}
    unreadable, blended, converted = [], 0, 0
    images = in_order(image_content, [raw.path[row] for row in rows], processes=processes, share=_SHARE)
    for done, (row, image) in enumerate(zip(rows, images, strict=True), start=1):
        if image.content:
            content[row] = image.content
        else:
            unreadable.append(image.reason)
        blended += image.blended
        converted += image.converted
        if progress is not None:
            progress(name, done, len(rows))
    return content, tuple(unreadable), conversions(blended, converted)


def _readable(content: Mapping[int, str], unreadable: tuple[str, ...]) -> DatasetCheck:
    total = len(content) + len(unreadable)
    seen = f"{len(unreadable):,} of {total:,} files cannot be decoded" if unreadable else f"{total:,} files decoded"
    return DatasetCheck("readable", not unreadable, seen, unreadable)


def _twins(entry: DatasetEntry, raw: RawTable, groups: Sequence[str], content: Mapping[int, str]) -> DatasetCheck:
    """Equal pixels under several names: between groups they could be trained on and tested."""
    rows_of: dict[str, list[int]] = {}
    for row, found in content.items():
        rows_of.setdefault(found, []).append(row)
    twins = [rows for rows in rows_of.values() if len(rows) > 1]
    across = [rows for rows in twins if len({groups[row] for row in rows}) > 1]
    within = f"; {len(twins) - len(across):,} more within one group, which no split tears" if twins != across else ""
    if not across:
        return DatasetCheck("duplicates", True, f"no two groups have an image with equal pixels{within}")
    listed = tuple(" = ".join(raw.name[row] for row in rows) for rows in across)
    way = f'"ssliqa-bench data twins {entry.name} --write FILE" makes a registry file that joins them'
    are = "picture is" if len(across) == 1 else "pictures are"
    seen = f"{len(across):,} {are} in several groups{within}; {way}"
    return DatasetCheck("duplicates", False, seen, listed)


def _shared(
    other: DatasetEntry,
    named: Mapping[str, str],
    decoding: Callable[[RawTable], _Content],
    folders: Mapping[str, Path],
    cache_root: Path,
    registry: Registry,
) -> DatasetCheck:
    """Images of another dataset whose pixels are those of an image here; `named` gives its name by content."""
    name = f"against {other.name}"
    try:
        raw = read_raw(other, folders[other.name], cache_root, load=registry.load)
    except DataError as error:
        return DatasetCheck(name, False, str(error))
    theirs, _, _ = decoding(raw)
    shared = tuple(f"{named[found]} = {other.name}/{raw.name[row]}" for row, found in theirs.items() if found in named)
    unsure = len(raw.name) - len(theirs)
    seen = f"{len(shared):,} of its {len(theirs):,} images are in this dataset, by their pixels"
    if unsure:
        seen += f"; {unsure:,} are missing or unreadable"
    return DatasetCheck(name, not shared, seen, shared)


def _direction(entry: DatasetEntry, raw: RawTable) -> Iterator[DatasetCheck]:
    """Where levels of distortion are stated, quality has to fall with them: the mean rank correlation over series.

    A series is one distortion of one group. Some kinds, such as a change of contrast, need not harm, so that single
    series may rise.
    """
    if raw.level is None or raw.distortion is None:
        return
    series: dict[tuple[str, str], list[tuple[float, float]]] = {}
    quality = entry.native_scale.turned(raw.score)
    columns = zip(groups_of(entry, raw), raw.distortion, raw.level, quality.tolist(), strict=True)
    for group, distortion, level, score in columns:
        if _is_number(level) and np.isfinite(score):
            series.setdefault((group, distortion), []).append((float(level), score))
    found = [
        _rank_correlation(np.array(pairs))
        for pairs in series.values()
        if len({level for level, _ in pairs}) >= _FEWEST_LEVELS and len({score for _, score in pairs}) > 1
    ]
    if not found:
        return
    mean = float(np.mean(found))
    rising = sum(value > 0 for value in found)
    seen = (
        f"quality against level of distortion: mean rank correlation {mean:+.3f} over {len(found):,} series, "
        f"{rising:,} of which rise"
    )
    if mean >= 0:
        seen += f"; the registry says {entry.direction.replace('_', ' ')}, which looks wrong"
    yield DatasetCheck("direction", mean < 0, seen)


def _rank_correlation(pairs: FloatArray) -> float:
    first, second = (_ranks(pairs[:, k]) for k in (0, 1))
    return float(np.corrcoef(first, second)[0, 1])


def _ranks(values: FloatArray) -> FloatArray:
    """Ranks from 0; equal values share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    first = np.cumsum(counts) - counts
    mean: FloatArray = np.asarray(first + (counts - 1) / 2)[place]
    return mean


def _places(raw: RawTable, rows: Sequence[int]) -> tuple[str, ...]:
    return tuple(f"{raw.place(row)}{raw.name[row]}" for row in rows)


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def _size(path: str) -> int | None:
    try:
        return os.stat(path).st_size
    except OSError:
        return None


def _way(entry: DatasetEntry) -> str:
    if entry.made_from is not None:
        return f"ssliqa-bench data prepare {entry.name} makes it from {entry.made_from.dataset}"
    if entry.download is None:
        return ""
    told = "" if entry.download.url is not None else " prints how to get it"
    return f"ssliqa-bench data download {entry.name}{told}"


def _short(message: str, entry: DatasetEntry) -> str:
    """The first sentence of a message, its dataset left out."""
    text = message.removeprefix(f"{entry.name}: ").splitlines()[0]
    head, _, rest = text.partition(". ")
    return head + "." if rest else text
