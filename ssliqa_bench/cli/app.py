"""The command line: parse, call one function, print. Every group of commands has a file of its own."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from ssliqa_bench.errors import SsliqaError

app = typer.Typer(
    name="ssliqa-bench",
    help="Benchmark and toolkit for semi-supervised blind image quality assessment.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from ssliqa_bench import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Benchmark and toolkit for semi-supervised blind image quality assessment."""


def _register() -> None:
    from ssliqa_bench.cli import catalogue, check, data, evaluate, leaderboard, run, splits, store

    for group in (run, leaderboard, catalogue, evaluate, data, splits, store, check):
        group.register(app)


_register()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 a run or check failed, 2 wrong usage or bad input.

    `--debug`, anywhere on the line, lets errors through with their traceback.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    if debug:
        words.remove("--debug")
        words.insert(0, "--debug")
    try:
        result = app(args=words, prog_name="ssliqa-bench", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except SsliqaError as error:
        if debug:
            raise
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    except typer.Abort:
        print("Stopped.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped. The same command continues from the last finished epoch.", file=sys.stderr)
        return 1
    except Exception as error:  # wrong usage: typer's exceptions know how to show themselves
        if debug or not hasattr(error, "show"):
            raise
        error.show()
        return int(getattr(error, "exit_code", 2))


def entry_point() -> None:
    """What the console script `ssliqa-bench` calls."""
    sys.exit(main())
