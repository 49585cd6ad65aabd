//! The secret that proves to a receiver who sent a message: made, read, and signed with as Standard Webhooks does.

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::durable::{keep_name, replace};

/// What every secret in text begins with, so that it is known for one wherever it turns up.
const PREFIX: &str = "whsec_";
/// A secret has 256 bits, past all guessing.
const BYTES: usize = 32;
/// The shortest and longest secrets of others that are taken: the bounds that Standard Webhooks sets.
const BYTES_MIN: usize = 24;
const BYTES_MAX: usize = 64;
/// Secrets in one file: the new one and the old one, while receivers change over.
const SECRETS_MAX: usize = 2;
/// Longest file: both secrets and their line ends come to less.
const FILE_BYTES_MAX: u64 = 1024;

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It cannot be read or made.
    #[error("the webhook's secret file {0} cannot be used: {1}")]
    Io(PathBuf, io::Error),
    /// Others than its owner can read it.
    #[error("the webhook's secret file {0} has mode {1:o}; others could sign with it: chmod 600 it")]
    Exposed(PathBuf, u32),
    /// It holds something else.
    #[error(
        "the webhook's secret file {0} holds no secret; write whsec_ and {BYTES_MIN} to {BYTES_MAX} bytes in base64, \
         each of at most {SECRETS_MAX} secrets on a line, or leave --webhook-secret-file out to have one made"
    )]
    NotASecret(PathBuf),
}

/// What messages are signed with.
#[derive(Clone)]
pub struct Secret {
    /// The first one is the newest.
    keys: Vec<Vec<u8>>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Secret {
    /// Reads the secret of a file that an operator wrote.
    ///
    /// # Errors
    /// Names the file, and what to do about it.
    pub fn read(path: &Path) -> Result<Self, SecretError> {
        let failed = |error| SecretError::Io(path.to_owned(), error);
        let file = File::open(path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(SecretError::Exposed(path.to_owned(), mode));
        }
        let mut text = String::new();
        file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
        Self::parse(&text).ok_or_else(|| SecretError::NotASecret(path.to_owned()))
    }

    /// Reads the secret of a file, or makes one there for its owner alone.
    ///
    /// # Errors
    /// As [`Secret::read`].
    pub fn read_or_make(path: &Path) -> Result<Self, SecretError> {
        match Self::read(path) {
            Err(SecretError::Io(_, error)) if error.kind() == io::ErrorKind::NotFound => {
                make(path).map_err(|error| SecretError::Io(path.to_owned(), error))?;
                tracing::info!(path = %path.display(), "made the webhook's secret; its receiver needs it too");
                Self::read(path)
            }
            read => read,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let keys: Option<Vec<_>> = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(key).collect();
        keys.filter(|keys| (1..=SECRETS_MAX).contains(&keys.len())).map(|keys| Self { keys })
    }

    /// The signatures of a message: one for each secret, so that a receiver that knows either is content.
    pub(super) fn sign(&self, id: &str, timestamp_s: u64, body: &str) -> String {
        let sign = |key: &Vec<u8>| {
            let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
            mac.update(format!("{id}.{timestamp_s}.{body}").as_bytes());
            format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
        };
        self.keys.iter().map(sign).collect::<Vec<_>>().join(" ")
    }
}

fn key(line: &str) -> Option<Vec<u8>> {
    let bytes = BASE64_STANDARD.decode(line.strip_prefix(PREFIX)?).ok()?;
    (BYTES_MIN..=BYTES_MAX).contains(&bytes.len()).then_some(bytes)
}

/// Under another name until it is whole and on the disk: half a secret would be none.
fn make(path: &Path) -> io::Result<()> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    replace(path, format!("{PREFIX}{}\n", BASE64_STANDARD.encode(bytes)).as_bytes())?;
    // Before anybody is told of it.
    keep_name(path)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    /// The example of the Standard Webhooks specification.
    #[test]
    fn a_message_is_signed_as_the_standard_shows() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        let signed = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_that_was_made_is_its_owners_and_stays_the_same() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("secret");
        let sign = |secret: &Secret| secret.sign("a", 1, "b");
        let made = Secret::read_or_make(&path).unwrap();
        assert_eq!(sign(&Secret::read_or_make(&path).unwrap()), sign(&made));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(format!("{made:?}"), "Secret(..)");
    }

    #[test]
    fn while_receivers_change_over_both_secrets_sign() {
        let line = |bytes: &[u8]| format!("{PREFIX}{}", BASE64_STANDARD.encode(bytes));
        let (new, old) = (line(&[1; 32]), line(&[2; 24]));
        let both = format!("{new}\n\n{old}\n");
        let signatures = Secret::parse(&both).unwrap().sign("a", 1, "b");
        let alone = Secret::parse(&new).unwrap().sign("a", 1, "b");
        assert!(signatures.starts_with(&format!("{alone} v1,")), "{signatures}");
    }

    #[test]
    fn what_is_exposed_or_no_secret_is_refused_with_the_remedy() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("secret");
        let refused = || Secret::read_or_make(&path).unwrap_err().to_string();
        for text in ["", "hello", "whsec_MfKQ", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!!!!"] {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            assert!(refused().contains("holds no secret"), "{text}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(refused().contains("chmod 600"), "{}", refused());
    }
}
