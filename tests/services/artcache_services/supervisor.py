# SPDX-License-Identifier: Apache-2.0
"""The background process that owns the servers and takes them with it, however it ends."""
import asyncio
import json
import os
import shutil
import signal
import sys
import time
from typing import Dict, List, Optional

from . import folders, process
from .catalog import SERVICES
from .errors import ServiceError
from .ports import Ports
from .service import Service

CONTROL = "control"


class Supervisor:
    """One run: starts the servers, answers kill and restart, and ends with its owner, on SIGTERM,
    or, before all is up, with the process that asked for it."""

    def __init__(self, request: Dict) -> None:
        self._request = request
        self._stop = asyncio.Event()
        self._services: Dict[str, Service] = {}
        self._folder: Optional[folders.Folder] = None
        self._own_start = process.read_stat(os.getpid()).start

    async def run(self) -> None:
        try:
            self._install_handlers()
            self._watch(*self._request["owner"])
            starter = self._watch(*self._request["starter"])
            self._folder = folders.Folder()
            os.chdir(self._folder.path)  # the socket's path may be too long to name otherwise
            await self._until_stopped(self._start_all())
            control = await asyncio.start_unix_server(self._answer, path=CONTROL)
            os.chmod(CONTROL, 0o600)
            self._write_state()
            self._forget(starter)
            self._report({"services": self._describe()})
            async with control:
                await self._stop.wait()
        except (ServiceError, OSError) as error:
            self._report({"error": str(error) + folders.advice_when_full(str(error))})
        finally:
            await self._end()

    # Reasons to stop.

    def _install_handlers(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGCHLD, process.reap_zombies)

    def _watch(self, pid: int, start: int) -> Optional[int]:
        """Stops the run when that process ends, at once when it has ended already."""
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            self._stop.set()
            return None
        if not process.is_running(pid, start):
            self._stop.set()
        asyncio.get_running_loop().add_reader(handle, self._owner_ended, handle)
        return handle

    def _owner_ended(self, handle: int) -> None:
        self._forget(handle)
        self._stop.set()

    @staticmethod
    def _forget(handle: Optional[int]) -> None:
        if handle is not None:
            asyncio.get_running_loop().remove_reader(handle)
            os.close(handle)

    # Starting.

    async def _until_stopped(self, work) -> None:
        task = asyncio.ensure_future(work)
        stop = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait([task, stop], return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not task.done():
            task.cancel()
            raise ServiceError("stopped before the servers were up")
        task.result()

    async def _start_all(self) -> None:
        ports = Ports()
        for name in self._request["names"]:
            self._services[name] = SERVICES[name](name, self._folder.path, ports,
                                                  self._request["ports"].get(name), self._record)
        tasks = [asyncio.ensure_future(self._bounded(service, service.start()))
                 for service in self._services.values()]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def _bounded(self, service: Service, work) -> None:
        seconds = self._request["timeout"]
        try:
            await asyncio.wait_for(work, seconds)
        except asyncio.TimeoutError:
            raise ServiceError(f"{service.name} was not ready after {seconds:g} s; its logs are "
                               "kept with: services up --logs DIR") from None

    # What others can read.

    def _record(self) -> None:
        self._folder.record([(f"{service.name}-{name}", server.pid, server.start)
                             for service in self._services.values()
                             for name, server in service.processes.items()])

    def _describe(self) -> Dict:
        described = {}
        for service in self._services.values():
            servers = service.processes.items()
            described[service.name] = {
                **service.facts(), "port": service.port,
                "pids": {name: server.pid for name, server in servers},
                "processes": {name: {"pid": server.pid, "start": server.start}
                              for name, server in servers},
                "started_in_seconds": service.started_in_seconds}
        return described

    def _write_state(self) -> None:
        folders.write_json(self._request["state"], {
            "supervisor": os.getpid(), "supervisor_start": self._own_start,
            "directory": self._folder.path, "starting": False, "services": self._describe(),
            "unavailable": self._request["unavailable"]})

    def _report(self, answer: Dict) -> None:
        """Once, to the waiting `services up`; then its pipe is let go, or who reads the output of
        `up` would wait for our end."""
        if sys.stdout.closed:
            return
        try:
            print(json.dumps(answer), flush=True)
        except OSError:
            pass  # it is gone, so its pidfd stops us
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nothing, number)
        sys.stdout.close()

    # Control.

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = json.loads(await reader.readline())
            try:
                answer = await self._do(request)
            except ServiceError as error:
                answer = {"error": str(error)}
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        except (OSError, ValueError):
            pass  # a client that went away or talked nonsense harms nobody
        finally:
            writer.close()

    async def _do(self, request: Dict) -> Dict:
        service = self._services.get(request["service"])
        if service is None:
            raise ServiceError(f"{request['service']} was not started here (running: "
                               f"{', '.join(self._services)})")
        only = request.get("process")
        if only is not None and only not in service.processes:
            raise ServiceError(f"{service.name} has no process '{only}' (it has: "
                               f"{', '.join(service.processes)})")
        begun = time.monotonic()
        async with service.lock:
            if request["do"] == "kill":
                await service.kill(request["signal"], only)
            else:
                await self._bounded(service, service.restart_process(only) if only
                                    else service.restart())
            self._record()
            self._write_state()
        return {"seconds": round(time.monotonic() - begun, 2)}

    # The end.

    async def _end(self) -> None:
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        await asyncio.gather(*(service.stop() for service in self._services.values()),
                             return_exceptions=True)
        await self._kill_rest()
        if self._folder is not None:
            self._keep_logs()
            os.chdir("/")
            self._folder.remove()
        self._remove_state()

    @staticmethod
    async def _kill_rest() -> None:
        """Whatever still descends from us, e.g. the children of a set-up command cut short."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            rest: List[int] = process.descendants(os.getpid())
            if not rest:
                return
            for pid in rest:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            await asyncio.sleep(0.02)

    def _keep_logs(self) -> None:
        if self._request["logs"]:
            shutil.copytree(os.path.join(self._folder.path, "logs"), self._request["logs"],
                            dirs_exist_ok=True)

    def _remove_state(self) -> None:
        """Only our own: somebody may have named the file for the next run already."""
        path = self._request["state"]
        try:
            with open(path) as file:
                pid = json.load(file)["supervisor"]
            if pid in (os.getpid(), self._request["starter"][0]):
                os.unlink(path)
        except (OSError, ValueError, KeyError):
            pass


def main() -> int:
    request = json.loads(sys.stdin.readline())
    os.umask(0o022)
    process.adopt_orphans()
    asyncio.run(_run(request))
    return 0


async def _run(request: Dict) -> None:
    await Supervisor(request).run()  # made inside the loop: Python 3.9 ties its locks to one
