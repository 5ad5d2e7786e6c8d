"""Terminals as the tests hold them: a pty around a command, the console socket of an engine, and
reading with an end."""

import contextlib
import fcntl
import os
import select
import socket
import struct
import termios
import time

TIMEOUT = 60            # seconds, of every command and every wait that names no other


class Terminal:
    """A pty whose outer side belongs to the test."""

    def __init__(self, rows=30, columns=100):
        self.master, self.slave = os.openpty()
        self.resize(rows, columns)
        self.seen = b""

    def resize(self, rows, columns):
        """Changes its size."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def options(self):
        """How a command is spawned with this as its controlling terminal."""
        def control():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        return {"stdin": self.slave, "stdout": self.slave, "stderr": self.slave,
                "preexec_fn": control}

    def attributes(self):
        """termios of the inner side."""
        return termios.tcgetattr(self.slave)

    def write(self, text):
        """Types TEXT."""
        os.write(self.master, text.encode())

    def read_until(self, text, timeout=TIMEOUT):
        """Reads until TEXT has come, and returns everything up to its end."""
        text = text.encode() if isinstance(text, str) else text
        end = time.monotonic() + timeout
        while text not in self.seen:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.master], [], [], left)[0]:
                raise AssertionError(f"{text!r} did not come: {self.seen[-2000:]!r}")
            data = os.read(self.master, 65536)
            self.seen += data
        where = self.seen.index(text) + len(text)
        found, self.seen = self.seen[:where], self.seen[where:]
        return found

    def asks_until(self, command, answer, timeout=TIMEOUT):
        """Types COMMAND for a shell, again and again until ANSWER is in what it prints."""
        end, seen = time.monotonic() + timeout, b""
        while answer.encode() not in seen:
            assert time.monotonic() < end, f"{command} does not say {answer}: {seen!r}"
            self.write(f"{command}; echo an''swered\r")
            seen = self.read_until("answered\r\n")

    def close(self):
        """Closes both sides."""
        for fd in (self.master, self.slave):
            with contextlib.suppress(OSError):
                os.close(fd)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


class ConsoleSocket:
    """What engines listen on for the master of a container's terminal."""

    def __init__(self, path):
        self.path = str(path)
        self.payload = None
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen(4)
        self.listener.settimeout(TIMEOUT)

    def receive(self):
        """The descriptor: exactly one, in one message of less than 4096 bytes."""
        connection, _ = self.listener.accept()
        with connection:
            connection.settimeout(TIMEOUT)
            self.payload, fds, _, _ = socket.recv_fds(connection, 4096, 4)
            assert len(fds) == 1, fds
            assert 0 < len(self.payload) < 4096
            assert connection.recv(1) == b"", "a second message came"
        return fds[0]

    def close(self):
        """Removes it."""
        self.listener.close()
        os.unlink(self.path)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


def adopt_terminal(master):
    """A Terminal around the MASTER that came over a console socket."""
    terminal = Terminal.__new__(Terminal)
    terminal.master, terminal.slave, terminal.seen = master, -1, b""
    return terminal


def read_all(fd, timeout=TIMEOUT):
    """Everything until the other side of a pty or pipe is closed."""
    end, data = time.monotonic() + timeout, b""
    while True:
        left = end - time.monotonic()
        if left <= 0 or not select.select([fd], [], [], left)[0]:
            raise AssertionError(f"no end after {timeout} s: {data[-500:]!r}")
        try:
            more = os.read(fd, 65536)
        except OSError:     # EIO: the last slave is closed
            return data
        if not more:
            return data
        data += more
