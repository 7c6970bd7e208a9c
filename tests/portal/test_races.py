#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What happens between two messages: changes in flight, reconnects, several gateways, restarts."""
import json
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from case import CANDIDATE, WIKI, PortalCase  # noqa: E402


class UnderWay(PortalCase):
    def offered(self):
        client, _, gateway, _ = self.pair()
        self.request(client)
        return client, gateway, gateway.expect("create_authorization")["payload"]

    def test_policy_removed_while_the_gateway_thinks(self):
        client, gateway, offer = self.offered()
        policies = json.loads(self.admin("policy", "list", "--json"))
        self.admin("policy", "remove", next(p["id"] for p in policies
                                            if p["resource"] == "Wiki"))
        gateway.send("gateway", "authorization_created", {"ref": offer["ref"]})
        # The poll and the answer race; neither order may give access.
        events = {client.recv()["event"]: 1, client.recv()["event"]: 1}
        self.assertEqual(set(events), {"resource_deleted", "authorization_creation_failed"})
        seen = [gateway.recv()["event"], gateway.recv()["event"]]
        self.assertEqual(set(seen), {"phx_reply", "reject_access"})

    def test_account_disabled_and_asked_before_the_poll(self):
        client, _, _, _ = self.pair()
        self.admin("account", "add", "--slug", "example", "--disable")
        try:
            self.request(client)
        except OSError:
            pass
        client.wait_end()
        self.assertEqual(self.admin("authorization", "list"), "")

    def test_gateway_reconnects_while_it_is_asked(self):
        client, _, offer = self.offered()
        gateway = self.open("gateway")
        self.assertEqual(len(gateway.join("gateway")["authorizations"]), 1)
        gateway.send("gateway", "authorization_created", {"ref": offer["ref"]})
        self.assertEqual(gateway.expect("phx_reply")["payload"]["status"], "ok")
        # Nothing was said to the client; its next packet asks again, and there is no late failure.
        self.authorize(client, gateway)
        with self.assertRaises(TimeoutError):
            client.recv(timeout=1.3)

    def test_gateway_leaves_while_it_is_asked(self):
        client, gateway, _ = self.offered()
        gateway.send_frame(8, b"\x03\xe8")
        gateway.wait_end()
        self.request(client)
        failed = client.expect("authorization_creation_failed")["payload"]
        self.assertEqual((failed["resource_id"], failed["reason"]), (WIKI, "offline"))

    def test_client_reconnects_while_the_gateway_thinks(self):
        old, gateway, offer = self.offered()
        client = self.open("client")
        client.join("client")
        gateway.send("gateway", "authorization_created", {"ref": offer["ref"]})
        self.assertEqual(gateway.expect("phx_reply")["payload"]["status"], "ok")
        self.assertNotIn("authorization_created", old.wait_end())
        again, _ = self.authorize(client, gateway)
        self.assertEqual(again["client"]["id"], offer["client"]["id"])
        gateway.send("gateway", "broadcast_ice_candidates",
                     {"client_ids": [offer["client"]["id"]], "candidates": [CANDIDATE]})
        client.expect("ice_candidates")

    def test_order_under_load(self):
        gateway = self.open("gateway")
        gateway.join("gateway")
        clients = [self.open("client", external_id=f"c{i}") for i in range(20)]
        for client in clients:
            client.join("client")
        for turn in range(5):
            for client in clients:
                self.request(client)
            replies = 0
            for _ in clients:
                while (message := gateway.recv())["event"] == "phx_reply":
                    replies += 1
                offer = message["payload"]
                gateway.send("gateway", "authorization_created", {"ref": offer["ref"]})
                for i in range(10):
                    gateway.send("gateway", "broadcast_ice_candidates",
                                 {"client_ids": [offer["client"]["id"]],
                                  "candidates": [f"{CANDIDATE} {turn} {i}"]})
            for _ in clients[replies:]:
                gateway.expect("phx_reply")
            for client in clients:
                client.expect("authorization_created")
                for i in range(10):
                    self.assertEqual(client.expect("ice_candidates")["payload"]["candidates"],
                                     [f"{CANDIDATE} {turn} {i}"])


class Sites(PortalCase):
    def second_gateway(self):
        gateway = self.open("gateway", external_id="second")
        return gateway, gateway.join("gateway")

    def test_two_gateways_of_one_site(self):
        client, _, first, _ = self.pair()
        second, init = self.second_gateway()
        self.assertEqual(init["authorizations"], [])
        served = {}
        for _ in range(40):
            client.send("client", "request_authorization",
                        {"resource_id": WIKI, "connected_gateway_ids": list(served)[:1]})
            for gateway in (first, second):
                try:
                    offer = gateway.recv(timeout=0.05)["payload"]
                except TimeoutError:
                    continue
                gateway.send("gateway", "authorization_created", {"ref": offer["ref"]})
                gateway.expect("phx_reply")
                answer = client.expect("authorization_created")["payload"]
                served.setdefault(answer["gateway_id"], gateway)
        self.assertEqual(len(served), 1, "the gateway that is connected already is preferred")
        (other,) = [g for g in (first, second) if g not in served.values()]
        for gateway in served.values():
            gateway.send_frame(8, b"\x03\xe8")
            gateway.wait_end()
        self.authorize(client, other)
        self.stop()
        self.start()
        for name in ("dev-gateway", "second"):
            init = self.open("gateway", external_id=name).join("gateway")
            self.assertEqual(len(init["authorizations"]), 1, name)

    def test_resource_moves_to_another_site(self):
        self.admin("site", "add", "--name", "Branch")
        token = self.admin("token", "create", "--site", "Branch")
        client, _, first, _ = self.pair()
        branch = self.open("gateway", token=token, external_id="branch")
        branch.join("gateway")
        self.authorize(client, first)
        self.admin("resource", "add", "--name", "Wiki", "--type", "dns", "--site", "Branch",
                   "--address", "*.wiki.test", "--filter", "tcp/443")
        self.assertEqual(first.expect("reject_access")["payload"]["resource_id"], WIKI)
        self.assertEqual(client.expect("resource_deleted")["payload"], WIKI)
        moved = client.expect("resource_created_or_updated")["payload"]
        self.assertEqual(moved["gateway_groups"][0]["name"], "Branch")
        _, answer = self.authorize(client, branch)
        self.assertEqual(answer["gateway_group_id"], moved["gateway_groups"][0]["id"])

    def test_site_removed(self):
        client, _, gateway, _ = self.pair()
        self.authorize(client, gateway)
        self.admin("site", "remove", "HQ")
        self.assertEqual(gateway.expect("reject_access")["payload"]["resource_id"], WIKI)
        self.assertEqual(gateway.expect("disconnect")["payload"], {"reason": "token_expired"})
        self.assertIsNone(gateway.recv())
        self.assertEqual(client.expect("resource_deleted")["payload"], WIKI)

    def test_restart_forgets_what_was_revoked_meanwhile(self):
        client, _, gateway, _ = self.pair()
        self.authorize(client, gateway)
        self.stop()
        self.admin("member", "remove", "--group", "Engineering", "--actor", "Robot")
        self.start()
        self.assertEqual(self.open("gateway").join("gateway")["authorizations"], [])
        self.assertEqual(self.open("client").join("client")["resources"], [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
