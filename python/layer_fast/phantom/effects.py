"""Planted effects: what differs between cases and controls, in units that can be read.

An effect changes numbers that the renderer uses; it never draws a random number. So a case and its control twin
(same seed, subject and scan, other label) differ only where the effect acts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from layer_fast.errors import ConfigError
from layer_fast.types import LAYERS, NUM_LAYERS

EffectModality = Literal["bmode", "swe", "both"]
EffectKind = Literal["mean", "texture", "thickness"]
_MODALITIES = ("bmode", "swe", "both")
_KINDS = ("mean", "texture", "thickness")
_MAX_DB = 30.0
_RELATIVE = (-0.9, 3.0)  # a relative change below -90 % or above +300 % is a mistaken unit, not an effect


@dataclass(frozen=True, slots=True)
class Effect:
    """One planted difference of the case subjects. Units of `size`:

    - kind "mean", modality "bmode": dB of echo power in the layer, e.g. 3.0.
    - kind "mean", modality "swe": relative change of shear-wave speed, e.g. 0.3 for +30 %.
    - kind "mean", modality "both": relative change of echo amplitude (20 log10(1 + size) dB) and of speed alike.
    - kind "texture": relative change of the spatial contrast inside the layer: bmode, SD in dB of the scatterers' local
      strength; swe, SD of the local speed around the layer's own. In bmode it raises the mean too: the strength is
      log-normal, so a wider spread in dB has more power. Measured in muscle: size 1 raises the mean grey level by 0.35
      to 0.40 dB, size 3 by 1.7 to 1.9 dB.
    - kind "thickness": relative change of the layer's thickness; geometry, so the modality must be "both".

    Raises ConfigError for an unknown layer, modality or kind and for a size outside its range.
    """

    layer: str = "deep_fascial_membrane"
    modality: EffectModality = "bmode"
    kind: EffectKind = "mean"
    size: float = 4.0

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("layer", self.layer, LAYERS),
            ("modality", self.modality, _MODALITIES),
            ("kind", self.kind, _KINDS),
        ):
            if value not in allowed:
                raise ConfigError(f"[Effect] {name}: expected one of {', '.join(allowed)}, got {value!r}")
        if self.kind == "thickness" and self.modality != "both":
            raise ConfigError(
                f"[Effect] modality: a thickness effect is geometry, expected 'both', got {self.modality!r}"
            )
        low, high = (-_MAX_DB, _MAX_DB) if self.in_decibel else _RELATIVE
        if not (math.isfinite(self.size) and low <= self.size <= high):
            unit = "dB" if self.in_decibel else "relative change"
            raise ConfigError(f"[Effect] size: expected {low:g} to {high:g} ({unit}), got {self.size!r}")

    @property
    def in_decibel(self) -> bool:
        """True where `size` is in dB, False where it is a relative change."""
        return self.kind == "mean" and self.modality == "bmode"

    @property
    def label_value(self) -> int:
        """Label value (1..6) of the layer it acts on."""
        return LAYERS.index(self.layer) + 1


def _ones() -> NDArray[np.float64]:
    return np.ones(NUM_LAYERS + 1, dtype=np.float64)


@dataclass(slots=True)
class Changes:
    """All effects of one scan, added up per label value; each array (7,). Neutral for a control."""

    echo_db: NDArray[np.float64] = field(default_factory=lambda: np.zeros(NUM_LAYERS + 1, dtype=np.float64))
    echo_contrast: NDArray[np.float64] = field(default_factory=_ones)  # factor of the scatterer strength's SD
    speed: NDArray[np.float64] = field(default_factory=_ones)  # factor of the speed
    speed_contrast: NDArray[np.float64] = field(default_factory=_ones)  # factor of the local speed's SD
    thickness: NDArray[np.float64] = field(default_factory=_ones)  # factor of the thickness


def changes(effects: Iterable[Effect], is_case: bool) -> Changes:
    """Return what `effects` do to one scan; nothing where it is not a case."""
    out = Changes()
    for effect in effects if is_case else ():
        k, factor = effect.label_value, 1.0 + effect.size
        if effect.kind == "thickness":
            out.thickness[k] *= factor
            continue
        if effect.modality != "swe":
            if effect.kind == "texture":
                out.echo_contrast[k] *= factor
            else:
                out.echo_db[k] += effect.size if effect.in_decibel else 20.0 * math.log10(factor)
        if effect.modality != "bmode":
            if effect.kind == "texture":
                out.speed_contrast[k] *= factor
            else:
                out.speed[k] *= factor
    return out
