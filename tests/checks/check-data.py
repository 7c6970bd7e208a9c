#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The D-Bus and polkit files are valid XML, and systemd takes the units."""
import pathlib
import re
import shutil
import sys
import tempfile

import source

DTDS = {
    "introspect.dtd": "/usr/share/xml/dbus-1/introspect.dtd",
    "busconfig.dtd": "/usr/share/xml/dbus-1/busconfig.dtd",
    "policyconfig.dtd": "/usr/share/polkit-1/policyconfig-1.dtd",
}


def check_xml(path):
    validity = ["--nonet", "--noout"]
    text = path.read_text()
    for name, dtd in DTDS.items():
        # Not every system has every DTD; without it a file is only checked for its form.
        if f"/{name}" in text and pathlib.Path(dtd).exists():
            validity += ["--dtdvalid", dtd]
    status, said = source.run("xmllint", *validity, path)
    return said.splitlines() or [f"{source.rel(path)}: xmllint: {status}"] if status else []


def check_units():
    """The programs need not be installed for it."""
    problems = []
    with tempfile.TemporaryDirectory() as folder:
        for template in sorted((source.ROOT / "data/systemd").glob("*.service.in")):
            unit = pathlib.Path(folder) / template.stem
            unit.write_text(re.sub(r"@bindir@/[\w-]+", "/bin/true", template.read_text()))
            status, said = source.run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no",
                                      unit)
            own = [line for line in said.splitlines() if unit.name in line]
            problems += own or [f"{unit.name}: {said.strip()}"] if status else own
    return problems


def main():
    source.needs("xmllint")
    problems = []
    for path in source.tracked():
        if path.suffix in (".xml", ".policy") or source.rel(path).startswith("data/dbus/") \
                and path.suffix == ".conf":
            problems += check_xml(path)
    if shutil.which("systemd-analyze"):
        problems += check_units()
    return source.finish("data", problems)


if __name__ == "__main__":
    sys.exit(main())
