"""What a graph says of itself, and how it agrees with what a person stated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import ConfigError, ModelError
from ..models.manifest import FOV_RELATIVE
from .fields import Fields

if TYPE_CHECKING:
    import onnx

AXES = "zyx"


@dataclass(frozen=True)
class Facts:
    """The signature of a tidy graph. batch: None where it is open. sizes: of the spatial axes, None where open."""

    input: str
    output: str
    batch: int | None
    channels: int
    sizes: tuple[int | None, ...]

    @property
    def spatial_dims(self) -> int:
        """2 or 3."""
        return len(self.sizes)


@dataclass(frozen=True)
class Geometry:
    """The three lists of a manifest, in order (z, y, x); null at the slice axis of a 2D model."""

    grid: list[int | None]
    spacing_mm: list[float | None]
    fov_mm: list[float | None]

    @property
    def sizes(self) -> tuple[int, ...]:
        """The model's spatial input: two numbers of a 2D model, else three."""
        return tuple(n for n in self.grid if n is not None)


def facts_of(model: onnx.ModelProto, where: str) -> Facts:
    """Read the signature of a graph with one input and one output. Raises ModelError for what no package can hold."""
    import onnx

    image, logits = model.graph.input[0], model.graph.output[0]
    for what, value in (("input", image), ("output", logits)):
        kind = value.type.tensor_type.elem_type
        if kind != onnx.TensorProto.FLOAT:
            found = onnx.TensorProto.DataType.Name(kind)
            raise ModelError(f"{where}: {what} {value.name!r}: expected float32, found {found}; export in float32")
    dims = [d.dim_value if d.HasField("dim_value") else None for d in image.type.tensor_type.shape.dim]
    if len(dims) not in (4, 5):
        raise ModelError(f"{where}: input {image.name!r}: expected (batch, channels, y, x) or (batch, channels, z, y, "
                         f"x), found {len(dims)} axes")  # fmt: skip
    batch, channels, *sizes = dims
    if channels is None:
        raise ModelError(f"{where}: input {image.name!r}: expected a fixed number of channels, found an open one")
    return Facts(image.name, logits.name, batch, channels, tuple(sizes))


def check_against(facts: Facts, fields: Fields, where: str) -> None:
    """Channels and slice axis of graph and fields agree. Raises ConfigError."""
    if facts.channels != len(fields.channels):
        stated = [channel.modality for channel in fields.channels]
        raise ConfigError(f"channels: {where} has {facts.channels} input channels, the fields state {stated}")
    if facts.spatial_dims == 2 and fields.slice_axis is None:
        raise ConfigError(f"slice_axis: {where} is a 2D model (input of 4 axes); state along which axis its slices lie")
    if facts.spatial_dims == 3 and fields.slice_axis is not None:
        raise ConfigError(f"slice_axis: {where} is a 3D model (input of 5 axes); leave slice_axis out")


def geometry_of(facts: Facts, fields: Fields, where: str) -> Geometry:
    """Grid, spacing and field of view: the graph's fixed sizes and the stated ones must agree. Raises ConfigError."""
    seen = [axis for axis in AXES if axis != fields.slice_axis]
    own = dict(zip(seen, facts.sizes, strict=True))
    grid = [_size(axis, own.get(axis), fields, where) for axis in AXES]
    if fields.spacing_mm is None and fields.fov_mm is None:
        raise ConfigError("spacing_mm, fov_mm: expected at least one of them, found neither")
    spacing: list[float | None] = []
    fov: list[float | None] = []
    for i, n in enumerate(grid):
        step, whole = _lengths(AXES[i], n, fields)
        spacing.append(step)
        fov.append(whole)
    return Geometry(grid, spacing, fov)


def _size(axis: str, own: int | None, fields: Fields, where: str) -> int | None:
    stated = fields.grid[AXES.index(axis)] if fields.grid is not None else None
    if axis == fields.slice_axis:
        if stated is not None:
            raise ConfigError(f"grid: expected null along the slice axis {axis}, found {stated}")
        return None
    if own is not None and stated is not None and own != stated:
        raise ConfigError(f"grid: {where} has {own} voxels along {axis}, the fields state {stated}")
    if own is None and stated is None:
        raise ConfigError(f"grid: {where} leaves its size along {axis} open; state it")
    return stated if own is None else own


def _lengths(axis: str, n: int | None, fields: Fields) -> tuple[float | None, float | None]:
    i = AXES.index(axis)
    step = fields.spacing_mm[i] if fields.spacing_mm is not None else None
    whole = fields.fov_mm[i] if fields.fov_mm is not None else None
    if n is None:
        if step is not None or whole is not None:
            raise ConfigError(f"spacing_mm, fov_mm: expected null along the slice axis {axis}, found {step}, {whole}")
        return None, None
    if step is None and whole is None:
        raise ConfigError(f"spacing_mm, fov_mm: expected a length along {axis}, found null")
    if step is not None and whole is not None and abs(n * step - whole) > FOV_RELATIVE * whole:
        raise ConfigError(f"fov_mm: {n} voxels of {step:g} mm along {axis} are {n * step:g} mm, found {whole:g}")
    if step is None and whole is not None:
        step = round(whole / n, 6)
    if whole is None and step is not None:
        whole = round(n * step, 6)
    return step, whole


def check_output(shape: tuple[int, ...], fields: Fields, sizes: tuple[int, ...], where: str) -> None:
    """shape: of an output for some batch. Raises ConfigError where it is not what role and classes promise."""
    if fields.role == "segmenter":
        expected: tuple[int, ...] = (len(fields.layer_names) + 1, *sizes)
        if shape[1:] != expected:
            raise ConfigError(f"role: a segmenter gives (batch, background and {len(fields.layer_names)} layers, *grid)"
                              f" = (batch, {', '.join(map(str, expected))}), {where} gives {shape}")  # fmt: skip
        return
    if len(shape) != 2:
        raise ConfigError(f"role: a classifier gives (batch, classes), {where} gives {shape}")
    if shape[1] == 1:
        raise ConfigError(f"classes: {where} gives one number; expected one logit per class. Export a network whose "
                          f"last step joins 0 and this number, so that the softmax is its sigmoid")  # fmt: skip
    if fields.classes is None or len(fields.classes) != shape[1]:
        raise ConfigError(f"classes: {where} gives {shape[1]} logits, the fields state {fields.classes}")
