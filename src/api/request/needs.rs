//! What the fields of an order take of its browser: one table, read for each request that asks for them.

use crate::{
    api::v1::{ExecuteRequest, browser, execute_request},
    job::{Capability, Need},
};

/// A field that not every browser can honour, and when it asks for something.
struct Row {
    field: &'static str,
    capability: Capability,
    is_asked: fn(&ExecuteRequest) -> bool,
}

/// In the order in which they are refused.
const ROWS: [Row; 12] = [
    row("profile", Capability::Profile, |request| !request.profile.is_empty()),
    row("mode", Capability::Headless, |request| request.mode() == execute_request::Mode::Headless),
    row("isolation", Capability::WarmContext, |request| request.isolation() == browser::Isolation::Context),
    row("fail_on_http_error", Capability::PageFacts, |request| request.fail_on_http_error),
    row("timeouts.navigation", Capability::PageFacts, |request| {
        request.timeouts.as_ref().is_some_and(|timeouts| timeouts.navigation.is_some())
    }),
    row("wait_for_popups", Capability::PageFacts, |request| request.wait_for_popups),
    row("callback_delivery", Capability::ReportBinding, |request| {
        request.callback_delivery() == execute_request::CallbackDelivery::Binding
    }),
    row("callback_origins", Capability::ReportBinding, |request| {
        !request.callback_origins.is_empty() && !reports_over_http(request)
    }),
    row("dialogs", Capability::Dialogs, |request| request.dialogs() != execute_request::DialogPolicy::Unspecified),
    row("after_finish", Capability::Stop, |request| request.after_finish() == execute_request::AfterFinish::Close),
    row("termination_grace", Capability::Stop, |request| request.termination_grace.is_some()),
    row("completion_policy", Capability::ExitStatus, |request| {
        request.completion_policy() == execute_request::CompletionPolicy::ProcessExit
    }),
];

const fn row(field: &'static str, capability: Capability, is_asked: fn(&ExecuteRequest) -> bool) -> Row {
    Row { field, capability, is_asked }
}

/// What this request takes of its browser.
pub(super) fn needs(request: &ExecuteRequest) -> Vec<Need> {
    let asked = ROWS.iter().filter(|row| (row.is_asked)(request));
    asked.map(|Row { field, capability, .. }| Need { field, capability: *capability }).collect()
}

/// True when the page is told its token behind its address: then its origin is seen in its request, not by a binding.
pub(super) fn reports_over_http(request: &ExecuteRequest) -> bool {
    match request.callback_delivery() {
        execute_request::CallbackDelivery::Fragment => true,
        execute_request::CallbackDelivery::Binding => false,
        execute_request::CallbackDelivery::Unspecified => request.tier() == browser::Tier::UserBrowser,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::v1::Timeouts;

    fn asked(edit: impl FnOnce(&mut ExecuteRequest)) -> Vec<&'static str> {
        let mut request = ExecuteRequest { url: "http://a/".to_owned(), ..ExecuteRequest::default() };
        edit(&mut request);
        needs(&request).into_iter().map(|need| need.field).collect()
    }

    #[test]
    fn a_plain_request_and_what_every_browser_can_need_nothing() {
        assert_eq!(asked(|_| {}), [""; 0]);
        let everywhere = |request: &mut ExecuteRequest| {
            request.mode = execute_request::Mode::Headed.into();
            request.isolation = browser::Isolation::Process.into();
            request.callback_delivery = execute_request::CallbackDelivery::Fragment.into();
            request.callback_origins = vec!["http://b".to_owned()];
            request.after_finish = execute_request::AfterFinish::KeepOpen.into();
            request.completion_policy = execute_request::CompletionPolicy::RequireReport.into();
            request.timeouts = Some(Timeouts { run: Some(prost_types::Duration::default()), ..Timeouts::default() });
            request.priority = 3;
        };
        assert_eq!(asked(everywhere), [""; 0]);
    }

    #[test]
    fn origins_need_the_binding_only_where_the_page_has_no_token_behind_its_address() {
        let origins = vec!["http://b".to_owned()];
        assert_eq!(asked(|request| request.callback_origins = origins.clone()), ["callback_origins"]);
        let own = |request: &mut ExecuteRequest| {
            request.callback_origins = origins.clone();
            request.tier = browser::Tier::UserBrowser.into();
        };
        assert_eq!(asked(own), [""; 0]);
    }
}
