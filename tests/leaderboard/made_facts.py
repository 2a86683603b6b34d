"""Facts of records as runs leave them, made up for tests of the boards."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from ssliqa_bench.evaluation import EVALUATION_VERSION

PAIR = "demo-syn:demo-wild"

Entry = tuple[str, str, "str | None", list[str], bool, int, tuple[float, float], "float | None"]

# method -> (title, family, like, chain, oracle, steps, SRCC on A and B of seed 0, SRCC on A after the first stage)
METHODS: dict[str, Entry] = {
    "piqe": ("PIQE", "classical metric", None, ["piqe"], False, 0, (0.41, 0.36), None),
    "supervised": ("Labels only", "baseline", None, ["supervised"], False, 675, (0.80, 0.83), None),
    "supervised-long": (
        "Labels only, as long as SS-IQA", "supervised", "ssiqa", ["supervised", "ssiqa", "supervised-long"], False, 921,
        (0.82, 0.84), 0.80,
    ),
    "ssiqa": ("SS-IQA", "incremental", None, ["supervised", "ssiqa"], False, 921, (0.83, 0.88), 0.80),
    "ssiqa-1in100": (
        "SS-IQA, kernel ridge on 1 in 100", "incremental", None, ["supervised", "ssiqa", "ssiqa-1in100"], False, 921,
        (0.55, 0.66), 0.80,
    ),
    "oracle": ("Labels of both sides", "supervised", "ssiqa", ["supervised", "oracle"], True, 921, (0.87, 0.94), None),
}  # fmt: skip


# As METHODS; the demo suite is without them.
CONTROLS: dict[str, Entry] = {
    "rankup": ("RankUp", "regression", None, ["rankup"], False, 921, (0.0, 0.0), None),
    "rankup-supervised": ("Labels only", "comparator", "rankup", ["rankup", "rankup-supervised"], False, 921,
                          (0.0, 0.0), None),
    "rankup-shuffled": ("RankUp, permuted", "control", None, ["rankup", "rankup-shuffled"], False, 921, (0.0, 0.0),
                        None),
    "rankup-unweighted": ("RankUp, weight 0", "control", "rankup-supervised", ["rankup", "rankup-unweighted"], False,
                          921, (0.0, 0.0), None),
    "supervised-shuffled": ("Labels only, permuted", "control", None, ["supervised", "supervised-shuffled"], False, 921,
                            (0.0, 0.0), None),
}  # fmt: skip


def metrics(side: str, srcc: float | None, n: int = 150, **changes: Any) -> dict[str, Any]:
    """One dataset's metrics, all derived from the SRCC."""
    value = 0.0 if srcc is None else srcc
    made = {
        "side": side, "n": n, "srcc": srcc, "krcc": None if srcc is None else 0.75 * value, "plcc_raw": value - 0.01,
        "plcc_mapped": value + 0.01, "rmse_mapped": 1.1 - value, "mapping": "ok", "extra": {},
    }  # fmt: skip
    return {**made, **changes}


