#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The real portal on loopback, with a client and a gateway played by this script."""
import base64
import hashlib
import json
import os
import re
import socket
import sys
import time
import unittest
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import ws  # noqa: E402
from case import (ADA, CANDIDATE, CLIENT_AGENT, CLIENT_KEY, GATEWAY_KEY, OFFICE, WIKI,  # noqa: E402
                  Browser, PortalCase)

def jwt_claims(token):
    head, body, tag = token.split(".")
    pad = lambda s: base64.urlsafe_b64decode(s + "=" * (-len(s) % 4))  # noqa: E731
    assert json.loads(pad(head))["alg"] == "HS256" and pad(tag)
    return json.loads(pad(body))


class Channels(PortalCase):
    def test_join_and_init(self):
        client, init, gateway, gateway_init = self.pair()
        interface = init["interface"]
        self.assertEqual(interface["upstream_do53"], [{"ip": "9.9.9.9"}, {"ip": "2620:fe::fe"}])
        self.assertEqual(interface["upstream_dns"][1]["address"], "[2620:fe::fe]:53")
        # A service account is not part of everyone.
        self.assertEqual([r["id"] for r in init["resources"]], [WIKI])
        self.assertEqual(init["resources"][0]["filters"],
                         [{"protocol": "tcp", "port_range_start": 443, "port_range_end": 443}])
        self.assertEqual(init["resources"][0]["gateway_groups"][0]["name"], "HQ")
        for payload in (init, gateway_init):
            self.assertEqual(payload["flow_logs"]["upload_interval_secs"], 0)
            self.assertEqual((payload["relays"], payload["authorizations"]), ([], []))
        self.assertEqual(gateway_init["config"],
                         {"ipv4_masquerade_enabled": True, "ipv6_masquerade_enabled": True})
        self.assertNotEqual(gateway_init["interface"], interface)
        ref = client.send("phoenix", "heartbeat", {})
        self.assertEqual(client.expect("phx_reply")["ref"], ref)
        gateway.send("gateway", "set_snownet_capabilities", {"iceless": False})
        gateway.send("gateway", "no_relays", {})
        self.assertEqual(gateway.expect("relays_presence")["payload"],
                         {"disconnected_ids": [], "connected": []})

    def test_addresses_are_permanent(self):
        first = self.open("client")
        interface = first.join("client")["interface"]
        first.close()
        self.assertEqual(self.open("client").join("client")["interface"], interface)
        other = self.open("client", external_id="another").join("client")["interface"]
        self.assertNotEqual(other["ipv4"], interface["ipv4"])

    def test_authorization_round_trip(self):
        client, init, gateway, gateway_init = self.pair()
        offer, answer = self.authorize(client, gateway)
        self.assertEqual(offer["resource"]["id"], WIKI)
        self.assertNotIn("sites", offer["resource"])
        self.assertEqual(offer["client"]["public_key"], CLIENT_KEY)
        self.assertEqual(offer["client"]["ipv4"], init["interface"]["ipv4"])
        self.assertEqual(offer["client"]["preshared_key"], answer["preshared_key"])
        self.assertEqual(offer["client_ice_credentials"], answer["client_ice_credentials"])
        self.assertEqual(offer["gateway_ice_credentials"], answer["gateway_ice_credentials"])
        self.assertEqual(answer["gateway_public_key"], GATEWAY_KEY)
        self.assertEqual(answer["gateway_ipv6"], gateway_init["interface"]["ipv6"])
        self.assertIs(answer["use_iceless"], False)
        text = ":".join([offer["client"]["id"], CLIENT_KEY, answer["gateway_id"], GATEWAY_KEY])
        ice = base64.b32encode(hashlib.sha256(text.encode()).digest()).decode().lower()
        self.assertEqual(answer["client_ice_credentials"],
                         {"username": ice[:4], "password": ice[4:26]})
        for token, role in ((offer["flow_logs_ingest_token"], "responder"),
                            (answer["flow_logs_ingest_token"], "initiator")):
            claims = jwt_claims(token)
            self.assertEqual((claims["role"], claims["resource_id"]), (role, WIKI))
            self.assertEqual(claims["exp"], offer["expires_at"] + 30 * 86400)
        again, answer2 = self.authorize(client, gateway)
        self.assertEqual(answer2["preshared_key"], answer["preshared_key"])
        self.assertNotEqual(again["ref"], offer["ref"])

    def test_order_and_candidates(self):
        client, _, gateway, _ = self.pair()
        self.request(client)
        offer = gateway.expect("create_authorization")["payload"]
        client_id = offer["client"]["id"]
        gateway.send("gateway", "authorization_created", {"ref": offer["ref"]})
        for i in range(5):
            gateway.send("gateway", "broadcast_ice_candidates",
                         {"client_ids": [client_id], "candidates": [f"{CANDIDATE} {i}", 7]})
        gateway.send("gateway", "broadcast_invalidated_ice_candidates",
                     {"client_ids": [client_id], "candidates": [CANDIDATE]})
        gateway_id = client.expect("authorization_created")["payload"]["gateway_id"]
        for i in range(5):
            self.assertEqual(client.expect("ice_candidates")["payload"],
                             {"gateway_id": gateway_id, "candidates": [f"{CANDIDATE} {i}"]})
        client.expect("invalidate_ice_candidates")
        gateway.expect("phx_reply")
        client.send("client", "new_gateway_ice_candidates",
                    {"gateway_id": gateway_id, "candidates": [CANDIDATE]})
        client.send("client", "invalidate_gateway_ice_candidates",
                    {"gateway_id": gateway_id, "candidates": [CANDIDATE]})
        self.assertEqual(gateway.expect("ice_candidates")["payload"],
                         {"client_id": client_id, "candidates": [CANDIDATE]})
        gateway.expect("invalidate_ice_candidates")

    def test_failures(self):
        client = self.open("client")
        client.join("client")

        def reason(resource=WIKI):
            self.request(client, resource)
            return client.expect("authorization_creation_failed")["payload"]["reason"]

        self.assertEqual(reason(), "offline")
        self.assertEqual(reason(OFFICE), "not_found")
        gateway = self.open("gateway")
        gateway.join("gateway")
        started = time.monotonic()
        self.assertEqual(reason(), "offline")
        self.assertGreater(time.monotonic() - started, 0.8)
        offer = gateway.expect("create_authorization")["payload"]
        gateway.send("gateway", "authorization_created", {"ref": offer["ref"]})
        self.assertEqual(gateway.expect("phx_reply")["payload"]["status"], "ok")
        gateway.send("gateway", "authorization_created", {"ref": "forged"})
        self.assertEqual(gateway.expect("phx_reply")["payload"],
                         {"status": "error", "response": {"reason": "invalid_ref"}})
        old = ws.Socket(self.port, "/client/v2/websocket",
                        {"external_id": "new", "public_key": CLIENT_KEY}, self.client_token,
                        "Debian/12 headless-client/1.9.0")
        self.addCleanup(old.close)
        old.join("client")
        self.request(old)
        self.assertEqual(old.expect("authorization_creation_failed")["payload"]["reason"],
                         "version_mismatch")

    def test_malformed_frames_are_ignored(self):
        client, _, _, _ = self.pair()
        for text in ("", "nonsense", "[1,2]", "{}", '{"topic":1,"event":"x","payload":{},"ref":1}',
                     "[" * 100000, '/* " */' + "[" * 100000, '{"topic":"client"}'):
            client.send_text(text)
        client.send_frame(2, b"\x00\x01")
        ref = client.send("client", "no_such_event", {})
        reply = client.expect("phx_reply")
        self.assertEqual((reply["ref"], reply["payload"]),
                         (ref, {"status": "error", "response": {"reason": "unknown_message"}}))
        client.send("client", "request_authorization", {"resource_id": "no uuid"})
        self.assertEqual(client.expect("phx_reply")["payload"]["status"], "error")
        client.send("room", "phx_join", None)
        self.assertEqual(client.expect("phx_reply")["payload"]["response"],
                         {"reason": "unmatched topic"})

    def test_newest_connection_wins(self):
        client, _, gateway, _ = self.pair()
        self.open("client").join("client")
        self.assertEqual(client.expect("disconnect")["payload"], {"reason": "token_expired"})
        self.assertIsNone(client.recv())
        self.open("gateway").join("gateway")
        gateway.expect("phx_close")
        self.assertIsNone(gateway.recv())

    def test_restart_keeps_authorizations(self):
        client, _, gateway, _ = self.pair()
        offer, _ = self.authorize(client, gateway)
        self.stop()
        client.expect("phx_close")
        gateway.expect("phx_close")
        self.start()
        self.assertEqual(self.open("gateway").join("gateway")["authorizations"],
                         [{"client_id": offer["client"]["id"], "resource_id": WIKI,
                           "expires_at": offer["expires_at"]}])


