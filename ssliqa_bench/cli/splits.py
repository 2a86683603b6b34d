"""`splits export`: who is labeled, unlabeled and tested in a run, as a list of names."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ssliqa_bench.cli import options


def export(
    protocol: Annotated[str, typer.Argument(help="Name of a protocol, for example standard.")],
    pair: Annotated[str, typer.Argument(help="A:B or A, for example demo-syn:demo-wild.")],
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the run.")] = 0,
    out: Annotated[Path | None, typer.Option("--out", help="Write to this file instead of standard output.")] = None,
    data_root: options.DataRoot = None,
    registry: options.Registries = None,
) -> None:
    """Write the role of every image in a run as CSV: dataset, image, role."""
    from ssliqa_bench.datasets.base import load_table
    from ssliqa_bench.datasets.splits import assign_roles, check_roles, role_counts, roles_csv, split_hash
    from ssliqa_bench.files import write_text
    from ssliqa_bench.registry.load import load_registry

    known = load_registry(registry or ())
    settings = options.settings_of(data_root=data_root)
    rules, sides = known.protocol(protocol), known.pair(pair)
    tables = {
        name: load_table(known.dataset(name), settings.data_root, settings.cache_root, load=known.load)
        for name in dict.fromkeys([*sides.datasets, *rules.tests])
    }
    roles = assign_roles(sides, tables, rules, seed)
    check_roles(tables, roles)
    text = roles_csv(tables, roles)
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_text(out, text)
    for name, table in tables.items():
        counts = ", ".join(f"{role} {count}" for role, count in role_counts(roles[name]).items())
        typer.echo(f"{name}: {counts}; split {split_hash(table, roles[name])}", err=True)


def register(app: typer.Typer) -> None:
    """Attach the command group `splits`."""
    group = typer.Typer(help="Lists of who is trained on and who is tested on.", no_args_is_help=True)
    group.callback()(_group)
    group.command("export")(export)
    app.add_typer(group, name="splits")


def _group() -> None:
    """Lists of who is trained on and who is tested on."""
