"""Fails every row of the tables of create, init and exec, and with CRIU of restore, before and after it is made, and compares the
host.  The rows are those that a test build (-Dfaults=true) says it has come by."""

import argparse
import json
import os
import pathlib
import shutil
import subprocess

import host as hosts
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
        self.list = self.host.directory / "out.list"
        # Not compared: the host's directory is.
        self.images = pathlib.Path(options.results).parent / f"images-{options.share}"

    def commands(self, op, config):
        """The commands of an operation whose rows fail, in order."""
        bundle, pid_file = self.bundle(config), str(self.host.directory / "out.pid")
        return {
            "create": [("create", "--bundle", bundle, "ID"), ("start", "ID")],
            "run": [("run", "--bundle", bundle, "ID")],
            # P has nothing to do for the process; P meets it, sets limits and writes a file.
            "exec": [("exec", "ID", "/bin/probe", "true")],
            "exec-attended": [("exec", "--pid-file", pid_file, "ID", "/bin/probe", "true")],
            "restore": [("restore", "--detach", "--image-path", str(self.images), "--bundle",
                         self.bundle(config, "sleep"), "ID")],
        }[op]

    def make_ready(self, op, config):
        """The container that an exec needs."""
        if op.startswith("exec"):
            self.run("run", "--detach", "--bundle", self.bundle(config, "sleep"), "ID", check=True)

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
        return list(dict.fromkeys(self.list.read_bytes().split(b"\0")[0].decode().splitlines()))

    def rows(self, op, config):
        """Every point that is come by when nothing fails."""
        self.make_ready(op, config)
        codes = self.try_one(op, config)
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
        step = row.partition(":")[2]
        error = self.err.read_text(errors="replace").strip()
        if row not in self.come_by():
            self.delete()
            return "LOST", "the row was not come by", error
        failed = next((code for code in codes if code != 0), 0)
        # What a failed command leaves is nothing, even before delete is asked.
        left = self.host.difference(before) if op != "create" or codes[0] else []
        leak = self.delete()
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

    def save(self, config):
        """Images of a container: what a restore needs."""
        shutil.rmtree(self.images, ignore_errors=True)
        self.run("run", "--detach", "--bundle", self.bundle(config, "sleep"), "ID", check=True)
        self.run("checkpoint", "--image-path", str(self.images), "ID", check=True)
        leak = self.delete()
        if leak:
            raise sweep.Lost(f"a checkpoint leaves {leak}")

    def main(self):
        for config in self.options.configs:
            self.bundle(config)
            self.run("run", "--bundle", self.bundle(config), "ID", check=True)
        hosts.reap()
        for config in self.options.configs:
            self.bundle(config, "sleep")
        self.empty = self.host.take()
        with open(self.options.results, "w", encoding="utf-8") as results:
            for config in self.options.configs:
                if "restore" in self.options.operations:
                    self.save(config)
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
    parser.add_argument("--configs", type=lambda text: text.split(","), default=list(hosts.SPECS))
    parser.add_argument("--operations", type=lambda text: text.split(","), default=OPERATIONS, help="restore needs CRIU")
    parser.add_argument("--patience", type=float, default=sweep.DEADLINE, help="seconds; a command may take three times as long")
    options = parser.parse_args()
    sweep.DEADLINE = options.patience
    worker = Steps(options)
    try:
        worker.main()
    finally:
        worker.host.close()


if __name__ == "__main__":
    main()
