"""From torch modules to packages. One export serves most tests: torch.onnx.export takes seconds."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import layer_fast as lf
import tolerances
from export import small
from layer_fast.errors import ConfigError, ModelError
from layer_fast.models import ModelPackage

torch = pytest.importorskip("torch", reason="the torch route needs the extra [torch]")
pytest.importorskip("onnxscript", reason="torch.onnx needs onnxscript")
pytest.importorskip("captum", reason="Captum is the reference of Grad-CAM")
from export import brought  # noqa: E402  (imports torch)
from layer_fast.export import networks, torch_export, torch_route  # noqa: E402

FIELDS = small.fields(grid=list(small.GRID))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelPackage, list[str]]:
    torch.set_num_threads(1)
    said: list[str] = []
    net = brought.make().train()
    package = lf.export_torch(net, FIELDS, tmp_path_factory.mktemp("torch") / "out", say=said.append)
    assert net.training and net.stem[2].inplace, "the module that was given has been changed"
    return package, said


@pytest.fixture
def no_export(monkeypatch: pytest.MonkeyPatch, exported: tuple[ModelPackage, list[str]]) -> None:
    """torch.onnx.export answers with the graph that is there already."""
    monkeypatch.setattr(torch_export, "to_onnx", lambda network, shape, say: exported[0].model)


def test_figures_against_torch_and_captum(exported: tuple[ModelPackage, list[str]]) -> None:
    package, said = exported
    parity = package.manifest.parity
    assert set(parity) == {
        "gradient_vs_finite_differences", "logits_vs_torch_max_abs", "logits_vs_torch_relative",
        "gradient_vs_torch_l2", "gradient_vs_torch_cosine", "gradcam_vs_captum_l2", "gradcam_vs_captum_cosine",
    }  # fmt: skip
    assert parity["logits_vs_torch_relative"].value < tolerances.NET_FORWARD
    assert parity["gradient_vs_torch_l2"].value < tolerances.NET_KINKED
    assert parity["gradcam_vs_captum_l2"].value < tolerances.NET_KINKED
    assert parity["gradcam_vs_captum_cosine"].value > tolerances.NET_COSINE
    assert torch.__version__ in parity["gradient_vs_torch_l2"].against and parity["gradient_vs_torch_l2"].inputs == 4
    assert "module body" in parity["gradcam_vs_captum_l2"].note
    assert any("took the first of its 2 results" in line for line in said)
    assert any("Grad-CAM against Captum at 'body'" in line for line in said)


def test_the_graph_is_the_network_in_evaluation_mode(exported: tuple[ModelPackage, list[str]]) -> None:
    image = np.random.default_rng(0).random((3, 1, *small.GRID), np.float32)
    session = onnxruntime.InferenceSession(exported[0].model_bytes, providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected = brought.make().eval()(torch.from_numpy(image))[0].numpy()
    np.testing.assert_allclose(
        session.run(None, {"image": image})[0], expected, rtol=tolerances.ENGINE_RTOL, atol=tolerances.ENGINE_ATOL
    )


@pytest.mark.usefixtures("no_export")
def test_a_graph_that_is_not_the_network_is_refused(tmp_path: Path) -> None:
    net = brought.make()
    net.head.bias.data += 1e-2
    with pytest.raises(ModelError, match=r"within 0\.0001 of torch.*nothing was written"):
        lf.export_torch(net, FIELDS, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def save(path: Path, kind: str) -> Path:
    state = brought.make().state_dict()
    if kind == "safetensors":
        from safetensors.torch import save_file

        save_file(state, path.with_suffix(".safetensors"))
        return path.with_suffix(".safetensors")
    if kind == "wrapped":
        state = {"epoch": 3, "state_dict": {f"module.{k}": v for k, v in state.items()}}
    if kind == "half":
        state = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    torch.save(state, path.with_suffix(".pt"))
    return path.with_suffix(".pt")


@pytest.mark.parametrize(
    ("kind", "said"),
    [("plain", ""), ("safetensors", ""), ("wrapped", "from 'state_dict' prefix 'module.' stripped"),
     ("half", "weights of torch.float16 are used in float32")],
)  # fmt: skip
def test_weights(tmp_path: Path, kind: str, said: str) -> None:
    net = brought.Net()
    assert said in " ".join(networks.load_weights(net, save(tmp_path / "w", kind)))
    wanted = brought.make().state_dict()
    for key, value in net.state_dict().items():
        expected = wanted[key].half().float() if kind == "half" and value.is_floating_point() else wanted[key]
        assert torch.equal(value, expected), key


class Trap:
    """Runs code where a pickle is opened without care."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.folder),))


