#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The program `sallyport` against a scripted tunnel service on a private bus."""
import json
import os
import pty
import re
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import unittest

try:
    from gi.repository import GLib
except ImportError:
    print("python3-gi is not installed")
    sys.exit(77)

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import fake_secrets  # noqa: E402
import fake_tunnel  # noqa: E402

CLI = os.environ["SALLYPORT_CLI"]
ROOT = os.environ["SALLYPORT_SOURCE"]
XML = os.path.join(ROOT, "data/dbus/org.sallyport.Tunnel1.xml")
FDO = "org.freedesktop.DBus.Error."
TOKEN = ".c2VjcmV0LXRva2Vu"
CALLBACK = ("firezone-fd0020211111://handle_client_sign_in_callback?account_name=Acme"
            "&account_slug=acme&actor_name=Ada+Example&fragment=.frag-ment&"
            "identity_provider_identifier=ada&state=")


def resource(name, address, **more):
    values = {"id": f"id-{name}", "type": "dns", "name": name, "address": address,
              "address_description": "", "status": "online", "enabled": True, "can_toggle": False,
              "sites": GLib.Variant("a(ss)", [("site-1", "HQ")])}
    values.update(more)
    return fake_tunnel.entry(**values)


class Case(unittest.TestCase):
    service = True

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="sp-cli-")
        self.addCleanup(shutil.rmtree, self.dir)
        self.bus = fake_tunnel.Bus(self.dir)
        self.addCleanup(self.bus.stop)
        self.env = {
            "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": self.dir, "TERM": "dumb",
            "XDG_DATA_HOME": os.path.join(self.dir, "data"), "G_DEBUG": "fatal-warnings",
            "DBUS_SESSION_BUS_ADDRESS": self.bus.address,
            "SALLYPORT_TOKEN_PATH": os.path.join(self.dir, "etc", "token"),
        }
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                self.env[name] = os.environ[name]
        self.tunnel = None
        if self.service:
            self.tunnel = fake_tunnel.Tunnel(self.bus, XML)
            self.addCleanup(self.tunnel.stop)

    def command(self, *args):
        return [CLI, "--bus", self.bus.address, *args]

    def run_cli(self, *args, status=0, stdin=None):
        result = subprocess.run(self.command(*args), env=self.env, capture_output=True, text=True,
                                input=stdin or "", timeout=30, check=False)
        self.assertEqual(result.returncode, status, f"{args}: {result.stdout}{result.stderr}")
        self.assertNotIn("scripted text", result.stdout + result.stderr)
        return result

    def text(self, *args, status=0):
        result = self.run_cli(*args, status=status)
        if status:
            self.assertEqual(result.stdout, "")
            return result.stderr
        self.assertEqual(result.stderr, "")
        return result.stdout

    def json(self, *args, status=0):
        result = self.run_cli("--json", *args, status=status)
        self.assertEqual(result.stderr, "")
        document = json.loads(result.stdout)
        self.assertEqual(document["schema"], 1)
        return document

    def error(self, *args, status):
        """Text and document of an error; both must carry the same exit status."""
        text = self.text(*args, status=status)
        document = self.json(*args, status=status)["error"]
        self.assertEqual(document["exit"], status)
        self.assertIn(document["text"], text)
        return document["code"], text

    def methods(self):
        return [method for method, _ in self.tunnel.calls]

    def data(self, name):
        return os.path.join(self.env["XDG_DATA_HOME"], "sallyport", name)

    def put_session(self, token=TOKEN, mode=0o600, **more):
        os.makedirs(os.path.dirname(self.data("token")), exist_ok=True)
        with open(self.data("token"), "w", encoding="utf-8") as f:
            f.write(token)
        os.chmod(self.data("token"), mode)
        session = {"server": "https://portal.example/", "account": "acme", "actor": "Ada Example",
                   "store": "file", **more}
        with open(self.data("session.json"), "w", encoding="utf-8") as f:
            json.dump(session, f)


