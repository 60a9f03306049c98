"""The written contract against the code: random header fields, and every code in docs/input.md."""

from __future__ import annotations

import ast
import math
import re
from pathlib import Path
from typing import Any

import hostile
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import layer_fast.io
from layer_fast.errors import ReadError
from layer_fast.io import read

IO = Path(layer_fast.io.__file__).parent
DOC = Path(__file__).parents[2] / "docs" / "input.md"

small = st.integers(-2, 9)
short = st.one_of(small, st.integers(-(2**15), 2**15 - 1))
real = st.one_of(st.sampled_from([0.0, 1.0, -1.0, 0.6, 352.0, 368.0, 352.5]), st.floats(width=32))
CHANGES: dict[str, st.SearchStrategy[Any]] = {
    "sizeof_hdr": st.sampled_from([348, 348, 348, 540, 0, -348]),
    "dim": st.tuples(st.integers(-1, 9), *[st.one_of(st.sampled_from([1, 5, 6, 7]), short)] * 7),
    "datatype": st.one_of(st.sampled_from(list(hostile.CODES.values())), short),
    "bitpix": st.one_of(st.sampled_from([8, 16, 32, 64]), short),
    "vox_offset": real,
    "pixdim": st.tuples(*[real] * 8),
    "scl_inter": real,
    "qform_code": small,
    "sform_code": small,
    "quatern": st.tuples(real, real, real),
    "srow_x": st.tuples(real, real, real, real),
    "xyzt_units": st.integers(0, 255),
    "magic": st.sampled_from([b"n+1\0", b"n+1\0", b"ni1\0", b"\0\0\0\0"]),
}


def must_refuse(header: dict[str, Any], size: int) -> bool:
    """The fields whose rule is simple, as docs/input.md states them; geometry beyond finiteness is left open."""
    dim, pixdim, offset = header["dim"], header["pixdim"], header["vox_offset"]
    width = {code: int(kind[1]) for kind, code in hostile.CODES.items()}.get(header["datatype"], 0)
    if header["sizeof_hdr"] != 348 or header["magic"] != b"n+1\0" or not 3 <= dim[0] <= 7 or width == 0:
        return True
    used = dim[1 : dim[0] + 1]
    if min(used) < 1 or max(used[:3]) > 4096 or any(n != 1 for n in used[3:]) or header["bitpix"] != 8 * width:
        return True
    if not (math.isfinite(offset) and 352 <= offset <= 2**20 and offset == int(offset)):
        return True
    claimed = int(offset) + math.prod(used[:3]) * width
    geometry = [
        *(header["srow_x"] if header["sform_code"] else ()),
        *(header["quatern"] if header["qform_code"] else ()),
    ]
    return (
        not claimed <= size <= claimed + 4096
        or not all(math.isfinite(p) and p > 0 for p in pixdim[1:4])
        or not all(map(math.isfinite, geometry))
        or not 0 <= header["qform_code"] <= 5
        or not 0 <= header["sform_code"] <= 5
        or header["xyzt_units"] & 7 not in (0, 2)
        or not math.isfinite(header["scl_inter"])
    )


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.dictionaries(st.sampled_from(sorted(CHANGES)), st.none(), max_size=3), data=st.data())
def test_random_header_fields(changes: dict[str, None], data: st.DataObject, tmp_path: Path) -> None:
    drawn = {name: data.draw(CHANGES[name], label=name) for name in changes}
    raw = hostile.nifti(**drawn)
    path = tmp_path / "a.nii"
    path.write_bytes(raw)
    try:
        found = read(path)
    except ReadError:
        return  # refusals with a reason of geometry or values are judged by the table of faults
    header = {**hostile.DEFAULTS, **drawn}
    assert not must_refuse(header, len(raw))
    assert found.array.shape == header["dim"][3:0:-1]


def codes_in_source() -> set[str]:
    """First arguments of ReadError and StepFailure in the io room."""
    found: set[str] = set()
    for path in IO.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            if isinstance(node, ast.Call) and name in ("ReadError", "StepFailure"):
                found |= {n.value for n in ast.walk(node.args[0]) if isinstance(n, ast.Constant)}
    # `code = "..." if ... else "..."` of files.py is not an argument
    return found | {"not_a_file", "not_readable"}


def test_every_code_is_documented_and_none_is_invented() -> None:
    text = DOC.read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `([a-z0-9_]+)` \|", text.split("## Flags")[0], flags=re.MULTILINE))
    assert codes_in_source() - listed == set()
    assert listed - codes_in_source() == set()


def test_every_flag_is_documented() -> None:
    text = DOC.read_text(encoding="utf-8").split("## Flags")[1]
    flags = set(re.findall(r"^\| `([a-z0-9_:A-Z]+)` \|", text, flags=re.MULTILINE))
    source = "".join(path.read_text(encoding="utf-8") for path in IO.glob("*.py"))
    assert len(flags) >= 20
    for flag in flags - {"resample:NAME"}:
        assert f'"{flag}"' in source, flag


@pytest.mark.parametrize("code", sorted({f.code for f in hostile.FAULTS}))
def test_the_corpus_uses_documented_codes(code: str) -> None:
    assert f"| `{code}` |" in DOC.read_text(encoding="utf-8")
