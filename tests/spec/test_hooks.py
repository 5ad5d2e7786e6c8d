"""config.md, "POSIX-platform Hooks", and the hooks' places in runtime.md, "Lifecycle"."""

import json
import os
import pathlib
import time

import pytest

from .words import changed, inode, refused, wait_file

KINDS = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]
RUNTIME = {"prestart", "createRuntime", "poststart", "poststop"}
CREATE = ["prestart", "createRuntime", "createContainer"]


def hook(script, **more):
    """A hook that runs a script of busybox."""
    return {"path": "/bin/busybox", "args": ["sh", "-c", script], **more}


def log_bundle(creel, *kinds, script="cat > {dir}/{kind}.state; echo {kind} >> {dir}/order"):
    """A bundle whose hooks write to a directory that host and container have at the same path."""
    directory = creel.directory / "hooked"
    directory.mkdir(exist_ok=True)
    directory.chmod(0o777)

    def change(spec):
        spec["mounts"].append({"destination": str(directory), "type": "none",
                               "source": str(directory), "options": ["bind", "rw"]})
        spec["hooks"] = {kind: [hook(script.format(dir=directory, kind=kind),
                                     env=["PATH=/bin"])] for kind in kinds or KINDS}
        spec["annotations"] = {"org.example.key": "value"}
    bundle = changed(creel, change, "/bin/busybox", "sh", "-c", f"echo program >> {directory}/order")
    return bundle, directory


def finish(creel, name):
    """Waits for the end of a container and deletes it."""
    creel.wait_status(name, "stopped")
    creel.ok("delete", name)


def test_order(creel):
    """runtime.md Lifecycle: /hooks/prestart,/hooks/createRuntime,/hooks/createContainer,/hooks/startContainer,/hooks/poststart,/hooks/poststop: MUST:
    the hooks run in this order, around the program, and each at its operation."""
    bundle, directory = log_bundle(creel)
    order = directory / "order"
    name = creel.create(bundle)
    assert order.read_text().split() == CREATE
    creel.ok("start", name)
    creel.wait_status(name, "stopped")
    words = order.read_text().split()
    assert words[:4] == [*CREATE, "startContainer"]
    assert sorted(words[4:]) == ["poststart", "program"]
    creel.ok("delete", name)
    assert order.read_text().split()[6:] == ["poststop"]


@pytest.mark.parametrize("kind", KINDS)
def test_state(creel, kind):
    """config.md Hooks: /hooks/{kind}: MUST: a hook reads the container's state on standard input:
    version, id, status, pid, bundle and annotations."""
    bundle, directory = log_bundle(creel, kind)
    name = creel.create(bundle)
    creel.ok("start", name)
    finish(creel, name)
    state = json.loads(wait_file(directory / f"{kind}.state"))
    assert state["id"] == name and state["bundle"] == str(bundle.path)
    assert state["ociVersion"].startswith("1.")
    assert state["annotations"] == {"org.example.key": "value"}
    assert state["status"] == {"startContainer": "created", "poststart": "running",
                               "poststop": "stopped"}.get(kind, "creating")
    if kind == "poststop":
        assert not state.get("pid")
    elif kind in RUNTIME:
        assert state["pid"] > 1
    else:
        assert state["pid"] == 1


@pytest.mark.parametrize("kind", KINDS)
def test_namespaces(creel, kind):
    """config.md Hooks: /hooks/{kind}: MUST: hooks of the runtime run in its namespaces, those of the
    container in the container's."""
    script = ("for n in mnt net pid uts ipc; do /bin/busybox readlink /proc/self/ns/$n; done "
              "> {dir}/{kind}.state")
    bundle, directory = log_bundle(creel, kind, script=script)
    name = creel.create(bundle)
    creel.ok("start", name)
    finish(creel, name)
    seen = wait_file(directory / f"{kind}.state").split()
    ours = [f"{n}:[{os.stat(f'/proc/self/ns/{n}').st_ino}]" for n in
            ("mnt", "net", "pid", "uts", "ipc")]
    if kind in RUNTIME:
        assert seen == ours
    else:
        assert not set(seen) & set(ours)


