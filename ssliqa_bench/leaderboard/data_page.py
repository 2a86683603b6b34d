"""Where the images and scores of a page come from: title, authors and terms of every dataset with human scores."""

from __future__ import annotations

from collections.abc import Iterable

from ssliqa_bench.leaderboard.page import CodeText, Inline, Item, Items, Link, Phrase, Section, phrase
from ssliqa_bench.registry.load import load_registry, notices_of
from ssliqa_bench.registry.references import reference_words
from ssliqa_bench.store.notices import notice_name
from ssliqa_bench.store.record import Record


def human_datasets(records: Iterable[Record]) -> list[str]:
    """The datasets that some records used, in order, without those of generated images."""
    return sorted({name for run in records for name, own in run.datasets.items() if own.kind != "demo"})


def data_section(datasets: Iterable[str]) -> list[Section]:
    """The section that acknowledges the sources of some datasets; none where the registry knows none of them."""
    registry = load_registry()
    notices = notices_of(registry)
    items = []
    for name in datasets:
        entry = registry.datasets.get(name)
        if entry is None:
            continue
        title = Link(entry.about.title, entry.about.home) if entry.about.home else entry.about.title
        source = reference_words(entry.about.citation)
        text: list[Inline | Phrase] = [CodeText(name), ": ", title, f". {source}" if source else ""]
        below = [phrase(f"Terms: {' '.join(entry.about.terms.split())}")] if entry.about.terms else []
        if name in notices:
            below.append(phrase(Link("The whole notice of the dataset", notice_name(name), file=True)))
        items.append(Item(phrase(*text), tuple(below)))
    return [Section("data", phrase("Data"), (Items(tuple(items)),))] if items else []


def notice_texts(datasets: Iterable[str]) -> dict[str, str]:
    """The notices that `data_section` links, by file."""
    notices = notices_of(load_registry())
    return {notice_name(name): notices[name].read_text(encoding="utf-8") for name in datasets if name in notices}
