"""config-linux.md, "Seccomp", with "Container process state"."""

import contextlib
import errno
import fcntl
import json
import os
import platform
import select
import socket
import struct
import threading

import bundles
import pytest

from .words import changed, collect, refused

NUMBERS = {"x86_64": {"getppid": 110, "lseek": 8, "getpriority": 140, "personality": 135,
                      "mkdirat": 258, "uname": 63, "getpid": 39},
           "aarch64": {"getppid": 173, "lseek": 62, "getpriority": 141, "personality": 92,
                       "mkdirat": 34, "uname": 160, "getpid": 172}}[platform.machine()]
ARCH = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}[platform.machine()]
NOTIF_RECV, NOTIF_SEND = 0xc0502100, 0xc0182101
FLAG_CONTINUE = 1


def rule(action, *names, **more):
    """One entry of `syscalls`."""
    return {"names": list(names), "action": f"SCMP_ACT_{action}", **more}


def profile(*rules, default="ALLOW", **more):
    """A whole filter."""
    return {"defaultAction": f"SCMP_ACT_{default}", "architectures": [ARCH],
            "syscalls": list(rules), **more}


def with_profile(creel, seccomp, *args, **members):
    """A bundle that runs the probe under a filter."""
    return changed(creel, lambda spec: spec["linux"].update(seccomp=seccomp), "/bin/probe", *args,
                   **members)


def call(creel, seccomp, name, *args, **members):
    """What a system call returns under a filter: (result, errno)."""
    bundle = with_profile(creel, seccomp, "syscall", str(NUMBERS.get(name, name)),
                          *map(str, args), **members)
    result = creel.run_bundle(bundle)
    assert result.code == 0, str(result)
    answer = result.json()
    return answer["result"], answer["errno"]


@pytest.mark.parametrize("nnp", [True, False])
def test_errno(creel, nnp):
    """config-linux.md Seccomp: /linux/seccomp/syscalls/*/action,/linux/seccomp/syscalls/*/names: MUST:
    ERRNO makes the call fail with EPERM, with and without noNewPrivileges."""
    assert call(creel, profile(rule("ERRNO", "getppid")), "getppid",
                noNewPrivileges=nnp) == (-1, errno.EPERM)
    assert call(creel, profile(rule("ERRNO", "getppid")), "lseek", -1, 0, 0,
                noNewPrivileges=nnp) == (-1, errno.EBADF)


@pytest.mark.parametrize("number", [0, 1, 38, 4095])
def test_errno_ret(creel, number):
    """config-linux.md Seccomp: /linux/seccomp/syscalls/*/errnoRet: MUST: ERRNO fails with the number
    that is given; 0 is a success that does nothing."""
    seen = call(creel, profile(rule("ERRNO", "mkdirat", errnoRet=number)), "mkdirat", -100, 0, 0)
    assert seen == ((0, 0) if number == 0 else (-1, number))


def test_default_errno_ret(creel):
    """config-linux.md Seccomp: /linux/seccomp/defaultAction,/linux/seccomp/defaultErrnoRet: MUST: what
    no rule names gets the default, with its number."""
    needed = ["execve", "brk", "arch_prctl", "set_tid_address", "set_robust_list", "rseq",
              "mprotect", "prlimit64", "readlink", "readlinkat", "getrandom", "write", "fstat",
              "newfstatat", "exit_group", "mmap", "munmap", "read", "close", "ioctl", "openat",
              "sendmsg", "recvmsg", "sendto", "prctl", "close_range", "rt_sigaction",
              "rt_sigprocmask", "fcntl", "accept4", "uname", "getppid", "seccomp"]
    seccomp = profile(rule("ALLOW", *needed), default="ERRNO", defaultErrnoRet=77)
    assert call(creel, seccomp, "personality", 0xffffffff) == (-1, 77)
    assert call(creel, seccomp, "getppid")[1] == 0


@pytest.mark.parametrize("action, code", [
    ("KILL", 128 + 31), ("KILL_PROCESS", 128 + 31), ("KILL_THREAD", 128 + 31), ("TRAP", 128 + 31)])
