"""The examples of external providers against the real programs: Redis, and a PostgreSQL server of their own."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli import call
from tests.support.service import wait_for

EXAMPLES = Path(__file__).parents[2] / "examples/providers/providers"
SERVER = "postgres"
MARK = "# --- the protocol;"


@pytest.mark.parametrize("program", sorted(EXAMPLES.glob("*/provider.*[yh]")), ids=lambda path: path.parent.name)
def test_what_follows_the_author_s_part_is_the_scaffold_s(program: Path) -> None:
    scaffold = {".py": "python.txt", ".sh": "sh.txt"}[program.suffix]
    made = (EXAMPLES.parents[2] / "gitops/cli/scaffold" / scaffold).read_text()
    assert program.read_text().partition(MARK)[2] == made.partition(MARK)[2] != ""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def judge(folder: Path) -> list[str]:
    called = call("provider", "test", folder, "--format", "json")
    assert called.status in (0, 4), called.err
    return [f"{item['case']}: {item['law']}: {item['reason']}" for item in called.json["verdicts"] if not item["holds"]]


def copy(name: str, folder: Path, replaced: dict[str, str]) -> Path:
    target = folder / name
    shutil.copytree(EXAMPLES / name, target)
    for path in target.iterdir():
        text = path.read_text()
        for old, new in replaced.items():
            text = text.replace(old, new)
        path.write_text(text)
    return target


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[int]:
    port = free_port()
    argv = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL) as running:
        ping = ["redis-cli", "-p", str(port), "ping"]
        wait_for(lambda: b"PONG" in subprocess.run(ping, capture_output=True, check=False, timeout=10).stdout)
        yield port
        running.terminate()


def test_redis_parameters_obey_every_law(redis: int, tmp_path: Path) -> None:
    assert judge(copy("redis-config", tmp_path / "copy", {"6379": str(redis)})) == []


def test_a_redis_that_is_not_there_has_no_parameters_and_its_refusal_is_told(tmp_path: Path) -> None:
    broken = judge(copy("redis-config", tmp_path / "copy", {"6379": str(free_port())}))
    assert any("Could not connect" in item for item in broken)


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[tuple[str, int]]:
    if os.geteuid() != 0:
        pytest.skip("only root may start a server as another user")
    binaries = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    account = pwd.getpwnam(SERVER)
    folder = Path(subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True, timeout=10).stdout.strip())
    os.chown(folder, account.pw_uid, account.pw_gid)
    folder.chmod(0o755)
    port = free_port()
    as_server = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": [], "cwd": "/", "timeout": 120}
    control = [str(binaries / "pg_ctl"), "-D", str(folder / "data"), "-w", "-l", str(folder / "log")]
    options = f"-k {folder} -p {port} -c listen_addresses= -c fsync=off"
    initdb = [str(binaries / "initdb"), "-D", str(folder / "data"), "-A", "trust", "-N"]
    subprocess.run(initdb, check=True, capture_output=True, **as_server)  # type: ignore[call-overload]
    subprocess.run([*control, "-o", options, "start"], check=True, stdout=subprocess.DEVNULL, **as_server)  # type: ignore[call-overload]
    try:
        yield str(folder), port
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=False, capture_output=True, **as_server)  # type: ignore[call-overload]
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.postgres
def test_postgresql_roles_obey_every_law(postgres: tuple[str, int], tmp_path: Path) -> None:
    folder, port = postgres
    assert judge(copy("postgres-role", tmp_path / "copy", {"/var/run/postgresql": folder, "5432": str(port)})) == []


@pytest.mark.postgres
def test_passwords_of_roles_come_back_where_memory_keeps_them(postgres: tuple[str, int], tmp_path: Path) -> None:
    folder, port = postgres
    made = copy("postgres-role", tmp_path / "copy", {"/var/run/postgresql": folder, "5432": str(port)})
    own_memory = 'mount -t tmpfs none /run && exec "$@"'
    command = [sys.executable, "-m", "gitops.cli", "provider", "test", str(made), "--format", "json"]
    own_mounts = ["unshare", "--mount", "sh", "-c", own_memory, "sh", *command]
    done = subprocess.run(own_mounts, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(item["holds"] for item in json.loads(done.stdout)["verdicts"])


NGINX = """\
user root;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    include {folder}/sites/*;
}}
"""


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "sites").mkdir()
    (tmp_path / "nginx.conf").write_text(NGINX.format(folder=tmp_path))
    with subprocess.Popen(["nginx", "-c", f"{tmp_path}/nginx.conf", "-g", "daemon off;"], stderr=subprocess.DEVNULL) as running:
        wait_for((tmp_path / "nginx.pid").is_file)
        yield tmp_path
        running.terminate()


def site(folder: Path, replaced: dict[str, str]) -> Path:
    return copy(
        "nginx-site",
        folder / "copy",
        {"/etc/nginx/nginx.conf": f"{folder}/nginx.conf", "/etc/nginx/sites-enabled": f"{folder}/sites", **replaced},
    )


def test_nginx_sites_obey_every_law_and_are_served(nginx: Path) -> None:
    ports = {old: str(free_port()) for old in ("8081", "8082", "8083")}
    assert judge(site(nginx, ports)) == []
    (nginx / "page").mkdir()
    (nginx / "page/index.html").write_text("served\n")
    program = nginx / "copy/nginx-site/provider.py"
    port = free_port()
    values = {"server_name": "localhost", "listen": port, "root": f"{nginx}/page"}
    item = {"name": "www", "action": "create", "set": values}
    done = subprocess.run(
        [program],
        input=json.dumps({"id": 1, "op": "apply", "items": [item]}),
        text=True,
        capture_output=True,
        check=True,
        timeout=30,
    )
    assert '"result": "changed"' in done.stdout
    wait_for(lambda: fetch(port) == b"served\n")


def test_a_site_that_nginx_does_not_take_changes_nothing(nginx: Path) -> None:
    (nginx / "sites/broken").write_text("no config at all {{{\n")
    broken = judge(site(nginx, {}))
    assert any("unknown directive" in item or "unexpected" in item for item in broken)
    assert [path.name for path in (nginx / "sites").iterdir()] == ["broken"]


def fetch(port: int) -> bytes:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
            return bytes(answer.read())
    except OSError:
        return b""


def test_nft_sets_obey_every_law(tmp_path: Path) -> None:
    folder = copy("nft-set", tmp_path / "copy", {})
    script = 'nft add table inet trueup-test && exec "$@"'
    command = [sys.executable, "-m", "gitops.cli", "provider", "test", str(folder), "--format", "json"]
    environment = {**os.environ, "PATH": f"/usr/sbin:/sbin:{os.environ['PATH']}"}
    own_network = ["unshare", "--net", "sh", "-c", script, "sh", *command]  # the rules of the machine itself are not touched
    done = subprocess.run(own_network, capture_output=True, text=True, check=False, timeout=120, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(item["holds"] for item in json.loads(done.stdout)["verdicts"])


HAPROXY = """\
global
    stats socket {socket} mode 600 level admin
defaults
    mode tcp
    timeout connect 1s
    timeout client 1s
    timeout server 1s
backend app
    server one 127.0.0.1:9 weight 1
    server two 127.0.0.1:9 weight 1
"""


@pytest.fixture
def haproxy(tmp_path: Path) -> Iterator[str]:
    path = tmp_path / "admin.sock"
    (tmp_path / "haproxy.cfg").write_text(HAPROXY.format(socket=path))
    with subprocess.Popen(["/usr/sbin/haproxy", "-db", "-q", "-f", str(tmp_path / "haproxy.cfg")]) as running:
        wait_for(path.is_socket)
        yield str(path)
        running.terminate()


def test_haproxy_servers_obey_every_law(haproxy: str, tmp_path: Path) -> None:
    assert judge(copy("haproxy-server", tmp_path / "copy", {"/run/haproxy/admin.sock": haproxy})) == []
