"""runtime.md, "Lifecycle" and "Operations"."""

import json
import os
import pathlib
import re
import signal

import harness
import pytest

from .words import changed, drop_namespace, refused

IDS = ["a", "A-Z_0.9+x", "f" * 64, "with.dots", "-starts-with-minus", "0"]
BAD_IDS = ["", ".", "..", "a/b", "a b", "ä", "a\nb", "a:b"]


def test_create(creel):
    """runtime.md Create: create: MUST: the environment exists afterwards, and the program has not
    been run."""
    bundle = changed(creel, lambda spec: spec["root"].update(readonly=False), "/bin/probe", "write",
                     "/mark", "x")
    name = creel.create(bundle)
    pid = creel.state(name)["pid"]
    assert os.stat(f"/proc/{pid}/ns/mnt").st_ino != os.stat("/proc/self/ns/mnt").st_ino
    assert not (bundle.rootfs / "mark").exists()
    creel.ok("start", name)
    creel.wait_status(name, "stopped")
    assert (bundle.rootfs / "mark").exists()
    creel.ok("delete", name)


@pytest.mark.parametrize("name", IDS)
def test_ids(creel, name):
    """runtime.md Create: create: MUST: any id of the allowed characters works for all operations."""
    creel.known(name)
    words = ["--", name] if name.startswith("-") else [name]
    creel.ok("create", "--bundle", creel.bundle("/bin/probe", "sleep").path, *words)
    assert creel.ok("state", *words).json()["id"] == name
    creel.ok("start", *words)
    creel.ok("kill", *words, "KILL")
    harness.wait_until(lambda: creel.ok("state", *words).json()["status"] == "stopped", "stopped")
    creel.ok("delete", *words)


@pytest.mark.parametrize("name", BAD_IDS)
def test_bad_ids(creel, name):
    """runtime.md Create: create: MUST: an id that cannot be one is an error, and nothing is made."""
    creel.fails("", "create", "--bundle", creel.bundle("/bin/probe", "sleep").path, name)
    assert not creel.root.exists() or os.listdir(creel.root) == []


def test_id_required(creel):
    """runtime.md Operations: create,start,state,kill,delete: MUST: an operation without an id is an
    error."""
    for command in ("create", "start", "state", "kill", "delete"):
        assert creel.run(command, cwd=creel.bundle("/bin/probe", "sleep").path).code != 0


def test_id_unique(creel):
    """runtime.md Create: create: MUST: an id that is in use is an error, and the container that has
    it goes on."""
    with creel.running() as name:
        creel.fails("already exists", "create", "--bundle",
                    creel.bundle("/bin/probe", "sleep").path, name)
        assert creel.status(name) == "running"


def test_id_reusable(creel):
    """runtime.md Delete: delete: MUST: afterwards the id can be used again."""
    name = creel.id()
    for _ in range(3):
        creel.create(creel.bundle("/bin/probe", "sleep"), name=name)
        creel.ok("delete", "--force", name)


@pytest.mark.parametrize("command", ["state", "start", "kill", "delete", "exec", "pause", "resume"])
def test_unknown(creel, command):
    """runtime.md Operations: start,state,kill,delete: MUST: an id that does not exist is an error."""
    more = ["/bin/true"] if command == "exec" else []
    result = creel.fails("does not exist", command, creel.id("nobody"), *more,
                         code=255 if command == "exec" else 1)
    assert result.out == ""


def test_bundle_required(creel):
    """runtime.md Create: create: MUST: a bundle that is not there, or has no configuration, is an
    error."""
    for path, phrase in (("/nonexistent", "bundle"), (creel.directory, "config.json")):
        creel.fails(phrase, "create", "--bundle", path, creel.id())


def test_bundle_is_a_file(creel):
    """bundle.md: config.json: MUST: the configuration lies in the bundle under this name."""
    bundle = creel.bundle("/bin/probe", "sleep")
    (bundle.path / "config.json").rename(bundle.path / "other.json")
    creel.fails("config.json", "create", "--bundle", bundle.path, creel.id())


def test_configuration_is_read_once(creel):
    """runtime.md Lifecycle: create: MUST: what changes in config.json after `create` has no effect,
    on `start`, `exec` and `delete` as well."""
    bundle = creel.bundle("/bin/probe", "sections", "env", env=["A=before", "HOME=/"])
    name = creel.create(bundle)
    (bundle.path / "config.json").write_text("{}")
    creel.ok("start", name)
    creel.wait_status(name, "stopped")
    creel.ok("delete", name)
    bundle = creel.bundle("/bin/probe", "sleep", env=["A=before", "HOME=/"])
    name = creel.create(bundle)
    (bundle.path / "config.json").unlink()
    creel.ok("start", name)
    report = creel.ok("exec", name, "/bin/probe", "sections", "env").json()
    assert report["env"] == ["A=before", "HOME=/"]
    creel.ok("delete", "--force", name)


