#!/usr/bin/python3
"""System calls that take a path are forbidden where a path of a container could reach them.

A path below a rootfs goes through inroot_*, one below /proc through procfs_* (SECURITY 2.2, H-09).  What is left is listed here, file by
file, with its reason; a new use must be added with one.
"""

import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]

FORBIDDEN = re.compile(
    r"(?<![\w.>])(open|fopen|creat|mkdir|mknod|symlink|link|rename|unlink|rmdir|stat|lstat|access|chmod|chown|lchown|"
    r"readlink|realpath|chdir|chroot|mount|umount|umount2|truncate|mkdtemp|mkstemp|tmpnam|system|popen|strcpy|strcat|"
    r"sprintf|vsprintf|gets|alloca)\(")

# file -> {function: why it is harmless there}
ALLOWED = {
    "src/base/fd.c": {"open": "/dev/null for closed standard streams, before anything else"},
    "src/base/file.c": {"open": "the directory of the pid file, an operator's path"},
    "src/base/log.c": {"open": "the log file, an operator's path"},
    "src/base/trace.c": {"open": "the trace file, an operator's path"},
    "src/musl/open.c": {"open": "this is open() itself"},
    "src/musl/stdlib.h": {"realpath": "what is made of it where it is called"},
    "src/cli/cmd_ps.c": {"access": "where ps(1) is, in a fixed list, before it is executed"},
    "src/cli/cmd_spec.c": {"open": "the bundle, an operator's path"},
    "src/kernel/cgroup.c": {"open": "the cgroup2 mount, checked to be one"},
    "src/container/monitor.c": {"open": "/dev/null, in place of a terminal that has hung up"},
    "src/kernel/cgroup_systemd_address.c": {"access": "the sockets of systemd and of the bus: are they there?",
                                            "stat": "who owns systemd's private socket"},
    "src/kernel/cgroup_systemd_bus.c": {"fopen": "/proc/PID/stat, to see whether systemd works"},
    "src/kernel/cgroup_systemd_end.c": {"open": "systemd's directory of transient units"},
    "src/kernel/facts.c": {"access": "fixed paths of the host: LSMs, systemd"},
    "src/kernel/idmap.c": {"open": "newuidmap and newgidmap, in a fixed list, executed by descriptor"},
    "src/kernel/mount_cgroup.c": {"open": "a mount point of the host's own table, before pivot"},
    "src/kernel/mount_filesystem.c": {"open": "\".\", to come back to it",
                                      "mount": "options longer than fsconfig(2) takes, on \".\""},
    "src/kernel/mount_moveroot.c": {"umount2": "mount points of the old root's own table"},
    "src/kernel/mount_root.c": {"open": "\"/\", and the rootfs, an operator's path, resolved once",
                                "umount2": "\".\", the old root", "chdir": "\"/\"", "chroot": "\".\""},
    "src/kernel/namespace.c": {"open": "a namespace's path, checked to be one"},
    "src/kernel/probe_subids.c": {"access": "newuidmap and criu, in a fixed list: is it there?"},
    "src/kernel/procfs.c": {"open": "/proc, checked to be one"},
    "src/kernel/rdt.c": {"open": "the resctrl mount"},
    "src/container/container.c": {"open": "the state root, an operator's path",
                                  "mkdir": "the state root's parents"},
    "src/container/checkpoint_request.c": {"open": "directories of images and of CRIU's log, operator's paths, checked to be ours",
                                           "mkdir": "the same", "access": "CRIU's configuration, a fixed path"},
    "src/container/restore_check.c": {"stat": "a namespace to join, an operator's path"},
    "src/container/restore_child.c": {"open": "\"/\", of another mount namespace"},
    "src/container/restore_images.c": {"open": "the rootfs, an operator's path"},
    "src/container/restore_request.c": {"realpath": "the images, and sources of mounts on the host, operator's paths"},
    "src/kernel/criu.c": {"open": "criu, in a fixed list, executed by descriptor; /dev/null"},
    "src/container/check_bundle.c": {"stat": "who owns the bundle, an operator's path"},
    "src/container/check_cgroup.c": {"access": "fixed directories of /sys and systemd's sockets: is it there?"},
    "src/container/check_files.c": {"open": "the rootfs, sources of mounts and hooks, where create looks: is it there?",
                                    "stat": "the socket of the seccomp agent: is it there?"},
    "src/container/check_host.c": {"access": "fixed paths of the host: pressure, systemd"},
    "src/container/check_mounts.c": {"open": "sources of mounts on the host: is it there?",
                                     "stat": "sources of mounts on the host: file or directory?",
                                     "access": "the device of a filesystem: is it there?"},
    "src/container/check_program.c": {"open": "our own executable, for its machine"},
    "src/container/check_rights.c": {"open": "selinuxfs"},
    "src/container/create.c": {"open": "/proc/PID/ns/net of our own child, in our own /proc"},
    "src/container/create_publish.c": {"unlink": "the pid file, an operator's path"},
    "src/container/create_load.c": {"open": "the bundle, an operator's path",
                                    "realpath": "the bundle, an operator's path"},
    "src/container/exec.c": {"open": "\"/\" of the container, which S has joined",
                             "unlink": "the pid file, an operator's path"},
    "src/container/fault.c": {"open": "the environment of a test build; not in any other"},
    "src/container/init.c": {"open": "the rootfs, an operator's path, where there is no mount namespace"},
    "src/container/program_explain.c": {"open": "the program after a failed execve, with the user's rights"},
    "src/container/hooks.c": {"chdir": "the bundle, or \"/\""},
}


def main():
    """0 when nothing is used that is not listed, and nothing is listed that is not used."""
    problems = []
    seen = set()
    for path in sorted((TOP / "src").glob("*/*.[ch]")):
        name = str(path.relative_to(TOP))
        text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m.group().count("\n"), path.read_text(), flags=re.S)
        for number, line in enumerate(text.splitlines(), 1):
            for match in FORBIDDEN.finditer(re.sub(r'"(\\.|[^"\\])*"', '""', line)):
                seen.add((name, match[1]))
                if match[1] not in ALLOWED.get(name, {}):
                    problems.append(f"{name}:{number}: {match[1]}() takes a path: use inroot_*, procfs_* or the *at() "
                                    "form, or list the reason in tests/lint/paths.py")
    for name, functions in ALLOWED.items():
        problems += [f"{name}: {function}() is listed and not used" for function in functions
                     if (name, function) not in seen]
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
