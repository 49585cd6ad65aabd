//! A service that is killed again and again at random moments: nothing accepted is lost, doubled or left behind.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use comet_task_runner::api::v1::{self, job::Status, watch_job_request::Until, watch_job_response::Kind};
use tokio::{sync::watch, task::JoinHandle};
use tonic::Code;
use tonic_types::StatusExt;

use super::{
    history::{self, Histories},
    nothing_left::Tidy,
    processes::Named,
    real::{LONG, assert_told_well},
    service::{Client, Options, ended, execute, stub_url, watch},
};

/// How often the service dies.
const ROUNDS: u64 = 40;
/// The longest life of a service after it listens: some die with every task begun, some with none.
const LIFE_MS_MAX: u64 = 250;
/// Sets the seed of a run that is to be repeated, as far as timing allows.
const SEED: &str = "COMET_TEST_SEED";

/// Splitmix64: few lines, and the same numbers everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// What becomes of a task if nobody dies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Course {
    Exits,
    IsCancelled,
    Reports,
}

/// A task that was asked for.
#[derive(Clone)]
struct Asked {
    request: v1::ExecuteRequest,
    course: Course,
    mark: PathBuf,
    /// Known once a service has answered.
    task_id: Arc<Mutex<Option<String>>>,
}

/// Where the service is now, for those who come back after each death.
type Doors = watch::Receiver<Option<Client>>;

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_killed_forty_times_loses_doubles_and_leaves_nothing() {
    let seed = std::env::var(SEED).map_or_else(|_| uuid::Uuid::new_v4().as_u64_pair().0, |text| text.parse().unwrap());
    println!("{SEED}={seed}");
    let mut random = Random(seed);
    let marks = tempfile::tempdir().unwrap();
    let mut service = Tidy::start_with(Options::default().arg("--slots").arg("6"));
    let (door, doors) = watch::channel(Some(service.client().await));
    let mut asked: Vec<Asked> = Vec::new();
    let mut watchers: Vec<JoinHandle<Vec<v1::WatchJobResponse>>> = Vec::new();
    let mut ends: BTreeMap<String, serde_json::Value> = BTreeMap::new();

    for round in 0..ROUNDS {
        let client = service.client().await;
        let fresh: Vec<Asked> =
            (0..5 + random.below(6)).map(|number| plan(&mut random, marks.path(), round, number)).collect();
        let calls: Vec<_> = fresh.iter().map(|asked| tokio::spawn(pursue(client.clone(), asked.clone()))).collect();
        tokio::time::sleep(Duration::from_millis(random.below(LIFE_MS_MAX))).await;
        door.send_replace(None);
        service.kill();
        for call in calls {
            call.await.unwrap();
        }
        service.restart();
        let mut client = service.client().await;
        door.send_replace(Some(client.clone()));
        for asked in &fresh {
            let task_id = ask_again(&mut client, asked).await;
            // Most of what the death cut off is brought to its end now, so that slots come free; some live on.
            if random.below(8) != 0 {
                finish_course(&mut client, asked).await;
            }
            if random.below(4) == 0 {
                watchers.push(tokio::spawn(follow(doors.clone(), task_id)));
            }
        }
        asked.extend(fresh);
        check(&history::read(&service.state_dir()), &asked, &mut ends);
    }

    let mut client = service.client().await;
    for asked in asked.iter().filter(|asked| asked.course != Course::Exits) {
        cancel(&mut client, asked).await;
    }
    for asked in &asked {
        settle(&mut client, asked).await;
    }
    for watcher in watchers {
        let told = tokio::time::timeout(LONG, watcher).await.expect("every watcher comes to the end").unwrap();
        assert!(told.iter().all(|message| !message.reset), "{told:#?}");
        let after_first = told.iter().skip(1).filter(|message| message.kind() == Kind::Snapshot).count();
        assert_eq!(after_first, 0, "begun anew: {told:#?}");
        assert_told_well(&told);
    }
    let histories = history::read(&service.state_dir());
    check(&histories, &asked, &mut ends);
    assert_eq!(ends.len(), asked.len(), "some did not end");
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for (task_id, entries) in &histories {
        let last = entries.last().unwrap();
        assert_ne!(last.text("reason"), "LaunchFailed", "nothing kept this browser from starting: {last:#?}");
        let requeued = if last.body["attempt"] == 2 { ", at the second attempt" } else { "" };
        *kinds.entry(format!("{} {}{requeued}", last.status(), last.text("reason"))).or_default() += 1;
        // Only one that missed its GO twice can be lost here: every shim outlives every service.
        let lost = last.status() == "Lost";
        assert!(
            !lost || (last.text("reason") == "ServiceRestarted" && last.body["attempt"] == 2),
            "{task_id}: {last:?}"
        );
    }
    println!("{} jobs: {kinds:#?}", histories.len());
    // Else the storm has gone by: nearly all of it hit an idle service or one whose slots were all taken.
    for kind in ["Done Callback", "Done ProcessExited", "Failed ProcessFailed", "Cancelled CancelRequested"] {
        assert!(kinds.get(kind).is_some_and(|count| *count > 5), "too few ended as {kind}: {kinds:#?}");
    }
}

fn plan(random: &mut Random, marks: &std::path::Path, round: u64, number: u64) -> Asked {
    let mark = marks.join(format!("{round}-{number}"));
    let course = match random.below(3) {
        0 => Course::IsCancelled,
        1 => Course::Reports,
        _ => Course::Exits,
    };
    // One that is to be cancelled or to report lives until it is told to go.
    let ms = if course == Course::Exits { 1 + random.below(200) } else { 0 };
    let url = stub_url(&format!("/life?file={}&ms={ms}&code={}", mark.display(), random.below(2) * 3));
    let request = v1::ExecuteRequest { request_id: uuid::Uuid::new_v4().to_string(), ..execute(&url) };
    Asked { request, course, mark, task_id: Arc::default() }
}

