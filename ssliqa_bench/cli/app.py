"""The command line: parse, call one function, print. Every group of commands has a file of its own."""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from ssliqa_bench.cli.process import (
    flushed,
    loading_shown,
    log_on_stderr,
    only_first_speaks,
    output_lost,
    same_environment,
    signs_of_life,
    text_streams,
    what_is_kept,
)
from ssliqa_bench.errors import SsliqaError
from ssliqa_bench.runner.launch import launched, let_first_report, refuse_several
from ssliqa_bench.stop import Stopped, stopping_on_signals
from ssliqa_bench.text import printable

# Modules of this package, the commands that they attach, and the first paragraph of the help of each: a command is
# built without those of the other modules, and the list of all without any. Groups come last, as typer lists them.
COMMANDS = {
    "run": {
        "run": "Train and evaluate one method on a pair, or return the stored result.",
        "test": "Evaluate a stored model on further datasets, without training.",
        "sweep": "Run one suite or several; finished runs are read from the store. Exits with 1 if a run fails.",
    },
    "leaderboard": {
        "leaderboard": "Write the leaderboards that follow from the records of a store: same records, same bytes.",
    },
    "compare": {
        "compare": "Compare the first RUN with each of the others: difference of SRCC with interval, by part, and "
                   "image by image.",
    },
    "catalogue": {
        "list": "List the datasets, methods, protocols, suites or backbones of the registry.",
        "show": "Show the registry entry of a name.",
    },
    "evaluate": {"evaluate": "Compute SRCC, KRCC, PLCC and RMSE with the mapping's status, and intervals."},
    "score": {"score": "Score images in the units and direction of the scores that a model learned from."},
    "label": {"label": "Label images in bulk: Parquet shards with image, prediction, spread and model."},
    "train": {
        "train": "Train a model on your own scores, with its expected accuracy and whether unlabeled images helped.",
    },
    "rate": {
        "rate": "Rate photographs from 1 (bad) to 5 (excellent) in the browser, one at a time, with the keys 1 to 5.",
    },
    "labels": {
        "label-budget": "Estimate how SRCC grows with the number of labels, and how many labels a target needs.",
        "next-labels": "Pick the photographs to score next: those on which models disagree and that are unlike any "
                       "scored so far.",
    },
    "submit": {
        "submit": "Check predictions made elsewhere against the test images of a protocol, and store them as a record.",
    },
    "plot": {"plot": "Draw records: PNG, SVG or PDF, by the suffix of --out."},
    "data": {"data": "Datasets on disk: status, checks, downloads, preparation, your own."},
    "splits": {"splits": "Lists of training and test images."},
    "store": {"store": "List, verify, clean up, export and import records."},
    "check": {"check": "Conformance tests for contributors."},
}  # fmt: skip
_HELP = ("-h", "--help")

# Errors of the system that a path on the command line causes; others are failures of the machine.
_OF_PATHS = (errno.ENOENT, errno.EACCES, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL)


def _print_version(wanted: bool) -> None:
    if wanted:
        from ssliqa_bench import __version__

        typer.echo(__version__)
        raise typer.Exit


def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Benchmark and toolkit for semi-supervised blind image quality assessment."""


def command_line(words: Sequence[str] | None = None) -> typer.Typer:
    """The command line with the commands of one module, that of the command in `words`, or with all.

    Args:
        words: as they are on the line; where they name no command, each one has its line of help and nothing else.
            None imports every module.
    """
    app = typer.Typer(
        name="ssliqa-bench",
        help="Benchmark and toolkit for semi-supervised blind image quality assessment.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": [*_HELP]},
    )
    app.callback()(_options)
    first = next((word for word in words or () if word != "--debug"), "")
    asked = [module for module, commands in COMMANDS.items() if first in commands]
    lines = {name: text for commands in COMMANDS.values() for name, text in commands.items()}
    if words is None or asked or lines.keys() & {*words}:
        for module in asked or COMMANDS:
            import_module(f"ssliqa_bench.cli.{module}").register(app)
        return app
    for name, text in lines.items():
        app.command(name, help=text)(_listed)
    return app


def _listed() -> None:
    """What represents a command in the list of all commands."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    0 done, 1 a run or check failed, 2 wrong usage or bad input, 130, 143 or 129 stopped by Ctrl-C, SIGTERM or SIGHUP.
    Whatever goes wrong is one message on stderr; `--debug`, anywhere on the line, lets it through with its traceback.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    if debug:
        words.remove("--debug")
        words.insert(0, "--debug")
    without_stdout = sys.stdout is None
    command = _command_of(words) or "ssliqa-bench"
    with (
        only_first_speaks(debug),
        text_streams(),
        log_on_stderr(),
        same_environment(),
        signs_of_life(command),
        loading_shown(),
    ):
        try:
            with stopping_on_signals():
                code = flushed(_called(words, debug))
                if code:
                    let_first_report()
        except Stopped as stop:
            return _stopped(stop, words)
        if without_stdout and code == 0:
            _say("Error: standard output is closed; what was to be printed is lost.")
            return 1
        return code


