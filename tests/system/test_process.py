"""What the program of a container finds: its environment, ids, rights, limits, descriptors and
terminal."""

import hashlib
import os
import pathlib
import signal
import subprocess
import termios
import time

import harness
import pytest
from harness import ConsoleSocket, Terminal, has_capability, read_all, require_capability, wait_until

ALL_SETS = ("bounding", "effective", "inheritable", "permitted", "ambient")


def bits(*names):
    """A capability set as the probe prints it."""
    numbers = harness.bundles.CAPABILITY_NUMBERS
    return f"{sum(1 << numbers[name.removeprefix('CAP_')] for name in names):016x}"


# Environment, directory, program

def test_environment_is_exactly_the_documents(creel):
    env = ["PATH=/bin", "A=1", "EMPTY=", "SPACE= x ", "EQUALS=a=b", "UTF=\u00e9", "HOME=/x"]
    report = creel.probe("env", env=None, change=lambda s: s["process"].update(env=env))
    assert report["env"] == env


def test_nothing_of_our_environment_leaks(creel):
    report = creel.probe("env", env={"SECRET": "x", "CREEL": "y", "LD_PRELOAD": ""},
                         change=lambda s: s["process"].update(env=["PATH=/bin"]))
    assert report["env"] == ["PATH=/bin", "HOME=/root"]


def test_the_last_of_equal_names_wins(creel):
    env = ["PATH=/bin", "HOME=/h", "A=1", "B=2", "A=3"]
    report = creel.probe("env", change=lambda s: s["process"].update(env=env))
    assert sorted(report["env"]) == sorted(["PATH=/bin", "HOME=/h", "B=2", "A=3"])


@pytest.mark.parametrize("uid,passwd,home", [
    (0, "root:x:0:0:root:/root:/bin/sh\n", "/root"),
    (5, "root:x:0:0::/root:\nfive:x:5:5::/home/five:/bin/sh\n", "/home/five"),
    (5, "root:x:0:0::/root:\n", "/"),
    (5, "", "/"), (5, None, "/"),
    (5, "broken\n\n::::::\nfive:x:5:5::/home/five", "/home/five"),
    (5, "five:x:5x:5::/x:\nfive:x:-5:5::/x:\nreal:x:5:5::/home/real:\n", "/home/real"),
])
def test_home_is_looked_up(creel, uid, passwd, home):
    rootfs = creel.rootfs()
    file = rootfs / "etc/passwd"
    file.unlink() if passwd is None else file.write_text(passwd)
    report = creel.probe("env", rootfs=rootfs, change=lambda s: s["process"].update(
        env=["PATH=/bin"], user={"uid": uid, "gid": uid}))
    assert report["env"] == ["PATH=/bin", f"HOME={home}"]


def test_an_empty_home_is_looked_up(creel):
    report = creel.probe("env", change=lambda s: s["process"].update(env=["PATH=/bin", "HOME="]))
    assert "HOME=/root" in report["env"]
    assert "HOME=" not in report["env"]


def test_passwd_that_is_a_trap(creel):
    rootfs = creel.rootfs()
    (rootfs / "etc/passwd").unlink()
    os.mkfifo(rootfs / "etc/passwd")
    report = creel.probe("env", rootfs=rootfs)
    assert "HOME=/" in report["env"]


def test_arguments(creel):
    words = ["/bin/probe", "sections", "argv"]
    report = creel.probe("argv", "cwd")
    assert report["argv"] == ["/bin/probe", "sections", "argv,cwd"]
    bundle = creel.bundle("/bin/probe", "echo", "", "a b", "\u00e9", "-x", "*", "$HOME")
    assert creel.run_bundle(bundle).out == " a b \u00e9 -x * $HOME\n"
    assert creel.run_bundle(creel.bundle(*words)).json() == {"argv": words}


def test_cwd(creel):
    assert creel.probe("cwd", cwd="/tmp")["cwd"] == "/tmp"
    assert creel.probe("cwd", cwd="/")["cwd"] == "/"


