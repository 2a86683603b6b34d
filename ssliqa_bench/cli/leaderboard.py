"""`leaderboard`: boards from the records of a store."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ssliqa_bench.cli import options
from ssliqa_bench.errors import CheckError, InputError
from ssliqa_bench.leaderboard.renderers import FORMATS, SITE
from ssliqa_bench.text import printable

if TYPE_CHECKING:
    from ssliqa_bench.store.failures import Failure
    from ssliqa_bench.store.predictions import Predictions
    from ssliqa_bench.store.record import Record


def register(app: typer.Typer) -> None:
    """Attach the command."""
    app.command()(leaderboard)


def leaderboard(
    store: options.StoreToRead = options.DEFAULT_STORE,
    out: Annotated[
        Path,
        typer.Option(
            "--out", parser=options.output_folder("--out"), metavar="DIR", help="Folder the boards are written to."
        ),
    ] = Path("leaderboards"),
    formats: Annotated[
        str, typer.Option("--format", help=f"Formats, separated by commas: {', '.join(FORMATS)}.")
    ] = "md,csv",
    further: Annotated[
        list[Path] | None,
        typer.Option(
            "--with",
            parser=options.input_folder("--with", "a folder of records and artifacts"),
            metavar="DIR",
            help="Another store whose records are added. May be repeated.",
        ),
    ] = None,
    no_cost: Annotated[bool, typer.Option("--no-cost", help="Leave out parameters, steps, time and memory.")] = False,
    print_boards: Annotated[bool, typer.Option("--print", help="Also print the boards as Markdown.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail if boards in --out differ from those of the records.")
    ] = False,
    stale: Annotated[
        bool,
        typer.Option(
            "--stale", help="Write nothing; list records made with other code than today's, or with other data."
        ),
    ] = False,
    published: Annotated[
        bool,
        typer.Option("--published", help="Write published figures beside ours instead of boards."),
    ] = False,
    few_labels: Annotated[
        bool,
        typer.Option("--few-labels", help="Write SRCC against the number of labels instead of boards."),
    ] = False,
    breakdowns: Annotated[
        bool,
        typer.Option(
            "--breakdowns", help="Write errors by score range and SRCC by group, from predictions, in place of boards."
        ),
    ] = False,
    json: options.Json = False,
) -> None:
    """Write the leaderboards that follow from the records of a store: same records, same bytes."""
    from ssliqa_bench.cli.output import print_json
    from ssliqa_bench.leaderboard.boards import (
        build_pages,
        check_boards,
        parse_formats,
        render_pages,
        write_boards,
    )
    from ssliqa_bench.store.failures import read_failures

    others = {"--published": published, "--few-labels": few_labels, "--breakdowns": breakdowns}
    asked = [name for name, given in others.items() if given]
    if len(asked) > 1:
        raise InputError(f"{', '.join(asked)}: got {len(asked)}; expected one of them.")
    if print_boards and json:
        raise InputError("--print, --json: got both; expected one of them. --format json writes boards as JSON.")
    wanted = parse_formats(formats)
    stores = [store, *(further or [])]
    # A record that two stores hold counts once.
    held = [_read_records(own) for own in stores]
    records = list({record.key: record for own in held for record in own}.values())
    failures = [own for place in stores for own in read_failures(place)]
    if stale:
        _report_stale(records, json)
        return
    if published:
        from ssliqa_bench.leaderboard.published_page import published_pages

        pages = published_pages(records)
    elif few_labels:
        from ssliqa_bench.leaderboard.few_labels_page import few_label_pages

        pages = few_label_pages(records)
    elif breakdowns:
        from ssliqa_bench.leaderboard.breakdown_pages import breakdown_pages

        pages = breakdown_pages(records, _reader(stores))
    else:
        pages = build_pages(records, cost=not no_cost, failures=failures)
    texts = render_pages(pages, wanted)
    if SITE in wanted:
        if asked:
            raise InputError(f"--format html: the site shows boards; leave out {asked[0]}.")
        texts |= _site(records, failures, stores)
    if print_boards:
        typer.echo("\n".join(render_pages(pages, ("md",)).values()), nl=False)
    lacking = _missing_notices(stores, held)
    if not check:
        written = write_boards(out, texts)
        for path in written:
            print(f"Wrote {path}", file=sys.stderr)
        for problem in lacking:  # of the store, not of the boards that were written
            print(printable(f"Warning: {problem}"), file=sys.stderr)
        if json:
            print_json({"records": len(records), "written": [str(path) for path in written]})
        return
    flag = f" {asked[0]}" if asked else ""
    problems = check_boards(out, texts)
    if json:
        print_json({"records": len(records), "checked": len(texts), "problems": [*problems, *lacking]})
    if problems:
        lacking.append(
            f"{len(problems)} of the boards under {out} do not follow from the records in {store}: "
            f'{"; ".join(problems)}. "ssliqa-bench leaderboard{flag} --store {store} --out {out}" writes them anew.'
        )
    if lacking:
        raise CheckError("\n".join(lacking))
    print(f"The {len(texts)} boards under {out} follow from the {len(records)} records in {store}.", file=sys.stderr)


def _missing_notices(stores: list[Path], held: list[list[Record]]) -> list[str]:
    """What lacks beside the names and scores of each store, one message each."""
    from ssliqa_bench.registry.load import load_registry, notices_of
    from ssliqa_bench.store.notices import missing_notices
    from ssliqa_bench.store.store import Store

    notices = notices_of(load_registry())
    given = zip(stores, held, strict=True)
    return [problem for own, records in given for problem in missing_notices(Store(own), records, notices)]


def _site(records: list[Record], failures: list[Failure], stores: list[Path]) -> dict[str, str]:
    """The files of the site."""
    from ssliqa_bench.leaderboard.site.build import build_site
    from ssliqa_bench.registry.load import load_registry

    return build_site(records, _reader(stores), load_registry(), failures)


def _reader(stores: list[Path]) -> Callable[[Record, str], Predictions]:
    """Reads predictions from the first store that has the record."""
    from ssliqa_bench.store.records import read_predictions, record_keys

    place = {key: own for own in reversed(stores) for key in record_keys(own)}

    def read(run: Record, dataset: str) -> Predictions:
        return read_predictions(place[run.key], run.key, dataset)

    return read


def _read_records(store: Path) -> list[Record]:
    from ssliqa_bench.store.index import indexed_records

    records = indexed_records(store)
    if not records:
        raise InputError(
            f"No records under {store}. Name their folder with --store, or make one: "
            f'"ssliqa-bench run --method supervised --pair demo-syn:demo-wild".'
        )
    return records


def _report_stale(records: list[Record], json: bool) -> None:
    """Print stale records, one per line; code outside this package is not available and is reported as unchecked."""
    from ssliqa_bench.cli.output import print_json
    from ssliqa_bench.leaderboard.staleness import stale_records
    from ssliqa_bench.runner.code import package_code
    from ssliqa_bench.runner.tree import PACKAGE

    def ours(file: str) -> bool:
        return file.startswith(f"{PACKAGE}/")

    outside = sum(not all(map(ours, record.facts.code.files)) for record in records)
    today = package_code()
    found = stale_records(records, today["files"], today["imports"], of=ours)
    if json:
        print_json({"records": len(records), "stale": [str(line) for line in found], "unchecked": outside})
    else:
        for line in found:
            typer.echo(str(line))
    said = f"{sum(bool(one.files) for one in found)} of {len(records)} records were made by other code than today's."
    if data := sum(bool(one.datasets) for one in found):
        said += f" {data} were made with other images, scores or splits than the newest record of the same dataset."
    print(said + (f" {outside} use code outside {PACKAGE}, which was not checked." if outside else ""), file=sys.stderr)
