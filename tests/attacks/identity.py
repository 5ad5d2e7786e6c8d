"""Attacks with who a process is: user strings, groups, capabilities, passwd files, environments."""

import copy
import json
import os
import pathlib
import struct
import time

import world as w
from world import attack

PASSWD = "".join(f"{name}:x:0:0:root:/root:/bin/sh\n" for name in
                 ("1000", "0x0", "+0", "4294967296", "root", "-1", "1"))
REFUSED = ["", ":", "1:", ":5", "-1", "1:-1", "+1", " 1", "1 ", "0x1", "1e3", "1.0", "1x", "1:2:3",
           "4294967295", "4294967296", "18446744073709551616", "1:4294967296", "１", "root", "0x0"]


def _ids(text):
    """(uid, gid) of a report of the probe."""
    try:
        report = json.loads(text)
        return report["uid"]["effective"], report["gid"]["effective"]
    except (ValueError, KeyError, TypeError):
        return None


def _no_root(world, what, result, allowed=()):
    ids = _ids(result.out)
    if result.code == 0 and ids and ids not in allowed:
        world.hit(f"{what!r} became {ids}")


ROOT = w.says('{"uid": {"effective": 0}, "gid": {"effective": 0}, "groups": [0, 4242], '
              '"capabilities": {"inheritable": "0000000000200000", '
              '"effective": "0000000000200000"}}')
PROBE = ("/bin/probe", "sections", "uid,gid,groups,capabilities")


@attack("A-01", plant=ROOT)
def passwd_names_a_number(world):
    """A-01 (CVE-2016-3697): the image's passwd has a user called 1000 that is root."""
    (world.rootfs / "etc/passwd").write_text(PASSWD)
    result = world.run(world.spec(*PROBE, user={"uid": 1000, "gid": 1000}))
    if _ids(result.out) != (1000, 1000):
        world.hit(f"uid 1000 became {result}")


@attack("A-01", plant=ROOT, user=["1000", "0x0", "+0", "4294967296", "-1"])
def passwd_names_a_number_exec(world, user):
    """A-01 (CVE-2016-3697): the same through exec --user."""
    (world.rootfs / "etc/passwd").write_text(PASSWD)
    with world.running() as name:
        result = world.command("exec", "--user", user, name, *PROBE)
        _no_root(world, user, result, [(1000, 0), (1000, 1000)] if user == "1000" else [])


@attack("A-29", peers=("crun",))
def exec_user_one(world):
    """A-29, W-12 (CVE-2026-30892): exec -u 1 became root."""
    with world.running() as name:
        result = world.command("exec", "-u", "1", name, "/bin/busybox", "id", "-u")
        if result.code == 0 and result.out.strip() == "0":
            world.hit("user 1 became root")


@attack("W-12", plant=ROOT)
def exec_user_strings(world):
    """W-12, B-08 (CVE-2024-40635): every user string that is not exactly UID or UID:GID."""
    with world.running() as name:
        for text in REFUSED:
            _no_root(world, text, world.command("exec", "--user", text, name, *PROBE))
        for text, ids in (("1", (1, 0)), ("1:2", (1, 2)), ("4294967294", (4294967294, 0))):
            result = world.command("exec", "--user", text, name, *PROBE)
            if _ids(result.out) != ids:
                world.hit(f"{text!r} became {result}")


@attack("W-12", plant=ROOT)
def exec_group_strings(world):
    """W-12: every string that is no group id, for exec --additional-gids."""
    with world.running() as name:
        for text in REFUSED:
            _no_root(world, text, world.command("exec", "--user", "5:5", "--additional-gids", text,
                                                name, *PROBE))


def _values():
    return (-1, 4294967295, 4294967296, 2 ** 64, 0.5, 1e300, "0", "1000", True, [0], {"a": 1},
            -4294967296)


@attack("W-12", plant=ROOT)
def config_ids(world):
    """W-12, B-08: numbers in config.json that other readers take for 0."""
    for member in ("uid", "gid"):
        for value in _values():
            spec = world.spec(*PROBE, user={"uid": 1, "gid": 1, member: value})
            _no_root(world, value, world.run(spec))


@attack("W-12", plant=ROOT)
def process_file_ids(world):
    """W-12: the same in the process.json of exec."""
    process = copy.deepcopy(world.spec(*PROBE)["process"])
    with world.running() as name:
        for value in _values():
            process["user"] = {"uid": value, "gid": 1}
            path = world.directory / "process.json"
            path.write_text(json.dumps(process))
            _no_root(world, value, world.command("exec", "--process", path, name))


