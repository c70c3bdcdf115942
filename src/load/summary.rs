//! The report of a load that has ended, from what its threads have counted.

use std::time::Duration;

use super::counts::Counts;
use super::generator::{Finished, Generator, MIN_INTERVAL};
use super::intervals::rate;
use super::parameters::{LoadParameters, Machine};
use super::recorder::lock;
use super::report::{self, LatencyReport, LoadReport};
use super::schedule::Schedule;
use super::series::{Percentiles, Series};
use super::{clock, wall_clock};

/// The requests by which a load may be behind its rate, as a part of a second of them: a pause of
/// the machine is no failure of the server. One in this number of all requests is allowed as well.
const SECOND_PARTS: u64 = 10;
const REQUEST_PARTS: u64 = 100;

impl Generator {
    /// The report of a load that has ended.
    pub(super) fn report(
        &self,
        load: LoadParameters,
        series: &mut Series,
        finished: &Finished,
    ) -> LoadReport {
        let &Finished { elapsed, interrupted, last_reply, stopped, busy, .. } = finished;
        let kept_rate = self.settings.schedule.zip(load.rate).map(|(schedule, rate)| {
            let (unsent, behind) = self.behind(&schedule, finished, &series.counts);
            series.counts.unsent = unsent;
            behind <= (rate / SECOND_PARTS).max(series.counts.asked / REQUEST_PARTS)
        });
        let counts = series.counts;
        let silent = |at: &Duration| stopped >= *at + MIN_INTERVAL && !counts.is_clean();
        let examples =
            self.recorders.iter().flat_map(|recorder| lock(recorder).examples.clone()).collect();
        LoadReport {
            version: report::VERSION,
            program: report::PROGRAM,
            time: humantime::format_rfc3339_seconds(wall_clock() - self.age()).to_string(),
            machine: Machine::this(),
            load,
            interrupted,
            elapsed_s: elapsed.as_secs_f64(),
            per_second: rate(counts.answered, elapsed),
            last_reply_s: last_reply.map(|at| at.as_secs_f64()),
            silent_from_s: last_reply.filter(silent).map(|at| at.as_secs_f64()),
            busiest_thread: busy,
            kept_rate,
            hint: self.settings.hint.get().cloned(),
            counts,
            latency_us: LatencyReport {
                from_due: Percentiles::of(&series.total.from_due),
                from_sending: Percentiles::of(&series.total.from_sending),
            },
            examples,
            intervals: series.rows.clone(),
        }
    }

    /// The requests that were due and not sent at the end, and those by which the load was behind
    /// its schedule: the same, unless it is one of a number of requests, which sends all of them.
    fn behind(&self, schedule: &Schedule, finished: &Finished, counts: &Counts) -> (u64, u64) {
        let Some(last) = finished.end.checked_sub(Duration::from_nanos(1)) else { return (0, 0) };
        let before: u64 = self.recorders.iter().map(|it| lock(it).warm_up_requests()).sum();
        let due = schedule.total_due_by(last).saturating_sub(before);
        let Some(requests) = self.requests else {
            let unsent = due.saturating_sub(counts.asked);
            return (unsent, unsent);
        };
        (due.min(requests).saturating_sub(counts.asked), due.saturating_sub(requests))
    }

    /// The time since the start.
    fn age(&self) -> Duration {
        clock().saturating_duration_since(self.intervals.start())
    }
}
