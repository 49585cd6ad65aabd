//! `run` and `watch` with several tasks, and `rerun`.

use std::{fs, process::Stdio};

use comet_task_runner::api::v1::{WatchJobsRequest, job::Status};
use tokio::io::AsyncWriteExt;

use super::{
    super::{
        service::{Options, SOON, Service, job_when, stub_url},
        wire::begin,
    },
    Call, ended, on,
};

/// Tasks that run at once.
fn slots(count: usize) -> Service {
    Service::start_with(Options::default().arg("--slots").arg(count.to_string()))
}

#[tokio::test]
async fn each_has_a_line_and_all_a_total_and_the_exit_code_is_the_worst() {
    let service = slots(4);
    let (well, bad, late) = (stub_url("/exit/0"), stub_url("/exit/7"), stub_url("/sleep"));
    for (urls, code, total) in [
        (vec![&well, &well], 0, "2 tasks in "),
        (vec![&well, &bad, &well], 1, ": 2 DONE, 1 FAILED"),
        (vec![&bad, &late], 4, ": 1 FAILED, 1 TIMED_OUT"),
    ] {
        let mut run = on(&service, &["run", "--timeout-run", "300ms"]);
        run.args(&urls);
        let end = ended(run).await;
        assert_eq!(end.code, Some(code), "{end:?}");
        let lines: Vec<_> = end.stdout.lines().collect();
        assert_eq!(lines.len(), urls.len() + 1, "{end:?}");
        assert!(lines.last().unwrap().contains(total), "{end:?}");
        for url in urls {
            assert!(lines.iter().any(|line| line.ends_with(url.as_str())), "{url}: {end:?}");
        }
        assert_eq!(end.stderr, "");
    }
}

#[tokio::test]
async fn one_at_fault_is_named_and_holds_up_no_other() {
    let service = slots(2);
    let end = ended(on(&service, &["run", "file:///etc/passwd", &stub_url("/exit/0")])).await;
    assert_eq!(end.code, Some(2), "{end:?}");
    assert!(end.stderr.starts_with("error: file:///etc/passwd: url: ") && end.stderr.contains("use http"), "{end:?}");
    assert!(end.stdout.contains("DONE  ") && end.stdout.contains(": 1 DONE, 1 with an error"), "{end:?}");
    let id = "3c1f2f2e-8a37-4a0e-8d3c-1f0f60b6d2b9";
    let end = ended(on(&service, &["run", "http://a.test/", "http://b.test/", "--request-id", id])).await;
    assert!(end.code == Some(2) && end.stderr.contains("--request-id"), "{end:?}");
}

#[tokio::test]
async fn urls_come_from_a_file_and_from_standard_input() {
    let service = slots(4);
    let list = service.home().join("urls.txt");
    fs::write(&list, format!("# both end well\n{}\n\n{}\n", stub_url("/exit/0?a"), stub_url("/exit/0?b"))).unwrap();
    let end = ended(on(&service, &["run", "--file", list.to_str().unwrap(), "--json"])).await;
    assert_eq!((end.code, end.stderr.as_str()), (Some(0), ""), "{end:?}");
    let lines = end.json();
    for query in ["a", "b"] {
        let of_one = lines.iter().filter(|line| line["job"]["url"] == stub_url(&format!("/exit/0?{query}")));
        let revisions: Vec<_> = of_one.map(|line| line["job"]["revision"].as_str().unwrap()).collect();
        assert_eq!(revisions, ["1", "2", "3"], "{end:?}");
    }

    let mut run = on(&service, &["run", "-"]);
    run.stdin(Stdio::piped());
    let mut child = run.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(format!("{}\n{}", stub_url("/exit/0"), stub_url("/exit/3")).as_bytes()).await.unwrap();
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stdout).unwrap().contains("2 tasks in "));

    fs::write(&list, "# none\n").unwrap();
    let end = ended(on(&service, &["run", "--file", list.to_str().unwrap()])).await;
    assert!(end.code == Some(2) && end.stderr.contains("one per line"), "{end:?}");
    for count in ["0", "201"] {
        let end = ended(on(&service, &["run", "http://a.test/", "--parallel", count])).await;
        assert!(end.code == Some(2) && end.stderr.contains("1..=200"), "{end:?}");
    }
    let end = ended(on(&service, &["run"])).await;
    assert!(end.code == Some(2) && end.stderr.contains("<URL>"), "{end:?}");
}

