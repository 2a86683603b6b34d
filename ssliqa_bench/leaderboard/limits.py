"""The limit from rating noise: the correlation with the scores that a perfect predictor can expect, as a row."""

from __future__ import annotations

from ssliqa_bench.leaderboard.compare import summarise
from ssliqa_bench.leaderboard.page import Cell, Mark, Number, Phrase, phrase
from ssliqa_bench.leaderboard.view import SectionView

RANK = "limit"
NAME = phrase(Mark("limit from rating noise"))
LEGEND = phrase(
    Mark(RANK), ": √reliability of the scores, from the spread and number of the ratings of the test images. It is the "
    "correlation that a perfect predictor of the mean opinion can expect, a limit of PLCC and nearly one of SRCC."
)  # fmt: skip


def noise_limit(view: SectionView, dataset: str) -> Cell | None:
    """The limit on a dataset, mean over the test parts of the seeds; None where no record holds it."""
    by_seed: dict[int, float | None] = {}
    images: set[tuple[int, int]] = set()
    for row in view.section.rows:
        if dataset in row.outdated or dataset in row.unofficial:
            continue
        for seed in row.tested(dataset):
            metrics = row.runs[seed].results[dataset].metrics
            if metrics.noise is not None and by_seed.get(seed) is None:
                by_seed[seed] = metrics.noise.limit
                images.add((metrics.noise.n, metrics.n))
    found = summarise([by_seed[seed] for seed in sorted(by_seed)], "mean")
    if found.value is None:
        return None
    notes: list[Phrase] = []
    if any(known < tested for known, tested in images):
        known, tested = min(images)
        of = f"{known} of {tested} test images of {dataset}"
        notes.append(phrase(f"from {of}; the ratings of the others are unknown"))
    return Cell(Number(found.value, spread=found.spread, n=found.n), notes=tuple(notes))


def has_limit(view: SectionView) -> bool:
    """Whether any dataset of a section has a limit on record."""
    return any(noise_limit(view, dataset) is not None for dataset in view.sides)
