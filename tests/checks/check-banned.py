#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Functions and habits that the house style forbids (CONTRIBUTING.md, "Never")."""
import re
import sys

import source

EVERYWHERE = {
    "unsafe-string": (r"\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|stpcpy)\s*\(",
                      "unbounded string function"),
    "number-parse": (r"\b(atoi|atol|atoll|atof|strtol|strtoul|strtoll|strtoull|sscanf)\s*\(",
                     "use sp_parse_u32() or g_ascii_string_to_unsigned()"),
    "alloca": (r"\b(alloca|g_alloca|g_newa|g_newa0)\s*\(", "no stack allocation by size"),
    "shell": (r"\b(system|popen|g_spawn_command_line_sync|g_spawn_command_line_async)\s*\(",
              "no shelling out"),
    "packed": (r"__attribute__\s*\(\(\s*packed", "read bytes through the cursor"),
    "line-comment": (r"(?<!:)//", "comments are /* */"),
}
ENGINE = {
    "clock": (r"\b(clock_gettime|gettimeofday|time|g_get_monotonic_time|g_get_real_time)\s*\(",
              "the engine reads no clock"),
    "environment": (r"\b(getenv|secure_getenv|g_getenv|setenv)\s*\(", "the engine has no environment"),
    "stdio": (r"\b(printf|fprintf|puts|fopen|fwrite|perror)\s*\(", "the engine does no I/O"),
    "random": (r"\b(rand|random|g_random_int|randombytes_buf)\s*\(", "randomness is an argument"),
    "static-state": (r"^\s+static\s+(?!const\b|inline\b|void\b)[A-Za-z_][\w\s\*]*=", "no hidden state"),
}
ENGINE_EXEMPT = {"engine/base/rng.c": {"random"}, "engine/base/defs.c": {"stdio"}}
PRODUCT = ("engine", "app", "ui")


def check(path):
    problems = []
    name = source.rel(path)
    text = path.read_text()
    lines = text.splitlines()
    if not re.match(r"/\* SPDX-License-Identifier: Apache-2\.0 \*/", text):
        problems.append(f"{name}:1: first line must be the SPDX line")
    plain = source.blank(text)
    strings_only = source.blank(text, keep_comments=True)
    rules = dict(EVERYWHERE)
    if name.startswith("engine/"):
        rules.update(ENGINE)
    for rule, (pattern, why) in rules.items():
        if rule in ENGINE_EXEMPT.get(name, ()):
            continue
        subject = plain
        if rule == "line-comment":
            subject = re.sub(r"/\*.*?\*/", lambda m: re.sub(r"[^\n]", " ", m.group(0)),
                             strings_only, flags=re.S)
        for match in re.finditer(pattern, subject, re.M):
            line = source.line_of(text, match.start())
            if not source.waived(lines, line, rule):
                problems.append(f"{name}:{line}: {match.group(0).strip()}: {why} [{rule}]")
    return problems


def main():
    problems = []
    for path in source.files(".c", ".h"):
        problems += check(path)
    return source.finish("banned", problems)


if __name__ == "__main__":
    sys.exit(main())
