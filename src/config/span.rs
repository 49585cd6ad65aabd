//! Durations as people write them: `500ms`, `30s`, `5m`, `2h`, `0`.

use std::time::Duration;

use jiff::{
    SignedDuration,
    fmt::friendly::{Designator, Spacing, SpanPrinter},
};

/// Reads a duration with its unit; a bare `0` needs none.
///
/// # Errors
/// Says how to write one.
pub fn parse(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let duration: SignedDuration =
        text.parse().map_err(|_| format!("{text:?} is no duration; write it as 500ms, 30s, 5m, 2h or 0"))?;
    Duration::try_from(duration).map_err(|_| format!("{text:?} is less than nothing"))
}

/// Writes one so that [`parse`] reads it.
#[must_use]
pub fn show(span: Duration) -> String {
    match SignedDuration::try_from(span) {
        Ok(span) if span.is_zero() => "0".to_owned(),
        Ok(span) => {
            let printer = SpanPrinter::new().designator(Designator::Compact).spacing(Spacing::None);
            printer.duration_to_string(&span)
        }
        Err(_) => format!("{}s", span.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_carry_their_unit_and_zero_needs_none() {
        let read =
            [("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("2h", 7_200_000), ("1h30m", 5_400_000), ("0", 0)];
        for (text, millis) in read {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
            assert_eq!(show(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_by_name() {
        for text in ["", "30", "s", "-5s", "soon", "5 potatoes"] {
            let refused = parse(text).unwrap_err();
            assert!(refused.contains(&format!("{text:?}")), "{refused}");
        }
    }
}
