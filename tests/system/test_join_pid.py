"""A container that joins a pid namespace, and exec: the process is born there when all is ready for it, and nothing that the
document says may be lost on the way.  That nobody there can make use of it is tests/attacks, A-02."""

import ctypes
import json
import os
import pathlib
import subprocess

import pytest
from terminals import Terminal

SEEN = "namespaces,seccomp,scheduler,noNewPrivs,fds,proc,uid"


def cgroup_controllers():
    """Those of cgroup version 2."""
    for path in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
        file = pathlib.Path(path, "cgroup.controllers")
        if file.exists():
            return file.read_text().split()
    return []


@pytest.fixture(params=[False, True], ids=["root", "userns"])
def first(creel, request):
    """The id of a running container, and how a second one joins its pid namespace."""
    with creel.running(creel.bundle("/bin/probe", "sleep", userns=request.param)) as name:
        pid = creel.state(name)["pid"]

        def bundle(*args, change=None, **process):
            made = creel.bundle(*args, userns=request.param, **process)
            for namespace in made.spec["linux"]["namespaces"]:
                if namespace["type"] in ("pid", "user"):
                    namespace["path"] = f"/proc/{pid}/ns/{namespace['type']}"
            for member in ("uidMappings", "gidMappings"):
                made.spec["linux"].pop(member, None)
            if change:
                change(made.spec)
            return made.write()
        yield name, pid, bundle


def in_both(creel, first, *args, change=None, **process):
    """What a command prints in a container that joins, and in `exec`: two results."""
    name, _, bundle = first
    file = creel.directory / "process.json"
    spec = bundle(*args, **process).spec["process"]
    file.write_text(json.dumps(spec))
    return [creel.run_bundle(bundle(*args, change=change, **process)),
            creel.run("exec", "--process", file, name)]


def test_where_it_is(creel, first):
    _, pid, bundle = first
    sections = ("/bin/probe", "sections", "namespaces,fds")
    for result in in_both(creel, first, *sections):
        assert result.code == 0, str(result)
        seen = result.json()
        assert seen["namespaces"]["pid"] == os.stat(f"/proc/{pid}/ns/pid").st_ino
        assert {fd["fd"] for fd in seen["fds"]} == {0, 1, 2}
    # What /proc shows is the namespace that was joined: its init sleeps.
    result = creel.run_bundle(bundle("/bin/probe", "read", "/proc/1/cmdline"))
    assert result.out.split("\0")[:2] == ["/bin/probe", "sleep"], str(result)


def test_it_leads_a_session(creel, first):
    for result in in_both(creel, first, "/bin/busybox", "sh", "-c", "cat /proc/$$/stat"):
        assert result.code == 0, str(result)
        stat = result.out.split()
        assert stat[0] == stat[4] == stat[5], "pid, process group and session"


def test_state_tells_the_process(creel, first):
    _, pid, bundle = first
    with creel.running(bundle("/bin/probe", "sleep")) as name:
        init = creel.state(name)["pid"]
        assert os.readlink(f"/proc/{init}/ns/pid") == os.readlink(f"/proc/{pid}/ns/pid")
        assert os.readlink(f"/proc/{init}/ns/mnt") != os.readlink(f"/proc/{pid}/ns/mnt")
        creel.ok("kill", name, "KILL")
        creel.wait_status(name, "stopped")


HOOK = """#!/bin/sh
pid=$(sed -n 's/.*"pid": *\\([0-9]*\\).*/\\1/p')
echo "$1 $pid $(readlink /proc/$pid/ns/uts) $(readlink /proc/self/ns/pid)" >> "$2"
"""


def test_hooks_see_its_namespaces(creel, first):
    """Before the process is born its stage stands for it, which is in all namespaces but that one."""
    _, pid, bundle = first
    hook, seen = creel.directory / "hook", creel.directory / "seen"
    hook.write_text(HOOK)
    hook.chmod(0o755)
    seen.touch()
    seen.chmod(0o666)

    def change(spec):
        spec["hooks"] = {kind: [{"path": str(hook), "args": ["hook", kind, str(seen)],
                                 "env": ["PATH=/usr/bin:/bin"]}]
                         for kind in ("prestart", "createRuntime", "poststart")}

    with creel.running(bundle("/bin/probe", "sleep", change=change)) as name:
        init = str(creel.state(name)["pid"])
        lines = [line.split() for line in seen.read_text().splitlines()]
        assert [line[0] for line in lines] == ["prestart", "createRuntime", "poststart"]
        assert {line[2] for line in lines} == {os.readlink(f"/proc/{init}/ns/uts")}
        assert lines[2][1] == init
        assert lines[0][1] == lines[1][1] != init


def test_container_hooks_are_not_seen_there(creel, first, request):
    if "userns" in request.node.name:
        pytest.skip("the right to join is gone when the hook runs, so it is joined before")
    _, pid, bundle = first
    hook, seen = creel.directory / "hook", creel.directory / "seen"
    hook.write_text(HOOK)
    hook.chmod(0o755)

    def change(spec):
        spec["hooks"] = {"createContainer": [{"path": str(hook),
                                              "args": ["hook", "createContainer", str(seen)],
                                              "env": ["PATH=/usr/bin:/bin"]}]}

    assert creel.run_bundle(bundle("/bin/probe", "true", change=change)).code == 0
    _, _, uts, pids = seen.read_text().split()
    assert uts != os.readlink("/proc/self/ns/uts")
    assert pids == os.readlink("/proc/self/ns/pid")


