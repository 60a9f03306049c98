"""Why an engine cannot run here: one sentence each, with what to type."""

from __future__ import annotations

import re
from typing import Any

from ..errors import DeviceError, EngineError

SENTENCES = {
    "no_driver": "no NVIDIA driver on this machine (there is no libcuda.so.1); install the driver, then try nvidia-smi",
    "no_gpu": "the NVIDIA driver shows no GPU ({why}); try nvidia-smi, and look at CUDA_VISIBLE_DEVICES",
    "no_library": "TensorRT is not installed; pip install 'layer_fast[tensorrt]', or pip install tensorrt",
    "broken_library": "{module} is installed and cannot be loaded ({why}); pip install --force-reinstall {package}",
    "old_library": "TensorRT {version} is too old, {oldest} is the oldest; pip install --upgrade tensorrt",
    "no_arrays": "device memory comes from CuPy or from a PyTorch with CUDA, and neither is usable ({why}); "
                 "pip install 'layer_fast[gpu]'",
    "torch_without_cuda": "this PyTorch finds no CUDA device ({why}); take a CUDA build, see pytorch.org/get-started",
    "no_provider": "this ONNX Runtime has no CUDAExecutionProvider (it has {why}); pip install onnxruntime-gpu",
    "provider_failed": "ONNX Runtime could not start its CUDAExecutionProvider and would compute on the CPU; "
                       "install the CUDA and cuDNN that onnxruntime-gpu asks for",
    "unsupported_capability": "{library} {version} does not run on compute capability {capability} ({gpu}): {why}; "
                              "take --engine torch --device cuda",
    "old_driver": "the NVIDIA driver serves CUDA {cuda}, which is too old for {library} {version}: {why}; update the "
                  "driver, or install an older {library}",
    "out_of_memory": "{label}: not enough GPU memory to {what} ({why}); lower scan_batch and coalition_batch in "
                     "the file of --config, or free the GPU (nvidia-smi shows who holds it)",
}  # fmt: skip
"""code -> sentence: what is wrong; what to type."""

_SIGNS = (
    (
        "out_of_memory",
        r"out ?of ?memory|cudaErrorMemoryAllocation|INSUFFICIENT_GPU_MEMORY|failed to allocate|"
        r"ALLOC_FAILED",
    ),
    ("old_driver", r"driver version is insufficient|OLD_CUDA_DRIVER|OLD_CUDA_RUNTIME|unsupported toolchain"),
    ("unsupported_capability", r"UNSUPPORTED_CC|compute capability|no kernel image|for Turing|unsupported (?:SM|GPU)"),
)


class Unusable(EngineError):
    """An engine cannot run on this machine. code: a key of SENTENCES; facts: what the sentence names."""

    def __init__(self, code: str, **facts: object) -> None:
        super().__init__(SENTENCES[code].format(**facts))
        self.code, self._facts = code, facts

    def __reduce__(self) -> tuple[Any, ...]:
        """An exception is copied, and sent from a worker process, by the arguments that it was made with."""
        return _unusable, (self.code, self._facts)


class DeviceFull(EngineError, DeviceError):
    """The GPU has no memory left for this batch: a smaller one may fit."""

    code = "out_of_memory"

    def __init__(self, label: str, what: str, why: str) -> None:
        super().__init__(SENTENCES["out_of_memory"].format(label=label, what=what, why=why))
        self._made_with = label, what, why

    def __reduce__(self) -> tuple[Any, ...]:
        return DeviceFull, self._made_with


def _unusable(code: str, facts: dict[str, object]) -> Unusable:
    return Unusable(code, **facts)


def sign_of(text: str) -> str:
    """The code that a library's own words point to, "" where they point to none."""
    return next((code for code, words in _SIGNS if re.search(words, text, re.I)), "")


def says_full(error: BaseException) -> bool:
    """Whether an error says that there is no memory left: by its class or, as of a native operation or of CUDA under a
    library, by its words."""
    named = isinstance(error, MemoryError | DeviceFull)
    return named or (isinstance(error, EngineError | RuntimeError) and sign_of(str(error)) == "out_of_memory")


def short(text: object, limit: int = 300) -> str:
    """One line of at most `limit` characters."""
    return " ".join(str(text).split())[:limit]
