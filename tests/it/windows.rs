//! The windows of tasks.