@attack("W-12", plant=w.says("0 0 4294967295"), mapping=[
    "0 4294967295 2", "4294967295 0 1", "0 0 4294967296", "0 4294967290 100", "0 0 0",
    "-1 0 1", "0 -1 1"])
def mapping_overflow(world, mapping):
    """W-12, H-21: an id map whose numbers overflow must not wrap around to the host's root."""
    inside, outside, size = map(int, mapping.split())
    spec = world.spec("/bin/busybox", "cat", "/proc/self/uid_map", userns=True)
    spec["mounts"] = [world.proc()]
    spec["linux"]["uidMappings"] = [{"containerID": inside, "hostID": outside, "size": size}]
    result = world.run(spec)
    if result.code == 0:
        world.hit(f"the map {mapping} was accepted: {result}")


@attack("A-10", plant=lambda world, words: _host_user_namespace(), what=["mappings", "cgroup", "namespace", "environment"])
def oversized(world, what):
    """A-10 (CVE-2021-43784): 64 KiB and more of something that is handed to the first child."""
    spec = world.spec("/bin/probe", "sections", "namespaces", userns=True)
    spec["mounts"] = [world.proc()]
    if what == "mappings":
        spec["linux"]["uidMappings"] = [{"containerID": i, "hostID": 200000 + i, "size": 1}
                                        for i in range(5000)]
    elif what == "cgroup":
        spec["linux"]["cgroupsPath"] = "/" + "/".join(["a" * 200] * 400)
    elif what == "namespace":
        spec["linux"]["namespaces"][1]["path"] = "/proc/self/ns/" + "x" * 70000
    else:
        spec["process"]["env"] = [f"A{i}=" + "x" * 60000 for i in range(30)]
    result = world.run(spec)
    # The environment is within the kernel's limits: then nothing else may have changed by it.
    if result.code == 0 and (what != "environment" or _host_user_namespace() in result.out):
        world.hit(f"an oversized {what} was accepted: {result}")


def _host_user_namespace():
    return str(os.stat("/proc/self/ns/user").st_ino)


@attack("A-11", plant=ROOT, userns=["", "userns"])
def inheritable(world, userns):
    """A-11, A-12, A-13 (CVE-2022-29162, CVE-2025-27612): inheritable capabilities nobody asked for."""
    spec = world.spec(*PROBE, userns=bool(userns))
    result = world.run(spec)
    if int(json.loads(result.out)["capabilities"]["inheritable"], 16):
        world.hit(f"inheritable capabilities: {result}")


@attack("A-12", plant=ROOT)
def inheritable_exec(world):
    """A-12 (CVE-2022-27650): exec --cap must not make a capability inheritable."""
    with world.running() as name:
        result = world.command("exec", "--cap", "CAP_NET_RAW", name, *PROBE)
        if int(json.loads(result.out)["capabilities"]["inheritable"], 16):
            world.hit(f"inheritable capabilities: {result}")


@attack("A-11", plant=ROOT)
def file_capabilities(world):
    """A-11: a program with inheritable file capabilities, run by a user without any right."""
    program = world.rootfs / "bin/raised"
    program.write_bytes((world.rootfs / "bin/probe").read_bytes())
    program.chmod(0o755)
    every = 1 << 21 | 1 << 7
    os.setxattr(program, "security.capability",
                struct.pack("<IIIII", 0x02000001, 0, every, 0, 0))
    spec = world.spec("/bin/raised", "sections", "capabilities", user={"uid": 1000, "gid": 1000})
    result = world.run(spec)
    if int(json.loads(result.out)["capabilities"]["effective"], 16):
        world.hit(f"the program has gained capabilities: {result}")


@attack("B-06", plant=ROOT)
def caller_groups(world):
    """B-06 (CVE-2022-2989): additional groups of whoever calls the runtime stay outside."""
    result = world.run(world.spec(*PROBE, user={"uid": 1000, "gid": 1000}),
                       preexec=lambda: os.setgroups([4242, 0]))
    if json.loads(result.out)["groups"]:
        world.hit(f"groups of the caller: {result}")


