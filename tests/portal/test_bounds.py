#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a stranger, or a peer with a token, can make grow in the portal, and where it ends."""
import json
import os
import socket
import sqlite3
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import ws  # noqa: E402
from case import (CANDIDATE, CLIENT_AGENT, CLIENT_KEY, WIKI, Browser, PortalCase)  # noqa: E402

HEARTBEAT = json.dumps({"topic": "phoenix", "event": "heartbeat", "payload": {},
                        "ref": 7}).encode()


class BoundsCase(PortalCase):
    def flood(self, sock, data, seconds=10):
        """Send without reading until the portal has had enough; returns the bytes it took."""
        sent, deadline = 0, time.monotonic() + seconds
        sock.sock.settimeout(seconds)
        try:
            while time.monotonic() < deadline:
                sock.sock.sendall(data)
                sent += len(data)
        except (ConnectionError, OSError) as error:
            self.assertNotIsInstance(error, TimeoutError, "the portal stopped reading")
            return sent
        raise AssertionError(f"the portal took {sent} bytes")


class SlowReaders(BoundsCase):
    options = [*PortalCase.options, "--message-rate", "0", "--outgoing-max", "100000"]

    def deaf_client(self):
        sock = ws.Socket(self.port, "/client/v2/websocket",
                         {"external_id": "deaf", "public_key": CLIENT_KEY}, self.client_token,
                         CLIENT_AGENT, receive_buffer=4096)
        self.addCleanup(sock.close)
        sock.join("client")
        return sock

    def test_heartbeats_without_reading(self):
        files, memory = self.open_files(), self.memory_kib()
        self.flood(self.deaf_client(), ws.frame(1, HEARTBEAT) * 500)
        self.eventually(lambda: self.open_files() == files, "the socket stays open")
        self.assertLess(self.memory_kib() - memory, 20000)
        self.open("client").join("client")

    def test_pings_without_reading(self):
        files, memory = self.open_files(), self.memory_kib()
        self.flood(self.deaf_client(), ws.frame(9, b"x") * 5000)
        self.eventually(lambda: self.open_files() == files, "the socket stays open")
        self.assertLess(self.memory_kib() - memory, 20000)

    def test_a_reader_may_talk_as_much_as_it_likes(self):
        client = self.open("client")
        client.join("client")
        for _ in range(40):
            client.sock.sendall(ws.frame(1, HEARTBEAT) * 100 + ws.frame(9, b"x") * 100)
            for _ in range(100):
                client.expect("phx_reply")

    def test_candidates_for_a_deaf_client(self):
        gateway = self.open("gateway")
        gateway.join("gateway")
        client = self.deaf_client()
        offer, _ = self.authorize(client, gateway)
        payload = {"client_ids": [offer["client"]["id"]], "candidates": [CANDIDATE] * 100}
        files = self.open_files()
        for _ in range(200):
            gateway.send("gateway", "broadcast_ice_candidates", payload)
        self.eventually(lambda: self.open_files() == files - 1, "the deaf client stays")
        gateway.send("phoenix", "heartbeat", {})
        gateway.expect("phx_reply")


