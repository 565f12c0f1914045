"""Host: the machine as providers see it. The executor implements it on the real one, tests on a fake one.

Placeholder of the seam's place: its methods are defined by the executor's needs and documented here.
"""

from __future__ import annotations

from typing import Protocol


class Host(Protocol):
    """The machine. (Methods follow with the executor.)"""
