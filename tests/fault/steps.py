"""Fails every row of the create table and of the init table, before and after it is made, and compares the host.  The rows are
those that a test build (-Dfaults=true) says it has come by."""

import argparse
import json
import os
import pathlib
import subprocess

import host as hosts
import sweep


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

    def try_one(self, op, config, fail=None):
        """Creates and starts, or runs: the exit codes, and whether the fault was hit."""
        os.environ["CREEL_FAIL_LIST"] = str(self.list)
        os.environ.pop("CREEL_FAIL", None)
        self.list.unlink(missing_ok=True)
        if fail:
            os.environ["CREEL_FAIL"] = fail
        try:
            bundle = self.bundle(config)
            if op == "run":
                return [self.run("run", "--bundle", bundle, "ID")]
            created = self.run("create", "--bundle", bundle, "ID")
            return [created] if created != 0 else [created, self.run("start", "ID")]
        finally:
            os.environ.pop("CREEL_FAIL", None)
            os.environ.pop("CREEL_FAIL_LIST", None)

    def rows(self, op, config):
        """Every point that is come by when nothing fails."""
        codes = self.try_one(op, config)
        if any(codes) or self.output() is None and not self.wait(lambda: self.output() is not None):
            raise sweep.Lost(f"{config} {op} does not work without a fault: {codes} {self.err.read_text()}")
        rows = list(dict.fromkeys(self.list.read_text().splitlines()))
        if self.delete():
            raise sweep.Lost(f"{config} {op} leaves something behind without a fault")
        return rows

    def judge_row(self, op, config, row):
        codes = self.try_one(op, config, row)
        step = row.partition(":")[2]
        error = self.err.read_text(errors="replace").strip()
        if row not in self.list.read_text().splitlines():
            return "LOST", "the row was not come by", error
        failed = next((code for code in codes if code != 0), 0)
        # What a failed create leaves is nothing, even before delete is asked.
        left = self.host.difference(self.empty, 0.5) if op == "run" or codes[0] else []
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

    def main(self):
        for config in self.options.configs:
            self.bundle(config)
            self.run("run", "--bundle", self.bundle(config), "ID", check=True)
        hosts.reap()
        self.empty = self.host.take()
        with open(self.options.results, "w", encoding="utf-8") as results:
            for config in self.options.configs:
                for op in ("create", "run"):
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
    worker = Steps(parser.parse_args())
    try:
        worker.main()
    finally:
        worker.host.close()


if __name__ == "__main__":
    main()
