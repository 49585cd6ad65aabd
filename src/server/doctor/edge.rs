//! What callers and receivers meet: the address, the certificate, the tokens, the webhook's secret.

use super::{super::tokens as file_of, Finding};
use crate::{
    config::Settings,
    web::{HostName, Reader, Secret, Tls, TokenEntry},
};

/// What callers and receivers meet.
pub(super) fn edge(settings: &Settings) -> Vec<Finding> {
    let mut findings = vec![address(settings)];
    findings.extend(certificate(settings));
    findings.push(tokens(settings, jiff::Timestamp::now()));
    for host in &settings.hosts {
        if let Err(error) = host.parse::<HostName>() {
            findings.push(Finding::of_error("host", &error));
        }
    }
    findings.extend(webhook(settings));
    findings
}

fn address(settings: &Settings) -> Finding {
    let tls = settings.tls_cert.is_some() && settings.tls_key.is_some();
    match (settings.listen.ip().is_loopback(), tls) {
        (true, false) => Finding::ok("address", format!("{}, for this machine alone", settings.listen)),
        (true, true) => Finding::ok("address", format!("{}, for this machine alone, over TLS", settings.listen)),
        (false, true) => Finding::ok("address", format!("{}, for others too, over TLS", settings.listen)),
        (false, false) => Finding::problem(
            "address",
            format!("{} is open to other machines without TLS, and no service starts so", settings.listen),
            "give --tls-cert and --tls-key with it, or a loopback address",
        ),
    }
}

fn certificate(settings: &Settings) -> Option<Finding> {
    let about = "certificate";
    match (&settings.tls_cert, &settings.tls_key) {
        (None, None) => None,
        (Some(certificate), Some(key)) => Some(match Tls::read(certificate, key) {
            Ok(_) => Finding::ok(about, format!("{} and its key belong together", certificate.display())),
            Err(error) => Finding::of_error(about, &error),
        }),
        (Some(_), None) | (None, Some(_)) => {
            Some(Finding::problem(about, "only one of tls_cert and tls_key is set", "set both"))
        }
    }
}

/// Names, scopes and ends; the tokens themselves nobody is told.
fn tokens(settings: &Settings, now: jiff::Timestamp) -> Finding {
    let about = "tokens";
    let file = file_of::file(settings, &settings.state_dir);
    let entries = match file_of::read(settings, &file, Reader::Person) {
        Ok(entries) => entries,
        Err(error) => return Finding::of_error(about, &error),
    };
    let (over, good): (Vec<_>, Vec<_>) =
        entries.iter().partition(|entry| file_of::ends(entry).is_some_and(|end| end <= now));
    let told = |entry: &&TokenEntry| match file_of::ends(entry) {
        Some(end) => format!("{} ({}, until {end})", entry.name, entry.scope),
        None => format!("{} ({})", entry.name, entry.scope),
    };
    if !over.is_empty() {
        let names: Vec<_> = over.iter().map(|entry| entry.name.as_str()).collect();
        let what = format!("{} in {} has expired", names.join(", "), file.display());
        return Finding::warning(about, what, "`comet-task-runner token --remove NAME` removes it");
    }
    let good: Vec<_> = good.iter().map(told).collect();
    Finding::ok(
        about,
        if good.is_empty() {
            "the service's own alone".to_owned()
        } else {
            format!("the service's own, and of {}: {}", file.display(), good.join(", "))
        },
    )
}

/// Whether the receiver answers is not tried: it would get a message that means nothing.
fn webhook(settings: &Settings) -> Option<Finding> {
    let about = "webhook";
    let url = settings.webhook_url.as_ref()?;
    let origin = url.origin().ascii_serialization();
    Some(match &settings.webhook_secret_file {
        None => Finding::ok(about, format!("to {origin}, signed with the secret in the state directory")),
        Some(file) => match Secret::read(file) {
            Ok(_) => Finding::ok(about, format!("to {origin}, signed with the secret in {}", file.display())),
            Err(error) => Finding::of_error(about, &error),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::{super::Level, *};

    fn level(edit: impl FnOnce(&mut Settings), about: &str) -> Option<Level> {
        let mut settings = Settings::defaults("/nowhere".into());
        edit(&mut settings);
        edge(&settings).into_iter().find(|finding| finding.about == about).map(|finding| finding.level)
    }

    #[test]
    fn what_would_keep_a_service_from_starting_is_a_problem() {
        let open = |settings: &mut Settings| settings.listen = "0.0.0.0:1".parse().unwrap();
        assert_eq!(level(|_| {}, "address"), Some(Level::Ok));
        assert_eq!(level(open, "address"), Some(Level::Problem));
        assert_eq!(level(|settings| settings.tls_key = Some("/k".into()), "certificate"), Some(Level::Problem));
        assert_eq!(level(|settings| settings.hosts = vec!["a b".to_owned()], "host"), Some(Level::Problem));
        let webhook = |file: &'static str| {
            move |settings: &mut Settings| {
                settings.webhook_url = Some("https://example.org/".parse().unwrap());
                settings.webhook_secret_file = (!file.is_empty()).then(|| file.into());
            }
        };
        assert_eq!(level(webhook(""), "webhook"), Some(Level::Ok));
        assert_eq!(level(webhook("/nowhere/secret"), "webhook"), Some(Level::Problem));
    }
}
