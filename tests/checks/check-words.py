#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trees stay free of machine paths, debug leftovers and unfinished marks."""
import re
import subprocess
import sys

import source

BAD = {
    "unfinished mark": re.compile(r"\b(TODO|FIXME|XXX|HACK)\b"),
    "machine path": re.compile(r"/(?:home|root|Users)/[a-z]"),
    "trailing space": re.compile(r"[ \t]+$", re.M),
}
SKIP = re.compile(r"\.(png|svg|bin|pcap)$|^LICENSE$|/corpus/|check-words\.py$")


def main():
    listed = subprocess.run(["git", "-C", str(source.ROOT), "ls-files"], capture_output=True,
                            text=True, check=False)
    if listed.returncode:  # an exported tree without git
        names = [source.rel(p) for p in source.files(".c", ".h", ".py", ".sh", ".md", ".build")]
    else:
        names = listed.stdout.splitlines()
    problems = []
    for name in names:
        if SKIP.search(name):
            continue
        try:
            text = (source.ROOT / name).read_text()
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue
        for what, pattern in BAD.items():
            for match in pattern.finditer(text):
                problems.append(f"{name}:{source.line_of(text, match.start())}: {what}")
    return source.finish("words", problems)


if __name__ == "__main__":
    sys.exit(main())
