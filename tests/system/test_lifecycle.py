"""The life of a container: every command in every state, what they print, and their exit codes."""

import datetime
import os
import pathlib
import re
import signal
import time

import harness
import pytest
from harness import is_alive, wait_until

SIGNALS = ["HUP", "INT", "TERM", "KILL", "USR1", "SEGV", "ABRT"]


@pytest.fixture
def sleeper(creel):
    """A bundle whose process sleeps until SIGTERM."""
    return creel.bundle("/bin/probe", "sleep")


def reach(creel, name, status, bundle):
    """Brings a new container to STATUS."""
    creel.create(bundle, name=name)
    if status in ("running", "paused", "stopped"):
        creel.ok("start", name)
    if status == "paused":
        creel.ok("pause", name)
    if status == "stopped":
        creel.ok("kill", name, "KILL")
        creel.wait_status(name, "stopped")


def test_whole_life(creel, sleeper):
    name = creel.create(sleeper)
    assert creel.status(name) == "created"
    creel.ok("start", name)
    assert creel.status(name) == "running"
    creel.ok("pause", name)
    assert creel.status(name) == "paused"
    creel.ok("resume", name)
    assert creel.status(name) == "running"
    creel.ok("kill", name, "TERM")
    creel.wait_status(name, "stopped")
    creel.ok("delete", name)
    creel.fails("container does not exist", "state", name)
    assert creel.ids() == []


@pytest.mark.parametrize("spelling", ["{real}", "{real}/", "{real}/.", "{real}/../{name}", "/.{real}", "/{real}", "{link}", "{link}/",
                                      "{above}/{name}", "."])
def test_the_bundle_is_where_it_really_is(creel, spelling):
    """However its path is written, and with config.json a link: what is stored is the real one."""
    bundle = creel.bundle("/bin/probe", "sleep")
    real = bundle.path.resolve()
    link = real.with_name(f"{real.name}-link")
    link.symlink_to(real)
    above = real.parent.with_name(f"{real.parent.name}-above")
    above.symlink_to(real.parent)
    try:
        path = spelling.format(real=real, name=real.name, link=link, above=above)
        for config in ("a file", "a link"):
            if config == "a link":
                (real / "config.json").rename(real / "the.json")
                (real / "config.json").symlink_to("the.json")
            name = creel.id()
            creel.ok("create", "--bundle", path, name, cwd=real)
            try:
                assert creel.state(name)["bundle"] == str(real)
            finally:
                creel.ok("delete", "--force", name)
    finally:
        above.unlink()
        link.unlink()


def test_an_id_can_be_used_again(creel, sleeper):
    name = creel.id()
    for _ in range(3):
        creel.create(sleeper, name=name)
        creel.ok("start", name)
        creel.ok("delete", "--force", name)


def test_the_program_runs_only_after_start(creel):
    bundle = creel.shell("echo ran > /tmp/file; exec /bin/probe sleep")
    bundle.spec["root"]["readonly"] = False
    bundle.write()
    name = creel.create(bundle)
    file = bundle.rootfs / "tmp/file"
    time.sleep(0.1)
    assert not file.exists()
    creel.ok("start", name)
    wait_until(file.exists, "the program runs")
    creel.ok("delete", "--force", name)


def test_changes_of_the_document_after_create_have_no_effect(creel):
    bundle = creel.bundle("/bin/probe", "echo", "first")
    name = creel.id()
    result = creel.ok("create", "--bundle", bundle.path, name)
    bundle.spec["process"]["args"] = ["/bin/probe", "echo", "second"]
    bundle.write()
    creel.ok("start", name)
    creel.wait_status(name, "stopped")
    assert result.out == "first\n"
    bundle.write_text("broken")
    creel.ok("delete", name)


# Each command against each state: None is success.
MATRIX = {
    "created": {"start": None, "kill": None, "pause": None, "resume": "container not paused",
                "delete": None, "delete --force": None, "ps": None, "state": None},
    "running": {"start": "cannot start an already running container", "kill": None,
                "pause": None, "resume": "container not paused",
                "delete": "running", "delete --force": None, "ps": None, "state": None},
    "paused": {"start": "cannot start a container in the paused state", "kill": None,
               "pause": "container not running", "resume": None, "delete": "paused",
               "delete --force": None, "ps": None, "state": None},
    "stopped": {"start": "cannot start a container that has stopped",
                "kill": "container not running", "pause": "container not running",
                "resume": "container not paused", "delete": None, "delete --force": None,
                "ps": None, "state": None},
}


