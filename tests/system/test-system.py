#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The programs together: TAP, one line per promise. usage: test-system.py BUILD-DIR"""
import os
import signal
import subprocess
import sys
import time

import harness
from harness import Failed, wait

NAME = "wiki.demo.internal"
CONNECT_ALL = """
import errno, socket, sys
for family, kind, proto, _, address in socket.getaddrinfo(*sys.argv[1:], type=socket.SOCK_STREAM):
    with socket.socket(family, kind, proto) as sock:
        sock.settimeout(1)
        try:
            print(sock.connect(address))
        except OSError as error:
            print(errno.errorcode.get(error.errno, error))
"""
# Reads at 4 MB/s; small buffers everywhere, so that a stall of the network is one of the reader.
# (curl's own --limit-rate pauses for seconds after a burst.)
METER = """
import hashlib, subprocess, sys, time
curl = subprocess.Popen(["curl", "-sS", "--fail", "--max-time", "60", *sys.argv[1:]],
                        stdout=subprocess.PIPE)
digest, stall, last = hashlib.sha256(), 0, None
while block := curl.stdout.read(1 << 15):
    now = time.monotonic()
    stall = max(stall, now - (last or now))
    last = now
    digest.update(block)
    time.sleep(0.008)
print(curl.wait(), digest.hexdigest(), stall)
"""
# Another network for the client: eth1, behind a NAT of its own.
SECOND_NETWORK = """
ip netns add $NS-roam && ip -n $NS-roam link set lo up
in_ns roam sysctl -q -w net.ipv6.conf.default.accept_dad=0 net.ipv4.ip_forward=1 \
    net.ipv6.conf.all.forwarding=1
public_port roam out
address roam out 203.0.113.40/24 2001:db8:77::40/64
link roam in client eth1
ip -n $NS-client link set eth1 down
address roam in 192.168.78.1/24 fd77:3::1/64
in_ns roam nft 'table inet edge { chain post { type nat hook postrouting priority srcnat;
    oifname "out" masquerade; }; }'
"""
OFF = "ip -n $NS-client link set {dev} down\n"
ON = """
ip -n $NS-client link set {dev} up
address client {dev} {v4}.2/24 {v6}::2/64 2>/dev/null
ip -n $NS-client route add default via {v4}.1
ip -n $NS-client -6 route add default via {v6}::1
"""
FIRST = {"dev": "eth0", "v4": "192.168.77", "v6": "fd77:1"}
SECOND = {"dev": "eth1", "v4": "192.168.78", "v6": "fd77:3"}
SIZE = 100_000_000
ROAM_SIZE = 20_000_000


