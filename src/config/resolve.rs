//! Brings the layers together: which value holds for each setting, and where it comes from.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt, io,
    path::{Path, PathBuf},
};

use super::{CONFIG_FILE, Form, Given, SETTINGS, Setting, Settings, Wrong, default_state_dir, file};

/// Names the configuration file.
pub const CONFIG_ENV: &str = "COMET_TASK_RUNNER_CONFIG";
/// Between the values of a list in a variable: no part of a browser's name, and rare in paths.
const LIST_SEPARATOR: char = ';';

/// What somebody gave, layer by layer.
pub struct Layers<'a> {
    /// Flags, by the name of their setting.
    pub flags: &'a BTreeMap<&'static str, Given>,
    /// The file that a flag named.
    pub config: Option<PathBuf>,
    /// Looks a variable up.
    pub env: &'a dyn Fn(&str) -> Option<OsString>,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody said anything.
    Default,
    /// A line of the configuration file.
    File(PathBuf, usize),
    /// A variable.
    Environment(&'static str),
    /// A flag.
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => write!(f, "default"),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "{name}"),
            Self::Flag(flag) => write!(f, "--{flag}"),
        }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration file {} cannot be read: {error}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It is not TOML.
    #[error("{}:{line}: {message}", path.display())]
    Syntax {
        /// Which.
        path: PathBuf,
        /// Where, from 1.
        line: usize,
        /// Why.
        message: String,
    },
    /// It names what is no setting.
    #[error("{}:{line}: unknown setting {key:?}; {}", path.display(), meant(*nearest))]
    Unknown {
        /// Which file.
        path: PathBuf,
        /// Where, from 1.
        line: usize,
        /// What it names.
        key: String,
        /// What it may mean.
        nearest: Option<&'static str>,
    },
    /// A value is not what its setting needs.
    #[error("{}: {wrong}", whose(origin, setting))]
    Wrong {
        /// Which setting.
        setting: &'static str,
        /// Where the value comes from.
        origin: Source,
        /// Why.
        wrong: Wrong,
    },
    /// A variable is not UTF-8.
    #[error("{variable} is not valid UTF-8")]
    NotText {
        /// Which.
        variable: &'static str,
    },
    /// The file that was found in the state directory names another one.
    #[error("{}:{line}: state_dir cannot be set in the state directory's own file; name the file with --config", path.display())]
    StateDirInItself {
        /// Which file.
        path: PathBuf,
        /// Where, from 1.
        line: usize,
    },
    /// No state directory.
    #[error("there is no home directory; name a --state-dir")]
    NoHome,
}

fn meant(nearest: Option<&str>) -> String {
    match nearest {
        Some(name) => format!("did you mean {name:?}?"),
        None => format!("there are: {}", SETTINGS.iter().map(|setting| setting.name).collect::<Vec<_>>().join(", ")),
    }
}

/// A flag and a variable name their setting themselves.
fn whose(origin: &Source, setting: &str) -> String {
    match origin {
        Source::Default | Source::File(..) => format!("{origin}: {setting}"),
        Source::Environment(_) | Source::Flag(_) => origin.to_string(),
    }
}

/// What holds, and where each part of it comes from.
#[derive(Debug)]
pub struct Effective {
    /// What a service is started with.
    pub settings: Settings,
    /// The file that was read.
    pub file: Option<PathBuf>,
    /// One for each setting of the table.
    sources: Vec<Source>,
}

/// One setting as it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its name.
    pub name: &'static str,
    /// Its value as a person would give it; none when it is not set.
    pub value: Option<String>,
    /// Where that comes from.
    pub source: Source,
}

impl Effective {
    /// Every setting as it holds.
    pub fn shown(&self) -> impl Iterator<Item = Shown> {
        SETTINGS.iter().zip(&self.sources).map(|(setting, source)| Shown {
            name: setting.name,
            value: (setting.show)(&self.settings),
            source: source.clone(),
        })
    }
}

