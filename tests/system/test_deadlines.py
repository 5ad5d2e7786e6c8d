"""A peer that is stopped, frozen or traced never hangs creel: when the deadline is over, the error says which process did not answer and
where it waits, and nothing is left of what was begun."""

import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys

from harness import wait_until

SECONDS = 2
NAMED = r"process {pid}, [^ ]+ \([^)]+\), did not answer"

# Seizes PID and stops it, says so, and keeps it for as long as its input is open.
TRACER = """
import ctypes, os, sys
libc, pid = ctypes.CDLL(None, use_errno=True), int(sys.argv[1])
libc.ptrace.argtypes = [ctypes.c_long] * 4
if libc.ptrace(0x4206, pid, 0, 0) or libc.ptrace(0x4207, pid, 0, 0):
    sys.exit(os.strerror(ctypes.get_errno()))
os.waitpid(pid, 0x40000000)
print("stopped", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def traced(pid):
    """PID is in a stop of its tracer's."""
    tracer = subprocess.Popen([sys.executable, "-c", TRACER, str(pid)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert tracer.stdout.readline() == "stopped\n"
    try:
        yield
    finally:
        tracer.stdin.close()
        tracer.wait()
        tracer.stdout.close()


def is_stopped(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "tT"


def init_of(creel, name):
    return creel.ok("state", name).json()["pid"]


def fails_in_time(creel, *words, pid=None):
    """A command that gives up and names the process."""
    creel.options = ["--timeout", f"{SECONDS}s"]
    result = creel.run(*words)
    creel.options = []
    assert result.code != 0, str(result)
    assert re.search(NAMED.format(pid=pid or r"\d+"), result.err), str(result)
    return result


def test_start_of_an_init_that_is_stopped(creel):
    with creel.running(started=False) as name:
        pid = init_of(creel, name)
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: is_stopped(pid), "it is stopped")
        fails_in_time(creel, "start", name, pid=pid)
        os.kill(pid, signal.SIGCONT)


def test_start_of_an_init_that_is_traced(creel):
    with creel.running(started=False) as name:
        with traced(init_of(creel, name)):
            fails_in_time(creel, "start", name, pid=init_of(creel, name))


def test_start_of_an_init_that_is_frozen(creel):
    with creel.running(started=False) as name:
        pid = init_of(creel, name)
        creel.ok("pause", name)
        # Which of the two depends on how the kernel was compiled.
        assert re.search(r"\((do_freezer_trap|get_signal)\)", fails_in_time(creel, "start", name, pid=pid).err)
        creel.ok("resume", name)


def test_create_whose_init_is_stopped(creel):
    """By a hook of the runtime's, which knows its pid.  Nothing is left."""
    hook = creel.directory / "stop"
    hook.write_text("#!/bin/sh\nkill -STOP $(sed 's/.*\"pid\": *\\([0-9]*\\).*/\\1/' | head -n 1)\n")
    hook.chmod(0o755)
    bundle = creel.bundle("/bin/probe", "true")
    bundle.spec["hooks"] = {"createRuntime": [{"path": str(hook)}]}
    fails_in_time(creel, "create", "--bundle", bundle.write().path, creel.id())
    assert creel.ids() == []


def test_exec_into_a_paused_container(creel):
    """With --ignore-paused it waits, and not longer than it may.  Its process does not come to life later."""
    with creel.running() as name:
        creel.ok("pause", name)
        fails_in_time(creel, "exec", "--ignore-paused", name, "/bin/probe", "sleep")
        creel.ok("resume", name)
        wait_until(lambda: len(creel.ok("ps", "--format", "json", name).json()) == 1, "it is gone")


def test_what_is_stopped_or_traced_is_killed_and_deleted(creel):
    for stop in ("stopped", "traced", "paused"):
        name = creel.create(creel.bundle("/bin/probe", "sleep"))
        creel.ok("start", name)
        pid = init_of(creel, name)
        with traced(pid) if stop == "traced" else contextlib.nullcontext():
            if stop == "stopped":
                os.kill(pid, signal.SIGSTOP)
                wait_until(lambda: is_stopped(pid), "it is stopped")
            if stop == "paused":
                creel.ok("pause", name)
            assert creel.ok("state", name).json()["status"] in ("running", "paused")
            creel.ok("delete", "--force", name)
        assert creel.ids() == []


def test_pause_of_what_is_stopped_or_traced(creel):
    with creel.running() as name:
        pid = init_of(creel, name)
        with traced(pid):
            creel.ok("pause", name)
            creel.ok("resume", name)
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: is_stopped(pid), "it is stopped")
        creel.ok("pause", name)
        creel.ok("resume", name)


def test_kill_waits_for_the_end(creel):
    with creel.running() as name:
        creel.ok("kill", "--wait", name, "KILL")
        assert creel.ok("state", name).json()["status"] == "stopped"
        assert "not running" in creel.run("kill", "--wait", name, "KILL").err
        creel.ok("kill", "--wait", "--all", name, "KILL")


def test_kill_does_not_wait_for_ever(creel):
    """The first process of a pid namespace does not hear a signal that it has no handler for."""
    with creel.running() as name:
        creel.options = ["--timeout", f"{SECONDS}s"]
        result = creel.run("kill", "--wait", name, "USR1")
        creel.options = []
        pid = init_of(creel, name)
        assert result.code == 1, str(result)
        assert re.search(rf"process {pid}, probe \([^)]+\), has not ended {SECONDS}000 ms after signal {int(signal.SIGUSR1)}", result.err), \
            str(result)
