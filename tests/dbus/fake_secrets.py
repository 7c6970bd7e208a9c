# SPDX-License-Identifier: Apache-2.0
"""The smallest Secret Service that libsecret talks to: one unlocked collection, plain transport."""
import fake_tunnel
from gi.repository import Gio, GLib

PREFIX = "org.freedesktop.Secret."
ROOT = "/org/freedesktop/secrets"
COLLECTION = ROOT + "/collection/login"
XML = f"""<node>
<interface name="{PREFIX}Service">
<method name="OpenSession"><arg type="s" direction="in"/><arg type="v" direction="in"/>
<arg type="v" direction="out"/><arg type="o" direction="out"/></method>
<method name="SearchItems"><arg type="a{{ss}}" direction="in"/><arg type="ao" direction="out"/>
<arg type="ao" direction="out"/></method>
<method name="GetSecrets"><arg type="ao" direction="in"/><arg type="o" direction="in"/>
<arg type="a{{o(oayays)}}" direction="out"/></method>
<method name="Unlock"><arg type="ao" direction="in"/><arg type="ao" direction="out"/>
<arg type="o" direction="out"/></method>
<method name="ReadAlias"><arg type="s" direction="in"/><arg type="o" direction="out"/></method>
<property name="Collections" type="ao" access="read"/>
</interface>
<interface name="{PREFIX}Collection">
<method name="CreateItem"><arg type="a{{sv}}" direction="in"/><arg type="(oayays)" direction="in"/>
<arg type="b" direction="in"/><arg type="o" direction="out"/><arg type="o" direction="out"/></method>
<property name="Locked" type="b" access="read"/>
</interface>
<interface name="{PREFIX}Item">
<method name="Delete"><arg type="o" direction="out"/></method>
<property name="Locked" type="b" access="read"/>
</interface>
</node>"""


class Secrets:
    """items: path -> (attributes, secret); locked: unlocking is always dismissed"""

    def __init__(self, bus, locked=False):
        self.connection, self.items, self.locked, self.count = bus.connect(), {}, locked, 0
        self.info = Gio.DBusNodeInfo.new_for_xml(XML)
        self.register(ROOT, "Service")
        for path in (COLLECTION, ROOT + "/aliases/default"):
            self.register(path, "Collection")
        fake_tunnel.own(self.connection, "org.freedesktop.secrets")

    def register(self, path, interface):
        info = self.info.lookup_interface(PREFIX + interface)
        self.connection.register_object(path, info, self.on_call, self.on_get, None)

    def stop(self):
        self.connection.close_sync(None)

    def on_get(self, _connection, _sender, _path, _interface, name):
        if name == "Locked":
            return GLib.Variant("b", self.locked)
        return GLib.Variant("ao", [COLLECTION])

    def on_call(self, _connection, _sender, path, _interface, method, values, invocation):
        args = values.unpack()
        if method == "OpenSession" and args[0] != "plain":
            invocation.return_dbus_error("org.freedesktop.DBus.Error.NotSupported", "plain only")
        elif method == "CreateItem" and self.locked:
            invocation.return_dbus_error("org.freedesktop.Secret.Error.IsLocked", "locked")
        else:
            invocation.return_value(getattr(self, "do_" + method)(path, *args))

    def do_OpenSession(self, _path, _algorithm, _value):
        return GLib.Variant("(vo)", (GLib.Variant("s", ""), ROOT + "/session/1"))

    def do_SearchItems(self, _path, wanted):
        found = [p for p, (attributes, _) in self.items.items() if wanted.items()
                 <= attributes.items()]
        return GLib.Variant("(aoao)", (found, []))

    def do_GetSecrets(self, _path, paths, session):
        return GLib.Variant("(a{o(oayays)})", ({
            p: (session, b"", self.items[p][1], "text/plain") for p in paths},))

    def do_Unlock(self, _path, paths):
        return GLib.Variant("(aoo)", ([] if self.locked else paths, "/"))

    def do_ReadAlias(self, _path, _name):
        return GLib.Variant("(o)", (COLLECTION,))

    def do_CreateItem(self, _path, properties, secret, _replace):
        attributes = properties[PREFIX + "Item.Attributes"]
        for path in [p for p, (a, _) in self.items.items() if a == attributes]:
            del self.items[path]
        self.count += 1
        path = f"{COLLECTION}/{self.count}"
        self.items[path] = (attributes, bytes(secret[2]))
        self.register(path, "Item")
        return GLib.Variant("(oo)", (path, "/"))

    def do_Delete(self, path):
        del self.items[path]
        return GLib.Variant("(o)", ("/",))
