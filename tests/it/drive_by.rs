//! Everything that a page, or anybody else, can put together: each combination is judged by rules written down here
//! once more, and what the service did is counted in its ledger.

use base64::{Engine, prelude::BASE64_STANDARD};
use comet_task_runner::api::v1;
use http::{HeaderValue, Method, Request, StatusCode};
use hyper::body::Bytes;
use prost::Message;

use super::{
    certificate::Certificate,
    line::{Line, Reply, Transport, addressed},
    service::{Options, Service, execute, stub_url},
    wire::jobs_made,
};

const EXECUTE: &str = "/comet.taskrunner.v1.TaskRunner/Execute";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Text,
    Form,
    Multipart,
    None,
    GrpcWeb,
    GrpcWebText,
    Grpc,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Own,
    Null,
    Foreign,
    Absent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Site {
    /// same-origin
    Ours,
    /// same-site
    Neighbours,
    /// cross-site
    Others,
    None,
    Absent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Right,
    Wrong,
    Absent,
}

const METHODS: [Method; 4] = [Method::GET, Method::POST, Method::PUT, Method::OPTIONS];
const CONTENTS: [Content; 7] = [
    Content::Text,
    Content::Form,
    Content::Multipart,
    Content::None,
    Content::GrpcWeb,
    Content::GrpcWebText,
    Content::Grpc,
];
const ORIGINS: [Origin; 4] = [Origin::Own, Origin::Null, Origin::Foreign, Origin::Absent];
const SITES: [Site; 5] = [Site::Ours, Site::Neighbours, Site::Others, Site::None, Site::Absent];
const TOKENS: [Token; 3] = [Token::Right, Token::Wrong, Token::Absent];

/// One request, in the terms of the rules.
#[derive(Clone, Debug)]
struct Case {
    method: Method,
    content: Content,
    origin: Origin,
    site: Site,
    token: Token,
    our_host: bool,
}

/// Every combination, with our host and with another.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for our_host in [true, false] {
        for method in METHODS {
            for content in CONTENTS {
                for origin in ORIGINS {
                    for site in SITES {
                        for token in TOKENS {
                            cases.push(Case { method: method.clone(), content, origin, site, token, our_host });
                        }
                    }
                }
            }
        }
    }
    cases
}

/// The rules: POST, gRPC in one of its forms, to this host, from our own page or from no page, with the token. Pages
/// cannot send native gRPC, and nobody can over HTTP/1.
fn is_allowed(case: &Case, transport: Transport) -> bool {
    let content = match case.content {
        Content::GrpcWeb | Content::GrpcWebText => true,
        Content::Grpc => transport != Transport::Http1,
        Content::Text | Content::Form | Content::Multipart | Content::None => false,
    };
    content
        && case.our_host
        && case.method == Method::POST
        && matches!(case.origin, Origin::Own | Origin::Absent)
        && matches!(case.site, Site::Ours | Site::None | Site::Absent)
        && case.token == Token::Right
}

/// What requests are made of.
struct Parts {
    transport: Transport,
    port: String,
    token: String,
}

