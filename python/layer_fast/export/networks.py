"""A network by its import name, with weights from a file that can hold nothing but numbers. Needs the extra [torch]."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, ModelError
from .extras import missing_extra

if TYPE_CHECKING:
    import torch

NESTS = ("state_dict", "model_state_dict", "model")  # where training scripts keep the weights in a checkpoint
SAFE_TORCH = (2, 6)  # before, weights_only=True could be made to run code (CVE-2025-32434)


def make_network(name: str, arguments: Mapping[str, Any]) -> torch.nn.Module:
    """Import `package.module.callable` and call it with keyword arguments: this runs the code behind the name.

    Raises ConfigError: no such name, arguments it does not take, a result that is no torch module.
    """
    import torch

    call = _imported(name)
    try:
        network = call(**arguments)
    except TypeError as error:
        raise ConfigError(f"network {name}: expected arguments it takes, found: {error}") from error
    if not isinstance(network, torch.nn.Module):
        raise ConfigError(f"network {name}: expected a torch.nn.Module, found {type(network).__name__}")
    return network


def _imported(name: str) -> Any:
    module, _, attribute = name.rpartition(".")
    if not module or not all(part.isidentifier() for part in name.split(".")):
        raise ConfigError(f"network: expected package.module.callable, found {name!r}")
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ImportError as error:
        raise ConfigError(f"network {name}: cannot be imported: {error} (a file of your own is found through "
                          f"PYTHONPATH)") from error  # fmt: skip
    if not callable(found):
        raise ConfigError(f"network {name}: expected something to call, found {type(found).__name__}")
    return found


def load_weights(network: torch.nn.Module, path: Path) -> list[str]:
    """Load a .safetensors file or a .pt/.pth state dict into the network, strictly; what had to be done, in words.

    A .pt file is opened with weights_only=True, which rebuilds tensors and refuses every other object. Floating
    weights of another precision become the network's. Raises ModelError.
    """
    import torch

    state, said = _read(path)
    own = network.state_dict()
    state, prefix = _without_prefix(state, own.keys())
    notes = [text for text in (said, prefix) if text]
    lost, foreign = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    if lost or foreign:
        raise ModelError(f"{path}: expected exactly the network's weights; {len(lost)} missing {lost[:3]}, "
                         f"{len(foreign)} that it does not have {foreign[:3]}")  # fmt: skip
    for key, value in state.items():
        if tuple(value.shape) != tuple(own[key].shape):
            raise ModelError(f"{path}: {key}: expected shape {tuple(own[key].shape)}, found {tuple(value.shape)}")
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise ModelError(f"{path}: {key}: expected finite numbers, found NaN or infinity")
    others = sorted({str(v.dtype) for k, v in state.items() if v.is_floating_point() and v.dtype != own[k].dtype})
    if others:
        notes.append(f"weights of {', '.join(others)} are used in float32")
    network.load_state_dict(state, strict=True)
    return notes


def _read(path: Path) -> tuple[dict[str, torch.Tensor], str]:
    import torch

    if path.suffix == ".safetensors":
        return _read_safetensors(path), ""
    if path.suffix not in (".pt", ".pth", ".ckpt", ".bin"):
        raise ModelError(f"{path}: expected weights as .safetensors, .pt or .pth, found {path.suffix!r}")
    if tuple(int(n) for n in torch.__version__.split(".")[:2]) < SAFE_TORCH:
        raise ModelError(f"{path}: expected torch 2.6 or newer for .pt files (older ones can be made to run code), "
                         f"found {torch.__version__}; save the weights as .safetensors")  # fmt: skip
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling raises many unrelated classes
        first = " ".join(str(error).split())[:200]
        raise ModelError(f"{path}: expected tensors only (torch.save of a state dict), found: {first}; save "
                         f"network.state_dict() as .safetensors") from error  # fmt: skip
    return _unwrapped(found, path)


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError:
        raise missing_extra("safetensors", "torch") from None
    try:
        return dict(load_file(path))
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: expected a safetensors file, found: {error}") from error


def _unwrapped(found: Any, path: Path) -> tuple[dict[str, torch.Tensor], str]:
    import torch

    said = []
    for nest in NESTS:
        if isinstance(found, Mapping) and isinstance(found.get(nest), Mapping):
            found = found[nest]
            said.append(f"weights taken from {nest!r}")
            break
    if not isinstance(found, Mapping) or not found or not all(isinstance(v, torch.Tensor) for v in found.values()):
        raise ModelError(f"{path}: expected a mapping of names to tensors (also under {', '.join(NESTS)}), found "
                         f"{type(found).__name__}")  # fmt: skip
    return dict(found), "; ".join(said)


def _without_prefix(state: dict[str, torch.Tensor], own: Collection[str]) -> tuple[dict[str, torch.Tensor], str]:
    """Wrappers (DataParallel, compile, Lightning) put one word before every name: it goes where that fits exactly."""
    prefix = ""
    names = list(state)
    while set(names) != set(own) and names:
        first = names[0].partition(".")[0] + "."
        if not all(name.startswith(first) for name in names):
            return state, ""
        names = [name.removeprefix(first) for name in names]
        prefix += first
    if not prefix or not names:
        return state, ""
    return {name.removeprefix(prefix): value for name, value in state.items()}, f"prefix {prefix!r} stripped"
