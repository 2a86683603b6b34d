"""Who is trained on and who is tested on: splits by group, nested budgets, roles and their checks.

Every random choice is a rank: the hash of (seed, purpose, dataset, name). So a choice does not hang on the order
of the rows, on a library's random numbers or on anything else that is being chosen, and budgets are nested:
a larger one keeps every image of a smaller one.
"""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from ssliqa_bench.datasets.readers.rows import Rows, read_rows
from ssliqa_bench.errors import DataError, InputError, LeakError
from ssliqa_bench.files import digest
from ssliqa_bench.types import ROLES, Pair, Role, Side, Table, derive_seed

if TYPE_CHECKING:
    from ssliqa_bench.registry.schema import ProtocolEntry, SplitFields

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


def split_table(table: Table, split: SplitFields, seed: int) -> tuple[Part, ...]:
    """The part of each image; depends on the dataset, the split fields and the seed, on nothing else.

    Rule `random`: of the n groups with a score, ⌊train · n⌋ (at least 1, at most n − 1) go to train, the others to
    test; where both parts are counts, so many go to each and the others are unused. Groups without any score cannot
    be tested and go to train. Rule `sorted`: the same, with the groups in the order of their names in place of a
    random one. Rule `official`: the dataset's own split column; a dataset without scores needs none and is for
    training. Rule `file`: a CSV with columns `image`, `role` (or `split`) and perhaps `dataset`; images that it does
    not list are unused.

    Raises:
        InputError: fewer than two groups, no official split, or a file that does not fit the dataset.
    """
    if split.rule == "official":
        if table.split is None and not np.isfinite(table.score).any():
            return ("train",) * len(table)
        if table.split is None:
            raise InputError(f"{table.dataset}: has no official split (no split column); name another protocol.")
        stated = zip(table.split, table.name, strict=True)
        return tuple(part_of(word, f"{table.dataset}: {name}") for word, name in stated)
    if split.rule == "file":
        return _from_file(table, Path(str(split.file)))
    if split.within is not None:
        own = split_table(table, split.model_copy(update={"rule": "official", "within": None}), seed)
        inside = [row for row, part in enumerate(own) if part == split.within]
        parts = dict(zip(inside, _random(table.take(inside), split, seed), strict=True))
        return tuple(parts.get(row, "unused") for row in range(len(table)))
    return _random(table, split, seed)


