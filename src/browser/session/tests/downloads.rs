//! Files that pages download, and tasks whose URL leads to one.

use super::*;
use crate::browser::facts::{Download, DownloadFailure};

const GUID: &str = "5127be60-ef40-42e9-bca9-ca6208e3bd57";

fn begins(talk: &mut Talk, guid: &str, frame: &str) {
    let params = json!({ "guid": guid, "frameId": frame, "url": URL, "suggestedFilename": "a.bin" });
    talk.event("Browser.downloadWillBegin", &params);
}

fn goes(talk: &mut Talk, guid: &str, state: &str, received: u64, total: u64) {
    let params = json!({ "guid": guid, "totalBytes": total, "receivedBytes": received, "state": state });
    talk.event("Browser.downloadProgress", &params);
}

fn file(guid: &str, is_task: bool) -> Download {
    Download { guid: guid.to_owned(), name: "a.bin".to_owned(), is_task }
}

/// The downloads that were cancelled since the last call.
fn cancelled(talk: &mut Talk) -> Vec<String> {
    let sent = std::mem::take(&mut talk.sent).into_iter().filter(|(_, method, _)| method == "Browser.cancelDownload");
    sent.map(|(_, _, command)| command["params"]["guid"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn files_go_where_the_task_keeps_them_from_before_its_page_is_made() {
    let position = |talk: &Talk, wanted: &str| talk.sent.iter().position(|(_, method, _)| method == wanted);
    let talk = Talk::opened(true);
    let at = position(&talk, "Browser.setDownloadBehavior").unwrap();
    let params = json!({ "behavior": "allowAndName", "downloadPath": "/state/files/1", "eventsEnabled": true });
    assert_eq!(talk.sent[at].2["params"], params);
    assert!(at < position(&talk, "Target.createTarget").unwrap());
    assert!(position(&Talk::resumed(1, None), "Browser.setDownloadBehavior").is_some());
}

#[test]
fn a_pages_download_is_told_when_it_is_there() {
    let mut talk = Talk::arrived();
    begins(&mut talk, GUID, "T");
    goes(&mut talk, GUID, "inProgress", 3, 6);
    assert_eq!(talk.take_facts(), []);
    goes(&mut talk, GUID, "completed", 6, 6);
    goes(&mut talk, GUID, "canceled", 6, 6);
    assert_eq!(talk.take_facts(), [Fact::DownloadDone(file(GUID, false))]);
}

#[test]
fn a_url_that_leads_to_a_file_fails_no_navigation() {
    let mut talk = Talk::attached();
    talk.started("L");
    talk.responded("L", 200);
    let aborted = json!({ "requestId": "L", "type": "Document", "errorText": "net::ERR_ABORTED" });
    talk.page_event("Network.loadingFailed", &aborted);
    assert_eq!(talk.take_facts(), []);
    begins(&mut talk, GUID, "T");
    goes(&mut talk, GUID, "inProgress", 3, 6);
    goes(&mut talk, GUID, "inProgress", 3, 6);
    goes(&mut talk, GUID, "completed", 6, 6);
    let name = || "a.bin".to_owned();
    assert_eq!(
        talk.take_facts(),
        [
            Fact::DownloadBegan { name: name() },
            Fact::DownloadGrew { name: name(), received_bytes: 3, total_bytes: Some(6) },
            Fact::DownloadDone(file(GUID, true)),
        ]
    );
}

#[test]
fn an_answer_without_a_document_fails_at_once() {
    for status in [204, 205] {
        let mut talk = Talk::attached();
        talk.started("L");
        talk.responded("L", status);
        talk.failed("L", "net::ERR_ABORTED");
        assert_eq!(talk.take_facts(), [failed_with("net::ERR_ABORTED")]);
    }
    let mut talk = Talk::attached();
    talk.started("L");
    talk.failed("L", "net::ERR_ABORTED");
    assert_eq!(talk.take_facts(), [failed_with("net::ERR_ABORTED")], "a person stopped it before it was answered");
}

#[test]
fn a_frames_or_a_later_download_is_not_the_tasks() {
    let mut talk = Talk::attached();
    begins(&mut talk, GUID, "F");
    assert_eq!(talk.take_facts(), []);
    let mut talk = Talk::arrived();
    begins(&mut talk, GUID, "T");
    assert_eq!(talk.take_facts(), []);
}

#[test]
fn what_is_too_large_is_cancelled_as_soon_as_that_is_known() {
    let mut talk = Talk::arrived();
    begins(&mut talk, "a", "T");
    begins(&mut talk, "b", "T");
    goes(&mut talk, "a", "inProgress", 1, 600);
    assert!(cancelled(&mut talk).is_empty());
    goes(&mut talk, "b", "inProgress", 1, 401);
    goes(&mut talk, "b", "inProgress", 2, 401);
    assert_eq!(cancelled(&mut talk), ["b"]);
    goes(&mut talk, "a", "completed", 600, 600);
    goes(&mut talk, "b", "canceled", 0, 401);
    let why = DownloadFailure::TooLarge { bytes_max: 1000 };
    assert_eq!(
        talk.take_facts(),
        [Fact::DownloadDone(file("a", false)), Fact::DownloadFailed { download: file("b", false), why }]
    );
    // What whoever keeps it has kept counts too, and a size that nobody said is seen when it comes.
    talk.session.kept(600, 1);
    begins(&mut talk, "c", "T");
    goes(&mut talk, "c", "inProgress", 400, 0);
    assert!(cancelled(&mut talk).is_empty());
    goes(&mut talk, "c", "inProgress", 401, 0);
    assert_eq!(cancelled(&mut talk), ["c"]);
}

#[test]
fn one_file_too_many_is_cancelled_before_it_comes() {
    let mut talk = Talk::arrived();
    talk.session.plan.downloads.kept_files = 2;
    begins(&mut talk, "a", "T");
    begins(&mut talk, "b", "T");
    assert_eq!(cancelled(&mut talk), ["b"]);
    // Even where it was quicker than that.
    goes(&mut talk, "b", "completed", 1, 1);
    let why = DownloadFailure::TooMany { files_max: 3 };
    assert_eq!(talk.take_facts(), [Fact::DownloadFailed { download: file("b", false), why }]);
}

#[test]
fn a_download_that_breaks_off_says_how_far_it_came() {
    let mut talk = Talk::arrived();
    begins(&mut talk, GUID, "T");
    goes(&mut talk, GUID, "inProgress", 7, 600);
    goes(&mut talk, GUID, "canceled", 0, 600);
    let why = DownloadFailure::BrokenOff { received_bytes: 7 };
    assert_eq!(talk.take_facts(), [Fact::DownloadFailed { download: file(GUID, false), why }]);
}

#[test]
fn a_download_is_known_to_the_next_service() {
    let mut talk = Talk::attached();
    begins(&mut talk, GUID, "T");
    let saved = serde_json::to_string(&talk.saved.unwrap()).unwrap();
    let mut talk = Talk::resumed(1, Some(serde_json::from_str(&saved).unwrap()));
    goes(&mut talk, GUID, "completed", 6, 6);
    assert_eq!(talk.take_facts(), [Fact::DownloadDone(file(GUID, true))]);
}

#[test]
fn a_name_that_could_lead_out_of_the_directory_is_no_download() {
    for bad in ["../x", "a/b", "", ".hidden", "x y"] {
        let mut talk = Talk::arrived();
        begins(&mut talk, bad, "T");
        goes(&mut talk, bad, "completed", 6, 6);
        assert_eq!(talk.take_facts(), [], "{bad:?}");
    }
}

#[test]
fn downloads_without_end_cannot_grow_the_state() {
    let mut talk = Talk::arrived();
    for number in 0..1000 {
        begins(&mut talk, &format!("{number:x}"), "T");
    }
    assert_eq!(talk.saved.take().unwrap().downloads.len(), 64);
    assert_eq!(cancelled(&mut talk).len(), 997);
}
