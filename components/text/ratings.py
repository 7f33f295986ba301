"""Ratings before the purchase: visitor and product leanings kept up to date, with text beside them.

Nothing here ever sees a word or a star of the rating being predicted: every prediction is made from
what was known on earlier days. What a finished review says is another question, answered by
`components.text.reviews`; `RatingModel` offers both and keeps them apart.
"""

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from components.contracts.artefacts import write_json
from components.contracts.errors import ArtefactError
from components.contracts.protocols import Encoder
from components.text.reviews import ReviewReader

FloatArray = NDArray[np.float64]
log = logging.getLogger(__name__)
FOLDER = "ratings"
STATE_NAME = "leanings.json"
LEAST_RATINGS = 50
LEAST_REVIEWS = 200
_DAY = 86_400.0


@dataclass(frozen=True)
class Ratings:
    """Ratings in order of time; rows of one day are known together, on the next day.

    Attributes:
        visitors: (n,) ids.
        products: (n,) ids.
        stars: (n,) in [1, 5].
        days: (n,) whole days, not falling.
    """

    visitors: list[str]
    products: list[str]
    stars: FloatArray
    days: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.stars)

    def part(self, start: int, stop: int) -> "Ratings":
        """Return rows start to stop."""
        span = slice(start, stop)
        return Ratings(self.visitors[span], self.products[span], self.stars[span], self.days[span])

    def by_day(self) -> Iterator[tuple[int, int]]:
        """Yield the first and the one-past-last row of each day."""
        start = 0
        for row in range(1, len(self) + 1):
            if row == len(self) or self.days[row] != self.days[start]:
                yield start, row
                start = row


@dataclass(frozen=True)
class LeaningSettings:
    """How strongly leanings are held back, and how fast their recent half forgets.

    Attributes:
        visitor_hold: ratings that a visitor's leaning must outweigh.
        product_hold: ratings that a product's leaning must outweigh.
        visitor_days: decay time of the recent half of a visitor's weight; None never forgets.
    """

    visitor_hold: float = 8.0
    product_hold: float = 10.0
    visitor_days: float | None = None


@dataclass
class Leanings:
    """Running means of what is left after the mean and the other side's leaning.

    A leaning is sum / (count + hold): few ratings move it little, which is its regularisation.
    """

    settings: LeaningSettings
    mean: float
    products: dict[str, tuple[float, float]] = field(default_factory=dict)
    visitors: dict[str, tuple[float, float, float, float, int]] = field(default_factory=dict)

    def product(self, product_id: str) -> float:
        """Return the product's leaning, in stars; 0 for one never rated."""
        total, count = self.products.get(product_id, (0.0, 0.0))
        return total / (count + self.settings.product_hold)

    def visitor(self, visitor_id: str, day: int) -> float:
        """Return the visitor's leaning on a day, in stars; 0 for one who never rated."""
        held = self.visitors.get(visitor_id)
        if held is None:
            return 0.0
        total, count, recent, weight, last = held
        days = self.settings.visitor_days
        if days is not None:
            fade = float(np.exp(-max(0, day - last) / days))
            total, count = (total + recent * fade) / 2, (count + weight * fade) / 2
        return total / (count + self.settings.visitor_hold)

    def predict(self, visitor_id: str, product_id: str, day: int) -> float:
        """Return stars, not clipped."""
        return self.mean + self.product(product_id) + self.visitor(visitor_id, day)

    def learn(self, ratings: Ratings, start: int, stop: int) -> None:
        """Take in the rows of one day, each against the leanings as they stood that morning."""
        left = []
        for row in range(start, stop):
            product_id = ratings.products[row]
            left.append(
                (
                    product_id,
                    ratings.visitors[row],
                    ratings.stars[row] - self.mean,
                    self.product(product_id),
                )
            )
        day = int(ratings.days[start])
        for product_id, visitor_id, over, product in left:
            total, count = self.products.get(product_id, (0.0, 0.0))
            self.products[product_id] = (total + over, count + 1.0)
            total, count, recent, weight, last = self.visitors.get(
                visitor_id, (0.0, 0.0, 0.0, 0.0, day)
            )
            days = self.settings.visitor_days
            fade = float(np.exp(-max(0, day - last) / days)) if days is not None else 1.0
            rest = over - product
            self.visitors[visitor_id] = (
                total + rest, count + 1.0, recent * fade + rest, weight * fade + 1.0, day
            )  # fmt: skip


