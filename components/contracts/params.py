"""`params.yaml`, typed: one section per stage, plus `serve`, `monitor` and `promote`.

An unknown key, a wrong type or a value out of range is an error that names it.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from components.contracts.errors import ParamsError

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]
Precision = Annotated[
    Literal["auto", "float32", "bfloat16"],
    Field(description="of matrix products in training; auto: bfloat16 where the processor has it"),
]


class Section(BaseModel):
    """Base of all sections: an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class CsvSource(Section):
    """Bring your own data: a file of interactions and a mapping from its columns to ours."""

    path: str | None = None
    products_path: str | None = None
    columns: dict[str, str] = Field(
        default_factory=dict, description="ours: theirs, for instance {visitor_id: user_id}"
    )
    delimiter: str | None = None
    encoding: str | None = None
    kind: Literal["click", "basket_add", "purchase", "rating"] | None = None
    currency: str = "USD"


class AmazonSource(Section):
    """The public review format, or the `user item item ...` sequence files of the literature."""

    reviews_path: str | None = None
    metadata_path: str | None = None
    sequences_path: str | None = None
    kind: Literal["purchase", "rating"] = "rating"


class SyntheticSource(Section):
    """A seeded shop whose truth is known."""

    visitors: Positive = 300
    products: Positive = 240
    weeks: Positive = 26


class ServingLogSource(Section):
    """The service's own database as a source, added to `base`."""

    url: str | None = None
    base: Literal["journey", "synthetic", "csv", "amazon", "none"] = "none"


class IngestParams(Section):
    """Which source, and how it becomes canonical tables."""

    source: Literal["journey", "amazon", "csv", "synthetic", "serving_log"] = "journey"
    seed: int = 7
    timezone: str = "America/New_York"
    csv: CsvSource = CsvSource()
    amazon: AmazonSource = AmazonSource()
    synthetic: SyntheticSource = SyntheticSource()
    serving_log: ServingLogSource = ServingLogSource()


class ValidateParams(Section):
    """What blocks, and how much may be quarantined."""

    max_quarantined_share: Share = 0.05
    max_volume_change: Annotated[float, Field(gt=0)] = 0.5


class MutateParams(Section):
    """The trial of validation: faults injected one by one into a sample of the accepted tables."""

    seed: int = 7
    every_visitor: Annotated[
        int, Field(ge=1, description="keep every so many-th visitor, and all products")
    ] = 20
    strengths: Annotated[
        int | None, Field(ge=1, description="tried per fault, the strongest ones; null: all")
    ] = None


class CatalogueParams(Section):
    """How the product table is finished."""

    min_category_products: Positive = 1


class SessionsParams(Section):
    """How a visitor's stream is cut."""

    gap_minutes: Positive = 30


class ClickthroughsParams(Section):
    """How slates are joined with what followed."""

    attribution_hours: Positive = 24


class SplitParams(Section):
    """One global cut-off by shop week; null takes the given share of weeks from the end."""

    valid_from_week: int | None = 45
    test_from_week: int | None = 49
    valid_share: Share = 0.1
    test_share: Share = 0.1
    min_purchases: Positive = 20
    min_basket: Positive = 3


class PretrainParams(Section):
    """Continued masked-language modelling on the shop's own text."""

    init: Literal["packaged", "scratch", "path"] = "packaged"
    path: str | None = None
    seed: int = 7
    steps: Annotated[
        int,
        Field(ge=0, description="fixed, so that runs agree; about 0.6 s each on two cores"),
    ] = 60
    head_steps: Annotated[
        int, Field(ge=0, description="first steps that train the new token head alone")
    ] = 20
    batch_size: Positive = 64
    learning_rate: float = 5e-5
    mask_share: Share = 0.15
    max_tokens: Positive = 32
    warmup_share: Share = 0.1
    weight_decay: float = 0.01
    frozen_layers: Annotated[int, Field(ge=0, description="lowest blocks kept as they were")] = 0
    precision: Precision = "auto"
    width: Positive = 128
    layers: Positive = 2
    heads: Positive = 4
    vocabulary: Positive = 8000


class FinetuneParams(Section):
    """Contrastive fine-tuning on query-product and product-product pairs."""

    seed: int = 7
    steps: Annotated[
        int, Field(ge=0, description="fixed, so that runs agree; about 0.8 s each on two cores")
    ] = 140
    before_week: Annotated[
        int | None,
        Field(description="learn from weeks before this one; keeps later launches unseen"),
    ] = 27
    batch_size: Positive = 64
    query_share: Annotated[
        float, Field(ge=0, le=1, description="of a batch; the rest are product-product pairs")
    ] = 0.5
    learning_rate: float = 3e-5
    temperature: float = 0.05
    hard_negatives: Annotated[int, Field(ge=0, description="mined, for each query of a batch")] = 1
    warmup_share: Share = 0.1
    weight_decay: float = 0.01
    dropout: Share = 0.1
    frozen_layers: Annotated[int, Field(ge=0, description="lowest blocks kept as they were")] = 3
    precision: Precision = "auto"
    category_weight: Annotated[
        float, Field(ge=0, description="of the category head's loss beside the contrastive one")
    ] = 0.1
    patience: Annotated[
        int, Field(ge=1, description="checks of the validation loss without a gain")
    ] = 3
    check_every: Positive = 20
    int8: Annotated[
        bool, Field(description="try an int8 encoder; served if validation does not lose")
    ] = False


