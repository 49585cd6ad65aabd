//! The rules of the house that no compiler checks: layers, sizes, names, words.

use std::{collections::BTreeSet, fs, path::Path};

/// Longest file: what is longer has more than one role.
const LINES_MAX: usize = 500;

/// Who may import whom. `main` is the program; the composition root alone may name everything below it.
const LAYERS: [(&str, &[&str]); 14] = [
    ("main", &["cli", "process", "telemetry"]),
    ("cli", &["api", "client", "server", "config", "telemetry"]),
    // It finds a service by what that leaves in its state directory.
    ("client", &["api", "server", "config"]),
    ("server", &["api", "web", "runner", "browser", "ledger", "process", "config", "telemetry"]),
    // The metrics are one of its answers.
    ("web", &["api", "runner", "ledger", "job", "telemetry"]),
    ("api", &["runner", "ledger", "job"]),
    ("runner", &["ledger", "browser", "process", "desktop", "job"]),
    ("browser", &["process", "job"]),
    ("ledger", &["job"]),
    ("process", &["job"]),
    // It asks the X server, and nobody of ours.
    ("desktop", &[]),
    ("job", &[]),
    ("config", &[]),
    // What is logged is a setting.
    ("telemetry", &["config"]),
];

/// Words that begin something of their own, and the places where that is joined.
const SPAWNS: [&str; 5] = ["tokio::spawn(", "thread::spawn(", "thread::Builder", "JoinSet", "TaskTracker"];
const SPAWNERS: [(&str, &str); 4] = [
    ("src/server/", "joins the one task that serves"),
    ("src/runner/", "joins every attendant in `leave`"),
    ("src/ledger/embedded/mod.rs", "joins the writer's thread in `close`"),
    ("src/cli/batch.rs", "joins each errand, or ends it with the verb"),
];

/// Makers of a `tonic::Status`; its one table is `api/status.rs`.
const STATUS_MAKERS: [&str; 8] = [
    "Status::new(",
    "Status::with_",
    "Status::invalid_argument(",
    "Status::not_found(",
    "Status::internal(",
    "Status::unavailable(",
    "Status::unauthenticated(",
    "Status::from_error(",
];

/// Words in a name that say nothing of what the thing is.
const EMPTY_WORDS: [&str; 10] =
    ["Manager", "Helper", "Helpers", "Util", "Utils", "Handler", "Processor", "Impl", "Misc", "Info"];
/// What others named.
const NAMES_OF_OTHERS: [(&str, &str); 2] =
    [("TargetInfo", "so the debugging protocol calls it"), ("ConnectInfo", "so tonic calls it")];

/// Words that a comment does without: promises to do better, and talk.
const TALK: [&str; 9] =
    ["todo", "fixme", "xxx:", "hack:", "obviously", "of course", "utilize", "for some reason", "design.md"];

#[derive(Debug)]
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The top-level module that the file belongs to.
    fn module(&self) -> &str {
        let below = self.path.strip_prefix("src/").unwrap_or_default();
        below.split('/').next().unwrap_or_default().trim_end_matches(".rs")
    }

    /// The code without comments, and without the unit tests at the end.
    fn code(&self) -> String {
        let text = self.text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or_default();
        text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
    }

    fn is_test(&self) -> bool {
        self.path.starts_with("tests/") || self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut waiting: Vec<_> = ["src", "tests", "benches", "examples"].map(|dir| root.join(dir)).into();
    waiting.push(root.join("build.rs"));
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().flatten().map(|entry| entry.path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            found.push(Source { path: name, text: fs::read_to_string(&path).unwrap() });
        }
    }
    assert!(found.len() > 80, "the sources are found");
    found
}

/// Every offence of every file against one rule, told at once.
fn check(rule: impl Fn(&Source) -> Vec<String>) {
    let offences: Vec<_> = sources()
        .iter()
        .flat_map(|source| rule(source).into_iter().map(|offence| format!("{}: {offence}", source.path)))
        .collect();
    assert!(offences.is_empty(), "\n{}\n", offences.join("\n"));
}

