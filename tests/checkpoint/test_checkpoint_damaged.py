"""What is no whole checkpoint is refused by what it is, at once, whatever sizes it claims."""

from __future__ import annotations

import gzip
import os
import re
import zipfile

import numpy as np
import pytest
from checkpoints import forge, generator, npy, same

import minirnn as mr
from minirnn.checkpoint import CheckpointError, files
from minirnn.checkpoint.kinds import kind_of_file

PARTS = {
    "model": {"rnn.l0.U": np.arange(6, dtype="f4").reshape(2, 3), "b": np.zeros((0, 2))},
    "epoch": 7, "losses": [1.5, float("inf")], "t": (None, True, "x"),
}  # fmt: skip


def loads_or_refuses(path):
    """Whether the file loads; it has to give `PARTS`, or the one kind of error with its name."""
    try:
        parts = mr.load(path)
    except CheckpointError as refusal:
        if not str(refusal).startswith(f"path: got {path}, which "):
            raise
        return False
    assert same(parts, PARTS)
    return True


def test_no_flipped_bit_gives_wrong_data(path):
    mr.save(path, **PARTS)
    whole = path.read_bytes()
    loaded = 0
    with open(path, "r+b", buffering=0) as file:
        for k, byte in enumerate(whole):
            for flip in {1 << k % 8, 1 << (k * 5 + 3) % 8, 255}:
                file.seek(k)
                file.write(bytes([byte ^ flip]))
                loaded += loads_or_refuses(path)
            file.seek(k)
            file.write(bytes([byte]))
    assert loads_or_refuses(path)
    assert 0 < loaded < len(whole)  # such as a flipped time of a member, which nobody asks for


def test_no_truncation_gives_wrong_data(path):
    mr.save(path, **PARTS)
    whole = path.read_bytes()
    for size in range(len(whole) - 1, 0, -1):
        os.truncate(path, size)
        with pytest.raises(
            CheckpointError, match=f"truncated: its end is missing, after {size:,} bytes"
        ):
            mr.load(path)


def test_a_checkpoint_within_a_truncated_one_is_not_taken_for_it(path):
    mr.save(path, epoch=1)
    inner = np.frombuffer(path.read_bytes(), np.uint8)
    mr.save(path, inner=inner, epoch=2)
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(inner.tobytes()) + len(inner)])
    with pytest.raises(
        CheckpointError,
        match=r"is damaged in .*minirnn.json begins at byte [1-9]",
    ):
        mr.load(path)


def test_a_forged_checkpoint_is_one(path):
    mr.save(path, x=np.ones(2))
    forge(path, x=npy(np.zeros(3)))
    assert same(mr.load(path), {"x": np.zeros(3)})


def damage_member(path):
    mr.save(path, **PARTS)
    data = path.read_bytes()
    at = data.index(PARTS["model"]["rnn.l0.U"].tobytes())
    path.write_bytes(data[:at] + b"\xff" + data[at + 1 :])


def lose_member(path):
    mr.save(path, **PARTS)
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in contents.items():
            if name != "model/b.npy":
                archive.writestr(name, data)


def add_member(path):
    mr.save(path, **PARTS)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("more.npy", npy(np.ones(1)))


def swap_member(path):
    mr.save(path, x=np.ones(2))
    with zipfile.ZipFile(path) as archive:
        header = archive.read("minirnn.json")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", npy(np.zeros(2)))
        archive.writestr("minirnn.json", header)


def compress(path):
    mr.save(path, x=np.ones(2))
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)


def write(data):
    return lambda path: path.write_bytes(data)


def forged(header=None, **members):
    def make(path):
        mr.save(path, x=np.ones(2))
        forge(path, header, **members)

    return make


def another_zip(member):
    def make(path):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(member, b"\x80\x02.")

    return make


def spoil_contents(path):
    mr.save(path, **PARTS)
    path.write_bytes(path.read_bytes().replace(b"PK\1\2", b"PK\1\3"))


class Bomb:
    def __reduce__(self):
        return pytest.fail, ("something was unpickled",)


