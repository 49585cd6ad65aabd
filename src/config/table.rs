//! The table of settings: each one's name, flag, variable, help, and how it is read and shown.

use std::num::{NonZeroU64, NonZeroUsize};

use super::{
    LogFormat, Settings,
    given::{Given, Wrong},
    span,
};

/// One setting of a service.
#[derive(Debug)]
pub struct Setting {
    /// Its key in the file.
    pub name: &'static str,
    /// Its flag, without the dashes.
    pub flag: &'static str,
    /// Its environment variable.
    pub env: &'static str,
    /// Another variable that says the same, with less weight.
    pub other_env: Option<&'static str>,
    /// What kind of text a person gives.
    pub value_name: &'static str,
    /// What it means.
    pub help: &'static str,
    /// The default in words, where the value itself depends on the machine.
    pub default_words: Option<&'static str>,
    /// How it can be given.
    pub form: Form,
    pub(super) read: fn(&mut Settings, &Given) -> Result<(), Wrong>,
    pub(super) show: fn(&Settings) -> Option<String>,
}

/// How a setting can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One value.
    One,
    /// A path; a relative one in a file is seen from that file's directory.
    Path,
    /// Yes or no; its flag alone means yes.
    Switch,
    /// Several values: its flag can be repeated, its variable separates them by `;`.
    List,
}

