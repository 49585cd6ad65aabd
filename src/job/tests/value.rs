//! The small values: clocks and names.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::job::{BootTime, CallbackDelivery, Spec, TaskId, WallTime};

#[test]
fn wall_time_keeps_microseconds_both_ways() {
    let time = UNIX_EPOCH + Duration::from_micros(1_800_000_000_123_456);
    let wall = WallTime::from(time);
    assert_eq!(wall.micros(), 1_800_000_000_123_456);
    assert_eq!(SystemTime::from(wall), time);
}

#[test]
fn a_clock_before_1970_reads_as_1970() {
    assert_eq!(WallTime::from(UNIX_EPOCH - Duration::from_secs(1)).micros(), 0);
}

#[test]
fn times_add_up_in_their_unit_and_stop_at_the_last() {
    let second = Duration::from_secs(1);
    assert_eq!(WallTime::from_micros(5).saturating_add(second).micros(), 1_000_005);
    assert_eq!(BootTime::from_nanos(5).saturating_add(second).nanos(), 1_000_000_005);
    assert_eq!(WallTime::from_micros(5).saturating_add(Duration::MAX).micros(), u64::MAX);
    assert_eq!(BootTime::from_nanos(5).saturating_add(Duration::MAX).nanos(), u64::MAX);
}

#[test]
fn a_span_to_a_later_time_is_zero() {
    let (early, late) = (BootTime::from_nanos(3), BootTime::from_nanos(10));
    assert_eq!(late.saturating_since(early), Duration::from_nanos(7));
    assert_eq!(early.saturating_since(late), Duration::ZERO);
}

#[test]
fn a_task_id_has_one_spelling() {
    let text = "01890a5d-ac96-774b-bcce-b302099a8057";
    let id: TaskId = text.parse().unwrap();
    assert_eq!((id.to_string(), format!("{id:?}")), (text.to_owned(), text.to_owned()));
    for other in [
        "",
        "01890a5dac96774bbcceb302099a8057",
        "{01890a5d-ac96-774b-bcce-b302099a8057}",
        "urn:uuid:01890a5d-ac96-774b-bcce-b302099a8057",
        "00000000-0000-0000-0000-000000000000",
        "01890a5d-ac96-774b-bcce-b302099a805g",
    ] {
        assert!(other.parse::<TaskId>().is_err(), "{other:?}");
    }
}

#[test]
fn a_malformed_task_id_is_repeated_only_in_part() {
    let error = "x".repeat(10_000).parse::<TaskId>().unwrap_err().to_string();
    assert!(error.contains("xxx") && error.len() < 200, "{error}");
}

#[test]
fn a_job_of_an_earlier_version_is_reported_on_by_the_binding() {
    let mut stored = serde_json::to_value(super::sample::spec()).unwrap();
    assert!(stored.as_object_mut().unwrap().remove("callback_delivery").is_some());
    let spec: Spec = serde_json::from_value(stored).unwrap();
    assert_eq!(spec.callback_delivery, CallbackDelivery::Binding);
}