def _command_of(words: Sequence[str]) -> str:
    """The first word that is no option; "" without one."""
    return next((word for word in words if not word.startswith("-")), "")


def _called(words: Sequence[str], debug: bool) -> int:
    """The exit code of a command; errors are printed."""
    try:
        refuse_several(launched(), _command_of(words))
        result = _command(words)(args=list(words), prog_name="ssliqa-bench", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except SsliqaError as error:
        if debug:
            raise
        _say(f"Error: {error}")
        return error.exit_code
    except typer.Abort:
        _say("Stopped.")
        return 1
    except KeyboardInterrupt:
        raise Stopped(signal.SIGINT) from None
    except SystemExit as end:
        if end.code in (0, None) and _completes(words):
            return 0
        if end.code in (0, None):  # nothing of ours ends so: a method or a library did, before its work was done
            _say(f"Error: sys.exit({end.code}) was called by {_place(end)} before the command was finished.")
            return 1
        return end.code if isinstance(end.code, int) else 1
    except Stopped:
        raise
    except (Exception, GeneratorExit) as error:  # a class of a user may raise either
        if debug:
            raise
        return _failed(error)


def _completes(words: Sequence[str]) -> bool:
    """Whether a shell asks what can follow, or for its script that does: typer then ends the process itself."""
    options = ("--install-completion", "--show-completion")
    return "_SSLIQA_BENCH_COMPLETE" in os.environ or any(word.startswith(options) for word in words)


def _failed(error: BaseException) -> int:
    """Print an error that is not one of the package's own, and return its exit code."""
    if hasattr(error, "format_message"):  # wrong usage, as typer reports it
        context, message = getattr(error, "ctx", None), error.format_message()
        if message and context is not None:
            _say(f"{context.get_usage()}\n'{context.command_path} --help' shows all options.")
        if message:  # none where the help was printed because nothing was given
            _say(f"Error: {message}")
        return int(getattr(error, "exit_code", 2))
    if isinstance(error, OSError) and error.filename is None and error.errno in (errno.EPIPE, errno.ENOSPC, errno.EIO):
        return output_lost(error)
    if isinstance(error, OSError) and error.filename is not None:
        _say(f"Error: {error.filename}: {error.strerror}.")
        return 2 if error.errno in _OF_PATHS else 1
    if isinstance(error, MemoryError):
        _say("Error: not enough memory. Fewer --jobs need less.")
        return 1
    pools = sys.modules.get("concurrent.futures.process")
    if pools is not None and isinstance(error, pools.BrokenProcessPool):
        _say("Error: a process that shared the work died (killed, or out of memory). Run the same command again, with "
             "fewer --jobs where memory is short.")  # fmt: skip
        return 1
    _say(
        f"Error: unexpected {type(error).__name__}: {error} ({_place(error)}). This is a fault of a method or of "
        f"ssliqa-bench; --debug shows where."
    )
    return 1


def _place(error: BaseException) -> str:
    """File and line at which an error was raised."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(place.filename).name}:{place.lineno}"


def _stopped(stop: Stopped, words: Sequence[str]) -> int:
    _say(f"Stopped ({stop}). {what_is_kept(words)}")
    return stop.exit_code


def _command(words: Sequence[str]) -> Any:
    """The commands as click knows them, in whose help texts brackets are printed as written."""
    from typer.main import get_command

    completes = "_SSLIQA_BENCH_COMPLETE" in os.environ
    command = get_command(command_line(None if completes else words))
    # A help text is printed on request, and where a group is given nothing else.
    if completes or len([word for word in words if word != "--debug"]) <= 1 or {*_HELP} & {*words}:
        _escape_markup(command)
    return command


def _escape_markup(command: Any) -> None:
    from rich.markup import escape

    for thing in (command, *command.params):
        for name in ("help", "short_help", "epilog"):
            text = getattr(thing, name, None)
            if text:
                setattr(thing, name, escape(text))
    for below in getattr(command, "commands", {}).values():
        _escape_markup(below)


def _say(text: str) -> None:
    print(printable(text), file=sys.stderr)
