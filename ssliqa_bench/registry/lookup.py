"""Names to entries, methods to resolved parameters, class paths to files and objects."""

from __future__ import annotations

import copy
import importlib
import importlib.machinery
import importlib.util
import logging
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from ssliqa_bench.errors import InputError, near_names, unknown_name
from ssliqa_bench.registry.parameters import Parameter, canonical, of_type
from ssliqa_bench.registry.problems import shown
from ssliqa_bench.registry.schema import (
    FROZEN_RECIPE,
    METRICS,
    PLAIN_RECIPE,
    About,
    BackboneEntry,
    DatasetEntry,
    MethodAbout,
    MethodEntry,
    ProtocolEntry,
    WeightsFacts,
    is_foreign_name,
)

if TYPE_CHECKING:
    from ssliqa_bench.specs import Pair

LOG = logging.getLogger("ssliqa_bench")

_E = TypeVar("_E", DatasetEntry, MethodEntry, ProtocolEntry, BackboneEntry)


@dataclass(frozen=True)
class ParameterStep:
    """Parameters that one entry of a chain sets: by its `params`, or by its recipe of that name."""

    entry: str
    recipe: str | None
    values: Mapping[str, Any]

    def __str__(self) -> str:
        return self.entry if self.recipe is None else f"{self.entry}, recipe {self.recipe}"


@dataclass(frozen=True)
class WeightsParams:
    """The parameters by which the weights of a network are chosen: that of a local file, and the one that asks for
    published or given weights at all."""

    file: str
    switch: str


@dataclass(frozen=True)
class ResolvedMethod:
    """A method ready to be built.

    Attributes:
        params: every parameter, overrides included.
        recipe: the recipe taken; "default" where the method has none of that name and none was asked for.
        overrides: what --set changed, as asked, numbers in the type of what they replace.
        chain: names from the root to the method itself.
        like: the method whose steps this comparator keeps.
        unlabeled_role: the role that the runner gives to B's unlabeled rows.
        weights: the published file of parameters that it comes with.
        references: whether it receives reference images, or "where known".
        origins: for each parameter, what set it.
        declared: the declarations of its parameters.
        weights_params: for each parameter that names a backbone, those that choose its weights; a backbone without
            any starts from random values.
    """

    name: str
    about: MethodAbout
    class_path: str
    params: dict[str, Any]
    recipe: str
    overrides: dict[str, Any]
    chain: tuple[str, ...]
    like: str | None = None
    unlabeled_role: Literal["unlabeled", "labeled"] = "unlabeled"
    weights: WeightsFacts | None = None
    references: bool | Literal["where known"] = False
    origins: dict[str, str] = field(default_factory=dict)
    declared: dict[str, Parameter] = field(default_factory=dict)
    weights_params: dict[str, WeightsParams] = field(default_factory=dict)

    def named(self, kind: Literal["backbone", "class"]) -> dict[str, str]:
        """What its parameters of a type name, by parameter; those that are null are left out."""
        values = {name: self.params[name] for name in of_type(self.declared, kind)}
        return {name: str(value) for name, value in values.items() if value is not None}

    @property
    def own_file(self) -> str | None:
        """The parameter that names a local file of the method's own parameters, which are no network's."""
        files = of_type(self.declared, "weights")
        return next((name for name in files if self.declared[name].of not in self.params), None)


@dataclass(frozen=True)
class ResolvedBackbone:
    """A backbone ready to be built: `class_path(**arguments)`; two names of one network resolve equally."""

    name: str
    class_path: str
    arguments: dict[str, Any]
    about: About
    input_size: int | None = None
    weights: WeightsFacts | None = None
    weights_of: str | None = None
    features_of: ResolvedBackbone | None = None


