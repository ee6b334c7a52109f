"""The bill of materials, as CycloneDX 1.5 in JSON: pure, given what is in a bundle."""

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from scripts.bundle.kit import Kit
from scripts.cluster.config import ROOT
from scripts.host import images
from scripts.host.debs import Package
from scripts.host.environments import WORKER

# What each worker's image is built from beside Debian's Python.
LOCKS = {image.target: tuple(WORKER / f"{name}.txt" for name in image.requirements) for image in images.DECLARED}
VENDORED = ROOT / "scripts/_vendor/requirements.txt"  # what the kit itself carries
Component = dict[str, Any]


def locks_of(references: Sequence[str]) -> list[Path]:
    """The lists that pin the Python packages inside these images."""
    targets = [target for target, image in images.WORKERS.items() for one in references if one == image.reference]
    return list(dict.fromkeys(lock for target in targets for lock in LOCKS[target]))


def render(
    kit: Kit,
    created: str,
    saved: Mapping[str, str],
    models: Mapping[str, str],
    pins: Mapping[str, frozenset[str]],
    packages: Mapping[str, Sequence[Package]],
) -> str:
    """The document. `saved` are image IDs by reference, `models` content hashes by folder, `packages` by system."""
    parts = [_image(reference, found) for reference, found in sorted(saved.items())]
    parts += [_component("machine-learning-model", name, value[:12], [value]) for name, value in sorted(models.items())]
    parts += [_wheel(pin, hashes) for pin, hashes in sorted(pins.items())]
    parts += [_deb(system, package) for system, listed in sorted(packages.items()) for package in listed]
    own = _component("application", "wanwu", kit.version, []) | {
        "properties": [{"name": "wanwu:revision", "value": kit.revision}],
        "licenses": [{"license": {"id": "Apache-2.0"}}],
    }
    document = {"components": parts, "metadata": {"timestamp": created, "component": own}}
    serial = uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(document, sort_keys=True))
    head = {"bomFormat": "CycloneDX", "specVersion": "1.5", "serialNumber": f"urn:uuid:{serial}", "version": 1}
    return json.dumps(head | document, indent=1, ensure_ascii=False) + "\n"


def _component(kind: str, name: str, version: str, hashes: Sequence[str]) -> Component:
    listed = [{"alg": "SHA-256", "content": value} for value in sorted(hashes)]
    found = {"type": kind, "bom-ref": f"{kind}/{name}@{version}", "name": name, "version": version}
    return found | ({"hashes": listed} if listed else {})


def _image(reference: str, found: str) -> Component:
    name, tag = reference.split(":")
    return _component("container", name, tag, [found.removeprefix("sha256:")])


def _wheel(pin: str, hashes: frozenset[str]) -> Component:
    name, version = pin.split("==")
    purl = f"pkg:pypi/{re.sub('[-_.]+', '-', name).lower()}@{quote(version)}"
    return _component("library", name, version, sorted(hashes)) | {"purl": purl, "bom-ref": purl}


def _deb(system: str, package: Package) -> Component:
    fields, where = package.fields, f"arch={package.fields['Architecture']}&distro={system}"
    purl = f"pkg:deb/{system.partition('-')[0]}/{quote(package.name)}@{quote(package.version, safe='')}?{where}"
    described = _component("library", package.name, package.version, [package.sha256])
    return described | {"purl": purl, "bom-ref": purl, "description": fields.get("Description", "")}
