# SPDX-License-Identifier: Apache-2.0
"""Real servers for tests: PostgreSQL, Redis and Ceph radosgw on loopback, always cleaned up."""
