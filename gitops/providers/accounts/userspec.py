"""UserSpec: what is declared of a user account."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Dict, Optional, Tuple, cast

from gitops.model.attribute import attribute
from gitops.model.codec import Json
from gitops.model.secret import Text, text_to_json
from gitops.providers.shadow import AGEING


@dataclass(frozen=True)
class UserSpec:
    """A user account."""

    name: str
    uid: Optional[int] = attribute("integer", "numeric id", bounds=(0, 4294967294))
    group: Optional[str] = attribute("text", "primary group; a new user gets one of its own name")
    groups: Optional[Tuple[str, ...]] = attribute("texts", "supplementary groups, exactly these")
    home: Optional[str] = attribute("path", "home directory, made when the user is and is no system user")
    shell: Optional[str] = attribute("path", "login shell")
    system: bool = attribute("boolean", "a system account, when made", default=False)
    comment: Optional[str] = attribute("text", "full name")
    append: bool = attribute("boolean", "`groups` are added; membership in others stays", default=False)
    move_home: bool = attribute("boolean", "a changed `home` takes the files along", default=False)
    remove_home: bool = attribute(
        "boolean", "with `state: absent`: the home and the mail go too, which cannot be undone", default=False
    )
    password_hash: Any = attribute("secret", "the password's hash, as crypt gives it; only a reference to a secret")
    locked: Optional[bool] = attribute("boolean", "whether the password is locked; an account without one has nothing to lock")
    last_change: Optional[int] = attribute(
        "integer", "day of the last change, since 1970; 0 asks for a new password", bounds=(-1, 99999)
    )
    min_days: Optional[int] = attribute("integer", "days before the password may change again; -1 is none", bounds=(-1, 99999))
    max_days: Optional[int] = attribute("integer", "days until the password must change; -1 is never", bounds=(-1, 99999))
    warn_days: Optional[int] = attribute("integer", "days of warning before that; -1 is none", bounds=(-1, 99999))
    inactive_days: Optional[int] = attribute(
        "integer", "days after that until the account is closed; -1 is never", bounds=(-1, 99999)
    )
    expires: Optional[str] = attribute("text", "the day on which the account is closed (`2027-12-31`), or `never`")
    state: str = attribute("choice", "present or absent", default="present", choices=("present", "absent"))

    @cached_property
    def hash_json(self) -> Json:
        """The hash as the graph holds it, a reference; None when not declared."""
        return None if self.password_hash is None else text_to_json(cast(Text, self.password_hash))

    @property
    def ageing(self) -> Dict[str, Json]:
        """What is declared of the password's age, by name."""
        return {name: value for name, _, _ in AGEING for value in (cast(Json, getattr(self, name)),) if value is not None}

    @property
    def asks_shadow(self) -> bool:
        """Whether the shadow file must be read for it."""
        return self.state == "present" and (self.hash_json is not None or self.locked is not None or bool(self.ageing))