@dataclass(frozen=True)
class Registry:
    """All entries by kind and canonical name.

    Attributes:
        sources: where each is defined, as "file:line", users' files last.
        variants: methods that are written below another, of which they differ in parameters alone.
    """

    datasets: dict[str, DatasetEntry]
    methods: dict[str, MethodEntry]
    protocols: dict[str, ProtocolEntry]
    backbones: dict[str, BackboneEntry]
    parameters: dict[str, Parameter]
    aliases: dict[str, dict[str, str]]
    sources: dict[str, dict[str, tuple[str, ...]]]
    # Folders of users' registry files: modules of classes outside the package are also looked for here.
    search_folders: tuple[Path, ...] = ()
    variants: frozenset[str] = frozenset()

    def copied(self) -> Registry:
        """The same entries in mappings of its own, so that adding one changes no other registry."""
        return replace(
            self,
            datasets=dict(self.datasets),
            methods=dict(self.methods),
            protocols=dict(self.protocols),
            backbones=dict(self.backbones),
            parameters=dict(self.parameters),
        )

    def dataset(self, name: str) -> DatasetEntry:
        """The dataset of that name or alias; its `groups_as` is the end of the chain that the entries make."""
        entry = root = self._find("datasets", self.datasets, name)
        while root.groups_as is not None:
            root = self.datasets[root.groups_as]
        return entry if root is entry else entry.model_copy(update={"groups_as": root.name})

    def has_method(self, name: str) -> bool:
        """Whether a name means a method: that of an entry, an alias, or `PREFIX:NAME`."""
        try:
            self.method(name)
        except InputError:
            return name in self.methods  # a prefix alone is an entry and no method
        return True

    def method(self, name: str) -> MethodEntry:
        """The method of that name or alias, or, for `PREFIX:NAME`, the one that the entry of the prefix stands for.

        Raises:
            InputError: there is none, or the name is a prefix alone.
        """
        prefix, colon, rest = name.partition(":")
        stem = self.methods.get(self.aliases["methods"].get(prefix, prefix))
        if stem is None or stem.prefix is None:
            return self._find("methods", self.methods, name)
        if not (colon and is_foreign_name(rest)):
            raise InputError(f'Unknown method "{name}": {stem.name} stands for all methods {stem.name}:NAME, where '
                             f'NAME is its {stem.prefix}. "ssliqa-bench show {stem.name}" describes it.')
        about = stem.about.model_copy(update={"title": f"{rest}, {stem.about.title}"})
        params = {**stem.params, stem.prefix: rest}
        return stem.model_copy(update={"name": f"{stem.name}:{rest}", "about": about, "params": params})

    def protocol(self, name: str) -> ProtocolEntry:
        """The protocol of that name or alias; dataset names in it are canonical.

        Raises:
            InputError: an unknown name, or a split file that names a dataset that is not in the registry.
        """
        entry = self._find("protocols", self.protocols, name)
        if entry.split.rule == "file" and entry.split.file is not None:
            self._check_datasets_of(Path(entry.split.file))
        tests = tuple(self.dataset(test).name for test in entry.tests)
        subset = entry.subset
        if subset is not None and subset.datasets is not None:
            subset = subset.model_copy(update={"datasets": tuple(self.dataset(d).name for d in subset.datasets)})
        extra = entry.extra_unlabeled
        if extra is not None:
            extra = extra.model_copy(update={"dataset": self.dataset(extra.dataset).name})
        return entry.model_copy(update={"tests": tests, "subset": subset, "extra_unlabeled": extra})

    def datasets_of(self, pair: Pair, protocol: ProtocolEntry, tests: Sequence[str] = ()) -> dict[str, DatasetEntry]:
        """All datasets of a run: those of its pair first, then those that it is tested on and draws images from."""
        extra = () if protocol.extra_unlabeled is None else (protocol.extra_unlabeled.dataset,)
        entries = (self.dataset(name) for name in (*pair.datasets, *protocol.tests, *tests, *extra))
        return {entry.name: entry for entry in entries}

    def pair(self, text: str) -> Pair:
        """Read `A:B` or `A`, aliases replaced by canonical names."""
        from ssliqa_bench.specs import Pair

        pair = Pair.parse(text)
        return Pair(self.dataset(pair.labeled).name, pair.unlabeled and self.dataset(pair.unlabeled).name)

    def with_references(self) -> tuple[str, ...]:
        """The datasets that come with reference images."""
        return tuple(name for name, entry in self.datasets.items() if entry.references)

    def _check_datasets_of(self, file: Path) -> None:
        """Refuse a split file with the name of an unknown dataset: its images would be left out as if not listed."""
        from ssliqa_bench.tabular import read_rows

        rows = read_rows(file, "", expected="the split file of a protocol (CSV)")
        for row, name in enumerate(rows.column("dataset") if "dataset" in rows.header else ()):
            if name in self.datasets:
                continue
            canonical = self.aliases["datasets"].get(name)
            hint = f' Write "{canonical}".' if canonical else _did_you_mean(name, self.datasets)
            raise InputError(f'{rows.place(row)}: dataset "{name}" is not the id of a dataset in the registry.{hint} '
                             f'"ssliqa-bench list datasets" shows all {len(self.datasets)}.')

    def _find(self, kind: str, entries: Mapping[str, _E], name: str) -> _E:
        entry = entries.get(self.aliases[kind].get(name, name))
        if entry is None:
            hint = _did_you_mean(name, [*entries, *self.aliases[kind]])  # the list shows no alias
            raise InputError(f'Unknown {kind[:-1]} "{name}".{hint} "ssliqa-bench list {kind}" shows all '
                             f"{len(entries)}.")
        return entry

    def resolve_method(
        self,
        name: str,
        recipe: str | None = None,
        overrides: Mapping[str, Any] | None = None,
        default_recipes: Sequence[str] = (PLAIN_RECIPE,),
    ) -> ResolvedMethod:
        """Resolve the parameters of a method from root to leaf, then its recipe's, then the overrides.

        `recipe` is what the user asked for; without it the first of `default_recipes` that the method or an
        ancestor has is taken, else its plain parameters.

        Raises:
            InputError: unknown method, recipe or parameter, or an override that its declaration does not accept.
        """
        entry = self.method(name)
        methods = self._with(entry)
        chain = method_chain(methods, entry.name)
        recipes = sorted({r for link in chain for r in methods[link].recipes} | {PLAIN_RECIPE})
        taken = recipe or next((name for name in default_recipes if name in recipes), PLAIN_RECIPE)
        if taken not in recipes:
            raise self._lacks_recipe(entry, taken, recipes)
        params: dict[str, Any] = {}
        origins: dict[str, str] = {}
        for step in parameter_steps(methods, entry.name, taken):
            params.update(copy.deepcopy(dict(step.values)))
            origins.update(dict.fromkeys(step.values, str(step)))
        if entry.prefix in (overrides or {}):
            raise InputError(f"--set {entry.prefix}: the name {entry.name} contains it already; name another method.")
        declared = declared_parameters(self.parameters, methods, entry.name)
        changed = {k: _override(entry.name, declared, params, k, v) for k, v in sorted((overrides or {}).items())}
        origins.update(dict.fromkeys(changed, "--set"))
        links = [methods[link] for link in reversed(chain)]
        return ResolvedMethod(
            name=entry.name,
            about=entry.about,
            class_path=next(link.class_path for link in links if link.class_path),
            params={**params, **changed},
            recipe=taken,
            overrides=changed,
            chain=chain,
            like=entry.like,
            unlabeled_role=next((link.unlabeled_role for link in links if link.unlabeled_role), "unlabeled"),
            weights=next((link.weights for link in links if link.weights), None),
            references=next((link.references for link in links if link.references is not None), False),
            origins=origins,
            declared={key: declared[key] for key in params},
            weights_params=_weights_params(declared, params),
        )

    def _lacks_recipe(self, entry: MethodEntry, recipe: str, own: Sequence[str]) -> InputError:
        """What to say of a recipe that a method does not have; why, where it is one of frozen features."""
        method, others = entry.name, self.with_recipe(recipe)
        if not others:
            return unknown_name(f"recipe of {method}", recipe, own, f"ssliqa-bench show {method}")
        reason = ""
        if recipe.partition("/")[0] == FROZEN_RECIPE and FROZEN_RECIPE not in own:
            who = "a metric, which trains nothing," if entry.about.family in METRICS else (
                "a learner that must train the network itself"
            )
            reason = (
                f". This recipe trains a head on stored features of a network that stays as it is; {who} has none"
            )
        count = "1 method that has" if len(others) == 1 else f"{len(others)} methods that have"
        return InputError(
            f'{method} has no recipe "{recipe}"{reason}. "ssliqa-bench list methods --recipe {recipe}" shows the '
            f'{count} it, "ssliqa-bench show {method}" the recipes of this one.'
        )

    def with_recipe(self, recipe: str) -> list[str]:
        """Names of the methods that have a recipe, in the order of the files."""
        return [name for name, entry in self.methods.items() if entry.prefix is None and recipe in self.recipes(name)]

    def recipes(self, name: str) -> list[str]:
        """Names of the recipes that a method or an ancestor of it has, root's first."""
        entry = self.method(name)
        methods = self._with(entry)
        chain = method_chain(methods, entry.name)
        return list(dict.fromkeys(recipe for link in chain for recipe in methods[link].recipes))

    def _with(self, entry: MethodEntry) -> Mapping[str, MethodEntry]:
        """All methods, and this one where it is known by its prefix alone."""
        return {**self.methods, entry.name: entry}

    def resolve_backbone(self, name: str) -> ResolvedBackbone:
        """Resolve "cnniqa", "timm:NAME", "torchvision:NAME" or the name of an entry that stands for one of these.

        Raises:
            InputError: neither an entry nor a known prefix with a name after it.
        """
        entry = self.backbones.get(self.aliases["backbones"].get(name, name))
        facts = entry or next((b for b in self.backbones.values() if b.stands_for == name), None)
        full = (facts.stands_for if facts else None) or name
        prefix, colon, rest = full.partition(":")
        built = self.backbones.get(prefix) if colon else entry
        if built is None or built.class_path is None or bool(colon) != bool(built.prefix) or bool(colon) != bool(rest):
            prefixes = [f"{n}:NAME" for n, b in self.backbones.items() if b.prefix]
            names = [n for n, b in self.backbones.items() if not b.prefix] + list(self.aliases["backbones"])
            hint = _did_you_mean(name, names)
            raise InputError(f'Unknown backbone "{name}".{hint} Expected {", ".join([*sorted(names), *prefixes])}; '
                             f'"ssliqa-bench list backbones" lists them.')
        arguments = copy.deepcopy(dict(built.arguments))
        if built.prefix:
            arguments[built.prefix] = rest
        about = (facts or built).about
        size = (facts or built).input_size
        weights = facts.weights if facts else None
        if weights is None and built.weights_of is not None:
            weights = self.resolve_backbone(built.weights_of).weights
        name = full if colon else built.name
        frozen = None if built.features_of is None else self.resolve_backbone(built.features_of)
        return ResolvedBackbone(name, built.class_path, arguments, about, size, weights, built.weights_of, frozen)

    def backbones_of(self, method: ResolvedMethod) -> dict[str, ResolvedBackbone]:
        """The backbones that a method's parameters name, by parameter."""
        return {name: self.resolve_backbone(value) for name, value in method.named("backbone").items()}

    def load(self, class_path: str) -> Any:
        """Import what a class path names, also from beside users' registry files."""
        return load_object(class_path, self.search_folders)


