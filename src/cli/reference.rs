//! `reference`: prints the pages that are made from the program's own tables; for whoever builds or packages it.

use std::io::{self, Write};

use clap::{Args, ValueEnum};

use super::{Exit, Problem};
use crate::{config, telemetry};

/// Arguments of `reference`.
#[derive(Debug, Args)]
pub(super) struct Reference {
    /// Which page
    page: Page,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Page {
    /// Every metric
    Metrics,
    /// Every setting
    Configuration,
    /// A configuration file with every setting in it, switched off
    ConfigFile,
}

impl Reference {
    pub(super) fn run(self) -> Result<Exit, Problem> {
        let text = match self.page {
            Page::Metrics => telemetry::metrics_page(),
            Page::Configuration => config::settings_page(),
            Page::ConfigFile => config::config_file(),
        };
        let mut out = io::stdout();
        out.write_all(text.as_bytes())?;
        out.flush()?;
        Ok(Exit::Done)
    }
}
