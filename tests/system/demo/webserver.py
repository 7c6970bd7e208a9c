#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The private web server: one page on IPv4 and IPv6, port 80; /blob/N gives N pseudo-random bytes."""
import hashlib
import http.server
import socket
import sys

PAGE = b"<!doctype html><title>Wiki</title><p>You are inside: this page exists only behind the gateway.</p>\n"


def blob(size):
    """The same bytes for the same size, without holding them."""
    counter = 0
    while size > 0:
        block = hashlib.sha256(counter.to_bytes(8, "big")).digest() * 512
        yield block[:size]
        size -= len(block)
        counter += 1


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path.startswith("/blob/") and self.path[6:].isdigit() and len(self.path) < 18:
            size = int(self.path[6:])
            self.send_response(200)
            self.send_header("Content-Length", str(size))
            self.end_headers()
            for part in blob(size):
                self.wfile.write(part)
            return
        body = PAGE if self.path == "/" else b"nothing here\n"
        self.send_response(200 if self.path == "/" else 404)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "--sha256":
        digest = hashlib.sha256()
        for part in blob(int(sys.argv[2])):
            digest.update(part)
        print(digest.hexdigest())
        return
    Server(("::", int(sys.argv[1]) if len(sys.argv) > 1 else 80), Handler).serve_forever()


if __name__ == "__main__":
    main()
