# SPDX-License-Identifier: Apache-2.0
"""All programs in the namespaces of tests/system/demo/topology.sh, and small helpers to look at
them. Used by the system tests; needs root."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PORTAL = "203.0.113.10:8081"
BUS_CONFIG = """<busconfig><type>custom</type><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow receive_type="method_call"/><allow receive_type="method_return"/><allow receive_type="error"/><allow receive_type="signal"/><allow own="*"/></policy>
</busconfig>"""


class Failed(Exception):
    pass


class System:
    """One running system. `programs` maps names to processes; `log(name)` is what they printed."""

    def __init__(self, build, prefix):
        self.build = pathlib.Path(build)
        self.prefix = prefix
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-test-"))
        self.programs = {}
        self.bus = f"unix:path={self.dir}/bus"

    # ---- processes -----------------------------------------------------------------------------

    def shell(self, script, must=True):
        """Run a script with the functions of topology.sh."""
        result = subprocess.run(["bash", "-c", f". {HERE}/demo/topology.sh\n{script}"],
                                env=dict(os.environ, NS=self.prefix), capture_output=True,
                                text=True, check=False)
        if result.returncode and must:
            raise Failed(f"topology: {result.stderr}")

    def topology(self, verb):
        self.shell(f"topology_{verb}", must=verb == "up")

    def command(self, role, *argv):
        return ["ip", "netns", "exec", f"{self.prefix}-{role}", *map(str, argv)]

    def run(self, role, *argv, timeout=30, stdin=None):
        return subprocess.run(self.command(role, *argv), capture_output=True, text=True,
                              timeout=timeout, check=False, input=stdin)

    def start(self, name, role, *argv, env=None):
        log = open(self.dir / f"{name}.log", "ab")
        self.programs[name] = subprocess.Popen(
            self.command(role, *argv), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env=dict(os.environ, **(env or {})), start_new_session=True)
        log.close()
        return self.programs[name]

    def stop(self, name, how=signal.SIGTERM, timeout=15):
        """End a program; returns its exit status."""
        process = self.programs.pop(name, None)
        if process is None:
            return None
        if process.poll() is None:
            process.send_signal(how)
        try:
            return process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise Failed(f"{name} did not end within {timeout} s of {how.name}") from None

    def log(self, name):
        path = self.dir / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def close(self):
        for name in reversed(list(self.programs)):
            try:
                self.stop(name)
            except Failed as problem:
                print(f"# {problem}")
        self.topology("down")
        shutil.rmtree(self.dir, ignore_errors=True)

    # ---- the programs --------------------------------------------------------------------------

    def portal_admin(self, *argv):
        result = subprocess.run(
            [self.build / "app/portal/sallyport-portal", *argv, "--database", self.dir / "portal.db"],
            capture_output=True, text=True, check=False, cwd=self.dir)
        if result.returncode:
            raise Failed(f"sallyport-portal {argv}: {result.stderr}")
        return result.stdout

    def start_portal(self):
        self.start("portal", "pub", self.build / "app/portal/sallyport-portal", "serve",
                   "--database", self.dir / "portal.db", "--listen", PORTAL,
                   "--public-url", f"http://{PORTAL}")
        wait("the portal listens", 10, lambda: self.run(
            "pub", "curl", "-sf", f"http://{PORTAL}/readyz").returncode == 0)

    def start_gateway(self):
        self.start("gateway", "gw", self.build / "app/gateway/sallyport-gateway", "--api-url",
                   f"ws://{PORTAL}", "--token-file", self.dir / "gateway.token", "--id",
                   "test-gateway", "--name", "test gateway", "--state-dir", self.dir / "gw-state",
                   "--log-filter", "debug")

    def gateway_is_up(self):
        out = self.run("gw", "ip", "addr", "show", "tun-sallyport")
        return " inet 100." in out.stdout

    def start_bus(self):
        (self.dir / "bus.conf").write_text(BUS_CONFIG.format(path=self.dir / "bus"))
        self.start("bus", "client", "dbus-daemon", f"--config-file={self.dir}/bus.conf", "--nofork",
                   "--nopidfile")
        wait("the message bus listens", 5, (self.dir / "bus").exists)

    def start_tunneld(self):
        (self.dir / "sallyport.conf").write_text(
            f"[server]\napi-url=ws://{PORTAL}\nauth-url=http://{PORTAL}\naccount-slug=demo\n")
        self.start("tunneld", "client", self.build / "app/tunneld/sallyport-tunneld", "--bus",
                   self.bus, "--config", self.dir / "sallyport.conf", "--device-id",
                   "test-client", "--log-filter", "debug")
        wait("the tunnel service answers", 10, lambda: self.cli("status").returncode == 0)

    def cli_command(self, *argv):
        return self.command(
            "client", "env", f"HOME={self.dir}", f"XDG_DATA_HOME={self.dir}/data",
            "DBUS_SESSION_BUS_ADDRESS=disabled:", self.build / "app/cli/sallyport", "--bus",
            self.bus, *argv)

    def cli(self, *argv, timeout=60, stdin=""):
        return subprocess.run(self.cli_command(*argv), capture_output=True, text=True,
                              timeout=timeout, check=False, input=stdin)

    def cli_json(self, *argv):
        result = self.cli("--json", *argv)
        if result.returncode:
            raise Failed(f"sallyport {argv}: exit {result.returncode}: {result.stderr}")
        return json.loads(result.stdout)

    def sign_in(self):
        """The whole browser flow; the browser types the password of the demonstration."""
        process = subprocess.Popen(self.cli_command("sign-in", "--no-browser"), text=True,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT)
        seen = ""
        url = None
        while url is None:
            line = process.stdout.readline()
            if not line:
                raise Failed(f"sign-in ended: {seen}")
            seen += line
            url = re.search(r"https?://\S*as=gui-client\S*", line)
        browser = self.run("client", "python3", HERE / "demo/browser.py", "ada@example.org",
                           "only-for-the-demonstration", stdin=url.group(0) + "\n")
        if browser.returncode:
            raise Failed(f"browser: {browser.stderr}")
        out, _ = process.communicate(browser.stdout, timeout=20)
        if process.returncode:
            raise Failed(f"sign-in: exit {process.returncode}: {seen}{out}")
        return browser.stdout.strip()

    # ---- looking -------------------------------------------------------------------------------

    def curl(self, *argv, timeout=20):
        return self.run("client", "curl", "-sS", "--max-time", str(timeout), *argv,
                        timeout=timeout + 5)

    def sha256(self, url, *options, timeout=120):
        """Digest of a download made in the client's namespace."""
        pipeline = f"curl -sS --fail --max-time {timeout} {' '.join(options)} {url} | sha256sum"
        out = self.run("client", "bash", "-c", f"set -o pipefail; {pipeline}", timeout=timeout + 10)
        if out.returncode:
            raise Failed(f"{url}: {out.stderr}")
        return out.stdout.split()[0]


def wait(what, seconds, condition):
    """Until the condition holds; returns how long it took."""
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > seconds:
            raise Failed(f"{what} did not happen within {seconds} s")
        time.sleep(0.05)
    return time.monotonic() - begin


def blob_sha256(size):
    return subprocess.run(["python3", HERE / "demo/webserver.py", "--sha256", str(size)],
                          capture_output=True, text=True, check=True).stdout.strip()
