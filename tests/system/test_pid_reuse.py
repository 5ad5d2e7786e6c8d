"""Pids that are used again, in a pid namespace with a few hundred of them: no command of creel ever
takes a stranger for the container, or for a process of it."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

PIDS = 350          # the least that the kernel takes is 301
ATTEMPTS = 10


WORLD = r"""
import ctypes, json, os, signal, subprocess, sys, tempfile, time
creel, root, bundle, attempts = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
libc = ctypes.CDLL(None)
libc.mount(b"proc", b"/proc", b"proc", 0, None)
open("/proc/sys/kernel/pid_max", "w").write(sys.argv[5])

def run(*words):
    # Into files: the container has its output open for longer than creel.
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        done = subprocess.run([creel, "--root", root, *words], stdin=subprocess.DEVNULL,
                              stdout=out, stderr=err, timeout=60)
        out.seek(0), err.seek(0)
        return done.returncode, out.read(), err.read()

def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass

def occupy(pid):
    # Forks until a child has this pid; that one stays, and heeds no signal that can be heeded.
    for _ in range(5 * int(sys.argv[5])):
        ready, tell = os.pipe()
        child = os.fork()
        if child == 0:
            if os.getpid() != pid:
                os._exit(0)
            for number in range(1, 65):
                try:
                    signal.signal(number, signal.SIG_IGN)
                except (OSError, ValueError):
                    pass
            os.setsid()
            os.write(tell, b"x")
            while True:
                time.sleep(100)
        os.close(tell)
        if child == pid:
            os.read(ready, 1)
            os.close(ready)
            return child
        os.close(ready)
        os.waitpid(child, 0)
    return None

def alive(pid):
    try:
        return open(f"/proc/{pid}/stat").read().split()[2] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False

found = {"reused": 0, "same tick": 0, "wrong": []}

def start_of(pid):
    return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[19]

def check(what, good, *more):
    if not good:
        found["wrong"].append([what, *map(str, more)])

for attempt in range(attempts):
    name = f"reuse{attempt}"
    code, out, err = run("create", "--bundle", bundle, name)
    check("create", code == 0, err)
    if attempt % 2:
        check("start", run("start", name)[0] == 0)
    pid = json.loads(run("state", name)[1])["pid"]
    began = start_of(pid)
    os.kill(pid, signal.SIGKILL)
    while alive(pid):
        time.sleep(0.0005)
    reap()
    stranger = occupy(pid)
    # At first pids below 300 are given, and never again.
    if stranger != pid:
        run("delete", "--force", name)
        continue
    found["reused"] += 1
    found["same tick"] += start_of(pid) == began
    # In the same tick of the clock, as far as the state says: what the kernel's own number is for.
    document = f"{root}/{name}/state.json"
    text = json.load(open(document))
    check("identity", text["identity"] > 0, text)
    text["start"] = int(start_of(pid))
    json.dump(text, open(document, "w"))
    state = json.loads(run("state", name)[1])
    check("state", (state["status"], state.get("pid", 0)) == ("stopped", 0), state)
    for words in (("kill", name, "KILL"), ("kill", "--all", name, "KILL"), ("pause", name),
                  ("start", name), ("exec", name, "/bin/probe", "true"),
                  ("update", "--pids-limit", "5", name), ("events", "--stats", name)):
        code, out, err = run(*words)
        check(words[0], code != 0 or words[:2] == ("kill", "--all"), words, code, out, err)
        check("alive after " + words[0], alive(stranger))
    check("ps", json.loads(run("ps", "--format", "json", name)[1] or "[]") in ([], None))
    code, out, err = run("delete", *(["--force"] if attempt % 3 else []), name)
    check("delete", code == 0, err)
    check("alive after delete", alive(stranger))
    os.kill(stranger, signal.SIGKILL)
    os.waitpid(stranger, 0)

# A long life, so that pids go round many times under it.
code, out, err = run("create", "--bundle", bundle, "long")
check("create", code == 0, err)
check("start", run("start", "long")[0] == 0)
pid = json.loads(run("state", "long")[1])["pid"]
for round in range(40):
    for number in range(50):
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
    code, out, err = run("exec", "long", "/bin/probe", "exit", str(round))
    check("exec", code == round, code, err)
    check("ps", json.loads(run("ps", "--format", "json", "long")[1]) == [pid])
reap()
check("delete", run("delete", "--force", "long")[0] == 0)
print(json.dumps(found))
"""


@pytest.fixture
def namespaced():
    """pid_max belongs to the pid namespace since Linux 6.14."""
    version = tuple(map(int, os.uname().release.split("-")[0].split(".")[:2]))
    if version < (6, 14):
        pytest.skip("pid_max is one for all pid namespaces before Linux 6.14")


def test_strangers_are_left_alone(creel, namespaced):
    bundle = creel.bundle("/bin/probe", "sleep")
    before = pathlib.Path("/proc/sys/kernel/pid_max").read_text()
    for number in range(ATTEMPTS):
        creel.known(f"reuse{number}")
    creel.known("long")
    creel.root.mkdir(exist_ok=True)
    done = subprocess.run(
        ["unshare", "--pid", "--fork", "--kill-child", "--mount", sys.executable, "-c", WORLD,
         creel.binary, str(creel.root), str(bundle.path), str(ATTEMPTS), str(PIDS)],
        capture_output=True, text=True, timeout=300, check=False, stdin=subprocess.DEVNULL,
        env=creel.environment())
    assert pathlib.Path("/proc/sys/kernel/pid_max").read_text() == before
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    print(found["reused"], "reused,", found["same tick"], "in the same tick")
    assert found["wrong"] == []
    assert found["reused"] >= ATTEMPTS - 5