class IndexParams(Section):
    """Lexical and vector index."""

    vectors: Literal["flat", "hnsw", "ivf"] = "flat"
    title_weight: float = 3.0
    brand_weight: float = 1.0
    category_weight: float = 1.5
    description_weight: float = 0.5
    min_visitors: Positive = 5  # a query that fewer visitors typed is never suggested
    quantise: bool = False


class TrainSasrecParams(Section):
    """The sequential Transformer; what each key means: `SASRecConfig` and `TrainOptions`."""

    seed: int = 7
    width: Positive = 64
    layers: Positive = 2
    heads: Positive = 4
    dropout: Share = 0.2
    id_dropout: Share = 0.1
    text_dropout: Share = 0.0
    mask: Share = 0.0
    text_width: Positive = 64
    time_gaps: Annotated[int, Field(ge=0)] = 12
    frequency: bool = False
    max_events: Positive = 200
    batch_size: Positive = 64
    max_tokens: Positive = 512
    learning_rate: float = 2e-3
    weight_decay: float = 0.0
    smoothing: Share = 0.0
    crop: Share = 0.0
    epochs: Positive = 4
    seconds: Annotated[float, Field(gt=0)] = 600.0
    patience: Positive = 2
    loss: Literal["full_softmax", "sampled_softmax", "gbce"] = "full_softmax"
    negatives: Positive = 256
    text_fusion: bool = True
    validation_visitors: Positive = 600
    threads: Positive = 2


class TrainRankerParams(Section):
    """Candidate quotas and the boosted-tree ranker."""

    seed: int = 7
    trees: Positive = 150
    leaves: Positive = 31
    learning_rate: float = 0.11
    new_learning_rate: Annotated[
        float, Field(gt=0, description="of the trees for products never bought; they have less")
    ] = 0.07
    windows: Positive = 14
    window_weeks: Positive = 4
    stride_weeks: Positive = 2
    half_life_weeks: float = 13.0
    neighbours: Positive = 100
    svd_dimensions: Positive = 64


class TrainClassifierParams(Section):
    """The assistant's intent classifier."""

    seed: int = 7
    seconds: Annotated[float, Field(ge=0)] = 30.0
    utterances: Positive = 4000


class TrainPromotionsParams(Section):
    """P(redeem) of offers, and protocol P5."""

    seed: int = 7
    valid_from_week: int = 33
    test_from_week: int = 45
    trees: Positive = 250
    learning_rate: Annotated[float, Field(gt=0)] = 0.04
    negatives_every: Annotated[
        int, Field(ge=1, description="of pairs without a redemption, one in so many is learnt from")
    ] = 4
    habit_every: Annotated[int, Field(ge=1, description="visitors without an offer, likewise")] = 8
    budget_share: Annotated[
        float, Field(gt=0, le=1, description="of all pairs received, judged best first")
    ] = 0.01
    bootstrap: Positive = 600
    min_redemptions: Annotated[
        int, Field(ge=1, description="in train and in valid each; fewer: nothing is learnt")
    ] = 30


class EvaluateParams(Section):
    """Protocols run by the pipeline."""

    seed: int = 7
    bootstrap: Positive = 1000
    k: Positive = 10
    cold_from_week: int = 27
    cold_to_week: int = 39


class SegmentsParams(Section):
    """Groups of visitors who buy alike."""

    seed: int = 7
    segments: Annotated[int, Field(ge=2, le=40)] = 8
    dimensions: Annotated[int, Field(ge=2, description="of the learned visitor vectors")] = 16
    min_trips: Annotated[
        int, Field(ge=0, description="visitors with fewer are placed, and do not shape the groups")
    ] = 10
    months: Annotated[
        int, Field(ge=0, description="earlier cut-offs, four weeks apart, that it is retrained on")
    ] = 3


class SocialParams(Section):
    """Influence over relations, and its trial on the synthetic shop."""

    seed: int = 7
    min_people: Annotated[
        int, Field(ge=2, description="consenting relations below which none is used")
    ] = 3
    shops: Annotated[
        int, Field(ge=1, description="synthetic shops of the trial, each with its own seed")
    ] = 3
    visitors: Positive = 250
    products: Positive = 240
    weeks: Positive = 14
    bootstrap: Positive = 1000


class BundlesParams(Section):
    """Complements and substitutes."""

    min_lines: Annotated[float, Field(ge=1)] = 20.0
    keep: Positive = 20


class TrainLaunchParams(Section):
    """The launch planner's models."""

    seed: int = 7
    trees: Annotated[int, Field(ge=1, description="per quantile of the demand")] = 120
    households: Annotated[int, Field(ge=1, description="that the audience learns from")] = 800
    min_launches: Annotated[int, Field(ge=1, description="below which no range is stated")] = 100


