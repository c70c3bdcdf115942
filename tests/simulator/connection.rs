//! One connection as the kernel has it: the packets on their way to the server, the server's socket
//! with its two buffers, and the events reported of it.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read};
use std::time::{Duration, Instant};

use mio::Token;
use socklab::drive::ready::{Readable, Readiness};

#[derive(Debug)]
pub enum Packet {
    Bytes(Vec<u8>),
    Urgent,
    Fin,
    Broken(ErrorKind),
}

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each can be so or not, whatever the others are")]
pub struct Connection {
    /// Packets on their way to the server, each with the time of its arrival, in order.
    pub in_flight: VecDeque<(Instant, Packet)>,
    /// The first of them waits until the receive queue has space.
    pub window_full: bool,
    /// Size of the receive queue, in bytes.
    pub window: usize,
    pub received: VecDeque<u8>,
    /// Bytes that the server has received.
    pub taken: usize,
    /// Position of the urgent byte in the stream: a receive stops there (tcp(7), SIOCATMARK).
    pub urgent_mark: Option<usize>,
    /// The client's FIN has arrived.
    pub fin: bool,
    /// A receive has returned 0.
    pub fin_seen: bool,
    /// The error by which the connection is broken.
    pub broken: Option<ErrorKind>,
    /// The same until a call of the server has failed with it.
    pub pending_error: Option<ErrorKind>,
    /// Bytes that the server has sent and the client has not read.
    pub send_buffer: VecDeque<u8>,
    /// Size of the send buffer, in bytes.
    pub capacity: usize,
    /// Bytes that the server has sent.
    pub written: usize,
    /// A send was refused or cut short, so an event is due when there is space.
    pub send_blocked: bool,
    /// The time when the server sent its FIN.
    pub fin_sent_at: Option<Instant>,
    /// The server has closed its socket.
    pub closed: bool,
    /// The token with which the server has registered the socket.
    pub token: Option<Token>,
    /// The time from which on the socket has an event to report.
    pub event_at: Option<Instant>,
    /// The work of bombers when the event of its input was reported, or at the last call, until
    /// all replies are sent or a send is refused.
    pub work_before: Option<u64>,
    /// The sum of their work in such times.
    pub work_waited_for: u64,
    /// Time of the last send that failed for want of the kernel's memory.
    pub no_buffers_at: Option<Instant>,
    /// System calls of the server on the socket in this turn.
    pub calls: u32,
    /// Number of turns in which the connection could have been served and was not.
    pub turns_unserved: usize,
    /// The time when the server last sent a byte, or received one before its FIN.
    pub active_at: Instant,
    /// See [`World::halted`](crate::world::World::halted), at that time.
    pub halted_before: Duration,
    /// The time when the server last owed nothing, because it received; each byte that it has sent
    /// since moves it forward by 1/16 s, at most to the time of the send.
    pub owed_since: Instant,
    /// The time since when the server owes bytes that it could send.
    pub reply_due_since: Option<Instant>,
}

impl Connection {
    pub fn new(now: Instant, window: usize, capacity: usize) -> Self {
        Self {
            in_flight: VecDeque::new(),
            window_full: false,
            window,
            received: VecDeque::new(),
            taken: 0,
            urgent_mark: None,
            fin: false,
            fin_seen: false,
            broken: None,
            pending_error: None,
            send_buffer: VecDeque::new(),
            capacity,
            written: 0,
            send_blocked: false,
            fin_sent_at: None,
            closed: false,
            token: None,
            event_at: None,
            work_before: None,
            no_buffers_at: None,
            work_waited_for: 0,
            calls: 0,
            turns_unserved: 0,
            active_at: now,
            halted_before: Duration::ZERO,
            owed_since: now,
            reply_due_since: None,
        }
    }

    /// Bytes of the client's stream that have arrived at the server.
    pub fn arrived(&self) -> usize {
        self.taken + self.received.len()
    }

    /// True if a receive would not block.
    pub fn is_readable(&self) -> bool {
        !self.received.is_empty() || self.fin && !self.fin_seen || self.pending_error.is_some()
    }

    /// True if the event of that was reported, and no refused send must be repeated before.
    pub fn is_known_readable(&self) -> bool {
        self.token.is_some() && self.is_readable() && self.event_at.is_none() && !self.send_blocked
    }

    /// Linux reports a socket as writable when a third of its send buffer is free.
    pub fn is_writable(&self) -> bool {
        self.broken.is_some() || self.capacity - self.send_buffer.len() >= self.capacity.div_ceil(3)
    }

    /// The event of the current state.
    pub fn readiness(&self) -> Readiness {
        let readable = if self.fin || self.broken.is_some() || self.urgent_mark.is_some() {
            Readable::UntilBlock
        } else if self.received.is_empty() {
            Readable::No
        } else {
            Readable::UntilShort
        };
        Readiness { readable, writable: self.is_writable() }
    }

    /// Receives into `buffer`. `None` means that it would block.
    pub fn receive(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, ErrorKind> {
        assert!(!buffer.is_empty(), "a receive into nothing looks like the end of input");
        if self.urgent_mark == Some(self.taken) && !self.received.is_empty() {
            self.urgent_mark = None;
        }
        let before_mark = self.urgent_mark.map_or(usize::MAX, |mark| mark - self.taken);
        let n = buffer.len().min(self.received.len()).min(before_mark);
        if n > 0 {
            self.received.read_exact(&mut buffer[..n]).expect("the queue holds n bytes");
            self.taken += n;
            return Ok(Some(n));
        }
        self.urgent_mark = None;
        if let Some(error) = self.pending_error.take() {
            return Err(error);
        }
        if self.fin || self.broken.is_some() {
            self.fin_seen = true;
            return Ok(Some(0));
        }
        Ok(None)
    }

    /// Ends a wait of the connection for bombers that have done `work`.
    pub fn end_wait(&mut self, work: u64) {
        self.work_waited_for += self.work_before.take().map_or(0, |before| work - before);
    }

    /// Sends as many bytes as there is space for. `None` means that it would block.
    pub fn send(&mut self, bytes: &[u8]) -> Result<Option<usize>, ErrorKind> {
        assert!(self.fin_sent_at.is_none(), "a send after the end");
        if self.broken.is_some() {
            return Err(self.pending_error.take().unwrap_or(ErrorKind::BrokenPipe));
        }
        let n = bytes.len().min(self.capacity - self.send_buffer.len());
        self.send_blocked |= n < bytes.len();
        self.send_buffer.extend(&bytes[..n]);
        self.written += n;
        Ok((n > 0).then_some(n))
    }
}
