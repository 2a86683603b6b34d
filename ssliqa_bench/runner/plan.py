"""From a run as asked for to everything that determines it, without importing torch.

A plan holds the resolved method, the tables with the role of every image, and the run key. A finished run is
answered from the store by the key alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ssliqa_bench.datasets.base import load_table
from ssliqa_bench.datasets.fingerprint import ReadDataset
from ssliqa_bench.datasets.leaks import check_files, check_roles
from ssliqa_bench.datasets.splits import assign_roles, extra_rows
from ssliqa_bench.datasets.table import Table
from ssliqa_bench.errors import InputError
from ssliqa_bench.evaluation.names import extra_metrics
from ssliqa_bench.files import digest, finite_or_none
from ssliqa_bench.models.weights import (
    WeightsFile,
    file_param,
    given_weights,
    resolve_method_weights,
    resolve_weights,
)
from ssliqa_bench.registry.lookup import Registry, ResolvedBackbone, ResolvedMethod, locate_module
from ssliqa_bench.registry.schema import DatasetEntry, ProtocolEntry
from ssliqa_bench.runner.code import PACKAGE, code_hashes, imported_packages
from ssliqa_bench.runner.devices import device_kind
from ssliqa_bench.runner.keys import make_key
from ssliqa_bench.runner.settings import Settings, tolerated
from ssliqa_bench.specs import Pair, RunSpec, cell_of
from ssliqa_bench.store.provenance import library_versions
from ssliqa_bench.types import Role

# Code behind every run beside its method's: how pixels are read, kept and shown, and how models are asked.
_SHARED_CODE = ("ssliqa_bench.pixels.decode", "ssliqa_bench.pixels.cache", "ssliqa_bench.runner.sets")
_PREDICT_CODE = ("ssliqa_bench.models.predict", "ssliqa_bench.training.views")




@dataclass(frozen=True)
class Plan:
    """One run, fully resolved; `with_references`: all datasets with reference images, for messages."""

    spec: RunSpec
    method: ResolvedMethod
    protocol: ProtocolEntry
    entries: Mapping[str, DatasetEntry]
    tables: Mapping[str, Table]
    fingerprints: Mapping[str, str]
    roles: Mapping[str, tuple[Role, ...]]
    backbones: Mapping[str, ResolvedBackbone]
    weights: Mapping[str, WeightsFile]
    key_parts: Mapping[str, Any]
    key: str
    search_folders: tuple[Path, ...] = field(default=())
    leaks: tuple[str, ...] = ()
    with_references: tuple[str, ...] = ()

    @property
    def params(self) -> dict[str, Any]:
        """Parameters as a learner gets them: names of backbones replaced by what they stand for."""
        return learner_params(self.method, self.backbones)

    @property
    def extra_metrics(self) -> tuple[str, ...]:
        """What the protocol asks for beyond the metrics that are always computed."""
        return _extra(self.protocol)

    @property
    def device(self) -> str:
        """cpu or cuda."""
        return str(self.key_parts["device"])

    @property
    def precision(self) -> str:
        """float32, or bfloat16 autocast on CUDA."""
        return str(self.key_parts["precision"])

    @property
    def unlabeled(self) -> int:
        """How many images have the role `unlabeled`; test images that a protocol adds to them do not count."""
        return sum(own.count("unlabeled") for own in self.roles.values())

    def why_none_unlabeled(self) -> str:
        """What is said where a method learns from unlabeled images and there are none."""
        name = self.spec.pair.unlabeled
        entry = None if name is None else self.entries[name]
        if (entry is not None and entry.optional_images and entry.options.get("unlabeled") is True
                and np.isfinite(self.tables[entry.name].score).all()):
            return (f"{self.spec}: no image is left unlabeled; the optional part of {entry.name}, "
                    f'{entry.optional_images:,} images without score, is not there. "ssliqa-bench show {entry.name}" '
                    f"says where it goes (download, note).")  # fmt: skip
        return f"{self.spec}: no image is left unlabeled; in A:A the budget decides how many are."

    def code_modules(self, params: Collection[str] | None = None) -> tuple[str, ...]:
        """Modules whose code a model of this run depends on, apart from those of its stages: of the backbones and
        classes that its parameters name, or some of them, what converts their weights, and the shared reading of
        pixels."""
        named = [
            *((name, backbone.class_path) for name, backbone in self.backbones.items()),
            *_classes(self.method).items(),
            *((name, weights.convert) for name, weights in self.weights.items() if weights.convert is not None),
        ]
        return (*(path for name, path in named if params is None or name in params), *_SHARED_CODE)

    @property
    def own_classes(self) -> tuple[str, ...]:
        """Class paths outside this package that parameters name."""
        return tuple(path for path in _classes(self.method).values() if not path.startswith(f"{PACKAGE}."))

    def locate(self, module: str) -> Path | None:
        """The source file of a module outside this package, looked for beside users' registry files first."""
        return locate_module(module, self.search_folders)

    def code(self, *modules: str, params: Collection[str] | None = None) -> dict[str, str]:
        """Hashes of the code behind some modules and `code_modules`."""
        return code_hashes((*modules, *self.code_modules(params)), self.locate)

    def prediction_code(self, *modules: str) -> dict[str, str]:
        """As `code`, with the code that asks a model for predictions."""
        return self.code(*modules, *_PREDICT_CODE)

    def versions(self, *modules: str, params: Collection[str] | None = None) -> dict[str, str]:
        """Versions of the libraries that the code behind some modules and `code_modules` imports."""
        return library_versions(imported_packages((*modules, *self.code_modules(params)), self.locate))


