"""The figures of the model card, measured on phantoms that no training has seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ModelError
from ...models import Models, load_models
from ...types import LAYERS, REGIONS
from ..effects import Effect
from ..plan import plan_cohort
from ..render import PhantomScan, render
from ..spec import ScanSpec
from .data import both_images, grid_labels, model_image
from .packaging import set_card
from .reading import Reader, Reading, SegmenterReader, auc

COMMAND = "python -m layer_fast.phantom.train --card DIR"
FIRST_SEED = 88000  # held-out cohorts: seeds 88000, 88001, ...
COHORTS = 12
SUBJECTS = 24
EXPLAINED = 6  # case and control subjects a cohort that are explained
BMODE_DB, SWE_RELATIVE = 5.0, 0.35
THICK = ("superficial_fat", "deep_fat", "muscle")
Progress = Callable[[str], None]

# Rendered together, read apart: (layer planted in B-mode, layer planted in shear wave).
PLANTED = (
    ("muscle", "muscle"),
    ("deep_fat", "deep_fat"),
    ("deep_fascial_membrane", "superficial_fat"),
    ("superficial_fat", None),
)


@dataclass
class Tally:
    """What the cohorts showed of one classifier and one planted effect."""

    aucs: list[float] = field(default_factory=list)
    shapley_top: list[bool] = field(default_factory=list)
    cam_mean_top: list[bool] = field(default_factory=list)
    cam_sum_top: list[bool] = field(default_factory=list)


@dataclass(frozen=True)
class Subject:
    """One held-out scan: image (2, z, y, x) and labels on the classifier's grid."""

    image: NDArray[np.float32]
    labels: NDArray[np.uint8]


@dataclass
class Bench:
    """What is measured, and what has been found so far."""

    readers: dict[str, Reader]
    segmenter: SegmenterReader
    explained: int
    tallies: dict[tuple[str, str], Tally] = field(default_factory=dict)
    overlaps: list[NDArray[np.float64]] = field(default_factory=list)

    def subject(self, scan: PhantomScan) -> Subject:
        """The scan on the classifiers' grid, which is one for all."""
        grid = next(iter(self.readers.values())).package.manifest.grid_for(scan.spec.shape)
        return Subject(both_images(scan, grid), grid_labels(scan.labels, grid))

    def tally(self, setup: str, name: str) -> Tally:
        return self.tallies.setdefault((setup, name), Tally())


@dataclass(frozen=True)
class Cohort:
    """One held-out cohort without effect, and what each classifier says of its controls."""

    specs: list[ScanSpec]
    plain: list[Subject]
    case: list[int]
    margins: dict[str, list[float]]
    readings: dict[str, list[Reading]]


def measure(
    models: Models, *, cohorts: int = COHORTS, explained: int = EXPLAINED, progress: Progress = print
) -> dict[str, dict[str, dict[str, Any]]]:
    """Cards by package ("segmenter", "classifier_bmode", ...): figure name -> value, subjects, command, note."""
    if models.segmenter is None:
        raise ModelError("card: expected a segmenter among the packages, found none")
    readers = {setup: Reader(members[0]) for setup, members in models.classifiers.items()}
    bench = Bench(readers, SegmenterReader(models.segmenter), explained)
    for i in range(cohorts):
        cohort = _without_effect(FIRST_SEED + i, bench)
        for bmode_layer, swe_layer in PLANTED:
            _with_effect(cohort, bmode_layer, swe_layer, bench)
        progress(f"model card: held-out cohort {i + 1} of {cohorts}")
    cards = {"segmenter": _segmenter_card(bench.overlaps)}
    for setup in readers:
        cards[f"classifier_{setup}"] = _classifier_card(setup, bench, cohorts)
    return cards


def _without_effect(seed: int, bench: Bench) -> Cohort:
    specs = plan_cohort(subjects=SUBJECTS, scans_per_subject=1, seed=seed)
    plain = []
    for spec in specs:
        scan = render(spec)  # no effect is planned: nobody differs yet, whatever the label
        plain.append(bench.subject(scan))
        bench.overlaps.append(_overlap(bench.segmenter, scan))
    case = [i for i, spec in enumerate(specs) if spec.is_case]
    control = [i for i, spec in enumerate(specs) if not spec.is_case]
    margins, readings = {}, {}
    for setup, reader in bench.readers.items():
        every = [reader.margin(subject.image) for subject in plain]
        margins[setup] = [every[i] for i in control]
        bench.tally(setup, "effect_removed").aucs.append(auc([every[i] for i in case], margins[setup]))
        readings[setup] = [reader.read(plain[i].image, plain[i].labels) for i in control[: bench.explained]]
    return Cohort(specs, plain, case, margins, readings)


