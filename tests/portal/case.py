# SPDX-License-Identifier: Apache-2.0
"""What all tests of the portal share: a seeded server on loopback and the people who talk to it."""
import base64
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
import urllib.parse

import ws

PORTAL = os.environ["SALLYPORT_PORTAL"]
CLIENT_KEY = base64.b64encode(b"\x01" * 32).decode()
GATEWAY_KEY = base64.b64encode(b"\x02" * 32).decode()
CLIENT_AGENT = "Debian/12.0.0 headless-client/1.5.12 (x86_64)"
GATEWAY_AGENT = "Debian/12.0.0 gateway/1.6.1 (x86_64)"
WIKI = "50000000-0000-4000-8000-000000000001"
OFFICE = "50000000-0000-4000-8000-000000000002"
ADA = "20000000-0000-4000-8000-000000000001"
CANDIDATE = "candidate:1 1 udp 2130706175 192.0.2.10 52625 typ host"

SEED = {
    "account": {"slug": "example", "name": "Example & Sons",
                "dns": {"mode": "custom", "servers": ["9.9.9.9", "2620:fe::fe"]}},
    "actors": [
        {"id": ADA, "name": "Ada <b>Example", "email": "ada@example.org",
         "password": "correct horse"},
        {"name": "Robot", "type": "service_account"},
    ],
    "groups": [{"name": "Engineering", "members": ["ada@example.org", "Robot"]}],
    "sites": [{"name": "HQ"}],
    "resources": [
        {"id": WIKI, "name": "Wiki", "type": "dns", "address": "*.wiki.test", "site": "HQ",
         "filters": ["tcp/443"]},
        {"id": OFFICE, "name": "Office", "type": "cidr", "address": "10.20.0.0/16", "site": "HQ"},
    ],
    "policies": [
        {"id": "60000000-0000-4000-8000-000000000001", "group": "Engineering", "resource": "Wiki"},
        {"id": "60000000-0000-4000-8000-000000000002", "group": "Everyone", "resource": "Office"},
    ],
    "tokens": [
        {"name": "gw", "site": "HQ", "file": "gateway.token"},
        {"name": "robot", "actor": "Robot", "file": "client.token"},
    ],
}


class PortalCase(unittest.TestCase):
    options = ["--connect-rate", "0", "--log-level", "warning"]

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="sp-portal-")
        self.addCleanup(shutil.rmtree, self.dir)
        self.database = os.path.join(self.dir, "portal.db")
        seed = os.path.join(self.dir, "seed.json")
        with open(seed, "w", encoding="utf-8") as f:
            json.dump(SEED, f)
        self.admin("seed", seed)
        self.client_token = self.read("client.token")
        self.gateway_token = self.read("gateway.token")
        self.process = None
        self.start()
        self.addCleanup(self.stop)

    def read(self, name):
        path = os.path.join(self.dir, name)
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        with open(path, encoding="utf-8") as f:
            return f.read().strip()

    def admin(self, *args, status=0, stdin=None):
        result = subprocess.run([PORTAL, *args, "--database", self.database], input=stdin,
                                capture_output=True, text=True, check=False)
        self.assertEqual(result.returncode, status, result.stderr)
        return result.stdout.strip()

    def start(self):
        self.process = subprocess.Popen(
            [PORTAL, "serve", "--listen", "127.0.0.1:0", "--database", self.database,
             "--offer-timeout-ms", "1000", "--poll-ms", "30", *self.options],
            stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        self.assertTrue(line.startswith("listening on http://127.0.0.1:"), line)
        self.port = int(line.rsplit(":", 1)[1])

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.assertEqual(self.process.wait(timeout=10), 0)
            self.process.stdout.close()
            self.process = None

    def open(self, role, token=None, **more):
        client = role == "client"
        query = {"external_id": "dev-" + role, "name": "box",
                 "public_key": CLIENT_KEY if client else GATEWAY_KEY}
        query.update(more)
        token = token or (self.client_token if client else self.gateway_token)
        sock = ws.Socket(self.port, f"/{role}/v2/websocket", query, token,
                         CLIENT_AGENT if client else GATEWAY_AGENT)
        self.addCleanup(sock.close)
        return sock

    def pair(self):
        """A joined gateway and a joined client with their init payloads."""
        gateway = self.open("gateway")
        gateway_init = gateway.join("gateway")
        client = self.open("client")
        return client, client.join("client"), gateway, gateway_init

    def open_files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def memory_kib(self):
        """Resident memory; 0 under a sanitizer, which keeps freed memory for a while."""
        with open(f"/proc/{self.process.pid}/maps", encoding="utf-8") as f:
            if "libasan" in f.read():
                return 0
        with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))

    def eventually(self, check, what, seconds=10):
        deadline = time.monotonic() + seconds
        while not check():
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.02)

    def request(self, client, resource=WIKI):
        client.send("client", "request_authorization",
                    {"resource_id": resource, "connected_gateway_ids": []})

    def authorize(self, client, gateway, resource=WIKI):
        self.request(client, resource)
        offer = gateway.expect("create_authorization")["payload"]
        ref = gateway.send("gateway", "authorization_created", {"ref": offer["ref"]})
        reply = gateway.expect("phx_reply")
        self.assertEqual((reply["ref"], reply["payload"]["status"]), (ref, "ok"))
        return offer, client.expect("authorization_created")["payload"]


class Browser:
    """Cookies and forms, no more."""

    def __init__(self, port):
        self.port, self.cookies, self.lines, self.headers = port, {}, {}, {}

    def request(self, method, path, fields=None):
        headers = {**self.headers, "Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items())}
        body = None
        if fields is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = urllib.parse.urlencode(fields)
        status, answer, text = ws.get(self.port, method, path, body, headers)
        for line in answer.get_all("Set-Cookie") or []:
            name, value = line.split(";")[0].split("=", 1)
            assert "HttpOnly" in line and "SameSite=Lax" in line
            self.lines[name] = line
            self.cookies[name] = value
        return status, answer, text

    def form(self, text, action):
        """Hidden fields of the form whose action contains the given text, and its address."""
        for form in re.findall(r"<form .*?</form>", text, re.S):
            target = re.search(r'action="([^"]*)"', form).group(1)
            if action in target:
                fields = dict(re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', form))
                return target, fields
        raise AssertionError(f"no form {action} in {text}")
