//! How much memory the processes of a tree take, what they share counted once.
//!
//! The kernel tells each process's share (PSS), but has to walk all its pages for that: some milliseconds for one of a
//! real browser, against nothing for what it has resident (RSS). So shares are read seldom, and when processes came or
//! went, since those share with others; within a bounded time per pass; and follow what is resident in between.

use std::collections::{HashMap, HashSet};
use std::io::{self, Read};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};

use super::cpu::ProcessKey;
use super::stat::Stat;

/// How long a share holds.
const SHARE_AGE_MAX: Duration = Duration::from_secs(10);
/// How long a pass may read shares: a twentieth of the second between two. When it is used up, the rest waits for the
/// next pass, and processes whose share was never read count with all that they have resident.
const READING_MAX: Duration = Duration::from_millis(50);

/// A process's share when it was looked at.
#[derive(Debug, Clone, Copy)]
struct Share {
    /// When it was read; none when it has to be read anew.
    at: Option<Instant>,
    resident: u64,
    /// None where the kernel does not tell: the process is another user's, or guards itself.
    share: Option<u64>,
}

impl Share {
    /// The share now, when so much is resident: what a process gains or loses is mostly its own.
    fn estimate(&self, resident: u64) -> u64 {
        match self.share {
            Some(share) => share.saturating_add(resident).saturating_sub(self.resident),
            None => resident,
        }
    }
}

/// What is known of the shares of one tree's processes.
#[derive(Debug, Default)]
pub(super) struct Shares(HashMap<ProcessKey, Share>);

/// A process of a tree as it was listed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    pub(super) key: ProcessKey,
    pub(super) resident: u64,
}

impl Shares {
    /// What all of these take, in bytes.
    pub(super) fn total(&self, members: &[Member]) -> u64 {
        let of =
            |member: &Member| self.0.get(&member.key).map_or(member.resident, |share| share.estimate(member.resident));
        members.iter().map(of).sum()
    }

    /// Whether the kernel told the share of each; one that ended has none to tell.
    pub(super) fn is_known_of(&self, members: &[Member]) -> bool {
        let is_known = |key: &ProcessKey| self.0.get(key).is_some_and(|share| share.share.is_some());
        members.iter().all(|member| member.resident == 0 || is_known(&member.key))
    }

    /// Forgets the processes that are no longer there. True when there are others than before.
    fn follow(&mut self, members: &[Member]) -> bool {
        let there: HashSet<ProcessKey> = members.iter().map(|member| member.key).collect();
        let known = self.0.len();
        self.0.retain(|key, _| there.contains(key));
        self.0.len() < known || self.0.len() < there.len()
    }

    /// Has each read anew when its turn comes. They keep their order: where there is never time for all, each is read.
    fn outdate(&mut self) {
        self.0.values_mut().for_each(|share| share.at = share.at.and_then(|at| at.checked_sub(SHARE_AGE_MAX)));
    }

    /// How soon a share is to be read, the lesser the sooner: those never read, those that hold no more, the old ones.
    /// None when it is not due.
    fn turn(&self, member: &Member, now: Instant) -> Option<(bool, Option<Instant>)> {
        let Some(share) = self.0.get(&member.key) else { return Some((false, None)) };
        let due = share.at.is_none_or(|at| now.saturating_duration_since(at) >= SHARE_AGE_MAX);
        due.then_some((true, share.at))
    }
}

/// Reads the shares that are due, for a bounded time.
///
/// `shim` is the pid above each tree: a process whose parent is neither that nor listed in its tree is not read.
pub(super) fn refresh(trees: &mut [(u32, &mut Shares, &[Member])], now: Instant) {
    let followed: Vec<bool> = trees.iter_mut().map(|(_, shares, members)| shares.follow(members)).collect();
    if followed.contains(&true) {
        // Browsers share their program with one another too, so that those of other trees hold no more either.
        trees.iter_mut().for_each(|(_, shares, _)| shares.outdate());
    }
    let mut due = Vec::new();
    for (index, (_, shares, members)) in trees.iter_mut().enumerate() {
        due.extend(members.iter().filter_map(|member| Some((shares.turn(member, now)?, index, *member))));
    }
    due.sort_by_key(|(turn, _, _)| *turn);
    let began = Instant::now();
    for (_, index, member) in due {
        if began.elapsed() >= READING_MAX {
            break;
        }
        let (shim, shares, members) = &mut trees[index];
        let is_ours = |parent: u32| parent == *shim || members.iter().any(|member| member.key.0 == parent);
        let share = read(member.key.0, is_ours).unwrap_or_default();
        shares.0.insert(member.key, Share { at: Some(now), resident: member.resident, share });
    }
}

/// The share of a process in bytes; none when the kernel does not tell, or the pid is a stranger's by now.
///
/// All is read through one directory, which stays that of one process; its parent proves whose it is.
fn read(pid: u32, is_ours: impl FnOnce(u32) -> bool) -> io::Result<Option<u64>> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = rustix::fs::open(format!("/proc/{pid}"), flags, Mode::empty())?;
    if !is_ours(Stat::within(&dir)?.parent) {
        return Ok(None);
    }
    let file = rustix::fs::openat(&dir, "smaps_rollup", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut text = String::with_capacity(1024);
    std::fs::File::from(file).read_to_string(&mut text)?;
    Ok(parse(&text))
}

