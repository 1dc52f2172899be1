"""Files that are written whole or not at all, and that only their owner can read where they are secret."""

import os
import secrets
from contextlib import suppress
from pathlib import Path


def replace(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write `path`. A concurrent reader gets the old content or the new, never a part."""
    _fresh(path, content, mode).replace(path)


def create(path: Path, content: bytes) -> None:
    """Write `path` with mode 0600 unless it exists. Of two concurrent writers the first one wins."""
    fresh = _fresh(path, content, 0o600)
    with suppress(FileExistsError):
        path.hardlink_to(fresh)
    fresh.unlink()


def _fresh(path: Path, content: bytes, mode: int) -> Path:
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        os.write(descriptor, content)
    finally:
        os.close(descriptor)
    return fresh
