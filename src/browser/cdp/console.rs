//! The messages in which a page's console and its failed requests are told.

use serde::Deserialize;
use serde_json::Value;

/// `Runtime.consoleAPICalled`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsoleCalled {
    /// "log", "error" and others.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it was called with.
    #[serde(default)]
    pub args: Vec<Argument>,
    /// Milliseconds since 1970 UTC.
    #[serde(default)]
    pub timestamp: f64,
    /// From where.
    pub stack_trace: Option<StackTrace>,
}

/// A value of a script.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Argument {
    /// "string", "undefined" and others.
    #[serde(default, rename = "type")]
    pub kind: String,
    /// "null" and others.
    #[serde(default)]
    pub subtype: String,
    /// Itself, where JSON can hold it.
    pub value: Option<Value>,
    /// In words, where it is more than JSON can hold.
    pub description: Option<String>,
}

/// Who called whom.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StackTrace {
    /// The innermost call first.
    #[serde(default)]
    pub call_frames: Vec<CallFrame>,
}

/// A place in a script.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallFrame {
    /// Its address.
    #[serde(default)]
    pub url: String,
    /// From 0 on.
    pub line_number: Option<i64>,
}

/// `Runtime.exceptionThrown`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExceptionThrown {
    /// Milliseconds since 1970 UTC.
    #[serde(default)]
    pub timestamp: f64,
    /// The exception.
    pub exception_details: ExceptionDetails,
}

/// An exception that nothing caught.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExceptionDetails {
    /// "Uncaught", mostly.
    #[serde(default)]
    pub text: String,
    /// Where, from 0 on.
    pub line_number: Option<i64>,
    /// In which script.
    #[serde(default)]
    pub url: String,
    /// What was thrown.
    pub exception: Option<Argument>,
}

/// `Log.entryAdded`.
#[derive(Deserialize)]
pub struct EntryAdded {
    /// The entry.
    pub entry: Entry,
}

/// Something that the browser puts into the console by itself.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// "network" for a request that failed.
    #[serde(default)]
    pub source: String,
    /// "verbose", "info", "warning" or "error".
    #[serde(default)]
    pub level: String,
    /// In words.
    #[serde(default)]
    pub text: String,
    /// Milliseconds since 1970 UTC.
    #[serde(default)]
    pub timestamp: f64,
    /// The address of what it is about.
    #[serde(default)]
    pub url: String,
    /// From 0 on.
    pub line_number: Option<i64>,
}
