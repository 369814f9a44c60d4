"""Reading what an .npz holds, each size held to that of the file before any memory is asked for."""

from __future__ import annotations

import ast
import math
import os
import struct
import zipfile
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

END = 22  # bytes of the record that a zip without a comment ends with
LONGEST = 1 << 20  # bytes of an array's header: a dtype has thousands of fields at most
LARGEST = 1 << 24  # bytes of one element of an array without elements, for which NumPy has room


def check_layout(archive: zipfile.ZipFile, file: BinaryIO) -> None:
    """Raise a ValueError unless uncompressed members follow one another, and nothing else is there."""
    file.seek(-END, os.SEEK_END)
    end = file.read()
    if end[:4] != b"PK\5\6" or end[-2:] != b"\0\0":
        raise ValueError("other bytes follow its end")
    place = 0
    for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise ValueError(f"{info.filename} is compressed, or its sizes contradict each other")
        if info.header_offset != place:  # a whole one may lie as an array in one whose end is lost
            raise ValueError(f"{info.filename} begins at byte {info.header_offset}, not at {place}")
        file.seek(place)
        name_size, extra_size = struct.unpack("<26x2H", file.read(30))
        place += 30 + name_size + extra_size + info.compress_size
    if place != archive.start_dir:
        raise ValueError(f"members end at byte {place}, not at {archive.start_dir}")


def read_array(data: bytes) -> np.ndarray[Any, Any]:
    """The array of a .npy file.

    Raises:
        ValueError, TypeError, struct.error: it is not one, or one of Python objects.
    """
    if data[:6] != npy.MAGIC_PREFIX:
        raise ValueError("it is no .npy, whose magic string is missing")
    size_code = "<H" if data[6] == 1 else "<I"
    (size,) = struct.unpack_from(size_code, data, 8)
    start = 8 + struct.calcsize(size_code) + size
    if not 1 <= data[6] <= 3 or size > LONGEST:
        raise ValueError(f"its header is of {size:,} bytes, and of version {data[6]}")
    text = data[start - size : start].decode("utf-8" if data[6] == 3 else "latin1")
    try:
        header = ast.literal_eval(text)
    except (MemoryError, RecursionError):
        raise ValueError("its header is nested too deep") from None
    descr, fortran, shape = (header[key] for key in ("descr", "fortran_order", "shape"))
    dtype = npy.descr_to_dtype(descr)
    if dtype.hasobject or dtype.subdtype:
        raise ValueError("Object arrays, and elements that are arrays, are not read")
    if type(shape) is not tuple or any(type(n) is not int or n < 0 for n in shape):
        raise ValueError(f"its shape is {shape}")
    count = math.prod(shape)
    if len(data) - start != count * dtype.itemsize or len(header) != 3 or type(fortran) is not bool:
        held = f"{len(data) - start:,} bytes"
        raise ValueError(f"its header is wrong: it holds {held}, not {shape} of {dtype}")
    order: Any = "F" if fortran else "C"
    if not count * dtype.itemsize:
        if dtype.itemsize > LARGEST:
            raise ValueError(f"its elements are of {dtype.itemsize:,} bytes")
        return np.zeros(shape, dtype, order)
    flat = np.frombuffer(data, dtype, count, start)
    return flat.reshape(shape, order=order).copy(order="K")
