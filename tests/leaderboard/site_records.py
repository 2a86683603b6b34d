"""About twenty records with predictions, logs and intervals, for tests of the site."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from ssliqa_bench.leaderboard.site.build import build_site
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.store.predictions import Predictions
from ssliqa_bench.store.record import Record
from tests.leaderboard.typed import typed

Document = dict[str, Any]
_METHODS = ("ssiqa", "supervised-long", "oracle", "piqe")
_GROUPS = 40


def some_records(made: ModuleType) -> list[Document]:
    """Twenty records: four methods and four seeds on the demo pair, and two methods on a pair of human scores."""
    records = [own for own in made.demo_suite(range(4)) if own["cell"]["method"] in _METHODS]
    records += [
        made.record(name, seed, pair="koniq:livec", kind="authentic", srcc={"koniq": 0.8, "livec": value})
        for name, value in (("ssiqa", 0.7), ("supervised-long", 0.72))
        for seed in range(2)
    ]
    for own in records:
        own["notes"] = [f"{own['cell']['seed']} of 80 test images look alike"]
        if own["cell"]["method"] == "piqe":
            own["method"]["trained_on"] = "unknown"
        for k, dataset in enumerate(own["metrics"]):
            ends = {"lo": 0.2, "hi": 0.9, "method": "bootstrap", "units": _GROUPS, "resamples": 1000}
            own["metrics"][dataset]["intervals"] = {"srcc": ends} if k == 0 else None
            if dataset == "koniq":
                own["datasets"][dataset]["labels_redistributable"] = False
        for stage in own["stages"]:
            stage["log"] = [{"epoch": e, "loss": 1.0 / e, "lr": 0.001 * (6 - e), "seconds": 0.1} for e in range(1, 6)]
    return records


def predictions(record: Record, dataset: str, *, seed: int | None = None, method: str = "") -> Predictions:
    """Predictions that follow from dataset, method and seed alone: 80 images in 40 groups, the same of each seed."""
    seed = record.cell.seed if seed is None else seed
    random = np.random.RandomState(seed)
    score = np.round(random.uniform(0, 100, 2 * _GROUPS), 2)
    noise = np.random.RandomState([seed, len(method or record.cell.method)])  # its stream is frozen
    guess = score / 100 + noise.normal(0, 0.15, len(score))
    names = tuple(f"{dataset.rpartition('-')[2]}-{seed}-{k}.png" for k in range(len(score)))
    groups = tuple(f"{dataset}-{seed}-{k // 2}" for k in range(len(score)))
    return Predictions(names, tuple(score.tolist()), tuple(guess.tolist()), group=groups)


def site_of(documents: list[Document]) -> dict[str, str]:
    """The files of the site of some records."""
    return build_site(map(typed, documents), predictions, load_registry())
