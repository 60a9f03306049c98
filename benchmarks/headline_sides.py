"""The two sides of the headline workload. Each takes a file and gives a table per label, and says where its time went.

A side's `scan(path)` returns (seconds by stage, table). Stages are named "group: what"; the groups are the same on
both sides: read, prepare, segment, explain, measure.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

import headline_nets
from headline_nets import Workload

CLASS = 1
Stages = dict[str, float]
Table = dict[str, Any]


class Clock:
    """Seconds since the last stage, by name."""

    def __init__(self) -> None:
        self.stages: Stages = {}
        self._last = time.perf_counter()

    def done(self, stage: str) -> None:
        now = time.perf_counter()
        self.stages[stage] = now - self._last
        self._last = now


class Monai:
    """The script that users write: MONAI transforms and Grad-CAM, PyTorch eager, NumPy masks."""

    name = "MONAI + PyTorch"

    def __init__(self, work: Workload, folder: Path, threads: int) -> None:
        import torch
        from monai.transforms import LoadImage, NormalizeIntensity, Resize
        from monai.visualize import GradCAM

        torch.set_num_threads(threads)
        self.threads = threads
        self.size = work.scan[::-1]
        self.load = LoadImage(image_only=True, ensure_channel_first=True)
        self.resize = Resize(work.model[::-1], mode="trilinear", align_corners=False)
        self.normalize = NormalizeIntensity(nonzero=True)
        self.segmenter, self.classifier = map(headline_nets.transposed, headline_nets.torch_networks(work))
        # The map as it is, on the activation's grid, so that it is interpolated once, straight to the scan's.
        self.cam = GradCAM(self.classifier, "layer4", upsampler=lambda _: _same, postprocessing=_same)

    def scan(self, path: Path) -> tuple[Stages, Table]:
        import torch
        from torch.nn.functional import interpolate

        torch.set_num_threads(self.threads)
        linear = {"mode": "trilinear", "align_corners": False}
        clock = Clock()
        image = self.load(path)
        clock.done("read: LoadImage")
        image = self.resize(image)
        clock.done("prepare: Resize")
        image = self.normalize(image).as_tensor()[None]
        clock.done("prepare: NormalizeIntensity")
        with torch.inference_mode():
            logits = self.segmenter(image)
            clock.done("segment: UNet")
            score = self.classifier(image)
            clock.done("explain: resnet10")
        cam = self.cam(image, class_idx=CLASS)
        clock.done("explain: GradCAM")
        with torch.inference_mode():
            full = interpolate(cam.detach(), self.size, **linear)[0, 0].numpy()
            clock.done("measure: upsample map")
            labels = interpolate(logits, self.size, **linear)[0].argmax(0).to(torch.uint8).numpy()
            clock.done("measure: upsample logits, argmax")
        table = per_label(full, labels)
        clock.done("measure: numpy per label")
        return clock.stages, table | {"labels": labels.T, "score": score.numpy()[0]}

    def otherwise(self, path: Path) -> Stages:
        """Two stages as others write them, for the page's note: Spacing for Resize, labels by nearest neighbour."""
        import torch
        from monai.transforms import Spacing
        from torch.nn.functional import interpolate

        image = self.load(path)
        fine = headline_nets.SPACING_MM
        steps = [fine * n / m for n, m in zip(image.shape[1:], self.resize.spatial_size, strict=True)]
        clock = Clock()
        Spacing(steps)(image)
        clock.done("prepare: Spacing")
        logits = torch.zeros(1, 7, *self.resize.spatial_size)
        clock.done("")
        coarse = logits.argmax(1, keepdim=True).to(torch.uint8)
        interpolate(coarse, self.size, mode="nearest-exact")
        clock.done("measure: argmax, upsample labels by nearest")
        return {stage: seconds for stage, seconds in clock.stages.items() if stage}


class LayerFast:
    """The same through this library, in one engine."""

    def __init__(self, work: Workload, folder: Path, threads: int, engine: str, precision: str = "float32") -> None:
        import onnx

        import layer_fast as lf
        from layer_fast.engines import open_engine

        self.name = f"layer_fast, {engine}" + ("" if precision == "float32" else f" {precision}")
        self.threads = threads
        segmenter, classifier = headline_nets.graphs(work, folder)
        model = onnx.load(classifier)
        mapped = lf.graphs.gradcam(model, activation=lf.graphs.find_activations(model)[0], relu=True)
        options: dict[str, Any] = {"threads": threads, "precision": precision}
        self.segmenter = open_engine(engine, segmenter.read_bytes(), label="segmenter", **options)
        self.classifier = open_engine(engine, mapped.SerializeToString(), label="classifier", **options)
        self.cotangent = np.eye(headline_nets.CLASSES, dtype=np.float32)[[CLASS]]
        self.image = np.zeros((1, 1, *work.model), np.float32)
        self.resized = np.zeros(work.model, np.float32)
        self.labels = np.zeros(work.scan, np.uint8)

    def scan(self, path: Path) -> tuple[Stages, Table]:
        import layer_fast as lf

        at = {"threads": self.threads}
        clock = Clock()
        volume = lf.read(path)
        clock.done("read: read")
        lf.resample(volume.array, self.resized.shape, out=self.resized, **at)
        clock.done("prepare: resample")
        lf.normalize(self.resized, within="nonzero", out=self.image[0, 0], **at)
        np.copyto(self.image[0, 0], 0, where=self.resized == 0)  # MONAI leaves zeros alone
        clock.done("prepare: normalize")
        (logits,) = self.segmenter.run({"image": self.image}, ("logits",))
        clock.done("segment: segmenter")
        score, cam = self.classifier.run({"image": self.image, "cotangent": self.cotangent}, ("logits", "cam"))
        clock.done("explain: classifier with Grad-CAM")
        lf.argmax_resample(logits[0], self.labels.shape, out=self.labels, **at)
        clock.done("measure: argmax_resample")
        found = lf.layer_reduce(cam[0], self.labels, **at)
        table = {"count": found.count[0], "mean": found.mean()[0], "std": found.std()[0]}
        table |= {"min": found.min[0], "max": found.max[0]}
        clock.done("measure: layer_reduce")
        return clock.stages, table | {"labels": self.labels, "score": score[0]}


def _same(x: Any) -> Any:
    return x


def per_label(values: Any, labels: Any) -> Table:
    """What is written with masks; a label without voxels has a count of 0 and NaN."""
    rows = []
    for label in range(7):
        x = values[labels == label]
        rows.append((x.size, x.mean(), x.std(), x.min(), x.max()) if x.size else (0, *[np.nan] * 4))
    return dict(zip(("count", "mean", "std", "min", "max"), map(np.array, zip(*rows, strict=True)), strict=True))


def agreement(ours: Table, theirs: Table) -> dict[str, float]:
    """Part of the voxels whose labels agree; largest difference of each number and of the scores, relative to the
    largest of its kind (minima: to the map's largest value). A label that only one side has numbers of is infinitely
    far apart."""
    found = {"labels_agree": float(np.mean(ours["labels"] == theirs["labels"]))}
    for name in ("count", "mean", "std", "min", "max", "score"):
        a, b = (np.asarray(side[name], np.float64) for side in (ours, theirs))
        largest = np.abs(theirs["max" if name == "min" else name])
        known = np.isfinite(b)
        if np.array_equal(np.isfinite(a), known):
            found[name] = float(np.abs(a - b)[known].max(initial=0) / max(largest[known].max(initial=0), 1e-30))
        else:
            found[name] = float("inf")
    return found
