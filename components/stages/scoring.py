"""Slates for every visitor of a release, in one batch.

In: a release and the accepted tables. Out: `var/scores/<release_id>.parquet` with visitor_id, rank,
product_id and score, as of the end of the release's own data; or, week by week, the slates of weeks
that came after it (`<release_id>-week-<n>.parquet`). Deterministic.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import polars as pl

from components.contracts.artefacts import Layout
from components.contracts.errors import ParamsError
from components.contracts.records import BasketAdd, Click, Event, Purchase, Rating
from components.data.parquet import read_table, write_frame
from components.registry.store import Release
from components.stages.gate import Engines

KEPT_EVENTS = 200
KINDS = {"click": Click, "basket_add": BasketAdd, "purchase": Purchase, "rating": Rating}


def score_visitors(
    layout: Layout, release: Release, *, limit: int = 20, weeks: Sequence[int] | None = None
) -> list[dict[str, Any]]:
    """Score every visitor; return per file the release, the path and the counts.

    Args:
        layout: where the tables lie and the files go.
        release: whose engines answer.
        limit: products per visitor.
        weeks: shop weeks to catch up on, each scored as it stood when the week ended, from the
            events between the release's data and then. None: once, as of the release's own end.

    Raises:
        ParamsError: the release was trained on one of these weeks and would know the answer.
    """
    engines = Engines.load(release.folder)
    visitors = read_table("visitors", layout.tables)["visitor_id"].sort().to_list()
    if weeks is None:
        path = layout.var / "scores" / f"{release.release_id}.parquet"
        return [_score(layout, path, release, engines, visitors, {}, engines.now, limit)]
    events = read_table("events", layout.tables)
    after = events.filter(pl.col("at") > engines.now)
    new = set(after["week"].to_list())
    known = [week for week in weeks if week not in new]
    if known:
        raise ParamsError(
            f"release {release.release_id} was trained on week {known[0]}; weeks after its data: "
            f"{f'{min(new)} to {max(new)}' if new else 'none'}."
        )
    done = []
    for week in weeks:
        seen = after.filter(pl.col("week") <= week).sort("at", "event_id")
        end = seen["at"].max()
        assert isinstance(end, datetime)
        path = layout.var / "scores" / f"{release.release_id}-week-{week}.parquet"
        recent = recent_events(seen)
        done.append(
            {"week": week} | _score(layout, path, release, engines, visitors, recent, end, limit)
        )
    return done


def recent_events(events: pl.DataFrame) -> dict[str, list[Event]]:
    """Return each visitor's latest events as the service would hold them, oldest first."""
    found: dict[str, list[Event]] = {}
    wanted = events.filter(pl.col("kind").is_in(list(KINDS))).drop_nulls("product_id")
    columns = ("event_id", "at", "visitor_id", "kind", "product_id", "rating")
    for row in wanted.select(columns).iter_rows(named=True):
        kind, stars = row.pop("kind"), row.pop("rating")
        about = row | ({"rating": stars} if kind == "rating" else {})
        found.setdefault(row["visitor_id"], []).append(KINDS[kind](**about))
    return {visitor: kept[-KEPT_EVENTS:] for visitor, kept in found.items()}


def _score(
    layout: Layout,
    path: Any,
    release: Release,
    engines: Engines,
    visitors: Sequence[str],
    recent: Mapping[str, Sequence[Event]],
    now: datetime,
    limit: int,
) -> dict[str, Any]:
    columns: dict[str, list[Any]] = {"visitor_id": [], "rank": [], "product_id": [], "score": []}
    for visitor in visitors:
        slate = engines.recommend.recommend(visitor, recent.get(visitor, ()), now=now, limit=limit)
        for hit in slate.products:
            columns["visitor_id"].append(visitor)
            columns["rank"].append(hit.rank)
            columns["product_id"].append(hit.product_id)
            columns["score"].append(hit.score)
    write_frame(pl.DataFrame(columns), path)
    return {
        "release": release.release_id,
        "path": path.relative_to(layout.root).as_posix(),
        "visitors": len(visitors),
        "rows": len(columns["visitor_id"]),
    }
