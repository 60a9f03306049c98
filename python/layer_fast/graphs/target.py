"""A target head: the one number per item of a batch that is explained, as part of the graph."""

from __future__ import annotations

import numpy as np
import onnx

from ..errors import ModelError
from .build import Builder
from .shapes import log_exp

KINDS = ("margin", "logit", "probability")
NAME = "target"


def with_target(
    model: onnx.ModelProto, output: str = "logits", *, positive: int, negative: int | None = None, kind: str = "margin"
) -> onnx.ModelProto:
    """Add the output `target` (B, 1) to a classifier with logits (B, K).

    kind "logit": logits[positive]. "probability": softmax(logits)[positive]. "margin": logits[positive] -
    logits[negative]; where negative is None, the log odds of `positive` against all other classes,
    logits[positive] - log(sum of exp(logits) over the others), which for two classes is the same number.
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
    for name, index in (("positive", positive), ("negative", negative)):
        if index is not None and not 0 <= index < classes:
            raise ModelError(f"{name}: expected a class 0..{classes - 1}, found {index}")
    if negative == positive:
        raise ModelError(f"negative: expected another class than positive, found {negative} for both")
    if kind not in KINDS:
        raise ModelError(f"kind: expected one of {', '.join(KINDS)}, found {kind!r}")
    head = _head(b, output, classes, positive, negative, kind)
    b.add_output(head, NAME, b.elem_type(output), [b.shape(output)[0], 1])
    return b.finish()


def _head(b: Builder, logits: str, classes: int, positive: int, negative: int | None, kind: str) -> str:
    weights = np.zeros((classes, 1), b.dtype(logits))
    weights[positive] = 1
    if kind == "probability":
        return b.op("MatMul", b.op("Softmax", logits, axis=1), b.const(weights))
    if kind == "margin" and negative is not None:
        weights[negative] = -1
    chosen = b.op("MatMul", logits, b.const(weights))
    if kind == "logit" or negative is not None:
        return chosen
    others = b.op("Gather", logits, b.ints([k for k in range(classes) if k != positive]), axis=1)
    return b.sub(chosen, log_exp(b, "Sum", others, 1))
