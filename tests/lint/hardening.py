#!/usr/bin/python3
"""The program is built so that a mistake in it is hard to use: position-independent, nothing both writable and executable, relocations
read-only from the start, stack canaries, no search path for libraries.

    hardening.py PROGRAM [--static] [--compiler CC]

First a program without all that is built and looked at, so that each check is known to be able to fail.
"""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

# A build without canaries has the few calls that its C library brings along.
CANARIES_MIN = 200

WEAK = ["-O0", "-no-pie", "-fno-pie", "-fno-stack-protector", "-Wl,-z,execstack", "-Wl,-z,norelro",
        "-Wl,-z,lazy", "-Wl,-rpath,/tmp", "-Wl,--disable-new-dtags"]


def ask(*command):
    """What a program of binutils says."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def findings(program, static):
    """What is wrong with PROGRAM: name of the check and sentence."""
    header, segments = ask("readelf", "-hW", program), ask("readelf", "-lW", program)
    dynamic, code = ask("readelf", "-dW", program), ask("objdump", "-d", "--no-show-raw-insn", program)
    found = {}
    if not re.search(r"Type:\s+DYN", header) or not re.search(r"\(FLAGS_1\).*\bPIE\b", dynamic):
        found["pie"] = "it is not position-independent"
    if not re.search(r"GNU_RELRO", segments):
        found["relro"] = "its relocations stay writable"
    if not re.search(r"\(FLAGS\).*BIND_NOW|\(FLAGS_1\).*\bNOW\b", dynamic):
        found["now"] = "it is bound lazily"
    stack = re.search(r"GNU_STACK(?:\s+0x\w+){5}\s+(\S+)", segments)
    if not stack or "E" in stack.group(1):
        found["stack"] = "its stack is executable"
    if re.search(r"LOAD.*\bRWE\b", segments):
        found["wx"] = "memory of it is both writable and executable"
    if re.search(r"\((RPATH|RUNPATH)\)", dynamic):
        found["rpath"] = "it has a search path for libraries"
    if re.search(r"TEXTREL", dynamic):
        found["textrel"] = "its code is relocated"
    if len(re.findall(r"<__stack_chk_fail", code)) < CANARIES_MIN:
        found["canaries"] = "functions lack stack canaries"
    if static and ("INTERP" in segments or "(NEEDED)" in dynamic):
        found["static"] = "it needs a dynamic linker"
    return found


def self_test(compiler):
    """Sentences about checks that do not see what they are for."""
    with tempfile.TemporaryDirectory() as directory:
        source, program = pathlib.Path(directory, "weak.c"), pathlib.Path(directory, "weak")
        source.write_text("int main(void)\n{\n\treturn 0;\n}\n")
        subprocess.run([compiler, *WEAK, "-o", program, source], check=True)
        found = findings(str(program), True)
        wanted = {"pie", "relro", "now", "stack", "rpath", "canaries", "static"}
        return [f"the check \"{name}\" does not see a program without it" for name in sorted(wanted - set(found))]


def main():
    """0 when all is as it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--static", action="store_true")
    parser.add_argument("--compiler", default="cc")
    options = parser.parse_args()
    problems = self_test(options.compiler)
    problems += [f"{options.program}: {sentence}" for sentence in findings(options.program, options.static).values()]
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
