"""May the challenger replace the champion? A list of checks, each with what was seen and allowed.

In: what both releases say about themselves (reports, per-visitor values, latency) and what was
found on the way (data checks, leak canaries, behaviour). Out: a `Verdict` that a person can read.
It measures nothing and moves nothing: `components/stages/gate.py` collects the evidence, the
registry carries the decision.

The promotion rule on the metric is: refuse if the mean paired difference is a loss of more than
`max_loss`, or if its whole 95 % interval lies below zero. It does not ask for a significant gain:
a retrained model of equal quality on newer data is what a shop wants.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict

from components.contracts.artefacts import write_json
from components.contracts.params import PromoteParams
from components.evaluate.bootstrap import Interval, paired_interval
from components.evaluate.report import read_report, rounded
from components.registry.store import Release

BASELINES = ("popularity", "own_frequency", "own_frequency_decay", "item_knn")
VISITORS_FILE = "evaluate/p1_visitors.parquet"
REPORT = "p1_next_basket.json"
# Of a report: on what it was measured, and which purchases two releases are compared on.
YARDSTICK = ("protocol", "dataset", "split", "cut_off", "n", "compared_on")
MIN_SLICE_VISITORS = 30
SOUGHT = "Only purchases that no slate led to count: who filled the slates would be judged by them."


class Check(BaseModel):
    """One line of a verdict."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    passed: bool
    observed: str
    allowed: str
    about: str = ""


class Verdict(BaseModel):
    """Whether to promote, and all checks; `reasons` are the failed ones in words."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    release_id: str
    champion_id: str | None
    promote: bool
    reasons: tuple[str, ...]
    checks: tuple[Check, ...]
    details: dict[str, Any] = {}

    @property
    def summary(self) -> str:
        """One sentence."""
        if self.promote:
            against = f"against {self.champion_id}" if self.champion_id else "as the first champion"
            return f"promote {self.release_id} {against}: {len(self.checks)} checks passed"
        return f"refuse {self.release_id}: " + "; ".join(self.reasons)


@dataclass(frozen=True)
class Evidence:
    """What is known of one release.

    Attributes:
        release_id: its id.
        report: the next-basket report, empty if the source has none.
        visitors: columns visitor_id, slice and the metric, of the shipped ranking; may be empty.
        latency_ms: call name to p95 in milliseconds, measured in one run for both releases.
    """

    release_id: str
    report: Mapping[str, Any] = field(default_factory=dict)
    visitors: pl.DataFrame = field(default_factory=pl.DataFrame)
    latency_ms: Mapping[str, float] = field(default_factory=dict)


def evidence_of(release: Release, latency_ms: Mapping[str, float] | None = None) -> Evidence:
    """Read what a release says about itself."""
    report = release.reports / REPORT
    visitors = release.folder / VISITORS_FILE
    return Evidence(
        release_id=release.release_id,
        report=read_report(report) if report.is_file() else {},
        visitors=pl.read_parquet(visitors) if visitors.is_file() else pl.DataFrame(),
        latency_ms=latency_ms or {},
    )


def decide(
    challenger: Evidence,
    champion: Evidence | None,
    rules: PromoteParams,
    *,
    extra: Sequence[Check] = (),
    seed: int = 7,
) -> Verdict:
    """Judge a challenger.

    Args:
        challenger: the release that wants to be served.
        champion: the one that is; None for the first.
        rules: what is allowed.
        extra: checks made elsewhere: data, leak canaries, behaviour, an earlier withdrawal.
        seed: of the bootstrap.
    """
    checks = [*extra, *baseline_checks(challenger, rules)]
    details: dict[str, Any] = {}
    if champion is not None:
        found, details = comparison_checks(challenger, champion, rules, seed=seed)
        checks += found
    checks += latency_checks(challenger, champion, rules)
    failed = [check for check in checks if not check.passed]
    return Verdict(
        release_id=challenger.release_id,
        champion_id=champion.release_id if champion else None,
        promote=not failed,
        reasons=tuple(
            f"{check.name}: {check.observed} (allowed: {check.allowed})" for check in failed
        ),
        checks=tuple(checks),
        details=rounded(details),
    )


def rows_by_slice(report: Mapping[str, Any], *, shipped: bool) -> dict[str, list[dict[str, Any]]]:
    """Return the report's rows by slice: the shipped ones, or those of the named baselines."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in report.get("rows", []):
        wanted = row.get("shipped") is True if shipped else row.get("model") in BASELINES
        if wanted:
            found.setdefault(str(row.get("slice", "all")), []).append(row)
    return found


