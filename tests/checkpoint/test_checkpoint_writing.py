"""A checkpoint gets its name when it is complete, whatever happens and whoever else saves to it."""

from __future__ import annotations

import errno
import io
import itertools
import os
import re
import secrets
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from checkpoints import listing, posix

import minirnn as mr
from minirnn.checkpoint import files, whole_file

PARTIAL = "ckpt.npz.00000000.partial"


@pytest.fixture(autouse=True)
def partial(monkeypatch):
    """The first name that is tried is `PARTIAL`."""
    names = (f"{k:08}" for k in itertools.count())
    monkeypatch.setattr(secrets, "token_hex", lambda size: next(names))


class Stop(BaseException):
    """Such as KeyboardInterrupt, which would end the tests if it got out."""


def fail(*args, **kwargs):
    raise Stop


@pytest.mark.parametrize("old", [True, False], ids=["old", "new"])
@pytest.mark.parametrize(
    "where", ["os.fsync", "os.replace", "zipfile.ZipFile.writestr", "zipfile.ZipFile.open"]
)
def test_an_interrupted_save_changes_nothing(old, where, path, monkeypatch):
    if old:
        mr.save(path, epoch=1)
    before = listing(path.parent)
    with monkeypatch.context() as patch:
        patch.setattr(where, fail)
        with pytest.raises(Stop):
            mr.save(path, epoch=2, x=np.ones(3))
    assert listing(path.parent) == before
    mr.save(path, epoch=3)
    assert mr.load(path) == {"epoch": 3}


def test_an_interrupt_between_two_arrays_changes_nothing(path, monkeypatch):
    mr.save(path, epoch=1)
    before, write = listing(path.parent), files.npy.write_array

    def once(file, array, *args, **options):
        if array[0] == 2:
            assert sorted(listing(path.parent)) == ["ckpt.npz", PARTIAL.replace("0.", "1.")]
            raise Stop
        write(file, array, *args, **options)

    monkeypatch.setattr(files.npy, "write_array", once)
    with pytest.raises(Stop):
        mr.save(path, a=np.ones(10**5), b=np.full(10**5, 2.0))
    assert listing(path.parent) == before


@posix
def test_a_full_disk_changes_nothing(path):
    import resource

    mr.save(path, epoch=1)
    before, limits = listing(path.parent), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OSError, match=re.escape(str(path))) as caught:
            mr.save(path, a=np.ones(10**4), b=np.ones(10**5))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.errno == errno.EFBIG
    assert listing(path.parent) == before


@posix
def test_the_file_is_on_the_disk_before_it_gets_its_name(path, monkeypatch):
    calls, fsync, replace = [], os.fsync, os.replace

    def seen_fsync(handle):
        calls.append(
            os.readlink(f"/proc/self/fd/{handle}") if os.path.exists("/proc/self/fd") else ""
        )
        if len(calls) == 1:
            assert zipfile.is_zipfile(path.with_name(PARTIAL))  # nothing is left in a buffer
        fsync(handle)

    def seen_replace(old, new):
        calls.append("replace")
        assert os.path.dirname(old) == os.path.dirname(new)
        whole_file._remove_leftovers(path)  # as others do that save to this path just then
        replace(old, new)

    monkeypatch.setattr(os, "fsync", seen_fsync)
    monkeypatch.setattr(os, "replace", seen_replace)
    mr.save(path, epoch=1)
    assert calls[1:2] == ["replace"]
    assert len(calls) == 3
    if calls[0]:
        assert calls == [str(path.with_name(PARTIAL)), "replace", str(path.parent)]


def test_a_directory_that_cannot_be_synchronised_is_no_error(path, monkeypatch):
    fsync, calls = os.fsync, []

    def only_files(handle):
        calls.append(handle)
        if len(calls) > 1:
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", only_files)
    mr.save(path, epoch=1)
    assert mr.load(path) == {"epoch": 1}


@posix
def test_a_link_to_a_checkpoint_stays_a_link(path, tmp_path):
    link = tmp_path / "latest.npz"
    link.symlink_to(path)
    mr.save(link, epoch=1)
    mr.save(link, epoch=2)
    assert link.is_symlink()
    assert mr.load(path) == {"epoch": 2}


def test_what_a_killed_process_left_is_written_over(path):
    left = path.with_name(PARTIAL)
    left.write_bytes(b"x" * 10**5)
    mr.save(path, epoch=1)
    assert listing(path.parent).keys() == {"ckpt.npz"}
    assert mr.load(path) == {"epoch": 1}


