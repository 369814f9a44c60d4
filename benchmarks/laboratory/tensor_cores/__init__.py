"""The persistent scan whose products W h and Wᵀ da are made by tensor cores, in TF32."""

from __future__ import annotations

from pathlib import Path

from minirnn.kernels.cuda.persistent.limits import up
from minirnn.kernels.cuda.persistent.plan import TURN, Grain
from minirnn.kernels.cuda.persistent.scan import PersistentScan


class Tile(Grain):
    """What a warp multiplies at a time; see ``products.cuh`` beside this file."""

    def cycles(self, warps: int) -> float:
        """See `Grain.cycles`."""
        beside = self.columns // 8
        return max((4 + 2 * beside) * warps, -(-warps // 4) * (8 + 6 * beside), TURN)

    def pitches(self, H: int, across: int) -> tuple[int, int, int]:
        """See `Grain.pitches`."""
        return up(H, 16) + 4, across + 8 * (across // 8 % 2 == 0), across + 4


TILES = tuple(Tile(16, columns, 8, 8, threads=32) for columns in (8, 16, 32))


class TensorCoreScan(PersistentScan):
    """The persistent scan in float32, its own products in TF32."""

    folder = Path(__file__).parent  # whose products.cuh stands in for the package's
    grains = TILES
