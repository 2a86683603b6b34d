"""`data twins`: the copies in a dataset, and a registry file that keeps them together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ssliqa_bench.cli import options
from ssliqa_bench.cli.options import settings_of
from ssliqa_bench.errors import InputError

if TYPE_CHECKING:
    from ssliqa_bench.datasets.twins import Twins


def twins(
    name: options.Dataset,
    write: Annotated[
        Path | None,
        typer.Option(
            "--write",
            parser=options.output_file("--write"),
            metavar="FILE",
            help="Registry file to write, in which copies are one group.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace that file.")] = False,
    jobs: options.ImageJobs = None,
    data_root: options.DataRoot = None,
    registry: options.Registries = None,
    json: options.Json = False,
) -> int:
    """Find images that show the same picture: with equal pixels, or encoded again, resized, brightened.

    Exit code 1 where the registry entry of the dataset states other copies.
    """
    from dataclasses import asdict

    from ssliqa_bench.cli.output import print_json
    from ssliqa_bench.datasets.twins import find_twins, write_twins
    from ssliqa_bench.registry.load import load_registry
    from ssliqa_bench.runner.progress import counted

    settings = settings_of(data_root=data_root)
    known = load_registry(registry or ())
    entry = known.dataset(name)
    if write is not None and write.exists() and not force:
        raise InputError(f"{write}: is there already. Name another file, or replace it with --force.")
    with counted(f"{entry.name}: looking for copies") as progress:
        found = find_twins(
            entry,
            settings.data_root,
            settings.cache_root,
            load=known.load,
            processes=options.processes(jobs, 1),
            progress=progress,
        )
    if json:
        print_json(asdict(found))
    else:
        _print(found, stated=entry.copies is not None)
    if write is not None:
        sets = write_twins(found, entry, write)
        typer.echo(f"{write}: {sets:,} sets are written. Use it: --registry {write}", err=True)
    return 1 if found.problem else 0


def _print(found: Twins, *, stated: bool) -> None:
    for names in found.sets:
        print("  " + " = ".join(names))
    images = sum(map(len, found.sets))
    are = "picture is" if len(found.sets) == 1 else "pictures are"
    within = f"; {found.within:,} more within one group, which no split tears" if found.within else ""
    print(f"{found.dataset}: {len(found.sets):,} {are} in several groups, {images:,} of {found.images:,} "
          f"images (pairs with equal pixels: {found.equal_pixels:,}; with other pixels: {found.near:,}){within}.")
    if found.torn_pairs is not None:
        pairs = "pair" if found.torn_pairs == 1 else "pairs"
        print(f"{found.dataset}: its own split tears {found.torn_pairs:,} {pairs} of copies.")
    agrees = ", as the registry states" if stated and not found.problem else ""
    print(f"{found.dataset}: digest {found.digest} (search {found.version}){agrees}.")
    if found.problem:
        print(found.problem)
