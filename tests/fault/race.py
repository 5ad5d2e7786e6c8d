"""Commands that race each other on one container.  Every pair, or three of them, is run in one order and the other to learn
which answers a sequential order gives; then thousands of times at once, with random delays between them: each answer must be one of
those, and the end must be clean."""

import argparse
import itertools
import json
import random
import re
import subprocess
import time

import host as hosts
import sweep

# The container's program ends by itself.
DIES = ["kill", "-KILL", "INIT"]
# What is there before, and the commands that race.
RACES = {
    "two creates": (None, [["create", "--bundle", "BUNDLE", "ID"]] * 2),
    "create, delete": (None, [["create", "--bundle", "BUNDLE", "ID"], ["delete", "--force", "ID"]]),
    "create, state": (None, [["create", "--bundle", "BUNDLE", "ID"], ["state", "ID"]]),
    "two starts": ("created", [["start", "ID"]] * 2),
    "start, delete": ("created", [["start", "ID"], ["delete", "ID"]]),
    "start, delete --force": ("created", [["start", "ID"], ["delete", "--force", "ID"]]),
    "start, kill": ("created", [["start", "ID"], ["kill", "ID", "KILL"]]),
    "exec, delete --force": ("running", [["exec", "ID", "/bin/probe", "true"], ["delete", "--force", "ID"]]),
    "exec, kill": ("running", [["exec", "ID", "/bin/probe", "true"], ["kill", "ID", "KILL"]]),
    "two execs": ("running", [["exec", "ID", "/bin/probe", "true"]] * 2),
    "kill, kill": ("running", [["kill", "ID", "KILL"]] * 2),
    "kill, state": ("running", [["kill", "ID", "KILL"], ["state", "ID"]]),
    "pause, resume": ("running", [["pause", "ID"], ["resume", "ID"]]),
    "pause, update": ("running", [["pause", "ID"], ["update", "--resources", "LIMITS", "ID"]]),
    "pause, delete --force": ("running", [["pause", "ID"], ["delete", "--force", "ID"]]),
    "delete, delete": ("stopped", [["delete", "ID"]] * 2),
    "delete, state": ("stopped", [["delete", "ID"], ["state", "ID"]]),
    "delete --force, state": ("running", [["delete", "--force", "ID"], ["state", "ID"]]),
    "resume, state": ("paused", [["resume", "ID"], ["state", "ID"]]),
    "delete --force, list": ("running", [["delete", "--force", "ID"], ["list"]]),
    "delete, create": ("stopped", [["delete", "ID"], ["create", "--bundle", "BUNDLE", "ID"]]),
    "kill, its end": ("running", [["kill", "ID", "KILL"], DIES]),
    "exec, its end": ("running", [["exec", "ID", "/bin/probe", "true"], DIES]),
    "delete --force, its end": ("running", [["delete", "--force", "ID"], DIES]),
    "pause, its end": ("running", [["pause", "ID"], DIES]),
    "exec, state": ("running", [["exec", "ID", "/bin/probe", "true"], ["state", "ID"]]),
    "pause, state": ("running", [["pause", "ID"], ["state", "ID"]]),
    "update, state": ("running", [["update", "--resources", "LIMITS", "ID"], ["state", "ID"]]),
    "update, delete --force": ("running", [["update", "--resources", "LIMITS", "ID"], ["delete", "--force", "ID"]]),
    "pause, kill, state": ("running", [["pause", "ID"], ["kill", "ID", "KILL"], ["state", "ID"]]),
    "start, state, delete --force": ("created", [["start", "ID"], ["state", "ID"], ["delete", "--force", "ID"]]),
}
# What a command may say while another one is in the middle of its work: that other one holds the container's lock.
BUSY = re.compile(r"is busy: another command works on it|was deleted while it was being created")


