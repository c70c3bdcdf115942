//! One connection of a load: a service in the other role. It speaks first, takes the replies for
//! its messages, and what it writes in return are the next requests.
//!
//! In a closed loop the next request is sent when a reply has made room for it. In an open loop it
//! is sent when it is due, or, if as many as may be are in flight, as soon after that as one of
//! them is answered: its latency counts from when it was due all the same.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::book::{Book, LATE, Slot, lock, nanos};
use super::escaped;
use super::plan::Plan;
use super::suspect::{Finding, Standing, Suspect};
use crate::service::{BUSY_TEXT, Event, Framing, MAX_REPLY, Next, Output, Service};

/// Requests that were sent at once and are not answered.
#[derive(Clone, Copy, Debug)]
struct Batch {
    left: usize,
    sent_at: Instant,
}

/// A connection's conversation.
pub struct Client {
    plan: Arc<Plan>,
    book: Arc<Mutex<Book>>,
    /// Its place among the connections of its thread, which it has in the book.
    slot: usize,
    /// Its place among all connections.
    place: usize,
    /// The requests that were sent in this place before this connection.
    before: u64,
    /// The requests sent and the replies settled on this connection; `settled <= asked`.
    asked: u64,
    settled: u64,
    /// Where in the script the next request and the next reply are.
    ask_at: usize,
    reply_at: usize,
    /// How many bytes of the next reply have come.
    partial: usize,
    /// The requests in flight, oldest first.
    batches: VecDeque<Batch>,
    suspect: Suspect,
    /// Something was received.
    heard: bool,
}

impl Client {
    /// A conversation in the place `slot` of the book, which is `place` among all.
    pub fn new(plan: Arc<Plan>, shared: Arc<Mutex<Book>>, slot: usize, place: usize) -> Self {
        let at = plan.script.first(place);
        let before = {
            let mut book = lock(&shared);
            let slot = &mut book.slots[slot];
            *slot = Slot { asked: slot.asked, ..Slot::default() };
            slot.asked
        };
        Self {
            plan,
            book: shared,
            slot,
            place,
            before,
            asked: 0,
            settled: 0,
            ask_at: at,
            reply_at: at,
            partial: 0,
            batches: VecDeque::new(),
            suspect: Suspect::default(),
            heard: false,
        }
    }

    fn in_flight(&self) -> usize {
        usize::try_from(self.asked - self.settled).expect("no more than a pipeline")
    }

    /// When the request that is next is due, in an open loop.
    fn due(&self, n: u64) -> Option<Instant> {
        self.plan.schedule.map(|schedule| schedule.due(self.place, self.before + n))
    }

