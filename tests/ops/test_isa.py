"""Every instruction set this machine can run gives the same bytes, and the choice among them can be forced."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from layer_fast.ops import build_info

ROOT = Path(__file__).resolve().parents[2]
DIGEST = Path(__file__).with_name("isa_digest.py")
OBJECTS = sorted(ROOT.glob("build/*/cpp/kernels/CMakeFiles/kernels_*.dir/*.o"))


def run(isa: str, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LAYER_FAST_ISA": isa}
    return subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True)


def test_bytes_do_not_depend_on_the_instruction_set() -> None:
    digests = {isa: run(isa, str(DIGEST)) for isa in build_info()["isas"]}
    assert all(done.returncode == 0 for done in digests.values()), digests
    texts = {isa: done.stdout for isa, done in digests.items()}
    assert len(next(iter(texts.values())).splitlines()) > 30
    first = next(iter(texts.values())).splitlines()
    for isa, text in texts.items():
        assert text.splitlines() == first, isa


@pytest.mark.parametrize("isa", build_info()["isas"])
def test_the_environment_forces_a_variant(isa: str) -> None:
    code = "from layer_fast.ops import build_info; print(build_info()['isa'])"
    assert run(isa, "-c", code).stdout.strip() == isa


@pytest.mark.parametrize("isa", ["x86-64-v9", "avx2", "V3"])
def test_a_variant_that_is_not_there_is_refused_at_first_use(isa: str) -> None:
    code = (
        "import numpy as np, layer_fast as lf\n"
        "for _ in range(2):\n"
        "    try:\n"
        "        lf.resample(np.zeros((2, 2, 2), np.float32), (1, 1, 1))\n"
        "    except ValueError as error:\n"
        "        print(error)\n"
    )
    lines = run(isa, "-c", code).stdout.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("[isa] expected LAYER_FAST_ISA to be what this build has") for line in lines)
    assert all(f"got '{isa}'" in line for line in lines)


@pytest.mark.skipif(not OBJECTS, reason="no kernel objects in this checkout; every build checks its own")
@pytest.mark.skipif(shutil.which("nm") is None, reason="nm is not installed")
def test_kernel_objects_export_no_weak_symbol() -> None:
    """A weak function of an AVX2 object could be the one that the linker takes for every caller."""
    for path in OBJECTS:
        symbols = subprocess.check_output(["nm", "-C", "--defined-only", path], text=True)
        kinds = {line.split()[1] for line in symbols.splitlines() if len(line.split()) > 2}
        assert kinds <= set("tTrRdDbB"), f"{path}: {symbols}"
