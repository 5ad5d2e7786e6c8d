"""exec where it is hard: daemons, closed streams, paused, moved, delegated and foreign containers,
descriptors, processors, and the clock of the container."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

import bundles
import harness
import pytest
from harness import ConsoleSocket, is_alive, wait_until


@pytest.fixture
def root(creel):
    """A running container of root."""
    with creel.running(creel.bundle("/bin/probe", "sleep")) as container:
        yield container


def shell(*script):
    """busybox's shell with a script."""
    return ("/bin/busybox", "sh", "-c", "; ".join(script))


def probe(creel, name, *sections, options=(), **more):
    """The report of a probe inside."""
    result = creel.run("exec", *options, name, "/bin/probe", "sections", ",".join(sections), **more)
    assert (result.code, result.err) == (0, ""), str(result)
    return result.json()


def cgroup_of(pid):
    """The directory of the cgroup that PID is in."""
    line = next(line for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines()
                if line.startswith("0::"))
    return harness.cgroup_root() / line[4:]


# Processes with a life of their own


@pytest.mark.parametrize("options", [(), ("--tty",)])
@pytest.mark.parametrize("daemon", ["sleep 1000 &", "setsid sleep 1000 &",
                                    "(setsid sleep 1000 >/dev/null 2>&1 </dev/null &)"])
def test_daemon_does_not_hold_exec(creel, root, options, daemon):
    begin = time.monotonic()
    result = creel.run("exec", *options, root, *shell(f"{daemon}\nexit 5"))
    assert (result.code, result.err) == (5, ""), str(result)
    assert time.monotonic() - begin < 50
    for pid in creel.ok("ps", "--format", "json", root).json():
        if pid != creel.state(root)["pid"]:
            os.kill(pid, signal.SIGKILL)


def test_closed_output_is_not_the_end(creel, root):
    begin = time.monotonic()
    result = creel.run("exec", root, *shell("exec >&- 2>&- <&-", "sleep 0.6", "exit 8"))
    assert (result.code, result.out) == (8, "")
    assert time.monotonic() - begin >= 0.6


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_closed_streams_of_ours(creel, root, closed):
    def close():
        for number in closed:
            os.close(number)
    result = creel.run("exec", root, "/bin/probe", "exit", "6", preexec_fn=close)
    assert result.code == 6, str(result)


def test_output_into_a_pipe_that_nobody_reads(creel, root):
    """The process writes to the pipe itself: it is the one that SIGPIPE is for."""
    ours, theirs = os.pipe()
    os.close(ours)
    result = creel.run("exec", root, "/bin/busybox", "yes", stdout=theirs)
    os.close(theirs)
    assert result.code in (1, 141), str(result)


@pytest.mark.parametrize("how", ["kill", "delete", "crash"])
@pytest.mark.parametrize("options", [(), ("--tty",)])
def test_container_ends_in_the_middle(creel, how, options):
    container = creel.create(creel.bundle("/bin/probe", "sleep"))
    creel.ok("start", container)
    with creel.spawn("exec", *options, container, *shell("echo on", "sleep 1000")) as command:
        wait_until(lambda: "on" in command.result.out, "it runs")
        if how == "kill":
            creel.ok("kill", container, "KILL")
        elif how == "delete":
            creel.ok("delete", "--force", container)
        else:
            os.kill(creel.state(container)["pid"], signal.SIGKILL)
        assert command.wait().code == 137
    if how != "delete":
        creel.wait_status(container, "stopped")
        creel.ok("delete", container)


def test_paused_in_the_middle(creel, root):
    """Whatever instant is hit, exec goes on when the container does."""
    for attempt in range(20):
        command = creel.spawn("exec", "--ignore-paused", root, "/bin/probe", "exit", "3")
        time.sleep(attempt * 0.0003)
        creel.ok("pause", root)
        time.sleep(0.02)
        creel.ok("resume", root)
        assert command.wait().code == 3


# Cgroups


