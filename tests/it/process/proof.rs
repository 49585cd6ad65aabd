//! What is told of a tree's end: the steps that were taken with what each met, and what the tree took.

use comet_task_runner::process::{Empty, Order, Proof, Shim, Stop, StopStep, Told};
use rustix::process::Signal;

use super::fixture::{AT_ONCE, Fixture, exited, farewell, first_line_of, go, go_pipe, make_fifo, told};
use crate::processes;

const NEVER_MS: u64 = 24 * 60 * 60 * 1000;
/// A storm goes on for so many processes: some seconds, if nobody ends it.
const STORM_MAX: usize = 20_000;

/// How a tree ended.
struct End {
    proof: Proof,
    killed: u32,
    stopped_by: StopStep,
}

/// Follows a browser to the end of its tree, and lets its shim go.
async fn end(mut shim: Shim) -> End {
    let exited = exited(&mut shim).await;
    let stopped_by = exited.stopped_by;
    assert_eq!(exited.empty, exited.proof.is_some(), "{exited:?}");
    let (proof, killed) = match exited.proof {
        Some(proof) => (proof, exited.killed),
        None => match told(&mut shim).await {
            Told::Empty(Empty { killed, proof }) => (proof.expect("an end is proven"), killed),
            other => panic!("{other:?}"),
        },
    };
    farewell(shim).await;
    let times: Vec<u64> = proof.steps.iter().map(|taken| taken.at_us).chain([proof.emptied_at_us]).collect();
    assert!(times.is_sorted(), "{proof:?}");
    assert_eq!(proof.stopped_by, stopped_by);
    End { proof, killed, stopped_by }
}

fn steps(proof: &Proof) -> Vec<(StopStep, u32)> {
    proof.steps.iter().map(|taken| (taken.step, taken.processes_left)).collect()
}

/// Starts a browser whose grandchild has left it, its group and its session, and gives both.
async fn with_grandchild(fixture: &Fixture, pipe: bool) -> (Shim, u32, u32) {
    let fifo = fixture.path("grandchild");
    make_fifo(&fifo);
    let path = format!("/double-fork?file={}", fifo.display());
    let (shim, browser) = fixture.started(&fixture.place(), if pipe { go_pipe(&path) } else { go(&path) }).await;
    let grandchild = first_line_of(fifo.clone()).await.parse().unwrap();
    std::fs::remove_file(&fifo).unwrap();
    (shim, browser, grandchild)
}

#[tokio::test]
async fn each_step_is_told_once_with_how_many_it_met() {
    use StopStep::{Killed, PipeClosed, Terminated};
    let climb = Stop { asked: true, close_pipe_after_ms: 5, term_after_ms: 10, kill_after_ms: 20 };
    for fixture in Fixture::both().await {
        let (mut shim, _) = fixture.started(&fixture.place(), go_pipe("/ignore-term")).await;
        shim.send(&Order::Stop(climb)).await.unwrap();
        let end = end(shim).await;
        // A signal may come before the stub has said that it ignores it; then there is nothing left to kill.
        let whole = [(PipeClosed, 1), (Terminated, 1), (Killed, 1)];
        let taken = steps(&end.proof);
        assert!(taken == whole && end.killed == 1 || taken == whole[..2] && end.killed == 0, "{:?}", end.proof);
        fixture.finish().await;
    }
}

#[tokio::test]
async fn being_asked_over_the_pipe_is_the_first_step_even_when_nothing_else_is_needed() {
    for fixture in Fixture::both().await {
        let (mut shim, _) = fixture.started(&fixture.place(), go_pipe("/sleep")).await;
        let stop =
            Stop { asked: true, close_pipe_after_ms: NEVER_MS, term_after_ms: NEVER_MS, kill_after_ms: NEVER_MS };
        shim.send(&Order::Stop(stop)).await.unwrap();
        // The second one brings the end of the pipe forward, which is no further step.
        shim.send(&Order::Stop(Stop { asked: false, close_pipe_after_ms: 0, ..stop })).await.unwrap();
        let end = end(shim).await;
        assert_eq!((steps(&end.proof), end.killed), (vec![(StopStep::PipeClosed, 1)], 0));
        fixture.finish().await;
    }
}

#[tokio::test]
async fn a_browser_without_a_pipe_is_not_said_to_have_been_asked() {
    let fixture = Fixture::new().await;
    let (mut shim, _) = fixture.started(&fixture.place(), go("/ignore-term")).await;
    shim.send(&Order::Stop(Stop { asked: true, ..AT_ONCE })).await.unwrap();
    let taken = steps(&end(shim).await.proof);
    assert_eq!(taken[0].0, StopStep::Terminated, "{taken:?}");
    fixture.finish().await;
}

#[tokio::test]
async fn one_that_leaves_by_itself_had_nothing_done_to_it() {
    for fixture in Fixture::both().await {
        let (shim, _) = fixture.started(&fixture.place(), go("/exit/3")).await;
        let end = end(shim).await;
        assert_eq!((steps(&end.proof), end.killed, end.stopped_by), (vec![], 0, StopStep::None));
        assert_eq!(end.proof.used.memory_peak_bytes.is_some(), counts_memory(&fixture));
        fixture.finish().await;
    }
}