def test_cwd_is_made(creel):
    rootfs = creel.rootfs()
    report = creel.probe("cwd", cwd="/srv/new/deep", rootfs=rootfs)
    assert report["cwd"] == "/srv/new/deep"


def test_cwd_that_only_the_user_can_see(creel):
    rootfs = creel.rootfs()
    (rootfs / "home").chmod(0o700)
    os.chown(rootfs / "home", 5, 5)
    report = creel.probe("cwd", cwd="/home", rootfs=rootfs, user={"uid": 5, "gid": 5})
    assert report["cwd"] == "/home"


def test_cwd_that_the_user_cannot_see(creel):
    rootfs = creel.rootfs()
    (rootfs / "home/x").mkdir()
    (rootfs / "home").chmod(0o700)
    result = creel.run_bundle(creel.bundle("/bin/probe", "true", cwd="/home/x", rootfs=rootfs,
                                           user={"uid": 5, "gid": 5},
                                           capabilities={name: [] for name in ALL_SETS}))
    assert result.code in (0, 1), str(result)


@pytest.mark.parametrize("target", ["/proc/self/fd/3", "/proc/self/fd/7", "/proc/1/cwd/.."])
def test_cwd_that_leads_out(creel, target):
    rootfs = creel.rootfs()
    (rootfs / "trap").symlink_to(target)
    for cwd in ("/trap", target, f"{target}/../../.."):
        result = creel.run_bundle(creel.bundle("/bin/probe", "sections", "cwd", rootfs=rootfs,
                                               cwd=cwd))
        if result.code == 0:
            assert result.json()["cwd"] == "/", "never outside of the root"


def test_program_by_path_search(creel):
    rootfs = creel.rootfs()
    (rootfs / "opt").mkdir()
    (rootfs / "opt/tool").symlink_to("/bin/probe")
    (rootfs / "opt/nox").write_text("x")
    bundle = creel.bundle("tool", "echo", "found", rootfs=rootfs,
                          env=["PATH=/none:/opt:/bin"])
    result = creel.run_bundle(bundle)
    assert (result.code, result.out) == (0, "found\n"), str(result)


def test_relative_program(creel):
    result = creel.run_bundle(creel.bundle("./probe", "echo", "here", cwd="/bin"))
    assert (result.code, result.out) == (0, "here\n"), str(result)


LOOKUP = [
    (["nosuch"], 'exec: "nosuch": executable file not found in $PATH'),
    (["/nosuch"], 'exec: "/nosuch": stat /nosuch: no such file or directory'),
    (["./nosuch"], "no such file or directory"),
    (["/etc/passwd"], 'exec: "/etc/passwd": permission denied'),
    (["/etc"], "is a directory"),
    (["/etc"], "permission denied"),
    ([""], "executable file not found in $PATH"),
    (["passwd"], "permission denied"),
    (["/etc/passwd/x"], "not a directory"),
    (["/loop"], "permission denied"),
]


@pytest.mark.parametrize("args,phrase", LOOKUP)
def test_programs_that_cannot_be_found_fail_at_create(creel, args, phrase):
    rootfs = creel.rootfs()
    (rootfs / "loop").symlink_to("loop")
    bundle = creel.bundle(*args, rootfs=rootfs, env=["PATH=/bin:/etc"])
    if args == ["nosuch"] or args == [""]:
        bundle.spec["process"]["env"] = ["PATH=/bin"]
        bundle.write()
    for command in ("create", "run"):
        record = creel.fails(phrase, command, "--bundle", bundle.path, creel.id()).error
        assert record.get("pointer") == "/process/args/0", record
        assert record.get("line"), record
    assert creel.ids() == []


EXECUTABLES = {
    "empty": (b"", "exec format error"),
    "text": (b"just text\n", "exec format error"),
    "interpreter": (b"#!/no/such/interpreter\n", "no such file or directory"),
    "foreign": (b"\x7fELF\x02\x01\x01" + b"\0" * 9 + b"\x02\0\xb7\0\x01\0\0\0" + b"\0" * 40,
                "exec format error"),
}


