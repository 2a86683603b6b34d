"""Bad inputs over all commands: what is typed, the exit code, and what the message must name.

In the words `RUN` is the key of a stored record, `STORE` its store and `TINY` the registry file of the tiny datasets.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.faults.world import FORGED, PLACES


@dataclass(frozen=True)
class Case:
    """One input; `content` is written to the file `input` first."""

    words: tuple[str, ...]
    names: tuple[str, ...]
    code: int = 2
    content: str | bytes | None = None

    def __str__(self) -> str:
        shown = " ".join(word if len(word) < 40 else f"{word[:12]}-and-so-on" for word in self.words)
        return shown if self.content is None else f"{shown} {self.content[:30]!r}"


_NO_FILE = ("missing", "folder", "pipe", "zero", "null", "long", "deep", "dangling", "circle", "below", "empty")
_NO_FOLDER = ("missing", "file", "pipe", "null", "long", "dangling", "circle", "below", "empty")
_NO_NEW_FILE = ("folder", "pipe", "null", "long", "dangling", "circle", "below", "empty")
_NO_NEW_FOLDER = ("file", "pipe", "null", "long", "dangling", "circle", "below", "empty")
_RUN = ("run", "--method", "supervised", "--pair", "tiny-a", "--registry", "TINY")
_ADD = ("data", "add", "mine")
_TRAIN = ("train", "--out", "model")
_PHOTOS = ("--images", "photos", "--unlabeled", "photos")
_WHERE = ("--store", "new")

_FILES: dict[str, tuple[str, ...]] = {
    "": ("evaluate", "AT"),
    "--registry": ("list", "datasets", "--registry", "AT"),
    "--labels": (*_ADD, "--labels", "AT", "--images", "photos"),
    "file": ("splits", "import", "mine", "tiny-a", "AT", "--registry", "TINY"),
    "--train": ("splits", "import", "mine", "tiny-a", "--train", "AT", "--registry", "TINY"),
    "--test": ("splits", "import", "mine", "tiny-a", "--train", "file.txt", "--test", "AT", "--registry", "TINY"),
    "table": ("data", "ratings", "AT", "--write", "new.csv"),
    "suite": ("sweep", "AT"),
    "label --list": ("label", "--model", "niqe", "--out", "new", "--list", "AT"),
    "submit": ("submit", "AT", "--name", "x", "--dataset", "tiny-a", "--registry", "TINY", *_WHERE),
    "train --labels": (*_TRAIN, "--labels", "AT", "--images", "photos"),
    "label-budget --labels": ("label-budget", "--labels", "AT", "--images", "photos"),
    "next-labels --labels": ("next-labels", "--labels", "AT", *_PHOTOS),
    "rate --only": ("rate", "photos", "--no-browser", "--only", "AT"),
    "score": ("score", "--model", "pyiqa:piqe", "AT"),
    "score --list": ("score", "--model", "pyiqa:piqe", "--list", "AT"),
}
_FOLDERS: dict[str, tuple[str, ...]] = {
    "--images": (*_ADD, "--labels", "labels.csv", "--images", "AT"),
    "--unlabeled": (*_ADD, "--unlabeled", "AT"),
    "store ls": ("store", "ls", "--store", "AT"),
    "store why": ("store", "why", "RUN", "--store", "AT"),
    "store verify": ("store", "verify", "--store", "AT"),
    "store gc": ("store", "gc", "--store", "AT"),
    "store evaluate": ("store", "evaluate", "--store", "AT"),
    "leaderboard": ("leaderboard", "--store", "AT", "--out", "boards"),
    "leaderboard --with": ("leaderboard", "--store", "STORE", "--with", "AT", "--out", "boards"),
    "test": ("test", "RUN", "--on", "tiny-c", "--store", "AT"),
    "store import": ("store", "import", "AT", *_WHERE),
    "leaderboard --published": ("leaderboard", "--store", "AT", "--out", "boards", "--published"),
    "leaderboard html": ("leaderboard", "--store", "AT", "--out", "boards", "--format", "html"),
    "compare --store": ("compare", "supervised", "ssiqa", "--store", "AT"),
    "evaluate --store": ("evaluate", "RUN", "--store", "AT"),
    "plot --store": ("plot", "scatter", "RUN", "--out", "x.png", "--store", "AT"),
    "score --model": ("score", "photos", "--model", "AT"),
    "train --images": (*_TRAIN, "--labels", "labels.csv", "--images", "AT"),
    "train --unlabeled": (*_TRAIN, "--labels", "labels.csv", "--images", "photos", "--unlabeled", "AT"),
    "label-budget --images": ("label-budget", "--labels", "labels.csv", "--images", "AT"),
    "next-labels --unlabeled": ("next-labels", "--labels", "labels.csv", "--images", "photos", "--unlabeled", "AT"),
    "rate": ("rate", "AT", "--no-browser"),
}
_NEW_FILES: dict[str, tuple[str, ...]] = {
    "--out": ("splits", "export", "standard", "tiny-a", "--registry", "TINY", "--out", "AT"),
    "--write": ("data", "ratings", "ratings.csv", "--write", "AT"),
    "twins --write": ("data", "twins", "tiny-a", "--registry", "TINY", "--write", "AT"),
    "--registry-file": (*_ADD, "--labels", "labels.csv", "--images", "photos", "--registry-file", "AT"),
    "test --write": ("test", "RUN", "--on", "tiny-c", "--store", "STORE", "--registry", "TINY", "--write", "AT"),
    "evaluate --write": ("evaluate", "RUN", "--store", "STORE", "--write", "AT"),
    "score --csv": ("score", "--model", "pyiqa:piqe", "photos", "--csv", "AT"),
    "score --html": ("score", "--model", "pyiqa:piqe", "photos", "--html", "AT"),
    "next-labels --out": ("next-labels", "--labels", "labels.csv", *_PHOTOS, "--out", "AT"),
    "rate --labels": ("rate", "photos", "--no-browser", "--labels", "AT"),
    "plot --out": ("plot", "scatter", "RUN", "--store", "STORE", "--out", "AT"),
}
_NEW_FOLDERS: dict[str, tuple[str, ...]] = {
    "run --store": (*_RUN, "--store", "AT"),
    "run --data-root": (*_RUN, "--store", "new", "--data-root", "AT"),
    "leaderboard --out": ("leaderboard", "--store", "STORE", "--out", "AT"),
    "store export": ("store", "export", "AT", "--store", "STORE"),
    "label --out": ("label", "photos", "--model", "niqe", "--out", "AT"),
    "leaderboard --out html": ("leaderboard", "--store", "STORE", "--format", "html", "--out", "AT"),
    "leaderboard --out published": ("leaderboard", "--store", "STORE", "--published", "--out", "AT"),
    "store import --store": ("store", "import", "STORE", "--store", "AT"),
    "submit --store": ("submit", "good.csv", "--name", "x", "--dataset", "tiny-a", "--store", "AT"),
    "train --out": ("train", "--labels", "labels.csv", "--images", "photos", "--out", "AT"),
}


def _at(words: tuple[str, ...], place: str) -> Case:
    path = PLACES[place]
    if path == "" and words[0] == "sweep":  # a suite may be a name
        return Case((*words[:-1], ""), ('suite ""',))
    return Case(tuple(path if word == "AT" else word for word in words), (path[:40] or "is empty",))


PATHS = [
    _at(words, place)
    for table, places in ((_FILES, _NO_FILE), (_FOLDERS, _NO_FOLDER), (_NEW_FILES, _NO_NEW_FILE),
                          (_NEW_FOLDERS, _NO_NEW_FOLDER))
    for words in table.values()
    for place in places
]  # fmt: skip

_EVALUATE = ("evaluate", "good.csv")
_COMPARE = ("compare", "supervised", "ssiqa", "--store", "STORE")
_SUBMIT = ("submit", "predictions.csv", "--name", "x", "--dataset", "tiny-a", "--registry", "TINY", *_WHERE)
_SCORE = ("score", "--model", "pyiqa:piqe", "photos")
_SCORED_TRAIN = (*_TRAIN, "--labels", "labels.csv", "--images", "photos")
_BUDGET = ("label-budget", "--labels", "labels.csv", "--images", "photos")
_NEXT = ("next-labels", "--labels", "labels.csv", *_PHOTOS)
NUMBERS = [
    Case((*words, option, value), (option,))
    for words, option, values in (
        ((*_RUN, *_WHERE), "--seeds", ("0", "-1", "1000000000", "ten", "1.5", "")),
        ((*_RUN, *_WHERE), "--seed", ("-1", "99999999999999999999999", "x", "0.5")),
        ((*_RUN, *_WHERE), "--threads", ("0", "-3", "100000", "many")),
        ((*_RUN, *_WHERE), "--jobs", ("0", "-3", "100000", "many")),
        ((*_RUN, *_WHERE), "--max-pixels", ("0", "-1", "1000000000000000", "x")),
        ((*_RUN, *_WHERE), "--budget", ("0", "-5", "0.0", "1.5", "nan", "inf", "1e999", "half", "", "0x10")),
        ((*_RUN, *_WHERE), "--unlabeled-budget", ("0", "-5", "2.0", "nan", "all")),
        (_EVALUATE, "--bootstrap", ("-1", "1000000000000", "many", "0.5")),
        (_EVALUATE, "--seed", ("-1", "99999999999999999999999")),
        (_EVALUATE, "--separator", (";;", "word")),
        (("splits", "hash", "standard", "tiny-a", "--registry", "TINY"), "--seeds", ("0", "1000000000")),
        (("splits", "export", "standard", "tiny-a", "--registry", "TINY"), "--seed", ("-1", "x")),
        (("data", "ratings", "ratings.csv", "--write", "new.csv"), "--levels", ("1", "-5", "x")),
        (("data", "check", "tiny-a", "--registry", "TINY"), "--jobs", ("0", "99999")),
        ((*_ADD, "--labels", "labels.csv", "--images", "photos"), "--scale",
         ("5,1", "1", "1,2,3", "a,b", "nan,5", "1,inf", "3,3", "")),
        (("sweep", "demo", *_WHERE), "--jobs", ("0", "-1", "100000")),
        (("label", "photos", "--model", "niqe", "--out", "new"), "--shard-size", ("0", "-1", "x")),
        (("sweep", "demo", *_WHERE), "--seeds", ("0", "1000000000")),
        (("sweep", "demo", *_WHERE, "--engine", "ray"), "--gpu-share", ("0", "-1", "x")),
        (("sweep", "demo", *_WHERE, "--engine", "ray"), "--task-memory", ("0", "-1", "much")),
        (_COMPARE, "--images", ("-1", "1000000000", "few")),
        (_SUBMIT, "--seed", ("-1", "x")),
        (_SUBMIT, "--seeds", ("0", "1000000000")),
        (_SUBMIT, "--separator", (";;",)),
        (_SCORE, "--jobs", ("0", "99999")),
        (_SCORE, "--threads", ("0", "x")),
        (_SCORE, "--max-pixels", ("0", "x")),
        (_SCORED_TRAIN, "--repeats", ("0", "1000000000")),
        (_SCORED_TRAIN, "--seed", ("-1", "x")),
        (_SCORED_TRAIN, "--scale", ("5,1", "a,b", "nan,5")),
        (_SCORED_TRAIN, "--unlabeled-budget", ("0", "-1", "x")),
        (_BUDGET, "--target", ("2", "-1", "nan", "inf", "high")),
        (_BUDGET, "--repeats", ("0", "1000000000")),
        (_NEXT, "--n", ("0", "-5", "1e9", "many")),
        (("rate", "photos", "--no-browser"), "--port", ("-1", "70000", "http")),
    )
    for value in values
]  # fmt: skip

_PLAIN = ("run", "--registry", "TINY", *_WHERE)
WORDS = [
    Case((*_PLAIN, "--method", "superwised", "--pair", "tiny-a"), ("superwised", "supervised")),
    Case((*_PLAIN, "--method", "", "--pair", "tiny-a"), ("method",)),
    Case((*_PLAIN, "--method", "pyiqa", "--pair", "tiny-a"), ("pyiqa",)),
    Case((*_PLAIN, "--method", "pyiqa:", "--pair", "tiny-a"), ("pyiqa",)),
    Case((*_PLAIN, "--method", "pyiqa:nothing", "--pair", "tiny-a"), ("nothing",)),
    Case((*_PLAIN, "--method", "supervised", "--pair", "tiny-z"), ("tiny-z",)),
    Case((*_PLAIN, "--method", "supervised", "--pair", ""), ("Pair",)),
    Case((*_PLAIN, "--method", "supervised", "--pair", ":"), ("Pair",)),
    Case((*_PLAIN, "--method", "supervised", "--pair", "tiny-a:"), ("Pair",)),
    Case((*_PLAIN, "--method", "supervised", "--pair", "tiny-a:tiny-b:tiny-c"), ("tiny-a:tiny-b:tiny-c",)),
    Case((*_PLAIN, "--method", "supervised", "--pair", "livec", "--recipe", "check"), ("livec", "data")),
    Case((*_PLAIN, "--method", "ssiqa", "--pair", "tiny-a"), ("A:B",)),
    Case((*_RUN, *_WHERE, "--protocol", "standart"), ("standart", "standard")),
    Case((*_RUN, *_WHERE, "--recipe", "cheque"), ("cheque", "show supervised")),
    Case((*_RUN, *_WHERE, "--keep", "everything"), ("--keep", "everything")),
    Case((*_RUN, *_WHERE, "--device", "abacus"), ("abacus",)),
    Case((*_RUN, *_WHERE, "--device", "cuda:99"), ("cuda:99",)),
    Case((*_RUN, *_WHERE, "--test", "nowhere"), ("nowhere",)),
    Case((*_RUN, *_WHERE, "--allow-leak", " "), ("--allow-leak",)),
    Case((*_RUN, *_WHERE, "--seed", "1", "--seeds", "2"), ("--seed", "--seeds")),
    Case(("sweep", "demo", *_WHERE, "--engine", "cloud"), ("--engine", "cloud", "local or ray")),
    Case(("sweep", "demo", *_WHERE, "--address", "auto"), ("--address", "--engine ray")),
    Case(("sweep", "demo", *_WHERE, "--engine", "ray", "--jobs", "2"), ("--jobs", "--engine local")),
    Case((*_RUN, *_WHERE, "--set", "epochs"), ("epochs",)),
    Case((*_RUN, *_WHERE, "--set", "=3"), ("=3",)),
    Case((*_RUN, *_WHERE, "--set", "epoch=3"), ("epoch", "epochs")),
    Case((*_RUN, *_WHERE, "--set", "epochs=-3"), ("epochs", "-3")),
    Case((*_RUN, *_WHERE, "--set", "epochs=many"), ("epochs", "many")),
    Case((*_RUN, *_WHERE, "--set", "epochs=[1"), ("epochs",)),
    Case((*_RUN, *_WHERE, "--set", "lr=nan"), ("lr",)),
    Case((*_RUN, *_WHERE, "--set", "lr=.inf"), ("lr",)),
    Case((*_RUN, *_WHERE, "--set", "backbone=resnet999"), ("resnet999",)),
    Case((*_RUN, *_WHERE, "--set", "backbone=timm:no_such_net"), ("no_such_net",)),
    Case((*_RUN, *_WHERE, "--set", "weights_file=nothing.pth"), ("nothing.pth",)),
    Case((*_RUN, *_WHERE, "--set", "weights_file=folder"), ("folder",)),
    Case((*_RUN, *_WHERE, "--set", "weights_file=pipe"), ("pipe",)),
    Case((*_RUN, *_WHERE, "--no-such-option"), ("--no-such-option",)),
    Case(("run",), ("--method",)),
    Case(("rum",), ("rum", "run")),
    Case(("store", "lst"), ("lst",)),
    Case(("list", "things"), ("things",)),
    Case(("list",), ("kind",)),
    Case(("show", "nothing-of-that-name"), ("nothing-of-that-name",)),
    Case(("show", ""), ('""',)),
    Case(("sweep", "demoo", *_WHERE), ("demoo",)),
    Case(("sweep", "demo", *_WHERE, "--engine", "steam"), ("--engine", "steam")),
    Case(("store", "why", "ffff", "--store", "STORE"), ("ffff",)),
    Case(("store", "why", "", "--store", "STORE"), ("key",)),
    Case(("store", "why", "zz", "--store", "STORE"), ("zz",)),
    Case(("store", "why", "../..", "--store", "STORE"), ("../..",)),
    Case(("store", "export", "STORE", "--store", "STORE"), ("itself",)),
    Case(("store", "export", "new", "ffff", "--store", "STORE"), ("ffff",)),
    Case(("store", "gc", "--store", "STORE", "--keep", "some"), ("--keep", "some")),
    Case(("store", "gc", "--store", "folder"), ("folder",)),
    Case(("store", "evaluate", "ffff", "--store", "STORE"), ("ffff",)),
    Case(("test", "ffff", "--on", "tiny-c", "--store", "STORE"), ("ffff",)),
    Case(("test", "RUN", "--on", "", "--store", "STORE"), ("--on",)),
    Case(("test", "RUN", "--on", "tiny-z", "--store", "STORE", "--registry", "TINY"), ("tiny-z",)),
    Case(("test", "RUN", "--on", "photos", "--store", "STORE", "--registry", "TINY"), ("photos", "data add")),
    Case(("leaderboard", "--store", "STORE", "--out", "boards", "--format", "pdf"), ("pdf",)),
    Case(("leaderboard", "--store", "STORE", "--out", "boards", "--format", ""), ("--format",)),
    Case(("leaderboard", "--store", "folder", "--out", "boards"), ("folder",)),
    Case((*_EVALUATE, "--mapping", "logistic9"), ("logistic9",)),
    Case((*_EVALUATE, "--metric", "loudness"), ("loudness",)),
    Case((*_EVALUATE, "--group", "photo"), ("photo",)),
    Case(("data", "status", "nowhere"), ("nowhere",)),
    Case(("data", "check", "nowhere"), ("nowhere",)),
    Case(("data", "check", "tiny-a", "--registry", "TINY", "--against", "nowhere"), ("nowhere",)),
    Case(("data", "download", "nowhere"), ("nowhere",)),
    Case(("data", "prepare", "nowhere"), ("nowhere",)),
    Case(("data", "prepare", "livec"), ("livec",)),
    Case(("data", "prepare", "tiny-a", "--registry", "TINY", "--distort"), ("--distort", "kadis")),
    Case(("data", "twins", "nowhere"), ("nowhere",)),
    Case(_ADD, ("--labels", "--unlabeled")),
    Case((*_ADD, "--labels", "labels.csv"), ("--images",)),
    Case(("data", "add", "A B", "--labels", "labels.csv", "--images", "photos"), ("A B",)),
    Case(("data", "add", "livec", "--labels", "labels.csv", "--images", "photos"), ("livec",)),
    Case(("data", "add", "../up", "--labels", "labels.csv", "--images", "photos"), ("../up",)),
    Case((*_ADD, "--labels", "labels.csv", "--images", "folder"), ("folder",)),
    Case((*_ADD, "--unlabeled", "folder"), ("folder",)),
    Case((*_ADD, "--labels", "labels.csv", "--images", "photos", "--direction", "up"), ("--direction", "up")),
    Case((*_ADD, "--labels", "labels.csv", "--images", "photos", "--columns", "image"), ("--columns",)),
    Case((*_ADD, "--labels", "labels.csv", "--images", "photos", "--columns", "image=file"), ("file",)),
    Case((*_ADD, "--labels", "labels.csv", "--images", "photos", "--ratings", "median"), ("median",)),
    Case(("data", "ratings", "ratings.csv", "--write", "new.csv", "--model", "median"), ("median",)),
    Case(("data", "ratings", "labels.csv", "--write", "new.csv"), ("rater",)),
    Case(("splits", "export", "standart", "tiny-a", "--registry", "TINY"), ("standart",)),
    Case(("splits", "export", "standard", "tiny-z", "--registry", "TINY"), ("tiny-z",)),
    Case(("splits", "hash", "standard", ":", "--registry", "TINY"), ("Pair",)),
    Case(("splits", "import", "standard", "tiny-a", "labels.csv", "--registry", "TINY"), ("standard",)),
    Case(("splits", "import", "mine", "tiny-a", "--registry", "TINY"), ("--train",)),
    Case(("splits", "import", "mine", "tiny-a", "labels.csv", "--registry", "TINY"), ("labels.csv",)),
    Case(("check", "method", "superwised"), ("superwised",)),
    Case(("check", "dataset", "nowhere"), ("nowhere",)),
    Case(("compare",), ("RUN",)),
    Case(("compare", "supervised", "--store", "STORE"), ("two", "supervised")),
    Case(("compare", "supervised", "superwised", "--store", "STORE"), ("superwised", "Did you mean supervised")),
    Case(("compare", "supervised", "ffff", "--store", "STORE"), ("ffff",)),
    Case(("compare", "", "", "--store", "STORE"), ('""',)),
    Case(("compare", "good.csv", "good.csv"), ("good.csv", "image")),
    Case(("compare", "labels.csv", "labels.csv"), ("labels.csv", "prediction")),
    Case(("compare", "good.csv", "supervised", "--store", "STORE"), ("good.csv", "two files")),
    Case(("compare", "absent.csv", "other.csv"), ("absent.csv", "no such file")),
    Case(("compare", "folder", "folder"), ("folder",)),
    Case(("compare", "pipe", "pipe"), ("pipe",)),
    Case(("submit", "predictions.csv", "--dataset", "tiny-a"), ("--name",)),
    Case(("submit", "predictions.csv", "--name", "x"), ("--dataset",)),
    Case((*_SUBMIT, "--name", ""), ("--name",)),
    Case((*_SUBMIT, "--name", "supervised"), ("supervised",)),
    Case((*_SUBMIT, "--dataset", "nowhere"), ("nowhere",)),
    Case((*_SUBMIT, "--protocol", "standart"), ("standart", "standard")),
    Case((*_SUBMIT, "--trained-on", "nowhere"), ("nowhere",)),
    Case((*_SUBMIT, "--seed", "1", "--seeds", "2"), ("--seed", "--seeds")),
    Case(("plot", "pie", "RUN"), ("pie",)),
    Case(("plot", "scatter", "RUN", "--store", "STORE"), ("--out",)),
    Case(("plot", "scatter", "RUN", "--store", "STORE", "--out", "x.gif"), (".gif", ".png")),
    Case(("plot", "scatter", "RUN", "--store", "STORE", "--out", "x"), ("suffix", ".svg")),
    Case(("plot", "scatter", "ffff", "--store", "STORE", "--out", "x.png"), ("ffff",)),
    Case(("plot", "log", "ffff", "--store", "STORE", "--out", "x.png"), ("ffff",)),
    Case(("plot", "compare", "--store", "STORE", "--out", "x.png"), ("datasets",)),
    Case(("plot", "curve", "--store", "folder", "--out", "x.png"), ("folder",)),
    Case(("store", "import", "STORE", "--store", "STORE"), ("itself",)),
    Case(("store", "import", "folder", *_WHERE), ("folder",)),
    Case(("store", "import", "STORE", "ffff", *_WHERE), ("ffff",)),
    Case(("store", "import", "nothing://x/y", *_WHERE), ("nothing",)),
    Case(("store", "export", "new", "--store", "folder"), ("folder",)),
    Case(("score", "photos"), ("--model",)),
    Case(("score", "--model", "pyiqa:piqe"), ("IMAGES",)),
    Case(("score", "--model", "superwised", "photos"), ("superwised", "Did you mean supervised")),
    Case(("score", "--model", "supervised", "photos"), ("supervised", "train")),
    Case(("score", "--model", "ffff", "photos", "--store", "STORE"), ("ffff",)),
    Case(("score", "--model", "pyiqa:nothing", "photos"), ("nothing",)),
    Case(("score", "--model", "pyiqa:psnr", "photos"), ("pyiqa:psnr", "references")),
    Case(("score", "--model", "photos", "photos"), ("photos", "config.json")),
    Case((*_SCORE, "--model", "pyiqa:piqe"), ("pyiqa:piqe", "twice")),
    Case((*_SCORE, "--csv", "labels.csv"), ("labels.csv",)),
    Case((*_SCORE, "--device", "abacus"), ("--device", "abacus")),
    Case(("score", "--model", "pyiqa:piqe", "folder"), ("folder", "no image")),
    Case(("score", "--model", "pyiqa:piqe", "none-*.png"), ("none-*.png",)),
    Case(("score", "--model", "pyiqa:piqe", "@nothing-here"), ("nothing-here",)),
    Case(("train", "--labels", "labels.csv", "--images", "photos"), ("--out",)),
    Case((*_SCORED_TRAIN, "--method", "superwised"), ("superwised", "supervised")),
    Case((*_SCORED_TRAIN, "--recipe", "cheque"), ("cheque",)),
    Case((*_SCORED_TRAIN, "--set", "nothing=3"), ("--set", "--method")),
    Case((*_SCORED_TRAIN, "--direction", "up"), ("--direction", "up")),
    Case((*_SCORED_TRAIN, "--columns", "x"), ("--columns", "x")),
    Case((*_SCORED_TRAIN, "--device", "abacus"), ("--device", "abacus")),
    Case((*_TRAIN, "--labels", "good.csv", "--images", "photos"), ("good.csv", "image")),
    Case(("train", "--labels", "labels.csv", "--images", "photos", "--out", "photos"), ("photos", "not empty")),
    Case((*_SCORED_TRAIN, "--jobs", "1", "--unlabeled", "photos"), ("photos", "score")),
    Case((*_BUDGET, "--method", "superwised"), ("superwised", "supervised")),
    Case((*_NEXT, "--method", "superwised"), ("superwised", "supervised")),
    Case((*_NEXT[:-1], "folder", "--jobs", "1"), ("folder",)),
    Case(("rate", "folder", "--no-browser"), ("folder", "image")),
    Case(("rate", "photos", "--no-browser", "--rater", ""), ("--rater",)),
    Case(("rate", "photos", "--no-browser", "--labels", "labels.csv"), ("labels.csv", "overwritten")),
    Case(("rate", "photos", "--no-browser", "--only", "good.csv"), ("good.csv", "image")),
    Case(("leaderboard", "--store", "STORE", "--out", "boards", "--published", "--few-labels"),
         ("--published", "--few-labels")),
    Case(("leaderboard", "--store", "STORE", "--out", "boards", "--published", "--format", "pdf"), ("pdf",)),
    Case(("leaderboard", "--store", "STORE", "--out", "boards", "--published", "--check"), ("boards",), code=1),
    Case(("leaderboard", "--store", "STORE", "--out", "boards", "--format", "html", "--check"), ("boards",), code=1),
    Case(("evaluate", "ffff", "--store", "STORE"), ("ffff",)),
    Case(("evaluate", "RUN", "--store", "STORE", "--group", "photo"), ("photo",)),
    Case((*_EVALUATE, "--write", "x.csv"), ("--write", "good.csv")),
]

_H = "score,prediction\n"
TABLES = [
    Case(("evaluate", "input.csv"), names, content=content)
    for content, names in (
        ("", ("input.csv",)),
        ("\n\n", ("input.csv",)),
        (_H, ("input.csv",)),
        (_H + "1,2\n", ("input.csv",)),
        ("score\n1\n2\n", ("prediction",)),
        ("a,b\n1,2\n", ("score",)),
        ("score,score\n1,2\n2,3\n", ("score",)),
        (_H + "1,2\n3\n", ("input.csv:3",)),
        (_H + "1,2\n3,4,5\n", ("input.csv:3",)),
        (_H + '1,2\n"3,4\n5,6\n', ("input.csv:3", "quote")),
        (_H + '1,2\n3,"4\n"\n5,6\n', ("input.csv:3", "quote")),
        (_H + "1,2\nx,4\n5,6\n", ("input.csv:3", "x")),
        (_H + "1,2\n,4\n5,6\n", ("input.csv:3",)),
        (_H + "1,2\nnan,4\n5,6\n", ("input.csv:3",)),
        (_H + "1,2\n3,inf\n5,6\n", ("input.csv:3",)),
        (_H + "1,2\n3,1e999\n5,6\n", ("input.csv:3",)),
        (_H + "1,2\n3,0x10\n5,6\n", ("input.csv:3",)),
        (_H + "1,2\n3,1_000\n5,6\n", ("input.csv:3",)),
        ((_H + "1,2\n").encode() + b"\xff\xfe3,4\n", ("input.csv",)),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), ("input.csv",)),
        (b"PK\x03\x04" + bytes(40), ("input.csv",)),
        (b"PAR1" + bytes(40) + b"PAR1", ("input.csv",)),
        (b"\x00" * 100, ("input.csv",)),
        ("[1, 2", ("input.csv",)),
        ('{"score": 1}', ("input.csv",)),
        ("[" * 100_000, ("input.csv",)),
    )
]
LABELS = [
    Case((*_ADD, "--labels", "input.csv", "--images", "photos", "--jobs", "1"), names, content=content)
    for content, names in (
        ("", ("input.csv",)),
        ("image,score\n", ("input.csv",)),
        ("file,mos\n00.png,1\n01.png,2\n", ("image", "--columns")),
        ("image,score\n00.png,1\n00.png,2\n", ("2 ratings of 1 image,", "every score is 1.5")),
        ("image,score\n00.png,1\nnope.png,2\n", ("nope.png",)),
        ("image,score\n00.png,1\n../photos/01.png,2\n", ("../photos/01.png",)),
        ("image,score\n00.png,1\n/etc/passwd,2\n", ("/etc/passwd",)),
        ("image,score\n00.png,1\n01.png,good\n", ("good",)),
        ("image,score\n00.png,3\n01.png,3\n", ("3",)),
        ('image,score\n00.png,"1,250"\n01.png,"1,300"\n', ("input.csv:2", "1,250", "thousands")),
        ("image;score\n00.png;1,250\n01.png;868\n", ("input.csv:2", "1,250", "thousands")),
        ("image,ann,bob\n00.png,1,2\n01.png,3,2\n", ("score", "ann", "rater")),
        ("image,score\n00.png,1\n01.png,\n", ("input.csv:3",)),
        ('image,score\n00.png,1\n"01.png,2\n02.png,3\n', ("input.csv:3", "quote")),
        ("image,score,c1,c2\n00.png,1,-1,2\n01.png,2,1,1\n", ("ratings",)),
        ("image,score,group\n00.png,1,a\n01.png,2,a\n", ("group",)),
        ("image,score,split\n00.png,1,train\n01.png,2,exam\n", ("exam",)),
    )
]
REGISTRIES = [
    Case(("list", "datasets", "--registry", "input.csv"), ("input.csv", *names), content=content)
    for content, names in (
        ("datasets: [", ()),
        ("[]", ()),
        ("3", ()),
        ("dataset: {}", ("dataset",)),
        ("datasets: 3", ("datasets",)),
        ("datasets: {x: 3}", ("x",)),
        ("datasets: {x: {}}", ("x",)),
        ("datasets: {X Y: {about: {title: t}, kind: authentic}}", ("X Y",)),
        ("datasets: {x: {about: {title: t}, kind: odd}}", ("kind",)),
        ("datasets: {x: {about: {title: t}, kind: authentic, scale: [5, 1], direction: up}}", ("direction",)),
        ("methods: {m: {about: {title: t}, extends: m}}", ("m",)),
        ("methods: {m: {about: {title: t}, extends: nothing}}", ("nothing",)),
        ("methods: {m: {about: {title: t}, class: nothing}}", ("class",)),
        ("methods: {supervised: {about: {title: t}, extends: supervised}}", ("supervised",)),
        ("protocols: {p: {about: {title: t}, split: {rule: magic}}}", ("rule",)),
        ("protocols: {p: {about: {title: t}, budget: -1}}", ("budget",)),
        ("protocols: {p: {about: {title: t}, repeats: 0}}", ("repeats",)),
        ("protocols: {p: {about: {title: t}, repeats: 1000000000}}", ("repeats", "10000")),
        ("a: &a [*a]", ()),
        ("a: &a {b: 1}\na: 2", ()),
        ("!!python/object/apply:os.system ['true']", ()),
        ("datasets: {x: !!python/name:os.system ''}", ()),
        (b"\xff\xfe\x00", ()),
        ("\t- x", ()),
        ("x: " + "[" * 5000, ()),
    )
]
SUITES = [
    Case(("sweep", "input.csv", "--dry-run", *_WHERE), ("input.csv", *names), content=content)
    for content, names in (
        ("", ()),
        ("[", ()),
        ("[]", ()),
        ("methods: [supervised]", ()),
        ("title: t\nruns: [{methods: [superwised], pairs: [demo-syn], seeds: 1}]", ("superwised",)),
        ("title: t\nruns: [{methods: [supervised], pairs: [demo-sin], seeds: 1}]", ("demo-sin",)),
        ("title: t\nruns: [{methods: [supervised], pairs: [demo-syn], seeds: -1}]", ("seeds",)),
        ("title: t\nruns: [{methods: [supervised], pairs: [demo-syn], seeds: 1000000000}]", ("seeds", "10000")),
        ("title: t\nruns: [{methods: [supervised], pairs: [demo-syn], seeds: [0, 1.0e+30]}]", ("seeds",)),
        ("title: t\nruns: [{methods: [], pairs: [demo-syn], seeds: 1}]", ("methods",)),
    )
]
FORGERIES = [
    Case((*words, "--store", f"forged-{name}"), (named,))
    for name, (_, _, named) in FORGED.items()
    for words in (("store", "ls"), ("store", "ls", "--json"), ("store", "why", "RUN", "--registry", "TINY"),
                  ("store", "evaluate", "--registry", "TINY"), ("store", "gc"), ("store", "export", "new"),
                  ("leaderboard", "--out", "boards"), ("leaderboard", "--out", "boards", "--stale"),
                  ("test", "RUN", "--on", "tiny-c", "--registry", "TINY"))
]  # fmt: skip
CASES = [*FORGERIES, *PATHS, *NUMBERS, *WORDS, *TABLES, *LABELS, *REGISTRIES, *SUITES]
