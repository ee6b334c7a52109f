"""Write the variables that keep every library on this server, in containers, services and login shells."""

from collections.abc import Iterator

from scripts.bootstrap import places
from scripts.bootstrap.executor import Change, Step
from scripts.bootstrap.files import put
from scripts.bootstrap.server import Server
from scripts.bootstrap.survey.bundle import text_in_kit

HEAD = "# Written by init-server.sh: what keeps every library on this server, in containers, services and login shells."
CACHES = f"""HF_HOME=/var/cache/wanwu/huggingface
HF_HUB_CACHE={places.VOLUME}/.cache/huggingface/hub
TORCH_HOME={places.VOLUME}/.cache/torch
MODELSCOPE_CACHE={places.VOLUME}/.cache/modelscope"""
PROFILE_TEXT = f"""# Written by init-server.sh.
set -a
. {places.OFFLINE}
set +a"""


def changes(server: Server) -> Iterator[Change]:
    yield from put(server.record, places.OFFLINE, offline_text(text_in_kit(server.bundle, "worker/offline.env")))
    yield from put(server.record, places.PROFILE, PROFILE_TEXT)


def offline_text(kit: str) -> str:
    """Return the text of this server's file: the kit's variables, and where caches are."""
    variables = [line for line in kit.splitlines() if not line.startswith("#")]
    return "\n".join([HEAD, *variables, CACHES])


STEP = Step(changes)
