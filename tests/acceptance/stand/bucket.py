# SPDX-License-Identifier: Apache-2.0
"""The bucket of the stand, past artcache: what is really in it, and things put there by hand."""

import pathlib
import sys
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "services"))
from artcache_services import sigv4  # noqa: E402

SPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


class Bucket:
    def __init__(self, environment):
        self.server = {name: environment["ARTCACHE_TEST_S3_" + name.upper()]
                       for name in ("endpoint", "access_key", "secret_key", "region")}
        self.name = environment["ARTCACHE_TEST_S3_BUCKET"]

    def ask(self, method, path, body=b"", **more):
        status, answer = sigv4.request(self.server, method, path, body, **more)
        if status >= 300:
            raise RuntimeError(f"{method} {path}: {status} {answer[:300]}")
        return answer

    def objects(self, prefix=""):
        """Keys below the prefix, each with its size."""
        token = None
        while True:
            query = {"list-type": "2", "prefix": prefix}
            if token:
                query["continuation-token"] = token
            page = xml.etree.ElementTree.fromstring(
                self.ask("GET", f"/{self.name}", query=query))
            for found in page.iter(SPACE + "Contents"):
                yield found.findtext(SPACE + "Key"), int(found.findtext(SPACE + "Size"))
            token = page.findtext(SPACE + "NextContinuationToken")
            if not token:
                return

    def get(self, key):
        return self.ask("GET", f"/{self.name}/{key}")

    def put(self, key, body):
        self.ask("PUT", f"/{self.name}/{key}", body)

    def remove(self, key):
        self.ask("DELETE", f"/{self.name}/{key}")

    def make(self, name):
        self.ask("PUT", f"/{name}")
