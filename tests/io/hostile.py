"""NIfTI files that lie, each with the error code that must meet it. `python tests/io/hostile.py FOLDER` writes them.

The bytes are made by `struct` from the field table of the NIfTI-1 standard: neither our writer nor nibabel is involved,
so that reader and corpus cannot share a mistake.
"""

from __future__ import annotations

import gzip
import os
import struct
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

NAN, INF = float("nan"), float("inf")
FIELDS: dict[str, tuple[int, str]] = {
    "sizeof_hdr": (0, "i"), "dim": (40, "8h"), "datatype": (70, "h"), "bitpix": (72, "h"), "pixdim": (76, "8f"),
    "vox_offset": (108, "f"), "scl_slope": (112, "f"), "scl_inter": (116, "f"), "xyzt_units": (123, "B"),
    "qform_code": (252, "h"), "sform_code": (254, "h"), "quatern": (256, "3f"), "qoffset": (268, "3f"),
    "srow_x": (280, "4f"), "srow_y": (296, "4f"), "srow_z": (312, "4f"), "magic": (344, "4s"), "extension": (348, "4s"),
}  # fmt: skip
CODES = {"u1": 2, "i2": 4, "i4": 8, "f4": 16, "f8": 64, "i1": 256, "u2": 512, "u4": 768}
DEFAULTS: dict[str, Any] = {
    "sizeof_hdr": 348, "dim": (3, 7, 6, 5, 1, 1, 1, 1), "datatype": 2, "bitpix": 8,
    "pixdim": (1, 0.6, 0.25, 1.5, 0, 0, 0, 0), "vox_offset": 352, "scl_slope": 1, "scl_inter": 0, "xyzt_units": 2,
    "qform_code": 0, "sform_code": 1, "quatern": (0, 0, 0), "qoffset": (0, 0, 0), "srow_x": (0.6, 0, 0, -2),
    "srow_y": (0, 0.25, 0, 3), "srow_z": (0, 0, 1.5, 4), "magic": b"n+1\0", "extension": b"\0\0\0\0",
}  # fmt: skip


def voxels(dtype: str = "u1", shape: tuple[int, ...] = (5, 6, 7)) -> np.ndarray[Any, Any]:
    """Values 1 to 120 in a fixed disorder, (z, y, x)."""
    return (np.random.default_rng(7).permutation(int(np.prod(shape))) % 120 + 1).reshape(shape).astype(dtype)


def nifti(order: str = "<", data: bytes | None = None, chain: bytes = b"", **changes: Any) -> bytes:
    """A NIfTI-1 file; `changes` are header fields, `chain` the bytes between header and voxels."""
    out = bytearray(352)
    for name, value in {**DEFAULTS, **changes}.items():
        offset, kind = FIELDS[name]
        struct.pack_into(order + kind, out, offset, *(value if isinstance(value, tuple) else (value,)))
    return bytes(out) + chain + (voxels().tobytes() if data is None else data)


def packed(raw: bytes, level: int = 6) -> bytes:
    return gzip.compress(raw, level, mtime=0)


@dataclass(frozen=True)
class Fault:
    name: str
    code: str
    make: Callable[[], bytes]
    suffix: str = ".nii"


FAULTS: list[Fault] = []


def lie(code: str, name: str, suffix: str = ".nii", **changes: Any) -> None:
    FAULTS.append(Fault(name, code, lambda: nifti(**changes), suffix))


def fault(code: str, suffix: str = ".nii") -> Callable[[Callable[[], bytes]], Callable[[], bytes]]:
    def keep(make: Callable[[], bytes]) -> Callable[[], bytes]:
        FAULTS.append(Fault(make.__name__, code, make, suffix))
        return make

    return keep


def dims(*n: int) -> tuple[int, ...]:
    return (*n, *([1] * (8 - len(n))))


lie("not_nifti", "sizeof_hdr_1", sizeof_hdr=1)
lie("not_nifti", "sizeof_hdr_negative", sizeof_hdr=-348)
lie("nifti2", "sizeof_hdr_540", sizeof_hdr=540)
lie("magic", "magic_zero", magic=b"\0\0\0\0")
lie("magic", "magic_nifti2", magic=b"n+2\0")
lie("magic", "magic_without_end", magic=b"n+1x")
lie("detached", "magic_of_a_pair", magic=b"ni1\0")
for count in (-1, 0, 1, 2, 8, 300, 32767):
    lie("dim_count", f"dim0_{count}", dim=(count, 7, 6, 5, 1, 1, 1, 1))
