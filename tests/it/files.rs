//! Reading what was kept of a task: over gRPC, grpc-web and JSON, and on the command line.

use std::fs;

use comet_task_runner::api::v1;
use serde_json::json;
use tonic::Code;

use super::{
    caller::Caller,
    cli::{ended, on},
    grpc_web,
    real::{Real, headless},
    wire::refused,
};

/// Largest piece of a file.
const PIECE: usize = 64 * 1024;

/// A task that has downloaded a large file and an empty one.
async fn with_files(real: &mut Real) -> (String, String) {
    let text: String = (0..30_000).map(|number| format!("{number} ")).collect();
    real.pages.html_with("/large", "Content-Disposition: attachment; filename=\"large file.txt\"\r\n", &text);
    real.pages.html_with("/empty", "Content-Disposition: attachment; filename=empty\r\n", "");
    let script = "const get = to => { const a = document.createElement('a'); a.href = to; a.download = ''; a.click() }; \
                  get('/large'); setTimeout(() => get('/empty'), 500)";
    let url = real.pages.script("/gets", script);
    let begun = real.begin(headless(&url)).await;
    real.when(&begun.task_id, |job| job.files.len() == 2).await;
    real.cancel(&begun.task_id).await;
    real.finish(&begun.task_id).await;
    (begun.task_id, text)
}

fn read(task_id: &str, name: &str, offset: u64) -> v1::ReadFileRequest {
    v1::ReadFileRequest { task_id: task_id.to_owned(), name: name.to_owned(), offset }
}

async fn pieces(real: &mut Real, request: v1::ReadFileRequest) -> Vec<v1::ReadFileResponse> {
    let mut stream = real.client.read_file(request).await.unwrap().into_inner();
    let mut pieces = Vec::new();
    while let Some(piece) = stream.message().await.unwrap() {
        pieces.push(piece);
    }
    pieces
}

fn whole(pieces: &[v1::ReadFileResponse]) -> Vec<u8> {
    pieces.iter().flat_map(|piece| piece.data.clone()).collect()
}

#[tokio::test]
async fn a_kept_file_is_read_in_every_form_and_from_any_place() {
    let Some(mut real) = Real::start().await else { return };
    let (task_id, text) = with_files(&mut real).await;
    let name = "large file.txt";

    let told = pieces(&mut real, read(&task_id, name, 0)).await;
    assert!(told.len() > 2 && told.iter().all(|piece| piece.data.len() <= PIECE && !piece.data.is_empty()));
    assert!(told.iter().all(|piece| piece.size_bytes == text.len() as u64));
    assert!(told.iter().all(|piece| piece.content_type == "application/octet-stream"));
    assert!(told.windows(2).all(|pair| pair[1].offset == pair[0].offset + pair[0].data.len() as u64));
    assert_eq!(whole(&told), text.as_bytes());
    assert_eq!(whole(&pieces(&mut real, read(&task_id, name, 100_000)).await), &text.as_bytes()[100_000..]);
    for (name, offset) in [("empty", 0), (name, text.len() as u64)] {
        let told = pieces(&mut real, read(&task_id, name, offset)).await;
        assert_eq!((told.len(), told[0].data.len(), told[0].offset), (1, 0, offset), "{name}");
    }

    let mut stream: grpc_web::Stream<v1::ReadFileResponse> =
        grpc_web::call(&real.service, "ReadFile", &read(&task_id, name, 0)).await.unwrap();
    let mut over_web = Vec::new();
    while let Some(piece) = stream.next().await.unwrap() {
        over_web.extend(piece.data);
    }
    assert_eq!(over_web, text.as_bytes());

    let request = json!({ "taskId": task_id, "name": name, "offset": text.len() - 3 });
    let mut lines = Caller::of(&real.service).await.watch(&real.service, "ReadFile", &request).await;
    let line = lines.next().await.unwrap();
    assert_eq!(
        (&line["data"], &line["sizeBytes"]),
        (&json!("OTkg"), &json!(text.len().to_string())),
        "\"99 \" in base64"
    );
    assert_eq!(lines.next().await, None);
}