def test_kill(creel, action, code):
    """config-linux.md Seccomp: /linux/seccomp/syscalls/*/action: MUST: KILL, KILL_PROCESS, KILL_THREAD
    and TRAP end the program with SIGSYS."""
    bundle = with_profile(creel, profile(rule(action, "getppid")), "syscall",
                          str(NUMBERS["getppid"]))
    assert creel.run_bundle(bundle).code == code


def test_trace(creel):
    """config-linux.md Seccomp: /linux/seccomp/syscalls/*/action: MUST: TRACE without a tracer makes
    the call fail with ENOSYS."""
    assert call(creel, profile(rule("TRACE", "getppid", errnoRet=5)), "getppid") == (
        -1, errno.ENOSYS)


@pytest.mark.parametrize("action", ["LOG", "ALLOW"])
def test_log_and_allow(creel, action):
    """config-linux.md Seccomp: /linux/seccomp/syscalls/*/action: MUST: LOG and ALLOW let the call
    happen."""
    result, number = call(creel, profile(rule(action, "getppid")), "getppid")
    assert (result, number) == (0, 0)


OPERATORS = [("NE", 5, 6, 5), ("LT", 5, 4, 5), ("LE", 5, 5, 6), ("EQ", 5, 5, 6), ("GE", 5, 5, 4),
             ("GT", 5, 6, 5)]


@pytest.mark.parametrize("operator, value, hit, miss", OPERATORS)
@pytest.mark.parametrize("shift", [0, 33])
def test_operators(creel, operator, value, hit, miss, shift):
    """config-linux.md Seccomp: /linux/seccomp/syscalls/*/args/*/op,/linux/seccomp/syscalls/*/args/*/value,/linux/seccomp/syscalls/*/args/*/index: MUST:
    an argument is compared in all of its 64 bits."""
    seccomp = profile(rule("ERRNO", "lseek", errnoRet=99, args=[
        {"index": 1, "value": value << shift, "op": f"SCMP_CMP_{operator}"}]))
    assert call(creel, seccomp, "lseek", -1, hit << shift, 0)[1] == 99
    assert call(creel, seccomp, "lseek", -1, miss << shift, 0)[1] == errno.EBADF


@pytest.mark.parametrize("argument, hit", [(0x0f, True), (0x1f, True), (0x1e, False)])
def test_masked(creel, argument, hit):
    """config-linux.md Seccomp: /linux/seccomp/syscalls/*/args/*/valueTwo: MUST: MASKED_EQ compares
    what the mask leaves."""
    seccomp = profile(rule("ERRNO", "lseek", errnoRet=99, args=[
        {"index": 1, "value": 0x0f, "valueTwo": 0x0f, "op": "SCMP_CMP_MASKED_EQ"}]))
    assert (call(creel, seccomp, "lseek", -1, argument, 0)[1] == 99) == hit


def test_full_range(creel):
    """config-linux.md Seccomp: /linux/seccomp/syscalls/*/args/*/value: MUST: the largest 64 bit number
    is a value like others."""
    seccomp = profile(rule("ERRNO", "lseek", errnoRet=99, args=[
        {"index": 1, "value": (1 << 64) - 1, "op": "SCMP_CMP_EQ"}]))
    assert call(creel, seccomp, "lseek", -1, -1, 0)[1] == 99


@pytest.mark.parametrize("second, hit", [(2, True), (1, False)])
def test_several_arguments(creel, second, hit):
    """config-linux.md Seccomp: /linux/seccomp/syscalls/*/args: MUST: conditions on different
    arguments all have to hold."""
    seccomp = profile(rule("ERRNO", "lseek", errnoRet=99, args=[
        {"index": 1, "value": 1, "op": "SCMP_CMP_EQ"},
        {"index": 2, "value": 2, "op": "SCMP_CMP_EQ"}]))
    assert (call(creel, seccomp, "lseek", -1, 1, second)[1] == 99) == hit


@pytest.mark.parametrize("argument, hit", [(1, True), (2, True), (3, False)])
def test_same_argument_twice(creel, argument, hit):
    """config-linux.md Seccomp: /linux/seccomp/syscalls/*/args: creel: of conditions on one argument
    one is enough, as in runc and crun."""
    seccomp = profile(rule("ERRNO", "lseek", errnoRet=99, args=[
        {"index": 1, "value": 1, "op": "SCMP_CMP_EQ"},
        {"index": 1, "value": 2, "op": "SCMP_CMP_EQ"}]))
    assert (call(creel, seccomp, "lseek", -1, argument, 0)[1] == 99) == hit