@posix
def test_what_another_writes_and_links_to_elsewhere_are_left_alone(path, tmp_path, monkeypatch):
    elsewhere, written_to = tmp_path / "elsewhere", whole_file._take_over
    elsewhere.write_bytes(b"precious")
    for name in (PARTIAL, "ckpt.npz.partial"):
        path.with_name(name).symlink_to(elsewhere)

    def another_saves_meanwhile(*arguments):
        monkeypatch.setattr(whole_file, "_take_over", written_to)
        mr.save(path, epoch=2)
        assert mr.load(path) == {"epoch": 2}
        written_to(*arguments)

    monkeypatch.setattr(whole_file, "_take_over", another_saves_meanwhile)
    mr.save(path, epoch=1)  # complete later than the other one
    assert mr.load(path) == {"epoch": 1}
    assert elsewhere.read_bytes() == b"precious"
    assert set(listing(tmp_path)) == {"ckpt.npz", "elsewhere", PARTIAL, "ckpt.npz.partial"}


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o400])
def test_permissions_are_those_of_the_file_that_is_replaced(mode, path, monkeypatch):
    mr.save(path, epoch=1)
    umask = os.umask(0o027)
    try:
        mr.save(path.with_name("new"), epoch=1)
        path.chmod(mode)
        seen, write = [], files._write

        def noted(file, *arguments):
            seen.append(os.fstat(file.fileno()).st_mode & 0o777)
            write(file, *arguments)

        monkeypatch.setattr(files, "_write", noted)
        mr.save(path, epoch=2)
    finally:
        os.umask(umask)
    assert path.stat().st_mode & 0o777 == mode
    assert path.with_name("new").stat().st_mode & 0o777 == 0o640
    assert seen[0] & ~mode == 0  # nobody reads it before, either
    assert mr.load(path) == {"epoch": 2}


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("", ValueError, "path: got '', want a file's name"),
        ("dir.npz/", ValueError, "path: got 'dir.npz/', want a file's name"),
        (b"dir.npz/", ValueError, "path: got 'dir.npz/', want a file's name"),
        ("a\0b", ValueError, r"path: got 'a\\x00b', want a file's name"),
        (io.BytesIO(), TypeError, "path: got BytesIO, want a file's name, a str or os.PathLike"),
        (3, TypeError, "path: got int, want"),
        (None, TypeError, "path: got NoneType, want"),
    ],
)
def test_what_is_no_name_of_a_file_is_refused(name, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for call in (mr.load, mr.save):
        with pytest.raises(error, match=message):
            call(name)
    assert listing(tmp_path) == {}


def test_names_may_be_bytes_and_lack_an_ending_and_be_as_long_as_can_be(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (b"plain", "가" * 85, "é" * 120 + ".npz"):
        mr.save(name, epoch=1)
        assert mr.load(name) == {"epoch": 1}
        assert set(listing(tmp_path)) == {os.fsdecode(name)}
        os.remove(name)


# SIGKILL

KILLS = 30
# One process has everything imported and forks those that are to be killed: starting Python takes
# longer than all the rest.
KILLED = f"""
import os, random, signal, sys, time
import numpy as np
import minirnn as mr

def check(parts, last):
    n = parts["n"]
    assert n >= last, f"{{last}} was there, and is {{n}} now"
    assert set(parts) == {{"n", "a", "deep"}}
    for array, size in zip((parts["a"], *parts["deep"]["b"]), (40_000 + n % 7, 3, n % 5), strict=True):
        assert array.shape == (size,) and (array == n).all(), f"torn at {{n}}"
    return n

path, random = sys.argv[1], random.Random(0)
mr.save(path, n=0, a=np.zeros(40_000), deep={{"b": (np.zeros(3), np.zeros(0))}})
last = unfinished = 0
for _ in range({KILLS}):
    child = os.fork()
    if not child:
        try:
            for n in range(last + 1, last + 10**6):
                b = (np.full(3, n), np.full(n % 5, n))
                mr.save(path, n=n, a=np.full(40_000 + n % 7, n), deep={{"b": b}})
        finally:
            os._exit(1)  # reached only by an error: the loop is longer than a life
    time.sleep(random.uniform(0, 0.06))
    os.kill(child, signal.SIGKILL)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1]), "the child ended on its own"
    last = check(mr.load(path), last)
    left = set(os.listdir(os.path.dirname(path))) - {{os.path.basename(path)}}
    assert len(left) <= 1 and all(name.endswith(".partial") for name in left), left
    unfinished += len(left)
print(last, unfinished)
"""


@posix
def test_a_process_killed_at_any_moment_leaves_a_whole_checkpoint(path):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLED, str(path)],
        capture_output=True, text=True, timeout=120, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    saved, unfinished = map(int, done.stdout.split())
    assert mr.load(path)["n"] == saved
    assert saved >= 1, "no child ever came to save"
    assert unfinished >= 1, f"none of {KILLS} kills was in the middle of a save"


@posix
def test_it_is_saved_where_no_file_can_be_locked(tmp_path, monkeypatch):
    """As on some network disks, where to try again would be to try for ever."""

    def no_locks(*arguments):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(whole_file.fcntl, "flock", no_locks)
    monkeypatch.setattr(whole_file, "_partial_name", first_time(whole_file._partial_name))
    mr.save(tmp_path / "ckpt.npz", epoch=3)
    assert mr.load(tmp_path / "ckpt.npz") == {"epoch": 3}
    assert list(listing(tmp_path)) == ["ckpt.npz"]


def test_what_a_killed_process_left_is_removed_where_there_are_no_locks(tmp_path, monkeypatch):
    """As on Windows."""
    target = tmp_path / "ckpt.npz"
    left = tmp_path / whole_file._partial_name(target, "0123abcd")
    left.write_bytes(b"half")
    monkeypatch.setattr(whole_file, "fcntl", None)
    whole_file._remove_leftovers(target)
    assert not left.exists()


def first_time(function):
    """A function that is `function` for one name of a new file, and stops at the second."""
    count = itertools.count()

    def named(target, token):
        return function(target, token) if token == "\0" or not next(count) else fail()

    return named
