"""Who is trained on and who is tested on: splits by group, nested budgets and roles.

Every random choice is a rank: the hash of (seed, purpose, dataset, name). Splits by group take the name of the dataset
after whose groups the dataset's own are named, so that they fall alike in both. So a choice does not hang on the order
of the rows, on a library's random numbers or on anything else that is being chosen, and budgets are nested:
a larger one keeps every image of a smaller one.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from ssliqa_bench.datasets.classes import classes_of
from ssliqa_bench.datasets.copies import copies_of, same_image_as
from ssliqa_bench.datasets.leaks import group_family
from ssliqa_bench.datasets.table import Table
from ssliqa_bench.errors import DataError, InputError
from ssliqa_bench.files import digest
from ssliqa_bench.specs import Pair
from ssliqa_bench.tabular import Rows, read_rows
from ssliqa_bench.tabular.writer import csv_text
from ssliqa_bench.types import ROLES, FloatArray, Role, Side, derive_seed

if TYPE_CHECKING:
    from ssliqa_bench.registry.schema import ClassFields, ExtraUnlabeled, ProtocolEntry, SplitFields

LOG = logging.getLogger("ssliqa_bench")

# What a split says of an image. "labeled" and "unlabeled" only come from split files: training images that may
# only take this role, so that exported roles can be read back.
Part = Literal["train", "test", "validation", "labeled", "unlabeled", "unused"]
Budget = int | float

_WORDS: dict[str, Part] = {
    "train": "train", "training": "train", "test": "test", "testing": "test",
    "val": "validation", "valid": "validation", "validation": "validation",
    "labeled": "labeled", "unlabeled": "unlabeled", "unused": "unused",
}
_STRATA = 10
_CLASSES = 20  # more different scores than this are cut into tenths
_FIRST = 3


def split_table(
    table: Table, split: SplitFields, seed: int, classes: ClassFields | None = None
) -> tuple[Part, ...]:
    """The part of each image; depends on the dataset, the split fields and the seed, on nothing else.

    A stratified split also depends on the classes that a protocol sees in the dataset.

    Rule `random`: of the n groups with a score, ⌊train · n⌋ (at least 1, at most n − 1) go to train, the others to
    test; where both parts are counts, so many go to each and the others are unused. Groups without any score cannot
    be tested and go to train. Rule `sorted`: the same, with the groups in the order of their names in place of a
    random one. Rule `official`: the dataset's own split column; a dataset without any score needs none. Rule
    `whole`: all images are tested and none is trained on. Rule `file`: a CSV with columns `image`, `role` (or `split`)
    and perhaps `dataset`; images that it does not list are unused.

    Where a split that does not go by groups tears copies of one picture, those outside the test part are unused, and
    those in training that have a copy in the validation part.

    Raises:
        InputError: fewer than two groups, no official split, or a file that does not fit the dataset.
    """
    return _without_torn_copies(table, _stated_or_drawn(table, split, seed, classes))


def _stated_or_drawn(
    table: Table, split: SplitFields, seed: int, classes: ClassFields | None
) -> tuple[Part, ...]:
    if split.rule == "whole":
        return tuple("test" for _ in table.name)
    if split.rule == "official":
        if table.split is None and not np.isfinite(table.score).any():
            return tuple("train" for _ in table.name)
        if table.split is None:
            raise InputError(f"{table.dataset}: has no official split (no split column); name another protocol.")
        stated = zip(table.split, table.name, strict=True)
        return tuple(part_of(word, f"{table.dataset}: {name}") for word, name in stated)
    if split.rule == "file":
        return _from_file(table, Path(str(split.file)))
    if split.within is not None:
        own = split_table(table, split.model_copy(update={"rule": "official", "within": None}), seed)
        inside = [row for row, part in enumerate(own) if part == split.within]
        parts = dict(zip(inside, _random(table.take(inside), split, seed, classes), strict=True))
        return tuple(parts.get(row, "unused") for row in range(len(table)))
    return _random(table, split, seed, classes)


def _without_torn_copies(table: Table, parts: tuple[Part, ...]) -> tuple[Part, ...]:
    copied = copies_of(table.facts)
    if not copied:
        return parts
    held: dict[Part, set[str]] = {
        own: {group for group, part in zip(table.group, parts, strict=True) if part == own and group in copied}
        for own in ("test", "validation")
    }

    def torn(group: str, part: Part) -> bool:
        return part != "test" and (group in held["test"] or (part != "validation" and group in held["validation"]))

    return tuple("unused" if torn(group, part) else part for group, part in zip(table.group, parts, strict=True))


def _random(table: Table, split: SplitFields, seed: int, classes: ClassFields | None) -> tuple[Part, ...]:
    units = table.group if split.by == "group" else table.name
    scored = scored_units(table.dataset, units, table.score)
    if not scored:
        return tuple("train" for _ in units)
    own = table.dataset if split.by == "image" else group_family(table)
    ranked = scored if split.rule == "sorted" else _ranked(scored, seed, "split", table.split_as or own)
    if split.stratify:
        test = _stratified_test(ranked, table, float(split.train), classes)
        unused: set[str] = set()
    elif split.test is None:
        count = min(max(_floor(split.train * len(scored)), 1), len(scored) - 1)
        test, unused = set(ranked[count:]), set()
    else:
        count = int(split.train)
        if count + split.test > len(scored):
            raise InputError(
                f"{table.dataset}: has {len(scored)} {split.by}s with a score; the protocol's split needs "
                f"{count} + {split.test}. Name another protocol, or another dataset."
            )
        test, unused = set(ranked[count : count + split.test]), set(ranked[count + split.test :])
    return tuple("test" if unit in test else "unused" if unit in unused else "train" for unit in units)


def scored_units(dataset: str, units: Sequence[str], score: FloatArray) -> list[str]:
    """What has a score, of images or groups, sorted; none where nothing has one.

    Raises:
        InputError: there is only one, which no split can tear.
    """
    scored = sorted({unit for unit, value in zip(units, score, strict=True) if math.isfinite(value)})
    if len(scored) == 1:
        raise InputError(f"{dataset}: has one group of scored images ({scored[0]}); a split needs two.")
    return scored


def assign_roles(
    pair: Pair,
    tables: Mapping[str, Table],
    protocol: ProtocolEntry,
    seed: int,
    budget: Budget | None = None,
    unlabeled_budget: Budget | None = None,
) -> dict[str, tuple[Role, ...]]:
    """The role of every image of every table in a run.

    A's training images are labeled up to the budget; the rest is unused in A:B and unlabeled in A:A. B's are
    unlabeled up to the unlabeled budget, apart from images whose group is in A's test or validation part and copies of
    labeled images, which are unused. A budget counts the images whose score is used: where the protocol asks for
    validation, it is that share of the budget, drawn from groups of their own. Images without a score are never
    labeled, validation or test. Tables of neither side are external: all their scored images are test, apart from the
    groups that the protocol draws extra unlabeled images from.

    Args:
        tables: dataset -> table; both sides of the pair and the datasets that are only tested on.
        budget, unlabeled_budget: a count, or a fraction (float); None means what the protocol says.

    Raises:
        InputError: a budget is larger than the training part, a part that is needed would be empty, or the extra
            unlabeled images are to come from a dataset of the pair.
    """
    budget = protocol.budget if budget is None else budget
    unlabeled_budget = protocol.unlabeled_budget if unlabeled_budget is None else unlabeled_budget
    extra = protocol.extra_unlabeled
    if extra is not None and extra.dataset in pair.datasets:
        raise InputError(f"Protocol {protocol.name} takes extra unlabeled images of {extra.dataset}, which the pair "
                         f"{pair} has already; name another pair or protocol.")  # fmt: skip
    draws: dict[str, _Draw] = {}
    for dataset in sorted(tables, key=lambda name: name != pair.labeled):  # what A holds out, B does not use
        table, side = tables[dataset], pair.side(dataset)
        whole: tuple[Part, ...] = tuple("test" for _ in table.name)
        parts = whole if side == "external" else split_table(table, protocol.split, seed, protocol.classes)
        draw = draws[dataset] = _Draw(table, parts, seed)
        if extra is not None and dataset == extra.dataset:
            if pair.labeled in draws:
                draw.keep_apart(draws[pair.labeled])
            draw.extra(protocol, extra)
            continue
        draw.test(protocol, side)
        if side == "labeled":
            draw.labeled(protocol, budget)
        if dataset == pair.unlabeled:
            if side == "unlabeled" and pair.labeled in draws:
                draw.keep_apart(draws[pair.labeled])
            draw.unlabeled(unlabeled_budget)
    return {dataset: tuple(draws[dataset].roles) for dataset in tables}


def extra_rows(table: Table, extra: ExtraUnlabeled, seed: int) -> list[int]:
    """Rows of the extra unlabeled images: those that a file names, or whole groups at random, the last one in part.

    Raises:
        InputError: more are asked for than there are.
        DataError: the file names an image that the dataset does not have.
    """
    if extra.names is not None:
        rows = read_rows(Path(extra.names), "")
        row_of = {name: row for row, name in enumerate(table.name)}
        named = dict.fromkeys(rows.column("image"))
        unknown = [name for name in named if name not in row_of]
        if unknown:
            raise DataError(f"{rows.source}: {len(unknown)} of {len(named)} images are not in {table.dataset}: "
                            f"{_some(unknown)}.")
        return sorted(row_of[name] for name in named)
    count = int(extra.count or 0)
    if count > len(table):
        raise InputError(f"{table.dataset}: the protocol takes {count} extra unlabeled images; it has {len(table)}.")
    ranked = _ranked(set(table.group), seed, "extra-unlabeled", table.split_as or group_family(table))
    place = {group: k for k, group in enumerate(ranked)}
    return sorted(sorted(range(len(table)), key=lambda row: (place[table.group[row]], table.name[row]))[:count])


def transductive_rows(
    pair: Pair,
    tables: Mapping[str, Table],
    roles: Mapping[str, Sequence[Role]],
    protocol: ProtocolEntry,
    seed: int,
) -> list[tuple[str, int]]:
    """Test images (dataset, row) that also join the unlabeled images of a run: B's, and those drawn as extra.

    Their role stays "test"; only protocols that say `transductive: true` have any.
    """
    if not protocol.transductive:
        return []
    extra = protocol.extra_unlabeled
    found = [] if pair.unlabeled is None else [(pair.unlabeled, row) for row in range(len(tables[pair.unlabeled]))]
    if extra is not None:
        found += [(extra.dataset, row) for row in extra_rows(tables[extra.dataset], extra, seed)]
    return [(dataset, row) for dataset, row in found if roles[dataset][row] == "test"]


def split_hash(table: Table, roles: Sequence[Role]) -> str:
    """64 hexadecimal digits over dataset, image names and roles, whatever the reader's order; unused images are left
    out, so that who lacks some of them holds the same split."""
    used = ((name, role) for name, role in zip(table.name, roles, strict=True) if role != "unused")
    return digest([table.dataset, sorted(used)])


def role_counts(roles: Sequence[Role]) -> dict[str, int]:
    """How many images have each role; roles without any are left out."""
    counts = Counter(roles)
    return {role: counts[role] for role in ROLES if counts[role]}


def roles_csv(tables: Mapping[str, Table], roles: Mapping[str, Sequence[Role]]) -> str:
    """CSV text `dataset,image,role`, sorted by name within a dataset; split rule `file` reads it back."""
    rows = ((dataset, *row) for dataset, table in tables.items()
            for row in sorted(zip(table.name, roles[dataset], strict=True)))  # fmt: skip
    return csv_text(rows, ("dataset", "image", "role"))


class _Draw:
    """Roles of one table while they are being given; every image starts unused."""

    def __init__(self, table: Table, parts: Sequence[Part], seed: int) -> None:
        self.table = table
        self.parts = parts
        self.seed = seed
        self.roles: list[Role] = ["unused"] * len(table)
        self.stream = table.split_as or table.dataset
        self.scored = np.isfinite(table.score)
        # Groups that are held out here (those of validation images) or by A: what remains of them stays unused.
        self.closed: set[str] = set()

    def test(self, protocol: ProtocolEntry, side: Side) -> None:
        rows = [row for row in self._rows("test") if self.scored[row]]
        keep = self._subset(protocol, side)
        if keep is not None:
            kinds = self.table.distortion or ("",) * len(self.table)
            rows = [row for row in rows if kinds[row] in keep]
        if not rows and (keep is not None or side == "external"):
            which = f" with distortion {', '.join(sorted(keep))}" if keep is not None else ""
            raise InputError(f"{self.table.dataset}: no scored test image{which}; protocol {protocol.name} needs "
                             f"some.")
        self._give(rows, "test")

    def labeled(self, protocol: ProtocolEntry, budget: Budget | None) -> None:
        rows = [row for row in self._rows("train", "labeled") if self.scored[row]]
        held = [row for row in self._rows("validation") if self.scored[row]]
        if not rows and not held:  # a method that learns nothing needs none; the runner reports it for the others
            return
        share = len(held) / (len(rows) + len(held)) if held else protocol.validation
        if share and not held:
            rows, held = self._hold_out(rows, share, protocol)
        self.closed = {self.table.group[row] for row in held}
        total = len(rows) + len(held)
        count = self._count(budget, total, "budget", "scored images")
        if held:
            wanted = min(max(_round(share * count), 1), len(held))
            validation = max(wanted, count - len(rows))
            self._give(self._first(held, validation, "budget", protocol.stratified), "validation")
            count -= validation
        if count < 1:
            raise InputError(f"{self.table.dataset}: no labeled image is left ({total} scored images in the "
                             f"training part, {len(held)} of them for validation).")
        self._give(self._first(rows, count, "budget", protocol.stratified), "labeled")

    def unlabeled(self, budget: Budget | None) -> None:
        # A labeled image under another name has a score, so that it is no unlabeled one.
        labeled = frozenset(name for name, role in zip(self.table.name, self.roles, strict=True) if role == "labeled")
        again = same_image_as(self.table.facts, labeled)
        rows = [row for row in self._rows("train", "labeled", "unlabeled")
                if self.roles[row] == "unused" and self.table.group[row] not in self.closed
                and self.table.name[row] not in again]
        # In A:A a budget of all labels leaves none: methods that learn from unlabeled images refuse that themselves.
        if not rows and not isinstance(budget, int):
            return
        count = self._count(budget, len(rows), "unlabeled budget", "images")
        self._give(self._first(rows, count, "unlabeled-budget", False), "unlabeled")

    def keep_apart(self, other: _Draw) -> None:
        """Leave out the groups that A tests or validates on, where equal names mean the same picture.

        Its whole test part, also the images that a subset leaves untested: B's images do not hang on the subset.
        """
        if group_family(self.table) == group_family(other.table):
            self.closed = other.closed | {other.table.group[row] for row in other._rows("test")}

    def extra(self, protocol: ProtocolEntry, extra: ExtraUnlabeled) -> None:
        """Extra unlabeled images of a dataset that is tested as a whole; the rest of their groups is unused.

        Those of groups that A tests or validates on are left out, so there may be fewer than asked for.
        """
        drawn = extra_rows(self.table, extra, self.seed)
        if self.scored.any():
            self.test(protocol, "external")
        if not protocol.transductive:
            groups = {self.table.group[row] for row in drawn}
            self._give((row for row, group in enumerate(self.table.group) if group in groups), "unused")
        free = (row for row in drawn if self.roles[row] != "test" and self.table.group[row] not in self.closed)
        self._give(free, "unlabeled")
        if self.scored.any() and "test" not in self.roles:
            raise InputError(f"{self.table.dataset}: the extra unlabeled images of protocol {protocol.name} come from "
                             f"all its groups; no image is left to test on. Take fewer of them.")  # fmt: skip

    def _subset(self, protocol: ProtocolEntry, side: Side) -> frozenset[str] | None:
        """The distortions that the protocol keeps of this table's test part; None keeps all."""
        subset = protocol.subset
        if subset is None or (subset.datasets is not None and self.table.dataset not in subset.datasets):
            return None
        if subset.sides is not None and side not in subset.sides:
            return None
        kept = self.table.facts.get("subsets", {}).get(subset.name)
        return None if kept is None else frozenset(kept)

    def _hold_out(self, rows: list[int], share: float, protocol: ProtocolEntry) -> tuple[list[int], list[int]]:
        groups = sorted({self.table.group[row] for row in rows})
        if len(groups) < 2:
            raise InputError(f"{self.table.dataset}: {len(groups)} group(s) of scored training images; validation "
                             f"needs two.")
        count = min(max(_round(share * len(groups)), 1), len(groups) - 1)
        ranked = _ranked(groups, self.seed, "validation", self.stream)
        if protocol.split.stratify:
            names = {self.table.group[row]: self.table.name[row] for row in rows}  # such a split is by image
            beyond = _stratified_test([names[group] for group in ranked], self.table, 1.0 - share, protocol.classes)
            chosen = {group for group in ranked if names[group] in beyond}
        else:
            chosen = set(ranked[:count])
        held = [row for row in rows if self.table.group[row] in chosen]
        return [row for row in rows if self.table.group[row] not in chosen], held

    def _count(self, budget: Budget | None, total: int, what: str, of: str) -> int:
        if budget is None:
            return total
        fraction = isinstance(budget, float)
        if budget <= 0 or (fraction and budget > 1):
            raise InputError(f"{what} {budget}: expected a count from 1, or a fraction above 0 and up to 1.0.")
        count = max(1, _round(budget * total)) if fraction else int(budget)
        if count > total:
            raise InputError(f"{self.table.dataset}: {what} {count} is larger than the training part, which has "
                             f"{total} {of}.")
        return count

    def _first(self, rows: list[int], count: int, purpose: str, stratified: bool) -> list[int]:
        row_of = {self.table.name[row]: row for row in rows}
        ranked = [row_of[name] for name in _ranked(row_of, self.seed, purpose, self.stream)]
        return (_interleaved(ranked, self.table) if stratified else ranked)[:count]

    def _rows(self, *parts: Part) -> list[int]:
        return [row for row, part in enumerate(self.parts) if part in parts]

    def _give(self, rows: Iterable[int], role: Role) -> None:
        for row in rows:
            self.roles[row] = role


