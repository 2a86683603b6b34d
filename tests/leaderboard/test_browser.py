"""The site in a real browser, opened from the file system with the network off."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from scipy.stats import t as student

from ssliqa_bench.evaluation.comparisons import compare_fixed
from ssliqa_bench.leaderboard.site.documents import CHARTED, KEY_DIGITS
from tests.leaderboard.site_records import predictions, site_of, some_records
from tests.leaderboard.typed import typed

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
AXE = Path(os.environ.get("AXE_CORE", ROOT / "build/axe/node_modules/axe-core/axe.min.js"))
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def records(made: ModuleType) -> list[dict[str, Any]]:
    return some_records(made)


@pytest.fixture(scope="module")
def site(records: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("boards")
    for name, text in site_of(records).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    return folder / "site"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    assert CHROMIUM is not None, "no Chromium: apt-get install chromium, or name it in CHROMIUM"
    with sync_playwright() as started:
        # Root, as in a container, has no sandbox.
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page without network that fails a test on a console error and on any request beyond files."""
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 900})
    opened, wrong = context.new_page(), []
    opened.on("console", lambda own: wrong.append(own.text) if own.type in ("error", "warning") else None)
    opened.on("pageerror", lambda own: wrong.append(str(own)))
    opened.on("request", lambda own: None if own.url.startswith(("file:", "data:")) else wrong.append(own.url))
    opened.on("requestfailed", lambda own: wrong.append(own.url))
    yield opened
    context.close()
    assert wrong == []


def go(page: Any, site: Path, address: str = "#/") -> None:
    page.goto(f"file://{site}/index.html{address}")
    page.wait_for_function("address => document.getElementById('main').dataset.shown === address", arg=address)


def column(page: Any, title: str) -> list[str]:
    """The first lines of a column of the first table."""
    heads = [text.strip("↑↓ ") for text in page.locator("thead").first.locator("th").all_inner_texts()]
    at = heads.index(title)
    rows = page.locator("tbody").first.locator("tr").all()
    return [own.locator("th, td").nth(at).inner_text().split("\n")[0] for own in rows]


def key_of(records: list[dict[str, Any]], method: str, seed: int, pair: str = "demo-syn:demo-wild") -> str:
    return next(own["key"] for own in records if (own["cell"]["method"], own["cell"]["seed"], own["cell"]["pair"])
                == (method, seed, pair))  # fmt: skip


def test_filters_are_in_the_address_and_a_link_holds_them(page: Any, site: Path) -> None:
    go(page, site)
    chosen = page.locator("select[name=board] option:checked").inner_text()
    assert chosen.startswith("koniq:livec, all scores, protocol standard (2 rows, "), "human scores first"
    assert set(column(page, "Method")) == {"ssiqa", "supervised-long"}
    page.focus("select[name=kind]")
    page.select_option("select[name=kind]", "demo")
    page.wait_for_function("document.getElementById('count').textContent.startsWith('4 of')")
    assert page.evaluate("document.activeElement.name") == "kind"
    page.select_option("select[name=family]", "incremental")
    page.wait_for_function("document.getElementById('count').textContent.startsWith('1 of')")
    address = page.evaluate("location.hash")
    assert "kind=demo" in address and "family=incremental" in address
    go(page, site, address)
    assert column(page, "Method") == ["ssiqa"]
    page.select_option("select[name=board]", "")
    page.wait_for_function("document.getElementById('count').textContent.startsWith('6 of')")
    assert set(column(page, "Pair")) == {"koniq:livec", "demo-syn:demo-wild"}
    assert "come from several boards" in page.locator("main").inner_text()
    page.get_by_role("button", name="Reset").click()
    page.wait_for_function("document.getElementById('count').textContent.startsWith('2 of')")


def test_headings_sort_with_mouse_and_keyboard(page: Any, site: Path) -> None:
    go(page, site, "#/?kind=demo")
    page.get_by_role("button", name="SRCC unlabeled").click()
    page.wait_for_selector("th[aria-sort=descending]")
    values = [float(text) for text in column(page, "SRCC unlabeled")]
    assert values == sorted(values, reverse=True) and len(values) == 4
    page.get_by_role("button", name="SRCC unlabeled").press("Enter")
    page.wait_for_selector("th[aria-sort=ascending]")
    assert [float(text) for text in column(page, "SRCC unlabeled")] == sorted(values)


