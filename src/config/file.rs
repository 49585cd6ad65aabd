//! The configuration file: TOML, each key a setting, each mistake told with its line.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{ConfigError, Form, Given, SETTINGS, Setting};

/// Its name in the state directory, where it is looked for when none is named.
pub const CONFIG_FILE: &str = "config.toml";
/// Longest file: every setting takes a line, and a hundred browsers by hand some kilobytes.
const BYTES_MAX: u64 = 64 * 1024;

/// What a file gives for one setting.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) setting: &'static Setting,
    pub(super) given: Given,
    pub(super) line: usize,
}

/// Reads a file; none when it is not there.
pub(super) fn read(path: &Path) -> Result<Option<Vec<Entry>>, ConfigError> {
    let unreadable = |error| ConfigError::Unreadable { path: path.to_owned(), error };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    let mut text = String::new();
    file.take(BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > BYTES_MAX {
        return Err(unreadable(io::Error::other(format!("it is longer than {BYTES_MAX} bytes"))));
    }
    entries(path, &text).map(Some)
}

fn entries(path: &Path, text: &str) -> Result<Vec<Entry>, ConfigError> {
    let line_of = |at: usize| text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1;
    let table = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
        path: path.to_owned(),
        line: error.span().map_or(1, |span| line_of(span.start)),
        message: error.message().to_owned(),
    })?;
    let directory = path.parent().map(Path::to_owned).unwrap_or_default();
    let mut entries: Vec<Entry> = table
        .get_ref()
        .iter()
        .map(|(key, value)| {
            let line = line_of(key.span().start);
            let Some(setting) = SETTINGS.iter().find(|setting| setting.name == key.get_ref()) else {
                return Err(unknown(path, line, key.get_ref()));
            };
            let given = given(value);
            let given = if setting.form == Form::Path { given.relative_to(&directory) } else { given };
            Ok(Entry { setting, given, line })
        })
        .collect::<Result<_, _>>()?;
    entries.sort_by_key(|entry| entry.line);
    Ok(entries)
}

fn given(value: &Spanned<DeValue<'_>>) -> Given {
    match value.get_ref() {
        DeValue::String(text) => Given::Text(text.clone().into_owned()),
        DeValue::Boolean(on) => Given::Switch(*on),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Given::Number(number),
            Err(_) => Given::Other("integer past all bounds"),
        },
        DeValue::Array(values) => {
            let texts = values.iter().map(|value| value.get_ref().as_str().map(str::to_owned));
            texts.collect::<Option<Vec<_>>>().map_or(Given::Other("array with other things than text"), Given::List)
        }
        other @ (DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_)) => Given::Other(other.type_str()),
    }
}

fn unknown(path: &Path, line: usize, key: &str) -> ConfigError {
    let path: PathBuf = path.to_owned();
    ConfigError::Unknown { path, line, key: key.to_owned(), nearest: nearest(key) }
}

/// The setting that was most likely meant; none when nothing is near. A flag's or a variable's spelling is near.
fn nearest(key: &str) -> Option<&'static str> {
    /// More mistakes than a third of a name make another word of it.
    const PART_WRONG_MAX: usize = 3;
    let folded = key.to_lowercase().replace('-', "_");
    let folded = folded.strip_prefix("comet_task_runner_").unwrap_or(&folded);
    let best = SETTINGS.iter().map(|setting| (strsim::levenshtein(folded, setting.name), setting.name)).min()?;
    (best.0 <= best.1.len().div_ceil(PART_WRONG_MAX)).then_some(best.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        entries(Path::new("/etc/c.toml"), text).unwrap_err().to_string()
    }

    #[test]
    fn entries_come_with_their_lines_and_relative_paths_with_their_directory() {
        let text = "# first\nslots = 3\n\nstate_dir = \"s\"\nbrowsers = [\n  \"a=/a\",\n]\ndrain = \"5s\"\n";
        let read = entries(Path::new("/etc/c.toml"), text).unwrap();
        let seen: Vec<_> = read.iter().map(|entry| (entry.setting.name, entry.line, entry.given.clone())).collect();
        assert_eq!(
            seen,
            [
                ("slots", 2, Given::Number(3)),
                ("state_dir", 4, Given::Text("/etc/s".to_owned())),
                ("browsers", 5, Given::List(vec!["a=/a".to_owned()])),
                ("drain", 8, Given::Text("5s".to_owned())),
            ]
        );
    }

    #[test]
    fn an_unknown_key_is_told_with_the_nearest_known_one() {
        for (key, meant) in
            [("slotz", "slots"), ("state-dir", "state_dir"), ("qeue", "queue"), ("COMET_TASK_RUNNER_LOG", "log")]
        {
            let told = told(&format!("# one\n{key} = 1\n"));
            assert_eq!(told, format!("/etc/c.toml:2: unknown setting {key:?}; did you mean {meant:?}?"));
        }
        let told = told("\n\npotatoes = 1\n");
        assert!(
            told.starts_with("/etc/c.toml:3: unknown setting \"potatoes\"; there are: listen, tls_cert,"),
            "{told}"
        );
    }

    #[test]
    fn what_is_no_toml_is_told_with_its_line() {
        assert!(told("slots = 1\nqueue = \n").starts_with("/etc/c.toml:2: "));
        assert!(told("slots = 1\nslots = 2\n").starts_with("/etc/c.toml:2: "));
    }
}
