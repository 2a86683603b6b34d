"""`check method` and `check dataset`."""

from __future__ import annotations

from typing import Annotated

import typer

from ssliqa_bench.cli import options
from ssliqa_bench.cli.options import settings_of

check_app = typer.Typer(help="Conformance tests for contributors.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Attach the commands of this file."""
    app.add_typer(check_app, name="check")


@check_app.callback()
def _group() -> None:
    """Conformance tests for contributors."""


@check_app.command("method")
def method(
    name: Annotated[str, typer.Argument(metavar="METHOD", help="Name of a method.")],
    registry: options.Registries = None,
    device: options.Device = "auto",
    threads: options.Threads = 1,
    json: options.Json = False,
) -> int:
    """Check that a method keeps the rules: firewall, determinism, batches, resume, direction. Exit code 1 if not."""
    from dataclasses import asdict

    from ssliqa_bench.cli.output import print_json
    from ssliqa_bench.testing import check_method

    checks = check_method(name, registry or (), settings_of(device=device, threads=threads))
    failed = sum(not check.holds for check in checks)
    if json:
        print_json({"method": name, "checks": [asdict(check) for check in checks]})
    else:
        for check in checks:
            print(f"{'ok    ' if check.holds else 'FAILED'} {check.name}: {check.seen}")
        print(f"{name}: {len(checks) - failed} of {len(checks)} checks hold.")
    return 1 if failed else 0


@check_app.command("dataset")
def dataset(
    name: options.Dataset,
    against: options.Against = None,
    jobs: options.ImageJobs = None,
    max_pixels: options.MaxPixels = None,
    data_root: options.DataRoot = None,
    registry: options.Registries = None,
    json: options.Json = False,
) -> int:
    """Check a dataset on disk against its registry entry, as `data check`. Exit code 1 where a check fails."""
    from ssliqa_bench.cli.data import check as check_data

    return check_data(name, against, jobs, max_pixels, data_root, registry, json)
