"""One worker of the sweep, as process 1 of its own namespaces: records the system calls of each operation, then runs it once
for every fault and every kill of its share, and compares the container and the host with how they were."""

import argparse
import collections
import json
import os
import pathlib
import re
import subprocess
import time

import faults
import host as hosts

UPDATED = str(1 << 23)
DEADLINE = 20.0

# The container that an operation needs, its words, and whether the container serves for the next run too.
OPERATIONS = {
    "create": (None, ["create", "--bundle", "BUNDLE", "ID"], False),
    "run": (None, ["run", "--detach", "--bundle", "BUNDLE", "ID"], False),
    "run-foreground": (None, ["run", "--bundle", "BUNDLE", "ID"], False),
    "start": ("created", ["start", "ID"], False),
    "exec": ("running", ["exec", "ID", "/bin/probe"], True),
    "exec-detached": ("running", ["exec", "--detach", "ID", "/bin/probe"], True),
    "update": ("running", ["update", "--resources", "LIMITS", "ID"], True),
    "pause": ("running", ["pause", "ID"], True),
    "resume": ("paused", ["resume", "ID"], True),
    "state": ("running", ["state", "ID"], True),
    "kill": ("running", ["kill", "ID", "KILL"], False),
    "delete": ("stopped", ["delete", "ID"], False),
    "delete-force": ("running", ["delete", "--force", "ID"], False),
}


def operations_of(config, options):
    """The operations to try; where only the birth differs, those that have one or undo it."""
    births = ("create", "run", "start", "exec", "kill", "delete-force")
    return [op for op in options.operations if config != "joined" or op in births]


class Lost(Exception):
    """The harness itself cannot go on."""


def flatten(value, path=""):
    """A tree as a dict from pointer to leaf."""
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    else:
        return {path: value}
    found = {path: "dict" if isinstance(value, dict) else len(value)}
    for key, item in items:
        found.update(flatten(item, f"{path}/{key}"))
    return found


