"""What fails on a full disk names a path, though the system names none for a file that is open."""

from __future__ import annotations

import errno
import os

import pytest

from gitops.errors import describe_os_error


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "No space left on device: below /var/lib/x"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/var/lib/x/y"), "No space left on device: /var/lib/x/y"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), 7), "No space left on device: below /var/lib/x"),
        (TimeoutError(), "TimeoutError: below /var/lib/x"),
    ],
)
def test_a_failure_of_the_system_names_a_path(error: OSError, text: str) -> None:
    assert describe_os_error(error, "/var/lib/x") == text
