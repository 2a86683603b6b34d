"""`store`: list, explain, check, clean and pass on records."""

from __future__ import annotations

import contextlib
import json as json_module
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ssliqa_bench.cli import options
from ssliqa_bench.cli.options import DEFAULT_STORE, settings_of

if TYPE_CHECKING:
    from ssliqa_bench.store.usage import Unneeded

store_app = typer.Typer(help="List, verify, clean up, export and import records.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Attach the commands of this file."""
    app.add_typer(store_app, name="store")


@store_app.command("ls")
def ls(store: options.StoreToRead = DEFAULT_STORE, json: options.Json = False) -> int:
    """List the records of a store, newest last, and the size of each kind of entry."""
    from ssliqa_bench.cli.output import print_json, print_runs, run_entry, size_text
    from ssliqa_bench.store.records import iter_records
    from ssliqa_bench.store.store import Store
    from ssliqa_bench.store.usage import sizes

    records = sorted(iter_records(store), key=lambda record: (record.created, record.key))
    entries = [run_entry("done", record) for record in records]
    held = sizes(Store(store))
    total = sum(size.bytes for size in held.values())
    if json:
        by_kind = {kind: {"entries": size.entries, "bytes": size.bytes} for kind, size in held.items()}
        print_json({"runs": entries, "sizes": by_kind, "total_bytes": total})
        return 0
    if entries:
        print_runs(entries)
    else:
        print(f"No records in {store}.", file=sys.stderr)
    if total:
        kinds = ", ".join(f"{size.entries} {kind} {size_text(size.bytes)}" for kind, size in held.items())
        print(f"{kinds}; together {size_text(total)}")
    return 0


@store_app.command("why")
def why(
    run: Annotated[str, typer.Argument(metavar="RUN", help="First digits of a record's key.")],
    data_root: options.DataRoot = None,
    store: options.StoreToRead = DEFAULT_STORE,
    registry: options.Registries = None,
    full: Annotated[bool, typer.Option("--full", help="Print everything that enters the key.")] = False,
    json: options.Json = False,
) -> int:
    """Say whether the same run would be answered by this record today, and if not, what differs."""
    from ssliqa_bench.cli.output import print_json
    from ssliqa_bench.registry.load import load_registry
    from ssliqa_bench.runner.execute import changes, refuse_submitted
    from ssliqa_bench.runner.keys import key_differences
    from ssliqa_bench.runner.plan import make_plan
    from ssliqa_bench.store.records import find_record, iter_records, read_record

    record = read_record(store, find_record(store, run))
    refuse_submitted(record)
    facts = record.facts
    keyed = {"key_parts": facts.key_parts, "code": facts.code.model_dump()}
    if not json:
        print(f"{record.spec}, recipe {record.cell.recipe}, made {facts.created}")
        print(f"key {record.key}")
    if full and not json:
        print(json_module.dumps(keyed, indent=1, sort_keys=True, ensure_ascii=False))
    settings = settings_of(store=store, data_root=data_root, device=facts.device, threads=facts.threads,
                           ranks=record.processes)
    plan = make_plan(record.spec, load_registry(registry or ()), settings)
    changed = changes(plan, record)
    others = [other for other in iter_records(store) if other.cell == record.cell and other.key != record.key]
    differing = [
        key_differences(other.facts.key_parts, other.facts.code.model_dump(), facts.key_parts, facts.code.model_dump())
        for other in others
    ]
    if json:
        print_json({
            "run": str(record.spec), "recipe": record.cell.recipe, "created": facts.created, "key": record.key,
            "answers_today": not changed, "differences": list(map(str, changed)),
            "same_cell": [
                {"key": other.key, "created": other.facts.created, "differences": list(map(str, found))}
                for other, found in zip(others, differing, strict=True)
            ],
            **({"keyed": keyed} if full else {}),
        })  # fmt: skip
        return 0
    if not changed:
        print("The same run today has this key: it is answered from the store.")
    else:
        print("The same run today has another key; it differs in:")
        print("\n".join(f"  {difference}" for difference in changed))
    for other, found in zip(others, differing, strict=True):
        print(f"Record {other.key[:12]} of the same cell ({other.facts.created}) differs from this one in:")
        print("\n".join(f"  {difference}" for difference in found) or "  nothing keyed")
    return 0


@store_app.command("verify")
def verify(
    store: options.StoreToRead = DEFAULT_STORE,
    data_root: options.DataRoot = None,
    registry: options.Registries = None,
    deep: options.Deep = False,
    json: options.Json = False,
) -> int:
    """Check every checksum and compute every metric again from its predictions. Exit code 1 where one fails."""
    from ssliqa_bench.cli.output import print_json
    from ssliqa_bench.registry.load import load_registry
    from ssliqa_bench.runner.deep_check import reread_caches
    from ssliqa_bench.runner.verify import verify_store
    from ssliqa_bench.text import number_of

    settings = settings_of(store=store, data_root=data_root)
    reread = reread_caches(settings.cache_root) if deep else []
    found = verify_store(store, load_registry(registry or ()), settings)
    found.problems += reread
    if json:
        print_json(
            {
                "records": found.records,
                "problems": found.problems,
                "not_recomputable_here": found.not_recomputable,
                "stages_without_predictions": found.without_predictions,
            }
        )
        return 1 if found.problems else 0
    for problem in found.problems:
        print(problem)
    for place in found.not_recomputable:
        print(f"{place}: not recomputable here: its names and scores were not passed on; --data-root names its folder")
    if found.without_predictions:
        count = len(found.without_predictions)
        stages = "metric after a stage is" if count == 1 else "metrics after stages are"
        print(f"{count} {stages} not recomputable: the records hold no predictions of "
              f"{'this stage' if count == 1 else 'these stages'}.")
    print(f"{number_of(found.records, 'record')} checked, {number_of(len(found.problems), 'problem')}.")
    return 1 if found.problems else 0


@store_app.command("evaluate")
def evaluate(
    runs: Annotated[list[str] | None, typer.Argument(metavar="[RUN …]", help="Records [all].")] = None,
    store: options.StoreToRead = DEFAULT_STORE,
    data_root: options.DataRoot = None,
    registry: options.Registries = None,
    json: options.Json = False,
) -> int:
    """Evaluate records of an older version again, from their own predictions and without training."""
    from ssliqa_bench.cli.output import print_json
    from ssliqa_bench.registry.load import load_registry
    from ssliqa_bench.runner.renewal import find_images, outdated, renew
    from ssliqa_bench.store.records import find_record, read_record, record_keys

    names, settings = load_registry(registry or ()), settings_of(store=store, data_root=data_root)
    before = after = 0
    for key in [find_record(store, run) for run in runs] if runs else record_keys(store):
        record = read_record(store, key, with_predictions=True)
        before += len(outdated(record))
        renewed = renew(store, record, partial(find_images, record, registry=names, settings=settings))
        after += len(outdated(renewed))
    if json:
        print_json({"evaluated": before - after, "unchanged": after})
        return 0
    rest = f"; {after} unchanged" if after else ""
    print(f"{before - after} results evaluated again{rest}.", file=sys.stderr)
    return 0


@store_app.command("gc")
def gc(
    store: options.StoreToRead = DEFAULT_STORE,
    keep: Annotated[str, typer.Option("--keep", help="Weights of recorded runs to keep: phases, final or none.")] = (
        "phases"
    ),
    dry_run: options.DryRun = False,
    json: options.Json = False,
) -> int:
    """Remove what no record needs: artifacts, checkpoints and predictions of no record, and leftovers.

    Records and anything younger than a day are kept. Exits with 2 while a run is in progress.
    """
    import time

    from ssliqa_bench.errors import InputError
    from ssliqa_bench.store.records import iter_records
    from ssliqa_bench.store.store import DAY, IN_USE, Store
    from ssliqa_bench.store.usage import KEEP, needs_of, remove, unneeded

    if keep not in KEEP:
        raise InputError(f'--keep: got "{keep}"; expected {", ".join(KEEP[:-1])} or {KEEP[-1]}.')
    space, before = Store(store), time.time() - DAY
    if not space.list():
        raise InputError(f"{space}: there is no such store, or it is empty. Name its folder with --store.")
    left = space.left_behind()
    with contextlib.nullcontext(True) if dry_run else space.lock(IN_USE, wait=False) as alone:
        if not alone or (space.unlocked and not dry_run and space.leased()):
            raise InputError(
                f"{space}: a run is in progress, and may need what no record names yet. Nothing was removed; run the "
                f"same command when it has finished. --dry-run lists what could go."
            )
        found, spared = unneeded(space, needs_of(iter_records(store)), keep, before=before, left=left)
        if not dry_run:
            remove(space, found)
    _print_removed(found, spared, dry_run, json)
    return 0


def _print_removed(found: Sequence[Unneeded], spared: int, dry_run: bool, json: bool) -> None:
    from ssliqa_bench.cli.output import print_json, size_text

    total = sum(item.bytes for item in found)
    if json:
        listed = [{"name": item.name, "bytes": item.bytes, "reason": item.reason} for item in found]
        print_json({"dry_run": dry_run, "removed": listed, "bytes": total, "spared": spared})
        return
    for item in found:
        print(f"{item.name}  {size_text(item.bytes)}  {item.reason}")
    done = "would be removed" if dry_run else "removed"
    young = f" {spared} younger than a day spared." if spared else ""
    print(f"{len(found)} {done}, {size_text(total)}.{young}")


@store_app.command("export")
def export(
    out: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", parser=options.output_folder(""), help="The store to write to, for example results."
        ),
    ],
    runs: Annotated[list[str] | None, typer.Argument(metavar="[RUN …]", help="Records [all].")] = None,
    store: options.StoreToRead = DEFAULT_STORE,
    json: options.Json = False,
) -> int:
    """Copy records to another folder so that they can be passed on: without names and scores that may not be.

    Beside names and scores that may be passed on, the notice of their dataset is written.
    """
    from ssliqa_bench.cli.output import print_json
    from ssliqa_bench.errors import InputError
    from ssliqa_bench.registry.load import load_registry, notices_of
    from ssliqa_bench.store.records import export_record, find_record, record_keys
    from ssliqa_bench.store.store import Store

    if Store(out) == Store(store):
        raise InputError(f"{out}: is the store itself; name another folder.")
    keys = [find_record(store, run) for run in runs] if runs else record_keys(store)
    if not keys:
        raise InputError(f"No records under {store}. Name their folder with --store.")
    notices = notices_of(load_registry())
    withheld = sorted({name for key in keys for name in export_record(store, key, out, notices)})
    if json:
        print_json({"records": len(keys), "folder": str(out), "withheld": withheld})
        return 0
    said = f" Names and scores of {', '.join(withheld)} stayed behind; their metrics are there." if withheld else ""
    print(f"{len(keys)} records are in {out}/records.{said}", file=sys.stderr)
    return 0


