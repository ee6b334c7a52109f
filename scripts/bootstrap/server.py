"""What is known of a server once all checks have passed, and of the bundle that it was given."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.bootstrap import places
from scripts.bootstrap.options import Options
from scripts.bootstrap.record import Record


@dataclass(frozen=True)
class Image:
    """A saved image; `file` is its path in the bundle."""

    reference: str
    id: str
    file: str


@dataclass(frozen=True)
class Bundle:
    """The bundle's folder, and what its manifest says; `packages` are folders by system."""

    folder: Path
    created: str  # ISO 8601, UTC
    revision: str
    kit: Path
    images: tuple[Image, ...]
    packages: dict[str, Path]

    @classmethod
    def read(cls, folder: Path, manifest: str) -> "Bundle":
        values: dict[str, Any] = json.loads(manifest)
        return cls(
            folder,
            str(values.get("created", "")),
            str(values.get("wanwu", {}).get("revision", "")),
            folder / values["kit"],
            tuple(Image(each["reference"], each["id"], each["file"]) for each in values["images"]),
            {system: folder / entry["packages"] for system, entry in values["systems"].items()},
        )


@dataclass(frozen=True)
class Kit:
    """The bundle's kit: the folder for it, the sha256 of its archive, and the name of the kit that was linked."""

    folder: Path
    sum: str
    before: str


@dataclass(frozen=True)
class Volume:
    """The model volume, as a mount unit or fstab states it, and the text of its sentinel."""

    what: str
    type: str
    options: str
    sentinel: str = ""

    @property
    def fstab_line(self) -> str:
        return f"{self.what} {places.VOLUME} {self.type} {self.options} 0 0"


@dataclass(frozen=True)
class Packages:
    """The bundle's packages that the server lacks: `wanted` by name, `incoming` with all that they depend on."""

    folder: Path | None
    wanted: tuple[str, ...] = ()
    incoming: tuple[str, ...] = ()
    engine: bool = False  # whether Docker's engine is among them


@dataclass(frozen=True)
class Join:
    """A swarm to join: its token, which no command line and no log may show, and a manager's address and port."""

    token: str
    manager: str

    def __repr__(self) -> str:
        return f"Join({self.manager})"


@dataclass(frozen=True)
class Server:
    """This server: what was asked for, what was found, and `work`, a folder for files that end with this run."""

    options: Options
    record: Record
    work: Path
    system: str
    name: str
    bundle: Bundle
    kit: Kit
    cluster: Path | None  # the operator's cluster.toml; None before there is a kit
    port: int
    nvidia: bool
    volume: Volume
    packages: Packages
    join: Join | None