def method_chain(methods: Mapping[str, MethodEntry], name: str) -> tuple[str, ...]:
    """Names from the root to the method, along `extends`."""
    chain = [name]
    while (parent := methods[chain[-1]].extends) is not None:
        chain.append(parent)
    return tuple(reversed(chain))


def parameter_steps(methods: Mapping[str, MethodEntry], name: str, recipe: str | None) -> Iterator[ParameterStep]:
    """What sets parameters, in order: for each ancestor from the root its `params`, then its recipe if it has it.

    Before a recipe `a/b` comes recipe `a`.
    """
    parts = [] if recipe is None else recipe.split("/")
    lineage = ["/".join(parts[: k + 1]) for k in range(len(parts))]
    for link in method_chain(methods, name):
        entry = methods[link]
        yield ParameterStep(link, None, entry.params)
        for own in lineage:
            if own in entry.recipes:
                yield ParameterStep(link, own, entry.recipes[own])


def declared_parameters(
    common: Mapping[str, Parameter], methods: Mapping[str, MethodEntry], name: str
) -> dict[str, Parameter]:
    """All declarations that hold for a method: those in common, and over them those of its chain, root first."""
    declared = dict(common)
    for link in method_chain(methods, name):
        declared.update(methods[link].parameters)
    return declared


