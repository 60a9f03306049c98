"""
Native operations of layer_fast. Use layer_fast.ops, which checks arguments and allocates results.
"""
from __future__ import annotations
import collections.abc
import typing
__all__: list[str] = ['argmax_resample', 'build_info', 'cuda_kind', 'intensity_stats', 'layer_compose', 'layer_reduce', 'layer_weights', 'normalize', 'resample', 'resample_labels', 'resolve_threads']
def argmax_resample(logits: typing.Any, out: typing.Any, *, grid_map: typing.Annotated[collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], "FixedSize(16)"] | None, threads: typing.SupportsInt | typing.SupportsIndex, stream: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Write the class of the largest logit (classes, z, y, x), interpolated, into the uint8 `out` (z, y, x).
    grid_map: 16 numbers, row-major, or None.
    """
def build_info() -> dict[str, typing.Any]:
    """
    Version, compiler, flags, instruction set, threads and CUDA devices of this build.
    """
def intensity_stats(volume: typing.Any, *, within: str, mask: typing.Any, percentiles: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], histogram: typing.Any, only_ranks: bool, threads: typing.SupportsInt | typing.SupportsIndex, stream: typing.SupportsInt | typing.SupportsIndex) -> dict:
    """
    Moments and percentiles of `volume` as a dict; fills `histogram` for integer volumes.
    """
def layer_compose(image: typing.Any, labels: typing.Any, coalitions: typing.Any, fill_values: typing.Any, out: typing.Any, *, threads: typing.SupportsInt | typing.SupportsIndex, stream: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Write the image with the layers outside each coalition replaced into `out` (N, C, z, y, x).
    """
def layer_reduce(maps: typing.Any, mask: typing.Any, out: dict, *, weighted: bool, num_layers: typing.SupportsInt | typing.SupportsIndex, grid_map: typing.Annotated[collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], "FixedSize(16)"] | None, quantiles: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], top_fraction: typing.SupportsFloat | typing.SupportsIndex | None, histogram: tuple[typing.SupportsFloat | typing.SupportsIndex, typing.SupportsFloat | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex] | None, threads: typing.SupportsInt | typing.SupportsIndex, stream: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Write statistics of `maps` (K, z, y, x), or (N, K, z, y, x), per layer of `mask` into the arrays of the dict `out`.
    """
def layer_weights(labels: typing.Any, out: typing.Any, *, num_layers: typing.SupportsInt | typing.SupportsIndex, grid_map: typing.Annotated[collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], "FixedSize(16)"] | None, threads: typing.SupportsInt | typing.SupportsIndex, stream: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Write what every map voxel counts in every layer's sum into `out` (num_layers + 1, mz, my, mx).
    """
def normalize(volume: typing.Any, out: typing.Any, *, shift: typing.SupportsFloat | typing.SupportsIndex, scale: typing.SupportsFloat | typing.SupportsIndex, clip: bool, threads: typing.SupportsInt | typing.SupportsIndex, stream: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Write (volume - shift) / scale, clipped to [0, 1] if `clip`, into `out`.
    """
def resample(volume: typing.Any, out: typing.Any, workspace: typing.Any, *, interpolation: str, antialias: bool, grid_map: typing.Annotated[collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], "FixedSize(16)"] | None, window: typing.Annotated[collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], "FixedSize(2)"] | None, threads: typing.SupportsInt | typing.SupportsIndex, stream: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Write `volume` (z, y, x) or (N, z, y, x), resampled, into `out`. grid_map: 16 numbers, row-major, or None.
    workspace: float32 of the volume's shape for an oblique bspline, else None.
    """
def resample_labels(labels: typing.Any, out: typing.Any, *, grid_map: typing.Annotated[collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], "FixedSize(16)"] | None, threads: typing.SupportsInt | typing.SupportsIndex, stream: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Write labels (z, y, x), nearest, into a uint8 `out` (z, y, x), or their fractions into a float32 one
    (num_labels, z, y, x). grid_map: 16 numbers, row-major, or None.
    """
def resolve_threads(requested: typing.SupportsInt | typing.SupportsIndex = 0) -> int:
    """
    Threads of a call: `requested` if positive, else LAYER_FAST_THREADS, else what affinity and cgroup allow.
    """
__version__: str = '0.1.0'
cuda_kind: str = 'nvcc'