/// Whether the groups of this fixture's jobs count their memory.
fn counts_memory(fixture: &Fixture) -> bool {
    let name = fixture.dirs.run().file_name().unwrap();
    let roots = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(std::path::Path::new);
    fixture.dirs.has_cgroups()
        && roots.iter().any(|root| {
            std::fs::read_to_string(root.join(name).join("cgroup.subtree_control"))
                .is_ok_and(|controllers| controllers.contains("memory"))
        })
}

#[tokio::test]
async fn the_end_of_what_a_browser_left_behind_is_a_step_too() {
    for fixture in Fixture::both().await {
        let (mut shim, ..) = with_grandchild(&fixture, false).await;
        let stop = Stop { asked: false, close_pipe_after_ms: NEVER_MS, term_after_ms: 0, kill_after_ms: NEVER_MS };
        shim.send(&Order::Stop(stop)).await.unwrap();
        let end = end(shim).await;
        // The browser leaves when it is told to; the grandchild neither hears nor would heed it.
        assert_eq!(steps(&end.proof), [(StopStep::Terminated, 2), (StopStep::Killed, 1)]);
        assert_eq!((end.stopped_by, end.killed), (StopStep::Terminated, 1));
        fixture.finish().await;
    }
}

#[tokio::test]
async fn a_stopped_tree_is_counted_and_killed_whole() {
    for fixture in Fixture::both().await {
        let (mut shim, browser, grandchild) = with_grandchild(&fixture, true).await;
        for pid in [browser, grandchild] {
            processes::signal(pid, Signal::STOP);
        }
        let stop = Stop { asked: true, close_pipe_after_ms: 5, term_after_ms: 10, kill_after_ms: 20 };
        shim.send(&Order::Stop(stop)).await.unwrap();
        let end = end(shim).await;
        let whole = [(StopStep::PipeClosed, 2), (StopStep::Terminated, 2), (StopStep::Killed, 2)];
        assert_eq!((steps(&end.proof).as_slice(), end.killed), (whole.as_slice(), 2));
        assert!(processes::Named::of(grandchild).is_none() && processes::Named::of(browser).is_none());
        fixture.finish().await;
    }
}

#[tokio::test]
async fn a_tree_that_forks_faster_than_it_is_killed_ends_all_the_same() {
    for fixture in Fixture::both().await {
        let fifo = fixture.path("storm");
        make_fifo(&fifo);
        let path = format!("/storm?file={}&n={STORM_MAX}", fifo.display());
        let (mut shim, _) = fixture.started(&fixture.place(), go(&path)).await;
        assert_eq!(first_line_of(fifo.clone()).await, "storm");
        // In the midst of it: the steps are taken although the ends of processes come without a pause.
        shim.send(&Order::Stop(AT_ONCE)).await.unwrap();
        let end = end(shim).await;
        let taken: Vec<StopStep> = end.proof.steps.iter().map(|taken| taken.step).collect();
        assert_eq!(taken, [StopStep::Terminated, StopStep::Killed]);
        assert!(end.killed >= 1 && end.proof.steps[1].processes_left >= 1, "{:?}", end.proof);
        let left: Vec<u32> = processes::all().into_iter().filter(|pid| processes::mentions(*pid, &fifo)).collect();
        assert_eq!(left, Vec::<u32>::new(), "told to be gone");
        std::fs::remove_file(&fifo).unwrap();
        fixture.finish().await;
    }
}

#[tokio::test]
async fn what_a_tree_took_includes_those_that_left_it_and_are_gone() {
    const SPENT_MS: u64 = 400;
    const FILLED_MB: u64 = 96;
    for fixture in Fixture::both().await {
        let path = format!("/spend?ms={SPENT_MS}&mb={FILLED_MB}");
        let (shim, _) = fixture.started(&fixture.place(), go(&path)).await;
        let used = end(shim).await.proof.used;
        let (least_us, most_us) = (SPENT_MS * 1000, SPENT_MS * 1000 + 200_000);
        assert!((least_us..most_us).contains(&used.cpu_time_us), "{used:?}");
        let largest_mb = used.largest_process_bytes >> 20;
        assert!((FILLED_MB..FILLED_MB + 32).contains(&largest_mb), "{used:?}");
        fixture.finish().await;
    }
}

#[tokio::test]
async fn those_in_control_groups_of_a_browsers_own_are_counted_and_the_groups_go_with_it() {
    let fixture = Fixture::new().await;
    if !fixture.dirs.has_cgroups() {
        eprintln!("NOT RUN: no writable cgroup v2 here");
        return fixture.finish().await;
    }
    let place = fixture.place();
    let (mut shim, browser) = fixture.started(&place, go("/sleep")).await;
    let (ledger, job) = (fixture.dirs.run().file_name().unwrap(), place.run_dir().file_name().unwrap());
    let roots = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(std::path::Path::new);
    let group = roots.map(|root| root.join(ledger).join(job)).into_iter().find(|group| group.exists());
    let group = group.expect("the job has one");
    let below = group.join("below");
    std::fs::create_dir(&below).unwrap();
    std::fs::write(below.join("cgroup.procs"), browser.to_string()).unwrap();
    shim.send(&Order::Stop(AT_ONCE)).await.unwrap();
    let end = end(shim).await;
    assert!(end.proof.steps.iter().any(|taken| taken.processes_left == 1), "{:?}", end.proof);
    assert!(!group.exists());
    fixture.finish().await;
}
