"""`list` and `show`: what the registry knows, without loading any of it."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Callable, Collection, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ssliqa_bench.cli import options
from ssliqa_bench.errors import InputError

if TYPE_CHECKING:
    from ssliqa_bench.registry.lookup import Registry


class CatalogueKind(StrEnum):
    """What `list` can list."""

    DATASETS = "datasets"
    METHODS = "methods"
    PROTOCOLS = "protocols"
    SUITES = "suites"
    BACKBONES = "backbones"


# An entry as a JSON object; `entry` says of which kind it is.
_Facts = dict[str, Any]
# Columns of `list` besides the name, by kind: heading and how to get the cell from an entry's facts. Methods are listed
# by family.
_COLUMNS: dict[CatalogueKind, dict[str, Callable[[_Facts], Any]]] = {
    CatalogueKind.DATASETS: {
        "kind": lambda f: f["kind"],
        "images": lambda f: f["images"],
        "groups": lambda f: f["groups"],
        "scale": lambda f: "{:g} to {:g}".format(*f["scale"]),
        "scores": lambda f: f["direction"].replace("_", " "),
        "title": lambda f: f["about"]["title"],
    },
    CatalogueKind.PROTOCOLS: {
        "split": lambda f: f"{f['split']['rule']} by {f['split']['by']}",
        "train": lambda f: f["split"]["train"] if f["split"]["rule"] in ("random", "sorted") else None,
        "seeds": lambda f: f["repeats"],
        "aggregate": lambda f: f["aggregate"],
        "mapping": lambda f: f["mapping"],
        "title": lambda f: f["about"]["title"],
    },
    CatalogueKind.SUITES: {"runs": lambda f: len(f["runs"]), "title": lambda f: f["title"]},
    CatalogueKind.BACKBONES: {
        "input": lambda f: f["input_size"] or "any",
        "stands for": lambda f: f["stands_for"],
        "title": lambda f: f["about"]["title"],
    },
}


def list_entries(
    kind: Annotated[CatalogueKind, typer.Argument(help="What to list.")],
    every: Annotated[bool, typer.Option("--all", help="Methods: show the variants of each below it.")] = False,
    recipe: Annotated[str | None, typer.Option("--recipe", help="Methods: only those that have this recipe.")] = None,
    as_json: options.Json = False,
    registry: options.Registries = None,
) -> None:
    """List the datasets, methods, protocols, suites or backbones of the registry."""
    from ssliqa_bench.registry.load import load_registry

    loaded = load_registry(registry or [])
    names = _names(kind, loaded)
    if recipe is not None:
        if kind is not CatalogueKind.METHODS:
            raise InputError(f'--recipe: only methods have recipes; got "{recipe}" for {kind.value}.')
        names = loaded.with_recipe(recipe)
        if not names:
            raise InputError(f'--recipe: no method has "{recipe}". "ssliqa-bench show METHOD" shows its recipes.')
    facts = [_facts(kind, name, loaded, parameters=as_json) for name in names]
    if as_json:
        _print_json({kind.value: facts})
        return
    if kind is CatalogueKind.METHODS:
        _print_methods(facts, frozenset() if recipe else loaded.variants, every)
    else:
        columns = _COLUMNS[kind]
        rows = [[_display_name(fact), *(cell(fact) for cell in columns.values())] for fact in facts]
        _print_table(["name", *columns], rows)
    _print_origins(facts)


def _print_origins(facts: Sequence[_Facts]) -> None:
    """Which entries plug-ins brought; nothing where there are none."""
    from ssliqa_bench.registry.plugins import ORIGIN

    for fact in facts:
        origin = next((file for file in fact["files"] if file.startswith(ORIGIN)), None)
        if origin is not None:
            typer.echo(f"{fact['name']}: {origin.partition(', ')[0]}")


def show_entry(
    name: Annotated[str, typer.Argument(help="A dataset, method, protocol, suite or backbone, or an alias.")],
    params: Annotated[
        bool,
        typer.Option(
            "--params",
            help="Describe each parameter of a method: its meaning, its value in every recipe and where that is set; "
                 "also the size of the networks.",
        ),
    ] = False,
    as_json: options.Json = False,
    registry: options.Registries = None,
) -> None:
    """Show the registry entry of a name."""
    from ssliqa_bench.registry.load import load_registry

    loaded = load_registry(registry or [])
    found = [facts for kind in CatalogueKind if (facts := _find(kind, name, loaded)) is not None]
    if not found:
        raise _unknown(name, loaded)
    for facts in found:
        if params and facts["entry"] == "method" and not facts["prefix"]:
            facts["origins"] = {
                recipe: loaded.resolve_method(facts["name"], recipe).origins for recipe in facts["parameters"]
            }
            facts["declared"] = _declared(facts["name"], loaded)
            facts["networks"] = {recipe: _counts(facts["name"], recipe, loaded) for recipe in facts["parameters"]}
    if as_json:
        _print_json({"name": name, "entries": found})
        return
    for position, facts in enumerate(found):
        if position:
            typer.echo()
        _print_entry(facts)


def register(app: typer.Typer) -> None:
    """Attach the commands of this file."""
    app.command("list")(list_entries)
    app.command("show")(show_entry)


def _declared(name: str, registry: Registry) -> _Facts:
    """What each parameter of a method is."""
    declared = registry.resolve_method(name).declared
    return {
        key: {**own.model_dump(exclude_defaults=True), "expects": own.expects} for key, own in declared.items()
    }


def _names(kind: CatalogueKind, registry: Registry) -> list[str]:
    """Canonical names of a kind, in the order of the files."""
    if kind is CatalogueKind.SUITES:
        from ssliqa_bench.registry.suite import packaged_suites

        return list(packaged_suites())
    return list(getattr(registry, kind.value))


def _find(kind: CatalogueKind, name: str, registry: Registry) -> _Facts | None:
    """The facts of an entry by name or alias, or of a backbone or method written as PREFIX:NAME."""
    names = _names(kind, registry)
    if kind is not CatalogueKind.SUITES:
        name = registry.aliases[kind.value].get(name, name)
    if name in names:
        return _facts(kind, name, registry)
    prefix, colon, _ = name.partition(":")
    of_methods = bool(colon) and prefix in registry.methods and registry.methods[prefix].prefix is not None
    if kind is CatalogueKind.METHODS and of_methods:
        return _facts(kind, registry.method(name).name, registry)
    if kind is CatalogueKind.BACKBONES and colon and not of_methods:
        backbone = registry.resolve_backbone(name)
        entry = next((b.name for b in registry.backbones.values() if b.stands_for == name), name.split(":")[0])
        resolved = {"name": name, "class": backbone.class_path, "arguments": backbone.arguments}
        return {**_facts(kind, entry, registry), **resolved, "prefix": None, "stands_for": None}
    return None


def _facts(kind: CatalogueKind, name: str, registry: Registry, *, parameters: bool = True) -> _Facts:
    """An entry as JSON; a method also with its chain, its comparators and its parameters by recipe.

    Args:
        parameters: False leaves the last two out; a table of all methods shows neither, and they take most of its time.
    """
    from ssliqa_bench.registry.lookup import method_chain
    from ssliqa_bench.registry.schema import CONTROL

    if kind is CatalogueKind.SUITES:
        return _suite_facts(name, registry)
    known = getattr(registry, kind.value)
    entry = known[name] if name in known else registry.method(name)
    facts = {"entry": kind.value[:-1], **entry.model_dump(mode="json", by_alias=True)}
    facts["files"] = list(registry.sources[kind.value][name.partition(":")[0]])
    if kind is CatalogueKind.METHODS and name in known and entry.prefix is not None:
        # It is no method itself, so that there is nothing to resolve.
        facts |= {"chain": [name], "comparators": [], "parameters": {"default": {**entry.params}}}
    elif kind is CatalogueKind.METHODS and not parameters:
        facts["chain"] = list(method_chain(registry.methods, name))
    elif kind is CatalogueKind.METHODS:
        facts["prefix"] = None
        recipes = registry.recipes(name) or ["default"]
        resolved = {recipe: registry.resolve_method(name, recipe) for recipe in recipes}
        method = resolved[recipes[0]]
        facts |= {"class": method.class_path, "chain": list(method.chain), "unlabeled_role": method.unlabeled_role}
        facts["comparators"] = [
            other.name for other in registry.methods.values() if other.like == name and other.about.family != CONTROL
        ]
        facts["parameters"] = {recipe: resolved[recipe].params for recipe in recipes}
    return facts


def _suite_facts(name: str, registry: Registry) -> _Facts:
    from ssliqa_bench.registry.suite import load_suite

    suite = load_suite(name, registry)
    runs = [
        {"method": run.method, "recipe": run.recipe, "overrides": dict(run.overrides), "pair": str(run.pair),
         "protocol": run.protocol, "seed": run.seed, "budget": run.budget, "unlabeled_budget": run.unlabeled_budget,
         "tests": list(run.tests)}
        for run in suite.runs
    ]
    return {"entry": "suite", "name": suite.name, "title": suite.title, "description": suite.description,
            "files": [suite.file], "runs": runs}


def _unknown(name: str, registry: Registry) -> Exception:
    """The error for a name that no entry of any kind has, with near names over all kinds."""
    from ssliqa_bench.errors import InputError, near_names

    kinds: dict[str, list[str]] = {}
    for kind in CatalogueKind:
        for known in [*_names(kind, registry), *registry.aliases.get(kind.value, {})]:
            kinds.setdefault(known, []).append(kind.value[:-1])
    near = [f'"{n}" ({", ".join(kinds[n])})' for n in near_names(name, kinds)]
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    listed = "|".join(CatalogueKind)
    return InputError(f'Unknown name "{name}".{hint} "ssliqa-bench list {listed}" shows what there is.')


def _display_name(facts: _Facts) -> str:
    return f"{facts['name']}:NAME" if facts.get("prefix") else str(facts["name"])


def _print_methods(facts: Sequence[_Facts], folded: Collection[str], every: bool) -> None:
    """Methods by family, in the order of the files; those folded are counted, or listed below their method."""
    variants: dict[str, list[_Facts]] = {fact["name"]: [] for fact in facts}
    for fact in facts:
        if fact["name"] in folded:
            root = next(link for link in reversed(fact["chain"][:-1]) if link not in folded)
            variants[root].append(fact)
    families: dict[str, list[_Facts]] = {}
    for fact in facts:
        if fact["name"] not in folded:
            families.setdefault(fact["about"]["family"] or "other", []).append(fact)
    for position, (family, members) in enumerate(families.items()):
        typer.echo(("\n" if position else "") + family)
        for fact in members:
            below = variants[fact["name"]]
            note = f" (+{len(below)} variant{'s' * (len(below) > 1)})" if below and not every else ""
            typer.echo(_method_line("  " + _display_name(fact), fact["about"]["title"] + note))
            for own in below if every else ():
                typer.echo(_method_line("    " + own["name"], own["about"]["title"]))
    if folded and not every:
        typer.echo(f"\n{len(folded)} variants: ssliqa-bench list methods --all")


def _method_line(name: str, title: str) -> str:
    return textwrap.fill(f"{name:<28}  {title}", _WIDTH, subsequent_indent=" " * 30, break_on_hyphens=False)


def _hanging(line: str) -> str:
    """A fact wrapped under itself; addresses and paths stay whole."""
    return textwrap.fill(line, _WIDTH, subsequent_indent=" " * 26, break_on_hyphens=False, break_long_words=False)


def _print_json(document: Any) -> None:
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


def _print_table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*headings, box=None, pad_edge=False, header_style="bold")
    # Names must stay whole to be of use; the last column, a title, takes what is left.
    for column in table.columns[:-1]:
        column.no_wrap = True
    for row in rows:
        table.add_row(*(_text(cell) for cell in row))
    # In a pipe there is no screen to fit into.
    width = None if sys.stdout.isatty() else 240
    Console(width=width, markup=False, highlight=False).print(table)


_WIDTH = 80  # of text for people
_APART = ("entry", "name", "about", "aliases", "title", "description", "params", "recipes", "parameters", "origins",
          "declared", "networks", "runs")


def _print_entry(facts: _Facts) -> None:
    about = facts.get("about", {})
    description = about.get("description") or facts.get("description", "")
    typer.echo(f"{_display_name(facts)}  ({facts['entry']})")
    typer.echo(about.get("title") or facts.get("title", ""))
    if description:
        typer.echo("\n" + textwrap.fill(description, _WIDTH))
    typer.echo()
    lines = {key: value for key, value in about.items() if key not in ("title", "description", "citation")}
    lines |= {"aliases": facts.get("aliases")} | {k: v for k, v in facts.items() if k not in _APART}
    if "runs" in facts:
        lines["runs"] = len(facts["runs"])
    for key, value in lines.items():
        # An empty list of training sets is a statement, other empty fields say nothing.
        if value not in (None, "", [], {}) or key == "trained_on":
            line = f"  {key.replace('_', ' '):<24}{_text(value)}"
            typer.echo(_hanging(line) if sys.stdout.isatty() else line)
    if about.get("citation"):
        typer.echo("\n" + about["citation"].rstrip())
    _print_parameters(facts)


def _print_parameters(facts: _Facts) -> None:
    """One table of all recipes, or with origins one table per recipe."""
    by_recipe: dict[str, dict[str, Any]] = facts.get("parameters", {})
    if "declared" in facts:
        typer.echo()
        rows = [[name, told["expects"], told["meaning"]] for name, told in facts["declared"].items()]
        _print_table(["parameter", "expected", "meaning"], rows)
    if "origins" in facts:
        for recipe, values in by_recipe.items():
            typer.echo(f"\nrecipe {recipe}")
            origins = facts["origins"][recipe]
            _print_table(["parameter", "value", "set by"], [[k, _text(v), origins[k]] for k, v in values.items()])
            _print_networks(facts["networks"][recipe])
    elif any(by_recipe.values()):
        typer.echo()
        names = dict.fromkeys(name for values in by_recipe.values() for name in values)
        rows = [[name, *(_text(values.get(name)) for values in by_recipe.values())] for name in names]
        _print_table(["parameter", *by_recipe], rows)


def _counts(name: str, recipe: str, registry: Registry) -> dict[str, int] | str:
    """Parameters of a method's networks, or why they cannot be counted here."""
    from ssliqa_bench.errors import SsliqaError
    from ssliqa_bench.runner.counts import parameter_counts

    try:
        return parameter_counts(name, recipe, registry)
    except SsliqaError as error:
        return str(error)


def _print_networks(counts: dict[str, int] | str) -> None:
    """Exact counts, and in millions as papers print them: each network rounded, then added."""
    if isinstance(counts, str):
        typer.echo(f"\nnetworks not counted: {counts}")
        return
    rounded = {name: round(count / 1e6, 1) for name, count in counts.items()}
    rows = [[name, f"{count:,}", f"{rounded[name]:.1f} M"] for name, count in counts.items()]
    if len(rows) > 1:
        rows.append(["together", f"{sum(counts.values()):,}", f"{sum(rounded.values()):.1f} M"])
    if rounded.get("teacher"):
        rows.append(["student / teacher", "", f"{rounded['student'] / rounded['teacher']:.2%}"])
    if rows:
        typer.echo()
        _print_table(["network", "parameters", "rounded"], rows)


def _text(value: Any) -> str:
    """A value as a person reads it; text is left as it is, the rest as YAML flow would write it."""
    if isinstance(value, str):
        return value
    if value is None:
        return "-"
    if isinstance(value, list):
        return ", ".join(_text(item) for item in value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_text(item)}" for key, item in value.items())
    return json.dumps(value)
