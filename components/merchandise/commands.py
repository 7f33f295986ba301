"""`shelfwise merchandise`: plan a launch, export a segment, ask what goes with a product.

In: the artefacts of the checkout, without a running service. Out: a table or JSON. Nothing is kept:
what acts (rules, campaigns, starting a launch) goes through the service, which audits it.
"""

import json
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from components.contracts.artefacts import Layout
from components.contracts.errors import ArtefactError, UnknownProductError
from components.contracts.launches import LaunchRequest

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
    """Say what goes with a product, as JSON lines."""
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
    for other, lift in zip(
        bundles.complements.other[rows][:limit], bundles.complements.lift[rows], strict=False
    ):
        name = bundles.product_ids[int(other)]
        line = {"product_id": name, "lift": round(float(lift), 3)}
        if name in catalogue.products:
            line["title"] = catalogue.products[name].title
        out.print_json(json.dumps(line))
