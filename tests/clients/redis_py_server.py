"""redis-py: the connection, and what operators ask of the server."""

import os
import time
import unittest

import redis

import server as fixture
from redis_py_case import Case
from wire import Wire


class Connection(Case):
    def test_small_talk(self):
        r = self.r
        self.assertTrue(r.ping())
        self.assertEqual(self.say("PING", "hi"), "hi")
        self.assertEqual(r.echo("hello"), "hello")
        self.assertEqual(self.say("SELECT", "0"), "OK")
        self.assert_error("DB index is out of range", "SELECT", "99")
        self.assertTrue(redis.Redis(fixture.server.host, fixture.server.port, db=0).ping())

    def test_unknown_commands(self):
        self.assert_error("unknown command 'FOO', with args beginning with: 'bar' 'baz' ",
                          "FOO", "bar", "baz")
        self.assert_error("unknown subcommand 'MAINT_NOTIFICATIONS'. Try CLIENT HELP.",
                          "CLIENT", "MAINT_NOTIFICATIONS", "on")
        self.assert_error("wrong number of arguments for 'echo' command", "ECHO")

    def test_hello(self):
        hello = self.say("HELLO", "2")
        hello = dict(zip(hello[::2], hello[1::2]))
        self.assertEqual((hello["proto"], hello["mode"], hello["role"]), (2, "standalone", "master"))
        with self.assertRaisesRegex(redis.ResponseError, "NOPROTO"):
            self.say("HELLO", "5")

    def test_quit_and_reset(self):
        one = self.r.connection_pool.get_connection("x")
        one.send_command("CLIENT", "SETNAME", "bob")
        self.assertEqual(one.read_response(), "OK")
        one.send_command("RESET")
        self.assertEqual(one.read_response(), "RESET")
        one.send_command("CLIENT", "GETNAME")
        self.assertIsNone(one.read_response())
        one.send_command("QUIT")
        self.assertEqual(one.read_response(), "OK")
        with self.assertRaises(redis.ConnectionError):
            one.send_command("PING")
            one.read_response()
        one.disconnect()

    def test_client(self):
        r = self.connect(single_connection_client=True)
        number = r.client_id()
        self.assertTrue(r.client_setname("bob"))
        self.assertEqual(r.client_getname(), "bob")
        info = r.client_info()
        self.assertEqual((int(info["id"]), info["name"]), (number, "bob"))
        other = self.connect(single_connection_client=True, client_name="alice")
        names = {client["name"] for client in r.client_list()}
        self.assertTrue({"bob", "alice"} <= names)
        alice = other.client_id()
        self.assertEqual([c["name"] for c in r.client_list(client_id=[str(alice)])], ["alice"])
        self.assertEqual(r.client_kill_filter(_id=alice), 1)
        fixture.wait_until(lambda: len(r.client_list(client_id=[str(alice)])) == 0)
        self.assertEqual(self.say("CLIENT", "NO-EVICT", "on"), "OK")

    def test_client_last_command(self):
        r = self.connect(single_connection_client=True)
        r.set("k", "v")
        self.assertEqual(r.client_info()["cmd"].split("|")[0], "client")


class Operators(Case):
    def test_info(self):
        r = self.r
        info = r.info()
        for name in ("redis_version", "uptime_in_seconds", "connected_clients", "used_memory",
                     "total_commands_processed", "role", "used_cpu_user", "cluster_enabled"):
            self.assertIn(name, info)
        self.assertEqual(info["loading"], 0)
        r.mset({"a": "1", "b": "2"})
        self.assertEqual(r.info("keyspace")["db0"]["keys"], 2)
        self.assertEqual(set(r.info("cluster")), {"cluster_enabled"})
        self.assertIn("redis_version", r.info("all"))

    def test_command(self):
        r = self.r
        commands = r.command()
        self.assertEqual(len(commands), r.command_count())
        self.assertEqual(commands["get"]["arity"], 2)
        self.assertEqual(commands["mset"]["step_count"], 2)
        self.assertIn("write", commands["set"]["flags"])
        self.assertEqual(self.say("COMMAND", "GETKEYS", "MSET", "a", "1", "b", "2"), ["a", "b"])
        docs = self.say("COMMAND", "DOCS", "get")
        self.assertEqual(docs[0], "get")
        self.assertIn("get", self.say("COMMAND", "LIST"))
        self.assertEqual(self.say("COMMAND", "INFO", "nosuch"), [None])

    def test_config(self):
        r = self.r
        self.assertEqual(r.config_get("save"), {"save": ""})
        self.assertIn("appendonly", r.config_get("append*"))
        before = r.config_get("maxclients")["maxclients"]
        self.assertTrue(r.config_set("maxclients", 5000))
        self.assertEqual(r.config_get("MAXCLIENTS"), {"maxclients": "5000"})
        self.assertEqual(r.info("clients")["maxclients"], 5000)
        self.assertTrue(r.config_set("maxclients", before))
        self.assertEqual(r.config_get("timeout"), {"timeout": "0"})
        self.assertTrue(r.config_resetstat())
        with self.assertRaisesRegex(redis.ResponseError, "Unknown option"):
            r.config_set("no-such-setting", "1")

    def test_time(self):
        seconds, microseconds = self.r.time()
        self.assertTrue(abs(seconds - time.time()) < 5)
        self.assertTrue(0 <= microseconds < 1000000)

    def test_object_and_memory(self):
        r = self.r
        r.set("n", "12")
        r.set("s", "short")
        r.set("l", "x" * 100)
        self.assertEqual([r.object("encoding", k) for k in ("n", "s", "l", "none")],
                         ["int", "embstr", "raw", None])
        self.assertEqual(r.object("refcount", "s"), 1)
        self.assertTrue(r.memory_usage("l") > 100)
        self.assertIsNone(r.memory_usage("none"))

    def test_slowlog(self):
        r = self.r
        self.assertTrue(r.slowlog_reset())
        self.assertIsInstance(r.slowlog_get(), list)
        self.assertTrue(r.slowlog_len() >= 0)

    def test_probes(self):
        self.assertEqual(self.r.wait(0, 1), 0)
        self.assertEqual(self.say("FUNCTION", "FLUSH"), "OK")
        self.assertEqual(self.say("ROLE")[0], "master")
        self.assertEqual(self.say("LATENCY", "RESET"), 0)

    def test_lastsave(self):
        self.assertTrue(self.r.lastsave() is not None)

    def test_save(self):
        r = self.r
        r.set("k", "v")
        self.assertTrue(r.save())
        before = self.say("LASTSAVE")
        self.assertTrue(r.bgsave())
        fixture.wait_until(lambda: r.info("persistence")["rdb_bgsave_in_progress"] == 0)
        self.assertEqual(r.info("persistence")["rdb_last_bgsave_status"], "ok")
        self.assertIsNotNone(before)


