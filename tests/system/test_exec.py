"""exec: every option, the ids that it accepts, terminals, and how it fails."""

import contextlib
import json
import os
import pathlib
import re
import signal
import time

import bundles
import harness
import pytest
from harness import ConsoleSocket, Terminal, adopt_terminal, is_alive, wait_until


@pytest.fixture
def name(creel):
    """A running container with few rights, whose process has its own environment and limits."""
    bundle = creel.bundle("/bin/probe", "sleep", cwd="/tmp", env=["PATH=/bin", "BASE=1"],
                          user={"uid": 5, "gid": 6, "additionalGids": [7], "umask": 0o27},
                          rlimits=[{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 100}])
    with creel.running(bundle) as container:
        yield container


@pytest.fixture
def root(creel):
    """A running container of root."""
    with creel.running(creel.bundle("/bin/probe", "sleep")) as container:
        yield container


def probe(creel, name, *sections, options=()):
    """The report of a probe inside."""
    result = creel.run("exec", *options, name, "/bin/probe", "sections", ",".join(sections))
    assert (result.code, result.err) == (0, ""), str(result)
    return result.json()


def pointless(creel, phrase, *words, **more):
    """A failure of exec itself: 255, one error, nothing on stdout."""
    result = creel.run("exec", *words, log=True, **more)
    assert result.code == 255, str(result)
    assert phrase in result.error["msg"], result.error
    assert result.out == ""
    return result.error


def test_everything_is_taken_from_the_container(creel, name):
    report = probe(creel, name, "uid", "gid", "groups", "env", "cwd", "umask", "rlimits",
                   "capabilities", "noNewPrivs", "namespaces", "cgroup", "hostname", "signals",
                   "fds")
    assert set(report["uid"].values()) == {5}
    assert set(report["gid"].values()) == {6}
    assert 7 in report["groups"]
    assert report["env"][:2] == ["PATH=/bin", "BASE=1"]
    assert report["cwd"] == "/tmp"
    assert report["umask"] == "0027"
    assert report["rlimits"]["RLIMIT_NOFILE"] == {"soft": "100", "hard": "100"}
    assert report["noNewPrivs"] is True
    assert report["hostname"] == "creel"
    assert report["signals"] == {"blocked": [], "ignored": [], "caught": []}
    assert [fd["fd"] for fd in report["fds"]] == [0, 1, 2]
    pid = creel.state(name)["pid"]
    for kind in ("pid", "net", "ipc", "uts", "mnt", "cgroup"):
        inode = int(re.search(r"\d+", os.readlink(f"/proc/{pid}/ns/{kind}")).group())
        assert report["namespaces"][kind] == inode, kind


def test_exec_is_in_the_containers_cgroup(creel, root):
    result = creel.run("exec", "-d", "--pid-file", creel.directory / "pid", root,
                       "/bin/probe", "sleep")
    assert result.code == 0
    pid = int((creel.directory / "pid").read_text())
    cgroup = pathlib.Path(f"/proc/{pid}/cgroup").read_text()
    init = pathlib.Path(f"/proc/{creel.state(root)['pid']}/cgroup").read_text()
    own = [line for line in cgroup.splitlines() if line.startswith("0::")]
    assert own == [line for line in init.splitlines() if line.startswith("0::")]
    assert pid in creel.ok("ps", "--format", "json", root).json()


@pytest.mark.parametrize("code", [0, 1, 42, 126, 127, 254, 255])
def test_exit_codes(creel, root, code):
    result = creel.run("exec", root, "/bin/probe", "exit", str(code))
    assert (result.code, result.err) == (code, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV])
def test_signals(creel, root, number):
    result = creel.run("exec", root, "/bin/busybox", "sh", "-c", f"kill -{int(number)} $$")
    assert result.code == 128 + number


def executed(creel, name):
    """What the container's processes execute."""
    for pid in creel.ok("ps", "-f", "json", name).json():
        with contextlib.suppress(FileNotFoundError):  # the stage of an exec, which has just ended
            yield os.readlink(f"/proc/{pid}/exe")


# 34 is SIGRTMIN to programs with glibc, and one that musl keeps for itself.
@pytest.mark.parametrize("number", [signal.SIGTERM, 34, 64])
def test_signals_are_forwarded(creel, root, number):
    with creel.spawn("exec", root, "/bin/busybox", "sleep", "100") as command:
        wait_until(lambda: "/bin/busybox" in executed(creel, root), "it runs")
        os.kill(command.pid, number)
        assert command.wait().code == 128 + number