@pytest.mark.parametrize("status,command", [(s, c) for s in MATRIX for c in MATRIX[s]])
def test_every_command_in_every_state(creel, sleeper, status, command):
    name = creel.id()
    reach(creel, name, status, sleeper)
    assert creel.status(name) == status
    phrase = MATRIX[status][command]
    words = [*command.split(), name]
    if phrase is None:
        creel.ok(*words)
    else:
        creel.fails(phrase, *words)
        assert creel.status(name) == status, "a refused command has no effect"
    if command.startswith("delete") and phrase is None:
        creel.fails("container does not exist", "state", name)
    else:
        creel.ok("delete", "--force", name)


@pytest.mark.parametrize("command", [
    ("state",), ("start",), ("kill",), ("delete",), ("pause",), ("resume",), ("ps",)])
def test_unknown_ids(creel, command):
    creel.fails("container does not exist", *command, creel.id())


def test_exec_of_unknown_id(creel):
    creel.fails("container does not exist", "exec", creel.id(), "true", code=255)


def test_delete_force_of_an_unknown_id_succeeds_in_silence(creel):
    creel.ok("delete", "--force", creel.id())
    assert creel.ok("delete", "-f", creel.id()).out == ""


def test_second_create_with_one_id(creel, sleeper):
    with creel.running(sleeper) as name:
        pid = creel.state(name)["pid"]
        creel.fails("container with given ID already exists", "create", "--bundle",
                    sleeper.path, name)
        creel.fails("container with given ID already exists", "run", "--bundle",
                    sleeper.path, name)
        assert creel.state(name)["pid"] == pid
        assert creel.status(name) == "running"


@pytest.mark.parametrize("code", [0, 1, 2, 3, 42, 77, 126, 127, 128, 129, 137, 254, 255])
def test_exit_codes_pass_through(creel, code):
    result = creel.run_bundle(creel.bundle("/bin/probe", "exit", str(code)))
    assert result.code == code
    assert result.err == ""


@pytest.mark.parametrize("name", SIGNALS)
def test_signals_give_128_and_their_number(creel, name):
    # A shell that is process 1 has no default action for signals from inside: they come from us.
    bundle = creel.bundle("/bin/busybox", "sleep", "100")
    number = getattr(signal, f"SIG{name}")
    bundle.spec["linux"]["namespaces"] = [n for n in bundle.spec["linux"]["namespaces"]
                                          if n["type"] != "pid"]
    bundle.spec["mounts"] = [m for m in bundle.spec["mounts"] if m["type"] != "proc"]
    bundle.spec["linux"]["maskedPaths"] = bundle.spec["linux"]["readonlyPaths"] = []
    container = creel.id()
    with creel.spawn("run", "--bundle", bundle.write().path, container) as run:
        wait_until(lambda: creel.run("state", container).code == 0, "the state exists")
        wait_for_program(creel, container, "/bin/busybox")
        creel.ok("kill", container, name)
        assert run.wait().code == 128 + number


def wait_for_program(creel, name, path):
    """Waits for the execve: a signal that comes before it ends the set-up, which is an error."""
    creel.wait_status(name, "running")
    exe = f"/proc/{creel.state(name)['pid']}/exe"
    wait_until(lambda: os.readlink(exe) == path, f"{path} runs")


def test_killed_process_1_gives_137(creel, sleeper):
    name = creel.id()
    with creel.spawn("run", "--bundle", sleeper.path, name) as run:
        wait_until(lambda: name in creel.ids(), "it is listed")
        wait_for_program(creel, name, "/bin/probe")
        creel.ok("kill", name, "KILL")
        result = run.wait()
    assert (result.code, result.err) == (137, "")
    assert creel.ids() == []


def test_foreground_run_forwards_signals(creel, sleeper):
    name = creel.id()
    with creel.spawn("run", "--bundle", sleeper.path, name) as run:
        wait_until(lambda: name in creel.ids(), "it is listed")
        creel.wait_status(name, "running")
        wait_for_handler(creel.state(name)["pid"])
        os.kill(run.pid, signal.SIGTERM)
        assert run.wait().code == 0, "the probe leaves with 0 on SIGTERM"


