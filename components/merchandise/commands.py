"""`shelfwise merchandise`: launches, segments, offers, baskets, rules and campaigns.

In: the artefacts and the state of the checkout, without a running service; `allocate` and `fill`
ask the running one, since they need its clock, its stock and who has been forgotten. Out: a table
or JSON. Nothing is kept: what acts (rules, campaigns, starting a launch) goes through the service,
which audits it. Every stage starts through the same command, so what only one command needs is
imported inside it.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from components.contracts.artefacts import Layout
from components.contracts.errors import (
    ArtefactError,
    ServiceError,
    StateError,
    UnknownProductError,
)
from components.contracts.launches import LaunchRequest
from components.contracts.params import load_params

if TYPE_CHECKING:
    from components.state.merchandise import MerchandiseState

app = typer.Typer(no_args_is_help=True, help="What a commercial team asks of the artefacts.")
out = Console()


def _artefacts() -> Path:
    return Layout(os.environ.get("SHELFWISE_ROOT", ".")).artefacts


@app.command()
def launch(
    product: Annotated[str, typer.Argument(help="Product id, as in the catalogue.")],
    share: Annotated[float, typer.Option(help="Share of households to tell, in (0, 1].")] = 0.1,
    weeks: Annotated[int, typer.Option(help="Weeks the demand is asked for, 1 to 13.")] = 13,
    cap: Annotated[float, typer.Option(help="Regret cap, in expected purchases.")] = 3.0,
    to: Annotated[Path | None, typer.Option("--out", help="Write the whole plan as JSON.")] = None,
) -> None:
    """Plan a launch: demand range, audience, partners and ramp."""
    from components.data.catalogue import Catalogue
    from components.merchandise.planner import LaunchPlanner
    from components.recommend.engine import NO_LOG, load_history
    from components.recommend.shop import load_state

    folder = _artefacts()
    planner = LaunchPlanner.load(folder)
    if planner is None:
        raise ArtefactError(f"{folder}: no launch planner. Run `make pipeline`.")
    catalogue = Catalogue.load(folder)
    log, visitors, ids = NO_LOG, tuple[str, ...](), tuple[str, ...]()
    if (folder / "train_ranker").is_dir():
        history = load_history(folder / "train_ranker")
        log, visitors = history.log, tuple(history.visitor_ids)
        _, ids = load_state(folder / "train_ranker")
    plan = planner.plan(
        f"plan-{product}",
        catalogue.get(product),
        LaunchRequest(
            product_id=product, audience_share=share, horizon_weeks=weeks, regret_cap=cap
        ),
        log=log,
        log_ids=ids,
        visitor_ids=visitors,
        titles={p: catalogue.get(p).title for p in catalogue.ids},
    )
    if to is not None:
        to.write_text(plan.model_dump_json(indent=1), encoding="utf-8")
    demand = plan.demand
    out.print(f"[bold]{plan.title}[/]")
    out.print(
        f"demand in {demand.horizon_weeks} weeks: {demand.low} to {demand.high} lines "
        f"({demand.coverage:.0%} of launches like it), middle {demand.middle:.1f}"
    )
    out.print(f"audience: {len(plan.audience)} households; told before: {len(plan.preheat)}")
    out.print("first: " + ", ".join(m.visitor_id for m in plan.audience[:10]))
    out.print("sell it with: " + (", ".join(p.title for p in plan.partners) or "nothing known"))
    for note in plan.notes:
        out.print(f"note: {note}")


@app.command()
def segments(
    to: Annotated[
        Path | None, typer.Option("--out", help="Write every visitor's segment as CSV.")
    ] = None,
) -> None:
    """List the segments, or export who belongs where."""
    from components.recommend.segments import SegmentModel

    model = SegmentModel.load(_artefacts())
    if model is None:
        raise ArtefactError(f"{_artefacts()}: no segments. Run `make pipeline`.")
    table = Table("segment", "name", "visitors", "trips a week", "price sensitivity")
    for one in model.profiles:
        table.add_row(
            str(one["number"]), str(one["name"]), str(one["visitors"]),
            f"{one['trips_a_week']:.2f}", f"{one['price_sensitivity']:.2f}",
        )  # fmt: skip
    out.print(table)
    if to is not None:
        rows = [f"{v},{n}" for v, n in sorted(model.number_of.items())]
        to.write_text("\n".join(["visitor_id,segment", *rows]) + "\n", encoding="utf-8")


@app.command("goes-with")
def goes_with(
    product: Annotated[str, typer.Argument(help="Product id, as in the catalogue.")],
    limit: Annotated[int, typer.Option(help="Products at most.")] = 6,
) -> None:
    """List what goes with a product, by how much more often than chance."""
    from components.data.catalogue import Catalogue
    from components.merchandise.bundles import Bundles

    bundles = Bundles.load(_artefacts())
    if bundles is None:
        raise ArtefactError(f"{_artefacts()}: no bundles. Run `make pipeline`.")
    place = bundles.index().get(product)
    if place is None:
        raise UnknownProductError(f"no product {product!r} among those with sales.")
    catalogue = Catalogue.load(_artefacts())
    rows = bundles.complements.of(place)
    table = Table("product", "title", "lift")
    for other, lift in zip(
        bundles.complements.other[rows][:limit], bundles.complements.lift[rows], strict=False
    ):
        name = bundles.product_ids[int(other)]
        known = catalogue.products.get(name)
        table.add_row(name, known.title if known else "", f"{float(lift):.2f}")
    out.print(table)


@app.command()
def offers(
    visitor: Annotated[str, typer.Argument(help="Visitor id, as in the data.")],
    limit: Annotated[int, typer.Option(help="Offers at most.")] = 20,
) -> None:
    """Say which offers in force at the data's end a visitor may redeem, likeliest first."""
    from components.merchandise.logs import in_order
    from components.merchandise.promotions import OfferModel
    from components.recommend.engine import load_history
    from components.recommend.history import day_of
    from components.recommend.shop import load_state

    folder = _artefacts()
    model = OfferModel.load(folder)
    history = load_history(folder / "train_ranker")
    _, ids = load_state(folder / "train_ranker")
    if visitor not in history.index:
        raise ServiceError(f"no visitor {visitor!r} in the data.")
    clock = json.loads((folder / "catalogue" / "clock.json").read_text(encoding="utf-8"))
    now = datetime.fromisoformat(clock["data_end"])
    title = _offers_in_force(folder / "catalogue", visitor, now)
    mine = in_order(history.rows(visitor), ids, model.product_index)
    scores = model.score(visitor, mine, list(title), today=day_of(now))
    best = sorted(scores.items(), key=lambda pair: (-pair[1][0], pair[0]))[:limit]
    table = Table("offer", "title", "P(redeem)", "uplift")
    for promotion_id, (chance, uplift) in best:
        table.add_row(promotion_id, title[promotion_id], f"{chance:.4f}", f"{uplift:+.4f}")
    out.print(table)


