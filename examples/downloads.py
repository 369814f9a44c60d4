"""Data that is too large to come along: found in a folder, or downloaded once and verified."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class File(NamedTuple):
    """One file of public data."""

    name: str
    url: str
    sha256: str


def find(file: File, folder: Path | None = None) -> Path:
    """Return the path of a file that is in `folder`, or was downloaded before, or is downloaded now.

    Args:
        file: whose checksum is verified after a download.
        folder: in which it has to be; None is the cache, which is filled from the network.

    Raises:
        FileNotFoundError: it is not there, or cannot be downloaded; the message says what to put where.
    """
    if folder is not None:
        if not (folder / file.name).is_file():
            raise FileNotFoundError(
                f"got {folder}, want a folder that has {file.name} ({file.url})"
            )
        return folder / file.name
    try:
        import pooch
    except ImportError:
        raise FileNotFoundError(
            f"{file.name} is not here; to download it: pip install pooch"
        ) from None
    pooch.get_logger().setLevel("WARNING")  # its bar says enough, and our error
    cache = Path(pooch.os_cache("minirnn"))
    try:
        digest = f"sha256:{file.sha256}"
        return Path(pooch.retrieve(file.url, digest, file.name, cache, progressbar=True))
    except (OSError, ValueError) as error:
        raise FileNotFoundError(
            f"{file.name} cannot be downloaded ({error}). Where there is a network, save {file.url} as "
            f"{cache / file.name} (SHA-256 {file.sha256})"
        ) from None
