"""NIfTI-1 single files, .nii and .nii.gz, by a strict contract (docs/input.md): refuse or read, never repair."""

from __future__ import annotations

import os
from contextlib import nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ReadError
from . import gzip
from .files import MAX_BYTES, RegularFile
from .nifti_header import MIN_OFFSET, NiftiHeader, check_extensions, parse

_HEAD = 64 * 1024  # compressed bytes that surely hold the header
_WORTH_A_THREAD = 1 << 20  # compressed bytes whose hash takes longer than a thread takes to start
_PADDING = 4096  # zero bytes after the voxels that some writers leave


def read_array(
    path: str | os.PathLike[str],
    *,
    max_decoded_bytes: int = MAX_BYTES,
    allow_shear: bool = False,
    series: bool = False,
    threads: int = 1,
) -> tuple[NDArray[Any], NiftiHeader, tuple[str, ...], str]:
    """Voxels (z, y, x), header, flags and SHA-256 of the file. series: (channel, z, y, x), also of one volume.

    The array has the file's dtype in native byte order, or float32 where a slope or intercept other than 1 and 0 was
    applied (in float64). It is the file's Fortran-ordered buffer seen in C order: no copy where none is needed, and
    read-only. Memory: the file, plus the decoded volume for .nii.gz. Values are not judged here. threads: with two, a
    compressed file is hashed while it is inflated.
    Raises ReadError; nothing is allocated for the voxels before every header field has passed.
    """
    with RegularFile(path) as file:
        packed = file.head(2) == gzip.MAGIC
        header = _read_header(file, packed, max_decoded_bytes, allow_shear, series)
        beside = packed and threads > 1 and file.size >= _WORTH_A_THREAD
        data: gzip.Bytes
        data = found = file.read(max_bytes=max_decoded_bytes, hashed=not beside)
        flags: tuple[str, ...] = ()
        if packed:
            with file.hashing(found) if beside else nullcontext():
                data, flags = gzip.inflate(found, header.claimed, file.name, slack=_PADDING)
            del found
        if packed != file.name.lower().endswith(".gz"):
            flags = (*flags, "extension_mismatch")
        flags = (*flags, *_check_tail(data, header.claimed, file.name))
        array = _voxels(data, header)
        return array if series else array[0], header, (*header.flags, *flags), file.sha256


def _read_header(
    file: RegularFile, packed: bool, max_decoded_bytes: int, allow_shear: bool, series: bool
) -> NiftiHeader:
    compressed = file.head(_HEAD) if packed else b""
    start = gzip.inflate_head(compressed, MIN_OFFSET, file.name) if packed else file.head(MIN_OFFSET)
    header = parse(start, file.name, allow_shear=allow_shear, series=series)
    if packed:
        gzip.check_claim(file.name, header.claimed, file.size, max_decoded_bytes)
        if header.offset > MIN_OFFSET:
            start = gzip.inflate_head(file.head(_HEAD + 2 * header.offset), header.offset, file.name)
    else:
        if header.claimed > max_decoded_bytes:
            message = f"{file.name!r} claims {header.claimed} bytes, at most {max_decoded_bytes} are read"
            raise ReadError("too_large", message)
        if header.claimed > file.size:
            raise ReadError("truncated", f"{file.name!r} claims {header.claimed} bytes and holds {file.size}")
        if file.size > header.claimed + _PADDING:
            raise ReadError("longer_than_claimed", f"{file.name!r} claims {header.claimed} bytes and holds {file.size}")
        start = file.head(header.offset)
    check_extensions(start, header, file.name)
    return header


def _check_tail(data: gzip.Bytes, claimed: int, name: str) -> tuple[str, ...]:
    if len(data) < claimed:
        raise ReadError("truncated", f"{name!r} claims {claimed} bytes and holds {len(data)}")
    if len(data) == claimed:
        return ()
    if any(memoryview(data)[claimed:]):
        raise ReadError("longer_than_claimed", f"{name!r} holds data after the {claimed} bytes its header claims")
    return ("zero_padding",)


def _voxels(data: gzip.Bytes, header: NiftiHeader) -> NDArray[Any]:
    shape = (header.channels, *header.shape)
    count = int(np.prod(shape, dtype=np.int64))
    stored = np.frombuffer(data, dtype=header.dtype, count=count, offset=header.offset).reshape(shape)
    if header.slope != 1.0 or header.inter != 0.0:
        return _scaled(stored, header)
    native = header.dtype.newbyteorder("=")
    array = np.require(stored, dtype=native, requirements=["C", "A"])
    array.flags.writeable = False
    return array


def _scaled(stored: NDArray[Any], header: NiftiHeader) -> NDArray[np.float32]:
    out = np.empty(stored.shape, dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # an overflow becomes infinity, and infinity is refused
        for z in np.ndindex(stored.shape[:2]):
            out[z] = stored[z].astype(np.float64) * header.slope + header.inter
    out.flags.writeable = False
    return out
