"""Kafka starts with less than half the CPU time when its classes are mapped from a file, loaded and linked already.

A JVM that finds no such archive writes down which classes it loads; from these lists another JVM makes the archive,
once for each Java runtime and set of jars, in the user's cache directory. Nobody waits for it, and nothing depends on
it: the JVM checks that it fits and is whole, and goes on without it otherwise.
"""

import fcntl
import hashlib
import os
import shutil
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tandem_cli.spawn import finish, spawn

FREE_BYTES = 500 * 2**20
UNUSED_SECONDS = 30 * 86400.0
_REFUSED = "[cds]"
"""What the JVM's words about an archive that it could not use are marked with."""


class ClassArchive:
    """The archive for the Java runtime `java` with these `options` (all but the heap's size) and `jars`."""

    def __init__(self, java: Path, options: Sequence[str], jars: Sequence[Path]) -> None:
        self._java = java
        self._options = list(options)
        self._jars = list(jars)
        self.file = _cache_dir() / f"kafka-{self._fingerprint()}.jsa"

    def options(self, class_list: Path) -> list[str]:
        """What to start a JVM with: to use the archive or, while there is none, to list its classes in `class_list`."""
        if self.file.exists():
            # A page that a power cut left empty would end the JVM later; to look through all of them takes 30 ms.
            return [f"-XX:SharedArchiveFile={self.file}", "-XX:+VerifySharedSpaces"]
        return [f"-XX:DumpLoadedClassList={class_list}"]

    def drop_if_refused(self, output: Path) -> None:
        """Remove the archive when a JVM that was started with it says in `output` that it could not use it."""
        if _REFUSED in output.read_text(errors="replace"):
            with suppress(OSError):
                self.file.unlink()

    def make(self, class_list: Path, output: Path, broken_off: threading.Event) -> None:
        """Make it from what a JVM listed in `class_list`, at the lowest priority, unless it is there or being made.

        Returns when that is done (some ten CPU seconds), has failed, or `broken_off` was set. What the JVM says goes
        to `output`. Where the cache directory cannot be written or has little room, nothing is made.
        """
        with suppress(OSError):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with self.file.with_suffix(".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not self.file.exists() and shutil.disk_usage(self.file.parent).free >= FREE_BYTES:
                    self._make(class_list, output, broken_off)
                    self._forget_others()
        class_list.unlink(missing_ok=True)

    def _make(self, class_list: Path, output: Path, broken_off: threading.Event) -> None:
        whole_lines = class_list.with_suffix(".whole")
        # The JVM that writes the list may be in the middle of a line.
        whole_lines.write_bytes(class_list.read_bytes().rpartition(b"\n")[0] + b"\n")
        # Renamed when it is whole; who dies before leaves this name, which the next one writes again.
        unfinished = self.file.with_suffix(".unfinished")
        archiving = ["-Xmx256m", "-Xshare:dump", "-XX:+AOTClassLinking", f"-XX:SharedClassListFile={whole_lines}"]
        program = ["nice", "-n", "19", str(self._java), *self._options, *archiving]
        program += [f"-XX:SharedArchiveFile={unfinished}", "-cp", os.pathsep.join(map(str, self._jars))]
        try:
            with output.open("wb") as words:
                process = spawn(program, output=words)
            while process.poll() is None and not broken_off.wait(0.1):
                pass
            finish(process, 0.0)
            if process.returncode == 0:
                unfinished.replace(self.file)
        finally:
            unfinished.unlink(missing_ok=True)
            whole_lines.unlink(missing_ok=True)

    def _forget_others(self) -> None:
        """Remove what was made long ago for another runtime or other jars; each takes some 65 MiB."""
        for other in self.file.parent.glob("kafka-*.jsa"):
            if other != self.file and other.stat().st_mtime < time.time() - UNUSED_SECONDS:
                other.unlink(missing_ok=True)

    def _fingerprint(self) -> str:
        """A digest of all by which the JVM judges whether an archive fits."""
        digest = hashlib.sha256("\0".join(self._options).encode())
        for file in (self._java.parent.parent / "lib" / "modules", *self._jars):
            status = file.stat()
            digest.update(f"\0{file}\0{status.st_size}\0{status.st_mtime_ns}".encode())
        return digest.hexdigest()[:16]


def _cache_dir() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tandem"