def replay(
    ratings: Ratings, settings: LeaningSettings, mean: float
) -> tuple[FloatArray, FloatArray, Leanings]:
    """Go through the ratings day by day: predict each from earlier days, then learn it.

    Returns:
        (n,) visitor leanings, (n,) product leanings, each as of the morning of its day; and the
        state after the last day.
    """
    state = Leanings(settings, mean)
    visitor, product = np.zeros(len(ratings)), np.zeros(len(ratings))
    for start, stop in ratings.by_day():
        day = int(ratings.days[start])
        for row in range(start, stop):
            visitor[row] = state.visitor(ratings.visitors[row], day)
            product[row] = state.product(ratings.products[row])
        state.learn(ratings, start, stop)
    return visitor, product, state


def frozen_biases(
    train: Ratings, test: Ratings, *, visitor_hold: float, product_hold: float, rounds: int = 10
) -> FloatArray:
    """The `biases` baseline: mean + visitor + product, fitted once on train, never updated."""
    mean = float(train.stars.mean())
    visitors = {name: i for i, name in enumerate(dict.fromkeys(train.visitors))}
    products = {name: i for i, name in enumerate(dict.fromkeys(train.products))}
    u = np.array([visitors[name] for name in train.visitors])
    p = np.array([products[name] for name in train.products])
    of_visitor, of_product = np.zeros(len(visitors)), np.zeros(len(products))
    for _ in range(rounds):
        rest = train.stars - mean - of_visitor[u]
        of_product = np.bincount(p, rest) / (np.bincount(p) + product_hold)
        rest = train.stars - mean - of_product[p]
        of_visitor = np.bincount(u, rest) / (np.bincount(u) + visitor_hold)
    return np.array(
        [
            mean
            + (of_visitor[visitors[v]] if v in visitors else 0.0)
            + (of_product[products[q]] if q in products else 0.0)
            for v, q in zip(test.visitors, test.products, strict=True)
        ]
    )


def matrix_factorisation(
    train: Ratings,
    test: Ratings,
    *,
    rank: int,
    regularisation: float,
    visitor_hold: float,
    product_hold: float,
    seed: int,
    rounds: int = 12,
) -> FloatArray:
    """The `matrix_factorisation` baseline: biases plus visitor x product factors, by ALS."""
    base_train = frozen_biases(train, train, visitor_hold=visitor_hold, product_hold=product_hold)
    base_test = frozen_biases(train, test, visitor_hold=visitor_hold, product_hold=product_hold)
    visitors = {name: i for i, name in enumerate(dict.fromkeys(train.visitors))}
    products = {name: i for i, name in enumerate(dict.fromkeys(train.products))}
    u = np.array([visitors[name] for name in train.visitors])
    p = np.array([products[name] for name in train.products])
    rest = train.stars - base_train
    generator = np.random.default_rng(seed)
    of_visitor = generator.normal(scale=0.1, size=(len(visitors), rank))
    of_product = generator.normal(scale=0.1, size=(len(products), rank))
    rows_of_visitor = _rows_by(u, len(visitors))
    rows_of_product = _rows_by(p, len(products))
    hold = regularisation * np.eye(rank)
    for _ in range(rounds):
        for mine, rows, theirs, other in (
            (of_visitor, rows_of_visitor, of_product, p),
            (of_product, rows_of_product, of_visitor, u),
        ):
            for place, held in enumerate(rows):
                block = theirs[other[held]]
                mine[place] = np.linalg.solve(block.T @ block + hold, block.T @ rest[held])
    added = [
        float(of_visitor[visitors[v]] @ of_product[products[q]])
        if v in visitors and q in products
        else 0.0
        for v, q in zip(test.visitors, test.products, strict=True)
    ]
    return base_test + np.asarray(added)


def _rows_by(places: NDArray[np.int64], n: int) -> list[NDArray[np.int64]]:
    order = np.argsort(places, kind="stable")
    return np.split(order, np.cumsum(np.bincount(places, minlength=n))[:-1])


