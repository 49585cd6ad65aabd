//! What the edge refuses, said in the form that the caller speaks.

use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version, header};
use tonic::Code;

use super::{Body, Failure, REQUEST_ID, RequestId, failure, status};

/// In which form a caller can read an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    /// gRPC over HTTP/2: a status in the headers.
    Grpc,
    /// grpc-web: the same, in the given content type, which is the request's.
    GrpcWeb(&'static str),
    /// An HTTP status and a JSON object.
    Json,
    /// An HTTP status and a line of text.
    Words,
}

/// The content types of gRPC, each with how its callers are answered.
const GRPC_TYPES: [(&str, Speech); 6] = [
    ("application/grpc", Speech::Grpc),
    ("application/grpc+proto", Speech::Grpc),
    ("application/grpc-web", Speech::GrpcWeb("application/grpc-web")),
    ("application/grpc-web+proto", Speech::GrpcWeb("application/grpc-web+proto")),
    ("application/grpc-web-text", Speech::GrpcWeb("application/grpc-web-text")),
    ("application/grpc-web-text+proto", Speech::GrpcWeb("application/grpc-web-text+proto")),
];

impl Speech {
    /// The form of a request's content; none for what a form or a simple request of a page can send.
    #[must_use]
    pub fn of_content(content_type: &str) -> Option<Self> {
        let grpc = GRPC_TYPES.iter().find(|(name, _)| *name == content_type).map(|(_, speech)| *speech);
        grpc.or_else(|| is_json(content_type).then_some(Self::Json))
    }

    /// How a request is answered. gRPC is spoken by those alone who sent it as gRPC is sent.
    #[must_use]
    pub fn of(method: &Method, version: Version, headers: &HeaderMap) -> Self {
        let text = |name| {
            let mut values = headers.get_all(name).iter();
            values.next().filter(|_| values.next().is_none()).and_then(|value| value.to_str().ok())
        };
        match text(header::CONTENT_TYPE).and_then(Self::of_content) {
            Some(Self::Grpc) if method == Method::POST && version == Version::HTTP_2 => Self::Grpc,
            Some(Self::GrpcWeb(kind)) if method == Method::POST => Self::GrpcWeb(kind),
            Some(Self::Json) => Self::Json,
            Some(Self::Grpc | Self::GrpcWeb(_) | Self::Words) | None => {
                let wanted = text(header::ACCEPT).is_some_and(|accept| accept.split(',').any(is_json));
                if wanted { Self::Json } else { Self::Words }
            }
        }
    }
}

/// JSON is UTF-8; a charset that says so is let through.
fn is_json(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    essence == "application/json" && parts.all(|part| part.eq_ignore_ascii_case("charset=utf-8"))
}

/// Why a request goes no further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its HTTP status, from which the other codes follow.
    pub status: StatusCode,
    /// For programs, in UPPER_SNAKE.
    pub reason: &'static str,
    /// For people: what is wrong and what to do about it.
    pub message: &'static str,
}

impl Refusal {
    /// The answer to a caller who speaks like this, by the request's id. gRPC callers read the HTTP status only when it
    /// is 200.
    #[must_use]
    pub fn answer(&self, speech: Speech, id: &RequestId) -> Response<Body> {
        let code = match self.status {
            // So gRPC calls a method that nobody has.
            StatusCode::NOT_FOUND => Code::Unimplemented,
            other => failure::code(other),
        };
        let status = || status::with_request_id(&status::edge(code, self.reason, self.message), id.as_str());
        let mut response = match speech {
            Speech::Grpc => status().into_http(),
            Speech::GrpcWeb(kind) => {
                let mut response: Response<Body> = status().into_http();
                response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
                response
            }
            Speech::Json => {
                let failure = Failure::refused(self.status, self.reason, self.message).with_request_id(id);
                self.text("application/json", failure.to_json().to_string())
            }
            Speech::Words => self.text("text/plain; charset=utf-8", format!("{}\n", self.message)),
        };
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response.headers_mut().insert(REQUEST_ID, id.header());
        response
    }

    fn text(&self, content_type: &'static str, text: String) -> Response<Body> {
        let mut response = Response::new(Body::new(text));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_may_say_that_it_is_utf_8_and_nothing_else() {
        for json in ["application/json", "application/json; charset=utf-8", "application/json;charset=UTF-8"] {
            assert_eq!(Speech::of_content(json), Some(Speech::Json), "{json}");
        }
        for other in [
            "text/plain",
            "text/plain; application/json",
            "application/json; charset=utf-16",
            "application/jsonx",
            "Application/JSON",
            "",
        ] {
            assert_eq!(Speech::of_content(other), None, "{other:?}");
        }
    }

    #[test]
    fn each_caller_is_answered_in_its_own_form() {
        let refusal = Refusal { status: StatusCode::FORBIDDEN, reason: "WHY", message: "do so" };
        let id = &RequestId::new();
        let grpc = refusal.answer(Speech::Grpc, id);
        assert_eq!((grpc.status(), &grpc.headers()["grpc-status"]), (StatusCode::OK, &HeaderValue::from_static("7")));
        let web = refusal.answer(Speech::GrpcWeb("application/grpc-web-text"), id);
        assert_eq!(web.headers()["content-type"], "application/grpc-web-text");
        assert_eq!(web.headers()["grpc-message"], "do%20so");
        let json = refusal.answer(Speech::Json, id);
        assert_eq!(
            (json.status(), &json.headers()["content-type"]),
            (StatusCode::FORBIDDEN, &HeaderValue::from_static("application/json"))
        );
        let words = refusal.answer(Speech::Words, id);
        assert_eq!(
            (words.status(), &words.headers()["cache-control"]),
            (StatusCode::FORBIDDEN, &HeaderValue::from_static("no-store"))
        );
    }
}
