"""Tables of the first results on human scores, in Markdown, as `make readme` writes them into the documentation."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence

from open import Findings, Gain, interval

Key = tuple[str, str, str]  # pair, labels and the rest of a setting
_GAIN_HEADS = ("learner", "mean", "95 % interval", "splits with a loss", "verdict")


def gain_table(own: Findings) -> str:
    """Gains over comparators, as a page shows them."""
    return _table(_GAIN_HEADS, "lrlrl", [_gain_cells(gain) for gain in own.over_comparator])


def trained_table(own: Findings) -> str:
    """Gains over comparators with the mean of each learner, the best learner first."""
    gains = sorted(own.over_comparator, key=lambda gain: -own.means[gain.learner])
    rows = [(*_gain_cells(gain), f"{own.means[gain.learner]:.3f}") for gain in gains]
    return _table((*_GAIN_HEADS, "mean SRCC"), "lrlrlr", rows)


def _gain_cells(gain: Gain) -> tuple[str, ...]:
    mean = f"{gain.own.mean:+.4f}"
    return f"`{gain.learner}`", mean, interval(gain.own), str(gain.losses), gain.own.verdict


def overview_table(shown: Mapping[Key, Findings]) -> str:
    """One line per setting: what is best, and the verdicts on all learners against their own comparators."""
    rows = []
    for (pair, labels, rest), own in shown.items():
        best = max(own.over_best, key=lambda gain: gain.own.mean)
        verdicts = Counter(gain.own.verdict for gain in own.over_comparator)
        said = [f"{verdicts[name]} {name}" for name in ("better", "worse", "equivalent", "not distinguished")
                if verdicts[name]]  # fmt: skip
        if own.few:
            said.append(f"left out, fewer splits: {', '.join(f'`{name}`' for name in own.few)}")
        recipe, _, more = rest.partition("recipe ")[2].partition(",")
        rows.append(
            (f"`{pair}`", labels, f"`{recipe}`{',' if more else ''}{more}", str(own.splits),
             f"`{own.best}` {own.means[own.best]:.3f}",
             f"`{best.learner}` {best.own.mean:+.3f} ({interval(best.own, 3)})", ", ".join(said))
        )  # fmt: skip
    heads = ("pair", "labels", "recipe", "splits", "best on labels alone", "best learner, difference from that",
             "all learners over their comparators")  # fmt: skip
    return _table(heads, "lrlrlll", rows)


def by_labels_table(columns: Mapping[str, Findings]) -> str:
    """Gains over comparators by number of labels, between the best labels-only row and the oracle; verdicts in bold.

    Args:
        columns: number of labels -> what that setting shows.
    """
    rows = [("best on labels alone", *(f"`{own.best}` {own.means[own.best]:.3f}" for own in columns.values()))]
    learners = dict.fromkeys(gain.learner for own in columns.values() for gain in own.over_comparator)
    for name in learners:
        found = [next((gain for gain in own.over_comparator if gain.learner == name), None) for own in columns.values()]
        rows.append((f"`{name}`", *map(_judged, found)))
    oracles = [next((gain for gain in own.references if gain.learner == "oracle"), None) for own in columns.values()]
    rows.append(("`oracle` over the best on labels alone", *map(_difference, oracles)))
    heads = ("gain over own comparator", *(f"{labels} labels" for labels in columns))
    return _table(heads, "l" * len(heads), rows)


def _judged(gain: Gain | None) -> str:
    verdict = "" if gain is None else gain.own.verdict
    return _difference(gain) + (f" **{verdict}**" if verdict in ("better", "worse", "equivalent") else "")


def _difference(gain: Gain | None) -> str:
    return "" if gain is None else f"{gain.own.mean:+.3f} ({interval(gain.own, 3)})"


def reference_table(own: Findings, figure: str) -> str:
    """Learners, references and the best labels-only row by their means, each with what it is compared with.

    Args:
        figure: what the means are of.
    """
    rows = {
        gain.learner: (f"`{gain.learner}`", f"{own.means[gain.learner]:.3f}", f"{gain.own.mean:+.3f}",
                       f"`{gain.over}`", interval(gain.own, 3))
        for gain in (*own.over_comparator, *own.references)
    }  # fmt: skip
    rows[own.best] = (f"`{own.best}`, best on labels alone", f"{own.means[own.best]:.3f}", "", "", "")
    ordered = [rows[name] for name in sorted(rows, key=lambda name: -own.means[name])]
    return _table(("method", figure, "difference", "from", "95 % interval"), "lrrll", ordered)


def difference_table(settings: Mapping[str, Sequence[Gain]], what: str) -> str:
    """Differences from the row that stands beside each, recipe by recipe.

    Args:
        what: heading of the rows.
    """
    rows = [
        (f"`{gain.learner}`", f"`{recipe}`", str(len(gain.by_split)), f"{gain.own.mean:+.4f}", f"`{gain.over}`",
         interval(gain.own), gain.own.verdict)
        for recipe, gains in settings.items() for gain in gains
    ]  # fmt: skip
    heads = (what, "recipe", "splits", "mean difference", "from", "95 % interval", "verdict")
    return _table(heads, "llrrlll", rows)


def permuted_table(rows: Sequence[tuple[str, str, str, str]]) -> str:
    """Controls on permuted scores: number of permutations, mean SRCC, standard error and whether the rule holds."""
    heads = ("control", "splits of the board", "further splits", "all")
    return _table(heads, "lrrr", [(f"`{method}`", *more) for method, *more in rows])


def duplicate_table(rows: Sequence[tuple[str, str, float, int, int, bool]]) -> str:
    """Duplicates as unlabeled images, by learner: comparator, mean difference, gains, splits, whether the bar holds."""
    heads = ("learner", "from", "mean difference", "splits called a gain", "at most one in twenty")
    cells = [(f"`{name}`", f"`{over}`", f"{mean:+.4f}", f"{gains} of {splits}", "holds" if holds else "misses")
             for name, over, mean, gains, splits, holds in rows]  # fmt: skip
    return _table(heads, "llrrl", cells)


def mean_table(columns: Mapping[str, Mapping[str, Mapping[int, float]]]) -> str:
    """Means and standard deviations over the seeds.

    Args:
        columns: heading -> method -> seed -> value.
    """
    methods = dict.fromkeys(name for found in columns.values() for name in found)
    rows = [(f"`{name}`", *(_spread(found.get(name, {})) for found in columns.values())) for name in methods]
    return _table(("method", *columns), "l" + "r" * len(columns), rows)


def _spread(by_seed: Mapping[int, float]) -> str:
    values = list(by_seed.values())
    if len(set(values)) < 2:  # a closed-form fit on the same images
        return f"{values[0]:.3f}" if values else ""
    return f"{statistics.fmean(values):.3f} ± {statistics.stdev(values):.3f}"


def _table(heads: Sequence[str], align: str, rows: Sequence[Sequence[str]]) -> str:
    rules = [{"l": "---", "r": "---:"}[side] for side in align]
    lines = [" ".join("|" if not cell else f"| {cell}" for cell in row) + " |" for row in (heads, rules, *rows)]
    return re.sub(r"(?<=[ (])-(?=\d)", "−", "\n".join(lines))
