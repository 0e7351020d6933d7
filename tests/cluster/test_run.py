"""Who gets which task: no more than workers take, none to a sick one; and what is said when no worker is left."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial

import pytest

from earmark.cluster import connection
from earmark.cluster.run import Task, run
from earmark.cluster.worker import TaskError
from earmark.errors import EarmarkError

ABOUT = partial(tuple, ["code", "makers"])


class Future:
    def __init__(self, cluster, worker, item):
        self.cluster, self.worker, self.item = cluster, worker, item

    def add_done_callback(self, call):
        call(self)

    def result(self):
        self.cluster.in_flight -= 1
        return self.cluster.do(self.worker, self.item)

    def release(self):
        self.cluster.released += 1


class Cluster:
    """Stands in place of Dask's client: workers take tasks in turn, and the sick ones fail at once."""

    def __init__(self, workers, sick=()):
        self.workers, self.sick = dict(workers), set(sick)
        self.in_flight = self.most = self.released = 0
        self.given = []

    def scheduler_info(self, n_workers):
        assert n_workers == -1
        return {"workers": {name: {"nthreads": threads} for name, threads in self.workers.items()}}

    def submit(self, _function, _began, _work, _about, item, *, resources, retries, pure, workers=None):
        assert (resources, retries, pure) == ({}, 3, False)
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        names = workers or list(self.workers)
        worker = next((name for name in names if name in self.sick), names[len(self.given) % len(names)])
        self.given.append((worker, item))
        return Future(self, worker, item)

    def do(self, worker, item):
        if worker in self.sick:
            raise TaskError(worker, "CUDA error")
        return worker, item * item


@pytest.fixture
def given(monkeypatch):
    def run_on(cluster, number, **more):
        @contextmanager
        def connected(_):
            yield cluster

        monkeypatch.setattr(connection, "connected", connected)
        monkeypatch.setattr(connection, "choose_workers", lambda *_: ({}, "makers"))
        return run("tcp://there", abs, ABOUT, [Task(f"shard {n}", n) for n in range(number)], **more)

    return run_on


def test_every_task_is_done_once_and_no_more_are_in_flight_than_workers_take(given):
    cluster = Cluster({"a": 1, "b": 4})
    prepared = []
    assert sorted(given(cluster, 200, before=prepared.append)) == [(n, n * n) for n in range(200)]
    assert prepared == list(range(200))
    assert (cluster.most, cluster.released, cluster.in_flight) == (5, 200, 0)


def test_a_worker_that_always_fails_gets_no_more_than_a_few_tasks_and_is_told_of_once(given, capsys):
    cluster = Cluster({"a": 1, "b": 1, "sick": 1}, sick={"sick"})
    assert len(list(given(cluster, 100))) == 100
    assert 3 <= sum(worker == "sick" for worker, _ in cluster.given) <= 5
    assert capsys.readouterr().err == "worker sick cannot compute shard 0: CUDA error\n"


def test_a_worker_that_joins_is_given_tasks_too(given, monkeypatch):
    monkeypatch.setattr(connection, "LOOK", 0.0)
    cluster = Cluster({"a": 1})
    run = given(cluster, 100)
    next(run)
    assert cluster.most == 1
    cluster.workers["b"] = 2
    assert len(list(run)) == 99
    assert cluster.most == 3
    assert {worker for worker, _ in cluster.given} == {"a", "b"}


@pytest.mark.parametrize(("keeps", "kept"), [(True, "; 0 of 9 shards are finished and kept; run .*"), (False, "")])
def test_a_task_that_all_have_tried_is_named_with_each_reason(given, keeps, kept):
    with pytest.raises(EarmarkError, match=rf"^shard \d: on \w: CUDA error; on \w: CUDA .* is there to try it{kept}$"):
        list(given(Cluster({"a": 1, "b": 1}, sick="ab"), 9, keeps=keeps))


def test_with_no_worker_left_it_says_so_and_goes_on_when_one_joins(given, monkeypatch, capsys):
    monkeypatch.setattr(connection, "LOOK", 0.0)
    cluster = Cluster({"a": 1})
    run = given(cluster, 5)
    next(run)
    looks = iter([{}, {}, {"b": 1}])
    monkeypatch.setattr(connection, "slots", lambda *_: next(looks, {"b": 1}))
    cluster.workers = {"b": 1}
    assert len(list(run)) == 4
    assert capsys.readouterr().err.count("tcp://there: no worker is left; waiting for one to join") == 1


def test_a_scheduler_that_does_not_answer_ends_the_run(given, monkeypatch):
    monkeypatch.setattr(connection, "LOOK", 0.0)
    cluster = Cluster({"a": 1})
    run = given(cluster, 5)
    next(run)
    monkeypatch.setattr(cluster, "scheduler_info", None)
    with pytest.raises(EarmarkError, match="tcp://there: the scheduler has gone away; 1 of 5 shards are finished and"):
        list(run)
