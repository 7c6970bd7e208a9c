#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every C file is as clang-format 14 writes it. Run with --fix to rewrite."""
import shutil
import subprocess
import sys

import source


def main():
    tool = shutil.which("clang-format-14")
    if tool is None:
        print("clang-format-14 is not installed, and other versions lay out differently")
        return 77
    paths = [str(p) for p in source.files(".c", ".h")]
    if "--fix" in sys.argv:
        return subprocess.run([tool, "-i", *paths], check=False).returncode
    result = subprocess.run([tool, "--dry-run", "-Werror", *paths], capture_output=True, text=True,
                            check=False)
    bad = sorted({line.split(":")[0] for line in result.stderr.splitlines() if "error:" in line})
    problems = [f"{b}: not formatted" for b in bad]
    return source.finish("format", problems)


if __name__ == "__main__":
    sys.exit(main())