def test_sub_cgroup(creel, root):
    top = cgroup_of(creel.state(root)["pid"])
    (top / "sub" / "deep").mkdir(parents=True)
    file = creel.directory / "pid"
    try:
        for text, where in (("sub", "sub"), ("/sub", "sub"), ("sub/deep", "sub/deep"),
                            ("memory:sub", "sub"), ("memory,cpu:/sub/deep", "sub/deep"),
                            ("/", "."), ("pids:/", ".")):
            creel.ok("exec", "--detach", "--pid-file", file, "--cgroup", text, root,
                     "/bin/probe", "sleep")
            pid = int(file.read_text())
            assert cgroup_of(pid) == (top / where).resolve(), text
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda pid=pid: harness.reap() or not os.path.exists(f"/proc/{pid}"),
                       "its end")
        creel.ok("exec", "--cgroup", "cpu:sub", "--cgroup", "memory:sub", root,
                 "/bin/probe", "true")
        for words, phrase in ((["--cgroup", "cpu:sub", "--cgroup", "memory:sub/deep"],
                               "cannot be in two cgroups"),
                              (["--cgroup", ":sub"], "invalid --cgroup argument"),
                              (["--cgroup", ""], "invalid --cgroup argument"),
                              (["--cgroup", "cpu:"], "invalid --cgroup argument"),
                              (["--cgroup", "cpu:../x"], ""), (["--cgroup", "nosuch"], "nosuch")):
            result = creel.run("exec", *words, root, "/bin/probe", "true")
            assert result.code in (1, 255) and phrase in result.err, str(result)
    finally:
        os.rmdir(top / "sub" / "deep")
        os.rmdir(top / "sub")


def test_container_that_moved_its_cgroup(creel):
    """It has moved its processes into a leaf, and enabled controllers above: the kernel lets
    processes into leaves only, and exec finds the one where the init is."""
    def writable(spec):
        for mount in spec["mounts"]:
            if mount["destination"] == "/sys/fs/cgroup":
                mount["options"].remove("ro")
    bundle = creel.bundle(*shell(
        "mkdir /sys/fs/cgroup/leaf", "echo 1 > /sys/fs/cgroup/leaf/cgroup.procs",
        "for c in $(cat /sys/fs/cgroup/cgroup.controllers); do "
        "echo +$c > /sys/fs/cgroup/cgroup.subtree_control; done", "exec sleep 1000"))
    writable(bundle.spec)
    with creel.running(bundle.write()) as container:
        pid = creel.state(container)["pid"]
        wait_until(lambda: cgroup_of(pid).name == "leaf", "it moves")
        wait_until(lambda: b"sleep" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes(), "it sleeps")
        for _ in range(3):
            result = creel.run("exec", container, "/bin/busybox", "cat", "/proc/self/cgroup")
            assert (result.code, result.err) == (0, ""), str(result)
            assert "0::/leaf" in result.out
        pids = creel.ok("ps", "--format", "json", container).json()
        assert pids == [pid]


@pytest.mark.parametrize("userns", [False, True])
def test_container_reads_its_own_limits(creel, userns):
    """Whatever the umask of creel is: runtimes of languages look how much memory they have."""
    bundle = creel.bundle("/bin/busybox", "cat", "/sys/fs/cgroup/cgroup.controllers",
                          userns=userns, user={"uid": 5, "gid": 5})
    result = creel.run_bundle(bundle, preexec_fn=lambda: os.umask(0o077))
    assert result.code == 0, str(result)


# Descriptors


def at(numbers):
    """How a command is spawned with standard input on these numbers too."""
    def place():
        for number in numbers:
            os.dup2(0, number)
    return {"preexec_fn": place, "close_fds": False}


def activated(creel, *words, fds=2, names=None):
    """Runs a command as a service manager starts it, with FDS sockets from 3 on; its result."""
    script = ('exec 3<&0 4<&0 5<&0; export LISTEN_PID=$$; exec "$@"')
    env = creel.environment({"LISTEN_FDS": str(fds), "LISTEN_FDNAMES": names})
    done = subprocess.run(["bash", "-c", script, "bash", creel.binary, "--root", str(creel.root),
                           *map(str, words)], env=env, cwd=creel.directory, timeout=60,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), str(done)
    return json.loads(done.stdout)


def test_listen_fds(creel, root):
    """sd_listen_fds(3) counts them for the process itself, whatever its pid is inside."""
    report = activated(creel, "exec", root, "/bin/probe", "sections", "fds,env,process",
                       names="web:other")
    env = dict(entry.split("=", 1) for entry in report["env"])
    assert env["LISTEN_FDS"] == "2"
    assert env["LISTEN_FDNAMES"] == "web:other"
    assert env["LISTEN_PID"] == str(report["process"]["pid"]) != "1"
    assert [fd["fd"] for fd in report["fds"]] == [0, 1, 2, 3, 4]
    report = activated(creel, "exec", "--preserve-fds", "1", root, "/bin/probe", "sections",
                       "fds,env")
    assert [fd["fd"] for fd in report["fds"]] == [0, 1, 2, 3, 4, 5]
    assert "LISTEN_FDS=2" in report["env"]


