//! The line: its promises one by one, and that it is what a list without any index would be.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Instant,
};

use proptest::prelude::*;

use super::super::line::*;

fn want(priority: i8, group: &str) -> Want {
    Want { priority, group: group.into(), profile: None, window: false }
}

/// Lets all go, one after another.
fn drain(line: &mut Line) -> Vec<u64> {
    std::iter::from_fn(|| {
        let number = line.first(true)?;
        line.take(number)?;
        Some(number)
    })
    .collect()
}

#[test]
fn the_higher_priority_goes_first_and_equals_in_the_order_in_which_they_came() {
    let mut line = Line::default();
    for (number, priority) in [(1, 0), (2, -100), (3, 0), (4, 100)] {
        line.enter(number, want(priority, "a"));
    }
    assert_eq!(line.order(true), [4, 1, 3, 2]);
    assert_eq!(drain(&mut line), [4, 1, 3, 2]);
    assert!(line.is_bare());
}

#[test]
fn a_group_with_a_thousand_jobs_does_not_starve_one_with_one() {
    let mut line = Line::default();
    for number in 1..=1000 {
        line.enter(number, want(0, "many"));
    }
    line.enter(1001, want(0, "one"));
    assert_eq!((line.position(1001, true), line.position(2, true)), (Some(2), Some(3)));
    assert_eq!(drain(&mut line)[..3], [1, 1001, 2]);
}

#[test]
fn nobody_waits_for_ever_while_new_groups_keep_coming() {
    let mut line = Line::default();
    for number in 1..=10 {
        line.enter(number, want(0, &format!("group {number}")));
    }
    line.enter(11, want(0, "group 1"));
    let mut waited = 0;
    for number in 12.. {
        let next = line.first(true).unwrap();
        line.take(next);
        if next == 11 {
            break;
        }
        waited += 1;
        line.enter(number, want(0, &format!("group {number}")));
    }
    // One job of each group that waited before its own had its first turn, and one of each that came until then.
    assert!(waited <= 20, "{waited}");
}

#[test]
fn a_blocked_job_keeps_its_turn_while_those_that_can_go_pass() {
    let mut line = Line::default();
    let work: Arc<str> = "work".into();
    line.enter(1, Want { profile: Some(Arc::clone(&work)), ..want(0, "a") });
    line.enter(2, want(0, "b"));
    line.enter(3, want(0, "b"));
    line.set_taken(&work, true);
    assert_eq!((line.first(true), line.position(1, true)), (Some(2), Some(3)));
    line.take(2);
    line.set_taken(&work, false);
    assert_eq!(drain(&mut line), [1, 3]);
}

/// The same line, without any index: the groups of each level in the order of their turns.
#[derive(Default)]
struct Model {
    jobs: Vec<(u64, Want)>,
    rounds: BTreeMap<Reverse<i8>, Vec<Arc<str>>>,
}

impl Model {
    fn enter(&mut self, number: u64, want: Want) {
        let round = self.rounds.entry(Reverse(want.priority)).or_default();
        if !round.contains(&want.group) {
            round.push(Arc::clone(&want.group));
        }
        self.jobs.push((number, want));
    }

    fn remove(&mut self, number: u64, had_its_turn: bool) {
        let at = self.jobs.iter().position(|(other, _)| *other == number).unwrap();
        let (_, want) = self.jobs.remove(at);
        let key = Reverse(want.priority);
        let is_left = self.jobs.iter().any(|(_, other)| other.priority == want.priority && other.group == want.group);
        let round = self.rounds.get_mut(&key).unwrap();
        if had_its_turn || !is_left {
            round.retain(|group| *group != want.group);
        }
        if had_its_turn && is_left {
            round.push(want.group);
        }
    }

    /// Those that can go, and then those that cannot, each by turns.
    fn order(&self, can_go: impl Fn(&Want) -> bool) -> Vec<u64> {
        let mut order = Vec::new();
        let levels = [true, false].into_iter().flat_map(|open| self.rounds.iter().map(move |round| (open, round)));
        for (open, (Reverse(priority), round)) in levels {
            let is_meant = |(_, job): &&(u64, Want)| job.priority == *priority && can_go(job) == open;
            let mut jobs: Vec<_> = self.jobs.iter().filter(is_meant).collect();
            while !jobs.is_empty() {
                for group in round {
                    if let Some(at) = jobs.iter().position(|(_, job)| job.group == *group) {
                        order.push(jobs.remove(at).0);
                    }
                }
            }
        }
        order
    }
}