impl Parts {
    fn request(&self, case: &Case) -> Request<Bytes> {
        let ours = format!("127.0.0.1:{}", self.port);
        let scheme = if self.transport == Transport::H2Tls { "https" } else { "http" };
        let host = if case.our_host { ours.clone() } else { format!("evil.test:{}", self.port) };
        let mut headers: Vec<(&str, String)> = Vec::new();
        let content = match case.content {
            Content::Text => Some("text/plain"),
            Content::Form => Some("application/x-www-form-urlencoded"),
            Content::Multipart => Some("multipart/form-data; boundary=x"),
            Content::None => None,
            Content::GrpcWeb => Some("application/grpc-web+proto"),
            Content::GrpcWebText => Some("application/grpc-web-text"),
            Content::Grpc => Some("application/grpc"),
        };
        headers.extend(content.map(|content| ("content-type", content.to_owned())));
        headers.extend(match case.origin {
            // As the page of that host would send it: a rebound page is its own origin.
            Origin::Own => Some(("origin", format!("{scheme}://{host}"))),
            Origin::Null => Some(("origin", "null".to_owned())),
            Origin::Foreign => Some(("origin", "https://evil.test".to_owned())),
            Origin::Absent => None,
        });
        let site = match case.site {
            Site::Ours => Some("same-origin"),
            Site::Neighbours => Some("same-site"),
            Site::Others => Some("cross-site"),
            Site::None => Some("none"),
            Site::Absent => None,
        };
        headers.extend(site.map(|site| ("sec-fetch-site", site.to_owned())));
        headers.extend(match case.token {
            Token::Right => Some(("authorization", format!("Bearer {}", self.token))),
            Token::Wrong => Some(("authorization", format!("Bearer {}", self.token.to_lowercase()))),
            Token::Absent => None,
        });
        let frame = frame(&execute(&stub_url("/exit/0")));
        let body = if case.content == Content::GrpcWebText { BASE64_STANDARD.encode(frame).into() } else { frame };
        let mut request = addressed(self.transport, &host, EXECUTE).method(case.method.clone());
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request.body(body.into()).unwrap()
    }
}

impl Parts {
    /// The same for another path. `Content::None` stands for what the path takes.
    fn request_for(&self, path: &str, content: Option<&str>, case: &Case, link: bool) -> Request<Bytes> {
        let mut request = self.request(case);
        *request.uri_mut() = path.parse().unwrap();
        *request.body_mut() = Bytes::from_static(b"{}");
        let headers = request.headers_mut();
        headers.insert("accept", HeaderValue::from_static("application/json"));
        if let (Content::None, Some(content)) = (case.content, content) {
            headers.insert("content-type", content.parse().unwrap());
        }
        if link {
            headers.insert("sec-fetch-mode", HeaderValue::from_static("navigate"));
            headers.insert("sec-fetch-dest", HeaderValue::from_static("document"));
        }
        request
    }
}

fn frame(message: &v1::ExecuteRequest) -> Vec<u8> {
    let message = message.encode_to_vec();
    [&[0], u32::try_from(message.len()).unwrap().to_be_bytes().as_slice(), &message].concat()
}

fn is_success(reply: &Reply) -> bool {
    reply.status == StatusCode::OK && reply.grpc_status() == Some(0)
}

/// Refused is what any client understands as that: an HTTP error, or a gRPC one.
fn is_refused(reply: &Reply) -> bool {
    let http = reply.status.is_client_error() || reply.status == StatusCode::HTTP_VERSION_NOT_SUPPORTED;
    http || (reply.status == StatusCode::OK && reply.grpc_status().is_some_and(|status| status > 0))
}

/// Sends every combination and counts.
async fn all_of_it(service: &Service, mut line: Line, transport: Transport) {
    let port = service.address.rsplit_once(':').unwrap().1.to_owned();
    let parts = Parts { transport, port, token: service.token() };
    let (cases, before) = (cases(), jobs_made(service));
    assert_eq!(cases.len(), 2 * 1680);
    let mut allowed = 0;
    for case in &cases {
        let reply = line.send(&parts.request(case)).await;
        if is_allowed(case, transport) {
            allowed += 1;
            assert!(is_success(&reply), "{case:?} is allowed: {reply:?}");
        } else {
            assert!(is_refused(&reply), "{case:?} is not allowed: {reply:?}");
            let tells = reply.headers.keys().any(|name| name.as_str().starts_with("access-control-"));
            assert!(!tells, "{case:?}: a page may not ask again with more, nor read: {reply:?}");
        }
    }
    // POST, own or no origin, three sites, the right token: for each form of gRPC there is.
    let forms = if transport == Transport::Http1 { 2 } else { 3 };
    assert_eq!(allowed, forms * 2 * 3);
    assert_eq!(jobs_made(service) - before, i64::from(allowed), "as many jobs as were allowed, and not one more");
}

