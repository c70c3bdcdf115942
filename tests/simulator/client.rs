//! A client: its state, and its side of the connection.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use socklab::service::{Receipt, Service};
use socklab::session::CloseReason;

use crate::connection::{Connection, Packet};
use crate::plan::{Plan, Split, Step};
use crate::world::{Action, World};

/// A client and its connection.
#[expect(clippy::struct_excessive_bools, reason = "each can be so or not, whatever the others are")]
pub struct Client {
    pub plan: Plan,
    pub steps: VecDeque<Step>,
    pub connection: Connection,
    /// The service for it, until it is accepted.
    pub service: Option<Box<dyn Service>>,
    /// The time at which the record of its game is written, in running time, and its receipt.
    pub record: Option<(Instant, Receipt)>,
    /// Bytes that it has read.
    pub received: usize,
    /// It does nothing before it has read that many bytes.
    awaits: Option<usize>,
    /// A read is in the event queue.
    read_scheduled: bool,
    fin_sent: bool,
    /// It has closed its socket, or the connection is broken.
    pub closed: bool,
    /// No fault excuses the loss of a reply.
    pub must_receive_all: bool,
    /// It had closed its socket before it was accepted and told busy.
    pub closed_before_busy: bool,
    /// Bytes of replies that were owed when the server began to drain. After them, the server may
    /// answer part of a message as if it were whole.
    pub owed_at_drain: Option<usize>,
    /// The time since when the server could have sent its FIN.
    pub fin_due_since: Option<Instant>,
}

impl Client {
    pub fn new(plan: Plan, service: Box<dyn Service>, connection: Connection) -> Self {
        Self {
            steps: plan.steps.iter().cloned().collect(),
            plan,
            connection,
            service: Some(service),
            record: None,
            received: 0,
            awaits: None,
            read_scheduled: false,
            fin_sent: false,
            closed: false,
            must_receive_all: false,
            closed_before_busy: false,
            owed_at_drain: None,
            fin_due_since: None,
        }
    }

    /// Begins a wait for bombers, which have done `work`, if the server owes a reply and may send.
    pub fn wait_for_replies(&mut self, work: u64) {
        let connection = &mut self.connection;
        if connection.written < self.plan.owed(connection.taken) && !connection.send_blocked {
            connection.work_before = Some(work);
        }
    }

    /// The client is rejected, and must receive this text and nothing else. It waits for
    /// that, unless it has closed already.
    pub fn expect_busy(&mut self, text: &str) {
        self.plan.replies = text.into();
        self.plan.owed = vec![(0, text.len())];
        self.plan.service_reason = Some(CloseReason::Served);
        self.plan.service_sleeps = false;
        self.closed_before_busy = self.closed;
        self.steps.retain(|step| !matches!(step, Step::Close));
    }
}

impl World {
    /// The client continues its plan until it must wait.
    pub fn run_client(&mut self, id: usize) {
        loop {
            let client = &mut self.clients[id];
            if client.closed || client.awaits.is_some_and(|count| client.received < count) {
                return;
            }
            client.awaits = None;
            let Some(step) = client.steps.pop_front() else { return };
            match step {
                Step::Send(bytes, split) => self.send_bytes(id, bytes, split),
                Step::SendUrgent => self.send_urgent(id),
                Step::AwaitReplies(count) => client.awaits = Some(count),
                Step::Pause(pause) => {
                    let at = self.now + pause;
                    return self.schedule(at, id, Action::RunClient);
                }
                Step::ShutDown => self.shut_down(id),
                Step::Close => self.close_by_client(id),
                Step::Abort(error) => self.abort(id, error),
            }
        }
    }

    /// The client's socket has something to read, or the end.
    pub fn notify_client(&mut self, id: usize) {
        let client = &self.clients[id];
        if client.closed {
            // A closed socket answers with a reset.
            if !client.connection.closed && !client.connection.send_buffer.is_empty() {
                self.send(id, Packet::Broken(ErrorKind::ConnectionReset), Duration::ZERO);
            }
        } else if client.plan.read_pace.is_some() && !client.read_scheduled {
            self.clients[id].read_scheduled = true;
            let at = self.soon();
            self.schedule(at, id, Action::ReadByClient);
        }
    }

