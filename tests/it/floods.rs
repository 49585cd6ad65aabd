//! Floods of HTTP/2, frame by frame: each costs its sender the connection, or nothing, and nobody else anything.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
};

use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use super::service::{SOON, Service};

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// What a connection ends with that asks for too much.
const ENHANCE_YOUR_CALM: u32 = 11;

/// How much a flood may cost in memory: it is bounded, whatever the allocator keeps.
const GROWTH_MAX_KIB: u64 = 50 * 1024;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// GET /, in the fields of HPACK's own table.
fn get(service: &Service) -> Vec<u8> {
    let host = service.address.strip_prefix("http://").unwrap().as_bytes();
    [&[0x82, 0x84, 0x86, 0x01, u8::try_from(host.len()).unwrap()], host].concat()
}

/// The numbers that a client gives its streams.
fn streams(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|number| 2 * number + 1)
}

/// A connection that has said hello.
fn connect(service: &Service) -> TcpStream {
    let mut tcp = TcpStream::connect(service.address.strip_prefix("http://").unwrap()).unwrap();
    tcp.set_read_timeout(Some(SOON)).unwrap();
    tcp.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    tcp.write_all(&frame(SETTINGS, 0, 0, &[])).unwrap();
    tcp
}

/// The next frame; none at the end of the connection.
fn read(tcp: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 9];
    tcp.read_exact(&mut head).ok()?;
    let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
    tcp.read_exact(&mut payload).ok()?;
    Some((head[3], payload))
}

/// Why the service ended the connection.
fn end(mut tcp: TcpStream) -> Option<u32> {
    let mut why = None;
    while let Some((kind, payload)) = read(&mut tcp) {
        if kind == GOAWAY {
            why = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
        }
    }
    why
}

fn memory_kib(service: &Service) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", service.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Another caller is answered, and the flood is not kept.
async fn nobody_is_hurt(service: &Service, before_kib: u64) {
    let mut health = HealthClient::new(service.channel().await);
    let asked = health.check(HealthCheckRequest::default());
    let answer = tokio::time::timeout(SOON, asked).await.expect("it is answered soon").unwrap();
    assert_eq!(answer.into_inner().status(), ServingStatus::Serving);
    let grown = memory_kib(service).saturating_sub(before_kib);
    assert!(grown < GROWTH_MAX_KIB, "grown by {grown} KiB");
}

#[tokio::test]
async fn requests_that_are_taken_back_at_once_end_their_connection() {
    let service = Service::start();
    let (mut tcp, before) = (connect(&service), memory_kib(&service));
    let request = get(&service);
    let flood = streams(1000).flat_map(|stream| {
        let taken_back = frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
        [frame(HEADERS, END_HEADERS | END_STREAM, stream, &request), taken_back].concat()
    });
    tcp.write_all(&flood.collect::<Vec<_>>()).unwrap();
    assert_eq!(end(tcp), Some(ENHANCE_YOUR_CALM));
    nobody_is_hurt(&service, before).await;
}

#[tokio::test]
async fn faults_that_make_the_service_reset_streams_end_their_connection() {
    let service = Service::start();
    let (mut tcp, before) = (connect(&service), memory_kib(&service));
    // HTTP/2 has no such header: a fault of its stream.
    let faulty = [&get(&service)[..], &[0x00, 10], b"connection", &[1, b'x']].concat();
    let flood = streams(1100).flat_map(|stream| frame(HEADERS, END_HEADERS | END_STREAM, stream, &faulty));
    tcp.write_all(&flood.collect::<Vec<_>>()).unwrap();
    assert_eq!(end(tcp), Some(ENHANCE_YOUR_CALM));
    nobody_is_hurt(&service, before).await;
}

#[tokio::test]
async fn headers_without_an_end_end_their_connection() {
    let service = Service::start();
    let (mut tcp, before) = (connect(&service), memory_kib(&service));
    tcp.write_all(&frame(HEADERS, 0, 1, &get(&service))).unwrap();
    // Literals that are not remembered: a name of one letter, a value of a hundred.
    let literal = [&[0x00, 1, b'x', 100][..], &[b'y'; 100]].concat();
    let more = frame(CONTINUATION, 0, 1, &literal.repeat(100));
    let mut sent = 0;
    while sent < 100 * 1024 * 1024 && tcp.write_all(&more).is_ok() {
        sent += more.len();
    }
    assert!(sent < 100 * 1024 * 1024, "it is not read for ever");
    nobody_is_hurt(&service, before).await;
}

#[tokio::test]
async fn pings_are_answered_one_by_one_and_kept_nowhere() {
    const PINGS: usize = 100_000;
    let service = Service::start();
    let (mut tcp, before) = (connect(&service), memory_kib(&service));
    let mut writing = tcp.try_clone().unwrap();
    let pings = std::thread::spawn(move || writing.write_all(&frame(PING, 0, 0, &[7; 8]).repeat(PINGS)).unwrap());
    let mut answered = 0;
    while answered < PINGS {
        let (kind, _) = read(&mut tcp).expect("the connection goes on");
        answered += usize::from(kind == PING);
    }
    pings.join().unwrap();
    nobody_is_hurt(&service, before).await;
}