def test_environment(creel, name):
    report = probe(creel, name, "env", options=["-e", "A=1", "--env", "B=x y", "--env=BASE=2",
                                                "-e", "EMPTY="])
    env = dict(entry.split("=", 1) for entry in report["env"])
    assert {k: env[k] for k in ("A", "B", "BASE", "EMPTY")} == \
        {"A": "1", "B": "x y", "BASE": "2", "EMPTY": ""}
    assert len(report["env"]) == len(env), "no name twice"
    pointless(creel, "invalid environment variable", "--env", "NOEQUALS", name, "probe")
    pointless(creel, "invalid environment variable", "--env", "=x", name, "probe")


def test_cwd(creel, root):
    assert probe(creel, root, "cwd", options=["--cwd", "/etc"])["cwd"] == "/etc"
    pointless(creel, "/nosuch", "--cwd", "/nosuch", root, "/bin/probe")
    pointless(creel, "absolute", "--cwd", "tmp", root, "/bin/probe")


# SECURITY A-29: only digits, and what they say.
USERS = {"1": (1, 0), "1:2": (1, 2), "0": (0, 0), "0:0": (0, 0), "1000:1000": (1000, 1000),
         "4294967294": (4294967294, 0)}
NO_USERS = ["", ":", "1:", ":5", "-1", "1:-1", "+1", " 1", "1 ", "0x1", "1e3", "1.0", "1x",
            "1:2:3", "4294967295", "4294967296", "18446744073709551616", "root", "\u0661",
            "1:0x2", "1: 2", "99999999999999999999999999"]


@pytest.mark.parametrize("user", USERS)
def test_users(creel, root, user):
    for words in (["-u", user], ["--user=" + user]):
        report = probe(creel, root, "uid", "gid", options=words)
        uid, gid = USERS[user]
        assert set(report["uid"].values()) == {uid}
        assert set(report["gid"].values()) == {gid}


@pytest.mark.parametrize("number", range(len(NO_USERS)))
def test_what_is_no_user(creel, root, number):
    result = creel.run("exec", f"--user={NO_USERS[number]}", root, "/bin/probe", "sections", "uid")
    assert result.code != 0, f"{NO_USERS[number]!r}: {result}"
    assert result.out == ""
    assert result.err


@pytest.mark.parametrize("text", ["", "-1", "+1", "0x1", "4294967295", "4294967296", "1x", " 1"])
def test_what_is_no_group(creel, root, text):
    result = creel.run("exec", f"--additional-gids={text}", root, "/bin/probe", "sections", "uid")
    assert result.code != 0, f"{text!r}: {result}"
    assert result.out == ""


@pytest.mark.parametrize("uid", [-1, 4294967295, 4294967296, "1", 1.5, None, True])
def test_what_is_no_user_in_a_process_file(creel, root, uid):
    process = {"args": ["/bin/probe", "sections", "uid"], "cwd": "/",
               "user": {"uid": uid, "gid": 0}}
    file = creel.directory / "process.json"
    file.write_text(json.dumps(process))
    error = pointless(creel, "", "--process", file, root)
    assert error.get("pointer") == "/user/uid", error
    assert "process.json" in error["msg"] + error.get("file", "")


def test_additional_groups(creel, root):
    groups = probe(creel, root, "groups", options=["-g", "10", "--additional-gids", "20"])
    assert {10, 20} <= set(groups["groups"])


def test_capabilities(creel, name):
    report = probe(creel, name, "capabilities",
                   options=["-u", "0", "-c", "CAP_CHOWN", "--cap", "CAP_NET_RAW"])
    seen = int(report["capabilities"]["effective"], 16)
    for capability in ("CHOWN", "NET_RAW", "KILL"):
        assert seen >> bundles.CAPABILITY_NUMBERS[capability] & 1, capability
    assert not seen >> bundles.CAPABILITY_NUMBERS["SYS_ADMIN"] & 1
    before = probe(creel, name, "capabilities", options=["-u", "0"])["capabilities"]
    assert not int(before["effective"], 16) >> bundles.CAPABILITY_NUMBERS["CHOWN"] & 1