ALLOW = {"defaultAction": "SCMP_ACT_ALLOW"}


def profile(action, *names, **more):
    """A profile that does ACTION with NAMES and allows all else."""
    return {**ALLOW, "syscalls": [{"names": list(names), "action": action, **more}]}


@pytest.mark.parametrize("privileges", [True, False])
@pytest.mark.parametrize("seccomp", [
    profile("SCMP_ACT_ERRNO", "clone3", errnoRet=38),
    profile("SCMP_ACT_KILL_PROCESS", "clone3", "clone", "fork", "vfork"),
    profile("SCMP_ACT_ERRNO", "setsid", "madvise"),
    profile("SCMP_ACT_KILL_PROCESS", "close_range", "chroot"),
], ids=["clone3", "clone", "setsid", "close_range"])
def test_filter_without_the_birth(creel, first, privileges, seccomp):
    """A filter need not let pass what the birth takes."""
    name, _, bundle = first
    words = ("/bin/probe", "sections", "seccomp,noNewPrivs")

    def change(spec):
        spec["linux"]["seccomp"] = seccomp

    result = creel.run_bundle(bundle(*words, change=change, noNewPrivileges=not privileges))
    assert result.code == 0, str(result)
    assert result.json()["seccomp"]["mode"] == 2
    assert bool(result.json()["noNewPrivs"]) is not privileges
    with creel.running(bundle("/bin/probe", "sleep", change=change,
                              noNewPrivileges=not privileges)) as second:
        result = creel.run("exec", second, *words)
        assert result.code == 0, str(result)
        assert result.json()["seccomp"]["mode"] == 2


@pytest.mark.parametrize("scheduler", [
    {"policy": "SCHED_BATCH", "nice": 5},
    {"policy": "SCHED_BATCH", "nice": 5, "flags": ["SCHED_FLAG_RESET_ON_FORK"]},
    {"policy": "SCHED_FIFO", "priority": 3, "flags": ["SCHED_FLAG_RESET_ON_FORK"]},
], ids=["batch", "batch-reset", "fifo-reset"])
def test_scheduler(creel, first, request, scheduler):
    """Also one that children do not inherit."""
    if "userns" in request.node.name and scheduler["policy"] == "SCHED_FIFO":
        pytest.skip("needs CAP_SYS_NICE outside")
    for result in in_both(creel, first, "/bin/probe", "sections", "scheduler", scheduler=scheduler):
        if result.code and "cannot set the scheduling policy" in result.err:
            pytest.skip(result.err)
        assert result.code == 0, str(result)
        seen = result.json()["scheduler"]
        assert scheduler["policy"].removeprefix("SCHED_").lower() in str(seen).lower(), seen


def io_priority():
    """ioprio_get(2) of our process group, and so of who called creel."""
    return ctypes.CDLL(None).syscall(252, 2, 0)


def test_io_priority(creel, first):
    """Its own, and not that of the caller's process group, in which its stage is."""
    before = io_priority()
    for result in in_both(creel, first, "/bin/probe", "sections", "ioPriority",
                          ioPriority={"class": "IOPRIO_CLASS_IDLE", "priority": 0}):
        assert result.code == 0, str(result)
        assert "idle" in str(result.json()).lower() or "3" in str(result.json()), str(result)
    assert io_priority() == before


def test_terminal(creel, first):
    name, _, bundle = first
    words = ("/bin/busybox", "sh", "-c", "echo to''tty > /dev/tty; tty")
    commands = [("run", "--bundle", bundle(*words, terminal=True).path, creel.id()),
                ("exec", "--tty", name, *words)]
    for command in commands:
        with Terminal() as terminal:
            process = creel.spawn(*command, **terminal.options())
            terminal.read_until("totty")
            terminal.read_until("/dev/pts/0")
            assert process.wait().code == 0


def test_user_without_rights(creel, first):
    """The birth needs no rights: a cgroup that only root may enter is entered before."""
    for result in in_both(creel, first, "/bin/probe", "sections", "uid,capabilities",
                          user={"uid": 1000, "gid": 1000}, capabilities={}):
        assert result.code == 0, str(result)
        seen = result.json()
        assert set(seen["uid"].values()) == {1000} if isinstance(seen["uid"], dict) \
            else set(seen["uid"]) == {1000}


@pytest.mark.skipif("pids" not in cgroup_controllers(), reason="needs the pids controller: tests/vm/run")
def test_one_process(creel, first):
    """The stage does not count: its successor is there when the limit comes."""
    _, _, bundle = first

    def change(spec):
        spec["linux"]["resources"] = {"pids": {"limit": 1}}

    result = creel.run_bundle(bundle("/bin/probe", "forks", "3", change=change))
    assert (result.code, result.out.strip()) == (0, "0"), str(result)


def test_dead_namespace(creel):
    """A pid namespace whose init has ended takes nobody in: an error, and nothing is left."""
    with creel.running() as name:
        pid = creel.state(name)["pid"]
        kept = creel.directory / "pidns"
        kept.touch()
        subprocess.run(["mount", "--bind", f"/proc/{pid}/ns/pid", kept], check=True)
    try:
        bundle = creel.bundle("/bin/probe", "true")
        for namespace in bundle.spec["linux"]["namespaces"]:
            if namespace["type"] == "pid":
                namespace["path"] = str(kept)
        creel.fails("cannot start a process", "run", "--bundle", bundle.write().path, creel.id())
    finally:
        subprocess.run(["umount", pathlib.Path(kept)], check=True)
