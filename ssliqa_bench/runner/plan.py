"""From a run as asked for to everything that determines it, without importing torch.

A plan holds the resolved method, the tables with the role of every image, and the run key. A finished run is
answered from the store by the key alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ssliqa_bench.datasets.fingerprint import ReadDataset
from ssliqa_bench.datasets.splits import extra_rows
from ssliqa_bench.datasets.table import Table
from ssliqa_bench.errors import InputError
from ssliqa_bench.evaluation.constants import MINIMUM_GROUPS
from ssliqa_bench.registry.lookup import Registry, locate_module
from ssliqa_bench.registry.schema import ProtocolEntry
from ssliqa_bench.runner import keys
from ssliqa_bench.runner.code import Code, keep_hashes
from ssliqa_bench.runner.devices import device_kind
from ssliqa_bench.runner.keys import Behind, Machine
from ssliqa_bench.runner.plan_cache import Known
from ssliqa_bench.runner.resolve import Resolved, extra_of, learner_params, resolve
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.specs import RunSpec, cell_of
from ssliqa_bench.store.provenance import library_versions
from ssliqa_bench.types import Role


@dataclass(frozen=True)
class Plan(Resolved):
    """One run, fully resolved.

    Attributes:
        data: its datasets as read, the pair's first.
        roles: the role of every row, by dataset.
        machine: device, precision, threads and processes.
        search_folders: where modules outside this package are looked for first.
        leaks: what a reason was given for.
        with_references: all datasets with reference images, for messages.
        known: what it shares with other plans of the same sweep.
    """

    data: Mapping[str, ReadDataset]
    roles: Mapping[str, tuple[Role, ...]]
    machine: Machine
    search_folders: tuple[Path, ...] = field(default=())
    leaks: tuple[str, ...] = ()
    with_references: tuple[str, ...] = ()
    known: Known = field(default_factory=Known, repr=False, compare=False)

    @property
    def tables(self) -> dict[str, Table]:
        """The tables of its datasets."""
        return {name: own.table for name, own in self.data.items()}

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """What identifies its datasets: file bytes, names and scores."""
        return {name: own.fingerprint for name, own in self.data.items()}

    @cached_property
    def key(self) -> str:
        """The name of its record."""
        return keys.make_key(self.key_parts)

    @cached_property
    def key_parts(self) -> dict[str, Any]:
        """What its key is the hash of."""
        return keys.run_parts(
            cell=keys.cell_part(cell_of(self.spec), self.method.named("class")),
            params=self.key_params(),
            weights={name: weight.sha256 for name, weight in self.weights.items()},
            code=self.method_code.part(self.code),
            versions=self.versions(self.method_code),
            rows={
                name: self.known.part(
                    name,
                    own,
                    working_size=self.entries[name].short_side,
                    references=self.data[name].reference_fingerprint if self.method.references else None,
                )
                for name, own in _learned_roles(self.spec, self.protocol, self.tables, self.roles).items()
            },
            protocol=_asked(self.protocol),
            unlabeled_role=self.method.unlabeled_role,
            seed=self.spec.seed,
            machine=self.machine,
        )

    @property
    def method_code(self) -> Behind:
        """All code behind the run."""
        return self.behind(self.method.class_path, *keys.RUN_CODE)

    @property
    def params(self) -> dict[str, Any]:
        """Parameters as a learner gets them: names of backbones replaced by what they stand for."""
        return learner_params(self.method, self.backbones)

    @property
    def extra_metrics(self) -> tuple[str, ...]:
        """What the protocol asks for beyond the metrics that are always computed."""
        return extra_of(self.protocol)

    @property
    def device(self) -> str:
        """cpu or cuda."""
        return self.machine.device

    @property
    def precision(self) -> str:
        """float32, or bfloat16 autocast on CUDA."""
        return self.machine.precision

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
                    f"names its folder (download, note).")  # fmt: skip
        return f"{self.spec}: no image is left unlabeled; in A:A the budget decides how many are."

    @property
    def named(self) -> dict[str, str]:
        """Classes that parameters name, `module:Class` by parameter, backbones among them."""
        backbones = {name: backbone.class_path for name, backbone in self.backbones.items()}
        return {**backbones, **self.method.named("class")}

    @property
    def definitions(self) -> dict[str, str]:
        """What parameters name, `module:Name` by parameter: classes, what converts published weights of a network
        (`.weights`), and the frozen network whose features it reads (`.features`)."""
        converters = {f"{name}.weights": own.convert for name, own in self.weights.items() if own.convert is not None}
        frozen = {name: own.features_of for name, own in self.backbones.items()}
        heads = {f"{name}.features": own.class_path for name, own in frozen.items() if own is not None}
        return {**self.named, **converters, **heads}

    @cached_property
    def code(self) -> Code:
        """Where the code behind the run is; modules outside this package are looked for beside users' registry files
        first."""
        return Code(lambda module: locate_module(module, self.search_folders))

    def unreadable(self, dataset: str, cache_root: Path) -> frozenset[int] | None:
        """Rows of a dataset whose files cannot be read; None: unknown until it is decoded."""
        from ssliqa_bench.pixels import cache, features  # what is answered from the store needs no decoder

        table, files = self.data[dataset].table, self.data[dataset].hashes
        if self.features is not None:
            return features.unreadable(table, files, self.features, cache_root)
        return cache.unreadable(table, self.fingerprints[dataset], self.entries[dataset].short_side, cache_root)

    def behind(self, entry: str, *modules: str, params: Collection[str] | None = None) -> Behind:
        """Code behind a definition `module:Name`, some modules, and what parameters name: all of them, or some."""
        named = self.definitions.items()
        taken = {name: path for name, path in named if params is None or name.partition(".")[0] in params}
        return keys.behind(entry, taken, *modules, features=self.features is not None)

    def versions(self, behind: Behind) -> dict[str, str]:
        """Versions of the libraries that some code imports, but for decoders of single formats: whether these are
        installed is nothing to sets without such files, and those with some have the version in their digest."""
        packages, single = self.code.packages(behind.paths), keys.FORMAT_DECODERS.keys()
        return library_versions(packages - single) | dict.fromkeys(packages & single, "unknown")

    def key_params(self, names: Collection[str] | None = None) -> dict[str, Any]:
        """Parameters as keys hold them, all or some."""
        params = self.params
        taken = {name: params[name] for name in (params if names is None else names)}
        heads = [name for name, own in self.backbones.items() if own.features_of is not None]
        frozen = {} if self.features is None else dict.fromkeys(heads, self.features.part)
        return keys.key_params(taken, self.named, frozen)


def make_plan(
    spec: RunSpec, registry: Registry, settings: Settings, known: Known | None = None
) -> Plan:
    """Resolve every name, read the tables, give every image its role, and derive the run key.

    Weights are looked for before any data is read.

    Args:
        known: what earlier plans worked out, to plan many runs; what this one does is added.

    Raises:
        InputError: an unknown name or parameter, a budget that does not fit, missing data or weights.
    """
    known = Known() if known is None else known
    asked = resolve(spec, registry, settings)
    data = {name: known.read(name, entry, registry, settings) for name, entry in asked.entries.items()}
    tables = {name: own.table for name, own in data.items()}
    _check_references(asked, tables, registry)
    roles, leaks = known.drawn(asked, settings)
    _check_test_parts(roles)
    _check_official_part(asked, tables, roles, registry)
    device = settings.device if settings.elsewhere else device_kind(settings.device)
    plan = Plan(
        **{own.name: getattr(asked, own.name) for own in fields(Resolved)},
        data=data,
        roles=roles,
        machine=Machine(device, "bfloat16" if device == "cuda" else "float32", settings.threads, settings.ranks),
        search_folders=registry.search_folders,
        leaks=leaks,
        with_references=registry.with_references(),
        known=known,
    )
    _ = plan.key  # a class whose code is not found is said now
    keep_hashes()
    return plan


def _check_test_parts(roles: Mapping[str, Sequence[Role]]) -> None:
    """Refuse before training what cannot be evaluated after it: a test part of one image has no correlation."""
    for name, own in roles.items():
        if own.count("test") == 1:
            raise InputError(f"{name}: the test part has 1 image of {len(own)}; at least 2 are needed, and intervals "
                             f"need {MINIMUM_GROUPS}. A split of 80/20 takes 6 images with a score for that: add "
                             f"images, or take a protocol with a larger test part.")


def _check_official_part(
    asked: Resolved, tables: Mapping[str, Table], roles: Mapping[str, Sequence[Role]], registry: Registry
) -> None:
    """Refuse before any decoding a run whose only test part is an optional one that is not there."""
    if any("test" in own for own in roles.values()):
        return
    for name in asked.spec.pair.datasets:
        entry, parts = asked.entries[name], set(tables[name].split or ())
        if entry.optional_images and parts and "test" not in parts and asked.protocol.split.rule == "official":
            others = [other.name for other in registry.protocols.values() if other.split.within == "train"]
            raise InputError(
                f"{asked.spec}: {name} has no test part here: its optional {entry.optional_images:,} images are not "
                f'there. "ssliqa-bench show {name}" names their folder (download, note). Without them: --test D,… '
                f"tests on other datasets, and a protocol that splits the training part tests on that "
                f"({', '.join(others)})."
            )


def _check_references(asked: Resolved, tables: Mapping[str, Table], registry: Registry) -> None:
    """Both sides of a pair must have reference images where a method compares images with them."""
    for name in asked.spec.pair.datasets if asked.method.references is True else ():
        if not any(tables[name].reference or ()):
            raise InputError(
                f'Method "{asked.method.name}" compares images with their pristine references, and {name} states none. '
                f"Datasets with references: {', '.join(registry.with_references())}."
            )


def _asked(protocol: ProtocolEntry) -> dict[str, Any]:
    """What of a protocol decides a result, beside who has which role."""
    asked: dict[str, Any] = {"transductive": protocol.transductive, "mapping": protocol.mapping}
    if extra_of(protocol):
        asked["extra"] = sorted(extra_of(protocol))
    if protocol.classes is not None:
        asked["classes"] = protocol.classes.model_dump()
    return asked


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
