//! The settings of a service as flags: one for each entry of the table, and the file that gives the rest.

use std::{collections::BTreeMap, env, path::PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, parser::ValueSource};

use super::Problem;
use crate::config::{self, CONFIG_ENV, CONFIG_FILE, Effective, Form, Given, Layers, SETTINGS, Setting};

/// What the flags give.
#[derive(Clone, Debug)]
pub(super) struct SettingFlags {
    flags: BTreeMap<&'static str, Given>,
    config: Option<PathBuf>,
}

/// The flag that names the file.
const CONFIG: &str = "config";

impl SettingFlags {
    /// What holds, with the environment and the file.
    pub(super) fn resolve(&self) -> Result<Effective, Problem> {
        let layers = Layers { flags: &self.flags, config: self.config.clone(), env: &|name| env::var_os(name) };
        config::resolve(&layers).map_err(|error| Problem::Usage(error.to_string()))
    }
}

impl Args for SettingFlags {
    fn augment_args(command: Command) -> Command {
        let file = Arg::new(CONFIG)
            .long(CONFIG)
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .env(CONFIG_ENV)
            .hide_env_values(true)
            .help(format!(
                "A TOML file with settings, under the environment and the flags [default: {CONFIG_FILE} in the state \
                 directory, if it is there]"
            ));
        command.arg(file).args(SETTINGS.iter().map(flag))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn flag(setting: &'static Setting) -> Arg {
    let arg = Arg::new(setting.name)
        .long(setting.flag)
        .value_name(setting.value_name)
        .env(setting.env)
        .hide_env_values(true)
        .help(format!("{} [default: {}]", setting.help, setting.default_text()));
    match setting.form {
        Form::One | Form::Path => arg,
        Form::List => arg.action(ArgAction::Append),
        Form::Switch => arg.num_args(0..=1).require_equals(true).default_missing_value("true").help(format!(
            "{} [default: {}]",
            setting.help,
            setting.default_text()
        )),
    }
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |setting: &'static Setting| {
            // Variables are read with the file, in one place for every form.
            if matches.value_source(setting.name) != Some(ValueSource::CommandLine) {
                return None;
            }
            let mut values: Vec<String> = matches.get_many::<String>(setting.name)?.cloned().collect();
            let given = match setting.form {
                Form::List => Given::List(values),
                Form::One | Form::Path | Form::Switch => Given::Text(values.pop()?),
            };
            Some((setting.name, given))
        };
        Ok(Self {
            flags: SETTINGS.iter().filter_map(given).collect(),
            config: matches.get_one::<PathBuf>(CONFIG).cloned(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
