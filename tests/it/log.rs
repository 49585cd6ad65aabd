//! What browsers say: read as it comes and afterwards, over restarts, bounded whatever they say.

use std::{collections::VecDeque, fs, path::PathBuf};

use comet_task_runner::api::v1::{
    self, LogEntry, ReadLogRequest, ReadLogResponse,
    execute_request::CallbackDelivery,
    job::{Reason, Status},
    log_entry::{Level, Source},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    task::JoinSet,
    time::timeout,
};
use tonic::{Code, Streaming};

use super::{
    cli,
    processes::{self, peak_kib},
    service::{AT_LENGTH, Client, Options, SOON, Service, ended, eventually, execute, stub_url},
    wire::{begin, cancel, kill_at_once, read_log, read_refusal, refused, settled, span},
};

pub(crate) fn following(task_id: &str) -> ReadLogRequest {
    ReadLogRequest { follow: true, ..read_log(task_id) }
}

/// A log being read; entries come one by one, and everything else is added up.
pub(crate) struct Reader {
    stream: Streaming<ReadLogResponse>,
    waiting: VecDeque<LogEntry>,
    pub(crate) dropped: u64,
    reset: bool,
    last: u64,
}

impl Reader {
    pub(crate) async fn open(client: &mut Client, request: ReadLogRequest) -> Self {
        let stream = client.read_log(request).await.unwrap().into_inner();
        Self { stream, waiting: VecDeque::new(), dropped: 0, reset: false, last: 0 }
    }

    async fn answer(&mut self) -> Result<bool, tonic::Status> {
        let answer = timeout(AT_LENGTH, self.stream.message()).await.expect("the log goes on")?;
        let Some(answer) = answer else { return Ok(false) };
        self.dropped += answer.dropped_count;
        self.reset |= answer.reset;
        self.last = answer.last_number;
        self.waiting.extend(answer.entries);
        Ok(true)
    }

    /// The next entry; none at the end.
    pub(crate) async fn next(&mut self) -> Option<LogEntry> {
        while self.waiting.is_empty() && self.answer().await.unwrap() {}
        self.waiting.pop_front()
    }

    /// The entries up to the first with this text in it.
    pub(crate) async fn until(&mut self, text: &str) -> Vec<LogEntry> {
        let mut seen = Vec::new();
        loop {
            let entry = self.next().await.unwrap_or_else(|| panic!("nobody said {text:?}: {seen:#?}"));
            let found = entry.text.contains(text);
            seen.push(entry);
            if found {
                return seen;
            }
        }
    }

    pub(crate) async fn rest(&mut self) -> Vec<LogEntry> {
        let mut rest = Vec::new();
        while let Some(entry) = self.next().await {
            rest.push(entry);
        }
        rest
    }
}

/// All that is in a log now.
pub(crate) async fn read(client: &mut Client, task_id: &str) -> Vec<LogEntry> {
    Reader::open(client, read_log(task_id)).await.rest().await
}

pub(crate) fn texts(entries: &[LogEntry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.text.as_str()).collect()
}

fn numbers(entries: &[LogEntry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.number).collect()
}

/// A browser that says what it is told to.
struct Teller {
    pipe: PathBuf,
    task: v1::ExecuteResponse,
}

impl Teller {
    async fn begin(service: &Service, client: &mut Client) -> Self {
        Self::begin_with(service, client, v1::ExecuteRequest::default()).await
    }

    async fn begin_with(service: &Service, client: &mut Client, request: v1::ExecuteRequest) -> Self {
        let pipe = service.home().join(format!("tell-{}", uuid::Uuid::new_v4().simple()));
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let url = stub_url(&format!("/tell?file={}", pipe.display()));
        let task = client.execute(v1::ExecuteRequest { url, ..request }).await.unwrap().into_inner();
        Self { pipe, task: settled(task) }
    }

