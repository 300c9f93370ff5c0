# SPDX-License-Identifier: Apache-2.0
"""Redis, as redis (plain), redis-clock, redis-auth (password), redis-tls (TLS only, password)."""
import asyncio
import os
import ssl
from typing import Dict, List

from .service import CLOCK_LIBRARY, Service

_PASSWORD = "secret"


class Redis(Service):
    summary = "Redis, no password; keeps nothing across a restart"
    programs = {"redis-server": "redis-server"}
    user = "redis"
    scheme = "redis"
    password = ""
    variable = "ARTCACHE_TEST_REDIS"

    async def bring_up(self) -> None:
        argv = [*self.around(), self.find("redis-server"),
                "--bind", "127.0.0.1", "--dir", self.folder, "--save", "", "--appendonly", "no",
                "--daemonize", "no", *self.listening()]
        if self.password:
            argv += ["--requirepass", self.password]
        self.launch("redis", argv)
        await self.wait_until(self._answers)

    def around(self) -> List[str]:
        return []

    def listening(self) -> List[str]:
        return ["--port", str(self.port)]

    def tls(self):
        return None

    async def _answers(self) -> bool:
        try:
            reader, writer = await asyncio.wait_for(
                asyncio.open_connection("127.0.0.1", self.port, ssl=self.tls()), 2)
        except (OSError, asyncio.TimeoutError):
            return False
        try:
            writer.write(b"PING\r\n")
            answer = await asyncio.wait_for(reader.readline(), 2)
            return answer.startswith((b"+PONG", b"-NOAUTH"))
        except (OSError, asyncio.TimeoutError):
            return False
        finally:
            writer.transport.abort()

    def facts(self) -> Dict:
        login = f":{self.password}@" if self.password else ""
        url = f"{self.scheme}://{login}127.0.0.1:{self.port}"
        return {"url": url, "password": self.password, "env": {self.variable: url}}


class RedisClock(Redis):
    summary = "Redis with a clock that a test moves"
    variables = (CLOCK_LIBRARY,)

    def around(self) -> List[str]:
        return self.movable_clock()

    def facts(self) -> Dict:
        facts = super().facts()
        facts["env"]["ARTCACHE_TEST_CLOCK"] = self.clock_file()
        return facts


class RedisAuth(Redis):
    summary = "Redis with a password"
    password = _PASSWORD
    variable = "ARTCACHE_TEST_REDIS_AUTH"


class RedisTls(Redis):
    summary = "Redis with TLS only, its own CA, and a password"
    programs = {"redis-server": "redis-server", "openssl": "openssl"}
    scheme = "rediss"
    password = _PASSWORD
    variable = "ARTCACHE_TEST_REDIS_TLS"

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    async def prepare(self) -> None:
        new_key = [self.find("openssl"), "req", "-x509", "-nodes", "-days", "30", "-newkey", "ec",
                   "-pkeyopt", "ec_paramgen_curve:P-256"]
        await self.run(new_key + ["-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test CA",
                                  "-addext", "keyUsage=critical,keyCertSign,cRLSign"])
        await self.run(new_key + ["-keyout", "server.key", "-out", "server.pem", "-CA", "ca.pem",
                                  "-CAkey", "ca.key", "-subj", "/CN=localhost",
                                  "-addext", "basicConstraints=critical,CA:FALSE",
                                  "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"])
        # Clients run as other users: they need the CA, and nothing else of the folder.
        os.chmod(self.folder, 0o711)
        os.chmod(self._path("ca.pem"), 0o644)

    def listening(self) -> List[str]:
        return ["--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no",
                "--tls-cert-file", self._path("server.pem"),
                "--tls-key-file", self._path("server.key"),
                "--tls-ca-cert-file", self._path("ca.pem")]

    def tls(self):
        return ssl.create_default_context(cafile=self._path("ca.pem"))

    def facts(self) -> Dict:
        facts = super().facts()
        facts["ca_file"] = self._path("ca.pem")
        facts["env"][self.variable + "_CA"] = facts["ca_file"]
        return facts
