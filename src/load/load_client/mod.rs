//! One connection of a load: a service in the other role. It speaks first, the messages it takes
//! are replies, and what it writes in return are the next requests.
//!
//! In a closed loop the next request is sent when a reply has made room for it. In an open loop it
//! is sent when it is due or, while the most requests allowed are in flight, as soon after that as
//! one of them is answered. Its latency counts from the due time either way. Counted from sending
//! alone, it would leave out the wait that a stalled server causes ("coordinated omission").

use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::bare_reply::BareReply;
use super::conn_stats::ConnStats;
use super::diagnosis::ReplyDiagnosis;
use super::in_flight::InFlight;
use super::latencies::nanos;
use super::recorder::{LATE_AFTER, Recorder, lock};
use super::settings::ClientSettings;
use super::workload::ReplyRule;
use crate::service::{Event, Framing, Next, Output, Service};

mod any_line;
mod bare;
mod unexpected;

/// The client's side of one connection.
pub struct LoadClient {
    settings: Arc<ClientSettings>,
    recorder: Arc<Mutex<Recorder>>,
    stats: Arc<ConnStats>,
    /// The time from which the latency of a request counts that has a connection of its own.
    connect_at: Instant,
    /// The requests sent and not settled.
    in_flight: InFlight,
    /// Requests that were answered or given up: all that were sent, less those in flight.
    settled: u64,
    /// The positions in the workload of the next request and of the next reply.
    next_request: usize,
    next_reply: usize,
    /// Bytes received of the next reply, fewer than it has.
    partial: usize,
    /// The beginning of the next reply, if that may be any line.
    line_start: Vec<u8>,
    /// The reply that is being received, if replies have no newline.
    bare_reply: BareReply,
    /// The time from which on the first reply lacks its newline.
    unended_since: Option<Instant>,
    /// The bytes from the first unexpected one on; empty while the replies are as expected.
    diagnosis: ReplyDiagnosis,
}

impl LoadClient {
    /// The client of a new connection, the making of which began at `connect_at`.
    pub fn new(
        settings: Arc<ClientSettings>,
        recorder: Arc<Mutex<Recorder>>,
        stats: Arc<ConnStats>,
        connect_at: Instant,
    ) -> Self {
        let position = settings.workload.first(stats.index);
        Self {
            settings,
            recorder,
            stats,
            connect_at,
            in_flight: InFlight::default(),
            settled: 0,
            next_request: position,
            next_reply: position,
            partial: 0,
            line_start: Vec::new(),
            bare_reply: BareReply::new(connect_at),
            unended_since: None,
            diagnosis: ReplyDiagnosis::default(),
        }
    }

    /// The time at which the request `n` of this connection is due, in an open loop.
    fn due(&self, n: u64) -> Option<Instant> {
        let schedule = self.settings.schedule?;
        Some(schedule.due(self.stats.index, self.stats.sent_before + n))
    }

    /// Sends the requests that may be sent now, and returns what to wait for.
    fn send_due(&mut self, recorder: &mut Recorder, now: Instant, out: &mut Output<'_>) -> Next {
        if self.settings.reconnect && self.settled > 0 {
            return Next::Close;
        }
        let most = if self.settings.reconnect { 1 } else { self.settings.pipeline };
        let room = most - self.in_flight.len();
        let wanted = match self.settings.schedule {
            None => room,
            Some(schedule) => {
                let sent = self.stats.sent_before + self.stats.sent();
                let due = schedule.due_by(self.stats.index, now) - sent;
                usize::try_from(due).unwrap_or(room).min(room)
            }
        };
        let n = if wanted == 0 { 0 } else { self.send(wanted, recorder, now, out) };
        let send_at = if recorder.is_over(now) || n == room {
            None
        } else if n < wanted {
            // Only the limit of one step has kept the others back.
            Some(now)
        } else {
            self.due(self.stats.sent())
        };
        let times = [self.give_up_at(), send_at, self.bare_reply.gap_at(), self.hint_at()];
        times.iter().filter_map(|&at| at).min().map_or(Next::Read, Next::ReadUntil)
    }

