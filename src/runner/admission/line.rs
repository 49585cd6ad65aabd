//! Who is next among those that wait: the higher priority, then the groups by turns, then the one that came first.
//!
//! Groups of one priority take turns: a group that begins to wait joins the end of the round, and so does one whose job
//! was let go. So a group with one job waits for at most one job of each other group, however many those have, and none
//! waits for ever. Jobs that cannot go, for their profile or their window, let the others pass; a group of them keeps its
//! turn.
//!
//! Entering, leaving and finding the next one take the logarithm of how many wait; taking a profile, and giving it back,
//! that for each group with jobs that want it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
};

use crate::job::{Profile, Spec};

/// What matters of a job while it waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::runner) struct Want {
    /// Higher ones go first.
    pub(super) priority: i8,
    /// Takes turns with the others.
    pub(super) group: Arc<str>,
    /// The profile that it needs for itself.
    pub(super) profile: Option<Arc<str>>,
    /// It opens a window.
    pub(super) window: bool,
}

impl Want {
    /// What this job wants, where `fair_label` names the label whose values take turns.
    pub(in crate::runner) fn of(spec: &Spec, fair_label: &str) -> Self {
        Self {
            priority: spec.priority,
            group: spec.labels.get(fair_label).map(String::as_str).unwrap_or_default().into(),
            profile: match &spec.profile {
                Profile::Ephemeral => None,
                Profile::Named(name) => Some(profile_key(&spec.browser, name).into()),
            },
            window: !spec.headless,
        }
    }

    fn lane(&self) -> LaneKey {
        (self.profile.clone(), self.window)
    }
}

/// Names a profile among those of all browsers: each browser has its own of that name.
pub(in crate::runner) fn profile_key(browser: &str, name: &str) -> String {
    format!("{browser}/{name}")
}

/// All that wait.
#[derive(Debug, Default)]
pub(super) struct Line {
    waiting: HashMap<u64, Want>,
    levels: BTreeMap<Reverse<i8>, Level>,
    /// Profiles that nobody who waits can have now.
    taken: HashSet<Arc<str>>,
    /// In which groups of which levels there are jobs that want a profile.
    wanted: HashMap<Arc<str>, BTreeSet<GroupKey>>,
    next_turn: u64,
}

/// Those of one priority.
#[derive(Debug, Default)]
struct Level {
    len: usize,
    groups: HashMap<Arc<str>, Group>,
    turns: BTreeMap<u64, Arc<str>>,
    /// The turns of groups with a job that can go, without a window and with one.
    open: [BTreeMap<u64, Arc<str>>; 2],
}

/// Jobs that share a turn, by their numbers.
#[derive(Debug)]
struct Group {
    turn: u64,
    len: usize,
    lanes: HashMap<LaneKey, Lane>,
    /// The first of each lane that is not blocked, without a window and with one.
    open: [BTreeMap<u64, LaneKey>; 2],
    /// How many are in those lanes.
    open_len: [usize; 2],
}

/// A group of a level.
type GroupKey = (Reverse<i8>, Arc<str>);

/// Jobs of a group that can go, or cannot, for the same reasons: their profile, and whether they want a window.
type LaneKey = (Option<Arc<str>>, bool);

#[derive(Debug, Default)]
struct Lane {
    numbers: BTreeSet<u64>,
    /// The number under which it is open, and how many of it were counted then.
    open: Option<(u64, usize)>,
}

impl Line {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn get(&self, number: u64) -> Option<&Want> {
        self.waiting.get(&number)
    }

    /// Nothing is left of those who waited.
    #[cfg(test)]
    pub(super) fn is_bare(&self) -> bool {
        self.waiting.is_empty() && self.levels.is_empty() && self.wanted.is_empty()
    }

    /// Joins the line; later ones have higher numbers.
    pub(super) fn enter(&mut self, number: u64, want: Want) {
        let key = Reverse(want.priority);
        let level = self.levels.entry(key).or_default();
        let next_turn = &mut self.next_turn;
        let group = level.groups.entry(Arc::clone(&want.group)).or_insert_with(|| {
            *next_turn += 1;
            Group::new(*next_turn)
        });
        if let Some(profile) = &want.profile {
            let users = self.wanted.entry(Arc::clone(profile)).or_default();
            users.insert((key, Arc::clone(&want.group)));
        }
        group.len += 1;
        group.lanes.entry(want.lane()).or_default().numbers.insert(number);
        group.refresh(&want.lane(), &self.taken);
        level.len += 1;
        level.index(&want.group);
        self.waiting.insert(number, want);
    }

