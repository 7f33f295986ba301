"""The head that reads from a query how likely its search ends in a purchase.

In: what visitors typed, and which of these searches a purchase followed. Out: one logistic layer on
the encoder's vector, served by numpy alone. A shop without such a log gets no head: nothing is
made up for it.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from components.contracts.errors import ArtefactError
from components.evaluate.metrics import roc_auc
from components.text.pairs import part_of_group

HEAD_NAME = "purchase_head.npz"
LEAST = 100  # searches of either outcome; with fewer, a chance would be a guess
STRENGTHS = (0.01, 0.1, 1.0, 10.0, 100.0)
log = logging.getLogger(__name__)
FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
Encode = Callable[[Sequence[str]], FloatArray]


def search_outcomes(
    queries: pl.DataFrame, events: pl.DataFrame, slates: pl.DataFrame | None = None
) -> tuple[list[str], BoolArray]:
    """Return what was typed in each search, and whether a purchase followed from it.

    A purchase follows from a search when it names the query, or a slate that answered it. A query
    that was typed again is another search.

    Args:
        queries: `query_id`, `text`.
        events: `kind`, `query_id`, `slate_id`.
        slates: `slate_id`, `query_id`.

    Returns:
        n texts and (n,) booleans, by query id; empty texts are left out.
    """
    bought = events.filter(pl.col("kind") == "purchase").select("query_id", "slate_id")
    named = [bought.select(pl.col("query_id").cast(pl.String))]
    if slates is not None:
        answered = slates.select(
            pl.col("slate_id").cast(pl.String), pl.col("query_id").cast(pl.String)
        )
        by_slate = bought.select(pl.col("slate_id").cast(pl.String)).join(answered, on="slate_id")
        named.append(by_slate.select("query_id"))
    ended = pl.concat(named).drop_nulls().unique()["query_id"]
    searches = (
        queries.select("query_id", "text")
        .filter(pl.col("text").str.strip_chars() != "")
        .unique("query_id", keep="first", maintain_order=True)
        .sort("query_id")
        .with_columns(bought=pl.col("query_id").is_in(ended.implode()))
    )
    return searches["text"].to_list(), searches["bought"].to_numpy()


def log_loss(chance: NDArray[np.floating], bought: BoolArray) -> float:
    """Return the mean negative log-likelihood in nats.

    >>> round(log_loss(np.array([0.5, 0.5]), np.array([True, False])), 4)
    0.6931
    """
    safe = np.clip(np.asarray(chance, np.float64), 1e-6, 1 - 1e-6)
    return float(-np.mean(np.where(bought, np.log(safe), np.log(1 - safe))))


@dataclass(frozen=True)
class PurchaseHead:
    """Query vector to the chance of a purchase.

    Attributes:
        weight: (D,).
        bias: log-odds of a query that says nothing.
        strength: inverse of the regularisation, chosen on the valid part.
        held_out: of the test part, unseen in fitting: `searches`, `share` that ended in a purchase,
            `auc`, `log_loss`, and `log_loss_of_share` of stating the overall share for all.
    """

    weight: NDArray[np.float64]
    bias: float
    strength: float
    held_out: dict[str, float]

    @classmethod
    def fit(cls, texts: Sequence[str], bought: BoolArray, encode: Encode) -> Self | None:
        """Fit on searches whose wording falls in train; None with too few of either outcome.

        One wording is never in two parts, so the figures say how it reads words that are new to it.
        Classes are not balanced: that would move the chances.

        Args:
            texts: what was typed in each of n searches.
            bought: (n,) whether a purchase followed.
            encode: texts to (m, D) unit rows.
        """
        part = np.array([part_of_group(text.casefold().strip()) for text in texts])
        fitted = part != "test"
        enough = min(bought.sum(), (~bought).sum()) >= LEAST
        if not enough or any(len(np.unique(bought[part == p])) < 2 for p in ("train", "valid")):
            return None
        from sklearn.linear_model import LogisticRegression

        distinct = sorted(set(texts))
        place = {text: row for row, text in enumerate(distinct)}
        rows = np.asarray(encode(distinct), np.float64)[[place[text] for text in texts]]

        def trained(strength: float, chosen: BoolArray) -> LogisticRegression:
            return LogisticRegression(C=strength, max_iter=1000).fit(rows[chosen], bought[chosen])

        tried = {
            strength: log_loss(
                trained(strength, part == "train").predict_proba(rows[part == "valid"])[:, 1],
                bought[part == "valid"],
            )
            for strength in STRENGTHS
        }
        strength = min(STRENGTHS, key=lambda s: (tried[s], s))
        model = trained(strength, fitted)
        head = cls(model.coef_[0].astype(np.float64), float(model.intercept_[0]), strength, {})
        truth = bought[~fitted]
        if len(np.unique(truth)) == 2:
            chance = head.chances(rows[~fitted])
            share = float(bought[fitted].mean())
            head.held_out.update(
                searches=float(len(truth)),
                share=float(truth.mean()),
                auc=roc_auc(truth, chance),
                log_loss=log_loss(chance, truth),
                log_loss_of_share=log_loss(np.full(len(truth), share), truth),
            )
        return head

    def chances(self, rows: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return (n,) chances in (0, 1) for (n, D) query vectors."""
        return 1.0 / (1.0 + np.exp(-(np.asarray(rows, np.float64) @ self.weight + self.bias)))

    def save(self, folder: Path) -> None:
        """Write `purchase_head.npz`."""
        names = sorted(self.held_out)
        np.savez(
            folder / HEAD_NAME,
            weight=self.weight,
            scalars=np.array([self.bias, self.strength]),
            held_out_names=np.asarray(names, dtype="U32"),
            held_out=np.array([self.held_out[name] for name in names], np.float64),
        )

    @classmethod
    def load(cls, artefacts: Path) -> Self | None:
        """Read the head from `artefacts/finetune`; None where the shop's log allowed none.

        Raises:
            ArtefactError: damaged.
        """
        path = artefacts / "finetune" / HEAD_NAME
        if not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as held:
                bias, strength = (float(value) for value in held["scalars"])
                names = [str(name) for name in held["held_out_names"]]
                figures = dict(zip(names, held["held_out"].tolist(), strict=True))
                return cls(held["weight"], bias, strength, figures)
        except (OSError, ValueError, KeyError) as error:
            raise ArtefactError(f"{path}: no readable purchase head ({error}).") from error


