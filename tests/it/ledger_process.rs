//! The embedded ledger in a process of its own: killed at any moment, and on a disk that is full.
//!
//! A test starts this binary again with itself as the only test and a variable that gives it the other role.

use std::{
    collections::HashMap,
    env, fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use comet_task_runner::{
    job::TaskId,
    ledger::{Append, Appended, EmbeddedLedger, Fault, Health, Ledger, ReadError},
};

use crate::{
    conformance::{Store, append, committed, id_of, jobs, lived, within},
    ledger::InFile,
    lives::life,
};

/// Names the directory in which the other role works.
const ROLE: &str = "LEDGER_TEST_DIRECTORY";

/// Rounds of killing: each ends at another moment, since each reads another number of answers before it kills.
const KILLS: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_kill() {
    if let Some(path) = env::var_os(ROLE) {
        return write_until_killed(&PathBuf::from(path)).await;
    }
    let store = InFile::new();
    let mut acknowledged: HashMap<TaskId, u64> = HashMap::new();
    for round in 0..KILLS {
        let answers = acknowledged_until_killed(&store.path(), 40 + 37 * round);
        assert!(answers.len() >= 40 + 37 * round, "round {round} was killed while it wrote");
        // A job's answers come in the order of its revisions, so the last one stays.
        acknowledged.extend(answers);
        let ledger = store.open();
        for (id, revision) in &acknowledged {
            let history = within(ledger.history(*id, 0)).await.unwrap();
            let revisions: Vec<u64> = history.iter().map(|job| job.revision).collect();
            assert_eq!(revisions, (1..=revisions.len()).map(|nth| nth as u64).collect::<Vec<_>>(), "no holes");
            assert!(history.len() as u64 >= *revision, "{id} lost revision {revision} in round {round}");
        }
        within(ledger.close()).await;
    }
}

/// Starts the writing role, reads `answers` of its answers, kills it, and reads what else it had answered.
fn acknowledged_until_killed(path: &Path, answers: usize) -> Vec<(TaskId, u64)> {
    let name = "ledger_process::what_was_acknowledged_survives_a_kill";
    let mut writer = Command::new(env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(ROLE, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(writer.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut answered = lines.filter_map(|line| acknowledgement(&line));
    let mut acknowledged: Vec<_> = answered.by_ref().take(answers).collect();
    writer.kill().unwrap();
    acknowledged.extend(answered);
    writer.wait().unwrap();
    acknowledged
}

/// The last line may be cut; a whole one ends with a full stop.
fn acknowledgement(line: &str) -> Option<(TaskId, u64)> {
    let (id, revision) = line.strip_prefix("committed ")?.split_once(' ')?;
    Some((id.parse().ok()?, revision.strip_suffix('.')?.parse().ok()?))
}

async fn write_until_killed(path: &Path) {
    let ledger = Arc::new(EmbeddedLedger::open(path).unwrap());
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let ledger = Arc::clone(&ledger);
        callers.spawn(async move {
            loop {
                for change in life() {
                    committed(&*ledger, &change).await;
                    let line = format!("committed {} {}.\n", change.job.id, change.job.revision);
                    if std::io::stdout().write_all(line.as_bytes()).is_err() {
                        return;
                    }
                }
            }
        });
    }
    callers.join_all().await;
}

/// The disk is a tmpfs of 1 MiB in a mount namespace of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_cleanly_and_recovers() {
    if let Some(directory) = env::var_os(ROLE) {
        return fill_the_disk(&PathBuf::from(directory)).await;
    }
    let directory = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=1m none \"$1\" || exit 77
        exec \"$2\" --exact ledger_process::a_full_disk_refuses_cleanly_and_recovers --nocapture";
    let ran = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .args([directory.path().as_os_str(), env::current_exe().unwrap().as_os_str()])
        .env(ROLE, directory.path())
        .output();
    match ran {
        Ok(ran) if ran.status.success() => {
            assert!(String::from_utf8_lossy(&ran.stdout).contains("1 passed"), "the other role did run: {ran:?}");
        }
        Ok(ran) if ran.status.code() == Some(77) || String::from_utf8_lossy(&ran.stderr).starts_with("unshare:") => {
            not_run("no mount namespace");
        }
        Ok(ran) => panic!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr)),
        Err(error) => not_run(&format!("unshare: {error}")),
    }
}

