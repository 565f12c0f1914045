"""Which database of accounts a machine has: Open Directory on macOS, else the files."""

from __future__ import annotations

from typing import Mapping

from gitops.providers.accounts.database import GroupDatabase, UserDatabase
from gitops.providers.accounts.directorygroups import DirectoryGroups
from gitops.providers.accounts.directoryusers import DirectoryUsers
from gitops.providers.accounts.dscl import PROGRAM
from gitops.providers.accounts.filegroups import FileGroups
from gitops.providers.accounts.fileusers import FileUsers
from gitops.providers.host import Host

FILES, DIRECTORY = "files", "opendirectory"
USERS: Mapping[str, UserDatabase] = {FILES: FileUsers(), DIRECTORY: DirectoryUsers()}
GROUPS: Mapping[str, GroupDatabase] = {FILES: FileGroups(), DIRECTORY: DirectoryGroups()}


def find_users(host: Host) -> UserDatabase:
    """Give this machine's database of users."""
    return USERS[_find_name(host)]


def find_groups(host: Host) -> GroupDatabase:
    """Give this machine's database of groups."""
    return GROUPS[_find_name(host)]


def _find_name(host: Host) -> str:
    return DIRECTORY if host.inspect(PROGRAM).type == "file" else FILES
