"""Collect the evidence on a challenger, let the gate decide, and write the verdict.

In: a registered release, the champion, the accepted tables. Out: `var/registry/verdicts/`, and the
verdict itself. Both releases are loaded and asked the same questions in one run, so latencies can
be compared; behaviour is judged on what the engines answer, not on how they are built.
"""

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from components.contracts.artefacts import Layout
from components.contracts.errors import ArtefactError, TableError
from components.contracts.messages import Filters, SearchRequest
from components.contracts.params import Params
from components.contracts.records import Product
from components.data.catalogue import Catalogue
from components.data.parquet import read_table
from components.data.split import read_cut_offs
from components.evaluate.report import read_report
from components.recommend.engine import RecommendEngine
from components.registry.canaries import canary_checks
from components.registry.gate import (
    REPORT,
    YARDSTICK,
    Check,
    Evidence,
    Verdict,
    decide,
    evidence_of,
    same_yardstick,
    write_verdict,
)
from components.registry.store import Registry, Release
from components.search.engine import SearchEngine
from components.stages.evaluate import measured_now

PROBES = 24
MIN_FOUND = 0.9
TOP = 5
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Engines:
    """One release, loaded as the service loads it."""

    catalogue: Catalogue
    search: SearchEngine
    recommend: RecommendEngine
    now: datetime

    @classmethod
    def load(cls, folder: Path) -> "Engines":
        """Load everything that answers requests."""
        catalogue = Catalogue.load(folder)
        clock = json.loads((folder / "catalogue" / "clock.json").read_text(encoding="utf-8"))
        search = SearchEngine.load(folder, catalogue=catalogue)
        return cls(
            catalogue=catalogue,
            search=search,
            recommend=RecommendEngine.load(folder, catalogue=catalogue, table=search.table),
            now=datetime.fromisoformat(clock["data_end"]),
        )


def judge(params: Params, layout: Layout, release_id: str) -> Verdict:
    """Decide on a release and write the verdict.

    Raises:
        RegistryError: no such release, or one that does not verify.
    """
    registry = Registry(layout.registry)
    release = registry.release(release_id, verify=True)
    champion = registry.champion()
    if champion is not None and champion.release_id == release.release_id:
        champion = None
    events = read_table("events", layout.tables)
    visitors = known_visitors(events)
    engines = Engines.load(release.folder)
    extra = [
        *data_checks(layout.reports / "validation.json"),
        *earlier_checks(registry, release),
        *leak_checks(events, layout),
        *behaviour_checks(engines, visitors),
    ]
    challenger = evidence_of(release, latencies(engines, visitors))
    del engines
    against = None
    if champion is not None:
        against = evidence_of(champion, latencies(Engines.load(champion.folder), visitors))
        anew = judged_anew(params, layout, challenger, against, champion)
        if anew is not None:
            against = anew
            extra.append(
                Check(
                    name="one yardstick",
                    passed=True,
                    observed=f"the champion's trees were tried on {challenger.report['cut_off']}",
                    allowed="both on the challenger's test data",
                    about="The data went on since the champion was tested.",
                )
            )
    verdict = decide(challenger, against, params.promote, extra=extra, seed=params.evaluate.seed)
    page = write_verdict(verdict, registry.verdicts)
    log.info("%s; see %s", verdict.summary, page)
    return verdict


def judged_anew(
    params: Params, layout: Layout, challenger: Evidence, against: Evidence, champion: Release
) -> Evidence | None:
    """Return the champion's evidence on the data that the challenger was tested on.

    After a shift the champion's own test tells of another shop. None where both were tested on the
    same data anyway, and where the champion cannot be tried: the tables of now are not the
    challenger's, hold what the champion was trained on, or its trees know other features.
    """
    if same_yardstick(challenger, against) or not challenger.report:
        return None
    now = layout.reports / REPORT
    if not now.is_file() or not against.report:
        return None
    report = read_report(now)
    if any(report.get(key) != challenger.report.get(key) for key in YARDSTICK):
        return None
    # Trees learn from weeks before their own test.
    if week_of(against.report) > week_of(report):
        return None
    try:
        visitors = measured_now(champion.folder, params, layout)
    except (ArtefactError, ValueError) as error:
        log.warning("champion %s is judged by its own report: %s", champion.release_id, error)
        return None
    head = {key: challenger.report.get(key) for key in YARDSTICK}
    return replace(against, report={**head, "rows": []}, visitors=visitors)


