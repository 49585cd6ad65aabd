//! The core's tests: tables of every pair, every policy and every deadline, and random lives.

mod deadline;
mod outcome;
mod random;
pub(crate) mod sample;
mod table;
mod value;
