//! One thread of a load: a readiness loop like a server's, with clients in it.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mio::Waker;
use mio::net::TcpStream;

use super::connect;
use super::load_client::LoadClient;
use super::recorder::{Recorder, lock};
use super::settings::ClientSettings;
use crate::duration::UNLIMITED;
use crate::reactor::Reactor;
use crate::session::{CloseReason, Context, Limits, Session};

/// The time before a connection that was lost, refused or turned away is tried again.
const RETRY_DELAY: Duration = Duration::from_millis(100);

/// How long before a request is due the loop no longer sleeps: the system's wait is good to a
/// millisecond, and a request that is sent late by so much would be blamed on the server.
const SPIN_BEFORE_DUE: Duration = Duration::from_millis(1);

/// How long a load listens after its last reply, for one that nobody has asked for. It is not part
/// of the time that the load took.
const LISTEN_AFTER_LAST: Duration = Duration::from_millis(50);

/// A thread's part of a load.
pub(super) struct Worker {
    reactor: Reactor<usize>,
    settings: Arc<ClientSettings>,
    recorder: Arc<Mutex<Recorder>>,
    context: Arc<Context>,
    address: SocketAddr,
    /// The place of its first connection among those of all threads.
    first_index: usize,
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
        settings: Arc<ClientSettings>,
        recorder: Arc<Mutex<Recorder>>,
        address: SocketAddr,
        first_index: usize,
    ) -> io::Result<Self> {
        let unread = settings.timeout;
        let limits = Limits { idle: UNLIMITED, unread, ..Limits::default() };
        let counted = lock(&recorder).budget < u64::MAX;
        let reactor = Reactor::new()?;
        Ok(Self {
            asked_before: (0, reactor.now()),
            reactor,
            settings,
            recorder,
            context: Arc::new(limits.into()),
            address,
            first_index,
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
                Some(stream) => self.add_connection(stream, slot)?,
                None if self.settings.reconnect => {
                    _ = self.vacant.insert((self.due(slot, now), slot));
                }
                None => _ = self.vacant.insert((now + RETRY_DELAY, slot)),
            }
        }
        loop {
            let wake_at = self.wake_at();
            self.reactor.turn(Some(wake_at))?;
            let now = self.reactor.now();
            self.reap(now);
            self.open(now)?;
            let mut recorder = lock(&self.recorder);
            if self.counted && self.is_refused(&recorder, now) {
                let timeout = humantime::format_duration(self.settings.timeout);
                log::warn!("nobody took a connection for {timeout}: the load ends early");
                recorder.budget = 0;
            }
            if recorder.is_finished(now) {
                self.closed_at.get_or_insert(now);
            }
            let listened = self.closed_at.is_some_and(|at| now >= at + LISTEN_AFTER_LAST);
            let late = now >= recorder.end && now - recorder.end >= self.settings.timeout;
            if listened || recorder.abandoned || late {
                break;
            }
        }
        self.reactor.cut();
        self.reap(self.reactor.now());
        Ok(())
    }

    /// Whether no place could have a connection for as long as a reply is waited for.
    fn is_refused(&self, recorder: &Recorder, now: Instant) -> bool {
        let (asked, since) = self.asked_before;
        !recorder.is_over(now)
            && self.refused.len() == recorder.slots.len()
            && recorder.counts.asked == asked
            && now >= since + self.settings.timeout
    }

    /// No connection could be made in the place `slot`.
    fn note_refusal(&mut self, slot: usize, now: Instant) {
        let asked = lock(&self.recorder).counts.asked;
        if self.refused.is_empty() || asked != self.asked_before.0 {
            self.refused.clear();
            self.asked_before = (asked, now);
        }
        self.refused.insert(slot);
    }

    /// When something is to be done that no event will tell.
    fn wake_at(&self) -> Instant {
        if let Some(at) = self.closed_at {
            return at + LISTEN_AFTER_LAST;
        }
        let now = self.reactor.now();
        let recorder = lock(&self.recorder);
        if recorder.is_over(now) {
            return recorder.end.max(now) + self.settings.timeout;
        }
        let due = self.settings.schedule.map(|schedule| schedule.next(now));
        let awake = due.map(|due| due.checked_sub(SPIN_BEFORE_DUE).unwrap_or(due));
        let vacancy = self.vacant.first().map(|&(at, _)| at);
        awake.into_iter().chain(vacancy).fold(recorder.end, Instant::min)
    }

    /// Notes which connections have ended, and when their places get another.
    fn reap(&mut self, now: Instant) {
        let departed: Vec<_> = self.reactor.take_closed().collect();
        for (slot, ending, _) in departed {
            let mut recorder = lock(&self.recorder);
            let status = recorder.slots[slot];
            let mut refused = false;
            match ending {
                _ if status.busy => recorder.counts.busy += 1,
                CloseReason::Served | CloseReason::Forced if status.got_bytes || !status.begun => {}
                CloseReason::Served | CloseReason::Forced => recorder.counts.unserved += 1,
                CloseReason::Lost if !status.got_bytes => {
                    recorder.counts.unopened += 1;
                    refused = true;
                }
                _ => {
                    recorder.counts.lost += 1;
                    recorder.add_example(|| {
                        format!("connection {}: {ending}", self.first_index + slot)
                    });
                }
            }
            drop(recorder);
            if refused {
                self.note_refusal(slot, now);
            }
            let done = ending == CloseReason::Served && status.got_bytes && !status.busy;
            let at = if done && self.settings.reconnect {
                self.due(slot, now)
            } else {
                now + RETRY_DELAY
            };
            self.vacant.insert((at, slot));
        }
    }

    /// When the next request of a connection is due: now, in a closed loop.
    fn due(&self, slot: usize, now: Instant) -> Instant {
        let asked = lock(&self.recorder).slots[slot].asked;
        let due =
            self.settings.schedule.map(|schedule| schedule.due(self.first_index + slot, asked));
        due.unwrap_or(now)
    }

    /// Fills the places whose time has come, as long as there is something to ask.
    fn open(&mut self, now: Instant) -> io::Result<()> {
        while let Some(&(at, slot)) = self.vacant.first() {
            if at > now || lock(&self.recorder).is_over(now) {
                break;
            }
            self.vacant.pop_first();
            match connect::start_connect(self.address) {
                Ok(stream) => self.add_connection(stream, slot)?,
                Err(error) => {
                    let mut recorder = lock(&self.recorder);
                    recorder.counts.unopened += 1;
                    recorder.add_example(|| format!("cannot connect: {error}"));
                    drop(recorder);
                    self.note_refusal(slot, now);
                    self.vacant.insert((now + RETRY_DELAY, slot));
                }
            }
        }
        Ok(())
    }

    fn add_connection(&mut self, stream: TcpStream, slot: usize) -> io::Result<()> {
        let index = self.first_index + slot;
        let in_flight = self.settings.pipeline * self.settings.workload.longest_request();
        connect::enlarge_send_buffer(&stream, in_flight)?;
        lock(&self.recorder).counts.opened += 1;
        let client =
            LoadClient::new(Arc::clone(&self.settings), Arc::clone(&self.recorder), slot, index);
        let session = Session::new(
            Box::new(client),
            Arc::clone(&self.context),
            index as u64,
            self.reactor.now(),
        );
        self.reactor.add(stream, session, slot).map_err(|(_, error)| error)
    }
}
