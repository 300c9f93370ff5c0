# SPDX-License-Identifier: Apache-2.0
"""Alert rules and dashboard speak of metrics that there are, and every alert has a test."""

import json
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
ALERTS = ROOT / "packaging/prometheus"
RULES = "".join(path.read_text() for path in sorted(ALERTS.glob("*.rules.yml")))
TESTS = "".join(path.read_text() for path in sorted(ALERTS.glob("*.test.yml")))
PAGE = (ROOT / "docs/operations/watching.md").read_text()
DASHBOARD = json.loads((ROOT / "packaging/grafana/artcache-sync.json").read_text())
METRIC = re.compile(r"\b(?:artstore|artcache_schedule|ingester|qm|storage)_[a-z_]+")
# What follows elements begins the names of its metrics as the role says that has it.
FIRST_PART = re.compile(r'\.metrics = "([a-z_]+)"')
OTHER_PART = re.compile(r'(?:\b(?:gauge|metric)\(|\bk[A-Z]\w+ = )"([a-z_]+)"')


def exported():
    text = "".join(path.read_text() for folder in ("daemon", "src")
                   for path in (ROOT / folder).rglob("*.cpp"))
    composed = {first + other for first in FIRST_PART.findall(text)
                for path in (ROOT / "daemon/common").glob("*.cpp")
                for other in OTHER_PART.findall(path.read_text())}
    return set(METRIC.findall(text)) | composed


def base(name):
    return re.sub(r"_(bucket|count|sum)$", "", name)


class Monitoring(unittest.TestCase):
    def test_every_metric_in_an_alert_is_exported(self):
        used = {base(name) for name in METRIC.findall(RULES)}
        self.assertGreater(len(used), 5)
        self.assertEqual(used - exported(), set())

    def test_every_metric_on_the_dashboard_is_exported(self):
        used = {base(name) for panel in DASHBOARD["panels"] for target in panel["targets"]
                for name in METRIC.findall(target["expr"])}
        self.assertGreater(len(used), 10)
        self.assertEqual(used - exported(), set())

    def test_panels_have_ids_and_places_of_their_own(self):
        panels = DASHBOARD["panels"]
        self.assertEqual(len({panel["id"] for panel in panels}), len(panels))
        cells = [(x, y) for panel in panels
                 for place in [panel["gridPos"]]
                 for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])]
        self.assertEqual(len(cells), len(set(cells)))

    def test_every_alert_has_a_test_in_which_it_fires(self):
        alerts = set(re.findall(r"- alert: (\w+)", RULES))
        self.assertGreaterEqual(len(alerts), 6)
        told = set(re.findall(r"^\| `(Artcache\w+)` \|", PAGE, re.MULTILINE))
        self.assertEqual(alerts, told)
        fired = set(re.findall(r"alertname: (\w+)\n\s+exp_alerts:\n", TESTS))
        self.assertEqual(alerts - fired, set())


if __name__ == "__main__":
    unittest.main(verbosity=1)
