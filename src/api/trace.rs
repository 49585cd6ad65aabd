//! Where a caller stands in a trace of its own, as its headers say: over gRPC, grpc-web and JSON alike.

use tonic::metadata::MetadataMap;

use crate::runner::CallerTrace;

/// Longest `traceparent`: the version that there is has 55 characters, and a later one may have more behind them.
const PARENT_LEN_MAX: usize = 128;
/// Longest `tracestate`: as much as everybody has to pass on.
const STATE_LEN_MAX: usize = 512;

/// What the headers say; nothing where they say nothing that could be meant.
pub(super) fn of(headers: &MetadataMap) -> CallerTrace {
    let word = |name, len_max| {
        let word = headers.get(name).and_then(|word| word.to_str().ok()).unwrap_or_default();
        if word.len() <= len_max { word.to_owned() } else { String::new() }
    };
    CallerTrace { parent: word("traceparent", PARENT_LEN_MAX), state: word("tracestate", STATE_LEN_MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_taken_as_they_are_and_only_so_many_of_them() {
        let mut headers = MetadataMap::new();
        assert_eq!(of(&headers), CallerTrace::default());
        headers.insert("traceparent", "00-a-b-01".parse().unwrap());
        headers.insert("tracestate", "a=b".parse().unwrap());
        assert_eq!(of(&headers), CallerTrace { parent: "00-a-b-01".to_owned(), state: "a=b".to_owned() });
        headers.insert("traceparent", "0".repeat(PARENT_LEN_MAX + 1).parse().unwrap());
        headers.insert("tracestate", "a".repeat(STATE_LEN_MAX + 1).parse().unwrap());
        assert_eq!(of(&headers), CallerTrace::default());
    }
}
