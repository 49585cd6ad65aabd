//! `list`: the tasks of a service, for people and for programs.

use comet_task_runner::api::v1::{self, job::Status};

use super::super::{
    service::{Options, Service, ended as job_ended, execute, stub_url},
    wire::begin,
};
use super::{ended, on};

#[tokio::test]
async fn a_list_has_a_line_for_each_task_that_is_meant() {
    let service = Service::start_with(Options::default().arg("--slots").arg("2"));
    let mut client = service.client().await;
    let none = ended(on(&service, &["list"])).await;
    assert_eq!((none.code, none.stdout.as_str(), none.stderr.as_str()), (Some(0), "", ""));

    let request =
        v1::ExecuteRequest { labels: [("team".to_owned(), "blue".to_owned())].into(), ..execute(&stub_url("/exit/0")) };
    let done = client.execute(request).await.unwrap().into_inner().task_id;
    job_ended(&mut client, &done).await;
    let live = begin(&mut client, &format!("/sleep?{}", "x".repeat(200))).await.task_id;

    let list = ended(on(&service, &["list"])).await;
    assert_eq!(list.code, Some(0), "{list:?}");
    let lines: Vec<_> = list.stdout.lines().collect();
    assert!(lines[0].starts_with("TASK ") && lines.len() == 3, "{}", list.stdout);
    assert!(
        lines[1].starts_with(&format!("{live}  RUNNING  ")) && lines[1].ends_with("xxx\u{2026}"),
        "{}",
        list.stdout
    );
    assert!(lines[2].starts_with(&format!("{done}  DONE  ")) && lines[2].ends_with("/exit/0"), "{}", list.stdout);
    assert!(lines.iter().all(|line| line.chars().count() <= 100), "{}", list.stdout);

    let cases: [(&[&str], &[&str]); 8] = [
        (&["--status", "running"], &[&live]),
        (&["--status", "RUNNING", "--status", "DONE"], &[&live, &done]),
        (&["--status", "failed"], &[]),
        (&["--label", "team=blue"], &[&done]),
        (&["--label", "team=red"], &[]),
        (&["--url", "/sleep"], &[&live]),
        (&["--since", "1h"], &[&live, &done]),
        (&["--since", "0"], &[]),
    ];
    for (args, expected) in cases {
        let list = ended(on(&service, &[&["list", "--json"], args].concat())).await;
        let jobs = list.json();
        let ids: Vec<_> = jobs.iter().map(|job| job["taskId"].as_str().unwrap()).collect();
        assert_eq!(ids, expected, "{args:?}");
    }
    let json = ended(on(&service, &["list", "--json", "--status", "DONE"])).await.json();
    assert_eq!((&json[0]["status"], &json[0]["labels"]["team"]), (&"DONE".into(), &"blue".into()));
    let wrong = ended(on(&service, &["list", "--status", "gone"])).await;
    assert!(wrong.code == Some(2) && wrong.stderr.contains("TIMED_OUT"), "{wrong:?}");
    assert_eq!(job_ended(&mut client, &done).await.status(), Status::Done);
}

#[tokio::test]
async fn a_list_goes_through_the_pages_up_to_its_limit() {
    let service = Service::start_with(Options::default().arg("--slots").arg("1"));
    let mut client = service.client().await;
    let mut ids = vec![begin(&mut client, "/sleep").await.task_id];
    // More bytes than one page has, and more tasks than are shown unasked.
    for _ in 0..129 {
        let mut request = execute(&stub_url(&format!("/exit/0?{}", "x".repeat(8000))));
        request.labels = (0..32).map(|n| (format!("{n:063}"), "v".repeat(255))).collect();
        ids.push(client.execute(request).await.unwrap().into_inner().task_id);
    }
    ids.reverse();
    for (limit, shown) in [("0", 130), ("120", 120), ("130", 130), ("1", 1)] {
        let list = ended(on(&service, &["list", "--json", "--limit", limit])).await;
        let listed: Vec<_> = list.json().iter().map(|job| job["taskId"].as_str().unwrap().to_owned()).collect();
        assert_eq!(listed, ids[..shown], "--limit {limit}");
        assert_eq!(list.stderr.contains("there are more"), shown < 130, "{}", list.stderr);
    }
    let unasked = ended(on(&service, &["list"])).await;
    assert_eq!(unasked.stdout.lines().count(), 51, "a heading and fifty tasks");
}
