# SPDX-License-Identifier: Apache-2.0
"""What the house lints share: the list of sources and C text without comments and strings."""
import os
import pathlib
import re
import shutil
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


def tracked():
    """Paths of the whole tree: what git knows, or everything outside build trees without git."""
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True,
                            check=False)
    if listed.returncode == 0:
        names = [ROOT / os.fsdecode(name) for name in listed.stdout.split(b"\0") if name]
        return [path for path in names if path.is_file()]
    out = []
    for folder, below, names in os.walk(ROOT):
        here = pathlib.Path(folder)
        below[:] = sorted(d for d in below if d not in (".git", "__pycache__")
                          and not (here / d / "meson-private").exists()
                          and not (here == ROOT and d.startswith("build-")))
        out += [here / name for name in sorted(names)]
    return out


def needs(tool):
    """Ends the check as skipped where a tool is not installed."""
    if shutil.which(tool) is None:
        print(f"{tool} is not installed")
        raise SystemExit(77)
    return tool


def run(*command):
    """Status and everything that the command printed."""
    done = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", check=False)
    return done.returncode, done.stdout


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
