# SPDX-License-Identifier: Apache-2.0
"""Ceph radosgw (S3), as radosgw (memstore) and radosgw-bluestore: a monitor, one OSD, a gateway."""
import asyncio
import base64
import os
import shlex
import signal
import struct
import time
import uuid
from typing import Dict

from . import sigv4
from .errors import ServiceError
from .service import Service

_BUCKET = "artstore-files"
_REGION = "us-east-1"
_ACCESS_KEY = "artstore"
_SECRET_KEY = "secret"

# cephx stays on: without it radosgw hangs. The paxos lines save ten seconds at the start,
# tcp_nodelay saves 40 ms a request. Sockets of admin_socket could have too long a path.
_CONFIGURATION = """\
[global]
fsid = {fsid}
mon_host = [v2:127.0.0.1:{mon_port}/0]
ms_bind_msgr1 = false
ms_bind_port_min = 12000
ms_bind_port_max = 13999
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
keyring = {folder}/keyring
auth_allow_insecure_global_id_reclaim = false
run_dir = {folder}/run
crash_dir = {folder}/run
admin_socket =
pid_file =
log_file =
log_to_stderr = true
log_to_syslog = false
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pgp_num = 4
osd_pool_default_pg_autoscale_mode = off
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
mon_data_avail_warn = 1
mon_data_avail_crit = 1
osd_crush_chooseleaf_type = 0
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
[mon]
mon_data = {folder}/mon
mon_cluster_log_file = {folder}/run/cluster.log
mon_cluster_log_to_stderr = false
[osd]
osd_data = {folder}/osd
osd_objectstore = {store}
memstore_device_bytes = 4294967296
bluestore_block_size = 8589934592
osd_memory_target = 1073741824
osd_class_load_list = *
osd_class_default_list = *
[client.rgw]
rgw_data = {folder}/rgw
rgw_frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
rgw_run_sync_thread = false
rgw_thread_pool_size = 64
debug_rgw = 0
"""


def _keyring() -> str:
    """One key for everybody, in the format of ceph-authtool."""
    secret = os.urandom(16)
    key = base64.b64encode(struct.pack("<HIIH", 1, int(time.time()), 0, len(secret)) + secret)
    text = f"[mon.]\n\tkey = {key.decode()}\n\tcaps mon = \"allow *\"\n"
    for name in ("client.admin", "client.rgw", "osd.0"):
        text += (f"[{name}]\n\tkey = {key.decode()}\n"
                 "\tcaps mon = \"allow *\"\n\tcaps osd = \"allow *\"\n")
    return text


