"""A typed record with two datasets and its rows, made up for tests of the store."""

from __future__ import annotations

from typing import Any

from ssliqa_bench.files import digest
from ssliqa_bench.store.predictions import Predictions, StagePredictions
from ssliqa_bench.store.record import DatasetResult, Record, RunFacts, parse

PARTS = {"seed": 0, "code": {"a.py": "0123"}, "params": {"lr": 1e-05, "none": None, "big": 2**60}}
KEY = digest(PARTS)
SHA = "5" * 64


def facts(key: str = KEY, **more: Any) -> dict[str, Any]:
    """The content of a file of facts."""
    stage = {"key": SHA, "steps": 3, "seconds": 0.1, "cached": False, "log": [{"epoch": 1, "loss": 0.5}], "notes": []}
    return {
        "key": key, "created": "2026-01-31T12:00:00.000000Z",
        "cell": {"method": "own", "recipe": "demo", "overrides": {"lr": 1e-05, "name": "ü|\n"}, "pair": "a:b",
                 "protocol": "standard", "seed": 0, "budget": 0.25, "unlabeled_budget": None},
        "method": {"title": "Own", "family": None, "like": None, "unlabeled_role": "unlabeled", "chain": ["own"],
                   "trained_on": ["live"]},
        "protocol": {"name": "standard", "split": {"by": "group", "train": 0.8}, "validation": 0.0, "budget": None,
                     "unlabeled_budget": None, "stratified": False, "transductive": False, "repeats": 1,
                     "aggregate": "mean", "score_scale": "registry", "mapping": "logistic4", "subset": None,
                     "metrics": ["srcc"], "tests": []},
        "datasets": {}, "tested": ["a", "b"],
        "stages": [{"name": "initial", **stage}, {"name": "last", **stage}],
        "seconds": {"train": 0.2, "predict": 0.1, "total": 1}, "steps": 6, "model_steps": 6, "n_parameters": 10,
        "peak_memory_bytes": None, "device": "cpu", "threads": 1, "precision": "float32", "model_key": SHA,
        "key_parts": PARTS,
        "code": {"definitions": {"entry": "own:Own"}, "files": {"a.py": "0123"}},
        "versions": {"numpy": "2.4.6"}, "git": None, "leak": None, "notes": ["1 | 2"],
        **more,
    }  # fmt: skip


def metrics(**more: Any) -> dict[str, Any]:
    """The content of metrics."""
    return {"n": 2, "srcc": 0.5, "krcc": None, "plcc_raw": 1e-300, "plcc_mapped": 1.0, "rmse_mapped": 0.1,
            "mapping": "ok", "extra": {"mae_mapped": None}, **more}  # fmt: skip


def result(key: str = KEY, side: str = "labeled", **more: Any) -> dict[str, Any]:
    """The content of the file of a result."""
    return {
        "run": key,
        "dataset": {"kind": "demo", "side": side, "fingerprint": "f", "split_hash": "s",
                    "labels_redistributable": True, "roles": {"labeled": 4, "test": 2}, "skipped": 0},
        "prediction_key": SHA, "evaluation_version": 1, "inputs": SHA, "metrics": metrics(),
        "stages": {"initial": metrics(srcc=0.25)}, **more,
    }  # fmt: skip


def record(key: str = KEY, **more: Any) -> Record:
    """A record of two datasets."""
    results = {"a": result(key), "b": result(key, "unlabeled")}
    return Record(parse(RunFacts, facts(key, **more), "facts"), {n: typed(own) for n, own in results.items()})


def typed(content: dict[str, Any]) -> DatasetResult:
    """A result from the content of its file."""
    return parse(DatasetResult, content, "result")


def rows(shift: float = 0.0, **more: Any) -> Predictions:
    """Two rows."""
    columns = {"image": ("1.png", "ü/2.png"), "score": (1.5, 70.0), "prediction": (0.1 + shift, -1e-300), **more}
    return Predictions(**columns, stages={"initial": StagePredictions((1 / 3, 2e300))})


def both(shift: float = 0.0) -> dict[str, Predictions]:
    """Rows of both datasets."""
    return {"a": rows(shift), "b": rows(shift, group=("g", "h"))}