def test_create_container_path_is_the_runtimes(creel):
    """config.md Hooks: /hooks/createContainer: MUST: its program is found in the runtime's file
    system, that of startContainer in the container's."""
    directory = creel.directory / "hooked"
    directory.mkdir()
    outside = directory / "only-outside"
    outside.write_text(f"#!/bin/busybox sh\necho createContainer >> {directory}/log\n")
    outside.chmod(0o755)
    bundle = creel.bundle("/bin/probe", "true")
    inside = bundle.rootfs / "only-inside"
    inside.write_text("#!/bin/busybox sh\necho startContainer >> /out/log\n")
    inside.chmod(0o755)
    bundle.spec["mounts"].append({"destination": "/out", "type": "none", "source": str(directory),
                                  "options": ["bind"]})
    bundle.spec["hooks"] = {"createContainer": [{"path": str(outside)}],
                            "startContainer": [{"path": "/only-inside"}]}
    result = creel.run_bundle(bundle.write())
    assert result.code == 0, str(result)
    assert (directory / "log").read_text().split() == ["createContainer", "startContainer"]


def test_create_container_before_pivot(creel):
    """config.md Hooks: /hooks/createContainer: MUST: it runs in the container's mount namespace,
    where its mounts exist, before the root changes."""
    bundle = creel.bundle("/bin/probe", "true")
    out = creel.directory / "out"
    bundle.spec["hooks"] = {"createContainer": [hook(
        f"grep -c {bundle.rootfs}/proc /proc/self/mountinfo > {out}", env=["PATH=/bin"])]}
    result = creel.run_bundle(bundle.write())
    assert result.code == 0, str(result)
    assert int(out.read_text()) >= 1


def test_create_runtime_sees_namespaces(creel):
    """config.md Hooks: /hooks/createRuntime,/hooks/prestart: MUST: the namespaces exist, and can be
    reached by the pid of the state."""
    out = creel.directory / "out"
    script = ("pid=$(sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/'); "
              f"readlink /proc/$pid/ns/net >> {out}")
    bundle = changed(creel, lambda spec: spec.update(hooks={
        kind: [hook(script, env=["PATH=/bin"])] for kind in ("prestart", "createRuntime")}),
        "/bin/probe", "sleep")
    with creel.running(bundle) as name:
        inode_text = f"net:[{inode(creel.state(name)['pid'], 'network')}]"
        assert out.read_text().split() == [inode_text, inode_text]


def test_listed_order(creel):
    """config.md Hooks: /hooks/*: MUST: hooks of one kind run in the order of the list."""
    out = creel.directory / "out"
    bundle = changed(creel, lambda spec: spec.update(hooks={
        "createRuntime": [hook(f"echo {n} >> {out}") for n in range(5)]}))
    assert creel.run_bundle(bundle).code == 0
    assert out.read_text().split() == list("01234")


def test_arguments(creel):
    """config.md Hooks: /hooks/*/*/args: MUST: args are the whole argument vector, and its first word
    may differ from the path; without args the path is the only word."""
    out = creel.directory / "out"
    script = creel.directory / "script"
    script.write_text(f"#!/bin/busybox sh\n/bin/busybox tr '\\0' ' ' < /proc/$$/cmdline >> {out}\n")
    script.chmod(0o755)
    probe = str(creel.programs["/bin/probe"])
    bundle = changed(creel, lambda spec: spec.update(hooks={"createRuntime": [
        {"path": str(script), "args": ["other-name", "one", "two words"]},
        {"path": str(script)},
        {"path": probe, "args": ["any-name", "write", str(out) + "2", "argv"]}]}))
    result = creel.run_bundle(bundle)
    assert result.code == 0, str(result)
    text = out.read_text()
    assert f"{script} one two words" in text
    assert text.rstrip().endswith(str(script))
    assert pathlib.Path(str(out) + "2").read_text() == "argv"


