"""What engines say to a runtime in the life of a container, argument for argument, and how they read its answers.

The real engines do this in tests/engines; here it is without them, in milliseconds, and CRI-O, conmon-rs and nerdctl, which the
laboratory does not have, are here only.
"""

import json
import os
import re
import signal
import subprocess
import time

import pytest

from harness import is_alive, stat_fields, wait_until
from terminals import Terminal

PROCESS = {"args": ["/bin/probe", "exit", "3"], "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}}


def shim_error(log):
    """How containerd's shim reads log.json: the last record at level error, whose time it has to understand."""
    found = None
    for line in log.read_text().splitlines():
        record = json.loads(line)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", record["time"])
        if record["level"] == "error":
            found = record["msg"].strip()
    return found


def shim_kill(text):
    """What the shim makes of the output of a kill that failed."""
    if "os: process already finished" in text or "container not running" in text or \
            "no such process" in text.lower():
        return "not found"
    return "no such container" if "does not exist" in text else "unknown error"


def docker_code(text):
    """The exit code of `docker run` for an error of the runtime."""
    text = text.lower()
    for phrase, code in (("permission denied", 126), ("is a directory", 126), ("not a directory", 127),
                         ("executable file not found", 127), ("no such file or directory", 127)):
        if phrase in text:
            return code
    return 128


def podman_code(text):
    """The exit code of `podman run` for an error of the runtime."""
    if re.search("permission denied|operation not permitted", text, re.I):
        return 126
    return 127 if re.search("executable file not found in|no such file or directory|open executable", text, re.I) \
        else 126


class Engine:
    """An engine with its own words before each command; each call is silent when it succeeds."""

    def __init__(self, creel, *words):
        self.creel, self.words = creel, words

    def run(self, *words, **more):
        return self.creel.run(*self.words, *words, root=False, **more)

    def ok(self, *words, **more):
        result = self.run(*words, **more)
        assert (result.code, result.err) == (0, ""), str(result)
        return result


@pytest.fixture
def process(creel):
    path = creel.directory / "runc-process123"
    path.write_text(json.dumps(PROCESS))
    return path


@pytest.fixture
def sleeper(creel):
    return creel.bundle("/bin/probe", "sleep")


# containerd's shim

@pytest.fixture
def shim(creel, sleeper):
    engine = Engine(creel, "--root", creel.root / "k8s.io", "--log", sleeper.path / "log.json", "--log-format",
                    "json")
    creel.options = ["--root", str(creel.root / "k8s.io")]
    yield engine
    creel.options = []
    (creel.root / "k8s.io").rmdir()


def test_containerd(creel, shim, sleeper, process):
    name, file = creel.id(), sleeper.path / "init.pid"
    assert shim.ok("create", "--bundle", sleeper.path, "--pid-file", file, name).out == ""
    pid = int(file.read_bytes())
    assert int(stat_fields(pid)[1]) == os.getpid(), "nothing of ours stands between the shim and its container"
    group = open(f"/proc/{pid}/cgroup").read()
    assert shim.ok("start", name).out == ""
    assert open(f"/proc/{pid}/cgroup").read() == group, "it was in its cgroup when create returned"
    ran = sleeper.path / "e.pid"
    assert shim.ok("exec", "--process", process, "--detach", "--pid-file", ran, name).out == ""
    process.unlink()
    assert re.fullmatch(rb"[1-9]\d*", ran.read_bytes())
    shim.ok("pause", name)
    shim.ok("resume", name)
    shim.ok("update", "--resources=-", name, data="{}")
    assert pid in shim.ok("ps", "--format", "json", name).json()
    table = shim.ok("ps", "--format", "table", name, "-eopid,comm").out.splitlines()
    assert "PID" in table[0].split() and any(line.split()[0] == str(pid) for line in table[1:])
    assert shim.ok("state", name).json()["status"] == "running"
    assert [entry["id"] for entry in shim.ok("list", "--format=json").json()] == [name]
    shim.ok("kill", name, "9")
    wait_until(lambda: not is_alive(pid), "the end")
    creel.wait_status(name, "stopped")
    result = shim.run("kill", name, "9")
    assert result.code == 1 and shim_kill(result.out + result.err) == "not found"
    shim.ok("kill", "--all", name, "9")
    shim.ok("delete", name)
    result = shim.run("delete", name)
    assert result.code != 0 and "does not exist" in result.err
    result = shim.run("kill", name, "15")
    assert shim_kill(result.out + result.err) == "no such container"
    shim.ok("delete", "--force", name)


def test_containerd_log_holds_only_errors(creel, shim, sleeper):
    log = sleeper.path / "log.json"
    name = creel.id()
    shim.ok("create", "--bundle", sleeper.path, "--pid-file", sleeper.path / "init.pid", name)
    assert log.read_text() == ""
    assert shim.run("create", "--bundle", sleeper.path, name).code != 0
    assert "already exists" in shim_error(log)
    shim.run("kill", "nobody", "9")
    assert "does not exist" in shim_error(log), "the last one counts"
    shim.ok("delete", "--force", name)


def test_containerd_resumes_what_has_died_in_the_freezer(creel, shim, sleeper):
    name = creel.id()
    shim.ok("create", "--bundle", sleeper.path, "--pid-file", sleeper.path / "init.pid", name)
    shim.ok("start", name)
    shim.ok("pause", name)
    shim.ok("kill", name, "9")
    creel.wait_status(name, "stopped")
    result = shim.run("resume", name)
    assert result.code in (0, 1)
    shim.ok("delete", name)


# What is told of a program that cannot be run, and of what is not the program's fault

def bind_of_a_file_over_a_directory(spec, directory):
    (directory / "file").write_text("")
    spec["mounts"].append({"destination": "/etc", "type": "bind", "source": str(directory / "file"),
                           "options": ["bind"]})


def unknown_filesystem(spec, _):
    spec["mounts"].append({"destination": "/x", "type": "nosuchfs", "source": "x"})


FAILURES = [
    # name, args, change, Docker's code, Podman's code, a phrase
    ("nowhere", ["nosuch"], None, 127, 127, "executable file not found in $PATH"),
    ("missing", ["/bin/nosuch"], None, 127, 127, "no such file or directory"),
    ("no program", ["/etc/passwd"], None, 126, 126, "permission denied"),
    ("directory", ["/etc"], None, 126, 126, "permission denied"),
    ("file over directory", ["/bin/probe", "true"], bind_of_a_file_over_a_directory, 127, 126, "not a directory"),
    ("filesystem", ["/bin/probe", "true"], unknown_filesystem, 128, 126, "nosuchfs"),
]


@pytest.mark.parametrize("command", ["create", "run"])
@pytest.mark.parametrize("args,change,docker,podman,phrase", [row[1:] for row in FAILURES],
                         ids=[row[0].replace(" ", "-") for row in FAILURES])
def test_error_as_engines_read_it(creel, command, args, change, docker, podman, phrase):
    bundle = creel.bundle(*args)
    if change:
        change(bundle.spec, creel.directory)
        bundle.write()
    log = creel.directory / "oci-log"
    result = creel.run("--log-format=json", "--log", log, command, "--bundle", bundle.path, creel.id())
    assert result.code == 1 and result.out == ""
    message = json.loads(log.read_text())["msg"]
    assert message == shim_error(log) and phrase in message
    assert docker_code(message) == docker
    assert podman_code(message) == podman
    assert podman_code(result.err) == podman, "as conmon hands it on without runtime_supports_json"
    assert len(result.err) < 8192


# conmon

def test_conmon(creel, sleeper, process):
    podman = Engine(creel, "--root", creel.root, "--log-format=json", "--log", creel.directory / "oci-log",
                    "--cgroup-manager", "disabled")
    name, file = creel.id(), creel.directory / "pidfile"
    podman.ok("create", "--bundle", sleeper.path, "--pid-file", file, "--no-new-keyring", name)
    direct = Engine(creel, "--root", creel.root)
    direct.ok("start", name)
    ran = creel.directory / "exec_pid"
    podman.ok("exec", "--pid-file", ran, "--process", process, "--detach", name)
    assert re.fullmatch(rb"[1-9]\d*", ran.read_bytes())
    process.write_text(json.dumps({**PROCESS, "args": ["nosuch"]}))
    missing = creel.directory / "exec_pid2"
    result = podman.run("exec", "--pid-file", missing, "--process", process, "--detach", name)
    assert result.code != 0 and not missing.exists(), "how conmon knows that exec has failed"
    assert podman_code(json.loads((creel.directory / "oci-log").read_text())["msg"]) == 127
    direct.ok("kill", name, "15")
    direct.ok("kill", "--all", name, "9")
    creel.wait_status(name, "stopped")
    direct.ok("delete", "--force", name)
    direct.ok("delete", "--force", name)


def test_probes_of_podman(creel):
    assert creel.run("checkpoint", "--help", root=False).code == 0
    result = creel.run("restore", "--lsm-mount-context", root=False)
    assert result.code != 0
    assert re.search("requires an argument|flag needs an argument", result.out + result.err)


# Buildah

def test_buildah(creel, sleeper):
    name = creel.known("buildah-buildah" + creel.id("4")[2:])
    engine = Engine(creel, "--root", creel.root)
    engine.ok("create", "--bundle", sleeper.path, "--pid-file", sleeper.path / "pid", name)
    assert engine.ok("state", name).json()["status"] in ("creating", "created")
    engine.ok("start", name)
    assert engine.ok("state", name).json()["status"] == "running"
    engine.ok("kill", name)
    creel.wait_status(name, "stopped")
    assert engine.ok("state", name).json()["pid"] == 0
    assert engine.run("kill", name, "SIGKILL").code == 1
    engine.ok("delete", name)


# BuildKit

def test_buildkit(creel, process):
    """The pid file is polled, and never seen half written; --keep leaves the container for a plain delete."""
    bundle = creel.shell("until test -e /done; do sleep 0.05; done; exit 6")
    log, file, name = creel.directory / "runc-log.json", creel.directory / "pid", creel.id()
    engine = Engine(creel, "--root", creel.root, "--log", log, "--log-format", "json")
    with creel.spawn("--log", log, "--log-format", "json", "run", "--bundle", bundle.path, "--keep", "--pid-file",
                     file, name, start_new_session=True) as run:
        seen = set()
        end = time.monotonic() + 30
        while not seen and time.monotonic() < end:
            try:
                seen.add(file.read_bytes())
            except FileNotFoundError:
                pass
        assert re.fullmatch(rb"[1-9]\d*", seen.pop())
        creel.wait_status(name, "running")
        assert engine.run("exec", "--process", process, "--pid-file", creel.directory / "e", name).code == 3
        (bundle.rootfs / "done").write_text("")
        assert run.wait().code == 6
    assert engine.ok("state", name).json()["status"] == "stopped"
    engine.ok("delete", name)
    assert log.read_text() == ""


def test_buildkit_kills(creel, sleeper):
    name = creel.id()
    with creel.spawn("run", "--bundle", sleeper.path, "--keep", name, start_new_session=True) as run:
        wait_until(lambda: creel.run("state", name).code == 0, "the container")
        creel.wait_status(name, "running")
        creel.ok("kill", name, "9")
        assert run.wait().code == 128 + signal.SIGKILL
    creel.ok("delete", name)


def test_buildkit_resizes_the_terminal(creel):
    """It gives a terminal as standard input, output and error, and no console socket."""
    bundle = creel.shell("trap 'stty size; exit 0' WINCH; echo up; while :; do sleep 0.1; done", terminal=True)
    with Terminal(rows=20, columns=90) as terminal:
        with creel.spawn("run", "--bundle", bundle.path, "--keep", name := creel.id(),
                         **terminal.options()) as run:
            terminal.read_until("up")
            terminal.resize(33, 77)
            os.kill(run.pid, signal.SIGWINCH)
            terminal.read_until("33 77")
            assert run.wait().code == 0
    creel.ok("delete", name)


# CRI-O

def test_crio(creel, sleeper, process):
    engine = Engine(creel, "--root", creel.root)
    name = creel.id()
    engine.ok("create", "--bundle", sleeper.path, "--pid-file", creel.directory / "pidfile", name)
    state = engine.ok("state", name).json()
    assert (state["status"], state["id"], "created" in state) == ("created", name, True)
    engine.ok("start", name)
    assert engine.run("exec", "--process", process, name).code == 3
    engine.ok("update", "--resources", "-", name, data="{}")
    engine.ok("pause", name)
    assert engine.ok("state", name).json()["status"] == "paused"
    engine.ok("resume", name)
    engine.ok("kill", name, "SIGTERM")
    creel.wait_status(name, "stopped")
    assert engine.ok("state", name).json()["pid"] == 0
    result = engine.run("kill", name, "KILL")
    assert re.search("no such process|container not running|invalid process", result.err)
    engine.run("kill", "-a", name, "9")
    engine.ok("delete", "--force", name)


def test_crio_reads_output_and_errors_of_its_probes_as_one(creel):
    """Its environment is nearly empty, too."""
    for word in ("features", "--version"):
        done = subprocess.run([creel.binary, word], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True,
                              env={"PATH": "/usr/bin", "CRI_O_EXTERNAL": "1"}, timeout=30)
        if word == "features":
            features = json.loads(done.stdout)
            assert features["ociVersionMin"] and features["ociVersionMax"]
        else:
            assert done.stdout.startswith(b"creel version ")


# conmon-rs

def test_conmon_rs(creel, sleeper):
    """Global options twice, and a command behind the id without a process file."""
    words = [f"--root={creel.root}", "--systemd-cgroup=false"]
    engine = Engine(creel, *words, *words)
    name, file = creel.id(), creel.directory / "pid"
    engine.ok("create", "--bundle", sleeper.path, "--pid-file", file, name)
    assert 0 < int(file.read_text()) < 1 << 32
    engine.ok("start", name)
    ran = creel.directory / "exec"
    engine.ok("exec", "-d", f"--pid-file={ran}", name, "/bin/probe", "sleep")
    pid = int(ran.read_text())
    assert is_alive(pid)
    os.kill(pid, signal.SIGKILL)
    engine.ok("delete", "--force", name)


# go-runc

def test_go_runc_restores_with_one_dash(creel, sleeper):
    """The option is known; what fails is that there is no image."""
    result = creel.run("restore", "--image-path", creel.directory / "none", "--work-path", creel.directory,
                       "--detach", "--pid-file", creel.directory / "pid", "-no-subreaper", "--bundle", sleeper.path,
                       creel.id())
    assert result.code == 1
    assert "subreaper" not in result.err and "option" not in result.err and "flag" not in result.err, str(result)


# nerdctl

def test_nerdctl_hooks(creel):
    """Its hooks find the bundle, the pid and the annotations in the state that they read."""
    seen = creel.directory / "seen"
    hook = creel.directory / "hook"
    hook.write_text(f"#!/bin/sh\ncat > {seen}.$1\n")
    hook.chmod(0o755)
    bundle = creel.bundle("/bin/probe", "true")
    bundle.spec["annotations"] = {"nerdctl/name": "x"}
    bundle.spec["hooks"] = {stage: [{"path": str(hook), "args": ["nerdctl", stage]}]
                            for stage in ("createRuntime", "poststop")}
    name = creel.id()
    creel.ok("run", "--bundle", bundle.write().path, name)
    for stage, status in (("createRuntime", "creating"), ("poststop", "stopped")):
        state = json.loads((creel.directory / f"seen.{stage}").read_text())
        assert state["annotations"] == {"nerdctl/name": "x"}
        assert state["bundle"] == str(bundle.path)
        assert (state["status"], state["id"]) == (status, name)
        assert (state.get("pid", 0) > 0) == (stage == "createRuntime")
