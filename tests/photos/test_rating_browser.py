"""The rating page in Chromium: twenty images rated by key, the page killed in between, nothing lost."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ssliqa_bench.cli.app import main

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A headless Chromium, driven by Playwright."""
    playwright = pytest.importorskip("playwright.sync_api")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twenty small pictures."""
    folder = tmp_path / "photos"
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(20):
        Image.fromarray(random.integers(0, 255, (40, 60, 3), dtype=np.uint8)).save(folder / f"{number:02}.png")
    return folder


@contextmanager
def page_of(photos: Path, rater: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command in a process of its own, and the address that it prints; killed at the end."""
    words = [sys.executable, "-m", "ssliqa_bench", "rate", str(photos), "--labels", str(photos.parent / "scores.csv"),
             "--rater", rater, "--no-browser"]  # fmt: skip
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().removeprefix("Open ").strip()
        try:
            yield process, address
        finally:
            process.kill()


def test_twenty_images_are_rated_by_key_and_a_kill_loses_none(
    chromium: Any, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: dict[str, int] = {}

    def rate(page: Any, count: int) -> None:
        for _ in range(count):
            place = page.locator("body").get_attribute("data-place")
            name = page.locator("#name").inner_text()
            page.wait_for_selector(f"body[data-shown='{place}']")
            said[name] = 1 + len(said) % 5
            page.keyboard.press(str(said[name]))
            page.wait_for_function("place => document.body.dataset.place !== place", arg=place)

    for part in (8, 12):
        with page_of(photos, "anna") as (_, address):
            page = chromium.new_page()
            errors: list[str] = []
            page.on("pageerror", lambda error, told=errors: told.append(str(error)))
            page.goto(address)
            page.wait_for_selector("body[data-place]")
            assert page.locator("#count").inner_text() == f"{len(said)} of 20 rated"
            rate(page, part)
            assert not errors
            if len(said) == 20:
                assert page.locator("#end").is_visible()
            page.close()
    with open(photos.parent / "scores.csv", newline="") as file:
        scores = {row["image"]: float(row["score"]) for row in csv.DictReader(file)}
    assert scores == said and len(said) == 20
    monkeypatch.chdir(photos.parent)
    assert main(["data", "add", "rated", "--labels", "scores.csv", "--images", "photos", "--scale", "1,5"]) == 0


def test_back_corrects_and_a_page_of_somebody_else_gets_nothing(chromium: Any, photos: Path) -> None:
    with page_of(photos, "ben") as (_, address):
        page = chromium.new_page()
        page.goto(address)
        page.wait_for_selector("body[data-place]")
        first, name = page.locator("body").get_attribute("data-place"), page.locator("#name").inner_text()
        page.wait_for_selector(f"body[data-shown='{first}']")  # keys rate only what is on the screen
        page.keyboard.press("2")
        page.wait_for_function("place => document.body.dataset.place !== place", arg=first)
        page.keyboard.press("ArrowLeft")
        page.wait_for_selector(f"body[data-place='{first}'][data-shown='{first}']")
        assert page.locator("button.said").inner_text().startswith("2")
        page.keyboard.press("4")
        page.wait_for_function("place => document.body.dataset.place !== place", arg=first)
        with open(photos.parent / "scores.csv", newline="") as file:
            assert {row["image"]: row["score"] for row in csv.DictReader(file)} == {name: "4"}
        page.keyboard.press("o")
        page.wait_for_selector("#all button")
        assert page.locator("#all button").count() == 20 and page.locator("main").is_hidden()
        assert [text for text in page.locator("#all button").all_inner_texts() if "rated 4" in text] == [
            f"rated 4: {name}"
        ]
        page.locator(f"#all button:has-text('{name}')").click()
        page.wait_for_function("place => document.body.dataset.place === place", arg=first)
        assert page.locator("main").is_visible() and page.locator("#all").is_hidden()
        stranger = chromium.new_page()
        stranger.goto("about:blank")
        answer = stranger.evaluate(
            "async address => { try { return (await fetch(address)).status } catch { return 'refused' } }", address
        )
        assert answer == "refused"
        assert os.path.getsize(photos.parent / "scores.ratings.csv") > 0
