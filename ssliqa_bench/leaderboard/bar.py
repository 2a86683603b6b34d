"""The bar: what training on labels alone must reach before gains over it are shown.

A training that does worse than a linear model on frozen features says nothing about unlabeled images.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from statistics import fmean
from typing import Literal

from ssliqa_bench.evaluation.constants import MINIMUM_SPLITS
from ssliqa_bench.leaderboard.collect import Row, SettingRows
from ssliqa_bench.leaderboard.compare import paired_difference
from ssliqa_bench.leaderboard.labels_only import candidates

PROBE = "ridge-probe"
# How far trained labels-only rows may stay below the linear model before gains over them mean nothing.
SLACK = 0.01
# Of this recipe, which trains stages of a network, and of those that begin with it, a board shows gains only where the
# bar is on record and reached. Of other recipes it also shows them where there is no bar: demo networks have none.
TRAINED = "frozen/last-stages"

Reason = Literal["below", "unknown"]


def trains_stages(recipe: str) -> bool:
    """Whether a recipe trains stages of a pretrained network."""
    return f"{recipe}/".startswith(f"{TRAINED}/")


def recipes_without_gain(section: SettingRows) -> Mapping[str, Reason]:
    """The recipes of which no gain is shown, and why.

    `below`: all trained labels-only rows of the recipe stay more than `SLACK` below `ridge-probe` on the same splits.
    `unknown`: the recipe trains stages of a network, and none of its labels-only rows can be compared with the probe.
    A row counts with at least `MINIMUM_SPLITS` splits that the probe has too.
    """
    gaps = _gaps(section)
    found: dict[str, Reason] = {recipe: "below" for recipe, own in gaps.items() if max(own) < -SLACK}
    for row in section.rows:
        if trains_stages(row.recipe) and row.recipe not in gaps:
            found[row.recipe] = "unknown"
    return found


def missing_runs(section: SettingRows, recipe: str) -> str:
    """The command that makes the row without which a recipe cannot be held against the bar: `ridge-probe`, or where no
    labels-only row has enough splits, `supervised` with the recipe."""
    dataset = section.ranking_dataset
    rows = [row for row in section.rows if row.recipe == recipe]
    enough = any(len(row.tested(dataset)) >= MINIMUM_SPLITS for row in _trained(section) if row.recipe == recipe)
    method, needed = (PROBE, recipe.partition("/")[0]) if enough else ("supervised", recipe)
    seeds = max(MINIMUM_SPLITS, 1 + max(seed for row in rows for seed in row.seeds))
    words = ["ssliqa-bench", "run", "--method", method, "--recipe", needed, "--pair", str(section.pair)]
    words += ["--protocol", rows[0].newest.cell.protocol]
    budgets = {"--budget": section.budget, "--unlabeled-budget": section.unlabeled_budget}
    words += [word for name, value in budgets.items() if value is not None for word in (name, repr(value))]
    return shlex.join([*words, "--seeds", str(seeds)])


def _gaps(section: SettingRows) -> dict[str, list[float]]:
    """By recipe, the mean differences of trained labels-only rows from the highest `ridge-probe` row."""
    dataset = section.ranking_dataset
    probes = [row for row in candidates(section) if row.method == PROBE]
    gaps: dict[str, list[float]] = {}
    for row in _trained(section):
        found = [paired_difference(row, probe, dataset, equal_steps=False).differences for probe in probes]
        if means := [fmean(own) for own in found if len(own) >= MINIMUM_SPLITS]:
            gaps.setdefault(row.recipe, []).append(min(means))
    return gaps


def _trained(section: SettingRows) -> list[Row]:
    """Labels-only rows that were trained in steps."""
    return [row for row in candidates(section) if any(run.facts.steps for run in row.runs.values())]
