"""From files to windows: nothing of a text is lost, changed, put elsewhere or read too early."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from helpers import same_bits
from hypothesis import given, settings
from hypothesis import strategies as st

from minirnn import data
from minirnn.data import Streams, Vocabulary, encode, read_text, section

MIB = 1 << 20
quick = settings(max_examples=200, deadline=None, derandomize=True)


def joined(path, pattern="*"):
    return "".join(read_text(path, pattern))


# Files


def test_a_file_of_several_pieces_comes_whole_and_ends_pieces_at_line_ends(tmp_path):
    """Characters of 1 to 4 bytes lie across every multiple of the size of a piece."""
    for shift in range(4):
        text = "a" * shift + ("é€😀\n" * 7 + "€" * 50 + "\n") * 15_000 + "the end"
        file = tmp_path / "text"
        file.write_bytes(text.encode())
        pieces = list(read_text(file))
        assert "".join(pieces) == text
        assert len(pieces) == file.stat().st_size // MIB + 1 > 2
        assert all(piece.endswith("\n") for piece in pieces[:-1])
        assert all(MIB <= len(piece.encode()) < MIB + 200 for piece in pieces[:-1])


def test_a_line_longer_than_a_piece_stays_whole(tmp_path):
    lines = ["first\n", "é" * (3 * MIB) + "\n", "last"]
    (tmp_path / "text").write_bytes("".join(lines).encode())
    pieces = list(read_text(tmp_path / "text"))
    assert pieces == ["".join(lines[:2]), "last"]


def test_line_ends_and_the_byte_order_mark(tmp_path):
    (tmp_path / "text").write_bytes("\ufeffone\r\ntwo\n\r\nthr\ree\n\ufefffour\r\n".encode())
    assert joined(tmp_path / "text") == "one\ntwo\n\nthr\ree\n\ufefffour\n"


def test_the_byte_order_mark_is_that_of_the_file_not_of_every_piece(tmp_path):
    line = "x" * (MIB - 1) + "\n"
    (tmp_path / "text").write_text("\ufeff" + line + "\ufeff" + line, encoding="utf-8", newline="")
    assert joined(tmp_path / "text") == line + "\ufeff" + line


def test_a_byte_that_is_not_utf8_is_named_with_its_offset_in_the_file(tmp_path):
    content = bytearray("\ufeff".encode() + b"0123456\r\n" * 300_000)
    offset = 2 * MIB + 4321
    content[offset] = 0xE9
    (tmp_path / "text").write_bytes(content)
    pieces = read_text(tmp_path / "text")
    assert len(next(pieces)) > 0.8 * MIB  # what comes before can be read
    with pytest.raises(ValueError, match=rf"text: byte 0xe9 at offset {offset} is not UTF-8 \("):
        list(pieces)


@pytest.mark.parametrize(("encoding", "offset"), [("utf-16-le", 1), ("utf-16-be", 0)])
def test_utf16_without_its_mark_is_no_text_though_each_byte_is_utf8(encoding, offset, tmp_path):
    (tmp_path / "text").write_bytes("to be\n".encode(encoding))
    with pytest.raises(
        ValueError, match=rf"byte 0x00 at offset {offset} is no letter, as in UTF-16; want"
    ):
        joined(tmp_path / "text")


def test_a_character_that_the_file_ends_within_is_an_error(tmp_path):
    (tmp_path / "text").write_bytes(b"ab\n" + "€".encode()[:2])
    with pytest.raises(ValueError, match=r"byte 0xe2 at offset 3 is not UTF-8"):
        joined(tmp_path / "text")


def test_a_folder_is_read_in_order_with_what_is_in_it_but_not_what_is_hidden(tmp_path):
    root = tmp_path / ".hidden above"  # which is none of our business
    for name in ("b.txt", "a/z.txt", "a/c.py", "a.txt", "a/.x.txt", ".git/y.txt", "a/.b/c/d.txt"):
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{name}\n")
    (root / "empty.txt").touch()
    (root / "folder.txt").mkdir()
    assert joined(root).split() == ["a/c.py", "a/z.txt", "a.txt", "b.txt"]
    assert joined(str(root), "*.txt").split() == ["a/z.txt", "a.txt", "b.txt"]
    assert joined(root, "*.py") == "a/c.py\n"
    assert joined(root / "a/.x.txt") == "a/.x.txt\n"  # asked for by name


def test_what_cannot_be_read_is_said_at_once(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"path: got .*nothing, which does not exist"):
        read_text(tmp_path / "nothing")
    (tmp_path / ".hidden.txt").write_text("a")
    with pytest.raises(FileNotFoundError, match=r"path: got .*, a folder without a file \*\.txt"):
        read_text(tmp_path, "*.txt")


def test_an_empty_file_is_no_text(tmp_path):
    (tmp_path / "text").touch()
    assert joined(tmp_path / "text") == ""
    with pytest.raises(ValueError, match="pieces: got a text without a token"):
        Vocabulary.build(read_text(tmp_path / "text"))
    with pytest.raises(ValueError, match="pieces: got a text without a token"):
        encode(read_text(tmp_path / "text"), Vocabulary("ab"))


@quick
@given(st.lists(st.text("abcdefgh", max_size=6)), st.integers(0, 40), st.integers(0, 40))
def test_a_section_is_a_slice(pieces, start, stop):
    assert "".join(section(pieces, start, stop)) == "".join(pieces)[start:stop]


def test_a_section_reads_no_further_than_it_must():
    pieces = iter(["abc", "def", "ghi"])
    assert list(section(pieces, 1, 6)) == ["bc", "def"]
    assert list(pieces) == ["ghi"]


# Ids and streams


@pytest.mark.parametrize("level", data.LEVELS)
def test_encoding_to_a_file_is_encoding_in_memory(level):
    pieces = ["to be, or\n", "not to be\n", "\n", "that is"]
    vocabulary = Vocabulary.build(pieces, level)
    ids, digest = encode(iter(pieces), vocabulary)
    assert isinstance(ids, np.memmap)
    assert not ids.flags.writeable
    assert ids.tolist() == vocabulary.encode("".join(pieces)).tolist()
    assert digest == encode(["".join(pieces)], vocabulary)[1]  # however it is cut
    assert digest != encode([*pieces, "\n"], vocabulary)[1]
    assert digest != encode(pieces[::-1], vocabulary)[1]


@quick
@given(st.integers(2, 80), st.integers(1, 6), st.integers(1, 7), st.booleans())
def test_streams_go_on_where_they_were_and_predict_what_comes_next(size, N, T, remainder):
    ids = np.arange(size, dtype=np.uint8)  # so that an id says where it was
    if size < (N if remainder else N * T) + 1:
        with pytest.raises(ValueError, match=f"ids: got {size} tokens, want "):
            Streams(ids, N, T, remainder)
        return
    streams = Streams(ids, N, T, remainder)
    windows = [streams.window(k) for k in range(len(streams))]
    for tokens, targets in windows:
        assert same_bits(targets, tokens + 1)
        assert tokens.shape == targets.shape
        assert tokens.shape[1] == N
    for (_, targets), (tokens, _) in pairwise(windows):
        np.testing.assert_array_equal(tokens[0], targets[-1])
    tokens = np.concatenate([tokens for tokens, _ in windows])
    assert len(tokens) == streams.length
    np.testing.assert_array_equal(np.diff(tokens.astype(int), axis=0), 1)
    apart = (size - 1) // N  # as far apart as they can be, the first at the start
    np.testing.assert_array_equal(tokens[0], np.arange(N) * apart)
    assert len(tokens) == (apart if remainder else apart - apart % T)
    assert all(len(tokens) == T for tokens, _ in windows[: len(windows) - remainder])


def test_streams_that_cannot_be_and_windows_that_are_not_there():
    ids = np.arange(13)
    with pytest.raises(ValueError, match=r"got 13 tokens, want N·T \+ 1 = 16 or more; .*fewer str"):
        Streams(ids, 3, 5)
    with pytest.raises(ValueError, match=r"got 13 tokens, want N \+ 1 = 14 or more"):
        Streams(ids, 13, 5, remainder=True)
    with pytest.raises(ValueError, match=r"ids: got shape \(13, 1\), want \(n,\)"):
        Streams(ids[:, None], 3, 4)
    with pytest.raises(ValueError, match="N: got 0, want 1 or more"):
        Streams(ids, 0, 4)
    with pytest.raises(TypeError, match=r"T: got 4\.0, want an integer"):
        Streams(ids, 3, 4.0)
    for k in (-1, 1):
        with pytest.raises(IndexError, match=f"k: got {k}, want 0 to 0"):
            Streams(ids, 3, 4).window(k)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory in use from /proc")
def test_of_a_large_file_only_the_windows_asked_for_are_read(tmp_path):
    size, N = 8 << 30, 32
    with (tmp_path / "ids").open("wb") as file:
        file.truncate(size)  # a hole, which takes no room
        for n in range(N):
            file.seek(n * ((size - 1) // N) + 7 * 100)
            file.write(bytes([n + 1]))
    code = f"""
import resource
import numpy as np
from minirnn.data import Streams
resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 30))  # rather than fill the machine
def resident():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
before = resident()
streams = Streams(np.memmap({str(tmp_path / "ids")!r}, np.uint8, "r"), {N}, 100)
assert len(streams) == {(size - 1) // N // 100}
assert streams.window(7)[0][0].tolist() == list(range(1, {N} + 1))
for k in (*range(20), len(streams) - 1):
    streams.window(k)
print(resident() - before)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(run.stdout) < 32 * 1024  # KiB
