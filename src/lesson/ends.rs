//! The two ends of a connection, as the kernel lists them.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpStream};

use super::threads::wait_until;
use crate::subject::sockets::{self, Socket, State};

/// The text for a socket that is not in the kernel's list any more.
const GONE: &str = "gone";

/// The addresses of a connection, which are known after its sockets are closed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    /// The address of the end that connected.
    pub(super) client: SocketAddr,
    /// The address of the end that was listened on.
    pub(super) server: SocketAddr,
}

impl Ends {
    /// The ends of a client's connection.
    pub(super) fn of(client: &TcpStream) -> io::Result<Self> {
        Ok(Self { client: client.local_addr()?, server: client.peer_addr()? })
    }

    /// The row of the client's end.
    pub(super) fn client(&self) -> Option<Socket> {
        find(self.client, self.server)
    }

    /// The row of the server's end.
    pub(super) fn server(&self) -> Option<Socket> {
        find(self.server, self.client)
    }

    /// Waits for these states. Returns those that were seen last.
    pub(super) fn reach(&self, client: &str, server: &str) -> String {
        let mut seen = (GONE, GONE);
        wait_until(|| {
            seen = (name(self.client()), name(self.server()));
            seen == (client, server)
        });
        both(seen.0, seen.1)
    }

    /// Waits until the server's end has so many bytes that no program has read.
    pub(super) fn arrived(&self, unread: u32) -> bool {
        wait_until(|| self.server().is_some_and(|row| row.unread >= unread))
    }

    /// Waits until the peer has acknowledged all that the client's end sent.
    pub(super) fn acknowledged(&self) -> bool {
        wait_until(|| self.client().is_none_or(|row| row.unsent == 0))
    }
}

fn find(local: SocketAddr, remote: SocketAddr) -> Option<Socket> {
    let is_it = |row: &Socket| (row.local, row.remote) == (local, remote);
    let found = sockets::table().into_iter().find(is_it);
    found.or_else(|| sockets::in_time_wait().into_iter().find(is_it))
}

/// The states of both ends as a learner reads them.
pub(super) fn both(client: &str, server: &str) -> String {
    format!("client {client:<13} server {server}")
}

/// The name of a row's state as RFC 9293 writes it.
pub(super) fn name(row: Option<Socket>) -> &'static str {
    match row.map(|row| row.state) {
        None | Some(State::Close) => GONE,
        Some(State::Established) => "ESTABLISHED",
        Some(State::SynSent) => "SYN-SENT",
        Some(State::SynRecv | State::NewSynRecv) => "SYN-RECEIVED",
        Some(State::FinWait1) => "FIN-WAIT-1",
        Some(State::FinWait2) => "FIN-WAIT-2",
        Some(State::TimeWait) => "TIME-WAIT",
        Some(State::CloseWait) => "CLOSE-WAIT",
        Some(State::LastAck) => "LAST-ACK",
        Some(State::Listen) => "LISTEN",
        Some(State::Closing) => "CLOSING",
    }
}

/// A counter of TCP in this network (`nstat -az`).
pub(super) fn counter(name: &str) -> u64 {
    // Two lines for each protocol: the names and the values (proc(5)).
    let text = fs::read_to_string("/proc/net/netstat").unwrap_or_default();
    let mut lines = text.lines().filter(|line| line.starts_with("TcpExt:"));
    let (Some(names), Some(values)) = (lines.next(), lines.next()) else { return 0 };
    let mut fields = names.split(' ').zip(values.split(' '));
    let value = fields.find(|(field, _)| *field == name);
    value.and_then(|(_, value)| value.parse().ok()).unwrap_or(0)
}
