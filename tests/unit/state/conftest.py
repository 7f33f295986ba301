"""A real PostgreSQL server on a free loopback port, where Debian's package is installed."""

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from pathlib import Path

import pytest

from components.state.store import Store

_BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


def _absent(reason: str) -> None:
    if "postgresql" in os.environ.get("SHELFWISE_REQUIRE", ""):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def postgresql_server():
    if not _BINARIES:
        _absent("PostgreSQL is not installed (apt-get install postgresql): its tests did not run")
    pytest.importorskip("psycopg", reason="psycopg is not installed: PostgreSQL was not tested")
    binaries = _BINARIES[-1].parent
    folder = Path(tempfile.mkdtemp(prefix="shelfwise-postgresql-"))
    data = folder / "data"
    as_user: list[str] = []
    if getpass.getuser() == "root":  # the server refuses to run as root
        if shutil.which("runuser") is None:
            _absent("running as root without runuser: PostgreSQL was not tested")
        as_user = ["runuser", "-u", "postgres", "--"]
        shutil.chown(folder, "postgres")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
    control = [*as_user, str(binaries / "pg_ctl"), "-D", str(data), "-w"]
    quiet = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/"}
    subprocess.run(
        [*as_user, str(binaries / "initdb"), "-D", str(data), "-U", "shelf", "-A", "trust"], **quiet
    )
    subprocess.run([*control, "-o", options, "-l", str(folder / "log"), "start"], **quiet)
    yield f"postgresql://shelf@127.0.0.1:{port}"
    subprocess.run([*control, "-m", "immediate", "stop"], **quiet)
    shutil.rmtree(folder)


@pytest.fixture
def postgresql_url(postgresql_server):
    import psycopg

    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(f"{postgresql_server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{postgresql_server}/{name}"


@pytest.fixture(params=["memory", "file", "postgresql"])
def store(request, tmp_path):
    if request.param == "memory":
        url = "sqlite://"
    elif request.param == "file":
        url = f"sqlite:///{tmp_path}/state.db"
    else:
        url = request.getfixturevalue("postgresql_url")
    opened = Store(url)
    yield opened
    opened.close()
