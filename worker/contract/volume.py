"""Check the model volume by its sentinel file, which reveals a missing mount and identifies the volume."""

import json
from pathlib import Path

from worker.contract.settings import Settings

SENTINEL = ".wanwu-volume.json"  # {"volume": ID, "models": {FOLDER: content hash}}; `make bundle` writes it


class VolumeError(Exception):
    """The model volume is not mounted, is another one, or lacks the model."""


def check_volume(settings: Settings) -> None:
    """Raise VolumeError if the volume in `settings` is not mounted, is another one, or lacks the model."""
    if not settings.volume:
        return
    identity, models = read_sentinel(Path(settings.volume))
    if settings.volume_id not in ("", identity):
        raise VolumeError(
            f"{settings.volume}: found the model volume {identity}, needed {settings.volume_id}: "
            "mount the one that the other servers have"
        )
    if settings.model_dir.name not in models:
        raise VolumeError(
            f"{settings.volume}: found the models {', '.join(models) or 'none'} on the volume {identity}, "
            f"needed {settings.model_dir.name}: mount a volume that has it"
        )


def read_sentinel(volume: Path) -> tuple[str, dict[str, str]]:
    """Return the volume's id and the content hash of each model folder. Raise VolumeError if there is no sentinel."""
    file = volume / SENTINEL
    try:
        sentinel = json.loads(file.read_text(encoding="utf-8"))
        return str(sentinel["volume"]), {str(name): str(content) for name, content in sentinel["models"].items()}
    except FileNotFoundError as error:
        raise VolumeError(
            f"{volume}: found no {SENTINEL}, so the model volume is not mounted on this server: mount it"
        ) from error
    except OSError as error:
        raise VolumeError(f"{file}: {error.strerror}: needed the model volume's sentinel") from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise VolumeError(f"{file}: cannot be read: {error!r}: create the volume again with `make bundle`") from error
