"""The label firewall: what a learner is handed, in which order, and what stops a run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ssliqa_bench.datasets.table import Table
from ssliqa_bench.errors import LeakError
from ssliqa_bench.methods.base import Needs
from ssliqa_bench.runner.sets import LearnerSets, Source, build_sets, check_content, test_set
from ssliqa_bench.types import Role

Make = Callable[..., Source]
test_set.__test__ = False  # type: ignore[attr-defined]


class Memory:
    """Pixels in memory: image k of dataset d is filled with a value of its own."""

    def __init__(self, values: list[int]) -> None:
        self._images = [np.full((2, 3, 3), value, np.uint8) for value in values]
        self.hashes = [hashlib.sha256(bytes([value])).hexdigest() for value in values]

    def image(self, row: int) -> NDArray[np.uint8]:
        return self._images[row]


def source(dataset: str, roles: list[Role], values: list[int], **columns: Any) -> Source:
    n = len(roles)
    scores = np.arange(n) + (0.5 if dataset == "a" else 50.5)
    table = Table(
        dataset=dataset,
        name=tuple(f"{dataset}-level{k}.png" for k in range(n)),
        path=tuple(f"/data/{dataset}/{k}.png" for k in range(n)),
        score=scores,
        score01=scores / 100,
        group=tuple(f"secret-{k}" for k in range(n)),
        **columns,
    )
    return Source(table, roles, Memory(values))


def pair(**columns: Any) -> dict[str, Source]:
    """Six images of a (three labeled, one for validation, two for testing), five of b (three unlabeled)."""
    roles: list[Role] = ["labeled", "test", "labeled", "validation", "labeled", "test"]
    return {
        "a": source("a", roles, [1, 2, 3, 4, 5, 6], **columns),
        "b": source("b", ["unlabeled", "test", "unlabeled", "unused", "unlabeled"], [11, 12, 13, 14, 15]),
    }


def build(
    sources: dict[str, Source],
    *,
    labels_for_unlabeled: bool = False,
    transductive: Sequence[tuple[str, int]] = (),
    **asked: Any,
) -> LearnerSets:
    return build_sets(
        sources, Needs(**asked), labels_for_unlabeled=labels_for_unlabeled, transductive=transductive
    )


def pair_with_references(values: dict[str, list[int]]) -> dict[str, Source]:
    """As `pair`, every image with the reference of that number."""
    return {
        name: replace(own, references=Memory(values[name]), reference_rows=range(len(own.table)))
        for name, own in pair().items()
    }


def value(images: Any, position: int) -> int:
    """Which image stands at a position."""
    return int(images[position][0, 0, 0])


def values(images: Any) -> list[int]:
    return [value(images, k) for k in range(len(images))]


def by_hash(numbers: list[int]) -> list[int]:
    return sorted(numbers, key=lambda number: hashlib.sha256(bytes([number])).hexdigest())


def test_images_stand_in_the_order_of_their_content_with_their_own_scores() -> None:
    sets = build(pair())
    assert sets.labeled is not None and sets.unlabeled is not None
    assert values(sets.labeled.images) == by_hash([1, 3, 5])
    assert values(sets.unlabeled) == by_hash([11, 13, 15])
    assert dict(zip(values(sets.labeled.images), sets.labeled.score01)) == {1: 0.005, 3: 0.025, 5: 0.045}
    test = sets.tests["a"]
    assert values(test.images) == by_hash([2, 6])
    told = {number: (name, score) for number, name, score in zip(values(test.images), test.names, test.scores)}
    assert told == {2: ("a-level1.png", 1.5), 6: ("a-level5.png", 5.5)}


@pytest.mark.parametrize("seed", range(4))
def test_the_readers_order_changes_nothing(seed: int) -> None:
    sources = pair()
    shuffled = {}
    for name, own in sources.items():
        order = np.random.default_rng(seed).permutation(len(own.table))
        pixels = Memory([int(own.pixels.image(k)[0, 0, 0]) for k in order])
        shuffled[name] = Source(own.table.take(order), [own.roles[k] for k in order], pixels)
    one, other = build(sources), build(shuffled)
    assert one.labeled is not None and other.labeled is not None
    assert values(one.labeled.images) == values(other.labeled.images)
    assert np.array_equal(one.labeled.score01, other.labeled.score01)
    assert one.tests["b"].names == other.tests["b"].names


def test_withheld_scores_are_part_of_nothing_a_learner_is_handed() -> None:
    sources = pair()
    other = pair()
    for name, roles in (("a", ("test",)), ("b", ("unlabeled", "test"))):
        for role in roles:
            other[name].table.score01[other[name].rows(role)] += 0.3
    one, two = build(sources), build(other)
    assert one.labeled is not None and two.labeled is not None
    assert np.array_equal(one.labeled.score01, two.labeled.score01)


def test_no_name_path_or_group_is_reachable_from_what_a_learner_gets() -> None:
    sets = build(pair())
    seen: set[int] = set()

    def texts(thing: Any) -> list[str]:
        if isinstance(thing, str):
            return [thing]
        if id(thing) in seen or isinstance(thing, (np.ndarray, int, float, type(None))):
            return []
        seen.add(id(thing))
        inner = list(thing) if isinstance(thing, (list, tuple)) else list(getattr(thing, "__dict__", {}).values())
        return [text for item in inner for text in texts(item)]

    found = [text for handed in (sets.labeled, sets.unlabeled, sets.validation) for text in texts(handed)]
    assert found, "the content hashes are there"
    assert all(len(text) == 64 for text in found)


def test_validation_answers_only_how_well_predictions_order_it() -> None:
    sources = pair()
    sources["a"] = source("a", ["labeled", "validation", "validation", "validation", "labeled"], [1, 2, 3, 4, 5])
    held = build(sources).validation
    assert held is not None
    order = values(held.images)
    assert order == by_hash([2, 3, 4])
    assert held.srcc(np.array([float(number) for number in order])) == pytest.approx(1.0)
    assert held.srcc(np.array([-float(number) for number in order])) == pytest.approx(-1.0)
    assert held.srcc(np.ones(3)) is None
    public = {name for name in dir(held) if not name.startswith("_")}
    assert public == {"images", "srcc", "plcc", "rmse", "without_references"}
    assert not any(isinstance(thing, np.ndarray) for thing in vars(held).values())


def test_statistics_of_ratings_are_handed_over_only_where_asked_for() -> None:
    columns = {"distribution": np.eye(6), "rating_std": np.arange(6.0)}
    plain, asked = build(pair(**columns)), build(pair(**columns), distribution=True, rating_std=True)
    assert plain.labeled is not None and plain.labeled.distribution is None and plain.labeled.rating_std is None
    assert asked.labeled is not None
    order = [number - 1 for number in values(asked.labeled.images)]
    assert np.array_equal(asked.labeled.distribution, np.eye(6)[order])
    assert np.array_equal(asked.labeled.rating_std, order)
    missing = build(pair(), distribution=True)
    assert missing.labeled is not None and missing.labeled.distribution is None


def test_the_oracle_is_handed_the_unlabeled_side_as_labeled() -> None:
    plain, oracle = build(pair()), build(pair(), labels_for_unlabeled=True)
    assert oracle.labeled is not None and oracle.unlabeled is None
    assert values(oracle.labeled.images) == by_hash([1, 3, 5, 11, 13, 15])
    told = dict(zip(values(oracle.labeled.images), oracle.labeled.score01))
    assert told[11] == 0.505 and told[5] == 0.045
    expected = {"labeled": 3, "unlabeled": 3, "sides": 2}
    assert oracle.counts == plain.counts == expected, "counts stay those of the two sides"


def test_transductive_rows_join_the_unlabeled_images_and_stay_test_images() -> None:
    sets = build(pair(), transductive=[("b", 1)])
    assert sets.unlabeled is not None and values(sets.unlabeled) == by_hash([11, 12, 13, 15])
    assert values(sets.tests["b"].images) == [12]
    assert sets.counts == {"labeled": 3, "unlabeled": 4, "sides": 2}, "a comparator keeps the steps that they make"


def test_sets_without_images_are_none() -> None:
    sets = build({"a": source("a", ["test", "test"], [1, 2])})
    assert sets.labeled is None and sets.unlabeled is None and sets.validation is None
    assert sets.counts == {"labeled": 0, "unlabeled": 0, "sides": 0} and list(sets.tests) == ["a"]


@pytest.mark.parametrize(
    ("roles", "numbers", "leaks"),
    [
        (["unlabeled"], [1], True),  # labeled in a
        (["test"], [1], True),
        (["unlabeled"], [4], True),  # for validation in a
        (["test"], [4], True),
        (["unlabeled"], [2], True),  # tested in a
        (["unused"], [1], False),
        (["test"], [2], False),  # tested in both
        (["unlabeled"], [99], False),
    ],
)
def test_one_image_in_two_roles_stops_the_run(roles: list[Role], numbers: list[int], leaks: bool) -> None:
    sources = {**pair(), "c": source("c", roles, numbers)}
    if not leaks:
        check_content(sources)
        return
    with pytest.raises(LeakError) as caught:
        check_content(sources)
    message = str(caught.value)
    assert "c/c-level0.png" in message and "1 images" in message and "Nothing was run" in message
    assert f"a/a-level{numbers[0] - 1}.png" in message and roles[0] in message


def test_one_image_in_two_roles_of_one_dataset_stops_the_run() -> None:
    with pytest.raises(LeakError, match="a/a-level0.png is labeled, a/a-level1.png"):
        check_content({"a": source("a", ["labeled", "test"], [7, 7])})
    check_content({"a": source("a", ["labeled", "labeled", "test"], [7, 7, 8])})


def test_an_image_labeled_twice_stands_in_an_order_that_names_do_not_decide() -> None:
    one = source("a", ["labeled", "labeled", "test"], [7, 7, 8])
    turned = Source(one.table.take([1, 0, 2]), one.roles, one.pixels)
    first, second = build({"a": one}).labeled, build({"a": turned}).labeled
    assert first is not None and second is not None and np.array_equal(first.score01, second.score01)


def test_test_images_stand_in_the_order_of_their_content() -> None:
    one = test_set(source("a", ["test", "test", "unused"], [5, 6, 7]))
    other = test_set(source("b", ["test", "test", "unused"], [6, 5, 8]))
    assert values(one.images) == values(other.images) == by_hash([5, 6])
    for found, own in ((one, [5, 6, 7]), (other, [6, 5, 8])):
        assert [own[row] for row in found.rows] == values(found.images)
        assert [name[-10:] for name in found.names] == [f"level{row}.png" for row in found.rows]


@pytest.mark.parametrize("seed", range(4))
def test_copies_of_one_picture_stand_in_an_order_that_the_reader_does_not_decide(seed: int) -> None:
    """They differ in what is told of them, and in what they are compared with."""
    columns = {"distribution": np.array([[0.5, 0.5], [0.2, 0.8], [0.5, 0.5], [0.9, 0.1], [1, 0], [1, 0]])}
    roles: list[Role] = ["labeled", "labeled", "labeled", "unlabeled", "unlabeled", "test"]
    own = source("a", roles, [7, 7, 7, 8, 8, 9], **columns)
    own.table.score01[:3] = 0.5
    pristine = [101, 102, 103, 104, 105, 106]
    own = replace(own, references=Memory(pristine), reference_rows=range(6))
    order = np.random.default_rng(seed).permutation(6)
    turned = Source(own.table.take(order), [roles[k] for k in order], Memory([[7, 7, 7, 8, 8, 9][k] for k in order]),
                    own.references, [int(k) for k in order])
    one, two = (build({"a": made}, distribution=True) for made in (own, turned))
    assert one.labeled is not None and two.labeled is not None and one.unlabeled is not None
    assert np.array_equal(one.labeled.distribution, two.labeled.distribution)
    assert values(one.labeled.images.references) == values(two.labeled.images.references)
    assert values(one.unlabeled.references) == values(two.unlabeled.references)


def test_a_pair_of_one_dataset_has_one_side() -> None:
    sets = build({"a": source("a", ["labeled", "unlabeled", "unlabeled", "test"], [1, 2, 3, 4])})
    assert sets.counts == {"labeled": 1, "unlabeled": 2, "sides": 1}


REFERENCES = {"a": [101, 101, 102, 103, 102, 104], "b": [111, 112, 111, 113, 112]}


def test_references_stand_beside_their_images_whatever_the_order() -> None:
    sets = build(pair_with_references(REFERENCES), references=True)
    of_image = dict(zip([1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15], REFERENCES["a"] + REFERENCES["b"], strict=True))
    found = [sets.labeled.images, sets.unlabeled, sets.validation.images, *(t.images for t in sets.tests.values())]
    for images in found:
        assert images.references is not None
        seen = {int(images[k][0, 0, 0]): int(images.references[k][0, 0, 0]) for k in range(len(images))}
        assert seen == {value: of_image[value] for value in seen} and len(seen) == len(images)
        turned = images.subset([len(images) - 1, 0])
        assert turned.references[1][0, 0, 0] == images.references[0][0, 0, 0]
        assert images.without_references().references is None
    distinct, place = sets.labeled.images.references.distinct()
    assert len(distinct) == 2  # 101 and, twice, 102
    assert [int(distinct[k][0, 0, 0]) for k in place] == [
        int(sets.labeled.images.references[k][0, 0, 0]) for k in range(3)
    ]


def test_test_images_come_with_references_only_where_they_are_asked_for() -> None:
    alone, compared = (build(pair_with_references(REFERENCES), references=asked) for asked in (False, True))
    for name, test in alone.tests.items():
        assert test.images.references is None and compared.tests[name].images.references is not None
        assert values(test.images) == values(compared.tests[name].images)


def test_validation_answers_by_three_measures_on_the_learners_scale() -> None:
    sources = pair()
    sources["a"] = source("a", ["labeled", "validation", "validation", "validation", "labeled"], [1, 2, 3, 4, 5])
    held = build(sources).validation
    scores = np.array([(number - 0.5) / 100 for number in values(held.images)])  # image k of a has the score k − 0.5
    assert held.rmse(scores + 0.1) == pytest.approx(0.1)
    assert held.plcc(3 * scores - 1) == pytest.approx(1.0)
    assert held.without_references().rmse(scores) == pytest.approx(0.0, abs=1e-12)