def text_features(
    ratings: Ratings,
    vectors: FloatArray,
    told: FloatArray,
    *,
    overall: float,
    hold: float = 5.0,
) -> FloatArray:
    """What earlier reviews said, as of each day: about this product, and by this visitor.

    Args:
        ratings: in order of time.
        vectors: (n, D) text vectors of the reviews, used only after their own day.
        told: (n,) stars that a text model reads out of each review, likewise.
        overall: mean of `told` over rows that may be learnt from.
        hold: reviews that a mean must outweigh.

    Returns:
        (n, 2 D + 3): mean vector of the product's earlier reviews, of the visitor's, their inner
        product, and how far both means of `told` lie above `overall`.
    """
    width = vectors.shape[1]
    out = np.zeros((len(ratings), 2 * width + 3))
    sums: dict[tuple[str, str], tuple[FloatArray, float, float]] = {}
    empty = (np.zeros(width), 0.0, 0.0)
    for start, stop in ratings.by_day():
        for row in range(start, stop):
            sides = []
            for key in (("p", ratings.products[row]), ("v", ratings.visitors[row])):
                total, stars, count = sums.get(key, empty)
                sides.append((total / (count + hold), stars / (count + hold)))
            out[row] = np.concatenate(
                [sides[0][0], sides[1][0], [sides[0][0] @ sides[1][0], sides[0][1], sides[1][1]]]
            )
        for row in range(start, stop):
            for key in (("p", ratings.products[row]), ("v", ratings.visitors[row])):
                total, stars, count = sums.get(key, empty)
                sums[key] = (total + vectors[row], stars + told[row] - overall, count + 1.0)
    return out


def settings_grid() -> list[LeaningSettings]:
    """Return the settings that validation chooses from."""
    return [
        LeaningSettings(visitor, product, days)
        for visitor in (4.0, 8.0, 14.0)
        for product in (5.0, 10.0, 20.0)
        for days in (None, 180.0)
    ]


def choose_settings(train: Ratings, share: float = 0.2) -> LeaningSettings:
    """Choose by the squared error on the last share of the train ratings, as of each day."""
    cut = max(1, int(len(train) * (1.0 - share)))
    mean = float(train.stars[:cut].mean())
    best, chosen = float("inf"), LeaningSettings()
    for settings in settings_grid():
        visitor, product, _ = replay(train, settings, mean)
        error = float(np.mean((mean + visitor + product - train.stars)[cut:] ** 2))
        if error < best - 1e-9:
            best, chosen = error, settings
    return chosen


