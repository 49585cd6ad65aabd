//! ListJobs: every job once, page by page, however they are made meanwhile; and no gap to the stream after it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use comet_task_runner::api::v1::{
    self, JobFilter, ListJobsRequest, ListJobsResponse, WatchJobsRequest, job::Status, list_jobs_request::Order,
    watch_jobs_response::Kind,
};
use prost::Message;
use tonic::Code;

use super::{
    service::{Client, Options, Service, ended, execute, job_when, stub_url},
    watch_jobs::{follow_until, next_of_many},
    wire::{begin, refused, report},
};

/// One browser that stays, so that every other job waits: jobs that cost a commit each.
async fn one_slot_taken() -> (Service, Client, v1::ExecuteResponse) {
    let service = Service::start_with(Options::default().arg("--slots").arg("1"));
    let mut client = service.client().await;
    let blocker = begin(&mut client, "/sleep").await;
    (service, client, blocker)
}

async fn list(client: &mut Client, request: &ListJobsRequest) -> ListJobsResponse {
    client.list_jobs(request.clone()).await.unwrap().into_inner()
}

/// Every page from the first on.
async fn pages(client: &mut Client, mut request: ListJobsRequest) -> Vec<ListJobsResponse> {
    let mut pages: Vec<ListJobsResponse> = Vec::new();
    loop {
        let page = list(client, &request).await;
        request.page_token.clone_from(&page.next_page_token);
        pages.push(page);
        if request.page_token.is_empty() {
            return pages;
        }
    }
}

fn ids(pages: &[ListJobsResponse]) -> Vec<String> {
    pages.iter().flat_map(|page| &page.jobs).map(|job| job.task_id.clone()).collect()
}