def _with_effect(cohort: Cohort, bmode_layer: str, swe_layer: str | None, bench: Bench) -> None:
    """Render the cases with both effects, then show each classifier one modality's effect at a time."""
    effects = [Effect(bmode_layer, "bmode", "mean", BMODE_DB)]
    if swe_layer is not None:
        effects.append(Effect(swe_layer, "swe", "mean", SWE_RELATIVE))
    scans = [render(replace(cohort.specs[i], effects=tuple(effects))) for i in cohort.case]
    images = [bench.subject(scan).image for scan in scans]
    bench.overlaps.append(_overlap(bench.segmenter, scans[0]))
    for modality, layer in (("bmode", bmode_layer), ("swe", swe_layer)):
        if layer is None:
            continue
        pairs = zip(cohort.case, images, strict=True)
        shown = [_only(modality, cohort.plain[i], image) for i, image in pairs]
        for setup, reader in bench.readers.items():
            if setup in (modality, "both"):
                tally = bench.tally(setup, f"{modality}_{layer}")
                tally.aucs.append(auc([reader.margin(s.image) for s in shown], cohort.margins[setup]))
                found = [reader.read(s.image, s.labels) for s in shown[: bench.explained]]
                _judge(tally, found, cohort.readings[setup], LAYERS.index(layer) + 1)


def _only(modality: str, plain: Subject, planted: NDArray[np.float32]) -> Subject:
    """The effect in one modality only; the other is the subject's own without effect."""
    channel = ("bmode", "swe").index(modality)
    image = plain.image.copy()
    image[channel] = planted[channel]
    return Subject(image, plain.labels)


def _judge(tally: Tally, cases: list[Reading], controls: list[Reading], layer: int) -> None:
    def first(name: str) -> bool:
        contrast = np.mean([getattr(r, name) for r in cases], 0) - np.mean([getattr(r, name) for r in controls], 0)
        return int(contrast.argmax()) == layer

    if cases and controls:
        tally.shapley_top.append(first("shapley"))
        tally.cam_mean_top.append(first("cam_mean"))
        tally.cam_sum_top.append(first("cam_sum"))


def _overlap(segmenter: SegmenterReader, scan: PhantomScan) -> NDArray[np.float64]:
    """Dice of each label (7,) on the scan's grid."""
    truth = scan.labels
    grid = segmenter.package.manifest.grid_for(scan.spec.shape)
    found = segmenter.labels(model_image(scan.bmode, "bmode", grid), scan.spec.shape)
    counts = [(found == k, truth == k) for k in range(len(REGIONS))]
    return np.array([2.0 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b)) for a, b in counts])


def _figure(value: float | np.floating[Any], subjects: int, note: str) -> dict[str, Any]:
    return {"value": round(float(value), 4), "subjects": subjects, "command": COMMAND, "note": note}


def _segmenter_card(overlaps: list[NDArray[np.float64]]) -> dict[str, dict[str, Any]]:
    table = np.array(overlaps)
    return {
        f"dice_{name}": _figure(table[:, k].mean(), len(table), f"mean over scans; lowest {table[:, k].min():.3f}")
        for k, name in enumerate(REGIONS)
        if k > 0
    }


def _classifier_card(setup: str, bench: Bench, cohorts: int) -> dict[str, dict[str, Any]]:
    card = {}
    for (owner, name), tally in bench.tallies.items():
        if owner != setup:
            continue
        size = f"{BMODE_DB:g} dB" if name.startswith("bmode") else f"+{100 * SWE_RELATIVE:g} % speed"
        planted = "no effect" if name == "effect_removed" else f"planted {size}"
        note = (
            f"{planted}; {cohorts} cohorts of {SUBJECTS}, lowest {min(tally.aucs):.3f}, highest {max(tally.aucs):.3f}"
        )
        card[f"auc_{name}"] = _figure(np.mean(tally.aucs), cohorts * SUBJECTS, note)
        if tally.shapley_top:
            note = f"share of {cohorts} cohorts whose largest class contrast lies in the planted layer"
            people = cohorts * 2 * bench.explained
            card[f"shapley_top_{name}"] = _figure(np.mean(tally.shapley_top), people, note)
            if name.split("_", 1)[1] in THICK:
                card[f"gradcam_mean_top_{name}"] = _figure(np.mean(tally.cam_mean_top), people, note)
                card[f"gradcam_sum_top_{name}"] = _figure(np.mean(tally.cam_sum_top), people, note)
    return card


def write_cards(folder: Path, cohorts: int, progress: Progress = print) -> None:
    """Measure the packages in `folder` and write the figures into their manifests; prints them as a table."""
    for name, card in measure(load_models(folder), cohorts=cohorts, progress=progress).items():
        set_card(folder / name, card)
        for figure, entry in card.items():
            print(f"{name:18s} {figure:44s} {entry['value']:7.3f}  {entry['note']}")
