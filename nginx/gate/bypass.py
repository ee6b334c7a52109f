"""The quick way around a worker: routes.conf leaves out a group of a pool's servers while a file exists. All pure."""

from collections.abc import Sequence

GROUPS = 4  # as many as routes.conf asks about


def bypass_file(model: str, group: int | str) -> str:
    """Return the name of the file that makes Nginx leave out `group` of the model's pool."""
    return f"bypass.pool_{model}.{group}"


def bypass_group(position: int) -> int:
    """Return the group of the server at `position` of its pool's list."""
    return position % GROUPS


def render_bypasses(model: str, servers: Sequence[str]) -> list[str]:
    """Return the lines of an upstream for each group, with all `servers`, as lines, but those of the group.

    Each has a server, for even a file left over must not lead nowhere. They serve for a second or two, so they need
    neither shared memory nor idle connections.
    """
    lines = []
    for group in range(GROUPS):
        kept = [line for position, line in enumerate(servers) if bypass_group(position) != group] or servers
        lines += [f"upstream bypass{group}_pool_{model} {{", "    least_conn;", *kept, "}"]
    return lines
