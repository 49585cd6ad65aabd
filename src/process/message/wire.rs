//! How what service and shim say becomes frames: a kind for each, JSON bodies, the browser's own bytes raw.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Hello, Numbered, Order, Output, Told};
use crate::process::frame::{self, Frame};

// The kinds are fixed for ever: shims outlive the service that made them.
const HELLO: u8 = 1;
const STARTED: u8 = 2;
const REFUSED: u8 = 3;
const TOLD_BROWSER: u8 = 4;
const EXITED: u8 = 5;
const EMPTY: u8 = 6;
const OUTPUT: u8 = 7;
const GO: u8 = 16;
const ORDER_BROWSER: u8 = 17;
const ACK: u8 = 18;
const STOP: u8 = 19;
const DISARM: u8 = 20;

/// A frame whose body is not what its kind says.
#[derive(Debug, thiserror::Error)]
#[error("malformed frame of kind {kind}: {error}")]
pub(in crate::process) struct Malformed {
    kind: u8,
    error: serde_json::Error,
}

/// A frame from a shim, understood.
#[derive(Debug)]
pub(in crate::process) enum FromShim {
    Hello(Hello),
    Numbered(Numbered),
}

impl Output {
    /// The place as eight bytes, little endian, then the bytes.
    fn encode(&self, number: u64) -> Vec<u8> {
        let body = [&self.place.to_le_bytes()[..], &self.bytes].concat();
        frame::encode(OUTPUT, number, &body)
    }

    /// None for a body too short to have a place.
    fn decode(body: &[u8]) -> Option<Output> {
        let (place, bytes) = body.split_first_chunk()?;
        Some(Output { place: u64::from_le_bytes(*place), bytes: bytes.to_vec() })
    }
}

impl Hello {
    pub(in crate::process) fn encode(&self) -> Vec<u8> {
        frame::encode(HELLO, 0, &json(self))
    }
}

impl Told {
    pub(in crate::process) fn encode(&self, number: u64) -> Vec<u8> {
        match self {
            Told::Started(started) => frame::encode(STARTED, number, &json(started)),
            Told::Refused(refused) => frame::encode(REFUSED, number, &json(refused)),
            Told::Browser(message) => frame::encode(TOLD_BROWSER, number, message),
            Told::Output(output) => output.encode(number),
            Told::Exited(exited) => frame::encode(EXITED, number, &json(exited)),
            Told::Empty(empty) => frame::encode(EMPTY, number, &json(empty)),
        }
    }
}

impl Order {
    pub(in crate::process) fn encode(&self) -> Vec<u8> {
        match self {
            Order::Go(go) => frame::encode(GO, 0, &json(go)),
            Order::Browser(command) => frame::encode(ORDER_BROWSER, 0, command),
            Order::Ack(number) => frame::encode(ACK, *number, &[]),
            Order::Stop(stop) => frame::encode(STOP, 0, &json(stop)),
            Order::Disarm => frame::encode(DISARM, 0, &[]),
        }
    }

    /// The order in a frame; None for a kind this version does not know.
    pub(in crate::process) fn decode(frame: Frame) -> Result<Option<Order>, Malformed> {
        Ok(Some(match frame.kind {
            GO => Order::Go(parse(&frame)?),
            ORDER_BROWSER => Order::Browser(frame.body),
            ACK => Order::Ack(frame.number),
            STOP => Order::Stop(parse(&frame)?),
            DISARM => Order::Disarm,
            _ => return Ok(None),
        }))
    }
}

impl FromShim {
    /// What a shim's frame says; None for a kind this version does not know.
    pub(in crate::process) fn decode(frame: Frame) -> Result<Option<FromShim>, Malformed> {
        let told = match frame.kind {
            HELLO => return Ok(Some(FromShim::Hello(parse(&frame)?))),
            STARTED => Told::Started(parse(&frame)?),
            REFUSED => Told::Refused(parse(&frame)?),
            TOLD_BROWSER => Told::Browser(frame.body),
            OUTPUT => match Output::decode(&frame.body) {
                Some(output) => Told::Output(output),
                None => return Ok(None),
            },
            EXITED => Told::Exited(parse(&frame)?),
            EMPTY => Told::Empty(parse(&frame)?),
            _ => return Ok(None),
        };
        Ok(Some(FromShim::Numbered(Numbered { number: frame.number, told })))
    }
}

fn json(message: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(message).expect("our messages hold nothing that JSON cannot")
}