def best_baseline(report: Mapping[str, Any], metric: str, slice_: str) -> tuple[str, float] | None:
    """Return name and value of the strongest baseline of a slice."""
    rows = [
        r for r in rows_by_slice(report, shipped=False).get(slice_, []) if r.get(metric) is not None
    ]
    best = max(rows, key=lambda row: row[metric], default=None)
    return (str(best["model"]), float(best[metric])) if best else None


def baseline_checks(challenger: Evidence, rules: PromoteParams) -> list[Check]:
    """The shipped ranking must beat the strongest baseline, but not beyond belief."""
    shipped = rows_by_slice(challenger.report, shipped=True).get("all", [])
    baseline = best_baseline(challenger.report, rules.metric, "all")
    if not shipped or baseline is None or shipped[0].get(rules.metric) is None:
        return [
            Check(
                name="evaluation",
                passed=False,
                observed=f"no shipped {rules.metric} beside its baselines in {REPORT}",
                allowed="a complete report",
                about="A ranking that was not measured is not served.",
            )
        ]
    name, floor = baseline
    value = float(shipped[0][rules.metric])
    gain = value - floor
    relative = gain / floor if floor > 0 else float(gain > 0)
    return [
        Check(
            name="better than the baselines",
            passed=gain >= rules.min_over_baseline,
            observed=f"{rules.metric} {value:.4f}, {name} {floor:.4f} ({gain:+.4f})",
            allowed=f"at least {rules.min_over_baseline:+.4f} over the strongest baseline",
        ),
        Check(
            name="not too good to be true",
            passed=relative <= rules.max_over_baseline and value < 0.95,
            observed=f"{relative:+.0%} over {name}",
            allowed=f"at most {rules.max_over_baseline:+.0%}; more is a leak until shown otherwise",
        ),
    ]


def comparison_checks(
    challenger: Evidence, champion: Evidence, rules: PromoteParams, *, seed: int
) -> tuple[list[Check], dict[str, Any]]:
    """Compare per visitor where both were judged by the same yardstick, else by lift over habit."""
    if same_yardstick(challenger, champion):
        differences = paired_differences(challenger.visitors, champion.visitors, rules.metric, seed)
        if differences:
            sought = challenger.report.get("compared_on") == "sought"
            checks = paired_checks(differences, rules, about=SOUGHT if sought else "")
            return checks, {"paired": _as_json(differences)}
    new, old = (_lift(evidence.report, rules.metric) for evidence in (challenger, champion))
    lifts = {"challenger": new, "champion": old}
    if new is None or old is None:
        return [
            Check(
                name="comparison with the champion",
                passed=False,
                observed="the two releases have no figures that can be compared",
                allowed="the same protocol on both",
            )
        ], {"lifts": lifts}
    loss = old - new
    check = Check(
        name="lift over the strongest baseline, against the champion's",
        passed=loss <= rules.max_loss,
        observed=f"{new:+.4f}, champion {old:+.4f} on its own data",
        allowed=f"a loss of at most {rules.max_loss:.4f}",
        about="The test data differ, so both are measured against habit on their own data.",
    )
    return [check], {"lifts": lifts}


def same_yardstick(one: Evidence, other: Evidence) -> bool:
    """Return whether both reports judge the same visitors by the same cut."""
    heads = [[e.report.get(key) for key in YARDSTICK] for e in (one, other)]
    return heads[0] == heads[1] and not one.visitors.is_empty() and not other.visitors.is_empty()


@dataclass(frozen=True)
class Difference:
    """Challenger minus champion in one slice, over `n` common visitors."""

    slice: str
    n: int
    interval: Interval
    visitors_lost: int


def paired_differences(
    challenger: pl.DataFrame, champion: pl.DataFrame, metric: str, seed: int
) -> list[Difference]:
    """Return the paired difference per slice; empty if the files hold no such metric."""
    needed = {"visitor_id", "slice", metric}
    if not needed <= set(challenger.columns) or not needed <= set(champion.columns):
        return []
    both = challenger.select("visitor_id", "slice", pl.col(metric).alias("new")).join(
        champion.select("visitor_id", "slice", pl.col(metric).alias("old")),
        on=["visitor_id", "slice"],
        how="inner",
    )
    found = []
    for slice_ in sorted(both["slice"].unique()):
        part = both.filter(pl.col("slice") == slice_).sort("visitor_id").drop_nulls().drop_nans()
        if part.is_empty():
            continue
        new, old = part["new"].to_numpy(), part["old"].to_numpy()
        lost = champion.filter(pl.col("slice") == slice_).height - part.height
        found.append(Difference(slice_, part.height, paired_interval(new, old, seed=seed), lost))
    return found