def test_listen_fds_without_a_pid_namespace(creel):
    """The first process is not number 1 there."""
    bundle = creel.bundle("/bin/probe", "sections", "env,process")
    bundle.spec["linux"]["namespaces"] = [n for n in bundle.spec["linux"]["namespaces"]
                                          if n["type"] != "pid"]
    report = activated(creel, "run", "--bundle", bundle.write().path, creel.id())
    assert f"LISTEN_PID={report['process']['pid']}" in report["env"]
    assert report["process"]["pid"] != 1


def test_listen_fds_of_somebody_else(creel, root):
    report = probe(creel, root, "fds", "env", env={"LISTEN_FDS": "2", "LISTEN_PID": "1"},
                   **at([3, 4]))
    assert [fd["fd"] for fd in report["fds"]] == [0, 1, 2]
    assert not [entry for entry in report["env"] if entry.startswith("LISTEN_")]


def test_preserve_fds_with_a_hole(creel, root):
    result = creel.run("exec", "--preserve-fds", "3", root, "/bin/probe", "true", **at([3, 5]))
    assert result.code != 0 and "preserved-fd" in result.err, str(result)
    report = probe(creel, root, "fds", options=["--preserve-fds", "1"], **at([3, 5, 9]))
    assert [fd["fd"] for fd in report["fds"]] == [0, 1, 2, 3]


# Namespaces


def test_time_namespace(creel):
    bundle = creel.bundle("/bin/probe", "sleep")
    bundle.spec["linux"]["namespaces"].append({"type": "time"})
    bundle.spec["linux"]["timeOffsets"] = {"boottime": {"secs": 86400 * 1000}}
    with creel.running(bundle.write()) as container:
        result = creel.run("exec", container, "/bin/busybox", "cat", "/proc/uptime")
        assert result.code == 0, str(result)
        ours = float(pathlib.Path("/proc/uptime").read_text().split()[0])
        assert abs(float(result.out.split()[0]) - ours - 86400 * 1000) < 60


def test_container_of_another_user(creel):
    """State that somebody else can write is believed by nobody, root least of all."""
    creel.directory.chmod(0o777)
    creel.root.mkdir()
    os.chown(creel.root, harness.USER, harness.USER)
    as_user = ["setpriv", f"--reuid={harness.USER}", f"--regid={harness.USER}",
               "--clear-groups", "--inh-caps=-all"]
    creel.prefix = as_user
    container = creel.id()
    result = creel.run("create", "--bundle", creel.bundle("/bin/probe", "sleep",
                                                          rootless=True).path, container)
    assert result.code == 0, str(result)
    try:
        creel.ok("start", container)
        assert set(probe(creel, container, "uid")["uid"].values()) == {0}
        for prefix in ([], ["setpriv", "--reuid=1234", "--regid=1234", "--clear-groups"]):
            creel.prefix = prefix
            creel.root.chmod(0o755)
            result = creel.run("exec", container, "/bin/probe", "true")
            assert result.code in (1, 255) and "not ours alone" in result.err, str(result)
    finally:
        creel.prefix = as_user
        creel.ok("delete", "--force", container)


def test_joined_user_namespace_of_another(creel):
    """The container joins a namespace that the user 1000 has made."""
    holder = subprocess.Popen(["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups",
                               "unshare", "--user", "--map-root-user", "sleep", "1000"],
                              stdin=subprocess.DEVNULL)
    try:
        comm = pathlib.Path(f"/proc/{holder.pid}/comm")
        wait_until(lambda: comm.read_text().strip() == "sleep", "the namespace")
        bundle = creel.bundle("/bin/probe", "sleep")
        bundle.spec["linux"]["namespaces"].append(
            {"type": "user", "path": f"/proc/{holder.pid}/ns/user"})
        for path in [bundle.rootfs, *bundle.rootfs.rglob("*")]:
            os.chown(path, 1000, 1000, follow_symlinks=False)
        for mount in bundle.spec["mounts"]:
            if mount["destination"] == "/dev/pts":
                mount["options"].remove("gid=5")
        with creel.running(bundle.write()) as container:
            report = probe(creel, container, "uid", "namespaces")
            assert set(report["uid"].values()) == {0}
            inode = int(re.search(r"\d+", os.readlink(f"/proc/{holder.pid}/ns/user")).group())
            assert report["namespaces"]["user"] == inode
            result = creel.run("exec", "--user", "5", container, "/bin/probe", "true")
            assert result.code == 255 and result.err, str(result)
    finally:
        holder.kill()
        holder.wait()


# Processors


