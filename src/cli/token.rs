//! `token`: prints the API token, where it lies, or a link that opens the page; adds, removes and lists other tokens.

use std::{
    collections::BTreeMap,
    env,
    io::{self, Write},
    path::PathBuf,
    time::{Duration, SystemTime},
};

use clap::{ArgGroup, Args};

use super::{Exit, Problem, args::Reach, connect::read_token, print::plain, span};
use crate::{
    api::Scope,
    config::{self, Given, Layers, Settings},
    server::{self, NewToken, TokensError},
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
}

impl Token {
    pub(super) fn run(self) -> Result<Exit, Problem> {
        let text = match &self {
            Self { add: Some(name), .. } => self.add(name)?,
            Self { remove: Some(name), .. } => {
                server::remove_token(&self.settings()?, name).map_err(|error| problem(&error))?;
                format!("removed {name}")
            }
            Self { list: true, .. } => self.list()?,
            Self { link: true, .. } => {
                let scope = self.scope.unwrap_or(Scope::Operate);
                let link = server::link(&self.reach.state_dir()?, scope);
                link.map_err(|error| Problem::NoService(error.to_string()))?
            }
            Self { scope: Some(_), .. } => {
                return Err(Problem::Usage("--scope goes with --add NAME or --link".to_owned()));
            }
            Self { path: true, .. } => self.reach.token_file()?.display().to_string(),
            _ => read_token(&self.reach.token_file()?)?,
        };
        writeln!(io::stdout(), "{text}")?;
        Ok(Exit::Done)
    }

    fn add(&self, name: &str) -> Result<String, Problem> {
        let scope = self.scope.ok_or_else(|| Problem::Usage("--add takes a --scope".to_owned()))?;
        let expires_at = self.expires.map(|span| SystemTime::now() + span);
        let wanted = NewToken { name: name.to_owned(), scope, expires_at: expires_at.map(Into::into) };
        server::add_token(&self.settings()?, &wanted).map_err(|error| problem(&error))
    }

    fn list(&self) -> Result<String, Problem> {
        let line = |name: &str, scope: &str, end: &str| format!("{name:<24}  {scope:<7}  {end}").trim_end().to_owned();
        let mut lines = vec![line("NAME", "SCOPE", "UNTIL")];
        for (entry, end) in server::list_tokens(&self.settings()?).map_err(|error| problem(&error))? {
            let end = end.map(|end| end.to_string()).unwrap_or_default();
            lines.push(line(&plain(&entry.name), entry.scope.word(), &end));
        }
        Ok(lines.join("\n"))
    }

    /// Those of the service on the state directory, as far as this call can see them.
    fn settings(&self) -> Result<Settings, Problem> {
        let text = |path: &PathBuf| Given::Text(path.display().to_string());
        let state_dir = self.reach.state_dir()?;
        let mut flags = BTreeMap::from([("state_dir", text(&state_dir))]);
        flags.extend(self.tokens_file.as_ref().map(|file| ("tokens_file", text(file))));
        let layers = Layers { flags: &flags, config: None, env: &|name| env::var_os(name) };
        let effective = config::resolve(&layers).map_err(|error| Problem::Usage(error.to_string()))?;
        Ok(effective.settings)
    }
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
