#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""codespell finds no misspelt word."""
import sys

import source

# Words of the trade that codespell takes for mistakes.
IGNORE = "ect,cnat,hel,activ,abd,tru,caf"
SUFFIXES = {".c", ".h", ".py", ".sh", ".md", ".scd", ".xml", ".policy", ".txt", ".build", ".in", ".conf",
            ""}


def main():
    tool = source.needs("codespell")
    paths = [p for p in source.tracked()
             if p.suffix in SUFFIXES and "corpus" not in p.parts and p.name != "LICENSE"]
    status, text = source.run(tool, "-q", "3", "-L", IGNORE, *paths)
    problems = text.replace(f"{source.ROOT}/", "").splitlines()
    return source.finish("spelling", problems or ["codespell failed"] if status else [])


if __name__ == "__main__":
    sys.exit(main())
