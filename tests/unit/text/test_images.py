from pathlib import Path

import numpy as np
import pytest

from components.contracts.errors import SourceError
from components.text.images import (
    Fusion,
    GradientEncoder,
    Modality,
    VisionEncoder,
    choose_weights,
    reciprocal_ranks,
)


def _unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def _shop(seed: int, n: int = 160, questions: int = 240):
    """A shop with known truth: in odd questions the picture tells, in even ones the text does.

    A third of the products has no picture; the noise is the same in both modalities.
    """
    g = np.random.default_rng(seed)
    text, image = (_unit(g.normal(size=(n, 12))) for _ in range(2))
    pictured = g.random(n) < 2 / 3
    wanted = g.integers(n, size=questions)
    by_image = (np.arange(questions) % 2 == 1) & pictured[wanted]
    noise = lambda: _unit(g.normal(size=(questions, 12)))  # noqa: E731
    tell = lambda rows: _unit(rows[wanted] + 0.8 * noise())  # noqa: E731
    asked_text = np.where(by_image[:, None], noise(), tell(text)).astype(np.float32)
    asked_image = np.where(by_image[:, None], tell(image), noise()).astype(np.float32)
    truth = np.zeros((questions, n), bool)
    truth[np.arange(questions), wanted] = True
    left = {
        "text": Modality(asked_text, ~by_image),
        "image": Modality(asked_image, by_image),
    }
    right = {"text": Modality(text, np.ones(n, bool)), "image": Modality(image, pictured)}
    return left, right, truth, by_image


def test_the_image_helps_exactly_where_the_truth_lies_in_it():
    left, right, truth, by_image = _shop(1)
    fusion = choose_weights(left, right, truth)
    left, right, truth, by_image = _shop(2)
    alone = reciprocal_ranks(Fusion({"text": 1.0}).similarity(left, right), truth)
    fused = reciprocal_ranks(fusion.similarity(left, right), truth)
    assert fused[by_image].mean() > 5 * alone[by_image].mean()
    np.testing.assert_allclose(fused[~by_image], alone[~by_image])


def test_absent_is_masked_and_not_zero_filled():
    rows = _unit(np.array([[1.0, 0.0], [0.9, 0.1]]))
    here, gone = np.ones(2, bool), np.array([True, False])
    garbage = rows.copy()
    garbage[1] = 7.0
    fusion = Fusion({"text": 0.5, "image": 0.5})
    left = {"text": Modality(rows[:1], here[:1]), "image": Modality(rows[:1], here[:1])}
    right = {"text": Modality(rows[[0, 0]], here), "image": Modality(garbage, gone)}
    # Zero-filling would halve the second score, and reading what stands there would raise it.
    np.testing.assert_allclose(fusion.similarity(left, right), [[1.0, 1.0]], atol=1e-6)
    nothing = {
        "text": Modality(rows, np.zeros(2, bool)), "image": Modality(rows, np.zeros(2, bool))
    }  # fmt: skip
    assert (fusion.similarity(left, nothing) == 0).all()
    with pytest.raises(ValueError, match="image"):
        fusion.similarity({"text": left["text"]}, right)


def _draw(path: Path, kind: str, seed: int) -> None:
    from PIL import Image

    g = np.random.default_rng(seed)
    picture = np.full((48, 40, 3), 255, np.uint8)
    shift = int(g.integers(4))
    if kind == "upright":
        picture[4:44, 14 + shift : 22 + shift] = g.integers(0, 120, 3)
    else:
        picture[18 + shift : 26 + shift, 4:36] = g.integers(0, 120, 3)
    Image.fromarray(picture).save(path)


def test_pictures_of_one_shape_lie_closer(tmp_path):
    paths = []
    for kind in ("upright", "flat"):
        for n in range(4):
            paths.append(tmp_path / f"{kind}{n}.png")
            _draw(paths[-1], kind, n)
    encoder = GradientEncoder(("gradients", "outline"))
    rows = encoder.encode(paths)
    assert rows.shape == (8, encoder.width)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)
    scores = rows @ rows.T
    same = np.kron(np.eye(2), np.ones((4, 4))).astype(bool)
    assert scores[same].min() > scores[~same].max()
    (tmp_path / "torn.png").write_bytes(b"no picture")
    with pytest.raises(SourceError, match="torn"):
        encoder.encode([tmp_path / "torn.png"])


def test_a_local_vision_model_gives_unit_rows(tmp_path):
    import torch
    from transformers import ViTConfig, ViTModel

    torch.manual_seed(1)
    config = ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        image_size=32, patch_size=16,
    )  # fmt: skip
    ViTModel(config).save_pretrained(tmp_path / "vit")
    _draw(tmp_path / "one.png", "upright", 1)
    _draw(tmp_path / "two.png", "flat", 1)
    encoder = VisionEncoder(tmp_path / "vit")
    rows = encoder.encode([tmp_path / "one.png", tmp_path / "two.png"])
    assert rows.shape == (2, 16)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(encoder.encode([tmp_path / "two.png"])[0], rows[1], atol=1e-5)