def test_environment(creel):
    """config.md Hooks: /hooks/*/*/env: MUST: a hook has exactly these variables."""
    probe = str(creel.programs["/bin/probe"])
    out = creel.directory / "out"
    script = f"{probe} sections env > {out}"
    bundle = changed(creel, lambda spec: spec.update(hooks={"createRuntime": [
        hook(script, env=["A=1", "B=two words"])]}))
    assert creel.run_bundle(bundle, env={"SECRET": "1"}).code == 0
    env = {v for v in json.loads(out.read_text())["env"]
           if v.partition("=")[0] not in ("PWD", "SHLVL", "_", "OLDPWD", "PATH")}
    assert env == {"A=1", "B=two words"}


@pytest.mark.parametrize("kind", KINDS)
def test_environment_absent(creel, kind):
    """config.md Hooks: /hooks/*/*/env: MUST: without env nothing of the runtime's environment passes
    to a hook."""
    bundle, directory = log_bundle(creel, kind, script="set > {dir}/{kind}.state")
    for each in bundle.spec["hooks"][kind]:
        del each["env"]
    bundle.write()
    name = creel.create(bundle, env={"SECRET": "of-the-runtime"})
    creel.ok("start", name, env={"SECRET": "of-the-runtime"})
    creel.wait_status(name, "stopped")
    creel.ok("delete", name, env={"SECRET": "of-the-runtime"})
    assert "of-the-runtime" not in wait_file(directory / f"{kind}.state")


def test_unread_state(creel):
    """config.md Hooks: /hooks/*: MUST: a hook need not read its standard input, however long the
    state is."""
    bundle = changed(creel, lambda spec: spec.update(
        hooks={"createRuntime": [{"path": "/bin/true"}]},
        annotations={f"org.example.{n}": "x" * 1000 for n in range(500)}))
    assert creel.run_bundle(bundle).code == 0


@pytest.mark.parametrize("kind", CREATE)
def test_failure_at_create(creel, kind):
    """config.md Hooks: /hooks/{kind}: MUST: a hook that fails at `create` is an error, everything is
    undone, and the poststop hooks run."""
    out = creel.directory / "out"
    bundle = changed(creel, lambda spec: spec.update(hooks={
        kind: [hook("echo my reason >&2; exit 3")], "poststop": [hook(f"echo stopped > {out}")]}))
    result = refused(creel, bundle, f"/hooks/{kind}/0", f"{kind} hook #0")
    assert "3" in result.error["msg"] and "my reason" in result.error["msg"]
    assert out.read_text() == "stopped\n"


@pytest.mark.parametrize("kind", ["startContainer", "poststart"])
def test_failure_at_start(creel, kind):
    """config.md Hooks: /hooks/startContainer,/hooks/poststart: MUST: a hook that fails at `start` is
    an error and stops the container; poststop hooks run when it goes."""
    out = creel.directory / "out"

    def change(spec):
        spec["hooks"] = {kind: [hook("exit 4")], "poststop": [hook(f"echo stopped > {out}")]}
    name = creel.create(changed(creel, change, "/bin/probe", "sleep"))
    creel.fails(kind, "start", name)
    if creel.run("state", name).code == 0:
        creel.wait_status(name, "stopped")
        creel.ok("delete", name)
    assert wait_file(out) == "stopped\n"


def test_failure_of_poststop(creel):
    """config.md Hooks: /hooks/poststop: MUST: a poststop hook that fails is a warning, and the next
    ones and the deletion go on."""
    out = creel.directory / "out"
    bundle = changed(creel, lambda spec: spec.update(hooks={"poststop": [
        hook("exit 5"), hook(f"echo second > {out}")]}))
    name = creel.create(bundle)
    creel.ok("start", name)
    creel.wait_status(name, "stopped")
    result = creel.run("delete", name)
    assert result.code == 0, str(result)
    assert "warning" in result.err and "poststop" in result.err
    assert out.read_text() == "second\n"
    assert creel.run("state", name).code != 0