class Passwords(unittest.TestCase):
    """Against a server of this build only."""

    def setUp(self):
        if not fixture.is_ours():
            self.skipTest("only for servers that this suite starts")
        self.server = fixture.Server(fixture.server.engine)
        self.addCleanup(self.server.remove)
        path = os.path.join(self.server.folder, "passwords")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as file:
            file.write("secret\n")
        self.server.arguments = ["--password-file", path]
        self.server.start()

    def connect(self, **options):
        client = redis.Redis(self.server.host, self.server.port, decode_responses=True, **options)
        self.addCleanup(client.close)
        return client

    def test_the_right_one(self):
        for options in ({"password": "secret"}, {"username": "default", "password": "secret"}):
            r = self.connect(**options)
            self.assertTrue(r.set("k", "v"))
            self.assertEqual(r.get("k"), "v")

    def test_the_wrong_one_and_none(self):
        for options in ({"password": "wrong"}, {"username": "bob", "password": "secret"}):
            with self.assertRaisesRegex(redis.RedisError, "invalid username-password pair"):
                self.connect(**options).ping()
        for words in (("PING",), ("GET", "k"), ("INFO",), ("CONFIG", "GET", "*")):
            with self.assertRaises(redis.AuthenticationError) as raised:
                self.connect().execute_command(*words)
            self.assertEqual(str(raised.exception), "Authentication required.")

    def test_hello(self):
        wire = Wire(self.server.host, self.server.port)
        self.addCleanup(wire.close)
        self.assertTrue(wire.say("HELLO", "3").startswith("NOAUTH HELLO must be called"))
        self.assertEqual(wire.say("HELLO", "3", "AUTH", "default", "no"),
                         "WRONGPASS invalid username-password pair or user is disabled.")
        hello = wire.say("HELLO", "3", "AUTH", "default", "secret", "SETNAME", "bob")
        self.assertEqual(hello[b"proto"], 3)
        self.assertEqual(wire.say("CLIENT", "GETNAME"), b"bob")
        self.assertEqual(wire.say("RESET"), "RESET")
        self.assertEqual(wire.say("GET", "k"), "NOAUTH Authentication required.")
        self.assertEqual(wire.say("AUTH", "secret"), "OK")
        self.assertIsNone(wire.say("GET", "k"))

    def test_strangers_may_not_send_much(self):
        for data, text in ((b"*11\r\n", "unauthenticated multibulk length"),
                           (b"*1\r\n$20000\r\n", "unauthenticated bulk length")):
            wire = Wire(self.server.host, self.server.port)
            self.addCleanup(wire.close)
            wire.send(data)
            self.assertEqual(wire.read(), "ERR Protocol error: " + text)
            self.assertTrue(wire.is_closed())


class Restart(unittest.TestCase):
    """Against a server of this build only."""

    def setUp(self):
        if not fixture.is_ours():
            self.skipTest("only for servers that this suite starts")
        self.server = fixture.Server(fixture.server.engine).start()
        self.addCleanup(self.server.remove)

    def connect(self):
        client = redis.Redis(self.server.host, self.server.port, decode_responses=True)
        self.addCleanup(client.close)
        return client

    def test_shutdown_and_what_is_left(self):
        r = self.connect()
        r.set("stays", "v")
        r.set("expires", "v", ex=1000)
        r.set("expired", "v", px=1)
        r.shutdown()
        self.assertEqual(self.server.wait(), 0)
        self.server.start()
        r = self.connect()
        self.assertEqual(r.mget("stays", "expires", "expired"), ["v", "v", None])
        self.assertTrue(900 < r.ttl("expires") <= 1000)
        self.assertEqual(r.ttl("stays"), -1)
