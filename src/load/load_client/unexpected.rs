//! Replies that are not as expected: the finding for each line, and what it settles.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::LoadClient;
use crate::escape;
use crate::load::MAX_SHOWN;
use crate::load::diagnosis::{Expected, Finding};
use crate::load::hints;
use crate::load::recorder::Recorder;
use crate::load::workload::ReplyRule;
use crate::service::{Next, is_rejection};

/// The time for the newline of a first reply, before the load says that there is none.
const MAX_UNENDED: Duration = Duration::from_secs(1);

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

    /// Records bytes that answer no request.
    pub(super) fn record_unasked(&self, bytes: &[u8], recorder: &mut Recorder) {
        recorder.counts.duplicated += 1;
        recorder.add_example(|| self.describe_fault(bytes));
    }

    /// Records the next reply as wrong.
    pub(super) fn record_wrong(&mut self, reply: &[u8], recorder: &mut Recorder) {
        self.look_for_hint(reply, recorder);
        recorder.counts.wrong += 1;
        recorder.add_example(|| self.describe_fault(reply));
        recorder.record_answer();
        self.settle(1, recorder);
    }

    fn record_finding(
        &mut self,
        line: &[u8],
        finding: Finding,
        recorder: &mut Recorder,
        now: Instant,
    ) {
        if finding == Finding::Wrong {
            self.look_for_hint(line, recorder);
        }
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
            // The request of a reply that comes late may have been counted in the warm-up.
            Finding::Reordered if counts.missing == 0 => {
                counts.duplicated += 1;
                0
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

    /// Looks for a sign of a server of another kind, as long as nothing right has come.
    fn look_for_hint(&self, reply: &[u8], recorder: &Recorder) {
        if recorder.counts.answered > 0 || self.settings.hint.get().is_some() {
            return;
        }
        let workload = &self.settings.workload;
        let request = workload.requests(self.next_reply, 1).0;
        let expected = workload.reply(self.next_reply);
        if let Some(hint) = hints::of_reply(reply, request, expected) {
            self.settings.give_hint(&hint);
        }
    }

    /// Notes whether the first reply lacks its newline.
    pub(super) fn look_for_newline(&mut self, now: Instant) {
        let since = self.unended_since.unwrap_or(now);
        self.unended_since = self.unended_reply().map(|_| since);
    }

    /// The end of the time in which that newline should have come.
    pub(super) fn hint_at(&self) -> Option<Instant> {
        self.unended_since.map(|at| at + MAX_UNENDED.min(self.settings.timeout / 2))
    }

    /// Says that it has not come.
    pub(super) fn tell_unended(&mut self) {
        self.unended_since = None;
        let reply = self.unended_reply().unwrap_or_default();
        self.settings.give_hint(&hints::of_unended(reply));
    }

    /// The beginning of a reply without its newline, while no reply was right.
    fn unended_reply(&self) -> Option<&[u8]> {
        let workload = &self.settings.workload;
        let reply = match workload.rule() {
            ReplyRule::Bytes if !self.diagnosis.is_in_step() => self.diagnosis.pending(),
            ReplyRule::Bytes => &workload.reply(self.next_reply)[..self.partial],
            ReplyRule::AnyLine => &self.line_start,
            ReplyRule::Bare | ReplyRule::AnyBare => &[],
        };
        (self.settled == 0 && !reply.is_empty()).then_some(reply)
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
