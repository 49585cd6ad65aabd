//! The README's shell lines, run as they stand there.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
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
    /// Runs one block, and gives what it prints.
    async fn run(&self, block: &str) -> String {
        let mut shell = Command::new("sh");
        shell.args(["-euc", &block.replace(URL.0, URL.1)]).env("PATH", &self.path).envs(&self.variables);
        shell.stdin(Stdio::null()).kill_on_drop(true);
        let output = timeout(SOON, shell.output()).await.expect("the block ends soon").unwrap();
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{block}\nended with {}:\n{stdout}{stderr}", output.status);
        stdout.into_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readmes_calls_work_as_they_stand_there() {
    let Some(tools) = grpcurl() else {
        assert!(env::var_os("CI").is_none(), "grpcurl is not installed; tests/install.sh all installs it");
        eprintln!("not run: grpcurl is not installed; tests/install.sh all installs it");
        return;
    };
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let blocks = blocks(&readme);
    let block = |word: &str| {
        let mut found = blocks.iter().filter(|block| block.contains(word));
        let block = found.next().unwrap_or_else(|| panic!("no block of the README has {word:?}"));
        assert!(found.next().is_none(), "more than one block of the README has {word:?}");
        block
    };
    let program = Path::new(env!("CARGO_BIN_EXE_comet-task-runner")).parent().unwrap().to_owned();
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([tools, program].into_iter().chain(env::split_paths(&path))).unwrap();

    let service = Service::start();
    let mut shell = Shell { path, variables: BTreeMap::new() };
    shell.variables.insert("ADDR", service.address.strip_prefix("http://").unwrap().to_owned());
    shell.variables.insert("COMET_TASK_RUNNER_STATE_DIR", service.state_dir().to_str().unwrap().to_owned());
    let token = shell.run(&format!("{}\nprintf %s \"$TOKEN\"", block("TOKEN=${TOKEN"))).await;
    assert_eq!(token, service.token());
    shell.variables.insert("TOKEN", token);

    assert!(shell.run(block("$ADDR list")).await.contains("comet.taskrunner.v1.TaskRunner"));
    assert!(shell.run(block("$ADDR describe")).await.contains("rpc Execute"));
    let made: serde_json::Value = serde_json::from_str(&shell.run(block("TaskRunner/Execute")).await).unwrap();
    shell.variables.insert("TASK", made["taskId"].as_str().unwrap().to_owned());
    assert!(shell.run(block("TaskRunner/GetStatus")).await.contains("\"status\": \"RUNNING\""));

    let watched = shell.run(block("TaskRunner/WatchJob"));
    let reported = async {
        let alive = shell.run(block("\\\"RUNNING\\\"")).await;
        let done = shell.run(block("\\\"DONE\\\"")).await;
        (alive, done)
    };
    let (watched, (alive, done)) = tokio::join!(watched, reported);
    assert!(alive.contains("\"applied\": true") && done.contains("\"applied\": true"), "{alive}{done}");
    assert!(watched.contains("\"reason\": \"CALLBACK\"") && watched.contains("\"final\": true"), "{watched}");
    assert!(shell.run(block("TaskRunner/CancelJob")).await.contains("\"status\": \"DONE\""));
    assert_eq!(blocks.len(), 9, "a new block of the README needs its lines here");
}

#[test]
fn blocks_are_found_between_their_fences() {
    let text = "a\n```sh\none\ntwo\n```\nb\n```js\nno\n```\n```sh\nthree\n```\n";
    assert_eq!(blocks(text), ["one\ntwo", "three"]);
}