def wait_for_handler(pid, number=signal.SIGTERM):
    """Waits until a process catches a signal: before, process 1 of a namespace ignores it."""
    def caught():
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("SigCgt:"):
                return int(line.split()[1], 16) >> (number - 1) & 1
        return False
    wait_until(caught, "the handler is installed")


def test_run_removes_the_container_and_keep_keeps_it(creel):
    bundle = creel.bundle("/bin/probe", "exit", "7")
    assert creel.run_bundle(bundle).code == 7
    assert creel.ids() == []
    name = creel.id()
    assert creel.run_bundle(bundle, "--keep", name=name).code == 7
    assert creel.ids() == [name]
    state = creel.state(name)
    assert (state["status"], state["pid"]) == ("stopped", 0)
    creel.ok("delete", name)


def test_run_detached(creel, sleeper):
    name = creel.id()
    assert creel.ok("run", "-d", "--bundle", sleeper.path, name).out == ""
    state = creel.state(name)
    assert state["status"] == "running"
    assert int(harness.stat_fields(state["pid"])[1]) == os.getpid(), "no process of creel between"
    creel.ok("delete", "--force", name)


def test_created_container_belongs_to_the_callers_subreaper(creel, sleeper):
    with creel.running(sleeper, started=False) as name:
        assert int(harness.stat_fields(creel.state(name)["pid"])[1]) == os.getpid()


def test_a_stopped_container_stays_until_delete(creel):
    bundle = creel.bundle("/bin/probe", "exit", "3")
    name = creel.create(bundle)
    creel.ok("start", name)
    creel.wait_status(name, "stopped")
    time.sleep(0.1)
    assert creel.state(name)["pid"] == 0
    assert creel.ids() == [name]
    creel.ok("delete", name)


def test_death_of_the_init_is_seen_at_once(creel, sleeper):
    name = creel.create(sleeper)
    os.kill(creel.state(name)["pid"], signal.SIGKILL)
    creel.wait_status(name, "stopped")
    creel.fails("cannot start a container that has stopped", "start", name)
    creel.ok("delete", name)


def test_state_has_exactly_these_members(creel, sleeper):
    sleeper.spec["annotations"] = {"org.example.key": "value", "empty": ""}
    sleeper.write()
    with creel.running(sleeper) as name:
        result = creel.ok("state", name)
        state = result.json()
        assert list(state) == ["ociVersion", "id", "pid", "status", "bundle", "rootfs",
                               "created", "annotations", "owner"]
        assert re.fullmatch(r"1\.\d+\.\d+.*", state["ociVersion"])
        assert state["id"] == name
        assert is_alive(state["pid"])
        assert state["status"] == "running"
        assert state["bundle"] == str(sleeper.path)
        assert state["rootfs"] == str(sleeper.rootfs)
        assert state["annotations"] == {"org.example.key": "value", "empty": ""}
        created = re.sub(r"(\.\d{6})\d*Z", r"\1+00:00", state["created"])
        created = created.replace("Z", "+00:00")
        age = (datetime.datetime.now(datetime.timezone.utc)
               - datetime.datetime.fromisoformat(created))
        assert abs(age.total_seconds()) < 60


def test_state_without_annotations(creel, sleeper):
    with creel.running(sleeper, started=False) as name:
        assert "annotations" not in creel.state(name)


def test_relative_bundle_and_default_bundle(creel, sleeper):
    name = creel.create(sleeper, name=creel.id())
    creel.ok("delete", name)
    creel.ok("create", "-b", sleeper.path.name, name, cwd=sleeper.path.parent)
    assert creel.state(name)["bundle"] == str(sleeper.path)
    creel.ok("delete", name)
    creel.ok("create", name, cwd=sleeper.path)
    assert creel.state(name)["bundle"] == str(sleeper.path)
    creel.ok("delete", name)


def test_config_option(creel, sleeper):
    (sleeper.path / "config.json").rename(sleeper.path / "other.json")
    creel.fails("JSON specification file config.json not found", "create", "--bundle",
                sleeper.path, creel.id())
    with creel.running(sleeper, "--config", "other.json") as name:
        assert creel.status(name) == "running"


# Pid files