class Tests:
    def __init__(self, build):
        self.sys = harness.System(build, f"sps{os.getpid()}")
        self.original_resolv = None

    # Each method is one test, in this order; its first doc line is the TAP description.

    def t01_signs_in_and_connects(self):
        """sign in through the browser, connect, list resources"""
        self.sys.sign_in()
        up = self.sys.cli("up", "--wait=20")
        check(up.returncode == 0, f"up: {up.stdout}{up.stderr}")
        names = [r["name"] for r in self.sys.cli_json("resources")["resources"]]
        check(sorted(names) == ["Office network", "Office network, IPv6", "Wiki"], names)

    def t02_page_by_name(self):
        """curl of a DNS resource over IPv4 and IPv6"""
        for family in ("-4", "-6"):
            out = self.sys.curl(family, f"http://{NAME}/")
            check("You are inside" in out.stdout, f"curl {family}: {out.stderr}")

    def t03_page_by_address(self):
        """curl of a CIDR resource over IPv4 and IPv6"""
        for url in ("http://10.77.0.5/", "http://[fd77:2::5]/"):
            out = self.sys.curl(url)
            check("You are inside" in out.stdout, f"{url}: {out.stderr}")

    def t04_names(self):
        """a resource resolves into the proxy ranges, a public name as before, nothing else leaks"""
        out = self.sys.run("client", "dig", "+short", NAME, "A")
        check(len(out.stdout.split()) == 4 and out.stdout.startswith("100."), out.stdout)
        out = self.sys.run("client", "dig", "+short", NAME, "AAAA")
        check(all(a.startswith("fd00:2021:1111:8000") for a in out.stdout.split()), out.stdout)
        out = self.sys.run("client", "dig", "+short", "public.example", "A")
        check(out.stdout.strip() == "198.51.100.7", f"public name: {out.stdout}")
        out = self.sys.run("client", "dig", "no-such.example", "A")
        check("NXDOMAIN" in out.stdout, out.stdout)
        proxy = self.sys.run("client", "dig", "+short", NAME, "A").stdout.split()[0]
        out = self.sys.run("client", "dig", "+short", "-x", proxy)
        check(out.stdout.strip() == NAME + ".", f"reverse: {out.stdout}")

    def t04_names_over_tcp(self):
        """the same over TCP, with an answer that UDP could not carry"""
        out = self.sys.run("client", "dig", "+tcp", "+short", NAME, "A")
        check(len(out.stdout.split()) == 4 and out.stdout.startswith("100."), out.stdout)
        out = self.sys.run("client", "dig", "+tcp", "+short", "long.example", "A")
        check(out.stdout.split() == ["198.51.100.8"] * 200, f"long answer: {out.stdout[:500]}")
        out = self.sys.run("client", "dig", "+tcp", "+keepopen", "no-such.example", "A", NAME, "AAAA")
        check("NXDOMAIN" in out.stdout and "fd00:2021:1111:8000" in out.stdout, out.stdout)

    def t05_direct_path(self):
        """status shows one connection, direct, with a round-trip time"""
        connection = self.sys.cli_json("connections")["connections"][0]
        check(connection["path"] == "peer-to-peer", connection)
        check(self.sys.cli("status").returncode == 0, "status")

    def t06_download_v4(self):
        """100 MB by name over IPv4 with matching SHA-256"""
        begin = time.monotonic()
        digest = self.sys.sha256(f"http://{NAME}/blob/{SIZE}", "-4")
        say(f"{SIZE / 1e6 / (time.monotonic() - begin):.0f} MB/s")
        check(digest == harness.blob_sha256(SIZE), "other bytes arrived")

    def t07_download_v6(self):
        """100 MB from the CIDR resource over IPv6 with matching SHA-256"""
        digest = self.sys.sha256(f"http://[fd77:2::5]/blob/{SIZE}", "-g")
        check(digest == harness.blob_sha256(SIZE), "other bytes arrived")

    def t08_ping(self):
        """ping by name and by address, both families, without loss"""
        for target in (["-4", NAME], ["-6", NAME], ["10.77.0.5"], ["fd77:2::5"]):
            out = self.sys.run("client", "ping", "-q", "-c", "20", "-i", "0.05", "-W", "5", *target)
            check(" 0% packet loss" in out.stdout, f"{target}: {out.stdout}{out.stderr}")

    def t09_denied_port(self):
        """a denied port fails at once with the ICMP error, both families"""
        for url, text in (("http://10.77.0.5:81/", "No route to host"),
                          ("http://[fd77:2::5]:81/", "Permission denied")):
            begin = time.monotonic()
            out = self.sys.curl("-v", url)
            took = time.monotonic() - begin
            check(out.returncode == 7 and took < 1.5, f"{url}: exit {out.returncode}, {took:.1f} s")
            check(text in out.stderr, f"{url}: {out.stderr}")
        # curl itself waits between the eight addresses of a name, so each is tried on its own.
        out = self.sys.run("client", "python3", "-c", CONNECT_ALL, NAME, "81")
        lines = out.stdout.split()
        check(len(lines) == 8 and set(lines) == {"EHOSTUNREACH", "EACCES"}, out.stdout + out.stderr)

    def t10_gateway_address(self):
        """the gateway's own tunnel address answers without being a resource"""
        address = [line.split()[1].split("/")[0]
                   for line in self.sys.run("gw", "ip", "addr", "show", "tun-sallyport").stdout.split("\n")
                   if " inet " in line][0]
        out = self.sys.run("client", "ping", "-c", "1", "-W", "3", address)
        check(" 0% packet loss" in out.stdout, out.stdout)

    def t10_roam(self):
        """a download by name survives that the client moves to another network, and back"""
        self.sys.shell(SECOND_NETWORK)
        self.sys.run("client", "sysctl", "-q", "-w", "net.ipv4.tcp_rmem=4096 65536 131072")
        try:
            self.roam("to another network", OFF.format(**FIRST) + ON.format(**SECOND))
            self.roam("back, after 2 s without any", OFF.format(**SECOND) + "sleep 2\n"
                      + ON.format(**FIRST))
        finally:
            self.sys.run("client", "sysctl", "-q", "-w", "net.ipv4.tcp_rmem=4096 131072 6291456")
            self.sys.shell(OFF.format(**SECOND) + ON.format(**FIRST)
                           + "ip netns del $NS-roam", must=False)

    def t11_gateway_restart(self):
        """gateway ended and started again: access comes back by itself"""
        check(self.sys.stop("gateway") == 0, "the gateway did not end cleanly")
        self.check_gateway_is_clean()
        self.sys.start_gateway()
        say(f"after SIGTERM: {self.recovery():.1f} s")

    def t12_gateway_killed(self):
        """gateway killed and started again: access comes back by itself"""
        self.sys.stop("gateway", signal.SIGKILL)
        self.sys.start_gateway()
        say(f"after SIGKILL: {self.recovery():.1f} s")

    def t13_portal_away(self):
        """portal killed: traffic goes on; started again: both sides come back with access kept"""
        self.sys.stop("portal", signal.SIGKILL)
        for _ in range(5):
            out = self.sys.curl(f"http://{NAME}/", timeout=5)
            check("You are inside" in out.stdout, f"without portal: {out.stderr}")
        wait("the client notices", 45, lambda: not self.portal_connected())
        check("You are inside" in self.sys.curl(f"http://{NAME}/", timeout=5).stdout, "page")
        begin = time.monotonic()
        self.sys.start_portal()
        wait("the client is back", 60, self.portal_connected)
        say(f"client back after {time.monotonic() - begin:.1f} s")
        wait("the gateway is back", 60,
             lambda: self.sys.log("gateway").count("connected to the portal") >= 2)
        out = self.sys.curl("http://10.77.0.5/", timeout=10)
        check("You are inside" in out.stdout, f"after: {out.stderr}")

    def t14_killed_service(self):
        """tunnel service killed: the next start restores resolv.conf and the rules"""
        resolv = f"/etc/netns/{self.sys.prefix}-client/resolv.conf"
        check("Sallyport" in open(resolv).read(), "DNS was not taken over")
        self.sys.stop("tunneld", signal.SIGKILL)
        check("Sallyport" in open(resolv).read(), "the kill came too late to test anything")
        self.sys.start_tunneld()
        check(open(resolv).read() == self.original_resolv, open(resolv).read())
        check("0x5a110001" not in self.sys.run("client", "ip", "rule").stdout, "rules are left")

    def t15_up_again_and_down(self):
        """connect again, then disconnect: nothing is left"""
        up = self.sys.cli("up", "--wait=20")
        check(up.returncode == 0, f"up: {up.stdout}{up.stderr}")
        check("You are inside" in self.sys.curl(f"http://{NAME}/").stdout, "page")
        down = self.sys.cli("down")
        check(down.returncode == 0, f"down: {down.stderr}")
        resolv = open(f"/etc/netns/{self.sys.prefix}-client/resolv.conf").read()
        check(resolv == self.original_resolv, resolv)
        check("0x5a110001" not in self.sys.run("client", "ip", "rule").stdout, "rules are left")
        check("0x5a110001" not in self.sys.run("client", "ip", "-6", "rule").stdout, "v6 rules")
        check("tun-sallyport" not in self.sys.run("client", "ip", "link").stdout, "interface left")

    def t16_revoked(self):
        """a policy removed on the portal takes the resource away"""
        self.sys.cli("up", "--wait=20")
        check("You are inside" in self.sys.curl("http://10.77.0.5/").stdout, "page before")
        policy = [line.split("\t")[0] for line in self.sys.portal_admin("policy", "list").split("\n")
                  if "\tOffice network\t" in line][0]
        self.sys.portal_admin("policy", "remove", policy)
        wait("the resource is gone", 15, lambda: "Office network" not in
             [r["name"] for r in self.sys.cli_json("resources")["resources"]])
        out = self.sys.curl("http://10.77.0.5/", timeout=3)
        check("You are inside" not in out.stdout, "still reachable")
        check("You are inside" in self.sys.curl(f"http://{NAME}/").stdout, "the other one works")

    def t17_sign_out(self):
        """sign out: the token is gone, up says what to do"""
        check(self.sys.cli("sign-out").returncode == 0, "sign-out")
        out = self.sys.cli("up")
        check(out.returncode == 3 and "sign-in" in out.stderr, f"{out.returncode}: {out.stderr}")

    def t18_bad_token(self):
        """a token the portal does not know: clear message, nothing retried for ever"""
        token = self.sys.dir / "bad.token"
        token.write_text("no.such.token\n")
        os.chmod(token, 0o600)
        out = self.sys.run("client", self.sys.build / "app/tunneld/sallyport-tunneld", "--no-bus",
                           "--connect", "--api-url", f"ws://{harness.PORTAL}", "--token-file", token,
                           "--interface", "tun-bad", "--device-id", "bad",
                           timeout=40)
        check(out.returncode == 1 and "sign" in out.stderr.lower(), f"{out.returncode} {out.stderr}")
        out = self.sys.run("web", self.sys.build / "app/gateway/sallyport-gateway", "--api-url",
                           f"ws://{harness.PORTAL}", "--token-file", "/nonexistent")
        check(out.returncode == 1 and "/nonexistent" in out.stderr, out.stderr)

    def t19_clean_end(self):
        """every program ends cleanly and leaves no trace"""
        for name in ("tunneld", "gateway", "portal"):
            status = self.sys.stop(name)
            check(status == 0, f"{name}: exit {status}\n{self.sys.log(name)[-1500:]}")
        self.check_gateway_is_clean()
        resolv = open(f"/etc/netns/{self.sys.prefix}-client/resolv.conf").read()
        check(resolv == self.original_resolv, resolv)

    def t20_quiet_logs(self):
        """no warning of a sanitizer, no assertion, no secret in any log"""
        token = (self.sys.dir / "gateway.token").read_text().strip()
        for name in ("tunneld", "gateway", "portal", "bus"):
            text = self.sys.log(name)
            for bad in ("AddressSanitizer", "runtime error", "assertion", "LeakSanitizer", token):
                check(bad not in text, f"{name}: {bad}")

    # ---- helpers -------------------------------------------------------------------------------

    def roam(self, what, script):
        before = self.resets()
        process = subprocess.Popen(
            self.sys.command("client", "python3", "-c", METER, "-4",
                             f"http://{NAME}/blob/{ROAM_SIZE}"),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(1)
        check(process.poll() is None, "the download is over already")
        self.sys.shell(script)
        out, errors = process.communicate(timeout=100)
        status, digest, stall = out.split() or ("no answer", "", 0)
        say(f"{what}: longest stall {float(stall):.1f} s, {self.resets() - before} resets")
        check(status == "0" and digest == harness.blob_sha256(ROAM_SIZE), f"{out}{errors}")
        check(float(stall) > 0.3, "the download was not cut: nothing was tested")
        check(self.resets() == before + 1, f"{self.resets() - before} resets")

    def resets(self):
        return self.sys.log("tunneld").count("reset: network")

    def portal_connected(self):
        return self.sys.cli_json("status")["portal"]["connected"]

    def recovery(self):
        begin = time.monotonic()
        wait("the page comes back", 60,
             lambda: "You are inside" in self.sys.curl(f"http://{NAME}/", timeout=2).stdout)
        return time.monotonic() - begin

    def check_gateway_is_clean(self):
        check("sallyport" not in self.sys.run("gw", "nft", "list", "ruleset").stdout, "nft table")
        check("0x5a110001" not in self.sys.run("gw", "ip", "rule").stdout, "gateway rules")
        check("tun-sallyport" not in self.sys.run("gw", "ip", "link").stdout, "gateway interface")

    def prepare(self):
        s = self.sys
        s.topology("up")
        self.original_resolv = open(f"/etc/netns/{s.prefix}-client/resolv.conf").read()
        (s.dir / "seed.json").write_text((harness.HERE / "demo/seed.json").read_text())
        s.portal_admin("seed", "seed.json")
        s.start("dns", "pub", "python3", harness.HERE / "dnsserver.py", "203.0.113.10",
                "public.example=198.51.100.7", "long.example=198.51.100.8")
        s.start_portal()
        s.start("web", "web", "python3", harness.HERE / "demo/webserver.py", "80")
        s.start_gateway()
        wait("the gateway has its address", 20, s.gateway_is_up)
        s.start_bus()
        s.start_tunneld()


def check(condition, detail):
    if not condition:
        raise Failed(str(detail))


def say(text):
    print(f"# {text}", flush=True)


def main():
    if os.geteuid() != 0:
        print("1..0 # SKIP needs root for network namespaces")
        return 0
    tests = Tests(sys.argv[1])
    methods = [m for m in sorted(dir(tests)) if m.startswith("t") and m[1:3].isdigit()]
    only = sys.argv[2:]
    print(f"1..{len(methods)}", flush=True)
    failures = 0
    try:
        tests.prepare()
        for number, method in enumerate(methods, 1):
            label = getattr(tests, method).__doc__.splitlines()[0]
            if only and not any(method.startswith(o) for o in only):
                print(f"ok {number} - {label} # SKIP not asked for", flush=True)
                continue
            begin = time.monotonic()
            try:
                getattr(tests, method)()
                print(f"ok {number} - {label}", flush=True)
            except Exception as problem:  # every test reports, the rest still runs
                failures += 1
                for line in f"{type(problem).__name__}: {problem}".splitlines():
                    print(f"# {line}")
                print(f"not ok {number} - {label}", flush=True)
            say(f"{time.monotonic() - begin:.1f} s")
        if failures:
            for name in ("tunneld", "gateway", "portal"):
                for line in tests.sys.log(name).splitlines()[-60:]:
                    print(f"# {name}: {line}")
    except Exception as problem:
        print(f"Bail out! {problem}")
        for name in ("portal", "gateway", "bus", "tunneld"):
            for line in tests.sys.log(name).splitlines()[-20:]:
                print(f"# {name}: {line}")
        failures += 1
    finally:
        tests.sys.close()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