/// The tenth sync and all later ones fail, as on a dying disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_sync_is_the_end_until_the_store_is_opened_anew() {
    if let Some(directory) = env::var_os(ROLE) {
        return write_until_a_sync_fails(&PathBuf::from(directory)).await;
    }
    let store = InFile::new();
    let ran = Command::new("strace")
        .args(["-f", "-o", "/dev/null", "-e", "trace=fsync,fdatasync"])
        .args(["-e", "inject=fsync,fdatasync:error=EIO:when=10+"])
        .arg(env::current_exe().unwrap())
        .args(["--exact", "ledger_process::a_failed_sync_is_the_end_until_the_store_is_opened_anew", "--nocapture"])
        .env(ROLE, store.path())
        .output();
    let ran = match ran {
        Ok(ran) if String::from_utf8_lossy(&ran.stderr).contains("ptrace") => return not_run("no ptrace"),
        Ok(ran) => ran,
        Err(error) => return not_run(&format!("strace: {error}")),
    };
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
    let acknowledged: Vec<(TaskId, u64)> = said.lines().filter_map(acknowledgement).collect();
    assert!(!acknowledged.is_empty(), "some syncs succeeded before");
    let ledger = store.open();
    for (id, revision) in acknowledged {
        let latest = within(ledger.latest(id)).await.unwrap().expect("an acknowledged job is there");
        assert!(latest.revision >= revision);
    }
    committed(&*ledger, &life()[0]).await;
    within(ledger.close()).await;
}

async fn write_until_a_sync_fails(path: &Path) {
    let ledger = EmbeddedLedger::open(path).unwrap();
    let mut broken = None;
    for change in (0..10).flat_map(|_| life()) {
        match append(&ledger, &change).await {
            Appended::Committed(_) => println!("committed {} {}.", change.job.id, change.job.revision),
            Appended::Unknown(fault @ Fault::Broken(_)) => {
                broken = Some((change, fault));
                break;
            }
            other => panic!("neither committed nor broken: {other:?}"),
        }
    }
    let (failed, cause) = broken.expect("90 changes need more than nine syncs");
    // Nothing is written any more, and what is in doubt stays in doubt.
    assert!(matches!(append(&ledger, &life()[0]).await, Appended::Unknown(Fault::Broken(_))));
    let found = within(ledger.find_event(failed.job.id, failed.event_id)).await;
    assert_eq!(found, Err(ReadError::Store(cause.clone())));
    assert_eq!(*ledger.health().borrow(), Health::Refusing(cause));
    within(ledger.close()).await;
}

/// A test that cannot run says so; where everything must run, it fails.
fn not_run(why: &str) {
    assert!(env::var_os("CI").is_none(), "not run: {why}");
    eprintln!("not run: {why}");
}

async fn fill_the_disk(directory: &Path) {
    let ballast = directory.join("ballast");
    fs::write(&ballast, vec![0; 300 * 1024]).unwrap();
    let path = directory.join("ledger.db");
    let ledger: Arc<dyn Ledger> = Arc::new(EmbeddedLedger::open(&path).unwrap());
    let mut full_lives = Vec::new();
    let (refused, held) = loop {
        let life = life();
        if let Err(refused) = live_until_full(&*ledger, &life).await {
            break (refused, life);
        }
        full_lives.push(life);
        assert!(full_lives.len() < 10_000, "a disk of 1 MiB gets full");
    };
    assert_eq!(*ledger.health().borrow(), Health::Refusing(Fault::Full));
    let (id, kept) = (id_of(&held), refused.expected_revision);
    assert_eq!(within(ledger.find_event(id, refused.event_id)).await, Ok(None), "refused cleanly");
    for life in &full_lives {
        assert_eq!(within(ledger.history(id_of(life), 0)).await, Ok(jobs(life)), "what was taken can be read");
    }
    for _ in 0..3 {
        assert!(matches!(append(&*ledger, &refused).await, Appended::Unknown(Fault::Full)), "still full");
    }

    fs::remove_file(&ballast).unwrap();
    let rest = &held[usize::try_from(kept).unwrap()..];
    let log = lived(&*ledger, rest).await;
    assert_eq!(*ledger.health().borrow(), Health::Writable);
    assert_eq!(log.all_after(0), jobs(&held), "each once, in order");
    within(ledger.close()).await;

    let ledger = EmbeddedLedger::open(&path).unwrap();
    full_lives.push(held);
    for life in &full_lives {
        assert_eq!(within(ledger.history(id_of(life), 0)).await, Ok(jobs(life)));
    }
    within(ledger.close()).await;
}

async fn live_until_full(ledger: &dyn Ledger, life: &[Append]) -> Result<(), Append> {
    for change in life {
        match append(ledger, change).await {
            Appended::Committed(_) => {}
            Appended::Unknown(Fault::Full) => return Err(change.clone()),
            other => panic!("neither taken nor refused for want of room: {other:?}"),
        }
    }
    Ok(())
}