    /// Sends up to `wanted` requests, and returns how many.
    fn send(
        &mut self,
        wanted: usize,
        recorder: &mut Recorder,
        now: Instant,
        out: &mut Output<'_>,
    ) -> usize {
        let workload = &self.settings.workload;
        let taken = recorder.take_requests(wanted.min(workload.most_in_step()) as u64, now);
        let n = usize::try_from(taken).expect("no more than were wanted");
        if n == 0 {
            return 0;
        }
        let mut left = n;
        while left > 0 {
            let (bytes, some) = workload.requests(self.next_request, left);
            out.write(bytes);
            self.next_request = workload.advance(self.next_request, some);
            left -= some;
        }
        if self.settings.schedule.is_some() {
            let on_time = now.checked_sub(LATE_AFTER).unwrap_or(now);
            let first = self.stats.sent();
            let late = (first..first + n as u64)
                .filter(|&request| self.due(request).is_some_and(|due| due < on_time));
            recorder.counts.late += late.count() as u64;
        }
        self.stats.add_sent(n as u64);
        self.in_flight.push(n, now);
        n
    }

    /// The end of the time in which the oldest request in flight must be answered.
    fn give_up_at(&self) -> Option<Instant> {
        self.in_flight.oldest_sent_at().map(|at| at + self.settings.timeout)
    }

    /// Closes a connection whose oldest request was not answered in time. All requests in flight
    /// are missing: their replies could no longer be told from those of later requests.
    fn give_up(&mut self, recorder: &mut Recorder) -> Next {
        let (index, request) = (self.stats.index, self.settled);
        recorder
            .add_example(|| format!("connection {index}: no reply to request {request} in time"));
        self.lose(recorder);
        Next::Close
    }

    /// Counts all requests in flight as missing.
    fn lose(&mut self, recorder: &mut Recorder) {
        let missing = self.in_flight.len();
        recorder.counts.missing += missing as u64;
        recorder.lost_in_a_row += missing as u64;
        self.settle(missing, recorder);
    }

    /// Compares the bytes received with the replies expected. An error is the result of the step:
    /// the connection is to be closed.
    fn receive(&mut self, bytes: &[u8], recorder: &mut Recorder, now: Instant) -> Result<(), Next> {
        recorder.begun += u64::from(self.stats.set_received());
        let result = match self.settings.workload.rule() {
            ReplyRule::Bytes => self.receive_expected(bytes, recorder, now),
            ReplyRule::AnyLine => self.receive_lines(bytes, recorder, now),
            ReplyRule::Bare | ReplyRule::AnyBare => self.receive_bare(bytes, recorder, now),
        };
        if self.settled == 0 || self.unended_since.is_some() {
            self.look_for_newline(now);
        }
        result
    }

    fn receive_expected(
        &mut self,
        bytes: &[u8],
        recorder: &mut Recorder,
        now: Instant,
    ) -> Result<(), Next> {
        let mut rest = bytes;
        while !rest.is_empty() && self.diagnosis.is_in_step() {
            let in_flight = self.in_flight.len();
            let (replies, n) = self.settings.workload.replies(self.next_reply, in_flight);
            let expected = &replies[self.partial..];
            let length = rest.len().min(expected.len());
            if n == 0 || rest[..length] != expected[..length] {
                break;
            }
            let received = self.partial + length;
            let all = received == replies.len();
            rest = &rest[length..];
            if all {
                self.partial = 0;
                self.record_replies(n, received, recorder, now);
            } else {
                self.split_replies(received, n, recorder, now);
            }
        }
        if rest.is_empty() { Ok(()) } else { self.diagnose(rest, recorder, now) }
    }

    /// Records the whole replies among `received` right bytes, at most `most`; the rest of them is
    /// the beginning of the next reply.
    fn split_replies(
        &mut self,
        received: usize,
        most: usize,
        recorder: &mut Recorder,
        now: Instant,
    ) {
        let workload = &self.settings.workload;
        let (mut whole, mut bytes, mut position) = (0, 0, self.next_reply);
        while whole < most {
            let length = workload.reply_length(position);
            if bytes + length > received {
                break;
            }
            bytes += length;
            whole += 1;
            position = workload.advance(position, 1);
        }
        self.partial = received - bytes;
        self.record_replies(whole, bytes, recorder, now);
    }

