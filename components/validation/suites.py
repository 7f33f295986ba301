"""Stage `validate`: Great Expectations suites that decide whether the data may go on.

In: `data/ingested` and the profile of the last accepted version. Out: `data/tables` (accepted rows
and their profile), `data/quarantine` (rows that failed, with the reason) and `reports/validation`
as JSON and as a page. Great Expectations owns every expectation and its result; what it is shown
are the verdicts and measures of the pure checks, so that 1.4 million rows cost seconds.

A row that fails is set aside and counted; a table that fails blocks, with a message that names the
expectation, what was observed and sample rows.
"""

import json
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from components.contracts.artefacts import Layout, sha256_of_json, write_json
from components.contracts.errors import TableError, ValidationBlockedError
from components.contracts.params import Params, ValidateParams
from components.contracts.tables import REQUIRED_TABLES, SPECS
from components.data.ingest import ACCOUNT_NAME
from components.data.parquet import conform, empty_table, read_frame, write_frame, write_table
from components.validation.checks import Measure, Verdict, row_verdicts, structure
from components.validation.data_docs import write_data_docs
from components.validation.measures import measure
from components.validation.page import write_page
from components.validation.plain import Judge, number_entry, row_entry
from components.validation.profile import (
    PROFILE_NAME,
    Profile,
    compare,
    is_batch,
    is_same_shop,
    make_profile,
    read_profile,
    write_profile,
)

# Referred-to tables first: what refers to a quarantined row is quarantined with it.
ORDER = (
    "products", "variants", "visitors", "slates", "impressions", "queries", "judgements", "events",
    "reviews", "promotions", "promotion_products", "promotion_audience", "redemptions", "exposures",
    "relations",
)  # fmt: skip
UNREADABLE = "unreadable_rows"
SAMPLE_ROWS = 5
BLOCKED_EXIT = 2
log = logging.getLogger(__name__)


@dataclass
class Outcome:
    """What validation found.

    Attributes:
        tables: accepted rows by table.
        quarantine: rows set aside by table, with a `reason` column.
        report: JSON-like account of every expectation.
        blocked_by: messages of failed blocking expectations; empty means the data may go on.
    """

    tables: dict[str, pl.DataFrame] = field(default_factory=dict)
    quarantine: dict[str, pl.DataFrame] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)
    blocked_by: list[str] = field(default_factory=list)