#[tokio::test]
async fn what_is_no_file_of_the_task_is_refused_by_name() {
    let Some(mut real) = Real::start().await else { return };
    let (task_id, text) = with_files(&mut real).await;
    let unknown = "0198c0de-0000-7000-8000-000000000001";
    let behind = text.len() as u64 + 1;
    for (request, code, reason) in [
        (read(&task_id, "other.txt", 0), Code::NotFound, "FILE_NOT_FOUND"),
        (read(&task_id, "../../token", 0), Code::NotFound, "FILE_NOT_FOUND"),
        (read(&task_id, "../large file.txt", 0), Code::NotFound, "FILE_NOT_FOUND"),
        (read(&task_id, "", 0), Code::InvalidArgument, "FILE_NAME_INVALID"),
        (read(&task_id, "large file.txt", behind), Code::InvalidArgument, "OFFSET_INVALID"),
        (read(unknown, "empty", 0), Code::NotFound, "TASK_NOT_FOUND"),
        (read("x", "empty", 0), Code::InvalidArgument, "TASK_ID_INVALID"),
    ] {
        let refusal = refused(real.client.read_file(request.clone()).await);
        assert_eq!((refusal.code, refusal.reason.as_str()), (code, reason), "{request:?}");
    }
    let stranger = v1::task_runner_client::TaskRunnerClient::new(real.service.channel().await);
    let refusal = refused({ stranger }.read_file(read(&task_id, "empty", 0)).await);
    assert_eq!(refusal.code, Code::Unauthenticated);

    let file = real.service.state_dir().join("files").join(&task_id).join("large file.txt");
    fs::File::options().write(true).open(&file).unwrap().set_len(7).unwrap();
    let mut stream = real.client.read_file(read(&task_id, "large file.txt", 0)).await.unwrap().into_inner();
    assert_eq!(stream.message().await.unwrap().unwrap().data.len(), 7);
    assert_eq!(stream.message().await.unwrap_err().code(), Code::DataLoss);
    fs::remove_file(&file).unwrap();
    let refusal = refused(real.client.read_file(read(&task_id, "large file.txt", 0)).await);
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::NotFound, "FILE_NOT_FOUND"));
}

#[tokio::test]
async fn the_command_line_lists_files_and_writes_one_whole_or_not_at_all() {
    let Some(mut real) = Real::start().await else { return };
    let (task_id, text) = with_files(&mut real).await;
    let listed = ended(on(&real.service, &["files", &task_id])).await;
    let lines: Vec<_> = listed.stdout.lines().collect();
    assert_eq!((listed.code, lines.len()), (Some(0), 2), "{listed:?}");
    assert!(
        lines[0].contains("DOWNLOAD") && lines[0].ends_with(&format!("{}  large file.txt", text.len())),
        "{lines:?}"
    );
    let json = ended(on(&real.service, &["files", &task_id, "--json"])).await.json();
    assert_eq!(json[0]["files"][1]["name"], "empty");

    assert_eq!(ended(on(&real.service, &["files", &task_id, "large file.txt"])).await.stdout, text);
    let to = real.service.home().join("out.txt");
    fs::write(&to, "older").unwrap();
    let path = to.to_str().unwrap();
    let refusal = ended(on(&real.service, &["files", &task_id, "none", "-o", path])).await;
    assert_eq!((refusal.code, fs::read_to_string(&to).unwrap().as_str()), (Some(2), "older"));
    assert!(refusal.stderr.contains("FILE_NOT_FOUND"), "{refusal:?}");
    let saved = ended(on(&real.service, &["files", &task_id, "large file.txt", "-o", path])).await;
    assert_eq!((saved.code, fs::read_to_string(&to).unwrap() == text), (Some(0), true), "{saved:?}");
    let beside = fs::read_dir(real.service.home()).unwrap().flatten();
    assert!(!beside.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with('.')));
}
