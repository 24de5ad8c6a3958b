"""The loss of a batch of lists, without ever holding its logits: at the labels alone, a block of tokens at a time.

A vocabulary of 262,144 words makes 1 MB of float32 logits a token, twice with their gradient. The output layer is
frozen, so all that the backward pass needs of it is the gradient by the hidden states, and that is computed at once
with the loss, block by block.

What a token counts is its weight. Above 0 it is learnt: weight times -log p. Below 0 it is to become unlikely:
-weight times -log(1 - p), the unlikelihood loss of Welleck et al. (arXiv 1908.04319).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from boxlist.adapters_training.encoding import IGNORE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

LOGITS_AT_ONCE = 1 << 23
"""The most logits that are held at once: 32 MB of float32."""

_SURE = 1e-4  # 1 - p is taken for at least this, or one token of a sure repeat would outweigh everything


@contextmanager
def loss_instead_of_logits(model: Any, labels: Tensor, weights: Tensor) -> Iterator[None]:
    """Within it, `model(...)` gives as its `logits` one number: the loss summed over the labelled tokens.

    `labels` and `weights` are `(B, L)`, not shifted. Everything stays inside the model's own forward, so wrappers that
    gather sharded weights there find what they know. Logits are capped where the model's config says so.
    """
    head = model.get_output_embeddings()
    text_config = model.config.get_text_config()
    cap = getattr(text_config, "final_logit_softcapping", None)

    def forward(hidden: Tensor) -> Tensor:
        return summed_loss(hidden, head.weight, labels, weights, cap)

    head.forward = forward
    if cap is not None:
        text_config.final_logit_softcapping = None  # the model would cap the loss
    try:
        yield
    finally:
        del head.forward
        if cap is not None:
            text_config.final_logit_softcapping = cap


def summed_loss(hidden: Tensor, head: Tensor, labels: Tensor, weights: Tensor, cap: float | None) -> Tensor:
    """The loss of a batch, a float32 scalar.

    hidden: `(B, L, H)`, of which the one at a position predicts the next token. head: `(V, H)`, frozen. labels:
    `(B, L)`, `IGNORE` where nothing is learnt. weights: `(B, L)`. cap: logits become cap * tanh(logits / cap).
    """
    targets, counts = labels[:, 1:], weights[:, 1:]
    labelled = targets != IGNORE
    loss: Tensor = _BlockwiseLoss.apply(hidden[:, :-1][labelled], head, targets[labelled], counts[labelled], cap)
    return loss


class _BlockwiseLoss(torch.autograd.Function):
    """The sum of weighted losses `(N,)`; its gradient by `hidden` `(N, H)` is made on the way."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Tensor, targets: Tensor, weights: Tensor, cap: float | None) -> Tensor:
        device = hidden.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else head.dtype
        with torch.autocast(device, enabled=False):
            matrix = head.to(dtype)
            gradient = torch.empty_like(hidden)
            total = torch.zeros((), dtype=torch.float32, device=hidden.device)
            size = max(1, LOGITS_AT_ONCE // len(head))
            for start in range(0, len(hidden), size):
                block = slice(start, start + size)
                logits = (hidden[block].to(dtype) @ matrix.T).float()
                total += _losses_into_gradient(logits, targets[block], weights[block], cap).sum()
                gradient[block] = logits.to(dtype) @ matrix
        ctx.save_for_backward(gradient)
        return total

    @staticmethod
    def backward(ctx: Any, *by_total: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return gradient * by_total[0].to(gradient.dtype), None, None, None, None


def _losses_into_gradient(logits: Tensor, targets: Tensor, weights: Tensor, cap: float | None) -> Tensor:
    """The losses `(n,)` of float32 logits `(n, V)`, which become their gradient by the logits, in place."""
    if cap is not None:
        logits.div_(cap).tanh_()
        slope = logits.square().neg_().add_(1)
        logits.mul_(cap)
    chosen = targets[:, None]
    log_p = logits.gather(1, chosen)[:, 0] - logits.logsumexp(1)
    p = log_p.exp()
    rest = (1 - p).clamp_min(_SURE)
    losses = torch.where(weights < 0, weights * rest.log(), -weights * log_p)
    scale = torch.where(weights < 0, weights * p / rest, weights)
    torch.softmax(logits, 1, out=logits)
    logits.scatter_add_(1, chosen, torch.full_like(chosen, -1, dtype=logits.dtype))
    logits.mul_(scale[:, None])
    if cap is not None:
        logits.mul_(slope)
    return losses
