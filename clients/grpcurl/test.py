"""Runs every line of README.md, as it stands there, and looks at each answer."""

import contextlib
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

HERE = pathlib.Path(__file__).parent
PROGRAM = os.environ["COMET_TASK_RUNNER_BIN"]
SERVICE = "comet.taskrunner.v1.TaskRunner"
# The URL that the page opens; the test opens one of its own instead.
URL = "https://example.org/"
# Longest wait for anything, in seconds: many times what a busy machine needs.
SOON = 60
# How long a stream without an end is looked at, in seconds: its first messages come at once.
ENDLESS = 5

# A page that leaves a file, says something, and tells when its window was drawn.
PAGE = b"""<!doctype html><title>The docs</title><h1>The docs</h1><script>
  console.warn('low on paper');
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob(['page,words\\n1,12\\n']));
  link.download = 'report.csv';
  link.click();
  requestAnimationFrame(() => requestAnimationFrame(() => cometTask.progress(5, 'drawn')));
</script>"""


def blocks(text):
    return re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def messages(text):
    """The JSON objects that grpcurl prints one after the other."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        message, at = decoder.raw_decode(text, at)
        found.append(message)
    return found


class Readme:
    """The lines of the page, each of which is to be run once."""

    def __init__(self):
        self.blocks = blocks((HERE / "README.md").read_text())
        self.left = list(self.blocks)

    def take(self, *words):
        """The one block with all of these words; a call's name is a whole word."""
        found = [block for block in self.blocks if all(re.search(re.escape(word) + r"(?!\w)", block) for word in words)]
        assert len(found) == 1, f"{len(found)} blocks have {words}"
        self.left.remove(found[0])
        return found[0]

    def calls(self):
        return {name for block in self.blocks for name in re.findall(re.escape(SERVICE) + r"/(\w+)", block)}


class Shell:
    """A shell with the variables that the page speaks of."""

    def __init__(self, directory):
        self.directory = directory
        self.variables = {"SECONDS_MAX": str(SOON)}

    def start(self, block):
        return subprocess.Popen(
            ["sh", "-euc", block.replace(URL, self.variables.get("URL", URL))],
            cwd=self.directory, env={**os.environ, **self.variables}, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )

    def finish(self, process):
        said, complaint = process.communicate(timeout=SOON)
        assert process.returncode == 0, f"{process.args[-1]}\nended with {process.returncode}:\n{said}{complaint}"
        return said + complaint

    def run(self, block):
        return self.finish(self.start(block))


@contextlib.contextmanager
def ended(process):
    try:
        yield process
    finally:
        process.terminate()
        process.wait(SOON)


@contextlib.contextmanager
def display():
    """An X display with a window manager; its name."""
    command = ["Xvfb", "-displayfd", "1", "-screen", "0", "1280x800x24", "-nolisten", "tcp", "-noreset"]
    with ended(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)) as server:
        # The number is written once the display takes connections.
        name = f":{server.stdout.readline().strip()}"
        manager = ["openbox", "--startup", "echo started"]
        environment = {**os.environ, "DISPLAY": name}
        with ended(subprocess.Popen(manager, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)) as keeper:
            keeper.stdout.readline()
            yield name


@contextlib.contextmanager
def page():
    """Serves the page; its URL."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(PAGE)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()


@contextlib.contextmanager
def service(home, display_name):
    """The service; its address."""
    command = [PROGRAM, "serve", "--listen", "127.0.0.1:0", "--slots", "2"]
    if os.getuid() == 0:
        command.append("--no-sandbox")
    environment = {
        **{name: value for name, value in os.environ.items() if name != "WAYLAND_DISPLAY"},
        "DISPLAY": display_name,
        "COMET_TASK_RUNNER_STATE_DIR": f"{home}/s",
        "COMET_TASK_RUNNER_RUN_DIR": f"{home}/r",
    }
    os.mkdir(f"{home}/r")
    with open(f"{home}/log", "w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
    with ended(process):
        said = process.stdout.readline()
        assert said.startswith("listening on http://"), pathlib.Path(f"{home}/log").read_text()
        yield said.split("http://")[1].strip()


def watch(address, token, task, wanted):
    """Follows a task, in JSON, until a message about it is as wanted, over its end too."""
    with ask(address, token, "WatchJobs", filter={"taskIds": [task]}, since="3600s") as stream:
        for line in stream:
            message = json.loads(line)
            job, samples = message.get("job", {}), message.get("samples", [])
            if wanted(job, samples[0]["sample"] if samples else {}):
                return
    raise AssertionError("the stream ended before what was waited for")


def ask(address, token, name, **request):
    call = urllib.request.Request(
        f"http://{address}/{SERVICE}/{name}", json.dumps(request).encode(),
        {"content-type": "application/json", "authorization": f"Bearer {token}"},
    )
    return urllib.request.urlopen(call, timeout=SOON)


def await_free_profile(address, token):
    """A profile is free a moment after its task's browser is gone, and no stream tells when."""
    deadline = time.monotonic() + SOON
    while any("taskId" in profile for profile in json.load(ask(address, token, "ListProfiles"))["profiles"]):
        assert time.monotonic() < deadline, "the profile is not free"


def equal(found, wanted):
    assert found == wanted, f"{found!r} is not {wanted!r}"