#[tokio::test]
async fn no_more_are_under_way_at_once_than_was_said() {
    let service = slots(4);
    let file = service.home().join("life");
    let url = stub_url(&format!("/life?file={}&ms=100&code=0", file.display()));
    let end = ended(on(&service, &["run", &url, &url, &url, "--parallel", "1", "--json"])).await;
    assert_eq!(end.code, Some(0), "{end:?}");
    let times = |field: &str, status: &str| -> Vec<String> {
        let lines = end.json();
        let of = lines.iter().filter(|line| line["job"]["status"] == status);
        of.map(|line| line["job"][field].as_str().unwrap().to_owned()).collect()
    };
    let (begun, over) = (times("createdAt", "CREATED"), times("finishedAt", "DONE"));
    assert_eq!((begun.len(), over.len()), (3, 3), "{end:?}");
    assert!(over[0] <= begun[1] && over[1] <= begun[2], "{begun:?} {over:?}");
}

#[tokio::test]
async fn a_signal_cancels_what_runs_and_begins_nothing_more() {
    let service = slots(2);
    let url = stub_url("/sleep");
    let mut run = Call::start(on(&service, &["run", &url, &url, &url, "--parallel", "2", "--json"]));
    run.line_with("RUNNING").await;
    run.line_with("RUNNING").await;
    run.signal(rustix::process::Signal::INT);
    let end = run.end().await;
    assert_eq!(end.code, Some(4), "{end:?}");
    let listed = ended(on(&service, &["list", "--json"])).await.json();
    assert_eq!(listed.len(), 2, "the third was never begun: {listed:?}");
    assert!(listed.iter().all(|job| job["status"] == "CANCELLED"), "{listed:?}");
}

#[tokio::test]
async fn several_are_watched_until_the_last_of_them_is_over() {
    let service = slots(2);
    let mut client = service.client().await;
    let (first, second) = (begin(&mut client, "/sleep").await.task_id, begin(&mut client, "/sleep").await.task_id);
    let mut watch = Call::start(on(&service, &["watch", &first, &second]));
    watch.line_with(&second).await;
    ended(on(&service, &["cancel", &first])).await;
    watch.line_with(&format!("{first}  ")).await;
    job_when(&mut client, &first, |job| job.status() == Status::Cancelled).await;
    ended(on(&service, &["cancel", &second])).await;
    let end = watch.end().await;
    assert_eq!(end.code, Some(4), "{end:?}");
    assert!(end.stdout.contains("CANCELLED"), "{end:?}");

    let unknown = "01a20ca6-76f5-7271-9a36-060a04fd6865";
    let end = ended(on(&service, &["watch", &first, unknown])).await;
    assert!(end.code == Some(2) && end.stderr.contains(unknown), "{end:?}");
    let end = ended(on(&service, &["watch", &first, &second, "--from-start"])).await;
    assert!(end.code == Some(2) && end.stderr.contains("--from-start"), "{end:?}");
}

#[tokio::test]
async fn from_start_tells_the_whole_history_and_rerun_makes_the_same_again() {
    let service = Service::start();
    let url = stub_url("/exit/3");
    let args = ["run", &url, "--json", "--label", "team=docs", "--completion-policy", "process-exit"];
    let first = ended(on(&service, &args)).await;
    let job = first.json().pop().unwrap()["job"].clone();
    let task_id = job["taskId"].as_str().unwrap();

    let whole = ended(on(&service, &["watch", task_id, "--from-start", "--json"])).await;
    let revisions: Vec<_> =
        whole.json().iter().map(|line| line["job"]["revision"].as_str().unwrap().to_owned()).collect();
    assert_eq!(revisions, ["1", "2", "3"], "{whole:?}");

    let again = ended(on(&service, &["rerun", task_id, "--json"])).await;
    assert_eq!(again.code, Some(1), "{again:?}");
    let other = again.json().pop().unwrap()["job"].clone();
    assert_ne!(other["taskId"], job["taskId"]);
    for field in ["url", "status", "reason", "labels", "exitCode"] {
        assert_eq!(other[field], job[field], "{field}");
    }
    let unknown = ended(on(&service, &["rerun", "01a20ca6-76f5-7271-9a36-060a04fd6865"])).await;
    assert!(unknown.code == Some(2) && unknown.stderr.contains("TASK_NOT_FOUND"), "{unknown:?}");
}