def test_pid_file(creel, sleeper):
    file = creel.directory / "pid"
    with creel.running(sleeper, "--pid-file", file, started=False) as name:
        pid = creel.state(name)["pid"]
        assert file.read_bytes() == str(pid).encode(), "digits and no newline"
        assert is_alive(pid)
        assert [p.name for p in creel.directory.glob(".*")] == [], "no temporary file"


def test_pid_file_of_run(creel):
    file = creel.directory / "pid"
    bundle = creel.shell("until test -e /go; do sleep 0.05; done; exit 5")
    name = creel.id()
    with creel.spawn("run", "--pid-file", file, "--bundle", bundle.path, name) as run:
        wait_until(file.exists, "the pid file")
        assert re.fullmatch(rb"[1-9][0-9]*", file.read_bytes()), "it appears complete"
        assert is_alive(int(file.read_text()))
        (bundle.rootfs / "go").touch()
        assert run.wait().code == 5


def test_no_pid_file_when_create_fails(creel):
    file = creel.directory / "pid"
    bundle = creel.bundle("/no/such/program")
    creel.fails("no such file", "create", "--pid-file", file, "--bundle", bundle.path, creel.id())
    assert not file.exists()


def test_pid_file_in_a_missing_directory_undoes_create(creel, sleeper):
    name = creel.id()
    creel.fails("pid", "create", "--pid-file", creel.directory / "none/pid", "--bundle",
                sleeper.path, name)
    assert creel.ids() == []


# Kill

@pytest.mark.parametrize("word", ["TERM", "SIGTERM", "term", "sigterm", "15", None])
def test_kill_spellings(creel, sleeper, word):
    with creel.running(sleeper) as name:
        wait_for_handler(creel.state(name)["pid"])
        creel.ok("kill", name, *([word] if word else []))
        creel.wait_status(name, "stopped")


@pytest.mark.parametrize("word", ["RTMIN", "RTMIN+3", "SIGRTMAX-1", "34", "64"])
def test_kill_realtime_names(creel, sleeper, word):
    with creel.running(sleeper) as name:
        creel.ok("kill", name, word)
        creel.ok("kill", name, "KILL")


@pytest.mark.parametrize("word", ["NOPE", "SIG", "-1", "65", "1x", "", "SIGSIGTERM", "99999999999"])
def test_kill_with_an_unknown_signal(creel, sleeper, word):
    with creel.running(sleeper) as name:
        result = creel.run("kill", "--", name, word, log=True)
        assert result.code == 1, str(result)
        assert f'unknown signal "{word}"' in result.error["msg"]
        assert creel.status(name) == "running"


def test_kill_0_asks_only(creel, sleeper):
    with creel.running(sleeper) as name:
        creel.ok("kill", name, "0")
        assert creel.status(name) == "running"


def test_kill_of_a_created_container(creel, sleeper):
    name = creel.create(sleeper)
    creel.ok("kill", name, "KILL")
    creel.wait_status(name, "stopped")
    creel.ok("delete", name)


def test_sigkill_ends_a_paused_container(creel, sleeper):
    with creel.running(sleeper) as name:
        creel.ok("pause", name)
        creel.ok("kill", name, "KILL")
        creel.wait_status(name, "stopped")
        creel.ok("delete", name)


def test_a_paused_container_stands_still(creel):
    bundle = creel.shell("while true; do echo x >> /tmp/ticks; done")
    bundle.spec["root"]["readonly"] = False
    with creel.running(bundle.write()) as name:
        ticks = bundle.rootfs / "tmp/ticks"
        wait_until(ticks.exists, "it ticks")
        creel.ok("pause", name)
        size = ticks.stat().st_size
        time.sleep(0.1)
        assert ticks.stat().st_size == size
        creel.ok("resume", name)
        wait_until(lambda: ticks.stat().st_size > size, "it ticks again")


def shared_pid(creel):
    """A container without a pid namespace, whose init leaves a child behind when it is killed."""
    bundle = creel.shell("/bin/probe sleep & echo $! > /tmp/child; exec /bin/probe sleep")
    linux = bundle.spec["linux"]
    linux["namespaces"] = [n for n in linux["namespaces"] if n["type"] != "pid"]
    linux["maskedPaths"] = linux["readonlyPaths"] = []
    bundle.spec["mounts"] = [m for m in bundle.spec["mounts"] if m["type"] != "proc"]
    bundle.spec["root"]["readonly"] = False
    return bundle.write()


