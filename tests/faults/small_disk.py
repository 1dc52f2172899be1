"""Directories of a limited size: disks that can be filled without harm to the machine."""

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

_libc = ctypes.CDLL(None, use_errno=True)
_DETACH = 2
LEFT_BYTES = 4096


@contextlib.contextmanager
def small_disk(directory: Path, mebibytes: int) -> Iterator[Path]:
    """Mount a file system of this size. Skip the test where that is not allowed: it takes an administrator."""
    directory.mkdir(parents=True)
    if _libc.mount(b"tmpfs", bytes(directory), b"tmpfs", 0, b"size=%dm,mode=755" % mebibytes) != 0:
        pytest.skip(f"not allowed to mount a small disk: {os.strerror(ctypes.get_errno())}")
    try:
        yield directory
    finally:
        # Also while a process still has a file of it open.
        _libc.umount2(bytes(directory), _DETACH)


def fill(disk: Path) -> Path:
    """Take all that is left of a disk. Return the file to delete."""
    ballast = disk / "ballast"
    step = 2**20
    with ballast.open("wb") as file:
        while step >= LEFT_BYTES:
            try:
                os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, step)
            except OSError:
                step //= 2
    return ballast
