//! One connection of a load: a service in the other role. It speaks first, takes the replies for
//! its messages, and what it writes in return are the next requests.
//!
//! In a closed loop the next request is sent when a reply has made room for it. In an open loop it
//! is sent when it is due, or, if as many as may be are in flight, as soon after that as one of
//! them is answered: its latency counts from when it was due all the same.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::MAX_SHOWN;
use super::diagnosis::{Expected, Finding, ReplyDiagnosis};
use super::recorder::{LATE_AFTER, Recorder, Slot, lock, nanos};
use super::settings::ClientSettings;
use crate::escape;
use crate::service::{BUSY_TEXT, Event, Framing, MAX_REPLY, Next, Output, Service};

/// Requests that were sent at once and are not answered.
#[derive(Clone, Copy, Debug)]
struct Batch {
    left: usize,
    sent_at: Instant,
}

/// A connection's conversation.
pub struct LoadClient {
    settings: Arc<ClientSettings>,
    recorder: Arc<Mutex<Recorder>>,
    /// Its slot in the recorder: its number among the connections of its thread.
    slot: usize,
    /// Its number among all connections.
    index: usize,
    /// The requests that were sent in this place before this connection.
    sent_before: u64,
    /// The requests sent and the replies settled on this connection; `settled <= asked`.
    sent: u64,
    settled: u64,
    /// Where in the workload the next request and the next reply are.
    next_request: usize,
    next_reply: usize,
    /// How many bytes of the next reply have come.
    partial: usize,
    /// The requests in flight, oldest first.
    batches: VecDeque<Batch>,
    diagnosis: ReplyDiagnosis,
    /// Something was received.
    got_bytes: bool,
}

impl LoadClient {
    /// A conversation in the slot `slot` of the recorder, with the number `index` among all.
    pub fn new(
        settings: Arc<ClientSettings>,
        shared: Arc<Mutex<Recorder>>,
        slot: usize,
        index: usize,
    ) -> Self {
        let at = settings.workload.first(index);
        let sent_before = {
            let mut recorder = lock(&shared);
            let slot = &mut recorder.slots[slot];
            *slot = Slot { asked: slot.asked, ..Slot::default() };
            slot.asked
        };
        Self {
            settings,
            recorder: shared,
            slot,
            index,
            sent_before,
            sent: 0,
            settled: 0,
            next_request: at,
            next_reply: at,
            partial: 0,
            batches: VecDeque::new(),
            diagnosis: ReplyDiagnosis::default(),
            got_bytes: false,
        }
    }

    fn in_flight(&self) -> usize {
        usize::try_from(self.sent - self.settled).expect("no more than a pipeline")
    }

    /// When the request that is next is due, in an open loop.
    fn due(&self, n: u64) -> Option<Instant> {
        self.settings.schedule.map(|schedule| schedule.due(self.index, self.sent_before + n))
    }

    /// Sends what may be sent now, and says what to wait for.
    fn send_due(&mut self, recorder: &mut Recorder, now: Instant, out: &mut Output<'_>) -> Next {
        if let Some(batch) = self.batches.front()
            && batch.sent_at + self.settings.timeout <= now
        {
            return self.give_up(recorder);
        }
        if self.settings.reconnect && self.settled > 0 {
            return Next::Close;
        }
        let most = if self.settings.reconnect { 1 } else { self.settings.pipeline };
        let room = most - self.in_flight();
        let wanted = match self.settings.schedule {
            None => room,
            Some(schedule) => {
                let due = schedule.due_by(self.index, now) - self.sent_before - self.sent;
                usize::try_from(due).unwrap_or(room).min(room)
            }
        };
        let n = if wanted == 0 { 0 } else { self.send(wanted, recorder, now, out) };
        let give_up_at = self.batches.front().map(|batch| batch.sent_at + self.settings.timeout);
        let next_at = match () {
            () if recorder.is_over(now) || n == room => None,
            // More would go out now, but for the limit of a step.
            () if n < wanted => Some(now),
            () => self.due(self.sent),
        };
        match give_up_at.into_iter().chain(next_at).min() {
            Some(at) => Next::ReadUntil(at),
            None => Next::Read,
        }
    }