    /// Waits until the browser has the pipe open.
    async fn say(&self, text: &str) {
        let (pipe, text) = (self.pipe.clone(), text.to_owned());
        let saying = tokio::task::spawn_blocking(move || fs::write(pipe, text).unwrap());
        timeout(SOON, saying).await.expect("the browser listens").unwrap();
    }

    fn id(&self) -> &str {
        &self.task.task_id
    }
}

pub(crate) fn file_of(service: &Service, task_id: &str) -> PathBuf {
    service.state_dir().join("logs").join(task_id)
}

#[tokio::test]
async fn output_is_read_as_it_comes_and_the_stream_ends_with_the_job() {
    let service = Service::start();
    let mut client = service.client().await;
    let teller = Teller::begin(&service, &mut client).await;
    let mut reader = Reader::open(&mut client, following(teller.id())).await;
    teller.say("fi\x1b[2Jrst\r\n[1:1:0101/000000.000000:ERROR:x.cc(1)] second\nno end").await;
    let seen = reader.until("second").await;
    assert_eq!((numbers(&seen), seen[0].text.as_str()), (vec![1, 2], "fi[2Jrst"));
    assert_eq!((seen[0].source(), seen[0].level(), seen[1].level()), (Source::Output, Level::Info, Level::Error));
    assert!(seen.iter().all(|entry| entry.said_at.is_some()));
    assert_eq!(texts(&read(&mut client, teller.id()).await), texts(&seen), "a live log is read without following it");
    teller.say(" yet\n").await;
    assert_eq!(texts(&reader.until("yet").await), ["no end yet"]);
    client.cancel_job(cancel(teller.id())).await.unwrap();
    assert!(reader.rest().await.is_empty());
    assert_eq!(reader.last, 3);
    let job = ended(&mut client, teller.id()).await;
    assert_eq!(job.status(), Status::Cancelled);
    assert_eq!(numbers(&read(&mut client, teller.id()).await), [1, 2, 3]);
    let after = ReadLogRequest { after_number: 2, ..following(teller.id()) };
    assert_eq!(texts(&Reader::open(&mut client, after).await.rest().await), ["no end yet"]);
}

#[tokio::test]
async fn a_last_word_without_a_line_end_is_there_when_the_job_is_over() {
    let service = Service::start();
    let mut client = service.client().await;
    for _ in 0..10 {
        let task = begin(&mut client, "/stderr?text=cannot-open").await;
        let entries = Reader::open(&mut client, following(&task.task_id)).await.rest().await;
        assert_eq!(texts(&entries), ["cannot-open"]);
        assert_eq!(texts(&read(&mut client, &task.task_id).await), ["cannot-open"]);
        let job = ended(&mut client, &task.task_id).await;
        assert!(job.message.contains("it last printed: cannot-open"), "{}", job.message);
    }
}

#[tokio::test]
async fn the_token_in_a_browsers_arguments_is_in_no_log() {
    let service = Service::start();
    let mut client = service.client().await;
    let url = stub_url("/stderr-url");
    let request = v1::ExecuteRequest { callback_delivery: CallbackDelivery::Fragment.into(), ..execute(&url) };
    let task = client.execute(request).await.unwrap().into_inner();
    let entries = Reader::open(&mut client, following(&task.task_id)).await.rest().await;
    assert_eq!(texts(&entries), [format!("{url}#ctr={}.[token]", task.task_id)]);
    assert!(!fs::read_to_string(file_of(&service, &task.task_id)).unwrap().contains(&task.callback_token));
}

