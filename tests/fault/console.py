"""The terminals of a sweep: one that a command is started on, whose mode must be as it was when the command has ended; and the
console socket that a detached container's terminal is sent to."""

import contextlib
import fcntl
import os
import socket
import struct
import termios

import host as hosts  # noqa: F401  (it knows where the support is)
from terminals import Terminal


class Console:
    """A listening socket, and the terminals that came over it."""

    def __init__(self, path):
        self.path = str(path)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        # Who is killed between connect and send must not stop those after it.
        self.listener.listen(64)
        self.listener.setblocking(False)
        os.chmod(self.path, 0o666)
        self.masters, self.kept = [], []
        self.heard = b""

    def collect(self):
        """Takes in what was sent."""
        with contextlib.suppress(BlockingIOError):
            while True:
                connection, _ = self.listener.accept()
                with connection, contextlib.suppress(BlockingIOError, ConnectionResetError):
                    connection.setblocking(False)
                    _, fds, _, _ = socket.recv_fds(connection, 4096, 4)
                    self.masters += fds

    def keep(self):
        """What came until now belongs to a container that goes on."""
        self.collect()
        self.kept += self.masters
        self.masters = []

    def listen(self):
        """All that was said on the terminals that came."""
        self.collect()
        for master in self.masters:
            os.set_blocking(master, False)
            with contextlib.suppress(BlockingIOError, OSError):
                while data := os.read(master, 65536):
                    self.heard += data
        return self.heard

    def drop(self, kept=False):
        """Hangs up."""
        self.collect()
        for master in self.masters + (self.kept if kept else []):
            os.close(master)
        self.masters, self.heard = [], b""
        if kept:
            self.kept = []


class Caller(Terminal):
    """The terminal that a command is started on, and its mode."""

    def __init__(self):
        super().__init__()
        self.before = self.mode()

    def mode(self):
        """Everything that a command could have changed for its caller."""
        return {
            "attributes": self.attributes(),
            "size": struct.unpack("HHHH", fcntl.ioctl(self.slave, termios.TIOCGWINSZ, bytes(8))),
            "flags": fcntl.fcntl(self.slave, fcntl.F_GETFL),
        }

    def changed(self):
        """Sentences about what is not as it was."""
        after = self.mode()
        return [f"terminal left: {name} {after[name]} instead of {value}" for name, value in self.before.items()
                if after[name] != value]
