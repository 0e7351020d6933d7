"""How the scheduler is reached, by TLS with Dask's own configuration; how many tasks a worker takes."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.dask_processes import Processes

from earmark.cluster import connection
from earmark.cluster.run import Task, run
from earmark.errors import EarmarkError

dask = pytest.importorskip("dask", reason="needs earmark[distributed]")
ABOUT = partial(tuple, ["code", "makers"])  # a worker knows it without this file
KEYS = ("ca-file", "client.cert", "client.key", "scheduler.cert", "scheduler.key", "worker.cert", "worker.key")


@pytest.fixture
def certificates(tmp_path: Path) -> dict[str, str]:
    """Return settings of Dask with one self-made certificate for all, which is its own authority, too."""
    pytest.importorskip("cryptography", reason="makes the certificates")
    from distributed.security import Security

    made = Security.temporary()
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    certificate.write_text(made.tls_ca_file)
    key.write_text(made.tls_client_key)
    return {f"distributed.comm.tls.{name}": str(key if name.endswith("key") else certificate) for name in KEYS}


def test_a_scheduler_behind_tls_is_reached_with_certificates_and_without_them_not(tmp_path, certificates, monkeypatch):
    environment = {
        f"DASK_{name}".replace(".", "__").replace("-", "_").upper(): value for name, value in certificates.items()
    }
    (tmp_path / "cluster").mkdir()
    processes = Processes(tmp_path / "cluster", "tls", environment)
    try:
        processes.worker()
        assert processes.address.startswith("tls://")
        tasks = [Task(str(number), number) for number in (-3, 4)]
        with dask.config.set(certificates):
            assert sorted(run(processes.address, abs, ABOUT, tasks)) == [(-3, 3), (4, 4)]
        monkeypatch.setattr(connection, "PATIENCE", 1)
        unencrypted = processes.address.replace("tls://", "tcp://")
        with pytest.raises(EarmarkError, match="no scheduler answers at tcp://"):
            list(run(unencrypted, abs, ABOUT, tasks))
    finally:
        processes.stop()


def test_certificates_that_are_missing_are_named_with_the_variable_that_sets_them(certificates, tmp_path):
    def reach() -> None:
        with connection.connected("tls://127.0.0.1:9"):
            pass

    with pytest.raises(EarmarkError, match=r"needs distributed\.comm\.tls\.ca-file .* DASK_DISTRIBUTED__COMM__TLS__CA"):
        reach()
    absent = {"distributed.comm.tls.client.cert": str(tmp_path / "absent.pem")}
    with (
        dask.config.set(certificates | absent),
        pytest.raises(
            EarmarkError,
            match=r"client\.cert \(or DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT\) must name a file, got '/",
        ),
    ):
        reach()


@pytest.mark.parametrize(
    ("resources", "expected"),
    [({}, {"cpu": 4, "gpus": 2, "one": 1}), ({"GPU": 1}, {"gpus": 2, "one": 1})],
)
def test_a_worker_takes_a_task_per_thread_and_per_gpu(resources, expected):
    workers = {
        "cpu": {"nthreads": 4, "resources": {}},
        "gpus": {"nthreads": 2, "resources": {"GPU": 4.0}},
        "one": {"nthreads": 1, "resources": {"GPU": 1.0}},
    }
    client = SimpleNamespace(scheduler_info=lambda **_: {"workers": workers})
    assert connection.slots(client, resources) == expected


def test_gpus_that_a_worker_has_no_threads_for_are_told(capsys):
    workers = {"there": {"nthreads": 1, "resources": {"GPU": 4.0}}, "here": {"nthreads": 4, "resources": {"GPU": 4.0}}}
    connection._mention_idle_gpus(SimpleNamespace(scheduler_info=lambda **_: {"workers": workers}))
    assert capsys.readouterr().err == "worker there declares 4 GPUs and uses 1: --nthreads must be 4\n"
