//! The TCP sockets of this network namespace, as `sock_diag(7)` lists them. Where it is missing,
//! `/proc/net/tcp` and `tcp6` have the same.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP};
use netlink_packet_sock_diag::inet::{
    ExtensionFlags, InetRequest, InetResponseHeader, SocketId, StateFlags,
};
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use procfs::net::TcpNetEntry;
use procfs::process::Process;

/// The size of the buffer for answers, in bytes; the kernel sends at most 32 KiB at once.
const BUFFER_SIZE: usize = 64 * 1024;

/// A TCP socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Its own address. An IPv4 connection of an IPv6 socket has an IPv4 address here.
    pub local: SocketAddr,
    /// Its peer's.
    pub remote: SocketAddr,
    /// Its state.
    pub state: State,
    /// Bytes received and not read by the program; of a listener, connections in its accept queue.
    pub unread: u32,
    /// Bytes sent by the program and not acknowledged by the peer; of a listener, its backlog.
    pub unsent: u32,
    /// The number that also stands behind a descriptor of its owner; 0 if it has none.
    pub inode: u64,
}

/// The state of a socket (RFC 9293, 3.3.2).
pub type State = procfs::net::TcpState;

/// All sockets but those in `TIME_WAIT`, of which there may be very many.
pub fn table() -> Vec<Socket> {
    list(&(StateFlags::all() & !StateFlags::TIME_WAIT))
}

/// The sockets that listen.
pub fn listening() -> Vec<Socket> {
    list(&StateFlags::LISTEN)
}

/// The sockets in `TIME_WAIT`.
pub fn in_time_wait() -> Vec<Socket> {
    list(&StateFlags::TIME_WAIT)
}

fn list(states: &StateFlags) -> Vec<Socket> {
    let listed = [AF_INET, AF_INET6].map(|family| dump(family, states.clone()));
    if let [Ok(v4), Ok(v6)] = listed {
        return [v4, v6].concat();
    }
    let Ok(process) = Process::myself() else { return Vec::new() };
    // Without IPv6 there is no second table.
    let rows = process.tcp().into_iter().chain(process.tcp6()).flatten();
    let mut rows: Vec<_> = rows.map(of_row).collect();
    rows.retain(|socket| states.bits() & 1 << socket.state.to_u8() != 0);
    rows
}

/// Asks the kernel for the sockets of a family in these states.
fn dump(family: u8, states: StateFlags) -> io::Result<Vec<Socket>> {
    let mut netlink = netlink_sys::Socket::new(NETLINK_SOCK_DIAG)?;
    netlink.bind_auto()?;
    netlink.connect(&netlink_sys::SocketAddr::new(0, 0))?;
    let socket_id = if family == AF_INET { SocketId::new_v4() } else { SocketId::new_v6() };
    let extensions = ExtensionFlags::empty();
    let request = InetRequest { family, protocol: IPPROTO_TCP, extensions, states, socket_id };
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    netlink.send(&bytes, 0)?;
    let mut found = Vec::new();
    let mut buffer = vec![0; BUFFER_SIZE];
    loop {
        let len = netlink.recv(&mut &mut buffer[..], 0)?;
        let mut rest = &buffer[..len];
        while !rest.is_empty() {
            let message =
                NetlinkMessage::<SockDiagMessage>::deserialize(rest).map_err(io::Error::other)?;
            match message.payload {
                NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(it)) => {
                    found.extend(of_response(&it.header));
                }
                NetlinkPayload::Done(_) => return Ok(found),
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                _ => {}
            }
            let length = usize::try_from(message.header.length).unwrap_or(len);
            rest = rest.get(length..).filter(|_| length > 0).unwrap_or_default();
        }
    }
}

fn of_response(header: &InetResponseHeader) -> Option<Socket> {
    let id = &header.socket_id;
    Some(Socket {
        local: unmapped(id.source_address, id.source_port),
        remote: unmapped(id.destination_address, id.destination_port),
        state: State::from_u8(header.state)?,
        unread: header.recv_queue,
        unsent: header.send_queue,
        inode: header.inode.into(),
    })
}

fn of_row(row: TcpNetEntry) -> Socket {
    let (local, remote) = (row.local_address, row.remote_address);
    Socket {
        local: unmapped(local.ip(), local.port()),
        remote: unmapped(remote.ip(), remote.port()),
        state: row.state,
        unread: row.rx_queue,
        unsent: row.tx_queue,
        inode: row.inode,
    }
}

/// The IPv4 address for one that is mapped into IPv6 (`::ffff:127.0.0.1`).
fn unmapped(address: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(address.to_canonical(), port)
}

/// The address at which a program on this machine reaches a listener.
pub(super) fn reachable(listener: SocketAddr) -> SocketAddr {
    let ip = match listener.ip() {
        // IPv6 listeners need not take IPv4.
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listener.port())
}