def make_plan(
    spec: RunSpec, registry: Registry, settings: Settings, known: dict[str, ReadDataset] | None = None
) -> Plan:
    """Resolve every name, read the tables, give every image its role, and derive the run key.

    Weights are looked for before any data is read.

    Args:
        known: datasets that were read before, to plan many runs; what is read is added.

    Raises:
        InputError: an unknown name or parameter, a budget that does not fit, missing data or weights.
    """
    known = {} if known is None else known
    spec, entries, tables, roles, method, protocol, backbones, weights = _resolve(spec, registry, settings, known)
    leaks = tolerated(lambda: check_roles(tables, roles), settings)
    if not leaks:
        files = {name: known[name].hashes for name in tables}
        leaks = tolerated(lambda: check_files(tables, roles, files), settings)
    marks = {name: known[name].fingerprint for name in tables}
    device = device_kind(settings.device)
    converts = (found.convert for found in weights.values() if found.convert is not None)
    named = (*(b.class_path for b in backbones.values()), *_classes(method).values(), *converts)
    modules = (method.class_path, *named, *_SHARED_CODE, *_PREDICT_CODE)

    def locate(module: str) -> Path | None:
        return locate_module(module, registry.search_folders)

    parts: dict[str, Any] = {
        # Two cells of a board keep records of their own, also where they share a model.
        "cell": cell_of(spec),
        "class": method.class_path,
        "params": dict(method.params),
        "code": code_hashes(modules, locate),
        "rows": {
            name: {
                "fingerprint": marks[name],
                "roles": _rows_digest(tables[name], own),
                "scores": _scores_digest(tables[name]),
                "working_size": entries[name].working_size and entries[name].working_size.model_dump(),
                **_reference_part(method, known[name]),
            }
            for name, own in _learned_roles(spec, protocol, tables, roles).items()
        },
        "transductive": protocol.transductive,
        "unlabeled_role": method.unlabeled_role,
        "mapping": protocol.mapping,
        **_asked(protocol),
        "seed": spec.seed,
        "weights": {name: weight.sha256 for name, weight in weights.items()},
        "backbones": {name: {"class": b.class_path, "arguments": dict(b.arguments)} for name, b in backbones.items()},
        "device": device,
        "precision": "bfloat16" if device == "cuda" else "float32",
        "threads": settings.threads,
        "versions": library_versions(imported_packages(modules, locate)),
    }
    return Plan(
        spec,
        method,
        protocol,
        entries,
        tables,
        marks,
        roles,
        backbones,
        weights,
        parts,
        make_key(parts),
        registry.search_folders,
        leaks,
        registry.with_references(),
    )




def learner_params(method: ResolvedMethod, backbones: Mapping[str, ResolvedBackbone]) -> dict[str, Any]:
    """Parameters as a learner gets them: names of backbones replaced by what they stand for."""
    resolved = {
        name: {"class": backbone.class_path, "arguments": dict(backbone.arguments)}
        for name, backbone in backbones.items()
    }
    return {**method.params, **resolved}


def _classes(method: ResolvedMethod) -> dict[str, str]:
    """Class paths `module:Class` that parameters name, by parameter: those whose name ends in `_class`."""
    return {name: str(value) for name, value in method.params.items() if name.endswith("_class") and value is not None}