/// Begins a task and takes its course, as far as the service lives.
async fn pursue(mut client: Client, asked: Asked) {
    match client.execute(asked.request.clone()).await {
        Ok(begun) => {
            let task_id = begun.into_inner().task_id;
            *asked.task_id.lock().unwrap() = Some(task_id.clone());
            if let Err(refused) = take_course(&mut client, &asked, &task_id).await {
                assert_cut(&refused);
            }
        }
        Err(refused) => assert_cut(&refused),
    }
}

async fn take_course(client: &mut Client, asked: &Asked, task_id: &str) -> Result<(), tonic::Status> {
    match asked.course {
        Course::Exits => Ok(()),
        Course::IsCancelled => {
            let request = v1::CancelJobRequest { task_id: task_id.to_owned(), ..v1::CancelJobRequest::default() };
            client.cancel_job(request).await.map(drop)
        }
        Course::Reports => {
            let request = v1::CallbackRequest {
                task_id: task_id.to_owned(),
                status: Status::Done.into(),
                ..v1::CallbackRequest::default()
            };
            match client.callback(request).await {
                // It waits for its turn still.
                Err(refused) if refused.code() == Code::FailedPrecondition => Ok(()),
                answered => answered.map(drop),
            }
        }
    }
}

/// Takes a course again; the service lives, so nothing excuses a failure. What still queues is cancelled.
async fn finish_course(client: &mut Client, asked: &Asked) {
    let task_id = asked.task_id.lock().unwrap().clone().unwrap();
    take_course(client, asked, &task_id).await.unwrap();
    let job = client.get_status(v1::GetStatusRequest { task_id }).await.unwrap().into_inner().job.unwrap();
    if asked.course == Course::Reports && job.status() == Status::Created {
        cancel(client, asked).await;
    }
}

/// The only way to fail here is the end of the connection.
fn assert_cut(refused: &tonic::Status) {
    assert!(refused.get_details_error_info().is_none(), "refused by a service that lived: {refused:?}");
}

/// The same request again gives the same job, or makes it now.
async fn ask_again(client: &mut Client, asked: &Asked) -> String {
    let begun = client.execute(asked.request.clone()).await.unwrap().into_inner();
    let known = asked.task_id.lock().unwrap().replace(begun.task_id.clone());
    assert!(known.is_none_or(|known| known == begun.task_id), "an accepted job disappeared");
    begun.task_id
}

/// Ends a task that does not end by itself, whatever its course was cut off at.
async fn cancel(client: &mut Client, asked: &Asked) {
    let task_id = asked.task_id.lock().unwrap().clone().unwrap();
    client.cancel_job(v1::CancelJobRequest { task_id, ..v1::CancelJobRequest::default() }).await.unwrap();
}

/// Waits for a task's end and that of its browser.
async fn settle(client: &mut Client, asked: &Asked) {
    let task_id = asked.task_id.lock().unwrap().clone().unwrap();
    tokio::time::timeout(LONG, ended(client, &task_id)).await.expect("every job ends");
    let until = Until::ProcessExited.into();
    let mut stream = client.watch_job(v1::WatchJobRequest { until, ..watch(&task_id) }).await.unwrap().into_inner();
    let exited = tokio::time::timeout(LONG, super::service::to_end(&mut stream)).await;
    exited.expect("every browser ends");
}

/// Watches a job over every death of the service, and gives all that it was told.
async fn follow(mut doors: Doors, task_id: String) -> Vec<v1::WatchJobResponse> {
    let mut told: Vec<v1::WatchJobResponse> = Vec::new();
    loop {
        let open = doors.wait_for(Option::is_some).await;
        let mut client = open.expect("the door outlives the watchers").clone().unwrap();
        let resume_token = told.last().map(|message| message.resume_token.clone()).unwrap_or_default();
        let request = v1::WatchJobRequest { resume_token, ..watch(&task_id) };
        match client.watch_job(request).await {
            Ok(answer) => {
                let mut stream = answer.into_inner();
                while let Ok(Some(message)) = stream.message().await {
                    told.push(message);
                }
            }
            Err(refused) => assert_cut(&refused),
        }
        if told.last().is_some_and(|message| message.r#final) {
            return told;
        }
    }
}

/// What holds at every moment between two deaths.
fn check(histories: &Histories, asked: &[Asked], ends: &mut BTreeMap<String, serde_json::Value>) {
    history::assert_orderly(histories);
    assert_eq!(histories.len(), asked.len(), "a request made no job, or two");
    for asked in asked {
        let task_id = asked.task_id.lock().unwrap().clone().unwrap();
        let last = histories.get(&task_id).and_then(|entries| entries.last()).expect("an accepted job is there");
        let browsers = fs::read_to_string(&asked.mark).unwrap_or_default().lines().count();
        assert!(browsers <= 1, "{browsers} browsers ran for {task_id}: {last:?}");
        if last.is_terminal() {
            let end = serde_json::json!([last.body["status"], last.body["reason"], last.body["finished_at"]]);
            let known = ends.entry(task_id.clone()).or_insert_with(|| end.clone());
            assert_eq!(*known, end, "{task_id} ended twice");
        }
        if !last.body["tree_end"].is_null() || last.body["tree_lost"] == true {
            let process = &last.body["process"];
            let named = process["pid"]
                .as_u64()
                .zip(process["start_ticks"].as_u64())
                .map(|(pid, start_ticks)| Named { pid: u32::try_from(pid).unwrap(), start_ticks });
            assert!(named.is_none_or(|named| !named.lives()), "a browser outlived its job: {last:?}");
        }
    }
}
