"""Which files of code run inside some functions: those of a stage and of a prediction must be part of their keys."""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, TypeVar

from ssliqa_bench.runner.plan import Plan

Result = TypeVar("Result")

_PACKAGE = Path(__file__).resolve().parents[1]
# These hand a stage its pixels and artifacts, keep its checkpoints and report how far it is; they change no result.
_CARRIERS = ("cli", "pixels/cache.py", "runner/stages.py", "runner/progress.py", "store", "files.py", "testing")


def unkeyed(plan: Plan, run: Callable[[], Result]) -> tuple[Result, int, list[str]]:
    """Make a run, and look whether all code of its stages and predictions is part of their keys.

    Args:
        plan: of the run.
        run: makes it, with an empty store.

    Returns:
        What `run` returns, how many files of such code there are, and for each that is no part of a key its path and
        where it runs.
    """
    from ssliqa_bench.models.predict import predict_set
    from ssliqa_bench.runner.artifact_keys import model_code, stage_code
    from ssliqa_bench.runner.learners import make_learner

    learner = make_learner(plan)
    behind = {f"stage {stage.name}": stage_code(plan, stage) for stage in learner.stages()}
    entry = {f"stage {stage.name}": inspect.unwrap(stage.run).__code__ for stage in learner.stages()}
    behind["predictions"], entry["predictions"] = model_code(plan, learner), predict_set.__code__
    entries = {code: name for name, code in entry.items()}  # stages may share a function
    entries[inspect.unwrap(learner.model.build).__code__] = "predictions"
    with executed(entries) as found:
        result = run()
    files, missing = set(), []
    for name, own in behind.items():
        ran = keyed_files(found[entries[entry[name]]], plan.search_folders)
        files |= ran
        missing += [f"{file} ({name})" for file in sorted(ran - plan.code.sources(own.paths))]
    return result, len(files), missing


@contextmanager
def executed(entries: Mapping[CodeType, str]) -> Iterator[dict[str, set[Path]]]:
    """Collect the files of all Python functions that run while one of some functions does.

    Args:
        entries: the code of the functions to look into, and the name under which what runs inside is collected.

    Yields:
        Name → absolute files, complete when the context is left.
    """
    found: dict[str, set[Path]] = {name: set() for name in entries.values()}
    codes: dict[str, set[CodeType]] = {name: set() for name in found}
    inside: list[CodeType] = []

    def look(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "call":
            if code in entries:
                inside.append(code)
            if inside:
                codes[entries[inside[-1]]].add(code)
        elif event == "return" and inside and inside[-1] is code:
            inside.pop()

    before = sys.getprofile()
    threading.setprofile(look)
    sys.setprofile(look)
    try:
        yield found
    finally:
        sys.setprofile(before)
        threading.setprofile(None)
        for name, own in codes.items():
            found[name] |= {Path(code.co_filename).resolve() for code in own if not code.co_filename.startswith("<")}


def keyed_files(files: set[Path], folders: tuple[Path, ...]) -> set[Path]:
    """Those files whose code must be part of a key: of this package, apart from what only carries, and below some
    folders, apart from Python and its libraries."""
    carriers = [_PACKAGE / name for name in _CARRIERS]
    libraries = [Path(place).resolve() for place in (sys.prefix, sys.base_prefix)]
    roots = [folder.resolve() for folder in folders]
    own = {file for file in files if file.is_relative_to(_PACKAGE)}
    beside = {file for file in files - own if any(file.is_relative_to(root) for root in roots)}
    return {file for file in own if not any(file.is_relative_to(carrier) for carrier in carriers)} | {
        file for file in beside if not any(file.is_relative_to(place) for place in libraries)
    }
