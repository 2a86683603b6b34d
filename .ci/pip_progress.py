"""Run pip with one line of progress in place of hundreds; the whole output stays in a file.

    python .ci/pip_progress.py LOG install -e .

On a terminal the line is rewritten, elsewhere there is one every thirty seconds. Where pip fails, the end of its output
is printed, and the exit code is pip's.
"""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path

PULSE = 30.0  # seconds between lines where there is no terminal
SHOWN = 40  # lines of a failure


def main() -> int:
    """Run pip and show how far it is."""
    log, words = Path(sys.argv[1]), sys.argv[2:]
    began = time.monotonic()
    command = [sys.executable, "-m", "pip", *words, "--progress-bar", "off"]
    with (
        log.open("w", encoding="utf-8") as file,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace") as pip,
    ):
        assert pip.stdout is not None
        lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=_read, args=(pip.stdout, lines), daemon=True).start()
        packages, text, last, live = 0, "", began, sys.stderr.isatty()
        while True:
            try:
                line = lines.get(timeout=0.5)
                if line is None:
                    break
                file.write(line)
                packages, text = packages + line.startswith("Collecting "), line.strip()
            except queue.Empty:
                pass
            if time.monotonic() - last >= (0.2 if live else PULSE):
                last = time.monotonic()
                told = f"pip: {packages} packages, {last - began:.0f} s; {text}"
                print(f"\r{told[:78]:<78}" if live else told, end="" if live else "\n", file=sys.stderr, flush=True)
    if live:
        print(f"\r{'':<78}\r", end="", file=sys.stderr)
    print(f"pip: {packages} packages in {time.monotonic() - began:.0f} s; log: {log}", file=sys.stderr)
    if pip.returncode:
        print(*log.read_text(encoding="utf-8").splitlines()[-SHOWN:], sep="\n", file=sys.stderr)
    return pip.returncode


def _read(stream: Iterable[str], lines: queue.Queue[str | None]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


if __name__ == "__main__":
    sys.exit(main())
