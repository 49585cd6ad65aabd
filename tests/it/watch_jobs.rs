//! WatchJobs: a snapshot, then every change of every job that is meant, once and in its order, over any cut.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use comet_task_runner::api::v1::{
    self, JobFilter, ListJobsRequest, WatchJobsRequest, WatchJobsResponse, job::Status, watch_jobs_response::Kind,
};
use tonic::{Code, Streaming};

use super::{
    history,
    service::{AT_LENGTH, Client, Options, SOON, Service, ended, execute, job_when, next, stub_url, watch},
    wire::{begin, refused, report, resume, span},
};

/// The next message of a watch of many jobs, within [`SOON`].
pub(crate) async fn next_of_many(
    stream: &mut Streaming<WatchJobsResponse>,
) -> Result<Option<WatchJobsResponse>, tonic::Status> {
    tokio::time::timeout(SOON, stream.message()).await.expect("a message comes soon")
}

/// Takes messages until one is the last that is wanted, within [`AT_LENGTH`], and gives them all.
pub(crate) async fn follow_until(
    stream: &mut Streaming<WatchJobsResponse>,
    mut is_last: impl FnMut(&WatchJobsResponse) -> bool,
) -> Vec<WatchJobsResponse> {
    let mut messages = Vec::new();
    let following = async {
        loop {
            let message = stream.message().await.unwrap().expect("it never ends by itself");
            let last = is_last(&message);
            messages.push(message);
            if last {
                return;
            }
        }
    };
    tokio::time::timeout(AT_LENGTH, following).await.expect("what is wanted comes");
    messages
}

pub(crate) async fn open(client: &mut Client, request: WatchJobsRequest) -> Streaming<WatchJobsResponse> {
    client.watch_jobs(request).await.unwrap().into_inner()
}

pub(crate) fn all() -> WatchJobsRequest {
    WatchJobsRequest::default()
}

pub(crate) fn going_on(token: &str) -> WatchJobsRequest {
    WatchJobsRequest { resume_token: token.to_owned(), ..all() }
}

pub(crate) fn only(task_ids: &[&str]) -> JobFilter {
    JobFilter { task_ids: task_ids.iter().map(|id| (*id).to_owned()).collect(), ..JobFilter::default() }
}

/// What a client makes of the messages, and what it may rely on.
#[derive(Default)]
pub(crate) struct Model {
    pub(crate) jobs: BTreeMap<String, v1::Job>,
    pub(crate) token: String,
    pub(crate) is_synced: bool,
}

impl Model {
    pub(crate) fn take(&mut self, message: &WatchJobsResponse) {
        assert_eq!(message.job.is_some(), matches!(message.kind(), Kind::Snapshot | Kind::Change), "{message:?}");
        match message.kind() {
            Kind::Snapshot => {
                assert!(!self.is_synced && self.token.is_empty() && message.resume_token.is_empty(), "{message:?}");
                let job = message.job.clone().unwrap();
                assert!(self.jobs.insert(job.task_id.clone(), job).is_none(), "told twice: {message:?}");
            }
            Kind::Synced => assert!(!std::mem::replace(&mut self.is_synced, true), "twice: {message:?}"),
            Kind::Change => {
                let job = message.job.clone().unwrap();
                assert_eq!(message.task_id, job.task_id);
                let before = self.jobs.insert(job.task_id.clone(), job.clone());
                let (revision, status) = before.map_or((0, Status::Unspecified), |job| (job.revision, job.status()));
                assert_eq!(job.revision, revision + 1, "a hole or a repetition: {message:?}");
                assert!(status != Status::Done || job.status() == Status::Done, "an end is final: {message:?}");
            }
            Kind::Removed => assert!(!message.task_id.is_empty()),
            Kind::Heartbeat | Kind::Sample | Kind::Draining => {}
            Kind::Unspecified => panic!("{message:?}"),
        }
        if message.kind() != Kind::Snapshot {
            assert!(!message.resume_token.is_empty());
            self.token.clone_from(&message.resume_token);
        }
    }
}

fn kinds(messages: &[WatchJobsResponse]) -> Vec<Kind> {
    messages.iter().map(WatchJobsResponse::kind).collect()
}

fn told(messages: &[WatchJobsResponse]) -> Vec<(String, u64)> {
    messages.iter().filter_map(|message| message.job.as_ref()).map(|job| (job.task_id.clone(), job.revision)).collect()
}

