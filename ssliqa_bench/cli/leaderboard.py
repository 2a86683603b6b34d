"""`leaderboard`: boards from the records of a store."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from ssliqa_bench.cli import options
from ssliqa_bench.errors import CheckError, InputError


def register(app: typer.Typer) -> None:
    """Attach the command."""
    app.command()(leaderboard)


def leaderboard(
    store: options.Store = options.DEFAULT_STORE,
    out: Annotated[Path, typer.Option(help="Folder the boards are written to.")] = Path("leaderboards"),
    formats: Annotated[str, typer.Option("--format", help="md, csv or both, with a comma.")] = "md,csv",
    no_cost: Annotated[bool, typer.Option("--no-cost", help="Leave out parameters, steps, time and memory.")] = False,
    print_boards: Annotated[bool, typer.Option("--print", help="Print the boards as Markdown as well.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail where boards in --out do not follow from the records.")
    ] = False,
    stale: Annotated[
        bool, typer.Option("--stale", help="Write nothing; list the records made by other code than today's.")
    ] = False,
) -> None:
    """Write the leaderboards that follow from the records of a store: same records, same bytes."""
    from ssliqa_bench.leaderboard.boards import build_boards, check_boards, parse_formats, write_boards

    wanted = parse_formats(formats)
    facts = _read_facts(store)
    if stale:
        _report_stale(facts)
        return
    texts = build_boards(facts, formats=wanted, cost=not no_cost)
    if print_boards:
        shown = build_boards(facts, formats=("md",), cost=not no_cost)
        typer.echo("\n".join(shown.values()), nl=False)
    if not check:
        for path in write_boards(out, texts):
            print(f"Wrote {path}", file=sys.stderr)
        return
    if problems := check_boards(out, texts):
        raise CheckError(
            f"{len(problems)} of the boards under {out} do not follow from the records in {store}: "
            f'{"; ".join(problems)}. "ssliqa-bench leaderboard --store {store} --out {out}" writes them anew.'
        )
    print(f"The {len(texts)} boards under {out} follow from the {len(facts)} records in {store}.", file=sys.stderr)


def _read_facts(store: Path) -> list[Mapping[str, Any]]:
    from ssliqa_bench.store.records import iter_facts

    facts: list[Mapping[str, Any]] = list(iter_facts(store))
    if not facts:
        raise InputError(
            f"No records under {store}. Name their folder with --store, or make one: "
            f'"ssliqa-bench run --method supervised --pair demo-syn:demo-wild".'
        )
    return facts


def _report_stale(facts: list[Mapping[str, Any]]) -> None:
    """Print stale records, one per line; code outside this package is not at hand and is said to be unchecked."""
    from ssliqa_bench.leaderboard.collect import code_files
    from ssliqa_bench.leaderboard.stale import stale_records
    from ssliqa_bench.runner.code import package_files
    from ssliqa_bench.runner.tree import PACKAGE

    ours, outside = [], 0
    for record in facts:
        files = code_files(record)
        mine = {file: stored for file, stored in files.items() if file.startswith(f"{PACKAGE}/")}
        outside += len(mine) < len(files)
        ours.append({**record, "code": {"files": mine}})
    found = stale_records(ours, package_files())
    for line in found:
        typer.echo(str(line))
    said = f"{len(found)} of {len(facts)} records were made by other code than today's."
    print(said + (f" {outside} use code outside {PACKAGE}, which was not checked." if outside else ""), file=sys.stderr)
