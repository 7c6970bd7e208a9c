# SPDX-License-Identifier: Apache-2.0
"""What the house lints share: the list of sources and C text without comments and strings."""
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCE_DIRS = ("engine", "app", "ui", "tests")


def files(*suffixes, under=SOURCE_DIRS):
    """Tracked and new files below the source folders, without build trees."""
    out = []
    for folder in under:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in suffixes and path.is_file():
                out.append(path)
    return out


_TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def blank(text, keep_strings=False, keep_comments=False):
    """Same length and lines, with comments and literals replaced by spaces."""

    def repl(match):
        token = match.group(0)
        if token[0] in "\"'":
            return token if keep_strings else token[0] + " " * (len(token) - 2) + token[-1]
        if keep_comments:
            return token
        return re.sub(r"[^\n]", " ", token)

    return _TOKEN.sub(repl, text)


def rel(path):
    return path.relative_to(ROOT).as_posix()


def line_of(text, pos):
    return text.count("\n", 0, pos) + 1


def waived(lines, number, rule):
    """A waiver is a comment `lint: allow RULE (reason)` on the line or the line above."""
    for n in (number - 1, number - 2):
        if 0 <= n < len(lines) and f"lint: allow {rule} (" in lines[n]:
            return True
    return False


def finish(name, problems):
    for problem in problems:
        print(problem)
    print(f"{name}: {len(problems)} problem(s)")
    return 1 if problems else 0