fn is_over(message: &WatchJobsResponse, task_id: &str) -> bool {
    message.job.as_ref().is_some_and(|job| job.task_id == task_id && job.tree_end.is_some())
}

#[tokio::test]
async fn a_stream_is_a_snapshot_then_synced_then_each_change() {
    let service = Service::start_with(Options::default().arg("--slots").arg("2"));
    let mut client = service.client().await;
    let mut empty = open(&mut client, all()).await;
    let first = next_of_many(&mut empty).await.unwrap().unwrap();
    assert_eq!((first.kind(), first.reset, first.samples.len()), (Kind::Synced, false, 0));

    let over = begin(&mut client, "/exit/0").await;
    job_when(&mut client, &over.task_id, |job| job.tree_end.is_some()).await;
    let live =
        [begin(&mut client, "/sleep").await, begin(&mut client, "/sleep").await, begin(&mut client, "/sleep").await];
    let mut stream = open(&mut client, all()).await;
    let mut messages = follow_until(&mut stream, |message| message.kind() == Kind::Synced).await;
    assert_eq!(kinds(&messages), [Kind::Snapshot, Kind::Snapshot, Kind::Snapshot, Kind::Synced]);
    let standing = |index: usize, revision| (live[index].task_id.clone(), revision);
    assert_eq!(told(&messages), [standing(0, 2), standing(1, 2), standing(2, 1)]);
    assert!(messages.iter().all(|message| !message.reset));
    let sampled: BTreeSet<_> = messages[3].samples.iter().map(|sample| sample.task_id.clone()).collect();
    assert_eq!(sampled, live.iter().map(|task| task.task_id.clone()).collect());

    client.callback(report(&live[0], Status::Done)).await.unwrap();
    messages.extend(follow_until(&mut stream, |message| told(std::slice::from_ref(message)) == [standing(2, 2)]).await);
    let mut model = Model::default();
    messages.iter().for_each(|message| model.take(message));
    // The first stream was told the same, and the whole lives.
    let mut whole = Model::default();
    whole.take(&first);
    follow_until(&mut empty, |message| {
        whole.take(message);
        told(std::slice::from_ref(message)) == [standing(2, 2)]
    })
    .await;
    assert_eq!(whole.jobs.len(), 4);
    for (id, job) in &model.jobs {
        assert_eq!(whole.jobs.get(id), Some(job));
    }
}

#[tokio::test]
async fn a_snapshot_has_what_finished_lately_when_asked() {
    let service = Service::start();
    let mut client = service.client().await;
    let over = begin(&mut client, "/exit/0").await;
    let end = job_when(&mut client, &over.task_id, |job| job.tree_end.is_some()).await;
    let live = begin(&mut client, "/sleep").await;
    for (since, expected) in [(None, 1), (span(std::time::Duration::ZERO), 1), (span(SOON * 100), 2)] {
        let mut stream = open(&mut client, WatchJobsRequest { since, ..all() }).await;
        let messages = follow_until(&mut stream, |message| message.kind() == Kind::Synced).await;
        assert_eq!(messages.len(), expected + 1, "since {since:?}");
        assert_eq!(messages[expected - 1].task_id, live.task_id);
        assert!(expected == 1 || messages[0].job.as_ref() == Some(&end));
    }
    for since in [Some(prost_types::Duration { seconds: -1, nanos: 0 }), span(SOON * 20_000_000)] {
        let refusal = refused(client.watch_jobs(WatchJobsRequest { since, ..all() }).await);
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::InvalidArgument, "DURATION_OUT_OF_RANGE"));
        assert_eq!(refusal.fields[0].0, "since");
    }
    let interval = WatchJobsRequest { heartbeat_interval: span(std::time::Duration::from_millis(900)), ..all() };
    assert_eq!(refused(client.watch_jobs(interval).await).fields[0].0, "heartbeat_interval");
}

