#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Straight-line model of one WireGuard handshake (paper section 5.4), written without a look at
engine/wg: standard library hashes, own X25519 (RFC 7748) and ChaCha20-Poly1305 (RFC 8439).
Prints wg-handshake.h. Deterministic; run again after a change and compare."""
import hashlib
import hmac
import struct

P = 2**255 - 19


def x25519(k, u):
    k = bytearray(k)
    k[0] &= 248
    k[31] = k[31] & 127 | 64
    k = int.from_bytes(k, "little")
    x1 = int.from_bytes(u, "little") & (2**255 - 1)
    x2, z2, x3, z3, swap = 1, 0, x1, 1, 0
    for t in reversed(range(255)):
        bit = k >> t & 1
        if swap ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % P, b * b % P, d * a % P, c * b % P
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % P, x1 * (da - cb) ** 2 % P
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


def public(k):
    return x25519(k, bytes([9]) + bytes(31))


def chacha_block(key, counter, nonce):
    s = list(struct.unpack("<16I", b"expand 32-byte k" + key + struct.pack("<I", counter) + nonce))
    w = s[:]

    def quarter(a, b, c, d):
        for x, y, z, r in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            w[x] = w[x] + w[y] & 0xFFFFFFFF
            v = w[z] ^ w[x]
            w[z] = (v << r | v >> 32 - r) & 0xFFFFFFFF

    for _ in range(10):
        for i in range(4):
            quarter(i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return struct.pack("<16I", *((x + y) & 0xFFFFFFFF for x, y in zip(s, w)))


def pad16(b):
    return b + bytes(-len(b) % 16)


def seal(key, counter, plain, ad):
    nonce = bytes(4) + struct.pack("<Q", counter)
    stream = b"".join(chacha_block(key, 1 + i, nonce) for i in range((len(plain) + 63) // 64))
    ct = bytes(a ^ b for a, b in zip(plain, stream))
    otk = chacha_block(key, 0, nonce)
    r = int.from_bytes(otk[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    acc = 0
    data = pad16(ad) + pad16(ct) + struct.pack("<QQ", len(ad), len(ct))
    for i in range(0, len(data), 16):
        acc = (acc + int.from_bytes(data[i:i + 16] + b"\1", "little")) * r % (2**130 - 5)
    tag = (acc + int.from_bytes(otk[16:32], "little")) % 2**128
    return ct + tag.to_bytes(16, "little")


def H(*parts):
    return hashlib.blake2s(b"".join(parts)).digest()


def mac(key, data):
    return hashlib.blake2s(data, key=key, digest_size=16).digest()


def kdf(ck, data, n):
    t0 = hmac.new(ck, data, hashlib.blake2s).digest()
    out, prev = [], b""
    for i in range(n):
        prev = hmac.new(t0, prev + bytes([i + 1]), hashlib.blake2s).digest()
        out.append(prev)
    return out


def main():
    si, sr, ei, er = (hashlib.sha256(x).digest() for x in (b"si", b"sr", b"ei", b"er"))
    psk = hashlib.sha256(b"psk").digest()
    stamp = bytes.fromhex("400000006553f10a") + struct.pack(">I", 123456789)  # 1700000000 s
    sender, responder = 0xABCDEF01, 0x12345601

    c = H(b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s")
    h = H(H(c, b"WireGuard v1 zx2c4 Jason@zx2c4.com"), public(sr))
    # initiation
    (c,) = kdf(c, public(ei), 1)
    h = H(h, public(ei))
    c, k = kdf(c, x25519(ei, public(sr)), 2)
    enc_static = seal(k, 0, public(si), h)
    h = H(h, enc_static)
    c, k = kdf(c, x25519(si, public(sr)), 2)
    enc_stamp = seal(k, 0, stamp, h)
    h = H(h, enc_stamp)
    m1 = struct.pack("<II", 1, sender) + public(ei) + enc_static + enc_stamp
    m1 += mac(H(b"mac1----", public(sr)), m1)
    m1 += bytes(16)
    # response
    (c,) = kdf(c, public(er), 1)
    h = H(h, public(er))
    (c,) = kdf(c, x25519(er, public(ei)), 1)
    (c,) = kdf(c, x25519(er, public(si)), 1)
    c, tau, k = kdf(c, psk, 3)
    h = H(h, tau)
    m2 = struct.pack("<III", 2, responder, sender) + public(er) + seal(k, 0, b"", h)
    m2 += mac(H(b"mac1----", public(si)), m2)
    m2 += bytes(16)
    # transport: the initiator's first two packets
    ti, tr = kdf(c, b"", 2)
    empty = struct.pack("<IIQ", 4, responder, 0) + seal(ti, 0, b"", b"")
    ip = bytes.fromhex("45000018000100004001") + bytes(2) + bytes([10, 0, 0, 1, 10, 0, 0, 2]) + b"ping"
    data = struct.pack("<IIQ", 4, responder, 1) + seal(ti, 1, ip, b"")
    back = struct.pack("<IIQ", 4, sender, 0) + seal(tr, 0, ip, b"")

    print("/* SPDX-License-Identifier: Apache-2.0 */")
    print("/* Made by make-wg-handshake.py. */")
    print("#pragma once\n")
    for name, value in (("static_i", si), ("static_r", sr), ("ephemeral_i", ei),
                        ("ephemeral_r", er), ("psk", psk), ("initiation", m1), ("response", m2),
                        ("keepalive", empty), ("inner", ip), ("data_i", data), ("data_r", back)):
        text = value.hex()
        lines = [f'    "{text[i:i + 80]}"' for i in range(0, len(text), 80)]
        print(f"static const char wg_{name}[] =\n" + "\n".join(lines) + ";")


main()
