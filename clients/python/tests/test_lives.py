"""Whole histories over the deaths of the service."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

from conftest import SOON_S, Service, stub_url

from comet_task_runner import AsyncRunner, JobsChange, Run, Runner, Told, errors
from comet_task_runner.messages import WatchJobResponse, WatchJobsResponse

JOBS = 20
KILLS = 5
# Longest wait for all of it: a restart of a debug build takes about a second.
AT_LENGTH_S = 60.0


def test_twenty_jobs_are_told_whole_over_five_deaths_of_the_service(service: Service, runner: Runner) -> None:
    every = Every(service)
    with ThreadPoolExecutor(2 * JOBS) as threads:
        asking = [threads.submit(begin, runner, n) for n in range(JOBS)]
        runs = [begun.result(AT_LENGTH_S) for begun in asking]
        watching = [threads.submit(history, run) for run in runs]
        task_ids = [run.task_id for run in runs]
        assert len(set(task_ids)) == JOBS
        every.start(task_ids)

        for death in range(KILLS):
            # While some end, and others are watched.
            ending = threads.submit(end, runner, task_ids[death::KILLS])
            every.changed.acquire(timeout=SOON_S)
            service.stop()
            service.start()
            ending.result(AT_LENGTH_S)
        histories = dict(zip(task_ids, [watched.result(AT_LENGTH_S) for watched in watching], strict=True))
    every.join()

    for task_id, told in histories.items():
        whole = [change.job for change in runner.watch(task_id, from_start=True, until="PROCESS_EXITED")]
        assert told == list(range(1, len(told) + 1)), f"{task_id} has a hole or a double"
        assert told == [job.revision for job in whole]
        assert whole[-1].callback is not None
        assert every.by_asyncio[task_id] == told
        assert every.by_one_stream[task_id] == list(range(every.by_one_stream[task_id][0], len(told) + 1))


def begin(runner: Runner, n: int) -> Run:
    return runner.run(stub_url("/sleep"), until="PROCESS_EXITED", labels={"n": str(n)})


def history(run: Run) -> list[int]:
    return [change.job.revision for change in run]


def end(runner: Runner, task_ids: list[str]) -> None:
    """A report that was cut may have come through, and is harmless when it comes twice."""
    for task_id in task_ids:
        for attempt in count(1):
            try:
                runner.report(task_id, "DONE", result=task_id)
                break
            except errors.Unavailable:
                # Until the service is back, which its own watchers hear of first.
                next(iter(runner.watch(task_id)))
                assert attempt < 100


class Every:
    """The same jobs, as asyncio and as one stream of all jobs tell them."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.by_asyncio: dict[str, list[int]] = {}
        self.by_one_stream: dict[str, list[int]] = {}
        # Released with each job that is over.
        self.changed = threading.Semaphore(0)
        # Released by each of the two once it was answered: who never was does not try again.
        self.answered = threading.Semaphore(0)
        self.threads: list[threading.Thread] = []

    def start(self, task_ids: list[str]) -> None:
        for use in (self.awaited, self.all_on_one):
            self.threads.append(threading.Thread(target=use, args=(task_ids,), daemon=True))
            self.threads[-1].start()
        assert all(self.answered.acquire(timeout=SOON_S) for _ in self.threads)

    def join(self) -> None:
        for thread in self.threads:
            thread.join(AT_LENGTH_S)
            assert not thread.is_alive()

    def awaited(self, task_ids: list[str]) -> None:
        async def watch(runner: AsyncRunner, task_id: str) -> None:
            watched = runner.watch(task_id, from_start=True, until="PROCESS_EXITED")
            self.by_asyncio[task_id] = [change.job.revision async for change in watched]

        async def watch_all() -> None:
            async with AsyncRunner(state_dir=self.service.state_dir) as runner:
                await runner.runner()
                self.answered.release()
                await asyncio.gather(*[watch(runner, task_id) for task_id in task_ids])

        asyncio.run(watch_all())

    def all_on_one(self, task_ids: list[str]) -> None:
        exited: set[str] = set()
        with Runner(state_dir=self.service.state_dir) as runner:
            runner.runner()
            self.answered.release()
            for change in only(runner.watch_jobs(task_ids=task_ids)):
                assert change.job is not None
                told = self.by_one_stream.setdefault(change.task_id, [])
                told.append(change.job.revision)
                if change.job.done:
                    self.changed.release()
                if change.job.done and change.job.tree_end is not None:
                    exited.add(change.task_id)
                if len(exited) == len(task_ids):
                    return


def only(changes: Told[JobsChange]) -> Iterator[JobsChange]:
    for change in changes:
        if change.kind in (WatchJobsResponse.Kind.SNAPSHOT, WatchJobsResponse.Kind.CHANGE):
            yield change


def test_a_service_that_leaves_well_is_followed_to_the_next(service: Service, runner: Runner) -> None:
    run = runner.run(stub_url("/sleep"))
    changes = iter(run)
    first = next(changes)
    assert (first.kind, first.job.revision) == (WatchJobResponse.Kind.CHANGE, 1)

    def succeed() -> None:
        service.stop(signal.SIGTERM)
        service.start()

    leaving = threading.Thread(target=succeed)
    leaving.start()
    with ThreadPoolExecutor(1) as waiting:
        rest = waiting.submit(lambda: [change.job.revision for change in changes])
        leaving.join(SOON_S)
        run.cancel()
        assert rest.result(SOON_S) == list(range(2, run.job.revision + 1))
    assert run.job.status == "CANCELLED"


def test_an_execute_that_is_cut_makes_one_job(service: Service, runner: Runner) -> None:
    assert runner.runner().limits.slots == 24
    with ThreadPoolExecutor(8) as threads:
        asking = [threads.submit(runner.execute, stub_url("/sleep"), labels={"n": str(n)}) for n in range(8)]
        service.stop()
        service.start()
        made = {asked.result(AT_LENGTH_S).task_id for asked in asking}
    assert len(made) == 8
    assert {job.task_id for job in runner.list_jobs()} == made


def test_a_service_that_moved_is_found_at_the_next_call(service: Service, runner: Runner) -> None:
    before = service.address
    assert runner.runner().ready
    service.stop()
    service.start()
    assert service.address != before
    assert runner.runner().ready