class _Suites:
    """One ephemeral Great Expectations context; runs a suite a table and collects plain results."""

    def __init__(self) -> None:
        import great_expectations as gx

        os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
        self.gx = gx
        self.context = gx.get_context(mode="ephemeral")
        self.context.variables.progress_bars = {"globally": False, "metric_calculations": False}  # type: ignore[assignment]
        self.source = self.context.data_sources.add_pandas("shelfwise")
        self.results: dict[str, Any] = {}  # of every suite run, for Data Docs

    def check(self, name: str, frame: Any, expectations: Sequence[Any]) -> list[dict[str, Any]]:
        """Run one suite on one pandas frame; return GX's own results, in the order given."""
        gx = self.gx
        asset = self.source.add_dataframe_asset(name)
        batch = asset.add_batch_definition_whole_dataframe("whole")
        suite = self.context.suites.add(
            gx.ExpectationSuite(name=name, expectations=list(expectations))
        )
        definition = gx.ValidationDefinition(name=name, data=batch, suite=suite)
        run = definition.run(
            batch_parameters={"dataframe": frame}, result_format={"result_format": "SUMMARY"}
        )
        self.results[name] = run
        found = {r.expectation_config.meta["name"]: r for r in run.results}  # type: ignore[union-attr,index]
        out = []
        for expectation in expectations:
            result = found[expectation.meta["name"]]
            raised = result.exception_info or {}
            if raised.get("raised_exception"):
                raise TableError(
                    f"{name}: {expectation.meta['name']} could not be checked: "
                    f"{raised.get('exception_message')}"
                )
            out.append({"passed": bool(result.success), "result": result.result})
        return out

    def rows(self, table: str, verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
        """Let GX expect that every row holds, check by check."""
        import pandas as pd
        from great_expectations import expectations as gxe

        frame = pd.DataFrame({v.name: v.ok.to_numpy() for v in verdicts})
        expectations = [
            gxe.ExpectColumnValuesToBeInSet(  # pyright: ignore[reportPrivateImportUsage]
                column=v.name, value_set=[True], meta={"name": v.name, "about": v.about}
            )
            for v in verdicts
        ]
        results = self.check(f"{table}: rows", frame, expectations)
        return [
            row_entry(v, r["passed"], int(r["result"]["unexpected_count"]))
            for v, r in zip(verdicts, results, strict=True)
        ]

    def numbers(
        self, measures: Mapping[str, Sequence[Measure]], phase: str
    ) -> dict[str, list[dict[str, Any]]]:
        """Let GX expect each number of each table to lie within its bounds, in one suite."""
        import pandas as pd
        from great_expectations import expectations as gxe

        seen = [
            (f"{table}.{m.name}", m)
            for table, ofs in measures.items()
            for m in ofs
            if m.value is not None
        ]
        frame = pd.DataFrame({column: [float(m.value or 0.0)] for column, m in seen})
        expectations = [
            gxe.ExpectColumnMaxToBeBetween(  # pyright: ignore[reportPrivateImportUsage]
                column=column,
                min_value=m.low,
                max_value=m.high,
                meta={"name": column, "about": m.about},
            )
            for column, m in seen
        ]
        results = self.check(phase, frame, expectations) if seen else []
        judged = {column: r for (column, _), r in zip(seen, results, strict=True)}
        return {
            table: [_numbered(m, judged.get(f"{table}.{m.name}")) for m in ofs]
            for table, ofs in measures.items()
        }


def _numbered(measure: Measure, result: Mapping[str, Any] | None) -> dict[str, Any]:
    if result is None:
        return number_entry(measure, True, None)
    return number_entry(measure, result["passed"], result["result"]["observed_value"])


def validate_tables(
    tables: Mapping[str, pl.DataFrame],
    params: ValidateParams,
    *,
    before: Profile | None = None,
    history: bool = True,
    own_yardstick: bool = False,
    unreadable: pl.DataFrame | None = None,
    problems: Mapping[str, str] | None = None,
    judge: Judge | None = None,
    remembered: dict[Any, list[Measure]] | None = None,
) -> Outcome:
    """Judge all tables.

    Args:
        tables: canonical name to frame, as read; types not yet checked.
        params: what blocks.
        before: profile of the last accepted version, to compare with.
        history: the tables hold all weeks of the last version too; false for a batch of new events.
        own_yardstick: with nothing to compare with, compare with itself, so that the first run of
            a source and a repeated one give the same report.
        unreadable: source rows that could not be read at all, with a reason.
        problems: tables that could not be read, with the message; each blocks.
        judge: who judges; Great Expectations unless told otherwise.
        remembered: see `compare`.
    """
    outcome = Outcome()
    suites = judge or _Suites()
    entries: dict[str, dict[str, Any]] = {}
    for name, message in (problems or {}).items():
        outcome.blocked_by.append(message)
        entries[name] = _entry(0, 0, [_unreadable_entry(message)])
    for name in REQUIRED_TABLES:
        if name not in tables and name not in entries:
            message = f"{name}: expectation table_there: the table is missing."
            outcome.blocked_by.append(message)
            entries[name] = _entry(0, 0, [_unreadable_entry(message)])
    sound: dict[str, pl.DataFrame] = {}
    shapes = {name: structure(name, tables[name]) for name in ORDER if name in tables}
    for name, checked in suites.numbers(shapes, "structure").items():
        entries[name] = _entry(tables[name].height, 0, checked)
        outcome.blocked_by += _messages(name, checked)
        if all(e["passed"] or e["severity"] == "warn" for e in checked):
            known = [c for c in tables[name].columns if c in SPECS[name].columns]
            sound[name] = _typed(name, tables[name].select(known))
    if not outcome.blocked_by:
        _judge_rows(sound, params, suites, entries, outcome)
        if before is None and own_yardstick:
            before = make_profile(outcome.tables)
        _judge_tables(outcome, params, suites, entries, before, history, unreadable, remembered)
    outcome.report = _report(outcome, entries, unreadable)
    return outcome


def _typed(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Give the specification's types, columns and order."""
    return conform(frame, SPECS[name])


def _judge_rows(
    tables: Mapping[str, pl.DataFrame],
    params: ValidateParams,
    suites: Judge,
    entries: dict[str, dict[str, Any]],
    outcome: Outcome,
) -> None:
    for name in ORDER:
        if name not in tables:
            continue
        frame = tables[name]
        if frame.is_empty():
            outcome.tables[name] = frame
            continue
        verdicts = row_verdicts(name, frame, outcome.tables)
        checked = suites.rows(name, verdicts)
        kept, aside = separate(frame, verdicts)
        for verdict, entry in zip(verdicts, checked, strict=True):
            if not entry["passed"]:
                bad = frame.filter(~verdict.ok).head(SAMPLE_ROWS)
                entry["sample"] = [_row_text(row) for row in bad.iter_rows(named=True)]
        entries[name]["expectations"] += checked
        entries[name]["rows_kept"] = kept.height
        entries[name]["rows_quarantined"] = aside.height
        if kept.height + aside.height != frame.height:
            raise TableError(
                f"{name}: {frame.height} rows in, {kept.height} kept and {aside.height} set aside."
            )
        outcome.tables[name] = kept
        if not aside.is_empty():
            outcome.quarantine[name] = aside


def separate(frame: pl.DataFrame, verdicts: Sequence[Verdict]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split rows into those that hold everything and those set aside, with the reasons."""
    marks = pl.DataFrame([v.ok.alias(v.name) for v in verdicts])
    good = marks.select(pl.all_horizontal(pl.all())).to_series()
    if good.all():
        return frame, frame.clear().with_columns(pl.lit("").alias("reason"))
    bad = marks.filter(~good)
    reasons = bad.select(
        pl.concat_str(
            [pl.when(pl.col(v.name)).then(None).otherwise(pl.lit(v.name)) for v in verdicts],
            separator=", ",
            ignore_nulls=True,
        ).alias("reason")
    )["reason"]
    return frame.filter(good), frame.filter(~good).with_columns(reasons)


def _judge_tables(
    outcome: Outcome,
    params: ValidateParams,
    suites: Judge,
    entries: dict[str, dict[str, Any]],
    before: Profile | None,
    history: bool,
    unreadable: pl.DataFrame | None,
    remembered: dict[Any, list[Measure]] | None,
) -> None:
    distances: dict[str, list[Measure]] = {}
    if before is not None:
        distances = compare(
            outcome.tables,
            before,
            max_volume_change=params.max_volume_change,
            history=history,
            aside=outcome.quarantine,
            remembered=remembered,
        )
    asked: dict[str, list[Measure]] = {}
    for name in ORDER:
        if name in outcome.tables:
            asked[name] = _own_measures(name, outcome, params, entries[name], unreadable, history)
        if name in distances:
            entries.setdefault(name, _entry(0, 0, []))
            asked[name] = asked.get(name, []) + distances[name]
    for name, checked in suites.numbers(asked, "tables").items():
        entries[name]["expectations"] += checked
        outcome.blocked_by += _messages(name, checked)


def _own_measures(
    name: str,
    outcome: Outcome,
    params: ValidateParams,
    entry: Mapping[str, Any],
    unreadable: pl.DataFrame | None,
    history: bool,
) -> list[Measure]:
    lost = unreadable.height if name == "events" and unreadable is not None else 0
    rows_in = entry["rows_in"] + lost
    share = (entry["rows_quarantined"] + lost) / rows_in if rows_in else None
    aside = Measure(
        "quarantined_share",
        "share of rows set aside, those that could not be read included",
        None if share is None else round(share, 8),
        high=params.max_quarantined_share,
    )
    return [aside, *measure(name, outcome.tables, history=history)]


def _entry(rows: int, quarantined: int, expectations: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "rows_in": rows,
        "rows_kept": rows - quarantined,
        "rows_quarantined": quarantined,
        "expectations": expectations,
    }


def _unreadable_entry(message: str) -> dict[str, Any]:
    return {
        "name": "table_readable",
        "about": "the table is there and can be read",
        "level": "table",
        "severity": "block",
        "passed": False,
        "observed": message,
        "low": None,
        "high": None,
    }


def _messages(table: str, checked: Sequence[Mapping[str, Any]]) -> list[str]:
    out = []
    for entry in checked:
        if entry["passed"] or entry["severity"] != "block":
            continue
        bounds = [
            f"at least {entry['low']:g}" if entry["low"] is not None else "",
            f"at most {entry['high']:g}" if entry["high"] is not None else "",
        ]
        expected = " and ".join(b for b in bounds if b)
        sample = "; ".join(entry.get("sample", [])) or "none"
        out.append(
            f"{table}: expectation {entry['name']} ({entry['about']}): observed "
            f"{entry['observed']:g}, expected {expected}; for instance {sample}."
        )
    return out


def _row_text(row: Mapping[str, Any]) -> str:
    shown = {k: v for k, v in row.items() if v is not None}
    return json.dumps(shown, default=str, ensure_ascii=False)[:300]


def _report(
    outcome: Outcome, entries: Mapping[str, Any], unreadable: pl.DataFrame | None
) -> dict[str, Any]:
    warned = any(
        not e["passed"] and e["severity"] != "block"
        for entry in entries.values()
        for e in entry["expectations"]
    )
    status = "blocked" if outcome.blocked_by else "passed with remarks" if warned else "passed"
    return {
        "status": status,
        "blocked_by": list(outcome.blocked_by),
        "unreadable_rows": 0 if unreadable is None else unreadable.height,
        "tables": {name: _clean(entries[name]) for name in ORDER if name in entries},
    }


def _clean(value: Any) -> Any:
    """Round numbers and turn numpy scalars into plain ones."""
    if isinstance(value, Mapping):
        return {k: _clean(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(v) for v in value]
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    number = float(value)
    return int(number) if number.is_integer() else round(number, 6)


def read_folder(folder: Path) -> tuple[dict[str, pl.DataFrame], dict[str, str]]:
    """Read whatever canonical tables a folder holds; say which could not be read."""
    tables: dict[str, pl.DataFrame] = {}
    problems: dict[str, str] = {}
    for name in ORDER:
        path = folder / f"{name}.parquet"
        if not path.exists():
            continue
        try:
            tables[name] = read_frame(path)
        except TableError as error:
            problems[name] = f"{name}: expectation table_readable: {error}"
    return tables, problems


def validate_folder(
    folder: Path, out: Path, *, params: ValidateParams | None = None, accepted: Path | None = None
) -> int:
    """Run the suites on any folder of canonical tables and write the report; changes nothing else.

    The tables are compared with the profile that lies beside them, or with the one in `accepted`
    if that is of the same shop. Events of one or two whole weeks are judged as a batch, anything
    else as the whole history.

    Args:
        folder: the tables.
        out: the report, JSON; a page of the same name is written next to it.
        params: what blocks.
        accepted: folder of the last accepted version.
    Returns:
        0 if the data may go on, 2 if they are blocked.
    Raises:
        TableError: the folder does not exist or holds no table.
    """
    if not folder.is_dir():
        raise TableError(f"{folder}: no such folder of tables.")
    tables, problems = read_folder(folder)
    if not tables and not problems:
        raise TableError(f"{folder}: holds none of the tables {', '.join(ORDER)}.")
    before = read_profile(folder)
    if before is None and accepted is not None:
        last = read_profile(accepted)
        if last is not None and "products" in tables and is_same_shop(last, tables["products"]):
            before = last
    batch = before is not None and "events" in tables and is_batch(tables["events"], before)
    outcome = validate_tables(
        tables, params or ValidateParams(), before=before, history=not batch, problems=problems,
        unreadable=_unreadable_rows(folder),
    )  # fmt: skip
    outcome.report["judged_as"] = "a batch of a week or two" if batch else "the whole history"
    write_json(out, outcome.report)
    write_page(out.with_suffix(".html"), outcome.report)
    return BLOCKED_EXIT if outcome.blocked_by else 0


def _unreadable_rows(folder: Path) -> pl.DataFrame | None:
    path = folder / f"{UNREADABLE}.parquet"
    return read_frame(path) if path.exists() else None


def last_accepted(layout: Layout, params: Params) -> Path:
    """Return the folder that keeps a source's last accepted profile, outside of DVC's outputs.

    Another file or another synthetic shop is another source: it is not compared with this one.
    """
    source = params.ingest.source
    section = getattr(params.ingest, source, None)
    which = {"section": section.model_dump() if section else {}}
    if source == "synthetic":
        which["seed"] = {"seed": params.ingest.seed}
    return layout.var / "validation" / f"{source}-{sha256_of_json(which)[:12]}"


def run(params: Params, layout: Layout) -> None:
    """Validate `data/ingested`; write accepted tables, quarantine, report and page.

    Raises:
        ValidationBlockedError: a blocking expectation failed. The report and the quarantine are
            written; accepted tables are left as they were.
    """
    account = _account(layout.ingested)
    source = str(account.get("source", params.ingest.source))
    tables, problems = read_folder(layout.ingested)
    unreadable = _unreadable_rows(layout.ingested)
    yardstick = last_accepted(layout, params)
    outcome = validate_tables(
        tables,
        params.validate_,
        before=read_profile(yardstick),
        own_yardstick=True,
        problems=problems,
        unreadable=unreadable,
        judge=(suites := _Suites()),
    )
    write_data_docs(layout.reports / "data_docs", suites.results)
    report = {"source": source} | outcome.report
    write_json(layout.reports / "validation.json", report)
    write_page(layout.reports / "validation.html", report)
    _write_quarantine(layout.quarantine, outcome, unreadable)
    if outcome.blocked_by:
        compared = (yardstick / PROFILE_NAME).is_file()
        more = len(outcome.blocked_by) - 1
        tail = f" And {more} more; see reports/validation.html." if more else ""
        meant = f" If the change is meant, delete {yardstick / PROFILE_NAME} and run again."
        raise ValidationBlockedError(
            f"validation blocked: {outcome.blocked_by[0]}{tail}{meant if compared else ''}"
        )
    profile = make_profile(outcome.tables, source)
    _write_accepted(layout, outcome, profile)
    write_profile(yardstick, profile)


def _account(folder: Path) -> dict[str, Any]:
    path = folder / ACCOUNT_NAME
    if not path.is_file():
        raise TableError(f"{path}: not there. Run `shelfwise stage ingest` first.")
    return json.loads(path.read_text(encoding="utf-8"))


def _write_quarantine(folder: Path, outcome: Outcome, unreadable: pl.DataFrame | None) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, frame in outcome.quarantine.items():
        write_frame(frame, folder / f"{name}.parquet")
    if unreadable is not None:
        write_frame(unreadable, folder / f"{UNREADABLE}.parquet")
    rows = {name: frame.height for name, frame in outcome.quarantine.items()}
    write_json(folder / "quarantine.json", {"rows": rows})


def _write_accepted(layout: Layout, outcome: Outcome, profile: Profile) -> None:
    partial = layout.tables.with_name(".tables.partial")
    shutil.rmtree(partial, ignore_errors=True)
    for name, frame in outcome.tables.items():
        write_table(frame, name, partial)
    for name in REQUIRED_TABLES:
        if name not in outcome.tables:
            write_table(empty_table(SPECS[name]), name, partial)
    shutil.copyfile(layout.ingested / ACCOUNT_NAME, partial / ACCOUNT_NAME)
    write_profile(partial, profile)
    shutil.rmtree(layout.tables, ignore_errors=True)
    partial.replace(layout.tables)
