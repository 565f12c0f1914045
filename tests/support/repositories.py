"""Tiny packages for dnf, zypper and pacman, built inside a host of the suite `many` or one of zypper's with the real tools."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.support.hosts import TestHost

TALKATIVE = tuple(f"talkative-{number}" for number in range(30))
RPMS, ARCHIVES = "/srv/rpms", "/srv/archives"
RPM_SOURCE = f"[tiny]\nname=tiny\nbaseurl=file://{RPMS}\nenabled=1\ngpgcheck=0\n"


@dataclass(frozen=True)
class Small:
    """One version of a package; `needs`, `conflicts` and `replaces` (rpm) are names."""

    name: str
    version: str
    epoch: int = 0
    needs: str = ""
    conflicts: str = ""
    replaces: str = ""


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def make_fedora(host: TestHost, *packages: Small) -> None:
    """Make it look as if it were Fedora: dnf, rpm and one source."""
    claim(host, "fedora")
    if (host.path / "usr/bin/dnf5").exists():
        host.run(["ln", "-s", "dnf5", "/usr/bin/dnf"])  # as Fedora has it, and Debian not
        host.run(["rm", "-f", "/etc/dnf/libdnf5-plugins/local.conf"])
    build_rpms(host, *packages)
    write(host.path / "etc/yum.repos.d/tiny.repo", f"{RPM_SOURCE}metadata_expire=never\n")
    publish_rpms(host)


def publish_rpms(host: TestHost) -> None:
    """Index what was built, and let dnf know it."""
    host.run(["createrepo_c", "-q", RPMS])
    host.run(["dnf", "-q", "makecache", "--refresh"])
    begin_history(host)


def publish_preferred(host: TestHost, *packages: Small) -> None:
    """Make a second source that goes before the other, whatever its versions are."""
    for package in packages:
        build_rpm(host, package, "/srv/preferred")
    host.run(["createrepo_c", "-q", "/srv/preferred"])
    text = RPM_SOURCE.replace("tiny", "preferred").replace(RPMS, "/srv/preferred")
    write(host.path / "etc/yum.repos.d/preferred.repo", f"{text}priority=10\nmetadata_expire=never\n")
    host.run(["dnf", "-q", "makecache", "--refresh"])


def begin_history(host: TestHost) -> None:
    """Let dnf begin its history: it does so once, even when it only reads."""
    host.run(["dnf", "-C", "--assumeno", "remove", "nothing-here"], check=False)


def make_suse(host: TestHost, *packages: Small) -> None:
    """Make it look as if it were openSUSE: zypper, rpm and one source; Debian's rpm keeps its database elsewhere than its zypper."""
    claim(host, "opensuse-leap")
    write(host.path / "etc/rpm/macros", "%_dbpath /var/lib/rpm\n")
    build_rpms(host, *packages)
    build_talkative(host)
    write(host.path / "etc/zypp/repos.d/tiny.repo", RPM_SOURCE)
    write(host.path / "var/lib/zypp/AutoInstalled", "#\n")  # as a machine has it that zypper itself installed
    host.run(["createrepo_c", "-q", RPMS])
    host.run(["zypper", "--non-interactive", "refresh"])


def build_rpms(host: TestHost, *packages: Small) -> None:
    """Build packages into the folder that a source is made of."""
    for package in packages:
        build_rpm(host, package, RPMS)


def build_rpm(host: TestHost, package: Small, folder: str) -> None:
    """Build one package into a folder."""
    lines = [
        f"Name: {package.name}\nVersion: {package.version}\nRelease: 1\nSummary: tiny\nLicense: none\nBuildArch: noarch\n",
        f"Epoch: {package.epoch}\n" if package.epoch else "",
        f"Requires: {package.needs}\n" if package.needs else "",
        f"Conflicts: {package.conflicts}\n" if package.conflicts else "",
        f"Obsoletes: {package.replaces}\n" if package.replaces else "",
        f"%description\ntiny\n%install\nmkdir -p %{{buildroot}}/opt/{package.name}\n%files\n/opt/{package.name}\n",
    ]
    write(host.path / f"srv/specs/{package.name}.spec", "".join(lines))
    host.run(["rpmbuild", "-bb", "--quiet", "--define", f"_rpmdir {folder}", f"/srv/specs/{package.name}.spec"])


