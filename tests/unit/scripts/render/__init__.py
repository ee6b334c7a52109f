"""What the tests of rendered lists share."""

from worker.contract.settings import SETTINGS

# The variables of all settings that cluster.toml has a key for, as they are where it has none of them.
FROM_THE_FILE = {setting.variable: str(setting.default) for setting in SETTINGS.values() if setting.table is not None}
