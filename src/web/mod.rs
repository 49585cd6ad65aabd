//! The HTTP edge: who gets in at all, decided before anything is read.

mod guard;

pub use guard::{Guard, GuardLayer};