#[tokio::test]
async fn over_http_1_only_what_the_rules_allow_makes_a_job() {
    let service = Service::start();
    let address = service.address.strip_prefix("http://").unwrap();
    all_of_it(&service, Line::new(Transport::Http1, address, None), Transport::Http1).await;
}

#[tokio::test]
async fn over_http_2_only_what_the_rules_allow_makes_a_job() {
    let service = Service::start();
    let address = service.address.strip_prefix("http://").unwrap();
    all_of_it(&service, Line::new(Transport::H2c, address, None), Transport::H2c).await;
}

#[tokio::test]
async fn over_tls_only_what_the_rules_allow_makes_a_job() {
    let certificate = Certificate::for_names(&["localhost", "127.0.0.1"]);
    let service = Service::start_with(certificate.serve(Options::default()));
    let address = service.address.strip_prefix("https://").unwrap();
    let line = Line::new(Transport::H2Tls, address, Some(certificate.der()));
    all_of_it(&service, line, Transport::H2Tls).await;
}

/// What a path is for, in the terms of the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Needs the token; effects or secrets.
    Closed,
    /// Needs none: no effects, and no secrets, or a secret of its own.
    Open,
    /// A file of the page, which links from anywhere may open, but nothing may embed.
    Page,
    /// Reports of pages of any origin, judged by what they carry.
    Report,
    /// Nothing is there.
    Nothing,
}

const ROUTES: [(&str, Method, Option<&str>, Kind); 20] = [
    ("/", Method::GET, None, Kind::Page),
    ("/assets/none.js", Method::GET, None, Kind::Page),
    ("/favicon.svg", Method::GET, None, Kind::Page),
    ("/healthz", Method::GET, None, Kind::Open),
    ("/readyz", Method::GET, None, Kind::Open),
    ("/metrics", Method::GET, None, Kind::Closed),
    ("/session", Method::POST, Some("application/json"), Kind::Open),
    ("/callback", Method::POST, Some("application/json"), Kind::Report),
    ("/grpc.health.v1.Health/Check", Method::POST, Some("application/json"), Kind::Open),
    ("/comet.taskrunner.v1.TaskRunner/Execute", Method::POST, Some("application/json"), Kind::Closed),
    ("/comet.taskrunner.v1.TaskRunner/GetStatus", Method::POST, Some("application/json"), Kind::Closed),
    ("/comet.taskrunner.v1.TaskRunner/WatchJob", Method::POST, Some("application/json"), Kind::Closed),
    ("/comet.taskrunner.v1.TaskRunner/ListJobs", Method::POST, Some("application/json"), Kind::Closed),
    ("/comet.taskrunner.v1.TaskRunner/CancelJob", Method::POST, Some("application/json"), Kind::Closed),
    ("/comet.taskrunner.v1.TaskRunner/GetRunner", Method::POST, Some("application/json"), Kind::Closed),
    ("/comet.taskrunner.v1.TaskRunner/Callback", Method::POST, Some("application/json"), Kind::Open),
    ("/execute", Method::POST, Some("application/json"), Kind::Nothing),
    ("/jobs", Method::GET, None, Kind::Nothing),
    ("/status/1", Method::GET, None, Kind::Nothing),
    ("/nothing", Method::GET, None, Kind::Nothing),
];

/// The reasons of refusals before anything is looked at.
const REFUSALS: [&str; 7] = [
    "HOST_NOT_ALLOWED",
    "PATH_UNKNOWN",
    "METHOD_NOT_ALLOWED",
    "ORIGIN_NOT_ALLOWED",
    "CONTENT_TYPE_NOT_ALLOWED",
    "TOKEN_MISSING",
    "TOKEN_INVALID",
];

