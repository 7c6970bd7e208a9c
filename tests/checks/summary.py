#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Add up meson's JUnit reports: prints failures and skips with their reason, then the totals.

usage: summary.py LABEL=BUILDDIR/meson-logs/FILE.junit.xml ...
"""
import sys
import xml.etree.ElementTree as ElementTree


def reason(case, node):
    for text in (node.get("message"), node.text, case.findtext("system-out")):
        lines = [line for line in (text or "").splitlines() if line.strip()]
        if lines:
            return lines[-1].strip()
    return "no reason given"


def main():
    passed = failed = skipped = 0
    for argument in sys.argv[1:]:
        label, _, path = argument.partition("=")
        try:
            root = ElementTree.parse(path).getroot()
        except (OSError, ElementTree.ParseError) as error:
            print(f"FAIL  {label}: no report: {error}")
            failed += 1
            continue
        for suite in root.iter("testsuite"):
            for case in suite.findall("testcase"):
                name = f"{label}: {suite.get('name')} {case.get('name')}"
                bad = case.find("failure") if case.find("failure") is not None else case.find("error")
                skip = case.find("skipped")
                if bad is not None:
                    failed += 1
                    print(f"FAIL  {name}: {reason(case, bad)[:300]}")
                elif skip is not None:
                    skipped += 1
                    out = case.findtext("system-out") or suite.findtext("system-out")
                    lines = [line for line in (out or "").splitlines() if line.strip()]
                    print(f"SKIP  {name}: {(lines or ['no reason given'])[-1][:300]}")
                else:
                    passed += 1
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
