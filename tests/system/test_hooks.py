"""Hooks: all six kinds, what they are given, their order, and what their failure does."""

import json
import os
import signal
import time

import harness
import pytest
from harness import is_alive, wait_until

KINDS = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]
INSIDE = "startContainer"       # the only one whose program is looked up in the container

SCRIPT = """#!/bin/busybox sh
{ echo kind=$1; echo cwd=$(pwd); cat; echo; echo pid=$$; env | sed 's/^/env=/'
  ls /proc/self/fd | sed 's/^/fd=/'; } > "$2/$1" 2>&1
echo $1 >> "$2/order"
"""


class Recorder:
    """Hooks that write down what they saw, in a directory that container and host share."""

    def __init__(self, creel, *kinds):
        self.creel = creel
        self.shared = creel.directory / "shared"
        self.shared.mkdir()
        self.shared.chmod(0o777)
        script = self.shared / "hook"
        script.write_text(SCRIPT)
        script.chmod(0o755)
        self.bundle = creel.bundle("/bin/probe", "sleep")
        spec = self.bundle.spec
        spec["mounts"].append({"destination": str(self.shared), "source": str(self.shared),
                               "type": "bind", "options": ["bind"]})
        spec["hooks"] = {kind: [self.hook(kind)] for kind in kinds}
        self.bundle.write()

    def hook(self, kind, **more):
        """One hook."""
        return {"path": str(self.shared / "hook"), "args": ["argv0", kind, str(self.shared)],
                "env": ["PATH=/bin:/usr/bin", f"KIND={kind}"], **more}

    def order(self):
        """The kinds that have run."""
        file = self.shared / "order"
        return file.read_text().split() if file.exists() else []

    def saw(self, kind):
        """(values by name, state) of a hook."""
        lines = (self.shared / kind).read_text().splitlines()
        state = next(json.loads(line) for line in lines if line.startswith("{"))
        values = {}
        for line in lines:
            name, equals, value = line.partition("=")
            if equals and not line.startswith("{"):
                values.setdefault(name, []).append(value)
        return values, state


def test_order_and_moments(creel):
    hooks = Recorder(creel, *KINDS)
    name = creel.create(hooks.bundle)
    assert hooks.order() == KINDS[:3]
    pid = creel.state(name)["pid"]
    creel.ok("start", name)
    assert hooks.order() == KINDS[:5], "start returns after poststart"
    creel.ok("kill", name, "KILL")
    creel.wait_status(name, "stopped")
    assert hooks.order() == KINDS[:5]
    creel.ok("delete", name)
    assert hooks.order() == KINDS

    statuses = {"prestart": ("creating", "created"), "createRuntime": ("creating", "created"),
                "createContainer": ("creating", "created"),
                "startContainer": ("created", "starting"), "poststart": ("running",),
                "poststop": ("stopped",)}
    for kind in KINDS:
        values, state = hooks.saw(kind)
        assert state["id"] == name
        assert state["status"] in statuses[kind], kind
        assert state["bundle"] == str(hooks.bundle.path)
        assert state["ociVersion"].startswith("1.")
        if kind in ("prestart", "createRuntime", "poststart"):
            assert state["pid"] == pid, kind
        elif kind == "poststop":
            assert state.get("pid", 0) == 0
        else:
            assert state["pid"] == 1, kind
        assert sorted(e for e in values["env"] if not e.startswith(("PWD=", "SHLVL=", "_="))) == \
            sorted(["PATH=/bin:/usr/bin", f"KIND={kind}"]), kind
        inside = kind in ("createContainer", INSIDE)
        assert values["cwd"] == ["/" if inside else str(hooks.bundle.path)], kind
        assert set(values["fd"]) <= {"0", "1", "2", "3", "10", "11", "12"}, \
            "3 and from 10 on: the shell's own"


def test_run_runs_all(creel):
    hooks = Recorder(creel, *KINDS)
    hooks.bundle.spec["process"]["args"] = ["/bin/probe", "exit", "6"]
    result = creel.run_bundle(hooks.bundle.write())
    assert result.code == 6, str(result)
    assert hooks.order() == KINDS


