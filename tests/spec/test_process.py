"""config.md, "Process", and what config-linux.md says about the program: personality and memory
policy."""

import json
import os
import pathlib
import resource
import signal

import bundles
import harness
import pytest

from .words import changed, probe_command, refused, writable

ALL = ("bounding", "effective", "permitted", "inheritable", "ambient")
NUMBERS = {"CAP_CHOWN": 0, "CAP_KILL": 5, "CAP_NET_BIND_SERVICE": 10, "CAP_SYS_ADMIN": 21,
           "CAP_SYS_NICE": 23}


def process(creel, *sections, change=None, **members):
    """What the probe sees with MEMBERS of process."""
    return creel.probe(*sections, change=change, **members)


def mask(*names):
    """Capability names as the probe prints a set."""
    return f"{sum(1 << NUMBERS[name] for name in names):016x}"


def exec_probe(creel, name, *sections, **more):
    """What the probe sees as a second process of a container."""
    return creel.ok("exec", name, "/bin/probe", "sections", ",".join(sections), **more).json()


# Arguments, environment, working directory

def test_args(creel):
    """config.md Process: /process/args: MUST: the program is run with exactly these words."""
    args = ["/bin/probe", "echo", "two words", "", "*", "ünï"]
    assert creel.run_bundle(creel.bundle(*args)).out == "two words  * ünï\n"


def test_args_by_path(creel):
    """config.md Process: /process/args: MUST: a name without a slash is looked up in the PATH of
    the container's environment, inside the container."""
    bundle = creel.bundle("probe", "echo", "found", env=["PATH=/nowhere:/opt"])
    (bundle.rootfs / "opt").mkdir()
    (bundle.rootfs / "bin/probe").rename(bundle.rootfs / "opt/probe")
    assert creel.run_bundle(bundle).out == "found\n"


@pytest.mark.parametrize("program, phrase", [
    ("nosuchprogram", "executable file not found"), ("/bin/nosuch", "no such file"),
    ("/etc/passwd", "permission denied"), ("/etc", "")])
def test_args_not_found(creel, program, phrase):
    """config.md Process: /process/args: MUST: a program that cannot be run makes `create` fail."""
    bundle = creel.bundle(program)
    name = creel.id()
    result = creel.fails("", "create", "--bundle", bundle.path, name)
    assert phrase.lower() in result.error["msg"].lower(), result.error
    assert not (creel.root / name).exists()


def test_args_empty(creel):
    """config.md Process: /process/args: MUST: at least one word is required."""
    for args in ([], None):
        bundle = changed(creel, lambda spec, args=args: spec["process"].update(args=args))
        refused(creel, bundle, "/process/args")


def test_env(creel):
    """config.md Process: /process/env: MUST: the program gets these variables, and none of the
    runtime's."""
    report = creel.run_bundle(creel.bundle("/bin/probe", "sections", "env", env=[
        "A=1", "B=x=y", "EMPTY=", "HOME=/h"])).json()
    assert report["env"] == ["A=1", "B=x=y", "EMPTY=", "HOME=/h"]


def test_env_last_wins(creel):
    """config.md Process: /process/env: creel: of a variable that is given twice the last value
    counts."""
    report = creel.run_bundle(creel.bundle("/bin/probe", "sections", "env", env=[
        "A=1", "HOME=/h", "A=2"])).json()
    assert sorted(report["env"]) == ["A=2", "HOME=/h"]


@pytest.mark.parametrize("entry", ["NOEQUALS", "=novalue"])
def test_env_malformed(creel, entry):
    """config.md Process: /process/env: MUST: an entry that is no variable is an error."""
    refused(creel, changed(creel, lambda spec: spec["process"]["env"].append(entry)),
            "/process/env/2", "invalid environment variable")


@pytest.mark.parametrize("env, uid, home", [
    ([], 0, "/root"), (["HOME="], 0, "/root"), ([], 1234, "/"), ([], 77, "/home/seven"),
    (["HOME=/mine"], 0, "/mine")])
def test_home(creel, env, uid, home):
    """config.md Process: /process/env: creel: HOME comes from the container's passwd when it is
    absent or empty, and is / for an unknown user."""
    bundle = creel.bundle("/bin/probe", "sections", "env", env=env, user={"uid": uid, "gid": 0})
    with open(bundle.rootfs / "etc/passwd", "a", encoding="utf-8") as passwd:
        passwd.write("seven:x:77:77::/home/seven:/bin/sh\n")
    assert f"HOME={home}" in creel.run_bundle(bundle).json()["env"]


