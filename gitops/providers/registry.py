"""The table of kinds. A new kind is one file and one row here."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Tuple

from gitops.providers.base import Provider
from gitops.providers.block import BlockProvider
from gitops.providers.command import CommandProvider
from gitops.providers.cron import CronProvider
from gitops.providers.directory import DirectoryProvider
from gitops.providers.external import ExternalProvider
from gitops.providers.file import FileProvider
from gitops.providers.group import GroupProvider
from gitops.providers.host_entry import HostEntryProvider
from gitops.providers.kernel_module import KernelModuleProvider
from gitops.providers.line import LineProvider
from gitops.providers.package import PackageProvider
from gitops.providers.service import ServiceProvider
from gitops.providers.ssh_authorized_key import SshAuthorizedKeyProvider
from gitops.providers.symlink import SymlinkProvider
from gitops.providers.sysctl import SysctlProvider
from gitops.providers.systemd_unit import SystemdUnitProvider
from gitops.providers.user import UserProvider


def list_providers(*, runs_guards: bool = False) -> Tuple[Provider[Any], ...]:
    """Give all providers; `runs_guards` lets commands ask their guards while observing."""
    return (
        BlockProvider(),
        CommandProvider(runs_guards=runs_guards),
        CronProvider(),
        DirectoryProvider(),
        ExternalProvider(runs_guards=runs_guards),
        FileProvider(),
        GroupProvider(),
        HostEntryProvider(),
        KernelModuleProvider(),
        LineProvider(),
        PackageProvider(),
        ServiceProvider(),
        SshAuthorizedKeyProvider(),
        SymlinkProvider(),
        SysctlProvider(),
        SystemdUnitProvider(),
        UserProvider(),
    )


def make_registry(*, runs_guards: bool = False) -> Mapping[str, Provider[Any]]:
    """Give all providers by kind."""
    found: Dict[str, Provider[Any]] = {item.kind: item for item in list_providers(runs_guards=runs_guards)}
    return found


PROVIDERS: Mapping[str, Provider[Any]] = make_registry()
