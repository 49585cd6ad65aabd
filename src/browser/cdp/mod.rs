//! The browser's debugging protocol as data: ids, commands and the messages that are understood.

pub mod console;
pub mod id;
pub mod message;
