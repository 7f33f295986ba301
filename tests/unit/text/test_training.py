import json

import numpy as np
import polars as pl
import pytest

from components.contracts.artefacts import Layout, read_manifest
from components.contracts.errors import ArtefactError, ParamsError
from components.contracts.params import Params, PretrainParams, parse_params
from components.text import finetune, packaged, pretrain, training
from components.text.encoder import TextEncoder, token_ids
from components.text.heads import CategoryHead
from components.text.precision import resolved
from components.text.ratings import RatingModel
from components.text.vectors import load_encoder, product_vectors
from tests.unit.text.test_tasks import _events, _products

SMALL = {"init": "scratch", "width": 16, "layers": 1, "heads": 2, "vocabulary": 200}


def _params(**finetune_values) -> Params:
    return parse_params(
        {
            "pretrain": {**SMALL, "steps": 12, "head_steps": 4, "batch_size": 8},
            "finetune": {"steps": 8, "batch_size": 8, "check_every": 4, **finetune_values},
        }
    )


def _shop(root) -> Layout:
    layout = Layout(root)
    layout.tables.mkdir(parents=True)
    layout.splits.mkdir(parents=True)
    _products(36).write_parquet(layout.tables / "products.parquet")
    for name, first, n in (("train", 0, 80), ("valid", 100, 20), ("test", 130, 20)):
        orders = [
            (f"v{i % 9}", first + i, [i % 12, 12 + i % 12, 24 + (i * 5) % 12]) for i in range(n)
        ]
        events = _events(orders).with_columns(
            (1.0 + pl.col("product_id").str.slice(1).cast(pl.Int64) % 5).alias("rating")
        )
        events.write_parquet(layout.splits / f"{name}.parquet")
    return layout


def test_both_stages_write_what_serving_needs_and_agree_with_themselves(tmp_path):
    made = []
    for name in ("one", "two"):
        layout = _shop(tmp_path / name)
        pretrain.run(_params(), layout)
        finetune.run(_params(), layout)
        made.append(layout)
    layout = made[0]
    manifest = read_manifest(layout.artefact("finetune"))
    assert manifest.notes["chosen"] in ("+ MLM", "+ contrastive")
    again = read_manifest(made[1].artefact("finetune"))
    assert manifest.files == again.files  # two runs from scratch give the same bytes
    ids, rows = product_vectors(layout.artefacts)
    assert ids == [f"p{i:02d}" for i in range(36)]
    encoder = load_encoder(layout.artefacts)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)
    texts = pretrain.describe(pl.read_parquet(layout.tables / "products.parquet")).texts
    np.testing.assert_array_equal(encoder.encode(texts[:3]), rows[:3])
    np.testing.assert_allclose(encoder.encoder.encode(texts[:3]), rows[:3], atol=1e-5)
    head = CategoryHead.load(layout.artefacts)
    chances = head.probabilities(rows)
    np.testing.assert_allclose(chances.sum(axis=1), 1.0, atol=1e-5)
    model = RatingModel.load(layout.artefacts)
    assert model is not None
    assert model.predict("v1", "p04") > model.predict("v1", "p00")
    results = json.loads((layout.artefact("finetune") / "results.json").read_text())
    assert set(results["candidates"]) == {"as shipped", "+ MLM", "+ contrastive"}


def test_a_worse_fine_tuning_is_not_served(tmp_path):
    layout = _shop(tmp_path)
    params = _params(learning_rate=50.0, patience=9)
    pretrain.run(params, layout)
    results = pretrain.read_results(layout.artefact("pretrain"))
    best = {"choice": 2.0, **{k: v for k, v in results["+ MLM"].items() if k != "choice"}}
    path = layout.artefact("pretrain") / "results.json"
    path.write_text(json.dumps({**results, "+ MLM": best}))  # an earlier encoder none can beat
    finetune.run(params, layout)
    assert read_manifest(layout.artefact("finetune")).notes["chosen"] == "+ MLM"
    _, rows = product_vectors(layout.artefacts)
    earlier = pretrain.TextVectors.load(layout.artefact("pretrain") / "vectors.npz")
    catalogue = pretrain.describe(pl.read_parquet(layout.tables / "products.parquet"))
    np.testing.assert_array_equal(rows, earlier.matrix(catalogue.texts))