def test_cwd(creel):
    """config.md Process: /process/cwd: MUST: the program starts in this directory."""
    assert process(creel, "cwd", cwd="/usr/bin")["cwd"] == "/usr/bin"


def test_cwd_created(creel):
    """config.md Process: /process/cwd: creel: an absent directory is made, with mode 0755."""
    bundle = changed(creel, writable, "/bin/probe", "sections", "cwd", cwd="/new/deep")
    result = creel.run_bundle(bundle)
    assert result.json()["cwd"] == "/new/deep", str(result)
    assert (bundle.rootfs / "new/deep").stat().st_mode & 0o7777 == 0o755


def test_cwd_created_under_readonly(creel):
    """config.md Process: /process/cwd: creel: it is made before the root becomes read-only."""
    assert process(creel, "cwd", cwd="/new")["cwd"] == "/new"


@pytest.mark.parametrize("cwd", ["relative", ""])
def test_cwd_not_absolute(creel, cwd):
    """config.md Process: /process/cwd: MUST: it is an absolute path."""
    refused(creel, changed(creel, lambda spec: spec["process"].update(cwd=cwd)), "/process/cwd")


def test_cwd_required(creel):
    """config.md Process: /process/cwd: MUST: the member is required."""
    refused(creel, changed(creel, lambda spec: spec["process"].pop("cwd")), "/process/cwd")


@pytest.mark.parametrize("mode, uid", [(0o700, 1000), (0o700, 0)])
def test_cwd_private(creel, mode, uid):
    """config.md Process: /process/cwd: creel: a directory that only the container's user, or only
    its root, may enter is entered."""
    bundle = creel.bundle("/bin/probe", "sections", "cwd", cwd="/private",
                          user={"uid": 1000, "gid": 1000})
    (bundle.rootfs / "private").mkdir()
    (bundle.rootfs / "private").chmod(mode)
    os.chown(bundle.rootfs / "private", uid, uid)
    assert creel.run_bundle(bundle).json()["cwd"] == "/private"


def test_cwd_is_not_outside(creel):
    """config.md Process: /process/cwd: MUST: a link to a descriptor of the host's is no way out."""
    bundle = creel.bundle("/bin/probe", "sections", "cwd", cwd="/proc/self/fd/7")
    result = creel.run_bundle(bundle)
    assert result.code != 0, str(result)


def test_terminal(creel):
    """config.md Process: /process/terminal: MUST: true gives the program a terminal on all three
    streams, which is also its controlling one."""
    bundle = creel.bundle("/bin/probe", "sections", "tty", terminal=True)
    with harness.ConsoleSocket(creel.directory / "socket") as sock:
        name = creel.create(bundle, "--console-socket", sock.path)
        master = sock.receive()
        creel.ok("start", name)
        text = harness.read_all(master)
        os.close(master)
        creel.ok("delete", "--force", name)
    report = json.loads(text)["tty"]
    assert report["isatty"] == [True, True, True]
    assert report["opens"] and report["controlling"]


def test_no_terminal(creel):
    """config.md Process: /process/terminal: MUST: without it there is none."""
    report = process(creel, "tty")["tty"]
    assert report["isatty"] == [False, False, False] and not report["opens"]


def test_console_size(creel):
    """config.md Process: /process/consoleSize/height,/process/consoleSize/width: MUST: the terminal
    starts with this size."""
    bundle = creel.bundle("/bin/probe", "sections", "tty", terminal=True,
                          consoleSize={"height": 41, "width": 133})
    with harness.ConsoleSocket(creel.directory / "socket") as sock:
        name = creel.create(bundle, "--console-socket", sock.path)
        master = sock.receive()
        creel.ok("start", name)
        text = harness.read_all(master)
        os.close(master)
        creel.ok("delete", "--force", name)
    report = json.loads(text)["tty"]
    assert report["size"] == {"height": 41, "width": 133}


def test_console_size_without_terminal(creel):
    """config.md Process: /process/consoleSize: MUST: without a terminal it is ignored."""
    assert process(creel, "tty", consoleSize={"height": 9, "width": 9})["tty"]["size"] is None


@pytest.mark.parametrize("member", ["height", "width"])
def test_console_size_half(creel, member):
    """config.md Process: /process/consoleSize/height,/process/consoleSize/width: MUST: both are
    required."""
    refused(creel, changed(creel, lambda spec: spec["process"].update(
        consoleSize={member: 10})), "/process/consoleSize/" + (
            "width" if member == "height" else "height"))


