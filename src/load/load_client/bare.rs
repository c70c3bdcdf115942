//! Replies without a newline: each ends when it has the bytes expected, or before a gap.

use std::time::Instant;

use super::LoadClient;
use crate::load::recorder::Recorder;
use crate::load::workload::ReplyRule;
use crate::service::{Next, is_rejection};

impl LoadClient {
    /// Adds bytes to the reply, and ends it if it is the one expected.
    pub(super) fn receive_bare(
        &mut self,
        bytes: &[u8],
        recorder: &mut Recorder,
        now: Instant,
    ) -> Result<(), Next> {
        let workload = &self.settings.workload;
        let expected = workload.reply(self.next_reply);
        let reply = &mut self.bare_reply;
        reply.push(bytes, expected, now);
        if self.settled == 0 && is_rejection(reply.text()) {
            return Err(self.server_busy(recorder));
        }
        let exact = workload.rule() == ReplyRule::Bare && self.in_flight.len() > 0;
        if exact && reply.is(expected) {
            self.end_bare_reply(recorder);
        } else if reply.is_too_long() {
            self.end_bare_reply(recorder);
            self.lose(recorder);
            return Err(Next::Close);
        }
        Ok(())
    }

    /// Ends the reply that is being received, if there is one, and records it.
    pub(super) fn end_bare_reply(&mut self, recorder: &mut Recorder) {
        if self.bare_reply.text().is_empty() {
            return;
        }
        let workload = &self.settings.workload;
        let any = workload.rule() == ReplyRule::AnyBare;
        let right = any || self.bare_reply.is(workload.reply(self.next_reply));
        let text = self.bare_reply.take();
        if self.in_flight.len() == 0 {
            self.record_unasked(&text, recorder);
        } else if right {
            self.record_replies(1, text.len(), recorder, self.bare_reply.received_at());
        } else {
            self.record_wrong(&text, recorder);
        }
    }
}
