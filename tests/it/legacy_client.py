"""A client of the old service, as people wrote it: start, ask once a second, stop asking when it is over.

Usage: legacy_client.py BASE_URL URL. Prints what it saw, one JSON object.
"""

import json
import sys
import time
import urllib.error
import urllib.request


def get(url):
    with urllib.request.urlopen(url, timeout=10) as response:
        return json.load(response)


def post(url, body):
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


def main():
    base, url = sys.argv[1:]
    task = post(base + "/execute", {"url": url})
    task_id = task["task_id"]
    seen = [task["status"]]
    print(task_id, flush=True)
    while True:
        job = get(base + "/status/" + task_id)
        if job["status"] != seen[-1]:
            seen.append(job["status"])
        if job["status"] in ("done", "failed"):
            break
        time.sleep(1)
    try:
        get(base + "/status/no-such-task")
        missing = None
    except urllib.error.HTTPError as error:
        missing = [error.code, "error" in json.load(error)]
    print(json.dumps({"seen": seen, "job": job, "missing": missing}))


main()
