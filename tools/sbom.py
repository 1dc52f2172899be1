"""Writes a CycloneDX SBOM of a lock: `.venv/bin/python tools/sbom.py deploy/locks/services.lock > services.cdx.json`.

Everything in it is in the lock: it needs no network, and the same lock always gives the same bytes.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

_PIN = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>\S+)(?: ; (?P<marker>[^\\]+?))? \\$", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})\b")


def bill_of(lock: str, name: str) -> dict[str, Any]:
    """Return the document of a lock's text: each package, and the hashes of the files that may be installed of it."""
    pins = list(_PIN.finditer(lock))
    ends = [pin.start() for pin in pins[1:]] + [len(lock)]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "bom-ref": "tandem", "name": f"tandem ({name})"}},
        "components": [_component(pin, lock[pin.end() : end]) for pin, end in zip(pins, ends, strict=True)],
    }


def _component(pin: re.Match[str], hashes: str) -> dict[str, Any]:
    address = f"pkg:pypi/{pin['name']}@{pin['version']}"
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": address,
        "name": pin["name"],
        "version": pin["version"],
        "purl": address,
        "hashes": [{"alg": "SHA-256", "content": digest} for digest in _HASH.findall(hashes)],
    }
    if pin["marker"] is not None:
        component["properties"] = [{"name": "tandem:only-where", "value": pin["marker"]}]
    return component


if __name__ == "__main__":
    path = Path(sys.argv[1])
    print(json.dumps(bill_of(path.read_text(), path.name), indent=2))
