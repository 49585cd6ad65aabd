//! What a browser is started with.

use std::{
    fs::DirBuilder,
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Host,
    host::boot_now,
    profile_lock::{self, ProfileInUse},
};
use crate::{
    browser::{self, Family, LaunchPlan, command::CommandError, name::NameError, profile},
    job::{BootTime, CallbackDelivery, Job, LaunchFailure, Profile, Tier},
    process::{Go, Nonce, Place},
};

/// Why a browser cannot be started.
#[derive(Debug, thiserror::Error)]
pub(super) enum LaunchError {
    #[error("the browser {0:?} is no longer there")]
    BrowserGone(String),
    #[error("the profile's name is not one: {0}")]
    Profile(#[from] NameError),
    #[error("the profile directory {0} cannot be made: {1}")]
    ProfileDir(PathBuf, io::Error),
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(transparent)]
    ProfileInUse(#[from] ProfileInUse),
}

impl LaunchError {
    /// What kind of failure the job is told of.
    pub(super) const fn failure(&self) -> LaunchFailure {
        match self {
            Self::ProfileInUse(_) => LaunchFailure::ProfileHeld,
            Self::BrowserGone(_) | Self::Profile(_) | Self::ProfileDir(..) | Self::Command(_) => LaunchFailure::Refused,
        }
    }
}

/// Ties a shim to its launch.
pub(super) fn nonce() -> Nonce {
    Nonce::random()
}

/// The word that lets the job's browser start.
pub(super) fn go(host: &Host, job: &Job) -> Result<Go, LaunchError> {
    let browser = host
        .browsers
        .iter()
        .find(|browser| browser.name == job.spec.browser)
        .ok_or_else(|| LaunchError::BrowserGone(job.spec.browser.clone()))?;
    let task_id = job.id.to_string();
    let profile = match &job.spec.profile {
        Profile::Ephemeral => profile::Profile::Ephemeral,
        Profile::Named(name) => profile::Profile::Named(profile::ProfileName::parse(name)?),
    };
    let profile = profile.place(host.dirs.place(&task_id).run_dir(), &host.state_dir, &browser.name);
    let is_own = job.spec.tier == Tier::UserBrowser;
    // Firefox alone makes none: it asks a person what to do about a profile that is not there.
    if profile.lock.is_some() || (browser.family == Family::Firefox && !is_own) {
        private_dir(&profile.dir).map_err(|error| LaunchError::ProfileDir(profile.dir.clone(), error))?;
    }
    if profile.lock.is_some() {
        // The job holds the right to it, so that what is left there is nobody's of this service.
        profile_lock::heal(&profile.dir)?;
    }
    // A browser without a pipe is told by its arguments, which other users of the machine can read: whoever does may
    // report on this one task.
    let url = format!("{}{}", job.spec.url.as_str(), fragment(host, job));
    let plan = LaunchPlan {
        browser,
        tier: job.spec.tier,
        headless: job.spec.headless,
        profile_dir: &profile.dir,
        task_id: &task_id,
        // An ordinary person's own browser has its sandbox, whatever the service's own are started without.
        no_sandbox: host.no_sandbox && (!is_own || host.as_root),
        small_dev_shm: host.small_dev_shm,
        url: &url,
    };
    let run_deadline = job.spec.timeouts.run.map(|run| boot_now().saturating_add(run));
    Ok(Go {
        lock: profile.lock,
        run_deadline_boot_ns: run_deadline.map(BootTime::nanos),
        ..word(host, &plan, job.spec.grace)?
    })
}

/// How long a browser that tasks share has to leave when no service came back: as long as a task's by default.
const WARM_GRACE: Duration = Duration::from_secs(5);

/// The word that starts a browser to be shared, on a profile that is gone with it. It keeps no time for any one task.
pub(super) fn warm(host: &Host, name: &str, headless: bool, place: &Place) -> Result<Go, LaunchError> {
    let browser = host.browsers.iter().find(|browser| browser.name == name);
    let plan = LaunchPlan {
        browser: browser.ok_or_else(|| LaunchError::BrowserGone(name.to_owned()))?,
        tier: Tier::Managed,
        headless,
        profile_dir: &place.profile(),
        task_id: place.task_id(),
        no_sandbox: host.no_sandbox,
        small_dev_shm: host.small_dev_shm,
        url: "",
    };
    word(host, &plan, WARM_GRACE)
}

fn word(host: &Host, plan: &LaunchPlan<'_>, grace: Duration) -> Result<Go, LaunchError> {
    let command = browser::command(plan, host.environment.iter().cloned())?;
    Ok(Go {
        argv: command.argv,
        env: command.env,
        pipe: plan.tier == Tier::Managed,
        lock: None,
        run_deadline_boot_ns: None,
        away_max_ms: u64::try_from(host.away_max.as_millis()).unwrap_or(u64::MAX),
        grace_ms: u64::try_from(grace.as_millis()).unwrap_or(u64::MAX),
        left_alone: plan.tier == Tier::UserBrowser,
    })
}

/// What is appended to the task's URL when it is opened, and to nothing that anybody is told.
pub(super) fn fragment(host: &Host, job: &Job) -> String {
    match job.spec.callback_delivery {
        CallbackDelivery::Binding => String::new(),
        CallbackDelivery::Fragment => format!("#ctr={}.{}", job.id, host.key.callback_token(job.id)),
    }
}

fn private_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}
