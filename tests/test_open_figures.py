"""Figures that prose and tables quote from the first results are those of the committed records."""

from __future__ import annotations

import csv
import importlib.util
import re
import statistics
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ssliqa_bench.leaderboard.collect import collect
from ssliqa_bench.leaderboard.few_labels import few_labels
from ssliqa_bench.leaderboard.verdicts import verdicts
from ssliqa_bench.registry.load import load_registry

ROOT = Path(__file__).resolve().parent.parent
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
         "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
         "twenty")  # fmt: skip

# Pair, labels and the rest of a setting.
Key = tuple[str, str, str]
LIVEC: Key = ("livec:livec", "93", "protocol standard, recipe frozen")
LIVEC_FEW: Key = ("livec:livec", "46", LIVEC[2])
LIVEC_MORE: Key = ("livec:livec", "232", LIVEC[2])
LIVEC_TUNED: Key = ("livec:livec", "93", "protocol standard, recipe frozen/tuned-on-biq2021")
LAST_STAGES: Key = ("livec:livec", "93", "protocol standard, recipe frozen/last-stages")
BIQ: Key = ("biq2021:biq2021", "100", "protocol standard, recipe frozen")
BIQ_MORE: Key = ("biq2021:biq2021", "500", BIQ[2])
ACROSS: Key = ("livec:biq2021", "93", "protocol standard, recipe frozen, 2000 unlabeled")
ACROSS_STAGES: Key = ("livec:biq2021", "93", "protocol standard, recipe frozen/last-stages, 500 unlabeled")
ACROSS_ALL: Key = ("livec:biq2021", "all", ACROSS[2])
BACK: Key = ("biq2021:livec", "200", "protocol standard, recipe frozen")
BIQ_TUNED: Key = ("biq2021:biq2021", "100", "protocol standard, recipe frozen/tuned-on-livec")