class Changes(PortalCase):
    def test_policy_disabled_and_enabled(self):
        client, _, gateway, _ = self.pair()
        offer, _ = self.authorize(client, gateway)
        policy = ["policy", "add", "--group", "Engineering", "--resource", "Wiki"]
        self.admin(*policy, "--disable")
        self.assertEqual(gateway.expect("reject_access")["payload"],
                         {"client_id": offer["client"]["id"], "resource_id": WIKI})
        self.assertEqual(client.expect("resource_deleted")["payload"], WIKI)
        self.admin(*policy, "--enable")
        self.assertEqual(client.expect("resource_created_or_updated")["payload"]["id"], WIKI)

    def test_resource_changes(self):
        client, _, gateway, _ = self.pair()
        self.authorize(client, gateway)
        base = ["resource", "add", "--name", "Wiki", "--type", "dns", "--site", "HQ"]
        self.admin(*base, "--address", "*.wiki.test", "--filter", "icmp")
        self.assertEqual(gateway.expect("resource_updated")["payload"]["filters"],
                         [{"protocol": "icmp"}])
        self.assertEqual(client.expect("resource_created_or_updated")["payload"]["filters"],
                         [{"protocol": "icmp"}])
        self.admin(*base, "--address", "*.other.test")
        gateway.expect("reject_access")
        self.assertEqual(client.expect("resource_created_or_updated")["payload"]["address"],
                         "*.other.test")

    def test_membership_removed(self):
        client, _, gateway, _ = self.pair()
        self.authorize(client, gateway)
        self.admin("member", "remove", "--group", "Engineering", "--actor", "Robot")
        gateway.expect("reject_access")
        client.expect("resource_deleted")

    def test_account_dns_changed(self):
        client, _, _, _ = self.pair()
        self.admin("account", "add", "--slug", "example", "--dns-mode", "system",
                   "--search-domain", "corp.test")
        interface = client.expect("config_changed")["payload"]["interface"]
        self.assertEqual(interface["upstream_do53"], [])
        self.assertEqual(interface["search_domain"], "corp.test")

    def test_token_and_device_removed(self):
        client, _, gateway, _ = self.pair()
        devices = json.loads(self.admin("device", "list", "--json"))
        self.admin("device", "remove", next(d["id"] for d in devices if d["type"] == "gateway"))
        gateway.expect("phx_close")
        self.assertIsNone(gateway.recv())
        self.admin("token", "remove", "robot")
        self.assertEqual(client.expect("disconnect")["payload"], {"reason": "token_expired"})
        self.assertIsNone(client.recv())
        with self.assertRaises(ws.Refused) as caught:
            self.open("client")
        self.assertEqual(caught.exception.problem()["code"], "invalid_token")