def test_weights_that_are_refused(tmp_path: Path) -> None:
    path, net = tmp_path / "w.pt", brought.Net()
    torch.save({"a": Trap(tmp_path / "trapped")}, path)
    with pytest.raises(ModelError, match="expected tensors only"):
        networks.load_weights(net, path)
    assert not (tmp_path / "trapped").exists()
    state = brought.make().state_dict()
    cases = [
        ({k: v for k, v in state.items() if k != "head.bias"}, r"1 missing \['head.bias'\], 0 that it does not have"),
        ({**state, "more": state["head.bias"]}, r"0 missing \[\], 1 that it does not have \['more'\]"),
        ({**state, "head.bias": torch.zeros(3)}, r"head.bias: expected shape \(2,\), found \(3,\)"),
        ({**state, "head.bias": torch.full((2,), torch.nan)}, "head.bias: expected finite numbers"),
        ([1, 2], "expected a mapping of names to tensors"),
    ]
    for content, message in cases:
        torch.save(content, path)
        with pytest.raises(ModelError, match=message):
            networks.load_weights(net, path)
    for name, message in (("w.npz", "expected weights as .safetensors"), ("absent.pt", "absent.pt: expected"),
                          ("absent.safetensors", "expected a safetensors file")):  # fmt: skip
        with pytest.raises(ModelError, match=message):
            networks.load_weights(net, tmp_path / name)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("Net", {}, "expected package.module.callable"),
        ("export.brought.absent", {}, "expected something to call, found NoneType"),
        ("no_such_package.net", {}, "cannot be imported.*PYTHONPATH"),
        ("export.brought.make", {"colour": 1}, "expected arguments it takes"),
        ("export.brought.not_a_network", {}, "expected a torch.nn.Module, found int"),
    ],
)
def test_networks_by_name(name: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        networks.make_network(name, arguments)


@pytest.mark.usefixtures("no_export")
def test_by_name_with_weights_from_a_file(tmp_path: Path, exported: tuple[ModelPackage, list[str]]) -> None:
    arguments = tmp_path / "args.yaml"
    arguments.write_text("channels: 1\n")
    said: list[str] = []
    package = torch_route.export_network(
        "export.brought.Net", FIELDS, tmp_path / "out", arguments=arguments, weights=save(tmp_path / "w", "wrapped"),
        random_weights=False, say=said.append,
    )  # fmt: skip
    assert package.model_bytes == exported[0].model_bytes
    for weights, flag, found in ((None, False, "neither"), ("w.pt", True, "both")):
        with pytest.raises(ConfigError, match=f"--random-weights.*found {found}"):
            torch_route.export_network("export.brought.Net", FIELDS, tmp_path / "two", arguments=None,
                                       weights=weights, random_weights=flag, say=said.append)  # fmt: skip


@pytest.mark.usefixtures("no_export")
def test_random_weights_are_said_in_the_manifest(tmp_path: Path) -> None:
    package = torch_route.export_network(
        "export.brought.make", FIELDS, tmp_path / "out", arguments=None, weights=None, random_weights=True, say=print
    )
    assert package.manifest.training_data.startswith("Random weights, never trained.")
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["parity"]["logits_vs_torch_relative"]


def test_the_input_shape_must_be_known(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="grid: expected a number along every axis"):
        lf.export_torch(brought.make(), small.fields(), tmp_path / "out")


def test_a_network_that_does_not_take_the_input(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"opset 18, input .batch, 1, 4, 28, 8.. failed: .*channels"):
        lf.export_torch(brought.make(channels=2), FIELDS, tmp_path / "out")
    for shape, message in (((2, *small.GRID), "input_shape has 2 input channels"), ((1, 4, 28, 9), "input_shape has 9"),
                           ((1, 4), "input_shape: expected")):  # fmt: skip
        with pytest.raises(ConfigError, match=message):
            lf.export_torch(brought.make(), FIELDS, tmp_path / "out", input_shape=shape)
