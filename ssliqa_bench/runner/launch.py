"""Whether this process was started beside others that share one run, as `torchrun` does. Imports no torch."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from ssliqa_bench.errors import InputError

_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_PORT")
SHARING = ("run",)  # commands whose work several processes share
PARTING = 5.0  # seconds in which process 0 learns why another one failed, and reports it, before either is ended


@dataclass(frozen=True)
class Launch:
    """The place of this process among those that were started together.

    Attributes:
        rank, size: its number, from 0, and how many there are.
        local_rank, local_size: the same among those of this machine.
        address, port: where the processes meet.
        attempt: how often they were started before.
    """

    rank: int
    size: int
    local_rank: int
    local_size: int
    address: str
    port: int
    attempt: int = 0


def launched() -> Launch | None:
    """The place of this process among several; None where it is alone."""
    own = os.environ
    try:
        rank, size, local_rank, port = (int(own[name]) for name in _VARIABLES)
        local_size, attempt = int(own.get("LOCAL_WORLD_SIZE", size)), int(own.get("TORCHELASTIC_RESTART_COUNT", 0))
    except (KeyError, ValueError):
        return None
    if size < 2 or "MASTER_ADDR" not in own:
        return None
    return Launch(rank, size, local_rank, local_size, own["MASTER_ADDR"], port, attempt)


def refuse_several(launch: Launch | None, command: str) -> None:
    """Refuse a command that several processes would each do on their own.

    Raises:
        InputError: names what divides its work.
    """
    if launch is not None and command not in ("", *SHARING):
        raise InputError(
            f"{command} runs in one process, but torchrun started {launch.size}. Only run shares its work among them; "
            f"for several runs at a time: ssliqa-bench sweep SUITE --jobs N, or --engine ray on several machines."
        )


def let_first_report() -> None:
    """As a process that failed, and not the first one: stay a while, since torchrun ends all when one has ended."""
    launch = launched()
    if launch is not None and launch.rank:
        time.sleep(PARTING)


def refuse_machines(launch: Launch) -> None:
    """Refuse processes of several machines.

    Raises:
        InputError: says how many are here.
    """
    if launch.local_size != launch.size:
        raise InputError(
            f"torchrun started {launch.size} processes, {launch.local_size} of them on this machine; one run is shared "
            f"by processes of one machine only. Start them with torchrun --nproc_per_node N, without --nnodes."
        )
