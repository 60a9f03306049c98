"""What docs/guides/export.md tells a reader to type works as it stands there."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

import tiny
from export import small
from layer_fast.cli import main
from layer_fast.export.fields import Fields, read_fields
from layer_fast.models import load_package

torch = pytest.importorskip("torch", reason="the guide exports from torch")
pytest.importorskip("onnxscript", reason="torch.onnx needs onnxscript")
pytest.importorskip("captum", reason="the guide compares with Captum")
pytest.importorskip("monai", reason="the guide takes a network of MONAI")
import onnx  # noqa: E402

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "guides" / "export.md").read_text()


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", GUIDE, flags=re.S)


def commands() -> list[list[str]]:
    return [shlex.split(line) for block in blocks("sh") for line in block.replace("\\\n", " ").splitlines()]


def test_the_guide_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One torch export: the Python lines and the ONNX route take up the graph that the command made."""
    torch.set_num_threads(1)
    monkeypatch.chdir(tmp_path)
    for text in blocks("yaml"):
        Path(text.splitlines()[0].removeprefix("# ")).write_text(text)
    stand_in(tmp_path)
    exported, info_onnx, from_onnx, info, run = commands()
    assert [c[1] for c in (exported, info_onnx, from_onnx, info, run)] == ["export", "info", "export", "info", "run"]
    assert main(exported[1:]) == 0
    package = load_package("packages/resnet10")
    assert package.manifest.parity["gradcam_vs_captum_cosine"].value > 0.999
    assert package.fill_profile is not None

    Path("classifier.onnx").write_bytes(package.model_bytes)
    assert main(info_onnx[1:]) == 0
    assert main(from_onnx[1:]) == 0
    assert load_package("packages/from_onnx").model_bytes == package.model_bytes

    from layer_fast.export import torch_export

    monkeypatch.setattr(torch_export, "to_onnx", lambda network, shape, say: package.model)
    monkeypatch.setattr("monai.networks.nets.resnet10", lambda **arguments: trained())
    names: dict[str, Any] = {}
    exec(blocks("python")[0], names)  # noqa: S102  (the guide is ours)
    assert set(names["package"].manifest.graphs) == {"gradcam"}
    assert main(info[1:]) == 0
    assert main(run[1:]) in (0, 3)  # 3: the stand-in scans have another field of view than the guide's network
    assert {r["status"] for r in records()} == {"ok_degraded"}


def test_the_python_lines_take_a_network_without_a_module_for_its_relu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Captum then has nothing to hook: its figures are absent, as the guide says."""

    class Net(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = torch.nn.Conv3d(1, 3, 3, padding=1), torch.nn.Linear(3, 2)

        def forward(self, x: Any) -> Any:
            return self.head(torch.nn.functional.relu(self.conv(x)).mean((2, 3, 4)))

    torch.set_num_threads(1)
    monkeypatch.chdir(tmp_path)
    Path("fields.yaml").write_text(blocks("yaml")[0])
    monkeypatch.setattr("monai.networks.nets.resnet10", lambda **arguments: Net().eval())
    names: dict[str, Any] = {}
    exec(blocks("python")[0], names)  # noqa: S102  (the guide is ours)
    assert "gradcam" in names["package"].manifest.graphs
    assert not any("captum" in name for name in names["package"].manifest.parity)
    assert "logits_vs_torch_relative " in capsys.readouterr().out


def stand_in(folder: Path) -> None:
    """The reader's own weights and scans."""
    from safetensors.torch import save_file

    save_file(trained().state_dict(), folder / "weights.safetensors")
    tiny.write_cohort(folder / "training", 4, masks=True)
    tiny.write_cohort(folder / "cohort", 2, masks=True)


def trained() -> Any:
    from monai.networks.nets import resnet

    torch.manual_seed(0)
    return resnet.resnet10(spatial_dims=3, n_input_channels=1, num_classes=2, widen_factor=0.25).eval()


def records() -> list[dict[str, Any]]:
    import pyarrow.parquet

    return list(pyarrow.parquet.read_table("results/scans.parquet").to_pylist())


def test_every_key_is_explained() -> None:
    for key in Fields.model_fields:
        assert re.search(rf"(?m)^{key}:|`{key}[`:]", GUIDE), key


def test_the_fields_of_the_guide_fit_an_onnx_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "fields.yaml"
    path.write_text(blocks("yaml")[0])
    assert read_fields(path).grid == [12, 32, 16]
    onnx.save(small.classifier(sizes=(12, 32, 16)), tmp_path / "classifier.onnx")
    command = ["export", str(tmp_path / "classifier.onnx"), "--manifest", str(path), "--out", str(tmp_path / "out")]
    assert main([*command, "--graphs", "gradcam", "hirescam", "--json"]) == 0
    streams = capsys.readouterr()
    assert set(json.loads(streams.out)["graphs"]) == {"gradcam", "hirescam"}
    assert "activation: 'features'" in streams.err
    assert main(command) == 1
    assert "expected a new or empty folder" in capsys.readouterr().err
