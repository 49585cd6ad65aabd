//! From what a job was made of back to a request that asks for the same again.

use std::time::Duration;

use super::{
    convert,
    request::{Faults, GRACE_DEFAULT, RETENTION_DEFAULT, timeouts},
    v1::{
        self, browser,
        execute_request::{
            AfterFinish as WireAfterFinish, CallbackDelivery as WireDelivery, CompletionPolicy, DialogPolicy as Wire,
            Mode,
        },
    },
};
use crate::job::{
    AfterFinish, CallbackDelivery, Capability, Completion, DialogPolicy, Isolation, Profile, Spec, Tier, Timeouts,
};

impl From<&Spec> for v1::ExecuteRequest {
    /// What was left at its default is left out, since a browser is not asked twice for what it may not be able to do.
    fn from(spec: &Spec) -> Self {
        let own_origin = [spec.url.origin()];
        Self {
            url: spec.url.as_str().to_owned(),
            request_id: String::new(),
            browser: spec.browser.clone(),
            mode: mode(spec).into(),
            profile: match &spec.profile {
                Profile::Ephemeral => String::new(),
                Profile::Named(name) => name.clone(),
            },
            completion_policy: completion(spec.completion).into(),
            fail_on_http_error: spec.fail_on_http_error,
            callback_delivery: delivery(spec).into(),
            callback_origins: spec.callback_origins.iter().filter(|one| !own_origin.contains(one)).cloned().collect(),
            timeouts: wire_timeouts(spec.timeouts),
            termination_grace: wire(spec.grace).filter(|_| spec.grace != GRACE_DEFAULT),
            after_finish: after_finish(spec).into(),
            retention: wire(spec.retention).filter(|_| spec.retention != RETENTION_DEFAULT),
            labels: spec.labels.clone().into_iter().collect(),
            validate_only: false,
            tier: convert::tier(spec.tier).into(),
            isolation: match spec.isolation {
                Isolation::Process => browser::Isolation::Unspecified,
                Isolation::Context => browser::Isolation::Context,
            }
            .into(),
            priority: i32::from(spec.priority),
            dialogs: dialogs(spec.dialogs).into(),
            wait_for_popups: spec.wait_for_popups,
        }
    }
}

fn mode(spec: &Spec) -> Mode {
    match spec.headless {
        true if spec.tier.can(Capability::Headless) => Mode::Headless,
        true => Mode::Unspecified,
        false => Mode::Headed,
    }
}

fn completion(completion: Completion) -> CompletionPolicy {
    match completion {
        Completion::Any => CompletionPolicy::Unspecified,
        Completion::RequireReport => CompletionPolicy::RequireReport,
        Completion::ProcessExit => CompletionPolicy::ProcessExit,
    }
}

fn delivery(spec: &Spec) -> WireDelivery {
    match (spec.callback_delivery, spec.tier) {
        (CallbackDelivery::Fragment, Tier::Managed | Tier::ExitOnly) => WireDelivery::Fragment,
        (CallbackDelivery::Fragment, Tier::UserBrowser) | (CallbackDelivery::Binding, _) => WireDelivery::Unspecified,
    }
}

fn after_finish(spec: &Spec) -> WireAfterFinish {
    match (spec.after_finish, spec.headless) {
        (AfterFinish::Close, true) | (AfterFinish::KeepOpen, false) => WireAfterFinish::Unspecified,
        (AfterFinish::Close, false) => WireAfterFinish::Close,
        (AfterFinish::KeepOpen, true) => WireAfterFinish::KeepOpen,
    }
}

fn dialogs(dialogs: Option<DialogPolicy>) -> Wire {
    match dialogs {
        None => Wire::Unspecified,
        Some(DialogPolicy::Accept) => Wire::Accept,
        Some(DialogPolicy::Dismiss) => Wire::Dismiss,
        Some(DialogPolicy::Leave) => Wire::Leave,
    }
}

/// None when each is what it would be without being named. Zero stands for "without limit".
fn wire_timeouts(asked: Timeouts) -> Option<v1::Timeouts> {
    let default = timeouts(&mut Faults::default(), None);
    let named = |asked: Option<Duration>, default: Option<Duration>| {
        wire(asked.unwrap_or(Duration::ZERO)).filter(|_| asked != default)
    };
    (asked != default).then(|| v1::Timeouts {
        queue: named(asked.queue, default.queue),
        launch: named(asked.launch, default.launch),
        navigation: named(asked.navigation, default.navigation),
        run: named(asked.run, default.run),
        idle: named(asked.idle, default.idle),
    })
}

fn wire(span: Duration) -> Option<prost_types::Duration> {
    prost_types::Duration::try_from(span).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::request::order,
        job::tests::sample,
        runner::{Mode as Wanted, Order},
    };

    /// With every choice left at its default.
    fn spec() -> Spec {
        let spec = sample::spec();
        Spec {
            callback_origins: vec![spec.url.origin()],
            timeouts: timeouts(&mut Faults::default(), None),
            grace: GRACE_DEFAULT,
            retention: RETENTION_DEFAULT,
            ..spec
        }
    }

    fn asked_again(spec: &Spec) -> Order {
        order(&v1::ExecuteRequest::from(spec)).unwrap()
    }

    #[test]
    fn what_was_left_at_its_default_asks_nothing_of_a_browser_that_knows_only_its_exit() {
        let spec = Spec { tier: Tier::ExitOnly, after_finish: AfterFinish::KeepOpen, headless: false, ..spec() };
        let order = asked_again(&spec);
        assert_eq!(order.needs, []);
        assert_eq!((order.mode, order.tier, order.after_finish), (Wanted::Headed, Some(Tier::ExitOnly), None));
        let own = Spec { tier: Tier::UserBrowser, callback_delivery: CallbackDelivery::Fragment, ..spec };
        assert_eq!(asked_again(&own).needs, []);
    }

    #[test]
    fn every_choice_is_asked_for_again() {
        let all = Spec {
            profile: Profile::Named("work".to_owned()),
            completion: Completion::RequireReport,
            fail_on_http_error: true,
            callback_origins: vec!["https://b.example".to_owned()],
            callback_delivery: CallbackDelivery::Fragment,
            timeouts: Timeouts { queue: Some(Duration::from_secs(9)), launch: None, ..spec().timeouts },
            grace: Duration::from_millis(1500),
            after_finish: AfterFinish::KeepOpen,
            retention: Duration::from_secs(60),
            labels: [("a".to_owned(), "b".to_owned())].into(),
            priority: -7,
            dialogs: Some(DialogPolicy::Leave),
            wait_for_popups: true,
            ..spec()
        };
        let order = asked_again(&all);
        assert_eq!((&order.url, &order.browser, order.mode), (&all.url, &Some(all.browser.clone()), Wanted::Headless));
        assert_eq!((&order.profile, order.completion, order.tier), (&all.profile, all.completion, Some(all.tier)));
        assert_eq!((order.fail_on_http_error, order.wait_for_popups), (true, true));
        assert_eq!(
            (&order.callback_origins, order.callback_delivery),
            (&all.callback_origins, Some(all.callback_delivery))
        );
        assert_eq!((order.timeouts, order.grace, order.retention), (all.timeouts, all.grace, all.retention));
        assert_eq!(
            (order.after_finish, order.dialogs, order.priority),
            (Some(all.after_finish), all.dialogs, all.priority)
        );
        assert_eq!((order.labels, order.request_id), (all.labels, None));
    }
}
