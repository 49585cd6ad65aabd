//! Real pages that report: through the binding, over HTTP, and with a token that came behind their own address.

use std::{fs, path::Path};

use comet_task_runner::api::v1::{
    self,
    execute_request::{CallbackDelivery, CompletionPolicy},
    job::{Reason, Status},
    page::LoadState,
};
use serde_json::{Value, json};

use super::{
    real::{LONG, Real, Seats, assert_ended, chromium, headless, load_state},
    service::{Options, next, to_end, watch},
    wire::watch_exit,
};

/// Posts a report and gives what the page is told of it.
const POST: &str = "
    const post = async report => {
      const request = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(report) };
      try {
        const answer = await fetch(CALLBACK, request);
        const told = await answer.json();
        return [answer.status, told.applied ?? false, told.details?.find(detail => detail.reason)?.reason ?? ''];
      } catch (error) {
        return error.name;
      }
    };";

/// A script that can post to the service.
fn posting(real: &Real, script: &str) -> String {
    format!("const CALLBACK = '{}/callback'; {POST} (async () => {{ {script} }})();", real.service.address)
}

fn by_fragment(url: &str) -> v1::ExecuteRequest {
    v1::ExecuteRequest { callback_delivery: CallbackDelivery::Fragment.into(), ..headless(url) }
}

/// Reads the token as a page does, and reports with it.
const READS_ITS_FRAGMENT: &str = "
    const [task_id, callback_token] = location.hash.slice('#ctr='.length).split('.');
    await post({ task_id, callback_token, status: 'DONE', result: { order: 7 } });";

/// Wherever the service keeps or says anything, the token is not. A browser that runs has an address in its history,
/// which goes with its profile.
fn assert_kept_nowhere(real: &Real, token: &str) {
    let mut waiting = vec![real.service.state_dir(), real.service.run_base()];
    let is_profile = |path: &Path| path.starts_with(real.service.run_base()) && path.ends_with("p");
    let mut files = 0;
    while let Some(path) = waiting.pop() {
        if is_profile(&path) {
            continue;
        } else if path.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().flatten().map(|entry| entry.path()));
        } else if path.is_file() {
            files += 1;
            assert!(!holds(&path, token), "{} holds the token", path.display());
        }
    }
    assert!(files > 2, "the ledger is among the files");
    assert!(holds(&real.service.state_dir().join("token"), &real.service.token()), "what is there is found");
    let log = real.service.log();
    assert!(log.contains("status changed") && !log.contains(token), "the log holds the token");
}

