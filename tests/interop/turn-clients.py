#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sallyport-relay against TURN clients of others, on loopback: coturn's turnutils and aioice.

Usage: turn-clients.py SALLYPORT-RELAY
Exit code 77: cannot run here, reason printed."""
import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

USER, PASSWORD = "interop", "correct horse"
LOWEST, HIGHEST = 51200, 51263
START = time.monotonic()


def say(text):
    print(f"{time.monotonic() - START:6.1f} s  {text}", flush=True)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Relay:
    def __init__(self, program, *options):
        self.health = free_port()
        self.lines = []
        env = dict(os.environ, SALLYPORT_TEST_PASSWORD=PASSWORD, SALLYPORT_LISTEN_PORT="0")
        self.process = subprocess.Popen(
            [program, "--standalone", "--public-ip4", "127.0.0.1", "--public-ip6", "::1",
             "--bind-ip4", "127.0.0.1", "--bind-ip6", "::1", "--test-user", USER, "--rate", "0",
             "--lowest-port", str(LOWEST), "--highest-port", str(HIGHEST),
             "--health-check-addr", f"127.0.0.1:{self.health}", *options],
            stderr=subprocess.PIPE, text=True, env=env)
        for line in self.process.stderr:
            self.lines.append(line)
            match = re.search(r"listening on UDP port (\d+)", line)
            if match:
                self.port = int(match.group(1))
                return
        raise AssertionError("".join(self.lines))

    def get(self, path):
        url = f"http://127.0.0.1:{self.health}{path}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()

    def metric(self, name):
        match = re.search(rf"^{re.escape(name)} (\d+)$", self.get("/metrics")[1], re.M)
        return int(match.group(1)) if match else 0

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(10)
        if status != 0:
            raise AssertionError(f"relay: exit {status}: {self.process.stderr.read()}")

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.process.poll() is None:
            self.process.kill()
            if kind:
                print(self.process.stderr.read())


def run(*argv):
    r = subprocess.run(argv, capture_output=True, text=True, timeout=30)
    return r.returncode, r.stdout + r.stderr


def stun_client(relay):
    for host in ("127.0.0.1", "::1"):
        status, out = run("turnutils_stunclient", "-p", str(relay.port), host)
        if status or "UDP reflexive addr" not in out:
            raise AssertionError(out)


def uclient(relay, host, peer, *options, clients=1, messages=20):
    peer_port = free_port()
    echo = subprocess.Popen(["turnutils_peer", "-L", peer, "-p", str(peer_port)],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        # It exits 0 even when everything is lost, so the report decides.
        _, out = run("turnutils_uclient", "-c", "-m", str(clients), "-n", str(messages), "-l", "170", "-e", peer, "-r",
                     str(peer_port), "-p", str(relay.port), "-u", USER, "-w", PASSWORD,
                     *options, host)
    finally:
        echo.kill()
        echo.wait()
    if "Total lost packets 0 " not in out or f"tot_recv_msgs={messages * clients}" not in out:
        raise AssertionError(out)


async def aioice_round_trip(relay):
    from aioice import turn

    loop = asyncio.get_running_loop()

    class Echo(asyncio.DatagramProtocol):
        def connection_made(self, transport):
            self.transport = transport

        def datagram_received(self, data, addr):
            self.transport.sendto(data[::-1], addr)

    class Client(asyncio.DatagramProtocol):
        def __init__(self):
            self.got = asyncio.Queue()

        def datagram_received(self, data, addr):
            self.got.put_nowait((data, addr))

    echo, _ = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
    transport, client = await turn.create_turn_endpoint(
        Client, server_addr=("127.0.0.1", relay.port), username=USER, password=PASSWORD,
        lifetime=600, transport="udp")
    relayed = transport.get_extra_info("sockname")
    if not LOWEST <= relayed[1] <= HIGHEST:
        raise AssertionError(relayed)
    peer = echo.get_extra_info("sockname")
    for n in range(1, 1200, 100):
        data = bytes(i & 255 for i in range(n))
        transport.sendto(data, peer)
        back, addr = await asyncio.wait_for(client.got.get(), 5)
        if back != data[::-1] or addr != peer:
            raise AssertionError((n, back, addr))
    if relay.metric("relay_active_allocations") != 1:
        raise AssertionError(relay.get("/metrics"))
    transport.close()
    for _ in range(50):
        if relay.metric("relay_active_allocations") == 0:
            break
        await asyncio.sleep(0.1)
    else:
        raise AssertionError("the allocation is still there")
    echo.close()


def health(relay):
    for path, want in (("/healthz", 200), ("/readyz", 200), ("/metrics", 200), ("/other", 404)):
        status, body = relay.get(path)
        if status != want:
            raise AssertionError((path, status, body))


def drain(program):
    """The first SIGTERM waits for the allocation, the second one does not."""
    from aioice import turn

    async def hold(relay):
        transport, _ = await turn.create_turn_endpoint(
            asyncio.DatagramProtocol, server_addr=("127.0.0.1", relay.port), username=USER,
            password=PASSWORD, lifetime=600, transport="udp")
        relay.process.send_signal(signal.SIGTERM)
        for _ in range(50):
            if relay.get("/readyz")[0] == 503:
                break
            await asyncio.sleep(0.1)
        if relay.process.poll() is not None or relay.get("/healthz")[0] != 200:
            raise AssertionError("the relay did not wait")
        return transport

    async def first():
        with Relay(program, "--drain-seconds", "60") as relay:
            transport = await hold(relay)
            transport.close()
            if await asyncio.to_thread(relay.process.wait, 10) != 0:
                raise AssertionError("not a clean end")

    async def second():
        with Relay(program, "--drain-seconds", "60") as relay:
            await hold(relay)
            relay.stop()

    asyncio.run(first())
    asyncio.run(second())


def main():
    for tool in ("turnutils_uclient", "turnutils_peer", "turnutils_stunclient"):
        if not shutil.which(tool):
            print(f"skipped: {tool} is not installed")
            sys.exit(77)
    try:
        import aioice  # noqa: F401
        have_aioice = True
    except ImportError:
        have_aioice = False
    program = os.path.abspath(sys.argv[1])
    with Relay(program) as relay:
        say("health endpoint")
        health(relay)
        say("stunclient, both families")
        stun_client(relay)
        if have_aioice:
            say("aioice: round trips, as Firezone's clients do them")
            asyncio.run(aioice_round_trip(relay))
        relay.stop()
    with Relay(program, "--channel-max", "7fff", "--multi-alloc") as relay:
        say("uclient: IPv4")
        uclient(relay, "127.0.0.1", "127.0.0.1")
        say("uclient: IPv6 allocation")
        uclient(relay, "127.0.0.1", "::1", "-x")
        say("uclient: from IPv6 to IPv4")
        uclient(relay, "::1", "127.0.0.1")
        say("uclient: four clients, dual allocation")
        uclient(relay, "127.0.0.1", "127.0.0.1", "-Z", clients=4)
        say("uclient: from client to client, through the short cut")
        uclient(relay, "127.0.0.1", "127.0.0.1", "-y", clients=2)
        if relay.metric("relay_to_peer_packets") < 100:
            raise AssertionError(relay.get("/metrics"))
        relay.stop()
    if have_aioice:
        say("drain")
        drain(program)
    say("passed")


main()
