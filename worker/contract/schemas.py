"""Versions of the formats of files that outlive a release: earlier ones are read, later ones are refused by name.

A file without `schema` has the first. A version grows when a former release would misread the file.
"""

CLUSTER, MODEL, MEMBERS = 1, 1, 1  # cluster.toml, model.toml, members.json


def schema_fault(found: object, known: int) -> str | None:
    """Return what is wrong with the `schema` of a file of which this release reads versions up to `known`."""
    if type(found) is not int or found < 1:
        return f"schema: found {found!r}, needed a whole number from 1 to {known}: correct it there"
    if found > known:
        return f"schema: found {found}, needed at most {known}: a later release wrote it: use that one"
    return None