def test_no_new_privs(creel):
    bundle = creel.bundle("/bin/probe", "sleep", noNewPrivileges=False)
    with creel.running(bundle) as container:
        assert probe(creel, container, "noNewPrivs")["noNewPrivs"] is False
        assert probe(creel, container, "noNewPrivs",
                     options=["--no-new-privs"])["noNewPrivs"] is True


def test_standard_streams(creel, root):
    result = creel.run("exec", root, "/bin/probe", "cat", data="through")
    assert (result.code, result.out) == (0, "through")


def test_preserve_fds(creel, root):
    def place():
        for number in (3, 4):
            os.dup2(0, number)
    result = creel.run("exec", "--preserve-fds", "2", root, "/bin/probe", "sections", "fds",
                       preexec_fn=place, close_fds=False)
    assert [fd["fd"] for fd in result.json()["fds"]] == [0, 1, 2, 3, 4]
    result = creel.run("exec", "--preserve-fds", "3", root, "/bin/probe", "sections", "fds")
    assert result.code != 0 and "preserved-fd" in result.err


def test_options_end_at_the_id(creel, root):
    result = creel.run("exec", root, "/bin/probe", "echo", "-u", "--nosuch", "--help")
    assert (result.code, result.out) == (0, "-u --nosuch --help\n")
    result = creel.run("exec", "--", root, "/bin/probe", "echo", "--")
    assert result.out == "--\n", str(result)


def test_detach(creel, root):
    file = creel.directory / "pid"
    result = creel.run("exec", "--detach", "--pid-file", file, root, "/bin/probe", "sleep")
    assert (result.code, result.out, result.err) == (0, "", "")
    assert re.fullmatch(rb"[1-9]\d*", file.read_bytes())
    pid = int(file.read_text())
    assert is_alive(pid)
    assert int(harness.stat_fields(pid)[1]) == os.getpid(), "the caller's subreaper has it"
    os.kill(pid, signal.SIGKILL)


def test_pid_file_only_of_a_process_that_runs(creel, root):
    file = creel.directory / "pid"
    pointless(creel, "executable file not found in $PATH", "--pid-file", file, root, "nosuch")
    assert not file.exists()
    assert creel.run("exec", "--pid-file", file, root, "/bin/probe", "exit", "3").code == 3
    assert file.exists()


@pytest.mark.parametrize("args,phrase", [
    (["nosuch"], 'exec: "nosuch": executable file not found in $PATH'),
    (["/nosuch"], 'exec: "/nosuch": stat /nosuch: no such file or directory'),
    (["/etc/passwd"], 'exec: "/etc/passwd": permission denied'),
    (["/etc"], "permission denied"),
])
def test_programs_that_cannot_be_found(creel, root, args, phrase):
    pointless(creel, phrase, root, *args)
    pointless(creel, phrase, "--detach", root, *args)


def test_states(creel):
    bundle = creel.bundle("/bin/probe", "sleep")
    pointless(creel, "container does not exist", creel.id(), "/bin/probe")
    container = creel.create(bundle)
    assert creel.run("exec", container, "/bin/probe", "true").code in (0, 255)
    creel.ok("start", container)
    pointless(creel, "exec args cannot be empty", container)
    creel.ok("pause", container)
    pointless(creel, "cannot exec in a paused container (use --ignore-paused to override)",
              container, "/bin/probe", "true")
    with creel.spawn("exec", "--ignore-paused", container, "/bin/probe", "exit", "4") as command:
        time.sleep(0.2)
        assert command.process.poll() is None, "it waits with the container"
        creel.ok("resume", container)
        assert command.wait().code == 4
    creel.ok("kill", container, "KILL")
    creel.wait_status(container, "stopped")
    pointless(creel, "cannot exec in a stopped container", container, "/bin/probe")
    creel.ok("delete", container)


def test_process_file(creel, root):
    process = {"args": ["/bin/probe", "sections", "uid,groups,env,cwd,rlimits,capabilities,umask"],
               "cwd": "/tmp", "env": ["X=1", "HOME=/x"], "user": {"uid": 9, "gid": 8,
                                                                  "additionalGids": [3],
                                                                  "umask": 0o77},
               "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 55, "hard": 66}],
               "capabilities": {}}
    file = creel.directory / "process.json"
    file.write_text(json.dumps(process))
    for words in (["--process", file], [f"--process={file}"], ["-p", file]):
        result = creel.run("exec", *words, root)
        assert (result.code, result.err) == (0, ""), str(result)
        report = result.json()
        assert report["uid"]["effective"] == 9
        assert report["env"] == ["X=1", "HOME=/x"]
        assert (report["cwd"], report["umask"]) == ("/tmp", "0077")
        assert report["rlimits"]["RLIMIT_NOFILE"] == {"soft": "55", "hard": "66"}
        assert report["capabilities"]["bounding"] == "0" * 16


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"args": []}', '{"args": ["x"]}',
                                  '{"args": ["x"], "cwd": "rel", "user": {"uid": 0, "gid": 0}}',
                                  '{"args": "x", "cwd": "/", "user": {"uid": 0, "gid": 0}}'])
