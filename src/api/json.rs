//! The messages of the contract as JSON, by its own descriptors: no code per call, no code per field.

use std::{collections::BTreeSet, sync::LazyLock};

use prost::{DecodeError, Message};
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor, SerializeOptions};

use super::DESCRIPTORS;

/// The contract, and the calls of others that are served beside it.
static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let mut pool = DescriptorPool::decode(DESCRIPTORS).expect("the build made the descriptors");
    pool.decode_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET).expect("the library's build made them");
    pool
});

/// The one set of options for all JSON that is written: JSON names, RFC 3339 times, enums by name, 64-bit numbers as
/// text, and no fields that are empty.
const OPTIONS: SerializeOptions = SerializeOptions::new();

/// A call that can be made with JSON.
#[derive(Clone, Debug)]
pub struct Method(MethodDescriptor);

impl Method {
    /// The call at a path such as `/comet.taskrunner.v1.TaskRunner/Execute`. None for what is no call, and for calls
    /// whose requests are streams.
    #[must_use]
    pub fn at(path: &str) -> Option<Self> {
        let (service, name) = path.strip_prefix('/')?.split_once('/')?;
        let method = POOL.get_service_by_name(service)?.methods().find(|method| method.name() == name)?;
        (!method.is_client_streaming()).then_some(Self(method))
    }

    /// Whether the answer is a stream of messages.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        self.0.is_server_streaming()
    }

    /// A request, encoded. Takes JSON names and the names of the contract; nothing at all is an empty request.
    ///
    /// # Errors
    /// Names the field or the place that is at fault.
    pub fn request(&self, json: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
        let json = if json.trim_ascii().is_empty() { b"{}" } else { json };
        let mut reader = serde_json::Deserializer::from_slice(json);
        let message = DynamicMessage::deserialize(self.0.input(), &mut reader)?;
        reader.end()?;
        Ok(message.encode_to_vec())
    }

    /// An answer, or one message of it, as JSON on one line.
    ///
    /// # Errors
    /// When the bytes are not this call's answer.
    pub fn answer(&self, message: &[u8]) -> Result<String, DecodeError> {
        Ok(text(&DynamicMessage::decode(self.0.output(), message)?))
    }
}

/// The names of all calls of the contract.
///
/// # Panics
/// Never: the contract has its service.
#[must_use]
pub fn calls() -> BTreeSet<String> {
    let own = POOL.get_service_by_name("comet.taskrunner.v1.TaskRunner").expect("the contract has its service");
    own.methods().map(|method| method.name().to_owned()).collect()
}

/// A message of the contract as JSON on one line. `name` is its name in the contract.
///
/// # Panics
/// When the contract has no such message.
#[must_use]
pub fn message<M: Message>(name: &str, message: &M) -> String {
    let mut dynamic = DynamicMessage::new(descriptor(name));
    dynamic.transcode_from(message).expect("the message and its descriptor come from one contract");
    text(&dynamic)
}

fn descriptor(name: &str) -> MessageDescriptor {
    let full = format!("comet.taskrunner.v1.{name}");
    POOL.get_message_by_name(&full).expect("only messages of the contract are asked for")
}

fn text(message: &DynamicMessage) -> String {
    let mut text = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut text);
    message.serialize_with_options(&mut serializer, &OPTIONS).expect("a message has only what JSON can say");
    String::from_utf8(text).expect("JSON is UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::v1::{
        CallbackReport, ExecuteRequest, Job, Timeouts, WatchJobResponse, job::Status, watch_job_response::Kind,
    };

    fn execute() -> Method {
        Method::at("/comet.taskrunner.v1.TaskRunner/Execute").expect("the contract has Execute")
    }

    #[test]
    fn a_message_has_the_names_and_times_of_the_contract() {
        let job = Job {
            status: Status::Done.into(),
            revision: 4,
            updated_at: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 25_000_000 }),
            callback: Some(CallbackReport { result: r#"{"n":1}"#.to_owned(), ..CallbackReport::default() }),
            ..Job::default()
        };
        let change = WatchJobResponse {
            kind: Kind::Change.into(),
            job: Some(job),
            r#final: true,
            ..WatchJobResponse::default()
        };
        let text = message("WatchJobResponse", &change);

        assert!(!text.contains('\n'));
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&value["kind"], &value["final"]), (&"CHANGE".into(), &true.into()));
        assert_eq!(value["job"]["status"], "DONE");
        assert_eq!(value["job"]["revision"], "4");
        assert_eq!(value["job"]["updatedAt"], "2023-11-14T22:13:20.025Z");
    }

    #[test]
    fn a_request_is_taken_in_both_spellings_and_in_the_forms_of_proto_json() {
        let wanted = ExecuteRequest {
            url: "http://a/".to_owned(),
            fail_on_http_error: true,
            mode: 3,
            timeouts: Some(Timeouts {
                run: Some(prost_types::Duration { seconds: 1, nanos: 500_000_000 }),
                ..Timeouts::default()
            }),
            ..ExecuteRequest::default()
        };
        for json in [
            r#"{"url":"http://a/","failOnHttpError":true,"mode":"HEADLESS","timeouts":{"run":"1.5s"}}"#,
            r#" {"url":"http://a/","fail_on_http_error":true,"mode":3,"timeouts":{"run":"1.500s"},"profile":null} "#,
        ] {
            let bytes = execute().request(json.as_bytes()).unwrap();
            assert_eq!(ExecuteRequest::decode(bytes.as_slice()).unwrap(), wanted, "{json}");
        }
        for nothing in ["", " \n", "{}"] {
            assert!(execute().request(nothing.as_bytes()).unwrap().is_empty(), "{nothing:?}");
        }
    }

    #[test]
    fn a_wrong_request_is_refused_by_the_name_and_the_place_of_what_is_wrong() {
        for (json, words) in [
            (r#"{"uri":"http://a/"}"#, "'uri'"),
            ("{\n\"url\": }", "line 2 column 8"),
            (r#"{"url":"http://a/"} x"#, "trailing characters"),
            (r#"{"url":7}"#, "line 1 column 8"),
            (r#"{"mode":"SIDEWAYS"}"#, "SIDEWAYS"),
            ("[]", "line 1"),
            ("null", "line 1"),
            ("{\"url\":\"\u{1}\"}", "control character"),
        ] {
            let error = execute().request(json.as_bytes()).expect_err(json).to_string();
            assert!(error.contains(words), "{json}: {error}");
        }
        assert!(execute().request(b"{\"url\":\"\xff\"}").is_err(), "not UTF-8");
        assert!(execute().request("[".repeat(100_000).as_bytes()).is_err(), "nested without end");
    }

    #[test]
    fn every_call_that_takes_one_request_is_there() {
        let path = |name: &String| format!("/comet.taskrunner.v1.TaskRunner/{name}");
        assert!(calls().len() > 10 && calls().iter().all(|name| Method::at(&path(name)).is_some()));
        assert!(Method::at("/grpc.health.v1.Health/Check").is_some_and(|method| !method.is_stream()));
        assert!(Method::at("/grpc.health.v1.Health/Watch").is_some_and(|method| method.is_stream()));
        for none in ["/comet.taskrunner.v1.TaskRunner/Nothing", "/nothing/Execute", "Execute", "/", ""] {
            assert!(Method::at(none).is_none(), "{none}");
        }
    }
}
