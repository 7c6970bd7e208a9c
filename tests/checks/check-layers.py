#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each folder includes only what the layer table allows (CONTRIBUTING.md, "Rooms")."""
import re
import sys

import source

# room -> project folders it may include besides itself
ENGINE_L0 = {"engine/base"}
ROOMS = {
    "engine/base": set(),
    "engine/crypto": ENGINE_L0,
    "engine/model": ENGINE_L0,
    "engine/ip": ENGINE_L0,
    "engine/filter": ENGINE_L0 | {"engine/ip", "engine/model"},
    "engine/wg": ENGINE_L0 | {"engine/crypto"},
    "engine/stun": ENGINE_L0 | {"engine/crypto"},
    "engine/dns": ENGINE_L0 | {"engine/ip", "engine/model"},
    "engine/tcp": ENGINE_L0 | {"engine/ip"},
    "engine/ice": ENGINE_L0 | {"engine/stun", "engine/model", "engine/crypto"},
    "engine/turn": ENGINE_L0 | {"engine/crypto", "engine/stun", "engine/ice"},
    "engine/nat": ENGINE_L0 | {"engine/ip", "engine/model", "engine/dns", "engine/control"},
    "engine/control": ENGINE_L0 | {"engine/ip", "engine/model"},
    "engine/portal": ENGINE_L0 | {"engine/model"},
    "engine/relay": ENGINE_L0 | {"engine/stun", "engine/crypto"},
    "engine/node": ENGINE_L0
    | {"engine/crypto", "engine/model", "engine/ip", "engine/wg", "engine/stun", "engine/ice",
       "engine/turn"},
}
BELOW_ROOTS = set(ROOMS) - {"engine/relay"}
ROOMS["engine/client"] = BELOW_ROOTS - {"engine/portal"}
ROOMS["engine/gateway"] = BELOW_ROOTS - {"engine/portal"}
ROOMS.update({
    "app/common": {"engine/base"},
    "app/platform": {"app/common", "engine/base", "engine/ip"},
    "app/driver": {"app/common", "app/platform", "engine/base", "engine/model", "engine/client",
                   "engine/gateway", "engine/dns", "engine/ip"},
    "app/portal-link": {"app/common", "engine/portal", "engine/base", "engine/model"},
    "app/ipc": {"app/common"},
    "app/portal": {"app/common", "engine/portal", "engine/model", "engine/base"},
    "app/tunneld": {"app/common", "app/driver", "app/ipc", "app/portal-link", "app/platform",
                    "engine/client", "engine/base", "engine/model", "engine/portal"},
    "app/gateway": {"app/common", "app/driver", "app/portal-link", "app/platform",
                    "engine/gateway", "engine/base", "engine/model", "engine/portal"},
    "app/relay": {"app/common", "app/portal-link", "app/platform", "engine/relay", "engine/base",
                  "engine/portal"},
    "app/cli": {"app/common", "app/ipc"},
})

# external headers that only the named rooms may include
EXTERNAL = [
    (re.compile(r"^(glib|gio|gobject)"), ("app/", "ui/", "tests/", "engine/portal", "engine/crypto",
                                          "engine/stun", "engine/telemetry")),
    (re.compile(r"^json-glib"), ("app/", "tests/", "engine/portal", "engine/telemetry")),
    (re.compile(r"^libsoup"), ("app/portal-link", "app/portal", "tests/")),
    (re.compile(r"^sqlite3"), ("app/portal", "tests/")),
    (re.compile(r"^(stun|nice)/"), ("engine/stun", "tests/")),
    (re.compile(r"^(libmnl|linux)/|^nftables"), ("app/platform/linux", "tests/")),
    (re.compile(r"^sys/(socket|ioctl|epoll|timerfd|eventfd|inotify)\.h|^net/if|^netinet/"),
     ("app/", "tests/")),
    (re.compile(r"^(time|pthread|unistd|fcntl|stdio_ext)\.h"), ("app/", "tests/")),
]

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.M)


def room_of(path):
    parts = path.split("/")
    return "/".join(parts[:2]) if len(parts) > 1 else path


def check(path):
    problems = []
    text = path.read_text()
    name = source.rel(path)
    room = room_of(name)
    if name.startswith(("engine/", "app/")) and room not in ROOMS:
        problems.append(f"{name}:1: room {room} is not in the layer table")
    lines = text.splitlines()
    for match in INCLUDE.finditer(source.blank(text, keep_strings=True)):
        kind, target = match.groups()
        line = source.line_of(text, match.start(1))
        if source.waived(lines, line, "layer"):
            continue
        if kind == "<":
            for pattern, allowed in EXTERNAL:
                if pattern.match(target) and not name.startswith(allowed):
                    problems.append(f"{name}:{line}: <{target}> is not for this room")
            continue
        wanted = room_of(target)
        if not target.startswith(("engine/", "app/", "ui/", "tests/")):
            if "/" in target:
                problems.append(f'{name}:{line}: "{target}" is not written from the source root')
            continue  # generated header of the same folder
        if target.endswith("-private.h") and wanted != room and not name.startswith("tests/"):
            problems.append(f'{name}:{line}: "{target}" is private to {wanted}')
        if name.startswith("tests/") or wanted == room:
            continue
        if wanted not in ROOMS.get(room, ()):
            problems.append(f"{name}:{line}: {room} may not use {wanted}")
    return problems


def check_table():
    """A room may not reach itself, or the layers are none."""
    problems = []
    for start in ROOMS:
        seen, todo = set(), list(ROOMS[start])
        while todo:
            room = todo.pop()
            if room not in seen:
                seen.add(room)
                todo += ROOMS.get(room, ())
        if start in seen:
            problems.append(f"layer table: {start} uses itself by way of others")
    return problems


def main():
    problems = check_table()
    for path in source.files(".c", ".h"):
        problems += check(path)
    return source.finish("layers", problems)


if __name__ == "__main__":
    sys.exit(main())