def test_unknown_call(creel):
    """config-linux.md Seccomp: /linux/seccomp/syscalls/*/names: creel: names that no libseccomp
    knows are skipped."""
    assert call(creel, profile(rule("ERRNO", "call_of_the_year_3000", "getppid")),
                "getppid") == (-1, errno.EPERM)


def test_new_calls(creel):
    """config-linux.md Seccomp: /linux/seccomp/defaultAction: creel: a call that is newer than the
    profile is ENOSYS, so that a C library falls back, and not EPERM."""
    needed = ["execve", "brk", "arch_prctl", "set_tid_address", "set_robust_list", "rseq",
              "mprotect", "prlimit64", "readlink", "readlinkat", "getrandom", "write", "fstat",
              "newfstatat", "exit_group", "mmap", "munmap", "read", "close", "ioctl", "openat",
              "sendmsg", "recvmsg", "sendto", "prctl", "rt_sigaction", "rt_sigprocmask", "fcntl",
              "accept4", "close_range", "seccomp", "uname"]
    seccomp = profile(rule("ALLOW", *needed), default="ERRNO")
    assert call(creel, seccomp, 900)[1] == errno.ENOSYS
    assert call(creel, seccomp, "personality", 0xffffffff)[1] == errno.EPERM


def test_mode(creel):
    """config-linux.md Seccomp: /linux/seccomp: MUST: the program runs under a filter, and without
    the object under none."""
    assert creel.run_bundle(with_profile(creel, profile(rule("ERRNO", "getppid")), "sections",
                                         "seccomp")).json()["seccomp"]["mode"] == 2
    assert creel.probe("seccomp")["seccomp"]["mode"] == 0


@pytest.mark.parametrize("nnp", [True, False])
def test_exec(creel, nnp):
    """config-linux.md Seccomp: /linux/seccomp: MUST: a process of `exec` runs under the same
    filter."""
    bundle = with_profile(creel, profile(rule("ERRNO", "getppid", errnoRet=7)), "sleep",
                          noNewPrivileges=nnp)
    with creel.running(bundle) as name:
        answer = creel.ok("exec", name, "/bin/probe", "syscall", NUMBERS["getppid"]).json()
        assert answer["errno"] == 7


def test_many_calls(creel):
    """config-linux.md Seccomp: /linux/seccomp/syscalls: MUST: a long list works as a short one
    does."""
    names = ["acct", "add_key", "bpf", "clock_settime", "delete_module", "finit_module",
             "get_mempolicy", "init_module", "io_pgetevents", "kcmp", "kexec_load", "keyctl",
             "lookup_dcookie", "mbind", "mount", "move_pages", "name_to_handle_at", "nfsservctl",
             "open_by_handle_at", "perf_event_open", "personality", "pivot_root",
             "process_vm_readv", "process_vm_writev", "ptrace", "quotactl", "reboot", "request_key",
             "set_mempolicy", "setns", "settimeofday", "swapoff", "swapon", "umount2", "unshare",
             "userfaultfd", "vhangup", "getppid", "getpriority"]
    seccomp = profile(rule("ERRNO", *names, errnoRet=9))
    assert call(creel, seccomp, "getpriority", 0, 0)[1] == 9
    assert call(creel, seccomp, "getppid")[1] == 9
    assert call(creel, seccomp, "lseek", -1, 0, 0)[1] == errno.EBADF


# Architectures

@pytest.fixture(scope="session")
def int80(apart):
    """A program that makes calls of i386."""
    if platform.machine() != "x86_64":
        pytest.skip("needs x86_64")
    return bundles.compile_static(apart / "int80", bundles.TESTS / "spec/int80.c")


def foreign(creel, int80, seccomp):
    """getppid(2) of i386 under a filter."""
    creel.programs = {**creel.programs, "/bin/int80": str(int80)}
    bundle = changed(creel, lambda spec: spec["linux"].update(seccomp=seccomp), "/bin/int80", "64")
    return creel.run_bundle(bundle)


