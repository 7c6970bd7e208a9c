#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Add up meson's test logs: failures with the end of their output, skips with their reason, totals.

usage: summary.py [--failed TEXT]... [LABEL:EXPECTED=BUILDDIR/meson-logs/FILE.json]...

Reads the JSON log and not the JUnit report, which tells nothing of a program that ended or hung
after its last good case. EXPECTED is the number of tests that must be in the log. With --counts,
prints only "N ok, N failed, N skipped" of the one log.
"""
import json
import re
import sys

GOOD = {"OK", "EXPECTEDFAIL"}
TAIL_LINES = 40
CASE = re.compile(r"(not )?ok\b[ \t]*\d*[ \t]*-?[ \t]*([^#]*)(?:#[ \t]*(\w+)[ \t]*(.*))?$")


class Totals:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def line(self, word="passed"):
        return f"{self.passed} {word}, {self.failed} failed, {self.skipped} skipped"


def last_line(*texts):
    for text in texts:
        lines = [line.strip() for line in (text or "").splitlines() if line.strip()]
        if lines:
            return lines[-1][:300]
    return "no reason given"


def cases(text):
    """The cases of TAP output as (good, name, directive, its text)."""
    if not re.search(r"^(TAP version|1\.\.\d+)", text, re.M):
        return []
    found = (CASE.match(line) for line in text.splitlines())
    return [(m[1] is None, m[2].strip(), (m[3] or "").lower(), (m[4] or "").strip())
            for m in found if m]


def read(path):
    with open(path, encoding="utf-8", errors="replace") as stream:
        return [json.loads(line) for line in stream if line.strip()]


def tail(test):
    for stream in ("stdout", "stderr"):
        lines = (test.get(stream) or "").splitlines()
        if lines:
            cut = f", last {TAIL_LINES} of {len(lines)} lines" if len(lines) > TAIL_LINES else ""
            yield f"    -- {stream}{cut}"
            yield from (f"    {line[:400]}" for line in lines[-TAIL_LINES:])


def add(label, test, totals, out):
    name = f"{label}: {test['name'].partition(':')[2] or test['name']}"
    stdout = test.get("stdout") or ""
    failed = 0
    parts = cases(stdout)
    for good, case, directive, text in parts:
        if directive == "skip":
            totals.skipped += 1
            out.append(f"SKIP  {name} {case}: {text or 'no reason given'}")
        elif directive == "todo" or good:
            totals.passed += 1
        else:
            failed += 1
            out.append(f"FAIL  {name} {case}")
    result = test["result"]
    if result == "SKIP":
        if not parts:
            totals.skipped += 1
            plan = re.search(r"^1\.\.0\s*#\s*SKIP\s*(.*)", stdout, re.M | re.I)
            why = plan[1] if plan and plan[1] else last_line(stdout, test.get("stderr"))
            out.append(f"SKIP  {name}: {why}")
    elif result not in GOOD:
        if not failed:
            out.append(f"FAIL  {name}: {result.lower()}, status {test.get('returncode')}")
        failed = max(failed, 1)
        out.extend(tail(test))
    elif not parts:
        totals.passed += 1
    totals.failed += failed


def add_log(argument, totals, out):
    label, _, path = argument.partition("=")
    label, _, expected = label.partition(":")
    try:
        tests = read(path)
    except (OSError, ValueError) as error:
        out.append(f"FAIL  {label}: no report: {error}")
        totals.failed += 1
        return
    for test in tests:
        add(label, test, totals, out)
    missing = int(expected or 0) - len(tests)
    if missing > 0:
        out.append(f"FAIL  {label}: {missing} test(s) are not in the report")
        totals.failed += missing


def main(arguments):
    totals, out = Totals(), []
    if arguments[:1] == ["--counts"]:
        add_log(arguments[1], totals, out)
        print("\n".join([totals.line("ok")] + [line for line in out if not line.startswith("SKIP")]))
        return 0
    while arguments[:1] == ["--failed"]:
        totals.failed += 1
        out.append(f"FAIL  {arguments[1]}")
        arguments = arguments[2:]
    for argument in arguments:
        add_log(argument, totals, out)
    for mark in ("SKIP", "FAIL"):  # failures last, next to the totals
        keep = False
        for line in out:
            if not line.startswith(" "):
                keep = line.startswith(mark)
            if keep:
                print(line)
    print(totals.line())
    return 1 if totals.failed or not totals.passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