#[tokio::test]
async fn a_filtered_stream_tells_of_its_own_jobs_only() {
    let service = Service::start();
    let mut client = service.client().await;
    let labelled = |team: &str| v1::ExecuteRequest {
        labels: [("team".to_owned(), team.to_owned())].into(),
        ..execute(&stub_url("/exit/0"))
    };
    let filter = JobFilter { labels: labelled("blue").labels, ..JobFilter::default() };
    let mut stream = open(&mut client, WatchJobsRequest { filter: Some(filter), ..all() }).await;
    let mut mine = BTreeSet::new();
    for _ in 0..5 {
        client.execute(labelled("red")).await.unwrap();
        mine.insert(client.execute(labelled("blue")).await.unwrap().into_inner().task_id);
    }
    let mut model = Model::default();
    follow_until(&mut stream, |message| {
        model.take(message);
        model.jobs.len() == 5 && model.jobs.values().all(|job| job.tree_end.is_some())
    })
    .await;
    assert_eq!(model.jobs.into_keys().collect::<BTreeSet<_>>(), mine);
}

#[tokio::test]
async fn from_every_token_a_stream_goes_on_with_exactly_the_rest() {
    let service = Service::start_with(Options::default().arg("--slots").arg("1"));
    let mut client = service.client().await;
    let mut stream = open(&mut client, all()).await;
    let mut last = String::new();
    for _ in 0..4 {
        last = begin(&mut client, "/exit/0").await.task_id;
    }
    job_when(&mut client, &last, |job| job.tree_end.is_some()).await;
    let messages = follow_until(&mut stream, |message| is_over(message, &last)).await;
    let messages: Vec<_> = messages.into_iter().filter(|message| message.kind() != Kind::Sample).collect();
    assert_eq!(messages[0].kind(), Kind::Synced);
    for (index, message) in messages.iter().enumerate() {
        let mut stream = open(&mut client, going_on(&message.resume_token)).await;
        let rest = follow_until(&mut stream, |message| message.kind() == Kind::Synced).await;
        let (synced, missed) = rest.split_last().unwrap();
        assert_eq!(told(missed), told(&messages[index + 1..]));
        assert!(missed.iter().all(|message| message.kind() == Kind::Change));
        assert!(rest.iter().all(|message| !message.reset));
        assert_eq!(synced.resume_token, messages.last().unwrap().resume_token);
    }
}

#[tokio::test]
async fn a_token_is_good_for_its_own_filter_and_call_only() {
    let service = Service::start_with(Options::default().arg("--slots").arg("2"));
    let mut client = service.client().await;
    let (one, two) = (begin(&mut client, "/sleep").await.task_id, begin(&mut client, "/sleep").await.task_id);
    let with = |filter: &JobFilter, token: &str| WatchJobsRequest { filter: Some(filter.clone()), ..going_on(token) };
    let labels = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), String::new())).collect();
    let filter = JobFilter { labels: labels(&["a", "b", "c"]), ..only(&[&one, &two]) };
    let mut stream = open(&mut client, with(&filter, "")).await;
    let token = next_of_many(&mut stream).await.unwrap().unwrap().resume_token;

    let same = JobFilter { labels: labels(&["c", "a", "b"]), ..only(&[&two, &one, &two]) };
    let mut stream = open(&mut client, with(&same, &token)).await;
    let message = next_of_many(&mut stream).await.unwrap().unwrap();
    assert_eq!((message.kind(), message.reset), (Kind::Synced, false));
    // No filter and an empty one are the same.
    let mut unfiltered = open(&mut client, WatchJobsRequest { filter: Some(JobFilter::default()), ..all() }).await;
    let of_all = follow_until(&mut unfiltered, |message| message.kind() == Kind::Synced).await;
    open(&mut client, going_on(&of_all.last().unwrap().resume_token)).await;

    let mut job_stream = client.watch_job(watch(&one)).await.unwrap().into_inner();
    let of_job = next(&mut job_stream).await.unwrap().unwrap().resume_token;
    for (filter, wrong) in [
        (only(&[&one]), token.as_str()),
        (JobFilter::default(), &token),
        (filter.clone(), &of_job),
        (filter.clone(), "x"),
        (filter.clone(), &token[1..]),
        (filter.clone(), &format!("{token}AAAA")),
    ] {
        let refusal = refused(client.watch_jobs(with(&filter, wrong)).await);
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::InvalidArgument, "RESUME_TOKEN_INVALID"), "{wrong}");
        assert_eq!(refusal.fields[0].0, "resume_token");
    }
    let refusal = refused(client.watch_job(resume(&one, &token)).await);
    assert_eq!((refusal.reason.as_str(), refusal.fields[0].0.as_str()), ("RESUME_TOKEN_INVALID", "resume_token"));
}

