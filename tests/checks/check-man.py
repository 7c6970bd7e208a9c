#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""scdoc formats every manual page, and man's formatter has nothing to say about the result."""
import shutil
import subprocess
import sys

import source


def check(path):
    name = source.rel(path)
    with path.open("rb") as stream:
        made = subprocess.run(["scdoc"], stdin=stream, capture_output=True, check=False)
    if made.returncode or made.stderr:
        return [f"{name}: {line}" for line in made.stderr.decode().splitlines() or ["scdoc failed"]]
    if shutil.which("groff") is None:
        return []
    shown = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z"], input=made.stdout,
                           capture_output=True, check=False)
    return [f"{name}: {line}" for line in shown.stderr.decode().splitlines()]


def main():
    source.needs("scdoc")
    problems = []
    for path in sorted((source.ROOT / "data/man").glob("*.scd")):
        problems += check(path)
    return source.finish("man", problems)


if __name__ == "__main__":
    sys.exit(main())