def test_a_method_leads_to_its_runs_and_a_point_names_its_image(
    page: Any, site: Path, records: list[dict[str, Any]]
) -> None:
    go(page, site, "#/?kind=demo")
    page.get_by_role("link", name="ssiqa", exact=True).click()
    page.wait_for_selector("h1:has-text('SS-IQA')")
    page.wait_for_selector("pre:has-text('\"lr\"')")
    assert "pan2024ssiqa" in page.locator("main").inner_text()
    page.locator(f"a[href$='#/run/{key_of(records, 'ssiqa', CHARTED - 1)[:KEY_DIGITS]}']").first.click()
    page.wait_for_selector("circle[role=img]")
    page.wait_for_selector(".uplot canvas")
    point = page.locator("circle[role=img]").nth(20)
    point.scroll_into_view_if_needed()
    point.dispatch_event("mouseenter")
    named = rf"syn-{CHARTED - 1}-\d+\.png: score [\d.]+, prediction -?[\d.]+"
    assert re.fullmatch(named, page.locator("#tip").inner_text())
    point.dispatch_event("mouseleave")
    assert page.locator("#tip").is_hidden()
    page.locator("circle[tabindex='0']").first.focus()
    before = page.locator("#tip").inner_text()
    page.keyboard.press("ArrowRight")
    assert page.locator("#tip").is_visible() and page.locator("#tip").inner_text() != before
    assert page.locator("path.fit").count() == 2


def test_the_paired_comparison_is_that_of_the_package(page: Any, site: Path, records: list[dict[str, Any]]) -> None:
    ours, theirs = (key_of(records, name, 1) for name in ("ssiqa", "supervised-long"))
    go(page, site, f"#/compare?a={ours}&b={theirs}")
    words = page.locator("[data-verdict='demo-wild']").inner_text()
    record = typed(records[0])
    rows = [predictions(record, "demo-wild", seed=1, method=name) for name in ("ssiqa", "supervised-long")]
    own = compare_fixed(rows[0].prediction, rows[1].prediction, rows[0].score, rows[0].group)
    found = [float(text.replace("−", "-")) for text in re.findall(r"[+−]\d\.\d{3}", words)]
    assert own.lo is not None and own.hi is not None
    assert found[0] == pytest.approx(own.mean, abs=6e-4)
    # Both draw groups at random: the standard error of a width is 2 %.
    assert found[1:] == pytest.approx([own.lo, own.hi], abs=0.05 * (own.hi - own.lo))
    judged = {"better": "the first ranks", "worse": "the second ranks"}.get(own.verdict, own.verdict)
    assert judged in words


def test_intervals_and_p_are_those_of_student_t(page: Any, site: Path) -> None:
    go(page, site)
    for degrees in (2, 29, 39, 233, 5000):
        for level in (0.05, 0.1):
            found = page.evaluate(f"Compare.studentQuantile({level}, {degrees})")
            assert found == pytest.approx(student.isf(level / 2, degrees), rel=1e-9)
        for value in (0.01, 0.5, 1.96, 4.0, 9.0):
            found = page.evaluate(f"Compare.studentP({value}, {degrees})")
            assert found == pytest.approx(2 * student.sf(value, degrees), rel=1e-8)


def test_what_is_not_passed_on_is_not_recomputable(page: Any, site: Path, records: list[dict[str, Any]]) -> None:
    ours, theirs = (key_of(records, name, 1, "koniq:livec") for name in ("ssiqa", "supervised-long"))
    go(page, site, f"#/compare?a={ours}&b={theirs}")
    assert "not recomputable here" in page.locator("[data-verdict=koniq]").inner_text()
    go(page, site, f"#/run/{ours}")
    assert "not recomputable here" in page.locator("main").inner_text()
    assert "koniq-1-" not in page.content()


def test_a_run_without_charts_names_the_commands_that_draw_them(
    page: Any, site: Path, records: list[dict[str, Any]]
) -> None:
    last, other = (key_of(records, name, 3) for name in ("ssiqa", "supervised-long"))
    go(page, site, f"#/run/{last}")
    text = page.locator("main").inner_text()
    assert f"charts of the first {CHARTED} runs" in text and "SRCC" in text
    assert "3 of 80 test images look alike" in text
    for command in (f"plot scatter {last[:12]} --out scatter.png", f"plot log {last[:12]} --out log.png"):
        assert f"ssliqa-bench {command} --store STORE" in text
    go(page, site, f"#/compare?a={last}&b={other}")
    assert f"ssliqa-bench compare {last[:12]} {other[:12]} --store STORE" in page.locator("main").inner_text()
    go(page, site, "#/compare")
    offered = page.locator("select[name=a] option").all_inner_texts()
    assert not any(f"seed {seed}" in own for own in offered for seed in range(CHARTED, 4))


