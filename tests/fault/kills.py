"""Kills at random times: each operation runs untraced, and after a random part of the time that it takes one of its processes, the
command itself or what it has made, is killed.  Nothing hangs, and one `delete --force` cleans up."""

import argparse
import os
import random
import signal
import time

import host as hosts
import sweep


class Kills(sweep.Worker):
    """The worker of the sweep, with a clock instead of an injector."""

    def start(self, config, op):
        """Starts OP; its process."""
        self.on_terminal(op)
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            return self.popen(self.command(self.words_of(config, op)), out, err, self.config.user)

    def make_ready(self, config, op):
        self.kept = None
        self.prepare(config, sweep.OPERATIONS[op][0])
        hosts.reap()
        return {pid for pid, _ in self.host.processes()}

    def measure(self, config, op):
        """The seconds that OP takes."""
        took = []
        for _ in range(3):
            self.make_ready(config, op)
            start = time.monotonic()
            if hosts.wait_as_init(self.start(config, op), sweep.DEADLINE * 3) != 0:
                raise sweep.Lost(f"{config} {op} does not work: {self.err.read_text()}")
            took.append(time.monotonic() - start)
            leak = self.delete()
            if leak:
                raise sweep.Lost(f"{config} {op} leaves something behind: {leak}")
        return min(took)

    def kill_one(self, process, old):
        """Kills the command, or with the same right one of the others: which."""
        others = sorted(pid for pid, _ in self.host.processes() if pid not in old and pid != process.pid)
        victim = process.pid if not others or random.random() < 0.5 else random.choice(others)
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            return "nobody"
        return "P" if victim == process.pid else "another"

    def one(self, config, op, took):
        """One kill: what it hit when, the verdict, and why."""
        old = self.make_ready(config, op)
        delay = random.uniform(0, took * 1.1)
        process = self.start(config, op)
        time.sleep(delay)
        hit = self.kill_one(process, old)
        code = hosts.wait_as_init(process, sweep.DEADLINE * 2)
        if code is None:
            process.kill()
            process.wait()
        mode = self.caller.changed() if self.caller and hit != "P" else []
        self.on_terminal(None)
        wrong = self.told()
        leak = self.delete() + mode
        at = f"{hit} after {delay * 1000:.1f} ms"
        if code is None:
            return at, "HANG", wrong
        if leak:
            return at, "LEAK", leak
        if code < 0 and -code != signal.SIGKILL:
            return at, "CRASH", f"signal {-code}"
        if wrong:
            return at, "WRONG", wrong
        return at, "clean", ""

    def kills_of(self, config, op, write):
        took = self.measure(config, op)
        for _ in range(self.options.rounds or (12 if self.options.quick else 150)):
            if self.is_late():
                return
            at, verdict, why = self.one(config, op, took)
            write({"config": config, "op": op, "at": at, "action": "kill", "verdict": verdict, "why": why})

    def sweep_all(self, write):
        random.seed(self.options.seed + self.options.share)
        for config in self.options.configs:
            for op in sweep.operations_of(config, self.options):
                try:
                    self.kills_of(config, op, write)
                except sweep.Lost as lost:
                    write({"config": config, "op": op, "verdict": "LOST", "why": str(lost)})
                    self.delete()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("runtime", "inject", "probe", "results", "token"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--share", type=int, default=0)
    parser.add_argument("--shares", type=int, default=1)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--until", type=float)
    parser.add_argument("--settle-kept", action="store_false")
    sweep.add_choices(parser)
    sweep.run_worker(Kills, parser.parse_args())


if __name__ == "__main__":
    main()
