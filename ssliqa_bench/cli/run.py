"""`run`, `test` and `sweep`."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from ssliqa_bench.bounds import MOST_PROCESSES, MOST_SEEDS
from ssliqa_bench.cli import options
from ssliqa_bench.cli.options import DEFAULT_STORE, read_budget, settings_of
from ssliqa_bench.errors import InputError, SsliqaError, StorageError
from ssliqa_bench.text import printable

# A blank line ends a line of the examples.
_EXAMPLES = """Examples:

ssliqa-bench run --method ssiqa --pair demo-syn:demo-wild

ssliqa-bench run --method rankup --pair livec --recipe frozen --budget 93 --seeds 10"""


def register(app: typer.Typer) -> None:
    """Attach the commands of this file."""
    app.command("run", epilog=_EXAMPLES)(run)
    app.command("test")(test)
    app.command("sweep")(sweep)


def run(
    method: Annotated[
        str, typer.Option("--method", metavar="NAME", help="A method.", rich_help_panel=options.WHAT)
    ],
    pair: Annotated[
        str,
        typer.Option(
            "--pair",
            metavar="A:B",
            help="Labeled images come from A, unlabeled images from B; A alone stands for A:A.",
            rich_help_panel=options.WHAT,
        ),
    ],
    protocol: options.Protocol = "standard",
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe", metavar="NAME", help="Named parameters [that of dataset A].", rich_help_panel=options.WHAT
        ),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Parameter of the method.", rich_help_panel=options.WHAT
        ),
    ] = None,
    registry: options.Registries = None,
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget",
            metavar="N",
            help="Labeled images from A: a count (200) or a fraction (0.25).",
            rich_help_panel=options.DATA,
        ),
    ] = None,
    unlabeled_budget: Annotated[
        str | None,
        typer.Option(
            "--unlabeled-budget",
            metavar="N",
            help="Unlabeled images from B: a count (5000) or a fraction (0.5).",
            rich_help_panel=options.DATA,
        ),
    ] = None,
    test: Annotated[
        str | None,
        typer.Option(
            "--test", metavar="D,…", help="Further whole datasets to evaluate on.", rich_help_panel=options.DATA
        ),
    ] = None,
    data_root: options.DataRoot = None,
    skip_bad: options.SkipBad = False,
    max_pixels: options.MaxPixels = None,
    allow_leak: options.AllowLeak = None,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed",
            min=0,
            callback=options.seed_in_bounds,
            metavar="N",
            help="Seed of split and training [0].",
            rich_help_panel=options.TRAINING,
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            "--seeds",
            min=1,
            max=MOST_SEEDS,
            metavar="N",
            help="Run seeds 0 … N-1.",
            rich_help_panel=options.TRAINING,
        ),
    ] = None,
    device: options.Device = "auto",
    threads: options.Threads = 1,
    jobs: options.Jobs = None,
    store: options.Store = DEFAULT_STORE,
    keep: options.Keep = "phases",
    no_cache: options.NoCache = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
) -> int:
    """Train and evaluate one method on a pair, or return the stored result."""
    from ssliqa_bench.cli.output import print_json
    from ssliqa_bench.registry.load import load_registry
    from ssliqa_bench.runner.launch import launched
    from ssliqa_bench.runner.plan import make_plan
    from ssliqa_bench.runner.plan_cache import Known
    from ssliqa_bench.specs import Pair, RunSpec

    if seed is not None and seeds is not None:
        raise InputError("--seed and --seeds exclude each other: --seed 3 is one run, --seeds 3 runs 0, 1 and 2.")
    launch = launched()
    settings = settings_of(
        store=store,
        data_root=data_root,
        device=device,
        keep=keep,
        threads=threads,
        processes=options.processes(jobs, threads),
        ranks=1 if launch is None else launch.size,
        skip_bad=skip_bad,
        allow_leak=allow_leak,
        download=not dry_run,
        use_store=not no_cache,
    )
    names = load_registry(registry or ())
    first = RunSpec(
        method=method,
        pair=Pair.parse(pair),
        protocol=protocol,
        recipe=recipe,
        overrides=_overrides(assignments or ()),
        budget=read_budget(budget, "--budget"),
        unlabeled_budget=read_budget(unlabeled_budget, "--unlabeled-budget"),
        tests=tuple(name for name in (test or "").split(",") if name),
    )
    specs = [replace(first, seed=number) for number in (range(seeds) if seeds is not None else (seed or 0,))]
    if dry_run:
        known = Known()
        print_json({"runs": [_checked(make_plan(spec, names, settings, known), settings) for spec in specs]})
        return 0
    if launch is None:
        return _run_all(specs, names, settings, json)
    # From here on torch is needed.
    from ssliqa_bench.runner.compute import follow
    from ssliqa_bench.runner.ranks import joined

    with joined(launch, settings) as group:
        return follow(group, names, settings) if group.rank else _run_all(specs, names, settings, json)


def _run_all(specs: list[Any], names: Any, settings: Any, json: bool) -> int:
    """Compute runs one after the other or find them, print them, and give the exit code."""
    from ssliqa_bench.cli.output import failed_entry, print_json, print_runs
    from ssliqa_bench.runner.failures import keep_failures
    from ssliqa_bench.runner.plan import make_plan

    entries, failed = [], False
    outcomes: list[tuple[Any, str | None]] = []
    # Processes that share a run cannot know how far the others are after an error.
    only = len(specs) == 1 or settings.ranks > 1
    for spec in specs:
        try:
            plan = make_plan(spec, names, settings)
            entries.append(_run(plan, settings))
            outcomes.append((spec, None))
        except StorageError:
            raise
        except (Exception, SystemExit) as error:  # a defect at one seed must not take the others with it
            told = str(error) if isinstance(error, SsliqaError) else f"{type(error).__name__}: {error}"
            if only and not isinstance(error, InputError):
                keep_failures([*outcomes, (spec, told)], names, settings)
            if only or (isinstance(error, InputError) and not entries):
                raise  # bad input stops every seed alike
            outcomes.append((spec, told))
            entries.append(failed_entry(spec, told))
            failed = True
    keep_failures(outcomes, names, settings)
    if json:
        print_json({"runs": entries})
    else:
        print_runs(entries)
    return 1 if failed else 0


def _overrides(assignments: Sequence[str]) -> tuple[tuple[str, Any], ...]:
    if not assignments:  # without any, the parser of YAML is not needed
        return ()
    from ssliqa_bench.registry.yamlfile import parse_assignments

    return tuple(parse_assignments(assignments).items())


def _run(plan: Any, settings: Any) -> dict[str, Any]:
    """Compute one run or find it, say which, and give its entry."""
    from ssliqa_bench.cli.output import run_entry
    from ssliqa_bench.runner import execute

    stored = execute.stored_record(plan, settings) if settings.use_store else None
    if stored is None and (again := execute.why_again(plan, settings)) is not None:
        _say(
            f"Stored run {again[0][:12]} differs in: {', '.join(map(str, again[1][:6]))}. Running again. "
            f'"ssliqa-bench store why {again[0][:12]}" shows all.'
        )
    outcome = execute.run(plan, settings)
    if outcome.cached:
        made = outcome.record.facts.created[:19]
        _say(f"{plan.spec}: answered from the store (record {plan.key[:12]}, {made}Z).")
    return run_entry("cached" if outcome.cached else "done", outcome.record)


def test(
    run: Annotated[str, typer.Argument(metavar="RUN", help="First digits of a record's key.")],
    on: Annotated[str, typer.Option("--on", help="Datasets to evaluate the stored model on: D,…")],
    write: Annotated[
        Path | None,
        typer.Option(
            "--write",
            parser=options.output_file("--write"),
            metavar="FILE",
            help="Write the predictions for one dataset as lines name,score in the units of A; it may be unscored.",
        ),
    ] = None,
    data_root: options.DataRoot = None,
    store: options.StoreToRead = DEFAULT_STORE,
    jobs: options.Jobs = None,
    registry: options.Registries = None,
    skip_bad: options.SkipBad = False,
    max_pixels: options.MaxPixels = None,
    allow_leak: options.AllowLeak = None,
    json: options.Json = False,
) -> int:
    """Evaluate a stored model on further datasets, without training."""
    from ssliqa_bench.cli.output import print_json, print_runs, run_entry
    from ssliqa_bench.registry.load import load_registry
    from ssliqa_bench.runner.execute import refuse_other_key, refuse_submitted, unanswered
    from ssliqa_bench.runner.plan import make_plan
    from ssliqa_bench.store.records import find_record, read_record

    record = read_record(store, find_record(store, run), with_predictions=True)
    refuse_submitted(record)
    names = load_registry(registry or ())
    asked = tuple(dict.fromkeys(_dataset(name, names).name for name in on.split(",") if name))
    if not asked:
        raise InputError('--on: got nothing; expected dataset names, for example --on livec. "ssliqa-bench list '
                         'datasets" shows all.')
    if write is not None and len(asked) != 1:
        raise InputError(f"--write: takes the predictions for one dataset; --on names {len(asked)}.")
    settings = settings_of(
        store=store,
        data_root=data_root,
        device=record.facts.device,
        threads=record.facts.threads,
        processes=options.processes(jobs, record.facts.threads),
        ranks=record.processes,
        skip_bad=skip_bad,
        allow_leak=allow_leak,
    )
    unscored = [name for name in asked if _without_scores(names.dataset(name), names, settings)]
    if unscored and write is None:
        raise InputError(f"--on: {unscored[0]} has no scores to evaluate on; --write FILE writes the predictions for "
                         f"it.")
    if unscored and write is not None:
        plan = make_plan(record.spec, names, settings)
        refuse_other_key(plan, record)
        from ssliqa_bench.runner.score_files import judge_unscored

        judged = judge_unscored(plan, record, unscored[0], names, settings)
        if judged.learned_from:
            _say(f"{judged.learned_from} of these images are among the unlabeled ones that the model learned from.")
        _write(write, judged, record, names)
        return 0
    plan = make_plan(replace(record.spec, tests=asked), names, settings)
    missing = unanswered(plan, record)
    if missing:
        refuse_other_key(plan, record)
        from ssliqa_bench.runner.compute import add_tests

        record = add_tests(plan, record, missing, settings)
    if write is not None:
        from ssliqa_bench.runner.score_files import recorded

        _write(write, recorded(record, asked[0], settings), record, names)
    entry = run_entry("done" if missing else "cached", record)
    if json:
        print_json({"runs": [entry]})
    else:
        print_runs([entry])
    return 0


def _dataset(name: str, names: Any) -> Any:
    """The dataset of that name; of a folder, the message says how it becomes one."""
    if name not in names.datasets and Path(name).is_dir():
        short = re.sub("[^a-z0-9._-]+", "-", Path(name).resolve().name.lower()).strip("-._") or "mine"
        raise InputError(f"--on: {name} is a folder; expected the name of a dataset. Make one of its photographs: "
                         f"ssliqa-bench data add {short} --unlabeled {shlex.quote(name)}, then the same command with "
                         f"--on {short} --registry {short}.yaml --write scores.csv.")
    return names.dataset(name)


def _without_scores(entry: Any, names: Any, settings: Any) -> bool:
    """Whether a dataset has no scores at all: its entry states that, or allows images without and has no others."""
    if entry.kind == "unlabeled" or entry.options.get("unlabeled") is not True:
        return bool(entry.kind == "unlabeled")
    import numpy as np

    from ssliqa_bench.datasets.base import load_table

    table = load_table(
        entry, settings.data_root, settings.cache_root, load=names.load, skip_missing=settings.skip_bad
    )
    return not np.isfinite(table.score).any()


def _write(file: Path, judged: Any, record: Any, names: Any) -> None:
    """Write a model's predictions; what it learned from scores in the units of these, a metric's values as they are."""
    from ssliqa_bench.runner.score_files import in_native_units, write_scores
    from ssliqa_bench.specs import Pair

    source = names.dataset(Pair.parse(record.cell.pair).labeled)
    learned = bool(record.facts.stages)
    write_scores(file, judged.names, list(in_native_units(judged.values, source) if learned else judged.values))
    units = f"in the units of {source.name}" if learned else "the metric's own values"
    _say(f"{file}: {len(judged.names)} predictions, {units}.")


def sweep(
    suites: Annotated[
        list[str],
        typer.Argument(
            metavar="SUITE",
            help="Suite files, or names of packaged suites. A run that several of them name is made once.",
        ),
    ],
    seeds: Annotated[
        int | None,
        typer.Option("--seeds", min=1, max=MOST_SEEDS, help="Seeds 0 … N-1 instead of the suites'."),
    ] = None,
    jobs: Annotated[
        int,
        typer.Option("--jobs", max=MOST_PROCESSES, help="Runs at a time, each in a process of its own."),
    ] = 1,
    engine: Annotated[
        str, typer.Option("--engine", help="Where to run: local, or ray.", rich_help_panel=options.MACHINE)
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option(
            "--address",
            metavar="ADDR",
            help="Ray cluster: auto, HOST:PORT or ray://HOST:PORT [auto].",
            rich_help_panel=options.MACHINE,
        ),
    ] = None,
    gpu_share: Annotated[
        float | None,
        typer.Option(
            "--gpu-share",
            min=0.01,
            max=64,
            help="GPUs per task on the cluster; 0.5 lets two tasks share one [1].",
            rich_help_panel=options.MACHINE,
        ),
    ] = None,
    task_memory: Annotated[
        float | None,
        typer.Option(
            "--task-memory",
            min=0.01,
            metavar="GB",
            help="Memory that a task reserves on the cluster [none].",
            rich_help_panel=options.MACHINE,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Allow more threads than cores.")] = False,
    data_root: options.DataRoot = None,
    store: options.Store = DEFAULT_STORE,
    device: options.Device = "auto",
    keep: options.Keep = "phases",
    threads: options.Threads = 1,
    registry: options.Registries = None,
    json: options.Json = False,
    dry_run: options.DryRun = False,
    no_cache: options.NoCache = False,
    skip_bad: options.SkipBad = False,
    max_pixels: options.MaxPixels = None,
    allow_leak: options.AllowLeak = None,
) -> int:
    """Run one suite or several; finished runs are read from the store. Exits with 1 if a run fails."""
    from ssliqa_bench.cli.output import failed_entry, print_json, print_runs, run_entry
    from ssliqa_bench.registry.load import load_registry
    from ssliqa_bench.registry.suite import load_runs
    from ssliqa_bench.runner.engines import RunResult, check_jobs, run_all
    from ssliqa_bench.runner.failures import keep_failures
    from ssliqa_bench.runner.pools import ENGINES
    from ssliqa_bench.runner.settings import Cluster

    if engine not in ENGINES:
        raise InputError(f'--engine: got "{engine}"; expected {" or ".join(ENGINES)}.')
    given = {"--address": address, "--gpu-share": gpu_share, "--task-memory": task_memory}
    chosen = [name for name, value in given.items() if value is not None]
    if engine == "local" and chosen:
        raise InputError(f"{chosen[0]}: belongs to --engine ray; --engine local uses this machine alone.")
    if engine != "local" and jobs != 1:
        raise InputError(f"--jobs: belongs to --engine local; --engine {engine} runs as many tasks as its nodes have "
                         f"cores or GPUs.")  # fmt: skip
    settings = settings_of(
        store=store,
        data_root=data_root,
        device=device,
        keep=keep,
        threads=threads,
        processes=options.processes(None if jobs == 1 else 1, threads),
        skip_bad=skip_bad,
        allow_leak=allow_leak,
        use_store=not no_cache,
    )
    if engine == "local":
        check_jobs(jobs, threads, force)
    names = load_registry(registry or ())
    runs = load_runs(suites, names, None if seeds is None else range(seeds))
    if dry_run:
        return _plan_suites(runs, names, settings, json)

    def report(result: RunResult, done: int, total: int) -> None:
        _say(f"[{done}/{total}] {result.spec}: {result.status}{': ' + result.error if result.error else ''}")

    cluster = Cluster(address or "auto", gpu_share or 1.0, task_memory)
    results = run_all(runs, registry or (), settings, jobs, report, engine=engine, cluster=cluster)
    keep_failures([(own.spec, own.error if own.record is None else None) for own in results], names, settings)
    entries = [failed_entry(r.spec, r.error) if r.record is None else run_entry(r.status, r.record) for r in results]
    if json:
        print_json({"runs": entries})
    else:
        print_runs(entries)
    return 1 if any(r.status == "failed" for r in results) else 0


def _plan_suites(runs: Any, names: Any, settings: Any, json: bool) -> int:
    """The plan of suites: what is stored, what would run, what is missing, and about how long and large it is."""
    from ssliqa_bench.cli.output import print_forecasts, print_json
    from ssliqa_bench.runner.forecast import Forecaster
    from ssliqa_bench.specs import cell_of

    forecaster = Forecaster(names, settings)
    found = [forecaster.look(spec) for spec in runs]
    images, (features_seconds, features_bytes) = forecaster.cache_bytes(runs), forecaster.features(found)
    if not json:
        print_forecasts(found, images, features_seconds, features_bytes)
        return 0
    entries = []
    for forecast in found:
        told = cell_of(forecast.spec) if forecast.plan is None else _planned(forecast.plan, settings)
        error = " ".join(forecast.missing) or None
        entries.append(
            {"key": None, **told, "status": forecast.status, "error": error, "estimated_seconds": forecast.seconds}
        )
    seconds = [f.seconds for f in found if f.seconds is not None]
    totals = {
        "seconds": sum(seconds),
        "runs_without_estimate": len(found) - len(seconds),
        "decoded_images_bytes": images,
        "features_seconds": features_seconds,
        "features_bytes": features_bytes,
        "artifact_bytes": sum(f.artifact_bytes for f in found),
    }
    print_json({"runs": entries, "estimate": totals})
    return 0


def _checked(plan: Any, settings: Any) -> dict[str, Any]:
    """As `_planned`; a run that is not stored makes its learner too, which may refuse what only it knows."""
    entry = _planned(plan, settings)
    if entry["status"] != "stored":
        from ssliqa_bench.runner.learners import make_learner

        make_learner(plan)
    return entry


def _planned(plan: Any, settings: Any) -> dict[str, Any]:
    from ssliqa_bench.datasets.leaks import kept_apart_notes
    from ssliqa_bench.runner.execute import stored_record
    from ssliqa_bench.specs import cell_of

    stored = settings.use_store and stored_record(plan, settings, look_only=True) is not None
    roles = {name: {role: list(own).count(role) for role in sorted(set(own))} for name, own in plan.roles.items()}
    return {
        "key": plan.key,
        **cell_of(plan.spec),
        "tests": list(plan.spec.tests),
        "status": "stored" if stored else "to run",
        "error": None,
        "device": plan.device,
        "params": plan.method.params,
        "roles": roles,
        **({"unreadable": _unreadable(plan, settings)} if settings.skip_bad else {}),
        "notes": kept_apart_notes(plan.spec.pair, plan.tables, plan.roles),
    }


def _unreadable(plan: Any, settings: Any) -> dict[str, int | str]:
    """How many images of each dataset a run would skip."""
    counts: dict[str, int | str] = {}
    for name in plan.tables:
        bad = plan.unreadable(name, settings.cache_root)
        used = [row for row in bad or () if plan.roles[name][row] != "unused"]
        counts[name] = "unknown until decoded" if bad is None else len(used)
    return counts


def _say(text: str) -> None:
    print(printable(text), file=sys.stderr)