    /// Leaves the line without having had its turn.
    pub(super) fn leave(&mut self, number: u64) -> Option<Want> {
        self.remove(number, None)
    }

    /// Has its turn: its group goes to the end of the round.
    pub(super) fn take(&mut self, number: u64) -> Option<Want> {
        self.next_turn += 1;
        self.remove(number, Some(self.next_turn))
    }

    fn remove(&mut self, number: u64, next_turn: Option<u64>) -> Option<Want> {
        let want = self.waiting.remove(&number)?;
        let key = Reverse(want.priority);
        let level = self.levels.get_mut(&key)?;
        level.len -= 1;
        let group = level.groups.get_mut(&want.group)?;
        group.len -= 1;
        if let Some(lane) = group.lanes.get_mut(&want.lane()) {
            lane.numbers.remove(&number);
        }
        group.refresh(&want.lane(), &self.taken);
        if let Some(profile) = &want.profile
            && ![false, true].iter().any(|window| group.lanes.contains_key(&(Some(Arc::clone(profile)), *window)))
            && let Some(users) = self.wanted.get_mut(profile)
        {
            users.remove(&(key, Arc::clone(&want.group)));
            if users.is_empty() {
                self.wanted.remove(profile);
            }
        }
        level.unindex(&want.group);
        if let Some(group) = level.groups.get_mut(&want.group) {
            group.turn = next_turn.unwrap_or(group.turn);
        }
        level.index(&want.group);
        if level.len == 0 {
            self.levels.remove(&key);
        }
        Some(want)
    }

    /// A profile is taken, or free again.
    pub(super) fn set_taken(&mut self, profile: &Arc<str>, is_taken: bool) {
        let changed = if is_taken { self.taken.insert(Arc::clone(profile)) } else { self.taken.remove(profile) };
        if !changed {
            return;
        }
        for (key, name) in self.wanted.get(profile).into_iter().flatten() {
            let Some(level) = self.levels.get_mut(key) else { continue };
            if let Some(group) = level.groups.get_mut(name) {
                for window in [false, true] {
                    group.refresh(&(Some(Arc::clone(profile)), window), &self.taken);
                }
            }
            level.index(name);
        }
    }

    pub(super) fn is_taken(&self, profile: &Arc<str>) -> bool {
        self.taken.contains(profile)
    }

    /// Nobody has it, and nobody who waits wants it.
    pub(super) fn is_idle(&self, profile: &Arc<str>) -> bool {
        !self.is_taken(profile) && !self.wanted.contains_key(profile)
    }

    /// The next one that can go, among those that want a window only where one is to be had.
    pub(super) fn first(&self, windows: bool) -> Option<u64> {
        self.levels.values().find_map(|level| {
            let turns = level.open[0].iter().next().into_iter().chain(level.open[1].iter().next().filter(|_| windows));
            let (_, name) = turns.min()?;
            let group = level.groups.get(name)?;
            let firsts = group.open[0].keys().next().into_iter().chain(group.open[1].keys().next().filter(|_| windows));
            firsts.min().copied()
        })
    }

    /// How many jobs could go if only each had a window, up to a bound.
    pub(super) fn wanting_windows(&self, at_most: usize) -> usize {
        let (mut found, mut profiles) = (0, HashSet::new());
        for level in self.levels.values() {
            for group in level.open[1].values().filter_map(|name| level.groups.get(name)) {
                for lane in group.open[1].values() {
                    found += match &lane.0 {
                        None => group.lanes.get(lane).map_or(0, |lane| lane.numbers.len()),
                        // Of those that share a profile, one at a time can go.
                        Some(profile) => usize::from(profiles.insert(profile)),
                    };
                    if found >= at_most {
                        return at_most;
                    }
                }
            }
        }
        found
    }

