"""The `shelfwise` command.

Stages and benchmarks are looked up by name and imported only when asked for; flows, the service and
the UI are started as processes of their own. A user's mistake is one line on standard error and a
non-zero exit; `--debug` shows where it came from.
"""

import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from components.contracts.artefacts import Layout
from components.contracts.errors import ServiceError, ShelfwiseError, ValidationBlockedError
from components.contracts.params import load_params
from components.merchandise.commands import app as merchandise

STAGES = {
    "ingest": "components.data.ingest:run",
    "validate": "components.validation.suites:run",
    "catalogue": "components.data.catalogue:run",
    "sessions": "components.data.sessions:run",
    "clickthroughs": "components.data.clickthroughs:run",
    "split": "components.data.split:run",
    "pretrain": "components.text.pretrain:run",
    "finetune": "components.text.finetune:run",
    "index": "components.search.build:run",
    "train_sasrec": "components.recommend.train_sasrec:run",
    "train_ranker": "components.recommend.train_ranker:run",
    "train_classifier": "components.assistant.train_classifier:run",
    "train_promotions": "components.merchandise.train_promotions:run",
    "train_launch": "components.merchandise.train_launch:run",
    "segments": "components.merchandise.segments:run",
    "bundles": "components.merchandise.bundles:run",
    "social": "components.merchandise.social:run",
    "evaluate": "components.stages.evaluate:run",
    "monitor": "components.monitor.watch:run",
    # benchmarks/dvc.yaml: they judge Shelfwise, and nothing served is made from them.
    "sponsored": "components.merchandise.trial:run",
    "mutate": "components.validation.mutate:run",
}
FLOWS = ("data", "training", "release", "monitoring", "feedback", "scoring", "forget")
API_PORT = 3000
UI_PORT = 7860

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
bench = typer.Typer(
    no_args_is_help=True, help="Run a protocol on data you name; figures go to --out."
)
app.add_typer(bench, name="bench")
app.add_typer(merchandise, name="merchandise")
out = Console()
err = Console(stderr=True)


def _function(name: str) -> Callable[..., Any]:
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _layout() -> Layout:
    return Layout(os.environ.get("SHELFWISE_ROOT", "."))


def _record_timing(layout: Layout, stage: str, seconds: float) -> None:
    """Keep the last run's wall seconds and peak memory of a stage in `var/timings.json`."""
    import resource

    from components.contracts.artefacts import write_json

    path = layout.var / "timings.json"
    try:
        timings = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        timings = {}
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    timings[stage] = {"seconds": round(seconds, 1), "peak_mib": round(peak_mib)}
    write_json(path, timings)


@app.command()
def stage(
    name: Annotated[str, typer.Argument(help=f"One of: {', '.join(STAGES)}.")],
    params: Annotated[
        Path | None, typer.Option(help="Parameter file; params.yaml if not given.")
    ] = None,
) -> None:
    """Run one pipeline stage on the checkout; `dvc repro` calls this for every stage it needs."""
    if name not in STAGES:
        raise ShelfwiseError(f"no stage called '{name}'; choose one of {', '.join(STAGES)}.")
    layout = _layout()
    settings = load_params(params or layout.params_file)
    started = time.monotonic()
    with err.status(f"{name} ..."):
        _function(STAGES[name])(settings, layout)
    seconds = time.monotonic() - started
    _record_timing(layout, name, seconds)
    err.print(f"[green]{name}[/] done in {seconds:.1f} s")


@app.command()
def validate(
    tables: Annotated[Path, typer.Argument(help="Folder with canonical tables as Parquet files.")],
    report: Annotated[Path, typer.Option("--out", help="Where the result goes, as JSON.")] = Path(
        "validation.json"
    ),
) -> None:
    """Check any folder of canonical tables. Exit 0: may go on; exit 2: blocked."""
    code = _function("components.validation.suites:validate_folder")(tables, report)
    out.print(f"{'blocked' if code else 'accepted'}: see {report}")
    raise typer.Exit(code)


