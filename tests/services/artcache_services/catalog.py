# SPDX-License-Identifier: Apache-2.0
"""The services by name, and whether this machine can run them."""
import difflib
import os
import pwd
from typing import Dict, Optional, Type

from . import process
from .errors import ServiceError
from .postgres import Postgres, PostgresClock, PostgresNoFsync
from .radosgw import Radosgw, RadosgwBluestore
from .redis import Redis, RedisAuth, RedisClock, RedisTls
from .service import Service

SERVICES: Dict[str, Type[Service]] = {
    "postgres": Postgres,
    "postgres-nofsync": PostgresNoFsync,
    "postgres-clock": PostgresClock,
    "redis": Redis,
    "redis-clock": RedisClock,
    "redis-auth": RedisAuth,
    "redis-tls": RedisTls,
    "radosgw": Radosgw,
    "radosgw-bluestore": RadosgwBluestore,
}


def check_name(name: str) -> str:
    if name not in SERVICES:
        near = difflib.get_close_matches(name, SERVICES, 1, 0.5)
        guess = f"; did you mean {near[0]}?" if near else ""
        raise ServiceError(f"unknown service '{name}'{guess} (services: {', '.join(SERVICES)})")
    return name


def why_unavailable(name: str) -> Optional[str]:
    """None when it can run here."""
    service = SERVICES[name]
    missing = {program: package for program, package in service.programs.items()
               if service.find(program) is None}
    if missing:
        packages = " ".join(dict.fromkeys(missing.values()))
        return f"{', '.join(missing)} not found: install {packages} (scripts/setup does)"
    unset = [variable for variable in service.variables if variable not in os.environ]
    if unset:
        return f"{', '.join(unset)} is not set: its tests do"
    try:
        process.account(service.user)
    except KeyError:
        return (f"there is no system user {service.user}: install "
                f"{next(iter(service.programs.values()))} (scripts/setup does)")
    return None
