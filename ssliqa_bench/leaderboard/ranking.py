"""Order of the rows of a section, their ranks, and what is said about a row beside its numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ssliqa_bench.evaluation import EVALUATION_VERSION
from ssliqa_bench.leaderboard.collect import Absent, Row, SettingRows
from ssliqa_bench.leaderboard.compare import mixed_parts, name_seeds, summarise
from ssliqa_bench.leaderboard.labels_only import labels_only_above, not_valid
from ssliqa_bench.leaderboard.page import CodeText, Mark, Phrase, phrase


@dataclass(frozen=True)
class Ranked:
    """A row in its place. `rank` is None for rows outside the ranking; `status` says why.

    Status: ranked, comparator, oracle, control, seen (weights saw the ranking dataset), outdated (images, scores or
    split of the pair or of the ranking dataset differ from those of the newest record), unofficial (scores that no
    source of the dataset passes on), unverified (submitted), untested, undefined.
    """

    row: Row
    rank: int | None
    status: str


@dataclass(frozen=True)
class Remark:
    """A sentence about a row, with the words that mark the row in the table, if there are any.

    `dataset`: the one that it is confined to; "" where it holds for the row as a whole.
    """

    sentence: Phrase
    mark: str = ""
    dataset: str = ""

    @classmethod
    def marked(cls, mark: str, *words: str | CodeText | Phrase) -> Remark:
        """A sentence that begins with its mark."""
        return cls(phrase(Mark(mark), ": ", *words), mark)


def rank_rows(section: SettingRows) -> list[Ranked]:
    """Rows by SRCC on the section's ranking dataset, within parts if it is ranked so; best first, equal values share a
    rank.

    Reference rows and rows with seen, outdated or unofficial data are placed by their value, without a rank.
    """
    dataset = section.ranking_dataset
    decisive = {dataset, *section.pair.datasets}
    values = {
        id(row): summarise([row.ranked_by(seed, dataset) for seed in row.tested(dataset)], row.aggregate).value
        for row in section.rows
    }

    def order(row: Row) -> tuple[bool, float, str, str]:
        value = values[id(row)]
        return value is None, 0.0 if value is None else -value, row.method, row.setting

    ranked: list[Ranked] = []
    above: list[float] = []
    for row in sorted(section.rows, key=order):
        value = values[id(row)]
        if row.reference is not None:
            ranked.append(Ranked(row, None, row.reference))
        elif decisive.intersection(row.outdated):
            ranked.append(Ranked(row, None, "outdated"))
        elif decisive.intersection(row.unofficial):
            ranked.append(Ranked(row, None, "unofficial"))
        elif row.has_seen(dataset):
            ranked.append(Ranked(row, None, "seen"))
        elif row.submitted:
            ranked.append(Ranked(row, None, "unverified"))
        elif value is None:
            ranked.append(Ranked(row, None, "undefined" if row.tested(dataset) else "untested"))
        else:
            ranked.append(Ranked(row, 1 + sum(other > value for other in above), "ranked"))
            above.append(value)
    return ranked


def remarks(row: Row, section: SettingRows) -> list[Remark]:
    """What a reader must know about a row's runs: mixtures, look-aheads, skipped images, older records, an oracle that
    is no reference."""
    runs = [row.runs[seed] for seed in row.seeds]
    found = _oracle_below_labels(row, section)
    for lacking in section.absent:
        if (lacking.method, lacking.setting) == (row.method, row.setting):
            found.append(Remark.marked(lacking.state, absent_words(lacking)))
    if row.submitted:
        found.append(Remark.marked("unverified", "submitted predictions; the code behind them was not run here"))
    if parts := mixed_parts(runs):
        found.append(Remark.marked("mixed", f"the runs of this row differ in {', '.join(parts)}"))
    if row.outdated:
        names = ", ".join(row.outdated)
        found.append(Remark.marked("outdated", f"images, scores or split of {names} differ from those of the newest "
                                               f"record; repeat the run to renew it"))  # fmt: skip
    if row.unofficial:
        found.append(Remark.marked("unofficial labels", f"no source of {', '.join(row.unofficial)} publishes the "
                                                        f"scores that were used; never ranked"))  # fmt: skip
    for field, sentence in (
        ("transductive", "test images of the unlabeled side were used, without scores, in training"),
        ("stratified", "the labeled images were drawn with knowledge of withheld scores"),
    ):
        if any(getattr(run.facts.protocol, field) for run in runs):
            found.append(Remark.marked(field, sentence))
    for reason in dict.fromkeys(run.leak.reason for run in runs if run.leak is not None):
        found.append(Remark.marked("leak allowed", f"some images have two roles, allowed because: {reason}"))
    if withheld := sorted({name for run in runs for name in run.withheld}):
        names = ", ".join(withheld)
        found.append(Remark(phrase(f"names and scores of {names} may not be redistributed: not recomputable here")))
    older = {own.evaluation_version for run in runs for own in run.results.values()} - {EVALUATION_VERSION}
    if older:
        versions = ", ".join(map(str, sorted(older)))
        today = f"the current version is {EVALUATION_VERSION}"
        found.append(Remark(phrase(f"evaluated with version {versions} of the metrics; {today}")))
    found += [Remark(phrase(sentence)) for sentence in _skipped(row)]
    if row.about.trained_on == "unknown":
        found.append(Remark(phrase("the training data of its weights is unknown")))
    if row.older:
        records = f"{row.older} older record{'s' if row.older > 1 else ''}"
        found.append(Remark(phrase(f"{records} of the same runs not shown")))
    return found


def absent_words(lacking: Absent) -> str:
    """Which runs have no result, and the messages that they ended with."""
    return f"no result of {name_seeds(lacking.seeds)}: {'; '.join(lacking.errors)}"


def _oracle_below_labels(row: Row, section: SettingRows) -> list[Remark]:
    found = []
    for dataset, _ in section.datasets:
        if (above := labels_only_above(row, section, dataset)) is not None:
            words = ("it is below ", CodeText(above.method), ", which learned from labels alone; no upper bound there")
            found.append(replace(Remark.marked(not_valid(dataset), *words), dataset=dataset))
    return found


def _skipped(row: Row) -> list[str]:
    by_dataset: dict[str, dict[int, int]] = {}
    for seed in row.seeds:
        for dataset, entry in row.runs[seed].datasets.items():
            if entry.skipped:
                by_dataset.setdefault(dataset, {})[seed] = entry.skipped
    sentences = []
    for dataset, counts in sorted(by_dataset.items()):
        images = "image" if max(counts.values()) == 1 else "images"
        sentences.append(f"{span(counts.values())} unreadable {images} of {dataset} skipped ({name_seeds(counts)})")
    return sentences


def span(numbers: Iterable[int]) -> str:
    """`150`, or `140 to 160` where runs differ, or nothing."""
    known = sorted(set(numbers))
    return " to ".join(str(number) for number in dict.fromkeys(known[:1] + known[-1:]))
