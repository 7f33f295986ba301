"""Protocol P9: are faults caught, and do clean data pass?

In: the accepted tables of the default source (a fixed sample of its visitors, all products) and a
small synthetic shop for the tables that the source lacks. Out: `reports/p9_validation.json`: each
fault of the catalogue at each strength, whether it was caught, where and by which expectation; and
what the suites say of the clean tables and of each real week on its own.
"""

import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from components.contracts.artefacts import Layout, write_json
from components.contracts.params import (
    IngestParams,
    MutateParams,
    Params,
    SyntheticSource,
    ValidateParams,
)
from components.data import synthetic
from components.data.parquet import write_table
from components.data.workers import worker_processes
from components.validation.checks import Measure
from components.validation.faults import CATALOGUE, Fault
from components.validation.plain import PlainJudge
from components.validation.profile import Profile, make_profile
from components.validation.suites import Outcome, read_folder, validate_tables

REPORT_NAME = "p9_validation.json"
SMALL_SHOP = SyntheticSource(visitors=120, products=144, weeks=12)
WORKERS = 2
FILE_STRENGTHS = (0.01, 0.5, 0.99)


def sample_visitors(tables: Mapping[str, pl.DataFrame], every: int) -> dict[str, pl.DataFrame]:
    """Keep every so many-th visitor with all that is hers, all products, and some exposures."""
    chosen = tables["visitors"].sort("visitor_id").gather_every(every)["visitor_id"]
    shown = tables["products"].sort("product_id").gather_every(every)["product_id"]
    exposures = tables["exposures"].filter(pl.col("product_id").is_in(shown.implode()))
    return {
        name: frame.filter(pl.col("visitor_id").is_in(chosen.implode()))
        if "visitor_id" in frame.columns
        else frame
        for name, frame in tables.items()
    } | {"exposures": exposures}


def failures(outcome: Outcome) -> dict[str, list[str]]:
    """Return the failed expectations by severity, as `table.name`."""
    found: dict[str, list[str]] = {"block": [], "quarantine": [], "warn": []}
    for table, entry in outcome.report["tables"].items():
        for expectation in entry["expectations"]:
            if not expectation["passed"]:
                found[expectation["severity"]].append(f"{table}.{expectation['name']}")
    return found


def verdict_on(
    fault: str, group: str, table: str, strength: float, shop: str, outcome: Outcome
) -> dict[str, Any]:
    """Word what became of one injected fault."""
    failed = failures(outcome)
    where = (
        "table" if failed["block"] else "row" if failed["quarantine"] else
        "remark" if failed["warn"] else "nowhere"
    )  # fmt: skip
    return {
        "fault": fault,
        "group": group,
        "table": table,
        "strength": strength,
        "shop": shop,
        "caught": where != "nowhere",
        "where": where,
        "by": [*failed["block"], *failed["quarantine"], *failed["warn"]],
        "rows_set_aside": sum(frame.height for frame in outcome.quarantine.values()),
    }


def inject(
    fault: Fault,
    tables: Mapping[str, pl.DataFrame],
    before: Profile,
    params: ValidateParams,
    settings: MutateParams,
    remembered: dict[Any, list[Measure]],
) -> list[dict[str, Any]]:
    """Inject one fault at each of its strengths and judge the tables.

    Args:
        fault: of the catalogue.
        tables: clean.
        before: their profile.
        params: what blocks.
        settings: seed and strengths.
        remembered: what clean tables measured; see `compare`.
    """
    rows = []
    for number, strength in list(enumerate(fault.strengths))[-(settings.strengths or 0) :]:
        random = np.random.default_rng([settings.seed, number])
        mutated = fault.apply(dict(tables), strength, random)
        outcome = validate_tables(
            mutated, params, before=before, judge=PlainJudge(), remembered=remembered
        )
        rows.append(verdict_on(fault.name, fault.group, fault.table, strength, fault.shop, outcome))
    return rows


def damaged_files(
    tables: Mapping[str, pl.DataFrame], params: ValidateParams
) -> list[dict[str, Any]]:
    """Cut a table's file short, or overwrite a part of it, and read the folder again."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for table, frame in tables.items():
            write_table(frame, table, folder)
        path = folder / "events.parquet"
        whole = path.read_bytes()
        for fault in ("file_cut_off", "file_overwritten"):
            for strength in FILE_STRENGTHS:
                hit = int(strength * len(whole))
                path.write_bytes(
                    whole[: len(whole) - hit]
                    if fault == "file_cut_off"
                    else b"\0" * hit + whole[hit:]
                )
                read, problems = read_folder(folder)
                outcome = validate_tables(read, params, problems=problems, judge=PlainJudge())
                rows.append(verdict_on(fault, "volume", "events", strength, "synthetic", outcome))
    return rows


def weeks_alone(
    tables: Mapping[str, pl.DataFrame], before: Profile, params: ValidateParams
) -> list[dict[str, Any]]:
    """Judge each week's events as a batch of its own, against the profile of the whole."""
    out = []
    remembered: dict[Any, list[Measure]] = {}
    for week in sorted(tables["events"]["week"].unique().to_list()):
        batch = dict(tables) | {"events": tables["events"].filter(pl.col("week") == week)}
        batch["exposures"] = tables["exposures"].filter(pl.col("week") <= week)
        outcome = validate_tables(
            batch, params, before=before, history=False, judge=PlainJudge(), remembered=remembered
        )
        failed = failures(outcome)
        out.append(
            {
                "week": week,
                "passed": not failed["block"],
                "rows_set_aside": sum(f.height for f in outcome.quarantine.values()),
                "by": failed["block"],
                "observed": {
                    f"events.{e['name']}": e["observed"]
                    for e in outcome.report["tables"]["events"]["expectations"]
                    if not e["passed"] and e["level"] == "table"
                },
            }
        )
    return out


