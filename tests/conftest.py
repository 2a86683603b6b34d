"""Keep every test away from the user's files, and one thread per process, so that results do not depend on either."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import hypothesis
import pytest

# No deadline: how fast a shared machine is just now decides no test. The same examples are drawn at every run.
hypothesis.settings.register_profile("ssliqa-bench", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("ssliqa-bench")

_home = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    """Set the environment before any test module imports a library that reads it.

    The cache is shared by all tests of a session and by the processes they start, so that the demo
    sets are made once.
    """
    home = Path(tempfile.mkdtemp(prefix="ssliqa-tests-"))
    config.stash[_home] = home
    os.environ.pop("SSLIQA_DATA", None)
    os.environ.update(HOME=str(home), XDG_CACHE_HOME=str(home / "cache"), SSLIQA_CACHE=str(home / "cache" / "ssliqa"))
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(home / "hypothesis")
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(config.stash[_home], ignore_errors=True)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Undo what an earlier test set: the number of threads changes floating-point results."""
    import sys

    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != 1:
        torch.set_num_threads(1)
