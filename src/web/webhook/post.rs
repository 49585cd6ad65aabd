//! One message on its way: posted, judged by its answer, and when to try again.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode, header};
use reqwest::{Client, redirect};
use tokio_rustls::rustls::crypto::ring;
use url::Url;

use super::secret::Secret;

/// How long one attempt may take: a receiver is to note a message, and to work on it later.
const ATTEMPT_MAX: Duration = Duration::from_secs(10);
/// The first pause after a failure; doubled up to the longest one.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
/// The longest pause: a receiver that is back hears of it within it.
const PAUSE_MAX: Duration = Duration::from_secs(5 * 60);
/// How long a receiver may refuse us: a wrong secret or path is an operator's to mend, who may sleep.
const REFUSED_MAX: Duration = Duration::from_secs(24 * 3600);
/// How long it may refuse a message for what is in it: that will not change, and the ones behind it wait.
const UNFIT_MAX: Duration = Duration::from_secs(10 * 60);

/// A message as it is posted, each time the same.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// The same for each attempt, so that a receiver knows one that it has had.
    pub(super) id: String,
    /// JSON.
    pub(super) body: String,
}

/// Posts messages to one place.
#[derive(Clone, Debug)]
pub(super) struct Post {
    client: Client,
    url: Url,
    secret: Secret,
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The receiver has it.
    Delivered,
    /// It has not.
    Failed(Failure),
}

/// Why a receiver has not got a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// For the log: never what was sent, nor where a query may hold a secret.
    pub(super) why: String,
    /// When the receiver wants to hear of it again.
    pub(super) retry_after: Option<Duration>,
    /// How long this may go on before the message is given up; none for as long as it takes.
    pub(super) bearable: Option<Duration>,
}

impl Post {
    /// # Errors
    /// When no certificates can be found that a receiver's could be checked by.
    pub(super) fn new(url: Url, secret: Secret) -> Result<Self, reqwest::Error> {
        // The one provider that is compiled in; set before by whoever else needed it first.
        drop(ring::default_provider().install_default());
        let client = Client::builder()
            .timeout(ATTEMPT_MAX)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("comet-task-runner/", env!("CARGO_PKG_VERSION")));
        // On this machine there is neither a certificate to check nor a proxy between.
        let client = if url.scheme() == "http" { client.tls_certs_only([]).no_proxy() } else { client };
        Ok(Self { client: client.build()?, url, secret })
    }

    /// Where it goes, as far as a log may know.
    pub(super) fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// Makes one attempt. Safe to drop; the receiver may have it then all the same.
    pub(super) async fn attempt(&self, message: &Message) -> Outcome {
        let timestamp_s = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let signature = self.secret.sign(&message.id, timestamp_s, &message.body);
        let request = self
            .client
            .post(self.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", timestamp_s)
            .header("webhook-signature", signature)
            .body(message.body.clone());
        match request.send().await {
            Ok(response) => judge(response.status(), response.headers()),
            Err(error) => {
                let why = chain(&error.without_url());
                Outcome::Failed(Failure { why, retry_after: None, bearable: None })
            }
        }
    }
}

/// What an answer means.
fn judge(status: StatusCode, headers: &HeaderMap) -> Outcome {
    if status.is_success() {
        return Outcome::Delivered;
    }
    let bearable = match status {
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => None,
        status if status.is_server_error() => None,
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => Some(UNFIT_MAX),
        // A redirect is among these: whoever answers there was not named by the operator.
        _ => Some(REFUSED_MAX),
    };
    let seconds = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    Outcome::Failed(Failure {
        why: format!("the receiver answered {status}"),
        retry_after: seconds.map(Duration::from_secs),
        bearable,
    })
}

/// How long to wait after this many failures in a row, `chance` of 0 to 255: between half of the whole pause and all of
/// it, so that senders that failed together do not come back together.
pub(super) fn pause(failures: u32, retry_after: Option<Duration>, chance: u8) -> Duration {
    let whole = PAUSE_FIRST.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(PAUSE_MAX);
    let jittered = whole / 2 + (whole / 2) * u32::from(chance) / u32::from(u8::MAX);
    jittered.max(retry_after.unwrap_or_default()).min(PAUSE_MAX)
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_within_their_bounds_and_heed_the_receiver() {
        let seconds = |failures, after: Option<u64>, chance| {
            pause(failures, after.map(Duration::from_secs), chance).as_secs_f64()
        };
        assert_eq!((seconds(1, None, 0), seconds(1, None, 255)), (0.5, 1.0));
        assert_eq!((seconds(4, None, 0), seconds(4, None, 255)), (4.0, 8.0));
        assert_eq!((seconds(40, None, 0), seconds(u32::MAX, None, 255)), (150.0, 300.0));
        assert_eq!((seconds(1, Some(20), 0), seconds(1, Some(9000), 0)), (20.0, 300.0));
    }

    #[test]
    fn only_what_a_receiver_will_not_change_its_mind_about_is_given_up() {
        let bearable = |code: u16| match judge(StatusCode::from_u16(code).unwrap(), &HeaderMap::new()) {
            Outcome::Delivered => panic!("{code} is no delivery"),
            Outcome::Failed(failure) => failure.bearable,
        };
        for code in [200, 202, 204] {
            assert_eq!(judge(StatusCode::from_u16(code).unwrap(), &HeaderMap::new()), Outcome::Delivered);
        }
        for code in [408, 425, 429, 500, 503] {
            assert_eq!(bearable(code), None, "{code}");
        }
        for code in [301, 401, 403, 404, 410] {
            assert_eq!(bearable(code), Some(REFUSED_MAX), "{code}");
        }
        for code in [400, 413, 422] {
            assert_eq!(bearable(code), Some(UNFIT_MAX), "{code}");
        }
    }
}