class NoService(Case):
    service = False

    def test_every_verb_says_how_to_start(self):
        self.put_session()
        for args in (["status"], ["up"], ["up", "--system"], ["down"], ["resources"], ["dns"],
                     ["dns", "flush"], ["internet", "on"], ["internet"], ["connections"],
                     ["wait", "connected"], ["monitor"], ["reset"], ["settings"]):
            with self.subTest(args):
                code, text = self.error(*args, status=4)
                self.assertEqual(code, "not-running")
                self.assertIn("systemctl start sallyport-tunneld", text)

    def test_no_bus(self):
        self.bus.address = f"unix:path={self.dir}/nowhere"
        code, _ = self.error("status", status=4)
        self.assertEqual(code, "no-bus")

    def test_version_works(self):
        self.assertIn("not running", self.text("version"))
        self.assertIsNone(self.json("version")["service"])

    def test_sign_in_needs_a_server(self):
        self.assertEqual(self.error("sign-in", status=4)[0], "no-server")

    def test_sign_out_works(self):
        self.put_session()
        self.assertIn("Signed out", self.text("sign-out"))
        self.assertFalse(os.path.exists(self.data("token")))
        self.assertFalse(os.path.exists(self.data("session.json")))
        self.assertFalse(self.json("sign-out")["was_signed_in"])


class Usage(Case):
    service = False

    def test_wrong_usage(self):
        for args in ([], ["fly"], ["up", "now"], ["up", "--wait=x"], ["up", "--wait=0"],
                     ["up", "--check"], ["--unknown", "up"], ["wait"], ["wait", "asleep"],
                     ["wait", "connected", "--timeout"], ["wait", "connected", "--timeout", "-1"],
                     ["wait", "connected", "--timeout", "nan"], ["resources", "show"],
                     ["resources", "list", "x"], ["internet", "maybe"], ["dns", "x"],
                     ["reset", "x" * 65], ["help", "fly"], ["completion", "zsh"],
                     ["sign-in", "--server", "ftp://x"],
                     ["sign-in", "--server", "https://x", "--account", "a/b"]):
            with self.subTest(args):
                self.error(*args, status=2)

    def test_help_completion_and_man_page_agree(self):
        with open(os.path.join(ROOT, "data/completions/sallyport"), encoding="utf-8") as f:
            self.assertEqual(f.read(), self.text("completion", "bash"))
        self.assertIn("_sallyport", self.json("completion")["script"])
        with open(os.path.join(ROOT, "data/man/sallyport.1.scd"), encoding="utf-8") as f:
            man = f.read()
        overview = self.text("help")
        commands = self.json("help")["commands"]
        self.assertGreaterEqual(len(commands), 15)
        for command in commands:
            heading = f"*{command['name']}* {command['args']}".strip()
            self.assertIn(f"\n{heading}\n\t{command['summary']}\n", man)
            self.assertIn(command["summary"], overview)
            one = self.text("help", command["name"])
            self.assertEqual(one, self.text(command["name"], "--help"))
            for option in command["options"]:
                self.assertIn(f"*--{option}*", man)
                self.assertIn(f"--{option}", one)

    def test_completion_completes(self):
        script = os.path.join(ROOT, "data/completions/sallyport")
        for words, expected in ((["sallyport", "sta"], "status"),
                                (["sallyport", "internet", "of"], "off"),
                                (["sallyport", "--bus", "session", "up", "--wa"], "--wait")):
            line = " ".join(words)
            result = subprocess.run(
                ["bash", "-c", f'. "{script}"; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; '
                 '_sallyport; echo "${COMPREPLY[@]}"'],
                capture_output=True, text=True, check=True)
            self.assertEqual(result.stdout.split(), [expected])


