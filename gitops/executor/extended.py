"""Extended attributes of an open file or directory: read for the journal, kept for a new content, set as declared, put back.

A target is a descriptor, or its name in /proc where it could not be opened for reading. ACLs and labels are such attributes too.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import Dict, List, Mapping, Optional, Tuple, Union, cast

from gitops.errors import HostError
from gitops.executor.accounts import Accounts
from gitops.executor.posixacl import ACCESS, DEFAULT, decode_acl, encode_acl, name_declared
from gitops.model.acl import Acl, AclEntry, base_mode, complete_acl, shown_mode, split_mode
from gitops.model.codec import Json
from gitops.model.selinux import join_context
from gitops.providers.host import Attributes, Metadata

OF_CONTENT = ("security.capability", "security.ima")  # granted to, or measured from, these very bytes
OF_INODE = ("security.evm",)
INHERITED = (ACCESS, DEFAULT)  # from the default ACL of the folder
NO_ACLS = "the file system keeps no ACLs here"
NO_XATTRS = "the file system keeps no attributes of users here"
NO_LABELS = "the file system keeps no labels here"
LABEL = "security.selinux"
ANY_NAME = "user.any"

Target = Union[int, str]
Ids = Tuple[int, int]


def read_extended(target: Target, *, is_same_content: bool = False) -> Dict[str, Json]:
    """Give the extended attributes (ACLs and labels too), as hex: those that a new content should keep, or all that the same content may
    have again. A capability was granted to a program, not to whatever takes its place.
    """
    lost = OF_INODE if is_same_content else (*OF_INODE, *OF_CONTENT)
    found = {name: _get(target, name) for name in _list(target) if name not in lost}
    return {name: value.hex() for name, value in found.items() if value is not None}


def set_extended(target: Target, values: Mapping[str, Json]) -> None:
    """Give something new the extended attributes of what was there: an ACL that it got from its folder and that was not there goes, or
    who could not read the old could read the new. Labels that only the system may set are left to it.
    """
    for name in _list(target):
        if name in INHERITED and name not in values:
            os.removexattr(target, name)
    for name, value in values.items():
        if name not in OF_CONTENT:
            _set_attribute(target, name, value)


def put_back(target: Target, values: Mapping[str, Json]) -> None:
    """Give something that stayed the extended attributes that it had; what came since goes, but for what belongs to its content."""
    for name in _list(target):
        if name not in values and (name in INHERITED or name.startswith("user.")):
            os.removexattr(target, name)
        elif name not in values and name == LABEL:
            with suppress(PermissionError):  # where SELinux runs nothing is without one
                os.removexattr(target, name)
    there = read_extended(target)
    for name, value in values.items():
        if name not in OF_CONTENT and there.get(name) != value:
            _set_attribute(target, name, value)


def set_of_content(target: Target, values: Mapping[str, Json]) -> None:
    """Set what belongs to a content, after its owner: a file that changes hands loses it."""
    for name, value in values.items():
        if name in OF_CONTENT:
            _set_attribute(target, name, value)


def join_extended(own: Json, of_content: Json) -> Dict[str, Json]:
    """Give an image's attributes, and those that belong to its content from the image that kept the content."""
    table, other = cast("Mapping[str, Json]", own or {}), cast("Mapping[str, Json]", of_content or {})
    return {**table, **{name: value for name, value in other.items() if name in OF_CONTENT}}


def read_attributes(target: Target, declared: Metadata, accounts: Accounts) -> Attributes:
    """Give what is there of that which is declared."""
    acl = declared.acl if declared.acl is not None and _is_supported(target, ACCESS) else None
    names = declared.xattrs if declared.xattrs is not None and _is_supported(target, ANY_NAME) else None
    found = {name: value for name in names or () for value in (_get(target, name),) if value is not None}
    return Attributes(
        acl=None if acl is None else _read_acl(target, acl, accounts),
        xattrs=None if names is None else found,
        selinux=_read_label(target) if declared.selinux else "",
    )


def apply_metadata(target: Target, uid: int, gid: int, mode: int) -> None:
    """Set owner, then mode: changing the owner clears setuid and setgid."""
    if uid >= 0 or gid >= 0:
        os.chown(target, uid, gid)
    os.chmod(target, mode)


