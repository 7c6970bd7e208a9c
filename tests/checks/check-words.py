#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trees stay free of machine paths, debug leftovers and unfinished marks."""
import re
import sys

import source

BAD = {
    "unfinished mark": re.compile(r"\b(TODO|FIXME|XXX|HACK)\b"),
    "machine path": re.compile(r"/(?:home|root|Users)/[a-z]"),
    "trailing space": re.compile(r"[ \t]+$", re.M),
}
SKIP = re.compile(r"\.(png|svg|bin|pcap)$|^LICENSE$|/corpus/|check-words\.py$")


def main():
    problems = []
    for path in source.tracked():
        name = source.rel(path)
        if SKIP.search(name):
            continue
        try:
            text = path.read_text()
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue
        for what, pattern in BAD.items():
            for match in pattern.finditer(text):
                problems.append(f"{name}:{source.line_of(text, match.start())}: {what}")
    return source.finish("words", problems)


if __name__ == "__main__":
    sys.exit(main())