/// Brings the layers together.
///
/// # Errors
/// Names what is at fault, and where it was given.
pub fn resolve(layers: &Layers<'_>) -> Result<Effective, ConfigError> {
    let of_env = environment(layers.env)?;
    let chosen = layers.config.clone().or_else(|| (layers.env)(CONFIG_ENV).map(PathBuf::from));
    let early = Early { flags: layers.flags, env: &of_env };
    let state_dir = early.state_dir()?;
    let (path, file) = match chosen {
        Some(path) => match file::read(&path)? {
            Some(entries) => (Some(path), entries),
            None => return Err(ConfigError::Unreadable { path, error: io::ErrorKind::NotFound.into() }),
        },
        None => match &state_dir {
            Some(dir) => read_own(dir)?,
            None => (None, Vec::new()),
        },
    };
    let state_dir_in_file = file.iter().any(|entry| entry.setting.name == STATE_DIR);
    let mut settings = match state_dir {
        Some(dir) => Settings::defaults(dir),
        None if state_dir_in_file => Settings::defaults(PathBuf::new()),
        None => return Err(ConfigError::NoHome),
    };
    let mut sources = Vec::with_capacity(SETTINGS.len());
    for setting in SETTINGS {
        let of_file = file.iter().find(|entry| entry.setting.name == setting.name);
        let given = layers
            .flags
            .get(setting.name)
            .map(|given| (given, Source::Flag(setting.flag)))
            .or_else(|| of_env.get(setting.name).map(|(variable, given)| (given, Source::Environment(variable))))
            .or_else(|| {
                let path = path.clone().unwrap_or_default();
                of_file.map(|entry| (&entry.given, Source::File(path, entry.line)))
            });
        let source = match given {
            None => Source::Default,
            Some((given, source)) => {
                let read = (setting.read)(&mut settings, given);
                read.map_err(|wrong| ConfigError::Wrong { setting: setting.name, origin: source.clone(), wrong })?;
                source
            }
        };
        sources.push(source);
    }
    Ok(Effective { settings, file: path, sources })
}

/// The setting that tells where the file is, unless that is named itself.
const STATE_DIR: &str = "state_dir";

/// The file in the state directory, if it is there.
fn read_own(state_dir: &Path) -> Result<(Option<PathBuf>, Vec<file::Entry>), ConfigError> {
    let path = state_dir.join(CONFIG_FILE);
    let Some(entries) = file::read(&path)? else { return Ok((None, Vec::new())) };
    match entries.iter().find(|entry| entry.setting.name == STATE_DIR) {
        Some(entry) => Err(ConfigError::StateDirInItself { path, line: entry.line }),
        None => Ok((Some(path), entries)),
    }
}

/// What the variables give, by the name of their setting. One that is empty says nothing.
fn environment(
    env: &dyn Fn(&str) -> Option<OsString>,
) -> Result<BTreeMap<&'static str, (&'static str, Given)>, ConfigError> {
    let mut found = BTreeMap::new();
    for setting in SETTINGS {
        for variable in [Some(setting.env), setting.other_env].into_iter().flatten() {
            let Some(value) = env(variable).filter(|value| !value.is_empty()) else { continue };
            let value = value.into_string().map_err(|_| ConfigError::NotText { variable })?;
            found.insert(setting.name, (variable, from_text(setting, value)));
            break;
        }
    }
    Ok(found)
}

fn from_text(setting: &Setting, text: String) -> Given {
    match setting.form {
        Form::List => Given::List(text.split(LIST_SEPARATOR).map(str::to_owned).collect()),
        Form::One | Form::Path | Form::Switch => Given::Text(text),
    }
}

/// The layers that are known before a file is read.
struct Early<'a> {
    flags: &'a BTreeMap<&'static str, Given>,
    env: &'a BTreeMap<&'static str, (&'static str, Given)>,
}

