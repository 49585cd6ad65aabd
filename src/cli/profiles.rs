//! `profiles`: lists the profiles that keep their logins, and removes one.

use clap::{Args, Subcommand};

use super::{
    Exit, Problem,
    args::{Format, Reach},
    print::{Printer, day_and_clock, plain, print_line},
};
use crate::api::v1::{ListProfilesRequest, Profile, RemoveProfileRequest};

/// Arguments of `profiles`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Profiles {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Remove a profile with all that is in it: cookies, logins, history
    Remove(Remove),
}

#[derive(Debug, Args)]
struct Remove {
    /// The profile
    name: String,
    /// The browser whose it is [default: the only one that has a profile of that name]
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    browser: String,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    format: Format,
}

impl Profiles {
    pub(super) async fn run(self) -> Result<Exit, Problem> {
        match self.what {
            Some(What::Remove(remove)) => remove.run().await,
            None => list(&self.reach, self.format).await,
        }
    }
}

impl Remove {
    async fn run(self) -> Result<Exit, Problem> {
        let mut client = self.reach.target()?.connect().await?;
        let request = RemoveProfileRequest { name: self.name, browser: self.browser };
        let answer = client.remove_profile(request).await?.into_inner();
        Printer::new(self.format).print("RemoveProfileResponse", &answer, || {
            answer.profile.as_ref().map(|profile| format!("removed {}", line(profile))).unwrap_or_default()
        })?;
        Ok(Exit::Done)
    }
}

/// All of them, page by page.
async fn list(reach: &Reach, format: Format) -> Result<Exit, Problem> {
    let mut client = reach.target()?.connect().await?;
    let printer = Printer::new(format);
    let mut request = ListProfilesRequest::default();
    let mut is_first = true;
    loop {
        let page = client.list_profiles(request.clone()).await?.into_inner();
        for profile in &page.profiles {
            if std::mem::take(&mut is_first) && !format.json {
                print_line(&columns("BROWSER", "PROFILE", "SIZE", "LAST USED", "TASK"))?;
            }
            printer.print("Profile", profile, || line(profile))?;
        }
        if page.next_page_token.is_empty() {
            return Ok(Exit::Done);
        }
        request.page_token = page.next_page_token;
    }
}

fn line(profile: &Profile) -> String {
    /// So many bytes to a MiB.
    const MIB: f64 = 1_048_576.0;
    let size = format!("{:.1} MiB", profile.size_bytes as f64 / MIB);
    let waiting = if profile.waiting_count > 0 { format!("+{}", profile.waiting_count) } else { String::new() };
    let task = format!("{} {waiting}", profile.task_id);
    let last_used = day_and_clock(profile.last_used_at.as_ref());
    columns(&plain(&profile.browser), &plain(&profile.name), &size, &last_used, task.trim())
}

fn columns(browser: &str, name: &str, size: &str, last_used: &str, task: &str) -> String {
    // As wide as most names; a longer one pushes the rest aside.
    format!("{browser:<10}  {name:<16}  {size:>10}  {last_used:<14}  {task}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_size_task_and_those_who_wait() {
        let profile = Profile {
            name: "work".to_owned(),
            browser: "chromium".to_owned(),
            size_bytes: 12_897_484,
            task_id: "0190".to_owned(),
            waiting_count: 2,
            ..Profile::default()
        };
        let told = line(&profile);
        assert!(told.starts_with("chromium    work                12.3 MiB  "), "{told}");
        assert!(told.ends_with("0190 +2"), "{told}");
        assert!(line(&Profile { task_id: String::new(), waiting_count: 0, ..profile }).ends_with("-- --:--:--"));
    }
}
