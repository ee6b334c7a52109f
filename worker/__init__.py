"""The worker package. Importing it disables OpenVINO's telemetry, which otherwise starts when OpenVINO is imported."""

import sys

# OpenVINO falls back to its own stub if this module cannot be imported.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
