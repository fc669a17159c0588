"""The Redis protocol on a plain socket: replies with their types, and what no good client sends."""

import socket


class Simple(str):
    pass


class Error(str):
    pass


class Verbatim(str):
    pass


class Set(list):
    pass


class Push(list):
    pass


class Closed(Exception):
    pass


class Wire:
    def __init__(self, host, port=None):
        """host without port: the path of a Unix socket."""
        if port is None:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(30)
            self.socket.connect(host)
        else:
            self.socket = socket.create_connection((host, port), timeout=30)
        self.file = self.socket.makefile("rb")

    def close(self):
        self.file.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def say(self, *words):
        """Sends a command, gives its reply."""
        self.send(request(*words))
        return self.read()

    def read(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise Closed()
        kind, rest = line[:1], line[1:-2].decode()
        if kind == b"+":
            return Simple(rest)
        if kind == b"-":
            return Error(rest)
        if kind == b":":
            return int(rest)
        if kind == b",":
            return float(rest)
        if kind == b"#":
            return {"t": True, "f": False}[rest]
        if kind == b"_" or rest == "-1":
            assert kind == b"_" or kind in b"$*"
            return None
        if kind in b"$=":
            data = self.file.read(int(rest) + 2)
            assert data.endswith(b"\r\n")
            data = data[:-2]
            return data if kind == b"$" else Verbatim(data[4:].decode())
        items = [self.read() for _ in range(int(rest) * (2 if kind == b"%" else 1))]
        if kind == b"%":
            return dict(zip(items[::2], items[1::2]))
        if kind == b"~":
            return Set(items)
        if kind == b">":
            return Push(items)
        assert kind == b"*", line
        return items

    def is_closed(self):
        """Whether the server has closed the connection; waits for that."""
        return self.file.read(1) == b""


def request(*words):
    words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)
