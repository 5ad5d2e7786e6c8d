#!/usr/bin/python3
"""SECURITY O8 and H-24: what creel asks of the kernel, read from strace over a set of real runs.

	trace_lint.py [--runtime PATH]

Every rule is a function over the calls of one run.  Each also has a trace that breaks it, so that
the rules are known to be able to fail.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import world as w

LINE = re.compile(r"^(\d+) +(?:[\d.]+ )?(\w+)\((.*?)\) += (-?\d+|\?)(?:<[^>]*>)?(.*)$")
UNFINISHED = re.compile(r"^(\d+) +(?:[\d.]+ )?(\w+)\((.*) <unfinished \.\.\.>$")
RESUMED = re.compile(r"^(\d+) +(?:[\d.]+ )?<\.\.\. (\w+) resumed>(.*)$")
OPENS = {"open", "openat", "openat2", "open_tree", "fsopen", "fsmount", "fspick", "creat"}
BY_PATH = {"open", "openat", "mkdir", "mkdirat", "mknod", "mknodat", "symlink", "symlinkat", "stat",
           "lstat", "newfstatat", "statx", "readlink", "readlinkat", "mount", "umount2", "chdir",
           "chmod", "fchmodat", "chown", "lchown", "fchownat", "rename", "renameat2", "unlink",
           "unlinkat", "rmdir", "access", "faccessat", "faccessat2", "linkat", "link", "statfs",
           "truncate", "open_tree", "move_mount", "pivot_root", "chroot"}


class Call:
    """One finished system call."""

    def __init__(self, pid, name, text, result, rest=""):
        self.pid, self.name, self.text, self.result, self.rest = pid, name, text, result, rest

    @property
    def ok(self):
        """Whether it succeeded."""
        return not self.result.startswith("-") and self.result != "?"

    @property
    def paths(self):
        """The strings among its arguments, without what strace adds for descriptors."""
        found = re.findall(r'"((?:[^"\\]|\\.)*)"', re.sub(r"<[^>]*>", "", self.text))
        # What a link says is no path that is resolved.
        return found[1:] if self.name.startswith("symlink") else found

    def executes(self, program):
        """Whether this is the successful exec of PROGRAM."""
        return self.name in ("execve", "execveat") and self.ok and self.paths[:1] == [program]

    def __str__(self):
        return f"{self.pid} {self.name}({self.text}) = {self.result}"


def parse(text):
    """The calls of a trace in the order of their beginning."""
    calls, waiting = [], {}
    for line in text.splitlines():
        if found := LINE.match(line):
            calls.append(Call(*found.groups()))
        elif found := UNFINISHED.match(line):
            call = Call(found[1], found[2], found[3], "?")
            waiting[found[1]] = call
            calls.append(call)
        elif (found := RESUMED.match(line)) and found[1] in waiting:
            call = waiting.pop(found[1])
            end = re.match(r"(.*)\) += (-?\d+|\?)", found[3])
            if end:
                call.text, call.result = call.text + end[1], end[2]
    return calls


def as_one(calls):
    """A stage ends when the process that it works for is born: the calls of both are those of one."""
    for i, call in enumerate(calls):
        if call.name in ("clone", "clone3") and "CLONE_PARENT_SETTID" in call.text and call.ok:
            stage = call.pid
            for one in calls[:i + 1]:
                if one.pid == stage:
                    one.pid = call.result
    return calls


def payload_gone(calls, payload):
    """The calls of creel alone: a process leaves when it executes the payload."""
    gone, kept = set(), []
    for call in calls:
        if call.pid in gone:
            continue
        kept.append(call)
        if call.executes(payload):
            gone.add(call.pid)
    return kept


# The rules.  Each returns sentences.

def everything_cloexec(calls, _case):
    """Whatever is opened is closed by exec."""
    return [f"without CLOEXEC: {call}" for call in calls
            if call.name in OPENS and call.ok and "CLOEXEC" not in call.text and
            not (call.name == "open_tree" and "O_CLOEXEC" in call.text)]


def sockets_cloexec(calls, _case):
    """Sockets, pipes and their like too."""
    return [f"without CLOEXEC: {call}" for call in calls
            if call.name in ("socket", "socketpair", "pipe2", "accept4", "memfd_create", "signalfd4",
                             "epoll_create1", "eventfd2", "timerfd_create", "inotify_init1")
            and call.ok and "CLOEXEC" not in call.text]


def nothing_by_rootfs_path(calls, case):
    """No call names a path beneath the root filesystem; its own path is opened as a whole."""
    below = f"{case['rootfs']}/"
    return [f"a path beneath the root filesystem: {call}" for call in calls
            if any(path.startswith(below) for path in call.paths)]


def only_openat2_in_root(calls, case):
    """Once the root is open, names from the configuration go through openat2 with resolve flags."""
    problems = []
    for call in calls:
        # The program is looked up inside, after the pivot and with the user's rights.
        if call.name == "openat2" and not re.search(
                r"RESOLVE_(IN_ROOT|BENEATH|NO_SYMLINKS|NO_MAGICLINKS)", call.text):
            problems.append(f"openat2 without resolve flags: {call}")
        if call.name in BY_PATH and call.paths and any(
                path.lstrip("/").startswith(tuple(case["names"])) and "/" in path.strip("/")
                for path in call.paths) and not (call.name == "mount" or call.name == "open_tree"):
            problems.append(f"a name in the root without openat2: {call}")
    return problems


def no_magic_links(calls, _case):
    """Nothing in the root is resolved with magic links allowed."""
    return [f"magic links are allowed: {call}" for call in calls
            if call.name == "openat2" and "RESOLVE_IN_ROOT" in call.text
            and "RESOLVE_NO_MAGICLINKS" not in call.text]


def no_bare_proc(calls, _case):
    """No path in /proc is opened by text once the handle is there."""
    problems, have = [], False
    for call in calls:
        paths = [path for path in call.paths if path.startswith("/proc/")]
        # The first lines belong to the copy of the binary, which needs the handle of nobody.
        if have and paths and call.name in BY_PATH and not re.match(
                r"/proc/self/fd/\d+(/[\w.]+)?$|/proc/\d+/ns/\w+$|/proc/self/exe$", paths[0]):
            problems.append(f"a bare path in /proc: {call}")
        if call.name in ("open", "openat", "openat2") and call.paths[:1] == ["/proc"] and call.ok:
            have = True
    return problems + ([] if have else ["the handle of /proc was never opened"])


def devices_are_looked_at(calls, _case):
    """What an image has as a device is opened when it is known what it is."""
    return [f"opened before it is known: {call}" for call in calls
            if call.name == "openat2" and call.paths[:1] == ["dev/null"] and "O_PATH" not in call.text]


def closed_before_exec(calls, case):
    """close_range comes before the payload's exec, in the same process."""
    problems, execs = [], 0
    for i, call in enumerate(calls):
        if not call.executes(case["payload"]):
            continue
        execs += 1
        if not any(one.pid == call.pid and one.name == "close_range" and one.ok
                   for one in calls[:i]):
            problems.append(f"no close_range before {call}")
    return problems + ([] if execs else ["the payload was not executed"])