fn holds(file: &Path, text: &str) -> bool {
    fs::read(file).is_ok_and(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
}

#[tokio::test]
async fn a_page_that_may_connect_to_nobody_reports_through_the_binding() {
    let Some(mut real) = Real::start().await else { return };
    let script = posting(&real, "cometTask.done(await post({}))");
    let policy = "Content-Security-Policy: default-src 'none'; script-src 'nonce-n'\r\n";
    let page = format!("<!doctype html><script nonce=n>{script}</script>");
    let url = real.pages.html_with("/strict", policy, &page);
    let job = real.run(headless(&url)).await;
    assert_ended(&job, Status::Done, Reason::Callback);
    assert_eq!(job.callback.unwrap().result, r#""TypeError""#, "its own request was stopped by its policy");
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_reports_over_http() {
    let Some(mut real) = Real::start().await else { return };
    // Its server gives it the token: the page waits for that, and then reports as if there were no binding.
    let script = posting(
        &real,
        "await fetch('/gate');
         const report = await (await fetch('/report')).json();
         const alive = await post({ ...report, status: 'RUNNING', progress: 50 });
         await post({ ...report, status: 'DONE', result: { alive } });",
    );
    let url = real.pages.script("/page", &script);
    let begun = real.begin(headless(&url)).await;
    real.pages
        .html("/report", &json!({ "task_id": begun.task_id, "callback_token": begun.callback_token }).to_string());
    real.pages.open_gate();
    let job = real.finish(&begun.task_id).await;
    assert_ended(&job, Status::Done, Reason::Callback);
    assert_eq!(job.callback.unwrap().result, r#"{"alive":[200,true,""]}"#);
}

/// The messages up to the one that is wanted, however many others come first.
async fn until(
    stream: &mut tonic::Streaming<v1::WatchJobResponse>,
    wanted: impl Fn(&v1::WatchJobResponse) -> bool,
) -> Vec<v1::WatchJobResponse> {
    let reading = async {
        let mut told = Vec::new();
        while !told.last().is_some_and(&wanted) {
            told.push(next(stream).await.unwrap().expect("the stream goes on"));
        }
        told
    };
    tokio::time::timeout(LONG, reading).await.expect("what is wanted comes")
}

fn shows(message: &v1::WatchJobResponse, url: &str) -> bool {
    message.sample.as_ref().is_some_and(|sample| sample.page_url == url)
}

#[tokio::test]
async fn a_page_finds_its_token_behind_its_address_and_nobody_else_does() {
    let Some(mut real) = Real::start().await else { return };
    let url = real.pages.script("/page", &posting(&real, READS_ITS_FRAGMENT));
    // Kept past its report, so that everything about the page has been told when it is looked for.
    let request = v1::ExecuteRequest { completion_policy: CompletionPolicy::ProcessExit.into(), ..by_fragment(&url) };
    let begun = real.begin(request).await;
    let mut stream = real.client.watch_job(watch_exit(&begun.task_id)).await.unwrap().into_inner();
    // Over HTTP it can be sooner than the browser says that it is there.
    let both = |job: &v1::Job| job.callback.is_some() && load_state(job) == LoadState::Committed;
    let reported = real.when(&begun.task_id, both).await;
    assert_eq!(reported.callback.as_ref().unwrap().result, r#"{"order":7}"#);
    assert_eq!((reported.url.as_str(), reported.page.as_ref().unwrap().url.as_str()), (url.as_str(), url.as_str()));
    assert_kept_nowhere(&real, &begun.callback_token);
    // The page's address is told too, without its fragment.
    let mut told = until(&mut stream, |message| shows(message, &url)).await;
    real.cancel(&begun.task_id).await;
    told.extend(to_end(&mut stream).await);
    assert!(!format!("{told:?}").contains(&begun.callback_token));
    assert_ended(&real.finish(&begun.task_id).await, Status::Cancelled, Reason::CancelRequested);
    assert_kept_nowhere(&real, &begun.callback_token);
}

#[tokio::test]
async fn a_page_in_a_browser_without_page_facts_reports_by_its_fragment() {
    let Some(seats) = Seats::take(1, &[]) else { return };
    let chromium = chromium().expect("a seat is given only where there is one");
    let options = Options::chromium().arg("--browser").arg(format!("plain={},exit-only", chromium.display()));
    let Some(mut real) = Real::start_with(options, seats).await else { return };
    let url = real.pages.script("/page", &posting(&real, READS_ITS_FRAGMENT));
    let begun = real.begin(v1::ExecuteRequest { browser: "plain".to_owned(), ..by_fragment(&url) }).await;
    let job = real.finish(&begun.task_id).await;
    assert_ended(&job, Status::Done, Reason::Callback);
    assert_eq!((job.url.as_str(), job.page.as_ref()), (url.as_str(), None));
    assert_eq!(job.callback.unwrap().result, r#"{"order":7}"#);
    assert_kept_nowhere(&real, &begun.callback_token);
}

#[tokio::test]
async fn a_page_cannot_report_on_a_task_of_another_origin_nor_with_another_tasks_token() {
    let Some(mut real) = Real::start().await else { return };
    let idle = real.pages.html("/idle", "<!doctype html><title>idle</title>here");
    let mine = real.begin(headless(&idle)).await;
    real.shown(&mine.task_id).await;
    let stolen = json!({ "task_id": mine.task_id, "callback_token": mine.callback_token, "status": "DONE" });
    let script = posting(
        &real,
        &format!(
            "const stolen = {stolen};
             const other = await post(stolen);
             await fetch('/gate');
             const own = await (await fetch('/own')).json();
             const mixed = await post({{ ...stolen, task_id: own.task_id }});
             cometTask.done({{ other, mixed, own: await post({{ ...own, status: 'RUNNING' }}) }});"
        ),
    );
    real.pages.script("/thief", &script);
    // The same server under another name, which makes it another origin.
    let thief = real.begin(headless(&format!("{}/thief", real.pages.other_site()))).await;
    real.pages.html("/own", &json!({ "task_id": thief.task_id, "callback_token": thief.callback_token }).to_string());
    real.pages.open_gate();
    let job = real.finish(&thief.task_id).await;
    assert_ended(&job, Status::Done, Reason::Callback);
    let told: Value = serde_json::from_str(&job.callback.unwrap().result).unwrap();
    assert_eq!(told, json!({ "other": "TypeError", "mixed": "TypeError", "own": [200, true, ""] }));

    let unchanged = real.shown(&mine.task_id).await;
    assert_eq!((unchanged.status(), unchanged.callback), (Status::Running, None));
    real.cancel(&mine.task_id).await;
    assert_ended(&real.finish(&mine.task_id).await, Status::Cancelled, Reason::CancelRequested);
}

#[tokio::test]
async fn a_page_that_reports_twice_is_told_that_its_first_report_stands() {
    let Some(mut real) = Real::start().await else { return };
    let script = posting(
        &real,
        "const [task_id, callback_token] = location.hash.slice('#ctr='.length).split('.');
         const own = { task_id, callback_token };
         const told = [await post({ ...own, status: 'DONE', message: 'one' })];
         told.push(await post({ ...own, status: 'DONE', message: 'one' }));
         told.push(await post({ ...own, status: 'FAILED', message: 'two' }));
         cometTask.progress(100, JSON.stringify(told));",
    );
    let url = real.pages.script("/page", &script);
    // The page outlives its report, to tell what it heard.
    let request = v1::ExecuteRequest { completion_policy: CompletionPolicy::ProcessExit.into(), ..by_fragment(&url) };
    let begun = real.begin(request).await;
    let mut stream = real.client.watch_job(watch(&begun.task_id)).await.unwrap().into_inner();
    let heard = |message: &v1::WatchJobResponse| {
        let sample = message.sample.as_ref().filter(|sample| sample.progress == Some(100))?;
        Some(sample.progress_message.clone())
    };
    let told = until(&mut stream, |message| heard(message).is_some()).await;
    let told: Value = serde_json::from_str(&told.last().and_then(heard).unwrap()).unwrap();
    assert_eq!(told, json!([[200, true, ""], [200, false, ""], [400, false, "REPORT_CONFLICT"]]));
    let job = real.cancel(&begun.task_id).await;
    assert_eq!(job.callback.unwrap().message, "one");
    assert_ended(&real.finish(&begun.task_id).await, Status::Cancelled, Reason::CancelRequested);
}
