"""One worker of the sweep, as process 1 of its own namespaces: records the system calls of each operation, then runs it once
for every fault and every kill of its share, and compares the container and the host with how they were."""

import argparse
import collections
import fcntl
import json
import os
import pathlib
import re
import shutil
import subprocess
import termios
import time

import configs
import console
import faults
import host as hosts

DEADLINE = 20.0
SLOW = 6            # times as long waits the second try of what hangs

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
    # With CRIU, so only where they are asked for.
    "checkpoint": ("running", ["checkpoint", "--image-path", "IMAGES", "ID"], False),
    "restore": (None, ["restore", "--detach", "--image-path", "IMAGES", "--bundle", "SLEEPING", "ID"], False),
}
# With a terminal: those that wait have their caller's, the others send theirs to an engine.
ON_TERMINAL = {"run-foreground": [], "exec": ["--tty"], "exec-detached": ["--tty", "--console-socket", "SOCKET"],
               "create": ["--console-socket", "SOCKET"], "run": ["--console-socket", "SOCKET"]}


def operations_of(config, options):
    """The operations to try."""
    return configs.CONFIGS[config].operations(options.operations, options.quick)


def asked(names):
    """Those of OPERATIONS that are tried unless others are named."""
    return [op for op in names if op not in configs.WITH_CRIU]


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
        # Not compared, and not there for an image to be larger than a tmpfs.
        self.images = pathlib.Path(options.results).parent / f"images-{options.token}-{options.share}"
        self.console = console.Console(self.host.directory / "out.socket")
        self.caller = None
        names = json.loads(pathlib.Path(options.inject).with_name("syscalls.json").read_text())
        self.names = {int(number): name for number, name in names.items()}
        self.numbers = {name: number for number, name in self.names.items()}
        self.bundles, self.kept, self.slow = {}, None, 1
        self.host.root.mkdir()
        self.use("plain")

    # Who calls, and how

    def use(self, name):
        """From now on commands are for the configuration NAME: as its user, on its state root."""
        self.config = configs.CONFIGS[name]
        self.limits.write_text(json.dumps(self.config.limit.resources))
        self.root = self.host.root
        if self.config.user is None:
            return
        self.root = self.host.directory / f"state-{name}"
        if not self.root.is_dir():
            self.root.mkdir(mode=0o700)
            os.chown(self.root, self.config.user, self.config.user)
            # The user's cgroup, where its commands are: it may move what it makes.
            (self.host.cgroup / "commands").mkdir()
            for path in (self.host.cgroup, self.host.cgroup / "commands"):
                for file in ("", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"):
                    os.chown(path / file, self.config.user, self.config.user)

    def enter(self, user):
        """In a child: what its caller has given it."""
        if self.config.user is not None:
            (self.host.cgroup / "commands" / "cgroup.procs").write_text("0")
        if self.caller:
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        if user is not None:
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)

    def popen(self, argv, out, err, user=None):
        """Starts ARGV as the caller that `use` has said."""
        special = self.caller or self.config.user is not None
        return subprocess.Popen([str(word) for word in argv], stdin=self.caller.slave if self.caller else subprocess.DEVNULL,
                                stdout=out, stderr=err, preexec_fn=(lambda: self.enter(user)) if special else None)

    def on_terminal(self, op):
        """Gives OP a terminal to be called on, where it needs one."""
        if self.caller:
            self.caller.close()
        waits = self.config.terminal and op in ("run-foreground", "exec")
        self.caller = console.Caller() if waits else None

    # Commands

    def words_of(self, config, op):
        """The words of an operation, with everything filled in but the name."""
        _, words, _ = OPERATIONS[op]
        places = {"BUNDLE": lambda: self.bundle(config), "SLEEPING": lambda: self.bundle(config, "sleep"),
                  "LIMITS": lambda: str(self.limits), "IMAGES": lambda: str(self.images), "SOCKET": lambda: self.console.path}
        if self.config.terminal:
            words = [words[0], *ON_TERMINAL.get(op, []), *words[1:]]
        return [places[word]() if word in places else word for word in words]

    def command(self, words):
        words = [self.host.name if word == "ID" else word for word in words]
        return [self.runtime, "--root", str(self.root), *self.config.options, *words]

    def run(self, *words, check=False):
        """A command of the runtime without faults: its exit code, or None when it hung."""
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            process = self.popen(self.command(words), out, err, self.config.user)
            code = hosts.wait_as_init(process, DEADLINE * 3)
            if code is None:
                process.kill()
                process.wait()
        if check and code != 0:
            raise Lost(f"{words} gave {code}: {self.err.read_text()}")
        return code

    def inject(self, words, attach=None, at=None, action=None, seconds=None):
        """A command under the injector: its report, as a dict."""
        argv = [self.options.inject, "--out", str(self.report), "--deadline", str(int((seconds or DEADLINE * self.slow) * 1000))]
        if attach:
            argv += ["--attach", str(attach)]
        if self.config.user is not None:
            argv += ["--user", str(self.config.user)]
        if at:
            argv += ["--at", at, action]
        self.report.unlink(missing_ok=True)
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            code = self.popen([*argv, "--", *self.command(words)], out, err).wait()
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
                report["hit"], report["path"] = True, fields[0]
            else:
                report["exit"] = int(fields[0]) if kind == "exit" else -int(fields[0])
        return report

    # Containers

    def bundle(self, config, *args):
        key = (config, *args)
        if key not in self.bundles:
            self.bundles[key] = str(configs.make_bundle(self.host, config, self.name, self.options.probe,
                                                      ["/bin/probe", *args]))
        return self.bundles[key]

    def cgroup(self):
        """The container's cgroup, or None."""
        for path in sorted(self.host.cgroups()):
            if os.path.basename(path) in (self.host.name, f"creel-{self.host.name}.scope"):
                return pathlib.Path(path)
        return None

    def init(self):
        """Its init's pid."""
        self.run("state", "ID", check=True)
        return json.loads(self.out.read_text())["pid"]

    def prepare(self, config, need):
        """Makes the container that an operation needs."""
        self.use(config)
        self.on_terminal(None)
        if need is None:
            return
        socket = ["--console-socket", self.console.path] if self.config.terminal else []
        if need == "created":
            self.run("create", *socket, "--bundle", self.bundle(config), "ID", check=True)
            return
        if self.kept != (config, need):
            self.run("run", "--detach", *socket, "--bundle", self.bundle(config, "sleep"), "ID", check=True)
            self.console.keep()
        if need == "paused":
            self.run("pause", "ID", check=True)
        if need == "stopped":
            self.run("kill", "ID", "KILL", check=True)
            self.wait(lambda: len(self.host.processes()) == 0)

    def wait(self, condition, seconds=None):
        end, pause = time.monotonic() + (hosts.SETTLE if seconds is None else seconds), 0.0005
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
        text = self.out.read_text(errors="replace") + self.console.listen().decode(errors="replace")
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
        return (cgroup / self.config.limit.file).read_text().strip() if cgroup else None

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
        if op == "checkpoint":
            return {"dead": self.wait(lambda: not self.host.processes()), "images": (self.images / "inventory.img").exists()}
        if op == "restore":
            return {"code": self.run("state", "ID"), "status": (self.output() or {}).get("status")}
        if op == "kill":
            return {"dead": self.wait(lambda: not self.host.processes())}
        return {"state": sorted(os.listdir(self.root)), "cgroup": self.cgroup() is None}

    def unchanged(self, op):
        """After a failed pause, resume or update: a sentence when it changed something all the same."""
        if op == "pause" and self.frozen():
            return "the command failed, and the container is frozen"
        if op == "update" and self.limit() == str(self.config.limit.after):
            return "the command failed, and the limit is changed"
        if op == "checkpoint":
            self.run("state", "ID")
            status = (self.output() or {}).get("status")
            return None if status == "running" else f"the command failed, and the container is {status}"
        return None

    def put_back(self, op):
        """Puts a kept container back."""
        cgroup = self.cgroup()
        if not cgroup:
            return
        if op in ("pause", "resume"):
            (cgroup / "cgroup.freeze").write_text("0")
            self.wait(lambda: not self.frozen())
        if op == "update":
            (cgroup / self.config.limit.file).write_text(str(self.config.limit.before))

    # One run

    def attempt(self, config, op, at=None, action=None):
        """Runs OP once; returns its report, with the facts when it succeeded."""
        need, _, keeps = OPERATIONS[op]
        self.prepare(config, need)
        hosts.reap()
        if op == "checkpoint":
            shutil.rmtree(self.images, ignore_errors=True)
        attach = self.init() if need == "created" else None
        self.on_terminal(op)
        ready = self.host.take() if keeps else None
        report = self.inject(self.words_of(config, op), attach, at, action)
        killed = bool(action) and action.startswith("kill")
        # Who is killed restores nothing.
        mode = self.caller.changed() if self.caller and not (killed and at.startswith("P:")) else []
        report["error"] = self.err.read_text(errors="replace").strip()[-1000:]
        if report["exit"] == 0 and not killed and not report["hang"]:
            report["facts"] = self.facts(op)
        elif not killed:
            report["changed"] = self.unchanged(op)
        if killed:
            report["answers"] = self.told()
        report["op"] = op
        self.on_terminal(None)
        report["left"], report["leak"] = self.tidy(config, op, report, ready, killed)
        report["leak"] += mode
        return report

    def told(self):
        """After a kill: what `state` and `list` say wrongly.  What is left is a container, though half-made; nothing is none."""
        place = self.root / self.host.name
        there, begun = place.is_dir(), (place / "state.json").exists()
        # Not where the container's program may still write.
        kept, self.out = self.out, self.host.directory / "out.told"
        answers = [self.run("state", "ID"), self.run("list", "--format", "json")]
        text, self.out = self.out.read_text(), kept
        if answers[1] != 0 or answers[0] != (0 if there else 1):
            return [f"state and list gave {answers}, and the container is {'' if there else 'not '}there"]
        listed = {entry["id"]: entry["status"] for entry in json.loads(text) or []}
        status = listed.get(self.host.name, "")
        if there == bool(status) and (begun or status in ("", "creating")):
            return []
        return [f"list says that it is {status!r}; its directory is {there}, its state.json {begun}"]

    def tidy(self, config, op, report, ready, killed):
        """Deletes what the run has made; what it left before that, and after it."""
        need, _, keeps = OPERATIONS[op]
        left = []
        if keeps:
            self.console.drop()
            self.put_back(op)
            # After a kill much is left, and no failure.
            left = self.host.difference(ready, 1.0 if killed else None)
            if not left and self.options.settle_kept:
                self.kept = (config, "running" if need == "paused" else need)
                if need == "paused":
                    self.kept = (config, "paused")
                return [], []
        elif need is None and report["exit"] not in (0, None) and not killed:
            # An open terminal keeps its maker's keyring.
            self.console.drop()
            # Where the removal at the end fails, something is left, and told.
            left = self.host.difference(self.empty, 3.0 if op == "run-foreground" else None)
        self.kept = None
        return left, self.delete()

    def delete(self):
        """One `delete --force`: what is left after it."""
        self.delete_code = self.run("delete", "--force", "ID")
        self.console.drop(kept=True)
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
        fault = role, call, report.get("path", path), faults.action_name(action)
        why = faults.accepted(*fault)
        if report["leak"]:
            return ("accepted", why) if why else ("LEAK", report["leak"])
        if action.startswith("kill"):
            if report["answers"]:
                return "WRONG", report["answers"]
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
            why = faults.accepted(*fault, differing)
            if differing and not why:
                return "FAIL-OPEN", differing[:6]
            return ("accepted", f"{why}: {differing[:3]}") if differing else ("unaffected", "")
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
            return ("accepted", why) if why else ("SILENT", "it failed and said nothing")
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
        if self.options.sample:
            points = points[::max(1, len(points) // self.options.sample)]
        for done, (role, call, k, path, action) in enumerate(points):
            if self.options.only and not re.search(self.options.only, f"{role}:{call}:{k} {action}"):
                continue
            if self.is_late():
                return len(points) - done
            for self.slow in (1, SLOW):
                report = self.attempt(config, op, f"{role}:{self.numbers[call]}:{k}", action)
                verdict, why = self.judge(report, agreed, call, action, role, path, k)
                # What waits for ever does so again; what only got no processor does not.
                if verdict != "HANG":
                    break
            write({"config": config, "op": op, "at": f"{role}:{call}:{k}", "path": path,
                   "action": faults.action_name(action), "verdict": verdict, "why": why,
                   "exit": report["exit"], "error": report["error"]})
        return 0

    def sweep_all(self, write):
        """All operations, the most telling faults of each first."""
        for number in range(1 if self.options.quick else 3):
            for config in self.options.configs:
                for op in operations_of(config, self.options) if number < configs.CONFIGS[config].passes else ():
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

    def warm_up(self):
        """Makes what a first run makes and keeps, and learns what is ours; then nothing is there."""
        if any(op in configs.WITH_CRIU for op in getattr(self.options, "operations", ())):
            # CRIU connects a socket to learn what the kernel can do.
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        for config in self.options.configs:
            self.bundle(config)
            self.prepare(config, "running")
            cgroup = self.cgroup()
            if cgroup and self.config.user is None and not self.host.bpf.learn(cgroup) and self.config.everywhere:
                raise Lost(f"{config}: its cgroup has no BPF program")
            if "restore" in getattr(self.options, "operations", ()):
                shutil.rmtree(self.images, ignore_errors=True)
                self.run("checkpoint", "--image-path", str(self.images), "ID", check=True)
            self.run("delete", "--force", "ID")
            self.console.drop(kept=True)
        self.wait(lambda: not self.host.processes() and not self.host.bpf.take())
        self.empty = self.host.take()

    def main(self):
        self.warm_up()
        with open(self.options.results, "w", encoding="utf-8") as results:
            def write(row):
                results.write(json.dumps(row) + "\n")
                results.flush()
            self.sweep_all(write)


def add_choices(parser):
    """What every sweep may be restricted to."""
    parser.add_argument("--configs", type=lambda text: text.split(","), default=configs.SPECS)
    parser.add_argument("--operations", type=lambda text: text.split(","), default=asked(OPERATIONS))
    parser.add_argument("--patience", type=float, default=DEADLINE, help="seconds until a traced command hangs; slow machines "
                        "need more")


def run_worker(kind, options):
    """A worker from its birth to its end."""
    global DEADLINE
    # Where commands are slow, so is what they have left.
    hosts.SETTLE *= options.patience / DEADLINE
    DEADLINE = options.patience
    worker = kind(options)
    try:
        worker.main()
    finally:
        worker.host.close()


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
    parser.add_argument("--sample", type=int, help="so many points of each pass of an operation, evenly spread")
    add_choices(parser)
    run_worker(Worker, parser.parse_args())


if __name__ == "__main__":
    main()
