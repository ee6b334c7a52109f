"""Shared by the tests of rendered lists."""

from worker.contract.settings import SETTINGS

# The variables of all settings with a key in cluster.toml, with the values they have if the file sets none.
FROM_THE_FILE = {setting.variable: str(setting.default) for setting in SETTINGS.values() if setting.table is not None}
