//! One thread of a load: a readiness loop like a server's, with clients in it.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mio::Waker;
use mio::net::TcpStream;

use super::book::{Book, lock};
use super::client::Client;
use super::connect;
use super::plan::Plan;
use crate::reactor::Reactor;
use crate::session::{CloseReason, Context, Limits, Session};

/// The time before a connection that was lost, refused or turned away is tried again.
const RETRY: Duration = Duration::from_millis(100);

/// How long before a request is due the loop no longer sleeps: the system's wait is good to a
/// millisecond, and a request that is sent late by so much would be blamed on the server.
const AWAKE: Duration = Duration::from_millis(1);

/// How long a load listens after its last reply, for one that nobody has asked for. It is not part
/// of the time that the load took.
const AFTERWARDS: Duration = Duration::from_millis(50);

/// No limit of a session's applies to a load; each request has its own time.
const UNLIMITED: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// A thread's part of a load.
pub(super) struct Worker {
    reactor: Reactor<usize>,
    plan: Arc<Plan>,
    book: Arc<Mutex<Book>>,
    context: Arc<Context>,
    address: SocketAddr,
    /// The place of its first connection among those of all threads.
    first: usize,
    /// When each place without a connection is to have one.
    vacant: BTreeSet<(Instant, usize)>,
    /// When the last reply was in, and nothing more to be asked.
    closed_at: Option<Instant>,
    /// Since the last request was sent, no connection could be made in these places.
    refused: BTreeSet<usize>,
    /// What was asked until the first of them was refused, and when that was.
    asked_before: (u64, Instant),
    /// The end is a matter of requests: without this it may never come.
    counted: bool,
}

impl Worker {
    /// A thread's part, with a connection for each of its places, or what went wrong with it.
    pub(super) fn new(
        plan: Arc<Plan>,
        book: Arc<Mutex<Book>>,
        address: SocketAddr,
        first: usize,
    ) -> io::Result<Self> {
        let unread = plan.timeout;
        let limits = Limits { idle: UNLIMITED, unread, ..Limits::default() };
        let counted = lock(&book).budget < u64::MAX;
        let reactor = Reactor::new()?;
        Ok(Self {
            asked_before: (0, reactor.now()),
            reactor,
            plan,
            book,
            context: Arc::new(limits.into()),
            address,
            first,
            vacant: BTreeSet::new(),
            closed_at: None,
            refused: BTreeSet::new(),
            counted,
        })
    }

    /// Ends a wait of its loop, when the end of the load was moved.
    pub(super) fn waker(&self) -> io::Result<Waker> {
        self.reactor.waker()
    }

    /// Runs the load to its end: `streams` are the connections that there are at first, a place
    /// each.
    pub(super) fn run(&mut self, streams: Vec<Option<TcpStream>>) -> io::Result<()> {
        let now = self.reactor.now();
        for (slot, stream) in streams.into_iter().enumerate() {
            match stream {
                Some(stream) => self.seat(stream, slot)?,
                None if self.plan.reconnect => _ = self.vacant.insert((self.due(slot, now), slot)),
                None => _ = self.vacant.insert((now + RETRY, slot)),
            }
        }
        loop {
            let wake_at = self.wake_at();
            self.reactor.turn(Some(wake_at))?;
            let now = self.reactor.now();
            self.see_off(now);
            self.open(now)?;
            let mut book = lock(&self.book);
            if self.counted && self.is_refused(&book, now) {
                let timeout = humantime::format_duration(self.plan.timeout);
                log::warn!("nobody took a connection for {timeout}: the load ends early");
                book.budget = 0;
            }
            if book.is_closed(now) {
                self.closed_at.get_or_insert(now);
            }
            let heard_out = self.closed_at.is_some_and(|at| now >= at + AFTERWARDS);
            let late = now >= book.end && now - book.end >= self.plan.timeout;
            if heard_out || book.abandoned || late {
                break;
            }
        }
        self.reactor.cut();
        self.see_off(self.reactor.now());
        Ok(())
    }

