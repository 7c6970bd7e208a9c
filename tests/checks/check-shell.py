#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""shellcheck has nothing to say about any shell script."""
import re
import sys

import source

SHEBANG = re.compile(rb"#!.*\b(ba|da)?sh\b")


def is_shell(path):
    with path.open("rb") as stream:
        first = stream.readline(200)
    return bool(SHEBANG.match(first)) or path.suffix == ".sh"


def main():
    tool = source.needs("shellcheck")
    problems = []
    for path in source.tracked():
        if not is_shell(path):
            continue
        # "source" paths are relative to the root, where ./check and ./demo run.
        status, text = source.run(tool, "-x", "-P", source.ROOT, "-f", "gcc", path)
        if status:
            problems += text.replace(f"{source.ROOT}/", "").splitlines()
    return source.finish("shell", problems)


if __name__ == "__main__":
    sys.exit(main())
