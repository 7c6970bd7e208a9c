# SPDX-License-Identifier: Apache-2.0
"""A private message bus and a scripted org.sallyport.Tunnel1 on it."""
import os
import subprocess
import threading

from gi.repository import Gio, GLib

NAME = "org.sallyport.Tunnel1"
PATH = "/org/sallyport/Tunnel1"
ERROR = NAME + ".Error."
CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:dir={dir}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/>
<allow eavesdrop="true"/><allow own="*"/></policy>
</busconfig>
"""


def start_loop():
    """One main loop for all services of the test, in a thread of its own."""
    loop = GLib.MainLoop()
    threading.Thread(target=loop.run, daemon=True).start()


class Bus:
    """dbus-daemon that can start nothing, so no key ring of the machine gets in the way."""

    def __init__(self, folder):
        config = os.path.join(folder, "bus.conf")
        with open(config, "w", encoding="utf-8") as f:
            f.write(CONFIG.format(dir=folder))
        self.daemon = subprocess.Popen(
            ["dbus-daemon", "--nofork", "--print-address=1", f"--config-file={config}"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.address = self.daemon.stdout.readline().strip()

    def connect(self):
        flags = (Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
                 | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION)
        return Gio.DBusConnection.new_for_address_sync(self.address, flags, None, None)

    def stop(self):
        self.daemon.terminate()
        self.daemon.wait()
        self.daemon.stdout.close()


def own(connection, name):
    connection.call_sync("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                         "RequestName", GLib.Variant("(su)", (name, 4)), None, 0, -1, None)


def entry(**values):
    """a{sv} from Python values; "_" in a key stands for "-"."""
    kinds = {bool: "b", str: "s", int: "t"}
    return {k.replace("_", "-"): v if isinstance(v, GLib.Variant)
            else GLib.Variant(kinds[type(v)], v) for k, v in values.items()}


class Tunnel:
    """errors: method -> D-Bus error name; script: states that Connect goes through;
    calls: (method, arguments) as they came; token: what the last Connect handed over."""

    def __init__(self, bus, xml):
        self.connection = bus.connect()
        self.errors, self.calls, self.script = {}, [], ["connecting", "connected"]
        self.token, self.fail_reason = None, ""
        self.resources, self.connections = [], []
        self.settings = entry(auth_url="https://portal.example/", api_url="wss://api.example/",
                              account_slug="acme", dns_control="resolv-conf", log_filter="info")
        self.properties = {
            "Version": ("s", "9.8.7"), "ApiVersion": ("u", 1), "State": ("s", "disconnected"),
            "StateReason": ("s", ""), "SessionId": ("s", ""), "SessionOwner": ("u", 0xffffffff),
            "ConnectedSince": ("t", 0), "PortalConnected": ("b", False), "Interface": ("s", ""),
            "Ipv4Address": ("s", ""), "Ipv6Address": ("s", ""), "IpStack": ("s", "none"),
            "Mtu": ("u", 1280), "InternetResourceActive": ("b", False),
            "DnsControl": ("s", "resolv-conf"), "SearchDomain": ("s", ""),
            "ResourcesGeneration": ("t", 0),
        }
        with open(xml, encoding="utf-8") as f:
            info = Gio.DBusNodeInfo.new_for_xml(f.read()).interfaces[0]
        self.connection.register_object(PATH, info, self.on_call, self.on_get, None)
        own(self.connection, NAME)

    def stop(self):
        if not self.connection.is_closed():
            self.connection.close_sync(None)

    def on_get(self, _connection, _sender, _path, _interface, name):
        return GLib.Variant(*self.properties[name])

    def set(self, **values):
        changed = {}
        for name, value in values.items():
            self.properties[name] = (self.properties[name][0], value)
            changed[name] = GLib.Variant(*self.properties[name])
        self.connection.emit_signal(
            None, PATH, "org.freedesktop.DBus.Properties", "PropertiesChanged",
            GLib.Variant("(sa{sv}as)", (NAME, changed, [])))

    def set_state(self, state, reason=""):
        old = self.properties["State"][1]
        self.set(State=state, StateReason=reason)
        self.signal("StateChanged", GLib.Variant("(sss)", (state, old, reason)))

    def signal(self, name, values):
        self.connection.emit_signal(None, PATH, NAME, name, values)

    def go_up(self):
        self.set(State="connected", StateReason="", SessionId="s1", SessionOwner=os.getuid(),
                 ConnectedSince=1767225599000000, PortalConnected=True, Interface="tun-sallyport",
                 Ipv4Address="100.64.3.9", Ipv6Address="fd00:2021:1111::9", IpStack="dual",
                 SearchDomain="corp.example")

    def on_call(self, _connection, _sender, _path, _interface, method, values, invocation):
        self.calls.append((method, values.unpack()))
        if method in self.errors:
            invocation.return_dbus_error(self.errors[method], "scripted text that nobody shows")
            return
        reply = getattr(self, "do_" + method)(values, invocation)
        invocation.return_value(reply)

    def do_Connect(self, values, invocation):
        options = values.unpack()[0]
        self.token = None
        if "token-fd" in options:
            fd = invocation.get_message().get_unix_fd_list().get(options["token-fd"])
            with os.fdopen(fd, "rb") as f:
                self.token = f.read().decode()
        self.set(SessionOwner=os.getuid(), SessionId="s1")
        self.set_state(self.script[0], "" if self.script[0] != "failed" else self.fail_reason)
        for i, state in enumerate(self.script[1:], 1):
            GLib.timeout_add(50 * i, self.later, state)
        return GLib.Variant("(s)", ("s1",))

    def later(self, state):
        if self.connection.is_closed():  # the test was faster than the script
            return False
        if state == "connected":
            self.go_up()
        self.set_state(state, self.fail_reason if state == "failed" else "")
        return False

    def do_Disconnect(self, _values, _invocation):
        self.set(SessionOwner=0xffffffff, SessionId="")
        self.set_state("disconnected")

    def do_Reset(self, _values, _invocation):
        return None

    def do_FlushDnsCache(self, _values, _invocation):
        return None

    def do_SetInternetResource(self, values, _invocation):
        self.set(InternetResourceActive=values.unpack()[0])

    def do_ListResources(self, values, _invocation):
        wanted = values.unpack()[0]
        found = [r for r in self.resources
                 if all(r[k].unpack() == v for k, v in wanted.items())]
        return GLib.Variant("(taa{sv})", (7, found))

    def do_ListConnections(self, _values, _invocation):
        return GLib.Variant("(aa{sv})", (self.connections,))

    def do_GetDnsStatus(self, _values, _invocation):
        pairs = GLib.Variant("a(ss)", [("100.100.111.1", "192.0.2.53:53")])
        return GLib.Variant("(a{sv})", (entry(
            method="resolv-conf", sentinels=pairs, upstream_source="portal",
            system_resolvers=GLib.Variant("as", ["192.0.2.1"]), search_domain="corp.example",
            takeover_active=True),))

    def do_GetSettings(self, _values, _invocation):
        return GLib.Variant("(a{sv})", (self.settings,))
