//! The line that shows the progress of a load on a terminal; it is hidden anywhere else.

use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use super::config::Length;
use super::counts::Counts;
use super::figures::whole;
use super::intervals::rate;
use crate::number::grouped;

/// The progress of a load.
pub(super) struct Progress {
    bar: ProgressBar,
    length: Length,
    start: Instant,
    /// The time at which it was shown last, and the right replies until then.
    shown_at: Instant,
    answered: u64,
}

impl Progress {
    pub(super) fn new(start: Instant, length: Length) -> Self {
        let style = ProgressStyle::with_template("{msg}").expect("the template is valid");
        let bar = ProgressBar::new_spinner().with_style(style);
        Self { bar, length, start, shown_at: start, answered: 0 }
    }

    /// Shows the counters at the time `now`.
    pub(super) fn show(&mut self, counts: &Counts, now: Instant) {
        let far = match self.length {
            Length::Time(time) => {
                format!("{} of {} s", (now - self.start).as_secs(), time.as_secs_f64())
            }
            Length::Requests(n) => {
                let [asked, n] = [counts.asked, n].map(grouped);
                format!("{asked} of {n} requests")
            }
        };
        let rate = rate(counts.answered - self.answered, now - self.shown_at);
        let rate = grouped(whole(rate));
        let faults = match counts.faults() {
            0 => String::new(),
            n => format!(", {} faulty", grouped(n)),
        };
        self.bar.set_message(format!("{far}: {rate} replies per second{faults}"));
        (self.shown_at, self.answered) = (now, counts.answered);
    }

    /// Removes the line.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
