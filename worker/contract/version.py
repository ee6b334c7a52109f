"""The version of the whole kit, in the one place that states it."""

VERSION = "0.1.0"  # semantic versioning; `make release` tags the commit that sets it
