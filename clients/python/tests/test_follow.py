"""Streams over their cuts, before a service that follows a script."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from base64 import b64encode
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import grpc
import pytest
from conftest import SOON_S
from fake import CUT, HANG, Fake, Refusal, Said, Streams

from comet_task_runner import AsyncRunner, Runner, _channels, errors
from comet_task_runner._follow import Patience

Told = Callable[..., Any]


def blocking(address: str, rpc: str, *args: Any, first: int | None = None, retry_for: float = 30, **given: Any) -> Any:
    with Runner(address, "secret", retry_for=retry_for) as runner:
        if rpc == "execute":
            return runner.execute(*args, **given)
        return list(itertools.islice(getattr(runner, rpc)(*args, **given), first))


def awaited(address: str, rpc: str, *args: Any, first: int | None = None, retry_for: float = 30, **given: Any) -> Any:
    async def use() -> Any:
        async with AsyncRunner(address, "secret", retry_for=retry_for) as runner:
            if rpc == "execute":
                return await runner.execute(*args, **given)
            said: list[Any] = []
            if first == 0:
                return said
            async for one in getattr(runner, rpc)(*args, **given):
                said.append(one)
                if len(said) == first:
                    break
            return said

    return asyncio.run(use())


@pytest.fixture(params=[blocking, awaited])
def told(request: pytest.FixtureRequest) -> Told:
    """What a call tells, and the same from asyncio."""
    use: Told = request.param
    return use


def say(kind: str, revision: int = 0, **more: Any) -> dict[str, Any]:
    job = {"job": {"task_id": "t", "revision": revision}} if revision else {}
    return {"kind": kind, **job, "resume_token": f"after {revision}", **more}


def last(revision: int) -> dict[str, Any]:
    return say("CHANGE", revision, final=True)


def base64(text: str) -> str:
    return b64encode(text.encode()).decode()


def revisions(changes: list[Any]) -> list[int]:
    return [change.job.revision for change in changes]


def tokens(fake: Fake, rpc: str = "WatchJob") -> list[str]:
    return [request.resume_token for request in fake.asked[rpc]]


def test_a_cut_stream_goes_on_behind_the_last_token_without_a_doubled_change(told: Told) -> None:
    script: Streams = [[say("SNAPSHOT", 2), say("CHANGE", 3), CUT], [say("CHANGE", 3), say("CHANGE", 4), last(5)]]
    with Fake({"WatchJob": script}) as fake:
        assert revisions(told(fake.address, "watch", "t")) == [2, 3, 4, 5]
        assert tokens(fake) == ["", "after 3"]
        assert fake.tokens == {"Bearer secret"}


def test_a_stream_that_ends_well_before_the_task_is_taken_for_cut(told: Told) -> None:
    with Fake({"WatchJob": [[say("SNAPSHOT", 1)], [last(2)]]}) as fake:
        assert revisions(told(fake.address, "watch", "t")) == [1, 2]


def test_a_leaving_service_is_called_again_after_its_delay_and_not_before(told: Told) -> None:
    draining = say("DRAINING", resume_token="after the beat", retry_delay="0.4s")
    script: Streams = [[say("SNAPSHOT", 1), say("HEARTBEAT"), draining, CUT], [last(2)]]
    with Fake({"WatchJob": script}) as fake:
        begun = time.monotonic()
        assert revisions(told(fake.address, "watch", "t")) == [1, 2]
        assert time.monotonic() - begun >= 0.4
        assert tokens(fake) == ["", "after the beat"]


def test_silence_of_two_heartbeats_is_a_cut(told: Told) -> None:
    with Fake({"WatchJob": [[say("SNAPSHOT", 1), HANG], [last(2)]]}) as fake:
        begun = time.monotonic()
        assert revisions(told(fake.address, "watch", "t", heartbeat_interval=0.25)) == [1, 2]
        assert 0.5 <= time.monotonic() - begun < SOON_S
        assert fake.left.get(timeout=SOON_S) == "WatchJob"


def test_a_store_that_was_put_back_is_told_although_revisions_fall(told: Told) -> None:
    script: Streams = [[say("SNAPSHOT", 5), CUT], [say("SNAPSHOT", 3, reset=True), last(4)]]
    with Fake({"WatchJob": script}) as fake:
        changes = told(fake.address, "watch", "t")
        assert [(change.job.revision, change.reset) for change in changes] == [(5, False), (3, True), (4, False)]


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.NOT_FOUND])
def test_a_refusal_ends_a_watch_at_once(told: Told, code: grpc.StatusCode) -> None:
    script: Streams = [[say("SNAPSHOT", 1), CUT], [Refusal(code, "SOME_REASON", 2.5)], [last(2)]]
    with Fake({"WatchJob": script}) as fake:
        with pytest.raises(errors.TaskRunnerError) as raised:
            told(fake.address, "watch", "t")
        assert (raised.value.code, raised.value.reason) == (code.name, "SOME_REASON")
        assert raised.value.retry_delay == timedelta(seconds=2.5)
        assert len(fake.asked["WatchJob"]) == 2


def test_a_service_that_was_never_there_is_told_at_once(told: Told) -> None:
    with Fake({}) as fake:
        address = fake.address
    for rpc in ("watch", "execute"):
        with pytest.raises(errors.Unavailable):
            told(address, rpc, "http://x/", retry_for=3600)


def test_patience_ends(told: Told) -> None:
    script: Streams = [[say("SNAPSHOT", 1), CUT], *[[CUT]] * 20]
    with Fake({"WatchJob": script}) as fake:
        with pytest.raises(errors.Unavailable):
            told(fake.address, "watch", "t", retry_for=0.3)
        assert len(fake.asked["WatchJob"]) > 2


def test_leaving_the_loop_ends_the_stream(told: Told) -> None:
    with Fake({"WatchJob": [[say("SNAPSHOT", 1), HANG]]}) as fake:
        assert revisions(told(fake.address, "watch", "t", first=1)) == [1]
        assert fake.left.get(timeout=SOON_S) == "WatchJob"


def test_a_second_loop_goes_on_where_the_first_was_left() -> None:
    script: Streams = [[say("SNAPSHOT", 1), say("CHANGE", 2), HANG], [last(3)]]
    with Fake({"WatchJob": script}) as fake, Runner(fake.address, "secret") as runner:
        watch = runner.watch("t")
        for change in watch:
            if change.job.revision == 2:
                break
        # The runner is still open, and so is the watch; only its stream is over.
        assert fake.left.get(timeout=SOON_S) == "WatchJob"
        assert (watch.resume_token, watch.result().revision) == ("after 2", 3)
        assert list(watch) == []


def test_a_loop_of_asyncio_that_is_left_ends_its_stream_too() -> None:
    async def use(fake: Fake) -> None:
        async with AsyncRunner(fake.address, "secret") as runner:
            async for _ in runner.watch("t"):
                break
            left = asyncio.to_thread(fake.left.get, timeout=SOON_S)
            assert await left == "WatchJob"
            waiting = asyncio.create_task(runner.watch("t").result())
            for _ in range(2):
                await asyncio.to_thread(fake.came.get, timeout=SOON_S)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert await asyncio.to_thread(fake.left.get, timeout=SOON_S) == "WatchJob"

    with Fake({"WatchJob": [[say("SNAPSHOT", 1), HANG], [HANG]]}) as fake:
        asyncio.run(use(fake))


def test_an_execute_whose_answer_was_lost_is_made_again_as_the_same(told: Told) -> None:
    lost = [Refusal(grpc.StatusCode.UNAVAILABLE), Refusal(grpc.StatusCode.UNKNOWN)]
    draining = Refusal(grpc.StatusCode.UNAVAILABLE, "DRAINING", 0.01)
    with Fake({"Execute": [[draining], *[[one] for one in lost], [{"task_id": "t"}]]}) as fake:
        assert told(fake.address, "execute", "http://x/").task_id == "t"
        assert len(fake.asked["Execute"]) == 4
        assert len({request.request_id for request in fake.asked["Execute"]}) == 1
        assert fake.asked["Execute"][0].request_id


def test_an_execute_that_was_refused_is_not_made_again(told: Told) -> None:
    with Fake({"Execute": [[Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL", 5)]]}) as fake:
        with pytest.raises(errors.ResourceExhausted) as raised:
            told(fake.address, "execute", "http://x/")
        assert raised.value.retry_delay == timedelta(seconds=5)


def of(task_id: str, kind: str, revision: int, token: str = "", **more: Any) -> Said:
    job = {"job": {"task_id": task_id, "revision": revision}} if revision else {}
    return {"kind": kind, "task_id": task_id, **job, "resume_token": token, **more}


def test_a_snapshot_of_many_that_is_cut_is_told_once_and_whole(told: Told) -> None:
    synced = of("", "SYNCED", 0, "synced")
    script: Streams = [
        # Of b nothing is known any more when the second one begins.
        [of("a", "SNAPSHOT", 1), of("b", "SNAPSHOT", 4), CUT],
        [of("a", "SNAPSHOT", 2), synced, of("a", "CHANGE", 3, "3"), CUT],
        [of("a", "CHANGE", 3, "3"), of("a", "CHANGE", 4, "4"), synced, of("a", "REMOVED", 0, "5"), HANG],
    ]
    with Fake({"WatchJobs": script}) as fake:
        changes = told(fake.address, "watch_jobs", first=5)
        assert [(change.kind, change.task_id, change.job and change.job.revision) for change in changes] == [
            ("SNAPSHOT", "a", 2),
            ("SYNCED", "", None),
            ("CHANGE", "a", 3),
            ("CHANGE", "a", 4),
            ("REMOVED", "a", None),
        ]
        assert tokens(fake, "WatchJobs") == ["", "", "3"]


def test_a_store_that_was_put_back_is_told_of_many_too(told: Told) -> None:
    script: Streams = [
        [of("a", "SNAPSHOT", 5), of("b", "SNAPSHOT", 7), of("", "SYNCED", 0, "1"), CUT],
        # In this store b is only just made.
        [of("a", "SNAPSHOT", 2, reset=True), of("", "SYNCED", 0, "2"), of("b", "CHANGE", 1, "3"), HANG],
    ]
    with Fake({"WatchJobs": script}) as fake:
        changes = told(fake.address, "watch_jobs", first=6)
        assert [(change.kind, change.task_id, change.reset) for change in changes] == [
            ("SNAPSHOT", "a", False),
            ("SNAPSHOT", "b", False),
            ("SYNCED", "", False),
            ("SNAPSHOT", "a", True),
            ("SYNCED", "", False),
            ("CHANGE", "b", False),
        ]


def test_readings_come_when_they_are_asked_for(told: Told) -> None:
    reading = say("SAMPLE", sample={"page_title": "x"})
    of_many = {"kind": "SAMPLE", "samples": [{"task_id": "a", "sample": {"page_title": "y"}}]}
    script = [say("SNAPSHOT", 1), reading, last(2)]
    with Fake({"WatchJob": [script, script], "WatchJobs": [[of_many, HANG]]}) as fake:
        assert revisions(told(fake.address, "watch", "t")) == [1, 2]
        with_samples = told(fake.address, "watch", "t", samples=True)
        assert [(str(change.kind), change.job.revision) for change in with_samples] == [
            ("SNAPSHOT", 1),
            ("SAMPLE", 1),
            ("CHANGE", 2),
        ]
        assert with_samples[1].sample.page_title == "x"
        (one,) = told(fake.address, "watch_jobs", samples=True, first=1)
        assert one.samples[0].sample.page_title == "y"


def test_what_only_a_newer_service_knows_stops_nobody(told: Told) -> None:
    script: Streams = [[say("SNAPSHOT", 1), {"kind": 99}, {**last(2), "previous_status": 77}]]
    with Fake({"WatchJob": script}) as fake:
        changes = told(fake.address, "watch", "t")
        assert revisions(changes) == [1, 2]
        assert str(changes[1].previous_status) == "UNKNOWN_77"


def test_a_log_and_a_file_go_on_where_they_were_cut(told: Told) -> None:
    log: Streams = [
        [{"entries": [{"number": 3}], "dropped_count": 2, "last_number": 3}, CUT],
        [{"entries": [{"number": 4}], "last_number": 4}],
    ]
    file: Streams = [[{"data": base64("abc"), "size_bytes": 5}, CUT], [{"data": base64("de"), "offset": 3}]]
    with Fake({"ReadLog": log, "ReadFile": file}) as fake:
        assert [entry.number for entry in told(fake.address, "read_log", "t")] == [3, 4]
        assert [request.after_number for request in fake.asked["ReadLog"]] == [0, 3]
        assert b"".join(told(fake.address, "read_file", "t", "f")) == b"abcde"
        assert [request.offset for request in fake.asked["ReadFile"]] == [0, 3]


def test_more_streams_than_a_connection_takes_open_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_channels, "STREAMS_MAX", 2)
    with Fake({"WatchJob": [[say("SNAPSHOT", 1), HANG]] * 7}) as fake, Runner(fake.address, "secret") as runner:
        watches = [iter(runner.watch("t")) for _ in range(6)]
        assert [next(watch).job.revision for watch in watches] == [1] * 6
        assert len(fake.peers) == 3
        watches.pop(0)
        # There is room on the first one again.
        assert next(iter(runner.watch("t"))).job.revision == 1
        assert len(fake.peers) == 3


def test_a_closed_runner_ends_what_is_under_way_and_says_so() -> None:
    with Fake({"WatchJob": [[say("SNAPSHOT", 1), HANG]]}) as fake:
        runner = Runner(fake.address, "secret")
        watch = iter(runner.watch("t"))
        next(watch)
        runner.close()
        with pytest.raises(RuntimeError, match="closed"):
            next(watch)
        with pytest.raises(RuntimeError, match="closed"):
            runner.status("t")


def test_a_closed_runner_of_asyncio_does_too() -> None:
    async def use(fake: Fake) -> None:
        runner = AsyncRunner(fake.address, "secret")
        waiting = asyncio.create_task(runner.watch("t").result())
        await asyncio.to_thread(fake.came.get, timeout=SOON_S)
        await runner.close()
        with pytest.raises(RuntimeError, match="closed"):
            await waiting

    with Fake({"WatchJob": [[say("SNAPSHOT", 1), HANG]]}) as fake:
        asyncio.run(use(fake))


def test_a_connection_that_another_call_just_closed_is_a_cut(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    find = _channels.Channels.at

    def find_closed(channels: Any, place: Any) -> Any:
        shared, outdated = find(channels, place)
        # As when another call finds the service elsewhere between this one's look for a connection and its use.
        closing = shared.channel.close()
        if closing is not None:
            with contextlib.suppress(StopIteration):
                closing.send(None)
        return shared, outdated

    monkeypatch.setattr(_channels.Channels, "at", find_closed)
    with Fake({}) as fake:
        for rpc in ("watch", "execute"):
            with pytest.raises(errors.Cancelled) as raised:
                told(fake.address, rpc, "t")
            assert raised.value.passes


def test_waits_double_up_to_the_longest_and_start_anew_once_heard() -> None:
    patience, away = Patience(None), errors.Unavailable("away")
    waits = [patience.failed(away) for _ in range(8)]
    for wait, longest in zip(waits, [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5], strict=True):
        assert longest / 2 <= wait <= longest
    patience.heard()
    assert patience.failed(away) <= 0.1
    assert 2 <= patience.failed(away, timedelta(seconds=2)) <= 2.5


def test_patience_is_as_long_as_nothing_was_heard() -> None:
    now = [0.0]
    patience, away = Patience(10, clock=lambda: now[0]), errors.Unavailable("away")
    for now[0] in (0.0, 9.0):
        patience.failed(away)
    patience.heard()
    for now[0] in (11.0, 20.0):
        patience.failed(away)
    now[0] = 21.0
    with pytest.raises(errors.Unavailable):
        patience.failed(away)
    with pytest.raises(errors.NotFound):
        Patience(None).failed(errors.NotFound("none"))
