#!/usr/bin/python3
"""Runs the same configurations under creel, runc and crun in the fast laboratory, and compares what
the probe sees.

Every difference is either in the table of DIFFERENCES.md, with its reason, or fails this test; so
does a row of the table that no configuration needs any more.
"""

import argparse
import copy
import fnmatch
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
TESTS = HERE.parent
sys.path.insert(0, str(TESTS / "support"))

import bundles  # noqa: E402

RUNTIMES = ("creel", "runc", "crun")
SECTIONS = ("argv,env,cwd,uid,gid,groups,umask,capabilities,noNewPrivs,seccomp,dumpable,securebits,"
            "rlimits,oomScoreAdj,personality,process,signals,scheduler,nice,ioPriority,affinity,"
            "memoryPolicy,keyring,hostname,domainname,namespaces,timeOffsets,cgroup,mounts,fds,dev,"
            "tty,network")
CONFIGS = {}


def config(name, **members):
    """Declares a configuration: MEMBERS of process, or a function that changes the whole."""
    def declare(change):
        CONFIGS[name] = (change, members)
        return change
    return declare


def mount(spec, destination, kind, source, options=(), **more):
    """Appends a mount."""
    spec["mounts"].append({"destination": destination, "type": kind, "source": str(source),
                           "options": list(options), **more})


def drop(spec, kind):
    """Takes a namespace away."""
    spec["linux"]["namespaces"] = [n for n in spec["linux"]["namespaces"] if n["type"] != kind]


