//! One connection as the kernel has it: what is on its way to the server, the server's socket with
//! its two queues, and what has been told of it.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read};
use std::time::Instant;

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
pub struct Wire {
    /// Towards the server, each with the time of its arrival, in order.
    pub flight: VecDeque<(Instant, Packet)>,
    /// The first of them waits for room in the receive queue.
    pub stalled: bool,
    /// The most that the receive queue holds.
    pub window: usize,
    pub received: VecDeque<u8>,
    /// What the server has taken out of it.
    pub taken: usize,
    /// Where in the stream a receive stops, short of what is behind: the urgent byte's place.
    pub mark: Option<usize>,
    /// The client's FIN has arrived, and the server has been told by a receive of nothing.
    pub fin: bool,
    pub fin_seen: bool,
    /// The connection broke for this reason; and the server has not been told by an error.
    pub broken: Option<ErrorKind>,
    pub error: Option<ErrorKind>,
    /// Towards the client.
    pub send_buffer: VecDeque<u8>,
    pub capacity: usize,
    /// All that the server has sent.
    pub written: usize,
    /// A send was refused, so there will be an event when there is room.
    pub full: bool,
    /// When the server has sent its FIN.
    pub shut_at: Option<Instant>,
    /// The server has closed its socket.
    pub closed: bool,
    /// The server's loop knows the socket by this.
    pub token: Option<Token>,
    /// From when on there is an event to tell.
    pub event_at: Option<Instant>,
    /// The system calls of the server on it in this turn.
    pub calls: u32,
    /// For so many turns it has had to wait though it could have been served.
    pub hungry: usize,
    /// When a byte that counts has last moved.
    pub active_at: Instant,
    /// Since when the server owes something that it could send.
    pub owing_since: Option<Instant>,
}

impl Wire {
    pub fn new(now: Instant, window: usize, capacity: usize) -> Self {
        Self {
            flight: VecDeque::new(),
            stalled: false,
            window,
            received: VecDeque::new(),
            taken: 0,
            mark: None,
            fin: false,
            fin_seen: false,
            broken: None,
            error: None,
            send_buffer: VecDeque::new(),
            capacity,
            written: 0,
            full: false,
            shut_at: None,
            closed: false,
            token: None,
            event_at: None,
            calls: 0,
            hungry: 0,
            active_at: now,
            owing_since: None,
        }
    }

    /// How much of the client's stream has come as far as the receive queue, or farther.
    pub fn arrived(&self) -> usize {
        self.taken + self.received.len()
    }

    /// Whether a receive would bring something: bytes, the end or an error.
    pub fn is_readable(&self) -> bool {
        !self.received.is_empty() || self.fin && !self.fin_seen || self.error.is_some()
    }

    /// Whether the server was told so, and can send what it may have to send before.
    pub fn is_known_readable(&self) -> bool {
        self.token.is_some() && self.is_readable() && self.event_at.is_none() && !self.full
    }

    /// Linux calls a socket writable when a third of its buffer is free.
    pub fn is_writable(&self) -> bool {
        self.broken.is_some() || self.capacity - self.send_buffer.len() >= self.capacity.div_ceil(3)
    }

    /// What the kernel can say of it now.
    pub fn readiness(&self) -> Readiness {
        let readable = if self.fin || self.broken.is_some() || self.mark.is_some() {
            Readable::UntilBlock
        } else if self.received.is_empty() {
            Readable::No
        } else {
            Readable::UntilShort
        };
        Readiness { readable, writable: self.is_writable() }
    }

    /// Receives into `room`. None means that it would block.
    pub fn receive(&mut self, room: &mut [u8]) -> Result<Option<usize>, ErrorKind> {
        assert!(!room.is_empty(), "a receive into nothing looks like the end of input");
        if self.mark == Some(self.taken) && !self.received.is_empty() {
            self.mark = None;
        }
        let before_mark = self.mark.map_or(usize::MAX, |mark| mark - self.taken);
        let n = room.len().min(self.received.len()).min(before_mark);
        if n > 0 {
            self.received.read_exact(&mut room[..n]).expect("so much has come");
            self.taken += n;
            return Ok(Some(n));
        }
        self.mark = None;
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        if self.fin || self.broken.is_some() {
            self.fin_seen = true;
            return Ok(Some(0));
        }
        Ok(None)
    }

    /// Sends what there is room for. None means that it would block.
    pub fn send(&mut self, bytes: &[u8]) -> Result<Option<usize>, ErrorKind> {
        assert!(self.shut_at.is_none(), "a send after the end");
        if self.broken.is_some() {
            return Err(self.error.take().unwrap_or(ErrorKind::BrokenPipe));
        }
        let n = bytes.len().min(self.capacity - self.send_buffer.len());
        self.full |= n < bytes.len();
        self.send_buffer.extend(&bytes[..n]);
        self.written += n;
        Ok((n > 0).then_some(n))
    }
}
