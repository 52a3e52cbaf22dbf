"""Joining a terminal to a machine's serial console."""

from __future__ import annotations

import os
import select
import socket
import sys
import termios
import tty
from pathlib import Path

from reddog.cli._output import CommandError

LEAVE = b"\x1d"  # Ctrl-]


def attach(path: Path) -> None:
    """Pass bytes between this terminal and a unix socket until Ctrl-] or the socket closes.

    :raises CommandError: the socket does not answer.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as console:
        try:
            _connect(console, path)
        except OSError as error:
            raise CommandError(
                f"The console does not answer: {error.strerror or error}.",
                "Is the machine running? `reddog vm list` tells.",
            ) from None
        terminal = sys.stdin.fileno()
        before = termios.tcgetattr(terminal)
        tty.setraw(terminal)
        try:
            _pass_bytes(console, terminal)
        finally:
            termios.tcsetattr(terminal, termios.TCSADRAIN, before)
            sys.stdout.write("\n")


def _connect(console: socket.socket, path: Path) -> None:
    """Connect to a socket by way of its directory: paths of sockets may have 107 bytes only."""
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        console.connect(f"/proc/self/fd/{directory}/{path.name}")
    finally:
        os.close(directory)


def _pass_bytes(console: socket.socket, terminal: int) -> None:
    console.sendall(b"\n")  # a login prompt that is waiting shows itself again
    while True:
        readable, _, _ = select.select([console.fileno(), terminal], [], [])
        if console.fileno() in readable:
            received = console.recv(65536)
            if not received:
                return
            os.write(sys.stdout.fileno(), received)
        if terminal in readable:
            typed = os.read(terminal, 4096)
            if LEAVE in typed or not typed:
                return
            console.sendall(typed)