def fit_purchase_intent(made: Path, tables: Path, splits: Path, encode: Encode) -> dict[str, float]:
    """Fit the head on searches of the train part, where the shop's log holds them, and write it.

    Args:
        made: folder to write into.
        tables: accepted tables; `queries` and `slates` may be absent.
        splits: the split; only `train` is read.
        encode: texts to unit rows.

    Returns:
        Held-out figures, named `purchase_intent_*`; empty without a head.
    """
    path = tables / "queries.parquet"
    if not path.is_file():
        return {}
    events = pl.read_parquet(splits / "train.parquet")
    slates = tables / "slates.parquet"
    queries = pl.read_parquet(path)
    if queries["at"].null_count() < len(queries) and len(events):
        queries = queries.filter(pl.col("at").is_null() | (pl.col("at") <= events["at"].max()))
    texts, bought = search_outcomes(
        queries, events, pl.read_parquet(slates) if slates.is_file() else None
    )
    head = PurchaseHead.fit(texts, bought, encode) if texts else None
    if head is None:
        log.info(
            "purchase intent: %d searches, %d with a purchase; no head below %d of either",
            len(texts), int(bought.sum()), LEAST,
        )  # fmt: skip
        return {}
    head.save(made)
    return {f"purchase_intent_{name}": round(value, 6) for name, value in head.held_out.items()}
