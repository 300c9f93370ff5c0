#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The test plan of hybrid cache synchronization (seeds/001.txt), phases 0 to 6 with T1 to T12:
every shell block of it, taken from the document and run on the stand in its order. Nothing is
changed but ports and folders; where a step is only described, the situation is made here.

The run stops at the first failure, keeps logs, reports, dumps and a listing in ACCEPTANCE_FAILURE
(a new folder in the temporary one when that is not set), and writes TEST_RESULTS_CACHE_SYNC.md in
either case.

usage: seed001_test.py ARTCACHED [FOLDER]
"""

import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.request
import uuid
from datetime import date

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "stand"), str(HERE.parent / "support")]

import results  # noqa: E402
from artcached import eventually  # noqa: E402
from bucket import Bucket  # noqa: E402
from document import blocks  # noqa: E402
from shell import Shell  # noqa: E402
from stand import CONTAINERS, ELEMENTS, Stand  # noqa: E402

BLOCKS = blocks((HERE / "seeds/001.txt").read_text())
PORTS = {"8000": "admin", "8010": "se-01", "8011": "se-02", "8012": "se-03",
         "8020": "ingester", "8030": "query"}
REPORT = "TEST_RESULTS_CACHE_SYNC.md"
MANY = 1000
DATABASES = ("artstore", "artstore_admin", "artstore_query")


def documents(text):
    """Every JSON object in what a block printed."""
    decoder, at, found = json.JSONDecoder(), 0, []
    while (at := text.find("{", at)) >= 0:
        try:
            value, at = decoder.raw_decode(text, at)
            found.append(value)
        except json.JSONDecodeError:
            at += 1
    return found


class Plan:
    def __init__(self, artcached, folder):
        self.folder = folder
        self.stand = Stand(folder / "stand", artcached)
        self.bucket = Bucket(self.stand.environment)
        self.results = []  # (name, passed, remark)
        self.ran = set()
        self.shell = None

    # --- the document ---------------------------------------------------------------------------

    def block(self, *words, nth=0):
        found = [number for number, block in enumerate(BLOCKS)
                 if all(word in block.title for word in words)]
        self.ran.add(found[nth])
        text = BLOCKS[found[nth]].text.replace("/tmp/", f"{self.folder}/")
        text = re.sub(r"/home/\w+/Projects/artStore", str(self.folder), text)
        return re.sub(r"\b(8000|801[012]|8020|8030)\b",
                      lambda port: str(self.stand.ports[PORTS[port[0]]]), text)

    def run(self, *words, nth=0):
        return self.shell.run(self.block(*words, nth=nth))

    # --- beside the document --------------------------------------------------------------------

    def call(self, method, name, path, body=None, kind="application/json"):
        request = urllib.request.Request(
            self.stand.address(name) + path, data=body, method=method,
            headers={"Authorization": "Bearer " + self.shell.variable("TOKEN"),
                     "Content-Type": kind})
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)

    def consistency(self, name="se-01"):
        return self.call("GET", name, "/api/v1/cache/consistency")

    def sql(self, text, database="artstore"):
        return self.shell.run(f'docker exec artstore_postgres psql -U artstore -d {database} -t '
                              f'-A -c "{text}"').strip()

    def log(self, name):
        return self.stand.log(name).read_text(errors="replace")

    def upload_many(self, count):
        """Small files straight to se-01, by eight clients; tells the seconds."""
        def upload(number):
            part = (f'--b\r\nContent-Disposition: form-data; name="file"; filename="{number}.txt"'
                    f'\r\n\r\nfile {number}\r\n--b--\r\n').encode()
            return self.call("POST", "se-01", "/api/v1/files/upload", part,
                             "multipart/form-data; boundary=b")["file_id"]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            return list(pool.map(upload, range(count)))

    # --- phases 1 and 2 -------------------------------------------------------------------------

    def prepare(self):
        """Phase 1: the stand, emptied."""
        self.stand.up()
        environment = dict(self.stand.environment)
        environment.update(self.stand.shell_environment())
        environment["PATH"] = f"{HERE / 'stand/bin'}:{environment['PATH']}"
        environment["LC_ALL"] = "C.UTF-8"
        self.shell = Shell(self.folder, environment)
        for nth in range(6):
            if nth == 4:  # `up` with new images makes the containers anew
                self.stand.down()
                self.stand.up()
            self.run("ФАЗА 1", nth=nth)
        left = [key for key, _ in self.bucket.objects() if "/.artcache/" not in key]
        assert not left, left

    def baseline(self):
        """Phase 2: everything answers, nothing is there."""
        assert len(self.run("ФАЗА 2", nth=0).split(".")) == 3, "no token"
        health = self.run("ФАЗА 2", nth=1)
        assert "unhealthy" not in health and len(documents(health)) == 6, health
        found = self.run("ФАЗА 2", nth=2)
        for name in ELEMENTS:
            assert f"artstore:storage-elements:{name}" in found, found
        known = [one for one in documents(found) if one.get("id", one.get("element_id"))]
        assert len(known) == 3, found
        registry = json.dumps(documents(self.run("ФАЗА 2", nth=3)))
        for name in ELEMENTS:
            assert name in registry, registry
        self.nothing_is_there()

    def nothing_is_there(self):
        self.run("ФАЗА 2", nth=4)
        for number in ("01", "02", "03"):
            report = json.loads((self.folder / f"baseline_se{number}_consistency.json").read_text())
            for name, value in {"is_consistent": True, "total_attr_files": 0,
                                "total_cache_entries": 0, "inconsistency_percentage": 0.0,
                                "orphan_cache_count": 0, "orphan_attr_count": 0,
                                "expired_cache_count": 0}.items():
                assert report[name] == value, report

    # --- phase 3 --------------------------------------------------------------------------------

    def t1(self):
        told = documents(self.run("T1: Upload"))
        assert told[0]["storage_element_id"] == "se-01" and told[0]["file_id"], told
        file_id = self.shell.variable("FILE_ID")
        assert self.is_indexed(file_id)
        keys = [key for key, _ in self.bucket.objects("storage_element_01/") if file_id in key]
        assert len(keys) == 2 and any(key.endswith(".attr.json") for key in keys), keys

    def is_indexed(self, file_id):
        return self.sql("SELECT count(*) FROM storage_elem_01_files "
                        f"WHERE file_id = '{file_id}'") == "1"

    def t2(self):
        sums = {line.split()[0] for line in self.run("T2: Download").splitlines() if line}
        assert len(sums) == 1, sums

    def t3(self):
        told = self.run("T3: Get metadata")
        [metadata] = documents(told)
        assert metadata["file_id"] == self.shell.variable("FILE_ID"), metadata
        assert metadata["cache_updated_at"] and metadata["cache_ttl_hours"] == 24, metadata
        assert metadata["cache_expired"] is False, metadata

    def t4(self):
        self.run("T4: List files")
        assert int(self.shell.variable("FILE_COUNT")) >= 1

    # --- phase 4 --------------------------------------------------------------------------------

    def t5(self):
        self.run("T5: GET", nth=0)
        self.run("T5: GET", nth=1)
        assert self.shell.variable("IS_CONSISTENT") == "true"
        assert self.shell.variable("TOTAL_ATTR") == self.shell.variable("TOTAL_CACHE")
        assert float(self.shell.variable("INCONSISTENCY")) == 0.0

    def t6(self):
        self.put_orphan()
        told = self.run("T6: POST")
        assert told.splitlines()[0] == "1", told
        result, after = documents(told)
        assert result["operation_type"] == "incremental", result
        assert result["statistics"]["entries_created"] == 1, result
        assert after["is_consistent"] and after["orphan_attr_count"] == 0, after

    def put_orphan(self):
        """A sidecar put there by hand, as the plan wishes it."""
        file_id = self.shell.variable("FILE_ID")
        [key] = [key for key, _ in self.bucket.objects("storage_element_01/")
                 if file_id in key and key.endswith(".attr.json")]
        other = str(uuid.uuid4())
        self.bucket.put(key.replace(file_id, other),
                        self.bucket.get(key).replace(file_id.encode(), other.encode()))

    def t7(self):
        before, result, after = documents(self.run("T7: POST"))
        assert before["total_cache_entries"] == 0 and before["orphan_attr_count"] > 0, before
        assert result["operation_type"] == "full", result
        assert result["statistics"]["cache_entries_after"] > 0, result
        assert result["statistics"]["entries_created"] == before["total_attr_files"], result
        assert after["is_consistent"], after

    def t8(self):
        told = self.run("T8: POST")
        [result] = documents(told)
        counts = [line for line in told.splitlines() if re.fullmatch(r"\d+", line)]
        assert counts == ["1", "0"], told
        assert result["statistics"]["entries_deleted"] >= 1, result
        assert self.consistency()["is_consistent"]

    def t9(self):
        """With files enough that the rebuild is still running when expired ones are read."""
        ids = self.upload_many(MANY)
        urls = self.folder / "t9-urls"
        urls.write_text("".join(f'url = "{self.stand.address("se-01")}/api/v1/files/{file_id}"\n'
                                'output = "/dev/null"\n' for file_id in ids))
        reads = f'curl -s -K {urls} -H "Authorization: Bearer $TOKEN" &\n'
        text = self.block("T9: Priority")
        for _ in range(20):  # a rebuild may be over before the first of them is read
            self.sql("UPDATE storage_elem_01_files SET cache_updated_at = "
                     "now() - interval '100 hours'")
            told = self.shell.run(f"{reads}{text}\nwait\n")
            if eventually(lambda: "skipped due to lock" in self.log("se-01"), 2):
                break
        result = [one for one in documents(told) if one.get("operation_type") == "full"]
        assert result and result[0]["statistics"]["cache_entries_after"] > MANY, told
        assert "skipped due to lock" in self.log("se-01"), "no lazy rebuild was skipped"
        assert re.search(r"lock.*(skip|acquired)", told, re.IGNORECASE), told
        assert self.consistency()["is_consistent"]
        self.remark(f"full rebuild of {result[0]['statistics']['cache_entries_after']} files: "
                    f"{result[0]['duration_seconds']} s (wish: 1000 in less than 60 s)")

    # --- phase 5 --------------------------------------------------------------------------------

    def t10(self):
        told = documents(self.run("T10: Ingester"))
        file_id = self.shell.variable("FILE_ID")
        upload, metadata, fields, report = told
        assert upload["file_id"] == metadata["file_id"] == file_id, told
        assert fields["cache_updated_at"] and fields["cache_ttl_hours"], fields
        assert fields["cache_expired"] is False, fields
        assert report["is_consistent"], report

    def t11(self):
        # The plan does not wait, and need not; a search that comes too early would be a failure.
        told = self.run("T11: Query")
        assert self.shell.variable("FILE_ID") in told, told
        sums = re.findall(r"^([0-9a-f]{32})  ", told, re.MULTILINE)
        assert len(sums) == 2 and sums[0] == sums[1], told

    def t12(self):
        began = time.monotonic()
        text = self.block("T12: Lazy")
        assert "\nsleep 2\n" in text
        # The refresh runs beside, and on a busy machine it may take longer than two seconds.
        told = self.shell.run(text.replace("\nsleep 2\n", "\nsleep 8\n"))
        took = time.monotonic() - began
        answers = [line for line in told.splitlines() if line in ("true", "false")]
        assert answers == ["true", "false"], told
        assert "Lazy rebuild triggered for expired entry" in told, told
        metadata = self.call("GET", "se-01", "/api/v1/files/" + self.shell.variable("FILE_ID"))
        assert metadata["cache_expired"] is False, metadata
        self.remark(f"the block took {took:.1f} s, of which it sleeps 8")

    def wishes(self):
        """Incremental of 100 files in less than 10 s, one lazy refresh in less than 1 s."""
        self.sql("DELETE FROM storage_elem_01_files WHERE file_id IN "
                 "(SELECT file_id FROM storage_elem_01_files LIMIT 100)")
        result = self.call("POST", "se-01", "/api/v1/cache/rebuild/incremental", b"")
        assert result["statistics"]["entries_created"] == 100, result
        self.remark(f"incremental rebuild of 100 files: {result['duration_seconds']} s")
        assert result["duration_seconds"] < 10, result
        file_id = self.shell.variable("FILE_ID")
        self.sql("UPDATE storage_elem_01_files SET cache_updated_at = now() - interval "
                 f"'100 hours' WHERE file_id = '{file_id}'")
        began = time.monotonic()
        while self.call("GET", "se-01", "/api/v1/files/" + file_id)["cache_expired"]:
            assert time.monotonic() - began < 180, "the entry stays expired"
        took = time.monotonic() - began
        self.remark(f"lazy refresh of one entry: {took * 1000:.0f} ms")

    # --- phase 6 --------------------------------------------------------------------------------

    def validation(self):
        reports = documents(self.run("Финальная проверка консистентности"))
        assert len(reports) == 3 and all(one["is_consistent"] for one in reports), reports
        logs = self.run("Проверка логов")
        bad = [line for line in logs.splitlines()
               if re.search("error|exception|failed", line, re.IGNORECASE)]
        assert not bad, "\n".join(bad)
        assert re.search("cache.*rebuild", logs, re.IGNORECASE), logs
        listing = self.run("Проверка MinIO")
        assert listing.count(".attr.json") >= MANY, listing[:500]

    def end(self):
        self.run("Cleanup (опционально)")

    # --- the run --------------------------------------------------------------------------------

    def remark(self, text):
        self.results[-1][2].append(text)

    def steps(self):
        return [("Phase 1: the stand", self.prepare), ("Phase 2: baseline", self.baseline),
                ("T1: upload through the ingester", self.t1), ("T2: download", self.t2),
                ("T3: metadata", self.t3), ("T4: list", self.t4), ("T5: consistency", self.t5),
                ("T6: incremental rebuild", self.t6), ("T7: full rebuild", self.t7),
                ("T8: cleanup of expired entries", self.t8), ("T9: priority of locks", self.t9),
                ("T10: ingester to element", self.t10), ("T11: query to element", self.t11),
                ("T12: lazy rebuild", self.t12), ("Wishes", self.wishes),
                ("Phase 6: validation", self.validation),
                ("Failure procedure", self.saving), ("Phase 6: cleanup", self.end)]

    def whole(self):
        for name, step in self.steps():
            self.results.append([name, None, []])
            began = time.monotonic()
            try:
                step()
            except Exception:  # whatever it is, the plan stops here and keeps the state
                self.results[-1][1] = False
                self.remark(traceback.format_exc(limit=-1))
                saved = pathlib.Path(os.environ.get("ACCEPTANCE_FAILURE") or
                                     tempfile.mkdtemp(prefix="acceptance-failure-"))
                self.save(saved)
                print(f"what was there is kept in {saved}", file=sys.stderr)
                return False
            self.results[-1][1] = True
            print(f"PASS {name} ({time.monotonic() - began:.1f} s)", flush=True)
        return True

    def save(self, saved):
        """What the plan asks for at a failure: logs, reports, dumps and a listing."""
        saved.mkdir(parents=True, exist_ok=True)
        for name, container in CONTAINERS.items():
            if name in self.stand.ports and self.stand.log(name).exists():
                (saved / f"{container}.log").write_text(self.log(name))
        if self.shell is None:
            return
        for name in ELEMENTS:
            try:
                (saved / f"consistency_{name}.json").write_text(json.dumps(self.consistency(name)))
            except OSError as error:
                (saved / f"consistency_{name}.json").write_text(str(error))
        for database in DATABASES:
            with open(saved / f"{database}.sql", "w") as dump:
                subprocess.run(["pg_dump", self.stand.servers.database(database)], stdout=dump,
                               check=False)
        (saved / "objects").write_text("".join(f"{size} {key}\n"
                                               for key, size in self.bucket.objects()))

    def saving(self):
        """The failure procedure, so that it works on the day when it is needed."""
        saved = self.folder / "saved"
        self.save(saved)
        for container in CONTAINERS.values():
            assert (saved / f"{container}.log").stat().st_size > 0, container
        for name in ELEMENTS:
            assert "is_consistent" in json.loads((saved / f"consistency_{name}.json").read_text())
        for database in DATABASES:
            assert "CREATE TABLE" in (saved / f"{database}.sql").read_text(), database
        assert ".attr.json" in (saved / "objects").read_text()

    def report(self):
        """Beside the stand, and where ACCEPTANCE_REPORTS says."""
        passes = sum(bool(passed) for _, passed, _ in self.results)
        text = (f"# Results: hybrid cache synchronization\n\n{passes} of {len(self.steps())} steps "
                f"passed on {date.today()} with {results.version_of(self.stand.artcached)}: admin, "
                "three elements,\ningester and search on PostgreSQL, Redis and radosgw. "
                "`make acceptance` writes this page.\n\n" + results.table(self.results))
        (self.folder / REPORT).write_text(text)
        results.keep(REPORT, text)

    def close(self):
        self.report()
        self.stand.down()


def carry_out(plan):
    try:
        passed = plan.whole()
    finally:
        plan.close()
    if not passed:
        print((plan.folder / REPORT).read_text() + "".join(plan.results[-1][2]), file=sys.stderr)
    return passed


def main(artcached, folder):
    plan = Plan(pathlib.Path(artcached).resolve(), folder)
    if not carry_out(plan):
        return 1
    left = [block.title for number, block in enumerate(BLOCKS)
            if number not in plan.ran and "ФАЗА" in block.title]
    assert not left, f"no step runs {left}"
    return 0


if __name__ == "__main__":
    if len(sys.argv) > 2:
        pathlib.Path(sys.argv[2]).mkdir(parents=True)
        sys.exit(main(sys.argv[1], pathlib.Path(sys.argv[2]).resolve()))
    with tempfile.TemporaryDirectory(prefix="acceptance-") as place:
        sys.exit(main(sys.argv[1], pathlib.Path(place)))