def _random(table: Table, split: SplitFields, seed: int) -> tuple[Part, ...]:
    units = table.group if split.by == "group" else table.name
    scored = sorted({unit for unit, score in zip(units, table.score, strict=True) if math.isfinite(score)})
    if not scored:
        return tuple("train" for _ in units)
    if len(scored) < 2:
        raise InputError(f"{table.dataset}: has one group of scored images ({scored[0]}); a split needs two.")
    ranked = scored if split.rule == "sorted" else _ranked(scored, seed, "split", table.split_as or table.dataset)
    if split.stratify:
        test = _stratified_test(ranked, table, float(split.train))
        unused: set[str] = set()
    elif split.test is None:
        count = min(max(_floor(split.train * len(scored)), 1), len(scored) - 1)
        test, unused = set(ranked[count:]), set()
    else:
        count = int(split.train)
        if count + split.test > len(scored):
            raise InputError(
                f"{table.dataset}: has {len(scored)} {split.by}s with a score; the protocol's split asks for "
                f"{count} + {split.test}. Name another protocol, or another dataset."
            )
        test, unused = set(ranked[count : count + split.test]), set(ranked[count + split.test :])
    return tuple("test" if unit in test else "unused" if unit in unused else "train" for unit in units)


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
    unlabeled up to the unlabeled budget. A budget counts the images whose score is used: where the protocol asks
    for validation, it is that share of the budget, drawn from groups of their own. Images without a score are
    never labeled, validation or test. Tables of neither side are external: all their scored images are test.

    Args:
        tables: dataset -> table; both sides of the pair and the datasets that are only tested on.
        budget, unlabeled_budget: a count, or a fraction (float); None means what the protocol says.

    Raises:
        InputError: a budget is larger than the training part, or a part that is needed would be empty.
    """
    budget = protocol.budget if budget is None else budget
    unlabeled_budget = protocol.unlabeled_budget if unlabeled_budget is None else unlabeled_budget
    roles: dict[str, tuple[Role, ...]] = {}
    for dataset, table in tables.items():
        side = pair.side(dataset)
        whole: tuple[Part, ...] = tuple("test" for _ in table.name)
        draw = _Draw(table, whole if side == "external" else split_table(table, protocol.split, seed), seed)
        draw.test(protocol, side)
        if side == "labeled":
            draw.labeled(protocol, budget)
        if dataset == pair.unlabeled:
            draw.unlabeled(unlabeled_budget)
        roles[dataset] = tuple(draw.roles)
    return roles


def transductive_rows(pair: Pair, roles: Mapping[str, Sequence[Role]], protocol: ProtocolEntry) -> tuple[int, ...]:
    """Rows of the unlabeled side that are test images and also join the unlabeled images of a run.

    Their role stays "test"; only protocols that say `transductive: true` have any.
    """
    if not protocol.transductive or pair.unlabeled is None:
        return ()
    return tuple(row for row, role in enumerate(roles[pair.unlabeled]) if role == "test")


def check_roles(tables: Mapping[str, Table], roles: Mapping[str, Sequence[Role]]) -> None:
    """Make sure that test and validation images share no group, and no file, with an image of another role.

    Unused images reach nobody and may share one.

    Raises:
        LeakError: names the dataset, the roles and the first groups.
    """
    for dataset, table in tables.items():
        for what, column in (("group", table.group), ("file", table.path)):
            members: dict[str, set[str]] = {role: set() for role in ROLES}
            for unit, role in zip(column, roles[dataset], strict=True):
                members[role].add(unit)
            for held_out, others in (("test", ("labeled", "unlabeled", "validation")),
                                     ("validation", ("labeled", "unlabeled"))):
                for other in others:
                    both = sorted(members[held_out] & members[other])
                    if both:
                        found = f"1 {what} stands" if len(both) == 1 else f"{len(both)} {what}s stand"
                        raise LeakError(f"{dataset}: {found} in both {other} and {held_out}: {_some(both)}. "
                                        f"Nothing was run.")


def check_files(
    tables: Mapping[str, Table], roles: Mapping[str, Sequence[Role]], hashes: Mapping[str, Mapping[str, str]]
) -> None:
    """Make sure that no file stands in two roles under two names, within a dataset or across datasets.

    Images are also compared by their pixels when they are decoded; two datasets may decode one file to other sizes.

    Args:
        hashes: dataset -> path -> hash of the file's bytes.

    Raises:
        LeakError: names the first such files.
    """
    seen: dict[str, tuple[Role, str]] = {}
    leaks = []
    for dataset, table in tables.items():
        for name, path, role in zip(table.name, table.path, roles[dataset], strict=True):
            if role == "unused":
                continue
            here = (role, f"{dataset}/{name}")
            there = seen.setdefault(hashes[dataset][path], here)
            if there[0] != role:
                leaks.append((there, here))
    if leaks:
        (role, image), (other_role, other) = leaks[0]
        raise LeakError(
            f"{len(leaks)} files stand in two roles (first: {image} is {role}; {other}, the same file, is "
            f"{other_role}). Nothing was run."
        )


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
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["dataset", "image", "role"])
    for dataset, table in tables.items():
        writer.writerows([dataset, *row] for row in sorted(zip(table.name, roles[dataset], strict=True)))
    return text.getvalue()


class _Draw:
    """Roles of one table while they are being given; every image starts unused."""

    def __init__(self, table: Table, parts: Sequence[Part], seed: int) -> None:
        self.table = table
        self.parts = parts
        self.seed = seed
        self.roles: list[Role] = ["unused"] * len(table)
        self.stream = table.split_as or table.dataset
        self.scored = np.isfinite(table.score)
        # Groups from which validation images were drawn: what remains of them stays unused.
        self.closed: set[str] = set()

    def test(self, protocol: ProtocolEntry, side: Side) -> None:
        rows = [row for row in self._rows("test") if self.scored[row]]
        keep = self._subset(protocol, side)
        if keep is not None:
            kinds = self.table.distortion or ("",) * len(self.table)
            rows = [row for row in rows if kinds[row] in keep]
        if not rows and (keep is not None or side == "external"):
            which = f" with distortion {', '.join(sorted(keep))}" if keep is not None else ""
            raise InputError(f"{self.table.dataset}: no scored test image{which}; protocol {protocol.name} asks for "
                             f"some.")
        self._give(rows, "test")

    def labeled(self, protocol: ProtocolEntry, budget: Budget | None) -> None:
        rows = [row for row in self._rows("train", "labeled") if self.scored[row]]
        held = [row for row in self._rows("validation") if self.scored[row]]
        if not rows and not held:  # a method that learns nothing needs none, the others are told by the runner
            return
        share = len(held) / (len(rows) + len(held)) if held else protocol.validation
        if share and not held:
            rows, held = self._hold_out(rows, share, protocol.split.stratify)
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
        rows = [row for row in self._rows("train", "labeled", "unlabeled")
                if self.roles[row] == "unused" and self.table.group[row] not in self.closed]
        # In A:A a budget of all labels leaves none: methods that learn from unlabeled images refuse that themselves.
        if not rows and not isinstance(budget, int):
            return
        count = self._count(budget, len(rows), "unlabeled budget", "images")
        self._give(self._first(rows, count, "unlabeled-budget", False), "unlabeled")

    def _subset(self, protocol: ProtocolEntry, side: Side) -> frozenset[str] | None:
        """The distortions that the protocol keeps of this table's test part; None keeps all."""
        subset = protocol.subset
        if subset is None or (subset.datasets is not None and self.table.dataset not in subset.datasets):
            return None
        if subset.sides is not None and side not in subset.sides:
            return None
        kept = self.table.facts.get("subsets", {}).get(subset.name)
        return None if kept is None else frozenset(kept)

    def _hold_out(self, rows: list[int], share: float, stratify: bool) -> tuple[list[int], list[int]]:
        groups = sorted({self.table.group[row] for row in rows})
        if len(groups) < 2:
            raise InputError(f"{self.table.dataset}: {len(groups)} group(s) of scored training images; validation "
                             f"needs two.")
        count = min(max(_round(share * len(groups)), 1), len(groups) - 1)
        ranked = _ranked(groups, self.seed, "validation", self.stream)
        if stratify:
            names = {self.table.group[row]: self.table.name[row] for row in rows}  # such a split is by image
            beyond = _stratified_test([names[group] for group in ranked], self.table, 1.0 - share)
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


