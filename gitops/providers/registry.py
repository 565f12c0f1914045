"""The table of kinds. A new kind is one file and one row here.

A kind's file is imported when the kind is first asked for: a machine starts a run with what its own graph names, since importing
all kinds would cost a third of the time of a run that has nothing to do.
"""

from __future__ import annotations

from typing import Any, Dict, Iterator, Mapping, Tuple

from gitops.providers.base import Provider

KINDS: Mapping[str, Tuple[str, str]] = {
    "apt_repository": ("gitops.providers.apt_repository", "AptRepositoryProvider"),
    "archive": ("gitops.providers.archive", "ArchiveProvider"),
    "block": ("gitops.providers.block", "BlockProvider"),
    "command": ("gitops.providers.command", "CommandProvider"),
    "cron": ("gitops.providers.cron", "CronProvider"),
    "directory": ("gitops.providers.directory", "DirectoryProvider"),
    "download": ("gitops.providers.download", "DownloadProvider"),
    "external": ("gitops.providers.external", "ExternalProvider"),
    "file": ("gitops.providers.file", "FileProvider"),
    "git_checkout": ("gitops.providers.git_checkout", "GitCheckoutProvider"),
    "group": ("gitops.providers.group", "GroupProvider"),
    "host_entry": ("gitops.providers.host_entry", "HostEntryProvider"),
    "hostname": ("gitops.providers.hostname", "HostnameProvider"),
    "kernel_module": ("gitops.providers.kernel_module", "KernelModuleProvider"),
    "line": ("gitops.providers.line", "LineProvider"),
    "locale": ("gitops.providers.locale", "LocaleProvider"),
    "mount": ("gitops.providers.mount", "MountProvider"),
    "package": ("gitops.providers.package", "PackageProvider"),
    "reboot": ("gitops.providers.reboot", "RebootProvider"),
    "service": ("gitops.providers.service", "ServiceProvider"),
    "ssh_authorized_key": ("gitops.providers.ssh_authorized_key", "SshAuthorizedKeyProvider"),
    "symlink": ("gitops.providers.symlink", "SymlinkProvider"),
    "sysctl": ("gitops.providers.sysctl", "SysctlProvider"),
    "systemd_unit": ("gitops.providers.systemd_unit", "SystemdUnitProvider"),
    "timer": ("gitops.providers.timer", "TimerProvider"),
    "timezone": ("gitops.providers.timezone", "TimezoneProvider"),
    "user": ("gitops.providers.user", "UserProvider"),
    "yum_repository": ("gitops.providers.yum_repository", "YumRepositoryProvider"),
}
GUARDED = ("command", "external")


class Registry(Mapping[str, Provider[Any]]):
    """All providers by kind; `runs_guards` lets those that have guards ask them while observing."""

    def __init__(self, *, runs_guards: bool = False) -> None:
        self._runs_guards = runs_guards
        self._made: Dict[str, Provider[Any]] = {}

    def __getitem__(self, kind: str) -> Provider[Any]:
        found = self._made.get(kind)
        if found is None:
            module, name = KINDS[kind]
            make: Any = getattr(__import__(module, fromlist=[name]), name)
            found = make(runs_guards=self._runs_guards) if kind in GUARDED else make()
            self._made[kind] = found
        return found

    def __contains__(self, kind: object) -> bool:
        return kind in KINDS

    def __iter__(self) -> Iterator[str]:
        return iter(KINDS)

    def __len__(self) -> int:
        return len(KINDS)


def make_registry(*, runs_guards: bool = False) -> Mapping[str, Provider[Any]]:
    """Give all providers by kind."""
    return Registry(runs_guards=runs_guards)


PROVIDERS: Mapping[str, Provider[Any]] = make_registry()
