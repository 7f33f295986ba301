"""Every encoder body a shop may bring: unit rows, batch equals one by one, saved equals loaded."""

from pathlib import Path

import numpy as np
import pytest

from components.contracts.protocols import Encoder
from components.text.encoder import TOLERANCE, OnnxEncoder, TextEncoder, quantise

TEXTS = [
    "Whole milk, 1 gal",
    "Frozen breaded chicken, 12 oz (store brand)",
    "milk",
    "",
    "Paper towels with a rather long title that goes on and on, two ply, extra strong, 6 rolls",
    "牛奶 2 升",
]


def _bert(folder: Path) -> None:
    encoder = TextEncoder.scratch(
        TEXTS * 5, seed=3, width=32, layers=2, heads=2, vocabulary=300, max_tokens=16
    )
    encoder.save(folder)


def _with_body(folder: Path, body) -> None:
    plain = TextEncoder.scratch(
        TEXTS * 5, seed=3, width=8, layers=1, heads=1, vocabulary=300, max_tokens=16
    )
    body.save_pretrained(folder)
    (folder / "tokenizer.json").write_text(plain.tokenizer.to_str(), encoding="utf-8")


def _t5(folder: Path) -> None:
    import torch
    from transformers import T5Config, T5Model

    torch.manual_seed(3)
    config = T5Config(vocab_size=300, d_model=32, d_kv=16, d_ff=48, num_layers=2, num_heads=2)
    _with_body(folder, T5Model(config))


def _gpt(folder: Path) -> None:
    import torch
    from transformers import GPT2Config, GPT2Model

    torch.manual_seed(3)
    _with_body(folder, GPT2Model(GPT2Config(vocab_size=300, n_embd=32, n_layer=2, n_head=2)))


BODIES = {"bert": _bert, "t5": _t5, "gpt": _gpt}


@pytest.fixture(scope="module", params=sorted(BODIES))
def folder(request, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp(request.param)
    BODIES[request.param](path)
    return path


def test_rows_are_unit_and_independent_of_their_batch(folder):
    encoder = TextEncoder.from_folder(folder, max_tokens=16)
    assert isinstance(encoder, Encoder)
    together = encoder.encode(TEXTS)
    assert together.shape == (len(TEXTS), encoder.width)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=TOLERANCE)
    shuffled = encoder.encode(TEXTS[::-1])[::-1]
    np.testing.assert_allclose(together, shuffled, atol=TOLERANCE)


def test_different_texts_differ_and_equal_texts_agree(folder):
    encoder = TextEncoder.from_folder(folder, max_tokens=16)
    rows = encoder.encode(["whole milk", "paper towels", " whole  milk\n"])
    assert np.abs(rows[0] - rows[1]).max() > 1e-3
    np.testing.assert_array_equal(rows[0], rows[2])
    assert encoder.encode([]).shape == (0, encoder.width)


def test_saved_equals_loaded_and_onnx_equals_torch(folder, tmp_path):
    encoder = TextEncoder.from_folder(folder, max_tokens=16)
    encoder.save(tmp_path / "saved")
    again = TextEncoder.from_folder(tmp_path / "saved", max_tokens=16)
    np.testing.assert_array_equal(encoder.encode(TEXTS), again.encode(TEXTS))
    assert encoder.export(tmp_path / "onnx") <= 10 * TOLERANCE
    served = OnnxEncoder(tmp_path / "onnx")
    assert isinstance(served, Encoder)
    np.testing.assert_allclose(served.encode(TEXTS), encoder.encode(TEXTS), atol=10 * TOLERANCE)
    alone = np.concatenate([served.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(served.encode(TEXTS), alone, atol=TOLERANCE)


def test_int8_copy_is_smaller_and_close(tmp_path):
    _bert(tmp_path / "body")
    encoder = TextEncoder.from_folder(tmp_path / "body", max_tokens=16)
    encoder.export(tmp_path / "onnx")
    quantise(tmp_path / "onnx", tmp_path / "int8")
    full, small = (tmp_path / name / "encoder.onnx" for name in ("onnx", "int8"))
    assert small.stat().st_size < full.stat().st_size
    cosine = (OnnxEncoder(small.parent).encode(TEXTS) * encoder.encode(TEXTS)).sum(axis=1)
    assert cosine.min() > 0.9
