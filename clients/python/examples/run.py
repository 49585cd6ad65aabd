"""Opens a URL as a task and prints each change until its end: `python examples/run.py URL`."""

import sys

from comet_task_runner import Runner, TaskRunnerError


def main(url: str) -> int:
    """Gives what the shell is told: 0 when the task is DONE."""
    with Runner() as runner:
        run = runner.run(url)
        print("task", run.task_id)
        for change in run:
            job = change.job
            print(f"{job.updated_at:%H:%M:%S}  {job.status:10} {job.reason:20} {job.message}")
        return 0 if run.job.status == "DONE" else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "https://example.org/"))
    except TaskRunnerError as error:
        sys.exit(f"{error}")