def _first(calls, pid, pattern):
    for i, call in enumerate(calls):
        if call.pid == pid and re.match(pattern, f"{call.name}({call.text})"):
            return i
    return None


def _last(calls, pid, pattern):
    found = None
    for i, call in enumerate(calls):
        if call.pid == pid and re.match(pattern, f"{call.name}({call.text})"):
            found = i
    return found


BOUNDING = r"prctl\(PR_CAPBSET_DROP"
GROUPS = r"setgroups\("
GID = r"setresgid\((?!0, 0, 0)"
UID = r"setresuid\((?!0, 0, 0)"
CAPSET = r"capset\("
AMBIENT = r"prctl\(PR_CAP_AMBIENT, PR_CAP_AMBIENT_(RAISE|CLEAR_ALL)"
NNP = r"prctl\(PR_SET_NO_NEW_PRIVS"
SECCOMP = r"(seccomp\(SECCOMP_SET_MODE_FILTER|prctl\(PR_SET_SECCOMP)"
EXEC = r"execve(at)?\("
PIVOT = r"pivot_root\("
BIRTH = r"clone3?\(.*CLONE_PARENT_SETTID"
LET_GO = r"close_range\(\d+, 4294967295, 0\)"
DUMPABLE = r"prctl\(PR_SET_DUMPABLE, (0|SUID_DUMP_DISABLE)"


