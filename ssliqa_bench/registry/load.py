"""Find the registry files, read them with line numbers, merge users' files over the packaged one, check it all."""

from __future__ import annotations

import functools
import importlib.resources
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from ssliqa_bench.errors import InputError, RegistryError, near_names
from ssliqa_bench.registry.document import Document
from ssliqa_bench.registry.document_cache import read, read_kept
from ssliqa_bench.registry.lookup import Registry, declared_parameters, method_chain, parameter_steps
from ssliqa_bench.registry.parameters import Kind, Parameter, guessed, of_type
from ssliqa_bench.registry.plugins import FILE, installed_plugins
from ssliqa_bench.registry.problems import KeyPath, Place, Problem, from_validation, one_of, raise_problems, shown
from ssliqa_bench.registry.references import KEY, read_references
from ssliqa_bench.registry.schema import (
    KINDS,
    NAME_RULE,
    PARAMETER_RULE,
    BackboneEntry,
    DatasetEntry,
    Entry,
    MethodAbout,
    MethodEntry,
    ProtocolEntry,
    is_name,
    is_parameter_name,
)

LOG = logging.getLogger("ssliqa_bench")

# Options of these readers that name files or folders: in a user's file they are relative to that file. What other
# readers call by such a name (the folder of one image size, for example) is theirs, and stays as it is written.
PATH_OPTIONS = ("labels", "images", "references")
_PATH_READERS = tuple(f"ssliqa_bench.datasets.readers.{name}" for name in ("table:read_csv", "folder:read_folder"))
# What an entry takes over from the one that it extends. Who wrote it and what its weights have seen are its own: a new
# method on top of another is not the other's paper.
_INHERITED_ABOUT = ("family", "home", "terms", "aligned")
# A variant is the same method with other parameters, so that it takes over these as well.
_VARIANT_ABOUT = (*_INHERITED_ABOUT, "citation", "trained_on")
_VARIANT_KEYS = ("title", "description", "aliases", "like", "unlabeled_role", "set", "recipes", "variants")

_DECLARATIONS = "parameters"  # the section whose entries are no entries of a kind: declarations of parameters
_SECTIONS = (_DECLARATIONS, *KINDS)

_E = TypeVar("_E", DatasetEntry, MethodEntry, ProtocolEntry, BackboneEntry)


def data_folder() -> Path:
    """The folder of the installed package that holds registry.yaml and the suites."""
    return Path(str(importlib.resources.files("ssliqa_bench"))) / "_data"


def notice_of(entry: DatasetEntry) -> Path | None:
    """The file with the whole notice that must accompany copies of a dataset's scores; None where its entry names none.

    Raises:
        RegistryError: the entry names a file that is not there.
    """
    if entry.notice is None:
        return None
    file = data_folder() / "notices" / entry.notice
    if not file.is_file():
        raise RegistryError(f'datasets.{entry.name}.notice: "{entry.notice}" is no file in {file.parent}.')
    return file


def notices_of(registry: Registry) -> dict[str, Path]:
    """The files of all notices, by the dataset whose names and scores they must accompany."""
    found = {name: notice_of(entry) for name, entry in registry.datasets.items()}
    return {name: file for name, file in found.items() if file is not None}


def load_registry(extra: Sequence[Path | str] = ()) -> Registry:
    """Read the packaged registry, add what installed plug-ins bring, and merge users' files over it, key by key.

    A plug-in that cannot be loaded is logged and left out: only what needs its entries fails.

    Raises:
        RegistryError: everything that is wrong in any of the files, one line each.
    """
    path = data_folder() / "registry.yaml"
    files, stamp = [Path(file) for file in extra], _stamp(path)
    plugins = _plugins(path, stamp)
    if not files and not plugins:
        return _packaged(path, stamp).copied()
    merged = _Merged()
    merged.add(_document(path, stamp))
    for document, folder in plugins:
        merged.add(document, folder)
    for file in files:
        merged.add(read(file), file.absolute().parent)
    return merged.build(tuple(dict.fromkeys(file.absolute().parent for file in files)))