class Worker:
    """The runtime, the room, and what the last command did."""

    def __init__(self, options):
        self.options = options
        self.runtime = str(pathlib.Path(options.runtime).resolve())
        self.name = pathlib.Path(options.runtime).name
        if self.name != "creel":
            hosts.unify()
        self.host = hosts.Host(f"{options.token}-{options.share}")
        self.out = self.host.directory / "out"
        self.err = self.host.directory / "out.err"
        self.report = self.host.directory / "out.report"
        self.limits = self.host.directory / "limits.json"
        self.limits.write_text(json.dumps(
            {"hugepageLimits": [{"pageSize": "2MB", "limit": int(UPDATED)}]}))
        names = json.loads(pathlib.Path(options.inject).with_name("syscalls.json").read_text())
        self.names = {int(number): name for number, name in names.items()}
        self.numbers = {name: number for number, name in self.names.items()}
        self.bundles, self.kept, self.stable = {}, None, {}
        self.host.root.mkdir()

    # Commands

    def command(self, words):
        words = [self.host.name if word == "ID" else word for word in words]
        return [self.runtime, "--root", str(self.host.root), *words]

    def run(self, *words, check=False):
        """A command of the runtime without faults: its exit code, or None when it hung."""
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            process = subprocess.Popen(self.command(words), stdin=subprocess.DEVNULL, stdout=out,
                                       stderr=err)
            code = hosts.wait_as_init(process, DEADLINE * 3)
            if code is None:
                process.kill()
                process.wait()
        if check and code != 0:
            raise Lost(f"{words} gave {code}: {self.err.read_text()}")
        return code

    def inject(self, words, attach=None, at=None, action=None):
        """A command under the injector: its report, as a dict."""
        argv = [self.options.inject, "--out", str(self.report), "--deadline", str(int(DEADLINE * 1000))]
        if attach:
            argv += ["--attach", str(attach)]
        if at:
            argv += ["--at", at, action]
        self.report.unlink(missing_ok=True)
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            code = subprocess.run([*argv, "--", *self.command(words)], stdin=subprocess.DEVNULL,
                                  stdout=out, stderr=err, check=False).returncode
        if code != 0:
            raise Lost(f"inject gave {code}: {self.err.read_text()}")
        report = {"calls": [], "crash": [], "hang": [], "hit": False, "exit": None}
        for line in self.report.read_text().splitlines():
            kind, *fields = line.split(" ")
            if kind == "call":
                report["calls"].append(fields)
            elif kind in ("crash", "hang"):
                report[kind].append(f"{fields[0]} in {self.names.get(int(fields[-1]), fields[-1])}")
            elif kind == "hit":
                report["hit"] = True
            else:
                report["exit"] = int(fields[0]) if kind == "exit" else -int(fields[0])
        return report

    # Containers

    def bundle(self, config, *args):
        key = (config, *args)
        if key not in self.bundles:
            self.bundles[key] = str(hosts.make_bundle(self.host, config, self.name, self.options.probe,
                                                      ["/bin/probe", *args]))
        return self.bundles[key]

    def cgroup(self):
        """The container's cgroup, or None."""
        for path, names, _ in os.walk(self.host.cgroup):
            if self.host.name in names:
                return pathlib.Path(path) / self.host.name
        return None

    def init(self):
        """Its init's pid."""
        self.run("state", "ID", check=True)
        return json.loads(self.out.read_text())["pid"]

    def prepare(self, config, need):
        """Makes the container that an operation needs."""
        if need is None:
            return
        if need == "created":
            self.run("create", "--bundle", self.bundle(config), "ID", check=True)
            return
        if self.kept != (config, need):
            self.run("run", "--detach", "--bundle", self.bundle(config, "sleep"), "ID", check=True)
        if need == "paused":
            self.run("pause", "ID", check=True)
        if need == "stopped":
            self.run("kill", "ID", "KILL", check=True)
            self.wait(lambda: len(self.host.processes()) == 0)

    def wait(self, condition, seconds=hosts.SETTLE):
        end, pause = time.monotonic() + seconds, 0.0005
        while not condition():
            if time.monotonic() > end:
                return False
            hosts.reap()
            time.sleep(pause)
            pause = min(pause * 2, 0.02)
        return True

    # Facts

    def output(self):
        """What the probe said, or None."""
        text = self.out.read_text(errors="replace")
        try:
            return json.loads(text) if text.rstrip().endswith("}") else None
        except json.JSONDecodeError:
            return None

    def probed(self):
        """The probe's facts without what differs between two containers."""
        if not self.wait(lambda: self.output() is not None):
            return {"": f"the program said nothing: {self.out.read_text(errors='replace')[:200]!r}"}
        facts = self.output()
        facts.pop("clocks", None)
        (facts.get("keyring") or {}).pop("id", None)
        for kind, inode in (facts.get("namespaces") or {}).items():
            facts["namespaces"][kind] = inode == self.host.own.get(kind)
        for mount in facts.get("mounts") or []:
            for name in ("id", "parent", "device"):
                mount.pop(name, None)
        for entry in facts.get("dev") or []:
            if isinstance(entry, dict):
                entry.pop("device", None)
        for mount in facts.get("mounts") or []:
            mount["propagation"] = [p.split(":")[0] for p in mount.get("propagation", [])]
        return flatten(facts)

    def frozen(self):
        cgroup = self.cgroup()
        return "frozen 1" in (cgroup / "cgroup.events").read_text() if cgroup else None

    def limit(self):
        cgroup = self.cgroup()
        return (cgroup / "hugetlb.2MB.max").read_text().strip() if cgroup else None

    def facts(self, op):
        """What the operation should have done, after it said that it did."""
        if op == "create":
            if self.run("start", "ID") != 0:
                return {"": "start fails", "why": self.err.read_text()}
            return self.probed()
        if op in ("run", "run-foreground", "start", "exec", "exec-detached"):
            return self.probed()
        if op in ("pause", "resume"):
            return {"frozen": self.frozen()}
        if op == "update":
            return {"limit": self.limit()}
        if op == "state":
            return flatten(self.output() or {})
        if op == "kill":
            return {"dead": self.wait(lambda: not self.host.processes())}
        return {"state": sorted(os.listdir(self.host.root)), "cgroup": self.cgroup() is None}

    def unchanged(self, op):
        """After a failed pause, resume or update: a sentence when it changed something all the same."""
        if op == "pause" and self.frozen():
            return "the command failed, and the container is frozen"
        if op == "update" and self.limit() == UPDATED:
            return "the command failed, and the limit is changed"
        return None

    def restore(self, op):
        """Puts a kept container back."""
        cgroup = self.cgroup()
        if not cgroup:
            return
        if op in ("pause", "resume"):
            (cgroup / "cgroup.freeze").write_text("0")
            self.wait(lambda: not self.frozen())
        if op == "update":
            (cgroup / "hugetlb.2MB.max").write_text(str(1 << 22))

    # One run

    def attempt(self, config, op, at=None, action=None):
        """Runs OP once; returns its report, with the facts when it succeeded."""
        need, words, keeps = OPERATIONS[op]
        self.prepare(config, need)
        hosts.reap()
        ready = self.host.take() if keeps else None
        words = [self.bundle(config) if w == "BUNDLE" else str(self.limits) if w == "LIMITS" else w
                 for w in words]
        attach = self.init() if need == "created" else None
        report = self.inject(words, attach, at, action)
        killed = bool(action) and action.startswith("kill")
        report["error"] = self.err.read_text(errors="replace").strip()[-1000:]
        if report["exit"] == 0 and not killed and not report["hang"]:
            report["facts"] = self.facts(op)
        elif not killed:
            report["changed"] = self.unchanged(op)
        if killed:
            report["answers"] = [code for code in (self.run("state", "ID"), self.run("list"))
                                 if code not in (0, 1)]
        report["op"] = op
        report["left"], report["leak"] = self.tidy(config, op, report, ready)
        return report

    def tidy(self, config, op, report, ready):
        """Deletes what the run has made; what it left before that, and after it."""
        need, _, keeps = OPERATIONS[op]
        left = []
        if keeps:
            self.restore(op)
            # After a kill much is left, and no failure.
            killed = report.get("answers") is not None
            left = self.host.difference(ready, 1.0 if killed else hosts.SETTLE)
            if not left and self.options.settle_kept:
                self.kept = (config, "running" if need == "paused" else need)
                if need == "paused":
                    self.kept = (config, "paused")
                return [], []
        elif need is None and report["exit"] not in (0, None):
            left = self.host.difference(self.empty, 3.0)
        self.kept = None
        return left, self.delete()

    def delete(self):
        """One `delete --force`: what is left after it."""
        self.delete_code = self.run("delete", "--force", "ID")
        leak = self.host.difference(self.empty)
        if self.delete_code is None:
            leak.append("delete --force hung")
        if leak:
            self.host.clean(self.empty)
        return leak

    def baseline(self, config, op):
        """Facts that every run agrees in, and the calls to fail."""
        agreed, calls = None, []
        for _ in range(4):
            report = self.attempt(config, op)
            if report["exit"] != 0 or report["leak"] or report["left"]:
                raise Lost(f"{config} {op} does not work without a fault: {report}")
            facts = report["facts"]
            agreed = facts if agreed is None else {
                key: value for key, value in agreed.items() if facts.get(key, facts) == value}
            calls = report["calls"]
        return agreed, calls

    def judge(self, report, agreed, call, action, role, path, k):
        """The verdict, and its reason."""
        if report["crash"] and (call, action) == ("mmap", "errno 12") and k in ("1", "2"):
            # Before main(): the dynamic loader has no memory to say so.
            return "not reached", report["crash"]
        if report["crash"]:
            return "CRASH", report["crash"]
        if report["hang"]:
            return "HANG", report["hang"]
        why = faults.accepted(role, call, path, faults.action_name(action))
        if report["leak"]:
            return ("accepted", why) if why else ("LEAK", report["leak"])
        if action.startswith("kill"):
            if report["answers"]:
                return "CRASH", f"state and list gave {report['answers']}"
            return "clean", ""
        if not report["hit"]:
            return "not reached", ""
        if report["exit"] is None or report["exit"] < 0:
            return "CRASH", f"the command ended by signal {report['exit']}"
        if report["exit"] == 0:
            facts = report["facts"]
            differing = [f"{key}: {facts.get(key)!r} instead of {value!r}"
                         for key, value in agreed.items() if facts.get(key) != value]
            if facts.get("") == "start fails" and role == "I":
                # The init waits for its start, and there is nobody left whom it could tell.
                return ("EINTR" if action.endswith(" 4") and call in faults.SURVIVE_EINTR
                        else "failed later"), facts["why"]
            if differing and not why:
                return "FAIL-OPEN", differing[:6]
            return ("accepted" if differing else "unaffected"), why or ""
        if report["changed"]:
            return "FAIL-OPEN", report["changed"]
        if report["left"]:
            # The removal at the end of a foreground run failed, and the command says what is left for `delete`.
            told = report["op"] == "run-foreground" and report["error"] and not any(
                what.startswith("process left") for what in report["left"])
            return ("left, as told" if told else "accepted" if why else "LEFT"), report["left"]
        if action.endswith(" 4") and call in faults.SURVIVE_EINTR:
            return "EINTR", report["error"]
        if not report["error"]:
            return "SILENT", "it failed and said nothing"
        return "failed clean", ""

    # The sweep

    def plan(self, calls):
        """The faults and kills of one operation, by passes: (role, call, k, path, action).  A call that is made often on one
        kind of path is failed in every way once, then in two ways at every fourth occurrence."""
        seen = collections.Counter()
        passes = [[], [], []]
        for index, (role, nr, k, _, path) in enumerate(calls):
            call = self.names.get(int(nr), nr)
            if call in faults.NEVER:
                continue
            place = (role, call, re.sub(r"\d+", "#", path))
            seen[place] += 1
            actions = faults.faults_of(call, path, self.options.quick)
            point = (role, call, k, path)
            if seen[place] == 1:
                passes[0] += [(*point, action) for action in actions[:1]]
                passes[1] += [(*point, action) for action in actions[1:]]
            elif seen[place] <= 3 or seen[place] % 4 == 0:
                # Not the same two each time.
                turned = actions[seen[place] % len(actions):] + actions if actions else []
                passes[2] += [(*point, action) for action in dict.fromkeys(turned[:2])]
            if not self.options.quick or (index % 4 == 0 and seen[place] == 1):
                passes[0 if seen[place] == 1 else 2].append((*point, "kill-before"))
            if not self.options.quick and (seen[place] <= 3 or seen[place] % 4 == 0):
                passes[1 if seen[place] == 1 else 2].append((*point, "kill-after"))
        return [passes[0] + passes[1]] if self.options.quick else passes

    def is_late(self):
        """Whether the time is over."""
        return self.options.until and time.time() > self.options.until

    def sweep(self, config, op, number, write):
        """One pass of one operation; how many points of it were not tried."""
        agreed, calls = self.baseline(config, op)
        points = self.plan(calls)[number][self.options.share::self.options.shares]
        for done, (role, call, k, path, action) in enumerate(points):
            if self.options.only and not re.search(self.options.only, f"{role}:{call}:{k} {action}"):
                continue
            if self.is_late():
                return len(points) - done
            report = self.attempt(config, op, f"{role}:{self.numbers[call]}:{k}", action)
            verdict, why = self.judge(report, agreed, call, action, role, path, k)
            write({"config": config, "op": op, "at": f"{role}:{call}:{k}", "path": path,
                   "action": faults.action_name(action), "verdict": verdict, "why": why,
                   "exit": report["exit"], "error": report["error"]})
        return 0

    def sweep_all(self, write):
        """All operations, the most telling faults of each first."""
        for number in range(1 if self.options.quick else 3):
            for config in self.options.configs:
                for op in operations_of(config, self.options):
                    start, left = time.monotonic(), 0
                    if self.is_late():
                        write({"config": config, "op": op, "at": f"pass {number + 1}", "verdict": "not begun"})
                        continue
                    try:
                        left = self.sweep(config, op, number, write)
                    except Lost as lost:
                        write({"config": config, "op": op, "verdict": "LOST", "why": str(lost)})
                        self.delete()
                    if self.kept:
                        self.kept = None
                        self.delete()
                    write({"config": config, "op": op, "verdict": "time", "left": left,
                           "why": round(time.monotonic() - start, 1)})

    def main(self):
        for config in self.options.configs:
            self.bundle(config), self.bundle(config, "sleep")
        # What a first run makes and keeps, the cache of filters.
        for config in self.options.configs:
            self.run("run", "--bundle", self.bundle(config), "ID", check=True)
        hosts.reap()
        self.empty = self.host.take()
        with open(self.options.results, "w", encoding="utf-8") as results:
            def write(row):
                results.write(json.dumps(row) + "\n")
                results.flush()
            self.sweep_all(write)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", required=True)
    parser.add_argument("--inject", required=True)
    parser.add_argument("--probe", required=True)
    parser.add_argument("--results", required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--share", type=int, default=0)
    parser.add_argument("--shares", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--until", type=float, help="seconds since 1970: begin nothing after that")
    parser.add_argument("--settle-kept", action="store_false", help="a new container for every run")
    parser.add_argument("--only", help="a pattern of ROLE:CALL:K ACTION")
    parser.add_argument("--configs", type=lambda text: text.split(","), default=list(hosts.SPECS))
    parser.add_argument("--operations", type=lambda text: text.split(","), default=list(OPERATIONS))
    worker = Worker(parser.parse_args())
    try:
        worker.main()
    finally:
        worker.host.close()


if __name__ == "__main__":
    main()
