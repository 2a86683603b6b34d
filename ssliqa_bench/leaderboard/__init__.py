"""From records to boards, without torch and without images.

The package can be called: `ssliqa_bench.leaderboard(store)` gives the boards of a store. It is a package and a public
name at once, and whichever is imported first must not hide the other.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ssliqa_bench.leaderboard.tables import Leaderboard


class _Package(ModuleType):
    def __call__(self, store: str | os.PathLike[str] = "runs", *, cost: bool = True) -> Leaderboard:
        """As `leaderboard.tables.leaderboard`."""
        from ssliqa_bench.leaderboard.tables import leaderboard

        return leaderboard(store, cost=cost)


sys.modules[__name__].__class__ = _Package