    /// Sends `wanted` requests, or as many as may be, and returns how many.
    fn send(
        &mut self,
        wanted: usize,
        recorder: &mut Recorder,
        now: Instant,
        out: &mut Output<'_>,
    ) -> usize {
        let granted = recorder.allowance(wanted as u64, now);
        let fit = MAX_REPLY / self.settings.workload.longest_request();
        let n = usize::try_from(granted).map_or(fit, |granted| granted.min(fit));
        if n == 0 {
            return 0;
        }
        let mut left = n;
        while left > 0 {
            let (bytes, some) = self.settings.workload.requests(self.next_request, left);
            out.write(bytes);
            self.next_request = self.settings.workload.advance(self.next_request, some);
            left -= some;
        }
        if self.settings.schedule.is_some() {
            let on_time = now.checked_sub(LATE_AFTER).unwrap_or(now);
            let late =
                (0..n as u64).filter(|k| self.due(self.sent + k).is_some_and(|due| due < on_time));
            recorder.counts.late += late.count() as u64;
        }
        self.sent += n as u64;
        recorder.record_sent(self.slot, n as u64);
        self.batches.push_back(Batch { left: n, sent_at: now });
        n
    }

    /// No reply within the time allowed: those in flight are missing, and this connection would
    /// have them come when others are awaited.
    fn give_up(&mut self, recorder: &mut Recorder) -> Next {
        let missing = self.in_flight();
        let (index, at) = (self.index, self.settled);
        recorder.add_example(|| format!("connection {index}: no reply to request {at} in time"));
        recorder.counts.missing += missing as u64;
        self.settle(missing, recorder);
        Next::Close
    }

    /// Compares what came with what should have come.
    fn receive(&mut self, bytes: &[u8], recorder: &mut Recorder, now: Instant) -> Result<(), Next> {
        if !self.got_bytes {
            self.got_bytes = true;
            recorder.slots[self.slot].got_bytes = true;
            if bytes.starts_with(BUSY_TEXT.as_bytes()) {
                return Err(self.server_busy(recorder));
            }
        }
        let mut rest = bytes;
        while !rest.is_empty() && self.diagnosis.is_in_step() {
            let (replies, n) = self.settings.workload.replies(self.next_reply, self.in_flight());
            let expected = &replies[self.partial..];
            let length = rest.len().min(expected.len());
            if n == 0 || rest[..length] != expected[..length] {
                break;
            }
            let came = self.partial + length;
            rest = &rest[length..];
            self.partial = came;
            self.count_replies(came, n, recorder, now);
        }
        if rest.is_empty() { Ok(()) } else { self.diagnose(rest, recorder, now) }
    }

    /// `self.partial` bytes of right replies have come, of which at most `most` are whole.
    fn count_replies(&mut self, came: usize, most: usize, recorder: &mut Recorder, now: Instant) {
        let (mut whole, mut bytes, mut at) = (0, 0, self.next_reply);
        while whole < most {
            let length = self.settings.workload.reply_length(at);
            if bytes + length > came {
                break;
            }
            bytes += length;
            whole += 1;
            at = self.settings.workload.advance(at, 1);
        }
        self.partial = came - bytes;
        self.record_replies(whole, bytes, recorder, now);
    }

    /// The next `n` replies, of `bytes` together, have come and are right.
    fn record_replies(&mut self, n: usize, bytes: usize, recorder: &mut Recorder, now: Instant) {
        if n == 0 {
            return;
        }
        if let Some(schedule) = self.settings.schedule {
            for k in 0..n as u64 {
                let due = schedule.due(self.index, self.sent_before + self.settled + k);
                let waited = nanos(now.saturating_duration_since(due));
                recorder.latencies.from_due.saturating_record(waited);
            }
        }
        let mut left = n;
        for batch in &self.batches {
            let some = batch.left.min(left);
            let waited = nanos(now.saturating_duration_since(batch.sent_at));
            recorder.latencies.from_sending.saturating_record_n(waited, some as u64);
            left -= some;
            if left == 0 {
                break;
            }
        }
        recorder.counts.answered += n as u64;
        recorder.counts.reply_bytes += bytes as u64;
        recorder.last_reply_at = Some(now);
        self.settle(n, recorder);
    }

