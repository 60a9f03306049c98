"""float32 on a GPU without rounding behind the user's back. torch's switches for it are those of the whole process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

_lock = threading.Lock()
_inside = 0
_before = ExitStack()  # what puts the switches back as they were


@contextmanager
def exact() -> Iterator[None]:
    """Within it torch rounds no input of a float32 convolution or matrix product to 10 bits (TF32), and cuDNN takes the
    algorithms that give the same bytes again. Of several lanes the first sets the switches and the last puts them back:
    were they each to put back what they found, one would have the others compute with TF32."""
    global _inside
    with _lock:
        if _inside == 0:
            _set()
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _before.close()


def _set() -> None:
    _before.callback(torch.set_float32_matmul_precision, torch.get_float32_matmul_precision())
    torch.set_float32_matmul_precision("highest")
    _before.enter_context(
        torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
    )
