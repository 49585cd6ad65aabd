//! What a browser can do for a task in each tier, and what a task needs of it.

use super::{Isolation, Spec, Tier};

/// What a browser in its tier can do for a task, beside opening its URL and taking its reports over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Capability {
    /// Tells of its page: that it came, failed, crashed or was closed.
    PageFacts,
    /// Its pages have the function to report by.
    ReportBinding,
    /// Gives pictures of its page.
    PageScreenshot,
    /// Its windows are its task's alone.
    Windows,
    /// What its pages download is kept.
    Downloads,
    /// Dialogs can be answered without a person.
    Dialogs,
    /// Tells what its pages print.
    PageLog,
    /// Can share a warm browser.
    WarmContext,
    /// Is ended with its task, its whole process tree with it.
    Stop,
    /// How its process ends says something of the task.
    ExitStatus,
    /// Starts with a profile that the task chooses.
    Profile,
    /// Runs without a window.
    Headless,
}

/// A field that was asked for, and what it takes to honour it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// The field, as callers name it.
    pub field: &'static str,
    /// What its browser must be able to do.
    pub capability: Capability,
}

impl Capability {
    /// Every one, in the order in which they are told.
    pub const ALL: [Self; 12] = [
        Self::PageFacts,
        Self::ReportBinding,
        Self::PageScreenshot,
        Self::Windows,
        Self::Downloads,
        Self::Dialogs,
        Self::PageLog,
        Self::WarmContext,
        Self::Stop,
        Self::ExitStatus,
        Self::Profile,
        Self::Headless,
    ];

    /// Its name in the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PageFacts => "PAGE_FACTS",
            Self::ReportBinding => "REPORT_BINDING",
            Self::PageScreenshot => "PAGE_SCREENSHOT",
            Self::Windows => "WINDOWS",
            Self::Downloads => "DOWNLOADS",
            Self::Dialogs => "DIALOGS",
            Self::PageLog => "PAGE_LOG",
            Self::WarmContext => "WARM_CONTEXT",
            Self::Stop => "STOP",
            Self::ExitStatus => "EXIT_STATUS",
            Self::Profile => "PROFILE",
            Self::Headless => "HEADLESS",
        }
    }

    /// The least that has to be asked of a browser for it.
    #[must_use]
    pub const fn tier(self) -> Tier {
        match self {
            Self::PageFacts
            | Self::ReportBinding
            | Self::PageScreenshot
            | Self::Downloads
            | Self::Dialogs
            | Self::PageLog
            | Self::WarmContext => Tier::Managed,
            // A browser that this service starts for the task alone is enough.
            Self::Windows | Self::Stop | Self::ExitStatus | Self::Profile | Self::Headless => Tier::ExitOnly,
        }
    }
}

impl Tier {
    /// Every tier, the one that can do most first.
    pub const ALL: [Self; 3] = [Self::Managed, Self::ExitOnly, Self::UserBrowser];

    /// Its name in the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Managed => "MANAGED",
            Self::ExitOnly => "EXIT_ONLY",
            Self::UserBrowser => "USER_BROWSER",
        }
    }

    /// Whether a browser can do this in this tier.
    #[must_use]
    pub const fn can(self, capability: Capability) -> bool {
        match (self, capability.tier()) {
            (Self::Managed, Tier::Managed | Tier::ExitOnly | Tier::UserBrowser)
            | (Self::ExitOnly, Tier::ExitOnly | Tier::UserBrowser)
            | (Self::UserBrowser, Tier::UserBrowser) => true,
            (Self::ExitOnly, Tier::Managed) | (Self::UserBrowser, Tier::Managed | Tier::ExitOnly) => false,
        }
    }

    /// All that a browser can do in this tier.
    pub fn capabilities(self) -> impl Iterator<Item = Capability> {
        Capability::ALL.into_iter().filter(move |capability| self.can(*capability))
    }
}

impl Spec {
    /// Whether its browser can do this for the task: in its tier, and for one task alone where others share it.
    #[must_use]
    pub const fn can(&self, capability: Capability) -> bool {
        let alone = match self.isolation {
            Isolation::Process => true,
            Isolation::Context => match capability {
                Capability::Windows | Capability::Stop | Capability::ExitStatus | Capability::Profile => false,
                Capability::PageFacts
                | Capability::ReportBinding
                | Capability::PageScreenshot
                | Capability::Downloads
                | Capability::Dialogs
                | Capability::PageLog
                | Capability::WarmContext
                | Capability::Headless => true,
            },
        };
        alone && self.tier.can(capability)
    }

    /// All that its browser can do for the task.
    pub fn capabilities(&self) -> impl Iterator<Item = Capability> {
        Capability::ALL.into_iter().filter(|capability| self.can(*capability))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tier_can_what_the_table_says() {
        use Capability::*;
        #[rustfmt::skip] // One row a line, so that it reads as a table.
        let table = [
            //                MANAGED EXIT_ONLY USER_BROWSER
            (PageFacts,      [true,   false,    false]),
            (ReportBinding,  [true,   false,    false]),
            (PageScreenshot, [true,   false,    false]),
            (Windows,        [true,   true,     false]),
            (Downloads,      [true,   false,    false]),
            (Dialogs,        [true,   false,    false]),
            (PageLog,        [true,   false,    false]),
            (WarmContext,    [true,   false,    false]),
            (Stop,           [true,   true,     false]),
            (ExitStatus,     [true,   true,     false]),
            (Profile,        [true,   true,     false]),
            (Headless,       [true,   true,     false]),
        ];
        assert_eq!(table.map(|(capability, _)| capability), Capability::ALL);
        for (capability, cells) in table {
            assert_eq!(Tier::ALL.map(|tier| tier.can(capability)), cells, "{capability:?}");
        }
    }

    #[test]
    fn a_task_that_shares_its_browser_lacks_what_a_process_alone_can_give() {
        let alone = crate::job::tests::sample::spec();
        let shared = Spec { isolation: Isolation::Context, ..alone.clone() };
        let lacks = alone.capabilities().filter(|capability| !shared.can(*capability)).collect::<Vec<_>>();
        assert_eq!(lacks, [Capability::Windows, Capability::Stop, Capability::ExitStatus, Capability::Profile]);
        assert!(shared.capabilities().all(|capability| alone.can(capability)));
    }
}