#[tokio::test]
async fn room_in_a_full_queue_is_waited_for_by_several_and_not_by_one_alone() {
    let service = Service::start_with(Options::default().arg("--slots").arg("1").arg("--queue").arg("1"));
    let file = service.home().join("life");
    let url = stub_url(&format!("/life?file={}&ms=300&code=0", file.display()));
    let mut all = Call::start(on(&service, &["run", &url, &url, &url, &url, "--parallel", "4"]));
    all.line_with("DONE").await;
    let end = all.end().await;
    assert_eq!(end.code, Some(0), "{end:?}");
    assert!(end.stdout.contains(": 4 DONE"), "{end:?}");

    let mut client = service.client().await;
    begin(&mut client, "/sleep").await;
    begin(&mut client, "/sleep").await;
    let alone = ended(on(&service, &["run", &url])).await;
    assert!(alone.code == Some(3) && alone.stderr.contains("QUEUE_FULL"), "{alone:?}");
}

#[tokio::test]
async fn a_list_that_is_followed_goes_on_with_the_changes_of_what_it_shows() {
    let service = slots(2);
    let mut client = service.client().await;
    begin(&mut client, "/exit/0?other").await;
    let mut list = Call::start(on(&service, &["list", "--follow", "--url", "mine", "--json"]));
    let first: serde_json::Value = serde_json::from_str(&list.line().await.unwrap()).unwrap();
    assert_eq!(first["kind"], "SYNCED", "nothing of the kind is there: {first}");
    let mine = begin(&mut client, "/exit/3?mine").await.task_id;
    let line: serde_json::Value = serde_json::from_str(&list.line_with("FAILED").await).unwrap();
    assert_eq!((&line["taskId"], &line["kind"]), (&mine.into(), &"CHANGE".into()));
    list.signal(rustix::process::Signal::TERM);
    assert!(!list.end().await.stdout.contains("other"));
    let end = ended(on(&service, &["list", "--follow", "--status", "DONE"])).await;
    assert!(end.code == Some(2) && end.stderr.contains("--status"), "{end:?}");
}

#[tokio::test]
async fn a_service_that_does_not_come_back_is_given_up_for_all() {
    let mut service = slots(2);
    let url = stub_url("/sleep");
    let mut run = Call::start(on(&service, &["run", &url, &url, &url, "--parallel", "1", "--retry-for", "300ms"]));
    let mut client = service.client().await;
    let mut jobs = client.watch_jobs(WatchJobsRequest::default()).await.unwrap().into_inner();
    let running = async { while jobs.message().await.unwrap().unwrap().job.is_none_or(|job| job.process_id == 0) {} };
    tokio::time::timeout(SOON, running).await.unwrap();
    service.kill();
    let total = run.line_with("3 tasks in ").await;
    assert!(total.ends_with(": 1 with an error, 2 not begun"), "{total}");
    let end = run.end().await;
    assert!(end.code == Some(3) && end.stderr.contains(&format!("error: {url}: no service runs on")), "{end:?}");
}

#[tokio::test]
async fn as_many_as_may_be_at_once_are_all_cancelled_over_one_connection() {
    let service = slots(1);
    let mut run = on(&service, &["run", "-", "--parallel", "200", "--json"]);
    run.stdin(Stdio::piped());
    let mut child = run.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(format!("{}\n", stub_url("/sleep")).repeat(200).as_bytes()).await.unwrap();
    drop(stdin);
    let mut run = Call::of(child);
    for _ in 0..200 {
        run.line_with("CREATED").await;
    }
    run.signal(rustix::process::Signal::INT);
    let end = run.end().await;
    assert_eq!(end.code, Some(4), "{}", end.stderr);
    let listed = ended(on(&service, &["list", "--json", "--limit", "0"])).await.json();
    assert_eq!(listed.iter().filter(|job| job["status"] == "CANCELLED").count(), 200);
}