    /// Sends what may be sent now, and says what to wait for.
    fn ask(&mut self, book: &mut Book, now: Instant, out: &mut Output<'_>) -> Next {
        if let Some(batch) = self.batches.front()
            && batch.sent_at + self.plan.timeout <= now
        {
            return self.give_up(book);
        }
        if self.plan.reconnect && self.settled > 0 {
            return Next::Close;
        }
        let most = if self.plan.reconnect { 1 } else { self.plan.pipeline };
        let room = most - self.in_flight();
        let wanted = match self.plan.schedule {
            None => room,
            Some(schedule) => {
                let due = schedule.due_by(self.place, now) - self.before - self.asked;
                usize::try_from(due).unwrap_or(room).min(room)
            }
        };
        let n = if wanted == 0 { 0 } else { self.send(wanted, book, now, out) };
        let give_up_at = self.batches.front().map(|batch| batch.sent_at + self.plan.timeout);
        let next_at = match () {
            () if book.is_over(now) || n == room => None,
            // More would go out now, but for the limit of a step.
            () if n < wanted => Some(now),
            () => self.due(self.asked),
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
        book: &mut Book,
        now: Instant,
        out: &mut Output<'_>,
    ) -> usize {
        let granted = book.grant(wanted as u64, now);
        let fit = MAX_REPLY / self.plan.script.longest_request();
        let n = usize::try_from(granted).map_or(fit, |granted| granted.min(fit));
        if n == 0 {
            return 0;
        }
        let mut left = n;
        while left > 0 {
            let (bytes, some) = self.plan.script.requests(self.ask_at, left);
            out.write(bytes);
            self.ask_at = self.plan.script.after(self.ask_at, some);
            left -= some;
        }
        if self.plan.schedule.is_some() {
            let on_time = now.checked_sub(LATE).unwrap_or(now);
            let late =
                (0..n as u64).filter(|k| self.due(self.asked + k).is_some_and(|due| due < on_time));
            book.tally.late += late.count() as u64;
        }
        self.asked += n as u64;
        book.asked(self.slot, n as u64);
        self.batches.push_back(Batch { left: n, sent_at: now });
        n
    }

    /// No reply within the time allowed: those in flight are missing, and this connection would
    /// have them come when others are awaited.
    fn give_up(&mut self, book: &mut Book) -> Next {
        let missing = self.in_flight();
        let (place, at) = (self.place, self.settled);
        book.example(|| format!("connection {place}: no reply to request {at} in time"));
        book.tally.missing += missing as u64;
        self.settle(missing, book);
        Next::Close
    }

    /// Compares what came with what should have come.
    fn check(&mut self, bytes: &[u8], book: &mut Book, now: Instant) -> Result<(), Next> {
        if !self.heard {
            self.heard = true;
            book.slots[self.slot].heard = true;
            if bytes.starts_with(BUSY_TEXT.as_bytes()) {
                return Err(self.turned_away(book));
            }
        }
        let mut rest = bytes;
        while !rest.is_empty() && self.suspect.is_clear() {
            let (replies, n) = self.plan.script.replies(self.reply_at, self.in_flight());
            let expected = &replies[self.partial..];
            let length = rest.len().min(expected.len());
            if n == 0 || rest[..length] != expected[..length] {
                break;
            }
            let came = self.partial + length;
            rest = &rest[length..];
            self.partial = came;
            self.right(came, n, book, now);
        }
        if rest.is_empty() { Ok(()) } else { self.examine(rest, book, now) }
    }

    /// `self.partial` bytes of right replies have come, of which at most `most` are whole.
    fn right(&mut self, came: usize, most: usize, book: &mut Book, now: Instant) {
        let (mut whole, mut bytes, mut at) = (0, 0, self.reply_at);
        while whole < most {
            let length = self.plan.script.reply_length(at);
            if bytes + length > came {
                break;
            }
            bytes += length;
            whole += 1;
            at = self.plan.script.after(at, 1);
        }
        self.partial = came - bytes;
        self.answered(whole, bytes, book, now);
    }

    /// The next `n` replies, of `bytes` together, have come and are right.
    fn answered(&mut self, n: usize, bytes: usize, book: &mut Book, now: Instant) {
        if n == 0 {
            return;
        }
        if let Some(schedule) = self.plan.schedule {
            for k in 0..n as u64 {
                let due = schedule.due(self.place, self.before + self.settled + k);
                let waited = nanos(now.saturating_duration_since(due));
                book.latencies.from_due.saturating_record(waited);
            }
        }
        let mut left = n;
        for batch in &self.batches {
            let some = batch.left.min(left);
            let waited = nanos(now.saturating_duration_since(batch.sent_at));
            book.latencies.from_sending.saturating_record_n(waited, some as u64);
            left -= some;
            if left == 0 {
                break;
            }
        }
        book.tally.answered += n as u64;
        book.tally.reply_bytes += bytes as u64;
        book.last_reply_at = Some(now);
        self.settle(n, book);
    }

    /// `n` requests are not in flight any more.
    fn settle(&mut self, n: usize, book: &mut Book) {
        self.settled += n as u64;
        self.reply_at = self.plan.script.after(self.reply_at, n);
        book.in_flight -= n as u64;
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
    fn examine(&mut self, bytes: &[u8], book: &mut Book, now: Instant) -> Result<(), Next> {
        let plan = Arc::clone(&self.plan);
        if self.partial > 0 {
            self.suspect.hold(&plan.script.reply(self.reply_at)[..self.partial]);
            self.partial = 0;
        }
        self.suspect.hold(bytes);
        loop {
            let (at, awaited) = (self.reply_at, self.in_flight());
            let standing = Standing { at, awaited, answered: self.settled > 0 };
            let Some((line, finding)) = self.suspect.next(&plan.script, standing) else {
                return Ok(());
            };
            self.note(&line, finding, book, now);
            if finding == Finding::Endless {
                return Err(self.give_up(book));
            }
        }
    }

    fn note(&mut self, line: &[u8], finding: Finding, book: &mut Book, now: Instant) {
        let tally = &mut book.tally;
        match finding {
            Finding::Right => return self.answered(1, line.len(), book, now),
            Finding::Wrong | Finding::Endless => tally.wrong += 1,
            Finding::Duplicated | Finding::Unasked => tally.duplicated += 1,
            Finding::Merged => tally.merged += 1,
            Finding::Reordered => {
                tally.reordered += 1;
                tally.missing -= 1;
            }
            Finding::Passed(missing) => tally.missing += missing as u64,
        }
        let (place, n) = (self.place, self.settled);
        let expected = (self.in_flight() > 0).then(|| self.plan.script.reply(self.reply_at));
        book.example(|| {
            let got = escaped(line);
            match expected.map(escaped) {
                Some(expected) => {
                    format!("connection {place}, reply {n}: expected \"{expected}\", got \"{got}\"")
                }
                None => format!("connection {place}: got \"{got}\", for which nobody had asked"),
            }
        });
        if let Finding::Passed(missing) = finding {
            self.settle(missing, book);
            return self.answered(1, line.len(), book, now);
        }
        self.settle(finding.settles(), book);
    }

    /// The server is full. What was asked is not missing: it said so.
    fn turned_away(&mut self, book: &mut Book) -> Next {
        book.slots[self.slot].busy = true;
        self.settle(self.in_flight(), book);
        Next::Close
    }
}

impl Service for Client {
    /// Raw: replies are compared as blocks of bytes, whatever is in them.
    fn framing(&self) -> Framing {
        Framing::Raw
    }

    fn step(&mut self, event: Event<'_>, turn_at: Instant, out: &mut Output<'_>) -> Next {
        let now = (self.plan.clock)(turn_at);
        let shared = Arc::clone(&self.book);
        let mut book = lock(&shared);
        match event {
            // A connection that is opened for one request begins with it. The others are there
            // before the load begins, and begin in a turn of their own: the time at which a request
            // is sent is then not that of a loop that still takes a thousand connections in.
            Event::Open if !self.plan.reconnect => return Next::ReadUntil(turn_at),
            Event::Open | Event::Timeout => {}
            Event::Message(bytes) => {
                if let Err(last) = self.check(bytes, &mut book, now) {
                    return last;
                }
            }
        }
        match self.ask(&mut book, now, out) {
            // A time that has come since the turn began would be waited for.
            Next::ReadUntil(at) if at <= now => Next::ReadUntil(turn_at),
            next => next,
        }
    }
}

impl Drop for Client {
    /// The connection is gone: nobody will answer what is in flight.
    fn drop(&mut self) {
        let missing = self.in_flight();
        let shared = Arc::clone(&self.book);
        let mut book = lock(&shared);
        if !book.abandoned {
            book.tally.missing += missing as u64;
        }
        self.settle(missing, &mut book);
    }
}