def text_of(page: str) -> str:
    """A page on one line, signs as a program writes them."""
    text = (ROOT / page).read_text()
    return " ".join(re.sub(r"^> ?", "", text, flags=re.MULTILINE).replace("−", "-").split())


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    spec = importlib.util.spec_from_file_location("readme_tables_of_results", ROOT / ".ci/readme_tables.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def results(tables: ModuleType) -> dict[Key, Any]:
    """What every setting shows, by pair, labels and the rest."""
    found: dict[Key, Any] = tables.first_results()
    return found


def test_the_tables_of_the_first_results_follow_from_the_records(tables: ModuleType, results: dict[Key, Any]) -> None:
    text = (ROOT / "docs/open.md").read_text()
    parts = [name for name, (file, _) in tables.PARTS.items() if file.name == "open.md"]
    assert len(parts) == text.count("\n| ---") > 4, "every table of the page is one that is renewed"
    old = text.replace("` | ", "` | +")
    for name in parts:
        assert tables.renewed(name, text) == text, f'{name}: "make readme" renews it'
        assert tables.renewed(name, old) != old


def test_a_learner_without_a_comparator_of_its_own_has_that_of_the_method_it_extends(tables: ModuleType) -> None:
    rows = {"supervised", "adamatch", "simmatch", "supervised-levels", "rankup-rda", "rankup", "rankup-supervised",
            "rankup-shuffled", "rankup-oracle", "ssiqa"}  # fmt: skip
    assert tables.claims().comparators(rows) == {
        "adamatch": "supervised-levels", "simmatch": "supervised-levels", "rankup-rda": "rankup-supervised",
        "rankup": "rankup-supervised",
    }  # fmt: skip


def test_the_overview_counts_every_learner_of_a_setting_once(tables: ModuleType, results: dict[Key, Any]) -> None:
    text = (ROOT / "docs/open.md").read_text().partition("gains overview:")[2].partition("<!-- end")[0]
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| `")]
    counted = [sum(map(int, re.findall(r"(\d+) [a-z]", row[-1]))) for row in rows]
    assert counted == [len(own.over_comparator) for own in results.values() if own.over_best]
    assert len(counted) > 4


def test_the_first_screen_of_the_readme_says_what_the_records_show(results: dict[Key, Any]) -> None:
    evidence = text_of("README.md").partition("State of evidence.")[2].partition("<!-- board")[0]
    (oracle,) = [gain for gain in results[LIVEC].references if gain.learner == "oracle"]
    beaten = {gain.learner for own in results.values() for gain in own.over_best if gain.own.verdict == "better"}
    assert ("No learner beats the best training on labels alone" in evidence) == (not beaten), f"they do: {beaten}"
    shown = {(key, gain.learner): gain for key, own in results.items() for gain in own.over_comparator
             if gain.own.verdict == "better"}  # fmt: skip
    gaining = [shown.pop(own) for own in ((BIQ_TUNED, "rankup-rda"), (BIQ, "rankup-rda"), (BIQ_MORE, "rankup-rda"),
                                          (BIQ, "rankup"))]  # fmt: skip
    assert not shown, "named on the first screen: every learner that gains"
    losing = {(key, gain.learner): gain.own.mean for key, own in results.items() for gain in own.over_best
              if gain.own.verdict == "worse"}  # fmt: skip
    ranking = [losing.pop((BIQ_MORE, name)) for name in ("rankup", "rankup-rda")]
    assert all("match" in name for key, name in losing if key in (LIVEC_MORE, BIQ_MORE))
    levels = [sorted(losing.pop(own) for own in list(losing) if own[0] == key) for key in (LIVEC_MORE, BIQ_MORE)]
    (count,) = {len(own) for own in levels}
    assert f"{WORDS[count]} matching learners with {LIVEC_MORE[1]} labels" in evidence
    assert {key for key, _ in losing} == {ACROSS, ACROSS_ALL}
    assert {name for _, name in losing} == {"rankup", "fixmatch", "coral"}
    ranges = [(own[-1], own[0]) for own in (*levels, sorted(losing.values()))]
    said = (*ranges[0], *ranges[1], *ranking, *ranges[2], *(gain.own.mean for gain in (*gaining, oracle)))
    figures = [f"{value:+.3f}" for value in said]
    assert re.findall(r"[+-]\d\.\d+", evidence) == figures, "of these, and of all labels of LIVE In the Wild"
    counts = {labels for pair, labels, rest in results if pair == "livec:livec" and rest == LIVEC[2]}
    few, many = sorted(map(int, counts))[:: len(counts) - 1]
    assert f"on LIVE In the Wild ({few} to {many} labels)" in evidence
    rest = {gain.own.verdict for own in results.values() for gain in own.over_comparator if gain not in gaining}
    assert rest == {"equivalent", "not distinguished"}


def test_the_best_means_against_the_best_labels_only_row(results: dict[Key, Any]) -> None:
    found = re.findall(
        r"Against the best labels-only row \(`([\w-]+)`, (0\.\d{3})[^)]*\) the best mean is ([+-]\d\.\d{4}) "
        r"\(`([\w-]+)`, ([^)]+)\)", text_of("docs/open.md"),
    )  # fmt: skip
    expected = []
    for key in (LIVEC_TUNED, LIVEC, LAST_STAGES, BIQ_TUNED):
        own = results[key]
        gain = max(own.over_best, key=lambda gain: gain.own.mean)
        interval = f"{gain.own.lo:+.4f} to {gain.own.hi:+.4f}"
        expected.append((own.best, f"{own.means[own.best]:.3f}", f"{gain.own.mean:+.4f}", gain.learner, interval))
    assert found == expected


def test_further_sentences_about_gains(tables: ModuleType, results: dict[Key, Any]) -> None:
    text, livec, stages = text_of("docs/open.md"), results[LIVEC], results[LAST_STAGES]
    (oracle,) = [gain for gain in livec.references if gain.learner == "oracle"]
    assert f"bring {oracle.own.mean:+.3f} ({oracle.own.lo:+.3f} to {oracle.own.hi:+.3f})" in text
    corrected = re.findall(r"corrected for (\w+) comparisons(?:\.| \(Holm\)|; the board)", text)
    references = tables.claims().upper_references(tables.settings()[LIVEC])
    counts = [results[LIVEC_TUNED].compared, livec.compared, len(references), stages.compared,
              results[BIQ_TUNED].compared, results[BIQ].compared]  # fmt: skip
    assert f"trained with this recipe reaches {results[BIQ].means['supervised']:.3f}" in text
    assert f"`rankup-supervised`, {results[BIQ].means['rankup-supervised']:.3f}" in text
    assert corrected == [WORDS[count] for count in counts]
    biq = {gain.learner: gain for gain in (*results[BIQ_TUNED].over_comparator, *results[BIQ_TUNED].references)}
    won = results[BIQ_TUNED].splits - biq["ssiqa"].losses
    assert f"gains on {WORDS[won]} of twenty splits over its comparator, which is weak (`supervised-long`, " \
           f"{results[BIQ_TUNED].means['supervised-long']:.3f})" in text  # fmt: skip
    aligned = biq["rankup-rda"]
    assert [gain for gain in biq.values() if gain.own.verdict == "better"] == [aligned, biq["oracle"]]
    won, mean = results[BIQ_TUNED].splits - aligned.losses, results[BIQ_TUNED].means["rankup-rda"]
    assert f"on {WORDS[won]} of twenty splits (p = {aligned.own.p:.3f}); with {mean:.3f} it is level " in text
    on_board = [own for held in collect(tables.records("open")) for section in held.sections
                if (str(section.pair), section.budget) == ("biq2021:biq2021", 100)
                for own in verdicts(section, "biq2021")]  # fmt: skip
    (tuned_alike,) = [own.comparison for own in on_board if own.row.method == "rankup-rda"
                      and own.row.recipe == "frozen/tuned-on-livec"]  # fmt: skip
    assert {WORDS[own.declared] for own in on_board} == {"nineteen"} and "corrects for nineteen comparisons" in text
    assert tuned_alike.verdict == "not distinguished"
    assert f"and calls it not distinguished (p = {tuned_alike.p:.3f})" in text
    assert f"(p = {aligned.own.p:.3f}; {tuned_alike.p:.3f} on the board" in text_of("README.md")
    (over,) = [gain.own for gain in results[BIQ_TUNED].over_best if gain.learner == "rankup-rda"]
    assert over.verdict == "not distinguished" and abs(over.mean) < 0.005
    levels = [gain.own.mean for name, gain in biq.items() if gain.over == "supervised-levels"]
    assert len(levels) == 5 and max(levels) < 0 and "The five matching learners have lower means" in text
    all_scores = biq["oracle"].own
    assert f"(`oracle`) bring {all_scores.mean:+.3f} ({all_scores.lo:+.3f} to {all_scores.hi:+.3f})" in text
    near = [gain for gain in references if gain.own.verdict != "worse"]
    assert {gain.learner for gain in near} == {f"{name}-oracle" for name in ("pi-model", "mean-teacher", "pseudo-label",
                                                                             "rankup")}  # fmt: skip
    assert max(abs(gain.own.mean) for gain in near) < 0.011
    (both,) = re.findall(r"the board, which shows both settings together, corrects for (\w+)\.", text)
    tuned = {name: (livec.means[name], mean) for name, mean in results[LIVEC_TUNED].means.items()}
    moved = {name for name, (before, after) in tuned.items() if abs(after - before) >= 0.01}
    said = dict.fromkeys(re.findall(r"`([\w-]+)` \((0\.\d{3}) to (0\.\d{3})\)", text))
    assert set(said) == {(name, *(f"{mean:.3f}" for mean in tuned[name])) for name in moved}
    same = {gain.learner for gain in livec.over_comparator if gain in results[LIVEC_TUNED].over_comparator}
    assert same == {"ucvme", "comatch", "simmatch"}
    assert "`ucvme`, `comatch` and `simmatch` give the same results in both settings" in text
    (board,) = [own for held in collect(tables.records("open")) for own in held.sections
                if (str(own.pair), own.budget) == ("livec:livec", 93)]  # fmt: skip
    assert {own.declared for own in verdicts(board, "livec")} == {int(both)}
    gains = {gain.learner: gain for gain in livec.over_comparator}
    assert f"(p = {gains['rankup-rda'].own.p:.3f} and p = {gains['rankup'].own.p:.3f})" in text
    behind = [livec.means[livec.best] - livec.means[name] for name in ("rankup-rda", "rankup")]
    assert "`rankup-rda` stays {:.3f} below the best labels-only row and `rankup` {:.3f}".format(*behind) in text
    won = [sum(value > 0 for value in gains[name].by_split) for name in ("rankup-rda", "rankup", "pseudo-label")]
    assert won[0] == livec.splits and f"gains on all {WORDS[won[0]]} splits, and `rankup` on {WORDS[won[1]]};" in text
    assert f"of all learners and gains on {WORDS[won[2]]} splits" in text
    (losses,) = {gains[name].losses for name in ("adamatch", "freematch")}
    assert f"`adamatch` and `freematch` lose on {WORDS[losses]} of {WORDS[livec.splits]} splits" in text
    assert f"(`supervised-levels`, {livec.means['supervised-levels']:.3f})" in text
    assert f"{WORDS[stages.splits].capitalize()} splits, the first of the {WORDS[livec.splits]} above" in text
    won = {gain.learner: stages.splits - gain.losses for gain in stages.over_comparator}
    assert (f"`ssiqa` gains on {WORDS[won['ssiqa']]} of {WORDS[stages.splits]} splits and `pseudo-label` on "
            f"{WORDS[won['pseudo-label']]}") in text  # fmt: skip
    assert f"({stages.bar:.3f} to {stages.means[stages.best]:.3f}) than unlabeled photographs do" in text
    assert f"{stages.means[stages.best]:.3f} (`{stages.best}`) against {stages.bar:.3f}" in text
    assert f"`oracle` has a mean of {stages.means['oracle']:.3f}" in text


def test_test_images_that_look_like_training_images_are_counted_by_the_records(tables: ModuleType) -> None:
    notes = [note for record in tables.records("open") if record.cell.pair == "biq2021:biq2021"
             and record.facts.protocol.name == "standard" for note in record.facts.notes]  # fmt: skip
    counts = [int(own[1]) for note in notes if (own := re.match(r"(\d+) of \d+ test images of biq2021 look", note))]
    assert f"{min(counts)} to {max(counts)} of the test images of a split look like" in text_of("docs/open.md")


def test_gains_in_labels_and_the_curves_that_they_are_read_off(tables: ModuleType) -> None:
    section = text_of("docs/open.md").partition("## More labels instead")[2].partition("## Controls")[0]
    settings = {(own.pair, own.recipe): own for own in few_labels(tables.records("open"))}
    curves = {"livec": settings["livec:livec", "frozen"], "biq2021": settings["biq2021:biq2021", BIQ_TUNED[2][26:]]}
    quoted = re.findall(r"(0\.\d{3}) with (?:all )?(\d+)", section)
    labels_only = [curve for own in curves.values() if (curve := own.reference) is not None]
    measured = [(f"{point.stat.value:.3f}", str(point.labels)) for curve in labels_only for point in curve.points]
    assert quoted == measured
    (worth,) = re.findall(
        r"is worth (\d+) labels more on LIVE In the Wild \(`([\w-]+)`\) and (\d+) on BIQ2021 \(`([\w-]+)`\)", section
    )  # fmt: skip
    for own, labels, said, learner in zip(curves.values(), (93, 100), worth[::2], worth[1::2], strict=True):
        extras = {curve.method: extra.count for curve in own.curves for point in curve.points
                  if point.labels == labels and (extra := own.extra(point)) and extra.count is not None}  # fmt: skip
        assert (f"{extras[learner]:.0f}", max(extras, key=lambda name: extras[name])) == (said, learner)


def test_sentences_about_other_numbers_of_labels(results: dict[Key, Any]) -> None:
    text = text_of("docs/open.md").partition("### With 46 and 232 labels")[2].partition("##")[0]
    more, few = results[LIVEC_MORE], results[LIVEC_FEW]
    worse = {gain.learner: gain.own.mean for gain in more.over_best if gain.own.verdict == "worse"}
    assert f"the {WORDS[len(worse)]} matching learners" in text and all(f"`{name}`" in text for name in worse)
    assert f"({max(worse.values()):.3f} to {min(worse.values()):.3f})" in text
    aligned = [gain for own in (few, results[LIVEC], more) for gain in own.over_comparator
               if gain.learner == "rankup-rda"]  # fmt: skip
    assert len(aligned) == 3 and {gain.losses for gain in aligned} == {0, 1}
    assert {gain.own.verdict for gain in aligned} == {"not distinguished"}
    assert few.means["ridge-probe"] - few.means["supervised"] > 0.01
    below = [gain for own in (few, results[LIVEC], more) for gain in own.over_comparator
             if gain.learner in ("adamatch", "freematch")]  # fmt: skip
    assert len(below) == 6 and all(gain.own.mean < 0 for gain in below)


def test_which_learners_miss_the_bar_of_duplicates(tables: ModuleType) -> None:
    validity = tables.claims("open_validity")
    kept = validity.kept()
    assert set(kept) == {*validity.COMPARED, *validity.MORE} and {len(found) for found in kept.values()} == {20}
    missed = {name for name, found in kept.items() if not validity.judged(found)[2]}
    assert missed == {"rankup", "rankup-rda"} and "All other learners stay within the bar." in text_of("docs/open.md")


def test_sentences_about_more_labels_of_biq2021(results: dict[Key, Any]) -> None:
    text = text_of("docs/open.md").partition("### With 100 and 500 labels")[2].partition("###")[0]
    own = results[BIQ_MORE]
    gains = {gain.learner: gain for gain in own.over_comparator}
    best = {gain.learner: gain for gain in own.over_best}
    assert gains["rankup-rda"].own.verdict == "better" and gains["rankup-rda"].losses == 0 and own.splits == 20
    means = [own.means[name] for name in ("supervised", "ridge-probe", "rankup-supervised")]
    assert "`supervised` ({:.3f}) is above `ridge-probe` ({:.3f}) there".format(*means) in text
    assert f"({best['rankup'].own.mean:.3f} and {best['rankup-rda'].own.mean:.3f}): their comparator has a mean of " \
           f"{means[2]:.3f}" in text  # fmt: skip
    assert {best[name].own.verdict for name in ("rankup", "rankup-rda")} == {"worse"}
    taught = gains["pseudo-label"]
    assert taught.own.lo > 0 and taught.own.verdict == "not distinguished"
    assert f"gains on {WORDS[own.splits - taught.losses]} of {WORDS[own.splits]} splits" in text
    assert f"corrected for {WORDS[own.compared]} comparisons" in text
    assert f"(p = {taught.own.p:.3f}, and {best['pseudo-label'].own.p:.3f} among" in text
    levels = sorted(gain.own.mean for name, gain in best.items() if "match" in name)
    assert {best[name].own.verdict for name in best if "match" in name} == {"worse"}
    assert f"The {WORDS[len(levels)]} matching learners are worse than the best labels-only row ({levels[-1]:.3f} to " \
           f"{levels[0]:.3f})" in text  # fmt: skip


def test_sentences_about_pairs_of_two_databases(results: dict[Key, Any]) -> None:
    text, own = text_of("docs/open.md").partition("## Across databases: 93 labels")[2], results[ACROSS]
    text = text.partition("### With all labels")[0]
    oracles = [gain for gain in own.references if gain.learner in ("oracle", "rankup-oracle")]
    assert len(oracles) == 2 and min(gain.own.lo for gain in oracles) > 0.08 and "is above 0.08" in text
    above = {gain.learner: gain for gain in own.over_comparator if gain.own.lo > 0}
    assert set(above) == {"ssiqa", "pseudo-label"}
    assert {gain.own.verdict for gain in above.values()} == {"not distinguished"}
    (p,) = {f"{gain.own.p:.3f}" for gain in above.values()}
    assert f"corrected for {WORDS[own.compared]} comparisons neither is significant (p = {p} for both)" in text
    equal = {gain.learner for gain in own.over_comparator if gain.own.verdict == "equivalent"}
    assert equal == {"mean-teacher", "ucvme"}
    best = max(own.over_best, key=lambda gain: gain.own.mean)
    assert f"is {best.own.mean:+.3f} (`{best.learner}`, {best.own.lo:+.3f} to {best.own.hi:+.3f})" in text
    (worse,) = [gain for gain in own.over_best if gain.own.verdict == "worse"]
    assert f"`{worse.learner}` is worse than it ({worse.own.mean:.3f})" in text
    adapted = {gain.learner: gain.own for gain in own.references if gain.over == "ridge-probe"}
    assert adapted["adabn"].verdict == "equivalent" and adapted["coral"].hi < 0


def test_sentences_about_trained_stages_for_the_other_database(results: dict[Key, Any]) -> None:
    text = text_of("docs/open.md").partition("## Across databases: 93 labels")[2].partition("## Across")[0]
    text, own = text.partition("### The last stages trained too")[2], results[ACROSS_STAGES]
    assert own.splits == 10 and not own.few and "ten splits" in text
    assert f"corrected for {WORDS[own.compared]} comparisons, and nothing is distinguished" in text
    assert {gain.own.verdict for gain in (*own.over_comparator, *own.over_best)} == {"not distinguished"}
    assert "no mean is more than 0.0001 above" in text and "`fixmatch` is below it on all ten splits" in text
    assert own.means[own.best] > own.bar - 0.01
    assert f"Labels alone reach {own.means[own.best]:.3f}, ridge regression on frozen features {own.bar:.3f}" in text
    won = {gain.learner: WORDS[sum(value > 0 for value in gain.by_split)] for gain in own.over_comparator}
    assert f"`ssiqa` gains on {won['ssiqa']} of ten splits and `pseudo-label` on {won['pseudo-label']};" in text
    gains = {gain.learner: gain for gain in own.over_best}
    assert max(gain.own.mean for gain in gains.values()) < 1e-4 and gains["fixmatch"].losses == own.splits
    lost, (oracle,) = gains["fixmatch"].own, own.references
    assert f"({lost.mean:.3f}, {lost.lo:.3f} to {lost.hi:.3f}; corrected p = {lost.p:.3f})" in text
    assert f"bring {oracle.own.mean:+.3f} ({oracle.own.lo:+.3f} to {oracle.own.hi:+.3f})" in text


def test_sentences_about_all_labels_of_livec_for_the_other_database(results: dict[Key, Any]) -> None:
    text = text_of("docs/open.md").partition("### With all labels of LIVE In the Wild")[2].partition("## Across")[0]
    own, few = results[ACROSS_ALL], results[ACROSS]
    verdicts = {gain.learner: gain.own.verdict for gain in own.over_comparator}
    assert verdicts.pop("ssiqa") == "not distinguished" and set(verdicts.values()) == {"equivalent"}
    assert f"{WORDS[len(verdicts)]} of {WORDS[own.compared]} learners are equivalent" in text
    widths = [statistics.fmean(gain.own.hi - gain.own.lo for gain in found.over_comparator) for found in (own, few)]
    assert 0.25 < widths[0] / widths[1] < 0.42 and "a third as wide as with 93 labels" in text
    assert max(gain.own.mean for gain in own.over_best) < 0 and "No mean is above the best labels-only row" in text
    worse = [f"`{gain.learner}` ({gain.own.mean:.3f})" for gain in own.over_best if gain.own.verdict == "worse"]
    assert f"{', '.join(worse[:-1])} and {worse[-1]} are worse than it" in text
    references = {gain.learner: gain for gain in own.references}
    adapted, lost = references["adabn"], references["coral"]
    assert adapted.losses == 0 and lost.losses == own.splits
    assert f"`adabn` gains {adapted.own.mean:.3f} over ridge regression on every split" in text
    assert own.means[own.best] - own.means["ridge-probe"] > 5 * adapted.own.mean
    (before,) = [gain.own.mean for gain in few.references if gain.learner == "oracle"]
    assert f"bring {references['oracle'].own.mean:+.3f} (`oracle`), where they bring {before:+.3f} with 93" in text


def test_sentences_about_labels_of_biq2021_for_the_other_database(results: dict[Key, Any]) -> None:
    text = text_of("docs/open.md").partition("## Across databases: 200 labels")[2].partition("## What")[0]
    own = results[BACK]
    gains = {gain.learner: gain for gain in own.over_comparator if gain.own.lo > 0}
    assert set(gains) == {"rankup", "pseudo-label"}
    assert {gain.own.verdict for gain in gains.values()} == {"not distinguished"}
    assert gains["rankup"].losses == 0 and own.splits == 20
    assert f"on all twenty splits and `pseudo-label` on {WORDS[own.splits - gains['pseudo-label'].losses]};" in text
    assert f"(p = {gains['rankup'].own.p:.3f} and p = {gains['pseudo-label'].own.p:.3f})" in text
    assert f"corrected for {WORDS[own.compared]} comparisons neither" in text
    best = max(own.over_best, key=lambda gain: gain.own.mean)
    assert f"is {best.own.mean:+.3f} (`{best.learner}`, {best.own.lo:+.3f} to {best.own.hi:+.3f})" in text


@pytest.mark.parametrize("dataset", ["livec", "biq2021"])
def test_tuned_recipes_are_what_the_trials_chose(dataset: str) -> None:
    """The learning rate and one more parameter are the chosen ones, all others those of recipe `frozen`."""
    with open(ROOT / f"benchmarks/tuning/{dataset}-100.csv", newline="") as file:
        rows = [(own["method"], own["trial"], float(own["srcc"])) for own in csv.DictReader(file)]
    registry = load_registry()
    methods = dict.fromkeys(method for method, *_ in rows)
    assert {"ssiqa", "supervised-long", "adamatch", "freematch", "simmatch", "comatch", "rankup-rda"} <= set(methods)
    for method in methods:
        srcc: dict[str, list[float]] = {}
        for _, trial, value in (row for row in rows if row[0] == method):
            srcc.setdefault(trial, []).append(value)
        assert {len(values) for values in srcc.values()} == {3} and len(srcc) == 6
        best = max(srcc, key=lambda trial: statistics.fmean(srcc[trial]))
        chosen = {name: float(value) for name, value in (part.split("=") for part in best.split(", "))}
        params, tuned = (registry.resolve_method(method, recipe=recipe).params
                         for recipe in ("frozen", f"frozen/tuned-on-{dataset}"))  # fmt: skip
        if method == "supervised-levels":  # sees no unlabeled images, so that their weight does not matter
            params, tuned = ({**own, "unlabeled_weight": 0.0} for own in (params, tuned))
        assert tuned == {**params, **chosen}, method


def test_every_mean_lies_above_the_permuted_scores_of_its_setting(results: dict[Key, Any]) -> None:
    boards = [" ".join(path.read_text().split()) for path in (ROOT / "leaderboards/open/standard").glob("*--*.md")]
    said = [after for board in boards for after in board.split("permuted scores have a 99th percentile of ")[1:]]
    means = "the mean of every other row lies above it"
    assert "All means lie above the 99th percentile of these" in text_of("docs/open.md")
    single = {page.stem for page in (ROOT / "leaderboards/open/standard").glob("*--*.md")
              if "Single runs not above it" in " ".join(page.read_text().split())}  # fmt: skip
    assert single == {"biq2021--biq2021", "livec--livec"}
    assert all(re.match(rf"0\.\d{{3}}; {means}", after) for after in said), "docs/open.md says so"
    heads = {(pair, labels) for pair, labels, rest in results if "last-stages" not in rest}
    sides = sum(len(set(pair.split(":"))) for pair, _ in heads)
    assert len(said) == sides, "every setting, on each of its datasets"
