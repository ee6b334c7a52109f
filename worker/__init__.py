"""The worker. Importing it keeps OpenVINO's package from reporting to its maker, which it begins at import."""

import sys

# OpenVINO falls back to a stub of its own where this module cannot be imported.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
