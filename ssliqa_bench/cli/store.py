"""`store`: list, explain, check and pass on records."""

from __future__ import annotations

import json as json_module
import sys
from pathlib import Path
from typing import Annotated

import typer

from ssliqa_bench.cli import options
from ssliqa_bench.cli.options import DEFAULT_STORE, settings_of

store_app = typer.Typer(help="Look at records and check them.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Attach the commands of this file."""
    app.add_typer(store_app, name="store")


@store_app.command("ls")
def ls(store: options.Store = DEFAULT_STORE, json: options.Json = False) -> int:
    """List the records of a store, newest last."""
    from ssliqa_bench.cli.output import print_json, print_runs, run_entry
    from ssliqa_bench.store.records import iter_facts

    facts = sorted(iter_facts(store), key=lambda f: (f["created"], f["key"]))
    entries = [run_entry("done", f) for f in facts]
    if json:
        print_json({"runs": entries})
    elif entries:
        print_runs(entries)
    else:
        print(f"No records in {store}.", file=sys.stderr)
    return 0


@store_app.command("why")
def why(
    run: Annotated[str, typer.Argument(metavar="RUN", help="First digits of a record's key.")],
    data_root: options.DataRoot = None,
    store: options.Store = DEFAULT_STORE,
    registry: options.Registries = None,
    full: Annotated[bool, typer.Option("--full", help="Print everything the key is made of.")] = False,
) -> int:
    """Say whether the same run would be answered by this record today, and if not, what differs."""
    from ssliqa_bench.registry.load import load_registry
    from ssliqa_bench.runner.keys import differences
    from ssliqa_bench.runner.plan import make_plan
    from ssliqa_bench.specs import spec_of
    from ssliqa_bench.store.records import find_record, iter_facts, read_facts

    facts = read_facts(find_record(store, run))
    print(f"{spec_of(facts)}, recipe {facts['cell']['recipe']}, made {facts['created']}")
    print(f"key {facts['key']}")
    if full:
        print(json_module.dumps(facts["key_parts"], indent=1, sort_keys=True, ensure_ascii=False))
    settings = settings_of(store=store, data_root=data_root, device=facts["device"], threads=facts["threads"])
    plan = make_plan(spec_of(facts), load_registry(registry or ()), settings)
    changed = differences(facts["key_parts"], plan.key_parts)
    if not changed:
        print("The same run today has this key: it is answered from the store.")
    else:
        print("The same run today has another key; it differs in:")
        print("\n".join(f"  {difference}" for difference in changed))
    for other in iter_facts(store):
        if other["cell"] == facts["cell"] and other["key"] != facts["key"]:
            print(f"Record {other['key'][:12]} of the same cell ({other['created']}) differs from this one in:")
            print("\n".join(f"  {d}" for d in differences(other["key_parts"], facts["key_parts"])) or "  nothing keyed")
    return 0


@store_app.command("verify")
def verify(
    store: options.Store = DEFAULT_STORE,
    data_root: options.DataRoot = None,
    registry: options.Registries = None,
    json: options.Json = False,
) -> int:
    """Check every checksum and compute every metric again from its predictions. Exit code 1 where one fails."""
    from ssliqa_bench.cli.output import print_json
    from ssliqa_bench.registry.load import load_registry
    from ssliqa_bench.runner.verify import verify_store

    found = verify_store(Path(store), load_registry(registry or ()), settings_of(store=store, data_root=data_root))
    if json:
        print_json(
            {"records": found.records, "problems": found.problems, "not_recomputable_here": found.not_recomputable}
        )
        return 1 if found.problems else 0
    for problem in found.problems:
        print(problem)
    for place in found.not_recomputable:
        print(f"{place}: not recomputable here: its names and scores were not passed on; --data-root names its folder")
    print(f"{found.records} records checked, {len(found.problems)} problems.")
    return 1 if found.problems else 0


@store_app.command("export")
def export(
    out: Annotated[Path, typer.Argument(metavar="DIR", help="The store to write to, for example results.")],
    runs: Annotated[list[str] | None, typer.Argument(metavar="[RUN …]", help="Records, all unless named.")] = None,
    store: options.Store = DEFAULT_STORE,
) -> int:
    """Copy records to another folder so that they can be passed on: without names and scores that may not be."""
    from ssliqa_bench.errors import InputError
    from ssliqa_bench.store.records import export_record, find_record, record_folders

    if out.resolve() == Path(store).resolve():
        raise InputError(f"{out}: is the store itself; name another folder.")
    folders = [find_record(store, run) for run in runs] if runs else record_folders(store)
    if not folders:
        raise InputError(f"No records under {store}. Name their folder with --store.")
    withheld = sorted({name for folder in folders for name in export_record(folder, out)})
    said = f" Names and scores of {', '.join(withheld)} stayed behind; their metrics are there." if withheld else ""
    print(f"{len(folders)} records are in {out}/records.{said}", file=sys.stderr)
    return 0
