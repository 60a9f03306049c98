"""What a phantom scan is before it has voxels: subject, scan, and the random streams they own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from layer_fast.phantom.effects import Effect

DEFAULT_SHAPE = (24, 160, 64)
DEFAULT_SPACING_MM = (1.5, 0.25, 0.6)
SWE_KERNEL_FWHM_MM = 1.5
SIDES = ("left", "right")
SITES = ("L2-L3", "L4-L5")


class Stream(IntEnum):
    """One random stream per concern: a new draw in one never moves another."""

    LABEL = 0
    SUBJECT = 1
    SCAN = 2
    SURFACE = 3
    SPECKLE = 4
    TEXTURE = 5
    SEPTA = 6
    FIBRES = 7
    NOISE = 8
    SPEED = 9
    SPEED_NOISE = 10
    HOLES = 11


def generator(seed: int, subject: int, scan: int, stream: Stream) -> np.random.Generator:
    """Return the generator of one concern of one scan (PCG64 seeded by SeedSequence([seed, subject, scan, stream]))."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, subject, scan, int(stream)])))


@dataclass(frozen=True, slots=True)
class Subject:
    """One subject: what all scans of this person share.

    Tuples of 7 are by label value 0..6. thickness_mm: 0 is the coupling layer, 6 (muscle fills the picture) is 0.
    echo_db: deviation of the layer's echo from its usual level, dB. speed: factor of the layer's usual speed.
    """

    seed: int
    index: int
    is_case: bool
    age: int
    sex: str
    bmi: float
    thickness_mm: tuple[float, ...]
    echo_db: tuple[float, ...]
    speed: tuple[float, ...]
    attenuation_db_per_mm: float
    pennation_deg: float

    @property
    def subject_id(self) -> str:
        return f"p{self.seed:05d}-{self.index:03d}"

    @property
    def label(self) -> str:
        return "case" if self.is_case else "control"


@dataclass(frozen=True, slots=True)
class ScanSpec:
    """One scan, whole: `render` is a pure function of it. Tuples of 7 as in `Subject`.

    echo_db: deviation of this scan's layers, dB. gain_db: of the whole picture. pressure: factor of the fat thickness.
    """

    subject: Subject
    scan: int
    side: str
    site: str
    repeat: int
    effects: tuple[Effect, ...]
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    gain_db: float
    echo_db: tuple[float, ...]
    pressure: float
    swe_kernel_fwhm_mm: float = SWE_KERNEL_FWHM_MM

    @property
    def scan_id(self) -> str:
        return f"{self.subject.subject_id}-{self.side}{self.scan // len(SIDES) + 1}"

    @property
    def label(self) -> str:
        return self.subject.label

    @property
    def is_case(self) -> bool:
        return self.subject.is_case

    def generator(self, stream: Stream) -> np.random.Generator:
        """Return this scan's own generator for one concern."""
        return generator(self.subject.seed, self.subject.index, self.scan, stream)

    def twin(self, *, is_case: bool) -> ScanSpec:
        """Return the same scan of the same person with the other (or the same) label."""
        return replace(self, subject=replace(self.subject, is_case=is_case))
