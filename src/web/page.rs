//! The page's files, built into the program: no secrets, no effects, and no script but its own.

use axum::{
    Router,
    extract::Path,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use rust_embed::{EmbeddedFile, RustEmbed};

/// What `clients/web` was built to.
#[derive(RustEmbed)]
#[folder = "clients/web/dist/"]
struct Built;

/// Nothing from anywhere but here, nothing inline, and in nobody's frame. Workers share one stream among tabs.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
    connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// The build puts a hash of the content into the names of these files, so a name never means anything else.
const FOREVER: &str = "public, max-age=31536000, immutable";
/// Kept, but asked about each time: a newer program has newer files.
const ASKED: &str = "no-cache";

/// Kinds of files that a build makes. What is not here is of no kind, and no browser guesses one.
const KINDS: [(&str, &str); 7] = [
    (".html", "text/html; charset=utf-8"),
    (".js", "text/javascript; charset=utf-8"),
    (".css", "text/css; charset=utf-8"),
    (".svg", "image/svg+xml"),
    (".png", "image/png"),
    (".woff2", "font/woff2"),
    (".json", "application/json"),
];

/// The routes; HEAD is answered where GET is.
pub(super) fn routes() -> Router {
    Router::new()
        .route("/", get(|headers: HeaderMap| async move { file("index.html", ASKED, &headers) }))
        .route("/favicon.svg", get(|headers: HeaderMap| async move { file("favicon.svg", ASKED, &headers) }))
        .route("/assets/{*path}", get(asset))
}

async fn asset(Path(path): Path<String>, headers: HeaderMap) -> Response {
    file(&format!("assets/{path}"), FOREVER, &headers)
}

fn file(name: &str, caching: &'static str, asked: &HeaderMap) -> Response {
    let Some(file) = Built::get(name) else {
        return (StatusCode::NOT_FOUND, "there is no such file\n").into_response();
    };
    let etag = etag(&file);
    let is_known = asked.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes());
    let mut response =
        if is_known { StatusCode::NOT_MODIFIED.into_response() } else { file.data.into_owned().into_response() };
    let headers = response.headers_mut();
    let kind =
        KINDS.iter().find(|(ending, _)| name.ends_with(ending)).map_or("application/octet-stream", |(_, kind)| kind);
    for (header, value) in [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, caching),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        (OPENER_POLICY, "same-origin"),
    ] {
        headers.insert(header, HeaderValue::from_static(value));
    }
    headers.insert(header::ETAG, etag);
    response
}

/// No page that opened this one keeps a hand on it.
const OPENER_POLICY: http::HeaderName = http::HeaderName::from_static("cross-origin-opener-policy");

fn etag(file: &EmbeddedFile) -> HeaderValue {
    let hash: String = file.metadata.sha256_hash().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::from_str(&format!("\"{hash}\"")).expect("hexadecimal digits make a header")
}
