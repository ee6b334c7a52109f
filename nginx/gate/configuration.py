"""What members.json, keys.json and the certificate say, read again when one of them changes."""

from pathlib import Path

from .access import KEYS_FILE, Key, parse_keys
from .members import DeclaredPools, parse_members
from .observed import certificate_end
from .options import SERVER_PEM, Options, parse_options
from .out import digest, log


class Configuration:
    """What is in use of the files: what cannot be read or used changes nothing."""

    def __init__(self, members_file: Path, gateway: Path) -> None:
        self.members_file, self._pem = members_file, gateway / SERVER_PEM
        self.declared: DeclaredPools = {}  # another object only if members.json has changed
        self.options = Options()
        self.keys: tuple[Key, ...] = ()
        self.certificate = ""  # its digest
        self.certificate_end: float | None = None  # in seconds since 1970
        self.fault = ""  # of what the files say now
        self._texts: tuple[str, str, str] | None = None
        self._members_text = ""

    def read(self) -> bool:
        """Return whether something else is in use now; log a fault once."""
        try:
            texts = self._read_texts()
            if texts == self._texts:
                return False
            self._texts, self.certificate = texts, texts[2]
            declared, options, keys = parse_members(texts[0]), parse_options(texts[0]), parse_keys(texts[1])
        except (OSError, ValueError) as error:
            if str(error) != self.fault:
                self.fault = str(error)
                log("members_refused", fault=str(error), file=str(self.members_file))
            return False
        self.fault, self.options, self.keys = "", options, keys
        self.certificate_end = certificate_end(self._pem) if options.tls else None
        if options.keys:
            log("keys", names=sorted(key.name for key in keys))
        if texts[0] != self._members_text:
            self._members_text, self.declared = texts[0], declared
        return True

    def _read_texts(self) -> tuple[str, str, str]:
        keys_file = self.members_file.with_name(KEYS_FILE)
        return self.members_file.read_text(), keys_file.read_text() if keys_file.exists() else "", digest(self._pem)
