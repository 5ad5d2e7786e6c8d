"""The scenarios of the benchmark: what is timed, beside what, and what creel has to reach."""

import dataclasses
import json
import os
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))

import bundles  # noqa: E402

CGROUP = "/sys/fs/cgroup"


@dataclasses.dataclass
class Command:
    """One competitor: NAME, and its steps as pairs of a phase and an argv (see spawn.c)."""
    name: str
    steps: list
    parallel: int = 1
    uid: int = 0

    def plan(self):
        lines = ["\t".join(("command", self.name, str(self.parallel), str(self.uid)))]
        lines += ["\t".join((phase, *map(str, words))) for phase, words in self.steps]
        return "\n".join(lines) + "\n"


@dataclasses.dataclass
class Goal:
    """The median of SLOW / FAST, paired by round, is at least (or at most) LIMIT."""
    slow: str
    fast: str
    limit: float
    at_least: bool = True


@dataclasses.dataclass
class Growth:
    """What creel's WORD may cost with 1000 containers alive, relative to one, and to how FLOOR's cost has grown."""
    word: str
    limit: float
    family: str = "alive"
    floor: bool = False


@dataclasses.dataclass
class Scenario:
    name: str
    about: str
    commands: object        # a function from Stage to a list of Command
    goals: tuple = ()
    quick: bool = False     # also part of --quick
    long: bool = False      # only part of --long
    rss_kb: int = 0         # the goal for creel's peak memory


class Runtime:
    """One runtime with a state directory of its own."""

    def __init__(self, name, path, root):
        self.name = name
        self.path = path
        self.root = root

    def __call__(self, *words):
        return [self.path, "--root", self.root, *words]


class Stage:
    """What the scenarios play on: the runtimes, the tools, and bundles made on demand."""

    def __init__(self, work, tools, runtimes, configs, run_quietly):
        self.work = pathlib.Path(work)
        self.tools = pathlib.Path(tools)
        self.floor = str(self.tools / "floor") if "floor" in runtimes else None
        self.configs = pathlib.Path(configs) if configs else None
        self.run_quietly = run_quietly
        self.runtimes = [Runtime(name, path, str(self.work / f"state-{name}"))
                         for name, path in runtimes.items() if name != "floor"]
        self.adapted = []
        self.alive = {}
        self._bundles = {}
        self.programs = {"/bin/true": self.tools / "true", "/bin/probe": self.tools / "probe"}
        self.rootfs = bundles.make_rootfs(self.work / "rootfs", self.programs)
        self.mapped = bundles.make_rootfs(self.work / "rootfs-mapped", self.programs, owner=100000)

    def populate(self, number, runtimes=None):
        """Sees to it that each of RUNTIMES has NUMBER sleeping containers, called NAME-alive-N, and the others none."""
        for r in self.runtimes:
            wanted = number if runtimes is None or r in runtimes else 0
            for at in range(self.alive.get(r.name, 0), wanted):
                self.run_quietly(r("run", "-d", "-b", self.sleeper(), f"{r.name}-alive-{at}"))
            for at in range(wanted, self.alive.get(r.name, 0)):
                self.run_quietly(r("delete", "-f", f"{r.name}-alive-{at}"))
            self.alive[r.name] = wanted

    def close(self):
        """Deletes every container that is left, and ends what the stand-ins need."""
        for r in self.runtimes:
            listed = self.run_quietly(r("list", "-q"), check=False)
            for name in listed.split():
                self.run_quietly(r("delete", "-f", name), check=False)
        for adapted in self.adapted:
            adapted.close()

    def bundle(self, name, spec, rootfs=None):
        if name not in self._bundles:
            self._bundles[name] = bundles.make_bundle(self.work / f"bundle-{name}", spec,
                                                      rootfs or self.rootfs)
        return str(self._bundles[name])

    def default(self, **options):
        name = "-".join(["default", *(f"{key}-{value}".replace("/", "_")
                                      for key, value in options.items())])
        rootfs = self.mapped if options.get("userns") else self.rootfs
        return self.bundle(name, bundles.default_spec(**options), rootfs)

    def sleeper(self, cgroup=None):
        spec = bundles.default_spec(args=["/bin/probe", "sleep"])
        if cgroup:
            spec["linux"]["cgroupsPath"] = cgroup
        return self.bundle(f"sleep{(cgroup or '').replace('/', '-')}", spec)

    def seccomp(self, args=("/bin/true",)):
        if not self.configs:
            raise Unavailable("there is no directory of real configurations; use --configs")
        docker = json.loads((self.configs / "docker-default.json").read_text())
        spec = bundles.default_spec(args=args)
        spec["linux"]["seccomp"] = docker["linux"]["seccomp"]
        return self.bundle("seccomp-" + args[0].replace("/", "_"), spec)


