//! What a real page says in its console, and what is said of its requests.

use std::fs;

use comet_task_runner::api::v1::{
    self, LogEntry, ReadLogRequest,
    execute_request::CallbackDelivery,
    job::Status,
    log_entry::{Level, Source},
};
use tokio::time::timeout;

use super::{
    log::{Reader, file_of, following, texts},
    processes::peak_kib,
    real::{LONG, Real, headless},
    wire::read_log,
};

#[tokio::test]
async fn a_page_is_heard_in_its_console_and_by_its_failed_requests() {
    let Some(mut real) = Real::start().await else { return };
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let script = format!(
        "console.log('hello', 42, {{a: 1}}, null); console.error('wrong'); console.warn('hm'); console.debug('psst');
        setTimeout(() => {{ throw new Error('nobody caught it') }});
        fetch('http://{free}/refused').catch(() => {{}});"
    );
    let body = format!(
        "<!doctype html><img src='/status/404'><script src='/missing.js'></script><script>{script}</script>here"
    );
    let url = real.pages.html("/talks", &body);
    let begun = real.begin(headless(&url)).await;
    let mut client = real.client.clone();
    let sources = vec![Source::Console.into(), Source::Network.into()];
    let request = ReadLogRequest { sources, ..following(&begun.task_id) };
    let mut reader = Reader::open(&mut client, request).await;
    let wanted: [(Source, Level, &str, &str); 8] = [
        (Source::Console, Level::Info, "hello 42 Object null", &url),
        (Source::Console, Level::Error, "wrong", &url),
        (Source::Console, Level::Warning, "hm", &url),
        (Source::Console, Level::Debug, "psst", &url),
        (Source::Console, Level::Error, "nobody caught it", &url),
        (Source::Network, Level::Error, "404", "/status/404"),
        (Source::Network, Level::Error, "404", "/missing.js"),
        (Source::Network, Level::Error, "net::ERR_CONNECTION_REFUSED", "/refused"),
    ];
    let is = |entry: &LogEntry, (source, level, text, url): &(Source, Level, &str, &str)| {
        (entry.source(), entry.level()) == (*source, *level) && entry.text.contains(text) && entry.url.ends_with(url)
    };
    let mut seen = Vec::new();
    while !wanted.iter().all(|wanted| seen.iter().any(|entry| is(entry, wanted))) {
        let next = timeout(LONG, reader.next()).await.unwrap_or_else(|_| panic!("not all is heard: {seen:#?}"));
        seen.push(next.expect("the log goes on"));
    }
    for wanted in &wanted {
        assert_eq!(seen.iter().filter(|entry| is(entry, wanted)).count(), 1, "{wanted:?}: {seen:#?}");
    }
    let job = real.when(&begun.task_id, |_| true).await;
    assert_eq!(job.status(), Status::Running, "what is said ends nothing");
    real.cancel(&begun.task_id).await;
    assert!(reader.rest().await.iter().all(|entry| !wanted.iter().any(|wanted| is(entry, wanted))));
    real.finish(&begun.task_id).await;
}

#[tokio::test]
async fn a_page_that_was_adopted_is_heard_once_and_its_secrets_never() {
    let Some(mut real) = Real::start().await else { return };
    let script = "console.log('first ' + location.hash); onhashchange = () => console.log('second ' + location.hash);
        setTimeout(() => fetch('/gate').then(() => console.log('third \\u001b[2J', location.href)))";
    let url = real.pages.script("/secret", script);
    let request = v1::ExecuteRequest { callback_delivery: CallbackDelivery::Fragment.into(), ..headless(&url) };
    let begun = real.begin(request).await;
    let mut client = real.client.clone();
    Reader::open(&mut client, following(&begun.task_id)).await.until("first").await;
    drop(client);
    real.service.terminate();
    real.pages.open_gate();
    real.service.restart();
    real.client = real.service.client().await;
    let mut client = real.client.clone();
    let sources = vec![Source::Console.into()];
    let mut reader = Reader::open(&mut client, ReadLogRequest { sources, ..following(&begun.task_id) }).await;
    let seen = timeout(LONG, reader.until("third")).await.unwrap();
    assert_eq!(texts(&seen), ["first ".to_owned(), format!("third [2J {url}")]);
    real.cancel(&begun.task_id).await;
    real.finish(&begun.task_id).await;
    let kept = fs::read_to_string(file_of(&real.service, &begun.task_id)).unwrap();
    assert!(!kept.contains(&begun.callback_token), "{kept}");
}

#[tokio::test]
async fn a_page_that_talks_without_pause_neither_stops_its_task_nor_fills_anything() {
    const CALLS: u64 = 30_000;
    let Some(mut real) = Real::start().await else { return };
    let script = format!("for (let n = 1; n <= {CALLS}; n++) console.log('call ' + n); cometTask.done()");
    let url = real.pages.script("/chatter", &script);
    let memory_before = peak_kib(real.service.pid());
    let job = real.run(headless(&url)).await;
    assert_eq!(job.status(), Status::Done);
    let more_kib = peak_kib(real.service.pid()) - memory_before;
    assert!(more_kib < 64 * 1024, "{more_kib} KiB");
    let sources = vec![Source::Console.into()];
    let mut client = real.client.clone();
    let mut reader = Reader::open(&mut client, ReadLogRequest { sources, ..read_log(&job.task_id) }).await;
    let entries = reader.rest().await;
    assert_eq!(entries.last().unwrap().text, format!("call {CALLS}"));
    assert!(entries.len() <= 1000 && reader.dropped > CALLS - 1000, "{} and {}", entries.len(), reader.dropped);
    assert!(entries.windows(2).all(|pair| pair[1].number > pair[0].number));
}
