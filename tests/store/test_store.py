"""One suite for every kind of address: what a store promises, promised everywhere."""

from __future__ import annotations

import configparser
import contextlib
import errno
import fcntl
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from fsspec import register_implementation
from fsspec.implementations.memory import MemoryFileSystem

from ssliqa_bench import files
from ssliqa_bench.errors import CorruptFileError, InputError, SchemaError, SsliqaError, StorageError
from ssliqa_bench.store.store import Store, data_name

KIND = {"kind": "thing", "mark": "thing.json"}
BODY = {"name": "ü", "values": [1, 2.5, None]}


class Refusing(MemoryFileSystem):  # type: ignore[misc]
    """A file system with whole objects and nothing else, as some object stores are."""

    protocol = "refusing"
    store: dict[str, Any] = {}  # noqa: RUF012 - shared by all instances, as in its base
    pseudo_dirs = [""]  # noqa: RUF012

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.replace("refusing://", "memory://")))

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError("whole objects only")

    mv = mv_file = move = rename = cp_file = copy = touch = _refuse
    start_transaction = end_transaction = mkdir = makedirs = rmdir = _refuse

    def open(self, path: str, mode: str = "rb", **how: Any) -> Any:
        if "a" in mode or "+" in mode:
            self._refuse()
        return super().open(path, mode, **how)


def no_locks(*_: object) -> None:
    """As `flock` on a network file system that has none."""
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))


register_implementation("refusing", Refusing, clobber=True)


@pytest.fixture(scope="session")
def bucket() -> Iterator[str]:
    """The address of an empty bucket of an object store on this machine."""
    for package in ("moto", "s3fs"):
        pytest.importorskip(package, reason='needs an object store to test with: pip install s3fs "moto[server]"')
    from moto.server import ThreadedMotoServer
    from s3fs import S3FileSystem

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    with pytest.MonkeyPatch.context() as patched:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patched.setenv(name, "test")
        patched.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patched.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*server.get_host_and_port()))
        S3FileSystem().mkdir("bucket")
        yield "s3://bucket"
    server.stop()


@pytest.fixture(params=["folder", "lockless", "memory", "refusing", pytest.param("s3", marks=pytest.mark.slow)])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param in ("folder", "lockless"):
        return str(tmp_path / request.param)
    root = request.getfixturevalue("bucket") if request.param == "s3" else f"{request.param}:/"
    return f"{root}/{uuid.uuid4().hex}"


@pytest.fixture
def store(address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    if address.startswith("refusing:"):
        monkeypatch.setattr(fcntl, "flock", Refusing._refuse)
    elif address.endswith("/lockless"):
        monkeypatch.setattr(fcntl, "flock", no_locks)
    yield (opened := Store(address))
    for path in opened.list():
        opened.delete(path)


def in_threads(work: Callable[[int], None], n: int = 6) -> None:
    """Run the work in n threads at once; the first exception of one is raised."""
    errors: list[BaseException] = []
    barrier = threading.Barrier(n)

    def guarded(k: int) -> None:
        try:
            barrier.wait()
            work(k)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(k,)) for k in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if errors:
        raise errors[0]


def test_objects_come_back_as_they_were(store: Store) -> None:
    for data in (b"one", b"", bytes(range(256)) * 5000):
        store.put("a/b/c.bin", data)
        assert store.read("a/b/c.bin") == data and store.size("a/b/c.bin") == len(data)
    assert store.modified("a/b/c.bin") > 1.7e9


def test_what_is_absent_is_file_not_found_and_deleting_it_is_nothing(store: Store) -> None:
    store.put("a/b", b"x")
    for path in ("none", "a/none", "a", "a/b/c"):
        for ask in (store.read, store.size, store.modified):
            with pytest.raises(FileNotFoundError):
                ask(path)
    for path in ("none", "a/none", "a/b/c"):
        store.delete(path)
    assert store.list() == ["a/b"]
    store.delete("a/b")
    store.delete("a/b")
    assert store.list() == [] and store.list("a/") == []


