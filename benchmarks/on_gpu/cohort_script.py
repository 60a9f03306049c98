"""The script that users write today, on the same card: MONAI and Captum where both are, else the same work in PyTorch.

A script reads a scan, resizes and scales it, runs the two networks (same weights), takes Grad-CAM at the last stage,
brings logits and map to the scan's grid with `interpolate`, and measures each label with NumPy masks.
"""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

import headline_nets
from headline_nets import Workload
from headline_sides import per_label
from on_gpu import cohort_nets
from on_gpu.cohort_inputs import Folders, Settings

CLASS = 1
LINEAR = {"mode": "trilinear", "align_corners": False}
READERS = 8
VARIANTS = {
    "float32": "files one after the other, float32 without TF32",
    "default": "files one after the other, PyTorch's default precision (TF32 in convolutions)",
    "ahead": f"files read ahead by up to {READERS} threads, PyTorch's default precision (TF32 in convolutions)",
}


class Clock:
    """Seconds since the last stage, by name; waits for the device before it looks."""

    def __init__(self, device: str) -> None:
        self._device, self.stages = device, dict[str, float]()
        self._last = time.perf_counter()

    def done(self, stage: str) -> None:
        if self._device == "cuda":
            import torch

            torch.cuda.synchronize()
        now = time.perf_counter()
        self.stages[stage] = now - self._last
        self._last = now


class Plain:
    """PyTorch alone: nibabel, interpolate, a hook that keeps the last stage's activation, and its gradient from
    autograd: one forward gives score and map, and nothing below that stage is differentiated (in its favour)."""

    name = "PyTorch"

    def __init__(self, work: Workload, device: str) -> None:
        self.device, self.model, self.size = device, work.model, work.scan
        nets = cohort_nets.networks(work.channels, work.width)
        self.segmenter, self.classifier = (net.to(device) for net in nets)
        self._held: Any = None
        self.classifier.layer4.register_forward_hook(self._keep)

    def _keep(self, module: Any, given: Any, found: Any) -> None:
        self._held = found

    def load(self, path: Path) -> Any:
        """The file's voxels in memory."""
        import nibabel
        import torch

        return torch.from_numpy(np.asanyarray(nibabel.load(path).dataobj).T)[None]

    def prepare(self, volume: Any, clock: Clock) -> Any:
        import torch

        image = volume[None].to(self.device).float()
        clock.done("prepare: to the device")
        image = torch.nn.functional.interpolate(image, self.model, **LINEAR)
        clock.done("prepare: interpolate")
        image = (image / 255).clamp(0, 1)
        clock.done("prepare: scale")
        return image

    def explain(self, image: Any, clock: Clock) -> tuple[Any, Any]:
        """Logits (1, classes), and the map with negative values cut off, on the activation's grid."""
        import torch

        score = self.classifier(image)
        clock.done("explain: resnet10")
        (gradient,) = torch.autograd.grad(score[0, CLASS], self._held)
        cam = (gradient.mean((2, 3, 4), keepdim=True) * self._held).sum(1, keepdim=True).relu()
        clock.done("explain: Grad-CAM")
        return score, cam

    def measure(self, cam: Any, logits: Any, clock: Clock) -> dict[str, Any]:
        import torch
        from torch.nn.functional import interpolate

        with torch.inference_mode():
            full = interpolate(cam.detach(), self.size, **LINEAR)[0, 0].cpu().numpy()
            clock.done("measure: upsample map")
            labels = interpolate(logits, self.size, **LINEAR)[0].argmax(0).to(torch.uint8).cpu().numpy()
            clock.done("measure: upsample logits, argmax")
        table = per_label(full, labels)
        clock.done("measure: numpy per label")
        return table

    def scan(self, volume: Any, clock: Clock) -> dict[str, Any]:
        """(7,) count, mean, std, min, max, and the margin of the classes."""
        import torch

        image = self.prepare(volume, clock)
        with torch.inference_mode():
            logits = self.segmenter(image)
        clock.done("segment: UNet")
        score, cam = self.explain(image, clock)
        table = self.measure(cam, logits, clock)
        score = score.detach().cpu().numpy()[0]
        return table | {"margin": float(score[CLASS] - score[1 - CLASS])}


