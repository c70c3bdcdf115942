//! Replies that are not as expected: the finding for each line, and what it settles.

use std::sync::Arc;
use std::time::Instant;

use super::LoadClient;
use crate::escape;
use crate::load::MAX_SHOWN;
use crate::load::diagnosis::{Expected, Finding};
use crate::load::recorder::Recorder;
use crate::service::{Next, is_rejection};

impl LoadClient {
    /// Reads line by line, from the beginning of the first reply that is not as expected.
    #[cold]
    pub(super) fn diagnose(
        &mut self,
        bytes: &[u8],
        recorder: &mut Recorder,
        now: Instant,
    ) -> Result<(), Next> {
        let settings = Arc::clone(&self.settings);
        let workload = &settings.workload;
        if self.partial > 0 {
            self.diagnosis.push(&workload.reply(self.next_reply)[..self.partial]);
            self.partial = 0;
        }
        self.diagnosis.push(bytes);
        loop {
            let expected = Expected {
                position: self.next_reply,
                awaited: self.in_flight.len(),
                answered: self.settled > 0,
            };
            let Some((line, finding)) = self.diagnosis.next(workload, expected) else {
                return Ok(());
            };
            if self.settled == 0 && is_rejection(&line) {
                return Err(self.server_busy(recorder));
            }
            self.record_finding(&line, finding, recorder, now);
            if finding == Finding::Endless {
                self.lose(recorder);
                return Err(Next::Close);
            }
        }
    }

    fn record_finding(
        &mut self,
        line: &[u8],
        finding: Finding,
        recorder: &mut Recorder,
        now: Instant,
    ) {
        let counts = &mut recorder.counts;
        let in_flight = self.in_flight.len();
        let settled = match finding {
            Finding::Right => return self.record_replies(1, line.len(), recorder, now),
            Finding::Endless if in_flight == 0 => {
                counts.duplicated += 1;
                0
            }
            Finding::Wrong | Finding::Endless => {
                counts.wrong += 1;
                1
            }
            Finding::Duplicated | Finding::Unasked => {
                counts.duplicated += 1;
                0
            }
            Finding::Merged => {
                counts.merged += 1;
                1
            }
            Finding::Reordered => {
                counts.reordered += 1;
                counts.missing -= 1;
                0
            }
            Finding::Skipped(missing) => {
                counts.missing += missing as u64;
                missing
            }
        };
        recorder.add_example(|| self.describe_fault(line));
        if settled > 0 {
            recorder.record_answer();
        }
        self.settle(settled, recorder);
        if matches!(finding, Finding::Merged | Finding::Skipped(_)) {
            // Behind the reply that is not right, the next one is.
            let length = self.settings.workload.reply_length(self.next_reply);
            self.record_replies(1, length, recorder, now);
        }
    }

    fn describe_fault(&self, line: &[u8]) -> String {
        let (index, reply) = (self.stats.index, self.settled);
        let got = escape::excerpt(line, MAX_SHOWN);
        if self.in_flight.len() == 0 {
            return format!("connection {index}: got \"{got}\" without a request");
        }
        let expected = escape::excerpt(self.settings.workload.reply(self.next_reply), MAX_SHOWN);
        format!("connection {index}, reply {reply}: expected \"{expected}\", got \"{got}\"")
    }
}