UNFIT = {
    "empty": (write(b""), "is empty"),
    "damaged array": (damage_member, r"is damaged in model/rnn.l0.U.npy \(BadZipFile: Bad CRC-32"),
    "damaged contents": (spoil_contents, "is damaged in its table of contents .*central directory"),
    "lost member": (lose_member, "is damaged: has lost members, or got other ones: model/b.npy"),
    "strange member": (add_member, "is damaged: has lost members, or got other ones: more.npy"),
    "member of another": (swap_member, "is damaged in x.npy .*not saved together with the rest"),
    "compressed": (compress, "is damaged in its table of contents .*x.npy is compressed"),
    "pickled array": (forged(x=npy(np.array([Bomb()]))), "is damaged in x.npy .*Object arrays"),
    "no array": (forged(x=b"hello"), "is damaged in x.npy .*magic string"),
    "half an array": (forged(x=npy(np.ones(9))[:-1]), "is damaged in x.npy"),
    "no tree": (forged({"parts": {"dict": {}, "tuple": []}}), "is damaged in minirnn.json"),
    "no kind": (forged({"parts": {"set": []}}), "is damaged in minirnn.json .*kind 'set' is unknown"),
    "no such array": (forged({"parts": {"array": "y"}}), "is damaged in minirnn.json .*y.npy"),
    "no such bits": (
        forged({"parts": generator({"bit_generator": "X", "state": {"dict": {}}})}),
        "is damaged in minirnn.json .*'X'"),
    "object of another class": (
        forged({"parts": {"object": ["Linear", {"dict": {}}]}}), r".*minirnn.json \(KeyError: 'Linear'"),
    "object with other names": (
        forged({"parts": {"object": ["Constant", {"dict": {"rate": 1}}]}}), ".*minirnn.json .*'rate'"),
    "object that makes no sense": (
        forged({"parts": {"object": ["StepDecay", {"dict": {"lr": 1, "every": 0}}]}}),
        ".*minirnn.json .*every: got 0, want 1 or more"),
    "newer": (forged({"format": 2, "minirnn": "9.1", "parts": 0}),
              r"is of format 2, from minirnn 9.1: update minirnn, as \S+ reads format 1"),
    "npy": (lambda path: path.write_bytes(npy(np.ones(3))), "is a .npy array"),
    "HDF5": (write(b"\x89HDF\r\n\x1a\n" + bytes(100)), "is an HDF5 file, such as Keras's .h5"),
    "pickle": (write(b"\x80\x04K\x01."), "is a pickle"),
    "safetensors": (write(b"\x80\x02" + bytes(6) + b'{"a":' + b" " * 700), "is a .safetensors file"),
    "ONNX": (write(b"\x08\x08\x12\x07pytorch" + bytes(range(99))), "is an ONNX model, it seems"),
    "gzip": (lambda path: path.write_bytes(gzip.compress(b"x")), "is compressed by gzip"),
    "LFS": (write(b"version https://git-lfs.github.com/spec/v1\n"), "is a pointer of Git LFS"),
    "JSON": (write(b'{"epoch": 1}'), "is a JSON text, it seems, that begins with '{\"epoch\": 1}'"),
    "Korean": (write("가나다".encode() * 300), "is a text that begins with '\\\\uac00"),
    "text": (write(b"hello, world" * 9), "is a text that begins with 'hello, world'"),
    "one byte": (write(b"\1"), r"is no .npz, but begins with b'\\x01'"),
    "zeros": (write(bytes(4096)), "is full of zeros at its beginning, as after a crash"),
    "PyTorch": (another_zip("archive/data.pkl"), "is a file of torch.save, a zip: archive/data.pkl;"),
    "Keras": (another_zip("model.weights.h5"), "is a .keras model, a zip: model.weights.h5;"),
    "zip": (another_zip("a.txt"), "is another zip: a.txt;"),
    "npz": (lambda path: np.savez(path, a=1, b=2), "is an .npz of other arrays: a, b;"),
    "large npz": (
        lambda path: np.savez(path, *range(9)), "is an .npz of other arrays: arr_0, .*, arr_4, …;"),
    "npz of odd names": (
        lambda path: np.savez(path, **{"ä\n": 1}), r"is an .npz of other arrays: \\xe4\\n;"),
    "npz of nothing": (lambda path: np.savez(path), "is an .npz of other arrays: none;"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNFIT)
def test_a_file_that_is_no_whole_checkpoint_is_refused_by_what_it_is(case, path):
    make, message = UNFIT[case]
    make(path)
    want = (
        f"path: got {re.escape(str(path))}, which {message}.*; want what minirnn.save has written$"
    )
    with pytest.raises(CheckpointError, match=want.replace(";.*;", ";")):
        mr.load(path)


def test_a_lack_of_memory_is_not_called_damage(path, monkeypatch):
    def full(*args, **options):
        raise MemoryError

    mr.save(path, **PARTS)
    monkeypatch.setattr(files, "read_array", full)
    with pytest.raises(MemoryError):
        mr.load(path)


@pytest.mark.parametrize(("length", "safetensors"), [(8, True), (9, False), (0, False)])
def test_a_safetensors_file_is_one_whose_header_ends_within_it(length, safetensors):
    said = kind_of_file(length.to_bytes(8, "little") + b'{"a": 1}', 16)
    assert (said == "a .safetensors file") == safetensors
