"""Thousands of processes in one container: every exit code is right, and nothing grows.

CREEL_EXECS=SEQUENTIAL,PARALLEL asks for other numbers of them, one after another and fifty at a time.
"""

import collections
import contextlib
import os
import pathlib
import signal
import time

import harness
import pytest
from harness import is_alive, wait_until

SEQUENTIAL, PARALLEL = map(int, os.environ.get("CREEL_EXECS", "10000,1000").split(","))
AT_ONCE = 50


@pytest.fixture
def root(creel):
    """A running container of root."""
    with creel.running(creel.bundle("/bin/probe", "sleep")) as container:
        yield container


def count(path):
    return len(os.listdir(path))


def zombies():
    """Dead children that nobody has reaped."""
    children = pathlib.Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [pid for pid in children if not is_alive(pid)]


def resident(pid):
    """Kilobytes of memory that the kernel cannot take away and bring back."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1])
    raise AssertionError(line)


def figures(creel, name):
    """All that a process too many could leave behind, in the container and on the host."""
    pid = creel.state(name)["pid"]
    directory = harness.cgroup_root() / next(
        line for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines()
        if line.startswith("0::"))[4:]
    return {
        "processes": creel.ok("ps", "--format", "json", name).json(),
        "zombies": zombies(),
        "cgroups": sorted(path for path, _, _ in os.walk(directory)),
        "descriptors of the init": count(f"/proc/{pid}/fd"),
        "threads": pathlib.Path(directory, "cgroup.threads").read_text().split(),
        "mounts": pathlib.Path("/proc/self/mountinfo").read_text().count("\n"),
        "mounts inside": pathlib.Path(f"/proc/{pid}/mountinfo").read_text().count("\n"),
        "state": sorted(os.listdir(creel.root / name)),
        "our descriptors": count("/proc/self/fd"),
        "memory of the init": resident(pid),
    }


def spawn(creel, name, code):
    """posix_spawn: Python's own way is slower than creel."""
    argv = [creel.binary, "--root", str(creel.root), "exec", name, "/bin/probe", "exit", str(code)]
    return os.posix_spawn(argv[0], argv, creel.environment(), setpgroup=0)


def finish(waiting):
    """Waits for one of them; (code that was asked for, code that came)."""
    while True:
        pid, status = os.wait()
        if pid in waiting:
            return waiting.pop(pid), os.waitstatus_to_exitcode(status)


def burst(creel, name, total, at_once):
    """TOTAL execs, AT_ONCE of them at a time; the pairs of codes that differ."""
    waiting, wrong = {}, collections.Counter()
    for number in range(total):
        if len(waiting) >= at_once:
            pair = finish(waiting)
            wrong[pair] += pair[0] != pair[1]
        waiting[spawn(creel, name, number % 251)] = number % 251
    while waiting:
        pair = finish(waiting)
        wrong[pair] += pair[0] != pair[1]
    return {pair: n for pair, n in wrong.items() if n}


@pytest.mark.parametrize("total, at_once", [(SEQUENTIAL, 1), (PARALLEL, AT_ONCE)])
def test_many(creel, root, record_property, total, at_once):
    assert not burst(creel, root, 20, at_once)
    before = figures(creel, root)
    begin = time.monotonic()
    assert not burst(creel, root, total, at_once)
    each = (time.monotonic() - begin) / total
    assert figures(creel, root) == before
    record_property("milliseconds_each", each * 1000)
    print(f"{total} execs, {at_once} at a time: {each * 1000:.2f} ms each")


def healthy(creel, name, init):
    """Running, with its one process, and it takes another."""
    assert creel.status(name) == "running"
    assert creel.run("exec", name, "/bin/probe", "exit", "7").code == 7
    for pid in creel.ok("ps", "--format", "json", name).json():
        if pid != init:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)    # whose creel was killed after it had begun
    wait_until(lambda: harness.reap() or
               creel.ok("ps", "--format", "json", name).json() == [init], "its init is alone")


@pytest.mark.parametrize("options", [(), ("--detach",), ("--tty",)])
def test_kill_of_exec_at_any_time(creel, root, options):
    """Whenever creel dies, the container does not notice."""
    init = creel.state(root)["pid"]
    for attempt in range(60):
        command = creel.spawn("exec", *options, root, "/bin/probe", "sleep", "0.05")
        time.sleep(attempt * 0.00015)
        command.process.send_signal(signal.SIGKILL)
        command.wait()
        if attempt % 10 == 9:
            healthy(creel, root, init)
    # What was on its way into the container when its creel was killed ends after that, and is ours to reap.
    wait_until(lambda: harness.reap() or (not zombies() and figures(creel, root)["processes"] == [init]), "the init is alone")


def test_kill_of_the_process_at_any_time(creel, root):
    """Whatever appears in the container is killed after a while: exec says so and ends."""
    init = creel.state(root)["pid"]
    line = next(line for line in pathlib.Path(f"/proc/{init}/cgroup").read_text().splitlines()
                if line.startswith("0::"))
    procs = harness.cgroup_root() / line[4:] / "cgroup.procs"
    codes = collections.Counter()
    for attempt in range(60):
        command = creel.spawn("exec", root, "/bin/probe", "sleep", "5")
        wait_until(lambda: command.process.poll() is not None
                   or len(procs.read_text().split()) > 1, "a process")
        time.sleep(attempt * 0.0001)
        for pid in procs.read_text().split():
            if int(pid) != init:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
        result = command.wait()
        assert result.code in (137, 255), str(result)
        assert bool(result.err) == (result.code == 255), str(result)
        codes[result.code] += 1
    print(dict(codes))
    healthy(creel, root, init)