# A program that plans many runs, or a notebook, asks for the same file again and again.
@functools.lru_cache(maxsize=1)
def _document(path: Path, stamp: tuple[int, int]) -> Document:
    return read_kept(path, "registry.yaml")


@functools.lru_cache(maxsize=1)
def _packaged(path: Path, stamp: tuple[int, int]) -> Registry:
    merged = _Merged()
    merged.add(_document(path, stamp))
    return merged.build(())


def _plugins(path: Path, stamp: tuple[int, int]) -> list[tuple[Document, Path]]:
    """The registry files of the plug-ins that can be loaded; the others are logged."""
    found: list[tuple[Document, Path]] = []
    for plugin in installed_plugins():
        try:
            file = plugin.file()
            document = read(file, f"{plugin.origin}, {FILE}")
            alone = _Merged()
            alone.add(_document(path, stamp))
            packaged = {kind: set(names) for kind, names in alone.raw.items()}
            alone.add(document, file.parent)
            alone.build(())
            own = (document.value or {}).items()
            if taken := [name for kind, entries in own for name in entries if name in packaged[kind]]:
                raise InputError(f"it has an entry {taken[0]}, the name of one of this package.")
        except InputError as error:
            LOG.warning("%s cannot be loaded, so its entries are missing: %s", plugin.origin.capitalize(), str(error))
        else:
            found.append((document, file.parent))
    return found


