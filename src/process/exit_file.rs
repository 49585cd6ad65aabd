//! The exit file: what a shim had to say when nobody took it in, as the very bytes of the relay.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;

use super::frame::Decoder;
use super::message::{FromShim, Hello, Numbered};
use super::place::Place;

/// The last words of a shim that left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExitFile {
    /// Who it was.
    pub hello: Hello,
    /// Everything it told that was never acknowledged, in order; the last is Refused, Exited or Empty.
    pub frames: Vec<Numbered>,
}

/// Reads the exit file of a job; None when there is none.
pub fn read(place: &Place) -> io::Result<Option<ExitFile>> {
    let bytes = match fs::read(place.exit()) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    parse(&bytes).map(Some)
}

/// Removes the exit file and everything else the job left, once what it says was committed. Blocks up to 1.3 s.
pub fn remove(place: &Place) -> io::Result<()> {
    place.wipe()
}

/// Writes the file so that it is whole on the disk or absent, whatever happens meanwhile.
pub(super) fn write<'a>(place: &Place, hello: &Hello, frames: impl Iterator<Item = &'a [u8]>) -> io::Result<()> {
    let unfinished = place.exit().with_extension("exit-new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(&hello.encode())?;
    for frame in frames {
        file.write_all(frame)?;
    }
    file.sync_all()?;
    fs::rename(&unfinished, place.exit())?;
    File::open(place.jobs())?.sync_all()
}

fn parse(bytes: &[u8]) -> io::Result<ExitFile> {
    let damaged = |why: String| io::Error::new(io::ErrorKind::InvalidData, format!("exit file is damaged: {why}"));
    let mut decoder = Decoder::default();
    decoder.push(bytes);
    let (mut hello, mut frames) = (None, Vec::new());
    while let Some(frame) = decoder.take().map_err(|error| damaged(error.to_string()))? {
        match FromShim::decode(frame).map_err(|error| damaged(error.to_string()))? {
            Some(FromShim::Hello(found)) => hello = Some(found),
            Some(FromShim::Numbered(numbered)) => frames.push(numbered),
            None => {}
        }
    }
    if !decoder.is_empty() {
        return Err(damaged("it ends within a frame".to_owned()));
    }
    let hello = hello.ok_or_else(|| damaged("it does not say who wrote it".to_owned()))?;
    Ok(ExitFile { hello, frames })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::identity::{Identity, Nonce};
    use crate::process::message::{Empty, Told};
    use crate::process::place::RunDirs;

    fn hello() -> Hello {
        let shim = Identity { boot_id: "b".to_owned(), pid: 7, start_ticks: 8 };
        Hello { version: 1, nonce: Nonce::random(), shim, attaches: 2, went: true, browser: None, cgroup: false }
    }

    #[test]
    fn what_was_written_is_read_and_removed() {
        let base = tempfile::tempdir().unwrap();
        let dirs = RunDirs::prepare_under(base.path(), &base.path().join("state"), "0badcafe").unwrap();
        let place = dirs.place("0190c1a2-3b4c-7d5e-8f60-718293a4b5c6");
        assert!(read(&place).unwrap().is_none());

        let hello = hello();
        let told = [Told::Browser(b"last word".to_vec()), Told::Empty(Empty { killed: 1, proof: None })];
        let encoded: Vec<Vec<u8>> = told.iter().zip(5..).map(|(told, number)| told.encode(number)).collect();
        write(&place, &hello, encoded.iter().map(Vec::as_slice)).unwrap();

        let found = read(&place).unwrap().unwrap();
        assert_eq!(found.hello, hello);
        let frames: Vec<Numbered> = told.into_iter().zip(5..).map(|(told, number)| Numbered { number, told }).collect();
        assert_eq!(found.frames, frames);

        remove(&place).unwrap();
        assert!(read(&place).unwrap().is_none());
        assert!(!place.launched_any());
        dirs.release();
    }

    #[test]
    fn a_file_cut_anywhere_is_never_taken_for_a_whole_one() {
        let mut whole = hello().encode();
        let first = whole.len();
        whole.extend(Told::Browser(b"word".to_vec()).encode(1));
        assert!(parse(&whole).is_ok());
        for cut in (0..whole.len()).filter(|cut| *cut != first) {
            assert!(parse(&whole[..cut]).is_err(), "{cut}");
        }
    }
}
