"""Fails every row of the tables of create, init and exec, and with CRIU of restore, before and after it is made, and compares the
host.  The rows are those that a test build (-Dfaults=true) says it has come by."""

import argparse
import json
import os
import pathlib
import subprocess

import sweep


OPERATIONS = ["create", "run", "exec", "exec-attended"]


class Steps(sweep.Worker):
    """The worker of the sweep, with a build that can be told to fail."""

    def __init__(self, options):
        super().__init__(options)
        # Executed from a read-only mount, creel does not execute itself again and forget its environment.
        build = self.host.directory / "build"
        build.mkdir()
        subprocess.run(["mount", "--bind", pathlib.Path(options.faults).resolve().parent, build], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", build], check=True)
        self.runtime = str(build / pathlib.Path(options.faults).name)
        # Whoever calls makes files here.
        self.list = self.host.directory / "out.d" / "out.list"
        self.list.parent.mkdir()
        self.list.parent.chmod(0o777)

    def commands(self, op, config):
        """The commands of an operation whose rows fail, in order."""
        pid_file = str(self.list.with_name("out.pid"))
        if op == "exec-attended":
            words = self.words_of(config, "exec")
            return [[words[0], "--pid-file", pid_file, *words[1:], "true"]]
        # P has nothing to do for the process of `exec`; of the other it meets it, sets limits and writes a file.
        return {"create": [self.words_of(config, "create"), ["start", "ID"]], "run": [self.words_of(config, "run-foreground")],
                "exec": [[*self.words_of(config, "exec"), "true"]], "restore": [self.words_of(config, "restore")]}[op]

    def make_ready(self, op, config):
        """The container that an exec needs, and the terminal that a command is called on."""
        self.kept = None
        self.prepare(config, "running" if op.startswith("exec") else None)
        self.on_terminal({"run": "run-foreground", "exec-attended": "exec"}.get(op, op))

    def try_one(self, op, config, fail=None):
        """Runs the commands until one fails: the exit codes."""
        os.environ["CREEL_FAIL_LIST"] = str(self.list)
        os.environ.pop("CREEL_FAIL", None)
        self.list.unlink(missing_ok=True)
        if fail:
            os.environ["CREEL_FAIL"] = fail
        try:
            codes = []
            for words in self.commands(op, config):
                codes.append(self.run(*words))
                if codes[-1] != 0:
                    break
            return codes
        finally:
            os.environ.pop("CREEL_FAIL", None)
            os.environ.pop("CREEL_FAIL_LIST", None)

    def come_by(self):
        """The rows that were come by, each once."""
        # Behind the text its size stands; and who was killed before it wrote its line leaves a hole.
        lines = self.list.read_bytes()[:-8].replace(b"\0", b"\n").decode().splitlines()
        return list(dict.fromkeys(line for line in lines if line))

    def rows(self, op, config):
        """Every point that is come by when nothing fails."""
        self.make_ready(op, config)
        codes = self.try_one(op, config)
        self.on_terminal(None)
        silent = op not in ("create", "run")
        if any(codes) or not silent and self.output() is None and not self.wait(lambda: self.output() is not None):
            raise sweep.Lost(f"{config} {op} does not work without a fault: {codes} {self.err.read_text()}")
        rows = self.come_by()
        if self.delete():
            raise sweep.Lost(f"{config} {op} leaves something behind without a fault")
        return rows

    def judge_row(self, op, config, row):
        self.make_ready(op, config)
        before = self.host.take() if op.startswith("exec") else self.empty
        codes = self.try_one(op, config, row)
        mode = self.caller.changed() if self.caller else []
        self.on_terminal(None)
        step = row.partition(":")[2]
        error = self.err.read_text(errors="replace").strip()
        if row not in self.come_by():
            self.delete()
            return "LOST", "the row was not come by", error
        failed = next((code for code in codes if code != 0), 0)
        # What a failed command leaves is nothing, even before delete is asked.
        self.console.drop()
        left = self.host.difference(before) if op != "create" or codes[0] else []
        leak = self.delete() + mode
        if None in codes:
            return "HANG", str(codes), error
        if leak:
            return "LEAK", leak, error
        if left:
            return "LEFT", left, error
        if failed == 0:
            return "FAIL-OPEN", "every command said that it worked", error
        if failed < 0:
            return "CRASH", f"signal {-failed}", error
        late = op == "create" and codes[0] == 0 and row in ("after:waiting for start",)
        if step not in error and not late:
            return "WRONG", "the error does not name the step", error
        return "failed clean", "", error

    def main(self):
        self.warm_up()
        with open(self.options.results, "w", encoding="utf-8") as results:
            for config in self.options.configs:
                for op in self.options.operations:
                    for row in self.rows(op, config)[self.options.share::self.options.shares]:
                        verdict, why, error = self.judge_row(op, config, row)
                        results.write(json.dumps({"config": config, "op": op, "at": row, "verdict": verdict,
                                                  "why": why, "error": error[-300:]}) + "\n")
                        results.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("runtime", "inject", "probe", "results", "token", "faults"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--share", type=int, default=0)
    parser.add_argument("--shares", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    sweep.add_choices(parser)
    parser.set_defaults(operations=OPERATIONS)
    sweep.run_worker(Steps, parser.parse_args())


if __name__ == "__main__":
    main()
