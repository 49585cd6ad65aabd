"""Each call, before the real service."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from conftest import Service, stub_url

from comet_task_runner import AsyncRunner, Browser, Job, Runner, TaskNotDone, errors
from comet_task_runner.messages import CallbackReport, WatchJobResponse

DONE = Job.Status.DONE
Kind = WatchJobResponse.Kind


def test_a_run_tells_every_change_from_the_first_on(runner: Runner) -> None:
    run = runner.run(stub_url("/exit/0"), labels={"team": "docs"}, timeouts={"run": 60})
    changes = list(run)

    assert [change.job.revision for change in changes] == list(range(1, len(changes) + 1))
    assert {change.kind for change in changes} == {Kind.CHANGE}
    assert [change.job.status for change in changes][:: len(changes) - 1] == ["CREATED", "DONE"]
    assert run.job == changes[-1].job == run.result(check=True)
    assert run.job.task_id == run.task_id
    assert run.job.labels == {"team": "docs"}
    assert run.job.finished_at is not None
    assert timedelta(0) < datetime.now(UTC) - run.job.finished_at < timedelta(minutes=1)


def test_a_task_that_ends_otherwise_says_how_and_raises_only_when_asked(runner: Runner) -> None:
    run = runner.run(stub_url("/exit/3"), browser="stub", tier=Browser.Tier.EXIT_ONLY)
    job = run.result()
    assert (job.status, job.reason, job.exit_code, job.exit_signal) == ("FAILED", "PROCESS_FAILED", 3, None)
    with pytest.raises(TaskNotDone, match=r"FAILED \(PROCESS_FAILED\)") as raised:
        run.result(check=True)
    assert raised.value.job == job


def test_a_report_ends_a_task_with_its_result(runner: Runner, service: Service) -> None:
    run = runner.run(stub_url("/sleep"), samples=True)
    assert runner.report(run.task_id, "RUNNING", "reading", progress=40).applied
    for change in run:
        if change.sample and change.sample.progress == 40:
            break
    assert change.kind in (Kind.SAMPLE, Kind.SNAPSHOT)

    page = Runner(service.address, token="")
    answer = page.report(run.task_id, DONE, result={"pages": 3}, callback_token=run.callback_token)
    assert answer.applied
    assert not page.report(run.task_id, DONE, result={"pages": 3}, callback_token=run.callback_token).applied
    page.close()

    callback = run.result(check=True).callback
    assert isinstance(callback, CallbackReport)
    assert json.loads(callback.result) == {"pages": 3}


def test_a_cancelled_task_is_cancelled(runner: Runner) -> None:
    run = runner.run(stub_url("/ignore-term"))
    assert run.cancel(termination_grace=0.1).status == "STOPPING"
    assert run.result().status == "CANCELLED"


def test_what_was_asked_runs_again(runner: Runner) -> None:
    first = runner.execute(stub_url("/exit/0"), priority=7, timeouts={"run": timedelta(minutes=2)}, retention=3600)
    asked = runner.status(first.task_id).request
    assert asked.timeouts is not None
    assert (asked.priority, asked.timeouts.run, asked.retention) == (7, timedelta(minutes=2), timedelta(hours=1))

    again = runner.execute(asked, priority=8)
    assert again.task_id != first.task_id
    assert again.job.priority == 8
    assert runner.status(again.task_id).request.timeouts == asked.timeouts


def test_the_same_request_id_is_the_same_task(runner: Runner) -> None:
    request_id = "5b0b2c52-0a5e-4d3c-9d47-6c8c6a3c1f11"
    first = runner.execute(stub_url("/exit/0"), request_id=request_id)
    assert runner.execute(stub_url("/exit/0"), request_id=request_id).task_id == first.task_id
    with pytest.raises(errors.AlreadyExists) as raised:
        runner.execute(stub_url("/exit/1"), request_id=request_id)
    assert (raised.value.reason, raised.value.metadata) == ("REQUEST_ID_REUSED", {"task_id": first.task_id})


def test_a_list_has_every_page_and_a_token_to_go_on_from(runner: Runner) -> None:
    made = [runner.run(stub_url("/exit/0"), labels={"n": str(n)}).result().task_id for n in range(5)]
    jobs = runner.list_jobs(page_size=2, statuses=[DONE], order="OLDEST_FIRST")
    assert [job.task_id for job in jobs] == made
    assert [job.task_id for job in runner.list_jobs(labels={"n": "3"})] == [made[3]]
    assert list(runner.list_jobs(created_before=datetime.now() - timedelta(hours=1))) == []

    since_list = runner.watch_jobs(resume_token=jobs.resume_token)
    late = runner.execute(stub_url("/exit/0")).task_id
    for change in since_list:
        if change.job is not None:
            assert change.task_id == late
            break


def test_a_log_is_read_and_followed_to_its_end(runner: Runner) -> None:
    run = runner.run(stub_url("/stderr?text=hello"))
    log = runner.read_log(run.task_id, follow=True)
    entries = list(log)
    assert "hello" in [entry.text for entry in entries]
    assert [entry.number for entry in entries] == list(range(1, len(entries) + 1))
    assert (log.last_number, log.dropped_count, log.was_reset) == (len(entries), 0, False)
    said = [entry.text for entry in runner.read_log(run.task_id, sources=["OUTPUT"], after_number=0)]
    assert said == [entry.text for entry in entries if entry.source == "OUTPUT"]


def test_the_runner_tells_what_it_is(runner: Runner) -> None:
    about = runner.runner()
    assert about.browsers[0].name == "stub"
    assert about.limits.slots == 24
    assert about.scope == "ADMIN"
    assert list(runner.profiles()) == []


def test_refusals_have_a_class_for_their_code_and_the_services_reason(runner: Runner) -> None:
    with pytest.raises(errors.InvalidArgument) as invalid:
        runner.execute("file:///etc/passwd", priority=1000)
    assert [violation.field for violation in invalid.value.violations] == ["url", "priority"]
    assert invalid.value.reason

    unknown = "0191b3c2-7d51-7c3a-9e0f-3f6f0c6b8a11"
    for call in (
        lambda: runner.status(unknown),
        lambda: list(runner.watch(unknown)),
        lambda: list(runner.read_file(unknown, "x")),
        lambda: runner.screenshot(unknown),
    ):
        with pytest.raises(errors.NotFound) as not_found:
            call()
        assert not_found.value.reason == "TASK_NOT_FOUND"
        assert not_found.value.code == "NOT_FOUND"
    with pytest.raises(errors.NotFound, match="PROFILE_NOT_FOUND"):
        runner.remove_profile("nobody")
    with pytest.raises(errors.FailedPrecondition, match="WINDOWS_UNSUPPORTED"):
        runner.windows()


def test_a_wrong_word_or_option_is_told_before_anything_is_sent(runner: Runner) -> None:
    with pytest.raises(ValueError, match="mode: 'HEDLESS' is none of AUTO, HEADED, HEADLESS"):
        runner.execute(stub_url("/exit/0"), mode="HEDLESS")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="no field 'lables'"):
        runner.execute(stub_url("/exit/0"), lables={})  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="wants a list"):
        runner.tile("0191b3c2-7d51-7c3a-9e0f-3f6f0c6b8a11")
    with pytest.raises(TypeError, match="validate only"):
        runner.run(stub_url("/exit/0"), validate_only=True)


def test_a_wrong_token_ends_a_watch_at_once(service: Service, runner: Runner) -> None:
    task_id = runner.execute(stub_url("/sleep")).task_id
    with Runner(service.address, token="wrong") as stranger:
        with pytest.raises(errors.Unauthenticated):
            list(stranger.watch(task_id))
        with pytest.raises(PermissionError):
            stranger.status(task_id)


def test_a_checked_request_opens_nothing(runner: Runner) -> None:
    answer = runner.execute(stub_url("/exit/0"), validate_only=True)
    assert answer.task_id == ""
    assert list(runner.list_jobs()) == []


def missing_fields(message: Any, at: str) -> Iterator[str]:
    """Fields that are None although their type says that they are not."""
    for field in dataclasses.fields(message):
        value, here = getattr(message, field.name), f"{at}.{field.name}"
        if value is None and "None" not in str(field.type):
            yield here
        for one in value if isinstance(value, tuple) else [value]:
            if dataclasses.is_dataclass(one):
                yield from missing_fields(one, here)


def test_what_a_type_says_is_there_is_there(runner: Runner) -> None:
    run = runner.run(stub_url("/sleep"))
    answers: list[Any] = [runner.runner(), runner.execute(stub_url("/exit/0"), validate_only=True)]
    answers += [runner.status(run.task_id), runner.report(run.task_id, "DONE", "well")]
    answers += [change.job for change in runner.watch(run.task_id, from_start=True, until="PROCESS_EXITED")]
    answers += [runner.status(run.task_id), *runner.read_log(run.task_id)]
    assert [field for answer in answers for field in missing_fields(answer, type(answer).__name__)] == []


def test_asyncio_has_it_all_too(service: Service) -> None:
    async def use() -> None:
        async with AsyncRunner(state_dir=service.state_dir) as runner:
            run = await runner.run(stub_url("/exit/0"))
            revisions = [change.job.revision async for change in run]
            assert revisions == list(range(1, len(revisions) + 1))
            assert (await run.result(check=True)).status == DONE
            assert [job.task_id async for job in runner.list_jobs()] == [run.task_id]
            assert [profile async for profile in runner.profiles()] == []
            assert (await runner.status(run.task_id)).job.done
            with pytest.raises(errors.NotFound):
                [piece async for piece in runner.read_file(run.task_id, "nothing")]

            sleeper = await runner.run(stub_url("/sleep"))
            waiting = asyncio.create_task(sleeper.result())
            await sleeper.cancel(force=True)
            assert (await waiting).status == "CANCELLED"

    asyncio.run(use())