fn parse(rollup: &str) -> Option<u64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(pid: u32, resident: u64) -> Member {
        Member { key: (pid, 1), resident }
    }

    #[test]
    fn the_share_is_the_line_of_that_name() {
        let rollup = "55d0-7ffd ---p 00000000 00:00 0    [rollup]\nRss:   900 kB\nPss:   412 kB\nPss_Anon:  12 kB\n";
        assert_eq!(parse(rollup), Some(412 * 1024));
        assert_eq!(parse("Rss:   900 kB\n"), None);
    }

    #[test]
    fn this_processes_share_is_read_and_a_strangers_is_not() {
        let parent = std::os::unix::process::parent_id();
        let share = read(std::process::id(), |of| of == parent).unwrap().unwrap();
        assert!(share > 100 * 1024, "{share}");
        assert_eq!(read(std::process::id(), |_| false).unwrap(), None);
    }

    fn share(at: Option<Instant>, resident: u64, share: Option<u64>) -> Share {
        Share { at, resident, share }
    }

    #[test]
    fn between_two_looks_a_share_follows_what_is_resident() {
        let known = [((1, 1), share(None, 1_000, Some(400))), ((2, 1), share(None, 50, None))];
        let shares = Shares(known.into());
        assert_eq!(shares.total(&[member(1, 1_000)]), 400);
        assert_eq!(shares.total(&[member(1, 1_250)]), 650);
        assert_eq!(shares.total(&[member(1, 100)]), 0);
        // One that the kernel does not tell of, and one that was never looked at.
        assert_eq!(shares.total(&[member(2, 70), member(3, 7)]), 77);
    }

    #[test]
    fn shares_are_known_when_each_process_that_has_memory_told_its_own() {
        let known = [((1, 1), share(None, 1_000, Some(400))), ((2, 1), share(None, 50, None))];
        let shares = Shares(known.into());
        assert!(shares.is_known_of(&[member(1, 1_000), member(2, 0), member(3, 0)]));
        for other in [member(2, 50), member(3, 7)] {
            assert!(!shares.is_known_of(&[member(1, 1_000), other]));
        }
    }

    #[test]
    fn a_share_holds_until_it_is_old() {
        let parent = std::os::unix::process::parent_id();
        let mine = member(std::process::id(), 1 << 40);
        let mut shares = Shares::default();
        let began = Instant::now();
        for (now, read_at) in
            [(began, began), (began + SHARE_AGE_MAX / 2, began), (began + SHARE_AGE_MAX, began + SHARE_AGE_MAX)]
        {
            refresh(&mut [(parent, &mut shares, &[mine])], now);
            assert_eq!(shares.0[&mine.key].at, Some(read_at));
            assert!(shares.0[&mine.key].share.is_some());
        }
    }

    #[test]
    fn where_there_is_no_time_for_all_those_not_read_come_first_the_next_time() {
        let began = Instant::now() + 10 * SHARE_AGE_MAX;
        let both = [member(1, 0), member(2, 0)];
        let mut shares = Shares(both.map(|member| (member.key, share(Some(began), 0, Some(0)))).into());
        for (round, read) in [(1, 0), (2, 1), (3, 0)] {
            let now = began + Duration::from_secs(round);
            shares.outdate();
            let turns = both.map(|member| shares.turn(&member, now).expect("it is due"));
            assert!(round == 1 || turns[read] < turns[1 - read], "{turns:?}");
            shares.0.get_mut(&both[read].key).expect("it is known").at = Some(now);
        }
    }

    #[test]
    fn who_came_or_went_is_noticed_and_who_went_is_forgotten() {
        let of = |pids: &[u32]| Shares(pids.iter().map(|pid| ((*pid, 1), share(None, 0, Some(0)))).collect());
        for (known, there, others) in [
            (&[1, 2][..], &[1, 2][..], false),
            (&[1, 2], &[1, 2, 3], true),
            (&[1, 2], &[1], true),
            (&[1, 2], &[1, 3], true),
        ] {
            let mut shares = of(known);
            let members: Vec<_> = there.iter().map(|pid| member(*pid, 0)).collect();
            assert_eq!(shares.follow(&members), others, "{known:?} {there:?}");
            assert!(shares.0.keys().all(|(pid, _)| there.contains(pid)), "one that is not there is forgotten");
        }
    }

    #[test]
    fn no_share_of_any_tree_holds_once_a_process_of_one_came_or_went() {
        let before = Instant::now();
        let parent = std::os::unix::process::parent_id();
        let (mine, gone) = (member(std::process::id(), 1 << 40), member(u32::MAX, 0));
        let known = |member: &Member| Shares([(member.key, share(Some(before), member.resident, Some(5)))].into());
        for (there, is_read) in [(&[gone][..], false), (&[], true)] {
            let (mut own, mut other) = (known(&mine), known(&gone));
            refresh(&mut [(parent, &mut own, &[mine]), (0, &mut other, there)], before);
            assert_eq!(own.0[&mine.key].share != Some(5), is_read, "{there:?}");
        }
    }

    #[test]
    fn those_never_read_come_first_and_then_the_oldest() {
        let now = Instant::now();
        let old = now - SHARE_AGE_MAX;
        let known = [
            ((1, 1), share(Some(now), 0, None)),
            ((2, 1), share(Some(old), 0, None)),
            ((3, 1), share(Some(old - SHARE_AGE_MAX), 0, None)),
            ((4, 1), share(None, 0, None)),
        ];
        let shares = Shares(known.into());
        let mut due: Vec<_> = (1..=5).filter_map(|pid| Some((shares.turn(&member(pid, 0), now)?, pid))).collect();
        due.sort_unstable();
        assert_eq!(due.iter().map(|(_, pid)| *pid).collect::<Vec<_>>(), [5, 4, 3, 2]);
    }
}
