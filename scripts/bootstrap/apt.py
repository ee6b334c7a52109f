"""The bundle's packages as a repository of apt's, which leaves this server's sources and lists as they are."""

from dataclasses import dataclass
from pathlib import Path

from scripts.base.errors import CommandError
from scripts.bootstrap.machine import Result, reason, run
from scripts.host.packages import when_unlocked

# What keeps packages from starting Docker before it is configured and the volume is mounted.
QUIET = {"RUNLEVEL": "1", "SYSTEMD_OFFLINE": "1", "DEBIAN_FRONTEND": "noninteractive"}


@dataclass(frozen=True)
class Repository:
    """The packages in `folder`; apt keeps what it reads of them below `work`."""

    folder: Path
    work: Path

    def read(self) -> str:
        """Let apt read the packages, and return their index; raise CommandError if it cannot."""
        for name in ("lists/partial", "archives/partial"):
            (self.work / name).mkdir(parents=True, exist_ok=True)
        # Whoever signed the bundle is trusted by now, and all files match the checksums. apt takes no path with white
        # space: a link has none.
        link = self.work / "repository"
        link.unlink(missing_ok=True)
        link.symlink_to(self.folder.resolve())
        (self.work / "sources.list").write_text(f"deb [trusted=yes] file:{link} ./\n")
        done = self.apt("update")
        if done.returncode:
            raise CommandError(f"apt could not read the bundle's packages: {reason(done)}")
        return (self.folder / "Packages").read_text(encoding="utf-8")

    def simulate(self, *names: str) -> Result:
        return self.apt("--simulate", "install", "--no-remove", *names)

    def install(self, *names: str) -> None:
        done = self.apt("install", "--no-remove", *names)
        if done.returncode:
            raise CommandError(f"apt could not install the bundle's packages: {reason(done)}")

    def apt(self, *arguments: str) -> Result:
        """Run apt, and again while another holds one of its locks."""
        settings = {
            "Dir::Etc::SourceList": self.work / "sources.list", "Dir::Etc::SourceParts": "/dev/null",
            "Dir::Etc::PreferencesParts": "/dev/null", "Dir::State::Lists": self.work / "lists",
            "Dir::State::extended_states": self.work / "extended_states", "Dir::Cache": self.work,
            "Dir::Log": self.work, "APT::Sandbox::User": "root", "Dpkg::Use-Pty": "0",
        }  # fmt: skip
        options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
        command = ["apt-get", "-qq", "--yes", "--no-install-recommends", *options, *arguments]
        return when_unlocked(lambda: run(*command, environ=QUIET))


def dpkg(*arguments: str) -> Result:
    """Run dpkg, and again while another holds its lock."""
    return when_unlocked(lambda: run("dpkg", *arguments, environ=QUIET))


def is_installed(name: str) -> bool:
    return _state(name).startswith("ii")


def is_known(name: str) -> bool:
    """Return whether anything of the package is here, if only its configuration."""
    return not _state(name).startswith(("un", "-"))


def _state(name: str) -> str:
    done = run("dpkg-query", "-W", "-f", "${db:Status-Abbrev}", name)
    return done.stdout if done.returncode == 0 else "-"
