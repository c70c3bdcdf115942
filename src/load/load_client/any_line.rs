//! Replies that may be any line: as many newlines as have come, so many requests are answered.

use std::time::Instant;

use super::LoadClient;
use crate::load::recorder::Recorder;
use crate::service::{Next, is_rejection};

/// The longest beginning of a line that is kept, in bytes: longer than any rejection.
const MAX_KEPT: usize = 256;

impl LoadClient {
    /// Counts the lines that end in the bytes received.
    pub(super) fn receive_lines(
        &mut self,
        bytes: &[u8],
        recorder: &mut Recorder,
        now: Instant,
    ) -> Result<(), Next> {
        if self.settled == 0 && self.first_line_rejects(bytes) {
            return Err(self.server_busy(recorder));
        }
        let in_flight = self.in_flight.len();
        let mut ends = memchr::memchr_iter(b'\n', bytes).map(|at| at + 1);
        let (mut answered, mut end) = (0, 0);
        for line_end in ends.by_ref().take(in_flight) {
            (answered, end) = (answered + 1, line_end);
        }
        if answered > 0 {
            self.record_replies(answered, self.partial + end, recorder, now);
            self.partial = 0;
            self.line_start.clear();
        }
        for line_end in ends {
            let line = [&self.line_start, &bytes[end..line_end]].concat();
            self.record_unasked(&line, recorder);
            self.partial = 0;
            self.line_start.clear();
            end = line_end;
        }
        let rest = &bytes[end..];
        self.partial += rest.len();
        let room = MAX_KEPT - self.line_start.len();
        self.line_start.extend_from_slice(&rest[..rest.len().min(room)]);
        Ok(())
    }

    /// True if the first line of the connection ends in `bytes`, and says that the server is full.
    fn first_line_rejects(&self, bytes: &[u8]) -> bool {
        let Some(end) = memchr::memchr(b'\n', bytes) else { return false };
        is_rejection(&[&self.line_start, &bytes[..end]].concat())
    }
}
