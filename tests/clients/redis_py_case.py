"""The base of the redis-py suites: a client and an empty store for each test."""

import unittest

import redis

import server as fixture


class Case(unittest.TestCase):
    def setUp(self):
        self.r = self.connect()
        self.r.flushall()

    def connect(self, **options):
        options.setdefault("decode_responses", True)
        client = redis.Redis(fixture.server.host, fixture.server.port, socket_timeout=30, **options)
        self.addCleanup(client.close)
        return client

    def say(self, *words):
        """Sends a command on a connection of its own; gives the reply as it came."""
        if not hasattr(self, "raw"):
            self.raw = self.r.connection_pool.get_connection("raw")
            self.addCleanup(self.raw.disconnect)
        self.raw.send_command(*words)
        return self.raw.read_response()

    def assert_error(self, text, *words):
        """The command is refused with exactly this text (without its code "ERR")."""
        with self.assertRaises(redis.ResponseError) as raised:
            self.say(*words)
        self.assertEqual(str(raised.exception), text)
        self.assertEqual(self.say("PING"), "PONG")  # the connection stays usable