def _offers_in_force(tables: Path, visitor: str, now: datetime) -> dict[str, str]:
    """Return the titles of the offers that a visitor may use at a moment, by id."""
    import polars as pl

    from components.data.parquet import read_table

    audience = read_table("promotion_audience", tables)
    mine = set(audience.filter(pl.col("visitor_id") == visitor)["campaign_id"])
    found = read_table("promotions", tables).filter(
        (pl.col("starts_at") <= now) & (pl.col("ends_at") > now)
    )
    return {
        row["promotion_id"]: row["title"]
        for row in found.iter_rows(named=True)
        if not row["targeted"] or row["campaign_id"] in mine
    }


@app.command()
def campaigns() -> None:
    """List sponsors' campaigns with what they got, paid and cost."""
    from components.merchandise.campaigns import report_of

    with _state() as state:
        days = state.days()
        table = Table(
            "campaign", "name", "shown", "clicks", "rate", "foretold", "spent", "left", "NDCG cost"
        )
        for one in state.campaigns():
            made = report_of(one, days.get(one.campaign_id, []))
            table.add_row(
                one.campaign_id, one.name, str(made.impressions), str(made.clicks),
                "" if made.ctr is None else f"{made.ctr:.4f}",
                "" if made.pctr is None else f"{made.pctr:.4f}",
                f"{made.spent_minor / 100:.2f}", f"{made.left_minor / 100:.2f}",
                f"{made.ndcg_cost:.4f}",
            )  # fmt: skip
        out.print(table)