def _stratified_test(ranked: Sequence[str], table: Table, train: float) -> set[str]:
    """The images beyond the training share of every class of the scores, or, of many scores, every tenth."""
    score = dict(zip(table.name, table.score.tolist(), strict=True))
    values = sorted({score[name] for name in ranked})
    if len(values) <= _CLASSES:
        strata = [[name for name in ranked if score[name] == value] for value in values]
    else:
        position = {name: k for k, name in enumerate(ranked)}
        by_score = np.array_split(np.array(sorted(ranked, key=lambda name: (score[name], position[name]))), _STRATA)
        strata = [sorted(map(str, stratum), key=position.__getitem__) for stratum in by_score]
    return {name for stratum in strata for name in stratum[_floor(train * len(stratum)) :]}


def _from_file(table: Table, path: Path) -> tuple[Part, ...]:
    rows = read_rows(path)
    column = "role" if "role" in rows.header else "split"
    listed: dict[str, Part] = {}
    datasets = rows.column("dataset") if "dataset" in rows.header else [table.dataset] * len(rows.cells)
    for i, (dataset, name, word) in enumerate(
        zip(datasets, rows.column("image"), rows.column(column), strict=True)
    ):
        if dataset != table.dataset:
            continue
        if name in listed:
            raise DataError(f'{path}:{rows.lines[i]}: image "{name}" stands there twice.')
        listed[name] = part_of(word, _place(rows, i))
    unknown = sorted(set(listed) - set(table.name))
    if unknown:
        raise DataError(f"{path}: {len(unknown)} of {len(listed)} images are not in {table.dataset}: {_some(unknown)}.")
    if not listed:
        raise DataError(f"{path}: lists no image of {table.dataset}.")
    return tuple(listed.get(name, "unused") for name in table.name)


def part_of(word: str, where: str) -> Part:
    """The part that a word of a split means.

    Raises:
        DataError: it means none; `where` says where it stands.
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
