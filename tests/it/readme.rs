//! The README's shell lines, run as they stand there.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use tokio::{process::Command, time::timeout};

use super::service::{SOON, Service};

/// The URL that the README opens, and what is opened instead: a stub that lives until it is told to go.
const URL: (&str, &str) = ("https://example.org/", "http://stub.test/sleep");

/// The fenced `sh` blocks of a text, in order.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while lines.by_ref().any(|line| line == "```sh") {
        blocks.push(lines.by_ref().take_while(|line| *line != "```").collect::<Vec<_>>().join("\n"));
    }
    blocks
}

/// The shell lines of the README and of the pages that go on where it ends.
struct Readme {
    blocks: Vec<String>,
}

impl Readme {
    fn read() -> Self {
        let text = |name| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap();
        let pages = ["README.md", "docs/tasks.md", "docs/operating.md"].map(text);
        Self { blocks: pages.iter().flat_map(|page| blocks(page)).collect() }
    }

    /// The one block with all of these words; a call's name is a whole word.
    fn block(&self, words: &[&str]) -> &str {
        let has = |block: &str, word: &str| {
            block.match_indices(word).any(|(at, _)| !block[at + word.len()..].starts_with(char::is_alphanumeric))
        };
        let mut found = self.blocks.iter().filter(|block| words.iter().all(|word| has(block, word)));
        let block = found.next().unwrap_or_else(|| panic!("no block of the README has {words:?}"));
        assert!(found.next().is_none(), "more than one block of the README has {words:?}");
        block
    }
}

/// Where grpcurl is: installed for the tests, or by the person.
fn grpcurl() -> Option<PathBuf> {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/bin");
    let path = env::var_os("PATH").unwrap_or_default();
    [ours].into_iter().chain(env::split_paths(&path)).find(|dir| dir.join("grpcurl").is_file())
}

/// A shell with the variables that the README speaks of.
struct Shell {
    path: OsString,
    variables: BTreeMap<&'static str, String>,
}

impl Shell {
    fn set(&mut self, name: &'static str, value: &str) {
        self.variables.insert(name, value.to_owned());
    }

    /// Runs one block, and gives what it prints.
    async fn run(&self, block: &str) -> String {
        let output = self.output(block).await;
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{block}\nended with {}:\n{stdout}{stderr}", output.status);
        stdout.into_owned()
    }

