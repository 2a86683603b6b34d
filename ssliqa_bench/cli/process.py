"""What surrounds a command: streams that take any text, a log on stderr, one line for whatever ends it."""

from __future__ import annotations

import codecs
import contextlib
import errno
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TextIO, cast

from ssliqa_bench.runner.launch import launched
from ssliqa_bench.text import printable

PULSE = 25.0  # seconds of silence before a line; a busy machine is late with it, and thirty are promised
_PLAIN = {"…": "...", "–": "-", "—": "-", "−": "-", "×": "x", "≥": ">=", "≤": "<=", "±": "+-", "·": ".", "→": "->",
          "“": '"', "”": '"', "’": "'", "Δ": "delta", "τ": "tau", "κ": "kappa", "β": "beta"}  # fmt: skip
# Libraries whose import takes seconds.
_LARGE = {"pyiqa": "pyiqa", "timm": "timm", "torchvision": "torchvision", "torch": "PyTorch"}
_CLEARED = "\r" + " " * 40 + "\r"
_KEPT = {
    ("run",): "Records, stages and epochs that were finished are kept; the same command resumes from them.",
    ("test",): "The record is unchanged; the same command starts the scoring again.",
    ("sweep",): "Records, stages and epochs that were finished are kept; the same command resumes from them.",
    ("rate",): "Every answer is saved; the same command resumes.",
    ("score",): "Rows of --csv that were written are kept; the same command resumes.",
    ("label",): "Shards that were finished are kept; the same command resumes.",
    ("data", "download"): "What was downloaded is kept; the same command resumes there.",
    ("data", "prepare"): "Images that were made are kept; the same command makes the rest.",
}


def what_is_kept(words: Sequence[str]) -> str:
    """What a command leaves when it is stopped, and how to resume, as a sentence."""
    named = tuple(word for word in words if not word.startswith("-"))
    kept = next((text for command, text in _KEPT.items() if named[: len(command)] == command), None)
    return kept or "Files that were written are complete; run the same command again."


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Characters that an encoding lacks, in ASCII."""
    assert isinstance(error, UnicodeEncodeError)
    missing = error.object[error.start : error.end]
    return "".join(_PLAIN.get(c) or c.encode("ascii", "backslashreplace").decode() for c in missing), error.end


codecs.register_error("ssliqa-plain", _plain)


@contextlib.contextmanager
def text_streams() -> Iterator[None]:
    """Let stdout and stderr take any text: what their encoding lacks is written in ASCII; a closed one takes none."""
    closed = [name for name in ("stdout", "stderr") if getattr(sys, name) is None]
    changed = []
    with contextlib.ExitStack() as opened:
        for name in closed:
            setattr(sys, name, opened.enter_context(open(os.devnull, "w")))
        for stream in (sys.stdout, sys.stderr):
            handling = getattr(stream, "errors", None)
            if hasattr(stream, "reconfigure") and handling in ("strict", "surrogateescape", "backslashreplace"):
                stream.reconfigure(errors="ssliqa-plain")
                changed.append((stream, handling))
        try:
            yield
        finally:
            for stream, handling in changed:
                with contextlib.suppress(ValueError, OSError):
                    stream.reconfigure(errors=handling)
            for name in closed:
                setattr(sys, name, None)


@contextlib.contextmanager
def same_environment() -> Iterator[None]:
    """Restore the variables of the environment that a command sets for itself and the processes that it starts."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)


@contextlib.contextmanager
def only_first_speaks(debug: bool = False) -> Iterator[None]:
    """Of several processes that share a run, let the first one alone print; with `debug` the others write to stderr."""
    launch = launched()
    if launch is None or launch.rank == 0:
        yield
        return
    streams = sys.stdout, sys.stderr
    with open(os.devnull, "w") as nowhere:
        sys.stdout = nowhere
        sys.stderr = streams[1] if debug else nowhere
        try:
            yield
        finally:
            sys.stdout, sys.stderr = streams


class _Lines(logging.Handler):
    """Writes each message once per command on whatever stderr is at that moment."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a message that was not written before."""
        text = printable(record.getMessage())
        if text not in self._said:
            self._said.add(text)
            print(text, file=sys.stderr)


@contextlib.contextmanager
def log_on_stderr() -> Iterator[None]:
    """Show warnings of this package on stderr, each once, with control characters of names escaped."""
    log = logging.getLogger("ssliqa_bench")
    handler = _Lines()
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


class _Heard:
    """A text stream that remembers when something was last written to it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.last = time.monotonic()

    def write(self, text: str) -> int:
        """Pass a text on."""
        self.last = time.monotonic()
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def signs_of_life(command: str) -> Iterator[None]:
    """Where stderr is no terminal, write a line before nothing was written to it for thirty seconds."""
    stream = sys.stderr
    if stream is None or stream.isatty():
        yield
        return
    heard, began = _Heard(stream), time.monotonic()

    def watch(done: threading.Event) -> None:
        while not done.wait(max(heard.last + PULSE - time.monotonic(), 0.01)):
            if time.monotonic() - heard.last >= PULSE:
                with contextlib.suppress(OSError, ValueError):  # nobody reads on, or the stream was closed
                    heard.write(f"{command}: still working, {time.monotonic() - began:.0f} s so far\n")
                    heard.flush()

    sys.stderr = watched = cast(TextIO, heard)
    try:
        with _beside(watch, "signs-of-life"):
            yield
    finally:
        if sys.stderr is watched:
            sys.stderr = stream


@contextlib.contextmanager
def _beside(watch: Callable[[threading.Event], None], name: str) -> Iterator[None]:
    """Run `watch` in a thread until its event is set, which the end of the block does."""
    done = threading.Event()

    def run() -> None:
        if hasattr(signal, "pthread_sigmask"):  # signals are the main thread's, also those that it blocks
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        watch(done)

    watcher = threading.Thread(target=run, name=name, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


@contextlib.contextmanager
def loading_shown() -> Iterator[None]:
    """On a terminal, show while a large library is imported for more than a second that it is, and for how long."""
    stream = sys.stderr
    if stream is None or not stream.isatty():
        yield
        return

    def watch(done: threading.Event) -> None:
        began: dict[str, float] = {}
        shown = False
        while not done.wait(0.2):
            now = time.monotonic()
            loading = next((name for name in _LARGE if _is_loading(name)), None)
            waited = 0.0 if loading is None else now - began.setdefault(loading, now)
            if loading is not None and waited >= 1.0:
                stream.write(f"\rLoading {_LARGE[loading]}, {waited:.0f} s")
            elif shown:
                stream.write(_CLEARED)
            shown = loading is not None and waited >= 1.0
            stream.flush()
        if shown:
            stream.write(_CLEARED)

    with _beside(watch, "loading"):
        yield


def _is_loading(name: str) -> bool:
    """Whether a module is being imported at this moment."""
    spec = getattr(sys.modules.get(name), "__spec__", None)
    return bool(getattr(spec, "_initializing", False))


def flushed(code: int) -> int:
    """The exit code once everything is written: 1 where stdout is full or nobody reads it."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        return output_lost(error)
    return code


def output_lost(error: OSError | ValueError) -> int:
    """Say why stdout could not be written, but for a reader who left early, and give the exit code 1."""
    # What is still buffered cannot be written either: the interpreter must not try it again at its end.
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    if getattr(error, "errno", None) != errno.EPIPE:
        print(f"Error: standard output could not be written: {getattr(error, 'strerror', None) or error}.",
              file=sys.stderr)  # fmt: skip
    return 1
