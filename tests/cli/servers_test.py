#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The command line on files and a bucket, with SQLite and PostgreSQL: all four combinations.

usage: servers_test.py ARTCACHE, run by `services run --need postgres --need radosgw`
"""

import json
import os
import subprocess
import sys
import tempfile
import unittest
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "services"))
from artcache_services import sigv4  # noqa: E402

PROGRAM = ""
FILES = 40


def run(*arguments, env=None, check=None):
    done = subprocess.run([PROGRAM, *map(str, arguments)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False,
                          env=os.environ if env is None else env)
    if check is not None:
        assert done.returncode == check, f"{arguments}: {done.returncode}\n{done.stderr}"
    return done


def answer(*arguments, check=0):
    return json.loads(run(*arguments, "--json", "-q", check=check).stdout)


def psql(sql):
    done = subprocess.run(["psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class Bucket:
    """A prefix of its own in the bucket of the fixture."""

    def __init__(self):
        self.prefix = f"cli-{uuid.uuid4().hex}"
        self.bucket = os.environ["ARTCACHE_TEST_S3_BUCKET"]
        self.s3 = {"endpoint": os.environ["ARTCACHE_TEST_S3_ENDPOINT"],
                   "region": os.environ["ARTCACHE_TEST_S3_REGION"],
                   "access_key": os.environ["ARTCACHE_TEST_S3_ACCESS_KEY"],
                   "secret_key": os.environ["ARTCACHE_TEST_S3_SECRET_KEY"]}
        self.address = f"s3://{self.bucket}/{self.prefix}"

    def request(self, method, path, body=b""):
        status, said = sigv4.request(self.s3, method, f"/{self.bucket}/{self.prefix}/{path}", body)
        assert status in (200, 204), f"{method} {path}: {status} {said!r}"

    def put(self, path, body):
        self.request("PUT", path, body)

    def remove(self, path):
        self.request("DELETE", path)


class Folder:
    def __init__(self, path):
        self.path, self.address = Path(path), f"file://{path}"

    def put(self, path, body):
        (self.path / path).parent.mkdir(parents=True, exist_ok=True)
        (self.path / path).write_bytes(body)

    def remove(self, path):
        (self.path / path).unlink()


class OnServers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        run("sample", cls.folder / "sample", FILES, check=0)
        cls.sample = {str(p.relative_to(cls.folder / "sample")): p.read_bytes()
                      for p in sorted((cls.folder / "sample").rglob("*")) if p.is_file()}

    def storages(self):
        for storage in (Folder(self.folder / uuid.uuid4().hex), Bucket()):
            for path, body in self.sample.items():
                storage.put(path, body)
            yield storage

    def indexes(self):
        name = uuid.uuid4().hex
        yield f"sqlite://{self.folder}/{name}.db"
        yield self.on_postgres(f"cli_{name}")

    def on_postgres(self, prefix):
        base = os.environ["ARTCACHE_TEST_POSTGRES"].split("?")[0]
        return f"{base}?prefix={prefix}&owners={self.folder}"

    def test_every_verb_answers_on_every_combination(self):
        for storage in self.storages():
            for index in self.indexes():
                with self.subTest(storage=storage.address, index=index.split(":")[0]):
                    self.every_verb(storage, index)

    def every_verb(self, storage, index):
        both = ("--storage", storage.address, "--index", index)
        made = answer("rebuild", *both)
        self.assertEqual(made["statistics"]["entries_created"], FILES)
        self.assertTrue(answer("check", "--data", *both)["is_consistent"])
        again = answer("rebuild", "--incremental", *both)
        self.assertEqual(again["statistics"]["entries_changed"], 0)
        one = sorted(path for path in self.sample if path.endswith(".attr.json"))[3]
        self.mend(storage, both, one)
        row = self.look(index)
        self.assertEqual(answer("get", row["file_id"], "--index", index), row)
        content = run("get", row["file_id"], *both, "--content", "-", check=0).stdout
        self.assertEqual(len(content.encode()), row["file_size"])
        self.assertEqual(answer("cleanup", *both)["statistics"]["entries_deleted"], 0)

    def look(self, index):
        """One row, found by list and by search."""
        rows = [json.loads(line) for line in
                run("list", "--index", index, "--json", check=0).stdout.splitlines()]
        self.assertEqual(len({row["file_id"] for row in rows}), FILES)
        found = run("search", rows[5]["file_id"], "--index", index, "--json", check=0).stdout
        self.assertEqual(json.loads(found)["file_id"], rows[5]["file_id"])
        texts = [row for row in rows if row["content_type"].startswith("text/")]
        return (texts or rows)[0]

    def mend(self, storage, both, path):
        """A sidecar that is gone is found, and either side is mended by the other."""
        storage.remove(path)
        self.assertEqual(answer("check", *both, check=2)["orphan_cache_count"], 1)
        self.assertEqual(answer("repair", "--from", "index", *both)["sidecars_written"], 1)
        self.assertTrue(answer("check", *both)["is_consistent"])
        storage.put(path, self.sample[path])
        answer("rebuild", "--incremental", *both)
        storage.remove(path)
        self.assertEqual(answer("repair", *both)["entries_removed"], 1)
        storage.put(path, self.sample[path])
        answer("rebuild", "--incremental", *both)
        self.assertTrue(answer("check", *both)["is_consistent"])

    def test_an_operator_truncates_and_ages_the_table_by_hand(self):
        storage = Bucket()
        for path, body in self.sample.items():
            if path.endswith(".attr.json"):
                storage.put(path, body)
        prefix = f"storage_elem_{uuid.uuid4().hex[:8]}"
        both = ("--storage", storage.address, "--index", self.on_postgres(prefix))
        answer("rebuild", *both)
        seq = int(psql(f"SELECT seq FROM {prefix}_head"))
        psql(f"TRUNCATE {prefix}_files CASCADE")
        report = answer("check", *both, check=2)
        self.assertEqual(report["orphan_attr_count"], FILES)
        self.assertFalse(report["trusted"])
        kinds = psql(f"SELECT c.kind FROM {prefix}_log l JOIN {prefix}_change c ON c.id = l.change "
                     f"WHERE l.seq > {seq}")
        self.assertEqual(kinds, "2", "one reset")
        answer("rebuild", *both)
        self.assertTrue(answer("check", *both)["is_consistent"])

        head = psql(f"SELECT epoch, seq, digest FROM {prefix}_head")
        psql(f"UPDATE {prefix}_files SET cache_updated_at = now() - interval '100 hours' "
             f"WHERE file_id IN (SELECT file_id FROM {prefix}_files LIMIT 7)")
        report = answer("check", *both)
        self.assertTrue(report["is_consistent"])
        self.assertEqual(report["expired_cache_count"], 7)
        self.assertEqual(psql(f"SELECT epoch, seq, digest FROM {prefix}_head"), head)
        self.assertEqual(answer("cleanup", *both)["statistics"]["entries_refreshed"], 7)
        self.assertEqual(answer("check", *both)["expired_cache_count"], 0)
        self.assertEqual(psql(f"SELECT epoch, seq, digest FROM {prefix}_head"), head)

    def test_a_copy_in_either_engine_is_made_kept_in_step_and_proven(self):
        for at, source in enumerate(self.indexes()):
            for to, copy in enumerate(self.indexes()):
                with self.subTest(source=source.split(":")[0], copy=copy.split(":")[0]):
                    self.copied(source, copy, Folder(self.folder / f"copied-{at}-{to}"))

    def copied(self, source, copy, storage):
        for path, body in self.sample.items():
            storage.put(path, body)
        answer("rebuild", "--storage", storage.address, "--index", source)
        first = answer("sync", "--from", source, "--index", copy)
        self.assertEqual((first["in_step"], first["snapshots"]), (True, 1))
        sidecars = [path for path in self.sample if path.endswith(".attr.json")]
        for path in sidecars[:3]:
            entry = json.loads(self.sample[path])
            storage.put(path, json.dumps({**entry, "description": "for its copy"}).encode())
        storage.remove(sidecars[3])
        answer("rebuild", "--storage", storage.address, "--index", source)
        second = answer("sync", "--from", source, "--index", copy)
        self.assertEqual((second["applied"], second["snapshots"], second["mendings"]), (4, 0, 0))
        digests = [json.loads(run("doctor", "--index", each, "--json").stdout)["position"]
                   .split("/")[2] for each in (source, copy)]
        self.assertEqual(*digests)
        found = run("search", "copy", "--index", copy, "--json", check=0).stdout.splitlines()
        self.assertEqual(len(found), 3)

    def test_keys_come_from_the_environment_or_a_file_and_never_show(self):
        storage = Bucket()
        for path, body in list(self.sample.items())[:4]:
            storage.put(path, body)
        bare = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        bare["HOME"] = str(self.folder / "home")
        place = f"{storage.address}?endpoint={storage.s3['endpoint']}"
        index = f"sqlite://{self.folder}/{uuid.uuid4().hex}.db"

        def tried(env, address=place):
            done = run("rebuild", "--storage", address, "--index", index, "-v", env={**bare, **env})
            for text in (done.stdout, done.stderr):
                self.assertNotIn("hush", text)
                self.assertNotIn(storage.s3["secret_key"] + "@", text)
            return done

        keys = {"AWS_ACCESS_KEY_ID": storage.s3["access_key"],
                "AWS_SECRET_ACCESS_KEY": storage.s3["secret_key"]}
        self.assertNotEqual(tried({}).returncode, 0)
        self.assertEqual(tried(keys).returncode, 0)
        self.assertEqual(tried({**keys, "AWS_ENDPOINT_URL": storage.s3["endpoint"],
                                "AWS_REGION": storage.s3["region"]}, storage.address).returncode, 0)
        wrong = tried({**keys, "AWS_SECRET_ACCESS_KEY": "hush"})
        self.assertEqual(wrong.returncode, 1)
        self.assertIn("secret key is wrong", wrong.stderr)
        half = tried({"AWS_SECRET_ACCESS_KEY": "hush"})
        self.assertIn("without AWS_ACCESS_KEY_ID", half.stderr)
        wrong = tried({**keys, "AWS_ACCESS_KEY_ID": "x", "AWS_SESSION_TOKEN": "hush/hush=="})
        self.assertEqual(wrong.returncode, 1)

        file = self.folder / "credentials"
        file.write_text("[default]\naws_access_key_id = x\naws_secret_access_key = hush\n[good]\n"
                        f"aws_access_key_id = {storage.s3['access_key']}\n"
                        f"aws_secret_access_key = {storage.s3['secret_key']}\n")
        named = {"AWS_SHARED_CREDENTIALS_FILE": str(file)}
        self.assertEqual(tried({**named, "AWS_PROFILE": "good"}).returncode, 0)
        self.assertIn("access key is not known", tried(named).stderr)
        (self.folder / "home" / ".aws").mkdir(parents=True)
        file.rename(self.folder / "home" / ".aws" / "credentials")
        self.assertEqual(tried({"AWS_PROFILE": "good"}).returncode, 0)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=1)