def test_command_line(creel):
    """config.md Process: /process/commandLine: MUST: what is for Windows is ignored."""
    assert process(creel, "argv", commandLine="cmd /c dir")["argv"][0] == "/bin/probe"


# User

def test_user(creel):
    """config.md User: /process/user/uid,/process/user/gid: MUST: all four ids of the program are
    these."""
    report = process(creel, "uid", "gid", user={"uid": 1234, "gid": 5678})
    assert set(report["uid"].values()) == {1234} and set(report["gid"].values()) == {5678}


def test_user_required(creel):
    """config.md User: /process/user/uid,/process/user/gid: MUST: both are required."""
    for member in ("uid", "gid"):
        refused(creel, changed(creel, lambda spec, member=member: spec["process"]["user"].pop(
            member)), f"/process/user/{member}")


def test_user_unmapped(creel):
    """config.md User: /process/user/uid,/process/user/gid: MUST: ids that the user namespace does
    not map are an error."""
    for member in ("uid", "gid"):
        refused(creel, changed(creel, lambda spec, member=member: spec["process"]["user"].update(
            {member: 70000}), userns=True), f"/process/user/{member}", f"unmapped {member} 70000")


@pytest.mark.parametrize("umask", [0, 0o077, 0o027, 0o777])
def test_umask(creel, umask):
    """config.md User: /process/user/umask: MUST: the program starts with this mask."""
    report = process(creel, "umask", user={"uid": 0, "gid": 0, "umask": umask})
    assert report["umask"] == f"{umask:04o}"


def test_umask_of_exec(creel):
    """config.md User: /process/user/umask: MUST: `exec` follows it as well."""
    bundle = creel.bundle("/bin/probe", "sleep", user={"uid": 0, "gid": 0, "umask": 0o037})
    with creel.running(bundle) as name:
        assert exec_probe(creel, name, "umask")["umask"] == "0037"


def test_additional_gids(creel):
    """config.md User: /process/user/additionalGids: MUST: the program has these groups, and none of
    the runtime's."""
    report = process(creel, "groups", user={"uid": 5, "gid": 5, "additionalGids": [7, 1000, 65000]})
    assert sorted(set(report["groups"]) - {5}) == [7, 1000, 65000]
    assert not set(process(creel, "groups")["groups"]) - {0}


def test_additional_gids_of_caller_dropped(creel):
    """config.md User: /process/user/additionalGids: MUST: the caller's groups do not pass."""
    creel.prefix = [harness.require_program("setpriv"), "--groups", "4242,4343"]
    assert not set(process(creel, "groups")["groups"]) - {0}


def test_stdio_owner(creel):
    """config.md User: /process/user/uid: creel: the standard streams belong to the program's user,
    so that it can open them again."""
    bundle = creel.shell("echo again > /dev/stdout", user={"uid": 1000, "gid": 1000})
    result = creel.run_bundle(bundle)
    assert result.code == 0 and result.out == "again\n", str(result)


# Capabilities

@pytest.mark.parametrize("kind", ALL)
def test_capability_sets(creel, kind):
    """config.md Capabilities: /process/capabilities/bounding,/process/capabilities/effective,/process/capabilities/permitted,/process/capabilities/inheritable,/process/capabilities/ambient: MUST:
    each set of the program is the one that is listed."""
    sets = {name: [] for name in ALL}
    for name in {"bounding": ["bounding"], "permitted": ["permitted", "bounding"],
                 "effective": ["effective", "permitted", "bounding"],
                 "inheritable": ["inheritable", "bounding"],
                 "ambient": ["ambient", "inheritable", "permitted", "bounding"]}[kind]:
        sets[name] = ["CAP_CHOWN", "CAP_KILL"]
    report = process(creel, "capabilities", capabilities=sets,
                     user={"uid": 1000, "gid": 1000})["capabilities"]
    # An execve(2) by anybody but root leaves what is ambient and what is inheritable.
    wanted = mask("CAP_CHOWN", "CAP_KILL")
    assert report["bounding"] == wanted
    if kind in ("inheritable", "ambient"):
        assert report["inheritable"] == wanted
    if kind == "ambient":
        assert report["ambient"] == report["permitted"] == report["effective"] == wanted
    else:
        assert report["permitted"] == mask()


def test_capabilities_of_root(creel):
    """config.md Capabilities: /process/capabilities: MUST: root has what is bounded and
    permitted, no more."""
    sets = {name: ["CAP_CHOWN", "CAP_KILL"] for name in ("bounding", "effective", "permitted")}
    report = process(creel, "capabilities", capabilities=sets)["capabilities"]
    assert report["effective"] == report["permitted"] == mask("CAP_CHOWN", "CAP_KILL")
    assert report["inheritable"] == report["ambient"] == mask()