def golden_order(calls, case):
    """H-24: the partial order of everything that gives rights up."""
    pid = next((call.pid for call in calls if call.executes(case["payload"])), None)
    if not pid:
        return ["the payload was not executed"]
    order = [(BOUNDING, UID), (GROUPS, GID), (GID, UID), (UID, CAPSET), (CAPSET, NNP),
             (CAPSET, EXEC)]
    if case["seccomp"] and case["nnp"]:
        order += [(NNP, SECCOMP), (CAPSET, SECCOMP), (SECCOMP, EXEC)]
    elif case["seccomp"]:
        order += [(SECCOMP, UID), (SECCOMP, CAPSET)]
    if case["kind"] != "exec":
        order += [(PIVOT, UID), (PIVOT, BOUNDING)]
    if case["kind"] != "run":
        order += [(CAPSET, BIRTH), (LET_GO, BIRTH), (BIRTH, EXEC)]
    needed = {BOUNDING: True, GROUPS: True, GID: case["user"], UID: case["user"], CAPSET: True,
              NNP: case["nnp"], SECCOMP: case["seccomp"], PIVOT: case["kind"] != "exec", EXEC: True,
              BIRTH: case["kind"] != "run", LET_GO: case["kind"] != "run"}
    problems = [f"{pattern} never happened" for pattern, wanted in needed.items()
                if wanted and _first(calls, pid, pattern) is None]
    # A child inherits it, so the parent may have done it, before the child could be seen.
    born = next(i for i, call in enumerate(calls) if call.pid == pid)
    if not any(re.match(DUMPABLE, f"{call.name}({call.text})") and (i < born or call.pid == pid)
               for i, call in enumerate(calls[:_first(calls, pid, UID) or len(calls)])):
        problems.append("it could be traced when its ids changed")
    for before, after in order:
        one = _first(calls, pid, before)
        other = _last(calls, pid, after) if after == CAPSET else _first(calls, pid, after)
        if after == EXEC:
            other = len(calls)
        if one is not None and other is not None and one > other:
            problems.append(f"{after} comes before {before}: {calls[other]}")
    return problems


RULES = [everything_cloexec, sockets_cloexec, nothing_by_rootfs_path, only_openat2_in_root,
         no_magic_links, no_bare_proc, devices_are_looked_at, closed_before_exec, golden_order]

# A trace for each rule that breaks it.
CASE = {"rootfs": "/r", "payload": "/bin/payload", "names": ["m/a", "w/x"], "kind": "run",
        "seccomp": True, "nnp": True, "user": True}
BROKEN = {
    everything_cloexec: '1 openat(AT_FDCWD, "/x", O_RDONLY) = 3',
    sockets_cloexec: "1 socket(AF_UNIX, SOCK_STREAM, 0) = 3",
    nothing_by_rootfs_path: '1 mkdirat(AT_FDCWD, "/r/dev", 0755) = 0',
    only_openat2_in_root: '1 mkdirat(3, "m/a/b", 0755) = 0',
    no_magic_links: '1 openat2(3, "dev", {flags=O_PATH|O_CLOEXEC, resolve=RESOLVE_IN_ROOT}, 24) = 4',
    no_bare_proc: '1 openat(AT_FDCWD, "/proc", O_PATH|O_CLOEXEC) = 3\n'
                  '1 openat(AT_FDCWD, "/proc/self/attr/exec", O_WRONLY|O_CLOEXEC) = 4',
    devices_are_looked_at: '1 openat2(5, "dev/null", {flags=O_RDWR|O_CLOEXEC, '
                           'resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) = 7',
    closed_before_exec: '1 execve("/bin/payload", ["x"], 0x1 /* 0 vars */) = 0',
    golden_order: "1 setresuid(1000, 1000, 1000) = 0\n1 setgroups(0, NULL) = 0\n"
                  '1 execve("/bin/payload", ["x"], 0x1 /* 0 vars */) = 0',
}


def lint(text, case):
    """All problems of a trace."""
    calls = payload_gone(as_one(parse(text)), case["payload"])
    return [f"{rule.__name__}: {problem}" for rule in RULES for problem in rule(calls, case)]


# The runs.

