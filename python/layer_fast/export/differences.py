"""A gradient graph against central finite differences of the model itself."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError
from ..models.manifest import Parity
from .batch import Array, draw, opened
from .facts import Facts

if TYPE_CHECKING:
    import onnx

FIELDS = 3
TRIES = ((3e-3, 1), (1e-2, 4), (1e-2, 16), (3e-3, 16))  # half length of a segment, gradients averaged along it
AGREED = 3e-2  # below this nothing further is tried
TOLERANCE = 0.1  # a wrong rule is off by tens of per cent, the worst of 31 networks was by 3
ROUNDING = 2e-5  # of the outputs' size: a difference below it is float32 and says nothing
Value = Callable[[Array], float]
Slope = Callable[[Array], NDArray[np.float64]]


def gradient_parity(
    model: onnx.ModelProto, gradient: onnx.ModelProto, facts: Facts, sizes: tuple[int, ...]
) -> Parity:
    """The largest relative deviation of the model's differences along a few directions from what the gradient says.

    The first direction is the gradient itself, where the signal is; the others are random fields of coarse blocks,
    which also see what a gradient leaves out. The model's difference over a segment is the mean of the true slope along
    it, so where kinks are dense the gradient is averaged along the segment too. Per direction the best try counts: a
    right gradient agrees in one, a wrong one in none. Raises ModelError above TOLERANCE.
    """
    image = draw((1, facts.channels, *sizes), seed=2)
    call, back = opened(model, "model.onnx"), opened(gradient, "graph gradient")
    (plain,) = call({facts.input: image}, (facts.output,))
    cotangent = np.random.default_rng(3).standard_normal(plain.shape).astype(np.float32)

    def value(at: Array) -> float:
        return float(np.vdot(call({facts.input: at}, (facts.output,))[0].astype(np.float64), cotangent))

    def slope(at: Array) -> NDArray[np.float64]:
        return back({facts.input: at, "cotangent": cotangent}, (f"grad_{facts.input}",))[0].astype(np.float64)

    worst = _worst(value, slope, image, float(np.abs(plain * cotangent).sum()))
    if not worst <= TOLERANCE:
        raise ModelError(f"graph gradient: expected the slopes that finite differences of the model show, found them "
                         f"off by {worst:.2g} (tolerance {TOLERANCE:g}); please report the network")  # fmt: skip
    note = f"largest relative deviation of a slope, {1 + FIELDS} directions, float32; refused above {TOLERANCE:g}"
    against = f"central finite differences of model.onnx in onnxruntime {version('onnxruntime')}"
    return Parity(value=round(worst, 8), against=against, inputs=1, note=note)


def _worst(value: Value, slope: Slope, image: Array, size: float) -> float:
    """size: of the summed outputs, which sets what float32 can resolve."""
    here = slope(image)
    fields = _fields(image.shape)
    # A field that the gradient happens to be blind to is held to the others' size.
    scale = max(abs(float(np.vdot(here, field))) for field in fields)
    worst = max(_deviation(value, slope, image, field, scale, size) for field in fields)
    if np.any(here):
        own = _unit(here)
        worst = max(worst, _deviation(value, slope, image, own, abs(float(np.vdot(here, own))), size))
    return worst


def _deviation(value: Value, slope: Slope, image: Array, direction: Array, scale: float, size: float) -> float:
    best = np.inf
    for half, count in TRIES:
        places = half * ((2 * np.arange(count) + 1) / count - 1)
        said = np.mean([float(np.vdot(slope(image + np.float32(t) * direction), direction)) for t in places])
        move = np.float32(half) * direction
        found = (value(image + move) - value(image - move)) / (2 * half)
        whole = max(scale, abs(found), size * ROUNDING / half)
        best = min(best, abs(found - float(said)) / whole if whole > 0 else 0.0)
        if best <= AGREED:
            break
    return float(best)


def _fields(shape: tuple[int, ...]) -> list[Array]:
    rng = np.random.default_rng(4)
    fields = []
    for _ in range(FIELDS):
        coarse = rng.standard_normal((*shape[:2], *(min(4, n) for n in shape[2:])))
        places = (np.arange(n) * m // n for n, m in zip(shape, coarse.shape, strict=True))
        fields.append(_unit(coarse[np.ix_(*places)]))
    return fields


def _unit(field: np.ndarray) -> Array:
    """Of root mean square 1."""
    wide = field.astype(np.float64)
    unit: Array = (wide / np.sqrt(np.mean(wide * wide))).astype(np.float32)
    return unit
