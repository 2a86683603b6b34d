"""Suites: a matrix of runs in one YAML file, expanded to runs in a fixed order."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictInt, ValidationError

from ssliqa_bench.bounds import LARGEST_SEED, MOST_SEEDS
from ssliqa_bench.errors import InputError, unknown_name
from ssliqa_bench.files import canonical_json
from ssliqa_bench.registry.document import Document
from ssliqa_bench.registry.load import data_folder
from ssliqa_bench.registry.lookup import Registry
from ssliqa_bench.registry.problems import KeyPath, Problem, from_validation, raise_problems, shown
from ssliqa_bench.registry.schema import Budget, ParamSet
from ssliqa_bench.registry.yamlfile import read_yaml
from ssliqa_bench.specs import RunSpec

Seed = Annotated[StrictInt, Field(ge=0, le=LARGEST_SEED)]


class SuiteBlock(BaseModel):
    """Every method × pair × budget × unlabeled budget × seed of the lists, with the same settings.

    `seeds`: a count N for 0 … N-1, or a list; the protocol's repeats unless given. A budget of null is the
    protocol's. `set`: parameters, as --set gives them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    methods: tuple[str, ...] = Field(min_length=1)
    pairs: tuple[str, ...] = Field(min_length=1)
    protocol: str = "standard"
    seeds: Annotated[StrictInt, Field(ge=1, le=MOST_SEEDS)] | tuple[Seed, ...] | None = None
    budgets: tuple[Budget | None, ...] = Field((None,), min_length=1)
    unlabeled_budgets: tuple[Budget | None, ...] = Field((None,), min_length=1)
    overrides: ParamSet = Field({}, alias="set")
    recipe: str | None = None
    tests: tuple[str, ...] = ()


class SuiteFile(BaseModel):
    """A suite as its file says it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    description: str = ""
    runs: tuple[SuiteBlock, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Suite:
    """A named list of runs, each once: block by block, method by method, seeds innermost."""

    name: str
    title: str
    description: str
    file: str
    runs: tuple[RunSpec, ...]


def packaged_suites() -> dict[str, Path]:
    """The suites that come with the package: name to file, by name."""
    return {path.stem: path for path in sorted((data_folder() / "benchmarks").glob("*.yaml"))}


def load_suite(path_or_name: str | Path, registry: Registry, seeds: Sequence[int] | None = None) -> Suite:
    """Read a suite file, or a packaged suite by its bare name, and expand it.

    `seeds` takes the place of those of every block. Names in the runs are canonical.

    Raises:
        InputError: no such suite.
        RegistryError: everything that is wrong in the file, one line each.
    """
    text = str(path_or_name)
    path = Path(text)
    if isinstance(path_or_name, str) and path.suffix not in (".yaml", ".yml") and not path.is_file():
        packaged = packaged_suites()
        if text not in packaged:
            raise unknown_name("suite", text, packaged, "ssliqa-bench list suites")
        path = packaged[text]
        text = f"benchmarks/{path.name}"
    document = read_yaml(path, text)
    content = _validated(document)
    expansion = _Expansion(document, registry)
    for position, block in enumerate(content.runs):
        expansion.add(block, ("runs", position), seeds)
    raise_problems([*document.problems, *expansion.problems], "the suite")
    return Suite(path.stem, content.title, content.description, text, tuple(expansion.runs.values()))


def load_runs(
    paths_or_names: Sequence[str | Path], registry: Registry, seeds: Sequence[int] | None = None
) -> tuple[RunSpec, ...]:
    """The runs of several suites, as `load_suite` reads them; a run of two of them is there once, where it comes first.

    Raises:
        InputError, RegistryError: as `load_suite`, for the first suite that is not there or not right.
    """
    runs: dict[str, RunSpec] = {}
    for suite in paths_or_names:
        for run in load_suite(suite, registry, seeds).runs:
            runs.setdefault(_identity(run), run)
    return tuple(runs.values())


def _validated(document: Document) -> SuiteFile:
    value = document.value
    if not isinstance(value, dict):
        found = [Problem.mismatch(document.place(()), (), shown(value), "a mapping with title and runs")]
        raise_problems([*document.problems, *found], "the suite")
    try:
        return SuiteFile.model_validate(value)
    except ValidationError as error:
        found = from_validation(error, SuiteFile, value, (), document.place)
        raise_problems([*document.problems, *found], "the suite")
        raise  # never reached: an error has at least one problem


class _Expansion:
    """The runs of the blocks so far, keyed by what makes them equal, and the problems met."""

    def __init__(self, document: Document, registry: Registry) -> None:
        self.document = document
        self.registry = registry
        self.runs: dict[str, RunSpec] = {}
        self.problems: list[Problem] = []

    def add(self, block: SuiteBlock, path: KeyPath, seeds: Sequence[int] | None) -> None:
        """Add the runs of one block, or what is wrong in it."""
        registry = self.registry
        methods = self._names((*path, "methods"), block.methods, lambda text: registry.method(text).name)
        pairs = self._names((*path, "pairs"), block.pairs, registry.pair)
        tests = self._names((*path, "tests"), block.tests, lambda text: registry.dataset(text).name)
        protocol = self._resolve((*path, "protocol"), registry.protocol, block.protocol)
        recipes = dict.fromkeys(registry.dataset(pair.labeled).recipe for pair in pairs.values())
        overrides = {
            (method, recipe): self._resolve((*path, "methods", i), self._overrides, method, block, recipe)
            for i, method in methods.items()
            for recipe in recipes
        }
        if self.problems:
            return
        taken = _seeds(block.seeds, protocol.repeats) if seeds is None else tuple(seeds)
        for method, pair, budget, unlabeled, seed in itertools.product(
            methods.values(), pairs.values(), block.budgets, block.unlabeled_budgets, taken
        ):
            changed = overrides[method, registry.dataset(pair.labeled).recipe]
            run = RunSpec(method, pair, protocol.name, seed, block.recipe, changed, budget, unlabeled,
                          tuple(tests.values()))
            # Two blocks may name the same run; it is planned once, where it comes first.
            self.runs.setdefault(_identity(run), run)

    def _overrides(self, name: str, block: SuiteBlock, default: tuple[str, ...]) -> tuple[tuple[str, Any], ...]:
        resolved = self.registry.resolve_method(name, block.recipe, block.overrides, default)
        return tuple(sorted(resolved.overrides.items()))

    def _names(self, path: KeyPath, texts: Sequence[str], resolve: Callable[[str], Any]) -> dict[int, Any]:
        """What the names of a list stand for, by position, without those that mean nothing."""
        found = {i: self._resolve((*path, i), resolve, text) for i, text in enumerate(texts)}
        return {i: value for i, value in found.items() if value is not None}

    def _resolve(self, path: KeyPath, resolve: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return resolve(*arguments)
        except InputError as error:
            self.problems.append(Problem(self.document.place(path), path, str(error)))
            return None


def _identity(run: RunSpec) -> str:
    return canonical_json({**asdict(run), "pair": str(run.pair)})


def _seeds(seeds: int | tuple[int, ...] | None, repeats: int) -> tuple[int, ...]:
    if isinstance(seeds, tuple):
        return seeds
    return tuple(range(repeats if seeds is None else seeds))
