"""The sets of a plan: what its learner may see, and whether that is all that it needs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ssliqa_bench.datasets.splits import transductive_rows
from ssliqa_bench.errors import InputError
from ssliqa_bench.methods.base import Learner
from ssliqa_bench.runner.plan import Plan
from ssliqa_bench.runner.sets import LearnerSets, Source, build_sets


def make_sets(plan: Plan, learner: Learner, sources: Mapping[str, Source]) -> LearnerSets:
    """What a learner may see of a plan's datasets; every image and group in one role only."""
    return build_sets(
        sources,
        learner.needs,
        labels_for_unlabeled=plan.method.unlabeled_role == "labeled",
        transductive=transductive_rows(plan.spec.pair, plan.tables, plan.roles, plan.protocol, plan.spec.seed),
    )


def check_scores(plan: Plan) -> None:
    """Refuse an oracle, which receives the unlabeled side with its scores, where that side has none.

    Raises:
        InputError: says how many are missing.
    """
    if plan.method.unlabeled_role != "labeled":
        return
    for name, roles in plan.roles.items():
        rows = [row for row, role in enumerate(roles) if role == "unlabeled"]
        missing = sum(not np.isfinite(plan.tables[name].score[row]) for row in rows)
        if missing:
            raise InputError(
                f'Method "{plan.method.name}" needs the scores of both sides; {name} has none for {missing} of its '
                f"{len(rows)} unlabeled images."
            )


def check_sets(plan: Plan, learner: Learner, sets: LearnerSets) -> None:
    """Refuse sets that lack what a learner needs.

    Raises:
        InputError: no labeled, unlabeled or test images, or statistics of ratings that the dataset does not have.
    """
    if learner.needs.labels and sets.labeled is None:
        raise InputError(
            f"{plan.spec}: no image keeps its score; dataset {plan.spec.pair.labeled} has none, or the budget is 0."
        )
    if learner.needs.unlabeled and sets.counts["unlabeled"] == 0:
        raise InputError(plan.why_none_unlabeled())
    if not sets.tests:
        raise InputError(f"{plan.spec}: no dataset of the run has a test part.")
    for name, wanted, told in (
        ("distribution", learner.needs.distribution,
         '"ssliqa-bench data check DATASET" has a line "ratings" where a dataset has ratings per level.'),
        ("rating_std", learner.needs.rating_std,
         '"ssliqa-bench show DATASET" says "rating statistics true" where a dataset has it.'),
    ):  # fmt: skip
        if wanted is True and sets.labeled is not None and getattr(sets.labeled, name) is None:
            raise InputError(
                f'Method "{plan.method.name}" needs the column {name}, which {plan.spec.pair.labeled} '
                f"does not have. {told}"
            )
