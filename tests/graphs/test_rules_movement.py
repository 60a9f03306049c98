"""Rules alone: operators that move elements, convolutions, pooling, Resize, Pad, against the forward on a basis."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from graphs.single import check_linear, check_smooth

R = np.random.default_rng(3)
X = R.permutation(2 * 6 * 5).reshape(1, 2, 6, 5).astype(np.float32)
A = R.standard_normal((2, 3, 4))


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


MOVES: list[tuple[str, np.ndarray, list[Any], dict[str, Any], int]] = [
    ("Reshape", A, [ints(4, -1)], {}, 13),
    ("Reshape", A, [ints(0, -1)], {}, 13),
    ("Flatten", A, [], {"axis": 2}, 13),
    ("Squeeze", A[:1], [ints(0)], {}, 13),
    ("Unsqueeze", A, [ints(1, -1)], {}, 13),
    ("Transpose", A, [], {"perm": [2, 0, 1]}, 13),
    ("Transpose", A, [], {}, 13),
    ("Expand", A[:, :1], [ints(2, 2, 3, 4)], {}, 13),
    ("Expand", A[:1, :, :1], [ints(2, 1, 5)], {}, 13),
    ("Tile", A, [ints(2, 1, 3)], {}, 13),
    ("Concat", A, [A[:, :1] * 2], {"axis": 1}, 13),
    ("Slice", A, [ints(1, 0), ints(3, 2**40), ints(1, 2)], {}, 13),
    ("Slice", A, [ints(0), ints(4), ints(-1), ints(2)], {}, 13),
    ("Slice", A, [ints(1), ints(100), ints(2), ints(2)], {}, 13),
    ("Slice", A, [ints(-1), ints(-(2**40)), ints(2), ints(-1)], {}, 13),
    ("Slice", A, [ints(3), ints(0), ints(2), ints(-2)], {}, 13),
    ("Slice", A, [ints(-3), ints(-1), ints(1)], {}, 13),
    ("Gather", A, [ints(2, 0)], {"axis": 1}, 13),
    ("Gather", A, [np.array(-1)], {"axis": 2}, 13),
    ("Gather", A, [ints(2, 0, 1)], {"axis": 1}, 13),
    ("Gather", A, [np.array([[0, 0], [1, 3]])], {"axis": 2}, 13),
    ("DepthToSpace", R.standard_normal((1, 8, 2, 3)), [], {"blocksize": 2}, 13),
    ("DepthToSpace", R.standard_normal((1, 8, 2, 3)), [], {"blocksize": 2, "mode": "CRD"}, 13),
    ("SpaceToDepth", R.standard_normal((1, 2, 4, 6)), [], {"blocksize": 2}, 13),
    ("Trilu", A, [np.array(1)], {"upper": 0}, 14),
    ("Cast", A, [], {"to": 11}, 13),
    ("Pad", A, [ints(0, 1, 2, 1, 0, 0)], {}, 13),
    ("Pad", A, [ints(1, 2), None, ints(-1)], {}, 18),
    ("Pad", A, [ints(0, 1, 2, 0, 2, 1)], {"mode": "edge"}, 13),
    ("Pad", A, [ints(0, 2, 2, 0, 2, 3)], {"mode": "reflect"}, 13),
    ("Pad", A[:, :1], [ints(0, 1, 0, 0, 2, 0)], {"mode": "edge"}, 13),
    ("Pad", A, [ints(1, 2, 2, 0, 0, 3)], {"mode": "wrap"}, 19),
    ("GlobalAveragePool", R.standard_normal((2, 3, 3, 2)), [], {}, 13),
    ("GlobalMaxPool", R.standard_normal((2, 3, 3, 2)), [], {}, 13),
]


@pytest.mark.parametrize(("op", "x", "constants", "attributes", "oldest"), MOVES)
def test_movement(op: str, x: np.ndarray, constants: list[Any], attributes: dict[str, Any], oldest: int) -> None:
    if op == "Cast":
        check_smooth(op, x, constants, attributes=attributes, engine=False)
        return
    for opset in sorted({oldest, 21}):
        check_smooth(op, x, constants, attributes=attributes, opset=opset)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize(
    ("op", "constants", "attributes"),
    [
        ("Slice", [ints(1, 2), ints(2**40, -1), ints(2, 3)], {}),
        ("Slice", [ints(-2), ints(2**40), ints(2)], {}),
        ("Slice", [ints(0), ints(2**40), ints(2), ints(2)], {}),
        ("Slice", [ints(-1), ints(-(2**40)), ints(3), ints(-1)], {}),
        ("Slice", [ints(1), ints(4), ints(3)], {}),
        ("Slice", [ints(1), ints(2**40), ints(3), ints(3)], {}),
        ("Pad", [ints(0, 0, 1, 2, 0, 0, 2, 1)], {"mode": "edge"}),
        ("Pad", [ints(0, 0, 1, 2, 0, 0, 0, 1)], {"mode": "reflect"}),
        ("Pad", [ints(0, 0, -1, 2, 0, 0, 1, -1)], {}),
        ("Tile", [ints(1, 2, 1, 3)], {}),
        ("GlobalAveragePool", [], {}),
        ("Gather", [np.array(-1)], {"axis": 2}),
        ("Gather", [ints(0, 2, 2)], {"axis": 3}),
        ("Gather", [np.array([[0, 1], [1, -1]])], {"axis": 2}),
        ("ReduceMean", [ints(2, 3)], {"keepdims": 0}),
        ("ReduceSum", [ints(3)], {}),
        ("GlobalMaxPool", [], {}),
        ("DepthToSpace", [], {"blocksize": 1}),
        ("Reshape", [ints(0, 2, -1)], {}),
        ("Transpose", [], {"perm": [0, 3, 1, 2]}),
    ],
)
def test_movement_with_dynamic_sizes(op: str, constants: list[Any], attributes: dict[str, Any], dynamic: bool) -> None:
    check_linear(op, X, constants, attributes=attributes, dynamic=dynamic, h=0.25)


windows = st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 2), st.integers(0, 3), st.integers(0, 3))


def _all_windows_inside(attributes: dict[str, Any], sizes: list[int]) -> bool:
    """False where ceil_mode as onnx infers it would add a window that starts behind the input."""
    n = len(sizes)
    for i, length in enumerate(sizes):
        k, s, d = (attributes[name][i] for name in ("kernel_shape", "strides", "dilations"))
        before, after = attributes["pads"][i], attributes["pads"][i + n]
        count = -(-(length + before + after - (k - 1) * d - 1) // s) + 1
        if (count - 1) * s >= length + before:
            return False
    return True


def _attributes(axes: list[tuple[int, ...]]) -> tuple[dict[str, Any], list[int]]:
    """Window numbers as a file has them; a pad is kept below the window, as engines demand."""
    kernel, strides, dilations, before, after = (list(v) for v in zip(*axes, strict=True))
    span = [(k - 1) * d for k, d in zip(kernel, dilations, strict=True)]
    pads = [min(p, k - 1) for p, k in zip(before + after, kernel + kernel, strict=True)]
    return {"kernel_shape": kernel, "strides": strides, "dilations": dilations, "pads": pads}, span


@settings(max_examples=15, deadline=None)
@given(
    axes=st.lists(windows, min_size=1, max_size=3),
    groups=st.sampled_from([1, 2]),
    wide=st.booleans(),
    dynamic=st.booleans(),
    extra=st.integers(0, 3),
)
def test_conv(axes: list[tuple[int, ...]], groups: int, wide: bool, dynamic: bool, extra: int) -> None:
    attributes, span = _attributes(axes)
    sizes = [s + 1 + extra + i for i, s in enumerate(span)]
    x = R.standard_normal((1, 2, *sizes)).astype(np.float32)
    weight = R.standard_normal((12 if wide else 2, 2 // groups, *attributes["kernel_shape"])).astype(np.float32)
    check_linear("Conv", x, [weight], attributes={**attributes, "group": groups}, dynamic=dynamic)


@settings(max_examples=15, deadline=None)
@given(
    axes=st.lists(windows, min_size=1, max_size=3),
    groups=st.sampled_from([1, 2]),
    dynamic=st.booleans(),
    extra=st.integers(0, 1),
)
def test_conv_transpose(axes: list[tuple[int, ...]], groups: int, dynamic: bool, extra: int) -> None:
    attributes, _ = _attributes(axes)
    n = len(axes)
    attributes["output_padding"] = [min(extra, s - 1) for s in attributes["strides"]]
    attributes["pads"] = [min(p, 1) for p in attributes["pads"]]
    x = R.standard_normal((1, 4, *range(3, 3 + n))).astype(np.float32)
    weight = R.standard_normal((4, 3, *attributes["kernel_shape"])).astype(np.float32)
    check_linear("ConvTranspose", x, [weight], attributes={**attributes, "group": groups}, dynamic=dynamic)


@settings(max_examples=15, deadline=None)
@given(
    axes=st.lists(windows, min_size=1, max_size=3),
    ceil=st.integers(0, 1),
    dynamic=st.booleans(),
    extra=st.integers(0, 3),
)
def test_max_pool(axes: list[tuple[int, ...]], ceil: int, dynamic: bool, extra: int) -> None:
    attributes, span = _attributes(axes)
    sizes = [s + 1 + extra + i for i, s in enumerate(span)]
    x = R.permutation(2 * int(np.prod(sizes))).reshape(1, 2, *sizes).astype(np.float32)
    assume(not ceil or _all_windows_inside(attributes, sizes))
    check_linear("MaxPool", x, attributes={**attributes, "ceil_mode": ceil}, dynamic=dynamic, h=0.25)


@settings(max_examples=15, deadline=None)
@given(
    axes=st.lists(windows, min_size=1, max_size=3),
    ceil=st.booleans(),
    include=st.integers(0, 1),
    dynamic=st.booleans(),
    extra=st.integers(0, 3),
)
def test_average_pool(axes: list[tuple[int, ...]], ceil: bool, include: int, dynamic: bool, extra: int) -> None:
    axes = [(k, s, 1, p, q) for k, s, _, p, q in axes]
    attributes, span = _attributes(axes)
    sizes = [s + 1 + extra + i for i, s in enumerate(span)]
    x = R.standard_normal((1, 2, *sizes)).astype(np.float32)
    assume(not ceil or _all_windows_inside(attributes, sizes))
    attributes |= {"ceil_mode": int(ceil and not dynamic), "count_include_pad": include}
    check_linear("AveragePool", x, attributes=attributes, dynamic=dynamic, opset=21)


SAMPLINGS = [
    {"mode": mode, "coordinate_transformation_mode": coordinates}
    for mode in ("nearest", "linear", "cubic")
    for coordinates in ("half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel")
]


@settings(max_examples=40, deadline=None)
@given(
    sampling=st.sampled_from(SAMPLINGS),
    sizes=st.lists(st.tuples(st.integers(2, 6), st.integers(2, 9)), min_size=1, max_size=3),
    by_scale=st.booleans(),
    dynamic=st.booleans(),
)
def test_resize(sampling: dict[str, Any], sizes: list[tuple[int, int]], by_scale: bool, dynamic: bool) -> None:
    if sampling["mode"] == "cubic":
        sizes = (sizes * 2)[:2]  # ONNX Runtime takes cubic in 2D only
    if sampling["mode"] == "cubic" or sampling["coordinate_transformation_mode"] == "pytorch_half_pixel":
        dynamic = False
    x = R.standard_normal((1, 1, *(a for a, _ in sizes))).astype(np.float32)
    roi = np.zeros(0, np.float32)
    if by_scale:
        scales = np.array([1, 1, *(b / a for a, b in sizes)], np.float32)
        scales[2:] = np.round(scales[2:] * 4) / 4 + 0.25
        constants = [roi, scales]
        # ONNX Runtime copies the input where no size changes, whatever the scale says
        assume(any(int(a * f) != a for (a, _), f in zip(sizes, scales[2:], strict=True)))
    else:
        constants = [roi, np.zeros(0, np.float32), ints(*(b for _, b in sizes))]
        sampling = {**sampling, "axes": list(range(2, x.ndim))}
    check_linear("Resize", x, constants, attributes=sampling, dynamic=dynamic)


@pytest.mark.parametrize("scale", [2.0, 3.0])
@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize("dynamic", [False, True])
def test_resize_by_whole_factors(scale: float, mode: str, dynamic: bool) -> None:
    x = R.standard_normal((1, 1, 3, 2, 4)).astype(np.float32)
    attributes = {"mode": mode, "coordinate_transformation_mode": "half_pixel" if mode == "linear" else "asymmetric"}
    attributes |= {"nearest_mode": "floor"} if mode == "nearest" else {}
    constants = [np.zeros(0, np.float32), np.array([1, 1, scale, scale, 1], np.float32)]
    check_linear("Resize", x, constants, attributes=attributes, dynamic=dynamic)


@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_resize_with_antialias(mode: str) -> None:
    x = R.standard_normal((1, 1, 7, 9)).astype(np.float32)
    constants = [np.zeros(0, np.float32), np.zeros(0, np.float32), ints(3, 4)]
    check_linear("Resize", x, constants, attributes={"mode": mode, "antialias": 1, "axes": [2, 3]})


@pytest.mark.parametrize("auto", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("stride", [1, 2])
def test_auto_pad(auto: str, stride: int) -> None:
    weight = R.standard_normal((3, 2, 3, 2)).astype(np.float32)
    options = {"auto_pad": auto, "strides": [stride, stride]}
    check_linear("Conv", X, [weight], attributes=options, dynamic=stride == 1)
    check_linear("MaxPool", X, attributes={**options, "kernel_shape": [3, 2]}, h=0.25)
