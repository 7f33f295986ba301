"""Small commercial artefacts beside the small release: segments, bundles, a launch planner."""

import json

import numpy as np

from components.contracts.artefacts import Layout, writing_artefact
from components.data.catalogue import Catalogue
from components.merchandise.bundles import Bundles, Pairs
from components.recommend.content import hashed_vectors
from components.recommend.segments import SegmentModel

WEEKS = 30


def write_commerce(layout: Layout) -> None:
    """Write `segments`, `bundles` and `train_launch` for the products of `write_release`."""
    ids = tuple(f"p{n:02d}" for n in range(40))
    bounds = np.zeros(41, dtype=np.int64)
    bounds[1:] = 2  # only the first product has companions
    goes = Pairs(bounds, np.array([4, 6]), np.array([3.0, 2.0], np.float32), np.array([9, 8]))
    none = Pairs(np.zeros(41, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32),
                 np.zeros(0, np.int64))  # fmt: skip
    with writing_artefact(
        layout.artefact("bundles"), kind="bundles", stage="bundles", seed=1, params={}
    ) as folder:
        Bundles(ids, goes, none).save(folder)
    profile = {
        "visitors": 2,
        "share": 0.5,
        "people": [],
        "offers": [],
        "categories": [],
        "trips_a_week": 1.5,
        "price_sensitivity": 0.4,
    }
    model = SegmentModel(
        number_of={"ann": 0, "bob": 1},
        profiles=({"number": 0, "name": "Dairy", **profile},
                  {"number": 1, "name": "Tea and coffee", **profile}),
        factors=np.eye(8, 2, dtype=np.float32),
        centres=np.eye(2, dtype=np.float32),
        type_of={p: n % 8 for n, p in enumerate(ids)},
        popular=((("p08", 0.4), ("p16", 0.2)), (("p05", 0.5), ("p04", 0.3))),
    )  # fmt: skip
    with writing_artefact(
        layout.artefact("segments"), kind="segments", stage="segments", seed=1, params={}
    ) as folder:
        model.save(folder)
    write_planner(layout, ids)


def write_planner(layout: Layout, ids: tuple[str, ...]) -> None:
    """Write a planner that knows weekly sales of 36 products; the last four were never sold."""
    catalogue = Catalogue.load(layout.artefacts)
    products = [catalogue.get(p) for p in ids]
    kinds = [f"{' > '.join(p.category)} > {p.type}" for p in products]
    leaves = [" > ".join(p.category) for p in products]
    types = {k: n for n, k in enumerate(dict.fromkeys(kinds))}
    categories = {k: n for n, k in enumerate(dict.fromkeys(leaves))}
    brands = {k: n for n, k in enumerate(dict.fromkeys(p.brand or "" for p in products))}
    rows = [(n, w, 1.0 + n % 3) for n in range(36) for w in range(n % 20, WEEKS)]
    place = np.array([(n, w) for n, w, _ in rows], dtype=np.int32)
    with writing_artefact(
        layout.artefact("train_launch"), kind="launch", stage="train_launch", seed=1, params={}
    ) as folder:
        np.savez(
            folder / "sales.npz",
            place=place,
            lines=np.array([x for *_, x in rows], dtype=np.float32),
            weeks=np.array([1, WEEKS]),
            vectors=hashed_vectors(products).astype(np.float16),
            type_of=np.array([types[k] for k in kinds], dtype=np.int32),
            category_of=np.array([categories[k] for k in leaves], dtype=np.int32),
            brand_of=np.array([brands[p.brand or ""] for p in products], dtype=np.int32),
            price=np.array([p.price_minor for p in products], dtype=np.float32),
        )
        (folder / "launch.json").write_text(
            json.dumps(
                {
                    "product_ids": ids,
                    "launch_weeks": 13,
                    "shift": None,
                    "trips_a_week": 1.0,
                    "types": types,
                    "categories": categories,
                    "brands": brands,
                }
            )
        )
