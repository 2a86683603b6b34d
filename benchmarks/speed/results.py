"""Run the scripts of this folder and write RESULTS.md from what they print.

    python benchmarks/speed/results.py [SCRIPT …]        all of them, or those named: the others keep their sections

Every script runs in a process of its own, one after the other. A section holds the command and its output as it was
printed; the table at the top repeats the figures that have a target. A script that fails keeps its old section.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from measuring import target

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "RESULTS.md"
SCRIPTS = {
    "loop.py": "a: our training step against a bare loop",
    "cache.py": "b: images through the cache against decoding every epoch",
    "data_check.py": "b: decoding in two processes",
    "classical.py": "c: classical scoring against pyiqa's command",
    "score_folder.py": "c: a folder of photographs by NIQE against pyiqa's command",
    "batch_consistency.py": "d: batch-level loss",
    "mapping.py": "e: the score mapping against scipy",
    "resampling.py": "e: resampling against scipy",
    "kernel_ridge.py": "f: kernel ridge regression at 10,000 × 384",
    "growth.py": "g: cost against size and blocks",
    "start_up.py": "h: start-up",
    "memory.py": "i: peak memory",
    "boards.py": "boards from 10,000 records",
}
_HEAD = """# Speed

Written by `make bench` from what the scripts of this folder printed; do not edit. Figures are medians. CPU time and
ratios of runs in alternation are little affected by other work on the machine, wall-clock time is; the last column
is the load of the minute before. A figure without target is for information.

| | figure | value | target | | load |
| --- | --- | ---: | ---: | --- | ---: |
"""
_SECTION = re.compile(r"^`python benchmarks/speed/(?P<script>\w+\.py)`\n\n```\n(?P<text>.*?)```\n", re.M | re.S)


def main() -> int:
    """Run, and write the page; 1 where a script failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scripts", nargs="*", metavar="SCRIPT", help=", ".join(SCRIPTS))
    asked = parser.parse_args().scripts or list(SCRIPTS)
    unknown = [name for name in asked if name not in SCRIPTS]
    if unknown:
        parser.error(f"{unknown[0]}: expected one of {', '.join(SCRIPTS)}")
    text = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
    printed = {match["script"]: match["text"] for match in _SECTION.finditer(text)}
    failed = False
    for name in asked:
        print(name, flush=True)
        done = subprocess.run([sys.executable, str(HERE / name)], capture_output=True, text=True, check=False)
        print(done.stdout, end="", flush=True)
        if _document(done.stdout) is None:
            print(f"{name} failed with exit code {done.returncode}:\n{done.stderr[-2000:]}", file=sys.stderr)
            failed = True
            continue
        printed[name] = done.stdout
        RESULTS.write_text(page(printed), encoding="utf-8")
    return int(failed)


def page(printed: dict[str, str]) -> str:
    """The page, of the output of every script."""
    lines, sections = [], []
    for name, title in SCRIPTS.items():
        found = _document(printed.get(name, ""))
        if found is None:
            continue
        letter = title.partition(":")[0]
        for figure in found["figures"]:
            words = target(figure["at_least"], figure["at_most"])
            mark = {None: "", True: "met", False: "**missed**"}[figure["met"]]
            value = f"{figure['value']:.4g} {figure['unit']}".rstrip()
            lines.append(f"| {letter} | {figure['name']} | {value} | {words} | {mark} | {found['machine']['load']} |")
        sections.append(f"\n## {title}\n\n`python benchmarks/speed/{name}`\n\n```\n{printed[name]}```\n")
    return _HEAD + "\n".join(lines) + "\n" + "".join(sections)


def _document(text: str) -> dict[str, Any] | None:
    """The JSON of the last line that a script printed; None where there is none."""
    last = text.rstrip("\n").rpartition("\n")[2]
    if not last.startswith("{"):
        return None
    found: dict[str, Any] = json.loads(last)
    return found


if __name__ == "__main__":
    sys.exit(main())