/// The rules of the other routes. `link`: the browser says that a person follows a link to there.
fn passes(kind: Kind, case: &Case, right: (&Method, Option<&str>), link: bool) -> bool {
    let method = &case.method;
    let method_is_right = method == right.0
        || (right.0 == Method::GET && method == Method::HEAD)
        || (kind == Kind::Report && method == Method::OPTIONS);
    let from_no_other =
        matches!(case.origin, Origin::Own | Origin::Absent) && !matches!(case.site, Site::Neighbours | Site::Others);
    let token = match kind {
        Kind::Closed => case.token == Token::Right,
        Kind::Open | Kind::Page | Kind::Report => case.token != Token::Wrong,
        Kind::Nothing => false,
    };
    let origin = match kind {
        Kind::Report => true,
        Kind::Page => from_no_other || (link && case.origin == Origin::Absent),
        Kind::Closed | Kind::Open | Kind::Nothing => from_no_other,
    };
    let content = right.1.is_none() || method == Method::OPTIONS || case.content == Content::None;
    case.our_host && method_is_right && origin && token && content
}

/// For the right method every origin, site and token; and the best of those spoilt in one other way.
fn cases_of(right: &Method) -> Vec<Case> {
    let best = Case {
        method: right.clone(),
        content: Content::None,
        origin: Origin::Absent,
        site: Site::Absent,
        token: Token::Right,
        our_host: true,
    };
    let mut cases = vec![Case { our_host: false, ..best.clone() }, Case { content: Content::Form, ..best.clone() }];
    for method in [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
        cases.push(Case { method, ..best.clone() });
    }
    for origin in ORIGINS {
        for site in SITES {
            cases.extend(TOKENS.map(|token| Case { origin, site, token, ..best.clone() }));
        }
    }
    cases
}

#[tokio::test]
async fn each_other_route_lets_in_what_it_is_for_and_nothing_else() {
    let service = Service::start();
    let (address, token) = (service.address.strip_prefix("http://").unwrap(), service.token());
    let mut line = Line::new(Transport::Http1, address, None);
    let parts = Parts { transport: Transport::Http1, port: address.rsplit_once(':').unwrap().1.to_owned(), token };
    for (path, right, content, kind) in ROUTES {
        for case in cases_of(&right) {
            for link in [false, true] {
                let reply = line.send(&parts.request_for(path, content, &case, link)).await;
                let told = format!("{path} {case:?} link: {link}: {reply:?}");
                // The answer to a HEAD has no words: its status alone tells.
                let refused = REFUSALS.contains(&reply.reason().as_str())
                    || (case.method == Method::HEAD
                        && matches!(reply.status.as_u16(), 401 | 403 | 404 | 405 | 415 | 421));
                let nothing_there = case.method == Method::HEAD && reply.status == StatusCode::NOT_FOUND;
                assert!(refused != passes(kind, &case, (&right, content), link) || nothing_there, "{told}");
                assert!(kind == Kind::Report || !reply.headers.contains_key("access-control-allow-origin"), "{told}");
                assert_eq!(reply.header("x-content-type-options"), "nosniff", "{told}");
                assert_eq!(reply.header("cross-origin-resource-policy"), "same-origin", "{told}");
            }
        }
    }
    assert_eq!(jobs_made(&service), 0, "an Execute with an empty request makes none");
}

#[tokio::test]
async fn nobody_frames_the_page_or_keeps_a_hand_on_it_and_it_runs_its_own_script_alone() {
    let service = Service::start();
    let address = service.address.strip_prefix("http://").unwrap();
    let request = addressed(Transport::Http1, address, "/").body(Bytes::new()).unwrap();
    let reply = Line::new(Transport::Http1, address, None).send(&request).await;
    let policy: Vec<_> = reply.header("content-security-policy").split("; ").collect();
    for rule in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "form-action 'none'"] {
        assert!(policy.contains(&rule), "{rule}: {policy:?}");
    }
    let text = reply.header("content-security-policy");
    assert!(!text.contains("unsafe") && !text.contains('*') && !text.contains("http"), "{text}");
    for (header, value) in [
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("referrer-policy", "no-referrer"),
    ] {
        assert_eq!(reply.header(header), value, "{header}");
    }
}
