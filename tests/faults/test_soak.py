"""Everything at once, for a while: runs that are killed, stopped, damaged and started again on one store."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.catalogue import CASES
from tests.faults.conftest import Count, size
from tests.faults.test_flips import flipped, results
from tests.faults.test_kills import ended, forked
from tests.faults.world import WORKING, called, furnish, worked

pytestmark = pytest.mark.faults

SECONDS = size("SOAK_SECONDS", 20)
SEED = size("SOAK_SEED", 0)
KEEP = os.environ.get("SSLIQA_FAULTS_KEEP")  # folder for the store and the journal of a soak that failed
SEEDS = 3
METHODS = ("supervised", "ssiqa", "ridge-probe")


class Soak:
    """One store, the operations that are drawn on it, and a journal of what each of them did."""

    def __init__(self, root: Path, tiny_pair: Path, count: Count) -> None:
        self.store, self.root, self.count = root / "store", root, count
        self.draw = random.Random(SEED)
        self.began = time.monotonic()
        self.registry = str(tiny_pair / "registry.yaml")
        self.truth: dict[str, list[list[float]]] = {}
        self.flipped: set[str] = set()  # entries

    def note(self, *what: object) -> None:
        """Add a line to the journal."""
        with (self.root / "journal.txt").open("a", encoding="utf-8") as file:
            file.write(f"{time.monotonic() - self.began:8.1f} s  {' '.join(map(str, what))}\n")

    def words(self, seed: int | None = None) -> tuple[str, ...]:
        """A run, drawn at random."""
        seed = self.draw.randrange(SEEDS) if seed is None else seed
        return ("run", "--method", self.draw.choice(METHODS), "--pair", "tiny-a:tiny-b", "--seed", str(seed),
                "--registry", self.registry, "--store", str(self.store))  # fmt: skip

    def verified_complete(self) -> None:
        """A run to its end; its record is the one that it left before, if it did."""
        words = self.words()
        self.note(*words)
        answer = worked(*words)
        assert answer.code == 0 and not answer.fault, answer.err
        self.compare()

    def killed(self) -> None:
        """A run that is ended at a random moment."""
        words, how = self.words(), self.draw.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
        delay = self.draw.uniform(0.0, 2.0)
        self.note(f"{how.name} after {delay:.3f} s:", *words)
        number = forked(*words)
        if ended(number, delay) is None:
            os.kill(number, how)
            _, status = os.waitpid(number, 0)
            code = os.waitstatus_to_exitcode(status)
            assert code in (-signal.SIGKILL if how == signal.SIGKILL else 128 + how, 0), code

    def run_concurrently(self) -> None:
        """Two processes at once."""
        pair = [self.words() for _ in range(2)]
        self.note(*pair[0], "| beside |", *pair[1])
        numbers = [forked(*words) for words in pair]
        ends = [ended(number, WORKING) for number in numbers]
        for number, end in zip(numbers, ends, strict=True):
            if end is None:
                os.kill(number, signal.SIGKILL)
                os.waitpid(number, 0)
        assert ends == [0, 0]
        self.compare()

    def damaged(self) -> None:
        """One bit of an artifact or of cached predictions flips; the run that reads it computes it again."""
        files = sorted(path for kind in ("artifacts", "predictions") for path in self.store.glob(f"{kind}/*/*"))
        files = [path for path in files if path.is_file() and ".corrupt-" not in str(path)]
        if files:
            path, number = self.draw.choice(files), self.draw.randrange(1000)
            self.note("flip", number, "of", path.relative_to(self.store))
            flipped(path, number)
            self.flipped.add(path.parent.name)
            for record in self.store.glob("records/*"):
                shutil.rmtree(record)
        self.verified_complete()

    def refused(self) -> None:
        """A bad input of the catalogue, beside the store."""
        alone = [case for case in CASES if case.content is None and not {"RUN", "--store"} & {*case.words}]
        case = self.draw.choice(alone)
        self.note("refused:", *case.words)
        stand_ins = {"STORE": str(self.store), "TINY": self.registry}
        before = set(os.listdir())
        answer = called(*(stand_ins.get(word, word) for word in case.words))
        assert not answer.fault and answer.code != 0, answer.err
        assert set(os.listdir()) == before

    def inspected(self) -> None:
        """Boards, lists and checks of the store as it is."""
        for words in (("store", "ls"), ("leaderboard", "--out", str(self.root / "boards"))):
            self.note(*words)
            answer = called(*words, "--store", str(self.store))
            assert not answer.fault, answer.err

    def compare(self) -> None:
        """Every record has the predictions that it had when it was first written."""
        for key, found in results(self.store).items():
            assert self.truth.setdefault(key, found) == found
            self.count("soak: records compared with their first version")


@pytest.mark.timeout(SECONDS + 900)
def test_a_store_in_use_for_a_while(
    tmp_path: Path, tiny_pair: Path, monkeypatch: pytest.MonkeyPatch, count: Count
) -> None:
    (tmp_path / "world").mkdir()
    furnish(tmp_path / "world", tiny_pair)
    monkeypatch.chdir(tmp_path / "world")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    soak = Soak(tmp_path, tiny_pair, count)
    soak.verified_complete()
    operations: list[Callable[[], None]] = [
        soak.verified_complete, soak.killed, soak.killed, soak.run_concurrently, soak.damaged, soak.refused,
        soak.refused, soak.inspected,
    ]  # fmt: skip
    began, opened, memory = time.monotonic(), len(os.listdir("/proc/self/fd")), peak()
    while time.monotonic() - began < SECONDS:
        operation = soak.draw.choice(operations)
        with evidence(tmp_path, operation.__name__):
            operation()
        count(f"soak: {operation.__name__.replace('_', ' ')}")
    # The next run of another process looks for leftovers, unless the store answers it.
    monkeypatch.setattr("ssliqa_bench.store.store._SWEPT", set())
    answer = worked(*soak.words(seed=SEEDS))
    assert answer.code == 0 and not answer.fault, answer.err
    count("soak: seconds", round(time.monotonic() - began))
    count("soak: additional open files at the end", len(os.listdir("/proc/self/fd")) - opened)
    count("soak: growth of peak memory, MB", round(peak() - memory))
    count("soak: temporary files left", len(list(soak.store.rglob("*.tmp"))))
    count("soak: locks left", len(list(soak.store.glob("locks/*"))))
    verified = called("store", "verify", "--store", str(soak.store))
    # A flipped bit that no run has met since is still there, and named.
    others = [line for line in verified.out.splitlines()[:-1] if not any(name in line for name in soak.flipped)]
    count("soak: damage that store verify finds and nobody did", len(others))
    with evidence(tmp_path, "the end"):
        assert not verified.fault and not others, verified.out
        assert not list(soak.store.rglob("*.tmp")) and not list(soak.store.glob("locks/*"))


@contextlib.contextmanager
def evidence(root: Path, operation: str) -> Iterator[None]:
    """Print the journal's last lines where an operation fails; keep journal and store where a folder is named."""
    try:
        yield
    except BaseException:
        if KEEP:
            shutil.copytree(root, KEEP, symlinks=True, ignore=lambda folder, names: [
                name for name in names if not ((path := Path(folder, name)).is_file() or path.is_dir())])  # fmt: skip
        lines = (root / "journal.txt").read_text(encoding="utf-8").splitlines()
        print(f"Failed in {operation}, seed {SEED}; the journal ends:", *lines[-20:], sep="\n")
        print(f"Kept in {KEEP}" if KEEP else f"Journal and store are in {root}")
        raise


def peak() -> float:
    """Peak memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
