#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sallyport-tunneld on a private bus and in a network namespace of its own, with the real portal."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

try:
    import gi
    gi.require_version("Gio", "2.0")
    from gi.repository import Gio, GLib
    import dbusmock  # noqa: F401
except (ImportError, ValueError) as error:
    print(f"skipped: {error}")
    sys.exit(77)
if os.geteuid() != 0:
    print("skipped: needs root for network namespaces and the tunnel device")
    sys.exit(77)

TUNNELD = os.environ["SALLYPORT_TUNNELD"]
PORTAL = os.environ["SALLYPORT_PORTAL"]
NAME, PATH = "org.sallyport.Tunnel1", "/org/sallyport/Tunnel1"
ERROR = NAME + ".Error."
OFFICE = "50000000-0000-4000-8000-000000000002"
ORIGINAL = "nameserver 192.0.2.53\n"
SEED = {
    "account": {"slug": "example", "name": "Example",
                "dns": {"mode": "custom", "servers": ["192.0.2.99"]}},
    "actors": [{"name": "Robot", "type": "service_account"}],
    "groups": [{"name": "Engineering", "members": ["Robot"]}],
    "sites": [{"name": "HQ"}],
    "resources": [
        {"id": OFFICE, "name": "Office", "type": "cidr", "address": "10.20.0.0/16", "site": "HQ"}],
    "policies": [{"group": "Engineering", "resource": "Office"}],
    "tokens": [{"name": "robot", "actor": "Robot", "file": "client.token"}],
}
BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><listen>unix:path=%s</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/>
<allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/></policy></busconfig>
"""


def wait_for(what, condition, timeout=10):
    """Run the main context until the condition holds."""
    context = GLib.MainContext.default()
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        while context.iteration(False):
            pass
        result = condition()
        if result:
            return result
        time.sleep(0.02)
    raise AssertionError(f"no {what} after {timeout} s")


class TunnelCase(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="sptd-")
        os.chmod(self.dir, 0o755)  # other users reach the bus socket in it
        self.addCleanup(shutil.rmtree, self.dir)
        self.netns = "sptd-%d" % os.getpid()
        self.make_netns()
        self.resolv = self.write("resolv.conf", ORIGINAL)
        self.bus_address = "unix:path=" + os.path.join(self.dir, "bus")
        self.start_bus()
        subprocess.run([PORTAL, "seed", self.write("seed.json", json.dumps(SEED)), "--database",
                        self.path("portal.db")], check=True, stdout=subprocess.DEVNULL)
        self.port = 8081
        self.portal = self.start_portal()
        self.tunneld = self.start_tunneld()

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)
        return self.path(name)

    def read(self, path):
        with open(path, encoding="utf-8") as f:
            return f.read()

    def ip(self, *args):
        return subprocess.run(["ip", "-n", self.netns, *args], check=True, capture_output=True,
                              text=True).stdout

    def make_netns(self):
        subprocess.run(["ip", "netns", "add", self.netns], check=True)
        self.addCleanup(subprocess.run, ["ip", "netns", "del", self.netns], check=False)
        self.ip("link", "set", "lo", "up")
        self.ip("link", "add", "up0", "type", "veth", "peer", "name", "up1")
        self.ip("addr", "add", "192.0.2.10/24", "dev", "up0")
        self.ip("link", "set", "up0", "up")
        self.ip("link", "set", "up1", "up")

    def spawn(self, *args, inside=True, **more):
        prefix = ["ip", "netns", "exec", self.netns] if inside else []
        process = subprocess.Popen(prefix + list(args), **more)
        self.addCleanup(self.end, process)
        return process

    def end(self, process, number=signal.SIGTERM, timeout=10):
        if process.poll() is None:
            process.send_signal(number)
        status = process.wait(timeout=timeout)
        if process.stdout:
            process.stdout.close()
        return status

    def start_bus(self):
        config = self.write("bus.conf", BUS_CONFIG % self.path("bus"))
        self.spawn("dbus-daemon", "--nofork", "--config-file=" + config, inside=False,
                   stderr=subprocess.DEVNULL)
        wait_for("bus", lambda: os.path.exists(self.path("bus")))
        self.bus = Gio.DBusConnection.new_for_address_sync(
            self.bus_address, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
            | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)
        self.signals = []
        self.bus.signal_subscribe(NAME, NAME, None, PATH, None, Gio.DBusSignalFlags.NONE,
                                  lambda c, s, p, i, name, params: self.signals.append(
                                      (name, params.unpack())))

    def start_portal(self):
        process = self.spawn(PORTAL, "serve", "--listen", f"127.0.0.1:{self.port}", "--database",
                             self.path("portal.db"), "--log-level", "warning",
                             stdout=subprocess.PIPE)
        process.stdout.readline()
        return process

    def start_tunneld(self, *more, **spawn):
        process = self.spawn(
            TUNNELD, "--bus", self.bus_address, "--api-url", f"ws://127.0.0.1:{self.port}",
            "--resolv-conf", self.resolv, "--interface", "tun-test", "--device-id", "test-device",
            "--token-file", self.path("client.token"), "--log-filter", "warn", *more,
            **spawn)
        wait_for("name", self.has_owner)
        return process

    def has_owner(self):
        return self.bus.call_sync("org.freedesktop.DBus", "/", "org.freedesktop.DBus",
                                  "NameHasOwner", GLib.Variant("(s)", (NAME,)), None,
                                  Gio.DBusCallFlags.NONE, -1, None).unpack()[0]

    def call(self, method, params=None, fds=None):
        reply, _ = self.bus.call_with_unix_fd_list_sync(
            NAME, PATH, NAME, method, params, None, Gio.DBusCallFlags.NONE, 15000, fds, None)
        return reply.unpack()

    def get(self, name):
        return self.bus.call_sync(NAME, PATH, "org.freedesktop.DBus.Properties", "Get",
                                  GLib.Variant("(ss)", (NAME, name)), None,
                                  Gio.DBusCallFlags.NONE, -1, None).unpack()[0]

    def connect(self, text=None, **options):
        """Connect with the token in a memory file whose offset stands at its end."""
        fd = os.memfd_create("t")
        os.write(fd, (text or self.read(self.path("client.token"))).encode())
        fds = Gio.UnixFDList.new()
        options["token-fd"] = GLib.Variant("h", fds.append(fd))
        os.close(fd)
        return self.call("Connect", GLib.Variant("(a{sv})", (options,)), fds)[0]

    def fails(self, name, function, *args, **more):
        with self.assertRaises(GLib.Error) as caught:
            function(*args, **more)
        self.assertEqual(Gio.DBusError.get_remote_error(caught.exception), name)

    def wait_state(self, state, timeout=10):
        wait_for(state, lambda: self.get("State") == state, timeout)

    def up(self):
        session = self.connect()
        self.wait_state("connected")
        return session

    def rules(self):
        return [line for line in self.ip("rule").splitlines() if "fwmark" in line]


class Session(TunnelCase):
    def test_connect_and_disconnect(self):
        self.assertEqual((self.get("State"), self.get("ApiVersion")), ("disconnected", 1))
        session = self.up()
        self.assertEqual(self.get("SessionId"), session)
        self.assertEqual((self.get("SessionOwner"), self.get("Interface")), (0, "tun-test"))
        self.assertTrue(self.get("PortalConnected"))
        self.assertEqual(self.get("IpStack"), "dual")
        self.assertIn(self.get("Ipv4Address"), self.ip("addr", "show", "tun-test"))
        generation, resources = self.call("ListResources", GLib.Variant("(a{sv})", ({},)))
        self.assertEqual(generation, self.get("ResourcesGeneration"))
        self.assertEqual([(r["id"], r["type"], r["name"], r["address"], r["enabled"],
                           r["can-toggle"]) for r in resources],
                         [(OFFICE, "cidr", "Office", "10.20.0.0/16", True, False)])
        self.assertEqual(self.call("GetResource", GLib.Variant("(s)", (OFFICE,)))[0],
                         resources[0])
        self.assertEqual(self.call("ListResources", GLib.Variant(
            "(a{sv})", ({"name-glob": GLib.Variant("s", "X*")},)))[1], [])
        self.assertEqual(self.call("ListConnections")[0], [])
        self.assertGreater(self.call("GetStatistics")[0]["since"], 0)
        self.assertEqual(self.call("GetDeviceId")[0], "test-device")
        dns = self.call("GetDnsStatus")[0]
        self.assertEqual(dns["system-resolvers"], ["192.0.2.53"])
        self.assertEqual((dns["takeover-active"], dns["upstream-source"]), (True, "portal"))
        sentinel, upstream = dns["sentinels"][0]
        self.assertEqual(upstream, "192.0.2.99")
        self.assertIn("nameserver " + sentinel, self.read(self.resolv))
        self.assertEqual(len(self.rules()), 3)
        self.assertIn("10.20.0.0/16", self.ip("route", "show", "table", "all"))
        self.call("Disconnect", GLib.Variant("(a{sv})", ({},)))
        self.assertEqual(self.get("State"), "disconnected")
        self.assertEqual(self.read(self.resolv), ORIGINAL)
        self.assertEqual(self.rules(), [])
        self.assertNotIn("tun-test", self.ip("link"))
        want = ["connecting", "connected", "disconnecting", "disconnected"]
        wait_for("states", lambda: want == [p[0] for name, p in self.signals
                                            if name == "StateChanged"])
        self.call("Disconnect", GLib.Variant("(a{sv})", ({},)))

    def test_token_file_and_replacement(self):
        first = self.up()
        second = self.call("Connect", GLib.Variant(
            "(a{sv})", ({"token-file": GLib.Variant("b", True)},)))[0]
        self.assertNotEqual(first, second)
        self.wait_state("connected")

    def test_wrong_token(self):
        self.connect("not-a-token")
        self.wait_state("failed")
        self.assertEqual(self.get("StateReason"), "token-invalid")
        wait_for("signal", lambda: ("Disconnected", ("token-invalid", True)) in self.signals)
        self.assertEqual((self.get("SessionOwner"), self.rules()), (0xFFFFFFFF, []))
        self.up()

    def test_portal_away(self):
        self.end(self.portal)
        self.connect()
        self.assertEqual(self.get("State"), "connecting")
        self.portal = self.start_portal()
        self.wait_state("connected")
        self.end(self.portal)
        wait_for("partition", lambda: not self.get("PortalConnected"))
        self.assertEqual(self.get("State"), "connected")

    def test_reset_keeps_the_session(self):
        session = self.up()
        seen = []
        self.bus.signal_subscribe(NAME, "org.freedesktop.DBus.Properties", "PropertiesChanged",
                                  PATH, None, Gio.DBusSignalFlags.NONE,
                                  lambda c, s, p, i, name, params: seen.append(
                                      params.unpack()[1].get("PortalConnected")))
        self.call("Reset", GLib.Variant("(s)", ("test",)))
        wait_for("redial", lambda: [x for x in seen if x is not None] == [False, True])
        self.assertEqual((self.get("State"), self.get("SessionId")), ("connected", session))

    def test_bad_arguments(self):
        invalid = "org.freedesktop.DBus.Error.InvalidArgs"
        for options in ({}, {"token-file": GLib.Variant("b", False)},
                        {"token-file": GLib.Variant("s", "yes")},
                        {"token": GLib.Variant("s", "x")},
                        {"token-fd": GLib.Variant("h", 0)},
                        {"token-file": GLib.Variant("b", True),
                         "surprise": GLib.Variant("b", True)}):
            self.fails(invalid, self.call, "Connect", GLib.Variant("(a{sv})", (options,)))
        for method in ("Disconnect", "ListResources"):
            self.fails(invalid, self.call, method, GLib.Variant(
                "(a{sv})", ({"surprise": GLib.Variant("b", True)},)))
        self.fails(invalid, self.call, "Reset", GLib.Variant("(s)", ("x" * 65,)))
        self.fails(invalid, self.call, "Reset", GLib.Variant("(s)", ("a\nb",)))
        self.fails(ERROR + "NotConnected", self.call, "SetInternetResource",
                   GLib.Variant("(b)", (True,)))
        self.fails(ERROR + "NoSuchResource", self.call, "GetResource",
                   GLib.Variant("(s)", (OFFICE,)))
        self.fails(ERROR + "InvalidToken", self.connect, "x" * 65537)
        self.fails(ERROR + "InvalidToken", self.connect, " \n")
        self.assertEqual(self.get("State"), "disconnected")

    def test_owner_gone(self):
        helper = Gio.DBusConnection.new_for_address_sync(
            self.bus_address, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
            | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)
        mine, self.bus = self.bus, helper
        self.up()
        self.bus = mine
        helper.close_sync(None)
        self.wait_state("disconnected")
        self.assertEqual(self.get("StateReason"), "owner-gone")


class Life(TunnelCase):
    def test_sigterm(self):
        self.up()
        self.assertEqual(self.end(self.tunneld), 0)
        wait_for("signal", lambda: any(name == "Terminating" for name, _ in self.signals))
        self.assertEqual((self.read(self.resolv), self.rules()), (ORIGINAL, []))

    def test_sigkill_and_restart(self):
        self.up()
        self.end(self.tunneld, signal.SIGKILL)
        self.assertNotEqual(self.read(self.resolv), ORIGINAL)
        self.assertEqual(len(self.rules()), 3)
        wait_for("name to go", lambda: not self.has_owner())
        self.start_tunneld()
        self.assertEqual((self.read(self.resolv), self.rules()), (ORIGINAL, []))
        self.up()

    def test_second_instance_is_refused(self):
        second = self.spawn(TUNNELD, "--bus", self.bus_address, "--resolv-conf",
                            self.write("other.conf", ORIGINAL), stderr=subprocess.DEVNULL)
        self.assertEqual(second.wait(timeout=10), 1)

    def test_no_bus(self):
        self.end(self.tunneld)
        args = [TUNNELD, "--no-bus", "--api-url", f"ws://127.0.0.1:{self.port}", "--resolv-conf",
                self.resolv, "--interface", "tun-test", "--device-id", "test-device"]
        env = dict(os.environ, SALLYPORT_TOKEN="wrong")
        process = self.spawn(*args, env=env, stderr=subprocess.PIPE)
        _, text = process.communicate(timeout=20)
        self.assertEqual(process.returncode, 1)
        self.assertIn(b"token-invalid", text)
        env["SALLYPORT_TOKEN"] = self.read(self.path("client.token"))
        process = self.spawn(*args, env=env)
        wait_for("interface", lambda: "nameserver 100." in self.read(self.resolv))
        with open(f"/proc/{process.pid}/environ", "rb") as f:
            self.assertNotIn(env["SALLYPORT_TOKEN"].strip().encode(), f.read())
        self.assertEqual(self.end(process), 0)
        self.assertEqual((self.read(self.resolv), self.rules()), (ORIGINAL, []))


class Network(TunnelCase):
    """What NetworkManager and logind say, by python-dbusmock's templates."""

    def setUp(self):
        super().setUp()
        for template, name in (("networkmanager", "org.freedesktop.NetworkManager"),
                               ("logind", "org.freedesktop.login1")):
            self.spawn(sys.executable, "-m", "dbusmock", "--template", template, inside=False,
                       env=dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS=self.bus_address),
                       stdout=subprocess.DEVNULL)
            wait_for(template, lambda n=name: self.bus.call_sync(
                "org.freedesktop.DBus", "/", "org.freedesktop.DBus", "NameHasOwner",
                GLib.Variant("(s)", (n,)), None, Gio.DBusCallFlags.NONE, -1, None).unpack()[0])
        self.end(self.tunneld)
        with open(self.path("log"), "w", encoding="utf-8") as log:
            self.tunneld = self.start_tunneld("--log-filter", "info", stdout=log, stderr=log)

    def emit(self, name, path, interface, signal_name, signature, *args):
        self.bus.call_sync(name, path, "org.freedesktop.DBus.Mock", "EmitSignal",
                           GLib.Variant("(sssav)", (interface, signal_name, signature, args)),
                           None, Gio.DBusCallFlags.NONE, -1, None)

    def nm_changes(self, changed, invalidated=()):
        nm = "org.freedesktop.NetworkManager"
        self.emit(nm, "/org/freedesktop/NetworkManager", "org.freedesktop.DBus.Properties",
                  "PropertiesChanged", "sa{sv}as", GLib.Variant("s", nm),
                  GLib.Variant("a{sv}", changed), GLib.Variant("as", invalidated))

    def sleep(self, going):
        self.emit("org.freedesktop.login1", "/org/freedesktop/login1",
                  "org.freedesktop.login1.Manager", "PrepareForSleep", "b",
                  GLib.Variant("b", going))

    def resets(self):
        return [line.split("reset: ")[1] for line in self.read(self.path("log")).splitlines()
                if "reset: " in line]

    def test_resets(self):
        session = self.up()
        self.nm_changes({"Connectivity": GLib.Variant("u", 4)})
        self.sleep(True)
        time.sleep(0.8)
        self.assertEqual(self.resets(), [])
        for _ in range(3):
            self.nm_changes({"PrimaryConnection": GLib.Variant("o", "/x/1")})
        wait_for("reset", lambda: self.resets() == ["network changed"])
        self.sleep(False)
        wait_for("reset", lambda: self.resets() == ["network changed", "resumed"])
        self.sleep(False)
        time.sleep(1.2)
        self.assertEqual(len(self.resets()), 2)
        wait_for("portal", lambda: self.get("PortalConnected"))
        self.assertEqual((self.get("State"), self.get("SessionId")), ("connected", session))

    def test_no_session(self):
        self.nm_changes({}, ["PrimaryConnection"])
        self.sleep(False)
        time.sleep(0.8)
        self.assertEqual((self.resets(), self.get("State")), ([], "disconnected"))