    pub fn read_by_client(&mut self, id: usize) {
        let client = &mut self.clients[id];
        client.read_scheduled = false;
        let Some(pace) = client.plan.read_pace.filter(|_| !client.closed) else { return };
        let n = client.connection.send_buffer.len().min(pace.bytes);
        client.connection.send_buffer.drain(..n);
        client.received += n;
        let more = !client.connection.send_buffer.is_empty();
        if client.connection.send_blocked && client.connection.is_writable() {
            client.connection.send_blocked = false;
            self.notify_server(id);
        }
        self.run_client(id);
        if more {
            self.clients[id].read_scheduled = true;
            let stalled = pace.stalls && self.rng.chance(50);
            let pause = if stalled { Duration::from_secs(2) } else { pace.pause };
            let at = self.now + self.rng.within(pause) + Duration::from_micros(1);
            self.schedule(at, id, Action::ReadByClient);
        } else if self.clients[id].connection.fin_sent_at.is_some()
            && self.clients[id].plan.closes_after_server
        {
            self.close_by_client(id);
        }
    }

    fn send_bytes(&mut self, id: usize, bytes: Vec<u8>, split: Split) {
        match split {
            Split::Whole => self.send(id, Packet::Bytes(bytes), Duration::ZERO),
            Split::Few => {
                let size = 1 + bytes.len() / (1 + self.rng.below(5));
                for piece in bytes.chunks(size) {
                    let later = self.rng.within(Duration::from_millis(1));
                    self.send(id, Packet::Bytes(piece.to_vec()), later);
                }
            }
            Split::Burst => {
                // After urgent data, no short receive is known to be the last.
                let pieces = if self.rng.chance(700) { 20 + self.rng.below(80) } else { 1000 };
                let urgent = 1 + self.rng.below(16);
                for (n, piece) in bytes.chunks(1 + bytes.len() / pieces).enumerate() {
                    if n == urgent {
                        self.send_urgent(id);
                    }
                    let later = self.rng.within(Duration::from_micros(6));
                    self.send(id, Packet::Bytes(piece.to_vec()), later);
                }
            }
            Split::Bytes => {
                for byte in bytes {
                    let later = self.rng.within(Duration::from_millis(80));
                    self.send(id, Packet::Bytes(vec![byte]), later);
                }
            }
        }
    }

    fn send_urgent(&mut self, id: usize) {
        let connection = &self.clients[id].connection;
        let in_flight =
            connection.in_flight.iter().any(|(_, packet)| matches!(packet, Packet::Urgent));
        // A second urgent byte would make the first one part of the stream.
        if !in_flight && connection.urgent_mark.is_none() {
            self.send(id, Packet::Urgent, Duration::ZERO);
        }
    }

    fn shut_down(&mut self, id: usize) {
        if !std::mem::replace(&mut self.clients[id].fin_sent, true) {
            self.send(id, Packet::Fin, Duration::ZERO);
        }
    }

    /// The client closes its socket: a FIN, or with unread bytes a reset.
    fn close_by_client(&mut self, id: usize) {
        if self.clients[id].connection.send_buffer.is_empty() {
            self.shut_down(id);
            self.clients[id].closed = true;
        } else {
            self.abort(id, ErrorKind::ConnectionReset);
        }
    }

    /// The connection breaks, which the server will see as this error.
    fn abort(&mut self, id: usize, error: ErrorKind) {
        let Client { connection, closed, .. } = &mut self.clients[id];
        *closed = true;
        if std::mem::take(&mut connection.window_full) {
            connection.in_flight.clear();
        }
        self.send(id, Packet::Broken(error), Duration::ZERO);
    }
}
