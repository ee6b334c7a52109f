"""Render a bundle's bill of materials as CycloneDX 1.5 in JSON. Pure."""

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
from scripts.host.apt_texts import Package
from scripts.host.environments import WORKER

# The locked Python packages in each worker's image.
LOCKS = {image.target: tuple(WORKER / f"{name}.txt" for name in image.requirements) for image in images.DECLARED}
# The Python packages in the kit itself.
VENDORED = (ROOT / "scripts/_vendor/requirements.txt", ROOT / "worker/_vendor/requirements.txt")
Component = dict[str, Any]


def locks_for(references: Sequence[str]) -> list[Path]:
    """Return the lock files of the Python packages in these images."""
    repositories = {reference.rpartition(":")[0] for reference in references}
    targets = [target for target, image in images.WORKERS.items() if image.repository in repositories]
    return list(dict.fromkeys(lock for target in targets for lock in LOCKS[target]))


def render(
    kit: Kit,
    created: str,
    image_ids: Mapping[str, str],
    models: Mapping[str, str],
    pins: Mapping[str, frozenset[str]],
    packages: Mapping[str, Sequence[Package]],
) -> str:
    """Return the document.

    `image_ids` are by reference, `models` are content hashes by folder, `pins` are wheel hashes by "name==version",
    and `packages` are by system.
    """
    parts = [_image(reference, image_id) for reference, image_id in sorted(image_ids.items())]
    parts += [_component("machine-learning-model", name, value[:12], [value]) for name, value in sorted(models.items())]
    parts += [_wheel(pin, hashes) for pin, hashes in sorted(pins.items())]
    parts += [_deb(system, package) for system, debs in sorted(packages.items()) for package in debs]
    application = _component("application", "wanwu", kit.version, []) | {
        "properties": [{"name": "wanwu:revision", "value": kit.revision}],
        "licenses": [{"license": {"id": "Apache-2.0"}}],
    }
    document = {"components": parts, "metadata": {"timestamp": created, "component": application}}
    serial = uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(document, sort_keys=True))
    header = {"bomFormat": "CycloneDX", "specVersion": "1.5", "serialNumber": f"urn:uuid:{serial}", "version": 1}
    return json.dumps(header | document, indent=1, ensure_ascii=False) + "\n"


def _component(kind: str, name: str, version: str, hashes: Sequence[str]) -> Component:
    digests = [{"alg": "SHA-256", "content": value} for value in sorted(hashes)]
    component = {"type": kind, "bom-ref": f"{kind}/{name}@{version}", "name": name, "version": version}
    return component | ({"hashes": digests} if digests else {})


def _image(reference: str, image_id: str) -> Component:
    name, tag = reference.split(":")
    return _component("container", name, tag, [image_id.removeprefix("sha256:")])


def _wheel(pin: str, hashes: frozenset[str]) -> Component:
    name, version = pin.split("==")
    purl = f"pkg:pypi/{re.sub('[-_.]+', '-', name).lower()}@{quote(version)}"
    return _component("library", name, version, sorted(hashes)) | {"purl": purl, "bom-ref": purl}


def _deb(system: str, package: Package) -> Component:
    name_and_version = f"{quote(package.name)}@{quote(package.version, safe='')}"
    qualifiers = f"arch={package.fields['Architecture']}&distro={system}"
    purl = f"pkg:deb/{system.partition('-')[0]}/{name_and_version}?{qualifiers}"
    component = _component("library", package.name, package.version, [package.sha256])
    return component | {"purl": purl, "bom-ref": purl, "description": package.fields.get("Description", "")}
