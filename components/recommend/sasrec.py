"""The sequential Transformer: causal self-attention over a visitor's events. Layers only.

In: (B, T) product indices, oldest first, padded on the right with V. Out: (B, T, D) states, each
knowing its own and earlier events only; a state times the product table gives logits. A product's
vector is its identifier's vector plus a projection of its text vector, so one without sales has a
vector as soon as its text exists. Losses and the loop live elsewhere.
Letters: B batch, T time, D width, H heads, V products, E text dimensions.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class SASRecConfig:
    """The model's shape.

    Attributes:
        n_products: V.
        width: D, a multiple of `heads`.
        layers: blocks.
        heads: H.
        dropout: share of activations dropped in training.
        id_dropout: share of input events whose identifier vector is hidden in training, so that
            the model learns to read products it knows by text only.
        text_dropout: likewise of the text vector, so that it does not lean on texts alone.
        mask: share of input events hidden altogether in training: a gap in what was seen.
        text_width: E, dimensions of the product text vectors; 0 without text.
        kinds: number of event kinds given as input; 0 without.
        time_gaps: number of buckets of time since the previous event; 0 without.
        frequency: adds a causal moving-average branch beside attention.
    """

    n_products: int
    width: int = 64
    layers: int = 2
    heads: int = 2
    dropout: float = 0.2
    id_dropout: float = 0.0
    text_dropout: float = 0.0
    mask: float = 0.0
    text_width: int = 0
    kinds: int = 0
    time_gaps: int = 0
    frequency: bool = False


class Block(nn.Module):
    """Attention with a learnt fading per head, then a feed-forward layer; norms come first.

    Absolute positions are absent: head h adds -slope_h * log(1 + age) to its logits, with slope_h
    learnt from a spread of starts, so some heads look at the last event and others far back.
    Attention itself drops nothing: drawing (B, H, T, T) numbers cost a fifth of an epoch.
    """

    def __init__(self, config: SASRecConfig) -> None:
        super().__init__()
        d, h = config.width, config.heads
        if d % h:
            raise ValueError(f"width {d} is not a multiple of heads {h}.")
        self.heads = h
        self.dropout = config.dropout
        self.norm_attention = nn.LayerNorm(d)
        self.query_key_value = nn.Linear(d, 3 * d)
        self.out = nn.Linear(d, d)
        self.slope = nn.Parameter(torch.linspace(0.2, 2.0, h))
        self.norm_forward = nn.LayerNorm(d)
        self.wide = nn.Linear(d, 4 * d)
        self.narrow = nn.Linear(4 * d, d)
        self.frequency = config.frequency
        if config.frequency:
            self.fading = nn.Parameter(torch.zeros(()))
            self.high = nn.Parameter(torch.ones(d))
            self.branch = nn.Parameter(torch.tensor(-1.0))

    def forward(self, x: Tensor, age_log: Tensor, hidden: Tensor) -> Tensor:
        """Map (B, T, D) to (B, T, D).

        Args:
            x: (B, T, D).
            age_log: (T, T) log(1 + events between), key later than query undefined.
            hidden: (T, T) true where the key lies after the query.
        """
        b, t, d = x.shape
        y = self.norm_attention(x)
        q, k, v = self.query_key_value(y).view(b, t, 3, self.heads, d // self.heads).unbind(2)
        q, k, v = (part.transpose(1, 2) for part in (q, k, v))  # (B, H, T, D/H)
        logits = q @ k.transpose(-1, -2) * (d // self.heads) ** -0.5  # (B, H, T, T)
        logits = logits - self.slope.view(-1, 1, 1) * age_log
        share = logits.masked_fill(hidden, float("-inf")).softmax(dim=-1)
        mixed = self.out((share @ v).transpose(1, 2).reshape(b, t, d))  # (B, T, D)
        if self.frequency:
            fade = (-F.softplus(self.fading) * (age_log.exp() - 1.0)).masked_fill(
                hidden, float("-inf")
            )
            low = fade.softmax(dim=-1) @ y  # (B, T, D)
            part = torch.sigmoid(self.branch)
            mixed = part * (low + self.high.square() * (y - low)) + (1.0 - part) * mixed
        x = x + F.dropout(mixed, self.dropout, self.training)
        y = F.relu(self.wide(self.norm_forward(x)))
        return x + F.dropout(self.narrow(y), self.dropout, self.training)


class SASRec(nn.Module):
    """Identifier and text vectors in, causal states out."""

    def __init__(self, config: SASRecConfig, text: Tensor | None = None) -> None:
        """Make the layers.

        Args:
            config: the shape.
            text: (V, E) product text vectors, fixed; needed if `config.text_width` > 0.
        """
        super().__init__()
        self.config = config
        d = config.width
        self.text: Tensor
        self.identifier = nn.Parameter(torch.randn(config.n_products, d) * d**-0.5)
        if config.text_width:
            if text is None or tuple(text.shape) != (config.n_products, config.text_width):
                raise ValueError("text must be (n_products, text_width).")
            self.register_buffer("text", text.to(torch.float32), persistent=False)
            self.text_projection = nn.Parameter(torch.zeros(config.text_width, d))
        self.kind = nn.Parameter(torch.zeros(config.kinds, d)) if config.kinds else None
        self.time_gap = nn.Parameter(torch.zeros(config.time_gaps, d)) if config.time_gaps else None
        self.norm_in = nn.LayerNorm(d)
        blocks = [Block(config) for _ in range(config.layers)]
        self.blocks = nn.ModuleList(blocks)
        self.norm_out = nn.LayerNorm(d)
        for block in blocks:
            for layer in (block.query_key_value, block.out, block.wide, block.narrow):
                nn.init.normal_(layer.weight, std=0.5 * d**-0.5)
                nn.init.zeros_(layer.bias)

    def table(self) -> Tensor:
        """Return (V, D): identifier plus projected text."""
        if self.config.text_width:
            return self.identifier + self.text @ self.text_projection
        return self.identifier

    def forward(
        self,
        items: Tensor,
        table: Tensor | None = None,
        *,
        kinds: Tensor | None = None,
        time_gaps: Tensor | None = None,
    ) -> Tensor:
        """Return states.

        Args:
            items: (B, T) product indices, oldest first, padded on the right with V.
            table: (V, D) from `table()`, if the caller has it already.
            kinds: (B, T) event kinds, if the model was made with them.
            time_gaps: (B, T) buckets of time since the previous event, likewise.

        Returns:
            (B, T, D); states at padded places mean nothing.
        """
        config = self.config
        table = self.table() if table is None else table
        known = items.clamp(max=config.n_products - 1)
        x = F.embedding(known, table)  # (B, T, D)
        if self.training and config.id_dropout and config.text_width:
            drop = torch.rand(items.shape) < config.id_dropout
            x = x - F.embedding(known, self.identifier) * drop.unsqueeze(-1)
        if self.training and config.text_dropout and config.text_width:
            drop = torch.rand(items.shape) < config.text_dropout
            said = F.embedding(known, self.text) @ self.text_projection
            x = x - said * drop.unsqueeze(-1)
        if self.training and config.mask:
            x = x * (torch.rand(items.shape) >= config.mask).unsqueeze(-1)
        if self.kind is not None and kinds is not None:
            x = x + self.kind[kinds]
        if self.time_gap is not None and time_gaps is not None:
            x = x + self.time_gap[time_gaps]
        x = F.dropout(self.norm_in(x), config.dropout, self.training)
        t = items.shape[1]
        age = torch.arange(t).view(-1, 1) - torch.arange(t).view(1, -1)
        age_log = torch.log1p(age.clamp(min=0).float())  # (T, T)
        for block in self.blocks:
            x = block(x, age_log, age < 0)
        return self.norm_out(x)
