"""BPF programs and links by bpf(2): which of those that this kernel holds are ours.  Others use the kernel too, so that ours are
known by their tag, the digest of their instructions, and each worker has a device rule that no other has."""

import collections
import contextlib
import ctypes
import os
import struct

SYSCALL = 321
PROG_GET_NEXT_ID, PROG_GET_FD_BY_ID, OBJ_GET_INFO, PROG_QUERY = 11, 13, 15, 16
LINK_GET_FD_BY_ID, LINK_GET_NEXT_ID = 30, 31
CGROUP_DEVICE = 6

_libc = ctypes.CDLL(None, use_errno=True)


def call(command, attributes):
    """bpf(2) with ATTRIBUTES, a ctypes buffer that the kernel may write to."""
    result = _libc.syscall(SYSCALL, command, attributes, len(attributes))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"bpf command {command}")
    return result


def ids(command):
    """All identities of programs or links."""
    found, last = [], 0
    with contextlib.suppress(FileNotFoundError):
        while True:
            attributes = ctypes.create_string_buffer(struct.pack("III", last, 0, 0), 128)
            call(command, attributes)
            last, = struct.unpack_from("I", attributes, 4)
            found.append(last)
    return found


def information(command, number, size):
    """bpf_prog_info or bpf_link_info of one; empty when it is gone."""
    try:
        fd = call(command, ctypes.create_string_buffer(struct.pack("III", number, 0, 0), 128))
    except FileNotFoundError:
        return b""
    try:
        info = ctypes.create_string_buffer(size)
        call(OBJ_GET_INFO, ctypes.create_string_buffer(struct.pack("IIQ", fd, size, ctypes.addressof(info)), 128))
        return info.raw
    finally:
        os.close(fd)


def tag_of(program):
    """The digest of a program's instructions."""
    return information(PROG_GET_FD_BY_ID, program, 64)[8:16].hex()


def attached(cgroup):
    """The device programs of one cgroup, its ancestors' left out."""
    programs = (ctypes.c_uint32 * 64)()
    fd = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY)
    try:
        attributes = ctypes.create_string_buffer(
            struct.pack("IIIIQI", fd, CGROUP_DEVICE, 0, 0, ctypes.addressof(programs), len(programs)), 128)
        call(PROG_QUERY, attributes)
        return list(programs[:struct.unpack_from("I", attributes, 24)[0]])
    finally:
        os.close(fd)


class Watch:
    """Our programs and their links: those with a tag that we have learnt."""

    def __init__(self):
        self.tags, self.seen = set(), {}

    def learn(self, cgroup):
        """From now on programs like those of CGROUP are ours; how many it has."""
        programs = attached(cgroup)
        self.tags.update(tag_of(program) for program in programs)
        return len(programs)

    def take(self):
        """Our programs and links, counted: systemd puts a new one in the place of one that is as good."""
        programs = ids(PROG_GET_NEXT_ID)
        self.seen = {number: self.seen.get(number) or tag_of(number) for number in programs}
        found = collections.Counter()
        for number in programs:
            found[f"program {self.seen[number]}"] += self.seen[number] in self.tags
        for number in ids(LINK_GET_NEXT_ID):
            info = information(LINK_GET_FD_BY_ID, number, 64)
            tag = self.seen.get(struct.unpack_from("I", info, 8)[0]) if info else None
            found[f"link to {tag}"] += tag in self.tags
        return {f"{name} ({n + 1})" for name, number in found.items() for n in range(number)}
