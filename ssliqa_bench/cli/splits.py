"""`splits`: who is labeled, unlabeled and tested in a run, as lists of names that can be written and read."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ssliqa_bench.bounds import MOST_SEEDS
from ssliqa_bench.cli import options
from ssliqa_bench.text import printable

if TYPE_CHECKING:
    from ssliqa_bench.datasets.table import Table
    from ssliqa_bench.registry.schema import ProtocolEntry
    from ssliqa_bench.specs import Pair


@dataclass(frozen=True)
class _Asked:
    """A protocol, a pair, and the tables of its datasets and of those that the protocol names, by dataset."""

    protocol: ProtocolEntry
    pair: Pair
    tables: Mapping[str, Table]


def _name_list(part: str, word: str) -> Any:
    return typer.Option(
        f"--{part}",
        parser=options.input_file(f"--{part}", "a text file with one name per line"),
        metavar="FILE",
        help=f"Names of {word} images, one per line.",
    )


_Train = Annotated[Path | None, _name_list("train", "training")]
_Test = Annotated[Path | None, _name_list("test", "test")]
_Validation = Annotated[Path | None, _name_list("validation", "validation")]


def export(
    protocol: Annotated[str, typer.Argument(help="Name of a protocol, for example standard.")],
    pair: Annotated[str, typer.Argument(help="A:B or A, for example demo-syn:demo-wild.")],
    seed: Annotated[
        int, typer.Option("--seed", min=0, callback=options.seed_in_bounds, help="Seed of the run.")
    ] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            parser=options.output_file("--out"),
            metavar="FILE",
            help="Write to this file instead of standard output.",
        ),
    ] = None,
    data_root: options.DataRoot = None,
    registry: options.Registries = None,
    json: options.Json = False,
) -> None:
    """Write the role of every image in a run as CSV: dataset, image, role."""
    from ssliqa_bench.cli.output import print_json
    from ssliqa_bench.datasets.leaks import check_roles, copies_notes, kept_apart_notes
    from ssliqa_bench.datasets.splits import assign_roles, role_counts, roles_csv, split_hash
    from ssliqa_bench.files import write_text

    asked = _read(protocol, pair, data_root, registry)
    sides, tables = asked.pair, asked.tables
    roles = assign_roles(sides, tables, asked.protocol, seed)
    check_roles(tables, roles)
    text = roles_csv(tables, roles)
    if out is not None:
        write_text(out, text)
    elif not json:
        sys.stdout.write(text)
    if json:
        facts = {
            name: {
                "split_hash": split_hash(table, roles[name]),
                "roles": dict(zip(map(printable, table.name), roles[name], strict=True)),
            }
            for name, table in tables.items()
        }
        print_json({"protocol": asked.protocol.name, "pair": str(sides), "seed": seed, "datasets": facts})
    for name, table in tables.items():
        counts = ", ".join(f"{role} {count}" for role, count in role_counts(roles[name]).items())
        typer.echo(f"{name}: {counts}; split {split_hash(table, roles[name])}", err=True)
    for note in (*kept_apart_notes(sides, tables, roles), *copies_notes(tables, roles)):
        typer.echo(f"{note}.", err=True)


def hash_(
    protocol: Annotated[str, typer.Argument(help="Name of a protocol, for example ssiqa.")],
    pair: Annotated[str, typer.Argument(help="A:B or A, for example koniq:livec.")],
    seeds: Annotated[int, typer.Option("--seeds", min=1, max=MOST_SEEDS, help="Seeds 0 … N-1.")] = 10,
    data_root: options.DataRoot = None,
    registry: options.Registries = None,
    json: options.Json = False,
) -> None:
    """Print the hash of the role assignment, per dataset and seed: equal hashes mean equal splits."""
    from ssliqa_bench.cli.output import print_json
    from ssliqa_bench.datasets.splits import assign_roles, split_hash

    asked = _read(protocol, pair, data_root, registry)
    columns = ("protocol", "pair", "dataset", "seed", "split_hash")
    rows = []
    for seed in range(seeds):
        roles = assign_roles(asked.pair, asked.tables, asked.protocol, seed)
        rows += [
            (asked.protocol.name, str(asked.pair), name, seed, split_hash(table, roles[name]))
            for name, table in asked.tables.items()
        ]
    if json:
        print_json({"splits": [dict(zip(columns, row, strict=True)) for row in rows]})
        return
    for row in (columns, *rows):
        typer.echo(",".join(map(str, row)))


def import_(
    protocol: Annotated[str, typer.Argument(help="Name of the new protocol.")],
    pair: Annotated[str, typer.Argument(help="A:B or A, whose images the lists name.")],
    file: Annotated[
        Path | None,
        typer.Argument(
            parser=options.input_file("", "a CSV file"),
            metavar="[FILE]",
            help="CSV with columns image and split or role, and perhaps dataset.",
        ),
    ] = None,
    train: _Train = None,
    test: _Test = None,
    validation: _Validation = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            parser=options.output_file("--out"),
            metavar="FILE",
            help="Registry file to write [PROTOCOL.yaml].",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite existing files.")] = False,
    data_root: options.DataRoot = None,
    registry: options.Registries = None,
    json: options.Json = False,
) -> None:
    """Create a protocol from a published split, given as lists of names."""
    from ssliqa_bench.cli.output import print_json
    from ssliqa_bench.datasets.base import load_table
    from ssliqa_bench.datasets.split_files import protocol_entry, read_lists, written_lists
    from ssliqa_bench.datasets.splits import split_table
    from ssliqa_bench.errors import InputError
    from ssliqa_bench.files import write_text
    from ssliqa_bench.registry.load import load_registry
    from ssliqa_bench.registry.schema import SplitFields, is_name

    known = load_registry(registry or ())
    if not is_name(protocol) or protocol in known.protocols:
        raise InputError(f'Protocol "{protocol}": expected a new name of small letters, digits, dot, dash, underscore.')
    settings = options.settings_of(data_root=data_root)
    target = out or Path(f"{protocol}.yaml")
    names = target.with_suffix(".csv")
    there = [str(path) for path in (target, names) if path.exists() and path != file]
    if there and not force:
        raise InputError(f"{', '.join(there)}: already there. Name another file with --out, or write over it: --force.")
    tables = [
        load_table(known.dataset(name), settings.data_root, settings.cache_root, load=known.load)
        for name in known.pair(pair).datasets
    ]
    lists = read_lists(file, {"train": train, "test": test, "validation": validation}, tables)
    write_text(names, written_lists(lists))
    write_text(target, protocol_entry(protocol, pair, names.name))
    found = {}
    for table in tables:
        parts = split_table(table, SplitFields(rule="file", file=str(names)), 0)
        found[table.dataset] = {part: parts.count(part) for part in dict.fromkeys(parts)}
        counts = ", ".join(f"{part} {count}" for part, count in found[table.dataset].items())
        typer.echo(f"{table.dataset}: {counts}", err=True)
    if json:
        print_json({"protocol": protocol, "registry": str(target), "lists": str(names), "datasets": found})
    typer.echo(f"Wrote {names} and {target}. Use it: --registry {target} --protocol {protocol}", err=True)


def _read(protocol: str, pair: str, data_root: Path | None, registry: list[Path] | None) -> _Asked:
    from ssliqa_bench.datasets.base import load_table
    from ssliqa_bench.registry.load import load_registry

    known = load_registry(registry or ())
    settings = options.settings_of(data_root=data_root)
    rules, sides = known.protocol(protocol), known.pair(pair)
    tables = {
        name: load_table(entry, settings.data_root, settings.cache_root, load=known.load)
        for name, entry in known.datasets_of(sides, rules).items()
    }
    return _Asked(rules, sides, tables)


def register(app: typer.Typer) -> None:
    """Attach the command group `splits`."""
    group = typer.Typer(help="Lists of training and test images.", no_args_is_help=True)
    group.callback()(_group)
    group.command("export")(export)
    group.command("hash")(hash_)
    group.command("import")(import_)
    app.add_typer(group, name="splits")


def _group() -> None:
    """Lists of training and test images."""