class Unavailable(Exception):
    """A scenario cannot be played here, and why."""


def _floor_run(stage, *options, rootfs=None):
    if not stage.floor:
        return []
    return [Command("floor", [("timed", [stage.floor, "run", *options, rootfs or stage.rootfs,
                                         f"{CGROUP}/floor-{{}}", "/bin/true"])])]


def _run(stage, bundle, **options):
    return [Command(r.name, [("timed", r("run", "-b", bundle, f"{r.name}-{{}}"))], **options)
            for r in stage.runtimes]


def _floor_with_container(stage, before, timed, after):
    """The same with the floor, which has a word of its own for each."""
    if not stage.floor:
        return []
    fifo, group = stage.work / "floor-{}", f"{CGROUP}/floor-{{}}"
    inside = [stage.rootfs, group, "/bin/probe", "sleep"]
    # `run -d` has no fifo, and its delete has none to remove.
    detached = "-" if RUN_D in before else fifo
    words = {"run": ["create", "-", *inside], "create": ["create", fifo, *inside], "start": ["start", fifo],
             "kill": ["kill", group], "delete -f": ["delete-force", detached, group],
             "delete": ["delete", detached, group]}
    steps = []
    for phase, lists in (("before", before), ("timed", timed), ("after", after)):
        for line in lists:
            if line[0] == "pause":
                steps.append(("pause", line[1:]))
            else:
                word = "delete -f" if line == DELETE else line[0]
                steps.append((phase, [stage.floor, *words[word]]))
    return [Command("floor", steps)]


def _with_container(stage, before, timed, after, name="{}"):
    """Commands on one container a round; BEFORE, TIMED and AFTER are lists of argument lists.

    The words @ and % stand for the container's id and for the bundle of a sleeping program.
    """
    commands = _floor_with_container(stage, before, timed, after)
    bundle = stage.sleeper()
    for r in stage.runtimes:
        steps = []
        for phase, lists in (("before", before), ("timed", timed), ("after", after)):
            for words in lists:
                if words[0] == "pause":
                    steps.append(("pause", words[1:]))
                    continue
                words = [{"@": f"{r.name}-{name}", "%": bundle}.get(w, w) for w in words]
                steps.append((phase, r(*words)))
        commands.append(Command(r.name, steps))
    return commands


RUN_D = ["run", "-d", "-b", "%", "@"]
CREATE = ["create", "-b", "%", "@"]
START = ["start", "@"]
DELETE = ["delete", "-f", "@"]


def run_default(stage):
    return _floor_run(stage) + _run(stage, stage.default())


def systemd(stage):
    if not os.path.isdir("/run/systemd/system"):
        raise Unavailable("systemd does not run here; use --full-lab")
    commands = []
    for r in stage.runtimes:
        spec = bundles.default_spec()
        spec["linux"]["cgroupsPath"] = f"system.slice:bench:{r.name}"
        bundle = stage.bundle(f"systemd-{r.name}", spec)
        commands.append(Command(r.name, [
            ("timed", r("--systemd-cgroup", "run", "-b", bundle, f"{r.name}-{{}}"))]))
    return commands


def _floor_seccomp(stage):
    """The floor with the filter that a runtime compiled, read back out of a container."""
    if not stage.floor or not stage.runtimes:
        return []
    pid, filter_ = stage.work / "seccomp.pid", stage.work / "seccomp.bpf"
    bundle = stage.seccomp(("/bin/probe", "sleep"))
    for r in sorted(stage.runtimes, key=lambda r: r.name != "crun"):
        try:
            stage.run_quietly(r("run", "-d", "--pid-file", pid, "-b", bundle, "floor-seccomp"))
        except Unavailable as error:
            reason = error
            continue
        try:
            stage.run_quietly([stage.floor, "dump", pid, filter_])
        finally:
            stage.run_quietly(r("delete", "-f", "floor-seccomp"))
        break
    else:
        raise reason
    return _floor_run(stage, "--seccomp", filter_)


def seccomp_warm(stage):
    return _floor_seccomp(stage) + _run(stage, stage.seccomp())


def seccomp_cold(stage):
    commands = _run(stage, stage.seccomp())
    for command, r in zip(commands, stage.runtimes):
        command.steps.insert(0, ("before", ["/bin/rm", "-rf", f"{r.root}/.cache/seccomp"]))
    return _floor_seccomp(stage) + commands