def _interleaved(ranked: list[int], table: Table) -> list[int]:
    """The rows in an order whose every beginning holds each tenth of the scores in its share."""
    position = {row: rank for rank, row in enumerate(ranked)}
    by_score = sorted(ranked, key=lambda row: (table.score[row], position[row]))
    order: list[tuple[float, int, int]] = []
    for stratum in np.array_split(np.asarray(by_score, dtype=np.int64), _STRATA):
        inside = sorted(stratum.tolist(), key=position.__getitem__)
        order += [((k + 0.5) / len(inside), position[row], row) for k, row in enumerate(inside)]
    return [row for _, _, row in sorted(order)]


def _stratified_test(
    ranked: Sequence[str], table: Table, train: float, classes: ClassFields | None
) -> set[str]:
    """The images beyond the training share of every class, or, without classes, of every tenth of the scores.

    A few different scores are classes too, and so are those of a dataset that has none by the protocol's rule, where
    on average two images or more share each. Of every class and tenth at least one image stays in training.
    """
    own = None if classes is None else classes_of(table, classes)
    column = table.score if own is None or (own < 0).all() else own
    score = dict(zip(table.name, column.tolist(), strict=True))
    values = sorted({score[name] for name in ranked})
    if len(values) <= _CLASSES and 2 * len(values) <= len(ranked):
        strata = [[name for name in ranked if score[name] == value] for value in values]
    else:
        position = {name: k for k, name in enumerate(ranked)}
        by_score = np.array(sorted(ranked, key=lambda name: (score[name], position[name])))
        parts = np.array_split(by_score, min(_STRATA, max(1, len(ranked) // 2)))  # one of two or more can be torn
        strata = [sorted(map(str, stratum), key=position.__getitem__) for stratum in parts]
    return {name for stratum in strata for name in stratum[max(1, _floor(train * len(stratum))) :]}


def _from_file(table: Table, path: Path) -> tuple[Part, ...]:
    rows = read_split_file(path)
    column = "role" if "role" in rows.header else "split"
    listed: dict[str, Part] = {}
    datasets = rows.column("dataset") if "dataset" in rows.header else [table.dataset] * len(rows.cells)
    for i, (dataset, name, word) in enumerate(
        zip(datasets, rows.column("image"), rows.column(column), strict=True)
    ):
        if dataset != table.dataset:
            continue
        if name in listed:
            raise DataError(f'{path}:{rows.lines[i]}: image "{name}" occurs twice.')
        listed[name] = part_of(word, _place(rows, i))
    unknown = sorted(set(listed) - set(table.name))
    if unknown:
        raise DataError(f"{path}: {len(unknown)} of {len(listed)} images are not in {table.dataset}: {_some(unknown)}.")
    if not listed:
        raise DataError(f"{path}: lists no image of {table.dataset}.")
    unlisted = [name for name in table.name if name not in listed]
    if unlisted:
        LOG.warning("%s: lists %d of the %d images of %s; the others are unused: %s.", path, len(listed), len(table),
                    table.dataset, _some(unlisted))  # fmt: skip
    return tuple(listed.get(name, "unused") for name in table.name)


def read_split_file(path: Path) -> Rows:
    """The rows of a split file: a table with columns `image`, `role` or `split`, and perhaps `dataset`.

    Names with line breaks are read where it has no further column: every cell is then compared with what is known.

    Raises:
        DataError: as `read_rows`.
    """
    expected = "a CSV file with the columns image and split or role"
    return read_rows(path, "", line_breaks_among=("dataset", "image", "role", "split"), expected=expected)


def part_of(word: str, where: str) -> Part:
    """The part that a word of a split means.

    Raises:
        DataError: it means none; `where` says where it is written.
    """
    part = _WORDS.get(word.lower())
    if part is None:
        raise DataError(f'{where}: split is "{word}"; expected one of {", ".join(_WORDS)}.')
    return part


def _place(rows: Rows, row: int) -> str:
    return f"{rows.source}:{rows.lines[row]}"


def _ranked(names: Iterable[str], *stream: int | str) -> list[str]:
    """The names in the random order of a stream."""
    return sorted(names, key=lambda name: (derive_seed(*stream, name), name))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_FIRST]) + (", …" if len(names) > _FIRST else "")


# Both allow for 0.29 * 100 being 28.999999999999996.
def _floor(value: float) -> int:
    return math.floor(value + 1e-9)


def _round(value: float) -> int:
    """Round half up."""
    return math.floor(value + 0.5 + 1e-9)