class Polkit(TunnelCase):
    def setUp(self):
        super().setUp()
        self.spawn(sys.executable, "-m", "dbusmock", "--template", "polkitd", inside=False,
                   env=dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS=self.bus_address),
                   stdout=subprocess.DEVNULL)
        wait_for("polkit", lambda: self.bus.call_sync(
            "org.freedesktop.DBus", "/", "org.freedesktop.DBus", "NameHasOwner",
            GLib.Variant("(s)", ("org.freedesktop.PolicyKit1",)), None,
            Gio.DBusCallFlags.NONE, -1, None).unpack()[0])

    def allow(self, *actions):
        self.bus.call_sync("org.freedesktop.PolicyKit1", "/org/freedesktop/PolicyKit1/Authority",
                           "org.freedesktop.DBus.Mock", "SetAllowed",
                           GLib.Variant("(as)", ([NAME + "." + a for a in actions],)), None,
                           Gio.DBusCallFlags.NONE, -1, None)

    def nobody(self, method, *args):
        result = subprocess.run(
            ["gdbus", "call", "-a", self.bus_address, "-d", NAME, "-o", PATH, "-m",
             NAME + "." + method, *args], user=65534, group=65534, extra_groups=[],
            capture_output=True, text=True, check=False, timeout=20)
        return result.stdout if result.returncode == 0 else result.stderr

    def test_default_is_no(self):
        denied = "org.freedesktop.DBus.Error.AccessDenied"
        self.up()
        for method, *args in (("Disconnect", "{}"), ("Reset", "x"), ("SetInternetResource", "true"),
                              ("ListResources", "{}"), ("GetResource", OFFICE),
                              ("ListConnections",), ("GetDnsStatus",), ("GetStatistics",),
                              ("FlushDnsCache",), ("GetSettings",), ("GetDeviceId",),
                              ("Connect", "{'token-file': <true>}")):
            with self.subTest(method):
                self.assertIn(denied, self.nobody(method, *args))
        self.allow("inspect")
        self.assertIn("Office", self.nobody("ListResources", "{}"))
        self.assertIn(denied, self.nobody("Disconnect", "{}"))
        self.allow("inspect", "manage")
        self.assertIn("SessionOwned", self.nobody("Disconnect", "{}"))
        self.assertIn(denied, self.nobody("Connect", "{'token-file': <true>}"))
        self.allow("manage", "use-system-token")
        self.assertIn("SessionOwned", self.nobody("Connect", "{'token-file': <true>}"))
        self.assertEqual(self.get("State"), "connected")
        self.allow("manage", "manage-others")
        self.assertIn("()", self.nobody("Disconnect", "{}"))
        self.assertEqual(self.get("State"), "disconnected")


if __name__ == "__main__":
    unittest.main(verbosity=2)