/// A stream that could not go on: a snapshot that says so with its first message, and only there.
async fn assert_reset(client: &mut Client, token: &str, expected: &[(String, u64)]) {
    let mut stream = open(client, going_on(token)).await;
    let messages = follow_until(&mut stream, |message| message.kind() == Kind::Synced).await;
    assert_eq!(told(&messages), expected);
    let resets: Vec<_> = messages.iter().map(|message| message.reset).collect();
    assert!(resets[0] && !resets[1..].contains(&true), "{messages:?}");
    // It is in step again.
    let mut stream = open(client, going_on(&messages.last().unwrap().resume_token)).await;
    let message = next_of_many(&mut stream).await.unwrap().unwrap();
    assert_eq!((message.kind(), message.reset), (Kind::Synced, false));
}

#[tokio::test]
async fn a_token_of_another_store_begins_anew_and_says_so() {
    let service = Service::start();
    let mut client = service.client().await;
    let mut stream = open(&mut client, all()).await;
    let token = next_of_many(&mut stream).await.unwrap().unwrap().resume_token;
    let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(token).unwrap();
    // Behind the kind lies the store's id.
    bytes[1] ^= 0xff;
    let token = BASE64_URL_SAFE_NO_PAD.encode(bytes);
    assert_reset(&mut client, &token, &[]).await;
    let task = begin(&mut client, "/sleep").await;
    assert_reset(&mut client, &token, &[(task.task_id, 2)]).await;
}

