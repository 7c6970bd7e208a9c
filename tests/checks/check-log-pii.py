#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""No address, name or secret in a log call above DEBUG, no secret at any level."""
import re
import sys

import source

HIGH = re.compile(r"\b(SP_(?:ERROR|WARN|INFO)|g_(?:warning|message|info|critical))\s*\(")
ANY = re.compile(r"\b(SP_(?:ERROR|WARN|INFO|DEBUG|TRACE)|g_(?:warning|message|info|critical|debug))\s*\(")
PERSONAL = re.compile(
    r"\b(sp_ip_format|sp_endpoint_format|sp_cidr_format|domain|email|actor_name|account_name"
    r"|resource_name|address|hostname|search_domain|candidate_text)\b(?!\s*\?)")
SECRET = re.compile(r"\b(psk|private_key|priv_key|token|password|nonce_secret|ufrag_pwd|secret)\b"
                    r"(?!_(?:path|file|kind|id|missing|len|fd|expired))")


def arguments(text, start):
    depth = 0
    for i in range(start, len(text)):
        if text[i] == "(":
            depth += 1
        elif text[i] == ")":
            depth -= 1
            if depth == 0:
                return text[start + 1:i]
    return text[start + 1:]


def check(path):
    problems = []
    name = source.rel(path)
    text = path.read_text()
    lines = text.splitlines()
    plain = source.blank(text)
    for pattern, word, what in ((HIGH, PERSONAL, "personal data above DEBUG"),
                                (ANY, SECRET, "a secret in a log call")):
        for match in pattern.finditer(plain):
            args = arguments(plain, match.end() - 1)
            hit = word.search(args)
            line = source.line_of(text, match.start())
            if hit and not source.waived(lines, line, "log"):
                problems.append(f"{name}:{line}: {what}: {hit.group(0)}")
    return problems


def main():
    problems = []
    for path in source.files(".c", under=("engine", "app")):
        problems += check(path)
    return source.finish("log-pii", problems)


if __name__ == "__main__":
    sys.exit(main())
