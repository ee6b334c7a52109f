"""`confine.py UID GID PATH... -- COMMAND`: run a command that sees PATHs below folders closed to its account.

`confine.py UID GID PATH... --in PID`: let a command that runs so see more PATHs.

A checkout below /root, whose mode is 0700, is closed to every other account. In a mount namespace of the command's own,
each closed folder is covered by an empty one that is open, in which only the PATHs appear again. The account is
entered by the command (setpriv), not here. Needs root.
"""

import ctypes
import errno
import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

CLONE_NEWNS = 0x20000  # of sched.h; the others are of sys/mount.h
MS_BIND, MS_REC, MS_SLAVE, MNT_DETACH = 1 << 12, 1 << 14, 1 << 19, 2
# Of linux/mount.h and fcntl.h; the system calls have these numbers on every architecture.
SYS_OPEN_TREE, SYS_MOVE_MOUNT = 428, 429
OPEN_TREE_CLONE, AT_RECURSIVE, MOVE_MOUNT_F_EMPTY_PATH, AT_FDCWD = 1, 0x8000, 4, -100
OPEN_FOLDER = 0o755


def closed_folder(path: Path, uid: int, gid: int) -> Path | None:
    """Return the outermost folder above `path` that the account may not enter by its mode; None if there is none."""
    for folder in reversed(path.parents):
        status = folder.stat()
        bit = stat.S_IXUSR if status.st_uid == uid else stat.S_IXGRP if status.st_gid == gid else stat.S_IXOTH
        if not status.st_mode & bit:
            return folder
    return None


def show(paths: Iterable[Path], closed: Iterable[Path]) -> None:
    """Cover the folders `closed` in a mount namespace of this process, and show `paths` in them; raise OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    _check(libc.unshare(CLONE_NEWNS), "/")
    # Volumes that are mounted later appear here, too; what is mounted here appears nowhere else.
    _mount(libc, "none", Path("/"), "", MS_REC | MS_SLAVE)
    handles = {path: os.open(path, os.O_PATH) for path in paths}
    for folder in closed:
        _mount(libc, "tmpfs", folder, "tmpfs", 0, f"mode={OPEN_FOLDER:o}")
    shown: list[Path] = []
    for path, handle in sorted(handles.items()):
        if not any(path.is_relative_to(other) for other in shown):
            path.mkdir(OPEN_FOLDER, parents=True, exist_ok=True)
            _mount(libc, f"/proc/self/fd/{handle}", path, "", MS_BIND | MS_REC)
            shown.append(path)
        os.close(handle)


def show_later(paths: Iterable[Path], pid: int) -> None:
    """Show `paths` in the mount namespace of the process `pid`, which this process enters; raise OSError.

    Not in one of a user namespace, where another account can mount what it likes and name it as the process.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if os.readlink(f"/proc/{pid}/ns/user") != os.readlink("/proc/self/ns/user"):
        raise PermissionError(errno.EPERM, "the process is in a user namespace", f"/proc/{pid}")
    trees = {path: (_open_tree(libc, path), path.stat()) for path in paths}
    with open(f"/proc/{pid}/ns/mnt") as namespace:
        _check(libc.setns(namespace.fileno(), CLONE_NEWNS), namespace.name)
    for path, (tree, status) in trees.items():
        if path.exists() and os.path.samestat(path.stat(), status):
            continue
        if path.is_mount():  # shown earlier; it was removed since, and another has its name now
            _check(libc.umount2(os.fsencode(path), MNT_DETACH), path)
        path.mkdir(OPEN_FOLDER, parents=True, exist_ok=True)
        target = os.fsencode(path)
        _check(libc.syscall(SYS_MOVE_MOUNT, tree, b"", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH), path)


def _open_tree(libc: ctypes.CDLL, path: Path) -> int:
    tree: int = libc.syscall(SYS_OPEN_TREE, AT_FDCWD, os.fsencode(path), OPEN_TREE_CLONE | AT_RECURSIVE)
    _check(min(tree, 0), path)
    return tree


def _mount(libc: ctypes.CDLL, source: str, target: Path, kind: str, flags: int, data: str = "") -> None:
    texts = [os.fsencode(text) for text in (source, target, kind)]
    _check(libc.mount(*texts, ctypes.c_ulong(flags), os.fsencode(data)), target)


def _check(result: int, path: str | Path) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(path))


def main(arguments: list[str]) -> None:
    end = next(number for number, argument in enumerate(arguments) if argument.startswith("--"))
    uid, gid = map(int, arguments[:2])
    closed = {Path(path): closed_folder(Path(path), uid, gid) for path in arguments[2:end]}
    hidden, command = {path: folder for path, folder in closed.items() if folder}, arguments[end + 1 :]
    os.umask(0o022)
    try:
        if arguments[end] == "--in":
            show_later(hidden, int(command[0]))
        elif hidden:
            show(hidden, sorted({*hidden.values()}))
    except OSError as error:
        sys.exit(f"{error.filename}, which only root may enter, cannot be shown to the account: {error.strerror}")
    if arguments[end] == "--":
        os.execvp(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
