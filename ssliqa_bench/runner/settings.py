"""Where and how runs happen."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ssliqa_bench.errors import InputError, LeakError
from ssliqa_bench.files import cache_folder
from ssliqa_bench.paths import folder_to_write
from ssliqa_bench.store.store import Store

# A store may be an address elsewhere, `s3://bucket/runs`, whose slashes pathlib folds.
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:/")
_MOST = 1024


@dataclass(frozen=True)
class Settings:
    """Where and how runs happen: none of it names a result, apart from device, threads and ranks, which are keyed.

    Attributes:
        store: address of records and artifacts: a folder, or any that fsspec serves.
        data_root: folder that holds the datasets' folders.
        cache_root: folder of generated datasets, decoded images and file hashes.
        device: auto, cpu or cuda.
        threads: CPU threads of one run.
        processes: how many may share the images of a slow metric; no result depends on it.
        ranks: how many processes share the work of the networks of a run, see `runner.ranks`.
        keep: which artifacts outlive the run: phases, final or none.
        skip_bad: skip unreadable images and count them.
        allow_leak: why images that have two roles are accepted; None stops such a run.
        download: whether weights that are not on this machine are fetched.
        use_store: False computes everything anew.
        quiet: no progress.
        elsewhere: runs compute on other machines, so that `device` is not looked for here.
    """

    store: Path = Path("runs")
    data_root: Path = Path("data")
    cache_root: Path = field(default_factory=lambda: Path("~/.cache/ssliqa-bench").expanduser())
    device: str = "auto"
    threads: int = 1
    processes: int = 1
    ranks: int = 1
    keep: str = "phases"
    skip_bad: bool = False
    allow_leak: str | None = None
    download: bool = True
    use_store: bool = True
    quiet: bool = False
    elsewhere: bool = False

    @classmethod
    def from_environment(cls, **given: Any) -> Settings:
        """Settings with the defaults of the environment ($SSLIQA_DATA, $SSLIQA_CACHE) for what is not given."""
        defaults = {"data_root": Path(os.environ.get("SSLIQA_DATA") or "data"), "cache_root": cache_folder()}
        settings = cls(**{**defaults, **{name: value for name, value in given.items() if value is not None}})
        if settings.keep not in ("phases", "final", "none"):
            raise InputError(f'--keep: got "{settings.keep}"; expected phases, final or none.')
        if settings.allow_leak is not None and not settings.allow_leak.strip():
            raise InputError("--allow-leak: got nothing; expected the reason, which every board shows.")
        folders = {"--store": settings.store, "$SSLIQA_CACHE": settings.cache_root, "--data-root": settings.data_root}
        for option, folder in folders.items():
            if not _ADDRESS.match(str(folder)):
                folder_to_write(folder, option=option)
        Store(settings.store)  # an address that nothing serves is refused before any work
        for option, number in (("--threads", settings.threads), ("--jobs", settings.processes)):
            if not 1 <= number <= _MOST:
                raise InputError(f"{option}: got {number}; expected 1 to {_MOST}.")
        return settings


@dataclass(frozen=True)
class Cluster:
    """What of an engine beyond this machine is chosen.

    Attributes:
        address: of the cluster.
        gpu_share: of a GPU that a task gets.
        memory_gb: that a task needs; None: not reserved.
        retries: of a task whose worker was lost.
    """

    address: str = "auto"
    gpu_share: float = 1.0
    memory_gb: float | None = None
    retries: int = 3


def tolerated(check: Callable[[], None], settings: Settings) -> tuple[str, ...]:
    """What a check for leaks found, where the settings allow it.

    Raises:
        LeakError: it found something, and no reason to continue was given.
    """
    try:
        check()
    except LeakError as error:
        if settings.allow_leak is None:
            raise LeakError(f'{error} To continue anyway: --allow-leak "REASON", which every board shows.') from error
        return (str(error),)
    return ()