class Show(Case):
    def fill(self):
        self.tunnel.go_up()
        self.tunnel.resources = [
            resource("Wiki", "*.wiki.example", address_description="https://wiki.example/"),
            resource("Office \033[31mnet", "10.20.0.0/16", type="cidr", status="offline"),
            resource("wiki", "other.example", status="unknown"),
        ]
        self.tunnel.connections = [
            fake_tunnel.entry(peer="gw-1", kind="gateway", path="peer-to-peer",
                              local="192.0.2.7:4000", remote="198.51.100.4:52625", rtt_us=23456,
                              last_handshake=int(time.time() - 90) * 1000000, rx_bytes=1536,
                              tx_bytes=10, state="connected"),
            fake_tunnel.entry(peer="gw-2", kind="gateway", path="peer-to-relay", local="",
                              remote="", rtt_us=0, last_handshake=0, rx_bytes=0, tx_bytes=0,
                              state="connecting"),
        ]

    def test_status_disconnected(self):
        text = self.text("status")
        self.assertEqual(text, "State:    Not connected\nAccount:  not signed in\n")
        document = self.json("status")
        self.assertEqual(document["state"], "disconnected")
        self.assertIsNone(document["since"])
        self.assertIsNone(document["account"])
        self.assertIsNone(document["owner"])
        self.run_cli("status", "--check", status=8)

    def test_status_connected(self):
        self.put_session()
        self.fill()
        text = self.text("status", "--check")
        for part in ("State:      Connected for ", "Account:    Ada Example, acme\n",
                     "Portal:     connected\n", "Interface:  tun-sallyport\n",
                     "Addresses:  100.64.3.9, fd00:2021:1111::9\n",
                     "DNS:        resolv-conf, search domain corp.example\n",
                     "Resources:  3 (1 online, 1 offline)\n", "23 ms", "1 min ago", "direct"):
            self.assertIn(part, text)
        document = self.json("status")
        self.assertEqual(document["since"], "2025-12-31T23:59:59Z")
        self.assertEqual(document["account"], {"slug": "acme", "actor": "Ada Example",
                                               "server": "https://portal.example/"})
        self.assertEqual(document["tunnel"]["ipv4"], "100.64.3.9")
        self.assertEqual(document["tunnel"]["mtu"], 1280)
        self.assertEqual(document["portal"], {"connected": True})
        self.assertEqual(document["resources"], {"total": 3, "online": 1, "offline": 1})
        self.assertEqual(document["owner"], os.getuid())

    def test_status_of_failure_names_the_next_step(self):
        self.tunnel.set_state("failed", "token-invalid")
        self.assertIn("sallyport sign-in", self.text("status"))
        self.assertEqual(self.json("status")["reason"], "token-invalid")

    def test_status_without_right_to_inspect(self):
        self.fill()
        self.tunnel.errors = {"ListResources": FDO + "AccessDenied",
                              "ListConnections": FDO + "AccessDenied"}
        self.assertIn("Connected", self.text("status"))
        self.assertEqual(self.json("status")["connections"], [])

    def test_quiet(self):
        self.fill()
        for args in (["status"], ["resources"], ["resources", "show", "Wiki"], ["connections"],
                     ["dns"], ["settings"], ["internet"], ["version"]):
            self.assertEqual(self.text(*args, "--quiet"), "")

    def test_resources(self):
        self.fill()
        self.assertEqual(self.text("resources"),
                         "NAME             ADDRESS         TYPE  STATUS   SITE\n"
                         "Wiki             *.wiki.example  dns   online   HQ\n"
                         "Office \ufffd[31mnet  10.20.0.0/16    cidr  offline  HQ\n"
                         "wiki             other.example   dns   unknown  HQ\n")
        document = self.json("resources", "list")
        self.assertEqual(document["generation"], 7)
        self.assertEqual(document["resources"][0], {
            "id": "id-Wiki", "name": "Wiki", "type": "dns", "address": "*.wiki.example",
            "status": "online", "address_description": "https://wiki.example/",
            "sites": [{"id": "site-1", "name": "HQ"}], "enabled": True, "can_toggle": False})
        self.assertEqual(len(self.json("resources", "--type", "cidr")["resources"]), 1)
        self.assertIn("offline", self.text("resources", "--status=offline"))
        self.tunnel.resources = []
        self.assertIn("no resource", self.text("resources"))

    def test_resources_show(self):
        self.fill()
        text = self.text("resources", "show", "Wiki")
        self.assertIn("Description:  https://wiki.example/\n", text)
        self.assertIn("Id:           id-Wiki\n", text)
        for wanted, name in (("id-wiki", "Wiki"), ("wiki", "wiki"), ("Wiki", "Wiki")):
            if wanted == "id-wiki":
                self.tunnel.resources.pop()
            else:
                self.fill()
            self.assertEqual(self.json("resources", "show", wanted)["resource"]["name"], name)
        self.assertEqual(self.error("resources", "show", "WIKI", status=1)[0], "ambiguous")
        self.assertEqual(self.error("resources", "show", "x", status=1)[0], "no-such-resource")

    def test_connections(self):
        self.fill()
        lines = self.text("connections").splitlines()
        self.assertEqual(lines[0].split(), ["GATEWAY", "STATE", "PATH", "REMOTE", "RTT",
                                            "HANDSHAKE", "RECEIVED", "SENT"])
        self.assertEqual(re.split(" {2,}", lines[1]), [
            "gw-1", "connected", "direct", "198.51.100.4:52625", "23 ms", "1 min ago", "1.5 KiB",
            "10 B"])
        for line in lines[1:]:
            self.assertEqual(line.index("connect"), lines[0].index("STATE"))
        self.assertIn("relayed", lines[2])
        direct, relayed = self.json("connections")["connections"]
        self.assertEqual((direct["path"], direct["relayed"]), ("peer-to-peer", False))
        self.assertEqual((direct["rtt_us"], direct["rx_bytes"]), (23456, 1536))
        self.assertTrue(relayed["relayed"])
        self.assertIsNone(relayed["last_handshake"])
        self.tunnel.connections = []
        self.assertIn("No gateway", self.text("connections"))

    def test_not_connected(self):
        for args in (["resources"], ["connections"], ["internet", "on"], ["internet", "off"]):
            with self.subTest(args):
                code, text = self.error(*args, status=8)
                self.assertEqual(code, "not-connected")
                self.assertIn("sallyport up", text)

    def test_dns(self):
        text = self.text("dns")
        for part in ("Method:            resolv-conf\n", "In charge:         yes\n",
                     "SENTINEL       UPSTREAM\n100.100.111.1  192.0.2.53:53\n"):
            self.assertIn(part, text)
        document = self.json("dns", "status")
        self.assertEqual(document["sentinels"],
                         [{"sentinel": "100.100.111.1", "upstream": "192.0.2.53:53"}])
        self.assertEqual(document["system_resolvers"], ["192.0.2.1"])
        self.assertIn("empty", self.text("dns", "flush"))
        self.assertTrue(self.json("dns", "flush")["flushed"])
        self.assertEqual(self.methods().count("FlushDnsCache"), 2)

    def test_settings_and_version(self):
        self.assertIn("Sign-in address:  https://portal.example/\n", self.text("settings"))
        self.assertEqual(self.json("settings", "show")["settings"], {
            "auth_url": "https://portal.example/", "api_url": "wss://api.example/",
            "account_slug": "acme", "dns_control": "resolv-conf", "log_filter": "info"})
        self.assertIn("sallyport-tunneld 9.8.7", self.text("version"))
        self.assertEqual(self.json("version")["service"], {"version": "9.8.7", "api": 1})