for axis in (1, 2, 3):
    for size in (0, -1, -32768):
        lie(
            "dim_size", f"dim{axis}_{size}", dim=tuple(size if i == axis else n for i, n in enumerate(dims(3, 7, 6, 5)))
        )
lie("dim_size", "dim4_0", dim=dims(4, 7, 6, 5, 0))
lie("dim_too_large", "dim1_4097", dim=dims(3, 4097, 6, 5))
lie("not_3d", "dim4_2", dim=dims(4, 7, 6, 5, 2), data=voxels().tobytes() * 2)
lie("not_3d", "dim5_3", dim=dims(5, 7, 6, 5, 1, 3), data=voxels().tobytes() * 3)
for kind in (0, 1, 32, 128, 1024, 1280, 1536, 1792, 2304, -1, 3):
    lie("datatype", f"datatype_{kind}", datatype=kind)
for bits in (0, 1, 16, -8, 32767):
    lie("bitpix", f"bitpix_{bits}", bitpix=bits)
for offset in (NAN, INF, -INF):
    lie("vox_offset_not_finite", f"vox_offset_{offset}", vox_offset=offset)
for offset in (0, 100, 348, 351.5, -1e9):
    lie("vox_offset_in_header", f"vox_offset_{offset}", vox_offset=offset)
for offset in (1e30, 2**31, 2**20 + 16):
    lie("vox_offset_too_far", f"vox_offset_{offset}", vox_offset=offset)
lie("vox_offset_fraction", "vox_offset_352.5", vox_offset=352.5, data=voxels().tobytes() + b"\0")
lie("truncated", "vox_offset_past_the_end", vox_offset=65536)
lie("truncated", "vox_offset_16_too_far", vox_offset=368)
lie("inter_not_finite", "inter_nan", scl_inter=NAN)
lie("inter_not_finite", "inter_infinite", scl_inter=INF)
lie("unit", "unit_metre", xyzt_units=1)
lie("unit", "unit_micrometre", xyzt_units=3)
lie("unit", "unit_unknown_code", xyzt_units=7)
for axis in (1, 2, 3):
    for value in (0, -0.5, NAN, INF, -INF):
        sizes = tuple(value if i == axis else p for i, p in enumerate(DEFAULTS["pixdim"]))
        lie("pixdim", f"pixdim{axis}_{value}", pixdim=sizes)
        lie("pixdim", f"pixdim{axis}_{value}_without_forms", pixdim=sizes, sform_code=0)
for key in ("qform_code", "sform_code"):
    for value in (-1, 6, 32767):
        lie("form_code", f"{key}_{value}", **{key: value})
for row in ("srow_x", "srow_y", "srow_z"):
    lie("affine_not_finite", f"{row}_nan", **{row: (NAN, 0, 0, 0)})
    lie("affine_not_finite", f"{row}_infinite", **{row: (0, 0, 0, INF)})
    lie("affine_singular", f"{row}_zero", **{row: (0, 0, 0, 0)})
lie("affine_singular", "affine_all_zero", srow_x=(0,) * 4, srow_y=(0,) * 4, srow_z=(0,) * 4)
lie("affine_singular", "affine_two_equal_columns", srow_x=(0.6, 0.6, 0, 0), srow_y=(0, 0, 0, 0), srow_z=(0, 0, 1.5, 0))
lie("sheared", "affine_sheared", srow_x=(0.6, 0.1, 0, 0))
lie("affine_not_finite", "quaternion_nan", qform_code=1, sform_code=0, quatern=(NAN, 0, 0))
lie("affine_not_finite", "quaternion_nan_beside_a_good_sform", qform_code=1, quatern=(0, INF, 0))
lie("affine_not_finite", "qoffset_nan", qform_code=1, sform_code=0, qoffset=(0, NAN, 0))
lie("quaternion", "quaternion_too_long", qform_code=1, sform_code=0, quatern=(0.9, 0.9, 0))
lie("qfac", "qfac_2", qform_code=1, sform_code=0, pixdim=(2, 0.6, 0.25, 1.5, 0, 0, 0, 0))
lie("qfac", "qfac_nan", qform_code=1, sform_code=0, pixdim=(NAN, 0.6, 0.25, 1.5, 0, 0, 0, 0))
for size in (0, 8, -16, 17, 48, 2**31 - 1, -(2**31)):
    chain = struct.pack("<ii", size, 4) + b"\0" * 24
    lie("extension", f"extension_size_{size}", extension=b"\1\0\0\0", vox_offset=384, chain=chain)