STATES = ["created", "running", "stopped"]


def brought(creel, status):
    """The id of a container with STATUS."""
    name = creel.create(creel.bundle("/bin/probe", "sleep"))
    if status != "created":
        creel.ok("start", name)
    if status == "stopped":
        creel.ok("kill", name, "KILL")
        creel.wait_status(name, "stopped")
    return name


@pytest.mark.parametrize("status", ["running", "stopped"])
def test_start_refused(creel, status):
    """runtime.md Start: start: MUST: a container that is not `created` is an error, without effect."""
    name = brought(creel, status)
    creel.fails("cannot start", "start", name)
    assert creel.status(name) == status
    creel.ok("delete", "--force", name)


def test_kill_refused(creel):
    """runtime.md Kill: kill: MUST: a container that neither is `created` nor runs is an error."""
    name = brought(creel, "stopped")
    creel.fails("not running", "kill", name, "TERM")
    creel.ok("delete", name)


@pytest.mark.parametrize("status", ["created", "running"])
def test_kill(creel, status):
    """runtime.md Kill: kill: MUST: the signal reaches the container's process."""
    name = brought(creel, status)
    creel.ok("kill", name, "KILL")
    creel.wait_status(name, "stopped")
    creel.ok("delete", name)


def test_kill_sends_that_signal(creel):
    """runtime.md Kill: kill: MUST: it is the signal that was asked for, TERM without one."""
    script = "for s in USR1 HUP TERM; do trap \"echo $s\" $s; done; echo up; while :; do sleep 0.01; done"
    bundle = creel.shell(script)
    background = creel.spawn("run", "--bundle", bundle.path, creel.known("killed"))
    with background:
        harness.wait_until(lambda: "up" in background.result.out, "the program is up")
        for word in (["USR1"], ["SIGHUP"], [], [str(int(signal.SIGUSR1))]):
            lines = background.result.out.count("\n")
            creel.ok("kill", "killed", *word)
            harness.wait_until(lambda n=lines: background.result.out.count("\n") > n, "the trap")
        creel.ok("kill", "killed", "KILL")
        assert background.wait().code == 137
    assert background.result.out.split() == ["up", "USR1", "HUP", "TERM", "USR1"]


def test_delete_refused(creel):
    """runtime.md Delete: delete: MUST: a running container is an error, without effect."""
    name = brought(creel, "running")
    creel.fails("not stopped", "delete", name)
    assert creel.status(name) == "running"
    creel.ok("delete", "--force", name)


def test_delete_undoes_create_only(creel):
    """runtime.md Delete: delete: MUST: what `create` made goes, and nothing else."""
    bundle = creel.bundle("/bin/probe", "sleep")
    before = {path: path.lstat().st_mtime_ns for path in sorted(bundle.rootfs.rglob("*"))
              if path.is_file()}
    name = creel.create(bundle)
    pid = creel.state(name)["pid"]
    creel.ok("start", name)
    creel.ok("delete", "--force", name)
    assert not harness.is_alive(pid)
    assert {path: path.lstat().st_mtime_ns for path in before} == before
    assert (bundle.path / "config.json").exists()


def test_delete_without_pid_namespace(creel):
    """runtime.md Delete: delete: MUST: without a pid namespace all processes of the container are
    gone too."""
    bundle = creel.shell("sleep 1000 & echo started; exec sleep 1000")
    drop_namespace(bundle.spec, "pid")
    name = creel.create(bundle.write())
    creel.ok("start", name)
    creel.ok("delete", "--force", name)


def test_error_leaves_nothing(creel):
    """runtime.md Errors: create: MUST: a failure in the last step leaves the host as it was."""
    refused(creel, creel.bundle("/bin/nothing-here"), "/process/args/0")


def test_warnings_do_not_stop(creel):
    """runtime.md Warnings: create: MUST: a warning does not change the flow."""
    bundle = changed(creel, lambda spec: spec["process"]["capabilities"]["bounding"].append(
        "CAP_NO_SUCH"))
    result = creel.run_bundle(bundle)
    assert result.code == 0 and "warning" in result.err


@pytest.mark.parametrize("text", ["{", "[]", "null", "{} {}", "", "{\"ociVersion\":", "\xff"])
def test_not_json(creel, text):
    """config.md: config.json: MUST: a document that is no JSON object is an error."""
    bundle = creel.bundle("/bin/probe", "true").write_text(text)
    creel.fails("", "create", "--bundle", bundle.path, creel.id())


@pytest.mark.parametrize("version, good", [
    ("1.0.0", True), ("1.0.2-dev", True), ("1.3.0", True), ("1.9.0", True), ("1.0.0-rc1+b.5", True),
    ("2.0.0", False), ("0.9.0", False), ("1.0", False), ("one", False), ("", False),
    ("01.0.0", False)])