def test_broken_process_files(creel, root, text):
    file = creel.directory / "process.json"
    file.write_text(text)
    pointless(creel, "", "--process", file, root)


def test_missing_process_file(creel, root):
    pointless(creel, "no such file or directory", "--process", "/nosuch.json", root)


@pytest.mark.parametrize("file", ["docker-exec-process.json", "podman-exec-process.json",
                                  "crio-exec-process.json"])
def test_process_files_of_engines(creel, configs, root, file):
    process = json.loads((configs / file).read_text())
    words = process["args"]
    process["args"] = ["/bin/probe", "sections", "argv,env,cwd,uid,capabilities"]
    path = creel.directory / "process.json"
    path.write_text(json.dumps(process))
    bundle = creel.bundle("/bin/probe", "sleep", noNewPrivileges=False, capabilities=(
        process.get("capabilities") or {}))
    terminal = process.get("terminal")
    assert not terminal
    with creel.running(bundle) as container:
        result = creel.run("exec", "--process", path, container)
        assert (result.code, result.err) == (0, ""), f"{words}: {result}"
        report = result.json()
        expected = {entry.partition("=")[0]: entry for entry in process["env"]}
        assert set(expected.values()) <= set(report["env"]), "the last of equal names"
        assert len(report["env"]) <= len(expected) + 1
        assert report["cwd"] == process["cwd"]
        assert report["uid"]["effective"] == process["user"]["uid"]


def test_terminal(creel, root):
    with Terminal(rows=21, columns=91) as terminal:
        before = terminal.attributes()
        command = creel.spawn("exec", "--tty", root, "/bin/busybox", "sh", **terminal.options())
        terminal.read_until("# ")
        terminal.write("stty size; echo $((6*7))\r")
        assert b"21 91" in terminal.read_until("42\r\n")
        terminal.resize(22, 92)
        os.kill(command.pid, signal.SIGWINCH)
        terminal.asks_until("stty size", "22 92")
        terminal.write("exit 5\r")
        assert command.wait().code == 5
        assert terminal.attributes() == before


def test_detached_terminal(creel, root):
    with ConsoleSocket(creel.directory / "console") as console:
        file = creel.directory / "pid"
        result = creel.run("exec", "--tty", "--detach", "--pid-file", file, "--console-socket",
                           console.path, root, "/bin/busybox", "sh")
        assert (result.code, result.err) == (0, ""), str(result)
        terminal = adopt_terminal(console.receive())
        terminal.write("tty; echo $((6*7))\r")
        assert b"/dev/pts/" in terminal.read_until("42\r\n")
        terminal.write("exit\r")
        terminal.close()
    pointless(creel, "console socket", "--tty", "--detach", root, "/bin/probe")


def test_much_output(creel, root):
    with Terminal() as terminal:
        command = creel.spawn("exec", "-t", root, "/bin/busybox", "seq", "30000",
                              **terminal.options())
        seen = terminal.read_until("30000\r\n", timeout=60)
        assert command.wait().code == 0
    assert seen == "".join(f"{i}\r\n" for i in range(1, 30001)).encode()


def test_terminal_with_plain_files(creel, root):
    result = creel.run("exec", "-t", root, "/bin/busybox", "sh", "-c", "tty; exit 4")
    assert result.code == 4
    assert "/dev/pts/" in result.out


def test_pidfd_socket(creel, root):
    with ConsoleSocket(creel.directory / "pidfd") as listener:
        with creel.spawn("exec", "--pidfd-socket", listener.path, root, "/bin/probe", "sleep",
                         "0.3") as command:
            fd = listener.receive()
            assert "Pid:" in pathlib.Path(f"/proc/self/fdinfo/{fd}").read_text()
            os.close(fd)
            assert command.wait().code == 0