def record(
    method: str = "ssiqa",
    seed: int = 0,
    *,
    pair: str = PAIR,
    srcc: Mapping[str, float | None] | None = None,
    kind: str = "demo",
    recipe: str = "demo",
    overrides: Mapping[str, Any] | None = None,
    protocol: str = "standard",
    protocol_fields: Mapping[str, Any] | None = None,
    budget: int | float | None = None,
    created: str = "2026-01-31T12:00:00Z",
    trained_on: list[str] | str = (),  # type: ignore[assignment]
    first: float | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """Facts of one run; `srcc` gives the datasets it was tested on, `changes` replaces whole parts."""
    title, family, like, chain, oracle, steps, _, _ = {**METHODS, **CONTROLS}.get(
        method, (method.title(), "own", None, [method], False, 921, (0.0, 0.0), None)
    )
    a, _, b = pair.partition(":")
    srcc = {name: 0.8 for name in (a, b) if name} if srcc is None else srcc
    side = {a: "labeled", b: "unlabeled"}
    tested = {name: metrics(side.get(name, "external"), value) for name, value in srcc.items()}
    roles = {a: {"labeled": 375, "test": 150}, b: {("labeled" if oracle else "unlabeled"): 640, "test": 160}}
    last = {"name": "last", "key": "2" * 64, "steps": 246, "seconds": 18.9, "cached": False, "log": [],
            "metrics": tested}
    early = {"name": "initial", "key": "1" * 64, "steps": 675, "seconds": 31.2, "cached": True, "log": []}
    stages = [{**early, "metrics": {a: metrics("labeled", first)}}, last] if first is not None else [last]
    made: dict[str, Any] = {
        "created": created,
        "cell": {
            "method": method, "recipe": recipe, "overrides": dict(overrides or {}), "pair": pair, "protocol": protocol,
            "seed": seed, "budget": budget, "unlabeled_budget": None,
        },
        "method": {
            "title": title, "family": family, "like": like, "chain": chain, "trained_on": trained_on or [],
            "unlabeled_role": "labeled" if oracle else "unlabeled",
        },
        "datasets": {
            name: {
                "kind": kind, "side": side.get(name, "external"), "fingerprint": f"f-{name}",
                "split_hash": f"s-{name}-{seed}", "labels_redistributable": True,
                "roles": roles.get(name, {"test": 150}), "skipped": 0,
            }
            for name in {**dict.fromkeys(n for n in (a, b) if n), **dict.fromkeys(srcc)}
        },
        "protocol": {
            "name": protocol, "split": {"rule": "random", "by": "group", "train": 0.8}, "validation": 0.0,
            "budget": None,
            "unlabeled_budget": None, "stratified": False, "transductive": False, "repeats": 5, "aggregate": "mean",
            "score_scale": "registry", "mapping": "logistic4", "subset": None, "metrics": ["srcc"], "tests": [],
            **(protocol_fields or {}),
        },
        "metrics": tested, "stages": stages if steps else [],
        "seconds": {"train": 50.1, "predict": 2.0, "total": 53.0}, "steps": steps,
        "model_steps": changes.get("steps", steps),
        "n_parameters": 200000, "peak_memory_bytes": 812 * 2**20, "device": "cpu", "threads": 1, "precision": "float32",
        "evaluation_version": EVALUATION_VERSION, "evaluation_inputs": {}, "model_key": "3" * 64, "leak": None,
        "key_parts": {
            "params": {"lr": 0.001}, "code": {"entry": {"tree": "t", "definition": method}, "modules": ["m"]},
            "rows": {}, "seed": seed, "versions": {"torch": "2.15.0"}, "weights": {},
        },
        "code": {
            "definitions": {"entry": f"ssliqa_bench.methods.{method}:Learner"},
            "files": {"ssliqa_bench/methods/ssiqa/ssiqa.py": "c1", "ssliqa_bench/training/loop.py": "c2"},
        },
        "versions": {"python": "3.11.7"}, "git": {"commit": "0" * 40, "dirty": False}, "notes": [],
        **changes,
    }  # fmt: skip
    name = repr((made["cell"], created, sorted(changes)))
    return {"key": hashlib.sha256(name.encode()).hexdigest(), **copy.deepcopy(made)}


def demo_suite(seeds: Sequence[int] = range(5), **changes: Any) -> list[dict[str, Any]]:
    """The records of a demo suite, with a spread over the seeds that is the same at every call."""
    a, b = PAIR.split(":")
    out = []
    for index, (method, entry) in enumerate(METHODS.items()):
        for seed in seeds:
            wobble = 0.013 * ((seed * 7 + index * 3) % 5 - 2)
            shift = 0.02 * (seed % 3 - 1)
            values = {a: entry[6][0] + shift + wobble, b: entry[6][1] + shift - wobble / 2}
            first = None if entry[7] is None else entry[7] + shift
            out.append(record(method, seed, srcc=values, first=first, **changes))
    return out
