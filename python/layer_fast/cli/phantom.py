"""phantom: write a cohort whose truth is known."""

from __future__ import annotations

import json
from pathlib import Path

from ..phantom.effects import Effect, EffectKind, EffectModality
from .progress import progress

DEFAULT_DB, DEFAULT_RELATIVE = 5.0, 0.35


def planted(
    driver: str | None, modality: EffectModality | None = None, kind: EffectKind = "mean", size: float | None = None
) -> tuple[Effect, ...]:
    """The effect that a command plants. Defaults: B-mode, but geometry shows in both; 5 dB of echo, else 35 %."""
    if driver is None:
        return ()
    modality = modality or ("both" if kind == "thickness" else "bmode")
    default = DEFAULT_DB if (kind, modality) == ("mean", "bmode") else DEFAULT_RELATIVE
    return (Effect(layer=driver, modality=modality, kind=kind, size=default if size is None else size),)


def write_phantom(
    out: Path,
    driver: str | None,
    modality: EffectModality | None,
    kind: EffectKind,
    size: float | None,
    subjects: int,
    scans_per_subject: int,
    seed: int,
    *,
    as_json: bool,
) -> int:
    from ..phantom import make_cohort

    effects = planted(driver, modality, kind, size)
    with progress("phantom scans") as tick:
        table = make_cohort(
            out, subjects=subjects, scans_per_subject=scans_per_subject, effects=effects, seed=seed, progress=tick
        )
    if as_json:
        print(json.dumps({"cohort": str(table), "scans": subjects * scans_per_subject}))
    else:
        print(table)
    return 0
