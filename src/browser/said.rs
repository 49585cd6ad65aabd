//! What a browser and its page say to nobody in particular: in the console, of failed requests, on the output.

/// How much it matters, in the speaker's own judgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For whoever looks for a fault.
    Debug,
    /// As it goes.
    Info,
    /// Not as it should be.
    Warning,
    /// Wrong.
    Error,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    /// Scripts of the page, and what the browser puts beside their words.
    Console,
    /// The browser, of a request that failed.
    Network,
}

/// Something that was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// By whom.
    pub voice: Voice,
    /// How much it matters.
    pub level: Level,
    /// In words, without control characters but tabs and line ends.
    pub text: String,
    /// Where it was said, or the address of the request; empty where it is not known.
    pub url: String,
    /// The line there, from 1 on.
    pub line: Option<u32>,
    /// When, in microseconds since 1970 UTC.
    pub at_micros: u64,
}

/// Words without what could command a terminal or hide a secret in itself.
#[must_use]
pub fn plain(text: &str) -> String {
    text.chars().filter(|c| matches!(c, '\n' | '\t') || !c.is_control()).collect()
}

/// How much a line of output matters: Chromium says so in brackets, `[7:7:0101/000000.000000:ERROR:file.cc(1)]`.
#[must_use]
pub fn output_level(line: &str) -> Level {
    let head = line.strip_prefix('[').and_then(|line| line.split_once(']')).map_or("", |(head, _)| head);
    let says = |word: &str| head.split(':').any(|part| part.starts_with(word));
    if says("ERROR") || says("FATAL") {
        Level::Error
    } else if says("WARNING") {
        Level::Warning
    } else if says("VERBOSE") {
        Level::Debug
    } else {
        Level::Info
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_output_matters_as_its_brackets_say() {
        for (line, level) in [
            ("[7:7:0101/000000.000000:ERROR:bus.cc(408)] Failed to connect", Level::Error),
            ("[7:7:0101/000000.000000:FATAL:x.cc(1)] no", Level::Error),
            ("[7:7:0101/000000.000000:WARNING:x.cc(1)] hm", Level::Warning),
            ("[7:7:0101/000000.000000:VERBOSE1:x.cc(1)] :ERROR:", Level::Debug),
            ("an ERROR:in words", Level::Info),
            ("[unfinished:ERROR:", Level::Info),
            ("", Level::Info),
        ] {
            assert_eq!(output_level(line), level, "{line}");
        }
    }
}