@store_app.command("import")
def import_(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            parser=options.input_folder("", "a store to read from, such as the folder of an export"),
            help="The store to read from, for example the folder of an export.",
        ),
    ],
    runs: Annotated[list[str] | None, typer.Argument(metavar="[RUN …]", help="Records [all].")] = None,
    store: options.Store = DEFAULT_STORE,
    json: options.Json = False,
) -> int:
    """Add the records of another store to this one. Records of one key must agree, else nothing is imported."""
    from ssliqa_bench.cli.output import print_json
    from ssliqa_bench.errors import InputError
    from ssliqa_bench.registry.load import load_registry, notices_of
    from ssliqa_bench.store.merge import import_records
    from ssliqa_bench.store.records import find_record, record_keys
    from ssliqa_bench.store.store import Store

    given = Store(source)
    if given == Store(store):
        raise InputError(f"{source}: is the store itself; name another folder.")
    if not record_keys(given):
        raise InputError(f"No records under {source}. Name the folder that holds the folder records.")
    keys = [find_record(given, run) for run in runs] if runs else None
    found = import_records(given, store, notices_of(load_registry()), keys)
    if json:
        print_json({"added": found.added, "completed": found.completed, "equal": found.equal})
        return 0
    print(f"{found.added} records added, {found.completed} completed, {found.equal} were there already.",
          file=sys.stderr)  # fmt: skip
    return 0
