"""The row of the limit from rating noise."""

from __future__ import annotations

import re
from types import ModuleType

from tests.leaderboard.typed import build_boards

PAGE = "demo/standard/demo-syn--demo-wild.md"


def test_the_limit_is_a_row_that_is_not_ranked(made: ModuleType) -> None:
    records = made.demo_suite(range(3))
    assert "rating noise" not in build_boards(records)[PAGE], "records without it have no such row"
    for own in records:
        held = {"n": 100, "limit": 0.90 + own["cell"]["seed"] / 100, "rmse_star": 0.2}
        own["metrics"]["demo-wild"]["noise"] = held
    text = build_boards(records)[PAGE]
    lines = [line for line in text.splitlines() if "*limit from rating noise*" in line]
    assert len(lines) == 2 and all(line.startswith("| limit ") for line in lines)
    opening, main = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    assert opening == ["limit", "*limit from rating noise*", "–", "–", "0.910", "–", "–"]
    assert main[:5] == ["limit", "*limit from rating noise*", "–", "–", "–"]
    assert re.fullmatch(r"0\.910 ± 0\.010 \[\w\]", main[5])
    assert "from 100 of 150 test images of demo-wild" in text and "√reliability" in text
    assert "RMSE\\*" in text or "RMSE*" in text