def test_version(creel, version, good):
    """config.md Specification version: /ociVersion: MUST: versions of the same major are accepted,
    others and what is no SemVer are errors."""
    bundle = changed(creel, lambda spec: spec.update(ociVersion=version))
    if good:
        assert creel.run_bundle(bundle).code == 0
    else:
        refused(creel, bundle, "/ociVersion")


def test_version_required(creel):
    """config.md Specification version: /ociVersion: MUST: the member is required."""
    refused(creel, changed(creel, lambda spec: spec.pop("ociVersion")), "/ociVersion")


def test_process_required(creel):
    """config.md Process: /process: MUST: what is to be started has to be there."""
    refused(creel, changed(creel, lambda spec: spec.pop("process")), "/process")


def test_unknown_members(creel):
    """config.md Extensibility: config.json: MUST: members that nobody knows are ignored, at every
    level."""
    def change(spec):
        for place in (spec, spec["process"], spec["process"]["user"], spec["root"], spec["linux"],
                      spec["mounts"][0], spec["linux"]["resources"],
                      spec["linux"]["namespaces"][0]):
            place["aMemberOfTheFuture"] = {"x": [1, None]}
    result = creel.run_bundle(changed(creel, change))
    assert result.code == 0 and result.err == "", str(result)


@pytest.mark.parametrize("member", ["vm", "windows", "solaris", "zos", "freebsd"])
def test_other_platforms(creel, member):
    """config.md Platform-specific: /vm,/windows,/solaris,/zos,/freebsd: MUST: sections for other
    platforms do not disturb."""
    assert creel.run_bundle(changed(creel, lambda spec: spec.update(
        {member: {"anything": True}}))).code == 0


@pytest.mark.parametrize("change, pointer", [
    (lambda spec: spec["process"]["user"].update(uid="0"), "/process/user/uid"),
    (lambda spec: spec["process"]["user"].update(uid=-1), "/process/user/uid"),
    (lambda spec: spec["root"].update(readonly="yes"), "/root/readonly"),
    (lambda spec: spec.update(mounts={}), "/mounts"),
    (lambda spec: spec["process"].update(terminal=1), "/process/terminal"),
    (lambda spec: spec.update(hostname=5), "/hostname"),
    (lambda spec: spec["linux"].update(cgroupsPath=[]), "/linux/cgroupsPath"),
    (lambda spec: spec["process"].update(args="x"), "/process/args"),
    (lambda spec: spec["process"]["args"].append(3), "/process/args/2")])
def test_wrong_types(creel, change, pointer):
    """config.md Valid values: config.json: MUST: a value of the wrong type is an error at its
    place."""
    refused(creel, changed(creel, change), pointer)


def test_null_is_absent(creel):
    """config.md Valid values: config.json: creel: null means that a member is absent."""
    def change(spec):
        spec.update(hooks=None, annotations=None, domainname=None)
        spec["process"].update(rlimits=None, scheduler=None, oomScoreAdj=None)
        spec["linux"].update(seccomp=None, sysctl=None, devices=None)
    assert creel.run_bundle(changed(creel, change)).code == 0


def test_other_entity(creel):
    """runtime.md Lifecycle: state: MUST: another process of the same user can operate on the
    container, and other state roots do not know it."""
    with creel.running() as name:
        pid = os.fork()
        if pid == 0:
            done = creel.run("state", name)
            os._exit(done.code)
        assert os.waitpid(pid, 0)[1] == 0
        result = creel.run("--root", creel.directory / "elsewhere", "state", name, root=False)
        assert result.code != 0


def test_killed_init(creel):
    """runtime.md Lifecycle: delete: MUST: a container whose process was killed from outside is
    stopped, and can be deleted."""
    name = brought(creel, "running")
    os.kill(creel.state(name)["pid"], signal.SIGKILL)
    creel.wait_status(name, "stopped")
    creel.ok("delete", name)


def test_process_exit_is_stop(creel):
    """runtime.md Lifecycle: state: MUST: when the program ends the container is stopped."""
    name = creel.create(creel.bundle("/bin/probe", "exit", "3"))
    creel.ok("start", name)
    creel.wait_status(name, "stopped")
    creel.ok("delete", name)


def test_proc_after_create(creel):
    """runtime.md Create: create: MUST: all of the configuration but the program applies before
    `start`: namespaces, mounts, host name."""
    name = creel.create(creel.bundle("/bin/probe", "sleep"))
    pid = creel.state(name)["pid"]
    info = pathlib.Path(f"/proc/{pid}/mountinfo").read_text()
    assert re.search(r" /proc .* - proc ", info) and re.search(r" /sys/fs/cgroup .*cgroup2", info)
    creel.ok("delete", "--force", name)


def test_default_bundle(creel):
    """runtime.md Create: create: creel: without an option the bundle is the working directory."""
    bundle = creel.bundle("/bin/probe", "true")
    result = creel.run("run", creel.id(), cwd=bundle.path)
    assert result.code == 0 and json.loads((bundle.path / "config.json").read_text())