def try_all(readme, shell, address, url, home):
    method = lambda name, *words: readme.take(f"{SERVICE}/{name}", *words)
    call = lambda name, *words: messages(shell.run(method(name, *words)))

    token = shell.run(readme.take("TOKEN=${TOKEN") + '\nprintf %s "$TOKEN"')
    equal(token, pathlib.Path(f"{home}/s/token").read_text().strip())
    shell.variables.update(TOKEN=token, URL=url)
    listed = set(re.findall(r"TaskRunner\.(\w+)$", shell.run(readme.take("list")), re.MULTILINE))
    assert len(listed) >= 16, listed
    equal(readme.calls(), listed)
    assert "string request_id = 2" in shell.run(readme.take("describe"))
    equal(messages(shell.run(readme.take("Health/Check"))), [{"status": "SERVING"}])

    [runner] = call("GetRunner")
    assert runner["hasDisplay"] and runner["ready"] and runner["limits"]["slots"] == 2, runner

    [made] = call("Execute")
    task = shell.variables["TASK"] = made["taskId"]
    equal(made["job"]["labels"], {"team": "docs"})
    watch(address, token, task, lambda job, _: [file["name"] for file in job.get("files", [])] == ["report.csv"])
    watch(address, token, task, lambda _, sample: sample.get("progress") == 5)

    [asked] = call("GetStatus", "'$TASK'")
    equal((asked["job"]["status"], asked["sample"]["progressMessage"], asked["request"]["profile"]), ("RUNNING", "drawn", "docs"))

    # What fails ahead of a pipe is told by its complaint alone.
    equal(shell.run(method("CaptureScreenshot")), "")
    assert (shell.directory / "page.png").read_bytes().startswith(b"\x89PNG\r\n"), "page.png is no picture"
    [log] = call("ReadLog")
    equal([entry["text"] for entry in log["entries"] if entry["source"] == "CONSOLE"], ["low on paper"])
    equal(shell.run(method("ReadFile")), "")
    equal((shell.directory / "report.csv").read_text(), "page,words\n1,12\n")

    [windows] = call("ListWindows")
    [window] = windows["windows"]
    assert window["title"].startswith("The docs") and window["role"] == "PAGE", window
    [shown] = call("FocusWindow")
    equal((shown["outcome"], shown["window"]["windowId"]), ("FOCUSED", window["windowId"]))
    [tiled] = call("TileWindows")
    equal([each["windowId"] for each in tiled["windows"]], [window["windowId"]])

    [jobs] = call("ListJobs")
    equal([job["taskId"] for job in jobs["jobs"]], [task])
    shell.variables["SECONDS_MAX"] = str(ENDLESS)
    # grpcurl's complaint of the end that it made itself comes behind the messages.
    told = messages(shell.run(method("WatchJobs")).split("ERROR:")[0])
    shell.variables["SECONDS_MAX"] = str(SOON)
    equal([message["kind"] for message in told][:2], ["SNAPSHOT", "SYNCED"])
    equal(told[0]["taskId"], task)
    [profiles] = call("ListProfiles")
    equal([(each["name"], each["taskId"]) for each in profiles["profiles"]], [("docs", task)])

    watched = shell.start(method("WatchJob"))
    equal([answer["applied"] for answer in call("Callback", '"RUNNING"')], [True])
    [done] = call("Callback", '"DONE"')
    equal((done["applied"], done["job"]["status"]), (True, "DONE"))
    told = messages(shell.finish(watched))
    changes = [message for message in told if "job" in message]
    equal([message["revision"] for message in changes], [str(n) for n in range(1, len(changes) + 1)])
    equal((told[-1]["final"], told[-1]["job"]["callback"]["result"]), (True, '{"pages": 3}'))

    [closed] = call("CancelJob")
    equal(closed["job"]["status"], "DONE")
    watch(address, token, task, lambda job, _: "treeEnd" in job)
    await_free_profile(address, token)
    [removed] = call("RemoveProfile")
    equal(removed["profile"]["name"], "docs")
    assert "Code: InvalidArgument" in shell.run(method("GetStatus", "never-heard-of"))
    equal(readme.left, [])


def wipe(home):
    """Ends what outlives the service, and removes all of it."""
    for identity in home.glob("r/*/*/id"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(json.loads(identity.read_text())["pid"], signal.SIGKILL)
    # A browser on its way out writes to its profile until its last moment, and tells nobody when that was.
    deadline = time.monotonic() + SOON
    while home.exists():
        try:
            shutil.rmtree(home)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # Short, as the paths of sockets below it must be.
    home = pathlib.Path(tempfile.mkdtemp(prefix="ctr-grpcurl", dir="/tmp"))
    try:
        (home / "w").mkdir()
        os.environ["PATH"] = f"{pathlib.Path(PROGRAM).parent}:{os.environ['PATH']}"
        os.environ["COMET_TASK_RUNNER_STATE_DIR"] = f"{home}/s"
        readme = Readme()
        with display() as name, page() as url, service(home, name) as address:
            shell = Shell(home / "w")
            shell.variables["ADDR"] = address
            try:
                try_all(readme, shell, address, url, home)
            except BaseException:
                print((home / "log").read_text(), file=sys.stderr)
                raise
    finally:
        wipe(home)
    print(f"clients/grpcurl: {len(readme.blocks)} lines of README.md work, {len(readme.calls())} calls among them")


main()