def test_two_hundred_one_after_another(creel, root):
    for number in range(200):
        result = creel.run("exec", root, "/bin/probe", "exit", str(number % 7))
        assert (result.code, result.err) == (number % 7, ""), str(result)
    assert creel.ok("ps", "-f", "json", root).json() == [creel.state(root)["pid"]]


def test_fifty_at_once(creel, root):
    commands = [creel.spawn("exec", root, "/bin/probe", "echo", str(i)) for i in range(50)]
    for number, command in enumerate(commands):
        result = command.wait(120)
        assert (result.code, result.out, result.err) == (0, f"{number}\n", ""), str(result)


def test_exec_while_the_container_dies(creel):
    for attempt in range(10):
        bundle = creel.bundle("/bin/probe", "sleep")
        container = creel.create(bundle)
        creel.ok("start", container)
        command = creel.spawn("exec", container, "/bin/probe", "sleep", "5")
        time.sleep(attempt * 0.002)
        creel.ok("kill", container, "KILL")
        result = command.wait()
        assert result.code in (137, 255), str(result)
        creel.wait_status(container, "stopped")
        creel.ok("delete", container)


def test_delete_during_a_long_exec(creel):
    container = creel.create(creel.bundle("/bin/probe", "sleep"))
    creel.ok("start", container)
    with creel.spawn("exec", container, "/bin/probe", "sleep") as command:
        wait_until(lambda: list(executed(creel, container)) == ["/bin/probe"] * 2, "it runs")
        creel.ok("delete", "--force", container)
        assert command.wait().code == 137


def test_exec_into_a_user_namespace(creel):
    with creel.running(creel.bundle("/bin/probe", "sleep", userns=True)) as container:
        report = probe(creel, container, "uid", "capabilities")
        assert set(report["uid"].values()) == {0}
        report = probe(creel, container, "uid", options=["-u", "1000"])
        assert set(report["uid"].values()) == {1000}
        pointless(creel, "", "-u", "70000", container, "/bin/probe")


def test_exec_into_a_shared_pid_namespace(creel):
    bundle = creel.bundle("/bin/probe", "sleep")
    linux = bundle.spec["linux"]
    linux["namespaces"] = [n for n in linux["namespaces"] if n["type"] != "pid"]
    linux["maskedPaths"] = linux["readonlyPaths"] = []
    bundle.spec["mounts"] = [m for m in bundle.spec["mounts"] if m["type"] != "proc"]
    with creel.running(bundle.write()) as container:
        assert creel.run("exec", container, "/bin/probe", "exit", "3").code == 3


def test_sub_cgroup(creel, root):
    result = creel.run("exec", "--cgroup", "nosuch", root, "/bin/probe", "true", log=True)
    assert result.code == 255, str(result)
    for path in ("../x", "/../x", "a/../../b"):
        assert creel.run("exec", "--cgroup", path, root, "/bin/probe", "true").code == 255


def test_deleted_bundle(creel):
    """exec needs nothing of the bundle's document any more."""
    bundle = creel.bundle("/bin/probe", "sleep")
    with creel.running(bundle) as container:
        (bundle.path / "config.json").unlink()
        assert creel.run("exec", container, "/bin/probe", "exit", "2").code == 2


@pytest.mark.parametrize("first", [None, "kill"])
def test_delete_of_a_paused_container_whose_exec_was_killed(creel, first):
    """What was frozen on its way into the container is in its cgroup alone, and has the lock."""
    container = creel.create(creel.bundle("/bin/probe", "sleep"))
    creel.ok("start", container)
    creel.ok("pause", container)
    with creel.spawn("exec", "--ignore-paused", container, "/bin/probe", "true") as command:
        time.sleep(0.3)
        command.process.kill()
        command.wait()
    if first:
        creel.ok("kill", container, "KILL")
        creel.wait_status(container, "stopped")
    start = time.monotonic()
    creel.ok("delete", "--force", container)
    assert time.monotonic() - start < 9


def test_delete_of_a_paused_container_with_a_waiting_exec(creel):
    container = creel.create(creel.bundle("/bin/probe", "sleep"))
    creel.ok("start", container)
    creel.ok("pause", container)
    with creel.spawn("exec", "--ignore-paused", container, "/bin/probe", "true") as command:
        time.sleep(0.2)
        start = time.monotonic()
        creel.ok("delete", "--force", container)
        assert time.monotonic() - start < 9
        assert command.wait().code in (137, 255)