def _process(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def _run(command: list[str]) -> None:
    """Run a child in the foreground and leave with its exit code."""
    child = subprocess.Popen(command)
    try:
        code = child.wait()
    except KeyboardInterrupt:
        child.send_signal(signal.SIGINT)
        code = child.wait()
    raise typer.Exit(code)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def flow(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help=f"One of: {', '.join(FLOWS)}.")],
) -> None:
    """Run a Prefect flow now, in the foreground; further `--key value` pairs are its parameters."""
    if name not in FLOWS:
        raise ShelfwiseError(f"no flow called '{name}'; choose one of {', '.join(FLOWS)}.")
    _run(_process("flows.run", name, *context.args))


def _port(variable: str, default: int) -> int:
    text = os.environ.get(variable, str(default))
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise ServiceError(f"{variable}={text!r} is no port; give a number from 1 to 65535.")
    return int(text)


def _require_free(port: int, variable: str, what: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ServiceError(
                f"port {port} for the {what} is in use; "
                f"stop what listens there or set {variable} to a free port."
            ) from error


@app.command()
def serve() -> None:
    """Serve the champion release over HTTP on 127.0.0.1 (SHELFWISE_API_PORT, default 3000)."""
    _require_free(_port("SHELFWISE_API_PORT", API_PORT), "SHELFWISE_API_PORT", "API")
    _run(_process("bentos.serve"))


@app.command()
def ui() -> None:
    """Open the shop and the operations page on 127.0.0.1 (SHELFWISE_UI_PORT, default 7860)."""
    _require_free(_port("SHELFWISE_UI_PORT", UI_PORT), "SHELFWISE_UI_PORT", "shop")
    _run(_process("ui.app"))


def _answers(url: str) -> bool:
    from urllib.error import URLError
    from urllib.request import urlopen

    try:
        with urlopen(url, timeout=2) as response:
            return response.status == 200
    except (URLError, OSError):
        return False


@app.command()
def run() -> None:
    """Serve the API and the shop together in the foreground; Ctrl-C stops both."""
    api_port, ui_port = _port("SHELFWISE_API_PORT", API_PORT), _port("SHELFWISE_UI_PORT", UI_PORT)
    _require_free(api_port, "SHELFWISE_API_PORT", "API")
    _require_free(ui_port, "SHELFWISE_UI_PORT", "shop")
    os.environ.setdefault("SHELFWISE_AUTH", "off")
    waiting = {
        "API": (_process("bentos.serve"), f"http://127.0.0.1:{api_port}/readyz"),
        "shop": (_process("ui.app"), f"http://127.0.0.1:{ui_port}/"),
    }

    def _stop(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, _stop)
    children: list[subprocess.Popen[bytes]] = []
    try:
        for what, (command, url) in waiting.items():
            child = subprocess.Popen(command)
            children.append(child)
            with err.status(f"starting the {what} ..."):
                while not _answers(url):
                    if child.poll() is not None:
                        raise ServiceError(
                            f"the {what} stopped while starting (exit {child.returncode})."
                        )
                    time.sleep(0.3)
        out.print(f"API   http://127.0.0.1:{api_port}/openapi.json")
        out.print(f"Shop  http://127.0.0.1:{ui_port}/   (Ctrl-C stops both)")
        if os.environ.get("SHELFWISE_OPEN", "1") != "0":
            webbrowser.open(f"http://127.0.0.1:{ui_port}/")
        while all(child.poll() is None for child in children):
            time.sleep(0.5)
        raise ServiceError("a part of the shop stopped by itself; see var/log/.")
    except KeyboardInterrupt:
        out.print("stopping ...")
    finally:
        for child in children:
            if child.poll() is None:
                child.terminate()
        for child in children:
            try:
                child.wait(timeout=15)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


@app.command()
def status() -> None:
    """Show the champion, what the last pipeline run cost, and the headline figures."""
    layout = _layout()
    champion = _function("components.registry.store:Registry")(layout.registry).champion()
    if champion is None:
        out.print("champion: none yet; run `make pipeline`")
    else:
        out.print(f"champion: {champion.release_id}, registered {champion.registered_at}")
    timings = layout.var / "timings.json"
    if timings.is_file():
        table = Table("stage", "seconds", "peak MiB")
        for name, cost in json.loads(timings.read_text()).items():
            if isinstance(cost, dict) and {"seconds", "peak_mib"} <= cost.keys():
                table.add_row(name, f"{cost['seconds']:.1f}", str(cost["peak_mib"]))
        out.print(table)
    for path in sorted(layout.reports.glob("p*.json")):
        report = json.loads(path.read_text())
        for row in report.get("rows", []):
            if row.get("shipped") and row.get("slice", "all") == "all":
                figures = {
                    k: v
                    for k, v in row.items()
                    if isinstance(v, float) and not k.endswith(("_low", "_high"))
                }
                out.print(
                    f"{path.stem}: {row['model']} "
                    + ", ".join(f"{k} {v:.4f}" for k, v in figures.items())
                )


@app.command()
def doctor() -> None:
    """Check that this machine and checkout can run Shelfwise, and say what to mend."""
    import shutil
    from importlib import metadata

    layout = _layout()
    problems = []
    if sys.version_info[:2] != (3, 11):
        problems.append(f"Python {sys.version.split()[0]}; 3.11 is what the pins are tested with")
    constraints = layout.root / "constraints.txt"
    pins = dict(
        line.split("==", 1)
        for line in constraints.read_text().splitlines()
        if "==" in line and line[0] != "#"
    )
    for name, version in pins.items():
        try:
            found = metadata.version(name).split("+")[0]
        except metadata.PackageNotFoundError:
            problems.append(f"{name} is not installed; run `make setup`")
            continue
        if found != version:
            problems.append(f"{name} {found}, pinned {version}; run `make setup`")
    free_gib = shutil.disk_usage(layout.root).free / 2**30
    if free_gib < 5:
        problems.append(f"{free_gib:.1f} GiB free under {layout.root}; 5 GiB are needed")
    for variable, port in (("SHELFWISE_API_PORT", API_PORT), ("SHELFWISE_UI_PORT", UI_PORT)):
        try:
            _require_free(_port(variable, port), variable, variable)
        except ServiceError as error:
            problems.append(str(error))
    load_params(layout.params_file)
    for problem in problems:
        out.print(f"[yellow]-[/] {problem}")
    if problems:
        raise typer.Exit(1)
    out.print("all well")


def _registry() -> Any:
    return _function("components.registry.store:Registry")(_layout().registry)


@app.command()
def releases() -> None:
    """List the registered releases, newest first, and who is champion."""
    registry = _registry()
    champion = registry.champion()
    table = Table("release", "champion", "registered", "ndcg@10")
    for release in registry.releases():
        mark = "yes" if champion and release.release_id == champion.release_id else ""
        figure = release.metrics.get("ndcg@10")
        table.add_row(
            release.release_id,
            mark,
            str(release.registered_at),
            "" if figure is None else f"{figure:.4f}",
        )
    out.print(table)


@app.command()
def promote(
    release_id: Annotated[str, typer.Argument(help="A release from `shelfwise releases`.")],
    reason: Annotated[str, typer.Option(help="Why; kept in the history.")] = "promoted by hand",
) -> None:
    """Make a release champion; the running service follows within seconds."""
    _registry().promote(release_id, reason=reason, by="cli")
    out.print(f"champion is now {release_id}")


@app.command()
def rollback(
    reason: Annotated[str, typer.Option(help="Why; kept in the history.")] = "rolled back by hand",
) -> None:
    """Go back to the champion before this one; the running service follows within seconds."""
    release = _registry().rollback(reason=reason, by="cli")
    out.print(f"champion is now {getattr(release, 'release_id', release)}")


@app.command()
def forget(visitor_id: Annotated[str, typer.Argument(help="Whose data to remove.")]) -> None:
    """Remove a visitor from the service's state, tables and caches, and print the receipt."""
    _run(_process("flows.run", "forget", "--visitor_id", visitor_id))


@app.command()
def replay(
    response_id: Annotated[str, typer.Argument(help="The request_id of a served response.")],
) -> None:
    """Rebuild a served response from its release and inputs; exit 1 if it differs."""
    difference = _function("components.stages.replay:replay")(response_id, _layout())
    if difference.fields:
        out.print(f"differs in: {', '.join(difference.fields)}")
        raise typer.Exit(1)
    out.print("equal")


@bench.command("sequences")
def bench_sequences(
    interactions: Annotated[Path, typer.Option(help="Parquet with user_id, item_id, position.")],
    report: Annotated[Path, typer.Option("--out", help="Where the figures go, as JSON.")],
    items: Annotated[
        Path | None, typer.Option(help="Parquet with item_id and text columns.")
    ] = None,
    slates: Annotated[
        Path | None, typer.Option(help="Write user_id, view, rank, item_id, 20 deep.")
    ] = None,
    predict_only: Annotated[
        bool, typer.Option(help="The last items are absent: write slates alone.")
    ] = False,
) -> None:
    """Protocol P2: next product by leave-one-out, full-catalogue ranking."""
    _function("components.stages.bench_sequences:run")(
        interactions, items, report, slates=slates, predict_only=predict_only
    )


@bench.command("search")
def bench_search(
    products: Annotated[Path, typer.Option(help="Parquet with id, title and further columns.")],
    judgements: Annotated[
        Path, typer.Option(help="CSV (may be gzipped) with query, docid, rating 0-3.")
    ],
    report: Annotated[Path, typer.Option("--out", help="Where the figures go, as JSON.")],
) -> None:
    """Protocol P3: search relevance over the whole catalogue."""
    _function("components.stages.bench_search:run")(products, judgements, report)


@bench.command("ratings")
def bench_ratings(
    reviews: Annotated[
        Path, typer.Option(help="Parquet or CSV: user_id, item_id, rating, text, timestamp.")
    ],
    report: Annotated[Path, typer.Option("--out", help="Where the figures go, as JSON.")],
) -> None:
    """Protocol P6: ratings before the purchase, and from a review's own words."""
    _function("components.stages.bench_ratings:run")(reviews, report)


@bench.command("images")
def bench_images(
    folder: Annotated[Path, typer.Option(help="One folder of pictures per class.")],
    report: Annotated[Path, typer.Option("--out", help="Where the figures go, as JSON.")],
) -> None:
    """Category and similarity from pictures."""
    _function("components.stages.bench_images:run")(folder, report)


def main() -> None:
    """Run the command line; print a user's mistake as one line."""
    debug = "--debug" in sys.argv
    if debug:
        sys.argv.remove("--debug")
    try:
        app()
    except ShelfwiseError as error:
        if debug:
            raise
        err.print(f"[red]error:[/] {error}", highlight=False, soft_wrap=True)
        sys.exit(2 if isinstance(error, ValidationBlockedError) else 1)
    except Exception as error:
        # Libraries wrap a full disk in errors of their own; everything else unexpected is a defect
        # of ours and keeps its traceback.
        full = "No space left on device" in str(error) or "Disk quota exceeded" in str(error)
        if debug or not (full or isinstance(error, OSError)):
            raise
        where = f" ({error.filename})" if isinstance(error, OSError) and error.filename else ""
        what = "the disk is full; free some space and run again" if full else str(error)
        err.print(f"[red]error:[/] {what}{where}.", highlight=False, soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