class LongMessages(BoundsCase):
    def test_fragments_without_end(self):
        client = self.open("client")
        client.join("client")
        memory = self.memory_kib()
        client.send_frame(1, b"[", last=False)
        sent = self.flood(client, ws.frame(0, b" " * 60000, last=False))
        self.assertLess(sent, 16 << 20)
        self.assertLess(self.memory_kib() - memory, 8000)

    def test_frame_too_long(self):
        client = self.open("client")
        client.join("client")
        client.send_frame(1, b" " * (129 << 10))
        client.wait_end()
        self.assertIn(client.close_code, (1009, None))

    def test_half_a_surrogate_pair(self):
        client, _, gateway, _ = self.pair()
        offer, _ = self.authorize(client, gateway)
        for text in (r"\ud800", r"\udc00", r"\ud800x", r"\ud800A", r"\ud8", r"\u0000"):
            gateway.send_text('{"topic":"gateway","event":"broadcast_ice_candidates","ref":1,'
                              '"payload":{"client_ids":["%s"],"candidates":["%s"]}}'
                              % (offer["client"]["id"], text))
        gateway.send("gateway", "broadcast_ice_candidates",
                     {"client_ids": [offer["client"]["id"]] * 3,
                      "candidates": ["\U0001f600", "x" * 513]})
        self.assertEqual(client.expect("ice_candidates")["payload"]["candidates"],
                         ["\U0001f600"])
        client.send("phoenix", "heartbeat", {})
        client.expect("phx_reply")

    def test_body_too_long(self):
        memory = self.memory_kib()
        for path in ("/example/sign_in", "/readyz", "/client/v2/websocket"):
            with socket.create_connection(("127.0.0.1", self.port), timeout=10) as sock:
                sock.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\n"
                             "Transfer-Encoding: chunked\r\n\r\n".encode())
                try:
                    for _ in range(300):
                        sock.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")
                except OSError:
                    pass
        self.assertLess(self.memory_kib() - memory, 8000)
        self.assertEqual(ws.get(self.port, "GET", "/readyz")[0], 200)


class Rates(BoundsCase):
    options = [*PortalCase.options, "--message-rate", "5"]

    def test_too_many_messages(self):
        client = self.open("client")
        client.join("client")
        for _ in range(120):
            client.send("phoenix", "heartbeat", {})
        events = client.wait_end()
        self.assertEqual(events[-1], "phx_close")
        self.assertLess(len(events), 110)


class Timers(PortalCase):
    options = [*PortalCase.options, "--idle-ms", "600", "--join-ms", "300", "--tick-ms", "100"]

    def test_silence(self):
        client, files = self.open("client"), self.open_files()
        client.join("client")
        for _ in range(5):
            time.sleep(0.2)
            client.send("phoenix", "heartbeat", {})
            client.expect("phx_reply")
        started = time.monotonic()
        self.assertEqual(client.wait_end(), ["phx_close"])
        self.assertGreater(time.monotonic() - started, 0.4)
        self.eventually(lambda: self.open_files() == files - 1, "the socket stays open")

    def test_silence_of_a_peer_that_is_gone(self):
        files = self.open_files()
        client = self.open("client")
        client.join("client")
        # Neither reads nor answers the closing handshake.
        self.eventually(lambda: self.open_files() == files, "the socket stays open")
        client.close()

    def test_never_joins(self):
        client = self.open("client")
        for _ in range(4):
            time.sleep(0.1)
            try:
                client.send("phoenix", "heartbeat", {})
            except OSError:
                break
        client.wait_end()

    def test_token_runs_out(self):
        seed = os.path.join(self.dir, "more.json")
        with open(seed, "w", encoding="utf-8") as f:
            json.dump({"account": {"slug": "example"},
                       "tokens": [{"name": "brief", "actor": "Robot", "expires_in": 2}]}, f)
        token = self.admin("seed", seed).split()[-1]
        gateway = self.open("gateway")
        gateway.join("gateway")
        client = self.open("client", token=token, external_id="brief")
        client.join("client")
        self.authorize(client, gateway)
        deadline = time.monotonic() + 8
        while True:
            self.assertLess(time.monotonic(), deadline)
            for peer in (client, gateway):
                peer.send("phoenix", "heartbeat", {})
                last = peer.recv()
                if last["event"] != "phx_reply":
                    break
            if last["event"] != "phx_reply":
                break
            time.sleep(0.2)
        self.assertEqual(last["payload"], {"reason": "token_expired"})
        client.wait_end()
        with self.assertRaises(ws.Refused) as caught:
            self.open("client", token=token)
        self.assertEqual(caught.exception.problem()["code"], "invalid_token")
        self.eventually(lambda: self.admin("authorization", "list") == "", "it stays")