fn filtered(filter: JobFilter) -> ListJobsRequest {
    ListJobsRequest { filter: Some(filter), ..ListJobsRequest::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_hold_every_job_once_while_jobs_are_being_made() {
    let (service, mut client, blocker) = one_slot_taken().await;
    let mut known = BTreeSet::from([blocker.task_id]);
    for _ in 0..40 {
        known.insert(begin(&mut client, "/exit/0").await.task_id);
    }
    let enough = Arc::new(AtomicBool::new(false));
    let mut making = Vec::new();
    for _ in 0..3 {
        let (mut client, enough) = (service.client().await, Arc::clone(&enough));
        making.push(tokio::spawn(async move {
            let mut made = 0;
            while !enough.load(Ordering::Relaxed) {
                begin(&mut client, "/exit/0").await;
                made += 1;
            }
            made
        }));
    }
    for order in [Order::NewestFirst, Order::OldestFirst, Order::Unspecified] {
        for page_size in [1, 7, 1000] {
            let request = ListJobsRequest { page_size, order: order.into(), ..ListJobsRequest::default() };
            let pages = if order == Order::OldestFirst {
                // This list would grow for as long as jobs are made.
                let mut some = vec![list(&mut client, &request).await];
                while ids(&some).len() < known.len() {
                    let page_token = some.last().unwrap().next_page_token.clone();
                    some.push(list(&mut client, &ListJobsRequest { page_token, ..request.clone() }).await);
                }
                some
            } else {
                pages(&mut client, request).await
            };
            let size = usize::try_from(page_size).unwrap();
            assert!(pages.iter().all(|page| page.jobs.len() <= size && !page.jobs.is_empty()));
            let mut listed = ids(&pages);
            if order != Order::OldestFirst {
                listed.reverse();
            }
            assert!(listed.is_sorted_by(|one, next| one < next), "in order, none twice: {order:?} {page_size}");
            let missing: Vec<_> = known.iter().filter(|id| listed.binary_search(id).is_err()).collect();
            assert!(missing.is_empty(), "{missing:?}");
        }
    }
    enough.store(true, Ordering::Relaxed);
    let mut made = 0;
    for maker in making {
        made += maker.await.unwrap();
    }
    assert!(made > 10, "{made} jobs were made meanwhile");
    assert_eq!(ids(&pages(&mut client, ListJobsRequest::default()).await).len(), known.len() + made);
}

#[tokio::test]
async fn a_page_is_of_a_hundred_unless_asked_otherwise_and_of_a_thousand_at_most() {
    let (_service, mut client, _blocker) = one_slot_taken().await;
    for _ in 0..110 {
        begin(&mut client, "/exit/0").await;
    }
    for (page_size, first, last) in [(0, 100, 11), (110, 110, 1), (111, 111, 111), (i32::MAX, 111, 111)] {
        let pages = pages(&mut client, ListJobsRequest { page_size, ..ListJobsRequest::default() }).await;
        let sizes: Vec<_> = pages.iter().map(|page| page.jobs.len()).collect();
        assert_eq!((sizes[0], *sizes.last().unwrap()), (first, last), "page_size {page_size}: {sizes:?}");
    }
}

#[tokio::test]
async fn a_page_is_cut_by_its_bytes_and_the_next_goes_on() {
    const PAGE_BYTES_MAX: usize = 2 * 1024 * 1024;
    const JOBS: usize = 260;
    let (_service, mut client, _blocker) = one_slot_taken().await;
    for _ in 0..JOBS {
        let mut request = execute(&stub_url(&format!("/exit/0?{}", "x".repeat(8000))));
        request.labels = (0..32).map(|n| (format!("{n:063}"), "v".repeat(255))).collect();
        client.execute(request).await.unwrap();
    }
    let pages = pages(&mut client, ListJobsRequest { page_size: 1000, ..ListJobsRequest::default() }).await;
    let lengths: Vec<_> = pages
        .iter()
        .map(|page| ListJobsResponse { jobs: page.jobs.clone(), ..ListJobsResponse::default() }.encoded_len())
        .collect();
    assert!(lengths.iter().all(|length| *length <= PAGE_BYTES_MAX), "{lengths:?}");
    assert!(lengths.len() > 2 && lengths[0] > PAGE_BYTES_MAX - 30_000, "as full as they can be: {lengths:?}");
    let listed: BTreeSet<_> = ids(&pages).into_iter().collect();
    assert_eq!((listed.len(), ids(&pages).len()), (JOBS + 1, JOBS + 1));
}

#[tokio::test]
async fn each_filter_and_status_finds_its_jobs() {
    let (_service, mut client, blocker) = one_slot_taken().await;
    let labelled = |path: &str, labels: &[(&str, &str)]| v1::ExecuteRequest {
        labels: labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        ..execute(&stub_url(path))
    };
    let mut jobs = vec![job_when(&mut client, &blocker.task_id, |job| job.status() == Status::Running).await];
    for request in [
        labelled("/exit/0", &[("team", "blue")]),
        labelled("/exit/3?needle", &[("team", "blue"), ("stage", "test")]),
        labelled("/exit/0?needle", &[("team", "red")]),
    ] {
        jobs.push(client.execute(request).await.unwrap().into_inner().job.unwrap());
    }
    let labels = |labels: &[(&str, &str)]| JobFilter {
        labels: labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        ..JobFilter::default()
    };
    let by_ids = |chosen: &[usize]| JobFilter {
        task_ids: chosen.iter().map(|index| jobs[*index].task_id.clone()).collect(),
        ..JobFilter::default()
    };
    let text = |text: &str| JobFilter { url_contains: text.to_owned(), ..JobFilter::default() };
    let second = jobs[2].created_at;
    let with_statuses = |statuses: &[Status]| ListJobsRequest {
        statuses: statuses.iter().map(|status| (*status).into()).collect(),
        ..ListJobsRequest::default()
    };
    let cases: Vec<(ListJobsRequest, &[usize])> = vec![
        (ListJobsRequest::default(), &[3, 2, 1, 0]),
        (filtered(JobFilter::default()), &[3, 2, 1, 0]),
        (filtered(labels(&[("team", "blue")])), &[2, 1]),
        (filtered(labels(&[("team", "blue"), ("stage", "test")])), &[2]),
        (filtered(labels(&[("team", "blue"), ("stage", "live")])), &[]),
        (filtered(by_ids(&[3, 0, 3])), &[3, 0]),
        (filtered(JobFilter { task_ids: vec![uuid::Uuid::now_v7().to_string()], ..JobFilter::default() }), &[]),
        (filtered(text("needle")), &[3, 2]),
        (filtered(text("NEEDLE")), &[]),
        (filtered(JobFilter { labels: labels(&[("team", "red")]).labels, ..text("needle") }), &[3]),
        (filtered(JobFilter { created_after: second, ..JobFilter::default() }), &[3, 2]),
        (filtered(JobFilter { created_before: second, ..JobFilter::default() }), &[1, 0]),
        (filtered(JobFilter { created_after: second, created_before: second, ..JobFilter::default() }), &[]),
        (with_statuses(&[Status::Running]), &[0]),
        (with_statuses(&[Status::Created]), &[3, 2, 1]),
        (with_statuses(&[Status::Running, Status::Created, Status::Running]), &[3, 2, 1, 0]),
        (with_statuses(&[Status::Done, Status::Lost]), &[]),
    ];
    for (request, expected) in cases {
        let listed = ids(&pages(&mut client, request.clone()).await);
        let expected: Vec<_> = expected.iter().map(|index| jobs[*index].task_id.clone()).collect();
        assert_eq!(listed, expected, "{request:?}");
    }
    client.callback(report(&blocker, Status::Done)).await.unwrap();
    for job in &jobs {
        ended(&mut client, &job.task_id).await;
    }
    let done = pages(&mut client, with_statuses(&[Status::Done])).await;
    assert_eq!(ids(&done), [3, 1, 0].map(|index| jobs[index].task_id.clone()), "as they stand now");
    let whole = job_when(&mut client, &jobs[2].task_id, |job| job.exit_code == Some(3)).await;
    let failed = pages(&mut client, with_statuses(&[Status::Failed])).await;
    assert_eq!(failed[0].jobs, [whole]);
}

#[tokio::test]
async fn each_field_of_a_list_at_fault_is_named_with_its_remedy() {
    let service = Service::start();
    let mut client = service.client().await;
    let id = uuid::Uuid::now_v7().to_string();
    let time = |seconds: i64| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let with_ids = |task_ids: Vec<String>| filtered(JobFilter { task_ids, ..JobFilter::default() });
    let labelled = |key: &str, value: &str| {
        let labels = HashMap::from([(key.to_owned(), value.to_owned())]);
        filtered(JobFilter { labels, ..JobFilter::default() })
    };
    let good = [id.clone(), id.clone(), id.clone(), "42".to_owned()].to_vec();
    let cases: Vec<(ListJobsRequest, &str, &str, &str)> = vec![
        (ListJobsRequest { page_size: -1, ..Default::default() }, "page_size", "PAGE_SIZE_INVALID", "give 1 to 1000"),
        (ListJobsRequest { order: 9, ..Default::default() }, "order", "ENUM_UNKNOWN", "OLDEST_FIRST"),
        (ListJobsRequest { statuses: vec![3, 77], ..Default::default() }, "statuses[1]", "ENUM_UNKNOWN", "77"),
        (ListJobsRequest { statuses: vec![0], ..Default::default() }, "statuses[0]", "ENUM_UNKNOWN", "none for any"),
        (with_ids(good), "filter.task_ids[3]", "TASK_ID_INVALID", "42"),
        (with_ids(vec![id.clone(); 1001]), "filter.task_ids", "TOO_MANY", "1000"),
        (labelled("", "x"), "filter.labels", "LABEL_INVALID", "1 to 63"),
        (labelled("k", &"v".repeat(256)), "filter.labels[k]", "LABEL_INVALID", "255"),
        (
            filtered(JobFilter {
                labels: (0..33).map(|n| (n.to_string(), String::new())).collect(),
                ..Default::default()
            }),
            "filter.labels",
            "TOO_MANY",
            "32",
        ),
        (
            filtered(JobFilter { url_contains: "x".repeat(1025), ..JobFilter::default() }),
            "filter.url_contains",
            "TEXT_TOO_LONG",
            "1024",
        ),
        (
            filtered(JobFilter { created_after: time(10), created_before: time(9), ..JobFilter::default() }),
            "filter.created_before",
            "TIME_RANGE_INVALID",
            "exchange",
        ),
        (
            filtered(JobFilter { created_after: time(i64::MAX), ..JobFilter::default() }),
            "filter.created_after",
            "TIMESTAMP_INVALID",
            "2027",
        ),
    ];
    for (request, field, reason, remedy) in cases {
        let filter = request.filter.clone();
        let refusal = refused(client.list_jobs(request).await);
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::InvalidArgument, reason), "{field}");
        assert_eq!(refusal.fields.len(), 1, "{field}");
        assert_eq!(refusal.fields[0].0, field);
        assert!(refusal.fields[0].1.contains(remedy), "{refusal:?}");
        // The filter is the same one in both calls.
        if filter.is_some() {
            let refusal = refused(client.watch_jobs(WatchJobsRequest { filter, ..Default::default() }).await);
            assert_eq!((refusal.reason.as_str(), refusal.fields[0].0.as_str()), (reason, field));
        }
    }
    let several = ListJobsRequest { page_size: -1, order: 9, ..with_ids(vec!["x".to_owned()]) };
    assert_eq!(refused(client.list_jobs(several).await).fields.len(), 3, "told at once");
    list(&mut client, &with_ids(vec![id; 1000])).await;
}