def declare_process():
    """Members of process alone."""
    everything = {name: sorted(f"CAP_{c}" for c in bundles.CAPABILITY_NUMBERS
                               if c != "SYS_RESOURCE") for name in
                  ("bounding", "effective", "permitted", "inheritable", "ambient")}
    few = {"bounding": ["CAP_KILL", "CAP_CHOWN"], "permitted": ["CAP_KILL", "CAP_CHOWN"],
           "effective": ["CAP_KILL"]}
    ambient = {name: ["CAP_KILL"] for name in everything}
    members = {
        "default": {},
        "umask-077": {"user": {"uid": 0, "gid": 0, "umask": 0o77}},
        "umask-0": {"user": {"uid": 0, "gid": 0, "umask": 0}},
        "user": {"user": {"uid": 1000, "gid": 1000}},
        "user-groups": {"user": {"uid": 5, "gid": 6, "additionalGids": [7, 8, 9]}},
        "root-groups": {"user": {"uid": 0, "gid": 0, "additionalGids": [44]}},
        "caps-none": {"capabilities": {}},
        "caps-few": {"capabilities": few},
        "caps-all": {"capabilities": everything},
        "caps-ambient-user": {"capabilities": ambient, "user": {"uid": 9, "gid": 9}},
        "caps-user": {"capabilities": few, "user": {"uid": 9, "gid": 9}},
        "privileges": {"noNewPrivileges": False},
        "rlimits": {"rlimits": [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
                                {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
                                {"type": "RLIMIT_NPROC", "soft": 50, "hard": 60}]},
        "no-rlimits": {"rlimits": []},
        "oom-score": {"oomScoreAdj": 500},
        "cwd": {"cwd": "/usr/bin"},
        "cwd-new": {"cwd": "/made/new"},
        "env-home": {"env": ["PATH=/bin", "HOME=/somewhere"]},
        "env-empty": {"env": []},
        "env-empty-home": {"env": ["HOME="]},
        "env-twice": {"env": ["A=1", "B=2", "A=3"]},
        "io-be": {"ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 5}},
        "io-idle": {"ioPriority": {"class": "IOPRIO_CLASS_IDLE", "priority": 0}},
        "sched-batch": {"scheduler": {"policy": "SCHED_BATCH", "nice": 5}},
        "sched-idle": {"scheduler": {"policy": "SCHED_IDLE"}},
        "sched-fifo": {"scheduler": {"policy": "SCHED_FIFO", "priority": 7}},
        "sched-rr": {"scheduler": {"policy": "SCHED_RR", "priority": 7}},
    }
    for name, process in members.items():
        config(name, **process)(lambda spec: None)


def declare_world():
    """The rest."""
    def namespace(kind):
        def change(spec):
            drop(spec, kind)
            if kind == "uts":
                spec.pop("hostname")
        return change
    for kind in ("network", "ipc", "uts", "cgroup", "pid"):
        config(f"no-{kind}")(namespace(kind))

    def linux(**members):
        return lambda spec: spec["linux"].update(members)
    config("time")(lambda spec: (spec["linux"]["namespaces"].append({"type": "time"}),
                                 spec["linux"].update(timeOffsets={
                                     "boottime": {"secs": 1000}, "monotonic": {"secs": 2000}})))
    config("writable")(lambda spec: spec["root"].update(readonly=False))
    config("domainname")(lambda spec: spec.update(domainname="example.org"))
    config("no-masks")(linux(maskedPaths=[], readonlyPaths=[]))
    config("mask-file")(linux(maskedPaths=["/etc/passwd", "/usr"]))
    config("readonly-path")(linux(readonlyPaths=["/tmp", "/proc/sys"]))
    config("personality")(linux(personality={"domain": "LINUX32"}))
    config("sysctl")(linux(sysctl={"net.ipv4.ip_forward": "1", "kernel.msgmax": "9000"}))
    config("device")(linux(devices=[{"path": "/dev/mine", "type": "c", "major": 1, "minor": 5,
                                     "fileMode": 0o640, "uid": 3, "gid": 4}]))
    config("device-fifo")(linux(devices=[{"path": "/dev/pipe", "type": "p", "fileMode": 0o600}]))
    config("device-block")(linux(devices=[{"path": "/dev/disk", "type": "b", "major": 7,
                                           "minor": 0}]))
    for value in ("private", "slave", "shared", "unbindable"):
        config(f"propagation-{value}")(linux(rootfsPropagation=value))
    errno = [{"names": ["getppid"], "action": "SCMP_ACT_ERRNO"}]
    filtered = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
                "syscalls": errno}
    config("seccomp", args=["/bin/probe", "syscall", "110"])(linux(seccomp=filtered))
    config("seccomp-privileges", noNewPrivileges=False)(linux(seccomp=filtered))
    config("memory-policy")(linux(memoryPolicy={"mode": "MPOL_LOCAL", "nodes": ""}))

    def user(spec):
        maps = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        spec["linux"]["namespaces"].append({"type": "user"})
        spec["linux"].update(uidMappings=maps, gidMappings=copy.deepcopy(maps))
    config("user-namespace")(user)
    config("user-namespace-user", user={"uid": 7, "gid": 8})(user)
    config("user-namespace-privileges", noNewPrivileges=False)(user)

    def mounted(*mounts):
        return lambda spec: [mount(spec, *each) for each in mounts]
    config("tmpfs")(mounted(("/mnt", "tmpfs", "tmpfs", ["size=1m", "mode=700", "nosuid"])))
    config("tmpfs-plain")(mounted(("/mnt", "tmpfs", "tmpfs")))
    config("tmpfs-ro")(mounted(("/mnt", "tmpfs", "tmpfs", ["ro"])))
    config("tmpfs-noatime")(mounted(("/mnt", "tmpfs", "tmpfs", ["noatime", "nodiratime"])))
    config("tmpfs-strictatime")(mounted(("/mnt", "tmpfs", "tmpfs", ["strictatime"])))
    config("tmpfs-sync")(mounted(("/mnt", "tmpfs", "tmpfs", ["sync", "dirsync"])))
    config("tmpcopyup")(mounted(("/usr", "tmpfs", "tmpfs", ["tmpcopyup"])))
    config("nested")(mounted(("/mnt", "tmpfs", "tmpfs"), ("/mnt/a/b", "tmpfs", "tmpfs")))
    config("bind")(mounted(("/mnt", "bind", "/usr/share", ["rbind"])))
    config("bind-ro")(mounted(("/mnt", "bind", "/usr/share", ["bind", "ro", "nosuid", "nodev"])))
    config("bind-rro")(mounted(("/mnt", "bind", "/usr/share", ["rbind", "rro"])))
    config("bind-file")(mounted(("/etc/passwd", "bind", "/etc/hostname", ["bind", "ro"])))
    config("bind-new-file")(mounted(("/opt/new/file", "bind", "/etc/hostname", ["bind"])))
    for value in ("private", "rslave", "rshared", "unbindable"):
        config(f"bind-{value}")(mounted(("/mnt", "bind", "/usr/share", ["rbind", value])))
    config("cgroup-rw")(lambda spec: spec["mounts"][-1].update(options=["rw"]))
    config("no-proc")(lambda spec: (spec.update(mounts=[
        m for m in spec["mounts"] if m["destination"] != "/proc"]),
        spec["linux"].update(maskedPaths=[], readonlyPaths=[])))
    config("no-sys")(lambda spec: spec.update(mounts=[
        m for m in spec["mounts"] if not m["destination"].startswith("/sys")]))
    declare_refused()


def declare_refused():
    """What has to be refused."""
    def change(*path, value):
        def apply(spec):
            for key in path[:-1]:
                spec = spec.setdefault(key, {}) if isinstance(spec, dict) else spec[key]
            spec[path[-1]] = value
        return apply
    config("bad-args")(change("process", "args", value=["/bin/nosuch"]))
    config("bad-cwd")(change("process", "cwd", value="relative"))
    config("bad-rlimit")(change("process", "rlimits", value=[
        {"type": "RLIMIT_X", "soft": 1, "hard": 1}]))
    config("bad-rlimit-twice")(change("process", "rlimits", value=[
        {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}] * 2))
    config("bad-namespace-twice")(lambda spec: spec["linux"]["namespaces"].append({"type": "ipc"}))
    config("bad-sysctl")(change("linux", "sysctl", value={"vm.swappiness": "1"}))
    config("bad-source")(lambda spec: mount(spec, "/mnt", "bind", "/nonexistent", ["bind"]))
    config("bad-type")(lambda spec: mount(spec, "/mnt", "nosuchfs", "none"))
    config("bad-capability")(lambda spec: spec["process"]["capabilities"]["bounding"].append(
        "CAP_NO_SUCH"))
    config("bad-propagation")(change("linux", "rootfsPropagation", value="wide"))
    config("bad-mapping")(change("linux", "uidMappings", value=[
        {"containerID": 0, "hostID": 1, "size": 1}]))
    config("bad-in-proc")(lambda spec: mount(spec, "/proc/self", "tmpfs", "tmpfs"))


# What a report looks like without the numbers that differ from run to run

def plain_mount(entry, bundle):
    """A mount by what matters."""
    root = entry["root"].replace(str(bundle), "BUNDLE")
    root = re.sub(r"/[^/]*(creel|runc|crun)-[a-z0-9-]*", "/ID", root)
    volatile = ("lowerdir=", "upperdir=", "workdir=", "inode64", "size=", "nr_inodes=")
    return {"type": entry["type"], "source": entry["source"], "root": root,
            "options": sorted(entry["options"]),
            "propagation": sorted(re.sub(r":\d+", "", word) for word in entry["propagation"]),
            "super": sorted(o for o in entry["super"] if not o.startswith(volatile) or
                            o == "size=1024k")}


def plain(report, bundle, name):
    """A report that can be compared."""
    out = dict(report)
    if out.get("mounts"):
        mounts, seen = {}, {}
        for entry in out["mounts"]:
            number = seen[entry["target"]] = seen.get(entry["target"], 0) + 1
            key = entry["target"] + (f" ({number})" if number > 1 else "")
            mounts[key] = plain_mount(entry, bundle)
        out["mounts"] = mounts
    if out.get("namespaces"):
        out["namespaces"] = {
            kind: "ours" if inode == os.stat(f"/proc/self/ns/{kind}").st_ino else "new"
            for kind, inode in out["namespaces"].items()}
    if out.get("dev") is not None:
        out["dev"] = {e["name"]: {k: e.get(k) for k in ("type", "mode", "uid", "gid", "rdev", "link")}
                      for e in out["dev"]}
    if out.get("keyring"):
        text = out["keyring"]["description"] or ""
        out["keyring"] = re.sub(r";[^;]*$", ";NAME", text.replace(name, "ID"))
    if out.get("fds") is not None:
        out["fds"] = {str(e["fd"]): {"type": e["type"], "mode": e["mode"],
                                     "link": re.sub(r":\[\d+\]$", "", e["link"] or "")} for e in out["fds"]}
    if out.get("network"):
        out["network"] = {e["name"]: {"flags": sorted(e["flags"]),
                                      "addresses": sorted(e["addresses"])} for e in out["network"]}
    if out.get("cgroup"):
        out["cgroup"] = [re.sub(r"[^/]*" + re.escape(name), "ID", e["path"]) for e in out["cgroup"]]
    if isinstance(out.get("process"), dict):
        if out["process"]["pid"] != 1:
            for key in ("pid", "ppid", "sid", "pgid"):
                out["process"][key] = "host"
    return out


def flatten(value, path=""):
    """A report as a dict from path to value."""
    if not isinstance(value, dict):
        return {path: json.dumps(value, sort_keys=True)}
    flat = {}
    for key, inner in value.items():
        flat.update(flatten(inner, f"{path}.{key}" if path else key))
    return flat


def run(binary, runtime, name, directory, rootfs_maker):
    """What one configuration gives under one runtime: a flat dict."""
    change, members = CONFIGS[name]
    ident = f"{runtime}-{name}"
    base = directory / ident
    spec = bundles.default_spec(("/bin/probe", "sections", SECTIONS))
    spec["process"].update(copy.deepcopy(members))
    spec["linux"]["cgroupsPath"] = f"/{ident}"
    change(spec)
    rootfs = rootfs_maker(base / "rootfs", 100000 if "uidMappings" in spec["linux"] else 0)
    (rootfs / "usr/file").write_text("x")
    bundle = bundles.make_bundle(base / "bundle", spec, rootfs)
    done = subprocess.run([binary, "--root", directory / f"state-{runtime}", "run", "--bundle",
                           bundle, ident], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False, timeout=60)
    subprocess.run([binary, "--root", directory / f"state-{runtime}", "delete", "--force", ident],
                   capture_output=True, check=False, timeout=60)
    shutil.rmtree(base)
    cgroup = pathlib.Path("/sys/fs/cgroup") / ident
    if cgroup.exists() and runtime == "creel":
        return {"left": str(cgroup)}, []
    if cgroup.exists():
        cgroup.rmdir()
    if done.returncode != 0:
        return {"refused": "true"}, done.stderr.strip().splitlines()[:1]
    try:
        return flatten(plain(json.loads(done.stdout), base, ident)), []
    except ValueError:
        return {"output": done.stdout[:200]}, []


def allowed():
    """The table of DIFFERENCES.md: (configuration, runtime, what, reason)."""
    rows = []
    for line in (HERE / "DIFFERENCES.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip().strip("`") for cell in line.strip().strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 4:
            rows.append(tuple(cells))
    return rows


def find(rows, name, runtime, what):
    """The row that allows a difference, or None."""
    for row in rows:
        if all(fnmatch.fnmatchcase(value, pattern) for value, pattern in
               zip((name, runtime, what), row)):
            return row
    return None


def compare(binaries, names, verbose):
    """Runs all; returns the exit code."""
    rows, used, unexpected, count = allowed(), set(), 0, 0
    directory = pathlib.Path(tempfile.mkdtemp(prefix="differential-"))
    directory.chmod(0o755)
    programs = {"/bin/probe": os.environ["CREEL_PROBE"]}

    def rootfs_maker(path, owner):
        path.mkdir(parents=True)
        return bundles.make_rootfs(path, programs, owner)
    for name in names:
        results = {runtime: run(binaries[runtime], runtime, name, directory, rootfs_maker)
                   for runtime in RUNTIMES}
        ours, why = results["creel"]
        for runtime in RUNTIMES[1:]:
            theirs, their_why = results[runtime]
            keys = sorted(set(ours) | set(theirs))
            if "refused" in ours or "refused" in theirs:
                keys = ["refused"]
            for key in keys:
                if ours.get(key) == theirs.get(key):
                    continue
                count += 1
                row = find(rows, name, runtime, key)
                used.add(row)
                if row and not verbose:
                    continue
                unexpected += row is None
                print(f"{'  ' if row else '! '}{name} {runtime} {key}: creel {ours.get(key)} "
                      f"{' '.join(why)}, {runtime} {theirs.get(key)} {' '.join(their_why)}")
    shutil.rmtree(directory)
    stale = [row for row in rows if row not in used] if len(names) == len(CONFIGS) else []
    for row in stale:
        print(f"! DIFFERENCES.md: nothing needs the row {' '.join(row[:3])}")
    print(f"{len(names)} configurations, {count} differences, {unexpected} unexpected, "
          f"{len(stale)} stale rows")
    return 1 if unexpected or stale else 0


def outside(arguments):
    """Starts the laboratory with this script in it."""
    creel = pathlib.Path(os.environ.get("CREEL") or TESTS.parent / "build/creel").resolve()
    with tempfile.TemporaryDirectory(prefix="differential-") as directory:
        probe = bundles.build_probe(directory)
        shutil.copy(creel, pathlib.Path(directory) / "creel")
        environment = {**os.environ, "CREEL_BINARY": f"{directory}/creel", "CREEL_PROBE": str(probe)}
        return subprocess.run([TESTS / "lab/fast", "--bind", directory, "--timeout", "600",
                               "/usr/bin/python3", HERE / "differential.py", *arguments],
                              env=environment, check=False).returncode


def main():
    """Inside or outside."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--verbose", action="store_true", help="print allowed differences too")
    parser.add_argument("name", nargs="*", help="run only these configurations")
    options = parser.parse_args()
    declare_process()
    declare_world()
    if os.environ.get("CREEL_LAB") != "fast":
        return outside(sys.argv[1:])
    binaries = {"creel": os.environ["CREEL_BINARY"], "runc": shutil.which("runc"),
                "crun": shutil.which("crun")}
    return compare(binaries, options.name or list(CONFIGS), options.verbose)


if __name__ == "__main__":
    sys.exit(main())