@app.command()
def rules() -> None:
    """List the shop's rules and who changed what last."""
    with _state() as state:
        table = Table("rule", "name", "kind", "products", "searches", "priority", "paused")
        for one in state.rules():
            table.add_row(
                one.rule_id, one.name, one.kind, ", ".join(one.product_ids[:5]) or "by filter",
                ", ".join(one.queries), str(one.priority), "yes" if one.is_paused else "",
            )  # fmt: skip
        out.print(table)
        for line in state.audit()[:10]:
            out.print(
                f"{str(line['at'])[:16]}  {line['actor']}  {line['action']}  {line['subject']}"
            )


@app.command()
def allocate(
    budget: Annotated[
        int | None, typer.Option(help="Most that may be given away, in minor units (cents).")
    ] = None,
    each: Annotated[int, typer.Option(help="Offers a visitor may get, 1 to 20.")] = 3,
    goal: Annotated[str, typer.Option(help="uplift or redemptions.")] = "uplift",
    to: Annotated[Path | None, typer.Option("--out", help="Write who gets what as CSV.")] = None,
) -> None:
    """Choose who should get which offer under the caps, by the running service; nothing is sent."""
    found = _asked(
        "/v1/promotions/allocate",
        {"budget_minor": budget, "max_per_visitor": each, "goal": goal},
    )
    out.print(
        f"{len(found['allotments'])} of {found['pairs_considered']} pairs, {found['status']} "
        f"(gap {found['optimality_gap']:.2%})"
    )
    out.print(
        f"expected: {found['expected_redemptions']:.1f} redemptions, uplift "
        f"{found['expected_uplift']:.1f}, cost {found['expected_cost_minor'] / 100:.2f}"
    )
    if to is not None:
        names = ("visitor_id", "promotion_id", "redeem_probability", "uplift")
        rows = [",".join(str(one[name]) for name in names) for one in found["allotments"]]
        to.write_text("\n".join([",".join(names), *rows]) + "\n", encoding="utf-8")


@app.command()
def fill(
    budget: Annotated[int, typer.Argument(help="Budget in minor units (cents).")],
    visitor: Annotated[str | None, typer.Option(help="For whom; anybody if absent.")] = None,
    occasion: Annotated[str | None, typer.Option(help="What it is for, in words.")] = None,
    lines: Annotated[int, typer.Option(help="Products at most, 1 to 50.")] = 10,
) -> None:
    """Fill a basket within a budget, by the running service."""
    found = _asked(
        "/v1/basket/fill",
        {"budget_minor": budget, "visitor_id": visitor, "occasion": occasion, "lines": lines},
    )
    if not found["products"]:
        out.print(f"empty: {found['reason']}")
        return
    table = Table("product", "title", "price")
    for one in found["products"]:
        price = one["price_minor"]
        table.add_row(one["product_id"], one["title"], f"{price / 100:.2f}")
    out.print(table)
    proven = "the best there is" if found["is_optimal"] else "the best found in time"
    out.print(f"{found['cost_minor'] / 100:.2f} of {budget / 100:.2f}, {proven}")


def _asked(path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Post to the running service and return its answer.

    Raises:
        ServiceError: nobody answers, or it refuses; the message says why.
    """
    import httpx

    port = os.environ.get("SHELFWISE_API_PORT", "3000")
    url = os.environ.get("SHELFWISE_API_URL", f"http://127.0.0.1:{port}").rstrip("/")
    key = os.environ.get("SHELFWISE_KEY")
    try:
        answer = httpx.post(
            url + path,
            json={name: value for name, value in body.items() if value is not None},
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=180.0,
        )
        found = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise ServiceError(
            f"{url}: no answer ({error}). Start the service with `shelfwise run`, or name another "
            "by SHELFWISE_API_URL."
        ) from error
    if answer.is_error:
        raise ServiceError(f"{url}{path}: {found.get('detail') or found.get('title')}")
    return found


@contextmanager
def _state() -> Iterator["MerchandiseState"]:
    """Open the service's state to read it.

    Raises:
        StateError: there is none, or it cannot be opened.
    """
    from components.state.merchandise import MerchandiseState
    from components.state.store import Store

    layout = Layout(os.environ.get("SHELFWISE_ROOT", "."))
    given = os.environ.get("SHELFWISE_STATE_URL")
    if given is None and layout.params_file.is_file():
        given = load_params(layout.params_file).serve.state_url or None
    if given is None and not (layout.var / "state.db").is_file():
        raise StateError(f"{layout.var / 'state.db'}: no state yet. Start the service once.")
    store = Store(given or f"sqlite:///{layout.var / 'state.db'}")
    try:
        yield MerchandiseState(store)
    finally:
        store.close()
