# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL, as postgres (fsync on), postgres-nofsync and postgres-clock."""
import asyncio
import glob
import os
import re
import shutil
import signal
import time
from typing import Dict, List, Optional

from .errors import ServiceError
from .service import CLOCK_LIBRARY, Service

_PASSWORD = "secret"
_DATABASES = ("artstore", "artstore_admin", "artstore_ingester", "artstore_query")
_STALE = ("lock file", "pre-existing shared memory block")


class Postgres(Service):
    summary = "PostgreSQL, fsync on"
    programs = {"initdb": "postgresql", "postgres": "postgresql", "psql": "postgresql-client"}
    user = "postgres"
    megabytes = 150
    orderly_signal = signal.SIGINT   # fast shutdown
    quick_signal = signal.SIGQUIT    # immediate, yet it removes its shared memory
    fsync = "on"
    variable = "ARTCACHE_TEST_POSTGRES"

    @classmethod
    def find(cls, program: str) -> Optional[str]:
        """Debian keeps the servers out of PATH; the newest version wins."""
        def version(path: str) -> int:
            return int(re.search(r"/(\d+)/bin/", path).group(1))
        packaged = glob.glob(f"/usr/lib/postgresql/[0-9]*/bin/{program}")
        return max(packaged, key=version) if packaged else shutil.which(program)

    async def prepare(self) -> None:
        password = self.write("password", _PASSWORD + "\n")
        await self.run([self.find("initdb"), "-D", "data", "-U", "postgres", "-A", "scram-sha-256",
                        f"--pwfile={password}", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"])

    async def bring_up(self) -> None:
        # After a kill -9 the first start may find the old server's lock file or shared memory.
        deadline = time.monotonic() + 10
        while True:
            server = self._launch()
            try:
                return await self.wait_until(self._ready)
            except ServiceError:
                stale = any(sign in server.output() for sign in _STALE)
                if not stale or time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.2)

    def _launch(self):
        settings = {
            "listen_addresses": "127.0.0.1", "port": self.port, "fsync": self.fsync,
            # No socket: its path could be too long. No /dev/shm files: a kill would leave them.
            "unix_socket_directories": "", "dynamic_shared_memory_type": "mmap",
        }
        argv = [*self.around(), self.find("postgres"), "-D", "data"]
        for name, value in settings.items():
            argv += ["-c", f"{name}={value}"]
        return self.launch("postgres", argv)

    def around(self) -> List[str]:
        return []

    async def _ready(self) -> bool:
        try:
            with open(os.path.join(self.folder, "data", "postmaster.pid")) as file:
                lines = file.read().split("\n")
        except OSError:
            return False
        # The first line tells our server's file from one that a killed server left.
        ours = lines[0] == str(self.processes["postgres"].pid)
        return ours and len(lines) > 7 and lines[7].strip() == "ready"

    async def furnish(self) -> None:
        statements = [f"CREATE ROLE artstore LOGIN CREATEDB PASSWORD '{_PASSWORD}'"]
        statements += [f"CREATE DATABASE {name} OWNER artstore" for name in _DATABASES]
        connection = (f"host=127.0.0.1 port={self.port} user=postgres password={_PASSWORD} "
                      "dbname=postgres connect_timeout=10")
        argv = [self.find("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", connection]
        for statement in statements:
            argv += ["-c", statement]
        await self.run(argv)

    def facts(self) -> Dict:
        place = f"127.0.0.1:{self.port}"
        url = f"postgresql://artstore:{_PASSWORD}@{place}/artstore"
        superuser = f"postgresql://postgres:{_PASSWORD}@{place}/postgres"
        env = {"ARTCACHE_TEST_POSTGRES": url, "ARTCACHE_TEST_POSTGRES_SUPERUSER": superuser,
               "PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": "artstore",
               "PGPASSWORD": _PASSWORD, "PGDATABASE": "artstore"}
        env[self.variable] = url
        return {"url": url, "superuser_url": superuser, "databases": list(_DATABASES), "env": env}


class PostgresNoFsync(Postgres):
    summary = "PostgreSQL, fsync off: faster, not for tests of durability"
    fsync = "off"
    variable = "ARTCACHE_TEST_POSTGRES_NOFSYNC"


class PostgresClock(PostgresNoFsync):
    summary = "PostgreSQL with a clock that a test moves, fsync off"
    variables = (CLOCK_LIBRARY,)

    def around(self) -> List[str]:
        return self.movable_clock()

    def facts(self) -> Dict:
        facts = super().facts()
        facts["env"]["ARTCACHE_TEST_CLOCK"] = self.clock_file()
        return facts