class RatingModel:
    """The served rating model: before the purchase, and from a finished review's words."""

    def __init__(self, state: Leanings, last_day: int, reader: ReviewReader | None = None) -> None:
        """Keep the leanings after the last known day, and the review reader if there is one."""
        self.state = state
        self.last_day = last_day
        self.reader = reader

    @classmethod
    def fit(
        cls,
        ratings: Ratings,
        *,
        reviews: Sequence[tuple[str, float]] = (),
        encoder: Encoder | None = None,
        seed: int = 7,
    ) -> Self:
        """Choose the settings on the last fifth, then learn from everything.

        Args:
            ratings: in order of time, at least one.
            reviews: (text, stars) to read stars from; fewer than `LEAST_REVIEWS` are not enough.
            encoder: text vectors for the reader.
            seed: of the reader's stack.
        """
        settings = choose_settings(ratings)
        _, _, state = replay(ratings, settings, float(ratings.stars.mean()))
        reader = None
        if len(reviews) >= LEAST_REVIEWS:
            reader = ReviewReader().fit(
                [text for text, _ in reviews],
                np.array([stars for _, stars in reviews]),
                encoder=encoder,
                seed=seed,
            )
        return cls(state, int(ratings.days[-1]), reader)

    def predict(self, visitor_id: str | None, product_id: str) -> float:
        """Return the stars this visitor would likely give, in [1, 5].

        An unknown visitor or product has no leaning of its own: the mean stands in.
        """
        stars = self.state.predict(visitor_id or "", product_id, self.last_day + 1)
        return float(np.clip(stars, 1.0, 5.0))

    def explain(self, visitor_id: str | None, product_id: str) -> dict[str, float]:
        """Return the parts of a prediction, in stars: mean, product and visitor leaning, counts."""
        held = self.state.visitors.get(visitor_id or "")
        return {
            "mean": self.state.mean,
            "product": self.state.product(product_id),
            "visitor": self.state.visitor(visitor_id or "", self.last_day + 1),
            "product_ratings": self.state.products.get(product_id, (0.0, 0.0))[1],
            "visitor_ratings": held[1] if held else 0.0,
        }

    def predict_text(self, text: str) -> float | None:
        """Return the stars a finished review's words amount to, or None without a reader."""
        if self.reader is None:
            return None
        return float(self.reader.predict([text])[0])

    def save(self, folder: Path) -> None:
        """Write `leanings.json`, and the reader's files if there is one."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(
            folder / STATE_NAME,
            {
                "settings": asdict(self.state.settings),
                "mean": self.state.mean,
                "last_day": self.last_day,
                "products": self.state.products,
                "visitors": self.state.visitors,
            },
        )
        if self.reader is not None:
            self.reader.save(folder)

    @classmethod
    def load(cls, artefacts: Path) -> Self | None:
        """Read `artefacts/finetune/ratings`; None where the shop has no ratings.

        Raises:
            ArtefactError: the files are there but damaged.
        """
        folder = artefacts / "finetune" / FOLDER
        path = folder / STATE_NAME
        if not path.is_file():
            return None
        try:
            held = json.loads(path.read_text(encoding="utf-8"))
            state = Leanings(
                LeaningSettings(**held["settings"]),
                float(held["mean"]),
                {name: (float(v[0]), float(v[1])) for name, v in held["products"].items()},
                {name: _visitor_state(v) for name, v in held["visitors"].items()},
            )
            last_day = int(held["last_day"])
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise ArtefactError(f"{path}: no readable rating model ({error}).") from error
        reader = None
        if (folder / "review_model.npz").is_file():
            from components.text.encoder import OnnxEncoder

            model = artefacts / "finetune" / "encoder.onnx"
            encoder = OnnxEncoder(model.parent) if model.is_file() else None
            reader = ReviewReader.load(folder, encoder=encoder)
        return cls(state, last_day, reader)


def _visitor_state(values: Sequence[float]) -> tuple[float, float, float, float, int]:
    total, count, recent, weight, last = values
    return float(total), float(count), float(recent), float(weight), int(last)


def days_of(times: pl.Series) -> NDArray[np.int64]:
    """Return whole days since 1970 of UTC times."""
    return (times.dt.epoch("s") // int(_DAY)).to_numpy().astype(np.int64)


def ratings_from(events: pl.DataFrame) -> Ratings:
    """Collect rating events in order of time; where one pair rated twice in a day, both count."""
    rated = events.filter(pl.col("rating").is_not_null()).sort("at", "event_id")
    return Ratings(
        rated["visitor_id"].to_list(),
        rated["product_id"].to_list(),
        rated["rating"].to_numpy().astype(float),
        days_of(rated["at"]),
    )


def fit_and_save(
    folder: Path, tables: Path, splits: Path, *, encoder: Encoder | None = None, seed: int
) -> dict[str, float]:
    """Fit the shop's rating model where it has ratings, and write it below `folder`.

    Learns from the train and valid parts; the error on the test part, as of each day, is returned.

    Returns:
        `rating_rmse` and `rating_rmse_of_mean` on the test part; empty without enough ratings.
    """
    from components.data.parquet import read_frame, read_table

    parts = [
        ratings_from(read_frame(splits / f"{name}.parquet")) for name in ("train", "valid", "test")
    ]
    known = _joined(parts[:2])
    if len(known) < LEAST_RATINGS:
        return {}
    reviews = read_table("reviews", tables).filter(
        pl.col("rating").is_not_null() & (pl.col("text").str.strip_chars() != "")
    )
    reviews = reviews.filter(
        pl.col("at").is_null() | (pl.col("at").dt.epoch("s") // int(_DAY) <= int(known.days[-1]))
    )
    texts = list(zip(reviews["text"].to_list(), reviews["rating"].to_list(), strict=True))
    model = RatingModel.fit(known, reviews=texts, encoder=encoder, seed=seed)
    model.save(folder / FOLDER)
    everything = _joined(parts)
    visitor, product, _ = replay(everything, model.state.settings, model.state.mean)
    test = slice(len(known), None)
    if not len(everything.stars[test]):
        return {}
    found = np.clip(model.state.mean + visitor + product, 1.0, 5.0)[test]
    stars = everything.stars[test]
    log.info("finetune: rating model on %d ratings, %d reviews", len(known), len(texts))
    return {
        "rating_rmse": round(float(np.sqrt(np.mean((found - stars) ** 2))), 6),
        "rating_rmse_of_mean": round(float(np.sqrt(np.mean((model.state.mean - stars) ** 2))), 6),
    }


def _joined(parts: Sequence[Ratings]) -> Ratings:
    return Ratings(
        [name for part in parts for name in part.visitors],
        [name for part in parts for name in part.products],
        np.concatenate([part.stars for part in parts]),
        np.concatenate([part.days for part in parts]),
    )
