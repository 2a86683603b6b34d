"""The question that a pair of datasets asks: where its unlabeled images come from."""

from __future__ import annotations

from dataclasses import dataclass

from ssliqa_bench.specs import Pair


@dataclass(frozen=True)
class Question:
    """What pairs of one kind ask; results on pairs of different kinds answer different questions.

    Attributes:
        name: for machines.
        title: heading above such pairs.
        sentence: the question.
    """

    name: str
    title: str
    sentence: str


SAME = Question(
    "same",
    "Unlabeled images of the same dataset",
    "Semi-supervised learning: some images of a dataset have scores; do its other images, without scores, help to "
    "score it?",
)
OTHER = Question(
    "other",
    "Unlabeled images of another dataset",
    "Domain adaptation: one dataset has scores; do images of another, without scores, help to score that other one?",
)
ALONE = Question(
    "alone",
    "No unlabeled images",
    "No unlabeled images: what do metrics reach, and what does training on labels alone?",
)
# In the order in which boards answer them.
QUESTIONS = (SAME, OTHER, ALONE)


def question_of(pair: Pair) -> Question:
    """The question that a pair asks."""
    if pair.unlabeled is None:
        return ALONE
    return SAME if pair.unlabeled == pair.labeled else OTHER