def child_of(bundle):
    """The pid of the child."""
    file = bundle.rootfs / "tmp/child"
    return int(wait_until(lambda: file.exists() and file.read_text().strip(), "the child runs"))


def test_sigkill_without_pid_namespace_takes_all(creel):
    bundle = shared_pid(creel)
    with creel.running(bundle) as name:
        child = child_of(bundle)
        creel.ok("kill", name, "KILL")
        wait_until(lambda: not is_alive(child), "the child is killed too")
        creel.wait_status(name, "stopped")
        creel.ok("delete", name)


def test_delete_without_pid_namespace_kills_what_is_left(creel):
    bundle = shared_pid(creel)
    name = creel.create(bundle)
    creel.ok("start", name)
    child = child_of(bundle)
    os.kill(creel.state(name)["pid"], signal.SIGKILL)
    creel.wait_status(name, "stopped")
    assert is_alive(child)
    creel.ok("delete", name)
    assert not is_alive(child)


def test_kill_all_reaches_a_stopped_container(creel):
    bundle = shared_pid(creel)
    with creel.running(bundle) as name:
        child = child_of(bundle)
        os.kill(creel.state(name)["pid"], signal.SIGKILL)
        creel.wait_status(name, "stopped")
        creel.ok("kill", "--all", name, "KILL")
        wait_until(lambda: not is_alive(child), "the child is killed")
        creel.ok("kill", "-a", name, "9")


def test_kill_all_signals_every_process(creel):
    bundle = creel.shell("for i in 1 2; do (trap 'echo > \"/tmp/got$i\"; exit' USR1;"
                         " echo > /tmp/ready$i; while true; do sleep 0.05; done) & done;"
                         " trap : USR1; while true; do wait; done")
    bundle.spec["root"]["readonly"] = False
    with creel.running(bundle.write()) as name:
        tmp = bundle.rootfs / "tmp"
        wait_until(lambda: (tmp / "ready1").exists() and (tmp / "ready2").exists(), "both run")
        creel.ok("kill", "--all", name, "USR1")
        wait_until(lambda: (tmp / "got1").exists() and (tmp / "got2").exists(), "both got it")


# List and ps

def test_kill_and_delete_by_regex(creel, sleeper):
    """As in crun: an extended regular expression that matches anywhere in the id."""
    names = [creel.create(sleeper, name=creel.known(f"{text}-{creel.id()}"))
             for text in ("web1", "web2", "db1")]
    web1, web2, db1 = names
    stopped = creel.create(sleeper, name=creel.known(f"web3-{creel.id()}"))
    creel.ok("kill", stopped, "KILL")
    creel.wait_status(stopped, "stopped")
    for name in names:
        creel.ok("start", name)
    creel.ok("kill", "--regex", "^web[0-9]-", "KILL")
    for name in (web1, web2):
        creel.wait_status(name, "stopped")
    assert creel.status(db1) == "running"
    creel.ok("kill", "-r", "no such", "KILL")
    for command in ("kill", "delete"):
        creel.fails("no regular expression", command, "--regex", "(web")
    # all are tried, also after a failure
    creel.fails("not stopped", "delete", "--regex", ".")
    assert creel.ids() == [db1]
    creel.ok("delete", "--force", "--regex", "db|web")
    assert creel.ids() == []
    creel.ok("delete", "-r", "-f", ".*")


def test_list(creel, sleeper):
    assert creel.ok("list", "--quiet").out == ""
    assert creel.ok("list", "--format", "json").json() in (None, [])
    assert creel.ok("list").out.split() == ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]
    names = sorted(creel.id(text) for text in ("b", "a", "c"))
    for name in names:
        creel.create(sleeper, name=name)
    assert creel.ids() == names
    assert creel.ok("list", "-q").out == "".join(f"{name}\n" for name in names)
    listed = creel.ok("list", "-f", "json").json()
    assert [item["id"] for item in listed] == names
    for item in listed:
        assert list(item) == ["ociVersion", "id", "pid", "status", "bundle", "rootfs", "created",
                              "owner"]
        assert item["owner"] == "root"
        assert {**item, "owner": ""} == creel.state(item["id"])
    lines = creel.ok("list").out.splitlines()
    assert len(lines) == 4
    for line, item in zip(lines[1:], listed):
        assert line.split() == [item["id"], str(item["pid"]), "created", item["bundle"],
                                item["created"], "root"]
    creel.fails("invalid format", "list", "--format", "xml")
    for name in names:
        creel.ok("delete", name)


