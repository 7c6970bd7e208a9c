# SPDX-License-Identifier: Apache-2.0
"""A web socket client of the standard library's parts, just enough to play a peer of the portal."""
import base64
import http.client
import json
import os
import socket
import struct
import urllib.parse


class Refused(Exception):
    """The upgrade was answered with something other than 101."""

    def __init__(self, status, headers, body):
        super().__init__(f"HTTP {status}: {body!r}")
        self.status, self.headers, self.body = status, headers, body

    def problem(self):
        return json.loads(self.body)


def frame(opcode, data, last=True):
    """A frame as clients send it."""
    mask = os.urandom(4)
    n = len(data)
    first = (0x80 if last else 0) | opcode
    if n < 126:
        head = struct.pack("!BB", first, 0x80 | n)
    elif n < 65536:
        head = struct.pack("!BBH", first, 0x80 | 126, n)
    else:
        head = struct.pack("!BBQ", first, 0x80 | 127, n)
    return head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data))


class Socket:
    def __init__(self, port, path, query, token=None, agent="Debian/12 headless-client/1.5.12",
                 receive_buffer=None, headers=None):
        self.sock = socket.socket()
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(10)
        self.sock.connect(("127.0.0.1", port))
        self.buffer = b""
        self.ref = 0
        self.close_code = None
        headers = {
            **(headers or {}),
            "Host": "127.0.0.1",
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            "User-Agent": agent,
        }
        if token is not None:
            headers["X-Authorization"] = f"Bearer {token}"
        lines = [f"GET {path}?{urllib.parse.urlencode(query)} HTTP/1.1"]
        lines += [f"{k}: {v}" for k, v in headers.items()]
        self.sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self._read_answer()

    def _read_answer(self):
        while b"\r\n\r\n" not in self.buffer:
            self._fill()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        lines = head.decode().split("\r\n")
        status = int(lines[0].split()[1])
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}
        if status == 101:
            return
        length = int(headers.get("content-length", "0"))
        while len(self.buffer) < length:
            self._fill()
        body, self.buffer = self.buffer, b""
        self.sock.close()
        raise Refused(status, headers, body)

    def _fill(self):
        data = self.sock.recv(65536)
        if not data:
            raise ConnectionError("closed")
        self.buffer += data

    def _take(self, n):
        while len(self.buffer) < n:
            self._fill()
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data

    def send_frame(self, opcode, data, last=True):
        self.sock.sendall(frame(opcode, data, last))

    def send_text(self, text):
        self.send_frame(1, text.encode())

    def send(self, topic, event, payload):
        ref, self.ref = self.ref, self.ref + 1
        self.send_text(json.dumps({"topic": topic, "event": event, "payload": payload, "ref": ref}))
        return ref

    def recv(self, timeout=10):
        """The next message as an object, or None when the portal closed the socket."""
        self.sock.settimeout(timeout)
        while True:
            first, second = self._take(2)
            n = second & 0x7F
            if n == 126:
                (n,) = struct.unpack("!H", self._take(2))
            elif n == 127:
                (n,) = struct.unpack("!Q", self._take(8))
            data = self._take(n)
            opcode = first & 0x0F
            if opcode == 8:
                self.close_code = struct.unpack("!H", data[:2])[0] if data else None
                self.send_frame(8, data)
                return None
            if opcode == 1:
                return json.loads(data)

    def expect(self, event, timeout=10):
        message = self.recv(timeout)
        assert message is not None and message["event"] == event, f"wanted {event}, got {message}"
        return message

    def join(self, topic):
        ref = self.send(topic, "phx_join", None)
        reply = self.expect("phx_reply")
        assert reply["ref"] == ref and isinstance(reply["ref"], int)
        assert reply["payload"] == {"status": "ok", "response": {}}, reply
        return self.expect("init")["payload"]

    def wait_end(self, timeout=10):
        """Read until the portal is gone; the names of the events seen on the way."""
        events = []
        self.sock.settimeout(timeout)
        try:
            while (message := self.recv(timeout)) is not None:
                events.append(message["event"])
        except (ConnectionError, OSError):
            pass
        return events

    def close(self):
        self.sock.close()


def get(port, method, path, body=None, headers=None):
    """One HTTP exchange: status, headers, text."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, body=body, headers=headers or {})
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, response.headers, text