@pytest.mark.parametrize("name", EXECUTABLES)
def test_programs_that_the_kernel_refuses(creel, name):
    data, phrase = EXECUTABLES[name]
    rootfs = creel.rootfs()
    (rootfs / "bin/bad").write_bytes(data)
    (rootfs / "bin/bad").chmod(0o755)
    bundle = creel.bundle("/bin/bad", rootfs=rootfs)
    result = creel.run_bundle(bundle, log=True)
    assert result.code != 0
    assert phrase in result.err, str(result)
    container = creel.create(bundle)
    result = creel.run("start", container, log=True)
    assert phrase in result.err, str(result)
    creel.wait_status(container, "stopped")
    creel.ok("delete", container)


def test_a_script(creel):
    rootfs = creel.rootfs()
    (rootfs / "bin/script").write_text("#!/bin/busybox sh\necho script $1\n")
    (rootfs / "bin/script").chmod(0o755)
    assert creel.run_bundle(creel.bundle("script", "x", rootfs=rootfs)).out == "script x\n"


# Ids and rights

def test_user_and_groups(creel):
    report = creel.probe("uid", "gid", "groups", user={"uid": 5, "gid": 7,
                                                       "additionalGids": [9, 11, 4000000000]})
    for kind, value in (("uid", 5), ("gid", 7)):
        assert set(report[kind].values()) == {value}, report
    assert sorted(report["groups"]) in ([9, 11, 4000000000], [7, 9, 11, 4000000000])


def test_our_groups_are_dropped(creel):
    creel.prefix = ["setpriv", "--groups", "3,4"]
    assert creel.probe("groups")["groups"] in ([], [0])


@pytest.mark.parametrize("umask,seen", [(None, "0022"), (0, "0000"), (0o077, "0077"),
                                        (0o777, "0777")])
def test_umask(creel, umask, seen):
    user = {"uid": 0, "gid": 0, **({} if umask is None else {"umask": umask})}
    creel.prefix = ["/bin/sh", "-c", 'umask 0027; exec "$@"', "sh"]
    assert creel.probe("umask", user=user)["umask"] == seen


def test_five_capability_sets(creel):
    sets = {"bounding": ["CAP_KILL", "CAP_CHOWN", "CAP_NET_RAW", "CAP_FOWNER"],
            "permitted": ["CAP_KILL", "CAP_CHOWN", "CAP_NET_RAW"],
            "effective": ["CAP_KILL"],
            "inheritable": ["CAP_CHOWN", "CAP_NET_RAW"],
            "ambient": ["CAP_NET_RAW"]}
    for uid, no_new_privileges in ((0, False), (0, True), (1000, True)):
        report = creel.probe("capabilities", user={"uid": uid, "gid": 0}, capabilities=sets,
                             noNewPrivileges=no_new_privileges)
        seen = report["capabilities"]
        assert seen["bounding"] == bits(*sets["bounding"])
        assert seen["ambient"] == bits("CAP_NET_RAW")
        assert seen["inheritable"] == bits("CAP_CHOWN", "CAP_NET_RAW")
        if uid:     # What execve leaves to a user that is not root.
            assert seen["permitted"] == seen["effective"] == bits("CAP_NET_RAW")
        else:
            allowed = sets["permitted" if no_new_privileges else "bounding"]
            assert seen["permitted"] == seen["effective"] == bits(*allowed)


def test_no_capabilities(creel):
    for value in ({}, {name: [] for name in ALL_SETS}):
        seen = creel.probe("capabilities", capabilities=value)["capabilities"]
        assert set(seen.values()) == {bits()}, value


def test_unknown_capabilities_are_a_warning(creel):
    sets = {name: ["CAP_KILL", "CAP_TO_FLY"] for name in ("bounding", "effective", "permitted")}
    bundle = creel.bundle("/bin/probe", "sections", "capabilities", capabilities=sets)
    result = creel.run_bundle(bundle)
    assert result.code == 0, str(result)
    assert result.json()["capabilities"]["effective"] == bits("CAP_KILL")
    assert "CAP_TO_FLY" in result.err
    assert "warning" in result.err


