"""Thirty calm weeks of a small shop, as canonical tables."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from components.contracts.params import MonitorParams
from components.monitor.watch import Tables, judge_year

WEEKS, VISITORS, PRODUCTS = 30, 160, 120


@pytest.fixture(scope="session")
def tables() -> Tables:
    rng = np.random.default_rng(5)
    words = ["milk", "bread", "cheese", "soup", "juice", "rice", "candy", "coffee", "tea", "paper"]
    products = pl.DataFrame(
        {
            "product_id": [f"p{i}" for i in range(PRODUCTS)],
            "title": [f"{words[i % 10]} {words[i // 12]} no {i}" for i in range(PRODUCTS)],
            "category": [f"Shop > Category {i % 8}" for i in range(PRODUCTS)],
            "price_minor": [100 + 7 * i for i in range(PRODUCTS)],
        }
    )
    visitors = pl.DataFrame(
        {
            "visitor_id": [f"v{i}" for i in range(VISITORS)],
            "attributes": [json.dumps({"age": ["young", "old"][i % 2]}) for i in range(VISITORS)],
        }
    )
    popularity = 1 / (1 + np.arange(PRODUCTS)) ** 0.6
    chance = popularity / popularity.sum()
    own = [rng.choice(PRODUCTS, 12, replace=False, p=chance) for _ in range(VISITORS)]
    start = datetime(2023, 7, 10, 12, tzinfo=UTC)  # weeks of the calendar are few until Christmas
    rows = []
    for week in range(1, WEEKS + 1):
        for visitor in range(VISITORS):
            for trip in range(2):
                day = int(rng.integers(7))
                hour = int(np.clip(rng.normal(5, 2.5), -3, 10))
                at = start + timedelta(weeks=week - 1, days=day, hours=hour)
                chosen = {*rng.choice(own[visitor], 4), *rng.choice(PRODUCTS, 2, p=chance)}
                for product in sorted(chosen):
                    rows.append(
                        {
                            "event_id": f"{week}-{visitor}-{trip}-{product}",
                            "at": at,
                            "week": week,
                            "visitor_id": f"v{visitor}",
                            "kind": "purchase",
                            "product_id": f"p{product}",
                            "variant_id": f"p{product}",
                            "quantity": int(rng.choice([1, 1, 1, 1, 2, 3])),
                            "price_minor": int((100 + 7 * product) * rng.normal(1, 0.03)),
                            "currency": "USD",
                            "order_id": f"{week}-{visitor}-{trip}",
                            "discount_minor": int(rng.choice([0, 0, 30])),
                            "place": f"s{visitor % 6}",
                        }
                    )
    events = pl.DataFrame(rows)
    weeks = {int(k[0]): part for k, part in events.partition_by("week", as_dict=True).items()}
    return Tables(weeks, products, visitors, "UTC", served_is_simulated=True)


@pytest.fixture(scope="session")
def year(tables):
    return judge_year(tables, MonitorParams())
