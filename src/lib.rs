//! Opens a URL as a *task* in a browser process, knows how and why that task ends, and pushes every change of its
//! state to whoever watches.
//!
//! # The idea
//!
//! ```text
//! facts come in  ->  a pure core decides  ->  one ledger remembers  ->  changes go out
//! ```
//!
//! * [`job`] is the core. A fact meets a job in [`job::Job::apply`], which says what the job is afterwards, or that
//!   nothing changed, or why the fact cannot be true. It has no clock, no I/O and no async.
//! * [`ledger`] is the memory. A change is appended under its revision and its event's id; only when it is durable
//!   does anybody hear of it. The ledger's writer then grows the job's log in memory and rings its doorbell.
//! * A watcher is an index into that log, and nothing else. It asks for what comes after the index and waits at the
//!   doorbell. Resuming, reading slowly and reconnecting are therefore one path, with no queue that could overflow.
//! * [`process`] makes a browser the child of a *shim*, a small process that outlives the service. What the shim has
//!   to tell is numbered and acknowledged; what was not acknowledged is told again, to this service or to the next
//!   one. So a restart proves, job by job, what is still ours; it guesses nothing.
//!
//! # Reading order
//!
//! [`job`] first; then [`ledger`], [`process`], [`browser`] and [`desktop`], which do not know each other; then [`runner`],
//! which brings them together, one linear async function per job; then [`api`], the calls, and [`web`], the HTTP edge around
//! them: the guard that every request passes first, JSON, the page, probes and metrics, the webhook; then [`server`], the
//! composition root; and last the program around it: [`config`], [`telemetry`] and [`cli`], over [`client`], which other
//! programs use as well.
//!
//! ```text
//! main > cli > client > server > web > api > runner > { ledger, browser, process, desktop } > job
//! ```
//!
//! Imports point to the right only, and a test checks it.
//!
//! # Two walks
//!
//! *Execute.* `api` checks the request and makes an order of it; `runner` chooses the browser, joins the queue and
//! appends CREATED, while a shim gets ready; the attendant gives that shim the word GO; the shim starts the browser
//! and says so; RUNNING is appended; the caller is answered.
//!
//! *An exit.* The shim reads the browser's pipe to its end, reaps the process, and tells the exit on the same ordered
//! channel, so that the page's last word is never overtaken. The attendant records it; the log grows; the doorbell
//! rings; each watcher's stream converts the change and sends it. Only then is the shim told that it was heard.
//!
//! # What holds everywhere
//!
//! * A terminal status is final, and the first decisive fact gives it; later facts are kept beside it.
//! * A reply, a push and a GO come after the commit that they speak of.
//! * CANCELLED and TIMED_OUT are said only when nothing of the process tree is left: the shim is a sub-reaper, and
//!   having no child left is the proof.
//! * No number stands in for "unknown": an exit code that nobody saw is absent, and its job is LOST.
//! * No request reaches anything before the guard has judged it, on whichever route and in whichever form it comes.
//! * Nothing polls. Exits, messages, changes and deadlines each wake exactly who waits for them. What processes take has
//!   no event: it is read once a second for all jobs together, and only while somebody watches.
//! * A URL never reaches a command line of a managed browser, and nothing of the service's environment or descriptors
//!   reaches any.

pub mod api;
pub mod browser;
pub mod cli;
pub mod client;
pub mod config;
pub mod desktop;
pub mod job;
pub mod ledger;
pub mod process;
pub mod runner;
pub mod server;
pub mod telemetry;
pub mod web;

/// The README's lines of Rust are compiled with the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