def create(stage):
    return _with_container(stage, [], [CREATE], [DELETE])


def start(stage):
    return _with_container(stage, [CREATE], [START], [DELETE])


def exec_(stage):
    commands = []
    if stage.floor and stage.runtimes:
        r, pid = stage.runtimes[-1], stage.work / "exec.pid"
        commands.append(Command("floor", [
            ("setup", r("run", "-d", "--pid-file", pid, "-b", stage.sleeper("/bench-exec"),
                        "floor-exec")),
            ("timed", [stage.floor, "exec", pid, f"{CGROUP}/bench-exec", "/bin/true"]),
            ("teardown", r("delete", "-f", "floor-exec"))]))
    for r in stage.runtimes:
        commands.append(Command(r.name, [
            ("setup", r("run", "-d", "-b", stage.sleeper(), f"{r.name}-exec")),
            ("timed", r("exec", f"{r.name}-exec", "/bin/true")),
            ("teardown", r("delete", "-f", f"{r.name}-exec"))]))
    return commands


def _ask(stage, *words):
    """A command that changes nothing, asked of one container that lives all the time."""
    commands = []
    if stage.floor:
        commands.append(Command("floor", [("timed", [stage.floor, "none", stage.tools / "true"])]))
    for r in stage.runtimes:
        name = f"{r.name}-asked"
        commands.append(Command(r.name, [
            ("setup", r("run", "-d", "-b", stage.sleeper(), name)),
            ("timed", r(*(name if w == "@" else w for w in words))),
            ("teardown", r("delete", "-f", name))]))
    return commands


def state(stage):
    return _ask(stage, "state", "@")


def list_(stage):
    return _ask(stage, "list")


def kill(stage):
    return _with_container(stage, [RUN_D], [["kill", "@", "KILL"]], [DELETE])


def delete(stage):
    return _with_container(stage, [RUN_D, ["kill", "@", "KILL"], ["pause", "30"]],
                           [["delete", "@"]], [])


def delete_force(stage):
    return _with_container(stage, [RUN_D], [DELETE], [])


def rootless(stage):
    bundle = stage.bundle("rootless", bundles.default_spec(rootless=True))
    commands = []
    if stage.floor:
        floor = shutil.copy(stage.floor, stage.work / "rootless-floor")
        commands.append(Command("floor", [("timed", [floor, "run", "--rootless", stage.rootfs, "-", "/bin/true"])],
                                uid=1000))
    for r in stage.runtimes:
        home = stage.work / f"rootless-{r.name}"
        if not home.exists():
            home.mkdir(mode=0o700)
            os.chown(home, 1000, 1000)
        # What was built for us may lie where nobody else can reach it.
        path = pathlib.Path(r.path)
        if path.parent == stage.tools:
            path = shutil.copy(path, stage.work / f"rootless-program-{r.name}")
        mine = Runtime(r.name, str(path), str(home))
        commands.append(Command(r.name, [("timed", mine("run", "-b", bundle, f"{r.name}-{{}}"))],
                                uid=1000))
    return commands


def userns(stage):
    return (_floor_run(stage, "--userns", rootfs=stage.mapped) +
            _run(stage, stage.default(userns=True)))


def _run_with_terminal(stage, bundle):
    return [Command(r.name, [
        ("timed", r("run", "-d", "--console-socket", stage.work / "console", "-b", bundle,
                    f"{r.name}-{{}}")),
        ("after", r("delete", "-f", f"{r.name}-{{}}"))]) for r in stage.runtimes]


def terminal(stage):
    spec = bundles.default_spec(args=["/bin/probe", "sleep"], terminal=True)
    commands = []
    if stage.floor:
        group = f"{CGROUP}/floor-{{}}"
        commands.append(Command("floor", [
            ("timed", [stage.floor, "create", "--terminal", stage.work / "console", "-", stage.rootfs, group,
                       "/bin/probe", "sleep"]),
            ("after", [stage.floor, "delete-force", "-", group])]))
    return commands + _run_with_terminal(stage, stage.bundle("terminal", spec))


def parallel(number):
    def commands(stage):
        found = _floor_run(stage) + _run(stage, stage.default())
        for command in found:
            command.parallel = number
        return found
    return commands