#[tokio::test]
async fn a_token_ahead_of_the_store_begins_anew_and_says_so() {
    let service = Service::start();
    let mut client = service.client().await;
    let task = begin(&mut client, "/sleep").await;
    let mut stream = open(&mut client, all()).await;
    let messages = follow_until(&mut stream, |message| message.kind() == Kind::Synced).await;
    let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(&messages.last().unwrap().resume_token).unwrap();
    // The position lies at the end: one that was reached before a copy of the store was put back.
    *bytes.last_mut().unwrap() += 1;
    assert_reset(&mut client, &BASE64_URL_SAFE_NO_PAD.encode(bytes), &[(task.task_id, 2)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_the_store_has_forgotten_begins_anew_and_says_so() {
    let mut service = Service::start();
    let mut client = service.client().await;
    let mut stream = open(&mut client, all()).await;
    let token = next_of_many(&mut stream).await.unwrap().unwrap().resume_token;
    let task = begin(&mut client, "/sleep").await;
    service.kill();
    // As after more removals than are kept: what came before them is no longer all there.
    let edited = history::open(&service.state_dir());
    edited.execute("UPDATE store SET forgotten_up_to = 1", []).unwrap();
    edited.close().unwrap();
    service.restart();
    assert_reset(&mut service.client().await, &token, &[(task.task_id, 2)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_job_is_removed_for_all_who_may_have_known_it() {
    let service = Service::start_with(Options::default().arg("--slots").arg("2"));
    let mut client = service.client().await;
    let brief = v1::ExecuteRequest { retention: span(std::time::Duration::ZERO), ..execute(&stub_url("/sleep")) };
    let brief = client.execute(brief).await.unwrap().into_inner();
    let gone = brief.task_id.clone();
    let kept = begin(&mut client, "/sleep").await;
    let filters = [None, Some(only(&[&gone, &kept.task_id])), Some(only(&[&kept.task_id]))];
    let (mut streams, mut tokens) = (Vec::new(), Vec::new());
    for filter in &filters {
        let mut stream = open(&mut client, WatchJobsRequest { filter: filter.clone(), ..all() }).await;
        let messages = follow_until(&mut stream, |message| message.kind() == Kind::Synced).await;
        assert_eq!(messages.iter().any(|message| message.task_id == gone), streams.len() < 2);
        tokens.push(messages.last().unwrap().resume_token.clone());
        streams.push(stream);
    }
    // It expires as soon as nothing of it is left, and is forgotten then, however long the service runs on.
    client.callback(report(&brief, Status::Done)).await.unwrap();
    let mut after = Vec::new();
    for stream in &mut streams[..2] {
        let messages = follow_until(stream, |message| message.kind() == Kind::Removed).await;
        let removed = messages.last().unwrap();
        assert_eq!((removed.task_id.as_str(), removed.job.as_ref()), (gone.as_str(), None));
        after.push(removed.resume_token.clone());
    }
    // Who was away meanwhile is told the same, without the changes, which are forgotten with it.
    for (filter, token) in filters.into_iter().zip(&tokens) {
        let is_meant = streams.len() < 5;
        let mut stream = open(&mut client, WatchJobsRequest { filter, ..going_on(token) }).await;
        let rest = follow_until(&mut stream, |message| message.kind() == Kind::Synced).await;
        let told: Vec<_> = rest.iter().filter(|message| message.task_id == gone).map(WatchJobsResponse::kind).collect();
        assert_eq!(told, if is_meant { vec![Kind::Removed] } else { vec![] });
        streams.push(stream);
    }
    client.callback(report(&kept, Status::Done)).await.unwrap();
    for stream in [2, 5] {
        let others = follow_until(&mut streams[stream], |message| is_over(message, &kept.task_id)).await;
        assert!(others.iter().all(|message| message.task_id != gone), "another job's end: {others:?}");
    }
    // Once told, it is not told again.
    let mut stream = open(&mut client, going_on(&after[0])).await;
    let rest = follow_until(&mut stream, |message| message.kind() == Kind::Synced).await;
    assert!(rest.iter().all(|message| message.kind() != Kind::Removed), "{rest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_many_cuts_and_deaths_under_load_each_change_is_told_once() {
    const ROUNDS: usize = 6;
    const CUTS: usize = 8;
    let mut service = Service::start_with(Options::default().arg("--slots").arg("3"));
    let mut model = Model::default();
    // What finished before the first snapshot was told to its end is in the next one.
    let since = span(SOON * 60);
    for _ in 0..ROUNDS {
        let mut lanes = Vec::new();
        for _ in 0..3 {
            let mut client = service.client().await;
            // Until the service dies under it.
            lanes.push(tokio::spawn(
                async move { while client.execute(execute(&stub_url("/exit/0"))).await.is_ok() {} },
            ));
        }
        let mut client = service.client().await;
        for _ in 0..CUTS {
            let mut stream = open(&mut client, WatchJobsRequest { since, ..going_on(&model.token) }).await;
            if model.token.is_empty() {
                model = Model::default();
            }
            model.is_synced = false;
            // Some are cut within a snapshot or what was missed, some far behind.
            let mut left = 1 + uuid::Uuid::new_v4().as_u128() % 25;
            follow_until(&mut stream, |message| {
                assert!(!message.reset);
                model.take(message);
                left -= 1;
                left == 0
            })
            .await;
        }
        service.kill();
        for lane in lanes {
            lane.await.unwrap();
        }
        service.restart();
    }
    let mut client = service.client().await;
    let mut stream = open(&mut client, WatchJobsRequest { since, ..going_on(&model.token) }).await;
    model.is_synced = false;
    let mut listed = Vec::new();
    let mut page = ListJobsRequest::default();
    loop {
        let answer = client.list_jobs(page.clone()).await.unwrap().into_inner();
        listed.extend(answer.jobs.into_iter().map(|job| job.task_id));
        page.page_token = answer.next_page_token;
        if page.page_token.is_empty() {
            break;
        }
    }
    let lacking = |model: &Model| {
        let ends = listed.iter().filter(|id| model.jobs.get(*id).is_none_or(|job| job.tree_end.is_none()));
        (!model.is_synced, ends.cloned().collect::<Vec<_>>())
    };
    let following = async {
        while lacking(&model) != (false, Vec::new()) {
            model.take(&stream.message().await.unwrap().expect("it never ends by itself"));
        }
    };
    if tokio::time::timeout(AT_LENGTH, following).await.is_err() {
        let (not_synced, ends) = lacking(&model);
        let mut known = Vec::new();
        for id in &ends {
            known.push((model.jobs.get(id).cloned(), ended(&mut client, id).await));
        }
        panic!("not synced: {not_synced}; what the watch and the service know of jobs without their end: {known:#?}");
    }
    for id in &listed {
        let job = ended(&mut client, id).await;
        assert_eq!(job.status(), model.jobs[id].status());
    }
    assert!(listed.len() > 30, "{} jobs only", listed.len());
}
