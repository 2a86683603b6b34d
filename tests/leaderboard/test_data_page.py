"""Boards name where images and scores come from, and link the notice that stands beside them."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from types import ModuleType

from ssliqa_bench.leaderboard.boards import build_boards, check_boards, render_pages, write_boards
from ssliqa_bench.leaderboard.few_labels_page import few_label_pages
from ssliqa_bench.leaderboard.published_page import published_pages
from ssliqa_bench.registry.load import load_registry, notices_of
from tests.leaderboard.site_records import site_of
from tests.leaderboard.typed import typed

NOTICE = "NOTICE-livec.txt"


def test_every_page_of_human_scores_acknowledges_its_datasets_and_links_the_notice(made: ModuleType) -> None:
    records = [made.record("ssiqa", seed, pair="koniq:livec", kind="authentic") for seed in range(2)]
    given = [typed(own) for own in records]
    texts = build_boards(given, formats=("md",)) | render_pages(few_label_pages(given), ("md",))
    whole = notices_of(load_registry())["livec"].read_text(encoding="utf-8")
    assert texts[NOTICE] == whole and sum(name.endswith(".txt") for name in texts) == 1
    pages = [name for name in texts if name.endswith(".md")]
    assert set(pages) == {"standard.md", "standard/koniq--livec.md", "few-labels/index.md"}
    for page in pages:
        words = " ".join(texts[page].split())
        assert "## Data" in words and "Deepti Ghadiyaram and Alan C. Bovik. Massive Online" in words, page
        assert "Laboratory for Image and Video Engineering" in words and "Vlad Hosu" in words
        (link,) = re.findall(r"\[The whole notice of the dataset\]\(([^)]+)\)", texts[page])
        assert posixpath.normpath(posixpath.join(posixpath.dirname(page), link)) == NOTICE
    site = site_of(records)
    assert site[f"site/data/boards/{NOTICE}"] == whole
    assert f'"file":true,"link":"The whole notice of the dataset","target":"{NOTICE}"' in "".join(site.values())


def test_pages_of_published_figures_acknowledge_the_datasets_of_our_own(made: ModuleType) -> None:
    asked = {"pair": "livec", "protocol": "ssiqa", "recipe": "default", "kind": "authentic"}
    texts = render_pages(published_pages([typed(made.record("niqe", srcc={"livec": 0.45}, **asked))]), ("md",))
    named = {name for name, text in texts.items() if "## Data" in text}
    assert named == {"published/index.md", "published/ssiqa.md"} and NOTICE in texts
    for name in named:
        assert "Deepti Ghadiyaram and Alan C. Bovik. Massive Online" in " ".join(texts[name].split())
        assert f"(../{NOTICE})" in texts[name]
    assert not any("## Data" in text for text in render_pages(published_pages([]), ("md",)).values())


def test_a_notice_beside_boards_of_another_kind_is_no_difference(made: ModuleType, tmp_path: Path) -> None:
    records = [typed(made.record("ssiqa", seed, pair="livec", kind="authentic")) for seed in range(2)]
    kinds = [build_boards(records, formats=("md",)), render_pages(few_label_pages(records), ("md",))]
    for texts in kinds:
        write_boards(tmp_path, texts)
    assert [check_boards(tmp_path, texts) for texts in kinds] == [[], []]
    (tmp_path / "few-labels/old.md").write_text((tmp_path / "standard.md").read_text())
    assert check_boards(tmp_path, kinds[1]) == ["few-labels/old.md: follows from no record"]


def test_generated_and_unknown_datasets_need_no_acknowledgement(made: ModuleType) -> None:
    demo = build_boards(map(typed, made.demo_suite(range(2))), formats=("md",))
    own = build_boards([typed(made.record(pair="mine", kind="authentic"))], formats=("md",))
    assert not any("## Data" in text for text in (*demo.values(), *own.values()))
    assert all(name.endswith(".md") for name in (*demo, *own))
