"""Attention written out: the fused kernels have no second derivatives, their definition has."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


class WrittenOut(TorchFunctionMode):
    """Meanwhile, and on this thread alone, scaled dot product attention is computed by its definition."""

    def __torch_function__(
        self, func: Any, _types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        if func is F.scaled_dot_product_attention:
            return attention(*args, **given)
        if func is F.multi_head_attention_forward and not given.get("need_weights", True):
            # What it calls itself is not seen here; asked for its weights, it writes attention out of its own accord.
            found, _ = func(*args, **{**given, "need_weights": True})
            return found, None
        return func(*args, **given)


def attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0,
    is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> Tensor:  # fmt: skip
    """softmax(q kᵀ · scale + mask) v (Vaswani et al. 2017), with the arguments of torch's own.

    query: (…, L, E), key: (…, S, E), value: (…, S, V) -> (…, L, V).
    """
    if enable_gqa:
        groups = query.shape[-3] // key.shape[-3]
        key, value = key.repeat_interleave(groups, -3), value.repeat_interleave(groups, -3)
    logits = query @ key.transpose(-2, -1) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(logits.shape[-2:], dtype=torch.bool, device=query.device).tril()
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        logits = logits.masked_fill(~attn_mask, -math.inf)
    elif attn_mask is not None:
        logits = logits + attn_mask
    weights = torch.softmax(logits, dim=-1)
    return F.dropout(weights, dropout_p) @ value if dropout_p else weights @ value
