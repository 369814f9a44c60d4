"""Pictures of handwritten digits: scikit-learn's small ones, or MNIST from its four files."""

from __future__ import annotations

import argparse
import gzip
import re
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import command_line
import numpy as np
from downloads import File, find

URL = "https://ossci-datasets.s3.amazonaws.com/mnist"
CHECKSUMS = {
    "train-images-idx3-ubyte": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
TRAIN, TEST = tuple(CHECKSUMS)[:2], tuple(CHECKSUMS)[2:]
PARTS = {2049: "labels", 2051: "images"}  # magic numbers: 8 for bytes, then the number of axes
AXES = {"images": "idx3", "labels": "idx1"}
NAMES = re.compile(  # of a file of MNIST, or of digits in EMNIST
    r"(?:emnist-(?P<set>[a-z]+)-)?(?P<part>train|t10k|test)-(?P<what>images|labels)[-.]idx[13][-.]ubyte(\.gz)?"
)
FEWEST = 100  # images in a file: fewer are not enough to train on and to judge by


class Digits(NamedTuple):
    """Pictures, and which digits they show."""

    images: np.ndarray[Any, Any]  # (N, rows, columns) in [0, 1], 1 being ink
    labels: np.ndarray[Any, Any]  # (N,) integers from 0 to 9

    def part(self, start: int | None, stop: int | None) -> Digits:
        """Return those from `start` up to `stop`."""
        return Digits(self.images[start:stop], self.labels[start:stop])


class Split(NamedTuple):
    """Digits to train on, others to judge by, and where they come from."""

    train: Digits
    test: Digits
    source: str


def add_options(parser: command_line.Parser) -> None:
    """Add ``--data``, ``--mnist`` and ``--valid``, which `load` reads."""
    source = parser.add_mutually_exclusive_group()
    says = "folder that has MNIST's files, such as t10k-images-idx3-ubyte.gz, packed or unpacked"
    source.add_argument("--data", type=Path, metavar="DIR", help=says)
    says = "download MNIST (12 MB) unless it has been; without this and --data, 8 × 8 digits"
    source.add_argument("--mnist", action="store_true", help=says)
    says = "train on 7/8 of the training part and judge by the rest: to choose settings by"
    parser.add_argument("--valid", action="store_true", help=says)


def load(parser: command_line.Parser, options: argparse.Namespace) -> Split:
    """Return the digits that the options name, or end the program with a line on what is wrong."""
    if options.quick and (options.data or options.mnist):
        parser.error("argument --quick: has pictures of its own, want no --data or --mnist with it")
    with command_line.blame(parser, "--mnist" if options.mnist else "--data"):
        if options.mnist:
            split = from_files({name: find(remote(name)) for name in CHECKSUMS}, "MNIST")
        else:
            split = from_folder(options.data) if options.data else small()
    if not options.valid:
        return split
    cut = len(split.train.labels) * 7 // 8
    train, valid = split.train.part(None, cut), split.train.part(cut, None)
    judged = "which is not used; judged by the last eighth of the training part"
    return Split(train, valid, f"{split.source}, {judged}")


def small() -> Split:
    """Return the 1,797 digits of 8 × 8 pixels that come with scikit-learn, the last fifth for test."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise RuntimeError(
            "got none, and the small digits are in scikit-learn, which is missing: "
            "pip install scikit-learn, or name a folder that has MNIST"
        ) from None
    images, labels = load_digits(return_X_y=True)  # pixels count from 0 to 16
    whole = Digits((images / 16).astype("float32").reshape(-1, 8, 8), labels)
    return cut_last_fifth(whole, "the small digits of scikit-learn")


def cut_last_fifth(whole: Digits, source: str) -> Split:
    """Keep the last fifth for the test."""
    cut = len(whole.labels) * 4 // 5
    return Split(whole.part(None, cut), whole.part(cut, None), f"{source}, the last fifth for test")


def remote(name: str) -> File:
    """Return where one of MNIST's files is downloaded from."""
    return File(f"{name}.gz", f"{URL}/{name}.gz", CHECKSUMS[name])


def from_folder(folder: Path) -> Split:
    """Read MNIST from a folder that has all four files, or the two that begin with t10k.

    A dot may stand for a hyphen in their names, and they may be in a folder in it, or in its MNIST/raw.
    The digits of EMNIST, emnist-digits-train-images-idx3-ubyte and so on, are taken, too, if there are
    none of MNIST.

    Raises:
        ValueError: other files are there, or one is damaged; the message says what is needed.
        OSError: one cannot be read.
    """
    files = sorted(
        path
        for depth in ("*", "*/*", "MNIST/raw/*")
        for path in folder.glob(depth)
        if path.is_file()
    )
    sets: dict[str, dict[str, Path]] = {}  # "" for MNIST, or what EMNIST calls it
    for path in files:
        if match := NAMES.fullmatch(path.name):
            part = "train" if match["part"] == "train" else "t10k"
            name = f"{part}-{match['what']}-{AXES[match['what']]}-ubyte"
            sets.setdefault(match["set"] or "", {}).setdefault(name, path)
    for kind in ("", "digits", "mnist"):
        if (paths := sets.get(kind)) and set(paths) in (set(CHECKSUMS), set(TEST)):
            split = from_files(paths, f"{folder} (EMNIST {kind})" if kind else str(folder))
            return upright(split) if kind else split
    seen = [path.name for path in files if NAMES.fullmatch(path.name)]
    other = f" (but {', '.join(path.name for path in files[:3])})" if files else ""
    had = (
        f"has {', '.join(seen) or f'no file of MNIST{other}'}"
        if folder.is_dir()
        else "is no folder"
    )
    raise ValueError(
        f"{folder}: {had}; want {' and '.join(TEST)}, and for all of MNIST also "
        f"{' and '.join(TRAIN)} (packed as .gz or not; {URL}/{TEST[0]}.gz and so on)"
    )


def upright(split: Split) -> Split:
    """Turn the pictures of EMNIST, which lie on their side, with rows for columns."""
    train, test = (part._replace(images=part.images.transpose(0, 2, 1)) for part in split[:2])
    return Split(train, test, split.source)


def from_files(paths: dict[str, Path], source: str) -> Split:
    """Read two files, or four, by their names in `CHECKSUMS`."""
    test = read_digits(*(paths[name] for name in TEST))
    if TRAIN[0] not in paths:
        return cut_last_fifth(test, f"the t10k files of {source}")
    train = read_digits(*(paths[name] for name in TRAIN))
    if train.images.shape[1:] != test.images.shape[1:]:
        sizes = ["{} × {} pixels".format(*part.images.shape[1:]) for part in (train, test)]
        raise ValueError(
            f"{paths[TEST[0]]}: has images of {sizes[1]}; want {sizes[0]}, as in {paths[TRAIN[0]]}"
        )
    return Split(train, test, f"{source}, the standard test part")


def read_digits(images: Path, labels: Path) -> Digits:
    """Read a file of images and the file of their labels.

    Raises:
        ValueError: a file is damaged or of another kind, or the two do not belong together.
        OSError: a file cannot be read.
    """
    pixels, digits = read_idx(images, 2051), read_idx(labels, 2049)
    if len(pixels) != len(digits):
        raise ValueError(
            f"{labels}: has {len(digits)} labels; want {len(pixels)}, as many as there are images "
            f"in {images}"
        )
    if len(pixels) < FEWEST or not pixels.size:
        shape = " × ".join(map(str, pixels.shape[1:]))
        raise ValueError(
            f"{images}: has {len(pixels)} images of {shape} pixels; want {FEWEST} or more, none empty"
        )
    if digits.max() > 9:
        place = int((digits > 9).argmax())
        raise ValueError(f"{labels}: label {place} is {digits[place]}; want digits, 0 to 9")
    return Digits(np.divide(pixels, 255, dtype="float32"), digits.astype(int))


def read_idx(path: Path, magic: int) -> np.ndarray[Any, Any]:
    """Read an IDX file of bytes, packed by gzip or not.

    Such a file is the magic number, the length of each axis, and the bytes in C order; the numbers are
    of 32 bits, the highest first. http://yann.lecun.com/exdb/mnist describes it.

    Raises:
        ValueError: the file is packed and damaged, begins with another number, or is of another
            length than it says.
        OSError: it cannot be read.
    """
    content = path.read_bytes()
    if content.startswith(b"\x1f\x8b"):  # so does every file of gzip, whatever its name
        try:
            content = gzip.decompress(content)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"{path}: is damaged ({error}); want a whole gzip file") from None
    begins = int.from_bytes(content[:4], "big")
    header = 4 + 4 * (magic & 0xFF)
    if len(content) < header or begins != magic:
        had = f"magic number {begins}" if len(content) >= 4 else "no magic number"
        other = f", which is that of {PARTS[begins]}" if begins in PARTS and begins != magic else ""
        raise ValueError(
            f"{path}: has {len(content)} bytes and {had}{other}; want {magic}, for {PARTS[magic]}, and "
            f"{header} bytes or more"
        )
    shape = np.frombuffer(content, ">u4", count=magic & 0xFF, offset=4).tolist()
    wanted = header + int(np.prod(shape, dtype=object))
    if len(content) != wanted:
        what = "is cut short" if len(content) < wanted else "goes on behind its end"
        raise ValueError(
            f"{path}: {what}: has {len(content)} bytes; want {wanted}, for "
            f"{' × '.join(map(str, shape))} bytes behind a header of {header}"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def introduce(split: Split) -> None:
    """Say how many pictures there are, and how many of them two simple rules read right."""
    train, test, source = split
    rows, columns = train.images.shape[1:]
    n = f"{len(train.labels):,} to train on and {len(test.labels):,} to judge by"
    print(f"pictures of {rows} × {columns} pixels, {n}: {source}")
    commonest = np.bincount(train.labels).argmax()
    right = np.mean(test.labels == commonest)
    print(f"  always {commonest}, the commonest digit: {right:.1%} right")
    right = np.mean(test.labels == most_similar(train, test.images))
    print(f"  what the most similar training picture shows: {right:.1%} right\n")


def most_similar(train: Digits, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the labels of the training pictures that differ least from `images`, pixel by pixel."""
    known = train.images.reshape(len(train.labels), -1)
    squares = (known * known).sum(axis=1)  # |a - b|² = a·a - 2 a·b + b·b; b·b is the same for all a
    parts = np.array_split(images.reshape(len(images), -1), len(images) // 100 + 1)
    nearest = [(squares - 2 * part @ known.T).argmin(axis=1) for part in parts]
    return np.asarray(train.labels[np.concatenate(nearest)])
