"""What shoppers say about products: the reviews a release may show, and which of them for whom.

In: `catalogue/reviews.parquet` of a release, which holds reviews of visitors who consented and
nothing else. Out: reviews by product, and a feed. Stars do not order a feed, so that a bad review
is as likely to be seen as a good one; nobody reads his own, and no author is named.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Self

from components.contracts.records import Review
from components.data.parquet import read_frame

HELPFUL = 0.3  # worth of the most helpful review beside a liking in [0, 1]
NEAR = 0.5  # worth of having been written by one's people
CANDIDATES = 1000  # products looked at for one feed, those spoken of last


class Community:
    """The reviews of one release; read-only."""

    def __init__(self, reviews: Iterable[Review] = ()) -> None:
        """Index reviews by product."""
        by_product: dict[str, list[Review]] = defaultdict(list)
        for review in reviews:
            by_product[review.product_id].append(review)
        self._by_product = {p: tuple(r) for p, r in by_product.items()}
        self._most = max((r.helpful_votes for own in by_product.values() for r in own), default=0)
        self._newest = tuple(
            sorted(self._by_product, key=lambda p: (-_latest(self._by_product[p]), p))
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a release's reviews; none where it holds none.

        Raises:
            TableError: damaged.
        """
        path = folder / "catalogue" / "reviews.parquet"
        if not path.exists():
            return cls()
        return cls(
            Review(
                review_id=row["review_id"], product_id=row["product_id"],
                visitor_id=row["visitor_id"], text=row["text"], at=row["at"],
                rating=row["rating"] if row["rating"] and 1 <= row["rating"] <= 5 else None,
                helpful_votes=max(0, row["helpful_votes"]),
            )
            for row in read_frame(path).iter_rows(named=True)
        )  # fmt: skip

    def __len__(self) -> int:
        """Return how many reviews there are."""
        return sum(len(own) for own in self._by_product.values())

    def of(self, product_id: str) -> tuple[Review, ...]:
        """Return a product's reviews."""
        return self._by_product.get(product_id, ())

    def product_ids(self) -> tuple[str, ...]:
        """Return the products that a feed chooses from, the one spoken of last first."""
        return self._newest[:CANDIDATES]

    def feed(
        self,
        liking: Mapping[str, float],
        *,
        visitor_id: str | None,
        near: Collection[str] = (),
        may_show: Callable[[Review], bool] = lambda review: True,
    ) -> Iterator[Review]:
        """Yield reviews for one visitor, best first, one of each product.

        Args:
            liking: of the products that may appear, in [0, 1].
            visitor_id: who reads; his own reviews are left out.
            near: authors who are his people.
            may_show: whether a review may appear; asked only for those that would.
        """
        top = math.log1p(max(1, self._most))

        def worth(review: Review) -> float:
            return (
                liking[review.product_id]
                + HELPFUL * math.log1p(review.helpful_votes) / top
                + NEAR * (review.visitor_id in near)
            )

        found = [r for p in liking for r in self.of(p) if r.visitor_id != visitor_id]
        told: set[str] = set()
        for review in sorted(found, key=lambda r: (-worth(r), r.review_id)):
            if review.product_id not in told and may_show(review):
                told.add(review.product_id)
                yield review


def _latest(reviews: Collection[Review]) -> float:
    return max((r.at.timestamp() for r in reviews if r.at is not None), default=0.0)
