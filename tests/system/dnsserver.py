#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A name server of the public side for tests: answers A for names given as NAME=ADDRESS, NXDOMAIN
for everything else.

usage: dnsserver.py LISTEN-ADDRESS NAME=ADDRESS...
"""
import ipaddress
import socket
import struct
import sys


def question(data):
    labels, pos = [], 12
    while data[pos]:
        labels.append(data[pos + 1:pos + 1 + data[pos]].decode("ascii", "replace").lower())
        pos += 1 + data[pos]
    return ".".join(labels), struct.unpack("!H", data[pos + 1:pos + 3])[0], data[12:pos + 5]


def answer(data, zone):
    name, qtype, raw = question(data)
    address = zone.get(name)
    records = b""
    if address and qtype == 1:
        records = struct.pack("!HHHIH", 0xC00C, 1, 1, 60, 4) + ipaddress.IPv4Address(address).packed
    flags = 0x8180 if address else 0x8183
    return data[:2] + struct.pack("!HHHHH", flags, 1, 1 if records else 0, 0, 0) + raw + records


def main():
    zone = dict(pair.split("=", 1) for pair in sys.argv[2:])
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((sys.argv[1], 53))
    print("listening", flush=True)
    while True:
        data, peer = sock.recvfrom(2048)
        try:
            sock.sendto(answer(data, zone), peer)
        except (IndexError, struct.error):
            pass


if __name__ == "__main__":
    main()