def test_token_modelling_lowers_its_loss_and_a_causal_body_is_recognised():
    texts = [f"{a} {b}" for a in ("red", "green", "blue") for b in ("milk", "bread", "soap")] * 4
    params = PretrainParams(
        **{**SMALL, "width": 32}, steps=120, head_steps=10, batch_size=12, learning_rate=3e-3,
        max_tokens=8,
    )  # fmt: skip
    encoder, origin = training.first_encoder(params, texts)
    assert origin == "scratch"
    assert not pretrain.is_causal(encoder)
    losses = pretrain.train_tokens(encoder, texts, params, train_embeddings=True)
    assert np.mean(losses[-20:]) < 0.8 * np.mean(losses[:10])

    import torch
    from transformers import GPT2Config, GPT2Model

    torch.manual_seed(1)
    body = GPT2Model(GPT2Config(vocab_size=200, n_embd=16, n_layer=1, n_head=2))
    causal = TextEncoder(body.eval(), encoder.tokenizer, max_tokens=8)
    assert pretrain.is_causal(causal)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_precision_changes_the_products_alone(precision):
    texts = [f"{a} {b}" for a in ("red", "green", "blue") for b in ("milk", "bread", "soap")] * 4
    made = []
    for chosen in ("float32", precision, precision):
        params = PretrainParams(
            **{**SMALL, "width": 32}, steps=12, head_steps=2, batch_size=12, precision=chosen
        )  # fmt: skip
        encoder, _ = training.first_encoder(params, texts)
        losses = pretrain.train_tokens(encoder, texts, params, train_embeddings=True)
        weights = {str(weight.dtype) for weight in encoder.body.state_dict().values()}
        assert "torch.bfloat16" not in weights
        made.append((losses, encoder.encode(["red milk"])))
    assert made[1][0] == made[2][0]  # a repeated run takes the same steps
    np.testing.assert_allclose(made[0][0], made[1][0], rtol=0.03)
    np.testing.assert_allclose(made[0][1], made[1][1], atol=0.05)


def test_auto_precision_is_one_of_the_two():
    assert resolved("auto") in ("float32", "bfloat16")
    assert resolved("float32") == "float32"


def test_gradients_do_not_depend_on_the_buckets():
    texts = ["milk", "milk and bread and soap", "soap", "rice with beans, tea and oil"]
    encoder = TextEncoder.scratch(
        texts * 3, seed=1, width=16, layers=1, heads=2, vocabulary=100, max_tokens=16
    )
    rows = token_ids(encoder.tokenizer, texts)
    np.testing.assert_allclose(
        encoder.embed(rows).detach().numpy(), encoder.encode(texts), atol=1e-5
    )


def test_first_encoder_says_what_is_wrong(tmp_path, monkeypatch, caplog):
    with pytest.raises(ParamsError, match=r"pretrain\.path"):
        training.first_encoder(PretrainParams(init="path"), ["milk"])
    with pytest.raises(ArtefactError, match=r"no config\.json"):
        training.first_encoder(PretrainParams(init="path", path=str(tmp_path)), ["milk"])
    monkeypatch.setattr(packaged, "PACKAGE", "no_such_package_here")
    small = PretrainParams(**{**SMALL, "init": "packaged"})
    _, origin = training.first_encoder(small, ["milk and bread"] * 3)
    assert origin == "scratch"
    assert [r.levelname for r in caplog.records].count("WARNING") == 1


def test_altered_packaged_weights_are_refused(tmp_path, monkeypatch):
    folder = tmp_path / "some_encoder" / "model"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"other weights")
    (folder.parent / "__init__.py").write_text("raise RuntimeError('its code must never run')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(packaged, "PACKAGE", "some_encoder")
    with pytest.raises(ArtefactError, match="not the pinned weights"):
        packaged.packaged_folder()