/// Every setting, in the order in which help and `doctor` show them.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "listen",
        flag: "listen",
        env: "COMET_TASK_RUNNER_LISTEN",
        other_env: None,
        value_name: "ADDR",
        help: "Where to listen: a loopback address, or any with TLS; port 0 lets the system choose",
        default_words: None,
        form: Form::One,
        read: |to, given| given.address().map(|address| to.listen = address),
        show: |of| Some(of.listen.to_string()),
    },
    Setting {
        name: "tls_cert",
        flag: "tls-cert",
        env: "COMET_TASK_RUNNER_TLS_CERT",
        other_env: None,
        value_name: "FILE",
        help: "Speak TLS with this certificate: a PEM file, the service's own first, then those between it and a root",
        default_words: Some("no TLS"),
        form: Form::Path,
        read: |to, given| given.path().map(|path| to.tls_cert = Some(path)),
        show: |of| of.tls_cert.as_ref().map(|path| path.display().to_string()),
    },
    Setting {
        name: "tls_key",
        flag: "tls-key",
        env: "COMET_TASK_RUNNER_TLS_KEY",
        other_env: None,
        value_name: "FILE",
        help: "The key of --tls-cert: a PEM file",
        default_words: Some("no TLS"),
        form: Form::Path,
        read: |to, given| given.path().map(|path| to.tls_key = Some(path)),
        show: |of| of.tls_key.as_ref().map(|path| path.display().to_string()),
    },
    Setting {
        name: "tokens_file",
        flag: "tokens-file",
        env: "COMET_TASK_RUNNER_TOKENS_FILE",
        other_env: None,
        value_name: "FILE",
        help: "A TOML file with further tokens and what each may do",
        default_words: Some("tokens.toml in the state directory, if it is there"),
        form: Form::Path,
        read: |to, given| given.path().map(|path| to.tokens_file = Some(path)),
        show: |of| of.tokens_file.as_ref().map(|path| path.display().to_string()),
    },
    Setting {
        name: "hosts",
        flag: "host",
        env: "COMET_TASK_RUNNER_HOSTS",
        other_env: None,
        value_name: "NAME[:PORT]",
        help: "A further name by which the service may be called, by others or through a proxy",
        default_words: None,
        form: Form::List,
        read: |to, given| given.list().map(|hosts| to.hosts = hosts),
        show: |of| (!of.hosts.is_empty()).then(|| of.hosts.join(";")),
    },
    Setting {
        name: "state_dir",
        flag: "state-dir",
        env: "COMET_TASK_RUNNER_STATE_DIR",
        other_env: None,
        value_name: "DIR",
        help: "Where the service keeps what it remembers",
        default_words: Some("$XDG_STATE_HOME or ~/.local/state, /comet-task-runner"),
        form: Form::Path,
        read: |to, given| given.path().map(|path| to.state_dir = path),
        show: |of| Some(of.state_dir.display().to_string()),
    },
    Setting {
        name: "slots",
        flag: "slots",
        env: "COMET_TASK_RUNNER_SLOTS",
        other_env: None,
        value_name: "N",
        help: "How many tasks run at once",
        default_words: Some("one per core"),
        form: Form::One,
        read: |to, given| given.count_from_one().map(|count| to.slots = count),
        show: |of| Some(of.slots.to_string()),
    },
    Setting {
        name: "launches_max",
        flag: "launches-max",
        env: "COMET_TASK_RUNNER_LAUNCHES_MAX",
        other_env: None,
        value_name: "N",
        help: "How many browsers may be coming up at once",
        default_words: Some("one per core"),
        form: Form::One,
        read: |to, given| given.count_from_one().map(|count| to.launches_max = count),
        show: |of| Some(of.launches_max.to_string()),
    },
    Setting {
        name: "memory_floor_mb",
        flag: "memory-floor-mb",
        env: "COMET_TASK_RUNNER_MEMORY_FLOOR_MB",
        other_env: None,
        value_name: "MIB",
        help: "Start no task while less memory than this is available, in MiB; 0 for any",
        default_words: None,
        form: Form::One,
        read: |to, given| given.count().map(|count| to.memory_floor_mb = count),
        show: |of| Some(of.memory_floor_mb.to_string()),
    },
    Setting {
        name: "windows_max",
        flag: "windows-max",
        env: "COMET_TASK_RUNNER_WINDOWS_MAX",
        other_env: None,
        value_name: "N",
        help: "How many tasks may have their windows open, those included that are over and were kept open",
        default_words: None,
        form: Form::One,
        read: |to, given| given.count_from_one().map(|count| to.windows_max = count),
        show: |of| Some(of.windows_max.to_string()),
    },
    Setting {
        name: "windows_evict",
        flag: "windows-evict",
        env: "COMET_TASK_RUNNER_WINDOWS_EVICT",
        other_env: None,
        value_name: "BOOL",
        help: "Close the window that was kept open the longest when another is wanted and there may be no more",
        default_words: None,
        form: Form::Switch,
        read: |to, given| given.switch().map(|on| to.windows_evict = on),
        show: |of| Some(of.windows_evict.to_string()),
    },
    Setting {
        name: "queue",
        flag: "queue",
        env: "COMET_TASK_RUNNER_QUEUE",
        other_env: None,
        value_name: "N",
        help: "How many tasks may wait",
        default_words: None,
        form: Form::One,
        read: |to, given| given.count().map(|count| to.queue_max = count),
        show: |of| Some(of.queue_max.to_string()),
    },
    Setting {
        name: "fair_label",
        flag: "fair-label",
        env: "COMET_TASK_RUNNER_FAIR_LABEL",
        other_env: None,
        value_name: "LABEL",
        help: "The label whose values take turns among the tasks of one priority that wait",
        default_words: None,
        form: Form::One,
        read: |to, given| given.text().map(|label| to.fair_label = label.to_owned()),
        show: |of| Some(of.fair_label.clone()),
    },
    Setting {
        name: "watchers",
        flag: "watchers",
        env: "COMET_TASK_RUNNER_WATCHERS",
        other_env: None,
        value_name: "N",
        help: "How many streams may watch at once",
        default_words: None,
        form: Form::One,
        read: |to, given| given.count().map(|count| to.watchers_max = count),
        show: |of| Some(of.watchers_max.to_string()),
    },
    Setting {
        name: "browsers",
        flag: "browser",
        env: "COMET_TASK_RUNNER_BROWSERS",
        other_env: None,
        value_name: "NAME=PATH[,exit-only]",
        help: "A browser beside those that are found: its name, its program, and whether only its exit can be known",
        default_words: None,
        form: Form::List,
        read: |to, given| given.list().map(|browsers| to.browsers = browsers),
        show: |of| (!of.browsers.is_empty()).then(|| of.browsers.join(";")),
    },
    Setting {
        name: "no_sandbox",
        flag: "no-sandbox",
        env: "COMET_TASK_RUNNER_NO_SANDBOX",
        other_env: None,
        value_name: "BOOL",
        help: "Start Chromium browsers without their sandbox, as root must",
        default_words: None,
        form: Form::Switch,
        read: |to, given| given.switch().map(|on| to.no_sandbox = on),
        show: |of| Some(of.no_sandbox.to_string()),
    },
    Setting {
        name: "legacy_rest",
        flag: "legacy-rest",
        env: "COMET_TASK_RUNNER_LEGACY_REST",
        other_env: None,
        value_name: "BOOL",
        help: "Serve the routes of the old service too, without a token: POST /execute, GET /status/ID, POST /callback, GET /jobs",
        default_words: None,
        form: Form::Switch,
        read: |to, given| given.switch().map(|on| to.legacy_rest = on),
        show: |of| Some(of.legacy_rest.to_string()),
    },
    Setting {
        name: "away_max",
        flag: "away-max",
        env: "COMET_TASK_RUNNER_AWAY_MAX",
        other_env: None,
        value_name: "TIME",
        help: "How long a browser may live on without a service",
        default_words: None,
        form: Form::One,
        read: |to, given| given.span().map(|span| to.away_max = span),
        show: |of| Some(span::show(of.away_max)),
    },
    Setting {
        name: "downloads_max_mb",
        flag: "downloads-max-mb",
        env: "COMET_TASK_RUNNER_DOWNLOADS_MAX_MB",
        other_env: None,
        value_name: "MIB",
        help: "How much room the downloads of one task may take; what would take more is cancelled",
        default_words: None,
        form: Form::One,
        read: |to, given| given.count_from_one().map(|count| to.downloads_max_mb = wide(count)),
        show: |of| Some(of.downloads_max_mb.to_string()),
    },
    Setting {
        name: "evidence",
        flag: "evidence",
        env: "COMET_TASK_RUNNER_EVIDENCE",
        other_env: None,
        value_name: "BOOL",
        help: "Keep what the page showed last of a task that failed or timed out",
        default_words: None,
        form: Form::Switch,
        read: |to, given| given.switch().map(|on| to.evidence = on),
        show: |of| Some(of.evidence.to_string()),
    },
    Setting {
        name: "warm_idle",
        flag: "warm-idle",
        env: "COMET_TASK_RUNNER_WARM_IDLE",
        other_env: None,
        value_name: "TIME",
        help: "How long a browser that tasks share (isolation CONTEXT) is kept without one; 0 closes it with its last task",
        default_words: None,
        form: Form::One,
        read: |to, given| given.span().map(|span| to.warm_idle = span),
        show: |of| Some(span::show(of.warm_idle)),
    },
    Setting {
        name: "drain",
        flag: "drain",
        env: "COMET_TASK_RUNNER_DRAIN",
        other_env: None,
        value_name: "TIME",
        help: "How long a shutdown waits for streams to end",
        default_words: None,
        form: Form::One,
        read: |to, given| given.span().map(|span| to.drain = span),
        show: |of| Some(span::show(of.drain)),
    },
    Setting {
        name: "webhook_url",
        flag: "webhook-url",
        env: "COMET_TASK_RUNNER_WEBHOOK_URL",
        other_env: None,
        value_name: "URL",
        help: "Where the end of each task is posted: https, or http on this machine",
        default_words: Some("nowhere"),
        form: Form::One,
        read: |to, given| given.webhook_url().map(|url| to.webhook_url = Some(url)),
        // The rest often holds a secret of the receiver's.
        show: |of| of.webhook_url.as_ref().map(|url| format!("{}/...", url.origin().ascii_serialization())),
    },
    Setting {
        name: "webhook_secret_file",
        flag: "webhook-secret-file",
        env: "COMET_TASK_RUNNER_WEBHOOK_SECRET_FILE",
        other_env: None,
        value_name: "FILE",
        help: "Holds the secret that signs what is posted",
        default_words: Some("`webhook-secret` in the state directory, made at the first start"),
        form: Form::Path,
        read: |to, given| given.path().map(|path| to.webhook_secret_file = Some(path)),
        show: |of| of.webhook_secret_file.as_ref().map(|path| path.display().to_string()),
    },
    Setting {
        name: "otlp_endpoint",
        flag: "otlp-endpoint",
        env: "COMET_TASK_RUNNER_OTLP_ENDPOINT",
        other_env: None,
        value_name: "URL",
        help: "A collector that takes a span of each task, by OTLP over gRPC; in a program built with `--features otel`",
        default_words: Some("no tracing"),
        form: Form::One,
        read: |to, given| given.otlp_endpoint().map(|url| to.otlp_endpoint = Some(url)),
        show: |of| of.otlp_endpoint.as_ref().map(|url| url.origin().ascii_serialization()),
    },
    Setting {
        name: "log",
        flag: "log",
        env: "COMET_TASK_RUNNER_LOG",
        other_env: Some("RUST_LOG"),
        value_name: "FILTER",
        help: "What is logged: error, warn, info, debug or trace, or a filter by module",
        default_words: None,
        form: Form::One,
        read: |to, given| given.log_filter().map(|filter| to.log = filter),
        show: |of| Some(of.log.clone()),
    },
    Setting {
        name: "log_format",
        flag: "log-format",
        env: "COMET_TASK_RUNNER_LOG_FORMAT",
        other_env: None,
        value_name: "FORMAT",
        help: "How it is written: auto (pretty on a terminal, else json), pretty or json",
        default_words: None,
        form: Form::One,
        read: |to, given| given.log_format().map(|format| to.log_format = format),
        show: |of| {
            let word = match of.log_format {
                LogFormat::Auto => "auto",
                LogFormat::Pretty => "pretty",
                LogFormat::Json => "json",
            };
            Some(word.to_owned())
        },
    },
];

