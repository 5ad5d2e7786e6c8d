#!/usr/bin/python3
"""held.py NUMBER SOCKET COMMAND...: runs COMMAND, where whoever makes the system call NUMBER waits in it until a Held that listens at
SOCKET lets it go on: so a test can act at a moment that nobody could hit by time."""

import contextlib
import ctypes
import fcntl
import os
import select
import socket
import struct
import sys
import threading

SYS_SECCOMP, SETSID, SETPGID = 317, 112, 109    # x86-64
PR_SET_NO_NEW_PRIVS, SET_MODE_FILTER, NEW_LISTENER = 38, 1, 8
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
USER_NOTIF, ALLOW = 0x7FC00000, 0x7FFF0000
RECEIVE, SEND, CONTINUE = 0xC0502100, 0xC0182101, 1


class Program(ctypes.Structure):
    """struct sock_fprog."""
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


class Held:
    """The side of the test."""

    def __init__(self, path):
        self.path = str(path)
        self.server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.server.bind(self.path)
        self.server.listen(1)
        self.listener = -1
        self.others = threading.Thread(target=self._let_others_go, daemon=True)

    def command(self, number, *words):
        """COMMAND as it is to be run."""
        return ["/usr/bin/python3", os.path.abspath(__file__), str(number), self.path, *words]

    def wait(self, timeout):
        """The pid of who waits in the call, and what to say to let_go()."""
        if self.listener < 0:
            self.server.settimeout(timeout)
            connection, _ = self.server.accept()
            with connection:
                _, (self.listener,), _, _ = socket.recv_fds(connection, 1, 1)
        assert select.select([self.listener], [], [], timeout)[0], "nobody made the call"
        notification = bytearray(80)
        fcntl.ioctl(self.listener, RECEIVE, notification)
        return struct.unpack_from("QI", notification)[1], struct.unpack_from("Q", notification)[0]

    def _go(self, identifier):
        fcntl.ioctl(self.listener, SEND, struct.pack("QqiI", identifier, 0, 0, CONTINUE))

    def let_go(self, identifier):
        """It makes the call, and so do all that come later."""
        self._go(identifier)
        self.others.start()

    def _let_others_go(self):
        poll = select.poll()
        poll.register(self.listener, select.POLLIN)
        while poll.poll()[0][1] & select.POLLIN:    # else nobody has the filter any more
            notification = bytearray(80)
            with contextlib.suppress(OSError):      # who waited is gone
                fcntl.ioctl(self.listener, RECEIVE, notification)
                self._go(struct.unpack_from("Q", notification)[0])

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.server.close()
        os.unlink(self.path)
        if self.others.is_alive():
            self.others.join(10)
        if self.listener >= 0 and not self.others.is_alive():
            os.close(self.listener)


def main():
    """Installs the filter and goes on as COMMAND."""
    code = b"".join(struct.pack("HBBI", *row) for row in (
        (LOAD, 0, 0, 0), (EQUAL, 0, 1, int(sys.argv[1])), (RETURN, 0, 0, USER_NOTIF), (RETURN, 0, 0, ALLOW)))
    program = Program(4, code)
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() != 0:
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    listener = libc.syscall(SYS_SECCOMP, SET_MODE_FILTER, NEW_LISTENER, ctypes.byref(program))
    if listener < 0:
        sys.exit(f"seccomp: {os.strerror(ctypes.get_errno())}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(sys.argv[2])
        socket.send_fds(connection, [b"."], [listener])
    os.close(listener)
    os.execvp(sys.argv[3], sys.argv[3:])


if __name__ == "__main__":
    main()