class SponsoredParams(Section):
    """The trial of sponsored places on the synthetic shop, whose clicks follow a known truth."""

    seed: int = 7
    visitors: Positive = 200
    products: Positive = 720
    weeks: Positive = 4
    pages: Annotated[int, Field(ge=100, description="searches answered at each setting")] = 2500


class ServeParams(Section):
    """The service."""

    clock: Literal["data", "wall"] = "data"
    state_url: str | None = None
    max_limit: Positive = 100
    exploration: Annotated[
        Share,
        Field(description="chance that a place of a slate's last third goes to a new product"),
    ] = 0.0
    diversity: Annotated[
        float, Field(ge=0, lt=1, description="weight of unlikeness within a slate (MMR)")
    ] = 0.0
    margin: Annotated[
        float,
        Field(ge=0, le=1, description="weight of what a sale brings"),
    ] = 0.0
    discovery: Annotated[
        float, Field(ge=0, description="log-odds added to products the visitor never bought")
    ] = 0.0
    workers: Positive = 1


class MonitorParams(Section):
    """Drift windows and thresholds."""

    window_weeks: Positive = 4
    false_alarm_rate: Share = 0.05
    resamples: Positive = 200
    seed: int = 7


class PromoteParams(Section):
    """The gate between champion and challenger."""

    metric: str = "ndcg@10"
    max_loss: Annotated[float, Field(ge=0, description="in the metric's unit, over all")] = 0.002
    max_slice_loss: Annotated[float, Field(ge=0, description="likewise, in any one slice")] = 0.01
    min_over_baseline: float = 0.0
    max_over_baseline: Annotated[
        float, Field(gt=0, description="relative; more is a leak until shown otherwise")
    ] = 1.0
    max_latency_ms: Annotated[float, Field(gt=0, description="CPU time, p95 of one call")] = 250.0
    max_latency_growth: Annotated[float, Field(ge=1, description="times the champion's")] = 2.0
    keep_releases: Positive = 5
    canary_share: Annotated[
        Share, Field(lt=1, description="of the visitors try a passed release first; 0 for none")
    ] = 0.0
    canary_slates: Annotated[
        int, Field(ge=50, description="of the canary end its trial, or the watch on a promotion")
    ] = 400
    canary_max_loss: Annotated[
        Share, Field(description="of the champion's clicks a slate, at the end of a trial")
    ] = 0.1
    canary_max_failures: Annotated[Share, Field(description="above the champion's")] = 0.01
    watch_max_loss: Annotated[
        Share, Field(description="of the clicks a slate, at which a promotion is taken back")
    ] = 0.3


class Params(Section):
    """The whole file."""

    ingest: IngestParams = IngestParams()
    validate_: ValidateParams = Field(default=ValidateParams(), alias="validate")
    mutate: MutateParams = MutateParams()
    catalogue: CatalogueParams = CatalogueParams()
    sessions: SessionsParams = SessionsParams()
    clickthroughs: ClickthroughsParams = ClickthroughsParams()
    split: SplitParams = SplitParams()
    pretrain: PretrainParams = PretrainParams()
    finetune: FinetuneParams = FinetuneParams()
    index: IndexParams = IndexParams()
    train_sasrec: TrainSasrecParams = TrainSasrecParams()
    train_ranker: TrainRankerParams = TrainRankerParams()
    train_classifier: TrainClassifierParams = TrainClassifierParams()
    train_promotions: TrainPromotionsParams = TrainPromotionsParams()
    train_launch: TrainLaunchParams = TrainLaunchParams()
    segments: SegmentsParams = SegmentsParams()
    bundles: BundlesParams = BundlesParams()
    social: SocialParams = SocialParams()
    sponsored: SponsoredParams = SponsoredParams()
    evaluate: EvaluateParams = EvaluateParams()
    serve: ServeParams = ServeParams()
    monitor: MonitorParams = MonitorParams()
    promote: PromoteParams = PromoteParams()


def parse_params(data: Any, *, origin: str = "params.yaml") -> Params:
    """Check a decoded parameter file.

    Raises:
        ParamsError: names every key that is unknown, of the wrong type or out of range.
    """
    if not isinstance(data, dict):
        raise ParamsError(f"{origin}: expected a mapping of sections, found {type(data).__name__}.")
    try:
        return Params.model_validate(data)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in item['loc'])}: "
            + (
                "unknown key"
                if item["type"] == "extra_forbidden"
                else f"{item['msg']} (got {item['input']!r})"
            )
            for item in error.errors()
        )
        raise ParamsError(
            f"{origin}: {problems}. See components/contracts/params.py for what is allowed."
        ) from error


def load_params(path: Path) -> Params:
    """Read and check `params.yaml`.

    Raises:
        ParamsError: absent, not YAML, or not valid.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ParamsError(
            f"{path}: no such file. Run from the project's root or pass --params."
        ) from error
    try:
        data: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" line {where.line + 1}" if where else ""
        raise ParamsError(
            f"{path}:{line} not valid YAML: {getattr(error, 'problem', error)}."
        ) from error
    return parse_params(data if data is not None else {}, origin=str(path))