def test_architecture_listed(creel, int80):
    """config-linux.md Seccomp: /linux/seccomp/architectures: MUST: rules hold for the calls of every
    architecture that is listed, by its own numbers."""
    seccomp = profile(rule("ERRNO", "getppid", errnoRet=66))
    seccomp["architectures"].append("SCMP_ARCH_X86")
    assert foreign(creel, int80, seccomp).json()["result"] == -66
    seccomp["syscalls"] = [rule("ERRNO", "lseek", errnoRet=66)]
    assert foreign(creel, int80, seccomp).json()["result"] == 0


def test_architecture_not_listed(creel, int80):
    """config-linux.md Seccomp: /linux/seccomp/architectures: MUST: calls of an architecture that is
    not listed do not get past the filter."""
    result = foreign(creel, int80, profile(rule("ERRNO", "getppid")))
    assert result.code == 128 + 31, str(result)


def test_architecture_native(creel):
    """config-linux.md Seccomp: /linux/seccomp/architectures: MUST: the machine's own architecture is
    filtered when it is not listed too."""
    seccomp = profile(rule("ERRNO", "getppid", errnoRet=8))
    for value in ([], ["SCMP_ARCH_X86"], None):
        seccomp["architectures"] = value
        assert call(creel, seccomp, "getppid") == (-1, 8)


@pytest.mark.parametrize("arch", [
    "X86", "X86_64", "X32", "ARM", "AARCH64", "LOONGARCH64", "M68K", "MIPS", "MIPS64", "MIPS64N32",
    "MIPSEL", "MIPSEL64", "MIPSEL64N32", "PPC", "PPC64", "PPC64LE", "S390", "S390X", "SH", "SHEB",
    "PARISC", "PARISC64", "RISCV64"])
def test_architecture_names(creel, arch):
    """config-linux.md Seccomp: /linux/seccomp/architectures: MUST: all names of the specification are
    known."""
    seccomp = profile(rule("ERRNO", "getppid", errnoRet=8))
    seccomp["architectures"].append(f"SCMP_ARCH_{arch}")
    assert call(creel, seccomp, "getppid") == (-1, 8)


# Flags

FLAGS = ["TSYNC", "LOG", "SPEC_ALLOW", "WAIT_KILLABLE_RECV"]


@pytest.mark.parametrize("flags", [[], *([flag] for flag in FLAGS), FLAGS])
def test_flags(creel, flags):
    """config-linux.md Seccomp: /linux/seccomp/flags: MUST: every known flag is accepted, alone and
    with the others."""
    seccomp = profile(rule("ERRNO", "getppid"),
                      flags=[f"SECCOMP_FILTER_FLAG_{flag}" for flag in flags])
    assert call(creel, seccomp, "getppid") == (-1, errno.EPERM)


@pytest.mark.parametrize("flags, mitigated", [(None, False), ([], True),
                                              (["SECCOMP_FILTER_FLAG_SPEC_ALLOW"], False)])
def test_flag_spec_allow(creel, flags, mitigated):
    """config-linux.md Seccomp: /linux/seccomp/flags: creel: absent flags mean SPEC_ALLOW, an empty
    list means none."""
    seccomp = profile(rule("ERRNO", "getppid"))
    if flags is not None:
        seccomp["flags"] = flags
    bundle = with_profile(creel, seccomp, "read", "/proc/self/status", noNewPrivileges=False)
    text = creel.run_bundle(bundle).out
    plain = creel.run_bundle(creel.bundle("/bin/probe", "read", "/proc/self/status")).out
    field = [line for line in text.splitlines() if line.startswith("Speculation_Store_Bypass")]
    before = [line for line in plain.splitlines() if line.startswith("Speculation_Store_Bypass")]
    if not mitigated:
        assert field == before


# Refusals