def test_delete_of_a_created_container(creel):
    hooks = Recorder(creel, *KINDS)
    name = creel.create(hooks.bundle)
    creel.ok("delete", name)
    assert hooks.order() == KINDS[:3] + ["poststop"]


def test_annotations_are_in_the_state(creel):
    hooks = Recorder(creel, "createRuntime")
    hooks.bundle.spec["annotations"] = {"a": "b", "line": "1\n2"}
    creel.ok("delete", creel.create(hooks.bundle.write()))
    assert hooks.saw("createRuntime")[1]["annotations"] == {"a": "b", "line": "1\n2"}


def test_many_hooks_of_one_kind_run_in_order(creel):
    hooks = Recorder(creel)
    hooks.bundle.spec["hooks"] = {
        "createRuntime": [{"path": str(hooks.shared / "hook"), "args": ["x", str(i),
                                                                        str(hooks.shared)]}
                          for i in range(20)]}
    creel.ok("delete", creel.create(hooks.bundle.write()))
    assert hooks.order() == [str(i) for i in range(20)]


def test_without_args_and_env(creel):
    hooks = Recorder(creel)
    script = hooks.shared / "plain"
    script.write_text(f'#!/bin/busybox sh\ncat /proc/$$/environ > {hooks.shared}/env\n')
    script.chmod(0o755)
    hooks.bundle.spec["hooks"] = {"createRuntime": [{"path": str(script)}]}
    creel.ok("delete", creel.create(hooks.bundle.write(), env={"SECRET": "x"}))
    assert "SECRET" not in (hooks.shared / "env").read_text()


def test_create_runtime_hooks_find_the_namespaces(creel):
    hooks = Recorder(creel)
    script = hooks.shared / "net"
    script.write_text("#!/bin/busybox sh\n"
                      "pid=$(sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/')\n"
                      f"readlink /proc/$pid/ns/net > {hooks.shared}/net.out\n")
    script.chmod(0o755)
    hooks.bundle.spec["hooks"] = {"createRuntime": [{"path": str(script)}]}
    creel.ok("delete", creel.create(hooks.bundle.write()))
    seen = (hooks.shared / "net.out").read_text().strip()
    assert seen.startswith("net:[")
    assert seen != os.readlink("/proc/self/ns/net")


def test_hooks_that_do_not_read_their_input(creel):
    hooks = Recorder(creel)
    hooks.bundle.spec["annotations"] = {f"key{i}": "x" * 1000 for i in range(200)}
    hooks.bundle.spec["hooks"] = {kind: [{"path": "/bin/true"}] for kind in KINDS
                                  if kind != INSIDE}
    assert creel.run_bundle(change_args(hooks.bundle, "true")).code == 0


def change_args(bundle, *words):
    """Changes what the probe does."""
    bundle.spec["process"]["args"] = ["/bin/probe", *words]
    return bundle.write()


def failing(hooks, kind, script, **more):
    """Adds a hook of KIND that runs SCRIPT."""
    file = hooks.shared / "failing"
    file.write_text("#!/bin/busybox sh\n" + script)
    file.chmod(0o755)
    hooks.bundle.spec["hooks"].setdefault(kind, []).append({"path": str(file), **more})
    hooks.bundle.write()


@pytest.mark.parametrize("kind", KINDS[:3])
def test_failing_hooks_of_create(creel, kind):
    hooks = Recorder(creel, "poststop")
    failing(hooks, kind, "echo the reason; echo more >&2; exit 7\n")
    hooks.bundle.spec["hooks"][kind].append(hooks.hook("never"))
    hooks.bundle.write()
    for command in ("create", "run"):
        record = creel.fails(kind, command, "--bundle", hooks.bundle.path, creel.id()).error
        assert "the reason" in record["msg"] and "more" in record["msg"], record
        assert "7" in record["msg"]
        assert record["pointer"] == f"/hooks/{kind}/0", record
        assert record["line"] > 0
        assert creel.ids() == []
    assert hooks.order() == ["poststop", "poststop"], "and what came behind it never ran"


