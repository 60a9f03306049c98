"""A target head: the one number per item of a batch that is explained, as part of the graph."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx

from ..errors import ModelError
from .build import Builder
from .shapes import log_exp

KINDS = ("margin", "logit", "probability")
NAME = "target"


def with_target(
    model: onnx.ModelProto, output: str = "logits", *, positive: int | Sequence[int], negative: int | None = None,
    kind: str = "margin",
) -> onnx.ModelProto:
    """Add the output `target` (B, 1) to a classifier with logits (B, K).

    kind "logit": logits[positive]. "probability": softmax(logits)[positive]. "margin": logits[positive] -
    logits[negative]; where negative is None, the log odds of `positive` against all other classes,
    logits[positive] - log(sum of exp(logits) over the others), which for two classes is the same number.
    Several positive classes, as those at or above a level, count together against all the others: "margin" is
    log(sum of exp(logits) over them) - log(sum over the others), "probability" the sum of theirs.
    `gradient(..., output="target")` with a cotangent of ones then explains it. Raises ModelError.
    """
    b = Builder(model)
    if not b.knows(output):
        raise ModelError(f"output: expected a tensor (batch, classes) named {output!r}, found none")
    if b.rank(output) != 2:
        raise ModelError(f"output {output!r}: expected (batch, classes), found rank {b.rank(output)} {b.shape(output)}")
    classes = b.shape(output)[1]
    if not isinstance(classes, int) or classes < 2:
        raise ModelError(f"output {output!r}: expected a fixed number of at least 2 classes, found {classes!r}")
    several = [positive] if isinstance(positive, int) else list(positive)
    for name, index in (*(("positive", one) for one in several), ("negative", negative)):
        if index is not None and not 0 <= index < classes:
            raise ModelError(f"{name}: expected a class 0..{classes - 1}, found {index}")
    if negative in several:
        raise ModelError(f"negative: expected another class than positive, found {negative} for both")
    if kind not in KINDS:
        raise ModelError(f"kind: expected one of {', '.join(KINDS)}, found {kind!r}")
    if len(several) != 1:
        _check_several(several, classes, negative, kind)
    head = _head(b, output, classes, several, negative, kind)
    b.add_output(head, NAME, b.elem_type(output), [b.shape(output)[0], 1])
    return b.finish()


def _check_several(positive: list[int], classes: int, negative: int | None, kind: str) -> None:
    if len(set(positive)) != len(positive) or not 0 < len(positive) < classes:
        raise ModelError(f"positive: expected 1 to {classes - 1} different classes, found {positive}")
    if negative is not None or kind == "logit":
        raise ModelError(f"positive: expected margin or probability of several classes against all the others, found "
                         f"kind {kind!r} and negative {negative}")  # fmt: skip


def _head(b: Builder, logits: str, classes: int, positive: list[int], negative: int | None, kind: str) -> str:
    weights = np.zeros((classes, 1), b.dtype(logits))
    weights[positive] = 1
    if kind == "probability":
        return b.op("MatMul", b.op("Softmax", logits, axis=1), b.const(weights))
    if kind == "margin" and negative is not None:
        weights[negative] = -1
    several = len(positive) > 1
    chosen = _log_sum(b, logits, positive) if several else b.op("MatMul", logits, b.const(weights))
    if kind == "logit" or negative is not None:
        return chosen
    return b.sub(chosen, _log_sum(b, logits, [k for k in range(classes) if k not in positive]))


def _log_sum(b: Builder, logits: str, classes: list[int]) -> str:
    """log(sum of exp(logits)) over some classes: (B, 1)."""
    return log_exp(b, "Sum", b.op("Gather", logits, b.ints(classes), axis=1), 1)
