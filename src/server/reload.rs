//! Takes up the certificate and the tokens anew when their files change, while calls go on.
//!
//! What is at fault changes nothing: what held goes on to hold, and the log says so.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::files::FileWatch;
use crate::web::{Reader, Renewed, Tls, Tokens, read_tokens};

/// How long the files are to be left alone before they are read: a certificate and its key are written one after the
/// other, and in between they do not belong together.
const QUIET: Duration = Duration::from_millis(200);
/// Longest wait for that: whoever never stops writing does not keep a removed token alive.
const SETTLE_MAX: Duration = Duration::from_secs(2);

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
    pub(super) async fn run(mut self, until: CancellationToken) {
        loop {
            // Before the files are read, so that no change falls between.
            let watch = FileWatch::on(self.files());
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
            tokio::select! {
                () = until.cancelled() => return,
                changed = changed => if let Err(error) = changed {
                    warn!(%error, "the files of the certificate and the tokens are not watched any more; changes take a restart");
                    return;
                },
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