def test_capabilities_empty(creel):
    """config.md Capabilities: /process/capabilities: MUST: an empty object takes everything."""
    report = process(creel, "capabilities", capabilities={})["capabilities"]
    assert set(report.values()) == {mask()}


def test_capabilities_are_enforced(creel):
    """config.md Capabilities: /process/capabilities: MUST: what is not given cannot be done."""
    assert probe_command(creel, "socket", "packet", code=1)


def test_capabilities_of_exec(creel):
    """config.md Capabilities: /process/capabilities: MUST: `exec` gives the same sets, and --cap
    adds to them."""
    bundle = creel.bundle("/bin/probe", "sleep", capabilities={
        name: ["CAP_KILL"] for name in ("bounding", "effective", "permitted")})
    with creel.running(bundle) as name:
        report = exec_probe(creel, name, "capabilities")["capabilities"]
        assert report["effective"] == report["bounding"] == mask("CAP_KILL")
        more = creel.ok("exec", "--cap", "CAP_CHOWN", name, "/bin/probe", "sections",
                        "capabilities").json()["capabilities"]
        assert more["effective"] == mask("CAP_KILL", "CAP_CHOWN")


# Limits

LIMITS = {"RLIMIT_AS": 1 << 40, "RLIMIT_CORE": 0, "RLIMIT_CPU": 3600, "RLIMIT_DATA": 1 << 39,
          "RLIMIT_FSIZE": 1 << 38, "RLIMIT_LOCKS": 1000, "RLIMIT_MEMLOCK": 65536,
          "RLIMIT_MSGQUEUE": 40960, "RLIMIT_NICE": 0, "RLIMIT_NOFILE": 512, "RLIMIT_NPROC": 400,
          "RLIMIT_RSS": 1 << 37, "RLIMIT_RTPRIO": 0, "RLIMIT_RTTIME": 900000,
          "RLIMIT_SIGPENDING": 300, "RLIMIT_STACK": 4 << 20}


