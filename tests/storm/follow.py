"""Follows tasks from their first change to their end, and prints each change: `follow.py TASK_ID...`."""

import asyncio
import json
import sys

from comet_task_runner import AsyncRunner


async def follow(runner: AsyncRunner, task_id: str) -> None:
    async for change in runner.watch(task_id, from_start=True):
        told = {"task": task_id, "revision": change.job.revision, "status": str(change.job.status)}
        print(json.dumps(told), flush=True)


async def main(task_ids: list[str]) -> None:
    async with AsyncRunner() as runner:
        await asyncio.gather(*(follow(runner, task_id) for task_id in task_ids))


asyncio.run(main(sys.argv[1:]))
