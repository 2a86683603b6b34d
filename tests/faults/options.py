"""Bad values of the options that many commands share, for every command that has the option.

The commands and their options are taken from the command line itself, so that a new command is covered as soon as its
words stand in `GOOD`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.faults.catalogue import CASES, Case
from tests.faults.world import PLACES

_OWN = ("--labels", "labels.csv", "--images", "photos")
# The words of a call in which nothing is wrong.
GOOD: dict[str, tuple[str, ...]] = {
    "run": ("--method", "supervised", "--pair", "tiny-a", "--registry", "TINY", "--store", "new"),
    "test": ("RUN", "--on", "tiny-c", "--store", "STORE", "--registry", "TINY"),
    "sweep": ("demo", "--store", "new"),
    "leaderboard": ("--store", "STORE", "--out", "boards"),
    "compare": ("supervised", "ssiqa", "--store", "STORE"),
    "list": ("datasets",),
    "show": ("livec",),
    "evaluate": ("good.csv",),
    "score": ("--model", "pyiqa:piqe", "photos"),
    "label": ("--model", "niqe", "--out", "new", "photos"),
    "train": (*_OWN, "--out", "model"),
    "rate": ("photos", "--no-browser"),
    "label-budget": _OWN,
    "next-labels": (*_OWN, "--unlabeled", "photos", "--n", "4"),
    "submit": ("predictions.csv", "--name", "x", "--dataset", "tiny-a", "--registry", "TINY", "--store", "new"),
    "plot scatter": ("RUN", "--store", "STORE", "--out", "x.png"),
    "plot log": ("RUN", "--store", "STORE", "--out", "x.png"),
    "plot curve": ("--store", "STORE", "--out", "x.png"),
    "plot compare": ("--store", "STORE", "--out", "x.png"),
    "plot cam": ("RUN", "photos/00.png", "--store", "STORE", "--out", "x.png"),
    "data status": ("tiny-a", "--registry", "TINY"),
    "data check": ("tiny-a", "--registry", "TINY"),
    "data download": ("livec",),
    "data prepare": ("koka10k",),
    "data add": ("mine", *_OWN),
    "data twins": ("tiny-a", "--registry", "TINY", "--write", "new.yaml"),
    "data ratings": ("ratings.csv", "--write", "new.csv"),
    "splits export": ("standard", "tiny-a", "--registry", "TINY"),
    "splits hash": ("standard", "tiny-a", "--registry", "TINY"),
    "splits import": ("mine", "tiny-a", "--train", "labels.csv", "--registry", "TINY"),
    "store ls": ("--store", "STORE"),
    "store why": ("RUN", "--store", "STORE", "--registry", "TINY"),
    "store verify": ("--store", "STORE"),
    "store evaluate": ("--store", "STORE", "--registry", "TINY"),
    "store gc": ("--store", "STORE"),
    "store export": ("new", "--store", "STORE"),
    "store import": ("STORE", "--store", "new"),
    "check method": ("supervised",),
    "check dataset": ("tiny-a", "--registry", "TINY"),
}
_FILE = ("missing", "pipe", "long", "empty")
_NEW_FILE = ("folder", "dangling", "empty")
_NEW_FOLDER = ("file", "null", "empty")
_ANY = ("pipe", "below", "empty")
_AT = {
    "--registry": _FILE, "--labels": _FILE, "--list": _FILE, "--only": _FILE, "--train": _FILE, "--test": _FILE,
    "--validation": _FILE, "--data-root": _NEW_FOLDER, "--store": _NEW_FOLDER, "--with": _NEW_FOLDER,
    "--images": _NEW_FOLDER, "--unlabeled": _NEW_FOLDER, "--out": _ANY, "--write": _NEW_FILE, "--csv": _NEW_FILE,
    "--html": _NEW_FILE, "--registry-file": _NEW_FILE,
}  # fmt: skip
_VALUES = {
    "--jobs": ("0", "100000", "x"), "--threads": ("0", "100000", "x"), "--seed": ("-1", "x", "1e30"),
    "--seeds": ("0", "1000000000", "x"), "--max-pixels": ("0", "1e12"), "--device": ("abacus", "cuda:99"),
    "--scale": ("5,1", "nan,5"), "--direction": ("up", ""), "--columns": ("x", "image=", "score=nothing"),
    "--separator": (";;", "word"), "--ratings": ("median",), "--repeats": ("0", "x", "1000000000"),
    "--protocol": ("standart",), "--keep": ("everything",), "--allow-leak": (" ",), "--against": ("nowhere",),
    "--recipe": ("cheque",), "--budget": ("0", "nan", "1.5"), "--unlabeled-budget": ("0", "-1", "x"),
    "--dataset": ("nowhere",), "--method": ("superwised",), "--shard-size": ("0", "x"), "--bootstrap": ("-1", "1e12"),
    "--levels": ("1", "x"), "--port": ("-1", "70000"), "--target": ("2", "nan"), "--n": ("0", "x"),
}  # fmt: skip
# Options whose message names what was given; that of a number names the option.
_WORDS = ("--device", "--protocol", "--keep", "--against", "--recipe", "--dataset", "--method")
# The same word means something else there.
_OTHER = {("rate", "--labels"): _NEW_FILE, ("compare", "--images"): (), ("run", "--test"): ()}


def commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    """The words of every command, and the command."""
    from typer.main import get_command

    from ssliqa_bench.cli.app import command_line

    def below(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
        subcommands = getattr(command, "commands", None)
        if not subcommands:
            yield words, command
        for name, one in (subcommands or {}).items():
            yield from below(one, (*words, name))

    return below(get_command(command_line()), ())


def _cases() -> Iterator[Case]:
    for words, command in commands():
        good = GOOD.get(" ".join(words), ())
        for option in (name for parameter in command.params for name in parameter.opts):
            for place in _OTHER.get((" ".join(words), option), _AT.get(option, ())):
                path = PLACES[place]
                yield Case((*words, *_without(good, option), option, path), (path[:40] or "empty",))
            for value in _VALUES.get(option, ()):
                named = value if option in _WORDS and value else option
                yield Case((*words, *_without(good, option), option, value), (named,))


def _without(words: tuple[str, ...], option: str) -> tuple[str, ...]:
    """The words without an option and its value."""
    if option not in words:
        return words
    place = words.index(option)
    return (*words[:place], *words[place + 2 :])


_KNOWN = {case.words for case in CASES}
OPTIONS = [case for case in _cases() if case.words not in _KNOWN]
