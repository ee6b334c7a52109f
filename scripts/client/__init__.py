"""Clients of a running service: the Python package, its wheel, and `make classify`."""
