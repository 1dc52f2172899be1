"""The SBOM names what a lock pins, and nothing else."""

import re
from pathlib import Path

import pytest
import yaml

from tools.sbom import bill_of

ROOT = Path(__file__).parents[2]
LOCKS = [ROOT / "requirements.lock", *sorted((ROOT / "deploy/locks").glob("*.lock"))]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_package_of_a_lock_is_in_its_sbom_with_its_hashes(lock: Path) -> None:
    text = lock.read_text()
    components = bill_of(text, lock.name)["components"]
    pinned = [line.split()[0] for line in text.splitlines() if re.match(r"\w", line)]
    assert pinned
    assert [f"{each['name']}=={each['version']}" for each in components] == pinned
    assert all(each["hashes"] for each in components)
    hashes = [digest["content"] for each in components for digest in each["hashes"]]
    assert hashes == re.findall(r"--hash=sha256:(\w+)", text)


def test_a_package_for_some_machines_only_is_marked() -> None:
    digest = f"    --hash=sha256:{'a' * 64}\n"
    lock = f"plain==1.0 \\\n{digest}elsewhere==2 ; sys_platform == 'win32' \\\n{digest}"
    plain, marked = bill_of(lock, "some.lock")["components"]
    assert "properties" not in plain
    assert plain["purl"] == "pkg:pypi/plain@1.0"
    assert marked["properties"] == [{"name": "tandem:only-where", "value": "sys_platform == 'win32'"}]


def test_ci_audits_what_is_pinned_and_keeps_the_sbom() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    runs = {name: [step.get("run") for step in job["steps"]] for name, job in workflow["jobs"].items()}
    assert "make sbom" in runs["ci"]
    assert "make audit" in runs["audit"]
    recipe = (ROOT / "Makefile").read_text().partition("\naudit:")[2].partition("\n\n")[0]
    # Without --strict, a package that cannot be looked up passes.
    assert "--strict" in recipe
    assert "-r requirements.lock" in recipe