class Session(Case):
    def test_up_hands_the_token_over(self):
        self.put_session(internet_resource=True)
        self.assertEqual(self.text("up", "--name", "desk"), "Connecting.\n")
        self.assertEqual(self.tunnel.token, TOKEN)
        options = self.tunnel.calls[-1][1][0]
        self.assertEqual(set(options), {"token-fd", "internet-resource", "linger", "name"})
        self.assertEqual(options["linger"], 0xffffffff)
        self.assertTrue(options["internet-resource"])
        self.assertEqual(options["name"], "desk")

    def test_up_wait(self):
        self.put_session()
        self.assertEqual(self.text("up", "--wait"), "Connected.\n")
        document = self.json("up", "--wait=20")
        self.assertEqual((document["state"], document["session"]), ("connected", "s1"))

    def test_up_wait_over(self):
        self.put_session()
        self.tunnel.script = ["connecting"]
        self.assertEqual(self.error("up", "--wait=0.3", status=6)[0], "timeout")

    def test_up_fails(self):
        self.put_session()
        for script in (["failed"], ["connecting", "failed"]):
            for reason, status in (("token-invalid", 3), ("portal-rejected", 1), ("strange", 1)):
                self.tunnel.script, self.tunnel.fail_reason = script, reason
                self.assertEqual(self.error("up", "--wait", status=status)[0], reason)
        self.assertTrue(os.path.exists(self.data("token")), "only sign-out deletes a token")

    def test_up_after_failure_does_not_trip_over_it(self):
        self.put_session()
        self.tunnel.set_state("failed", "portal-rejected")
        self.assertEqual(self.text("up", "--wait"), "Connected.\n")

    def test_up_signed_out(self):
        code, text = self.error("up", status=3)
        self.assertEqual(code, "not-signed-in")
        self.assertIn("sallyport sign-in", text)
        self.assertEqual(self.methods(), [])

    def test_up_refuses_a_token_others_can_read(self):
        self.put_session(mode=0o640)
        self.assertEqual(self.error("up", status=1)[0], "store")
        self.assertEqual(self.methods(), [])

    def test_up_system(self):
        self.text("up", "--system")
        options = self.tunnel.calls[-1][1][0]
        self.assertEqual(options, {"token-file": True, "linger": 0xffffffff})

    def test_down(self):
        self.tunnel.go_up()
        self.assertEqual(self.text("down"), "Not connected.\n")
        self.assertEqual(self.json("down")["state"], "disconnected")

    def test_reset(self):
        self.text("reset")
        self.json("reset", "new cable")
        self.assertEqual([c for c in self.tunnel.calls if c[0] == "Reset"],
                         [("Reset", ("user",)), ("Reset", ("new cable",))])

    def test_internet_keeps_the_wish(self):
        self.put_session()
        self.tunnel.go_up()
        self.assertIn("is on", self.text("internet", "on"))
        self.assertTrue(self.json("internet")["internet_resource"])
        self.text("up")
        self.assertTrue(self.tunnel.calls[-1][1][0]["internet-resource"])
        self.tunnel.go_up()
        self.assertFalse(self.json("internet", "off")["internet_resource"])
        with open(self.data("session.json"), encoding="utf-8") as f:
            self.assertFalse(json.load(f)["internet_resource"])

    def test_errors_become_texts(self):
        self.put_session()
        self.tunnel.go_up()
        own = fake_tunnel.ERROR
        for name, status, part in (
                (FDO + "AccessDenied", 5, "not authorised"),
                (FDO + "InteractiveAuthorizationRequired", 5, "cannot be asked for here"),
                (own + "SessionOwned", 5, "Another user"),
                (own + "InvalidToken", 3, "sallyport sign-in"),
                (own + "NotConnected", 8, "sallyport up"),
                (own + "Busy", 1, "Try again"),
                (own + "TunnelDevice", 1, "journalctl"),
                (FDO + "LimitsExceeded", 1, "Try again"),
                (FDO + "UnknownMethod", 1, "another version")):
            for method, args in (("Connect", ["up"]), ("Disconnect", ["down"]),
                                 ("ListResources", ["resources"]),
                                 ("ListConnections", ["connections"]), ("GetDnsStatus", ["dns"]),
                                 ("SetInternetResource", ["internet", "on"]),
                                 ("GetSettings", ["settings"])):
                with self.subTest(f"{name} {method}"):
                    self.tunnel.errors = {method: name}
                    self.assertIn(part, self.text(*args, status=status))
            self.assertEqual(self.json("settings", status=status)["error"]["exit"], status)

    def test_every_error_of_the_contract_has_a_text(self):
        with open(XML, encoding="utf-8") as f:
            names = re.search(r"a name from: ([^;]+);", f.read()).group(1)
        for name in re.split(r",\s+", names):
            self.tunnel.errors = {"Reset": fake_tunnel.ERROR + name}
            result = self.run_cli("--json", "reset", status={
                "NotConnected": 8, "InvalidToken": 3, "SessionOwned": 5}.get(name, 1))
            self.assertNotEqual(json.loads(result.stdout)["error"]["code"], "failed", name)