def week_of(report: Mapping[str, Any]) -> int:
    """Return the first test week of a report.

    >>> week_of({"cut_off": "week 49"})
    49
    """
    return int(str(report["cut_off"]).removeprefix("week "))


def known_visitors(events: pl.DataFrame, n: int = PROBES) -> list[str]:
    """Return the visitors with the most events, a fixed few to ask about."""
    counts = events.group_by("visitor_id").agg(pl.len().alias("events"))
    return (
        counts.sort(["events", "visitor_id"], descending=[True, False])
        .head(n)["visitor_id"]
        .to_list()
    )


def data_checks(path: Path) -> list[Check]:
    """The data a release was made from must have passed validation."""
    if not path.is_file():
        return [
            Check(name="data", passed=False, observed=f"no {path.name}", allowed="validated data")
        ]
    report = json.loads(path.read_text(encoding="utf-8"))
    blocked_by = report.get("blocked_by", [])
    passed = str(report.get("status", "")).startswith("passed") and not blocked_by
    return [
        Check(
            name="data",
            passed=passed,
            observed="validation passed" if passed else f"validation blocked by {blocked_by}",
            allowed="no blocking expectation failed",
        )
    ]


def earlier_checks(registry: Registry, release: Release) -> list[Check]:
    """A release that was rolled back does not return by itself, only by a person's promotion."""
    reason = registry.state().withdrawn.get(release.release_id)
    return [
        Check(
            name="not withdrawn before",
            passed=reason is None,
            observed=f"rolled back: {reason}" if reason else "never rolled back",
            allowed="a release that was not rolled back; else promote it by hand",
        )
    ]


def leak_checks(events: pl.DataFrame, layout: Layout) -> list[Check]:
    """Run the leak canaries at the cut-off of this run's evaluation."""
    try:
        week = read_cut_offs(layout).test_from_week
    except TableError:
        week = int(events["week"].quantile(0.9) or 1)
    return canary_checks(events, week)


def behaviour_checks(engines: Engines, visitors: Sequence[str]) -> list[Check]:
    """Ask what any shop must get right, whatever the models are."""
    products = probe_products(engines.catalogue)
    return [
        finds_by_title(engines, products),
        holds_price(engines, products),
        holds_exclusion(engines, products),
        recommends_to_anyone(engines, visitors),
        tells_visitors_apart(engines, visitors),
    ]