#[tokio::test]
async fn a_log_goes_on_over_restarts_and_what_was_said_meanwhile_is_in_it() {
    let mut service = Service::start();
    let mut client = service.client().await;
    let teller = Teller::begin(&service, &mut client).await;
    let mut reader = Reader::open(&mut client, following(teller.id())).await;
    teller.say("one\ntwo\nhal").await;
    assert_eq!(numbers(&reader.until("two").await), [1, 2]);

    service.signal(rustix::process::Signal::TERM);
    let leaving = loop {
        match reader.answer().await {
            Ok(more) => assert!(more, "a log that is not over does not end well"),
            Err(status) => break read_refusal(&status),
        }
    };
    assert_eq!((leaving.code, leaving.reason.as_str()), (Code::Unavailable, "DRAINING"));
    drop((client, reader));
    service.wait();
    teller.say("f\nthree\n").await;

    service.restart();
    let mut client = service.client().await;
    let going_on = ReadLogRequest { after_number: 2, ..following(teller.id()) };
    let mut reader = Reader::open(&mut client, going_on).await;
    let seen = reader.until("three").await;
    assert_eq!((texts(&seen), numbers(&seen)), (vec!["half", "three"], vec![3, 4]));
    assert_eq!((reader.dropped, reader.reset), (0, false));
    client.cancel_job(cancel(teller.id())).await.unwrap();
    assert!(reader.rest().await.is_empty());
    drop((client, reader));

    service.terminate();
    service.restart();
    let mut client = service.client().await;
    assert_eq!(texts(&read(&mut client, teller.id()).await), ["one", "two", "half", "three"]);
}

#[tokio::test]
async fn after_a_kill_the_end_of_the_output_is_told_again_and_readers_are_told_that_numbers_begin_anew() {
    let mut service = Service::start();
    let mut client = service.client().await;
    let teller = Teller::begin(&service, &mut client).await;
    let mut reader = Reader::open(&mut client, following(teller.id())).await;
    teller.say("one\ntwo\n").await;
    reader.until("two").await;
    drop((client, reader));
    service.kill();
    service.restart();
    let mut client = service.client().await;
    let going_on = ReadLogRequest { after_number: 7, ..following(teller.id()) };
    let mut reader = Reader::open(&mut client, going_on).await;
    let seen = reader.until("two").await;
    assert_eq!((texts(&seen), numbers(&seen), reader.reset), (vec!["one", "two"], vec![1, 2], true));
    client.cancel_job(cancel(teller.id())).await.unwrap();
    reader.rest().await;
}

#[tokio::test]
async fn what_ended_while_no_service_was_there_has_its_last_words_in_the_log() {
    let mut service = Service::start();
    let mut client = service.client().await;
    let teller = Teller::begin(&service, &mut client).await;
    let mut reader = Reader::open(&mut client, following(teller.id())).await;
    teller.say("before\n").await;
    reader.until("before").await;
    drop((client, reader));
    service.terminate();
    let end = processes::Ending::of(teller.task.process_id).unwrap();
    teller.say("famous last words\n!exit\n").await;
    end.wait();
    service.restart();
    let mut client = service.client().await;
    let entries = Reader::open(&mut client, following(teller.id())).await.rest().await;
    assert_eq!(texts(&entries), ["before", "famous last words", "!exit"]);
}

