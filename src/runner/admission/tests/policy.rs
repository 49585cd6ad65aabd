//! The limits, under random lives of random jobs: they hold at every moment, and every job is let go at last.

use std::{collections::BTreeMap, num::NonZeroUsize};

use proptest::prelude::*;

use super::super::{
    line::Want,
    policy::{Limits, Load, Policy, QueueReason},
};
use crate::job::WallTime;

#[derive(Clone, Debug)]
enum Step {
    Enter(Want),
    /// A browser comes up.
    Up,
    /// A task is over; its window, if it has one, stays or goes.
    Over {
        keeps: bool,
    },
    /// A person closes what was kept open.
    Close,
    Leave(usize),
}

fn any_step() -> impl Strategy<Value = Step> {
    let want = (-1..=1_i8, 0..3_u8, proptest::option::of(0..2_u8), any::<bool>());
    let want = want.prop_map(|(priority, group, profile, window)| Want {
        priority,
        group: group.to_string().into(),
        profile: profile.map(|number| number.to_string().into()),
        window,
    });
    prop_oneof![
        4 => want.prop_map(Step::Enter),
        3 => Just(Step::Up),
        3 => any::<bool>().prop_map(|keeps| Step::Over { keeps }),
        1 => Just(Step::Close),
        1 => (0..20_usize).prop_map(Step::Leave),
    ]
}

/// What the jobs that were let go hold.
#[derive(Default)]
struct World {
    launching: BTreeMap<u64, Want>,
    running: BTreeMap<u64, Want>,
    kept: BTreeMap<u64, Want>,
}

impl World {
    fn pump(&mut self, policy: &mut Policy) {
        while let Some(number) = policy.next() {
            let want = policy.go(number).unwrap();
            self.launching.insert(number, want);
        }
        while let Some(number) = policy.evict() {
            self.close(policy, number);
            self.pump(policy);
        }
    }

    fn up(&mut self, policy: &mut Policy) {
        if let Some((number, want)) = self.launching.pop_first() {
            policy.free_launch();
            self.running.insert(number, want);
        }
    }

    fn over(&mut self, policy: &mut Policy, keeps: bool) {
        let Some((number, want)) = self.running.pop_first() else { return };
        policy.free_slot();
        if keeps && policy.keep_window(number, WallTime::from_micros(number)) {
            self.kept.insert(number, want);
        } else {
            policy.free_browser(number, want.profile.as_ref());
        }
    }

    fn close(&mut self, policy: &mut Policy, number: u64) {
        let want = self.kept.remove(&number).expect("only windows that were kept open are closed");
        policy.free_browser(number, want.profile.as_ref());
    }

    /// Holds at every moment.
    fn check(&self, policy: &Policy) -> Result<(), TestCaseError> {
        let load = policy.load();
        let live = self.launching.values().chain(self.running.values());
        let windows = live.clone().chain(self.kept.values()).filter(|want| want.window).count();
        prop_assert_eq!(load.running, live.count());
        prop_assert_eq!((load.launching, load.windows), (self.launching.len(), windows));
        prop_assert_eq!(load.windows_kept, self.kept.len());
        let limits = policy.limits();
        prop_assert!(load.running <= limits.slots.get() && load.launching <= limits.launches_max.get());
        prop_assert!(load.windows <= limits.windows_max.get());
        let mut profiles: Vec<_> = self
            .running
            .values()
            .chain(self.launching.values())
            .chain(self.kept.values())
            .filter_map(|want| want.profile.clone())
            .collect();
        profiles.sort();
        prop_assert!(profiles.windows(2).all(|two| two[0] != two[1]), "one job at a time has a profile");
        // Whoever waits does so for a reason that holds.
        for (number, at, reason) in policy.standings() {
            let want = policy.line.get(number).unwrap();
            prop_assert_eq!(policy.standing(number), Some((at, reason)));
            let holds = match reason {
                QueueReason::Profile => profiles.contains(want.profile.as_ref().unwrap()),
                QueueReason::Window => load.windows == limits.windows_max.get() && want.window,
                // Before it are at least as many as there are slots free, whether they can go or not.
                QueueReason::Slot => load.running + at > limits.slots.get(),
                QueueReason::Launch => load.launching == limits.launches_max.get(),
                QueueReason::Memory => false,
            };
            prop_assert!(holds, "{:?} at {} of {:?}", want, at, load);
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn limits_hold_and_every_job_is_let_go_at_last(
        (slots, launches, windows, evict) in (1..4_usize, 1..4_usize, 1..3_usize, any::<bool>()),
        steps in prop::collection::vec(any_step(), 0..80),
    ) {
        let count = |number| NonZeroUsize::new(number).unwrap();
        let mut policy = Policy::new(Limits {
            slots: count(slots),
            launches_max: count(launches),
            memory_floor_bytes: 0,
            windows_max: count(windows),
            windows_evict: evict,
            queue_max: usize::MAX,
        });
        let mut world = World::default();
        for (number, step) in (1..).zip(steps) {
            match step {
                Step::Enter(want) => policy.line.enter(number, want),
                Step::Up => world.up(&mut policy),
                Step::Over { keeps } => world.over(&mut policy, keeps),
                Step::Close => if let Some(number) = world.kept.keys().next().copied() {
                    world.close(&mut policy, number);
                },
                Step::Leave(at) => if let Some(number) = policy.line.order(true).get(at) {
                    policy.line.leave(*number);
                },
            }
            world.pump(&mut policy);
            world.check(&policy)?;
        }
        // All that runs comes to its end, and persons close what they look at.
        while policy.load() != Load::default() {
            let before = policy.load();
            world.up(&mut policy);
            world.over(&mut policy, false);
            if let Some(number) = world.kept.keys().next().copied() {
                world.close(&mut policy, number);
            }
            world.pump(&mut policy);
            world.check(&policy)?;
            prop_assert!(policy.load() != before || before.waiting == 0, "nothing moves: {:?}", before);
        }
    }
}
