"""Packages that travel with the kit, just as their wheels have them; README.md says which and why.

`from scripts._vendor import tomlkit` is the one way to them. They import themselves by their own names, so this folder
goes onto the path, and before the environment's: every Python runs the same version.
"""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
tomlkit: Any = import_module("tomlkit")
