//! A value as somebody gave it, and how it is read as what a setting needs.

use std::{
    net::SocketAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

use tracing_subscriber::EnvFilter;
use url::{Host, Url};

use super::{LogFormat, span};

/// A value as somebody gave it: text from flags and the environment, typed from a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// Text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// Yes or no.
    Switch(bool),
    /// Several texts.
    List(Vec<String>),
    /// What no setting is: the file's word for it.
    Other(&'static str),
}

/// Why a value cannot be what its setting needs; for a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Wrong(String);

impl Given {
    /// Text as it is.
    pub(super) fn text(&self) -> Result<&str, Wrong> {
        match self {
            Self::Text(text) if text.is_empty() => Err(Wrong("is empty; leave it out for the default".to_owned())),
            Self::Text(text) => Ok(text),
            Self::Number(_) | Self::Switch(_) | Self::List(_) | Self::Other(_) => Err(self.not("text in quotes")),
        }
    }

    /// An address with its port.
    pub(super) fn address(&self) -> Result<SocketAddr, Wrong> {
        let text = self.text()?;
        let wrong = |_| Wrong(format!("{text:?} is no address; write it as 127.0.0.1:50051 or [::1]:50051"));
        text.parse().map_err(wrong)
    }

    /// A path, seen from where the program was started.
    pub(super) fn path(&self) -> Result<PathBuf, Wrong> {
        let text = self.text()?;
        std::path::absolute(text).map_err(|error| Wrong(format!("{text:?} is no path: {error}")))
    }

    /// A count, 0 included.
    pub(super) fn count(&self) -> Result<usize, Wrong> {
        let read = match self {
            Self::Text(text) => text.parse().ok(),
            Self::Number(number) => usize::try_from(*number).ok(),
            Self::Switch(_) | Self::List(_) | Self::Other(_) => None,
        };
        read.ok_or_else(|| self.not("a whole number from 0 on"))
    }

    /// A count of at least one.
    pub(super) fn count_from_one(&self) -> Result<NonZeroUsize, Wrong> {
        self.count().ok().and_then(NonZeroUsize::new).ok_or_else(|| self.not("a whole number from 1 on"))
    }

    /// Yes or no.
    pub(super) fn switch(&self) -> Result<bool, Wrong> {
        match self {
            Self::Switch(on) => Ok(*on),
            Self::Text(text) if text == "true" => Ok(true),
            Self::Text(text) if text == "false" => Ok(false),
            Self::Text(_) | Self::Number(_) | Self::List(_) | Self::Other(_) => Err(self.not("true or false")),
        }
    }

    /// A duration with its unit.
    pub(super) fn span(&self) -> Result<Duration, Wrong> {
        match self {
            Self::Text(text) => span::parse(text).map_err(Wrong),
            Self::Number(number) => {
                Err(Wrong(format!("{number} has no unit; write the duration as \"{number}s\", \"5m\" or \"2h\"")))
            }
            Self::Switch(_) | Self::List(_) | Self::Other(_) => Err(self.not("a duration such as \"30s\"")),
        }
    }

    /// Several texts; one alone stands for a list of one.
    pub(super) fn list(&self) -> Result<Vec<String>, Wrong> {
        match self {
            Self::List(texts) => Ok(texts.clone()),
            Self::Text(text) => Ok(vec![text.clone()]),
            Self::Number(_) | Self::Switch(_) | Self::Other(_) => Err(self.not("a list such as [\"one\", \"two\"]")),
        }
    }

    /// A level, or a filter of log events by module.
    pub(super) fn log_filter(&self) -> Result<String, Wrong> {
        let text = self.text()?;
        let wrong = |error| {
            Wrong(format!(
                "{text:?} is no log filter ({error}); write it as info, or info,comet_task_runner::web=debug"
            ))
        };
        EnvFilter::builder().parse(text).map(|_filter| text.to_owned()).map_err(wrong)
    }

    /// How log events are written.
    pub(super) fn log_format(&self) -> Result<LogFormat, Wrong> {
        match self.text()? {
            "auto" => Ok(LogFormat::Auto),
            "pretty" => Ok(LogFormat::Pretty),
            "json" => Ok(LogFormat::Json),
            _ => Err(self.not("auto, pretty or json")),
        }
    }

    /// Where a webhook goes: over TLS, or to this machine alone. Who sent it is proven by its signature, so a name and
    /// a password have no place in it.
    pub(super) fn webhook_url(&self) -> Result<Url, Wrong> {
        let text = self.text()?;
        let url = Url::parse(text).map_err(|error| Wrong(format!("{text:?} is no URL: {error}")))?;
        let local = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => return Err(Wrong("names no host".to_owned())),
        };
        match url.scheme() {
            "https" => {}
            "http" if local => {}
            "http" => {
                return Err(Wrong("is http to another machine, where others could read it; use https".to_owned()));
            }
            other => return Err(Wrong(format!("has the scheme {other:?}; use https"))),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Wrong("holds a user name or a password; the signature proves the sender instead".to_owned()));
        }
        Ok(url)
    }

    /// Where spans go. What proves who sends them is a header (`OTEL_EXPORTER_OTLP_HEADERS`), so a name and a password
    /// have no place in it.
    pub(super) fn otlp_endpoint(&self) -> Result<Url, Wrong> {
        let text = self.text()?;
        if !cfg!(feature = "otel") {
            return Err(Wrong(
                "needs a program with tracing in it; build one with `cargo build --release --features otel`".to_owned(),
            ));
        }
        let url = Url::parse(text).map_err(|error| Wrong(format!("{text:?} is no URL: {error}")))?;
        if !["http", "https"].contains(&url.scheme()) || !url.has_host() {
            return Err(Wrong(format!("{text:?} is no collector; write it as http://127.0.0.1:4317")));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Wrong("holds a user name or a password; give OTEL_EXPORTER_OTLP_HEADERS instead".to_owned()));
        }
        Ok(url)
    }

    /// A relative path, as the file that holds it means it.
    pub(super) fn relative_to(self, directory: &Path) -> Self {
        match self {
            Self::Text(text) if !text.is_empty() => match directory.join(&text).into_os_string().into_string() {
                Ok(joined) => Self::Text(joined),
                Err(_) => Self::Text(text),
            },
            other @ (Self::Text(_) | Self::Number(_) | Self::Switch(_) | Self::List(_) | Self::Other(_)) => other,
        }
    }

    fn not(&self, wanted: &str) -> Wrong {
        let found = match self {
            Self::Text(text) => format!("the text {text:?}"),
            Self::Number(number) => format!("the number {number}"),
            Self::Switch(on) => format!("{on}"),
            Self::List(_) => "a list".to_owned(),
            Self::Other(kind) => format!("a value of type {kind}"),
        };
        Wrong(format!("expected {wanted}, found {found}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Given {
        Given::Text(text.to_owned())
    }

    #[test]
    fn flags_and_files_say_the_same_in_their_own_ways() {
        assert_eq!(text("7").count(), Given::Number(7).count());
        assert_eq!(text("true").switch(), Given::Switch(true).switch());
        assert_eq!(text("a=/a").list(), Given::List(vec!["a=/a".to_owned()]).list());
    }

    #[test]
    fn what_does_not_fit_is_told_with_what_would() {
        let told = |wrong: Wrong| wrong.to_string();
        assert_eq!(
            told(Given::Number(0).count_from_one().unwrap_err()),
            "expected a whole number from 1 on, found the number 0"
        );
        assert_eq!(
            told(Given::Number(30).span().unwrap_err()),
            r#"30 has no unit; write the duration as "30s", "5m" or "2h""#
        );
        assert_eq!(told(text("yes").switch().unwrap_err()), r#"expected true or false, found the text "yes""#);
        assert_eq!(
            told(Given::Other("table").list().unwrap_err()),
            r#"expected a list such as ["one", "two"], found a value of type table"#
        );
        assert!(told(text("a=b=c").log_filter().unwrap_err()).contains("is no log filter"));
    }

    #[test]
    fn a_webhook_goes_over_tls_or_stays_on_this_machine() {
        for good in ["https://example.org/hook?x=1", "http://localhost:9/", "http://127.0.0.1:9/a", "http://[::1]:9/"] {
            assert_eq!(text(good).webhook_url().map(String::from), Ok(good.to_owned()));
        }
        for bad in ["http://example.org/", "ftp://localhost/", "https://me:word@example.org/", "example.org", "data:,x"]
        {
            assert!(text(bad).webhook_url().is_err(), "{bad}");
        }
    }
}
