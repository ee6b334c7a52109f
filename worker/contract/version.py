"""The version of the kit, stated only here."""

VERSION = "0.1.0"  # semantic versioning; `make release` tags the commit that sets it