/// The rule finds the offence in this text, and none once it is gone.
fn catches(rule: impl Fn(&Source) -> Vec<String>, path: &str, bad: &str, good: &str) {
    let source = |text: &str| Source { path: path.to_owned(), text: text.to_owned() };
    assert_eq!(rule(&source(bad)).len(), 1, "{bad}: {:?}", rule(&source(bad)));
    assert_eq!(rule(&source(good)), Vec::<String>::new(), "{good}");
}

/// The modules of ours that a piece of code names after a root: `crate::a`, `crate::{a::b, c}`.
fn imports(code: &str, root: &str) -> BTreeSet<String> {
    let name = |text: &str| {
        let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
        text[..end].to_owned()
    };
    let mut named = BTreeSet::new();
    for (at, _) in code.match_indices(root) {
        let rest = &code[at + root.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            named.insert(name(rest));
            continue;
        };
        let (mut depth, mut begins) = (0, true);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => begins = true,
                c if begins && !c.is_whitespace() => {
                    named.insert(name(&group[at..]));
                    begins = false;
                }
                _ => {}
            }
        }
    }
    named.retain(|name| !name.is_empty());
    named
}

fn layers(source: &Source) -> Vec<String> {
    if !source.path.starts_with("src/") || source.path == "src/lib.rs" {
        return Vec::new();
    }
    let module = source.module();
    let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == module) else {
        return vec![format!("the module {module:?} has no place among the layers")];
    };
    let root = if module == "main" { "comet_task_runner::" } else { "crate::" };
    let named = imports(&source.code(), root);
    let wrong = named.iter().filter(|name| *name != module && !allowed.contains(&name.as_str()));
    wrong.map(|name| format!("{module} may not import {name}")).collect()
}

#[test]
fn imports_point_down_the_layers() {
    check(layers);
    catches(layers, "src/job/x.rs", "use crate::ledger::Ledger;", "use crate::job::Job;");
    catches(
        layers,
        "src/api/x.rs",
        "use crate::{\n    job::{A, B},\n    browser::C,\n};",
        "use crate::{job::A, runner::B};",
    );
    catches(layers, "src/ledger/x.rs", "fn f() { crate::process::g() }", "// crate::process is not ours to know");
    catches(layers, "src/main.rs", "use comet_task_runner::ledger;", "use comet_task_runner::cli::Cli;");
}

fn size(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    if lines > LINES_MAX {
        vec![format!("has {lines} lines; at most {LINES_MAX} are read in one go")]
    } else {
        Vec::new()
    }
}

#[test]
fn no_file_is_longer_than_can_be_read_in_one_go() {
    check(size);
    catches(size, "src/job/x.rs", &"\n".repeat(501), &"\n".repeat(500));
}

fn role(source: &Source) -> Vec<String> {
    let first = source.text.lines().next().unwrap_or_default();
    let says = first.strip_prefix("//! ").is_some_and(|role| role.len() > 10);
    if says { Vec::new() } else { vec!["its first line does not say its role".to_owned()] }
}

#[test]
fn each_file_begins_with_its_role() {
    check(role);
    catches(role, "src/job/x.rs", "use std::fmt;", "//! Says what it is for.");
}

/// A rule that words appear in no code but that of some places.
fn only_in(words: &'static [&'static str], places: &'static [&'static str]) -> impl Fn(&Source) -> Vec<String> {
    move |source| {
        let elsewhere = source.path.starts_with("src/") && !source.is_test();
        if !elsewhere || places.iter().any(|place| source.path.starts_with(place)) {
            return Vec::new();
        }
        let code = source.code();
        let found = words.iter().filter(|word| code.contains(**word));
        found.map(|word| format!("{word:?} belongs to {}", places.join(", "))).collect()
    }
}