@pytest.mark.parametrize("kind", ["startContainer", "poststart"])
def test_failing_hooks_of_start(creel, kind):
    hooks = Recorder(creel, "poststop")
    failing(hooks, kind, "echo the reason; exit 7\n")
    name = creel.create(hooks.bundle)
    pid = creel.state(name)["pid"]
    record = creel.fails("the reason", "start", name).error
    assert record["pointer"] == f"/hooks/{kind}/0", record
    wait_until(lambda: not is_alive(pid), "the init ends")
    creel.ok("delete", "--force", name)
    assert hooks.order() == ["poststop"]
    assert creel.ids() == []


@pytest.mark.parametrize("kind", ["startContainer", "poststart"])
def test_failing_hooks_of_run(creel, kind):
    hooks = Recorder(creel, "poststop")
    failing(hooks, kind, "echo the reason; exit 7\n")
    for options in ([], ["--detach"]):
        creel.fails("the reason", "run", *options, "--bundle", hooks.bundle.path, creel.id())
        assert creel.ids() == []
    assert hooks.order() == ["poststop", "poststop"]


def test_failing_poststop_is_a_warning(creel):
    hooks = Recorder(creel)
    failing(hooks, "poststop", "echo the reason; exit 7\n")
    hooks.bundle.spec["hooks"]["poststop"].append(hooks.hook("after"))
    name = creel.create(hooks.bundle.write())
    result = creel.run("delete", name)
    assert result.code == 0, str(result)
    assert "warning" in result.err and "the reason" in result.err
    assert hooks.order() == ["after"], "the others run all the same"
    assert creel.ids() == []


@pytest.mark.parametrize("kind", KINDS[:5])
def test_timeout(creel, kind):
    hooks = Recorder(creel, "poststop")
    failing(hooks, kind, "sleep 100 & sleep 100\n", timeout=1)
    name = creel.id()
    start = time.monotonic()
    record = creel.fails("timeout", "run", "--bundle", hooks.bundle.path, name).error
    assert 0.9 < time.monotonic() - start < 50
    assert kind in record["msg"]
    assert hooks.order() == ["poststop"]


def test_a_hook_killed_by_a_signal(creel):
    hooks = Recorder(creel)
    failing(hooks, "createRuntime", "kill -SEGV $$\n")
    creel.fails("SIGSEGV", "create", "--bundle", hooks.bundle.path, creel.id())


@pytest.mark.parametrize("kind", KINDS[:5])
def test_a_hook_that_does_not_exist(creel, kind):
    hooks = Recorder(creel)
    hooks.bundle.spec["hooks"] = {kind: [{"path": "/no/such/hook"}]}
    record = creel.fails("/no/such/hook", "run", "--bundle", hooks.bundle.write().path,
                         creel.id()).error
    assert record["pointer"].startswith(f"/hooks/{kind}/0"), record


def test_a_hook_that_leaves_a_daemon_behind(creel):
    hooks = Recorder(creel)
    failing(hooks, "createRuntime", "/bin/busybox sleep 1000 &\nexit 0\n")
    name = creel.create(hooks.bundle)
    creel.ok("delete", name)
    daemons = wait_until(lambda: [pid for pid, line in harness.descendants().items() if line.endswith("sleep 1000")],
                         "the daemon, which is not waited for")
    assert len(daemons) == 1
    os.kill(daemons[0], signal.SIGKILL)
    wait_until(lambda: not harness.descendants(), "the daemon ends")


def test_a_hook_with_endless_output(creel):
    hooks = Recorder(creel)
    failing(hooks, "createRuntime", "yes | head -c 10000000; exit 0\n")
    creel.run("create", "--bundle", hooks.bundle.path, name := creel.id())
    creel.run("delete", "--force", name)
    assert creel.ids() == []


def test_output_with_control_bytes_is_cleaned(creel):
    hooks = Recorder(creel)
    failing(hooks, "createRuntime", "printf 'a\\033[31mred\\000\\377'; exit 1\n")
    result = creel.fails("red", "create", "--bundle", hooks.bundle.path, creel.id())
    assert "\x1b" not in result.err
    assert "\x1b" not in result.error["msg"]


def test_a_changed_document_does_not_change_poststop(creel):
    hooks = Recorder(creel, "poststop")
    name = creel.create(hooks.bundle)
    hooks.bundle.spec["hooks"] = {"poststop": [{"path": "/bin/false"}]}
    hooks.bundle.write()
    creel.ok("delete", name)
    assert hooks.order() == ["poststop"]
