"""Compiles every CUDA source for real devices, of which none is needed: python tests/support/nvrtc.py

NVRTC is the compiler that CuPy calls. On Linux it is in the package nvidia-cuda-nvrtc-cu12, of the extra
"dev".
"""

from __future__ import annotations

import ctypes
import sys
from importlib.util import find_spec
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from minirnn.cells import CELLS, GRUResetBeforeCell
from minirnn.kernels import cuda
from minirnn.kernels.cuda.cell import cuda_cell
from minirnn.kernels.cuda.module import NUMBERS, options, with_cell

FOLDER = Path(cuda.__file__).parent
SOURCES = sorted(str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.cu"))
DEVICES = ("sm_75", "sm_80", "sm_90")


def library() -> ctypes.CDLL | None:
    """NVRTC, or None where it is not installed."""
    spec = find_spec("nvidia.cuda_nvrtc") if find_spec("nvidia") else None
    places = spec.submodule_search_locations if spec else None
    found = [path for place in places or () for path in Path(place).glob("lib/libnvrtc.so.*")]
    return ctypes.CDLL(str(found[0])) if found else None


def compile_for(nvrtc: ctypes.CDLL, device: str, text: str, told: tuple[str, ...]) -> str:
    """Compile to machine code; return what the compiler said, which is nothing if all is well."""
    given = [f"--gpu-architecture={device}", *told]
    encoded = (ctypes.c_char_p * len(given))(*[option.encode() for option in given])
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), text.encode(), b"kernels.cu", 0, None, None)
    failed = nvrtc.nvrtcCompileProgram(program, len(given), encoded)
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    code = ctypes.c_size_t()
    if not failed:
        failed = nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(code))
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    said = log.value.decode().strip()
    return said or ("" if code.value and not failed else f"NVRTC gave no code (error {failed})")


def main() -> None:
    """All sources, cells, numbers and devices."""
    nvrtc = library()
    if nvrtc is None:
        raise SystemExit("NVRTC is missing: pip install nvidia-cuda-nvrtc-cu12")
    cells = [cell for cell in CELLS if type(cell) is not GRUResetBeforeCell]
    for name, cell, dtype, device in product(SOURCES, cells, NUMBERS, DEVICES):
        code = with_cell(cuda_cell(cell).text, name)
        said = compile_for(nvrtc, device, code, options(dtype))
        print(f"{name} of {cell.name} for {device} in {dtype}: {said or 'compiled'}")
        if said:
            raise SystemExit(1)


if __name__ == "__main__":
    main()