#[tokio::test]
async fn a_page_token_is_good_for_its_own_list_only() {
    let (_service, mut client, _blocker) = one_slot_taken().await;
    for _ in 0..3 {
        begin(&mut client, "/exit/0").await;
    }
    let ids = ids(&pages(&mut client, ListJobsRequest::default()).await);
    let filter = |reversed: bool| {
        let mut task_ids = ids.clone();
        if reversed {
            task_ids.reverse();
            task_ids.extend(ids.clone());
        }
        JobFilter { task_ids, ..JobFilter::default() }
    };
    let request = ListJobsRequest {
        page_size: 2,
        statuses: vec![Status::Created.into(), Status::Running.into()],
        ..filtered(filter(false))
    };
    let first = list(&mut client, &request).await;
    let token = first.next_page_token.clone();
    // The same list, said otherwise, and with another size of its pages.
    let same = ListJobsRequest {
        page_size: 1,
        page_token: token.clone(),
        statuses: vec![Status::Running.into(), Status::Created.into(), Status::Running.into()],
        order: Order::NewestFirst.into(),
        ..filtered(filter(true))
    };
    let second = list(&mut client, &same).await;
    assert_eq!(second.jobs.len(), 1);
    assert_eq!(second.jobs[0].task_id, ids[2]);
    assert_eq!(second.resume_token, first.resume_token, "it tells what came since the first page");

    let mut foreign = BASE64_URL_SAFE_NO_PAD.decode(&token).unwrap();
    // Behind the kind lies the store's id.
    foreign[1] ^= 0xff;
    let foreign = BASE64_URL_SAFE_NO_PAD.encode(foreign);
    let others = [
        ListJobsRequest { order: Order::OldestFirst.into(), page_token: token.clone(), ..request.clone() },
        ListJobsRequest { statuses: vec![], page_token: token.clone(), ..request.clone() },
        ListJobsRequest { filter: None, page_token: token.clone(), ..request.clone() },
        ListJobsRequest { page_token: "x".to_owned(), ..request.clone() },
        ListJobsRequest { page_token: token[1..].to_owned(), ..request.clone() },
        ListJobsRequest { page_token: format!("{token}AAAA"), ..request.clone() },
        ListJobsRequest { page_token: first.resume_token.clone(), ..request.clone() },
        ListJobsRequest { page_token: foreign, ..request.clone() },
    ];
    for other in others {
        let refusal = refused(client.list_jobs(other.clone()).await);
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::InvalidArgument, "PAGE_TOKEN_INVALID"), "{other:?}");
        assert_eq!(refusal.fields[0].0, "page_token");
    }
    let as_resume = WatchJobsRequest { filter: request.filter, resume_token: token, ..WatchJobsRequest::default() };
    assert_eq!(refused(client.watch_jobs(as_resume).await).reason, "RESUME_TOKEN_INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_and_the_stream_behind_it_leave_no_gap() {
    let service = Service::start_with(Options::default().arg("--slots").arg("2"));
    let mut client = service.client().await;
    let mut making = Vec::new();
    for _ in 0..3 {
        let mut client = service.client().await;
        making.push(tokio::spawn(async move {
            let mut ids = Vec::new();
            for _ in 0..15 {
                ids.push(begin(&mut client, "/exit/0").await.task_id);
            }
            ids
        }));
    }
    let (mut made, mut followers) = (BTreeSet::new(), Vec::new());
    for _ in 0..8 {
        // One more each time, so that no two lists are of the same moment, however busy the machine is.
        made.insert(begin(&mut client, "/exit/0").await.task_id);
        let pages = pages(&mut client, ListJobsRequest { page_size: 3, ..ListJobsRequest::default() }).await;
        let tokens: BTreeSet<_> = pages.iter().map(|page| page.resume_token.clone()).collect();
        assert_eq!(tokens.len(), 1, "one token for the whole list");
        let listed: BTreeMap<_, _> =
            pages.iter().flat_map(|page| &page.jobs).map(|job| (job.task_id.clone(), job.clone())).collect();
        let resume_token = tokens.into_iter().next().unwrap();
        let request = WatchJobsRequest { resume_token, ..WatchJobsRequest::default() };
        let stream = client.watch_jobs(request).await.unwrap().into_inner();
        followers.push((listed, stream));
    }
    for maker in making {
        made.extend(maker.await.unwrap());
    }
    let mut began_with = BTreeSet::new();
    for (mut known, mut stream) in followers {
        began_with.insert(known.len());
        let listed: BTreeMap<_, _> = known.iter().map(|(id, job)| (id.clone(), job.revision)).collect();
        let mut revisions: BTreeMap<String, u64> = BTreeMap::new();
        let over = |known: &BTreeMap<String, v1::Job>| {
            known.len() == made.len() && known.values().all(|job| job.tree_end.is_some())
        };
        follow_until(&mut stream, |message| {
            assert!(!message.reset && message.kind() != Kind::Snapshot, "{message:?}");
            if let Some(job) = &message.job {
                let before = revisions.insert(job.task_id.clone(), job.revision);
                let listed = listed.get(&job.task_id).copied().unwrap_or(0);
                assert!(before.is_none_or(|before| job.revision == before + 1), "a hole or a repetition");
                assert!(before.is_some() || job.revision <= listed + 1, "a gap between list and stream");
                if known.get(&job.task_id).is_none_or(|known| known.revision < job.revision) {
                    known.insert(job.task_id.clone(), job.clone());
                }
            }
            over(&known) && revisions.iter().all(|(id, revision)| known[id].revision == *revision)
        })
        .await;
    }
    assert_eq!(began_with.len(), 8, "{began_with:?}");
    // And when nothing is missing, the stream says so at once.
    let page = list(&mut client, &ListJobsRequest::default()).await;
    let request = WatchJobsRequest { resume_token: page.resume_token, ..WatchJobsRequest::default() };
    let mut stream = client.watch_jobs(request).await.unwrap().into_inner();
    assert_eq!(next_of_many(&mut stream).await.unwrap().unwrap().kind(), Kind::Synced);
}