class Refusals(PortalCase):
    def refused(self, status, code, **kwargs):
        query = {"external_id": "x", "public_key": CLIENT_KEY}
        query.update(kwargs.pop("query", {}))
        arguments = {"path": "/client/v2/websocket", "token": self.client_token,
                     "agent": CLIENT_AGENT}
        arguments.update(kwargs)
        with self.assertRaises(ws.Refused) as caught:
            ws.Socket(self.port, arguments["path"], query, arguments["token"], arguments["agent"])
        self.assertEqual(caught.exception.status, status, caught.exception)
        if code:
            self.assertEqual(caught.exception.headers["content-type"], "application/problem+json")
            problem = caught.exception.problem()
            self.assertEqual((problem["status"], problem["code"]), (status, code))
        return caught.exception

    def test_tokens(self):
        self.refused(401, "missing_token", token=None)
        self.refused(401, "invalid_token", token="nonsense")
        self.refused(401, "invalid_token", token=self.gateway_token)
        self.refused(401, "invalid_token", token="x" + self.client_token)
        flipped = "A" if self.client_token[-2] != "A" else "B"
        self.refused(401, "invalid_token",
                     token=self.client_token[:-2] + flipped + self.client_token[-1])
        self.refused(401, "invalid_token", path="/gateway/v2/websocket")
        sock = ws.Socket(self.port, "/client/v2/websocket",
                         {"external_id": "x", "public_key": CLIENT_KEY,
                          "token": self.client_token}, None, CLIENT_AGENT)
        sock.join("client")
        sock.close()

    def test_parameters(self):
        code = "invalid_connect_params"
        self.refused(400, code, query={"public_key": "AAAA"})
        self.refused(400, code, query={"external_id": ""})
        self.refused(400, code, query={"external_id": "x" * 256})
        self.refused(400, code, query={"name": "x" * 256})
        self.refused(400, code, agent="curl/8")
        self.refused(404, None, path="/client/websocket")
        self.refused(404, None, path="/client/v2/websocket/more")

    def test_disabled_account_is_not_a_dead_token(self):
        self.admin("account", "add", "--slug", "example", "--disable")
        self.refused(403, "account_disabled")


