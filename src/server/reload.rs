//! Takes up the certificate and the tokens anew when their files change, while calls go on.
//!
//! What is at fault changes nothing: what held goes on to hold, and the log says so.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::files::FileWatch;
use crate::web::{Reader, Renewed, Tls, Tokens, read_tokens};

/// How long the files are to be left alone before they are read: a certificate and its key are written one after the
/// other, and in between they do not belong together.
const QUIET: Duration = Duration::from_millis(200);
/// Longest wait for that: whoever never stops writing does not keep a removed token alive.
const SETTLE_MAX: Duration = Duration::from_secs(2);
/// How long files that cannot be watched are left until they are looked at again: what the system is short of is mostly
/// there again by then, and a removed token holds no longer than that.
const UNWATCHED: Duration = Duration::from_secs(30);
/// How long a look at the files may take to end with the service: they are small, unless their disk does not answer.
const JOIN_WITHIN: Duration = Duration::from_secs(2);

/// What is taken up anew, and from where.
pub(super) struct Reload {
    pub(super) certificate: Option<CertificateFiles>,
    pub(super) tokens: Arc<Tokens>,
    pub(super) tokens_file: PathBuf,
}

/// The certificate, where it comes from, and who is to know of another one.
pub(super) struct CertificateFiles {
    pub(super) tls: Tls,
    pub(super) certificate_file: PathBuf,
    pub(super) key_file: PathBuf,
    /// Told of each that is shown from then on.
    pub(super) renewed: Box<dyn Fn(&Tls) + Send>,
}

impl Reload {
    /// Looks whenever a file changes, until it is told to end.
    pub(super) async fn run(self, until: CancellationToken) {
        self.run_on(until, UNWATCHED, |reload| FileWatch::on(reload.files())).await;
    }

    async fn run_on(
        mut self,
        until: CancellationToken,
        unwatched: Duration,
        mut watch: impl FnMut(&Self) -> io::Result<FileWatch>,
    ) {
        loop {
            // Before the files are read, so that no change falls between.
            let watch = watch(&self);
            let looked = tokio::task::spawn_blocking(move || {
                self.look();
                self
            });
            self = match looked.await {
                Ok(reload) => reload,
                Err(error) => return error!(%error, "reading the certificate and the tokens ended badly"),
            };
            let changed = async {
                let watch = watch?;
                watch.changed().await?;
                settle(&watch).await
            };
            let changed_or_due = async {
                if let Err(error) = changed.await {
                    let again_s = unwatched.as_secs();
                    warn!(%error, again_s, "the files of the certificate and the tokens cannot be watched; they are looked at again in a while");
                    sleep(unwatched).await;
                }
            };
            tokio::select! {
                () = until.cancelled() => return,
                () = changed_or_due => {}
            }
        }
    }

    fn files(&self) -> impl Iterator<Item = &Path> {
        let of_certificate = self.certificate.iter().flat_map(|files| [&files.certificate_file, &files.key_file]);
        of_certificate.chain([&self.tokens_file]).map(PathBuf::as_path)
    }

    fn look(&self) {
        if let Some(files) = &self.certificate {
            let CertificateFiles { tls, certificate_file, key_file, renewed } = files;
            match tls.renew(certificate_file, key_file) {
                Ok(Renewed::Same) => {}
                Ok(Renewed::New) => {
                    renewed(tls);
                    info!(file = %certificate_file.display(), "the certificate was renewed");
                }
                Err(error) => warn!(%error, "the certificate is not renewed, and the one before stays"),
            }
        }
        match read_tokens(&self.tokens_file, Reader::Service) {
            Ok(entries) => {
                let exchanged = self.tokens.exchange(entries.unwrap_or_default());
                if !exchanged.begun.is_empty() || !exchanged.ended.is_empty() {
                    let (begun, ended) = (exchanged.begun.join(" "), exchanged.ended.join(" "));
                    info!(begun, ended, "the tokens changed");
                }
            }
            Err(error) => warn!(%error, "the tokens are not taken up, and those before stay"),
        }
    }
}

/// Waits for the end of the task that reloads, and not for a disk that does not answer.
pub(super) async fn join(mut reloading: JoinHandle<()>) {
    match timeout(JOIN_WITHIN, &mut reloading).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn!(%error, "the watch of the certificate and the tokens did not end well"),
        Err(_) => {
            warn!("the files of the certificate and the tokens are still being read; leaving without");
            reloading.abort();
        }
    }
}

/// Until nothing has changed for a while.
async fn settle(watch: &FileWatch) -> io::Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < SETTLE_MAX {
        match timeout(QUIET, watch.changed()).await {
            Ok(changed) => changed?,
            Err(_) => return Ok(()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::Scope,
        web::{NewToken, add_token},
    };

    #[tokio::test]
    async fn files_that_cannot_be_watched_are_looked_at_again_after_a_while() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("tokens.toml");
        let tokens = Arc::new(Tokens::default());
        let reload = Reload { certificate: None, tokens: Arc::clone(&tokens), tokens_file: path.clone() };
        let (until, begun, unwatched) = (CancellationToken::new(), Instant::now(), Duration::from_millis(50));
        let (mut rounds, end) = (0, until.clone());
        let watch = move |_: &Reload| {
            rounds += 1;
            match rounds {
                1 => {}
                2 => {
                    let wanted = NewToken { name: "late".to_owned(), scope: Scope::Observe, expires_at: None };
                    assert!(!add_token(&path, &wanted).unwrap().is_empty());
                }
                _ => end.cancel(),
            }
            Err(io::Error::other("no more watches"))
        };
        timeout(Duration::from_secs(20), reload.run_on(until, unwatched, watch)).await.expect("it ends when told");
        assert_eq!(tokens.exchange(Vec::new()).ended, ["late"]);
        assert!(begun.elapsed() >= unwatched * 2, "not at once: {:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn a_disk_that_does_not_answer_keeps_no_service_from_leaving() {
        let stuck = tokio::spawn(std::future::pending());
        timeout(JOIN_WITHIN * 10, join(stuck)).await.expect("it is left behind");
    }
}
