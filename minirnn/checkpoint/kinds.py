"""What a file is that is no checkpoint, by its first bytes or, of a zip, by its members."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

STARTS = {
    b"\x93NUMPY": "a .npy array",
    b"\x89HDF\r\n\x1a\n": "an HDF5 file, such as Keras's .h5",
    b"\x1f\x8b": "compressed by gzip",
    b"BZh": "compressed by bzip2",
    b"\xfd7zXZ\0": "compressed by xz",
    b"\x28\xb5\x2f\xfd": "compressed by Zstandard",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"\x89PNG": "a PNG picture",
    b"%PDF": "a PDF",
    b"GGUF": "a GGUF model",
    b"MATLAB 5.0 MAT-file": "a MAT-file",
    b"version https://git-lfs": "a pointer of Git LFS, in place of the file itself: run git lfs pull",
    b"<!DOCTYPE": "an HTML page",
    b"<html": "an HTML page",
}
HEAD = 512  # bytes of a file that are looked at


def kind_of_file(head: bytes, size: int) -> str:
    """Say what a file of `size` bytes is that begins with `head` and is no zip."""
    if head[8:9] == b"{" and 0 < int.from_bytes(head[:8], "little") <= size - 8:
        return "a .safetensors file"
    if head[:1] == b"\x80" and head[1:2] in (b"\2", b"\3", b"\4", b"\5"):
        return "a pickle"
    if head[257:262] == b"ustar":
        return "a tar archive"
    if head[4:8] == b"TFL3":
        return "a TensorFlow Lite model"
    if head[:1] == b"\x08" and head[1:2] < b"\x20" and head[2:3] in (b"\x12", b"\x1a", b":", b"B"):
        return "an ONNX model, it seems"
    for start, kind in STARTS.items():
        if head.startswith(start):
            return kind
    if not head.strip(b"\0"):
        return "full of zeros at its beginning, as after a crash"
    text = head.decode("utf-8", "ignore").lstrip("\ufeff")
    if len(text.encode()) >= len(head) - 6 and all(
        letter.isspace() or unicodedata.category(letter) != "Cc" for letter in text
    ):
        kind = "a JSON text, it seems," if text.lstrip()[:1] in ("{", "[") else "a text"
        return f"{kind} that begins with {text[:12]!a}"
    return f"no .npz, but begins with {head[:4]!r}"


def kind_of_zip(names: Sequence[str]) -> str:
    """Say what a zip with members of these `names` is."""
    ends = {name.rpartition("/")[2] for name in names}
    shown = [ascii(name.removesuffix(".npy")[:60])[1:-1] for name in names[:5]]
    listed = ", ".join(shown + ["…"] * (len(names) > 5)) or "none"
    if "data.pkl" in ends:
        return f"a file of torch.save, a zip: {listed}"
    if "model.weights.h5" in ends:
        return f"a .keras model, a zip: {listed}"
    if all(name.endswith(".npy") for name in names):
        return f"an .npz of other arrays: {listed}"
    return f"another zip: {listed}"
