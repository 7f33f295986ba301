"""A seeded shop for unit tests: visitors buy their own group's products in their own rhythm."""

import numpy as np

from components.recommend.history import build_log
from components.recommend.shop import ExposureCalendar, ProductColumns
from components.recommend.shop_data import ShopData

VISITORS, PRODUCTS, WEEKS, GROUPS = 40, 31, 24, 4
FIRST_DAY = 17_000


def small_shop(seed: int = 3) -> ShopData:
    """Return a shop of 40 visitors and 31 products (not square) over 24 weeks.

    Visitor v belongs to group v % 4 and buys three of the group's products every week and one at
    random every other week; product p belongs to group p % 4.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for visitor in range(VISITORS):
        group = visitor % GROUPS
        mine = [p for p in range(PRODUCTS) if p % GROUPS == group]
        usual = rng.choice(mine, size=3, replace=False)
        for week in range(1, WEEKS + 1):
            day = FIRST_DAY + 7 * week + int(rng.integers(0, 3))
            bought = set(usual.tolist()) | {int(rng.choice(mine))}
            if week % 2:
                bought.add(int(rng.integers(PRODUCTS)))
            rows += [(visitor, product, day, week) for product in sorted(bought)]
    visitor, product, day, week = np.array(rows).T
    log = build_log(
        visitor, product, day, week,
        np.ones(len(rows), np.float32),
        (rng.random(len(rows)) < 0.3).astype(np.float32),
        visitor % 3,
    )  # fmt: skip
    shares = {w: rng.random((PRODUCTS, 3)).astype(np.float32) * 0.5 for w in range(1, WEEKS + 1)}
    columns = ProductColumns(
        product_ids=tuple(f"p{n:02d}" for n in range(PRODUCTS)),
        type_of=np.arange(PRODUCTS) % 8,
        category_of=np.arange(PRODUCTS) % GROUPS,
        price=np.linspace(100, 900, PRODUCTS).astype(np.float32),
    )
    return ShopData(
        columns=columns,
        visitor_ids=tuple(f"v{n:02d}" for n in range(VISITORS)),
        places=("a", "b", "c"),
        log=log,
        shown=log.take(np.zeros(len(log), bool)),
        calendar=ExposureCalendar(shares),
    )
