"""Texts to unit vectors: with torch while learning, with ONNX Runtime while serving.

Both encoders clean, tokenise and batch texts in the same way, so that their rows agree: texts are
sorted by length, a batch holds at most `BATCH_TOKENS` tokens, and padding is masked out of
attention and of the mean. The same text gives the same row whatever stands beside it, within
`TOLERANCE`.
`OnnxEncoder` needs numpy, tokenizers and onnxruntime only.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from components.contracts.artefacts import write_json
from components.contracts.errors import ArtefactError, MissingExtraError
from components.text.texts import clean

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

FloatArray = NDArray[np.float32]
TOLERANCE = 1e-5  # largest difference of one number between batches, and between ONNX and torch
BATCH_TOKENS = 1024
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
CONFIG_NAME = "encoder.json"
MODEL_NAME = "encoder.onnx"
TOKENIZER_NAME = "tokenizer.json"


def read_tokenizer(path: Path, *, max_tokens: int) -> "Tokenizer":
    """Read a `tokenizer.json`; it will cut at `max_tokens` and never pad.

    Raises:
        ArtefactError: absent or not a tokenizer.
    """
    from tokenizers import Tokenizer

    if not path.is_file():
        raise ArtefactError(f"{path}: no tokenizer there.")
    tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return tokenizer


def token_ids(tokenizer: "Tokenizer", texts: Sequence[str]) -> list[list[int]]:
    """Return the token ids of each cleaned text; a text without any token is the one id 0."""
    return [e.ids or [0] for e in tokenizer.encode_batch([clean(text) for text in texts])]


def padded(rows: Sequence[Sequence[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (B, T) ids padded with 0 and the (B, T) mask that is 1 on real tokens."""
    longest = max(len(row) for row in rows)
    ids = np.zeros((len(rows), longest), np.int64)
    mask = np.zeros((len(rows), longest), np.int64)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = row
        mask[index, : len(row)] = 1
    return ids, mask


