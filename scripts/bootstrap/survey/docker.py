"""The Docker of this server, and the packages that it lacks."""

from pathlib import Path

from scripts.base.errors import CommandError
from scripts.bootstrap.apt import Repository, is_installed
from scripts.bootstrap.checks import docker
from scripts.bootstrap.checks.volume import is_nfs
from scripts.bootstrap.machine import ask, has, reason, run, succeeds, text_of
from scripts.bootstrap.options import Options
from scripts.bootstrap.record import Record
from scripts.bootstrap.server import Packages
from scripts.host.systems import SYSTEMS

APPARMOR = "/sys/module/apparmor/parameters/enabled"
# The kit needs a Python that stays, unlike one that stage 0 brought. Ubuntu 22.04 has python3.11 beside its python3.
PYTHON = "python3"
PYTHONS = (PYTHON, *(name for system in SYSTEMS.values() for name in system.python))
RUNS_KIT = "import sys; sys.exit(sys.version_info < (3, 11))"


def old_docker(record: Record) -> tuple[bool, bool]:
    """Return whether the engine, and whether Compose, must come from the bundle; raise CommandError if neither can."""
    if not has("dockerd"):
        return True, True
    said = run("dockerd", "--version")
    if said.returncode:
        if not record.of("packages"):  # otherwise a killed run has half installed it
            raise CommandError(
                f"found a Docker that does not run ({reason(said)}), needed a working one or none: "
                "repair it, or remove it"
            )
        return True, True
    version = docker.engine_version(said.stdout)
    old_engine = docker.is_old_engine(version, from_packages=succeeds("dpkg-query", "-W", "docker.io"))
    # A Docker that systemd holds back until the volume is there would not answer, but let its client wait.
    if not record.of("docker") and (answer := run("docker", "version")).returncode:
        raise CommandError(
            f"found Docker {version} that does not answer ({reason(answer)}), needed a working one or none: "
            "start or repair it, or remove it"
        )
    return old_engine, docker.is_old_compose(ask("docker", "compose", "version", "--short"))


def find_packages(
    options: Options, folder: Path | None, system: str, work: Path, record: Record, old: tuple[bool, bool]
) -> Packages:
    """Return the bundle's packages that this server lacks; raise CommandError if they conflict with those it has."""
    engine, _ = old
    names = _missing(options, system, record, old)
    if not names:
        return Packages(folder)
    if folder is None:
        raise CommandError(
            f"found no packages for {system} in the bundle, needed {' '.join(names)}: "
            f"create the bundle with SYSTEMS={system}"
        )
    repository = Repository(folder, work / "apt")
    wanted = docker.offered(names, repository.read())
    done = repository.simulate(*wanted)
    if done.returncode:
        raise CommandError(
            f"found installed packages that conflict with the bundle's ({reason(done)}): "
            f"remove those that prevent installing {' '.join(wanted)}"
        )
    if engine and "docker.io" not in wanted:
        raise CommandError(f"found no docker.io in the bundle's packages/{folder.name}: create the bundle again")
    return Packages(folder, tuple(wanted), tuple(docker.new_packages(done.stdout)), engine)


def _missing(options: Options, system: str, record: Record, old: tuple[bool, bool]) -> list[str]:
    recorded = (name for line in record.of("packages") for name in line.split())
    half_installed = [name for name in recorded if not is_installed(name)]  # by a killed run
    return half_installed + docker.missing_packages(
        *old,
        python=() if kit_python() else (PYTHON, *SYSTEMS[system].python),
        make=not has("make"),
        # If the kernel has AppArmor, Docker needs its parser.
        apparmor=text_of(APPARMOR).strip() == "Y" and not has("apparmor_parser"),
        nfs=is_nfs(options.models) and not has("mount.nfs"),
    )


def kit_python() -> str:
    """Return the Python of this server that runs the kit; "" if there is none yet."""
    return next((name for name in PYTHONS if succeeds(name, "-c", RUNS_KIT)), "")
