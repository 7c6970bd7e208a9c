#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write the first inputs of the targets whose input is not a packet of some protocol.

Usage: make-corpus.py CORPUS-FOLDER; existing files of the same name are replaced. Inputs that once
made a target fail have other names and stay.
"""

import json
import struct
import sys
from pathlib import Path

R1 = '5f0c0000-0000-4000-8000-000000000001'
R2 = '5f0c0000-0000-4000-8000-000000000002'
SITE = '77aa0000-0000-4000-8000-000000000001'
PEER = '22222222-2222-4222-8222-222222222222'
KEY = 'AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI='
CANDIDATE = 'candidate:1 1 UDP 2130706431 192.0.2.1 52625 typ host'
CREDS = {'username': 'eokn', 'password': '5enp7ct6775ebzonvunxjy'}
RELAY = {'type': 'turn', 'id': R1, 'addr': '203.0.113.7:3478', 'username': '1900000000:xXz',
         'password': 'lHvy', 'expires_at': 1900000000}
RELAY6 = RELAY | {'addr': '[2001:db8::7]:3478'}
PRESENCE = {'disconnected_ids': [R2], 'connected': [RELAY, RELAY6]}
SITES = [{'id': SITE, 'name': 'HQ'}]
RULES = [{'protocol': 'tcp', 'port_range_start': 1, 'port_range_end': 443}, {'protocol': 'icmp'}]
DNS = {'id': R1, 'type': 'dns', 'name': 'wiki', 'address': '**.wiki.example',
       'address_description': None, 'ip_stack': 'ipv4_only', 'filters': RULES}
CIDR = {'id': R2, 'type': 'cidr', 'name': 'net', 'address': '10.0.0.0/8', 'filters': []}
INTERNET = {'id': R2, 'type': 'internet', 'name': 'all'}
ADDRESSES = {'ipv4': '100.70.1.9', 'ipv6': 'fd00:2021:1111::1:9'}
INTERFACE = ADDRESSES | {
    'upstream_do53': [{'ip': '9.9.9.9'}], 'upstream_doh': [{'url': 'https://dns.example/q'}],
    'upstream_dns': [{'protocol': 'ip_port', 'address': '9.9.9.9:53'}],
    'search_domain': 'corp.example'}


def with_sites(resource):
    return resource | {'sites': SITES}


def grant():
    return {'client_ice_credentials': CREDS, 'gateway_ice_credentials': CREDS}


def candidates(key):
    return {key: PEER, 'candidates': [CANDIDATE, 'candidate:nonsense']}


def portal_client():
    granted = grant() | {
        'resource_id': R1, 'gateway_id': PEER, 'site_id': SITE, 'gateway_public_key': KEY,
        'gateway_ipv4': '100.64.0.1', 'gateway_ipv6': 'fd00:2021:1111::1', 'preshared_key': KEY}
    return {
        'init': {'interface': INTERFACE, 'relays': [RELAY, RELAY6],
                 'resources': [with_sites(r) for r in (DNS, CIDR, INTERNET)]},
        'config_changed': {'interface': INTERFACE},
        'resource_created_or_updated': with_sites(CIDR),
        'resource_deleted': R1,
        'relays_presence': PRESENCE,
        'authorization_created': granted,
        'authorization_creation_failed': {'resource_id': R1, 'reason': 'offline'},
        'ice_candidates': candidates('gateway_id'),
        'invalidate_ice_candidates': candidates('gateway_id'),
    }


def portal_gateway():
    client = ADDRESSES | {'id': PEER, 'public_key': KEY, 'preshared_key': KEY}
    return {
        'init': {'interface': ADDRESSES, 'relays': [RELAY], 'authorizations': [
            {'client_id': PEER, 'resource_id': R1, 'expires_at': 1900000000}]},
        'create_authorization': grant() | {
            'ref': 'k3', 'resource': DNS, 'client': client, 'expires_at': 1900000000},
        'reject_access': {'client_id': PEER, 'resource_id': R1},
        'resource_updated': CIDR,
        'ice_candidates': candidates('client_id'),
        'invalidate_ice_candidates': candidates('client_id'),
        'relays_presence': PRESENCE,
    }


def pushes(messages):
    return {event: (event + '\n' + json.dumps(payload)).encode()
            for event, payload in messages.items()}


def phx_frame():
    def frame(event, ref, **payload):
        return json.dumps({'topic': 'client', 'event': event, 'ref': ref, 'payload': payload})

    def reply(ref, status, **response):
        return frame('phx_reply', ref, status=status, response=response)

    joined = reply(0, 'ok')
    runs = {
        'joined': [joined, '!s', frame('init', None, a=[1, {}]), reply(2, 'ok'), '!t', '!t'],
        'refused': [reply(0, 'error', reason='unmatched topic'), '!o', joined],
        'token': [joined, frame('disconnect', None, reason='token_expired')],
        'closed': [joined, '!s', frame('phx_close', 0), '!o', '!t', '!c', '!o', '!r'],
        'error': [joined, '!s', reply(1, 'error', reason='x'), frame('phx_error', None), '!w'],
        'silent': ['!t', '!o', joined] + ['!t'] * 6,
        'array': ['[null,"1","client","init",{"a":1}]', joined[:20], joined],
    }
    return {name: b'\1' + '\n'.join(lines).encode() for name, lines in runs.items()}


def filters():
    def rules(*list_):
        return bytes([len(list_)]) + b''.join(struct.pack('>BHH', *r) for r in list_)

    protos = b''.join(struct.pack('>BBH', kind, 0, 443) for kind in range(6))
    return {
        'open': rules() + protos,
        'web': rules((0, 80, 80), (0, 443, 443)) + protos,
        'touching': rules((1, 10, 20), (1, 21, 30), (1, 5, 9), (0, 65535, 65535)) + protos,
        'all': rules((0, 0, 65535), (1, 0, 65535), (2, 0, 0)) + protos,
        'inverted': rules((0, 9, 3)) + protos,
    }


def ip4(proto, body):
    return struct.pack('>BBHHHBBH4s4s', 0x45, 0, 20 + len(body), 7, 0x4000, 64, proto, 0,
                       bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])) + body


def ip6(proto, body):
    return struct.pack('>IHBB', 0x60000000, len(body), proto, 64) + bytes(15) + b'\1' \
        + bytes(15) + b'\2' + body


def tun_offload():
    tcp = struct.pack('>HHIIBBHHH', 1000, 443, 1, 1, 0x50, 0x18, 500, 0, 0) + bytes(3000)
    udp = struct.pack('>HHHH', 1000, 443, 3008, 0) + bytes(3000)

    def split(gso, size, packet):
        return b'\1' + struct.pack('=BBHHHH', 1, gso, 0, size, 20, 16) + packet

    def merge(offloads, *packets):
        return bytes([offloads]) + b''.join(struct.pack('>BHBB', *p) for p in packets)

    return {
        'split-tcp4': split(1, 1000, ip4(6, tcp)),
        'split-tcp6': split(4, 1000, ip6(6, tcp)),
        'split-udp4': split(5, 500, ip4(17, udp)),
        'split-udp6': split(5, 500, ip6(17, udp)),
        'split-none': split(0, 0, ip4(6, tcp[:100])),
        'merge-tcp4': merge(0x66, *[(2, 1200, i, 0) for i in range(20)], (2, 100, 9, 1)),
        'merge-tcp6': merge(0x66, *[(3, 1200, i, 4) for i in range(20)], (3, 100, 9, 1)),
        'merge-udp': merge(0x66, *[(i & 1, 700, i, 0) for i in range(40)], (0, 9, 9, 0)),
        'merge-mixed': merge(0x66, *[(i % 5, 700, i, i * 37 & 0x7f) for i in range(60)]),
        'merge-damaged': merge(0x66, (2, 50, 1, 0), (2, 50, 1, 32), (2, 50, 1, 0)),
    }


def engine(portal_types, far, tun, portal_op, settle, more):
    """Operation lists; an operation's number is the first of its kind in the target's step()."""
    udp = bytes([7, 0, 0, 3, 0, 0, 4]) + b'data'  # to 10.0.0.1
    ping = bytes([3, 0, 0, 3, 0, 0])
    query = bytes([1, 0, 0, 9, 1, 0, 7, 0, 0])  # A wiki.example to the first sentinel
    to_proxy = bytes([7, 0, 0, 5, 0, 0, 4]) + b'data'
    assigned = bytes([0, 0, 0, 0, 0, 0, 0, 3, 5, 6, 7, 8, 5, 6, 7, 8])
    inbound = bytes([7, 0, 3, 0, 0, 0, 4]) + b'data'
    status = bytes([0, 0, 0, 0, 0, 0, 0, 1])
    goodbye = bytes(8)
    tuns = b''.join(bytes([tun]) + p for p in (udp, ping, query, to_proxy, inbound))
    fars = b''.join(bytes([far]) + p for p in (udp, inbound, assigned, status, to_proxy))
    portals = b''.join(bytes([portal_op, t]) + bytes([t, 1, 2, 1]) * 3 for t in range(portal_types))
    return {
        'cold': b'\0' + tuns + fars + portals,
        'started': b'\1' + tuns + portals + bytes([settle]) + tuns,
        'connected': b'\3' + tuns + fars + bytes([settle]),
        'connected-portal': b'\3' + fars + portals + bytes([settle]) + fars + tuns,
        'few-packets': b'\7' + tuns * 4 + fars * 4,
        'goodbye': b'\3' + bytes([far]) + goodbye + tuns + fars,
        'internet': b'\x0b' + tuns + fars + portals,
        'more': b'\3' + fars + more + tuns,
    }


def node_ops():
    packet = bytes([7, 0, 0, 3, 0, 0, 4]) + b'data'
    sends = bytes([0, 0]) + packet + bytes([7]) + packet
    return {
        'cold': b'\0' + sends + bytes([2, 1, 0, 50, 1, 2, 0, 12]),
        'connected': b'\3' + sends * 5 + bytes([11, 7, 12]) + sends,
        'close': b'\3' + sends + bytes([10, 5, 0]) + packet + bytes([2, 0, 12]) + sends,
        'reset': b'\3' + sends + bytes([10, 0, 0, 2, 0, 12]) + sends + bytes([9, 2, 1, 0, 1, 1]),
        'addresses': b'\3' + bytes([8, 3, 1, 3, 0, 4, 3, 0, 0, 2, 1, 1, 49, 1, 0, 12, 8, 0, 12]) + sends,
        'few-packets': b'\7' + sends * 30,
    }


def main():
    root = Path(sys.argv[1])
    corpora = {
        'portal-client': pushes(portal_client()),
        'portal-gateway': pushes(portal_gateway()),
        'phx-frame': phx_frame(),
        'filter': filters(),
        'tun-offload': tun_offload(),
        'client-engine': engine(9, 2, 0, 12, 10, bytes([7, 0, 0, 0, 0, 11, 0, 10, 11, 3, 2, 11, 11])),
        'gateway-engine': engine(7, 2, 0, 13, 11, bytes([8, 0, 2, 3, 4, 12, 0, 11, 10, 5, 2])),
        'node-ops': node_ops(),
    }
    for target, inputs in corpora.items():
        folder = root / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in inputs.items():
            (folder / name).write_bytes(data)


if __name__ == '__main__':
    main()