def config(path):
    def commands(stage):
        spec = json.loads(path.read_text())
        mapping = spec["linux"].get("uidMappings")
        rootfs = stage.rootfs
        if mapping:
            owner = mapping[0]["hostID"]
            rootfs = stage.work / f"rootfs-{owner}"
            if not rootfs.exists():
                bundles.make_rootfs(rootfs, stage.programs, owner=owner)
        adapted = bundles.adapt(spec, rootfs, stage.work / f"stand-in-{path.stem}", strip=True)
        stage.adapted.append(adapted)
        # Docker asks for "blockIO": {}, which crun refuses where there is no controller io.
        resources = adapted.spec["linux"].get("resources") or {}
        for member in [m for m in bundles.CONTROLLERS if resources.get(m) == {}]:
            del resources[member]
        adapted.spec["process"]["args"] = ["/bin/true"]
        if adapted.spec["process"].get("terminal"):
            adapted.spec["process"]["args"] = ["/bin/probe", "sleep"]
        bundle = stage.bundle(f"config-{path.stem}", adapted.spec, rootfs)
        if adapted.spec["process"].get("terminal"):
            return _run_with_terminal(stage, bundle)
        return _run(stage, bundle)
    return commands


def alive(number, words, about):
    def commands(stage):
        stage.populate(number)
        if words == "create":
            return create(stage)  # the floor shows the kernel's own growth
        return [Command(r.name, [("timed", r(*(f"{r.name}-alive-0" if w == "@" else w
                                               for w in words)))]) for r in stage.runtimes]
    name = "create" if words == "create" else words[0]
    return Scenario(f"alive-{number}-{name}", f"{about} with {number} containers of each alive", commands, long=True)


def alone(number):
    """As on a host with one runtime, which is left in peace: a worker of the kernel takes the namespaces of the last
    container apart, and its locks keep the next one waiting."""
    def commands(stage):
        stage.populate(number, [r for r in stage.runtimes if r.name == "creel"])
        return [dataclasses.replace(command, steps=[("pause", [QUIET_MS]), *command.steps])
                for command in create(stage) if command.name in ("floor", "creel")]
    return Scenario(f"alone-{number}-create", f"create with {number} containers of creel's alone, at leisure", commands,
                    long=True)


ALIVE = (1, 100, 1000)
QUIET_MS = 50

MAIN_GOALS = (Goal("creel", "floor", 1.35, False), Goal("crun", "creel", 2.2),
              Goal("runc", "creel", 7))

# Mounting sysfs looks at each one that is mounted, and pivot_root(2) at each process: that is the kernel's part.
GROWTH = (Growth("create", 1.1, "alone", True), Growth("state", 1.1), Growth("list", 1000))

SCENARIOS = [
    Scenario("run", "run /bin/true with the default configuration", run_default, MAIN_GOALS,
             quick=True, rss_kb=1700),
    Scenario("seccomp-warm", "the same with Docker's seccomp profile", seccomp_warm,
             (Goal("creel", "floor", 1.5, False), Goal("crun", "creel", 2.5)), quick=True),
    Scenario("seccomp-cold", "the same, nothing cached", seccomp_cold,
             (Goal("crun", "creel", 1),)),
    Scenario("create", "create", create, (Goal("crun", "creel", 2.2),), quick=True),
    Scenario("start", "start of a created container", start, (Goal("crun", "creel", 3),),
             quick=True),
    Scenario("exec", "exec /bin/true in a running container", exec_,
             (Goal("crun", "creel", 3),), quick=True),
    Scenario("state", "state of a running container (floor: exec of a static program)", state,
             (Goal("crun", "creel", 4),), quick=True),
    Scenario("kill", "kill ID KILL", kill),
    Scenario("delete", "delete of a stopped container", delete),
    Scenario("delete-force", "delete -f of a running container", delete_force,
             (Goal("crun", "creel", 2),), quick=True),
    Scenario("list", "list with one container", list_),
    Scenario("rootless", "run as user 1000, one id mapped", rootless),
    Scenario("userns", "run in a user namespace of 65536 ids", userns),
    Scenario("systemd", "run with systemd's cgroups (full laboratory)", systemd),
    Scenario("terminal", "run -d with a terminal sent to a console socket", terminal),
    Scenario("parallel-4", "four runs at once", parallel(4)),
    Scenario("parallel-16", "sixteen runs at once", parallel(16)),
] + [alone(n) for n in ALIVE] + [alive(n, words, about) for n in ALIVE
     for words, about in (("create", "create"), (("state", "@"), "state"), (("list",), "list"))]


def config_scenarios(configs):
    """One scenario for each real configuration, named config-FILE."""
    found = []
    for path in sorted(pathlib.Path(configs).glob("*.json")) if configs else []:
        if "linux" in json.loads(path.read_text()):
            found.append(Scenario(f"config-{path.stem}", f"run /bin/true as in {path.name}",
                                  config(path)))
    return found