def apply_declared(target: Target, metadata: Metadata, ids: Ids, mode: int, accounts: Accounts) -> None:
    """Set owner (-1: as it is) and mode, and all that is declared beside them. Without a declared mode this one is the machine's, in which
    the mask of a list may stand.
    """
    if metadata.xattrs:
        _set_xattrs(target, metadata.xattrs)  # while it may still be written
    if ids != (-1, -1):
        os.chown(target, *ids)
    if metadata.acl is not None:
        mode = _set_acl(target, metadata, mode, accounts)
    os.chmod(target, mode)
    if metadata.selinux:
        _set_label(target, metadata.selinux)  # last: with it somebody else's rules begin


def apply_new(target: Target, metadata: Metadata, ids: Ids, mode: int, accounts: Accounts) -> None:
    """Do so to something new; a declared list is not mixed with the one that it got from its folder."""
    if metadata.acl is not None:
        set_extended(target, {})
    apply_declared(target, metadata, ids, mode, accounts)


def change_declared(target: Target, metadata: Metadata, ids: Ids, mode: int, accounts: Accounts) -> None:
    """Do so to something in its place: all of it or nothing."""
    info, before = os.stat(target), read_extended(target)
    try:
        apply_declared(target, metadata, ids, mode, accounts)
    except BaseException:
        with suppress(OSError):  # what cannot be put back was not changed either, as on a disk that takes no writes
            put_back(target, before)
        with suppress(OSError):
            apply_metadata(target, info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode))
        raise


def _set_acl(target: Target, metadata: Metadata, mode: int, accounts: Accounts) -> int:
    """Set both lists; give the mode that the machine shows then."""
    found = _read_acl(target, (), accounts)
    base = mode if metadata.mode else base_mode(mode, found)
    wanted = complete_acl(metadata.acl or (), found, base)
    access = [entry for entry in wanted if not entry.is_default]
    default = [entry for entry in wanted if entry.is_default]
    if access or any(not entry.is_default for entry in found):  # the list of a mode alone is none: the kernel drops it
        _set_value(target, ACCESS, encode_acl(access or split_mode(base), accounts), NO_ACLS)
    if default:
        _set_value(target, DEFAULT, encode_acl(default, accounts), NO_ACLS)
    elif any(entry.is_default for entry in found):
        os.removexattr(target, DEFAULT)
    return shown_mode(base, wanted)


def _read_acl(target: Target, declared: Acl, accounts: Accounts) -> Acl:
    names = name_declared(declared, accounts)
    found: List[AclEntry] = []
    for name in INHERITED:
        data = _get(target, name)
        if data is not None:
            found.extend(decode_acl(data, accounts, names, is_default=name == DEFAULT))
    return tuple(found)


def _set_xattrs(target: Target, wanted: Mapping[str, Optional[str]]) -> None:
    there = _list(target)
    for name, text in wanted.items():
        if text is not None:
            _set_value(target, name, text.encode("utf-8"), NO_XATTRS)
        elif name in there:
            os.removexattr(target, name)


def _set_label(target: Target, declared: str) -> None:
    found = _read_label(target)
    wanted = join_context(declared, found)
    if not wanted:
        raise HostError("it has no label whose type could be changed", code="E351", hint="declare a whole context")
    if wanted == found:
        return
    try:
        _set_value(target, LABEL, wanted.encode("ascii") + b"\0", NO_LABELS)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise HostError(f"the policy of this machine does not know {wanted}", code="E352") from error


def _read_label(target: Target) -> str:
    return (_get(target, LABEL) or b"").rstrip(b"\0").decode("ascii", "replace")


def _set_value(target: Target, name: str, data: bytes, unsupported: str) -> None:
    try:
        os.setxattr(target, name, data)
    except AttributeError as error:
        raise HostError(unsupported, code="E350", hint="attributes are for Linux") from error
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            raise HostError(unsupported, code="E350") from error
        raise


def _is_supported(target: Target, name: str) -> bool:
    """Say whether the file system keeps attributes of this family at all."""
    try:
        os.getxattr(target, name)
    except AttributeError:  # Python has them on Linux only; so below
        return False
    except OSError as error:
        return error.errno != errno.ENOTSUP
    return True


def _list(target: Target) -> List[str]:
    """List the names; none where the file system has no such attributes."""
    try:
        return os.listxattr(target)
    except AttributeError:
        return []
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return []
        raise


def _get(target: Target, name: str) -> Optional[bytes]:
    try:
        return os.getxattr(target, name)
    except AttributeError:
        return None
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.ENOTSUP):
            return None
        raise


def _set_attribute(target: Target, name: str, value: Json) -> None:
    try:
        os.setxattr(target, name, bytes.fromhex(str(value)))
    except PermissionError:
        if not name.startswith(("security.", "trusted.")):
            raise
