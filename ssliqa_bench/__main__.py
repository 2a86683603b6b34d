"""The command `ssliqa-bench`, also as `python -m ssliqa_bench`."""

import signal
import sys

from ssliqa_bench.stop import Stopped, stopping_on_signals


def entry_point() -> int:
    """Run the command line and return its exit code; a signal while it is imported ends it with one line."""
    import os

    try:
        with stopping_on_signals():
            from ssliqa_bench.cli.app import main

            return main()
    except Stopped as stop:
        if sys.stderr is not None:
            print(f"Stopped ({stop}). Nothing was started.", file=sys.stderr, flush=True)
        # What a module was doing while it was imported is of no use any more.
        os._exit(stop.exit_code)


def _is_worker() -> bool:
    """Whether this module is imported by a process that another one of the package started."""
    processes = sys.modules.get("multiprocessing.process")
    return processes is not None and processes.parent_process() is not None


if _is_worker():  # Ctrl-C reaches the whole group of processes; the parent ends its workers
    signal.signal(signal.SIGINT, signal.SIG_IGN)
elif __name__ == "__main__":
    sys.exit(entry_point())
