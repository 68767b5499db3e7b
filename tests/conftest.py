"""Fixtures that tests of several folders share."""

from tests.support.pcsc import pcscd
from tests.support.redis_servers import redis_server, shared_redis
from tests.support.store_places import store_place

__all__ = ["pcscd", "redis_server", "shared_redis", "store_place"]
