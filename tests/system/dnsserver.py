#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A name server of the public side for tests: answers A for names given as NAME=ADDRESS, NXDOMAIN
for everything else. Over UDP and TCP; over TCP an answer has the address 200 times.

usage: dnsserver.py LISTEN-ADDRESS NAME=ADDRESS...
"""
import ipaddress
import socket
import struct
import sys
import threading


def question(data):
    labels, pos = [], 12
    while data[pos]:
        labels.append(data[pos + 1:pos + 1 + data[pos]].decode("ascii", "replace").lower())
        pos += 1 + data[pos]
    return ".".join(labels), struct.unpack("!H", data[pos + 1:pos + 3])[0], data[12:pos + 5]


def answer(data, zone, copies=1):
    name, qtype, raw = question(data)
    address = zone.get(name)
    records, count = b"", 0
    if address and qtype == 1:
        records = struct.pack("!HHHIH", 0xC00C, 1, 1, 60, 4) + ipaddress.IPv4Address(address).packed
        records, count = records * copies, copies
    flags = 0x8180 if address else 0x8183
    return data[:2] + struct.pack("!HHHHH", flags, 1, count, 0, 0) + raw + records


def serve_tcp(listener, zone):
    while True:
        stream, _ = listener.accept()
        with stream:
            stream.settimeout(2)
            try:
                data = stream.recv(2048)
                while len(data) < 2 or len(data) < 2 + struct.unpack("!H", data[:2])[0]:
                    more = stream.recv(2048)
                    if not more:
                        break
                    data += more
                reply = answer(data[2:], zone, 200)
                stream.sendall(struct.pack("!H", len(reply)) + reply)
            except (OSError, IndexError, struct.error):
                pass


def main():
    zone = dict(pair.split("=", 1) for pair in sys.argv[2:])
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((sys.argv[1], 53))
    listener = socket.create_server((sys.argv[1], 53))
    threading.Thread(target=serve_tcp, args=(listener, zone), daemon=True).start()
    print("listening", flush=True)
    while True:
        data, peer = sock.recvfrom(2048)
        try:
            sock.sendto(answer(data, zone), peer)
        except (IndexError, struct.error):
            pass


if __name__ == "__main__":
    main()