    /// How many would be let go before this one as things stand, and it: 1 for the next one. Those that cannot go, for
    /// their profile or, without `windows`, for their window, come after those that can.
    pub(super) fn position(&self, number: u64, windows: bool) -> Option<usize> {
        let want = self.waiting.get(&number)?;
        let key = Reverse(want.priority);
        let level = self.levels.get(&key)?;
        let group = level.groups.get(&want.group)?;
        let is_open = group.is_open(&want.lane(), windows);
        let of_kind = |group: &Group| if is_open { group.open_len(windows) } else { group.blocked_len(windows) };
        let others = || self.levels.values().flat_map(|level| level.groups.values());
        let open: usize = if is_open { 0 } else { others().map(|group| group.open_len(windows)).sum() };
        let above = self.levels.range(..key).flat_map(|(_, level)| level.groups.values());
        let lanes = group.lanes.iter().filter(|(key, _)| group.is_open(key, windows) == is_open);
        let round: usize = lanes.map(|(_, lane)| lane.numbers.range(..number).count()).sum();
        let beside = level.groups.values().filter(|other| other.turn != group.turn);
        let beside = beside.map(|other| of_kind(other).min(if other.turn < group.turn { round + 1 } else { round }));
        Some(open + above.map(of_kind).sum::<usize>() + beside.sum::<usize>() + round + 1)
    }

    /// All of them, in the order of their positions.
    pub(super) fn order(&self, windows: bool) -> Vec<u64> {
        let mut order = Vec::with_capacity(self.len());
        for is_open in [true, false] {
            for level in self.levels.values() {
                let groups = level.turns.values().filter_map(|name| level.groups.get(name));
                let mut round: VecDeque<_> = groups.map(|group| group.numbers(is_open, windows).into_iter()).collect();
                while let Some(mut group) = round.pop_front() {
                    if let Some(number) = group.next() {
                        order.push(number);
                        round.push_back(group);
                    }
                }
            }
        }
        order
    }
}

impl Level {
    /// Takes the group out of the round.
    fn unindex(&mut self, name: &Arc<str>) {
        let Some(group) = self.groups.get(name) else { return };
        self.turns.remove(&group.turn);
        for open in &mut self.open {
            open.remove(&group.turn);
        }
    }

    /// Puts the group where its turn is, or forgets it when nothing of it waits.
    fn index(&mut self, name: &Arc<str>) {
        self.unindex(name);
        let Some(group) = self.groups.get(name) else { return };
        if group.len == 0 {
            self.groups.remove(name);
            return;
        }
        self.turns.insert(group.turn, Arc::clone(name));
        for (open, lanes) in self.open.iter_mut().zip(&group.open) {
            if !lanes.is_empty() {
                open.insert(group.turn, Arc::clone(name));
            }
        }
    }
}

impl Group {
    fn is_open(&self, key: &LaneKey, windows: bool) -> bool {
        (windows || !key.1) && self.lanes.get(key).is_some_and(|lane| lane.open.is_some())
    }

    /// How many of it could go.
    fn open_len(&self, windows: bool) -> usize {
        self.open_len[0] + if windows { self.open_len[1] } else { 0 }
    }

    fn blocked_len(&self, windows: bool) -> usize {
        self.len - self.open_len(windows)
    }

    /// Those that can go, or those that cannot.
    fn numbers(&self, is_open: bool, windows: bool) -> Vec<u64> {
        let lanes = self.lanes.iter().filter(|(key, _)| self.is_open(key, windows) == is_open);
        let mut numbers: Vec<u64> = lanes.flat_map(|(_, lane)| lane.numbers.iter().copied()).collect();
        numbers.sort_unstable();
        numbers
    }

    fn new(turn: u64) -> Self {
        Self { turn, len: 0, lanes: HashMap::new(), open: Default::default(), open_len: [0; 2] }
    }

    /// Brings what is known of a lane up to date.
    fn refresh(&mut self, key: &LaneKey, taken: &HashSet<Arc<str>>) {
        let Some(lane) = self.lanes.get_mut(key) else { return };
        let kind = usize::from(key.1);
        if let Some((number, len)) = lane.open.take() {
            self.open[kind].remove(&number);
            self.open_len[kind] -= len;
        }
        let Some(first) = lane.numbers.first() else {
            self.lanes.remove(key);
            return;
        };
        if !key.0.as_ref().is_some_and(|profile| taken.contains(profile)) {
            self.open[kind].insert(*first, key.clone());
            self.open_len[kind] += lane.numbers.len();
            lane.open = Some((*first, lane.numbers.len()));
        }
    }
}
