//! The table of settings as a page for people and as a file to begin with.

use std::{fmt::Write as _, path::PathBuf};

use super::{Form, SETTINGS, Setting, Settings};

/// What stands above the table.
const HEAD: &str = "\
# Settings

Made from the program's own table by `make generate`; do not edit.

A flag goes before the environment, the environment before the file, the file before the default. The variable of a
setting is `COMET_TASK_RUNNER_` and its name in capitals; in it the parts of a list stand between `;`. The file is `config.toml` in the state directory, or the one
that `--config FILE` or `COMET_TASK_RUNNER_CONFIG` names. What is no setting is refused by name. Durations have a unit:
`30s`, `5m`, `2h`. `comet-task-runner doctor` prints what holds here, and where each value comes from.

";

/// What stands above the settings of the file to begin with.
const FILE_HEAD: &str = "\
# Settings of the service; each is shown with its default. Flags and the environment go before this file.
# `comet-task-runner doctor --config FILE` tells what holds, and what is wrong.
";

/// The page, as Markdown.
#[must_use]
pub fn settings_page() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("| setting | flag | default | |\n|---|---|---|---|\n");
    for setting in SETTINGS {
        let Setting { name, help, .. } = setting;
        // A bar would end its cell.
        let (flag, help) = (setting.flag_shown().replace('|', "\\|"), help.replace('|', "\\|"));
        let _ = writeln!(page, "| `{name}` | `{flag}` | {} | {help}{} |", setting.default_shown(), setting.also());
    }
    let _ = write!(page, "\n## As a file\n\n```toml\n{}```\n", config_file());
    page
}

/// A file in which every setting stands with its default, switched off.
#[must_use]
pub fn config_file() -> String {
    let mut file = FILE_HEAD.to_owned();
    for setting in SETTINGS {
        let _ = write!(file, "\n# {}", setting.help);
        if let Some(words) = setting.default_words {
            let _ = write!(file, " [default: {words}]");
        }
        let _ = write!(file, "\n#{} = {}\n", setting.name, setting.example());
    }
    file
}

impl Setting {
    /// Its flag with the kind of value that it takes.
    fn flag_shown(&self) -> String {
        match self.form {
            Form::Switch => format!("--{}", self.flag),
            Form::One | Form::Path => format!("--{} {}", self.flag, self.value_name),
            Form::List => format!("--{} {} ...", self.flag, self.value_name),
        }
    }

    /// The default: a value as code, words as words.
    fn default_shown(&self) -> String {
        let text = self.default_text();
        if self.default_words.is_some() || text == "none" { text } else { format!("`{text}`") }
    }

    fn also(&self) -> String {
        self.other_env.map(|name| format!("; `{name}` says the same, with less weight")).unwrap_or_default()
    }

    /// Its value in a file: the default, or where that depends on the machine, what kind of thing is wanted.
    fn example(&self) -> String {
        let default = (self.show)(&Settings::defaults(PathBuf::new())).filter(|_| self.default_words.is_none());
        match (self.form, default) {
            (Form::List, _) => "[]".to_owned(),
            (_, Some(value)) if value.parse::<u64>().is_ok() || value.parse::<bool>().is_ok() => value,
            (_, Some(value)) => format!("{value:?}"),
            (_, None) => format!("{:?}", self.value_name),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs};

    use super::*;
    use crate::config::{Effective, Layers, resolve};

    #[test]
    fn the_file_switched_on_is_what_holds_without_one() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("c.toml");
        let switched_on: Vec<_> = config_file()
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(setting) if SETTINGS.iter().any(|of| setting.starts_with(&format!("{} = ", of.name))) => {
                    let of = SETTINGS.iter().find(|of| setting.starts_with(&format!("{} = ", of.name))).unwrap();
                    // What depends on the machine has no value of its own here.
                    if of.example() == format!("{:?}", of.value_name) { String::new() } else { setting.to_owned() }
                }
                Some(_) | None => line.to_owned(),
            })
            .collect();
        assert!(switched_on.iter().filter(|line| !line.is_empty() && !line.starts_with('#')).count() > 15);
        fs::write(&file, switched_on.join("\n")).unwrap();
        let env = |name: &str| (name == "HOME").then(|| directory.path().as_os_str().to_owned());
        let shown = |config| {
            let flags = BTreeMap::from([("state_dir", crate::config::Given::Text("/s".to_owned()))]);
            let effective: Effective = resolve(&Layers { flags: &flags, config, env: &env }).unwrap();
            SETTINGS.iter().map(|setting| (setting.show)(&effective.settings)).collect::<Vec<_>>()
        };
        assert_eq!(shown(Some(file)), shown(None));
    }

    #[test]
    fn each_setting_has_its_row_and_its_line() {
        let page = settings_page();
        for setting in SETTINGS {
            assert_eq!(page.matches(&format!("| `{}` |", setting.name)).count(), 1, "{}", setting.name);
            assert_eq!(page.matches(&format!("\n#{} = ", setting.name)).count(), 1, "{}", setting.name);
        }
    }
}
