"""The nouns that flow through the library.

Arrays are (z, y, x) in C order, or (channel, z, y, x), or (batch, channel, z, y, x); `spacing_mm` has the
same order. `affine` maps a voxel index (z, y, x) to world millimetres, RAS+.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Modality = Literal["bmode", "swe"]
Setup = Literal["bmode", "swe", "both"]
MODALITIES: tuple[Modality, ...] = ("bmode", "swe")
SETUPS: tuple[Setup, ...] = ("bmode", "swe", "both")
SETUP_CHANNELS: dict[str, tuple[Modality, ...]] = {"bmode": ("bmode",), "swe": ("swe",), "both": ("bmode", "swe")}

LAYERS: tuple[str, ...] = (
    "dermis",
    "superficial_fat",
    "superficial_fascial_membrane",
    "deep_fat",
    "deep_fascial_membrane",
    "muscle",
)
NUM_LAYERS = len(LAYERS)
REGIONS: tuple[str, ...] = ("background", *LAYERS)  # the index is the label value
GROUPS: dict[str, tuple[int, ...]] = {
    "muscle": (6,),
    "non_muscle": (1, 2, 3, 4, 5),
    "fascia": (3, 5),
    "fat": (2, 4),
}

Status = Literal["ok", "ok_degraded", "quarantined", "failed", "pending"]


@dataclass(frozen=True, slots=True)
class Volume:
    """One array with its geometry.

    array: (z, y, x). B-mode keeps the file's dtype; shear wave is float32 m/s with NaN where nothing was measured;
    a label volume is uint8. `kind` is "frames" where the first axis is time and not a direction in space.
    """

    array: NDArray[Any]
    affine: NDArray[np.float64]
    spacing_mm: tuple[float, float, float]
    modality: Literal["bmode", "swe", "labels", "map"]
    kind: Literal["volume", "frames"] = "volume"
    flags: tuple[str, ...] = ()
    sha256: str = ""

    def __post_init__(self) -> None:
        if self.array.ndim != 3:
            raise ValueError(f"[Volume] expected an array of 3 axes (z, y, x), got {self.array.ndim}")
        if self.affine.shape != (4, 4):
            raise ValueError(f"[Volume] expected a 4 x 4 affine, got {self.affine.shape}")

    def __repr__(self) -> str:
        size = " x ".join(str(n) for n in self.array.shape)
        mm = " x ".join(f"{s:g}" for s in self.spacing_mm)
        return f"Volume({self.modality}, {size} {self.array.dtype}, {mm} mm, {self.kind})"


@dataclass(frozen=True, slots=True)
class ScanRef:
    """One row of the cohort table: what to read and what is known about it. Paths are absolute."""

    scan_id: str
    subject: str
    bmode: Path | None = None
    swe: Path | None = None
    swe_unit: str | None = None
    masks: dict[str, Path] = field(default_factory=dict)  # source ("manual" or "manual:RATER") -> file
    label: str | None = None
    label_type: str = "binary"
    label_unit: str = "subject"
    fold: str | None = None
    strata: dict[str, str] = field(default_factory=dict)  # every other column, as text


@dataclass(frozen=True, slots=True)
class Scan:
    """A scan in memory. All volumes share one grid once the geometry policy has passed."""

    ref: ScanRef
    volumes: dict[str, Volume]  # modality -> volume
    masks: dict[str, Volume]  # source -> label volume on the grid of the volumes
    input_sha256: dict[str, str]  # "bmode", "swe", "mask:SOURCE" -> hash of the file's bytes
    flags: tuple[str, ...] = ()

    @property
    def grid(self) -> Volume:
        """The volume whose grid all results live on: B-mode if there is one."""
        return self.volumes.get("bmode") or self.volumes["swe"]


@dataclass(frozen=True, slots=True)
class LayerMask:
    """Labels 0..6 as uint8 (z, y, x) on the scan's grid. `source` is "model:NAME", "manual" or "manual:RATER"."""

    labels: NDArray[np.uint8]
    spacing_mm: tuple[float, float, float]
    source: str


@dataclass(frozen=True, slots=True)
class Failure:
    """A scan that could not pass a step: a value, never an exception that ends the run."""

    step: str
    code: str
    message: str
    input_at_fault: bool

    @property
    def status(self) -> Status:
        return "quarantined" if self.input_at_fault else "failed"


@dataclass(slots=True)
class ScanRecord:
    """Everything kept of one scan: JSON-ready, no arrays. The tables are derived from records alone."""

    scan_id: str
    key: str
    status: Status
    code: str = ""
    step: str = ""
    message: str = ""
    flags: tuple[str, ...] = ()
    scan: dict[str, Any] = field(default_factory=dict)  # one row of scans.parquet
    layers: list[dict[str, Any]] = field(default_factory=list)  # rows of layers.parquet
    coalitions: list[dict[str, Any]] = field(default_factory=list)  # rows of coalitions.parquet
    histograms: list[dict[str, Any]] = field(default_factory=list)  # rows of histograms.parquet
    slices: list[dict[str, Any]] = field(default_factory=list)  # rows of slices.parquet
    guards: list[dict[str, Any]] = field(default_factory=list)  # rows of guards.parquet
    seconds: dict[str, float] = field(default_factory=dict)  # stage times; kept beside the record, not in it