lie(
    "extension",
    "extension_rest_of_4",
    extension=b"\1\0\0\0",
    vox_offset=372,
    chain=struct.pack("<ii", 16, 4) + bytes(12),
)
lie("extension", "extension_of_24", extension=b"\1\0\0\0", vox_offset=376, chain=struct.pack("<ii", 24, 4) + bytes(16))
lie("truncated", "claims_1_gib_holds_1_kb", dim=dims(3, 1024, 1024, 1024))
lie("too_large", "claims_64_gib", dim=dims(3, 4096, 4096, 4096))
lie("longer_than_claimed", "data_after_the_voxels", data=voxels().tobytes() + b"\1")
lie("longer_than_claimed", "twice_the_voxels", data=voxels().tobytes() * 60)
lie("constant", "all_voxels_zero", data=bytes(210))
lie("constant", "all_voxels_7", data=b"\7" * 210)
_F4 = {"datatype": 16, "bitpix": 32}
for value in (NAN, INF, -INF):
    for spot in (0, 100, 209):
        image = voxels("f4").ravel()
        image[spot] = value
        lie("non_finite", f"voxel_{spot}_{value}", data=image.tobytes(), **_F4)
lie("non_finite", "slope_3e38_overflows", scl_slope=3e38)
lie("unsupported_format", "metaimage", suffix=".mha", sizeof_hdr=0, magic=b"\0\0\0\0")
lie("not_dicom", "dicom_by_name_only", suffix=".dcm")


@fault("empty_file")
def nothing() -> bytes:
    return b""


@fault("truncated")
def header_cut() -> bytes:
    return nifti()[:200]


@fault("truncated")
def last_byte_missing() -> bytes:
    return nifti()[:-1]


@fault("truncated", ".nii.gz")
def packed_last_byte_missing() -> bytes:
    return packed(nifti()[:-1])


@fault("truncated", ".nii.gz")
def packed_header_cut() -> bytes:
    return packed(nifti()[:200])


@fault("truncated", ".nii.gz")
def packed_claims_more_than_it_holds() -> bytes:
    return packed(nifti(dim=dims(3, 7, 6, 6)))


@fault("longer_than_claimed", ".nii.gz")
def packed_data_after_the_voxels() -> bytes:
    return packed(nifti() + b"\1" * 5000)


@fault("longer_than_claimed", ".nii.gz")
def same_member_twice() -> bytes:
    return packed(nifti()) * 2


@fault("gzip_damaged", ".nii.gz")
def second_member_with_the_same_footer() -> bytes:
    # The trap of looking at the last eight bytes only: they fit the first member.
    return packed(nifti()) + packed(b"more")[:-8] + packed(nifti())[-8:]


@fault("gzip_damaged", ".nii.gz")
def checksum_wrong() -> bytes:
    whole = packed(nifti())
    return whole[:-8] + bytes([whole[-8] ^ 1]) + whole[-7:]


@fault("gzip_damaged", ".nii.gz")
def length_wrong() -> bytes:
    whole = packed(nifti())
    return whole[:-1] + bytes([whole[-1] ^ 1])


@fault("gzip_truncated", ".nii.gz")
def checksum_missing() -> bytes:
    return packed(nifti())[:-8]


@fault("decompression_bomb", ".nii.gz")
def packed_claims_1_gib_holds_1_kb() -> bytes:
    return packed(nifti(dim=dims(3, 1024, 1024, 1024)))


def zeros_stream(head: bytes, count: int) -> bytes:
    """Gzip of `head` and `count` zero bytes (a multiple of 1 MiB), made in little memory."""
    stream, block = zlib.compressobj(1, zlib.DEFLATED, 31), bytes(1 << 20)
    parts = [stream.compress(head)]
    for _ in range(count >> 20):
        parts.append(stream.compress(block))
    return b"".join([*parts, stream.flush()])


@fault("longer_than_claimed", ".nii.gz")
def bomb_behind_a_small_claim() -> bytes:
    return zeros_stream(nifti(), 1 << 26)


@fault("too_large", ".nii.gz")
def bomb_with_an_honest_header() -> bytes:
    # 8 GiB claimed; the stream is cut short here, because refusing needs the header alone
    return zeros_stream(nifti(dim=dims(3, 2048, 2048, 2048)), 1 << 24)


def write_all(folder: Path) -> None:
    """Write every fault as NAME__CODE.SUFFIX."""
    folder.mkdir(parents=True, exist_ok=True)
    for item in FAULTS:
        (folder / f"{item.name}__{item.code}{item.suffix}").write_bytes(item.make())


if __name__ == "__main__":
    write_all(Path(sys.argv[1] if len(sys.argv) > 1 else os.curdir))