def test_create_writes_only_what_is_absent(store: Store) -> None:
    assert store.create("lease/x", b"first") is True
    assert store.create("lease/x", b"second") is False
    assert store.read("lease/x") == b"first"
    store.delete("lease/x")
    assert store.create("lease/x", b"third") is True


def test_of_many_threads_one_creates(store: Store, address: str) -> None:
    won: list[int] = []

    def work(k: int) -> None:
        if Store(address).create("lease/x", str(k).encode()):
            won.append(k)

    in_threads(work)
    assert len(won) == 1 and store.read("lease/x") == str(won[0]).encode()


def test_lists_are_sorted_and_take_any_beginning(store: Store) -> None:
    paths = ["records/ab1/facts.json", "records/ab2/facts.json", "records/b/facts.json", "recordsx", "z"]
    for path in reversed(paths):
        store.put(path, path.encode())
    assert store.list() == paths
    assert store.list("records/") == paths[:3]
    assert store.list("records/ab") == paths[:2]
    assert store.list("records") == paths[:4]
    assert store.list("records/ab1/facts.json") == paths[:1]
    assert store.list("none/") == [] and store.list("z/") == []
    assert [(found.path, found.size) for found in store.scan("z")] == [("z", 1)]


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a/", "a\0b"])
def test_a_path_outside_the_store_is_refused(store: Store, path: str) -> None:
    for act in (store.read, store.delete, store.size, lambda p: store.put(p, b""), lambda p: store.create(p, b"")):
        with pytest.raises(InputError, match="no path inside a store"):
            act(path)


def test_two_objects_on_one_address_see_one_store(store: Store, address: str) -> None:
    other = pickle.loads(pickle.dumps(Store(address)))
    store.put("x", b"1")
    assert other.read("x") == b"1" and str(other) == str(store)
    other.put("x", b"2")
    other.put_entry("e", {"d.bin": b"data"}, BODY, **KIND)
    assert store.read("x") == b"2" and store.read_entry("e", **KIND).files == {"d.bin": b"data"}
    assert Store(f"{address}-other").list() == []


def test_readers_never_see_a_part(store: Store, address: str) -> None:
    """Two writers replace an object and an entry by different content all the time, without a lock.

    Every read gives what one of them wrote. An entry may lose its data to the other writer, which is found.
    """
    n = 100_000

    def write(letter: bytes) -> None:
        store.put("x", letter * n)
        store.put_entry("e", {"d.bin": letter * n}, {"letter": letter.decode()}, **KIND)

    def work(k: int) -> None:
        own = Store(address)
        for turn in range(30):
            if k < 2:
                write(b"ab"[(turn + k) % 2 :][:1])
                continue
            data = own.read("x")
            assert len(data) == n and data == data[:1] * n
            with contextlib.suppress(CorruptFileError):
                entry = own.read_entry("e", **KIND)
                assert entry.files["d.bin"] == entry.body["letter"].encode() * n

    write(b"a")
    in_threads(work, 5)
    write(b"c")
    assert store.read_entry("e", **KIND).files == {"d.bin": b"c" * n}


def test_threads_that_compute_the_same_write_the_same_entry(store: Store, address: str) -> None:
    data = {"d.bin": b"same" * 1000, "e": b"more"}

    def work(k: int) -> None:
        own = Store(address)
        for _ in range(10):
            own.put_entry("e", data, BODY, **KIND)
            entry = own.read_entry("e", **KIND)
            assert entry.files == data and entry.body == BODY

    in_threads(work)
    assert len(store.list("e/")) == 3


def test_an_entry_is_data_under_its_checksum_and_a_mark(store: Store) -> None:
    store.put_entry("e/f", {"d.bin": b"data", "plain": b""}, BODY, **KIND)
    entry = store.read_entry("e/f", **KIND)
    assert entry.body == BODY and entry.files == {"d.bin": b"data", "plain": b""}
    assert store.read_mark("e/f", **KIND) == BODY
    assert store.read_entry("e/f", **KIND, only=["plain", "none"]).files == {"plain": b""}
    assert store.list("e/") == sorted(["e/f/d-3a6eb0790f39.bin", "e/f/plain-e3b0c44298fc", "e/f/thing.json"])
    with pytest.raises(FileNotFoundError):
        store.read_entry("e", **KIND)