def _stamp(path: Path) -> tuple[int, int]:
    """What changes when a file does; zeros where there is none, which reading it then reports."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


class _Merged:
    """Raw entries of all files so far, with the place of every value, and the problems met."""

    def __init__(self) -> None:
        self.raw: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in _SECTIONS}
        self.places: dict[KeyPath, Place] = {}
        self.sources: dict[str, dict[str, tuple[str, ...]]] = {kind: {} for kind in KINDS}
        self.problems: list[Problem] = []
        self._sorted: tuple[Document | None, dict[KeyPath, list[tuple[KeyPath, int]]]] = (None, {})
        # Methods that were written under `variants` of another.
        self.variants: set[str] = set()
        # Entries that did not pass their schema; what refers to them is not reported as unknown.
        self.broken: set[tuple[str, str]] = set()

    def add(self, document: Document, folder: Path | None = None) -> None:
        """Merge one file over what is there; `folder` is that of a user's file."""
        self.problems += document.problems
        if document.value is None:
            return
        if not isinstance(document.value, dict):
            self._report_in(document, (), shown(document.value), f"a mapping of {', '.join(_SECTIONS)}")
            return
        taken: set[KeyPath] = set()
        for kind, entries in document.value.items():
            if kind not in _SECTIONS:
                self._report_in(document, (kind,), "an unknown section", one_of(kind, _SECTIONS))
            elif not isinstance(entries, dict):
                self._report_in(document, (kind,), shown(entries), "a mapping of names to entries")
            else:
                taken |= {
                    (kind, name) for name, own in entries.items() if self._add_entry(document, kind, name, own, folder)
                }
        self.places.update({p: (document.file, line) for p, line in document.lines.items() if p[:2] in taken})

    def _add_variants(self, document: Document, parent: str, variants: Any, written: KeyPath) -> None:
        """Merge the entries under `variants` of a method; `written` is the path of that key."""
        if not isinstance(variants, dict):
            self._report_in(document, written, shown(variants), "a mapping of names to variants")
            return
        for name, own in variants.items():
            at = (*written, name)
            if not isinstance(own, dict):
                self._report_in(document, at, shown(own), "a mapping")
                continue
            for key in own.keys() - set(_VARIANT_KEYS):
                self._report_in(document, (*at, key), "an unknown key", one_of(key, _VARIANT_KEYS))
            below = own.get("variants")
            entry = {key: own[key] for key in ("aliases", "like", "unlabeled_role", "recipes") if key in own}
            entry |= {"about": {key: own[key] for key in ("title", "description") if key in own}, "extends": parent}
            entry |= {"params": own["set"]} if "set" in own else {}
            if name in self.raw["methods"] and name not in self.variants:
                self._report_in(document, at, f'"{name}", the name of another method', "a name used nowhere else")
            elif self._add_entry(document, "methods", name, entry, None, at):
                self.variants.add(name)
                self._take_places(document, name, at)
                if below is not None:
                    self._add_variants(document, name, below, (*at, "variants"))

    def _take_places(self, document: Document, name: str, written: KeyPath) -> None:
        """Where the fields of a variant belong: `set` is called params in an entry, and title is part of about."""
        known = {"set": ("params",), "title": ("about", "title"), "description": ("about", "description")}
        for path, line in self._lines_below(document, written[:2]):
            if path[: len(written)] == written:
                field = path[len(written) :]
                moved = (*known.get(str(field[0]), field[:1]), *field[1:]) if field else ()
                self.places["methods", name, *moved] = (document.file, line)

    def _lines_below(self, document: Document, entry: KeyPath) -> list[tuple[KeyPath, int]]:
        """Paths and lines of one entry; the file is sorted into entries once, since many variants ask for theirs."""
        if self._sorted[0] is not document:
            below: dict[KeyPath, list[tuple[KeyPath, int]]] = {}
            for path, line in document.lines.items():
                below.setdefault(path[:2], []).append((path, line))
            self._sorted = (document, below)
        return self._sorted[1].get(entry, [])

    def _add_entry(
        self, document: Document, kind: str, name: str, entry: Any, folder: Path | None, written: KeyPath = ()
    ) -> bool:
        """Whether the entry was merged; if not, why is reported. `written`: its path in the file, if another."""
        path = written or (kind, name)
        if not isinstance(entry, dict):
            self._report_in(document, path, shown(entry), "a mapping")
            return False
        fits, rule = (is_parameter_name, PARAMETER_RULE) if kind == _DECLARATIONS else (is_name, NAME_RULE)
        if not fits(name):
            self._report_in(document, path, f'the name "{name}"', rule)
            return False
        if "name" in entry:
            self._report_in(document, (*path, "name"), "an unknown key", "the name as the key of the entry only")
            entry = {key: value for key, value in entry.items() if key != "name"}
        variants = entry.get("variants") if kind == "methods" else None
        if variants is not None:
            entry = {key: value for key, value in entry.items() if key != "variants"}
        if folder is not None:
            entry = _absolute(kind, entry, folder, self.raw[kind].get(name))
        self.raw[kind][name] = _merge(self.raw[kind].get(name, {}), entry)
        source = f"{document.file}:{document.lines[path]}"
        if kind in KINDS:
            self.sources[kind][name] = (*self.sources[kind].get(name, ()), source)
        if variants is not None:
            self._add_variants(document, name, variants, (*path, "variants"))
        return True

    def build(self, search_folders: tuple[Path, ...]) -> Registry:
        """Validate every entry and what entries say about each other; all problems in one error."""
        methods = self._entries("methods", MethodEntry)
        registry = Registry(
            datasets=self._entries("datasets", DatasetEntry),
            methods=methods,
            protocols=self._entries("protocols", ProtocolEntry),
            backbones=self._entries("backbones", BackboneEntry),
            parameters=self._declarations(),
            aliases={kind: {} for kind in KINDS},
            sources=self.sources,
            search_folders=search_folders,
            variants=frozenset(self.variants),
        )
        for kind in KINDS:
            self._collect_aliases(kind, registry)
        sound = self._check_extends(registry)
        for name in sound:
            about = _inherited_about(name, methods, _VARIANT_ABOUT if name in self.variants else _INHERITED_ABOUT)
            methods[name] = methods[name].model_copy(update={"about": about})
            self._check_params(name, registry)
        self._check_references(registry)
        raise_problems(self.problems, "the registry")
        return registry

    def _entries(self, kind: str, model: type[_E]) -> dict[str, _E]:
        entries: dict[str, _E] = {}
        for name, raw in self.raw[kind].items():
            about = raw.get("about", {})
            full = {**raw, "name": name}
            if isinstance(about, dict):
                full["about"] = {"title": name, **about}
                self._look_up_citation((kind, name, "about", "citation"), full["about"])
            try:
                entries[name] = model.model_validate(full)
            except ValidationError as error:
                self.problems += from_validation(error, model, full, (kind, name), self._place)
                self.broken.add((kind, name))
        return entries

    def _look_up_citation(self, path: KeyPath, about: dict[str, Any]) -> None:
        """Put the BibTeX entry in the place of its key; a word that resembles no key is a citation of its own."""
        citation = about.get("citation")
        if not isinstance(citation, str) or not KEY.fullmatch(citation):
            return
        known = read_references(data_folder() / "references.bib")
        if citation in known:
            about["citation"] = known[citation]
        elif near_names(citation, known):
            expected = f"{one_of(citation, known)}, or the BibTeX entry itself"
            self._report(path, f'the unknown key "{citation}"', expected)

    def _collect_aliases(self, kind: str, registry: Registry) -> None:
        entries: Mapping[str, Entry] = getattr(registry, kind)
        aliases = registry.aliases[kind]
        for name, entry in entries.items():
            for position, alias in enumerate(entry.aliases):
                path = (kind, name, "aliases", position)
                if alias in self.raw[kind]:
                    self._report(path, f'"{alias}", the name of another entry', "a name used nowhere else")
                elif alias in aliases:
                    self._report(path, f'"{alias}", already an alias of {aliases[alias]}', "a name used nowhere else")
                else:
                    aliases[alias] = name

    def _check_extends(self, registry: Registry) -> list[str]:
        """Names of the methods whose ancestors all exist, ancestors first; the others are reported."""
        methods, sound = registry.methods, dict[str, None]()
        for name in methods:
            chain, parent = [name], methods[name].extends
            while parent is not None and parent in methods and parent not in chain:
                chain.append(parent)
                parent = methods[parent].extends
            last = chain[-1]
            if parent is None:
                sound.update(dict.fromkeys(reversed(chain)))
                if all(methods[link].class_path is None for link in chain):
                    self._report(("methods", last, "class"), "nothing", '"module:Name"')
            elif parent in chain:
                # Each link of a cycle sees it; it is reported once, at the link that comes first in the file.
                cycle = chain[chain.index(parent):]
                first = min(cycle, key=list(methods).index)
                turned = cycle[cycle.index(first):] + cycle[:cycle.index(first)]
                self._report(("methods", first, "extends"), f"a circle ({' > '.join([*turned, first])})",
                             "a chain that ends at a method with a class")
            elif ("methods", parent) not in self.broken:
                self._report(("methods", last, "extends"), shown(parent), one_of(parent, methods))
        return list(sound)

    def _declarations(self) -> dict[str, Parameter]:
        """The declared parameters; what a declaration of weights names must be declared too, as what it needs."""
        declared: dict[str, Parameter] = {}
        for name, raw in self.raw[_DECLARATIONS].items():
            try:
                declared[name] = Parameter.model_validate(raw)
            except ValidationError as error:
                self.problems += from_validation(error, Parameter, raw, (_DECLARATIONS, name), self._place)
                self.broken.add((_DECLARATIONS, name))
        for name in declared:
            self._check_weights((_DECLARATIONS, name), declared[name], declared)
        return declared

    def _check_weights(self, path: KeyPath, own: Parameter, declared: Mapping[str, Parameter]) -> None:
        """The parameters that a declaration of weights names."""
        kinds: tuple[tuple[str, str | None, Kind], ...] = (
            ("of", own.of, "backbone"), ("switch", own.switch, "boolean"),
        )  # fmt: skip
        for key, other, kind in kinds:
            known = of_type(declared, kind)
            if other is not None and other not in known and (_DECLARATIONS, other) not in self.broken:
                self._report((*path, key), shown(other), one_of(other, known))

    def _check_params(self, name: str, registry: Registry) -> None:
        """Every parameter that an entry or one of its recipes sets must be known and hold a value that its declaration
        accepts."""
        methods = registry.methods
        entry, declared = methods[name], declared_parameters(registry.parameters, methods, name)
        for own, parameter in entry.parameters.items():
            self._check_weights(("methods", name, _DECLARATIONS, own), parameter, declared)
        before: set[str] = set()
        for step in parameter_steps(methods, name, None):
            if step.entry != name:
                before.update(step.values)
        # A class of its own may bring parameters of its own.
        sets: list[tuple[KeyPath, Mapping[str, Any], set[str]]] = [
            (("methods", name, "params"), entry.params, before if entry.class_path is None else {*declared})
        ]
        sets += [(("methods", name, "recipes", recipe), values, {*before, *entry.params})
                 for recipe, values in entry.recipes.items()]  # fmt: skip
        inherited = {own for link in method_chain(methods, name) for own in methods[link].recipes}
        for recipe in entry.recipes:
            base = recipe.rpartition("/")[0]
            if base and base not in inherited:
                self._report(("methods", name, "recipes", recipe), f"no recipe {base}", f"recipe {base} beside it")
        for path, values, known in sets:
            for key, value in values.items():
                if (_DECLARATIONS, key) in self.broken:
                    continue
                if key not in known or key not in declared:
                    self._report((*path, key), *_unknown_parameter(key, value, known, declared))
                elif not declared[key].accepts(value):
                    self._report((*path, key), shown(value), declared[key].expects)
                elif declared[key].type == "backbone" and value is not None:
                    self._check_backbone((*path, key), value, registry)

    def _check_backbone(self, path: KeyPath, name: str, registry: Registry) -> None:
        try:
            registry.resolve_backbone(name)
        except InputError:
            if not any(kind == "backbones" for kind, _ in self.broken):
                self._report(path, shown(name), one_of(name, [*registry.backbones, *registry.aliases["backbones"]]))

    def _check_references(self, registry: Registry) -> None:
        """Names that entries use for other entries."""
        for name, method in registry.methods.items():
            if method.like is not None and (method.like == name or not self._exists("methods", method.like)):
                others = [other for other in registry.methods if other != name]
                self._report(("methods", name, "like"), shown(method.like), one_of(method.like, others))
        for name, dataset_entry in registry.datasets.items():
            shared = {"split_as": dataset_entry.split_as, "groups_as": dataset_entry.groups_as}
            if shared["groups_as"] == shared["split_as"]:
                del shared["groups_as"]  # it follows from the other, and is reported with it
            for field, other in shared.items():
                if other is not None and (other == name or not self._exists("datasets", other)):
                    others = [known for known in registry.datasets if known != name]
                    self._report(("datasets", name, field), shown(other), one_of(other, others))
            source = None if dataset_entry.made_from is None else dataset_entry.made_from.dataset
            if source is not None and (source == name or not self._exists("datasets", source)):
                others = [other for other in registry.datasets if other != name]
                self._report(("datasets", name, "made_from", "dataset"), shown(source), one_of(source, others))
        self._check_group_chains(registry)
        for name, protocol in registry.protocols.items():
            named: list[tuple[KeyPath, str]] = [(("tests", i), test) for i, test in enumerate(protocol.tests)]
            if protocol.extra_unlabeled is not None:
                named.append((("extra_unlabeled", "dataset"), protocol.extra_unlabeled.dataset))
            if protocol.subset is not None:
                known = {subset for dataset in registry.datasets.values() for subset in dataset.subsets}
                if protocol.subset.name not in known:
                    self._report(("protocols", name, "subset", "name"), shown(protocol.subset.name),
                                 one_of(protocol.subset.name, known))
                named += [(("subset", "datasets", i), d) for i, d in enumerate(protocol.subset.datasets or ())]
            for below, dataset in named:
                if not self._exists("datasets", dataset) and dataset not in registry.aliases["datasets"]:
                    known = {*registry.datasets, *registry.aliases["datasets"]}
                    self._report(("protocols", name, *below), shown(dataset), one_of(dataset, known))
        prefixes = [name for name, backbone in registry.backbones.items() if backbone.prefix]
        for name, backbone in registry.backbones.items():
            prefix, colon, rest = (backbone.stands_for or "").partition(":")
            if backbone.stands_for is not None and not (colon and rest and prefix in prefixes):
                self._report(("backbones", name, "stands_for"), shown(backbone.stands_for),
                             f"PREFIX:NAME with {' or '.join(prefixes) or 'an entry that has prefix'}")

    def _check_group_chains(self, registry: Registry) -> None:
        """A chain of `groups_as` ends at a dataset whose groups are named by itself."""
        told: set[str] = set()
        for name in registry.datasets:
            chain = [name]
            while (entry := registry.datasets.get(chain[-1])) is not None and entry.groups_as is not None:
                if entry.groups_as in chain:
                    cycle = chain[chain.index(entry.groups_as):]
                    if len(cycle) > 1 and not told & set(cycle):  # one that names itself is already reported
                        told.update(cycle)
                        found = f"a circle ({' > '.join([*cycle, cycle[0]])})"
                        self._report(("datasets", cycle[0], "groups_as"), found,
                                     "a chain that ends at a dataset without groups_as")
                    break
                chain.append(entry.groups_as)

    def _exists(self, kind: str, name: str) -> bool:
        return name in self.raw[kind]

    def _place(self, path: KeyPath) -> Place:
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, ("registry.yaml", 1))

    def _report(self, path: KeyPath, got: str, expected: str) -> None:
        self.problems.append(Problem.mismatch(self._place(path), path, got, expected))

    def _report_in(self, document: Document, path: KeyPath, got: str, expected: str) -> None:
        self.problems.append(Problem.mismatch(document.place(path), path, got, expected))


