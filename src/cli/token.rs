//! `token`: prints the API token, where it lies, or a link that opens the page; adds, removes and lists other tokens.

use std::{
    collections::BTreeMap,
    env,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use clap::{ArgGroup, Args};
use serde_json::{Value, json};

use super::{
    Exit, Problem,
    args::{Format, Reach},
    print::{plain, print_line},
    span,
};
use crate::{
    api::Scope,
    client,
    config::{self, CONFIG_ENV, Effective, Given, Layers, Settings, Source},
    server::{self, NewToken, TOKEN_FILE, TokensError},
};

/// Arguments of `token`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").args(["path", "link", "add", "remove", "list"]))]
pub(super) struct Token {
    #[command(flatten)]
    reach: Reach,
    /// Print the path of its file instead
    #[arg(long)]
    path: bool,
    /// Print a link instead that opens the page of the service on the state directory: once, within ten minutes
    #[arg(long)]
    link: bool,
    /// Make another token of that name, write its hash to the tokens file, and print it this once
    #[arg(long, value_name = "NAME", requires = "scope")]
    add: Option<String>,
    /// Remove the token of that name; what it was used for ends at once
    #[arg(long, value_name = "NAME")]
    remove: Option<String>,
    /// List the names, scopes and ends of the other tokens
    #[arg(long)]
    list: bool,
    /// What the token of --add, or the session of --link, may do: observe, operate or admin [default of a link: operate]
    #[arg(long, value_name = "SCOPE", conflicts_with_all = ["path", "remove", "list"])]
    scope: Option<Scope>,
    /// How long the token of --add holds, such as 12h or 30d [default: until it is removed]
    #[arg(long, value_name = "SPAN", requires = "add", value_parser = life)]
    expires: Option<Duration>,
    /// The tokens file [default: the service's setting, or tokens.toml in the state directory]
    #[arg(long, value_name = "FILE")]
    tokens_file: Option<PathBuf>,
    /// The service's configuration file, which may name the tokens file and the state directory of --add, --remove and --list
    #[arg(long, value_name = "FILE", env = CONFIG_ENV, hide_env_values = true)]
    config: Option<PathBuf>,
    #[command(flatten)]
    format: Format,
}

impl Token {
    pub(super) fn run(self) -> Result<Exit, Problem> {
        match &self {
            Self { add: Some(name), .. } => self.print("token", &self.add(name)?),
            Self { remove: Some(name), .. } => {
                server::remove_token(&self.settings()?, name).map_err(|error| problem(&error))?;
                self.say("removed", name, &format!("removed {name}"))
            }
            Self { list: true, .. } => self.list(),
            Self { link: true, .. } => {
                let link = server::link(&self.reach.state_dir()?, self.scope.unwrap_or(Scope::Operate));
                self.print("link", &link.map_err(|error| Problem::NoService(error.to_string()))?)
            }
            Self { scope: Some(_), .. } => Err(Problem::Usage("--scope goes with --add NAME or --link".to_owned())),
            Self { path: true, .. } => self.print("path", &self.reach.token_file()?.display().to_string()),
            _ => self.print("token", &client::Token::File(self.reach.token_file()?).read()?),
        }
    }

    fn print(&self, key: &str, text: &str) -> Result<Exit, Problem> {
        self.say(key, text, text)
    }

    /// A value by its key, or the words for it.
    fn say(&self, key: &str, value: &str, words: &str) -> Result<Exit, Problem> {
        if self.format.json {
            print_line(&json!({ key: value }).to_string())?;
        } else {
            print_line(words)?;
        }
        Ok(Exit::Done)
    }

    fn add(&self, name: &str) -> Result<String, Problem> {
        let scope = self.scope.ok_or_else(|| Problem::Usage("--add takes a --scope".to_owned()))?;
        let expires_at = self.expires.map(|span| SystemTime::now() + span);
        let wanted = NewToken { name: name.to_owned(), scope, expires_at: expires_at.map(Into::into) };
        let effective = self.effective()?;
        if let Some(what) = unread(&effective) {
            if state_dir_source(&effective) == Source::Default {
                let remedy = "name the --config, the --state-dir or the --tokens-file of the service";
                return Err(Problem::Usage(format!("{what}; {remedy}")));
            }
            eprintln!("{what}; only one that is started there will take the token");
        }
        server::add_token(&effective.settings, &wanted).map_err(|error| problem(&error))
    }

    fn list(&self) -> Result<Exit, Problem> {
        let tokens = server::list_tokens(&self.settings()?).map_err(|error| problem(&error))?;
        let rows = tokens.iter().map(|(entry, end)| {
            (entry.name.as_str(), entry.scope.word(), end.as_ref().map(ToString::to_string).unwrap_or_default())
        });
        if self.format.json {
            let rows = rows.map(|(name, scope, end)| json!({ "name": name, "scope": scope, "until": end }));
            print_line(&Value::from_iter(rows).to_string())?;
            return Ok(Exit::Done);
        }
        let line = |name: &str, scope: &str, end: &str| format!("{name:<24}  {scope:<7}  {end}").trim_end().to_owned();
        print_line(&line("NAME", "SCOPE", "UNTIL"))?;
        for (name, scope, end) in rows {
            print_line(&line(&plain(name), scope, &end))?;
        }
        Ok(Exit::Done)
    }

    /// Those of the service on the state directory, as far as this call can see them.
    fn settings(&self) -> Result<Settings, Problem> {
        Ok(self.effective()?.settings)
    }

    fn effective(&self) -> Result<Effective, Problem> {
        let text = |path: &PathBuf| Given::Text(path.display().to_string());
        let state_dir = self.reach.named_state_dir()?;
        let mut flags = BTreeMap::new();
        flags.extend(state_dir.as_ref().map(|dir| ("state_dir", text(dir))));
        flags.extend(self.tokens_file.as_ref().map(|file| ("tokens_file", text(file))));
        let layers = Layers { flags: &flags, config: self.config.clone(), env: &|name| env::var_os(name) };
        config::resolve(&layers).map_err(|error| Problem::Usage(error.to_string()))
    }
}

/// What is to be said when no service is known that would read a token in the state directory.
fn unread(effective: &Effective) -> Option<String> {
    let Settings { state_dir, tokens_file, .. } = &effective.settings;
    // Each service leaves its own token there, at its first start and for good.
    let is_new = || matches!(state_dir.join(TOKEN_FILE).try_exists(), Ok(false));
    let nobody = || format!("no service ever ran on the state directory {}", state_dir.display());
    (tokens_file.is_none() && is_new()).then(nobody)
}

fn state_dir_source(effective: &Effective) -> Source {
    let shown = effective.shown().find(|shown| shown.name == "state_dir");
    shown.expect("there is a state directory among the settings").source
}

/// How long a token holds: in days too, which no other duration here is counted in.
fn life(text: &str) -> Result<Duration, String> {
    /// Those of a day.
    const SECONDS: u64 = 24 * 3600;
    /// A century, past which a token may as well have no end.
    const DAYS_MAX: u64 = 36_525;
    let life = match text.strip_suffix('d').map(str::parse::<u64>) {
        Some(Ok(days)) if days <= DAYS_MAX => Duration::from_secs(days * SECONDS),
        Some(Ok(days)) => return Err(format!("{days} days are more than a century; leave it out for no end")),
        Some(Err(_)) | None => {
            span::parse(text).map_err(|_| format!("{text:?} is no duration; write it as 30d, 12h or 5m"))?
        }
    };
    if life < Duration::from_secs(1) {
        return Err("a token holds for a second at least".to_owned());
    }
    Ok(life)
}

fn problem(error: &TokensError) -> Problem {
    match error {
        TokensError::Unreadable(..) | TokensError::Unwritable(..) => Problem::NoService(error.to_string()),
        TokensError::Exposed(..) | TokensError::Wrong(..) | TokensError::Refused(_) => {
            Problem::Usage(error.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_is_counted_in_days_or_as_every_other_duration() {
        for (text, seconds) in [("30d", 2_592_000), ("12h", 43_200), ("1s", 1), ("36525d", 3_155_760_000)] {
            assert_eq!(life(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for wrong in ["0", "0d", "999ms", "d", "-1d", "36526d", "18446744073709551615d", "30", "1.5d", "soon"] {
            assert!(life(wrong).is_err(), "{wrong}");
        }
    }
}
