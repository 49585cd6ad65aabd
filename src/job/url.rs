//! The URL policy: what may be opened at all.

use serde::{Deserialize, Serialize};

/// An http or https URL in its normal form, safe to hand to a browser: it can only begin with "http".
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TaskUrl(::url::Url);

/// Longest URL taken, in bytes: what browsers and servers agree on, and small enough to keep per job.
const URL_BYTES_MAX: usize = 8 * 1024;

/// Why a text is not a URL that may be opened.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UrlError {
    /// No text at all.
    #[error("url is empty; give an http or https URL")]
    Empty,
    /// Longer than is taken.
    #[error("url has {0} bytes; at most {URL_BYTES_MAX} are taken")]
    TooLong(usize),
    /// A control character or surrounding space, which parsers drop in silence and so disagree about.
    #[error("url holds a control character or a leading or trailing space at byte {0}; remove it or percent-encode it")]
    ControlCharacter(usize),
    /// Not a URL by the WHATWG rules.
    #[error("url cannot be parsed ({0}); give an absolute URL such as https://example.org/page")]
    Malformed(::url::ParseError),
    /// A scheme that reads files, runs scripts or opens the browser's own pages.
    #[error("url scheme {0:?} is not allowed; use http or https")]
    SchemeNotAllowed(String),
    /// A user name or password before the host.
    #[error("url carries a user name or password; remove the part before the @")]
    Userinfo,
}

impl TaskUrl {
    /// Parses a caller's text by the WHATWG rules, and refuses what the policy does not allow.
    ///
    /// # Errors
    /// Says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if text.is_empty() {
            return Err(UrlError::Empty);
        }
        if text.len() > URL_BYTES_MAX {
            return Err(UrlError::TooLong(text.len()));
        }
        // Before parsing: the parser strips these silently, so "java\nscript:" would pass unseen.
        if let Some(at) = forbidden_at(text) {
            return Err(UrlError::ControlCharacter(at));
        }
        let url = ::url::Url::parse(text).map_err(UrlError::Malformed)?;
        match url.scheme() {
            "http" | "https" => {}
            other => return Err(UrlError::SchemeNotAllowed(other.to_owned())),
        }
        if !url.username().is_empty() || url.password().is_some() || has_empty_userinfo(text) {
            return Err(UrlError::Userinfo);
        }
        // Percent-encoding can lengthen it.
        if url.as_str().len() > URL_BYTES_MAX {
            return Err(UrlError::TooLong(url.as_str().len()));
        }
        Ok(Self(url))
    }

    /// The normal form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The parsed URL.
    #[must_use]
    pub fn url(&self) -> &::url::Url {
        &self.0
    }

    /// Scheme, host and port as a browser writes an origin, such as `https://example.org`.
    #[must_use]
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }
}

/// Finds a C0, DEL or C1 control, or a space at either end.
fn forbidden_at(text: &str) -> Option<usize> {
    let control = text.char_indices().find(|(_, c)| c.is_control()).map(|(at, _)| at);
    let edge = if text.starts_with(char::is_whitespace) {
        Some(0)
    } else if text.ends_with(char::is_whitespace) {
        Some(text.len() - 1)
    } else {
        None
    };
    control.or(edge)
}

/// "http://@host" parses with an empty user name, yet still is userinfo to a reader.
fn has_empty_userinfo(text: &str) -> bool {
    let after_scheme = text.split_once(':').map_or("", |(_, rest)| rest);
    let authority = after_scheme.trim_start_matches(['/', '\\']);
    let end = authority.find(['/', '\\', '?', '#']).unwrap_or(authority.len());
    authority[..end].contains('@')
}

impl TryFrom<String> for TaskUrl {
    type Error = UrlError;

    fn try_from(text: String) -> Result<Self, UrlError> {
        Self::parse(&text)
    }
}

impl From<TaskUrl> for String {
    fn from(url: TaskUrl) -> Self {
        url.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_http_url_is_kept_in_its_normal_form() {
        let url = TaskUrl::parse("HTTP://Example.ORG:80/a b?q=1#f").unwrap();
        assert_eq!(url.as_str(), "http://example.org/a%20b?q=1#f");
        assert_eq!(url.origin(), "http://example.org");
    }

    #[test]
    fn every_other_scheme_is_refused_by_name() {
        for text in [
            "file:///etc/passwd",
            "javascript:alert(1)",
            "JaVaScRiPt:1",
            "data:text/html,x",
            "chrome://crash",
            "view-source:http://a/",
            "about:blank",
            "blob:http://a/b",
            "ftp://a/",
        ] {
            assert!(matches!(TaskUrl::parse(text), Err(UrlError::SchemeNotAllowed(_))), "{text}");
        }
    }

    #[test]
    fn flags_and_relative_texts_are_not_urls() {
        for text in ["--renderer-cmd-prefix=/tmp/x", "--", "-g", "/path", "//host/path", "@file", "example.org"] {
            assert!(matches!(TaskUrl::parse(text), Err(UrlError::Malformed(_))), "{text}");
        }
    }

    #[test]
    fn control_characters_and_edge_spaces_are_refused_before_parsing() {
        for text in
            [" --x", " http://a/", "http://a/ ", "java\nscript:1", "http://a/\tb", "http://a/\u{0}", "\u{85}http://a/"]
        {
            assert!(matches!(TaskUrl::parse(text), Err(UrlError::ControlCharacter(_))), "{text:?}");
        }
    }

    #[test]
    fn userinfo_is_refused_even_when_empty() {
        for text in ["http://good@evil/", "http://a:b@c/", "http://@c/", "http:\\\\a@b/", "http:a@b/"] {
            assert_eq!(TaskUrl::parse(text), Err(UrlError::Userinfo), "{text}");
        }
        assert!(TaskUrl::parse("http://host/a@b").is_ok(), "an at sign in the path is no userinfo");
    }

    #[test]
    fn length_counts_in_bytes_before_and_after_encoding() {
        assert!(matches!(TaskUrl::parse(&format!("http://a/{}", "x".repeat(9 * 1024))), Err(UrlError::TooLong(_))));
        assert!(matches!(TaskUrl::parse(&format!("http://a/{}", "ü".repeat(4000))), Err(UrlError::TooLong(_))));
        assert_eq!(TaskUrl::parse(""), Err(UrlError::Empty));
    }
}
