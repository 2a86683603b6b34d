"""What an entry of each kind may say. Unknown keys are refused, entries never change once read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    model_validator,
)

from ssliqa_bench.bounds import MOST_SEEDS
from ssliqa_bench.registry.parameters import Parameter, is_class_path
from ssliqa_bench.registry.problems import wrong

if TYPE_CHECKING:
    from ssliqa_bench.types import Scale

_NAME = re.compile(r"^[a-z0-9][a-z0-9._-]*$")
_PARAM = re.compile(r"^[a-z][a-z0-9_]*$")
# What may follow the colon of a prefix: names that another library gave, such as clipiqa+_vitL14_512.
_FOREIGN = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")
# https, or a server on this machine.
_ADDRESS = re.compile(r"^(https://[^\s/]+|http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?)/\S+$")
_SHA256 = re.compile(r"^[0-9a-f]{64}$")

NAME_RULE = "a name of small letters, digits, dot, dash and underscore"
PARAMETER_RULE = "small letters, digits and underscore"
# A recipe of this name always exists: the parameters of an entry and its ancestors, and nothing over them.
PLAIN_RECIPE = "default"
# Recipes of this name, and those below it, train a head on stored features of a network that stays as it is.
FROZEN_RECIPE = "frozen"


def is_name(text: str) -> bool:
    """Whether `text` can be the name of an entry (a colon would not survive in `A:B`, a comma not in --test)."""
    return bool(_NAME.match(text))


def is_parameter_name(text: str) -> bool:
    """Whether `text` can be the name of a parameter."""
    return bool(_PARAM.match(text))


def is_foreign_name(text: str) -> bool:
    """Whether `text` can follow the colon in `PREFIX:NAME` of a method."""
    return bool(_FOREIGN.match(text))


def _class_path(text: str) -> str:
    if not is_class_path(text):
        raise ValueError('"module:Name", for example mypackage.mymodule:MyClass')
    return text


def _name(text: str) -> str:
    if not is_name(text):
        raise ValueError(NAME_RULE)
    return text


def _recipe(text: str) -> str:
    if not all(is_name(part) for part in text.split("/")):
        raise ValueError(f"{NAME_RULE}; a recipe that begins with another is written BASE/NAME")
    return text


def _is_range(value: Any) -> bool:
    numbers = isinstance(value, (list, tuple)) and all(type(v) in (int, float) for v in value)
    return numbers and len(value) == 2 and value[0] < value[1]


def _range(value: Any) -> tuple[float, float]:
    if not _is_range(value):
        raise ValueError("[low, high], two numbers, the low one first")
    return float(value[0]), float(value[1])


def _budget(value: int | float) -> int | float:
    if value <= 0 or (isinstance(value, float) and value > 1):
        raise ValueError("a count (whole number from 1) or a fraction (number with a dot, up to 1.0)")
    return value


def _twins(value: Any) -> Any:
    lists: Any = value if isinstance(value, (list, tuple)) else [None]
    if not all(isinstance(v, (list, tuple)) and len(set(map(str, v))) == len(v) > 1 for v in lists) or not all(
        isinstance(name, str) for names in lists for name in names
    ):
        raise ValueError("a list of lists, each with two or more image names")
    return tuple(tuple(names) for names in lists)


def _address(text: str) -> str:
    if not _ADDRESS.match(text):
        raise ValueError("an address, https://…: what comes from any other could be changed on its way")
    return text


def _sha256(text: str) -> str:
    if not _SHA256.match(text):
        raise ValueError("64 hexadecimal digits in small letters")
    return text


def _recipes(value: Any) -> Any:
    listed = isinstance(value, (list, tuple)) and value and all(isinstance(v, str) for v in value)
    if not isinstance(value, str) and not listed:
        raise ValueError("the name of a recipe, or a list of such names")
    return (value,) if isinstance(value, str) else tuple(value)


def _trained_on(value: Any) -> Any:
    listed = isinstance(value, (list, tuple)) and all(isinstance(v, str) for v in value)
    if value != "unknown" and not listed:
        raise ValueError('a list of dataset names ([] for none), or "unknown"')
    return value if value == "unknown" else tuple(value)


def _params(value: dict[str, Any]) -> dict[str, Any]:
    for key, item in value.items():
        if not is_parameter_name(key):
            raise wrong(f"the name {key}", PARAMETER_RULE, key)
        if isinstance(item, dict) or (isinstance(item, list) and any(isinstance(i, (dict, list)) for i in item)):
            raise wrong("a nested value", "true, false, null, a number, text or a list of these", key)
    return value


ClassPath = Annotated[str, AfterValidator(_class_path)]
Name = Annotated[str, AfterValidator(_name)]
Range = Annotated[tuple[float, float], BeforeValidator(_range)]
Count = Annotated[StrictInt, Field(ge=0)]
Budget = Annotated[StrictInt | StrictFloat, AfterValidator(_budget)]
ParamSet = Annotated[dict[str, Any], AfterValidator(_params)]
Address = Annotated[str, AfterValidator(_address)]
Sha256 = Annotated[str, AfterValidator(_sha256)]
RecipeName = Annotated[str, AfterValidator(_recipe)]
RecipeNames = Annotated[tuple[RecipeName, ...], BeforeValidator(_recipes)]
Twins = Annotated[tuple[tuple[str, ...], ...], BeforeValidator(_twins)]
TrainedOn = Annotated[tuple[str, ...] | Literal["unknown"], BeforeValidator(_trained_on)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class About(_Model):
    """What a person wants to know; never part of a key, so that correcting a citation re-runs nothing."""

    title: str
    family: str = ""
    description: str = ""
    citation: str = ""
    home: str = ""
    terms: str = ""


class MethodAbout(About):
    """What a person wants to know of a method.

    Attributes:
        trained_on: the IQA datasets that the weights a method comes with have seen before any run.
        aligned: predictions for unlabeled images are aligned with the labels, where `align_target`, if there is one, is
            "labeled"; the runner notes what that assumes of two datasets. `rankup-rda` notes it itself.
    """

    trained_on: TrainedOn = "unknown"
    aligned: StrictBool = False


class _Entry(_Model):
    # The key in the file, put here by the loader.
    name: Name
    about: About
    aliases: tuple[Name, ...] = ()


class SubsetRule(_Model):
    """Which images a named subset keeps: those whose distortion is listed."""

    distortion: tuple[str, ...]


class WorkingSize(_Model):
    """Resize an image so that its short side has this many pixels."""

    short_side: Annotated[StrictInt, Field(ge=1)]


class DownloadFacts(_Model):
    """How to get a dataset's files: an open archive, or what has to be done by hand.

    Attributes:
        url: of an archive that holds the dataset's folder; none where the files cannot be had without asking.
        archive: its format; `tar` with whatever compression.
        sha256: of the archive, where a source states it.
        labels: of a label file that comes beside the archive; it goes to `meta_info` below the data root.
        note: what to do by hand, and what to put where, as whole sentences.
    """

    url: Address | None = None
    archive: Literal["tar", "zip"] = Field("tar", description='"tar" or "zip"')
    sha256: Sha256 | Literal["unknown"] = "unknown"
    labels: Address | None = None
    note: str = ""

    @model_validator(mode="after")
    def _check(self) -> DownloadFacts:
        if self.url is None and not self.note:
            raise wrong("neither url nor note", "the address of an archive, or manual instructions", "url")
        if self.url is None and (self.labels or self.sha256 != "unknown"):
            raise wrong("labels or sha256 without url", "them beside the address of an archive", "url")
        return self


class MadeFrom(_Model):
    """How the images of a dataset are made from the pristine ones of another: `data prepare` does it.

    Attributes:
        dataset: whose references are taken; those of its official validation and test parts are left alone.
        distortions: `traditional`, four kinds of random strength, or `kadid`, the 25 kinds of KADID-10k at five levels.
        per_reference: images of each reference.
    """

    dataset: Name
    distortions: Literal["traditional", "kadid"] = "traditional"
    per_reference: Annotated[StrictInt, Field(ge=1, le=125)] = 10
    seed: Count = 0


class CopiesFacts(_Model):
    """What is known of the copies in a dataset whose image names may not be passed on.

    The copies themselves are found anew on every machine and compared with these facts; `data twins` prints them.

    Attributes:
        version: of the search, `datasets.near_copies.VERSION`.
        groups, images: how many sets of copies there are, and how many images in them.
        torn_pairs: pairs of copies of which the dataset's own split tests one and not the other.
        digest: of the sets of names.
    """

    version: Annotated[StrictInt, Field(ge=1)]
    groups: Count
    images: Count
    torn_pairs: Count = 0
    digest: Sha256


class DatasetEntry(_Entry):
    """A dataset: where its reader is, and the facts that turn its files into a table.

    Attributes:
        reader, generator: functions as "module:name"; a generator makes the files on first use.
        made_from: its images are made from another dataset's references, into `folder`, without scores.
        folder: the dataset's folder below the data root, its name unless given; absolute in a user's file.
        other_folders: names that the official archive or another collection gives to that folder.
        options: keyword arguments for the reader.
        images: how many there are; optional_images: of a further part that is read where somebody has it.
        scale: nominal ends of the native scores, mapped to 0 and 1 for learners.
        valid_range: what a reader accepts, `scale` unless given.
        direction: of the native scores; tables are higher-is-better whatever it is.
        rating_statistics: the spread column is that of the ratings, not of their mean.
        mean_ratings: how many ratings an image has on average, as its source says, where no file states it of each.
        rank_by: what boards rank and compare by: SRCC over all test images, or the mean of the SRCC within each part,
            weighted by their images, where the part alone predicts much of the score.
        split_by: what a split by group keeps together.
        twins: images, by name, that show one picture in files with other bytes; they are one group, as files with
            equal bytes are without being stated.
        copies: of a dataset whose names may not be listed here: its copies are found by their content when it is first
            read, compared with these facts, and are one group each.
        split_as: the dataset whose random splits it shares, having the same images under the same names.
        groups_as: the dataset after whose groups its own are named: equal names mean the same picture, so that
            leaks are found across the two and splits by group fall alike; `split_as` unless given.
        working_size: whole images as they are, or resized to this short side (pixels) first.
        recipe: parameters that methods use here by default, "demo" for the demo kind, else "paper"; of several
            names, a method takes the first that it has.
        labels_redistributable: its scores may be passed on.
        notice: of the files below `_data/notices`, the one with the whole notice that must accompany copies of
            its scores.
        shared_scenes: which scenes other datasets have too, as far as a source states it; empty where none does.
        size_on_disk: in bytes, where a source states it; "data status" measures what is there.
        typical_size: width and height (pixels) of most images, for estimates.
        download: how to get the files.
    """

    kind: Literal["synthetic", "authentic", "algorithmic", "unlabeled", "demo"] = Field(
        description='"synthetic", "authentic", "algorithmic", "unlabeled" or "demo"'
    )
    reader: ClassPath = "ssliqa_bench.datasets.readers.table:read_csv"
    generator: ClassPath | None = None
    generator_version: Annotated[StrictInt, Field(ge=1)] = 1
    made_from: MadeFrom | None = None
    folder: str
    other_folders: tuple[str, ...] = ()
    options: dict[str, Any] = {}
    images: Count | None = None
    optional_images: Count | None = None
    groups: Count | None = None
    references: Count | None = None
    score_type: str = ""
    scale: Range = Field(description="[low, high], the nominal ends of the score scale")
    valid_range: Range
    direction: Literal["higher_is_better", "lower_is_better"] = Field(
        description='"higher_is_better" or "lower_is_better"'
    )
    rating_statistics: StrictBool = False
    mean_ratings: Annotated[float | None, Field(gt=0)] = None
    rank_by: Literal["srcc", "srcc_within_parts"] = "srcc"
    split_by: Literal["group", "image"] = "group"
    twins: Twins = ()
    copies: CopiesFacts | None = None
    split_as: Name | None = None
    groups_as: Name | None = None
    working_size: WorkingSize | None = None
    subsets: dict[str, SubsetRule] = {}
    recipe: RecipeNames
    labels_redistributable: StrictBool = False
    notice: str | None = None
    pyiqa_name: str | None = None
    shared_scenes: str = ""
    size_on_disk: Count | None = None
    typical_size: tuple[Count, Count] | None = None
    download: DownloadFacts | None = None

    @property
    def higher_is_better(self) -> bool:
        """Whether a larger native score means better quality."""
        return self.direction == "higher_is_better"

    @property
    def native_scale(self) -> Scale:
        """Ends and direction of the native scores."""
        from ssliqa_bench.types import Scale  # brings numpy, which the registry does without

        return Scale(*self.scale, self.higher_is_better)

    @property
    def short_side(self) -> int | None:
        """Short side (pixels) that images are resized to when they are decoded; None for images as they are."""
        return None if self.working_size is None else self.working_size.short_side

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, data: Any) -> Any:
        """What follows from other fields. Only a dataset without scores may leave out scale and direction."""
        if not isinstance(data, Mapping):
            return data
        filled = dict(data)
        if filled.get("kind") == "unlabeled":
            filled.setdefault("scale", (0.0, 1.0))
            filled.setdefault("direction", "higher_is_better")
        if filled.get("made_from") is not None:
            filled.setdefault("options", {"unlabeled": True})
        filled.setdefault("folder", filled.get("name", ""))
        filled.setdefault("groups_as", filled.get("split_as"))
        # A wrong scale is reported once, not again as a wrong valid_range.
        filled.setdefault("valid_range", filled["scale"] if _is_range(filled.get("scale")) else (0.0, 1.0))
        filled.setdefault("recipe", "demo" if filled.get("kind") == "demo" else "paper")
        return filled

    @model_validator(mode="after")
    def _check_made(self) -> DatasetEntry:
        if self.made_from is not None and (self.kind != "unlabeled" or self.generator is not None):
            raise wrong("it together with a generator or scores", "kind: unlabeled, and no generator", "made_from")
        return self


class WeightsFacts(_Model):
    """Where pretrained weights come from, what they were trained on, and under which licence they are.

    Attributes:
        source: the address of the file, or of its repository on the Hugging Face hub; `file` is its name there.
        package: instead of `source`, the installed Python package that has the file; `file` is its path in it.
        version: of the package, which has the file of `sha256`.
        convert: a function "module:name" from the tensors of the file to tensors under the network's names.
    """

    source: str | None = None
    package: str | None = None
    version: str | None = None
    file: str | None = None
    sha256: Sha256 | None = None
    convert: ClassPath | None = None
    trained_on: tuple[str, ...] = ()
    licence: str = ""

    @model_validator(mode="after")
    def _check(self) -> WeightsFacts:
        if (self.source is None) == (self.package is None):
            found = "neither source nor package" if self.source is None else "both source and package"
            raise wrong(found, "the address of a file (source), or a Python package that has it (package)")
        parts = {"version": self.version, "file": self.file, "sha256": self.sha256}
        missing = [name for name, value in parts.items() if value is None]
        if self.package is not None and missing:
            raise wrong(f"package without {missing[0]}", "package with version, file and sha256", "package")
        if self.package is None and self.convert is not None:
            raise wrong("convert without package", "it only for a file of a package", "convert")
        return self


# The family of methods whose outcome is known beforehand; boards rank none, and `train` refuses them.
CONTROL = "control"
# The family of methods that learn from labels alone and stand for themselves; boards measure gains against the best.
BASELINE = "baseline"
# Those of methods that are finished as they come: they score images and train nothing.
METRICS = ("classical metric", "metric")


class MethodEntry(_Entry):
    """A method or a variant of one: parameters go from root to leaf, each ancestor's `params`, then its recipe.

    Attributes:
        class_path: `class` in YAML; inherited where absent.
        prefix: the entry NAME stands for all methods `NAME:X` and is none itself; X is passed as this parameter.
            Not inherited.
        like: a comparator names the method whose steps it keeps; not inherited.
        weights: the published file of parameters that a method without training comes with; inherited.
        unlabeled_role: "labeled" asks the runner to hand over B's unlabeled rows with their scores (the
            upper reference); inherited, "unlabeled" where no ancestor says.
        references: the runner hands over reference images, which are then part of a run's key; "where known" for a
            class that needs them or not by its parameters; inherited.
        recipes: named sets of parameters; `a/b` begins with those of `a`.
        parameters: declarations that hold for this entry and its variants, in place of those of the section
            `parameters`, where its class means something else by a name.
    """

    about: MethodAbout
    class_path: ClassPath | None = Field(None, alias="class")
    prefix: str | None = None
    extends: Name | None = None
    like: Name | None = None
    weights: WeightsFacts | None = None
    unlabeled_role: Literal["unlabeled", "labeled"] | None = None
    references: StrictBool | Literal["where known"] | None = None
    parameters: dict[str, Parameter] = {}
    params: ParamSet = {}
    recipes: dict[RecipeName, ParamSet] = {}

    @model_validator(mode="after")
    def _check(self) -> MethodEntry:
        if PLAIN_RECIPE in self.recipes:
            raise wrong(f'the reserved name "{PLAIN_RECIPE}"', "another name", "recipes", PLAIN_RECIPE)
        if self.class_path is None and self.extends is None:
            raise wrong("neither class nor extends", 'class: "module:Name", or extends: a method')
        if self.prefix is not None and self.prefix not in self.params:
            raise wrong(self.prefix, "the name of one of its params", "prefix")
        if self.weights is not None and self.weights.source is None:
            raise wrong("no source", "the address of a file; packages are for backbones", "weights", "source")
        return self


class SplitFields(_Model):
    """How images go to train and test. A split depends on these, the dataset and the seed, on nothing else.

    `train` is the share of training groups (floor of train × n), or with `test` a count of them: what is left over is
    unused. `rule: random` draws the groups by the seed; `rule: sorted` takes them in the order of their names, the
    first ones for training, so that the split is one published split and seeds differ in training alone; `rule: whole`
    tests all images and trains on none. `by: image` ignores the groups. `stratify` keeps that share in every class of
    the protocol, else in every class, or every tenth, of the scores. `within` takes only the images of one part of the
    dataset's own split; the others are unused.
    """

    rule: Literal["random", "sorted", "official", "whole", "file"] = "random"
    train: Annotated[StrictInt | StrictFloat, Field(gt=0)] = 0.8
    test: Annotated[StrictInt, Field(ge=1)] | None = None
    by: Literal["group", "image"] = "group"
    stratify: StrictBool = False
    within: Literal["train", "validation", "test"] | None = None
    file: str | None = None

    @model_validator(mode="after")
    def _check(self) -> SplitFields:
        if self.stratify and (self.rule != "random" or self.by != "image" or isinstance(self.train, int)):
            raise wrong("true", "true only with rule: random, by: image and train as a share", "stratify")
        if (self.rule == "file") != (self.file is not None):
            found = "a file without rule: file" if self.file else "nothing"
            raise wrong(found, "a file with rule: file, and only then", "file")
        if isinstance(self.train, float) and self.train >= 1:
            raise wrong(str(self.train), "a share between 0 and 1, or with test a count", "train")
        if isinstance(self.train, int) != (self.test is not None):
            raise wrong("a count of only one part", "train and test as counts, or train as a share alone", "test")
        return self


class SubsetFields(_Model):
    """Keep only a named subset of the test part; datasets without a subset of that name stay whole.

    `datasets` and `sides` narrow it to some of them; None means all.
    """

    name: Name
    datasets: tuple[str, ...] | None = None
    sides: tuple[Literal["labeled", "unlabeled", "external"], ...] | None = None


class ClassFields(_Model):
    """How the true class of an image, 0 (worst) to `levels` − 1, follows from the opinions about it.

    `modal`: its most frequent rating, the worst of them at a tie; images whose dataset has no ratings on so many
    levels have no class. `equal_width`: which of so many equally wide intervals of the scale its score lies in.
    """

    levels: Annotated[StrictInt, Field(ge=2)] = 5
    rule: Literal["modal", "equal_width"] = Field(description='"modal" or "equal_width"')


class ExtraUnlabeled(_Model):
    """Unlabeled images of a dataset that no pair of the protocol has.

    `count` images are drawn at random, whole groups as far as that goes; or `names` is a CSV file whose column `image`
    lists them. Images of the groups that were drawn are never tested, unless the protocol is transductive.
    """

    dataset: str
    count: Annotated[StrictInt, Field(ge=1)] | None = None
    names: str | None = None

    @model_validator(mode="after")
    def _check(self) -> ExtraUnlabeled:
        if (self.count is None) == (self.names is None):
            found = "neither count nor names" if self.count is None else "count and names"
            raise wrong(found, "how many to draw (count), or a file that names them (names)", "count")
        return self


class ProtocolEntry(_Entry):
    """Split rule, budgets, repeats and how results are computed; a board carries its name.

    Attributes:
        validation: share of the labeled images, 0 for none; never taken from a test part.
        budget, unlabeled_budget: a count (whole number) or a fraction (number with a dot); null means all.
        stratified: budgets look at withheld scores; the board marks it.
        extra_unlabeled: further unlabeled images, beside those of B; what is left of their dataset is tested.
        transductive: test images of B, and the extra ones, also have the unlabeled role; the board marks it.
        repeats: seeds 0 … repeats-1 make a cell.
        metrics: what results are about. Those beyond the default ones are in `extra`, where they are asked for.
        classes: how images fall into classes of quality, for protocols that ask for metrics of classes; a stratified
            split then keeps its share in each of them.
        tests: whole datasets, never trained on, that every run is evaluated on.
    """

    split: SplitFields = SplitFields()
    validation: Annotated[StrictFloat, Field(ge=0, lt=1)] = 0.0
    budget: Budget | None = None
    unlabeled_budget: Budget | None = None
    extra_unlabeled: ExtraUnlabeled | None = None
    stratified: StrictBool = False
    transductive: StrictBool = False
    repeats: Annotated[StrictInt, Field(ge=1, le=MOST_SEEDS)] = 1
    aggregate: Literal["mean", "median"] = "mean"
    score_scale: Literal["registry"] = "registry"
    mapping: Literal["logistic4", "logistic5", "linear", "none"] = "logistic4"
    subset: SubsetFields | None = None
    metrics: tuple[str, ...] = ("srcc", "krcc", "plcc_raw", "plcc_mapped", "rmse_mapped")
    classes: ClassFields | None = None
    tests: tuple[str, ...] = ()


class BackboneEntry(_Entry):
    """A network that methods can be built on.

    Attributes:
        class_path: `class` in YAML.
        prefix: the entry NAME stands for all backbones `NAME:X`; X is passed as this argument.
        stands_for: facts about one backbone of a prefix, such as timm:vit_small_patch16_224.
        input_size: side of the square input in pixels; null where any size works.
        weights_of: the backbone whose published weights a part of this one starts from.
        features_of: the frozen, pretrained backbone whose features this one takes in the place of crops.
    """

    class_path: ClassPath | None = Field(None, alias="class")
    prefix: str | None = None
    stands_for: str | None = None
    arguments: ParamSet = {}
    input_size: Count | None = None
    weights: WeightsFacts | None = None
    weights_of: str | None = None
    features_of: str | None = None

    @model_validator(mode="after")
    def _check(self) -> BackboneEntry:
        if (self.class_path is None) == (self.stands_for is None):
            found = "neither class nor stands_for" if self.class_path is None else "both class and stands_for"
            raise wrong(found, 'class: "module:Name", or stands_for: PREFIX:NAME')
        return self


Entry = DatasetEntry | MethodEntry | ProtocolEntry | BackboneEntry
# Sections of a registry file, in the order in which they are listed.
KINDS: dict[str, type[DatasetEntry] | type[MethodEntry] | type[ProtocolEntry] | type[BackboneEntry]] = {
    "datasets": DatasetEntry,
    "backbones": BackboneEntry,
    "protocols": ProtocolEntry,
    "methods": MethodEntry,
}
