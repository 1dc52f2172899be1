"""Brings Kafka's jars from Maven Central into the local Maven repository, each checked against `jars.lock`.

The lock names every jar with its SHA-256, so a start asks the network nothing once they are there, and a first start
fetches exactly these, in parallel. `python -m tandem_cli.jars lock` resolves again and writes the lock.
"""

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tandem_cli.problem import StackProblem

LOCK = Path(__file__).with_name("jars.lock")
KAFKA = "org.apache.kafka:kafka_2.13:4.1.1"
LOGGING = "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3"  # without it the broker logs nothing
DOWNLOADS = 6

Progress = Callable[[int, int], None]


def class_path(progress: Progress | None = None) -> list[Path]:
    """The jars of the lock, fetched where missing. `progress` receives the number fetched and the total.

    Raises StackProblem when Maven Central cannot be reached, the disk is full or a jar differs from the lock.
    """
    repository = Path(os.environ.get("M2_REPO") or Path.home() / ".m2" / "repository")
    locked = read_lock()
    missing = {name: sha for name, sha in locked.items() if not _is(repository / jar_path(name), sha)}
    if missing:
        _fetch(missing, repository, len(locked), progress or (lambda done, total: None))
    return [repository / jar_path(name) for name in locked]


def read_lock() -> dict[str, str]:
    """`group:artifact:version` → SHA-256 in hexadecimal."""
    lines = [line.split() for line in LOCK.read_text().splitlines() if line and not line.startswith("#")]
    return {name: digest.removeprefix("sha256:") for name, digest in lines}


def write_lock() -> None:
    """Resolve anew and write the lock, keeping its opening comment."""
    from jgo import resolve

    comment = [line for line in LOCK.read_text().splitlines() if line.startswith("#")]
    # Apart, for resolved together the one's managed versions would replace the other's.
    artifacts = [*resolve(KAFKA), resolve(LOGGING)[0]]
    with ThreadPoolExecutor(DOWNLOADS) as pool:
        digests = pool.map(lambda artifact: hashlib.sha256(artifact.resolve().read_bytes()).hexdigest(), artifacts)
    lines = [
        f"{artifact.groupId}:{artifact.artifactId}:{artifact.version} sha256:{digest}"
        for artifact, digest in zip(artifacts, digests, strict=True)
    ]
    LOCK.write_text("\n".join([*comment, *sorted(lines)]) + "\n")


def _fetch(missing: dict[str, str], repository: Path, total: int, progress: Progress) -> None:
    # Imported here, since only a first start needs them: they cost every command a quarter of a second.
    import requests
    from jgo.constants import MAVEN_CENTRAL_URL
    from jgo.maven import MavenContext

    try:
        repository.mkdir(parents=True, exist_ok=True)
        # Into a directory of our own and then renamed, so that an interrupted download is never taken for a jar.
        with (
            tempfile.TemporaryDirectory(prefix=".tandem-", dir=repository) as scratch,
            ThreadPoolExecutor(DOWNLOADS) as pool,
        ):
            context = MavenContext(repo_cache=Path(scratch), remote_repos={"central": MAVEN_CENTRAL_URL})

            def fetch(name: str) -> None:
                group, artifact, version = name.split(":")
                arrived = Path(scratch) / jar_path(name)
                for last in (False, False, True):
                    try:
                        context.project(group, artifact).at_version(version).artifact().resolve()
                        break
                    except (requests.RequestException, RuntimeError):
                        arrived.unlink(missing_ok=True)  # a part of a jar would be taken for it
                        if last:
                            raise
                if not _is(arrived, missing[name]):
                    raise StackProblem(f"The jar {name} from Maven Central is not the one that jars.lock names.")
                place = repository / jar_path(name)
                place.parent.mkdir(parents=True, exist_ok=True)
                arrived.replace(place)

            try:
                done = total - len(missing)
                progress(done, total)
                for _ in pool.map(fetch, missing):
                    done += 1
                    progress(done, total)
            except BaseException:
                pool.shutdown(cancel_futures=True)  # the rest need not be fetched any more
                raise
    except (requests.RequestException, RuntimeError) as error:
        raise StackProblem(
            "Kafka's jars could not be fetched from Maven Central; check the network or proxy settings, "
            f"or set KAFKA_BOOTSTRAP_SERVERS to a Kafka that runs elsewhere ({type(error).__name__})."
        ) from error
    except OSError as error:
        raise StackProblem(f"Kafka's jars could not be kept in {repository}: {error.strerror}.") from error


def jar_path(name: str) -> Path:
    """Where a Maven repository keeps `group:artifact:version`, relative to its root."""
    group, artifact, version = name.split(":")
    return Path(*group.split("."), artifact, version, f"{artifact}-{version}.jar")


def _is(jar: Path, digest: str) -> bool:
    try:
        return hashlib.sha256(jar.read_bytes()).hexdigest() == digest
    except OSError:
        return False  # absent or unreadable; fetching it reports why it cannot be kept


if __name__ == "__main__":
    if sys.argv[1:] != ["lock"]:
        sys.exit("usage: python -m tandem_cli.jars lock")
    write_lock()
