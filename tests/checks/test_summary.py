#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What ./check counts: the cases of TAP output, crashes after good cases, reports that are missing."""
import io
import json
import pathlib
import tempfile
import unittest
from contextlib import redirect_stdout

import summary


def outcome(*arguments, tests=None):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "log.json"
        if tests is not None:
            path.write_text("".join(json.dumps(t) + "\n" for t in tests))
        out = io.StringIO()
        with redirect_stdout(out):
            status = summary.main([a.replace("LOG", str(path)) for a in arguments])
        return status, out.getvalue().splitlines()


def test(result="OK", stdout="", **more):
    return {"name": "sallyport:unit / room/noun", "result": result, "stdout": stdout, "returncode": 0,
            **more}


class Summary(unittest.TestCase):
    def total(self, *tests, expected=None):
        status, lines = outcome(f"x:{len(tests) if expected is None else expected}=LOG", tests=tests)
        return status, lines[-1], "\n".join(lines)

    def test_plain(self):
        self.assertEqual(self.total(test())[:2], (0, "1 passed, 0 failed, 0 skipped"))

    def test_tap(self):
        tap = "TAP version 13\n# random seed: R0\n1..3\nok 1 /a\nok 2 /b # SKIP no root\nok 3 /c\n"
        status, last, text = self.total(test(stdout=tap))
        self.assertEqual((status, last), (0, "2 passed, 0 failed, 1 skipped"))
        self.assertIn("SKIP  x: unit / room/noun /b: no root", text)

    def test_failed_case(self):
        status, last, text = self.total(test("FAIL", "1..2\nok 1 /a\nnot ok 2 /b\n# why\n"))
        self.assertEqual((status, last), (1, "1 passed, 1 failed, 0 skipped"))
        self.assertIn("    # why", text)

    def test_crash_after_good_cases(self):
        for result in ("ERROR", "FAIL", "TIMEOUT", "INTERRUPT"):
            status, last, _ = self.total(test(result, "1..3\nok 1 /a\nok 2 /b\n"))
            self.assertEqual((status, last), (1, "2 passed, 1 failed, 0 skipped"))

    def test_failure_that_is_expected_says_so(self):
        self.assertEqual(self.total(test("EXPECTEDFAIL"))[0], 0)
        self.assertEqual(self.total(test("UNEXPECTEDPASS"))[0], 1)

    def test_skips(self):
        _, last, text = self.total(test(), test("SKIP", "first\nneeds root\n"))
        self.assertEqual(last, "1 passed, 0 failed, 1 skipped")
        self.assertIn("noun: needs root", text)
        _, last, text = self.total(test(), test("SKIP", "1..0 # SKIP no tun\n"))
        self.assertEqual(last, "1 passed, 0 failed, 1 skipped")
        self.assertIn("noun: no tun", text)

    def test_output_that_only_looks_like_tap(self):
        self.assertEqual(self.total(test(stdout="ok then\nnot ok is a word\n"))[:2],
                         (0, "1 passed, 0 failed, 0 skipped"))

    def test_missing(self):
        self.assertEqual(self.total(test(), expected=3)[1], "1 passed, 2 failed, 0 skipped")
        self.assertEqual(outcome("x:2=LOG")[1][-1], "0 passed, 1 failed, 0 skipped")
        self.assertEqual(outcome()[0], 1)

    def test_builds(self):
        status, lines = outcome("--failed", "clang: compile", "x:1=LOG", tests=[test()])
        self.assertEqual((status, lines[-2:]), (1, ["FAIL  clang: compile",
                                                    "1 passed, 1 failed, 0 skipped"]))

    def test_counts(self):
        _, lines = outcome("--counts", "x:1=LOG", tests=[test("SKIP", "why\n")])
        self.assertEqual(lines, ["0 ok, 0 failed, 1 skipped"])


if __name__ == "__main__":
    unittest.main()
