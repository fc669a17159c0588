"""redis-py over every command, against one engine. Usage: see server.py."""

import server

try:
    import redis  # noqa: F401
except ImportError:
    server.skip("redis-py is not installed (Debian: python3-redis)")

# The modules' `server` is this very one.
server.run(__file__, ["redis_py_strings", "redis_py_keys", "redis_py_transactions",
                      "redis_py_server"])
