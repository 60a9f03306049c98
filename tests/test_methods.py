"""Every map method through the whole flow, held against the tiny classifier worked out by hand in float64."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

import layer_fast as lf
import tiny
import tolerances
from layer_fast.config import GRADIENT_METHODS, METHODS
from layer_fast.errors import ConfigError, ModelError
from layer_fast.types import REGIONS

CHANNELS = 2
Wide = NDArray[np.float64]


def weights() -> dict[str, Wide]:
    return {name: w.astype(np.float32).astype(np.float64) for name, w in tiny.classifier_weights(CHANNELS).items()}


def image() -> Wide:
    speed = np.where(np.isnan(tiny.swe(0)), 2.0, tiny.swe(0))
    return np.stack([tiny.bmode(0) / 255.0, speed / 8.0]).astype(np.float32).astype(np.float64)


def activation(x: Wide) -> Wide:
    w = weights()
    parts = [sum(ndimage.correlate(x[c], k[c], mode="constant") for c in range(CHANNELS)) for k in w["w"]]
    return np.maximum(np.stack(parts)[:, :, ::2, ::2] + w["b"][:, None, None, None], 0)


def logits(x: Wide) -> Wide:
    return activation(x).mean(axis=(1, 2, 3)) @ weights()["fc"]


def gradient(x: Wide, kind: str = "margin") -> Wide:
    """d(target) / d(image), back through mean, ReLU and the strided correlation."""
    w, found = weights(), activation(x)
    probability = 1 / (1 + np.exp(logits(x)[0] - logits(x)[1]))
    slope = {"margin": 1.0, "probability": probability * (1 - probability)}.get(kind, 0.0)
    per_class = np.array([0.0, 1.0]) if kind == "logit" else slope * np.array([-1.0, 1.0])
    per_feature = w["fc"] @ per_class / found[0].size
    out = np.zeros_like(x)
    for f, share in enumerate(per_feature):
        wide = np.zeros(x.shape[1:])
        wide[:, ::2, ::2] = share * (found[f] > 0)
        for c in range(CHANNELS):
            out[c] += ndimage.convolve(wide, w["w"][f, c], mode="constant")
    return out


def scan() -> lf.Scan:
    affine = np.diag([*tiny.SPACING, 1.0])
    volumes = {"bmode": lf.Volume(tiny.bmode(0), affine, tiny.SPACING, "bmode"),
               "swe": lf.Volume(tiny.swe(0), affine, tiny.SPACING, "swe")}  # fmt: skip
    return lf.Scan(lf.ScanRef("one", "p1", label="case"), volumes, {}, {"bmode": "0" * 64, "swe": "1" * 64})


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_models(tmp_path_factory.mktemp("models") / "tiny", ("both",))


def process(models: Path, **options: Any) -> dict[tuple[str, str, str], dict[str, Any]]:
    record = lf.Pipeline(models, {"methods": METHODS, "fills": ("cohort_profile",), **options}).process(scan())
    assert record.status == "ok", record.message
    return {(r["method"], r["channel"], f"{r['region_kind']}:{r['region']}"): r for r in record.layers}


@pytest.fixture(scope="module")
def rows(models: Path) -> dict[tuple[str, str, str], dict[str, Any]]:
    return process(models)


def total(rows: dict[tuple[str, str, str], dict[str, Any]], method: str, column: str) -> float:
    return sum(rows[method, "", f"{'layer' if k else 'background'}:{name}"][column] for k, name in enumerate(REGIONS))


def check(rows: dict[tuple[str, str, str], dict[str, Any]], method: str, values: Wide) -> None:
    """values (2, z, y, x): the rows of both channels and of their sum hold its statistics per layer."""
    stacks = {"": values.sum(axis=0), "bmode": values[0], "swe": values[1]}
    scale = float(np.abs(values).sum())
    for channel, one in stacks.items():
        for k, name in enumerate(REGIONS):
            row, inside = rows[method, channel, f"{'layer' if k else 'background'}:{name}"], one[tiny.labels() == k]
            expected = {"sum": inside.sum(), "sum_abs": np.abs(inside).sum(), "sum_pos": inside[inside > 0].sum()}
            found = {column: row[column] for column in expected}
            assert found == pytest.approx(expected, abs=tolerances.ENGINE_RTOL * scale), (channel, name)


def test_gradient_stays_signed(rows: Any) -> None:
    check(rows, "gradient", gradient(image()))
    assert min(row["min"] for key, row in rows.items() if key[0] == "gradient") < 0


def test_input_x_gradient(rows: Any) -> None:
    check(rows, "input_x_gradient", image() * gradient(image()))


@pytest.mark.parametrize("kind", ["logit", "probability"])
def test_other_targets(models: Path, kind: str) -> None:
    found = process(models, target=kind)
    check(found, "gradient", gradient(image(), kind))
    assert {row["target"] for row in found.values()} == {f"{kind}:case"}
    own = logits(image())
    (margin,) = {row["margin"] for row in found.values()}  # the margin column does not follow the target
    assert margin == pytest.approx(own[1] - own[0], rel=tolerances.ENGINE_RTOL)
    record = lf.Pipeline(models, {"methods": ("layer_shapley",), "fills": ("cohort_profile",)}).process(scan())
    values = {c["output"]: np.array(c["values"]) for c in record.coalitions}
    case, control = values["logit:case"], values["logit:control"]
    v = case if kind == "logit" else 1 / (1 + np.exp(control - case))
    assert total(found, "layer_shapley", "value") == pytest.approx(v[127] - v[0], abs=tolerances.ROUNDING)


def test_integrated_gradients_add_up(rows: Any) -> None:
    nodes, weight = np.polynomial.legendre.leggauss(32)
    mean = sum(w / 2 * gradient((1 + t) / 2 * image()) for t, w in zip(nodes, weight, strict=True))
    check(rows, "integrated_gradients", image() * mean)
    change = (logits(image()) - logits(np.zeros_like(image()))) @ [-1.0, 1.0]
    own = rows["integrated_gradients", "", "layer:muscle"]
    assert own["residual"] == pytest.approx(float((image() * mean).sum() - change), abs=tolerances.ENGINE_ATOL)
    assert own["fill"] == "zero" and rows["gradient", "", "layer:muscle"]["residual"] is None


def test_integrated_gradients_from_the_cohort_profile(models: Path) -> None:
    found = process(models, methods=("integrated_gradients",), ig_baseline="cohort_profile", ig_steps=128)
    phi = total(process(models, methods=("layer_shapley",)), "layer_shapley", "value")
    row = found["integrated_gradients", "", "layer:muscle"]
    assert row["fill"] == "cohort_profile"
    change = total(found, "integrated_gradients", "sum") - row["residual"]
    assert change == pytest.approx(phi, abs=tolerances.ENGINE_ATOL)  # both are v(all) - v(none)


def test_too_few_steps_are_flagged(models: Path) -> None:
    one = process(models, methods=("integrated_gradients",), ig_steps=1)["integrated_gradients", "", "layer:muscle"]
    many = process(models, methods=("integrated_gradients",), ig_steps=64)["integrated_gradients", "", "layer:muscle"]
    assert abs(many["residual"]) < abs(one["residual"])
    assert "ig_incomplete" not in many["flags"]
    assert "ig_incomplete" in one["flags"]
    change = logits(image()) - logits(np.zeros_like(image()))
    assert abs(one["residual"]) > 0.05 * abs(change[1] - change[0]) > abs(many["residual"])


def test_smoothgrad_is_the_mean_gradient_of_noisy_copies(models: Path) -> None:
    rng = np.random.Generator(np.random.Philox(20511))
    noise = rng.standard_normal((8, *image().shape), np.float32).astype(np.float64)
    found = process(models, methods=("smoothgrad",), smoothgrad_samples=8, smoothgrad_sigma=0.25)
    check(found, "smoothgrad", np.mean([gradient(image() + 0.25 * n) for n in noise], axis=0))


def test_hirescam_keeps_negative_values(rows: Any) -> None:
    found, w = activation(image()), weights()
    cam = np.tensordot((w["fc"][:, 1] - w["fc"][:, 0]) / found[0].size, found, 1)
    at = [np.clip((np.arange(n) + 0.5) * m / n - 0.5, 0, m - 1) for n, m in zip(tiny.GRID, cam.shape, strict=True)]
    full = ndimage.map_coordinates(cam, np.meshgrid(*at, indexing="ij"), order=1)
    for k, name in enumerate(REGIONS):
        row = rows["hirescam", "", f"{'layer' if k else 'background'}:{name}"]
        limit = tolerances.ENGINE_RTOL * np.abs(full).sum()
        assert row["sum"] == pytest.approx(full[tiny.labels() == k].sum(), abs=limit)


@pytest.mark.parametrize("memory_mb", [16, 4096])
def test_the_memory_budget_moves_low_bits_only(models: Path, rows: Any, memory_mb: int) -> None:
    found = process(models, methods=GRADIENT_METHODS, gradient_memory_mb=memory_mb)
    for key, row in found.items():
        assert row["sum"] == pytest.approx(rows[key]["sum"], rel=1e-3, abs=tolerances.ENGINE_ATOL), key


def test_what_a_package_cannot_do_is_refused_before_the_first_scan(models: Path, tmp_path: Path) -> None:
    import json

    bare = tiny.write_models(tmp_path / "bare", ("both",))
    file = bare / "both" / "manifest.json"
    manifest = json.loads(file.read_text())
    del manifest["fill_profile"], manifest["logit_sd_train"], manifest["cam_tensor"]
    del manifest["files"]["fill_profile.json"]
    file.write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match="layer_ablation, layer_shapley need a fill profile"):
        lf.Pipeline(bare)
    with pytest.raises(ModelError, match="gradcam needs cam_tensor"):
        lf.Pipeline(bare, {"methods": ("gradcam",)})
    with pytest.raises(ModelError, match="integrated_gradients from cohort_profile"):
        lf.Pipeline(bare, {"methods": ("integrated_gradients",), "ig_baseline": "cohort_profile"})
    assert lf.Pipeline(bare, {"methods": ("gradient",)}).process(scan()).status == "ok"
    with pytest.raises(ConfigError, match="unknown method 'gradients'"):
        lf.Pipeline(bare, {"methods": ("gradients",)})


def test_a_graph_that_cannot_be_differentiated_names_its_package(models: Path, tmp_path: Path) -> None:
    import hashlib
    import json
    import shutil

    import onnx

    folder = shutil.copytree(models, tmp_path / "new")
    file = folder / "both" / "model.onnx"
    model = onnx.load(file)
    model.opset_import[0].version = 22
    file.write_bytes(model.SerializeToString())
    manifest = json.loads((folder / "both" / "manifest.json").read_text())
    manifest["files"]["model.onnx"] = hashlib.sha256(file.read_bytes()).hexdigest()
    (folder / "both" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match=r"both: gradient: .*opset"):
        lf.Pipeline(folder, {"methods": ("gradient",)})