@pytest.mark.parametrize("name", LIMITS)
def test_rlimit(creel, name):
    """config.md Process: /process/rlimits/*/type,/process/rlimits/*/soft,/process/rlimits/*/hard: MUST:
    each type can be limited, softly and hard."""
    limit = {"type": name, "soft": LIMITS[name] // 2, "hard": LIMITS[name]}
    report = process(creel, "rlimits", rlimits=[limit])["rlimits"][name]
    assert report == {"soft": str(LIMITS[name] // 2), "hard": str(LIMITS[name])}


def test_rlimit_infinity(creel):
    """config.md Process: /process/rlimits/*/hard: MUST: the largest 64 bit number means no limit."""
    top = (1 << 64) - 1
    if resource.getrlimit(resource.RLIMIT_FSIZE)[1] != resource.RLIM_INFINITY:
        pytest.skip("the file size is limited here")
    report = process(creel, "rlimits", rlimits=[
        {"type": "RLIMIT_FSIZE", "soft": top, "hard": top}])["rlimits"]["RLIMIT_FSIZE"]
    assert report == {"soft": "unlimited", "hard": "unlimited"}


def test_rlimit_of_exec(creel):
    """config.md Process: /process/rlimits: MUST: `exec` gives the same limits."""
    bundle = creel.bundle("/bin/probe", "sleep", rlimits=[
        {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
        {"type": "RLIMIT_NOFILE", "soft": 99, "hard": 200}])
    with creel.running(bundle) as name:
        limits = exec_probe(creel, name, "rlimits")["rlimits"]
        assert limits["RLIMIT_NOFILE"] == {"soft": "99", "hard": "200"}


def test_rlimit_unknown(creel):
    """config.md Process: /process/rlimits/*/type: MUST: a type that does not exist is an error."""
    refused(creel, changed(creel, lambda spec: spec["process"].update(rlimits=[
        {"type": "RLIMIT_PATIENCE", "soft": 1, "hard": 1}])), "/process/rlimits/0/type")


def test_rlimit_incomplete(creel):
    """config.md Process: /process/rlimits/*/soft,/process/rlimits/*/hard: MUST: both are required."""
    for member in ("soft", "hard"):
        limit = {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}
        del limit[member]
        refused(creel, changed(creel, lambda spec, limit=limit: spec["process"].update(
            rlimits=[limit])), f"/process/rlimits/0/{member}")


# Small members

@pytest.mark.parametrize("value", [True, False])
def test_no_new_privileges(creel, value):
    """config.md Process: /process/noNewPrivileges: MUST: the flag is as it says."""
    assert process(creel, "noNewPrivs", noNewPrivileges=value)["noNewPrivs"] is value


@pytest.mark.parametrize("value", [0, 100, 1000])
def test_oom_score(creel, value):
    """config.md Process: /process/oomScoreAdj: MUST: the score is set when it is given, 0 too."""
    before = int(pathlib.Path("/proc/self/oom_score_adj").read_text())
    if value < before:
        harness.require_capability("SYS_RESOURCE")
    assert process(creel, "oomScoreAdj", oomScoreAdj=value)["oomScoreAdj"] == value


def test_oom_score_absent(creel):
    """config.md Process: /process/oomScoreAdj: MUST: without the member the score is the
    caller's."""
    def raise_score():
        pathlib.Path("/proc/self/oom_score_adj").write_text("300")
    bundle = creel.bundle("/bin/probe", "sections", "oomScoreAdj")
    assert creel.run_bundle(bundle, preexec_fn=raise_score).json()["oomScoreAdj"] == 300


def test_oom_score_lower(creel):
    """config.md Process: /process/oomScoreAdj: MUST: a score that cannot be set is an error."""
    def raise_score():
        pathlib.Path("/proc/self/oom_score_adj").write_text("300")
    bundle = creel.bundle("/bin/probe", "true", oomScoreAdj=-500)
    if bundles._bounding_set() >> bundles.CAPABILITY_NUMBERS["SYS_RESOURCE"] & 1:
        report = process(creel, "oomScoreAdj", oomScoreAdj=-500)
        assert report["oomScoreAdj"] == -500
        return
    name = creel.id()
    result = creel.fails("", "create", "--bundle", bundle.path, name, preexec_fn=raise_score)
    assert result.error["pointer"] == "/process/oomScoreAdj", result.error


def test_oom_score_in_userns(creel):
    """config.md Process: /process/oomScoreAdj: MUST: it works with a user namespace."""
    assert process(creel, "oomScoreAdj", oomScoreAdj=77, userns=True)["oomScoreAdj"] == 77


@pytest.mark.parametrize("member, value", [
    ("apparmorProfile", "some-profile"), ("selinuxLabel", "system_u:system_r:container_t:s0")])
def test_label_not_supported(creel, member, value):
    """config.md Process: /process/apparmorProfile,/process/selinuxLabel: MUST: a label that this
    host cannot give is an error."""
    modules = pathlib.Path("/sys/kernel/security/lsm")
    if modules.exists() and ("selinux" if "selinux" in member else "apparmor") in (
            modules.read_text()):
        pytest.skip("this host has the security module")
    refused(creel, changed(creel, lambda spec: spec["process"].update({member: value})),
            f"/process/{member}")


def test_label_empty(creel):
    """config.md Process: /process/apparmorProfile,/process/selinuxLabel: MUST: an empty label asks
    for nothing."""
    process(creel, "label", apparmorProfile="", selinuxLabel="")


# Scheduling

@pytest.mark.parametrize("scheduler, expected", [
    ({"policy": "SCHED_OTHER", "nice": 7}, {"policy": "SCHED_OTHER", "nice": 7}),
    ({"policy": "SCHED_OTHER"}, {"policy": "SCHED_OTHER", "nice": 0}),
    ({"policy": "SCHED_BATCH", "nice": 3}, {"policy": "SCHED_BATCH", "nice": 3}),
    ({"policy": "SCHED_IDLE"}, {"policy": "SCHED_IDLE"}),
    ({"policy": "SCHED_FIFO", "priority": 9}, {"policy": "SCHED_FIFO", "priority": 9}),
    ({"policy": "SCHED_RR", "priority": 12}, {"policy": "SCHED_RR", "priority": 12}),
    ({"policy": "SCHED_DEADLINE", "runtime": 1000000, "deadline": 5000000, "period": 10000000},
     {"policy": "SCHED_DEADLINE", "runtime": 1000000, "deadline": 5000000, "period": 10000000}),
    ({"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_RESET_ON_FORK"]},
     {"policy": "SCHED_OTHER", "flags": 1}),
    ({"policy": "SCHED_DEADLINE", "runtime": 1000000, "deadline": 5000000, "period": 10000000,
      "flags": ["SCHED_FLAG_RECLAIM", "SCHED_FLAG_DL_OVERRUN", "SCHED_FLAG_RESET_ON_FORK"]},
     {"policy": "SCHED_DEADLINE", "flags": 7}),
    ({"policy": "SCHED_OTHER", "nice": 5,
      "flags": ["SCHED_FLAG_KEEP_POLICY", "SCHED_FLAG_KEEP_PARAMS"]},
     {"policy": "SCHED_OTHER", "nice": os.nice(0)}),
])
def test_scheduler(creel, scheduler, expected):
    """config.md Process: /process/scheduler/policy,/process/scheduler/nice,/process/scheduler/priority,/process/scheduler/flags,/process/scheduler/runtime,/process/scheduler/deadline,/process/scheduler/period: MUST:
    the program runs with this policy and its numbers, and so does `exec`."""
    harness.require_capability("SYS_NICE")
    bundle = creel.bundle("/bin/probe", "sections", "scheduler", scheduler=scheduler)
    result = creel.run_bundle(bundle)
    assert result.code == 0, str(result)
    seen = result.json()["scheduler"]
    assert {key: seen[key] for key in expected} == expected


def test_scheduler_of_exec(creel):
    """config.md Process: /process/scheduler: MUST: `exec` follows it as well."""
    bundle = creel.bundle("/bin/probe", "sleep", scheduler={"policy": "SCHED_BATCH", "nice": 4})
    with creel.running(bundle) as name:
        seen = exec_probe(creel, name, "scheduler")["scheduler"]
        assert (seen["policy"], seen["nice"]) == ("SCHED_BATCH", 4)


@pytest.mark.parametrize("scheduler, member", [
    ({}, "policy"), ({"policy": "SCHED_MAGIC"}, "policy"),
    ({"policy": "SCHED_OTHER", "nice": 20}, "nice"),
    ({"policy": "SCHED_OTHER", "priority": 5}, "priority"),
    ({"policy": "SCHED_FIFO"}, "priority"),
    ({"policy": "SCHED_OTHER", "runtime": 5}, "runtime"),
    ({"policy": "SCHED_DEADLINE"}, "policy"),
    ({"policy": "SCHED_DEADLINE", "runtime": 9, "deadline": 5}, "runtime"),
    ({"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_NO"]}, "flags/0")])
def test_scheduler_refused(creel, scheduler, member):
    """config.md Process: /process/scheduler/policy: MUST: a policy is required; what the kernel
    cannot do, and numbers of another policy, are errors."""
    refused(creel, changed(creel, lambda spec: spec["process"].update(scheduler=scheduler)),
            f"/process/scheduler/{member}")


def test_scheduler_iso(creel):
    """config.md Process: /process/scheduler/policy: MUST: SCHED_ISO is known, and refused because no
    kernel has it."""
    refused(creel, changed(creel, lambda spec: spec["process"].update(
        scheduler={"policy": "SCHED_ISO"})), "/process/scheduler")


@pytest.mark.parametrize("kind", ["RT", "BE", "IDLE"])
@pytest.mark.parametrize("priority", [0, 4, 7])
def test_io_priority(creel, kind, priority):
    """config.md Process: /process/ioPriority/class,/process/ioPriority/priority: MUST: the program
    has this class and priority."""
    if kind == "RT":
        harness.require_capability("SYS_NICE")
    report = process(creel, "ioPriority", ioPriority={
        "class": f"IOPRIO_CLASS_{kind}", "priority": priority})["ioPriority"]
    assert report == {"class": f"IOPRIO_CLASS_{kind}", "priority": priority}


@pytest.mark.parametrize("value, member", [
    ({"class": "IOPRIO_CLASS_BE", "priority": 8}, "priority"),
    ({"class": "IOPRIO_CLASS_NONE", "priority": 1}, "class"), ({"priority": 1}, "class")])
def test_io_priority_refused(creel, value, member):
    """config.md Process: /process/ioPriority/class,/process/ioPriority/priority: MUST: other
    classes, and priorities above 7, are errors."""
    refused(creel, changed(creel, lambda spec: spec["process"].update(ioPriority=value)),
            f"/process/ioPriority/{member}")


def test_exec_affinity(creel):
    """config.md Process: /process/execCPUAffinity/initial,/process/execCPUAffinity/final: MUST: a
    process of `exec` runs on these processors; the first process does not care."""
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) < 2:
        pytest.skip("needs two processors")
    last = processors[-1]
    bundle = creel.bundle("/bin/probe", "sections", "affinity",
                          execCPUAffinity={"initial": "0", "final": str(last)})
    assert creel.run_bundle(bundle).json()["affinity"] == processors
    bundle = creel.bundle("/bin/probe", "sleep",
                          execCPUAffinity={"initial": "0", "final": str(last)})
    with creel.running(bundle) as name:
        assert exec_probe(creel, name, "affinity")["affinity"] == [last]


def test_exec_affinity_initial_only(creel):
    """config.md Process: /process/execCPUAffinity/initial: MUST: without a final list the first one
    stays."""
    processors = sorted(os.sched_getaffinity(0))
    bundle = creel.bundle("/bin/probe", "sleep", execCPUAffinity={"initial": str(processors[0])})
    with creel.running(bundle) as name:
        assert exec_probe(creel, name, "affinity")["affinity"] == [processors[0]]


def test_affinity_of_caller(creel):
    """config.md Process: /process/execCPUAffinity: creel: the caller's own affinity does not reach
    the container."""
    processors = sorted(os.sched_getaffinity(0))
    bundle = creel.bundle("/bin/probe", "sections", "affinity")
    result = creel.run_bundle(
        bundle, preexec_fn=lambda: os.sched_setaffinity(0, {processors[0]}))
    assert result.json()["affinity"] == processors


def test_exec_affinity_malformed(creel):
    """config.md Process: /process/execCPUAffinity/initial,/process/execCPUAffinity/final: MUST: a
    list that is none is an error."""
    for member in ("initial", "final"):
        refused(creel, changed(creel, lambda spec, member=member: spec["process"].update(
            execCPUAffinity={member: "0-x"})), f"/process/execCPUAffinity/{member}")


# Personality, memory policy

@pytest.mark.parametrize("domain, number", [("LINUX", 0), ("LINUX32", 8)])
def test_personality(creel, domain, number):
    """config-linux.md Personality: /linux/personality/domain: MUST: the program has this execution
    domain, and so has `exec`."""
    bundle = creel.bundle("/bin/probe", "sleep")
    bundle.spec["linux"]["personality"] = {"domain": domain}
    with creel.running(bundle.write()) as name:
        assert int(exec_probe(creel, name, "personality")["personality"], 16) == number
    report = creel.probe("personality", change=lambda spec: spec["linux"].update(
        personality={"domain": domain}))
    assert int(report["personality"], 16) == number


@pytest.mark.parametrize("value, member", [
    ({}, "domain"), ({"domain": "BSD"}, "domain"),
    ({"domain": "LINUX", "flags": ["ADDR_NO_RANDOMIZE"]}, "flags/0")])
def test_personality_refused(creel, value, member):
    """config-linux.md Personality: /linux/personality/domain,/linux/personality/flags: MUST: a known
    domain is required, and there are no flags."""
    refused(creel, changed(creel, lambda spec: spec["linux"].update(personality=value)),
            f"/linux/personality/{member}")


@pytest.mark.parametrize("mode, nodes, flags, expected", [
    ("MPOL_DEFAULT", "", [], "MPOL_DEFAULT"), ("MPOL_PREFERRED", "0", [], "MPOL_PREFERRED"),
    ("MPOL_BIND", "0", [], "MPOL_BIND"), ("MPOL_INTERLEAVE", "0", [], "MPOL_INTERLEAVE"),
    ("MPOL_LOCAL", "", [], "MPOL_LOCAL"), ("MPOL_PREFERRED_MANY", "0", [], "MPOL_PREFERRED_MANY"),
    ("MPOL_WEIGHTED_INTERLEAVE", "0", [], "MPOL_WEIGHTED_INTERLEAVE"),
    ("MPOL_BIND", "0", ["MPOL_F_STATIC_NODES"], "MPOL_BIND"),
    ("MPOL_INTERLEAVE", "0", ["MPOL_F_RELATIVE_NODES"], "MPOL_INTERLEAVE"),
    ("MPOL_BIND", "0", ["MPOL_F_NUMA_BALANCING"], "MPOL_BIND")])
def test_memory_policy(creel, mode, nodes, flags, expected):
    """config-linux.md Memory policy: /linux/memoryPolicy/mode,/linux/memoryPolicy/nodes,/linux/memoryPolicy/flags: MUST:
    the program has this policy, or is not started when the kernel lacks NUMA."""
    bundle = creel.bundle("/bin/probe", "sections", "memoryPolicy")
    bundle.spec["linux"]["memoryPolicy"] = {"mode": mode, "nodes": nodes, "flags": flags}
    bundle.write()
    if creel.probe("memoryPolicy")["memoryPolicy"] is None:
        refused(creel, bundle, "/linux/memoryPolicy")
        return
    result = creel.run_bundle(bundle, log=True)
    if result.code != 0 and flags:      # not each kernel has each flag
        assert result.error["pointer"].startswith("/linux/memoryPolicy")
        return
    assert result.code == 0, str(result)
    seen = result.json()["memoryPolicy"]
    assert (seen["mode"], seen["flags"]) == (expected, flags)


@pytest.mark.parametrize("value, member", [
    ({"nodes": "0"}, "mode"), ({"mode": "MPOL_LOVE"}, "mode"),
    ({"mode": "MPOL_BIND", "nodes": ""}, "nodes"), ({"mode": "MPOL_LOCAL", "nodes": "0"}, "nodes"),
    ({"mode": "MPOL_BIND", "nodes": "0-"}, "nodes"),
    ({"mode": "MPOL_BIND", "nodes": "0",
      "flags": ["MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES"]}, "flags")])
def test_memory_policy_refused(creel, value, member):
    """config-linux.md Memory policy: /linux/memoryPolicy/mode,/linux/memoryPolicy/nodes,/linux/memoryPolicy/flags: MUST:
    a known mode is required, with nodes or without as it needs, and flags that agree."""
    refused(creel, changed(creel, lambda spec: spec["linux"].update(memoryPolicy=value)),
            f"/linux/memoryPolicy/{member}")


# File descriptors, and the rest that a program inherits

def test_descriptors(creel):
    """runtime-linux.md File descriptors: /process: MUST: only the three standard streams stay
    open."""
    read, write = os.pipe()
    os.set_inheritable(read, True)
    os.set_inheritable(write, True)
    bundle = creel.bundle("/bin/probe", "sections", "fds")
    result = creel.run_bundle(bundle, close_fds=False)
    os.close(read)
    os.close(write)
    assert [item["fd"] for item in result.json()["fds"]] == [0, 1, 2]


def test_descriptors_preserved(creel):
    """runtime-linux.md File descriptors: /process: MAY: descriptors that are asked for pass."""
    read, write = os.pipe()
    bundle = creel.bundle("/bin/probe", "sections", "fds")

    def place():
        os.dup2(read, 3)
        os.set_inheritable(3, True)
    result = creel.run_bundle(bundle, "--preserve-fds", "1", preexec_fn=place, pass_fds=(3,))
    os.close(read)
    os.close(write)
    assert [item["fd"] for item in result.json()["fds"]] == [0, 1, 2, 3]


def test_null_is_the_containers(creel):
    """runtime-linux.md Standard streams: /process: MUST: a stream that is the host's /dev/null is
    the container's /dev/null."""
    bundle = creel.bundle("/bin/probe", "sections", "fds")
    links = {item["fd"]: item for item in creel.run_bundle(bundle).json()["fds"]}
    assert links[0]["link"] == "/dev/null" and links[0]["type"] == "char"


def test_signals_are_default(creel):
    """config.md Process: /process: creel: the program starts with no signal blocked or ignored."""
    bundle = creel.bundle("/bin/probe", "sections", "signals")
    def block():
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGTERM})
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    report = creel.run_bundle(bundle, preexec_fn=block).json()["signals"]
    assert report == {"blocked": [], "ignored": [], "caught": []}