@dataclass(frozen=True)
class Grounds:
    """What faults are injected into: by shop its clean tables and their profile."""

    params: Params
    shops: Mapping[str, tuple[dict[str, pl.DataFrame], Profile]]
    remembered: Mapping[str, dict[Any, list[Measure]]]

    @classmethod
    def of(cls, params: Params, tables: Path) -> "Grounds":
        """Sample the accepted tables and make the small shop."""
        whole, _ = read_folder(tables)
        made, _ = synthetic.build(
            IngestParams(source="synthetic", seed=params.mutate.seed, synthetic=SMALL_SHOP)
        )
        real = sample_visitors(whole, params.mutate.every_visitor)
        shops = {
            name: (held, make_profile(held, name))
            for name, held in (("real", real), ("synthetic", made))
        }
        return cls(params, shops, {name: {} for name in shops})

    def attempt(self, number: int) -> list[dict[str, Any]]:
        """Inject a fault of the catalogue, by its number, at each strength."""
        fault = CATALOGUE[number]
        tables, before = self.shops[fault.shop]
        if fault.table not in tables:
            return []
        return inject(
            fault, tables, before, self.params.validate_, self.params.mutate,
            self.remembered[fault.shop],
        )  # fmt: skip


_grounds: list[Grounds] = []  # of a worker process


def _enter(params: Params, tables: Path) -> None:
    _grounds[:] = [Grounds.of(params, tables)]


def _attempt(number: int) -> list[dict[str, Any]]:
    return _grounds[0].attempt(number)


def run(params: Params, layout: Layout) -> None:
    """Write `reports/p9_validation.json`.

    Raises:
        TableError: there are no accepted tables yet.
    """
    with worker_processes(WORKERS, _enter, (params, layout.tables)) as pool:
        injected = [pool.submit(_attempt, number) for number in range(len(CATALOGUE))]
        write_json(layout.reports / REPORT_NAME, _report(params, layout, injected))


def _report(
    params: Params, layout: Layout, injected: Sequence["Future[list[dict[str, Any]]]"]
) -> dict[str, Any]:
    limits = params.validate_
    shops = Grounds.of(params, layout.tables).shops
    clean = []
    for name, (tables, before) in shops.items():
        outcome = validate_tables(tables, limits, before=before, judge=PlainJudge())
        failed = failures(outcome)
        clean.append(
            {
                "shop": name,
                "passed": not any(failed.values()),
                "rows_set_aside": sum(f.height for f in outcome.quarantine.values()),
                "by": [*failed["block"], *failed["quarantine"], *failed["warn"]],
            }
        )
    damaged = damaged_files(shops["synthetic"][0], limits)
    whole, _ = read_folder(layout.tables)
    weeks = weeks_alone(whole, make_profile(whole), limits)
    rows = [row for future in injected for row in future.result()] + damaged
    return summary(rows, clean, weeks, shops["real"][0], params.mutate.seed)


def summary(
    rows: list[dict[str, Any]],
    clean: list[dict[str, Any]],
    weeks: list[dict[str, Any]],
    real: Mapping[str, pl.DataFrame],
    seed: int,
) -> dict[str, Any]:
    """Put the report together: shares caught by group, and everything behind them."""
    groups: dict[str, dict[str, int]] = {}
    for row in rows:
        group = groups.setdefault(row["group"], {"injected": 0, "caught": 0})
        group["injected"] += 1
        group["caught"] += int(row["caught"])
    caught = sum(row["caught"] for row in rows)
    return {
        "protocol": "p9_validation",
        "dataset": "a sample of the visitors with all products, and a synthetic shop",
        "n": len(rows),
        "seed": seed,
        "faults": len({row["fault"] for row in rows}),
        "visitors": real["visitors"].height,
        "caught": caught,
        "caught_share": round(caught / len(rows), 6),
        "groups": groups,
        "missed": [f"{r['fault']} at {r['strength']:g}" for r in rows if not r["caught"]],
        "clean": clean,
        "weeks": {
            "n": len(weeks),
            "passed": sum(week["passed"] for week in weeks),
            "not_passed": [week for week in weeks if not week["passed"]],
        },
        "rows": rows,
    }