def _weights_params(declared: Mapping[str, Parameter], params: Mapping[str, Any]) -> dict[str, WeightsParams]:
    """For each parameter that names a backbone, those that choose its weights."""
    found: dict[str, WeightsParams] = {}
    for name in of_type(declared, "weights"):
        network, switch = declared[name].of, declared[name].switch
        if network is None or switch is None or network not in params or switch not in params:
            continue
        # A method may have the switch alone, and then no way to name a local file.
        if name in params or network not in found:
            found[network] = WeightsParams(name, switch)
    return found


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    near = near_names(name, sorted(known))
    return f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""


def _override(
    method: str, declared: Mapping[str, Parameter], params: Mapping[str, Any], key: str, value: Any
) -> Any:
    if key not in params:
        raise InputError(f'Unknown parameter "{key}" of {method}.{_did_you_mean(key, params)} '
                         f'"ssliqa-bench show {method} --params" shows all {len(params)}.')
    taken = canonical(declared[key], params[key], value)
    if not declared[key].accepts(taken):
        raise InputError(f"--set {key}: got {shown(value)}; expected {declared[key].expects}. "
                         f'"ssliqa-bench show {method} --params" explains each parameter.')
    return copy.deepcopy(taken)


def locate_module(module: str, folders: Sequence[Path] = ()) -> Path | None:
    """The file of a module, found without importing it or its packages; None where there is none.

    `folders` are searched before the import path, except for modules of Python and of this package.
    """
    first, *rest = module.split(".")
    spec = None
    if first not in sys.stdlib_module_names and first != "ssliqa_bench":
        spec = importlib.machinery.PathFinder.find_spec(first, [str(folder) for folder in folders])
    if spec is None or spec.origin is None:  # a mere folder of that name does not hide a package
        spec = _find_spec(first, None) or spec
    name = first
    for part in rest:
        if spec is None or spec.submodule_search_locations is None:
            return None
        name = f"{name}.{part}"
        spec = _find_spec(name, list(spec.submodule_search_locations))
    return Path(spec.origin) if spec is not None and spec.origin is not None and spec.has_location else None