@pytest.mark.parametrize("seccomp, pointer", [
    ({}, "defaultAction"), ({"defaultAction": "SCMP_ACT_SMILE"}, "defaultAction"),
    ({"defaultAction": "SCMP_ACT_NOTIFY"}, "defaultAction"),
    (profile(default="ALLOW", defaultErrnoRet=3), "defaultErrnoRet"),
    (profile(rule("ALLOW", "read", errnoRet=3)), "syscalls/0/errnoRet"),
    (profile(rule("ALLOW")), "syscalls/0/names"),
    (profile({"names": ["read"]}), "syscalls/0/action"),
    (profile(rule("ERRNO", "read", args=[{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}])),
     "syscalls/0/args/0/index"),
    (profile(rule("ERRNO", "read", args=[{"index": 1, "value": 1, "op": "SCMP_CMP_LIKE"}])),
     "syscalls/0/args/0/op"),
    (profile(rule("ERRNO", "read", args=[{"index": 1, "op": "SCMP_CMP_EQ"}])),
     "syscalls/0/args/0/value"),
    ({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_PDP11"]}, "architectures/0"),
    (profile(flags=["SECCOMP_FILTER_FLAG_FAST"]), "flags/0"),
    (profile(listenerMetadata="x"), "listenerMetadata"),
    (profile(rule("NOTIFY", "write"), listenerPath="/x"), "syscalls/0/names/0")])
def test_refused(creel, seccomp, pointer):
    """config-linux.md Seccomp: /linux/seccomp/defaultAction,/linux/seccomp/syscalls/*/errnoRet,/linux/seccomp/syscalls/*/names,/linux/seccomp/syscalls/*/args/*/index,/linux/seccomp/syscalls/*/args/*/op,/linux/seccomp/architectures,/linux/seccomp/flags,/linux/seccomp/listenerMetadata: MUST:
    what is required is there, and what is unknown or contradicts itself is an error."""
    refused(creel, with_profile(creel, seccomp, "true"), f"/linux/seccomp/{pointer}")


# Notification

class Agent:
    """A seccomp agent: answers every notification of every listener that it is given."""

    def __init__(self, path, answer):
        self.answer, self.states, self.calls, self.listeners = answer, [], [], []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.bind(str(path))
        self.socket.listen(4)
        self.stop = os.pipe()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        """Takes connections, each with one state and one descriptor."""
        with contextlib.suppress(OSError):
            while self.stop[0] not in select.select([self.socket, self.stop[0]], [], [])[0]:
                connection = collect(self.socket)
                data, fds, _, _ = socket.recv_fds(connection, 65536, 8)
                while more := connection.recv(65536):
                    data += more
                connection.close()
                self.states.append((json.loads(data), len(fds)))
                self.listeners += fds
                threading.Thread(target=self.handle, args=(fds[0],), daemon=True).start()

    def handle(self, listener):
        """Answers until the last process of the filter is gone."""
        with contextlib.suppress(OSError):
            while True:
                buffer = bytearray(80)
                fcntl.ioctl(listener, NOTIF_RECV, buffer)
                ident, pid, _, number, _, _, *args = struct.unpack("QIIiIQ6Q", buffer)
                self.calls.append((pid, number, args))
                value, error, flags = self.answer
                fcntl.ioctl(listener, NOTIF_SEND,
                            struct.pack("QqiI", ident, value, error, flags))

    def close(self):
        """No more connections."""
        os.close(self.stop[1])
        self.thread.join()
        os.close(self.stop[0])
        self.socket.close()
        for fd in self.listeners:
            os.close(fd)


@contextlib.contextmanager
def agent(creel, answer=(0, -123, 0)):
    """An agent on a socket of the test: (agent, path)."""
    path = creel.directory / "agent.sock"
    one = Agent(path, answer)
    try:
        yield one, str(path)
    finally:
        one.close()


@pytest.mark.parametrize("nnp", [True, False])
@pytest.mark.parametrize("answer, expected", [
    ((0, -123, 0), (-1, 123)), ((4242, 0, 0), (4242, 0)), ((0, 0, FLAG_CONTINUE), (0, 0))])
def test_notify(creel, answer, expected, nnp):
    """config-linux.md Seccomp: /linux/seccomp/listenerPath: MUST: NOTIFY asks the agent behind the
    socket, and the call ends as it says."""
    with agent(creel, answer) as (one, path):
        seccomp = profile(rule("NOTIFY", "getppid"), listenerPath=path)
        assert call(creel, seccomp, "getppid", noNewPrivileges=nnp) == expected
        assert [number for _, number, _ in one.calls] == [NUMBERS["getppid"]]


def test_notify_state(creel):
    """config-linux.md The container process state: /linux/seccomp/listenerPath,/linux/seccomp/listenerMetadata: MUST:
    the agent gets one message: version, names of the descriptors, pid, metadata and the container's
    state, with exactly one descriptor."""
    with agent(creel) as (one, path):
        seccomp = profile(rule("NOTIFY", "getppid"), listenerPath=path,
                          listenerMetadata="what I asked for")
        bundle = with_profile(creel, seccomp, "sleep")
        bundle.spec["annotations"] = {"org.example": "x"}
        with creel.running(bundle.write()) as name:
            (state, count), = one.states
            pid = creel.state(name)["pid"]
            assert count == 1 and state["fds"] == ["seccompFd"]
            assert state["pid"] == pid and state["metadata"] == "what I asked for"
            assert state["ociVersion"].startswith("1.")
            inner = state["state"]
            assert inner["id"] == name and inner["pid"] == pid
            assert inner["status"] == "creating" and inner["bundle"] == str(bundle.path)
            assert inner["annotations"] == {"org.example": "x"}


def test_notify_exec(creel):
    """config-linux.md The container process state: /linux/seccomp/listenerPath: MUST: each process
    of `exec` has a listener of its own, with its pid and the state of the running container."""
    with agent(creel) as (one, path):
        seccomp = profile(rule("NOTIFY", "getppid"), listenerPath=path)
        with creel.running(with_profile(creel, seccomp, "sleep")) as name:
            answer = creel.ok("exec", name, "/bin/probe", "syscall", NUMBERS["getppid"]).json()
            assert answer["errno"] == 123
            assert len(one.states) == 2
            state = one.states[1][0]
            init = creel.state(name)["pid"]
            assert state["state"]["pid"] == init and state["pid"] != init
            assert state["state"]["status"] == "running"


def test_notify_metadata_absent(creel):
    """config-linux.md The container process state: /linux/seccomp/listenerMetadata: MUST: without
    metadata the message has none."""
    with agent(creel) as (one, path):
        call(creel, profile(rule("NOTIFY", "getppid"), listenerPath=path), "getppid")
        assert not one.states[0][0].get("metadata")


def test_notify_no_agent(creel):
    """config-linux.md Seccomp: /linux/seccomp/listenerPath: MUST: without anybody at the socket it is
    an error."""
    path = str(creel.directory / "nobody.sock")
    refused(creel, with_profile(creel, profile(rule("NOTIFY", "getppid"), listenerPath=path),
                                "true"), "/linux/seccomp/listenerPath")


def test_notify_without_path(creel):
    """config-linux.md Seccomp: /linux/seccomp/listenerPath: MUST: NOTIFY without a path is an
    error."""
    refused(creel, with_profile(creel, profile(rule("NOTIFY", "getppid")), "true"),
            "/linux/seccomp")


def test_listener_unused(creel):
    """config-linux.md Seccomp: /linux/seccomp/listenerPath: MUST: without a NOTIFY action the path is
    ignored."""
    assert call(creel, profile(rule("ERRNO", "getppid"), listenerPath="/nonexistent"),
                "getppid") == (-1, errno.EPERM)


def test_notify_not_inherited(creel):
    """config-linux.md Seccomp: /linux/seccomp/listenerPath: MUST: the program does not get the
    listener."""
    with agent(creel, (0, 0, FLAG_CONTINUE)) as (_, path):
        bundle = with_profile(creel, profile(rule("NOTIFY", "getppid"), listenerPath=path),
                              "sections", "fds")
        assert [fd["fd"] for fd in creel.run_bundle(bundle).json()["fds"]] == [0, 1, 2]


def test_everything_denied(creel):
    """config-linux.md Seccomp: /linux/seccomp/defaultAction: creel: a filter that denies everything
    ends in an error, and nothing hangs or stays."""
    result = creel.run_bundle(with_profile(creel, profile(default="ERRNO"), "true"))
    assert result.code != 0