/// The same number, in a wider type.
fn wide(count: NonZeroUsize) -> NonZeroU64 {
    NonZeroU64::new(count.get() as u64).expect("it is not zero in any type")
}

impl Setting {
    /// Its default as help shows it.
    #[must_use]
    pub fn default_text(&self) -> String {
        let words = || (self.show)(&Settings::defaults(std::path::PathBuf::new()));
        self.default_words.map(str::to_owned).or_else(words).unwrap_or_else(|| "none".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_flags_and_variables_follow_from_one_another() {
        for setting in SETTINGS {
            assert_eq!(setting.env, format!("COMET_TASK_RUNNER_{}", setting.name.to_uppercase()));
            // A flag that is repeated names one of several.
            let one = if setting.form == Form::List { setting.name.trim_end_matches('s') } else { setting.name };
            assert_eq!(setting.flag, one.replace('_', "-"));
        }
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        let mut settings = Settings::defaults("/s".into());
        settings.webhook_secret_file = Some("/f".into());
        settings.browsers = vec!["a=/a".to_owned()];
        for setting in SETTINGS {
            let Some(shown) = (setting.show)(&settings) else { continue };
            let mut again = settings.clone();
            (setting.read)(&mut again, &Given::Text(shown.clone())).unwrap();
            assert_eq!((setting.show)(&again), Some(shown), "{}", setting.name);
        }
    }
}