class Leaving(PortalCase):
    def test_token_removed_while_nobody_looks(self):
        client, _, gateway, _ = self.pair()
        for peer, room in ((client, "client"), (gateway, "gateway")):
            peer.send(room, "phx_leave", {})
            peer.expect("phx_reply")
        self.admin("token", "remove", "robot")
        self.admin("token", "remove", "gw")
        client.wait_end()
        gateway.wait_end()

    def test_token_removed_before_the_join(self):
        client = self.open("client")
        with sqlite3.connect(self.database) as db:
            db.execute("PRAGMA foreign_keys = ON")
            db.execute("DELETE FROM tokens WHERE name = 'robot'")
        try:
            client.send("client", "phx_join", None)
        except OSError:
            pass
        self.assertNotIn("init", client.wait_end())


class Seats(PortalCase):
    options = [*PortalCase.options, "--max-per-address", "6", "--max-per-token", "3",
               "--max-connections", "8", "--request-ms", "400"]

    def test_sockets_of_one_token(self):
        held = [self.open("client", external_id=f"d{i}") for i in range(3)]
        with self.assertRaises(ws.Refused) as caught:
            self.open("client", external_id="d3")
        self.assertEqual(caught.exception.problem()["code"], "rate_limit")
        self.open("gateway").join("gateway")
        held[0].close()

        def again():
            try:
                self.open("client", external_id="d3").join("client")
            except (ws.Refused, ConnectionError):
                return False
            return True
        self.eventually(again, "the seat of a closed socket is not free")

    def test_connections_of_one_address(self):
        held = [socket.create_connection(("127.0.0.1", self.port)) for _ in range(6)]
        time.sleep(0.1)
        with socket.create_connection(("127.0.0.1", self.port), timeout=2) as more:
            self.assertEqual(more.recv(1), b"")
        held[0].sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
        held[1].sendall(b"GET /rea")
        held[2].sendall(b"POST /readyz HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nx")
        for i, sock in enumerate(held):
            sock.settimeout(5)
            answer = b""
            while more := sock.recv(4096):
                answer += more
            self.assertEqual(b"200 OK" in answer, i == 0, answer)
            sock.close()
        self.assertEqual(ws.get(self.port, "GET", "/readyz")[0], 200)

    def test_connections_that_end_are_forgotten(self):
        files = self.open_files()
        for i in range(30):
            sock = socket.create_connection(("127.0.0.1", self.port), timeout=5)
            if i % 3 > 0:
                sock.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
                self.assertIn(b"200 OK", sock.recv(200))
            sock.close()
            self.eventually(lambda: self.open_files() == files, "the socket stays open")

    def test_a_web_socket_outlives_the_request_timeout(self):
        client = self.open("client")
        client.join("client")
        time.sleep(0.8)
        client.send("phoenix", "heartbeat", {})
        client.expect("phx_reply")


class Devices(PortalCase):
    def test_devices_of_one_actor(self):
        self.open("client").join("client")
        with sqlite3.connect(self.database) as db:
            db.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE"
                       " i < 999) INSERT INTO devices (id, account_id, type, actor_id,"
                       " external_id, name, ipv4, ipv6, psk_base, public_key)"
                       " SELECT 'x' || i, account_id, type, actor_id, 'x' || i, name, 'x' || i,"
                       " 'x' || i, psk_base, public_key FROM devices, n")
        with self.assertRaises(ws.Refused) as caught:
            self.open("client", external_id="one too many")
        self.assertEqual((caught.exception.status, caught.exception.problem()["code"]),
                         (402, "limits_exceeded"))
        self.open("client").join("client")

    def test_asking_again_and_again_keeps_one_row(self):
        client, _, gateway, _ = self.pair()
        for _ in range(5):
            offer, _ = self.authorize(client, gateway)
        rows = json.loads(self.admin("authorization", "list", "--json"))
        self.assertEqual(len(rows), 1)
        self.admin("authorization", "remove", rows[0]["id"])
        self.assertEqual(gateway.expect("reject_access")["payload"],
                         {"client_id": offer["client"]["id"], "resource_id": WIKI})