def test_affinity(creel):
    """execCPUAffinity of the container's document, of a process file, and without any."""
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) < 2:
        pytest.skip("needs two processors")
    first, last = processors[0], processors[-1]
    bundle = creel.bundle("/bin/probe", "sleep",
                          execCPUAffinity={"initial": str(first), "final": str(last)})
    file = creel.directory / "process.json"
    base = {"args": ["/bin/probe", "sections", "affinity"], "cwd": "/",
            "user": {"uid": 0, "gid": 0}}
    with creel.running(bundle) as container:
        assert probe(creel, container, "affinity")["affinity"] == [last]
        for affinity, wanted in (({"final": str(first)}, [first]), ({"initial": str(first)}, [first]),
                                 ({"initial": str(first), "final": f"{first},{last}"},
                                  [first, last]), ({}, processors)):
            file.write_text(json.dumps({**base, "execCPUAffinity": affinity}))
            result = creel.run("exec", "--process", file, container)
            assert (result.code, result.err) == (0, ""), str(result)
            assert result.json()["affinity"] == wanted, affinity
        # an engine that is pinned does not pin the process
        file.write_text(json.dumps(base))
        result = creel.run("exec", "--process", file, container,
                           preexec_fn=lambda: os.sched_setaffinity(0, [first]))
        assert result.json()["affinity"] == processors
        for bad in ("x", "5-1", "99999", "-1"):
            file.write_text(json.dumps({**base, "execCPUAffinity": {"final": bad}}))
            result = creel.run("exec", "--process", file, container, log=True)
            assert result.code == 255, (bad, str(result))
            assert "execCPUAffinity" in result.error["pointer"], result.error


# Rights


def test_labels_without_their_module(creel, root):
    """A label that the kernel cannot set is no label."""
    have = pathlib.Path("/sys/kernel/security/lsm")
    modules = have.read_text() if have.exists() else ""
    for option, module in (("--apparmor", "apparmor"), ("--process-label", "selinux")):
        if module not in modules:
            result = creel.run("exec", option, "some_label", root, "/bin/probe", "true")
            assert result.code == 255 and result.err, str(result)


def test_seccomp_of_the_container(creel):
    """The stored program, also with a process file and for another user."""
    bundle = creel.bundle("/bin/probe", "sleep")
    bundle.spec["linux"]["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]}
    bundle.spec["root"]["readonly"] = False
    with creel.running(bundle.write()) as container:
        (bundle.path / "config.json").unlink()
        for words in ([], ["--user", "7"], ["--no-new-privs"], ["--cap", "CAP_SYS_ADMIN"]):
            result = creel.run("exec", *words, container, "/bin/busybox", "mkdir", "/tmp/x")
            assert result.code == 1 and "not supported" in result.err, str(result)


def test_capabilities_replace_nothing(creel, root):
    """As in runc, --cap adds."""
    before = probe(creel, root, "capabilities")["capabilities"]
    after = probe(creel, root, "capabilities", options=["--cap", "CAP_CHOWN"])["capabilities"]
    chown = 1 << bundles.CAPABILITY_NUMBERS["CHOWN"]
    for name in ("bounding", "effective", "permitted"):
        assert int(after[name], 16) == int(before[name], 16) | chown, name
    assert after["ambient"] == before["ambient"]
    result = creel.run("exec", "--cap", "CAP_NOSUCH", root, "/bin/probe", "true")
    assert "CAP_NOSUCH" in result.err


# Sockets


def test_console_socket_that_nobody_listens_on(creel, root):
    path = creel.directory / "dead"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    result = creel.run("exec", "--tty", "--detach", "--console-socket", path, root,
                       "/bin/probe", "sleep")
    assert result.code == 255 and "console socket" in result.err, str(result)
    init = creel.state(root)["pid"]
    wait_until(lambda: harness.reap() or creel.ok("ps", "-f", "json", root).json() == [init],
               "nothing is left")


def test_console_socket_of_a_foreground_exec(creel, root):
    """The engine has the terminal, and creel waits for the process all the same."""
    with ConsoleSocket(creel.directory / "console") as console:
        with creel.spawn("exec", "--tty", "--console-socket", console.path, root,
                         *shell("tty", "read x", "exit 4")) as command:
            terminal = harness.adopt_terminal(console.receive())
            terminal.read_until("/dev/pts/")
            terminal.write("go\r")
            assert command.wait().code == 4
            terminal.close()


def test_engine_that_goes_away(creel, root):
    """A detached process lives on without whoever asked for it."""
    file = creel.directory / "pid"
    script = '"$@" & wait'
    subprocess.run(["setsid", "bash", "-c", script, "bash", creel.binary, "--root",
                    str(creel.root), "exec", "--detach", "--pid-file", str(file), root,
                    "/bin/probe", "sleep"], check=True, timeout=60, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL)
    pid = int(file.read_text())
    time.sleep(0.2)
    assert is_alive(pid)
    os.kill(pid, signal.SIGKILL)