def test_no_runtime_traces(creel):
    """config.md Process: /process: creel: no death signal, subreaper or dumpable flag of the runtime
    remains."""
    report = creel.probe("process", "dumpable", "securebits")
    assert report["process"]["pdeathsig"] == 0 and not report["process"]["subreaper"]
    assert report["process"]["pid"] == 1 and report["process"]["ppid"] == 0
    assert report["dumpable"] == 1 and report["securebits"] == 0


def test_exec_other_user(creel):
    """config.md User: /process/user: MUST: `exec --user` gives other ids."""
    with creel.running() as name:
        report = creel.ok("exec", "--user", "12:34", name, "/bin/probe", "sections",
                          "uid,gid").json()
        assert report["uid"]["effective"] == 12 and report["gid"]["effective"] == 34


def test_process_in_userns(creel):
    """config.md User: /process/user/uid: MUST: ids are those of the container's user namespace."""
    bundle = creel.bundle("/bin/probe", "sleep", userns=True, user={"uid": 7, "gid": 8})
    with creel.running(bundle) as name:
        pid = creel.state(name)["pid"]
        assert os.stat(f"/proc/{pid}/ns/user")
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        assert "Uid:\t100007\t100007\t100007\t100007" in status
        assert "Gid:\t100008\t100008\t100008\t100008" in status