def _resolve(
    spec: RunSpec, registry: Registry, settings: Settings, known: dict[str, ReadDataset]
) -> tuple[Any, ...]:
    pair = registry.pair(str(spec.pair))
    protocol = registry.protocol(spec.protocol)
    _extra(protocol)
    tests = tuple(dict.fromkeys(registry.dataset(name).name for name in (*protocol.tests, *spec.tests)))
    tests = tuple(name for name in tests if name not in pair.datasets)
    method = registry.resolve_method(
        spec.method, spec.recipe, dict(spec.overrides), registry.dataset(pair.labeled).recipe
    )
    backbones = registry.backbones_of(method)
    weights = {
        name: found
        for name, backbone in backbones.items()
        if (found := resolve_weights(backbone, method.params, settings.cache_root, name, download=settings.download))
        is not None
    }
    if method.weights is not None:
        weights["method"] = resolve_method_weights(
            method.name, method.weights, method.params, settings.cache_root, download=settings.download
        )
    elif not backbones and (given := given_weights(method.params, settings.cache_root)) is not None:
        weights["method"] = given
    method = _canonical(method, backbones, weights)
    entries = registry.datasets_of(pair, protocol, tests)
    for name, entry in entries.items():
        if name not in known:
            table = load_table(entry, settings.data_root, settings.cache_root, load=registry.load)
            known[name] = ReadDataset(table, settings.cache_root)
    tables = {name: known[name].table for name in entries}
    if method.references is True:
        _check_references(method, tables, pair, registry)
    spec = replace(
        spec,
        method=method.name,
        pair=pair,
        protocol=protocol.name,
        recipe=method.recipe,
        tests=tests,
        overrides=tuple(sorted(method.overrides.items())),
    )
    roles = assign_roles(pair, tables, protocol, spec.seed, spec.budget, spec.unlabeled_budget)
    return spec, entries, tables, roles, method, protocol, backbones, weights


def _check_references(method: ResolvedMethod, tables: Mapping[str, Table], pair: Pair, registry: Registry) -> None:
    """Both sides of a pair must have reference images where a method compares images with them."""
    for name in pair.datasets:
        if not any(tables[name].reference or ()):
            raise InputError(
                f'Method "{method.name}" compares images with their pristine references, and {name} states none. '
                f"Datasets with references: {', '.join(registry.with_references())}."
            )


def _extra(protocol: ProtocolEntry) -> tuple[str, ...]:
    return extra_metrics(protocol.metrics, protocol=protocol.name, classes=protocol.classes is not None)


def _asked(protocol: ProtocolEntry) -> dict[str, Any]:
    """What results of a protocol hold beyond those of others; nothing for most."""
    asked: dict[str, Any] = {}
    if _extra(protocol):
        asked["extra"] = sorted(_extra(protocol))
    if protocol.classes is not None:
        asked["classes"] = protocol.classes.model_dump()
    return asked


def _canonical(
    method: ResolvedMethod, backbones: Mapping[str, ResolvedBackbone], weights: Mapping[str, WeightsFile]
) -> ResolvedMethod:
    """One value for what is the same: a backbone's canonical name, and a weights file by what it holds."""
    told: dict[str, Any] = {name: backbone.name for name, backbone in backbones.items()}
    for name in backbones:
        option = file_param(name, method.params)
        if method.params.get(option) is not None:
            told[option] = f"sha256:{weights[name].sha256}" if name in weights else None
    if "method" in weights and method.params.get("weights_file") is not None:
        told["weights_file"] = f"sha256:{weights['method'].sha256}"
    overrides = {name: told.get(name, value) for name, value in method.overrides.items()}
    return replace(method, params={**method.params, **told}, overrides=overrides)


def _reference_part(method: ResolvedMethod, data: ReadDataset) -> dict[str, str]:
    """What a key says of the reference images, where the method is handed any."""
    mark = data.reference_fingerprint if method.references else None
    return {} if mark is None else {"references": mark}


def _learned_roles(
    spec: RunSpec, protocol: ProtocolEntry, tables: Mapping[str, Table], roles: Mapping[str, tuple[Role, ...]]
) -> dict[str, tuple[Role, ...]]:
    """The roles that determine a run: those of the pair, and who is drawn of the dataset of extra unlabeled images."""
    found = {name: roles[name] for name in spec.pair.datasets}
    extra = protocol.extra_unlabeled
    if extra is not None:
        table = tables[extra.dataset]
        drawn = set(extra_rows(table, extra, spec.seed))
        found[extra.dataset] = tuple("unlabeled" if row in drawn else "unused" for row in range(len(table)))
    return found


def _rows_digest(table: Table, roles: tuple[Role, ...]) -> dict[str, str]:
    names: dict[str, list[str]] = {}
    for name, role in zip(table.name, roles, strict=True):
        names.setdefault(role, []).append(name)
    return {role: digest(sorted(members)) for role, members in sorted(names.items()) if role != "unused"}


def _scores_digest(table: Table) -> str:
    """What learners may be told of images that the fingerprint does not hold: scores on the [0, 1] scale, ratings."""
    ratings = [column for column in (table.rating_std, table.distribution) if column is not None]
    values = np.column_stack([table.score01, *ratings]).tolist()
    return digest(sorted([name, *map(finite_or_none, own)] for name, own in zip(table.name, values, strict=True)))