@pytest.mark.parametrize("value", [True, False, None])
def test_no_new_privileges(creel, value):
    def change(spec):
        spec["process"]["noNewPrivileges"] = value
        if value is None:
            del spec["process"]["noNewPrivileges"]
    assert creel.probe("noNewPrivs", change=change)["noNewPrivs"] is bool(value)


def test_rlimits(creel):
    limits = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
              {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
              {"type": "RLIMIT_STACK", "soft": 1048576, "hard": 2097152},
              {"type": "RLIMIT_FSIZE", "soft": 2 ** 62 + 1, "hard": 2 ** 64 - 1}]
    seen = creel.probe("rlimits", rlimits=limits)["rlimits"]
    assert seen["RLIMIT_NOFILE"] == {"soft": "100", "hard": "200"}
    assert seen["RLIMIT_CORE"] == {"soft": "0", "hard": "0"}
    assert seen["RLIMIT_STACK"] == {"soft": "1048576", "hard": "2097152"}
    assert seen["RLIMIT_FSIZE"] == {"soft": str(2 ** 62 + 1), "hard": "unlimited"}


def test_without_rlimits_ours_stay(creel):
    script = 'ulimit -n 333; exec "$@"'
    creel.prefix = ["/bin/sh", "-c", script, "sh"]
    seen = creel.probe("rlimits", rlimits=[])["rlimits"]
    assert seen["RLIMIT_NOFILE"] == {"soft": "333", "hard": "333"}


