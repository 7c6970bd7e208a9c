#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""./demo from start to end, and interrupted at any moment: it leaves nothing behind. TAP.

usage: test-demo.py BUILD-DIR
"""
import os
import pathlib
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
LINES = ("You are inside", "proxy address   100.96.0.1", "path            direct",
         " 0% packet loss")


def leftovers(folder):
    """What a demonstration may leave: namespaces, their files, its own folder, processes in them."""
    found = [n for n in os.listdir("/run/netns") if n.startswith("spdemo")] \
        if os.path.isdir("/run/netns") else []
    found += [n for n in os.listdir("/etc/netns") if n.startswith("spdemo")] \
        if os.path.isdir("/etc/netns") else []
    found += os.listdir(folder)
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            environment = pathlib.Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue
        if f"TMPDIR={folder}".encode() in environment.split(b"\0"):
            found.append(f"process {pid}")
    return found


def run(build, folder, interrupt=None):
    """Returns exit status and output; @interrupt is (seconds, signal) for the whole group."""
    process = subprocess.Popen(
        [ROOT / "demo", "--no-install", "--build-dir", build], cwd=ROOT, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=dict(os.environ, TMPDIR=str(folder)), start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    if interrupt:
        time.sleep(interrupt[0])
        try:
            os.killpg(process.pid, interrupt[1])
        except ProcessLookupError:
            pass
    out = process.communicate(timeout=120)[0]
    return process.returncode, out


def main():
    if os.geteuid() != 0:
        print("1..0 # SKIP needs root for network namespaces")
        return 0
    build = sys.argv[1]
    folder = pathlib.Path(build) / "test-demo"
    folder.mkdir(exist_ok=True)
    begin = time.monotonic()
    status, out = run(build, folder)
    whole = time.monotonic() - begin
    problems = [line for line in LINES if line not in out]
    left = leftovers(folder)
    good = status == 0 and not problems and not left
    print("1..2")
    if not good:
        print(f"# exit {status}, missing {problems}, left {left}")
        for line in out.splitlines()[-60:]:
            print(f"# {line}")
    print(f"{'ok' if good else 'not ok'} 1 - the private page by name, direct, nothing left")
    print(f"# {whole:.1f} s")
    bad = []
    for tenth, how in ((1, signal.SIGINT), (3, signal.SIGINT), (5, signal.SIGTERM),
                       (7, signal.SIGINT), (9, signal.SIGHUP)):
        status, out = run(build, folder, (whole * tenth / 10, how))
        left = leftovers(folder)
        print(f"# {how.name} after {whole * tenth / 10:.1f} s: exit {status}")
        if left or status not in (0, 129, 130, 143):
            bad.append(f"{how.name} at {tenth}/10: exit {status}, left {left}")
    for line in bad:
        print(f"# {line}")
    print(f"{'not ok' if bad else 'ok'} 2 - interrupted at five moments, nothing left")
    return 1 if bad or not good else 0


if __name__ == "__main__":
    sys.exit(main())