def paired_checks(
    differences: Sequence[Difference], rules: PromoteParams, *, about: str = ""
) -> list[Check]:
    """Hold every slice against what it may lose; `about` stands beside each."""
    checks = []
    for difference in differences:
        allowed = rules.max_loss if difference.slice == "all" else rules.max_slice_loss
        mean, low, high = difference.interval
        if difference.slice != "all" and difference.n < MIN_SLICE_VISITORS:
            continue
        significant = high < 0 and (difference.slice == "all" or -mean > rules.max_loss)
        checks.append(
            Check(
                name=f"{rules.metric}, {difference.slice} visitors, against the champion",
                passed=-mean <= allowed and not significant,
                observed=f"{mean:+.4f} [{low:+.4f}, {high:+.4f}] over {difference.n} visitors",
                allowed=f"a loss of at most {allowed:.4f} that may be chance",
                about=about,
            )
        )
    return checks


def _as_json(differences: Sequence[Difference]) -> list[dict[str, Any]]:
    return [
        {
            "slice": d.slice,
            "n": d.n,
            "mean": d.interval.mean,
            "low": d.interval.low,
            "high": d.interval.high,
            "visitors_lost": d.visitors_lost,
        }
        for d in differences
    ]


def _lift(report: Mapping[str, Any], metric: str) -> float | None:
    shipped = rows_by_slice(report, shipped=True).get("all", [])
    baseline = best_baseline(report, metric, "all")
    if not shipped or baseline is None or shipped[0].get(metric) is None:
        return None
    return float(shipped[0][metric]) - baseline[1]


def latency_checks(
    challenger: Evidence, champion: Evidence | None, rules: PromoteParams
) -> list[Check]:
    """No call may be slower than the limit, nor much slower than the champion's."""
    checks = []
    for call, p95 in sorted(challenger.latency_ms.items()):
        before = champion.latency_ms.get(call) if champion else None
        allowed = rules.max_latency_ms
        if before is not None:
            allowed = min(allowed, max(before * rules.max_latency_growth, 5.0))
        was = f", champion {before:.1f} ms" if before is not None else ""
        checks.append(
            Check(
                name=f"latency of {call}",
                passed=p95 <= allowed,
                observed=f"p95 {p95:.1f} ms{was}",
                allowed=f"{allowed:.1f} ms",
            )
        )
    return checks


def write_verdict(verdict: Verdict, folder: Path) -> Path:
    """Write `<release>.json` and a page for people, `<release>.md`; return the page."""
    write_json(folder / f"{verdict.release_id}.json", verdict.model_dump(mode="json"))
    page = folder / f"{verdict.release_id}.md"
    temporary = page.with_suffix(".md.partial")
    temporary.write_text(as_markdown(verdict), encoding="utf-8")
    temporary.replace(page)
    return page


def read_verdict(release_id: str, folder: Path) -> Verdict | None:
    """Return the last verdict on a release, if there is one."""
    path = folder / f"{release_id}.json"
    if not path.is_file():
        return None
    return Verdict.model_validate_json(path.read_text(encoding="utf-8"))


def as_markdown(verdict: Verdict) -> str:
    """Render a verdict as a short page."""
    title = "promoted" if verdict.promote else "refused"
    lines = [
        f"# Release {verdict.release_id}: {title}",
        "",
        f"Champion at the time: {verdict.champion_id or 'none'}.",
        "",
    ]
    if verdict.reasons:
        lines += ["Reasons:", "", *(f"- {reason}" for reason in verdict.reasons), ""]
    lines += ["| check | passed | observed | allowed |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {c.name} | {'yes' if c.passed else '**no**'} | {c.observed} | {c.allowed} |"
        for c in verdict.checks
    ]
    notes = list(dict.fromkeys(c.about for c in verdict.checks if c.about))
    lines += ["", *notes] if notes else []
    return "\n".join(lines) + "\n"
