"""Are the reasons true? Leave out what a reason cites, then as many random events, and rank again.

Reads a release's folder (`artefacts` by default). For sampled visitors and sampled places of their
first ten it takes the explanation's citation and the card's short reason, removes the events they
name and asks whether the product leaves the first ten or drops at least five ranks; then the same
with as many random events that were not cited.

    python benchmarks/reasons_truth.py --out reports/reasons_truth.json
"""

import argparse
import json
from datetime import datetime
from pathlib import Path

import numpy as np

from components.data.catalogue import Catalogue
from components.evaluate.report import metric_row, write_report
from components.recommend.engine import RecommendEngine, read_session
from components.recommend.reasons import cite, evidence_ids, falls, rank_of, retripped

HEAD = 10


def row_ids(engine: RecommendEngine, scores) -> list[str]:
    """Return the event id of each row of a visitor's log."""
    return [evidence_ids(engine, scores, np.array([row]))[0] for row in range(len(scores.log))]


def measure(
    engine: RecommendEngine, now: datetime, n_visitors: int, per_visitor: int, seed: int
) -> dict[str, list[float]]:
    """Return per sampled card: whether it was cited, and whether removals made it fall."""
    rng = np.random.default_rng(seed)
    assert engine.history_store is not None
    known = [v for v in engine.history_store.visitor_ids if len(engine.history_store.rows(v)) >= 30]
    out: dict[str, list[float]] = {name: [] for name in (
        "cited", "explanation_falls", "random_falls", "card_falls", "card_random_falls",
        "events_cited",
    )}  # fmt: skip
    session = read_session([], now)
    allowed = engine.snapshot.available & (engine.snapshot.table_rows >= 0)
    for visitor in rng.choice(known, size=min(n_visitors, len(known)), replace=False):
        visitor = str(visitor)
        slate = engine.recommend(visitor, [], now=now, limit=HEAD)
        full = engine.scores(visitor, session, now)
        assert full.log is not None
        ids = np.array(row_ids(engine, full))

        def rank_without(rows, item, full=full, visitor=visitor) -> int:
            kept = full.log.take(np.setdiff1d(np.arange(len(full.log)), rows))
            scores = engine.scores_of(retripped(kept), session, now, visitor_id=visitor)
            return rank_of(scores.log_odds, item, allowed)

        def random_like(rows, full=full):
            others = np.setdiff1d(np.arange(len(full.log)), rows)
            return rng.choice(others, size=min(len(rows), len(others)), replace=False)

        places = rng.choice(len(slate.products), size=per_visitor, replace=False)
        for place in places:
            card = slate.products[place]
            item = engine.snapshot.index[card.product_id]
            rank = rank_of(full.log_odds, item, allowed)
            found = cite(engine, visitor, card.product_id, [], now=now)
            out["cited"].append(float(found is not None))
            if found is not None:
                out["events_cited"].append(float(len(found.rows)))
                without = rank_without(found.rows, item)
                out["explanation_falls"].append(float(falls(rank, without)))
                without = rank_without(random_like(found.rows), item)
                out["random_falls"].append(float(falls(rank, without)))
            evidence = card.reasons[0].evidence if card.reasons else ()
            rows = np.flatnonzero(np.isin(ids, evidence))
            if len(rows):
                out["card_falls"].append(float(falls(rank, rank_without(rows, item))))
                without = rank_without(random_like(rows), item)
                out["card_random_falls"].append(float(falls(rank, without)))
    return out


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--artefacts", type=Path, default=Path("artefacts"))
    parser.add_argument("--out", type=Path, default=Path("reports/reasons_truth.json"))
    parser.add_argument("--visitors", type=int, default=40)
    parser.add_argument("--cards", type=int, default=3, help="places looked at per visitor")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    catalogue = Catalogue.load(options.artefacts)
    engine = RecommendEngine.load(options.artefacts, catalogue=catalogue)
    now = datetime.fromisoformat(
        json.loads((options.artefacts / "catalogue" / "clock.json").read_text())["data_end"]
    )
    found = measure(engine, now, options.visitors, options.cards, options.seed)
    rows = [
        metric_row({"share": values} if name != "events_cited" else {"events": values},
                   bootstrap=1000, seed=options.seed, model=name)
        for name, values in found.items() if values
    ]  # fmt: skip
    write_report(
        options.out, protocol="reasons: truth by leaving events out", dataset="release",
        split="none", cut_off=now.date().isoformat(), n=options.visitors, seed=options.seed,
        rows=rows,
    )  # fmt: skip
    for row in rows:
        print({key: value for key, value in row.items() if value is not None})


if __name__ == "__main__":
    main()
