# SPDX-License-Identifier: Apache-2.0
"""Tests that this machine cannot run, said so that nobody takes them for run."""
import os
import shutil


def leave_out(test, needs, reason):
    """Skips the test. Where nothing may be left out (ARTCACHE_REQUIRE_SERVICES=1, as `make test`
    and CI set it) it fails instead, unless ARTCACHE_MAY_SKIP names what it needs."""
    required = os.environ.get("ARTCACHE_REQUIRE_SERVICES", "") not in ("", "0")
    if required and needs not in os.environ.get("ARTCACHE_MAY_SKIP", "").split():
        test.fail(f"{reason}; where that has to be, ARTCACHE_MAY_SKIP={needs}")
    test.skipTest(reason)


def need_program(test, program):
    """Leaves the test out where a program is not installed; scripts/setup does that."""
    if shutil.which(program) is None:
        leave_out(test, program, f"{program} is not there")