def probe_products(catalogue: Catalogue, n: int = PROBES) -> list[Product]:
    """Return `n` available products, evenly spread over the catalogue's order.

    Those with a price, unless no product has one: a shop known by its ratings alone.
    """
    sold = [p for p in catalogue.products.values() if p.available]
    usable = [p for p in sold if p.price_minor is not None] or sold
    usable.sort(key=lambda product: product.product_id)
    step = max(1, len(usable) // n)
    return usable[::step][:n]


def finds_by_title(engines: Engines, products: Sequence[Product]) -> Check:
    """Searching a product's own title brings it, or one of the same title, among the first."""
    found = 0
    for product in products:
        request = SearchRequest(query=product.title, limit=TOP)
        answer = engines.search.search(request).products
        found += any(
            hit.product_id == product.product_id or hit.title == product.title for hit in answer
        )
    share = found / max(len(products), 1)
    return Check(
        name="behaviour: a title finds its product",
        passed=share >= MIN_FOUND,
        observed=f"{found} of {len(products)} among the first {TOP}",
        allowed=f"at least {MIN_FOUND:.0%}",
    )


def holds_price(engines: Engines, products: Sequence[Product]) -> Check:
    """A price limit is never exceeded."""
    broken: list[str] = []
    for product in products:
        if product.price_minor is None:
            continue
        limit = product.price_minor
        request = SearchRequest(
            query=product.type or product.title, filters=Filters(price_max=limit), limit=20
        )
        broken += [
            hit.product_id
            for hit in engines.search.search(request).products
            if hit.price_minor is None or hit.price_minor > limit
        ]
    return _none_broken("a price limit holds", broken, "dearer than asked for")


def holds_exclusion(engines: Engines, products: Sequence[Product]) -> Check:
    """An excluded brand never appears."""
    broken: list[str] = []
    for product in products:
        if product.brand is None:
            continue
        filters = Filters(exclude={"brand": (product.brand,)})
        request = SearchRequest(query=product.type or product.title, filters=filters, limit=20)
        broken += [
            hit.product_id
            for hit in engines.search.search(request).products
            if hit.brand == product.brand
        ]
    return _none_broken("an excluded brand stays out", broken, "of the excluded brand")


def recommends_to_anyone(engines: Engines, visitors: Sequence[str]) -> Check:
    """Known and unknown visitors get a full slate of distinct, available products."""
    broken: list[str] = []
    for visitor in [None, "nobody-has-this-id", *visitors]:
        slate = engines.recommend.recommend(visitor, (), now=engines.now, limit=10).products
        ids = [hit.product_id for hit in slate]
        whole = len(ids) >= min(10, len(engines.catalogue)) and len(set(ids)) == len(ids)
        if not whole or any(not engines.catalogue.get(name).available for name in ids):
            broken.append(str(visitor))
    return _none_broken("everyone gets a whole slate", broken, "visitors without one")


def tells_visitors_apart(engines: Engines, visitors: Sequence[str]) -> Check:
    """Visitors with long histories do not all get the same slate."""
    slates = {
        tuple(
            hit.product_id
            for hit in engines.recommend.recommend(visitor, (), now=engines.now, limit=10).products
        )
        for visitor in visitors
    }
    wanted = max(1, len(visitors) // 2)
    return Check(
        name="behaviour: visitors are told apart",
        passed=len(slates) >= wanted,
        observed=f"{len(slates)} different slates for {len(visitors)} visitors",
        allowed=f"at least {wanted}",
    )


def _none_broken(name: str, broken: Sequence[str], what: str) -> Check:
    return Check(
        name=f"behaviour: {name}",
        passed=not broken,
        observed=f"{len(broken)} {what}" + (f", first {broken[0]}" if broken else ""),
        allowed="none",
    )


def latencies(engines: Engines, visitors: Sequence[str], *, calls: int = 40) -> dict[str, float]:
    """Return the p95 of each call in milliseconds of CPU time, in-process, after a warm-up.

    CPU time, since wall time would refuse a release for whatever else the machine does; on one
    thread, as a worker of the service has it: threads that wait for each other burn time too.
    """
    products = probe_products(engines.catalogue, calls)
    queries = [SearchRequest(query=p.type or p.title, limit=20) for p in products]
    asked: dict[str, list[Callable[[], object]]] = {
        "search": [lambda q=q: engines.search.search(q) for q in queries],
        "recommend": [
            lambda v=v: engines.recommend.recommend(v, (), now=engines.now, limit=10)
            for v in (list(visitors) * calls)[:calls]
        ],
    }
    with threadpool_limits(1):
        return {name: _p95(questions) for name, questions in asked.items() if questions}


def _p95(questions: Sequence[Callable[[], object]]) -> float:
    for ask in questions[:3]:
        ask()
    times = []
    for ask in questions:
        started = time.process_time()
        ask()
        times.append((time.process_time() - started) * 1000)
    return float(np.quantile(times, 0.95))