def test_boards_have_tables_footnotes_and_published_figures(page: Any, site: Path) -> None:
    go(page, site, "#/boards")
    page.get_by_role("link", name="Leaderboard: protocol standard, pair demo-syn:demo-wild, demo data").click()
    page.wait_for_selector("h2:has-text('demo-syn:demo-wild')")
    assert page.locator("h3:has-text('Gain from unlabeled images on demo-wild')").count() == 1
    page.locator("a.note").first.click()
    assert page.evaluate("document.activeElement.id").startswith("note-")
    go(page, site, "#/board/published%2Findex")
    rows = page.locator("tbody").first.locator("tr")
    assert rows.last.inner_text().split()[0] == "all"
    page.get_by_role("link", name="SS-IQA", exact=True).click()
    page.wait_for_selector("h2:has-text('Table 1')")
    go(page, site, "#/board/few-labels%2Findex")
    assert "SRCC against the number of labels" in page.locator("h1").inner_text()
    go(page, site, "#/board/ranks%2Findex")
    assert "6 are needed" in page.locator("main").inner_text()
    go(page, site, "#/board/nothing")
    assert page.locator("h1").inner_text() == "Not found"


def test_dark_and_light_and_unknown_addresses(page: Any, site: Path) -> None:
    go(page, site)
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Dark mode").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    for address in ("#/method/nobody", "#/run/0", "#/nowhere", "#/dataset/x"):
        go(page, site, address)
        assert page.locator("h1").inner_text() == "Not found"


def test_a_phone_scrolls_tables_and_not_the_page(page: Any, site: Path) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    for address in ("#/?kind=demo", "#/method/ssiqa", "#/about", "#/compare", "#/board/published%2Fssliqa",
                    "#/board/few-labels%2Findex"):  # fmt: skip
        go(page, site, address)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_no_serious_fault(page: Any, site: Path, records: list[dict[str, Any]], dark: bool) -> None:
    assert AXE.is_file(), f'{AXE} is missing: "make test-browser" brings it'
    ours, theirs = (key_of(records, name, 1) for name in ("ssiqa", "supervised-long"))
    addresses = ["#/", "#/?kind=demo&sort=-gain", "#/methods", "#/method/ssiqa", "#/datasets", "#/dataset/demo-wild",
                 f"#/run/{ours}", f"#/run/{key_of(records, 'ssiqa', 3)}", f"#/compare?a={ours}&b={theirs}",
                 "#/about", "#/boards", "#/board/demo%2Fstandard%2Fdemo-syn--demo-wild",
                 "#/board/few-labels%2Findex", "#/board/published%2Findex"]  # fmt: skip
    page.emulate_media(color_scheme="dark" if dark else "light")
    for address in addresses:
        go(page, site, address)
        page.evaluate(AXE.read_text(encoding="utf-8"))
        found = page.evaluate("axe.run({preload: false}).then(result => result.violations)")
        faults = [(own["id"], own["nodes"][0]["html"][:200]) for own in found if own["impact"] in SERIOUS]
        assert faults == [], f"{address}: {json.dumps(faults)}"


def test_the_committed_site_opens(page: Any) -> None:
    site = ROOT / "leaderboards/site"
    files = [path for path in site.rglob("*") if path.is_file()]
    assert any(path.parent.name == "rows" for path in files), "the data of the site is committed with it"
    assert sum(path.stat().st_size for path in files) < 5_000_000
    go(page, site)
    assert page.locator("tbody tr").count() > 5
    for address in ("#/?kind=demo", "#/methods", "#/datasets", "#/compare", "#/about"):
        go(page, site, address)
    # Scores of BIQ2021 may not be passed on, so that its runs have no chart of images.
    key = page.evaluate("SSLIQA.index.rows.find((row) => !JSON.stringify(row).includes('biq2021')).runs[0].key")
    go(page, site, f"#/run/{key}")
    assert page.locator("circle[role=img]").count() > 100
