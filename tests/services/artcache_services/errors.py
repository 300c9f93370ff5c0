# SPDX-License-Identifier: Apache-2.0
"""What can go wrong, as one clear line saying what and what to do."""


class ServiceError(Exception):
    """Its text is for the person at the terminal."""


class PortTaken(ServiceError):
    """A server could not bind its port: another port may work."""
