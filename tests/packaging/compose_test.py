# SPDX-License-Identifier: Apache-2.0
"""The compose file is one, its processes understand every setting, and it is the stand of the
acceptance plan; the image has the libraries that the program needs.

usage: compose_test.py ARTCACHED
"""

import pathlib
import re
import shutil
import subprocess
import sys
import unittest

try:
    import yaml
except ImportError:
    sys.exit(77)

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/acceptance/stand"))

from stand import ACCOUNT, CONTAINERS, ELEMENTS, GIB  # noqa: E402

DAEMON = ""
PORTS = {"admin": "8000:8000", "se-01": "8010:8010", "se-02": "8011:8010", "se-03": "8012:8010",
         "ingester": "8020:8020", "query": "8030:8030"}


def filled(value):
    """With what stands behind :- where a variable is asked for."""
    if isinstance(value, dict):
        return {key: filled(one) for key, one in value.items()}
    if isinstance(value, list):
        return [filled(one) for one in value]
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value) if isinstance(value, str) else value


COMPOSE = filled(yaml.safe_load((ROOT / "packaging/compose.yaml").read_text()))
SERVICES = COMPOSE["services"]
OURS = {name: one for name, one in SERVICES.items() if one["image"].startswith("artcache:")}


def artcached(service, flag):
    return subprocess.run([DAEMON, *service["command"], flag], env=service["environment"],
                          capture_output=True, text=True, check=False)


class Compose(unittest.TestCase):
    def test_every_process_takes_its_settings(self):
        for name, service in OURS.items():
            done = artcached(service, "--check-config")
            self.assertEqual((done.returncode, done.stderr), (0, ""), name)

    def test_every_variable_is_one_that_its_process_reads(self):
        for name, service in OURS.items():
            told = artcached(service, "--print-config").stdout
            read = set(re.findall(r"  # ([A-Z][A-Z0-9_]*)$", told, re.MULTILINE))
            self.assertEqual(set(service["environment"]) - read, set(), name)

    def test_a_variable_that_nobody_reads_would_be_found(self):
        service = OURS["query-module"]
        wrong = {**service, "environment": {**service["environment"], "QUERY_PROT": "1"}}
        self.assertNotIn("QUERY_PROT", artcached(wrong, "--print-config").stdout)

    def test_what_it_speaks_of_is_there(self):
        for name, service in SERVICES.items():
            self.assertEqual(set(service.get("depends_on", ())) - set(SERVICES), set(), name)
            for volume in service.get("volumes", ()):
                source = volume.split(":")[0]
                there = ((ROOT / "packaging" / source).is_file() if source.startswith(".")
                         else source in COMPOSE["volumes"])
                self.assertTrue(there, volume)
            for word in re.findall(r"(?:http|redis|postgresql)://(?:[^@/\s]*@)?([\w-]+)[:/]",
                                   str(service)):
                self.assertIn(word, {*SERVICES, "127"}, name)
        for service in OURS.values():
            build = service["build"]
            context = (ROOT / "packaging" / build["context"]).resolve()
            self.assertTrue((context / build["dockerfile"]).is_file())

    def test_it_is_the_stand_of_the_acceptance_plan(self):
        self.assertEqual(set(OURS), set(CONTAINERS.values()))
        for role, container in CONTAINERS.items():
            service = OURS[container]
            self.assertEqual(service["container_name"], container)
            self.assertEqual(service["ports"], ["127.0.0.1:" + PORTS[role]])
        for element, told in ELEMENTS.items():
            said = OURS[CONTAINERS[element]]["environment"]
            number = told["number"]
            self.assertEqual(
                [said[name] for name in ("STORAGE_ELEMENT_ID", "APP_MODE", "STORAGE_PRIORITY",
                                         "STORAGE_MAX_SIZE", "DB_TABLE_PREFIX",
                                         "STORAGE_S3_APP_FOLDER", "STORAGE_EXTERNAL_ENDPOINT")],
                [element, told["mode"], str(told["priority"]), str(GIB),
                 f"storage_elem_{number}", f"storage_element_{number}",
                 f"http://{CONTAINERS[element]}:8010"])
        admin = OURS["admin-module"]["environment"]
        self.assertEqual((admin["INITIAL_ACCOUNT_CLIENT_ID"], admin["INITIAL_ACCOUNT_PASSWORD"]),
                         ACCOUNT)
        for name in set(OURS) - {"admin-module"}:
            said = OURS[name]["environment"]
            self.assertEqual((said["SERVICE_ACCOUNT_CLIENT_ID"],
                              said["SERVICE_ACCOUNT_CLIENT_SECRET"]), ACCOUNT, name)

    def test_each_database_is_made(self):
        made = set(re.findall(r"CREATE DATABASE (\w+)",
                              (ROOT / "packaging/compose/databases.sql").read_text()))
        made.add(SERVICES["postgres"]["environment"]["POSTGRES_DB"])
        used = {one for service in OURS.values() for one in
                re.findall(r"@postgres:5432/(\w+)", str(service["environment"]))}
        used |= {service["environment"]["DB_DATABASE"] for service in OURS.values()
                 if "DB_DATABASE" in service["environment"]}
        self.assertEqual(made, used)


def packages_of(libraries):
    told = subprocess.run(["dpkg-query", "--search", *libraries], capture_output=True, text=True,
                          check=False).stdout
    return {line.split(":")[0] for line in told.splitlines()}


@unittest.skipUnless(shutil.which("dpkg-query") and
                     "bookworm" in pathlib.Path("/etc/os-release").read_text(),
                     "the image is Debian 12, and this is not")
class Image(unittest.TestCase):
    def test_it_has_the_libraries_that_the_program_names(self):
        containerfile = (ROOT / "packaging/Containerfile").read_text()
        installed = set(re.search(r"--no-install-recommends(.*?)&&", containerfile,
                                  re.DOTALL)[1].replace("\\", "").split())
        header = subprocess.run(["readelf", "--dynamic", DAEMON], capture_output=True, text=True,
                                check=True).stdout
        named = re.findall(r"\(NEEDED\).*\[(.*)\]", header)
        self.assertGreater(len(named), 5)
        base = {"libc6", "libstdc++6", "libgcc-s1"}
        needed = packages_of([f"/usr/lib/*/{name}" for name in named]) | packages_of(
            [f"/lib/*/{name}" for name in named])
        self.assertGreater(len(needed), 5)
        self.assertEqual(needed - installed - base, set())


if __name__ == "__main__":
    DAEMON = sys.argv.pop(1)
    unittest.main(verbosity=1)