    /// `n` requests are not in flight any more.
    fn settle(&mut self, n: usize, recorder: &mut Recorder) {
        self.settled += n as u64;
        self.next_reply = self.settings.workload.advance(self.next_reply, n);
        recorder.in_flight -= n as u64;
        let mut left = n;
        while let Some(batch) = self.batches.front_mut() {
            let some = batch.left.min(left);
            batch.left -= some;
            left -= some;
            if batch.left > 0 {
                break;
            }
            self.batches.pop_front();
        }
    }

    /// Something differs: line by line, from the beginning of the reply in which it does.
    #[cold]
    fn diagnose(
        &mut self,
        bytes: &[u8],
        recorder: &mut Recorder,
        now: Instant,
    ) -> Result<(), Next> {
        let settings = Arc::clone(&self.settings);
        if self.partial > 0 {
            self.diagnosis.push(&settings.workload.reply(self.next_reply)[..self.partial]);
            self.partial = 0;
        }
        self.diagnosis.push(bytes);
        loop {
            let (position, awaited) = (self.next_reply, self.in_flight());
            let expected = Expected { position, awaited, answered: self.settled > 0 };
            let Some((line, finding)) = self.diagnosis.next(&settings.workload, expected) else {
                return Ok(());
            };
            self.record_finding(&line, finding, recorder, now);
            if finding == Finding::Endless {
                return Err(self.give_up(recorder));
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
        match finding {
            Finding::Right => return self.record_replies(1, line.len(), recorder, now),
            Finding::Wrong | Finding::Endless => counts.wrong += 1,
            Finding::Duplicated | Finding::Unasked => counts.duplicated += 1,
            Finding::Merged => counts.merged += 1,
            Finding::Reordered => {
                counts.reordered += 1;
                counts.missing -= 1;
            }
            Finding::Skipped(missing) => counts.missing += missing as u64,
        }
        let (index, n) = (self.index, self.settled);
        let expected =
            (self.in_flight() > 0).then(|| self.settings.workload.reply(self.next_reply));
        recorder.add_example(|| {
            let got = escape::excerpt(line, MAX_SHOWN);
            match expected.map(|reply| escape::excerpt(reply, MAX_SHOWN)) {
                Some(expected) => {
                    format!("connection {index}, reply {n}: expected \"{expected}\", got \"{got}\"")
                }
                None => format!("connection {index}: got \"{got}\", for which nobody had asked"),
            }
        });
        if let Finding::Skipped(missing) = finding {
            self.settle(missing, recorder);
            return self.record_replies(1, line.len(), recorder, now);
        }
        self.settle(finding.settles(), recorder);
    }

    /// The server is full. What was asked is not missing: it said so.
    fn server_busy(&mut self, recorder: &mut Recorder) -> Next {
        recorder.slots[self.slot].busy = true;
        self.settle(self.in_flight(), recorder);
        Next::Close
    }
}

impl Service for LoadClient {
    /// Raw: replies are compared as blocks of bytes, whatever is in them.
    fn framing(&self) -> Framing {
        Framing::Raw
    }

    fn step(&mut self, event: Event<'_>, turn_at: Instant, out: &mut Output<'_>) -> Next {
        let now = (self.settings.clock)(turn_at);
        let shared = Arc::clone(&self.recorder);
        let mut recorder = lock(&shared);
        match event {
            // A connection that is opened for one request begins with it. The others are there
            // before the load begins, and begin in a turn of their own: the time at which a request
            // is sent is then not that of a loop that still takes a thousand connections in.
            Event::Open if !self.settings.reconnect => return Next::ReadUntil(turn_at),
            Event::Open | Event::Timeout => {}
            Event::Message(bytes) => {
                if let Err(last) = self.receive(bytes, &mut recorder, now) {
                    return last;
                }
            }
        }
        match self.send_due(&mut recorder, now, out) {
            // A time that has come since the turn began would be waited for.
            Next::ReadUntil(at) if at <= now => Next::ReadUntil(turn_at),
            next => next,
        }
    }
}

impl Drop for LoadClient {
    /// The connection is gone: nobody will answer what is in flight.
    fn drop(&mut self) {
        let missing = self.in_flight();
        let shared = Arc::clone(&self.recorder);
        let mut recorder = lock(&shared);
        if !recorder.abandoned {
            recorder.counts.missing += missing as u64;
        }
        self.settle(missing, &mut recorder);
    }
}