class RateLimit(PortalCase):
    options = []

    def test_connects_per_second(self):
        self.open("client").join("client")
        with self.assertRaises(ws.Refused) as caught:
            self.open("client")
        self.assertEqual(caught.exception.status, 503)
        self.assertEqual(caught.exception.headers["retry-after"], "1")
        self.assertEqual(caught.exception.problem()["code"], "rate_limit")
        self.open("gateway").join("gateway")


class CommandLine(PortalCase):
    def test_exit_codes(self):
        for noun in ("account", "actor", "group", "member", "site", "resource", "policy", "token",
                     "device", "authorization"):
            self.assertIn(f"{noun} remove", self.admin(noun, "list", "--help"))
            self.assertIsInstance(json.loads(self.admin(noun, "list", "--json")), list)
        self.admin("nonsense", status=2)
        self.admin("resource", "frobnicate", status=2)
        self.admin("site", "remove", "no such site", status=1)
        self.admin("resource", "add", "--name", "bad", "--type", "cidr", "--site", "HQ",
                   "--address", "100.64.1.0/24", status=1)
        self.admin("token", "create", status=1)

    def test_seed_is_idempotent(self):
        before = self.admin("resource", "list"), self.admin("token", "list")
        self.admin("seed", os.path.join(self.dir, "seed.json"))
        self.assertEqual((self.admin("resource", "list"), self.admin("token", "list")), before)
        self.assertEqual(self.read("client.token"), self.client_token)

    def test_readyz(self):
        status, _, text = ws.get(self.port, "GET", "/readyz")
        self.assertEqual((status, json.loads(text)), (200, {"status": "ok"}))
        status, _, _ = ws.get(self.port, "POST", "/readyz", body="x" * 70000)
        self.assertEqual(status, 413)