class Radosgw(Service):
    summary = "Ceph radosgw (S3) in memory: objects are gone when its OSD ends"
    programs = {"ceph-mon": "ceph-mon", "ceph-osd": "ceph-osd", "radosgw": "radosgw",
                "ceph": "ceph-common", "radosgw-admin": "ceph-common",
                "monmaptool": "ceph-common"}
    megabytes = 200
    stop_order = ["radosgw", "osd", "mon"]  # radosgw hangs for minutes when its OSD goes first
    slow_to_give_up = ("radosgw",)
    store = "memstore"
    variable = "ARTCACHE_TEST_S3"

    def _command(self, program: str, *arguments: str):
        return [self.find(program), "-c", os.path.join(self.folder, "ceph.conf"), *arguments]

    async def prepare(self) -> None:
        for name in ("mon", "osd", "rgw", "run"):
            os.mkdir(os.path.join(self.folder, name))
        fsid, mon_port = str(uuid.uuid4()), self._ports.choose()
        self.write("ceph.conf", _CONFIGURATION.format(
            fsid=fsid, folder=self.folder, mon_port=mon_port, port=self.port, store=self.store))
        keyring = self.write("keyring", _keyring())
        await self.run(self._command("monmaptool", "--create", "--fsid", fsid, "--addv", "a",
                                     f"[v2:127.0.0.1:{mon_port}]", "monmap"))
        await self.run(self._command("ceph-mon", "--mkfs", "-i", "a", "--monmap", "monmap",
                                     "-k", keyring))
        osd = str(uuid.uuid4())
        self._launch_mon()
        await asyncio.gather(
            self._unless_dead(self.run(self._command("ceph", "--connect-timeout", "30", "osd",
                                                     "new", osd))),
            self.run(self._command("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)))

    async def _unless_dead(self, command) -> None:
        """A client would wait long for a monitor that has ended, e.g. for want of its port."""
        task = asyncio.ensure_future(command)
        try:
            while not task.done():
                self.check_alive()
                await asyncio.wait([task], timeout=0.1)
            await task
        finally:
            task.cancel()

    def _launch_mon(self) -> None:
        self.launch("mon", self._command("ceph-mon", "-f", "-i", "a"))

    def _launch_osd(self) -> None:
        self.launch("osd", self._command("ceph-osd", "-f", "-i", "0"))

    def _launch_radosgw(self) -> None:
        self.launch("radosgw", self._command("radosgw", "-f", "-n", "client.rgw"))

    async def bring_up(self) -> None:
        if not self._runs("mon"):  # else this is the first start
            self._launch_mon()
            await self._forget_osd()
        await self._start_osd()
        self._launch_radosgw()
        await self.wait_until(self._answers)

    async def _forget_osd(self) -> None:
        """The monitor believes a killed OSD to be up for long, and radosgw, sent there, would
        pause 5 s at a time."""
        await self._unless_dead(self.run(self._command("ceph", "osd", "down", "0")))

    async def _start_osd(self) -> None:
        self._launch_osd()
        await self.wait_until(self._osd_up)

    async def _osd_up(self) -> bool:
        return " 1 up" in await self.run(self._command("ceph", "osd", "stat"))

    async def furnish(self) -> None:
        await self.run(self._command(
            "radosgw-admin", "-n", "client.rgw", "user", "create", "--uid", "artstore",
            "--display-name", "artstore", "--access-key", _ACCESS_KEY,
            "--secret-key", _SECRET_KEY))
        status, body = await self._request("PUT", f"/{_BUCKET}")
        if status != 200:
            raise ServiceError(f"{self.name}: creating bucket {_BUCKET} gave {status}: {body!r}")

    async def _request(self, method: str, path: str):
        # The thread only talks HTTP: it must not start processes, see process.spawn.
        return await asyncio.get_running_loop().run_in_executor(
            None, lambda: sigv4.request(self._s3(), method, path, timeout=30))

    async def _answers(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        try:
            # Any bucket: its name is looked up in the OSD, so an answer says that all three work.
            writer.write(b"HEAD /ready HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
            answer = await asyncio.wait_for(reader.readline(), 1)
            return answer.startswith(b"HTTP/1.") and answer.split()[1] != b"503"
        except (OSError, asyncio.TimeoutError):
            return False
        finally:
            writer.transport.abort()

    def _runs(self, name: str) -> bool:
        return name in self.processes and self.processes[name].running()

    def stop_signal(self, name: str, orderly: bool) -> int:
        # radosgw takes long over TERM, and holds nothing.
        return signal.SIGTERM if orderly and name != "radosgw" else signal.SIGKILL

    async def restart(self) -> None:
        """In memory nothing is left to come back to: a new store with the same port and keys."""
        await self.stop()
        self._make_folder()
        await self.prepare()
        await self.bring_up()
        await self.furnish()

    async def restart_process(self, name: str) -> None:
        if self.store == "memstore" and name == "osd":
            raise ServiceError(f"{self.name}: the OSD holds all objects in memory; restart the "
                               "whole service, or use radosgw-bluestore")
        await self.stop_process(name, self.stop_signal(name, orderly=True))
        del self.processes[name]
        if name == "osd":
            await self._forget_osd()
            await self._start_osd()
        elif name == "mon":
            self._launch_mon()
        else:
            self._launch_radosgw()
        await self.wait_until(self._answers)

    def _s3(self) -> Dict[str, str]:
        return {"endpoint": f"http://127.0.0.1:{self.port}", "region": _REGION,
                "access_key": _ACCESS_KEY, "secret_key": _SECRET_KEY}

    def facts(self) -> Dict:
        s3 = self._s3()
        url = f"s3://{_BUCKET}?endpoint={s3['endpoint']}&region={_REGION}"
        env = {"ARTCACHE_TEST_S3": url, "ARTCACHE_TEST_S3_ENDPOINT": s3["endpoint"],
               "ARTCACHE_TEST_S3_BUCKET": _BUCKET, "ARTCACHE_TEST_S3_REGION": _REGION,
               "ARTCACHE_TEST_S3_ACCESS_KEY": _ACCESS_KEY,
               "ARTCACHE_TEST_S3_SECRET_KEY": _SECRET_KEY,
               "AWS_ACCESS_KEY_ID": _ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": _SECRET_KEY,
               "AWS_REGION": _REGION, "AWS_ENDPOINT_URL_S3": s3["endpoint"],
               "ARTCACHE_TEST_S3_ADMIN": shlex.join(
                   self._command("radosgw-admin", "-n", "client.rgw"))}
        env[self.variable] = url
        return {"url": url, **s3, "bucket": _BUCKET, "env": env}


class RadosgwBluestore(Radosgw):
    summary = "Ceph radosgw (S3) on disk, for tests of durability"
    megabytes = 1500
    store = "bluestore"
    variable = "ARTCACHE_TEST_S3_BLUESTORE"

    async def restart(self) -> None:
        await Service.restart(self)