def _absolute(kind: str, entry: dict[str, Any], folder: Path, old: Mapping[str, Any] | None) -> dict[str, Any]:
    """An entry of a user's file with its paths made absolute; a new dataset lives beside the file by default.

    `old` is what it is merged over, None for a new entry.
    """

    def full(value: Any) -> Any:
        return str(folder / Path(value).expanduser()) if isinstance(value, str) else value

    entry = dict(entry)
    if kind == "datasets":
        if old is None or "folder" in entry:
            entry["folder"] = full(entry.get("folder", "."))
        options = entry.get("options")
        reader = entry.get("reader", (old or {}).get("reader", _PATH_READERS[0]))
        if isinstance(options, dict) and reader in _PATH_READERS:
            entry["options"] = {key: full(v) if key in PATH_OPTIONS else v for key, v in options.items()}
    split = entry.get("split")
    if kind == "protocols" and isinstance(split, dict) and "file" in split:
        entry["split"] = {**split, "file": full(split["file"])}
    extra = entry.get("extra_unlabeled")
    if kind == "protocols" and isinstance(extra, dict) and "names" in extra:
        entry["extra_unlabeled"] = {**extra, "names": full(extra["names"])}
    return entry


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` over `below`, key by key; mappings are merged likewise, everything else is replaced."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _unknown_parameter(
    key: str, value: Any, known: Iterable[str], declared: Mapping[str, Parameter]
) -> tuple[str, str]:
    """What was found, and what was expected, where a parameter is not one of those that an entry may set."""
    if key in declared or set(known) != set(declared):  # a variant or a recipe brings none of its own
        return "an unknown parameter", one_of(key, known)
    near = near_names(key, sorted(known))
    hint = "".join(f'"{name}", or ' for name in near[:1])
    return "a parameter that is not declared", f"{hint}its declaration under parameters: {key}: {guessed(value)}"


def _inherited_about(name: str, methods: Mapping[str, MethodEntry], fields: Sequence[str]) -> MethodAbout:
    """What a method says about itself, with gaps in some fields filled by the nearest ancestor that says it."""
    entry = methods[name]
    if entry.extends is None:
        return entry.about
    parent, own = methods[entry.extends].about, entry.about
    taken = {field: getattr(parent, field) for field in fields if field not in own.model_fields_set}
    return MethodAbout(**{**own.model_dump(), **taken})
