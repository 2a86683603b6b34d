"""How long commands take to start, beside a bare interpreter.

    python benchmarks/speed/start_up.py [--rounds 9]

`--help`, `list methods`, and a run that is answered from the store (made first: one epoch on the demo sets). Wall-clock
time of the whole process, and its CPU time, which other work on the machine does not lengthen; targets are held
against wall-clock time. All modules have compiled files, as after an installation, and the cache folder is warm: both
lie in a temporary folder.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

from measuring import Figure, alternate, show

RUN = ("run", "--method", "supervised", "--pair", "demo-syn:demo-wild", "--recipe", "check")


def call(words: list[str], environment: dict[str, str]) -> None:
    """Run the interpreter with some words; its output is of no interest unless it fails."""
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} failed with exit code {done.returncode}:\n{done.stderr[-2000:]}")


def of_children() -> float:
    """CPU seconds of finished child processes."""
    spent = os.times()
    return spent.children_user + spent.children_system


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        ours = ["-m", "ssliqa_bench"]
        commands = {
            "bare interpreter": ["-c", "pass"],
            "--help": [*ours, "--help"],
            "list methods": [*ours, "list", "methods"],
            "run, from the store": [*ours, *RUN, "--store", f"{place}/runs"],
        }
        environment = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment |= {"PYTHONPYCACHEPREFIX": f"{place}/compiled", "SSLIQA_CACHE": f"{place}/cache"}
        call(commands["run, from the store"], environment)
        actions = {name: (lambda words=words: call(words, environment)) for name, words in commands.items()}
        wall = alternate(actions, options.rounds, time.perf_counter)
        cpu = alternate(actions, options.rounds, of_children)
    bare = "bare interpreter"
    beyond = {
        name: statistics.median(a - b for a, b in zip(wall[name], wall[bare], strict=True)) for name in wall
    }
    rows = [[name, f"{statistics.median(wall[name]):.2f}", f"{beyond[name]:+.2f}",
             f"{statistics.median(cpu[name]):.2f}"] for name in wall]  # fmt: skip
    figures = [
        Figure("--help beyond a bare interpreter", beyond["--help"], "s", at_most=0.35),
        Figure("list methods beyond a bare interpreter", beyond["list methods"], "s", at_most=0.35),
        Figure("a run answered from the store", statistics.median(wall["run, from the store"]), "s", at_most=0.6),
    ]
    return show(("command", "wall s", "beyond bare", "CPU s"), rows, figures, rounds=options.rounds)


if __name__ == "__main__":
    sys.exit(main())
