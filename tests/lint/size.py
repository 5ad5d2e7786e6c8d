#!/usr/bin/python3
"""The program is small, and what the usual commands execute lies together in it.

    size.py PROGRAM BYTES [--ordered]

BYTES is what it may have when it is stripped.  With --ordered its section .text.usual must hold what src/order.ld
lists: when that shrinks, tests/bench/order has to be run again.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile

USUAL_MIN = 100_000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("bytes", type=int)
    parser.add_argument("--ordered", action="store_true")
    args = parser.parse_args()
    with tempfile.NamedTemporaryFile() as copy:
        subprocess.run(["strip", "-o", copy.name, args.program], check=True)
        size = os.stat(copy.name).st_size
    print(f"{size} bytes, {args.bytes} may be")
    wrong = size > args.bytes
    if args.ordered:
        sections = subprocess.run(["readelf", "-SW", args.program], capture_output=True, text=True, check=True).stdout
        usual = re.search(r"\.text\.usual\s+PROGBITS\s+\S+\s+\S+\s+(\S+)", sections)
        usual = int(usual.group(1), 16) if usual else 0
        print(f"{usual} bytes are the usual code, at least {USUAL_MIN} should be")
        wrong |= usual < USUAL_MIN
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
