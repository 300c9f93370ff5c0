#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The steps of the plan of hybrid cache synchronization that name no server: all that is asked over
HTTP alone, run on `artcached --demo` as the document has them.

usage: seed001_demo_test.py ARTCACHED
"""

import os
import pathlib
import shutil
import sys
import tempfile
import urllib.error

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "stand"), str(HERE.parent / "support")]

from artcached import Artcached, elements_in_view, eventually  # noqa: E402
from seed001_test import BLOCKS, REPORT, Plan, carry_out, documents  # noqa: E402
from shell import Shell  # noqa: E402
from stand import ELEMENTS  # noqa: E402

SERVERS = ("docker", "psql", "redis-cli")


class Demo:
    """What the plan asks of its stand."""

    def __init__(self, artcached):
        self.daemon = Artcached(artcached)

    @property
    def ports(self):
        return self.daemon.ports

    def up(self):
        self.daemon.start()
        address = self.daemon.address("ingester")
        assert eventually(lambda: elements_in_view(address) == len(ELEMENTS))
        for name in ELEMENTS:
            self.daemon.first_rebuild_over(name)

    def down(self):
        self.daemon.close()

    def address(self, name):
        return self.daemon.address(name)

    def log(self, _):
        return self.daemon.log


class Folders:
    """The folders of the elements, as the plan's bucket."""

    def __init__(self, root):
        self.root = root

    def path(self, key):
        folder, _, rest = key.partition("/")
        return self.root / folder.replace("storage_element_", "se-") / "files" / rest

    def objects(self, prefix):
        top = self.path(prefix)
        return [(prefix + str(path.relative_to(top)), path.stat().st_size)
                for path in top.rglob("*") if path.is_file()]

    def get(self, key):
        return self.path(key).read_bytes()

    def put(self, key, content):
        self.path(key).write_bytes(content)


class OnDemo(Plan):
    def __init__(self, artcached, folder):
        self.folder, self.stand = folder, Demo(artcached)
        self.bucket = Folders(self.stand.daemon.data)
        self.results, self.ran, self.shell = [], set(), None

    def block(self, *words, nth=0):
        text = super().block(*words, nth=nth)
        named = [word for word in SERVERS if word in text]
        assert not named, f"this step needs {named}"
        return text

    def prepare(self):
        self.stand.up()
        self.shell = Shell(self.folder, {**os.environ, "LC_ALL": "C.UTF-8"})
        self.run("Аутентификация")
        assert len(self.shell.variable("TOKEN").split(".")) == 3, "no token"

    def baseline(self):
        health = self.run("ФАЗА 2", nth=1)
        assert "unhealthy" not in health and len(documents(health)) == 6, health
        self.run("ФАЗА 2", nth=3)
        self.nothing_is_there()

    def is_indexed(self, file_id):
        try:
            return self.call("GET", "se-01", f"/api/v1/files/{file_id}")["file_id"] == file_id
        except urllib.error.HTTPError:
            return False

    def final_check(self):
        reports = documents(self.run("Финальная проверка консистентности"))
        assert len(reports) == 3 and all(one["is_consistent"] for one in reports), reports

    def steps(self):
        return [("Phase 1: the demonstration", self.prepare), ("Phase 2: baseline", self.baseline),
                ("T1: upload through the ingester", self.t1), ("T2: download", self.t2),
                ("T3: metadata", self.t3), ("T4: list", self.t4), ("T5: consistency", self.t5),
                ("T6: incremental rebuild", self.t6), ("T10: ingester to element", self.t10),
                ("T11: query to element", self.t11), ("Phase 6: validation", self.final_check)]

    def save(self):
        shutil.copy(self.stand.log(""), self.folder / "log")

    def report(self):
        lines = [f"{'PASS' if passed else 'FAIL'} {name}" for name, passed, _ in self.results]
        (self.folder / REPORT).write_text("\n".join(lines) + "\n")


def main(artcached):
    with tempfile.TemporaryDirectory(prefix="acceptance-") as place:
        plan = OnDemo(pathlib.Path(artcached).resolve(), pathlib.Path(place))
        if not carry_out(plan):
            return 1
        left = [block.title for number, block in enumerate(BLOCKS) if number not in plan.ran
                and "ФАЗА" in block.title and not any(word in block.text for word in SERVERS)]
        assert not left, f"no step runs {left}"
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