def load_object(class_path: str, folders: Sequence[Path] = ()) -> Any:
    """Import what "module:Name" names; the only place that imports by name.

    A folder of `folders` (those of users' registry files) that holds the module comes first on the import
    path while it is imported, and stays at its end, so that what the module imports later is found too.

    Raises:
        InputError: no such module, its import fails, or it has no such name.
    """
    module, _, name = class_path.partition(":")
    importlib.invalidate_caches()
    file = locate_module(module, folders)
    if file is None:
        places = ", ".join(["the import path", *map(str, folders)])
        raise InputError(f'"{class_path}": no module {module} in {places}.')
    # A module beside a registry file may import its neighbours; nothing else may be shadowed by them.
    beside = [str(folder) for folder in folders if file.is_relative_to(folder)]
    loaded = getattr(sys.modules.get(module), "__file__", None)
    if beside and loaded is not None and Path(loaded).resolve() != file.resolve():
        # Another file of that name, from beside another registry file.
        for known in [name for name in sys.modules if name == module or name.startswith(f"{module}.")]:
            del sys.modules[known]
    if loaded is None and module.partition(".")[0] != "ssliqa_bench" and not _in_worker():
        LOG.warning("%s: its code is run, because a registry file names %s.", file, class_path)
    sys.path[:0] = beside
    try:
        found = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # whatever a user's module raises is bad input, reported in its own words
        raise InputError(f'"{class_path}": importing {file} failed: {type(error).__name__}: {error}.') from error
    finally:
        for folder in beside:
            sys.path.remove(folder)
        sys.path.extend(folder for folder in beside if folder not in sys.path)
    if not hasattr(found, name):
        near = near_names(name, vars(found))
        hint = f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
        raise InputError(f'"{class_path}": {file} has no {name}.{hint}')
    return getattr(found, name)


def _in_worker() -> bool:
    """Whether another process of the package started this one, and has named the code already."""
    processes = sys.modules.get("multiprocessing.process")
    return processes is not None and processes.parent_process() is not None


def _find_spec(name: str, path: list[str] | None) -> importlib.machinery.ModuleSpec | None:
    """Ask the import system's finders, which look for files and import nothing."""
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        if find is not None and (spec := find(name, path, None)) is not None:
            return spec  # type: ignore[no-any-return]
    return None