def test_second_not_run_after_failure(creel):
    """config.md Hooks: /hooks/*: MUST: after a hook that failed the next ones of its kind do not
    run."""
    out = creel.directory / "out"
    bundle = changed(creel, lambda spec: spec.update(hooks={"createRuntime": [
        hook("exit 1"), hook(f"echo > {out}")]}))
    refused(creel, bundle, "/hooks/createRuntime/0")
    assert not out.exists()


def test_timeout(creel):
    """config.md Hooks: /hooks/*/*/timeout: MUST: a hook that runs longer is killed, and is an
    error."""
    pid = creel.directory / "pid"
    bundle = changed(creel, lambda spec: spec.update(hooks={"createRuntime": [
        hook(f"echo $$ > {pid}; exec /bin/busybox sleep 100", timeout=3)]}))
    start = time.monotonic()
    refused(creel, bundle, "/hooks/createRuntime/0", "timeout")
    assert 2.9 < time.monotonic() - start < 50
    assert not pathlib.Path(f"/proc/{pid.read_text().strip()}").exists()


@pytest.mark.parametrize("value", [0, -1, "1"])
def test_timeout_malformed(creel, value):
    """config.md Hooks: /hooks/*/*/timeout: MUST: a timeout is a number above zero."""
    refused(creel, changed(creel, lambda spec: spec.update(hooks={"poststop": [
        hook("true", timeout=value)]})), "/hooks/poststop/0/timeout")


@pytest.mark.parametrize("kind", KINDS)
def test_path(creel, kind):
    """config.md Hooks: /hooks/*/*/path: MUST: the path is required, and absolute."""
    refused(creel, changed(creel, lambda spec: spec.update(hooks={kind: [{"path": "bin/true"}]})),
            f"/hooks/{kind}/0/path")
    refused(creel, changed(creel, lambda spec: spec.update(hooks={kind: [{"args": ["x"]}]})),
            f"/hooks/{kind}/0/path")


def test_absent_program(creel):
    """config.md Hooks: /hooks/*/*/path: MUST: a hook that cannot be executed is an error."""
    refused(creel, changed(creel, lambda spec: spec.update(hooks={
        "createRuntime": [{"path": "/nonexistent/hook"}]})), "/hooks/createRuntime/0/path")


def test_descriptors(creel):
    """config.md Hooks: /hooks/*: creel: a hook gets no descriptor of the runtime but the three
    standard ones."""
    probe = str(creel.programs["/bin/probe"])
    out = creel.directory / "out"
    bundle = changed(creel, lambda spec: spec.update(hooks={"createRuntime": [
        hook(f"{probe} sections fds > {out}")]}))
    assert creel.run_bundle(bundle).code == 0
    assert [fd["fd"] for fd in json.loads(out.read_text())["fds"]] == [0, 1, 2]


def test_poststart_after_program_runs(creel):
    """config.md Hooks: /hooks/poststart: MUST: it runs when the program has been executed, and
    before `start` returns."""
    out = creel.directory / "out"
    script = ("pid=$(sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/'); "
              f"tr '\\0' ' ' < /proc/$pid/cmdline > {out}")
    bundle = changed(creel, lambda spec: spec.update(hooks={
        "poststart": [hook(script, env=["PATH=/bin"])]}), "/bin/probe", "sleep", "50")
    with creel.running(bundle):
        assert out.read_text() == "/bin/probe sleep 50 "


def test_start_container_before_program(creel):
    """config.md Hooks: /hooks/startContainer: MUST: it runs at `start`, before the program."""
    bundle, directory = log_bundle(creel, "startContainer")
    name = creel.create(bundle)
    assert not (directory / "order").exists()
    creel.ok("start", name)
    creel.wait_status(name, "stopped")
    assert (directory / "order").read_text().split() == ["startContainer", "program"]
    creel.ok("delete", name)