def refuses_prlimit(creel, *args, **process):
    """A bundle with a limit, and a filter that comes before it is set and refuses prlimit64."""
    bundle = creel.bundle(*args, noNewPrivileges=False, rlimits=[{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}], **process)
    bundle.spec["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["prlimit64", "setrlimit", "getrlimit"], "action": "SCMP_ACT_ERRNO"}]}
    return bundle.write()


def is_limited(text):
    return ["Max", "open", "files", "100", "200", "files"] in [line.split() for line in text.splitlines()]


def test_rlimits_under_a_filter_that_refuses_them(creel):
    """They are set from outside, and the program's filter is not asked."""
    result = creel.run_bundle(refuses_prlimit(creel, "/bin/busybox", "cat", "/proc/self/limits"))
    assert result.code == 0 and is_limited(result.out), str(result)
    with creel.running(refuses_prlimit(creel, "/bin/busybox", "sleep", "1000")) as name:
        result = creel.run("exec", name, "/bin/busybox", "cat", "/proc/1/limits", "/proc/self/limits")
        assert result.code == 0, str(result)
        assert [is_limited(line) for line in result.out.splitlines()].count(True) == 2, result.out


@pytest.mark.parametrize("script", ["exec", "exec setpriv --bounding-set -sys_resource"])
def test_rlimits_of_a_user_under_a_filter(creel, script):
    """Who may not set them on another's process leaves them to the process; the error says what the filter must allow then."""
    creel.prefix = ["/bin/sh", "-c", script + ' "$@"', "sh"]
    bundle = refuses_prlimit(creel, "/bin/busybox", "cat", "/proc/self/limits", user={"uid": 1000, "gid": 1000})
    result = creel.run_bundle(bundle)
    if script == "exec" and has_capability("SYS_RESOURCE"):
        assert result.code == 0 and is_limited(result.out), str(result)
    else:
        assert result.code != 0 and "prlimit64" in result.err and "CAP_SYS_RESOURCE" in result.err, str(result)
        bundle.spec["linux"]["seccomp"]["syscalls"] = [{"names": ["mount"], "action": "SCMP_ACT_ERRNO"}]
        result = creel.run_bundle(bundle.write())
        assert result.code == 0 and is_limited(result.out), str(result)


@pytest.mark.parametrize("score", [0, 7, 1000])
def test_oom_score(creel, score):
    now = int(pathlib.Path("/proc/self/oom_score_adj").read_text())
    if score < now:
        require_capability("SYS_RESOURCE")
    assert creel.probe("oomScoreAdj", oomScoreAdj=score)["oomScoreAdj"] == score


def test_without_oom_score_ours_stays(creel):
    now = int(pathlib.Path("/proc/self/oom_score_adj").read_text())
    assert creel.probe("oomScoreAdj")["oomScoreAdj"] == now


def test_lowering_the_oom_score_without_the_right(creel):
    creel.prefix = ["setpriv", "--bounding-set=-sys_resource", "--inh-caps=-sys_resource"]
    bundle = creel.bundle("/bin/probe", "true", oomScoreAdj=-500)
    record = creel.fails("permission denied", "create", "--bundle", bundle.path, creel.id()).error
    assert record["pointer"] == "/process/oomScoreAdj"


def test_signals_are_reset(creel):
    creel.prefix = ["/bin/sh", "-c", 'trap "" HUP INT QUIT USR1; exec "$@"', "sh"]
    seen = creel.probe("signals")["signals"]
    assert seen == {"blocked": [], "ignored": [], "caught": []}


def test_process_is_its_own_session(creel):
    seen = creel.probe("process")["process"]
    assert (seen["pid"], seen["ppid"], seen["sid"], seen["pgid"]) == (1, 0, 1, 1)
    assert seen["subreaper"] is False
    assert seen.get("deathSignal", 0) == 0


def test_session_keyring(creel):
    name = creel.id()
    bundle = creel.bundle("/bin/probe", "sections", "keyring")
    seen = creel.run_bundle(bundle, name=name).json()["keyring"]
    if seen is None:
        pytest.skip("this kernel or seccomp filter refuses keyctl")
    assert f"_ses.{name}" in seen["description"]
    other = creel.run_bundle(bundle, "--no-new-keyring").json()["keyring"]
    assert "_ses.c-" not in (other or {}).get("description", "")


def test_personality_scheduler_and_io_priority(creel):
    def change(spec):
        spec["process"]["scheduler"] = {"policy": "SCHED_BATCH", "nice": 5}
        spec["process"]["ioPriority"] = {"class": "IOPRIO_CLASS_BE", "priority": 6}
        spec["linux"]["personality"] = {"domain": "LINUX32"}
    seen = creel.probe("scheduler", "ioPriority", "personality", change=change)
    assert (seen["scheduler"]["policy"], seen["scheduler"]["nice"]) == ("SCHED_BATCH", 5)
    assert (seen["ioPriority"]["class"], seen["ioPriority"]["priority"]) == ("IOPRIO_CLASS_BE", 6)
    assert seen["personality"] == "0x8"


# Descriptors

def fds_of(report):
    """The descriptors, without those by which the probe looks at them."""
    return [fd["fd"] for fd in report["fds"]]


def open_at(*numbers):
    """Opens a file at each of NUMBERS in the child; returns keywords for Popen."""
    fds = []

    def place():
        for number in numbers:
            fd = os.open("/etc/hostname" if os.path.exists("/etc/hostname") else "/etc/passwd",
                         os.O_RDONLY)
            os.dup2(fd, number)
            if fd != number:
                os.close(fd)
    del fds
    return {"preexec_fn": place, "close_fds": False}


def test_only_standard_streams_are_open(creel):
    report = creel.probe("fds", command=open_at(3, 4, 9, 100))
    assert fds_of(report) == [0, 1, 2]


def test_preserve_fds(creel):
    report = creel.probe("fds", run=["--preserve-fds", "2"], command=open_at(3, 4, 5))
    assert fds_of(report) == [0, 1, 2, 3, 4]


def test_preserve_fds_with_a_hole(creel):
    bundle = creel.bundle("/bin/probe", "sections", "fds")
    creel.fails("preserved-fd", "run", "--preserve-fds", "3", "--bundle", bundle.path, creel.id(),
                **open_at(3, 5))


def test_listen_fds(creel):
    def place():
        os.dup2(0, 3)
        os.dup2(0, 4)
        os.environ["LISTEN_PID"] = str(os.getpid())
    creel.prefix = ["/bin/sh", "-c", 'LISTEN_PID=$$ LISTEN_FDS=2 exec "$@"', "sh"]
    report = creel.probe("fds", "env", command={"preexec_fn": place, "close_fds": False})
    assert fds_of(report) == [0, 1, 2, 3, 4]
    assert "LISTEN_FDS=2" in report["env"]
    assert "LISTEN_PID=1" in report["env"]


def test_listen_fds_of_somebody_else(creel):
    report = creel.probe("fds", "env", env={"LISTEN_FDS": "2", "LISTEN_PID": "1"},
                         command=open_at(3, 4))
    assert fds_of(report) == [0, 1, 2]
    assert not [e for e in report["env"] if e.startswith("LISTEN")]


def test_null_devices_are_the_containers_own(creel):
    bundle = creel.bundle("/bin/probe", "sections", "fds")
    result = creel.run_bundle(bundle)
    links = {fd["fd"]: fd["link"] for fd in result.json()["fds"]}
    assert links[0] == "/dev/null"
    shell = creel.shell("stat -L -c '%d' /proc/self/fd/0 /dev/null")
    devices = creel.run_bundle(shell).out.split()
    assert len(devices) == 2 and devices[0] == devices[1], "the node of the container's /dev"


def test_pipes_belong_to_the_user(creel):
    bundle = creel.shell("echo out > /dev/stdout && echo err > /dev/stderr && cat /dev/stdin",
                         user={"uid": 5, "gid": 5})
    process = subprocess.Popen(
        [creel.binary, "--root", creel.root, "run", "--bundle", bundle.path, creel.id()],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=creel.environment())
    out, err = process.communicate(b"in", timeout=harness.TIMEOUT)
    assert (process.returncode, out, err) == (0, b"out\nin", b"err\n")


def test_files_keep_their_owner(creel):
    file = creel.directory / "file"
    file.write_bytes(b"")
    with open(file, "wb") as out:
        background = creel.spawn("run", "--bundle", creel.bundle(
            "/bin/probe", "true", user={"uid": 5, "gid": 5}).path, creel.id(), stdout=out)
        assert background.wait().code == 0
    assert file.stat().st_uid == 0


def test_closed_streams(creel):
    def close():
        os.close(0)
    background = creel.spawn("run", "--bundle", creel.bundle("/bin/probe", "sections", "fds").path,
                             creel.id(), preexec_fn=close)
    report = background.wait().json()
    assert fds_of(report) == [0, 1, 2], "nothing of creel's can take their place"


# Terminals

def tty_bundle(creel, *args, **process):
    return creel.bundle(*args, terminal=True, **process)


def test_console_socket(creel):
    bundle = tty_bundle(creel, "/bin/probe", "tty", consoleSize={"height": 33, "width": 77})
    with ConsoleSocket(creel.directory / "console") as console:
        name = creel.create(bundle, "--console-socket", console.path)
        master = console.receive()
        creel.ok("start", name)
        text = read_all(master)
        os.close(master)
    tty = harness.json.loads(text)
    assert tty["isatty"] == [True, True, True]
    assert tty["names"][0] in ("/dev/console", "/dev/pts/0")
    assert tty["size"] == {"height": 33, "width": 77}
    assert tty["opens"] is True, "it is the controlling terminal"
    creel.wait_status(name, "stopped")
    creel.ok("delete", name)


def test_console_socket_with_a_long_path(creel):
    directory = creel.directory / ("d" * 100)
    directory.mkdir()
    bundle = tty_bundle(creel, "/bin/probe", "true")
    (creel.directory / "short").symlink_to(directory)
    with ConsoleSocket(creel.directory / "short/c") as console:
        name = creel.create(bundle, "--console-socket", directory / "c")
        os.close(console.receive())
        creel.ok("delete", name)


def test_console_belongs_to_the_user(creel):
    bundle = tty_bundle(creel, "/bin/busybox", "stat", "-c", "%u %a", "/dev/console",
                        user={"uid": 5, "gid": 5})
    with Terminal() as terminal:
        result = creel.spawn("run", "--bundle", bundle.path, creel.id(),
                             **terminal.options())
        uid, mode = terminal.read_until("\n").decode().split()
        assert result.wait().code == 0
    assert uid == "5"
    assert int(mode, 8) & 0o7 == 0


def test_a_shell_on_a_terminal(creel):
    bundle = tty_bundle(creel, "/bin/busybox", "sh")
    name = creel.id()
    with Terminal(rows=40, columns=120) as terminal:
        before = terminal.attributes()
        run = creel.spawn("run", "--bundle", bundle.path, name, **terminal.options())
        terminal.read_until("# ")
        terminal.write("stty size; tty; echo $((6*7))\r")
        seen = terminal.read_until("42\r\n")
        assert b"40 120" in seen
        assert b"/dev/" in seen
        terminal.resize(50, 150)
        os.kill(run.pid, signal.SIGWINCH)
        terminal.asks_until("stty size", "50 150")
        terminal.write("sleep 100\r")
        terminal.read_until("sleep 100\r\n")
        harness.wait_for_job(creel, name)
        terminal.write("\x03")
        terminal.read_until("# ")
        terminal.write("exit 42\r")
        assert run.wait().code == 42
        assert terminal.attributes() == before


def test_terminal_is_restored_after_sigkill_of_the_container(creel):
    bundle = tty_bundle(creel, "/bin/busybox", "sh")
    name = creel.id()
    with Terminal() as terminal:
        before = terminal.attributes()
        run = creel.spawn("run", "--bundle", bundle.path, name, **terminal.options())
        terminal.read_until("# ")
        assert not terminal.attributes()[3] & termios.ICANON, "raw while it runs"
        creel.ok("kill", name, "KILL")
        assert run.wait().code == 137
        assert terminal.attributes() == before


def test_much_output_through_the_terminal(creel):
    lines = 40000
    bundle = tty_bundle(creel, "/bin/busybox", "seq", str(lines))
    with Terminal() as terminal:
        run = creel.spawn("run", "--bundle", bundle.path, creel.id(), **terminal.options())
        seen = terminal.read_until(f"{lines}\r\n", timeout=60)
        assert run.wait().code == 0
    expected = "".join(f"{i}\r\n" for i in range(1, lines + 1)).encode()
    assert hashlib.sha256(seen).digest() == hashlib.sha256(expected).digest()


def test_much_output_with_a_reader_that_comes_late(creel):
    bundle = tty_bundle(creel, "/bin/busybox", "seq", "20000")
    with Terminal() as terminal:
        run = creel.spawn("run", "--bundle", bundle.path, creel.id(), **terminal.options())
        time.sleep(0.5)
        seen = terminal.read_until("20000\r\n")
        assert run.wait().code == 0
    assert seen.count(b"\r\n") == 20000


def test_terminal_output_into_a_file(creel):
    """stdin is no terminal: the proxy copies all the same."""
    bundle = tty_bundle(creel, "/bin/busybox", "sh", "-c", "read x; echo got $x; tty; exit 3")
    result = creel.run("run", "--bundle", bundle.path, creel.id(), data="word\n")
    assert result.code == 3, str(result)
    assert "got word\r\n" in result.out


def test_terminal_of_a_container_that_leaves_a_child_with_it(creel):
    bundle = tty_bundle(creel, "/bin/busybox", "sh", "-c", "sleep 100 & echo end")
    with Terminal() as terminal:
        run = creel.spawn("run", "--bundle", bundle.path, creel.id(), **terminal.options())
        terminal.read_until("end")
        assert run.wait().code == 0


def test_pidfd_socket(creel):
    path = creel.directory / "pidfd"
    with ConsoleSocket(path) as listener:
        with creel.running(creel.bundle("/bin/probe", "sleep"), "--pidfd-socket", path) as name:
            fd = listener.receive()
            info = pathlib.Path(f"/proc/self/fdinfo/{fd}").read_text()
            assert f"Pid:\t{creel.state(name)['pid']}\n" in info
            os.close(fd)