def test_replacing_an_entry_leaves_nothing_of_the_old_one(store: Store) -> None:
    store.put_entry("e", {"d.bin": b"old", "kept": b"k"}, BODY, **KIND)
    store.put_entry("e", {"d.bin": b"new", "kept": b"k"}, {}, **KIND)
    entry = store.read_entry("e", **KIND)
    assert entry.files == {"d.bin": b"new", "kept": b"k"} and entry.body == {}
    assert len(store.list("e/")) == 3
    store.delete_entry("e", mark=KIND["mark"])
    store.delete_entry("e", mark=KIND["mark"])
    assert store.list() == []


@pytest.mark.parametrize("writes", range(3))
def test_a_writer_killed_after_any_write_leaves_the_old_entry(
    store: Store, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    """Three objects are written; only the last one, the mark, makes them the entry."""
    store.put_entry("e", {"d.bin": b"old"}, {"v": 1}, **KIND)
    done = 0

    def put(self: Store, path: str, data: bytes) -> None:
        nonlocal done
        if done == writes:
            raise KeyboardInterrupt
        done += 1
        real(self, path, data)

    real = Store.put
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Store, "put", put)
        store.put_entry("e", {"d.bin": b"new", "more": b"m"}, {"v": 2}, **KIND)
    entry = store.read_entry("e", **KIND)
    assert entry.body == {"v": 1} and entry.files == {"d.bin": b"old"}
    store.put_entry("e", {"d.bin": b"new", "more": b"m"}, {"v": 2}, **KIND)
    assert store.read_entry("e", **KIND).body == {"v": 2}


def test_a_first_writer_killed_before_the_mark_leaves_nothing(store: Store) -> None:
    store.put(f"e/{data_name('d.bin', 'ab' * 32)}", b"data")
    for read in (store.read_mark, store.read_entry):
        with pytest.raises(FileNotFoundError):
            read("e", **KIND)


def flip(store: Store, path: str, position: int) -> None:
    content = bytearray(store.read(path))
    content[position] ^= 1
    store.put(path, bytes(content))


def test_every_flipped_byte_is_found(store: Store) -> None:
    store.put_entry("e", {"d.bin": b"some data"}, BODY, **KIND)
    for path in store.list("e/"):
        original = store.read(path)
        for position, byte in enumerate(original):
            if path.endswith(".json") and byte in b" \n":
                continue
            flip(store, path, position)
            with pytest.raises(CorruptFileError) as caught:
                store.read_entry("e", **KIND)
            assert store.address in str(caught.value)
            store.put(path, original)


def test_missing_data_and_other_marks_are_refused(store: Store) -> None:
    store.put_entry("e", {"d.bin": b"data"}, BODY, **KIND)
    with pytest.raises(CorruptFileError, match="is not a record file"):
        store.read_mark("e", kind="record", mark=KIND["mark"])
    store.delete("e/d-3a6eb0790f39.bin")
    assert store.read_mark("e", **KIND) == BODY
    with pytest.raises(CorruptFileError, match="d-3a6eb0790f39.bin: is missing"):
        store.read_entry("e", **KIND)
    store.put("e/thing.json", files.seal(BODY, kind="thing"))
    with pytest.raises(SchemaError, match="schema 1; this version reads schema 2"):
        store.read_mark("e", **KIND)
    store.put("e/thing.json", files.seal(BODY, kind="thing", schema=2))
    with pytest.raises(CorruptFileError, match="does not list its data files"):
        store.read_mark("e", **KIND)


def test_a_damaged_entry_is_kept_under_another_name(store: Store) -> None:
    for number in (1, 2):
        store.put_entry("e", {"d.bin": b"data"}, BODY, **KIND)
        flip(store, "e/d-3a6eb0790f39.bin", 0)
        assert store.set_aside("e", mark=KIND["mark"]) == f"e.corrupt-{number}"
        assert store.list("e/") == [] and len(store.list(f"e.corrupt-{number}/")) == 2
        assert store.read(f"e.corrupt-{number}/d-3a6eb0790f39.bin") == b"eata"
    assert store.set_aside("e", mark=KIND["mark"]) == "e.corrupt-3", "another process moved it"
    assert store.list("e.corrupt-3") == []


