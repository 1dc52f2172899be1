"""Kafka's jars are the ones that the lock names, or there is no start."""

import shutil
from pathlib import Path

import pytest

from tandem_cli.jars import class_path, jar_path, read_lock
from tandem_cli.problem import StackProblem


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request goes to a proxy that is not there."""
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A local Maven repository that holds every jar of the lock."""
    for jar, name in zip(class_path(), read_lock(), strict=True):
        place = tmp_path / jar_path(name)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(jar, place)
    monkeypatch.setenv("M2_REPO", str(tmp_path))
    return tmp_path


def test_a_start_with_all_jars_there_needs_no_network(repository: Path, offline: None) -> None:
    jars = class_path()
    assert jars == [repository / jar_path(name) for name in read_lock()]
    assert any(jar.name == "kafka_2.13-4.1.1.jar" for jar in jars)


def test_an_altered_jar_is_not_used(repository: Path, offline: None) -> None:
    altered = repository / jar_path("org.apache.kafka:kafka-clients:4.1.1")
    altered.write_bytes(altered.read_bytes() + b"x")
    with pytest.raises(StackProblem, match=r"could not be fetched from Maven Central.*KAFKA_BOOTSTRAP_SERVERS"):
        class_path()


def test_without_a_registry_the_message_names_the_remedy(
    tmp_path: Path, offline: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("M2_REPO", str(tmp_path / "empty"))
    progress: list[tuple[int, int]] = []
    with pytest.raises(StackProblem, match="check the network or proxy settings"):
        class_path(lambda done, total: progress.append((done, total)))
    assert progress[0] == (0, len(read_lock()))
    assert not list((tmp_path / "empty").rglob("*.jar"))


def test_a_repository_that_cannot_be_written_is_reported(
    tmp_path: Path, offline: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("M2_REPO", str(tmp_path / "file"))
    with pytest.raises(StackProblem, match="could not be kept in"):
        class_path()