fn is_open(want: &Want, windows: bool, taken: &HashSet<Arc<str>>) -> bool {
    (windows || !want.window) && !want.profile.as_ref().is_some_and(|name| taken.contains(name))
}

#[derive(Clone, Debug)]
enum Step {
    Enter(Want),
    /// Which of those that wait, by their place in the line.
    Leave(usize),
    Take {
        windows: bool,
    },
    Block(u8, bool),
}

fn profile(number: u8) -> Arc<str> {
    format!("profile {number}").into()
}

fn any_want() -> impl Strategy<Value = Want> {
    (-1..=1_i8, 0..4_u8, proptest::option::of(0..3_u8), any::<bool>()).prop_map(|(priority, group, of, window)| Want {
        window,
        profile: of.map(profile),
        ..want(priority, &format!("group {group}"))
    })
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any_want().prop_map(Step::Enter),
        1 => (0..40_usize).prop_map(Step::Leave),
        3 => any::<bool>().prop_map(|windows| Step::Take { windows }),
        1 => (0..3_u8, any::<bool>()).prop_map(|(profile, taken)| Step::Block(profile, taken)),
    ]
}

proptest! {
    #[test]
    fn the_line_is_that_of_the_model_and_its_positions_are_its_order(steps in prop::collection::vec(any_step(), 0..80)) {
        let (mut line, mut model) = (Line::default(), Model::default());
        let mut taken = HashSet::new();
        for (number, step) in (1..).zip(steps) {
            match step {
                Step::Enter(want) => {
                    line.enter(number, want.clone());
                    model.enter(number, want);
                }
                Step::Leave(at) => {
                    if let Some(leaving) = model.order(|_| true).get(at) {
                        line.leave(*leaving);
                        model.remove(*leaving, false);
                    }
                }
                Step::Take { windows } => {
                    let can_go = |want: &Want| is_open(want, windows, &taken);
                    let open = model.jobs.iter().filter(|(_, want)| can_go(want)).count();
                    let first = model.order(can_go).first().copied().filter(|_| open > 0);
                    prop_assert_eq!(line.first(windows), first);
                    let wants_one = |(_, want): &(u64, Want)| want.window && is_open(want, true, &taken);
                    prop_assert_eq!(line.wanting_windows(9) > 0, model.jobs.iter().any(wants_one));
                    if let Some(number) = first {
                        line.take(number);
                        model.remove(number, true);
                    }
                }
                Step::Block(number, is_taken) => {
                    line.set_taken(&profile(number), is_taken);
                    if is_taken { taken.insert(profile(number)) } else { taken.remove(&profile(number)) };
                }
            }
            for windows in [true, false] {
                let order = model.order(|want| is_open(want, windows, &taken));
                prop_assert_eq!(line.order(windows), order.clone());
                for (at, number) in (1..).zip(order) {
                    prop_assert_eq!(line.position(number, windows), Some(at));
                }
            }
        }
        for name in (0..3).map(profile) {
            line.set_taken(&name, false);
        }
        let (order, drained) = (line.order(true), drain(&mut line));
        prop_assert_eq!(drained, order);
        prop_assert!(line.is_bare());
    }
}

#[test]
fn a_line_of_ten_thousand_is_entered_and_left_at_once() {
    const LEN: u64 = 10_000;
    for groups in [1, 100, LEN] {
        let mut line = Line::default();
        let began = Instant::now();
        for number in 1..=LEN {
            line.enter(number, want(0, &format!("group {}", number % groups)));
        }
        let (entered, asked) = (began.elapsed(), Instant::now());
        assert_eq!(line.position(LEN, true), Some(usize::try_from(LEN).unwrap()));
        let (position, asked) = (asked.elapsed(), Instant::now());
        assert_eq!(line.order(true).len(), line.len());
        let (order, taking) = (asked.elapsed(), Instant::now());
        assert_eq!(drain(&mut line).len() as u64, LEN);
        let [enter, take] = [entered, taking.elapsed()].map(|all| all / 10_000);
        println!("{groups} groups: enter {enter:?}, position {position:?}, whole order {order:?}, grant {take:?}");
    }
}