fn parse<T: DeserializeOwned>(frame: &Frame) -> Result<T, Malformed> {
    serde_json::from_slice(&frame.body).map_err(|error| Malformed { kind: frame.kind, error })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::frame::Decoder;
    use crate::process::message::{AwayCause, Empty, ExitStatus, Exited, Go, Refused, Started, Stop, StopStep};
    use crate::process::proof::{Proof, StepTaken, Used};

    fn frame_of(bytes: &[u8]) -> Frame {
        let mut decoder = Decoder::default();
        decoder.push(bytes);
        let frame = decoder.take().unwrap().unwrap();
        assert!(decoder.is_empty());
        frame
    }

    #[test]
    fn every_order_survives_the_wire() {
        let go = Go {
            argv: vec!["/bin/b".to_owned(), "--x".to_owned()],
            env: vec![("A".to_owned(), "ü".to_owned())],
            pipe: true,
            lock: Some("/l".into()),
            run_deadline_boot_ns: Some(u64::MAX),
            away_max_ms: 1,
            grace_ms: 2,
            left_alone: true,
        };
        let stop = Stop { asked: true, close_pipe_after_ms: 1, term_after_ms: 2, kill_after_ms: 3 };
        for order in [Order::Go(go), Order::Browser(b"{}".to_vec()), Order::Ack(7), Order::Stop(stop), Order::Disarm] {
            assert_eq!(Order::decode(frame_of(&order.encode())).unwrap(), Some(order));
        }
    }

    #[test]
    fn everything_told_survives_the_wire() {
        let exited = Exited {
            status: ExitStatus::Signal(9),
            cause: Some(AwayCause::RunTimeout),
            output_tail: "bye".to_owned(),
            empty: false,
            stopped_by: StopStep::Killed,
            killed: 3,
            out_of_memory: true,
            proof: None,
            lived_ms: Some(4),
        };
        let steps = vec![StepTaken { step: StopStep::PipeClosed, at_us: 8, processes_left: 7 }];
        let used = Used { cpu_time_us: 1, largest_process_bytes: 2, memory_peak_bytes: Some(3) };
        let proof = Some(Proof { stopped_by: StopStep::PipeClosed, steps, emptied_at_us: 9, used });
        let refused = Refused { stage: "exec".into(), errno: 2, errno_name: "ENOENT".into(), message: "no".into() };
        let started = Started { pid: 1, start_ticks: 2 };
        for told in [
            Told::Started(started),
            Told::Refused(refused),
            Told::Browser(vec![1, 2]),
            Told::Exited(Exited { proof: proof.clone(), ..exited.clone() }),
            Told::Output(Output { place: 1 << 40, bytes: b"written\0".to_vec() }),
            Told::Exited(exited),
            Told::Empty(Empty { killed: 4, proof }),
        ] {
            match FromShim::decode(frame_of(&told.encode(9))).unwrap() {
                Some(FromShim::Numbered(numbered)) => {
                    assert_eq!(numbered, Numbered { number: 9, told });
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn what_an_earlier_version_says_is_understood() {
        let stop = br#"{"close_pipe_after_ms":1,"term_after_ms":2,"kill_after_ms":3}"#;
        let read = Stop { asked: false, close_pipe_after_ms: 1, term_after_ms: 2, kill_after_ms: 3 };
        assert_eq!(Order::decode(frame_of(&frame::encode(STOP, 0, stop))).unwrap(), Some(Order::Stop(read)));
        let exited =
            br#"{"status":{"code":0},"cause":null,"output_tail":"","empty":true,"stopped_by":"none","killed":0}"#;
        for (kind, body) in [(EXITED, exited.as_slice()), (EMPTY, br#"{"killed":2}"#)] {
            match FromShim::decode(frame_of(&frame::encode(kind, 1, body))).unwrap() {
                Some(FromShim::Numbered(Numbered { told: Told::Exited(exited), .. })) => {
                    assert_eq!((exited.out_of_memory, exited.proof), (false, None));
                }
                Some(FromShim::Numbered(Numbered { told: Told::Empty(empty), .. })) => {
                    assert_eq!(empty, Empty { killed: 2, proof: None });
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn what_an_earlier_version_says_is_understood_without_what_it_did_not_know() {
        let go = br#"{"argv":["/b"],"env":[],"pipe":false,"lock":null,"run_deadline_boot_ns":null,"away_max_ms":1,"grace_ms":2}"#;
        match Order::decode(frame_of(&frame::encode(GO, 0, go))).unwrap() {
            Some(Order::Go(go)) => assert!(!go.left_alone),
            other => panic!("{other:?}"),
        }
        let exited =
            br#"{"status":{"code":0},"cause":null,"output_tail":"","empty":true,"stopped_by":"none","killed":0}"#;
        match FromShim::decode(frame_of(&frame::encode(EXITED, 1, exited))).unwrap() {
            Some(FromShim::Numbered(Numbered { told: Told::Exited(exited), .. })) => assert_eq!(exited.lived_ms, None),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_unknown_kind_is_skipped_by_both_sides_and_a_broken_body_is_not() {
        let unknown = frame_of(&frame::encode(99, 1, b"?"));
        assert!(Order::decode(unknown.clone()).unwrap().is_none());
        assert!(FromShim::decode(unknown).unwrap().is_none());
        assert!(Order::decode(frame_of(&frame::encode(GO, 0, b"{"))).is_err());
        assert!(FromShim::decode(frame_of(&frame::encode(EXITED, 1, b"{"))).is_err());
    }
}