@attack("B-06", plant=ROOT)
def exec_groups(world):
    """B-06 (CVE-2022-36109): exec has exactly the groups that the container's process lists."""
    spec = world.spec("/bin/probe", "sleep",
                      user={"uid": 1000, "gid": 1000, "additionalGids": [7, 9]})
    with world.running(spec) as name:
        result = world.command("exec", name, *PROBE, preexec=lambda: os.setgroups([4242, 0]))
        if sorted(json.loads(result.out)["groups"]) != [7, 9]:
            world.hit(f"other groups: {result}")


@attack("B-07", plant=w.touches(), kind=["fifo", "huge", "device", "directory", "link"])
def hostile_passwd(world, kind):
    """B-07 (CVE-2022-4318, CVE-2025-4437): /etc/passwd of the image hangs or fills memory."""
    for name in ("passwd", "group"):
        path = world.rootfs / "etc" / name
        path.unlink()
        if kind == "fifo":
            os.mkfifo(path)
        elif kind == "huge":
            with open(path, "wb") as file:
                file.truncate(1 << 40)
        elif kind == "device":
            os.mknod(path, 0o20666, os.makedev(1, 5))
        elif kind == "directory":
            path.mkdir()
        else:
            path.symlink_to("/proc/self/fd/0")
    world.run(world.spec("/bin/busybox", "true", user={"uid": 1000, "gid": 1000}), timeout=40)


@attack("B-07", plant=w.says('{"env": ["EVIL=1"]}'))
def home_newline(world):
    """B-07 (CVE-2022-4318): a home directory in passwd that would add variables."""
    (world.rootfs / "etc/passwd").write_text(
        "u:x:1000:1000:x:/home\\nEVIL=1\x00LD_PRELOAD=/evil.so\r:/bin/sh\nEVIL=1\n")
    result = world.run(world.spec("/bin/probe", "sections", "env",
                                  user={"uid": 1000, "gid": 1000}))
    if any(line.startswith(("EVIL", "LD_")) for line in json.loads(result.out or '{"env":[]}')["env"]):
        world.hit(f"a variable out of passwd: {result}")


@attack("B-14", plant=w.leaks_secret, text=["HOSTSECRET", "HOSTSECRET*", "", "=x"])
def malformed_environment(world, text):
    """B-14 (CVE-2026-57231): an entry without a value must not pull the host's variable."""
    spec = world.spec("/bin/probe", "sections", "env")
    spec["process"]["env"].append(text)
    world.run(spec, env={**os.environ, "HOSTSECRET": world.secret})


@attack("B-14", plant=w.leaks_secret)
def exec_environment(world):
    """B-14: exec --env NAME, and everything else of the caller's environment."""
    with world.running() as name:
        world.command("exec", "--env", "HOSTSECRET", name, "/bin/probe", "sections", "env",
                      env={**os.environ, "HOSTSECRET": world.secret})
        world.command("exec", name, "/bin/probe", "sections", "env",
                      env={**os.environ, "HOSTSECRET": world.secret})


@attack("A-33", plant=w.touches("null", "x"))
def null_changes_owner(world):
    """A-33 (runc#3674): a device of the host as a standard stream must keep its owner."""
    device = world.canary / "device"
    os.mknod(device, 0o20666, os.makedev(1, 3))
    os.chown(device, 0, 0)
    with open(device, "r+b", buffering=0) as file:
        world.run(world.spec("/bin/busybox", "true", user={"uid": 1000, "gid": 1000}),
                  stdin=file, stdout=file)


@attack("A-33", plant=w.says("hello"), profile=["unconfined_foo", "no-such-profile"])
def profile_names(world, profile):
    """A-33 (crun 1.29.1): a profile that only begins like "unconfined" is a profile."""
    spec = world.spec("/bin/busybox", "cat", "/proc/self/attr/current",
                      apparmorProfile=profile)
    spec["mounts"] = [world.proc()]
    result = world.run(spec)
    if result.code == 0 and profile not in result.out:
        world.hit(f"started without its profile: {result}")


@attack("A-43", plant=w.says("setuid"))
def never_setuid(world):
    """A-43, A-42, A-53, A-55 (CVE-2018-6556, CVE-2020-5291): nothing of ours may be setuid."""
    if world.plant:
        world.runtime = str(world.directory / "raised")
        pathlib.Path(world.runtime).touch()
        os.chmod(world.runtime, 0o4755)
    info = os.stat(world.runtime)
    if info.st_mode & 0o6000 or "security.capability" in os.listxattr(world.runtime):
        world.hit("the binary raises whoever runs it")