#[tokio::test]
async fn a_reader_that_comes_late_is_told_how_many_entries_are_gone() {
    let service = Service::start();
    let mut client = service.client().await;
    let teller = Teller::begin(&service, &mut client).await;
    let mut first = Reader::open(&mut client, following(teller.id())).await;
    let lines: String = (1..=1500).map(|n| format!("line {n}\n")).collect();
    teller.say(&lines).await;
    first.until("line 1500").await;
    let mut late = Reader::open(&mut client, read_log(teller.id())).await;
    let entries = late.rest().await;
    assert_eq!((late.dropped, late.last), (500, 1500));
    assert_eq!(numbers(&entries), (501..=1500).collect::<Vec<_>>());
    assert!(entries.iter().all(|entry| entry.text == format!("line {}", entry.number)));
    client.cancel_job(kill_at_once(teller.id())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_readers_of_one_job_hear_everything_and_come_to_its_end() {
    let service = Service::start();
    let mut client = service.client().await;
    let teller = Teller::begin(&service, &mut client).await;
    let mut reading = JoinSet::new();
    for _ in 0..100 {
        let mut reader = Reader::open(&mut client, following(teller.id())).await;
        reading.spawn(async move { (reader.rest().await, reader.dropped) });
    }
    for n in 1..=20 {
        teller.say(&format!("word {n}\n")).await;
    }
    let mut own = Reader::open(&mut client, following(teller.id())).await;
    own.until("word 20").await;
    client.cancel_job(kill_at_once(teller.id())).await.unwrap();
    while let Some(read) = timeout(AT_LENGTH, reading.join_next()).await.expect("each comes to the end") {
        let (entries, dropped) = read.unwrap();
        assert_eq!((numbers(&entries), dropped), ((1..=20).collect(), 0));
    }
}

#[tokio::test]
async fn a_gigabyte_of_output_stops_nobody_and_fills_nothing() {
    let service = Service::start();
    let mut client = service.client().await;
    let quiet = begin(&mut client, "/sleep").await;
    let shim_of = |task: &v1::ExecuteResponse| processes::parent_of(task.process_id).unwrap();
    let memory_before = peak_kib(service.pid());
    let task = begin(&mut client, "/flood-on").await;
    let mut reader = Reader::open(&mut client, following(&task.task_id)).await;
    let seen = reader.until("the end").await;
    // It is there whole: every byte of the rest is told, or told to be missing.
    let missing = |text: &str| text.strip_suffix(" were dropped")?.split(' ').next()?.parse::<u64>().ok();
    let told = |entry: &LogEntry| missing(&entry.text).unwrap_or(entry.text.len() as u64);
    assert_eq!(seen.iter().map(told).sum::<u64>(), (1 << 30) + "the end".len() as u64);
    assert!(seen.iter().any(|entry| missing(&entry.text).is_some() && entry.level() == Level::Warning));

    // Beside a shim that had nothing to carry, since most of either is the program itself.
    let shim_kib = peak_kib(shim_of(&task)).saturating_sub(peak_kib(shim_of(&quiet)));
    let service_kib = peak_kib(service.pid()) - memory_before;
    let carried: usize = seen.iter().filter(|entry| missing(&entry.text).is_none()).map(|entry| entry.text.len()).sum();
    eprintln!("the shim took {shim_kib} KiB more, the service {service_kib} KiB, for {carried} bytes carried");
    assert!(shim_kib < 8 * 1024 && service_kib < 16 * 1024, "{shim_kib} KiB, {service_kib} KiB");
    assert!(carried < 64 << 20, "{carried} bytes of a flood that the service need not have");

    processes::signal(task.process_id, rustix::process::Signal::KILL);
    let job = ended(&mut client, &task.task_id).await;
    assert_eq!(job.reason(), Reason::ProcessFailed);
    assert!(job.message.ends_with("ffthe end"), "{:?}", &job.message[job.message.len().saturating_sub(40)..]);
    reader.rest().await;
    let file = fs::metadata(file_of(&service, &task.task_id)).unwrap();
    assert!(file.len() < 300 * 1024, "{} bytes", file.len());
}

#[tokio::test]
async fn a_log_is_forgotten_with_its_job() {
    let service = Service::start();
    let mut client = service.client().await;
    let brief = v1::ExecuteRequest { retention: span(std::time::Duration::ZERO), ..v1::ExecuteRequest::default() };
    let brief = Teller::begin_with(&service, &mut client, brief).await;
    let kept = begin(&mut client, "/stderr?text=kept").await;
    ended(&mut client, &kept.task_id).await;
    brief.say("brief\n").await;
    let mut reader = Reader::open(&mut client, following(brief.id())).await;
    reader.until("brief").await;
    client.cancel_job(cancel(brief.id())).await.unwrap();
    assert!(reader.rest().await.is_empty());
    eventually("that the log is gone", || !file_of(&service, brief.id()).exists());
    assert_eq!(texts(&read(&mut client, &kept.task_id).await), ["kept"]);
}

#[tokio::test]
async fn a_start_removes_the_logs_of_jobs_that_are_not_known() {
    let mut service = Service::start();
    let mut client = service.client().await;
    let kept = begin(&mut client, "/stderr?text=kept").await;
    ended(&mut client, &kept.task_id).await;
    eventually("that the log is written", || file_of(&service, &kept.task_id).exists());
    drop(client);
    service.terminate();
    let foreign = [uuid::Uuid::now_v7().to_string(), format!("{}.new", kept.task_id), "x".to_owned()];
    foreign.iter().for_each(|name| fs::write(file_of(&service, name), "{}").unwrap());
    service.restart();
    eventually("that the others are gone", || !foreign.iter().any(|name| file_of(&service, name).exists()));
    let mut client = service.client().await;
    assert_eq!(texts(&read(&mut client, &kept.task_id).await), ["kept"]);
}

#[tokio::test]
async fn a_log_that_cannot_be_read_is_refused_with_a_reason() {
    let service = Service::start_with(Options::default().arg("--watchers").arg("1"));
    let mut client = service.client().await;
    let unknown = refused(client.read_log(read_log("01890a5d-ac96-774b-bcce-b302099a8057")).await);
    assert_eq!((unknown.code, unknown.reason.as_str()), (Code::NotFound, "TASK_NOT_FOUND"));
    let wrong = ReadLogRequest { sources: vec![77], ..read_log("x") };
    let wrong = refused(client.read_log(wrong).await);
    assert_eq!((wrong.code, wrong.reason.as_str()), (Code::InvalidArgument, "TASK_ID_INVALID"));
    let task = begin(&mut client, "/sleep").await;
    let _watching = client.read_log(following(&task.task_id)).await.unwrap();
    let full = refused(client.read_log(read_log(&task.task_id)).await);
    assert_eq!((full.code, full.reason.as_str()), (Code::ResourceExhausted, "WATCHER_LIMIT"));
}

#[tokio::test]
async fn the_command_line_shows_a_log_and_follows_it_over_a_restart() {
    let mut service = Service::start();
    let mut client = service.client().await;
    let teller = Teller::begin(&service, &mut client).await;
    let mut reader = Reader::open(&mut client, following(teller.id())).await;
    teller.say("one\n[1:1:0:WARNING:x] two\n").await;
    reader.until("two").await;
    drop(reader);
    let shown = cli::ended(cli::on(&service, &["log", teller.id(), "--level", "warning"])).await;
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(shown.stdout.trim_end().ends_with("  WARNING  OUTPUT   [1:1:0:WARNING:x] two"), "{shown:?}");
    assert_eq!(shown.stdout.lines().count(), 1);

    let mut following = cli::on(&service, &["log", teller.id(), "--follow", "--json"]).spawn().unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let mut told = vec![timeout(SOON, lines.next_line()).await.expect("it shows what is there").unwrap().unwrap()];
    drop(client);
    service.terminate();
    teller.say("three\n").await;
    service.restart();
    let mut client = service.client().await;
    let mut reader = Reader::open(&mut client, self::following(teller.id())).await;
    reader.until("three").await;
    client.cancel_job(cancel(teller.id())).await.unwrap();
    while let Some(line) = timeout(SOON, lines.next_line()).await.expect("it ends with the task").unwrap() {
        told.push(line);
    }
    assert!(following.wait().await.unwrap().success());
    let answers = told.iter().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let texts: Vec<String> = answers
        .flat_map(|answer| answer["entries"].as_array().cloned().unwrap_or_default())
        .map(|entry| entry["text"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(texts, ["one", "[1:1:0:WARNING:x] two", "three"]);
    let missing = cli::ended(cli::on(&service, &["log", "01890a5d-ac96-774b-bcce-b302099a8057"])).await;
    assert!(missing.code == Some(2) && missing.stderr.contains("no task"), "{missing:?}");
}