#[test]
fn only_the_process_layer_is_unsafe() {
    let rule =
        only_in(&["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "allow(unsafe_code"], &["src/process/"]);
    check(&rule);
    catches(&rule, "src/job/x.rs", "fn f() { unsafe { g() } }", "// unsafe { } is for others");
}

#[test]
fn one_table_makes_every_status() {
    let rule = only_in(&STATUS_MAKERS, &["src/api/status.rs"]);
    check(&rule);
    catches(&rule, "src/api/x.rs", "Status::not_found(\"x\")", "status::not_found(id)");
}

#[test]
fn only_the_api_and_its_client_know_the_wire() {
    // The exporter of spans is a client of somebody else's contract, and has to be told whom it trusts.
    let rule = only_in(
        &["tonic::", "tonic_types::", "tonic_health::", "prost::", "prost_types::"],
        &["src/api/", "src/client/", "src/cli/", "src/telemetry/export.rs"],
    );
    check(&rule);
    catches(&rule, "src/web/x.rs", "use tonic::Status;", "use crate::api::Body;");
}

#[test]
fn only_the_ledger_knows_sql() {
    let rule = only_in(&["rusqlite", "SELECT ", "INSERT ", "DELETE FROM"], &["src/ledger/"]);
    check(&rule);
    catches(&rule, "src/runner/x.rs", "use rusqlite::Connection;", "use crate::ledger::Ledger;");
}

#[test]
fn who_spawns_also_joins() {
    let rule = |source: &Source| {
        let code = source.code();
        let joined = SPAWNERS.iter().any(|(place, _)| source.path.starts_with(place));
        if !source.path.starts_with("src/") || source.is_test() || joined {
            return Vec::new();
        }
        SPAWNS.iter().filter(|word| code.contains(**word)).map(|word| format!("{word:?} is joined by nobody")).collect()
    };
    check(rule);
    catches(rule, "src/api/x.rs", "tokio::spawn(f());", "runner.execute().await;");
}

fn names(source: &Source) -> Vec<String> {
    let declares = ["struct", "enum", "trait", "type", "mod", "union"];
    let words: Vec<_> = source.text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let mut found = Vec::new();
    for line in words {
        let mut tokens = line.split_whitespace().skip_while(|word| word.starts_with("pub"));
        let (Some(keyword), Some(name)) = (tokens.next(), tokens.next()) else { continue };
        let name: String = name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if declares.contains(&keyword)
            && !NAMES_OF_OTHERS.iter().any(|(other, _)| *other == name)
            && EMPTY_WORDS.iter().any(|word| name.ends_with(word) || name == word.to_lowercase())
        {
            found.push(format!("{keyword} {name} says nothing of what it is"));
        }
    }
    found
}

#[test]
fn names_say_what_a_thing_is() {
    check(names);
    catches(names, "src/job/x.rs", "pub(crate) struct JobManager {", "pub struct Job {");
    catches(names, "src/job/x.rs", "mod utils;", "mod url;");
}

fn talk(source: &Source) -> Vec<String> {
    if source.path == file!() {
        return Vec::new();
    }
    let comments = source.text.lines().filter_map(|line| Some(line.split_once("//")?.1.to_lowercase()));
    comments
        .flat_map(|comment| TALK.iter().filter(move |word| comment.contains(**word)).collect::<Vec<_>>())
        .map(|word| format!("a comment says {word:?}"))
        .collect()
}

#[test]
fn comments_promise_nothing_and_do_not_chat() {
    check(talk);
    catches(talk, "src/job/x.rs", "// TODO: later", "// Why it is so.");
}

/// Those who wait for what has no event.
const NAPPERS: [(&str, &str); 4] = [
    ("tests/it/service.rs", "`eventually`, for files and processes that others remove"),
    ("tests/it/real.rs", "the same for what follows a browser's exit"),
    ("tests/it/screenshot.rs", "as long as the service says that a caller has to wait"),
    ("tests/it/restart_storm.rs", "the random moment of a kill, which is its very subject"),
];

fn naps(source: &Source) -> Vec<String> {
    let may = NAPPERS.iter().any(|(place, _)| source.path == *place);
    if !source.is_test() || may || source.path == file!() {
        return Vec::new();
    }
    let code = source.code();
    let calls = ["thread::sleep(", "time::sleep(", " sleep("].iter().filter(|call| code.contains(**call));
    calls.map(|call| format!("{call:?} in a test: wait for the event instead")).collect()
}

#[test]
fn tests_wait_for_events_and_never_sleep() {
    check(naps);
    catches(naps, "tests/it/x.rs", "std::thread::sleep(SOON);", "stream.next().await;");
}
