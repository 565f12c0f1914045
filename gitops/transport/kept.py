"""Sessions kept open between a plan and its apply: a host is connected to once, and its executor started once.

At most so many; what does not fit, or died while somebody looked at the plan, is simply opened again.
"""

from __future__ import annotations

import contextlib
import threading

from gitops.transport.ssh import Session

MOST = 200


class KeptSessions:
    """See the module; safe in many threads."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}

    def put(self, host: str, session: Session) -> None:
        """Keep a host's session, or close it when there are enough."""
        with self._lock:
            is_kept = len(self._sessions) < self._most and host not in self._sessions
            if is_kept:
                self._sessions[host] = session
        if not is_kept:
            session.close()

    def take(self, host: str) -> Session | None:
        """Give a host's session away; None when there is none, or its connection is gone."""
        with self._lock:
            session = self._sessions.pop(host, None)
        if session is None or session.is_alive:
            return session
        session.close()
        return None

    def close(self) -> None:
        """Close what nobody took."""
        with self._lock:
            left, self._sessions = list(self._sessions.values()), {}
        with contextlib.ExitStack() as stack:
            for session in left:
                stack.callback(session.close)