def build_talkative(host: TestHost) -> None:
    """Build packages whose descriptions together are longer than what is kept of a program's answer."""
    words = "It goes on about itself. " * (128 * 1024 // len(TALKATIVE) // 25)
    parts = [f"%package -n {name}\nSummary: tiny\n%description -n {name}\n{words}\n%files -n {name}\n" for name in TALKATIVE]
    head = "Name: talkative\nVersion: 1.0\nRelease: 1\nSummary: tiny\nLicense: none\nBuildArch: noarch\n%description\ntiny\n"
    write(host.path / "srv/specs/talkative.spec", head + "".join(parts))
    host.run(["rpmbuild", "-bb", "--quiet", "--define", f"_rpmdir {RPMS}", "/srv/specs/talkative.spec"])


def make_arch(host: TestHost, *packages: Small) -> None:
    """Make it look as if it were Arch: pacman and one source."""
    claim(host, "arch")
    write(
        host.path / "etc/pacman.conf",
        f"[options]\nArchitecture = auto\nSigLevel = Never\n[tiny]\nServer = file://{ARCHIVES}\n",
    )
    (host.path / "var/lib/pacman/local").mkdir(parents=True, exist_ok=True)
    publish_archives(host, *packages)


def publish_archives(host: TestHost, *packages: Small) -> None:
    """Build, index, and let pacman know them."""
    for package in packages:
        folder = host.path / f"srv/build/{package.name}"
        lines = [
            f"pkgname = {package.name}\npkgbase = {package.name}\npkgver = {package.version}-1\npkgdesc = tiny\n",
            "url = https://example.org\nbuilddate = 1\npackager = Alice <alice@example.org>\nsize = 1\narch = any\n",
            f"depend = {package.needs}\n" if package.needs else "",
            f"conflict = {package.conflicts}\n" if package.conflicts else "",
        ]
        write(folder / ".PKGINFO", "".join(lines))
        write(folder / f"opt/{package.name}", package.version)
        (host.path / ARCHIVES[1:]).mkdir(parents=True, exist_ok=True)
        name = f"{ARCHIVES}/{package.name}-{package.version}-1-any.pkg.tar.gz"
        host.run(["tar", "-C", f"/srv/build/{package.name}", "-czf", name, ".PKGINFO", "opt"])
        host.run(["repo-add", "-q", f"{ARCHIVES}/tiny.db.tar.gz", name])
    host.run(["pacman", "-Sy"])


def claim(host: TestHost, name: str) -> None:
    """Let os-release tell of another distribution."""
    path = host.path / "etc/os-release"
    path.unlink()
    write(path, f"ID={name}\nVERSION_ID=1\n")


def publish_signed(host: TestHost, folder: str, package: Small, signer: str) -> str:
    """Build one package into a source of its own and sign it with a new key of `signer`; give the public key, armored."""
    home = f"{folder}/gpg"
    gpg = ["env", f"GNUPGHOME={home}", "gpg", "--batch", "--quiet", "--passphrase", "", "--pinentry-mode", "loopback"]
    host.run(["install", "-d", "-m", "700", home])
    host.run([*gpg, "--quick-gen-key", signer, "rsa2048", "sign", "never"])
    build_rpm(host, package, f"{folder}/rpms")
    defines = ["--define", "__gpg /usr/bin/gpg", "--define", f"_gpg_name {signer}"]
    file = f"{folder}/rpms/noarch/{package.name}-{package.version}-1.noarch.rpm"
    host.run(["env", f"GNUPGHOME={home}", "rpmsign", *defines, "--addsign", file])
    host.run(["createrepo_c", "-q", f"{folder}/rpms"])
    key = host.run([*gpg, "--armor", "--export", signer]).out
    host.run(["env", f"GNUPGHOME={home}", "gpgconf", "--kill", "all"])
    return key