class Watch(Case):
    def start(self, *args):
        child = subprocess.Popen(self.command(*args), env=self.env, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True)
        self.addCleanup(child.stdout.close)
        self.addCleanup(child.stderr.close)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        return child

    def test_wait_reached_at_once(self):
        self.assertEqual(self.text("wait", "disconnected"), "Not connected.\n")

    def test_wait_reached_later(self):
        child = self.start("--json", "wait", "connected", "--timeout", "20")
        GLib.timeout_add(200, self.tunnel.later, "connected")
        self.assertEqual(json.loads(child.communicate(timeout=20)[0])["state"], "connected")
        self.assertEqual(child.returncode, 0)

    def test_wait_over(self):
        self.assertEqual(self.error("wait", "connected", "--timeout=0.2", status=6)[0], "timeout")

    def test_wait_service_gone(self):
        child = self.start("wait", "connected")
        GLib.timeout_add(300, self.tunnel.connection.close_sync, None)
        self.assertIn("systemctl start", child.communicate(timeout=20)[1])
        self.assertEqual(child.returncode, 4)

    def events(self, child):
        first = child.stdout.readline()
        self.tunnel.set_state("failed", "token-invalid")
        self.tunnel.signal("Disconnected", GLib.Variant("(sb)", ("token-invalid", True)))
        self.tunnel.signal("ResourcesChanged", GLib.Variant("(t)", (8,)))
        self.tunnel.signal("AllGatewaysOffline", GLib.Variant("(s)", ("id-1",)))
        self.tunnel.signal("GatewayVersionMismatch", GLib.Variant("(s)", ("id-1",)))
        self.tunnel.signal("Terminating", GLib.Variant("(s)", ("stop",)))
        return [first] + [child.stdout.readline() for _ in range(6)]

    def test_monitor_json(self):
        child = self.start("monitor", "--json")
        lines = [json.loads(line) for line in self.events(child)]
        self.assertEqual([line.pop("event") for line in lines], [
            "state", "state", "disconnected", "resources", "all-gateways-offline",
            "gateway-version-mismatch", "terminating"])
        for line in lines:
            self.assertRegex(line.pop("time"), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual(lines[1], {"schema": 1, "state": "failed", "old_state": "disconnected",
                                    "reason": "token-invalid"})
        self.assertEqual(lines[2], {"schema": 1, "code": "token-invalid",
                                    "requires_sign_in": True})
        self.assertEqual(lines[3], {"schema": 1, "generation": 8})
        child.send_signal(signal.SIGTERM)
        self.assertEqual(child.wait(20), 0)

    def test_monitor_text(self):
        child = self.start("monitor")
        lines = self.events(child)
        self.assertIn("Not connected", lines[0])
        self.assertIn("Failed. Your sign-in is not valid any more", lines[1])
        self.assertIn("The resources changed", lines[3])
        self.assertIn("id-1", lines[4])
        child.send_signal(signal.SIGINT)
        self.assertEqual(child.wait(20), 0)


class SignIn(Case):
    def dialogue(self, answer, *args, status=0, json_output=False):
        """Starts sign-in, reads nonce and state from its address, answers with answer(state)."""
        flags = ["--json"] if json_output else []
        child = subprocess.Popen(self.command(*flags, "sign-in", *args), env=self.env, text=True,
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE)
        prompt = ""
        while "as=headless-client" not in prompt:
            line = child.stderr.readline()
            self.assertTrue(line, prompt)
            prompt += line
        self.url = re.search(r"(\S+)\?as=gui-client&nonce=([0-9a-f]{64})&state=([0-9a-f]{64})$",
                             prompt, re.M)
        out, err = child.communicate(answer(self.url.group(3)) + "\n", timeout=30)
        self.assertEqual(child.returncode, status, out + err)
        self.assertNotIn("frag-ment", out + err)
        return out, err

    def test_round_trip(self):
        out, _ = self.dialogue(lambda state: CALLBACK + state, "--no-browser")
        self.assertEqual(self.url.group(1), "https://portal.example/acme")
        self.assertIn("Signed in as Ada Example.", out)
        self.assertIn("in a file only you can read: " + self.data("token"), out)
        self.assertEqual(stat.S_IMODE(os.stat(self.data("token")).st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(self.data("")).st_mode), 0o700)
        token = self.url.group(2) + ".frag-ment"
        with open(self.data("token"), encoding="utf-8") as f:
            self.assertEqual(f.read(), token)
        self.text("up")
        self.assertEqual(self.tunnel.token, token)
        self.assertEqual(self.json("status")["account"]["actor"], "Ada Example")
        self.assertIn("Signed out", self.text("sign-out"))
        self.assertEqual(self.methods().count("Disconnect"), 1)
        self.run_cli("up", status=3)

    def test_json(self):
        out, _ = self.dialogue(lambda state: "  " + CALLBACK + state + "  ", "--server",
                               "http://other.example:8080/", "--account", "blue",
                               json_output=True)
        self.assertEqual(self.url.group(1), "http://other.example:8080/blue")
        self.assertEqual(json.loads(out), {"schema": 1, "server": "http://other.example:8080/",
                                           "account": "acme", "actor": "Ada Example",
                                           "store": "file"})

    def test_secrets_are_fresh(self):
        self.dialogue(lambda state: CALLBACK + state)
        first = self.url.groups()
        self.dialogue(lambda state: CALLBACK + state)
        self.assertNotEqual(first[1], self.url.group(2))
        self.assertNotEqual(first[2], self.url.group(3))
        self.assertNotEqual(self.url.group(2), self.url.group(3))

    def test_refused(self):
        for name, answer in (
                ("other state", lambda s: CALLBACK + "0" * 64),
                ("state cut off", lambda s: CALLBACK + s[:-1]),
                ("state twice", lambda s: CALLBACK + s + "&state=" + s),
                ("other host", lambda s: (CALLBACK + s).replace("handle_", "mangle_")),
                ("path", lambda s: (CALLBACK + s).replace("?", "/x?")),
                ("no fragment", lambda s: (CALLBACK + s).replace("fragment=", "f=")),
                ("words", lambda s: "a token has no spaces"),
                ("nothing", lambda s: ""),
                ("too long", lambda s: "x" * 20000)):
            with self.subTest(name):
                self.put_session()
                _, err = self.dialogue(answer, status=1)
                self.assertIn("not signed in", err)
                with open(self.data("token"), encoding="utf-8") as f:
                    self.assertEqual(f.read(), TOKEN, "the sign-in before is untouched")
                self.assertEqual(sorted(os.listdir(self.data(""))), ["session.json", "token"])

    def test_plain_token(self):
        out, _ = self.dialogue(lambda state: TOKEN)
        self.assertIn("Signed in.", out)
        self.text("up")
        self.assertEqual(self.tunnel.token, TOKEN)

    def test_key_ring(self):
        self.put_session()  # an earlier sign-in, with its token in a file
        ring = fake_secrets.Secrets(self.bus)
        self.addCleanup(ring.stop)
        out, _ = self.dialogue(lambda state: CALLBACK + state, json_output=True)
        self.assertEqual(json.loads(out)["store"], "secret-service")
        token = self.url.group(2) + ".frag-ment"
        (attributes, secret), = ring.items.values()
        self.assertEqual(attributes, {"xdg:schema": "org.sallyport.Client",
                                      "server": "https://portal.example/", "account": "acme"})
        self.assertEqual(secret.decode(), token)
        self.assertFalse(os.path.exists(self.data("token")))
        self.text("up")
        self.assertEqual(self.tunnel.token, token)
        self.text("sign-out")
        self.assertEqual(ring.items, {})
        self.run_cli("up", status=3)

    def test_key_ring_locked(self):
        ring = fake_secrets.Secrets(self.bus, locked=True)
        self.addCleanup(ring.stop)
        _, err = self.dialogue(lambda state: CALLBACK + state, status=1)
        self.assertIn("locked", err)
        self.assertFalse(os.path.exists(self.data("token")))

    @unittest.skipUnless(os.geteuid() == 0, "only root")
    def test_system(self):
        path = self.env["SALLYPORT_TOKEN_PATH"]
        out, _ = self.dialogue(lambda state: TOKEN, "--system")
        self.assertIn(path, out)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        self.assertFalse(os.path.exists(self.data("session.json")))
        self.text("sign-out", "--system")
        self.assertFalse(os.path.exists(path))

    def test_terminal_does_not_echo(self):
        pid, fd = pty.fork()
        if pid == 0:
            os.execvpe(CLI, self.command("sign-in"), self.env)
        seen = self.read_until(fd, "(not shown): ")
        state = re.search(r"state=([0-9a-f]{64})", seen).group(1)
        os.write(fd, (CALLBACK + state + "x\x7f\n").encode())
        seen += self.read_until(fd, "Connect with: sallyport up")
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        os.close(fd)
        self.assertIn("Signed in as Ada Example.", seen)
        self.assertNotIn("frag-ment", seen)
        self.assertTrue(os.path.exists(self.data("token")))

    def read_until(self, fd, text):
        seen, deadline = "", time.monotonic() + 20
        while text not in seen:
            self.assertTrue(select.select([fd], [], [], deadline - time.monotonic())[0], seen)
            seen += os.read(fd, 4096).decode()
        return seen


if __name__ == "__main__":
    fake_tunnel.start_loop()
    unittest.main(verbosity=2)
