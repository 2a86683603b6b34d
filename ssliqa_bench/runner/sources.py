"""The datasets of a plan with their pixels: decoded once, kept in the cache, with references where needed.

Imports torch.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from ssliqa_bench.caches import features_root
from ssliqa_bench.datasets.fingerprint import fingerprint
from ssliqa_bench.datasets.references import references_of
from ssliqa_bench.datasets.table import Table
from ssliqa_bench.errors import InputError
from ssliqa_bench.methods.base import Learner
from ssliqa_bench.pixels.cache import Pixels, open_pixels
from ssliqa_bench.pixels.features import Features, open_features
from ssliqa_bench.runner.plan import Plan
from ssliqa_bench.runner.progress import counted
from ssliqa_bench.runner.sets import Source
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.types import Role

_log = logging.getLogger("ssliqa_bench")


def open_sources(plan: Plan, settings: Settings, learner: Learner) -> tuple[dict[str, Source], dict[str, int]]:
    """Tables, roles and pixels of a plan's datasets, with reference images where the learner needs them, and how many
    images of each dataset were skipped as unreadable or missing."""
    sources, skipped = {}, {}
    for name, table in plan.tables.items():
        pixels = _images(plan, name, settings)
        roles: list[Role] = ["unused" if row in pixels.bad else role for row, role in enumerate(plan.roles[name])]
        used = [row for row in pixels.bad if plan.roles[name][row] != "unused"]
        for row in used:
            _log.warning("%s: %s skipped: %s", name, table.name[row], pixels.bad[row])
        source = Source(table, roles, pixels)
        sources[name] = _with_references(plan, source, pixels, settings, learner)
        skipped[name] = len(used) + len(table.facts.get("missing", ()))
    return sources, skipped


def _images(plan: Plan, name: str, settings: Settings) -> Pixels | Features:
    """The images of a dataset: decoded, or as features of a frozen network."""
    if plan.features is None:
        return _decoded(plan, plan.tables[name], plan.fingerprints[name], settings, f"{name}: decoding")
    doing = f"{name}: features of {plan.features.name}, once for all runs"
    with (
        features_root(settings.cache_root) as cache_root,
        counted(doing, quiet=settings.quiet) as progress,
    ):
        return open_features(
            plan.tables[name],
            plan.data[name].hashes,
            plan.features,
            cache_root,
            skip_bad=settings.skip_bad,
            progress=progress,
        )


def _decoded(plan: Plan, table: Table, mark: str, settings: Settings, doing: str) -> Pixels:
    with counted(f"{doing}, once for all runs", quiet=settings.quiet) as progress:
        return open_pixels(
            table,
            mark,
            plan.entries[table.dataset].short_side,
            settings.cache_root,
            skip_bad=settings.skip_bad,
            progress=progress,
        )


def _with_references(
    plan: Plan, source: Source, pixels: Pixels | Features, settings: Settings, learner: Learner
) -> Source:
    """The source with the pristine image of every row that the learner is to compare with it.

    Raises:
        InputError: a row has no reference, or one of another size.
    """
    needs, name = learner.needs.references, source.table.dataset
    roles = {"labeled", "unlabeled", "validation", *(("test",) if needs is True else ())}
    wanted = [row for row, role in enumerate(source.roles) if role in roles]
    if not needs or not wanted:
        return source
    if isinstance(pixels, Features):
        raise InputError(
            f'Method "{plan.method.name}" compares the pixels of images with those of their references; features '
            f"of a frozen network have none. Choose a recipe or a backbone that takes pixels."
        )
    found = references_of(source.table)
    missing = wanted if found is None else [row for row in wanted if found.row_of[row] < 0]
    if found is None or missing:
        which = "its" if len(missing) == len(wanted) else f"{len(missing)} of its {len(wanted)}"
        raise InputError(
            f'Method "{plan.method.name}" compares images with their pristine references; {name} states none for '
            f"{which} images that are used (first: {source.table.name[missing[0]]}). Datasets with references: "
            f"{', '.join(plan.with_references)}."
        )
    mark = fingerprint(found.table, settings.cache_root)
    pristine = _decoded(plan, found.table, mark, settings, f"{name}: decoding references")
    for row in wanted:
        own, other = pixels.sizes[row], pristine.sizes[found.row_of[row]]
        if own != other:
            raise InputError(
                f"{name}: {source.table.name[row]} has {own[1]}×{own[0]} pixels, its reference "
                f"{found.table.name[found.row_of[row]]} has {other[1]}×{other[0]}; a method that compares the two "
                f"needs equal sizes. Repair the files, or take the image out of the label file."
            )
    return replace(source, references=pristine, reference_rows=found.row_of)