impl Early<'_> {
    /// The state directory, as far as these layers tell.
    fn state_dir(&self) -> Result<Option<PathBuf>, ConfigError> {
        let of_env = || self.env.get(STATE_DIR).map(|(variable, given)| (given, Source::Environment(variable)));
        let given = self.flags.get(STATE_DIR).map(|given| (given, Source::Flag("state-dir"))).or_else(of_env);
        match given {
            Some((given, origin)) => match given.path() {
                Ok(path) => Ok(Some(path)),
                Err(wrong) => Err(ConfigError::Wrong { setting: STATE_DIR, origin, wrong }),
            },
            None => Ok(default_state_dir().and_then(|dir| std::path::absolute(dir).ok())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn flags(given: &[(&'static str, Given)]) -> BTreeMap<&'static str, Given> {
        given.iter().cloned().collect()
    }

    fn text(text: &str) -> Given {
        Given::Text(text.to_owned())
    }

    fn shown(effective: &Effective, name: &str) -> (String, Source) {
        let shown = effective.shown().find(|shown| shown.name == name).unwrap();
        (shown.value.unwrap_or_default(), shown.source)
    }

    #[test]
    fn flags_go_before_the_environment_before_the_file_before_defaults() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("config.toml");
        fs::write(&file, "slots = 2\nqueue = 2\nwatchers = 2\n").unwrap();
        let flags = flags(&[("state_dir", text(home.path().to_str().unwrap())), ("slots", text("4"))]);
        let env = |name: &str| match name {
            "COMET_TASK_RUNNER_SLOTS" | "COMET_TASK_RUNNER_QUEUE" => Some("3".into()),
            "RUST_LOG" => Some("debug".into()),
            _ => None,
        };
        let effective = resolve(&Layers { flags: &flags, config: None, env: &env }).unwrap();
        assert_eq!(shown(&effective, "slots"), ("4".to_owned(), Source::Flag("slots")));
        assert_eq!(shown(&effective, "queue"), ("3".to_owned(), Source::Environment("COMET_TASK_RUNNER_QUEUE")));
        assert_eq!(shown(&effective, "watchers"), ("2".to_owned(), Source::File(file.clone(), 3)));
        assert_eq!(shown(&effective, "drain"), ("10s".to_owned(), Source::Default));
        assert_eq!(shown(&effective, "log"), ("debug".to_owned(), Source::Environment("RUST_LOG")));
        assert_eq!(effective.file, Some(file));
        assert_eq!((effective.settings.slots.get(), effective.settings.watchers_max), (4, 2));
    }

    #[test]
    fn a_file_that_is_named_must_be_there_and_may_name_the_state_directory() {
        let home = tempfile::tempdir().unwrap();
        let (file, none) = (home.path().join("c.toml"), |_: &str| None);
        let layers = |config| Layers { flags: const { &BTreeMap::new() }, config: Some(config), env: &none };
        let refused = resolve(&layers(file.clone())).unwrap_err().to_string();
        assert!(refused.contains(file.to_str().unwrap()), "{refused}");
        fs::write(&file, "state_dir = \"s\"\n").unwrap();
        let effective = resolve(&layers(file)).unwrap();
        assert_eq!(effective.settings.state_dir, home.path().join("s"));
    }

    #[test]
    fn the_state_directorys_own_file_cannot_move_it() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("config.toml"), "\nstate_dir = \"/elsewhere\"\n").unwrap();
        let flags = flags(&[("state_dir", text(home.path().to_str().unwrap()))]);
        let refused = resolve(&Layers { flags: &flags, config: None, env: &|_| None }).unwrap_err();
        assert!(matches!(refused, ConfigError::StateDirInItself { line: 2, .. }), "{refused}");
    }

    #[test]
    fn a_wrong_value_is_told_with_where_it_was_given() {
        let home = tempfile::tempdir().unwrap();
        let state_dir = ("state_dir", text(home.path().to_str().unwrap()));
        let refused = |flags: &BTreeMap<_, _>, env: &dyn Fn(&str) -> Option<OsString>| {
            resolve(&Layers { flags, config: None, env }).unwrap_err().to_string()
        };
        let told = refused(&flags(&[state_dir.clone(), ("slots", text("0"))]), &|_| None);
        assert_eq!(told, "--slots: expected a whole number from 1 on, found the text \"0\"");
        let told = refused(&flags(std::slice::from_ref(&state_dir)), &|name| (name == "RUST_LOG").then(|| "=".into()));
        assert!(told.starts_with("RUST_LOG: \"=\" is no log filter"), "{told}");
        fs::write(home.path().join("config.toml"), "drain = 5\n").unwrap();
        let told = refused(&flags(&[state_dir]), &|_| None);
        assert!(
            told.ends_with("config.toml:1: drain: 5 has no unit; write the duration as \"5s\", \"5m\" or \"2h\""),
            "{told}"
        );
    }
}