def word_pieces(texts: Sequence[str], size: int) -> list[str]:
    """Choose a WordPiece vocabulary: every letter, then the most frequent words, starts and ends.

    The library's own trainer breaks ties by memory order, so two runs differ; this one breaks them
    by the alphabet. Two thirds of the room go to whole words, the rest to pieces of 2 to 6 letters.

    Returns:
        At most `size` names (more only if the letters alone are more), special ones first.
    """
    from collections import Counter

    from tokenizers import normalizers, pre_tokenizers

    normaliser = normalizers.BertNormalizer(lowercase=True)
    splitter = pre_tokenizers.BertPreTokenizer()
    words: Counter[str] = Counter()
    for text in texts:
        cleaned = normaliser.normalize_str(clean(text))
        words.update(word for word, _ in splitter.pre_tokenize_str(cleaned))
    letters = sorted({letter for word in words for letter in word})
    names = [*SPECIAL, *letters, *(f"##{letter}" for letter in letters)]
    pieces: Counter[str] = Counter()
    for word, count in words.items():
        for length in range(2, min(7, len(word))):
            pieces[word[:length]] += count
            pieces[f"##{word[-length:]}"] += count
    room = max(0, size - len(names))
    held = set(names)
    for counts, upto in ((words, len(names) + room * 2 // 3), (pieces, len(names) + room)):
        for name, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
            if len(names) >= upto:
                break
            if name not in held:
                names.append(name)
                held.add(name)
    return names


def length_sorted_batches(
    lengths: Sequence[int], *, batch_tokens: int = BATCH_TOKENS
) -> Iterator[NDArray[np.intp]]:
    """Yield row numbers in batches of similar length; rows x longest <= `batch_tokens`, or one row.

    >>> [b.tolist() for b in length_sorted_batches([3, 1, 9, 1], batch_tokens=6)]
    [[1, 3], [0], [2]]
    """
    order = np.argsort(np.asarray(lengths), kind="stable")
    start = 0
    while start < len(order):
        stop = start + 1
        while stop < len(order) and (stop + 1 - start) * lengths[order[stop]] <= batch_tokens:
            stop += 1
        yield order[start:stop]
        start = stop


class _Batched:
    """Cleaning, de-duplication, tokenising and batching, shared by both encoders."""

    width: int
    tokenizer: "Tokenizer"

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return (B, D) float32 rows of length 1, in the order of `texts`."""
        cleaned = [clean(text) for text in texts]
        unique = list(dict.fromkeys(cleaned))
        if not unique:
            return np.zeros((0, self.width), np.float32)
        rows = token_ids(self.tokenizer, unique)
        vectors = np.empty((len(unique), self.width), np.float32)
        for batch in length_sorted_batches([len(row) for row in rows]):
            ids, mask = padded([rows[i] for i in batch])
            vectors[batch] = self._forward(ids, mask)
        place = {text: index for index, text in enumerate(unique)}
        return vectors[[place[text] for text in cleaned]]

    def _forward(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> FloatArray:
        raise NotImplementedError


class OnnxEncoder(_Batched):
    """The served encoder: ONNX Runtime on a fixed number of threads (one by default)."""

    def __init__(self, folder: Path, *, threads: int = 1) -> None:
        """Open the model in `folder`.

        Raises:
            ArtefactError: the folder lacks one of its three files.
            MissingExtraError: onnxruntime is not installed.
        """
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingExtraError(
                "Serving text vectors needs the extra `serve`: pip install -e '.[serve]'."
            ) from error
        config_path, model_path = folder / CONFIG_NAME, folder / MODEL_NAME
        if not config_path.is_file() or not model_path.is_file():
            raise ArtefactError(
                f"{folder}: no exported encoder there. Run `shelfwise stage finetune`."
            )
        config = json.loads(config_path.read_text(encoding="utf-8"))
        self.width = int(config["width"])
        self.max_tokens = int(config["max_tokens"])
        self.tokenizer = read_tokenizer(folder / TOKENIZER_NAME, max_tokens=self.max_tokens)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Waiting threads sleep: spinning ones starve whatever else runs on the same cores.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            str(model_path), options, providers=["CPUExecutionProvider"]
        )

    def _forward(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> FloatArray:
        (vectors,) = self._session.run(["vectors"], {"ids": ids, "mask": mask})
        return np.asarray(vectors, np.float32)


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Use a fixed number of threads and a fixed order of sums inside: weights depend on both.

    Without the second, the gradient of a gathered row is added up by whichever thread comes first.
    Waiting threads sleep instead of spinning, if torch was not imported before.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import torch

    before, fixed = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    switches: Any = torch.utils.deterministic  # its properties carry no types
    filled = switches.fill_uninitialized_memory
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    switches.fill_uninitialized_memory = False  # costs time, and reads none
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.use_deterministic_algorithms(fixed)
        switches.fill_uninitialized_memory = filled


class TextEncoder(_Batched):
    """A transformers body with masked mean pooling; trainable, savable, exportable to ONNX.

    Any body works that maps ids and a mask to hidden states: bidirectional (BERT and kin), the
    encoder half of a sequence-to-sequence model (T5 and kin), or causal (GPT and kin; padding
    stands on the right, so no real token sees it).
    """

    def __init__(self, body: Any, tokenizer: "Tokenizer", *, max_tokens: int) -> None:
        """Keep a body and its tokenizer; texts are cut at `max_tokens`."""
        self.body = body
        self.tokenizer = tokenizer
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(max_tokens)
        self.max_tokens = max_tokens
        self.width = int(
            getattr(body.config, "hidden_size", None) or getattr(body.config, "d_model", 0)
        )

    @classmethod
    def from_folder(cls, folder: Path, *, max_tokens: int) -> Self:
        """Load a local transformers folder (config, weights, tokenizer).

        Raises:
            ArtefactError: no such folder, or no model or tokenizer in it.
            MissingExtraError: transformers is not installed.
        """
        try:
            from transformers import (
                MODEL_FOR_TEXT_ENCODING_MAPPING,
                AutoConfig,
                AutoModel,
                AutoModelForTextEncoding,
                AutoTokenizer,
            )
            from transformers.utils import logging as transformers_logging
        except ImportError as error:
            raise MissingExtraError(
                "Training the encoder needs the extra `pipeline`: pip install -e '.[pipeline]'."
            ) from error
        if not (folder / "config.json").is_file():
            raise ArtefactError(f"{folder}: not a transformers folder (no config.json).")
        try:
            transformers_logging.disable_progress_bar()
            transformers_logging.set_verbosity_error()
            config = AutoConfig.from_pretrained(folder, local_files_only=True)
            encoders = MODEL_FOR_TEXT_ENCODING_MAPPING
            kind = AutoModelForTextEncoding if type(config) in encoders else AutoModel
            body = kind.from_pretrained(
                folder, local_files_only=True, config=config, attn_implementation="eager"
            )
            if (folder / TOKENIZER_NAME).is_file():
                tokenizer = read_tokenizer(folder / TOKENIZER_NAME, max_tokens=max_tokens)
            else:
                fast = AutoTokenizer.from_pretrained(folder, local_files_only=True)
                tokenizer = fast.backend_tokenizer
        except (OSError, ValueError, KeyError, AttributeError) as error:
            raise ArtefactError(f"{folder}: cannot be loaded as an encoder ({error}).") from error
        return cls(body.float().eval(), tokenizer, max_tokens=max_tokens)

    @classmethod
    def scratch(
        cls,
        texts: Sequence[str],
        *,
        seed: int,
        width: int,
        layers: int,
        heads: int,
        vocabulary: int,
        max_tokens: int,
        dropout: float = 0.1,
    ) -> Self:
        """Make a small untrained BERT whose WordPiece vocabulary is learnt from `texts`."""
        import torch
        from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
        from transformers import BertConfig, BertModel

        names = word_pieces(texts, vocabulary)
        tokenizer = Tokenizer(
            models.WordPiece({name: i for i, name in enumerate(names)}, unk_token="[UNK]")
        )
        tokenizer.add_special_tokens(list(SPECIAL))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]",
            special_tokens=[(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")],
        )
        torch.manual_seed(seed)
        config = BertConfig(
            vocab_size=tokenizer.get_vocab_size(),
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            intermediate_size=4 * width,
            max_position_embeddings=512,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
            pad_token_id=0,
            attn_implementation="eager",  # pyright: ignore[reportCallIssue]  # read by the base class
        )
        return cls(
            BertModel(config, add_pooling_layer=False).eval(), tokenizer, max_tokens=max_tokens
        )

    def hidden(self, ids: "torch.Tensor", mask: "torch.Tensor") -> "torch.Tensor":
        """Return the body's last hidden states, (B, T, D)."""
        return self.body(input_ids=ids, attention_mask=mask).last_hidden_state

    def pooled(self, ids: "torch.Tensor", mask: "torch.Tensor") -> "torch.Tensor":
        """Return unit rows with gradients: the mean over real tokens, scaled to length 1."""
        import torch

        states = self.hidden(ids, mask).float()  # (B, T, D)
        weight = mask.unsqueeze(-1).to(states.dtype)  # (B, T, 1)
        mean = (states * weight).sum(1) / weight.sum(1).clamp(min=1.0)  # (B, D)
        return torch.nn.functional.normalize(mean, dim=-1)  # (B, D)

    def embed(self, rows: Sequence[Sequence[int]]) -> "torch.Tensor":
        """Return unit rows with gradients for lists of token ids, (B, D), in their order.

        Rows of like length go through the body together, so little is spent on padding.
        """
        import torch

        parts, order = [], []
        for batch in length_sorted_batches([len(row) for row in rows]):
            ids, mask = padded([rows[i] for i in batch])
            parts.append(self.pooled(torch.from_numpy(ids), torch.from_numpy(mask)))
            order.append(batch)
        place = np.empty(len(rows), np.int64)
        place[np.concatenate(order)] = np.arange(len(rows))
        return torch.cat(parts)[torch.from_numpy(place)]  # (B, D)

    def _forward(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> FloatArray:
        import torch

        self.body.eval()
        with torch.inference_mode():
            return self.pooled(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()

    def save(self, folder: Path) -> None:
        """Write a transformers folder: config, safetensors weights, tokenizer."""
        folder.mkdir(parents=True, exist_ok=True)
        self.body.save_pretrained(folder, safe_serialization=True)
        (folder / TOKENIZER_NAME).write_text(self.tokenizer.to_str(), encoding="utf-8")

    def export(self, folder: Path) -> float:
        """Write the served encoder (ONNX, tokenizer, configuration); check it against torch.

        Returns:
            The largest difference of one number between the two runtimes on a probe.

        Raises:
            ArtefactError: the exported model disagrees by more than ten times `TOLERANCE`.
        """
        import warnings

        import torch

        folder.mkdir(parents=True, exist_ok=True)
        encoder = self

        class Pooled(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.body = encoder.body

            def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
                return encoder.pooled(ids, mask)

        # The example must hold padding: a mask of ones alone is folded away by the tracer.
        ids = torch.tensor([[5, 6, 7, 8, 9], [6, 7, 0, 0, 0]])
        mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]])
        axes = {0: "batch", 1: "tokens"}
        self.body.eval()
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                Pooled().eval(),
                (ids, mask),
                str(folder / MODEL_NAME),
                input_names=["ids", "mask"],
                output_names=["vectors"],
                dynamic_axes={"ids": axes, "mask": axes, "vectors": {0: "batch"}},
                opset_version=17,
                dynamo=False,
            )
        (folder / TOKENIZER_NAME).write_text(self.tokenizer.to_str(), encoding="utf-8")
        write_json(folder / CONFIG_NAME, {"width": self.width, "max_tokens": self.max_tokens})
        served = OnnxEncoder(folder)
        probe = [
            "whole milk",
            "a",
            "kitchen paper, 6 rolls, 2 ply, extra strong and white",
            "milk 2 l",
        ]
        difference = float(np.abs(served.encode(probe) - self.encode(probe)).max())
        if difference > 10 * TOLERANCE:
            raise ArtefactError(
                f"{folder}: the ONNX encoder differs from torch by {difference:.2g}."
            )
        return difference


def quantise(folder: Path, target: Path) -> None:
    """Write an int8 copy (dynamic, weights only) of the exported encoder in `folder`.

    It is about four times smaller and up to twice as fast, and it moves the vectors: serve it only
    where a ranking measured on validation does not get worse.
    """
    import shutil
    import tempfile

    from onnxruntime.quantization import QuantType, quantize_dynamic

    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target) as scratch:
        made = Path(scratch) / MODEL_NAME
        quantize_dynamic(folder / MODEL_NAME, made, weight_type=QuantType.QInt8)
        made.replace(target / MODEL_NAME)
    for name in (TOKENIZER_NAME, CONFIG_NAME):
        shutil.copyfile(folder / name, target / name)
