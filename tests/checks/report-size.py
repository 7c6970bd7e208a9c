#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The longest functions and files, for review. Never fails."""
import re

import source

DEFINITION = re.compile(r"^(\w+)\((?:[^;{}]|\n)*?\)\n\{\n(.*?)^\}", re.M | re.S)


def main():
    functions, lengths = [], []
    for path in source.files(".c", under=("engine", "app", "ui")):
        if not path.exists():
            continue
        text = path.read_text()
        lengths.append((text.count("\n"), source.rel(path)))
        for match in DEFINITION.finditer(text):
            functions.append((match.group(2).count("\n"), f"{source.rel(path)}: {match.group(1)}"))
    functions.sort(reverse=True)
    lengths.sort(reverse=True)
    for title, rows in (("longest functions", functions), ("longest files", lengths)):
        print(title)
        for count, name in rows[:15]:
            print(f"  {count:5} {name}")
    if functions:
        only = sorted(c for c, _ in functions)
        print(f"functions: {len(only)}, median {only[len(only) // 2]}, "
              f"90 % below {only[len(only) * 9 // 10]} lines")


if __name__ == "__main__":
    main()