def test_list_skips_what_is_no_container(creel, sleeper):
    with creel.running(sleeper) as name:
        (creel.root / "empty").mkdir()
        (creel.root / "file").write_text("")
        (creel.root / ".cache").mkdir(exist_ok=True)
        try:
            assert name in creel.run("list", "--quiet").out.split()
            assert creel.run("list", "--quiet").code == 0
        finally:
            (creel.root / "empty").rmdir()
            (creel.root / "file").unlink()
            (creel.root / ".cache").rmdir()


def test_an_orphaned_state_directory_can_be_deleted(creel, sleeper):
    with creel.running(sleeper):
        orphan = creel.id()
        (creel.root / orphan).mkdir(mode=0o711)
        creel.ok("delete", "--force", orphan)
        assert not (creel.root / orphan).exists()


def test_ps(creel):
    bundle = creel.shell("/bin/probe sleep & /bin/probe sleep & wait")
    with creel.running(bundle) as name:
        pids = wait_until(lambda: (lambda p: p if len(p) == 3 else None)(
            creel.ok("ps", "--format", "json", name).json()), "three processes")
        assert creel.state(name)["pid"] in pids
        assert all(is_alive(pid) for pid in pids)
        table = creel.ok("ps", name).out.splitlines()
        assert "PID" in table[0].split()
        assert len(table) == 4
        column = table[0].split().index("PID")
        assert sorted(int(line.split()[column]) for line in table[1:]) == sorted(pids)


def test_ps_of_a_stopped_container(creel):
    name = creel.create(creel.bundle("/bin/probe", "true"))
    creel.ok("start", name)
    creel.wait_status(name, "stopped")
    assert creel.ok("ps", "--format", "json", name).json() in ([], None)
    creel.ok("delete", name)


# Output

def test_success_is_silent(creel, sleeper):
    name = creel.id()
    for words in (("create", "--bundle", sleeper.path, name), ("start", name), ("pause", name),
                  ("resume", name), ("kill", name, "KILL")):
        assert creel.ok(*words).out == "", words
    creel.wait_status(name, "stopped")
    assert creel.ok("delete", name).out == ""


def test_log_file_exists_and_stays_empty_on_success(creel, sleeper):
    name = creel.id()
    for words in (("create", "--bundle", sleeper.path, name), ("start", name), ("state", name),
                  ("delete", "--force", name)):
        assert creel.ok(*words, log=True).log == [], words


def test_spec_makes_a_bundle_that_runs(creel):
    rootfs = creel.rootfs()
    directory = creel.directory / "made"
    directory.mkdir()
    assert creel.ok("spec", "--bundle", directory).out == ""
    creel.fails("File config.json exists. Remove it first", "spec", "--bundle", directory)
    rootfs.rename(directory / "rootfs")
    text = (directory / "config.json").read_text()
    assert '\n\t"process"' in text, "indented by tabs"
    config = directory / "config.json"
    config.write_text(text.replace('"terminal": true', '"terminal": false'))
    result = creel.run("run", "--bundle", directory, creel.id(), data="echo made by spec; exit 9")
    assert (result.code, result.out, result.err) == (9, "made by spec\n", "")


def test_default_cwd_for_spec(creel):
    directory = creel.directory / "made"
    directory.mkdir()
    creel.ok("spec", cwd=directory)
    assert (directory / "config.json").exists()


def test_names_of_all_allowed_bytes(creel, sleeper):
    for text in ("A", "0", "_", "a.b", "x+y-z_1", "-dash", "+plus", "f" * 64, "n" * 200):
        name = creel.known(text)
        creel.ok("create", "--bundle", sleeper.path, "--", name)
        assert creel.ids() == [name]
        creel.ok("delete", "--", name)


def test_no_pivot_and_no_new_keyring(creel, sleeper):
    with creel.running(sleeper, "--no-pivot", "--no-new-keyring") as name:
        assert creel.status(name) == "running"
