#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every engine header compiles on its own: `check-headers.py CC FLAGS...`"""
import concurrent.futures
import subprocess
import sys

import source


def compile_one(job):
    command, path = job
    name = source.rel(path)
    result = subprocess.run([*command, "-fsyntax-only", "-std=gnu17", "-D_GNU_SOURCE", "-I",
                             str(source.ROOT), "-x", "c", "-"],
                            input=f'#include "{name}"\n', capture_output=True, text=True, check=False)
    if result.returncode:
        return f"{name}: not self-contained: {result.stderr.splitlines()[0] if result.stderr else ''}"
    return None


def main():
    flags = subprocess.run(["pkg-config", "--cflags", "glib-2.0", "json-glib-1.0", "libsodium"],
                           capture_output=True, text=True, check=False).stdout.split()
    jobs = [([sys.argv[1] if len(sys.argv) > 1 else "cc", *flags], p)
            for p in source.files(".h", under=("engine",))]
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        problems = [p for p in pool.map(compile_one, jobs) if p]
    return source.finish("headers", problems)


if __name__ == "__main__":
    sys.exit(main())