class Proxies(PortalCase):
    options = [*PortalCase.options, "--trusted-proxy", "127.0.0.0/8", "--trusted-proxy",
               "198.51.100.7", "--public-url", "https://portal.example.org"]

    def seen_as(self, forwarded):
        gateway = self.open("gateway")
        gateway.join("gateway")
        client = ws.Socket(self.port, "/client/v2/websocket",
                           {"external_id": "x", "public_key": CLIENT_KEY}, self.client_token,
                           CLIENT_AGENT, headers={"X-Forwarded-For": forwarded})
        self.addCleanup(client.close)
        client.join("client")
        return self.authorize(client, gateway)[0]["subject"]["ip"]

    def test_forwarded_for(self):
        for forwarded, ip in (("203.0.113.9", "203.0.113.9"),
                              ("192.0.2.1, 203.0.113.9", "203.0.113.9"),
                              ("203.0.113.9, 198.51.100.7", "203.0.113.9"),
                              ("192.0.2.1, nonsense, 198.51.100.7", "198.51.100.7"),
                              ("[2001:db8::1]:4711", "2001:db8::1"),
                              ("", "127.0.0.1"),
                              ("127.0.0.3", "127.0.0.3")):
            self.assertEqual(self.seen_as(forwarded), ip, forwarded)

    def test_attempts_are_counted_by_address(self):
        browser = Browser(self.port)
        browser.headers = {"X-Forwarded-For": "2001:db8:0:1::1"}
        _, headers, text = browser.request("GET", "/example/sign_in?as=headless-client")
        for name, line in browser.lines.items():
            self.assertTrue(name.startswith("__Host-") and "; Secure" in line, line)
        for name, value in (("Cache-Control", "no-store"), ("Referrer-Policy", "no-referrer"),
                            ("X-Frame-Options", "DENY"), ("X-Content-Type-Options", "nosniff")):
            self.assertEqual(headers[name], value)
        self.assertIn("frame-ancestors 'none'", headers["Content-Security-Policy"])
        target, fields = browser.form(text, "userpass")

        def post(source, user, password):
            one = Browser(self.port)
            one.cookies = dict(browser.cookies)
            one.headers = {"X-Forwarded-For": source}
            return one.request("POST", target, {**fields, "userpass[idp_id]": user,
                                                "userpass[secret]": password})[0]

        answers = []

        def guess(i):
            answers.append(post(f"2001:db8:0:1::{i}", f"p{i}@x.org", "no"))

        threads = [threading.Thread(target=guess, args=(i,)) for i in range(60)]
        for thread in threads:
            thread.start()
            self.addCleanup(thread.join)
        # Those that are refused answer at once; waiting for the rest would refill the bucket.
        self.eventually(lambda: len(answers) >= 45, "answers do not come", 40)
        # Another address of the same network is the same stranger; another network is not.
        self.assertEqual(post("2001:db8:0:1::ffff", "ada@example.org", "correct horse"), 429)
        for thread in threads:
            thread.join()
        self.assertEqual(post("2001:db8:0:2::1", "ada@example.org", "correct horse"), 200)
        browser.headers = {"Sec-Fetch-Site": "cross-site"}
        self.assertEqual(browser.request("POST", target, {
            **fields, "userpass[idp_id]": "ada@example.org",
            "userpass[secret]": "correct horse"})[0], 403)


class NoProxies(Proxies):
    options = PortalCase.options
    test_attempts_are_counted_by_address = None

    def test_forwarded_for(self):
        self.assertEqual(self.seen_as("203.0.113.9"), "127.0.0.1")


if __name__ == "__main__":
    unittest.main(verbosity=2)
