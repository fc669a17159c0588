"""redis-py: MULTI, EXEC, DISCARD, WATCH."""

import threading

import redis

from redis_py_case import Case


class Transactions(Case):
    def test_all_at_once(self):
        pipe = self.r.pipeline(transaction=True)
        pipe.set("a", "1").incr("n").get("a").mget("a", "none").delete("a").exists("a")
        self.assertEqual(pipe.execute(), [True, 1, "1", ["1", None], 1, 0])

    def test_replies_in_between(self):
        one = self.r.connection_pool.get_connection("MULTI")
        self.addCleanup(self.r.connection_pool.release, one)

        def say(*words):
            one.send_command(*words)
            return one.read_response()

        self.assertEqual(say("MULTI"), "OK")
        self.assertEqual(say("SET", "a", "1"), "QUEUED")
        self.assertEqual(say("PING"), "QUEUED")
        self.assertIsNone(self.r.get("a"))
        self.assertEqual(say("EXEC"), ["OK", "PONG"])
        self.assertEqual(self.r.get("a"), "1")
        for words, text in ((("EXEC",), "EXEC without MULTI"),
                            (("DISCARD",), "DISCARD without MULTI")):
            with self.assertRaisesRegex(redis.ResponseError, text):
                say(*words)
        self.assertEqual(say("MULTI"), "OK")
        with self.assertRaisesRegex(redis.ResponseError, "MULTI calls can not be nested"):
            say("MULTI")
        with self.assertRaisesRegex(redis.ResponseError, "WATCH inside MULTI is not allowed"):
            say("WATCH", "a")
        self.assertEqual(say("SET", "a", "2"), "QUEUED")
        self.assertEqual(say("DISCARD"), "OK")
        self.assertEqual(self.r.get("a"), "1")

    def test_a_wrong_command_spoils_it(self):
        pipe = self.r.pipeline(transaction=True)
        pipe.set("a", "1").execute_command("NOSUCH")
        with self.assertRaises(redis.ResponseError):
            pipe.execute()
        self.assertIsNone(self.r.get("a"))
        one = self.r.connection_pool.get_connection("MULTI")
        self.addCleanup(self.r.connection_pool.release, one)
        one.send_command("MULTI")
        self.assertEqual(one.read_response(), "OK")
        one.send_command("GET")
        with self.assertRaisesRegex(redis.ResponseError, "wrong number of arguments"):
            one.read_response()
        one.send_command("EXEC")
        with self.assertRaises(redis.exceptions.ExecAbortError):
            one.read_response()

    def test_an_error_while_running_does_not(self):
        self.r.set("text", "x")
        pipe = self.r.pipeline(transaction=True)
        pipe.set("a", "1").incr("text").set("b", "2")
        replies = pipe.execute(raise_on_error=False)
        self.assertEqual((replies[0], replies[2]), (True, True))
        self.assertIsInstance(replies[1], redis.ResponseError)
        self.assertEqual(self.r.mget("a", "b", "text"), ["1", "2", "x"])

    def test_watch(self):
        r = self.r
        for change in (lambda: r.set("k", "other"), lambda: r.delete("k"), lambda: r.incr("k")):
            r.set("k", "1")
            with r.pipeline() as pipe:
                pipe.watch("k", "absent")
                value = pipe.get("k")
                change()
                pipe.multi()
                pipe.set("k", value + "!")
                with self.assertRaises(redis.WatchError):
                    pipe.execute()
            self.assertNotEqual(r.get("k"), "1!")

    def test_watch_a_missing_key(self):
        r = self.r
        with r.pipeline() as pipe:
            pipe.watch("absent")
            r.set("absent", "here")
            pipe.multi()
            pipe.set("k", "1")
            with self.assertRaises(redis.WatchError):
                pipe.execute()

    def test_unwatch_and_no_change(self):
        r = self.r
        r.set("k", "1")
        with r.pipeline() as pipe:
            pipe.watch("k")
            pipe.multi()
            pipe.set("k", "2")
            self.assertEqual(pipe.execute(), [True])
            pipe.watch("k")
            r.set("k", "3")
            pipe.unwatch()
            pipe.multi()
            pipe.set("k", "4")
            self.assertEqual(pipe.execute(), [True])
        self.assertEqual(r.get("k"), "4")

    def test_check_and_set_from_many(self):
        def add():
            r = self.connect()
            for _ in range(30):
                r.transaction(lambda pipe: self._add_one(pipe), "sum")

        self.r.set("sum", "0")
        threads = [threading.Thread(target=add) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.r.get("sum"), "120")

    @staticmethod
    def _add_one(pipe):
        value = int(pipe.get("sum"))
        pipe.multi()
        pipe.set("sum", value + 1)
