"""A visitor's purchases in the order of products that a commercial model was made with."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from components.recommend.history import Log


def in_order(log: Log, log_ids: Sequence[str], index: Mapping[str, int]) -> Log:
    """Return a log with its products in another order; unknown ones are left out."""
    groups, where = np.unique(log.group, return_inverse=True)
    places = np.array([index.get(log_ids[int(g)], -1) for g in groups], dtype=np.int64)
    mapped = places[where] if len(groups) else log.group
    kept = mapped >= 0
    order = np.lexsort((log.day[kept], mapped[kept], log.visitor[kept]))
    return replace(log.take(kept), group=mapped[kept]).take(order)