    /// Whether no place could have a connection for as long as a reply is waited for.
    fn is_refused(&self, book: &Book, now: Instant) -> bool {
        let (asked, since) = self.asked_before;
        !book.is_over(now)
            && self.refused.len() == book.slots.len()
            && book.tally.asked == asked
            && now >= since + self.plan.timeout
    }

    /// No connection could be made in the place `slot`.
    fn note_refusal(&mut self, slot: usize, now: Instant) {
        let asked = lock(&self.book).tally.asked;
        if self.refused.is_empty() || asked != self.asked_before.0 {
            self.refused.clear();
            self.asked_before = (asked, now);
        }
        self.refused.insert(slot);
    }

    /// When something is to be done that no event will tell.
    fn wake_at(&self) -> Instant {
        if let Some(at) = self.closed_at {
            return at + AFTERWARDS;
        }
        let now = self.reactor.now();
        let book = lock(&self.book);
        if book.is_over(now) {
            return book.end.max(now) + self.plan.timeout;
        }
        let due = self.plan.schedule.map(|schedule| schedule.next(now));
        let awake = due.map(|due| due.checked_sub(AWAKE).unwrap_or(due));
        let vacancy = self.vacant.first().map(|&(at, _)| at);
        awake.into_iter().chain(vacancy).fold(book.end, Instant::min)
    }

    /// Notes which connections have ended, and when their places get another.
    fn see_off(&mut self, now: Instant) {
        let departed: Vec<_> = self.reactor.take_closed().collect();
        for (slot, ending, _) in departed {
            let mut book = lock(&self.book);
            let place = book.slots[slot];
            let mut refused = false;
            match ending {
                _ if place.busy => book.tally.busy += 1,
                CloseReason::Served | CloseReason::Forced if place.heard || !place.begun => {}
                CloseReason::Served | CloseReason::Forced => book.tally.unserved += 1,
                CloseReason::Lost if !place.heard => {
                    book.tally.unopened += 1;
                    refused = true;
                }
                _ => {
                    book.tally.lost += 1;
                    book.example(|| format!("connection {}: {ending}", self.first + slot));
                }
            }
            drop(book);
            if refused {
                self.note_refusal(slot, now);
            }
            let done = ending == CloseReason::Served && place.heard && !place.busy;
            let at = if done && self.plan.reconnect { self.due(slot, now) } else { now + RETRY };
            self.vacant.insert((at, slot));
        }
    }

    /// When the next request of a place is due: now, in a closed loop.
    fn due(&self, slot: usize, now: Instant) -> Instant {
        let asked = lock(&self.book).slots[slot].asked;
        let due = self.plan.schedule.map(|schedule| schedule.due(self.first + slot, asked));
        due.unwrap_or(now)
    }

    /// Fills the places whose time has come, as long as there is something to ask.
    fn open(&mut self, now: Instant) -> io::Result<()> {
        while let Some(&(at, slot)) = self.vacant.first() {
            if at > now || lock(&self.book).is_over(now) {
                break;
            }
            self.vacant.pop_first();
            match connect::begin(self.address) {
                Ok(stream) => self.seat(stream, slot)?,
                Err(error) => {
                    let mut book = lock(&self.book);
                    book.tally.unopened += 1;
                    book.example(|| format!("cannot connect: {error}"));
                    drop(book);
                    self.note_refusal(slot, now);
                    self.vacant.insert((now + RETRY, slot));
                }
            }
        }
        Ok(())
    }

    fn seat(&mut self, stream: TcpStream, slot: usize) -> io::Result<()> {
        let place = self.first + slot;
        let in_flight = self.plan.pipeline * self.plan.script.longest_request();
        connect::widen(&stream, in_flight)?;
        lock(&self.book).tally.opened += 1;
        let client = Client::new(Arc::clone(&self.plan), Arc::clone(&self.book), slot, place);
        let session = Session::new(
            Box::new(client),
            Arc::clone(&self.context),
            place as u64,
            self.reactor.now(),
        );
        self.reactor.add(stream, session, slot).map_err(|(_, error)| error)
    }
}