class Race(sweep.Worker):
    """Runs the races."""

    def words(self, words):
        if words is DIES:
            return [*DIES[:2], str(self.pid)]
        places = {"BUNDLE": self.bundle("plain", "sleep"), "LIMITS": str(self.limits)}
        return self.command([places.get(word, word) for word in words])

    def prepare_race(self, need):
        self.kept = None
        if need == "created":
            self.run("create", "--bundle", self.bundle("plain", "sleep"), "ID", check=True)
        else:
            self.prepare("plain", need)
        if need == "running":
            self.pid = self.init()
        hosts.reap()

    def answer(self, words, code, text):
        """A command's answer without what differs from run to run."""
        status = re.search(r'"status": ?"(\w+)"', text) if words[0] == "state" else None
        if code == 0 and status:
            return f"0 {status[1]}"
        # A signal may come before exec has told of its program's end.
        if words[0] == "exec" and code == 137:
            return "0"
        return str(min(code, 1) if code >= 0 else code)

    def at_once(self, commands, delays):
        """Starts all commands with DELAYS between them; their answers, in their order."""
        running = []
        for i in sorted(range(len(commands)), key=lambda i: delays[i]):
            out = open(self.host.directory / f"out.{i}", "w+b")
            time.sleep(max(0, delays[i] - min(delays)) if i != min(range(len(delays)), key=delays.__getitem__) else 0)
            running.append((i, out, subprocess.Popen(self.words(commands[i]), stdin=subprocess.DEVNULL,
                                                     stdout=out, stderr=subprocess.STDOUT)))
        answers, texts = [None] * len(commands), [None] * len(commands)
        for i, out, process in running:
            try:
                code = process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                code = None
            out.seek(0)
            texts[i] = out.read().decode(errors="replace")
            out.close()
            answers[i] = "hung" if code is None else self.answer(commands[i], code, texts[i])
        return tuple(answers), texts

    def sequential(self, need, commands):
        """Every set of answers that some order gives, and how much that takes."""
        allowed, took = set(), 0.0
        # What was killed is dead at once or a moment later: a later command may see either.
        for order, rest in itertools.product(itertools.permutations(range(len(commands))), (0, 0.05)):
            self.prepare_race(need)
            answers = [None] * len(commands)
            start = time.monotonic()
            for i in order:
                (answers[i],), _ = self.at_once([commands[i]], [0])
                time.sleep(rest)
            took = max(took, time.monotonic() - start - rest * len(commands))
            allowed.add(tuple(answers))
            leak = self.delete()
            if leak:
                raise sweep.Lost(f"{commands} in the order {order} leaves {leak}")
        return allowed, took

    def widen(self, allowed, commands):
        """A killed container is running until the kernel has ended it, so each may answer for either moment."""
        more = set(allowed)
        kills = sum(command[0] == "kill" for command in commands)
        for answers in allowed:
            for i, answer in enumerate(answers):
                # The second of two kills finds it dead, or still dying.
                if answer == "1" and commands[i][0] == "kill" and kills > 1:
                    more.add((*answers[:i], "0", *answers[i + 1:]))
                if answer == "0 created":
                    more.add((*answers[:i], "0 creating", *answers[i + 1:]))
                # `delete --force` is a kill and a delete, and others may come between them.
                if commands[i][0] == "state" and ["delete", "--force", "ID"] in commands:
                    more.add((*answers[:i], "0 stopped", *answers[i + 1:]))
                if answer == "0 stopped":
                    more.add((*answers[:i], "0 running", *answers[i + 1:]))
                    more.add((*answers[:i], "0 paused", *answers[i + 1:]))
        if all(words == commands[0] for words in commands):
            # Which of them is first is anybody's guess.
            more |= {order for answers in more for order in itertools.permutations(answers)}
        return more

    def race(self, name, write):
        need, commands = RACES[name]
        allowed, took = self.sequential(need, commands)
        allowed = self.widen(allowed, commands)
        rounds = self.options.rounds or (12 if self.options.quick else 300)
        for _ in range(rounds):
            self.prepare_race(need)
            delays = [random.uniform(0, took) if i else took * random.random() for i in range(len(commands))]
            answers, texts = self.at_once(commands, delays)
            verdict, why = "unaffected", ""
            if "hung" in answers:
                verdict, why = "HANG", answers
            elif any(answer.startswith("-") for answer in answers):
                verdict, why = "CRASH", answers
            elif answers not in allowed and not any(BUSY.search(text) for text in texts):
                verdict, why = "WRONG", f"{answers} is not one of {sorted(allowed)}: {[t[-200:] for t in texts]}"
            leak = self.delete()
            if leak:
                verdict, why = "LEAK", leak
            write({"op": name, "at": "".join(f"{d * 1000:.1f} " for d in delays), "verdict": verdict, "why": why})

    def main(self):
        self.bundle("plain", "sleep")
        self.run("run", "--detach", "--bundle", self.bundle("plain", "sleep"), "ID", check=True)
        self.run("delete", "--force", "ID", check=True)
        self.wait(lambda: not self.host.processes())
        self.empty = self.host.take()
        random.seed(self.options.seed + self.options.share)
        with open(self.options.results, "w", encoding="utf-8") as results:
            def write(row):
                results.write(json.dumps(row) + "\n")
                results.flush()
            for name in list(RACES)[self.options.share::self.options.shares]:
                try:
                    self.race(name, write)
                except sweep.Lost as lost:
                    write({"op": name, "verdict": "LOST", "why": str(lost)})
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
    worker = Race(parser.parse_args())
    try:
        worker.main()
    finally:
        worker.host.close()


if __name__ == "__main__":
    main()
