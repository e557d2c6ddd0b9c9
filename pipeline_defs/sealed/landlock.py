"""Landlock and a socket filter by ctypes: what a process may read, write and connect to, enforced by the kernel.

Linux only. Without root; once on, it holds for this process and all that it starts, and cannot be taken back. The
system calls are those of ``linux/landlock.h`` and ``linux/seccomp.h``; no library is needed, and the bindings that
exist wrap the same four calls.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Iterable
from pathlib import Path

LEAST_ABI = 4  # files since 1, renames 2, truncation 3, TCP 4; below that a seal would be half a seal
CREATE, ADD, RESTRICT = 444, 445, 446  # the same numbers on every architecture
_NO_NEW_PRIVS, _SECCOMP, _FILTER = 38, 22, 2

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
EVERY_FS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}  # from 5 on: device ioctl as well
FILES = EXECUTE | WRITE_FILE | READ_FILE | 1 << 14 | 1 << 15  # rights that a rule on a file, not a folder, may have
TCP = 1 << 0 | 1 << 1  # bind, connect
READ = EXECUTE | READ_FILE | READ_DIR
LIST = READ_DIR

_libc = ctypes.CDLL(None, use_errno=True)


def abi() -> int:
    """The kernel's Landlock version; 0 where it has none, or it is switched off."""
    if platform.system() != "Linux":
        return 0
    return max(0, _libc.syscall(CREATE, None, 0, 1))


def restrict(rules: Iterable[tuple[str, int]], *, network: bool) -> None:
    """From now on this process reads and writes below the rules' paths only, each with its rights, and opens no socket
    but unix ones, unless ``network``. Paths that are not there are left out. Raises OSError where the kernel refuses.
    """
    version = abi()
    handled = EVERY_FS.get(version, (1 << 16) - 1)
    ports = 0 if network else TCP
    scoped = (3,) if version >= 6 else ()  # no abstract unix socket, no signal to a process outside
    attributes = struct.pack(f"={2 + len(scoped)}Q", handled, ports, *scoped)
    ruleset = _call(CREATE, attributes, len(attributes), 0)
    for path, rights in rules:
        if os.path.exists(path):
            _allow(ruleset, path, rights & handled)
    _check(_libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0))
    if not network:
        _no_sockets()
    _check(_libc.syscall(RESTRICT, ruleset, 0))
    os.close(ruleset)


def writable(version: int) -> int:
    """All rights that a folder can be given."""
    return EVERY_FS.get(version, (1 << 16) - 1)


def _allow(ruleset: int, path: str, rights: int) -> None:
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        held = rights if Path(path).is_dir() else rights & FILES
        if held:
            _call(ADD, ruleset, 1, struct.pack("=Qi", held, place), 0)
    finally:
        os.close(place)


def _no_sockets() -> None:
    """Refuse every socket that is no unix one, UDP and raw ones too, every connect, and io_uring, which goes around."""
    known = {"x86_64": (0xC000003E, 41, 42, 425), "aarch64": (0xC00000B7, 198, 203, 425)}.get(platform.machine())
    if known is None:
        raise OSError(f"no socket filter is written for {platform.machine()}")
    arch, socket, connect, io_uring = known
    deny = 0x00050000 | 13  # fail with EACCES
    program = [  # code, jump if true, jump if false, value
        (0x20, 0, 0, 4),  # load the architecture
        (0x15, 0, 8, arch),
        (0x20, 0, 0, 0),  # load the number of the call
        (0x35, 6, 0, 0x40000000),  # the numbers of another calling convention
        (0x15, 5, 0, io_uring),
        (0x15, 4, 0, connect),
        (0x15, 0, 2, socket),
        (0x20, 0, 0, 16),  # load the first argument: the address family
        (0x15, 0, 1, 1),  # AF_UNIX
        (0x06, 0, 0, 0x7FFF0000),  # allow
        (0x06, 0, 0, deny),
    ]
    code = b"".join(struct.pack("=HBBI", *line) for line in program)
    memory = ctypes.create_string_buffer(code, len(code))
    head = struct.pack("@HxxxxxxQ", len(program), ctypes.addressof(memory))
    _check(_libc.prctl(_SECCOMP, _FILTER, head, 0, 0))


def _call(number: int, *arguments: object) -> int:
    return _check(_libc.syscall(number, *arguments))


def _check(result: int) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result