def cases():
    """What is traced: the words that matter for the order, times run, exec, and a joined pid namespace."""
    for kind in ("run", "exec", "join"):
        # A user namespace that is made has no rights over a pid namespace that is there already.
        for userns in (False, True) if kind != "join" else (False,):
            for nnp in (False, True):
                for seccomp in (False, True):
                    yield {"kind": kind, "userns": userns, "nnp": nnp, "seccomp": seccomp,
                           "user": True, "payload": "/bin/payload",
                           "names": ["m/a", "m/f", "dev/extra", "tmp/mask", "tmp/ro"]}


def trace(world, case):
    """The trace of one case."""
    world.spec_args = ("/bin/payload", "writable", "/")
    (world.rootfs / "tmp/mask").write_text("x")
    (world.rootfs / "tmp/ro").mkdir()
    spec = world.spec(*world.spec_args, userns=case["userns"], user={"uid": 1000, "gid": 1000},
                      noNewPrivileges=case["nnp"])
    spec["mounts"] = [mount for mount in w.bundles.default_spec()["mounts"]
                      if mount["destination"] not in ("/sys", "/sys/fs/cgroup")]
    spec["mounts"] += [{"destination": "/m/a/b", "type": "tmpfs", "source": "tmpfs", "options": []},
                       world.bind("/etc/hostname", "/m/f", "ro")]
    spec["linux"]["maskedPaths"], spec["linux"]["readonlyPaths"] = ["/tmp/mask"], ["/tmp/ro"]
    if not case["userns"]:
        spec["linux"]["sysctl"] = {"kernel.domainname": "inner"}
        spec["linux"]["devices"] = [{"path": "/dev/extra", "type": "c", "major": 1, "minor": 5}]
    if case["seccomp"]:
        spec["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["swapon"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]}
    pod = None
    if case["kind"] == "join":
        pod = subprocess.Popen(["unshare", "--pid", "--fork", "--kill-child", "sleep", "100"])
        spec["linux"]["namespaces"][0]["path"] = f"/proc/{pod.pid}/ns/pid_for_children"
        link = pathlib.Path(f"/proc/{pod.pid}/ns/pid_for_children")
        # It is missing until the first process is there.
        while not link.exists() or os.readlink(link) == os.readlink("/proc/self/ns/pid"):
            time.sleep(0.01)
    log = world.directory / "trace"
    strace = ("strace", "-f", "-s", "4096", "-o", str(log))
    if case["kind"] != "exec":
        result = world.run(spec, prefix=strace, timeout=60)
    else:
        spec["process"]["args"] = ["/bin/probe", "sleep"]
        with world.running(spec) as name:
            result = world.command("exec", name, *world.spec_args, prefix=strace, timeout=60)
    if pod:
        pod.kill()
        pod.wait()
    if result.code != 0:
        raise RuntimeError(f"{case} does not run: {result}")
    return log.read_text(errors="replace")


def main():
    """0 when no rule is broken, and every rule can be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", default=os.environ.get("CREEL") or str(
        w.TESTS.parent / "build" / "creel"))
    parser.add_argument("--show", action="store_true", help="print the traces")
    options = parser.parse_args()
    problems = [f"{rule.__name__} cannot fail" for rule in RULES
                if not rule(payload_gone(parse(BROKEN[rule]), CASE["payload"]), CASE)]
    w.set_apart()
    top = pathlib.Path(tempfile.mkdtemp(prefix="creel-trace-"))
    w.mount("trace", top, "tmpfs", 0, "mode=755")
    traced = calls = 0
    try:
        inside = w.build(top / "programs")
        for number, case in enumerate(cases()):
            world = w.World(options.runtime, top / str(number), inside)
            try:
                text = trace(world, case)
            finally:
                world.close()
            case["rootfs"] = str(world.rootfs)
            if options.show:
                print(case, text)
            traced, calls = traced + 1, calls + len(parse(text))
            problems += [f"{case['kind']} userns={case['userns']} nnp={case['nnp']} "
                         f"seccomp={case['seccomp']}: {problem}" for problem in lint(text, case)]
    finally:
        os.chdir("/")
        w.unmount(top)
        top.rmdir()
    print("\n".join(problems))
    print(f"trace lint: {traced} runs, {calls} system calls, {len(RULES)} rules, "
          f"{len(problems)} problems")
    return 1 if problems or not calls else 0


if __name__ == "__main__":
    sys.exit(main())