    /// Records the next `n` replies, of `bytes` together, as received and right.
    fn record_replies(&mut self, n: usize, bytes: usize, recorder: &mut Recorder, now: Instant) {
        if n == 0 {
            return;
        }
        if self.settings.schedule.is_some() {
            for due in (self.settled..self.settled + n as u64).filter_map(|n| self.due(n)) {
                let waited = nanos(now.saturating_duration_since(due));
                recorder.latencies.from_due.saturating_record(waited);
            }
        }
        let reconnect = self.settings.reconnect;
        self.in_flight.remove(n, |count, sent_at| {
            let sent_at = if reconnect { self.connect_at } else { sent_at };
            let waited = nanos(now.saturating_duration_since(sent_at));
            recorder.latencies.from_sending.saturating_record_n(waited, count as u64);
        });
        recorder.counts.answered += n as u64;
        recorder.counts.reply_bytes += bytes as u64;
        recorder.last_reply_at = Some(now);
        recorder.record_answer();
        self.removed(n, recorder);
    }

    /// Takes the oldest `n` requests out of flight.
    fn settle(&mut self, n: usize, recorder: &mut Recorder) {
        self.in_flight.remove(n, |_, _| {});
        self.removed(n, recorder);
    }

    /// Counts `n` requests that were taken out of flight.
    #[inline]
    fn removed(&mut self, n: usize, recorder: &mut Recorder) {
        self.settled += n as u64;
        self.next_reply = self.settings.workload.advance(self.next_reply, n);
        recorder.in_flight -= n as u64;
    }

    /// Notes that the server is busy. The requests in flight are not missing: it has said so.
    fn server_busy(&mut self, recorder: &mut Recorder) -> Next {
        self.stats.set_busy();
        let rejected = self.in_flight.len();
        recorder.counts.rejected += rejected as u64;
        self.settle(rejected, recorder);
        Next::Close
    }
}

impl LoadClient {
    /// A step at the time `now`, in a turn of the loop that has looked at the connection at
    /// `turn_at`. A reply that is overdue may have arrived since then, so only that time counts for
    /// a timeout, and only when the loop has found nothing to receive.
    pub(super) fn step_at(
        &mut self,
        event: Event<'_>,
        turn_at: Instant,
        now: Instant,
        recorder: &mut Recorder,
        out: &mut Output<'_>,
    ) -> Next {
        recorder.advance_to(now);
        let next = match event {
            // A connection that is opened for one request begins with it. The others are open
            // before the load begins, and begin in a turn of their own: so the first requests are
            // not sent by a loop that is still adding a thousand connections.
            Event::Open if !self.settings.reconnect => Next::ReadUntil(now),
            Event::Timeout if self.bare_reply.gap_at().is_some_and(|at| at <= turn_at) => {
                self.end_bare_reply(recorder);
                self.send_due(recorder, now, out)
            }
            Event::Timeout if self.hint_at().is_some_and(|at| at <= turn_at) => {
                self.tell_unended();
                self.send_due(recorder, now, out)
            }
            Event::Timeout if self.give_up_at().is_some_and(|at| at <= turn_at) => {
                self.give_up(recorder)
            }
            Event::Open | Event::Timeout => self.send_due(recorder, now, out),
            Event::Message(bytes) => match self.receive(bytes, recorder, now) {
                Err(last) => last,
                Ok(()) => self.send_due(recorder, now, out),
            },
        };
        recorder.check();
        next
    }
}

impl Service for LoadClient {
    /// Raw: replies are compared as blocks of bytes, whatever is in them.
    fn framing(&self) -> Framing {
        Framing::Raw
    }

    fn step(&mut self, event: Event<'_>, now: Instant, out: &mut Output<'_>) -> Next {
        let shared = Arc::clone(&self.recorder);
        self.step_at(event, now, now, &mut lock(&shared), out)
    }
}

impl Drop for LoadClient {
    /// The connection has closed: the requests in flight will not be answered.
    fn drop(&mut self) {
        let shared = Arc::clone(&self.recorder);
        let mut recorder = lock(&shared);
        self.end_bare_reply(&mut recorder);
        let in_flight = self.in_flight.len();
        if recorder.abandoned {
            recorder.counts.abandoned += in_flight as u64;
            self.settle(in_flight, &mut recorder);
        } else {
            self.lose(&mut recorder);
        }
        recorder.check();
    }
}