    /// Runs one block that a stub cannot satisfy, and gives the refusal.
    async fn refused(&self, block: &str) -> String {
        let output = self.output(block).await;
        assert!(!output.status.success(), "{block}\nwas not refused");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    async fn output(&self, block: &str) -> Output {
        let mut shell = Command::new("sh");
        shell.args(["-euc", &block.replace(URL.0, URL.1)]).env("PATH", &self.path).envs(&self.variables);
        shell.stdin(Stdio::null()).kill_on_drop(true);
        timeout(SOON, shell.output()).await.expect("the block ends soon").unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readmes_calls_work_as_they_stand_there() {
    let Some(tools) = grpcurl() else {
        assert!(env::var_os("CI").is_none(), "grpcurl is not installed; tests/install.sh all installs it");
        eprintln!("not run: grpcurl is not installed; tests/install.sh all installs it");
        return;
    };
    let readme = Readme::read();
    let program = Path::new(env!("CARGO_BIN_EXE_comet-task-runner")).parent().unwrap().to_owned();
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([tools, program].into_iter().chain(env::split_paths(&path))).unwrap();

    let service = Service::start();
    let mut shell = Shell { path, variables: BTreeMap::new() };
    shell.set("ADDR", service.address.strip_prefix("http://").unwrap());
    shell.set("COMET_TASK_RUNNER_STATE_DIR", service.state_dir().to_str().unwrap());
    // The streams that have no end of their own.
    shell.set("SECONDS_MAX", "2");
    let token = shell.run(&format!("{}\nprintf %s \"$TOKEN\"", readme.block(&["TOKEN=${TOKEN"]))).await;
    assert_eq!(token, service.token());
    shell.set("TOKEN", &token);

    assert!(shell.run(readme.block(&["$ADDR list"])).await.contains("comet.taskrunner.v1.TaskRunner"));
    assert!(shell.run(readme.block(&["$ADDR describe"])).await.contains("rpc Execute"));
    with_grpcurl(&mut shell, &readme).await;
    with_curl(&mut shell, &readme).await;
    assert!(shell.run(readme.block(&["/metrics"])).await.contains("comet_task_runner_jobs_finished_total"));
    assert_eq!(readme.blocks.len(), 23, "a new block of the README needs its lines here");
}

/// Makes a task, tries each call on it, and ends it by a report.
async fn with_grpcurl(shell: &mut Shell, readme: &Readme) {
    let call = |method: &str| readme.block(&["grpcurl", &format!("TaskRunner/{method}")]);
    let made: serde_json::Value = serde_json::from_str(&shell.run(call("Execute")).await).unwrap();
    let task_id = made["taskId"].as_str().unwrap().to_owned();
    shell.set("TASK", &task_id);
    assert!(shell.run(call("GetStatus")).await.contains("\"status\": \"RUNNING\""));
    for list in ["ListJobs", "WatchJobs"] {
        let told = shell.run(call(list)).await;
        assert!(told.contains(&task_id), "{list}: {told}");
    }
    assert!(shell.run(call("GetRunner")).await.contains("\"name\": \"stub\""));
    assert!(shell.refused(call("CaptureScreenshot")).await.contains("there is no picture to be had"));

    assert_eq!(shell.run(call("ReadLog")).await, "", "a stub has nothing to say");

    let watched = shell.run(call("WatchJob"));
    let reported = async {
        let alive = shell.run(readme.block(&["grpcurl", "\\\"RUNNING\\\""])).await;
        let done = shell.run(readme.block(&["grpcurl", "\\\"DONE\\\""])).await;
        (alive, done)
    };
    let (watched, (alive, done)) = tokio::join!(watched, reported);
    assert!(alive.contains("\"applied\": true") && done.contains("\"applied\": true"), "{alive}{done}");
    assert!(watched.contains("\"reason\": \"CALLBACK\"") && watched.contains("\"final\": true"), "{watched}");
    assert!(shell.run(call("CancelJob")).await.contains("\"status\": \"DONE\""));
}

/// The same with JSON.
async fn with_curl(shell: &mut Shell, readme: &Readme) {
    let call = |method: &str| readme.block(&[&format!("http://$ADDR/comet.taskrunner.v1.TaskRunner/{method}")]);
    let made: serde_json::Value = serde_json::from_str(&shell.run(call("Execute")).await).unwrap();
    let task_id = made["taskId"].as_str().unwrap().to_owned();
    shell.set("TASK", &task_id);
    shell.set("CALLBACK_TOKEN", made["callbackToken"].as_str().unwrap());
    assert!(shell.run(call("GetStatus")).await.contains("\"status\":\"RUNNING\""));
    for list in ["ListJobs", "WatchJobs"] {
        let told = shell.run(call(list)).await;
        assert!(told.contains(&task_id), "{list}: {told}");
    }
    assert!(shell.run(call("GetRunner")).await.contains("\"name\":\"stub\""));
    let (watched, reported) = tokio::join!(shell.run(call("WatchJob")), shell.run(call("Callback")));
    assert!(reported.contains("\"applied\":true"), "{reported}");
    let last: serde_json::Value = serde_json::from_str(watched.lines().last().unwrap()).unwrap();
    assert_eq!((&last["job"]["reason"], &last["final"]), (&"CALLBACK".into(), &true.into()), "{watched}");
    assert!(shell.run(call("CancelJob")).await.contains("\"status\":\"DONE\""));
}

/// The targets of a page's links to other files.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    targets.filter(|target| !target.contains("://")).filter_map(|target| target.split('#').next())
}

#[test]
fn every_link_of_the_pages_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = ["README.md", "docs/tasks.md", "docs/operating.md", "docs/metrics.md", "docs/configuration.md"];
    let clients = ["web", "node", "python", "page", "grpcurl"].map(|name| format!("clients/{name}/README.md"));
    let mut found = 0;
    for page in pages.into_iter().chain(clients.iter().map(String::as_str)) {
        let file = root.join(page);
        for target in links(&fs::read_to_string(&file).unwrap()).filter(|target| !target.is_empty()) {
            assert!(file.parent().unwrap().join(target).exists(), "{page} has a link to {target}");
            found += 1;
        }
    }
    assert!(found > 20, "{found} links");
}

#[test]
fn blocks_are_found_between_their_fences() {
    let text = "a\n```sh\none\ntwo\n```\nb\n```js\nno\n```\n```sh\nthree\n```\n";
    assert_eq!(blocks(text), ["one\ntwo", "three"]);
}