def test_a_killed_set_aside_loses_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put_entry("e", {"d.bin": b"data"}, BODY, **KIND)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Store, "delete", interrupt)
        store.set_aside("e", mark=KIND["mark"])
    assert store.read_entry("e", **KIND).body == BODY
    assert store.read_entry("e.corrupt-1", **KIND).body == BODY


def interrupt(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def test_locks_of_different_keys_do_not_wait_for_each_other(store: Store) -> None:
    with store.lock("one") as first, store.lock("two") as second:
        assert first and second
    assert store.list() == [], "a lock is no object"


def test_a_reader_meets_a_replacement_between_mark_and_data(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put_entry("e", {"d.bin": b"old"}, {"v": 1}, **KIND)
    waiting = [lambda: store.put_entry("e", {"d.bin": b"new"}, {"v": 2}, **KIND)]

    def data(self: Store, folder: str, name: str, stated: str) -> bytes:
        if waiting:
            waiting.pop()()
        return real(self, folder, name, stated)

    real = Store._data
    monkeypatch.setattr(Store, "_data", data)
    entry = store.read_entry("e", **KIND)
    assert entry.body == {"v": 2} and entry.files == {"d.bin": b"new"}


# What holds of a folder alone


@pytest.fixture
def folder(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_a_folder_takes_paths_and_file_addresses(tmp_path: Path, folder: Store) -> None:
    folder.put("x", b"1")
    store = tmp_path / "store"
    for same in (str(store), store, f"file://{store}", Path(f"file://{store}"), f"local://{store}"):
        assert Store(same).read("x") == b"1" and Store(same).folder == tmp_path / "store"
    assert Store(Path("memory://name")).address == "memory://name", "pathlib folds the slashes"


def test_a_folder_is_made_by_the_first_write_and_keeps_no_empty_ones(folder: Store) -> None:
    assert folder.folder is not None
    assert folder.list() == [] and not folder.folder.exists()
    folder.put("a/b/c", b"x")
    folder.delete("a/b/c")
    assert list(folder.folder.iterdir()) == []


def test_a_put_that_fails_leaves_the_old_object(folder: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.put("a/x", b"old")

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    for call in ("fsync", "replace"):
        with monkeypatch.context() as patched, pytest.raises(StorageError, match="disk is full"):
            patched.setattr(f"os.{call}", full)
            folder.put("a/x", b"new")
        assert folder.read("a/x") == b"old" and folder.list() == ["a/x"]
    with monkeypatch.context() as patched, pytest.raises(StorageError, match="disk is full"):
        patched.setattr("os.link", full)
        folder.create("a/y", b"new")
    assert folder.list() == ["a/x"]


def test_a_writer_killed_in_the_middle_leaves_the_old_object(folder: Store) -> None:
    """The process dies at once, without clean-up, between the temporary file and its replacement."""
    folder.put("a/x", b"old")
    script = (
        "import os, sys; from ssliqa_bench.store.store import Store\n"
        "os.replace = lambda *_: os._exit(9)\n"
        "Store(sys.argv[1]).put('a/x', b'new')"
    )
    done = subprocess.run([sys.executable, "-c", script, folder.address], timeout=60)
    assert done.returncode == 9 and folder.read("a/x") == b"old"
    assert folder.list() == ["a/x"], "its temporary file is no object"
    assert folder.folder is not None and len(list((folder.folder / "a").iterdir())) == 2


def test_create_where_the_file_system_has_no_hard_links(folder: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr("os.link", refuse)
    assert folder.create("a/x", b"first") and not folder.create("a/x", b"second")
    assert folder.read("a/x") == b"first" and folder.list() == ["a/x"]


def _race(address: str, started: Any, results: Any, turn: int) -> None:
    """One of two processes that do everything at once."""
    store = Store(address)
    started.wait(30)
    won = store.create("lease", str(turn).encode())
    for _ in range(30):
        store.put_entry("same", {"d.bin": b"same" * 999}, BODY, **KIND)
        assert store.read_entry("same", **KIND).files == {"d.bin": b"same" * 999}
        store.put("x", bytes([turn]) * 50_000)
        data = store.read("x")
        assert data == data[:1] * 50_000
        store.put(f"short/{turn}", b"")
        store.delete(f"short/{turn}")
    results.put(won)


def test_two_processes_on_one_folder(folder: Store) -> None:
    context = multiprocessing.get_context("fork")
    started, results = context.Event(), context.Queue()
    processes = [context.Process(target=_race, args=(folder.address, started, results, k)) for k in range(2)]
    for process in processes:
        process.start()
    started.set()
    won = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert sorted(won) == [False, True]
    assert [path.partition("/")[0] for path in folder.list()] == ["lease", "same", "same", "x"]


def _hold(address: str, held: Any, release: Any) -> None:
    with Store(address).lock("key"):
        held.set()
        release.wait(30)


def test_a_lock_is_held_against_other_processes(folder: Store) -> None:
    context = multiprocessing.get_context("fork")
    held, release = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(folder.address, held, release))
    process.start()
    assert held.wait(30)
    with folder.lock("key", wait=False) as mine:
        assert mine is False
    with folder.lock("key", wait=False, shared=True) as mine:
        assert mine is False
    release.set()
    with folder.lock("key") as mine:
        assert mine is True
    process.join(30)


def test_shared_locks_keep_out_only_the_exclusive_one(folder: Store) -> None:
    with folder.lock("use", shared=True) as first, folder.lock("use", shared=True, wait=False) as second:
        assert first and second
        with folder.lock("use", wait=False) as third:
            assert not third
    with folder.lock("use", wait=False) as third:
        assert third


def test_a_lock_on_a_removed_file_is_taken_again(folder: Store) -> None:
    """Whoever waits for a lock whose file is removed meanwhile must not hold what nobody else sees."""
    assert folder.folder is not None
    got, mine = threading.Event(), folder.lock("key")
    with folder.lock("key"):
        waiter = threading.Thread(target=lambda: mine.__enter__() and got.set())
        waiter.start()
        waiter.join(0.2)
        (folder.folder / "locks" / "key.lock").unlink()
    waiter.join(30)
    assert got.is_set() and (folder.folder / "locks" / "key.lock").exists()
    mine.__exit__(None, None, None)
    assert list((folder.folder / "locks").iterdir()) == [], "whoever lets go of a lock removes its file"


def test_whoever_comes_alone_removes_what_the_dead_left(folder: Store) -> None:
    assert folder.folder is not None
    kept = {"records/a/facts.json": b"{}", "artifacts/b/tensors-0.safetensors": b"t"}
    for path, data in kept.items():
        folder.put(path, data)
    dead = ["records/a/.facts.json.ab_12345.tmp", "artifacts/b/.tensors-0.safetensors.abcdefgh.tmp",
            "checkpoints/c/epoch-0001/.artifact.json.abcdefgh.tmp", "locks/d.lock", "locks/in-use.lock"]  # fmt: skip
    for name in dead:
        (folder.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder.folder / name).touch()
    with folder.in_use():
        left = {path.relative_to(folder.folder).as_posix() for path in folder.folder.rglob("*") if path.is_file()}
        assert left == {*kept, "locks/in-use.lock"}
        assert not (folder.folder / "checkpoints").exists()
    assert list((folder.folder / "locks").iterdir()) == []


def test_a_failure_leaves_no_lock(folder: Store) -> None:
    assert folder.folder is not None
    with pytest.raises(ZeroDivisionError), folder.in_use():
        raise ZeroDivisionError
    assert list((folder.folder / "locks").iterdir()) == []


def test_leftovers_stay_while_another_process_may_be_writing_them(folder: Store) -> None:
    assert folder.folder is not None
    part = folder.folder / "records" / "a" / ".facts.json.abcdefgh.tmp"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"half")
    with folder.lock("in-use", shared=True):
        folder.remove_leftovers()
        assert part.exists()
    folder.remove_leftovers()
    assert not part.exists()


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_store_without_locks_is_read_all_the_same(
    folder: Store, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    folder.put("x", b"1")

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(number, "no locks here")

    monkeypatch.setattr("fcntl.flock" if number in (errno.ENOLCK, errno.EOPNOTSUPP) else "builtins.open", refuse)
    with folder.lock("key") as held:
        assert held


def test_a_full_disk_stops_before_the_work_begins(folder: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("builtins.open", full)
    with pytest.raises(StorageError, match="disk is full"), folder.lock("key"):
        pass


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
def test_what_cannot_be_read_is_one_error(folder: Store, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(number, "broken")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(StorageError, match="Could not read.*broken"):
        folder.read("x")


# Addresses


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("s3x://bucket/runs", '"s3x".*memory://name or s3://.*Did you mean s3://'),
        ("nonsense://x", 'no file system is known for "nonsense"'),
        ("dir://x", "dir://x: cannot be opened as a store"),
    ],
)
def test_an_unknown_address_is_refused(address: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Store(address)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from fsspec.registry import known_implementations

    monkeypatch.setitem(known_implementations, "far", {"class": "far_package.core.FarFileSystem", "err": "x"})
    with pytest.raises(InputError, match=r'no installed package serves "far" addresses; pip install far_package'):
        Store("far://bucket/runs")
    missing = {"class": "fsspec.implementations.far.Far", "err": 'needs "farlib" to be installed'}
    monkeypatch.setitem(known_implementations, "near", missing)
    with pytest.raises(InputError, match='needs "farlib" to be installed'):
        Store("near://bucket/runs")


@pytest.mark.parametrize(("address", "module", "extra"), [("s3://b/runs", "s3fs", "s3"), ("gs://b", "gcsfs", "gcs")])
def test_an_address_of_an_object_store_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, address: str, module: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    loaded = vars(sys.modules["fsspec.registry"])["_registry"]  # classes that were imported before
    monkeypatch.delitem(loaded, address.partition("://")[0], raising=False)
    with pytest.raises(InputError, match=rf"pip install 'ssliqa-bench\[{extra}\]'"):
        Store(address)
    declared = configparser.ConfigParser()
    declared.read(Path(__file__).parents[2] / "setup.cfg")
    assert declared["options.extras_require"][extra].split() == [module]


def test_errors_of_a_file_system_become_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as missing credentials, whose type is the package's own."""
    store = Store("refusing://errors")

    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("no credentials")

    for call in ("cat_file", "pipe_file", "find", "rm_file", "info", "exists"):
        monkeypatch.setattr(Refusing, call, refuse)
    for act in (store.read, store.delete, store.size, store.list, lambda p: store.put(p, b""),
                lambda p: store.create(p, b"")):  # fmt: skip
        with pytest.raises(StorageError, match="refusing://errors/x: RuntimeError: no credentials"):
            act("x")
    assert issubclass(StorageError, SsliqaError)


def test_a_folder_needs_no_fsspec() -> None:
    script = "import sys; from ssliqa_bench.store.store import Store; Store('x').list(); print('fsspec' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "False", done.stderr


def test_without_locks_only_old_temporary_files_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A live writer cannot be told from a killed one on a file system that has no locks."""
    monkeypatch.setattr(fcntl, "flock", no_locks)
    store = Store(tmp_path / "store")
    store.put("artifacts/ab/x.bin", b"x")
    folder = tmp_path / "store/artifacts/ab"
    young, old = (folder / f".{name}.bin.{name}.tmp" for name in ("young", "old"))
    for file in (young, old):
        file.write_bytes(b"half")
    os.utime(old, (0, 0))
    assert {PurePosixPath(left.path).name for left in store.temporary()} == {young.name, old.name}
    with store.lock("ab") as held:
        assert held and store.unlocked
        store.remove_temporary("artifacts/ab/")
    assert young.exists() and not old.exists()
    os.utime(young, (0, 0))
    store.remove_leftovers()
    assert not young.exists()