class Monai(Plain):
    """MONAI's transforms and networks, Captum's LayerGradCam, which runs a forward of its own. MONAI reads (x, y, z),
    so every kernel's axes are reversed and nobody copies to turn an axis."""

    name = "MONAI + Captum"

    def __init__(self, work: Workload, device: str) -> None:
        from captum.attr import LayerGradCam
        from monai.transforms import LoadImage, Resize, ScaleIntensityRange

        self.device, self.model, self.size = device, work.model[::-1], work.scan[::-1]
        ours = cohort_nets.networks(work.channels, work.width)
        theirs = headline_nets.torch_networks(work)
        nets = [headline_nets.transposed(cohort_nets.give_weights(a, b)) for a, b in zip(ours, theirs, strict=True)]
        self.segmenter, self.classifier = (net.to(device) for net in nets)
        self._load = LoadImage(image_only=True, ensure_channel_first=True)
        self._resize = Resize(self.model, mode="trilinear", align_corners=False)
        self._scale = ScaleIntensityRange(0, 255, 0, 1, clip=True)
        self._cam = LayerGradCam(self.classifier, self.classifier.layer4)

    def load(self, path: Path) -> Any:
        return self._load(path)

    def prepare(self, volume: Any, clock: Clock) -> Any:
        image = volume.to(self.device)
        clock.done("prepare: to the device")
        image = self._resize(image)
        clock.done("prepare: Resize")
        image = self._scale(image).as_tensor()[None]
        clock.done("prepare: ScaleIntensityRange")
        return image

    def explain(self, image: Any, clock: Clock) -> tuple[Any, Any]:
        import torch

        with torch.inference_mode():
            score = self.classifier(image)
        clock.done("explain: resnet10")
        cam = self._cam.attribute(image, target=CLASS, relu_attributions=True)
        clock.done("explain: LayerGradCam")
        return score, cam


def which(asked: str) -> tuple[type[Plain], str]:
    """The script of this machine, and why it is not MONAI's ("" where it is or was not asked for)."""
    if asked == "plain":
        return Plain, ""
    try:
        import captum.attr  # noqa: F401
        import monai.visualize  # noqa: F401
    except Exception as error:  # a broken installation raises anything
        if asked == "monai":
            raise SystemExit(f"--script monai: {type(error).__name__}: {error}") from error
        return Plain, f"MONAI and Captum are not both there ({type(error).__name__}: {error})"[:300]
    return Monai, ""


def variants(device: str) -> list[str]:
    """PyTorch has no TF32 on the CPU."""
    return [name for name in VARIANTS if device == "cuda" or name != "default"]


def run(settings: Settings, folders: Folders, variant: str, seconds: float) -> dict[str, Any]:
    """Go on with one variant for about so many seconds: by scan the seconds of its stages, all of it, its numbers."""
    import torch

    if settings.device == "cuda" and not torch.cuda.is_available():
        return {"refused": f"this PyTorch ({torch.__version__}) finds no CUDA device: there is nothing to compare with"}
    if variant == "float32":
        from on_gpu import engine_rivals

        engine_rivals.exact()
    made, why_not = which(settings.script)
    path = folders.run / f"script_{variant}.json"
    held = json.loads(path.read_text()) if path.exists() else {"scans": []}
    side, end = made(settings.work, settings.device), time.perf_counter() + seconds
    held |= {"name": side.name, "variant": VARIANTS[variant], "why_not_monai": why_not, "torch": torch.__version__}
    files = [_file(settings, folders, i) for i in range(settings.scans)]
    for _ in range(2):
        side.scan(side.load(files[0]), Clock(settings.device))  # nobody starts cold
    todo = files[len(held["scans"]) :]
    for stages, total, table in _scans(side, todo, settings.device, READERS if variant == "ahead" else 0):
        numbers = {name: np.asarray(value, np.float64).tolist() for name, value in table.items()}
        held["scans"].append({"stages": stages, "total": total, "numbers": numbers})
        if time.perf_counter() > end:
            break
    part = path.with_suffix(".part")
    part.write_text(json.dumps(held))
    part.replace(path)
    return {"scans": len(held["scans"])}


def _file(settings: Settings, folders: Folders, i: int) -> Path:
    """The file of row i of the cohort table."""
    return folders.scans(settings.work) / f"scan_{i % settings.files:04}.nii.gz"


def _scans(
    side: Plain, paths: Sequence[Path], device: str, readers: int
) -> Iterator[tuple[dict[str, float], float, dict[str, Any]]]:
    """(seconds by stage, seconds since the last scan, numbers) of every file. Where files are read ahead, the stage
    "read" is what was waited for."""
    threads = max(1, min(readers, len(os.sched_getaffinity(0))))
    waiting, source, last = deque[Any](), iter(paths), time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for path in paths:
                clock = Clock(device)
                while readers and len(waiting) < 2 * threads and (ahead := next(source, None)) is not None:
                    waiting.append(pool.submit(side.load, ahead))
                volume = waiting.popleft().result() if readers else side.load(path)
                clock.done("read: wait" if readers else "read: file")
                table = side.scan(volume, clock)
                now = time.perf_counter()
                yield clock.stages, now - last, table
                last = now
        finally:
            for future in waiting:
                future.cancel()
