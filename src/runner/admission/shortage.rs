//! What a host is short of, for whoever asks how it fares: tasks are taken all the same, and wait.

use super::policy::{Limits, Load, MIB};
use crate::runner::Problem;

/// Too little memory, and no window to be had.
pub(in crate::runner) fn shortages(limits: &Limits, load: &Load, memory_available_bytes: Option<u64>) -> Vec<Problem> {
    let floor_bytes = limits.memory_floor_bytes;
    let memory = memory_available_bytes.filter(|available| *available < floor_bytes).map(|available| Problem {
        what: format!(
            "{} MiB of memory are available, and nothing new is started below {} MiB",
            available / MIB,
            floor_bytes / MIB
        ),
        remedy: "end what takes it, or lower memory_floor_mb".to_owned(),
    });
    let windows = (load.windows >= limits.windows_max.get()).then(|| Problem {
        what: format!(
            "{} windows are open, {} of them of finished tasks, and new ones wait from {} on",
            load.windows, load.windows_kept, limits.windows_max
        ),
        remedy: "close some, raise windows_max, or let the oldest be closed with windows_evict".to_owned(),
    });
    memory.into_iter().chain(windows).collect()
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;

    #[test]
    fn what_is_short_is_told_with_its_numbers_and_a_remedy() {
        let one = NonZeroUsize::MIN;
        let limits = Limits {
            slots: one,
            launches_max: one,
            memory_floor_bytes: 512 * MIB,
            windows_max: one,
            windows_evict: false,
            queue_max: 1,
        };
        let windows = |windows, windows_kept| Load { windows, windows_kept, ..Load::default() };
        assert_eq!(shortages(&limits, &windows(0, 0), Some(512 * MIB)), []);
        assert_eq!(shortages(&limits, &windows(0, 0), None), []);
        let told = shortages(&limits, &windows(3, 2), Some(511 * MIB));
        assert_eq!(told.len(), 2);
        assert!(told[0].what.contains("511 MiB") && told[0].what.contains("512 MiB"), "{told:?}");
        assert!(told[1].what.contains("3 windows") && told[1].what.contains("2 of them"), "{told:?}");
        assert!(told.iter().all(|problem| !problem.remedy.is_empty()));
    }
}
