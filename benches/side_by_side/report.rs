//! What came out: a table for people, a file for programs.

use std::{fs, path::Path};

use anyhow::Result;
use serde::Serialize;

/// Everything that a run found.
#[derive(Default)]
pub(crate) struct Report {
    figures: Vec<Figure>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct Figure {
    name: &'static str,
    value: f64,
    unit: &'static str,
    floor: Option<f64>,
    ratio: Option<f64>,
    #[serde(skip)]
    samples: usize,
    #[serde(skip)]
    spread: String,
}

/// One side's readings of one figure, by round.
#[derive(Default, Clone)]
pub(crate) struct Series(Vec<Vec<f64>>);

impl Series {
    /// Readings of one kind that were taken once.
    pub(crate) fn once(value: f64) -> Self {
        Self(vec![vec![value]])
    }

    /// Begins the next round.
    pub(crate) fn next_round(&mut self) {
        self.0.push(Vec::new());
    }

    /// Adds a reading to this round.
    pub(crate) fn push(&mut self, value: f64) {
        match self.0.last_mut() {
            Some(round) => round.push(value),
            None => self.0.push(vec![value]),
        }
    }

    /// Adds a reading to this round, if there is one.
    pub(crate) fn extend(&mut self, value: Option<f64>) {
        value.into_iter().for_each(|value| self.push(value));
    }

    fn samples(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    /// Over all rounds.
    pub(crate) fn quantile(&self, of_one: f64) -> f64 {
        quantile(self.0.iter().flatten().copied().collect(), of_one)
    }

    /// The least and the greatest of the rounds' own values.
    fn spread(&self, of_one: f64) -> String {
        let rounds: Vec<f64> = self.0.iter().map(|round| quantile(round.clone(), of_one)).collect();
        let (low, high) = rounds.iter().fold((f64::MAX, f64::MIN), |(low, high), &x| (low.min(x), high.max(x)));
        if rounds.len() < 2 { String::new() } else { format!("{}..{}", short(low), short(high)) }
    }
}

/// The nearest rank; not a number when there are no readings.
fn quantile(mut readings: Vec<f64>, of_one: f64) -> f64 {
    readings.sort_by(f64::total_cmp);
    let above = readings.iter().enumerate().find(|(i, _)| (*i + 1) as f64 >= of_one * readings.len() as f64);
    above.map_or(f64::NAN, |(_, &reading)| reading)
}

impl Report {
    /// Adds a figure from both sides' readings; half is the median.
    pub(crate) fn compare(
        &mut self,
        name: &'static str,
        unit: &'static str,
        of_one: f64,
        ours: &Series,
        floor: &Series,
    ) {
        let (value, bound) = (ours.quantile(of_one), floor.quantile(of_one));
        let spread = format!("{} | {}", ours.spread(of_one), floor.spread(of_one));
        let samples = ours.samples();
        let ratio = Some(value / bound).filter(|ratio| ratio.is_finite());
        self.figures.push(Figure { name, value, unit, floor: Some(bound), ratio, samples, spread });
    }

    /// Adds a figure to which there is no floor.
    pub(crate) fn alone(&mut self, name: &'static str, unit: &'static str, value: f64) {
        let (floor, ratio, samples, spread) = (None, None, 1, String::new());
        self.figures.push(Figure { name, value, unit, floor, ratio, samples, spread });
    }

    /// Adds a line below the table.
    pub(crate) fn note(&mut self, line: impl Into<String>) {
        self.notes.push(line.into());
    }

    /// Prints the table.
    pub(crate) fn print(&self) {
        println!(
            "\n{:<34} {:>9} {:>9} {:>7}  {:<5} {:>7}  spread of rounds, ours | floor",
            "figure", "ours", "floor", "ratio", "unit", "samples"
        );
        for figure in &self.figures {
            let bound = figure.floor.map_or_else(|| "-".to_owned(), short);
            let ratio = figure.ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
            println!(
                "{:<34} {:>9} {bound:>9} {ratio:>7}  {:<5} {:>7}  {}",
                figure.name,
                short(figure.value),
                figure.unit,
                figure.samples,
                figure.spread.trim_matches([' ', '|'])
            );
        }
        println!();
        for note in &self.notes {
            println!("{note}");
        }
    }

    /// Writes `[{name, value, unit, floor, ratio}]`; null where there is none.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        Ok(fs::write(path, serde_json::to_string_pretty(&self.figures)? + "\n")?)
    }
}

/// Three figures that matter.
fn short(value: f64) -> String {
    let digits = match value.abs() {
        x if x >= 100.0 => 0,
        x if x >= 10.0 => 1,
        x if x >= 1.0 => 2,
        x if x >= 0.1 => 3,
        _ => 4,
    };
    format!("{value:.digits$}")
}