class SignIn(PortalCase):
    NONCE = "ab" * 32
    STATE = "cd" * 32
    LOGIN = {"userpass[idp_id]": "Ada@example.org", "userpass[secret]": "correct horse"}

    def gui_path(self):
        return f"/example?as=gui-client&nonce={self.NONCE}&state={self.STATE}"

    def open_form(self, path, action="userpass"):
        browser = Browser(self.port)
        status, headers, _ = browser.request("GET", path)
        self.assertEqual(status, 302)
        status, headers, text = browser.request("GET", headers["Location"])
        self.assertEqual(status, 200)
        self.assertIn("default-src 'none'", headers["Content-Security-Policy"])
        self.assertNotIn("<script", text)
        self.assertIn("Example &amp; Sons", text)
        return browser, *browser.form(text, action)

    def deep_link(self, browser, text):
        target = re.search(r'content="0; url=([^"]*)"', text).group(1)
        status, headers, _ = browser.request("GET", target)
        self.assertEqual(status, 302)
        return headers["Location"]

    def test_gui_with_password(self):
        browser, target, fields = self.open_form(self.gui_path())
        status, _, text = browser.request("POST", target, {**fields, **self.LOGIN})
        self.assertEqual(status, 200)
        link = self.deep_link(browser, text)
        head, query = link.split("?", 1)
        self.assertEqual(head, "firezone-fd0020211111://handle_client_sign_in_callback")
        names = [pair.split("=")[0] for pair in query.split("&")]
        self.assertEqual(names, ["account_name", "account_slug", "actor_name", "fragment",
                                 "identity_provider_identifier", "state"])
        values = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        self.assertEqual(values["actor_name"], "Ada <b>Example")
        self.assertEqual(values["account_name"], "Example & Sons")
        self.assertEqual(values["state"], self.STATE)
        self.assertTrue(values["fragment"].startswith("."))
        with self.assertRaises(ws.Refused) as caught:
            self.open("client", token=values["fragment"])
        self.assertEqual(caught.exception.problem()["code"], "invalid_token")
        init = self.open("client", token=self.NONCE + values["fragment"]).join("client")
        self.assertEqual({r["id"] for r in init["resources"]}, {WIKI, OFFICE})

    def test_headless_with_password(self):
        browser, target, fields = self.open_form("/EXAMPLE?as=headless-client")
        status, _, text = browser.request("POST", target, {**fields, **self.LOGIN})
        self.assertEqual(status, 200)
        token = re.search(r'<code id="token">([^<]*)</code>', text).group(1)
        self.open("client", token=token).join("client")

    def test_wrong_password_and_too_many(self):
        browser, target, fields = self.open_form(self.gui_path())
        wrong = {**self.LOGIN, "userpass[secret]": "wrong"}
        unknown = {**self.LOGIN, "userpass[idp_id]": "nobody@example.org"}
        started = time.monotonic()
        status, _, text = browser.request("POST", target, {**fields, **wrong})
        self.assertEqual(status, 401)
        self.assertGreater(time.monotonic() - started, 0.5)
        self.assertEqual(browser.request("POST", target, {**fields, **unknown})[2], text)
        for _ in range(4):
            browser.request("POST", target, {**fields, **wrong})
        self.assertEqual(browser.request("POST", target, {**fields, **wrong})[0], 429)

    def test_forged_forms(self):
        browser, target, fields = self.open_form(self.gui_path())
        self.assertEqual(browser.request("POST", target, self.LOGIN)[0], 403)
        forged = {**fields, **self.LOGIN, "csrf": "0" * 64}
        self.assertEqual(browser.request("POST", target, forged)[0], 403)
        self.assertEqual(Browser(self.port).request("POST", target, {**fields, **self.LOGIN})[0],
                         403)
        self.assertEqual(browser.request("POST", target, {**fields, **self.LOGIN,
                                                          "nonce": "a.b"})[0], 400)
        dev = {**fields, "actor_id": ADA}
        self.assertEqual(browser.request("POST", "/example/sign_in/dev", dev)[0], 404)
        status, headers, _ = browser.request("GET", "/example/sign_in/client_redirect")
        self.assertEqual((status, headers["Location"]),
                         (302, "/example/sign_in/client_auth_error?error=expired"))
        status, _, text = browser.request("GET", "/example/sign_in?as=gui-client&nonce=%22%3E"
                                          "<b>&state=%3Cscript%3E")
        self.assertNotIn("<script>", text)

    def test_chooser_and_errors(self):
        browser = Browser(self.port)
        status, headers, _ = browser.request("GET", "/?as=headless-client")
        self.assertEqual((status, headers["Location"]), (302, "/sign_in?as=headless-client"))
        self.assertIn("Account", browser.request("GET", headers["Location"])[2])
        status, headers, _ = browser.request("GET", "/sign_in?account=EXAMPLE&as=headless-client")
        self.assertEqual(headers["Location"], "/example/sign_in?as=headless-client")
        for path in ("/nobody/sign_in", "/example/other", "/a/b/c/d/e/f"):
            self.assertEqual(browser.request("GET", path)[0], 404)
        self.admin("account", "add", "--slug", "example", "--disable")
        self.assertEqual(browser.request("GET", "/example/sign_in?as=headless-client")[0], 403)

    def test_browser_that_leaves_while_waiting(self):
        browser, target, fields = self.open_form(self.gui_path())
        body = urllib.parse.urlencode({**fields, **self.LOGIN}).encode()
        cookie = "; ".join(f"{k}={v}" for k, v in browser.cookies.items())
        with socket.create_connection(("127.0.0.1", self.port)) as sock:
            sock.sendall(f"POST {target} HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n"
                         f"Content-Type: application/x-www-form-urlencoded\r\n"
                         f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        status, _, _ = browser.request("POST", target, {**fields, **self.LOGIN})
        self.assertEqual(status, 200)


class DeveloperSignIn(SignIn):
    options = [*PortalCase.options, "--dev-sign-in"]

    def test_forged_forms(self):
        browser, target, fields = self.open_form(self.gui_path(), "/dev")
        status, _, _ = browser.request("POST", target, {"actor_id": ADA})
        self.assertEqual(status, 403)
        status, _, text = browser.request("POST", target, {**fields, "actor_id": ADA})
        self.assertEqual(status, 200)
        self.assertIn("fragment=.", self.deep_link(browser, text))

    test_wrong_password_and_too_many = None
    test_browser_that_leaves_while_waiting = None


if __name__ == "__main__":
    unittest.main(verbosity=2)
