//! `files`: lists what was kept of a task, and gives one of the files.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use tonic::Streaming;

use super::{
    Exit, Problem,
    args::{Format, Reach},
    print::{Printer, day_and_clock, plain},
    progress::Progress,
};
use crate::{
    api::v1::{GetStatusRequest, Job, JobFile, ReadFileRequest, ReadFileResponse},
    client::Client,
};

/// Arguments of `files`.
#[derive(Debug, Args)]
pub(super) struct Files {
    /// The task
    #[arg(value_name = "ID")]
    task_id: String,
    /// The file to write to standard output, or to --output; without it the files are listed
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Where to write the file: whole, or not at all
    #[arg(short, long, value_name = "FILE", requires = "name")]
    output: Option<PathBuf>,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    format: Format,
}

impl Files {
    pub(super) async fn run(self) -> Result<Exit, Problem> {
        let mut client = self.reach.target()?.connect().await?;
        match &self.name {
            None => list(&mut client, self.task_id, self.format).await?,
            Some(name) => {
                let total = match &self.output {
                    Some(_) => size(&mut client, &self.task_id, name).await?,
                    None => 0,
                };
                let request = ReadFileRequest { task_id: self.task_id, name: name.clone(), offset: 0 };
                let pieces = client.read_file(request).await?.into_inner();
                match &self.output {
                    // Nothing is said beside what may go to the same terminal.
                    None => copy(pieces, &mut io::stdout(), Progress::unseen()).await?,
                    Some(path) => save(pieces, path, Progress::of(total)).await?,
                }
            }
        }
        Ok(Exit::Done)
    }
}

/// Saves what a task downloaded in the working directory, and adds each name to `saved`: its service and all that it
/// keeps goes with this call. What is there already stays as it is.
pub(super) async fn save_here(client: &mut Client, task_id: &str, saved: &mut Vec<String>) -> Result<(), Problem> {
    let answer = client.get_status(GetStatusRequest { task_id: task_id.to_owned() }).await?.into_inner();
    for file in answer.job.unwrap_or_default().files {
        let path = PathBuf::from(&file.name);
        if path.exists() {
            return Err(Problem::Usage(format!("{} is there already, so the download is not saved", path.display())));
        }
        let request = ReadFileRequest { task_id: task_id.to_owned(), name: file.name.clone(), offset: 0 };
        save(client.read_file(request).await?.into_inner(), &path, Progress::unseen()).await?;
        saved.push(file.name);
    }
    Ok(())
}

/// How large a file is; zero when there is none of that name.
async fn size(client: &mut Client, task_id: &str, name: &str) -> Result<u64, Problem> {
    let answer = client.get_status(GetStatusRequest { task_id: task_id.to_owned() }).await?.into_inner();
    let files = answer.job.unwrap_or_default().files;
    Ok(files.iter().find(|file| file.name == name).map_or(0, |file| file.size_bytes))
}

async fn list(client: &mut Client, task_id: String, format: Format) -> Result<(), Problem> {
    let answer = client.get_status(GetStatusRequest { task_id }).await?.into_inner();
    let job = answer.job.unwrap_or_default();
    // What else is known of the job is told by `status`.
    let known = Job { task_id: job.task_id, files: job.files, ..Job::default() };
    match Printer::new(format) {
        Printer::Lines if known.files.is_empty() => Ok(()),
        printer => printer.print("Job", &known, || known.files.iter().map(file_line).collect::<Vec<_>>().join("\n")),
    }
}

/// One file: when, what kind, how large, and its name last, since that may have spaces.
fn file_line(file: &JobFile) -> String {
    let (at, kind) = (day_and_clock(file.kept_at.as_ref()), file.kind().as_str_name());
    format!("{at}  {kind:10}  {:>12}  {}", file.size_bytes, plain(&file.name))
}

/// A file beside the one that is wanted takes its place once it is whole.
async fn save(pieces: Streaming<ReadFileResponse>, path: &Path, progress: Progress) -> Result<(), Problem> {
    let Some(name) = path.file_name() else {
        return Err(Problem::Usage(format!("{} names no file to write to", path.display())));
    };
    let unfinished = path.with_file_name(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    let fault = |error: io::Error| Problem::Usage(format!("{} cannot be written: {error}", path.display()));
    let mut file = File::create_new(&unfinished).map_err(fault)?;
    let mut written = copy(pieces, &mut file, progress).await;
    if written.is_ok() {
        written = fs::rename(&unfinished, path).map_err(fault);
    }
    if written.is_err() {
        // Whatever it says, the first trouble is what matters.
        let _ = fs::remove_file(&unfinished);
    }
    written
}

async fn copy(
    mut pieces: Streaming<ReadFileResponse>,
    to: &mut impl Write,
    mut progress: Progress,
) -> Result<(), Problem> {
    while let Some(piece) = pieces.message().await? {
        to.write_all(&piece.data).map_err(Problem::Output)?;
        progress.add(piece.data.len());
    }
    to.flush().map_err(Problem::Output)
}
