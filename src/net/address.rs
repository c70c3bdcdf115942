//! Addresses: the resolver, and a connection to the first address of a host that accepts one.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use std::{fmt, io};

use rustix::io::Errno;
use socket2::SockRef;

use crate::duration;
use crate::error::{Exit, Failure};

const HOST_FORMS: &str = "expected a host name or an address such as 127.0.0.1 or ::1";

/// The host that a port alone stands for.
const LOOPBACK: &str = "127.0.0.1";

/// The shortest time that a connection attempt is given; std refuses zero.
const MIN_TIMEOUT: Duration = Duration::from_millis(1);

/// A text that is no host.
#[derive(Debug, PartialEq, Eq)]
pub struct BadHost {
    /// The host and the port that were probably meant.
    pub meant: Option<(String, u16)>,
}

impl fmt::Display for BadHost {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self.meant {
            Some(_) => "the host comes first, then the port",
            None => HOST_FORMS,
        })
    }
}

/// The host that a person wrote: a name or an address. An IPv6 address may stand in brackets, as
/// it does in the ready line. A number is refused, though the resolver takes it for an IPv4
/// address (`5000` for 0.0.19.136): it is a port.
pub fn parse_host(text: &str) -> Result<&str, BadHost> {
    let text = text.trim();
    if let Some((host, port)) = split_port(text) {
        let host = if host.is_empty() { LOOPBACK } else { host };
        let meant = (!is_number(host)).then(|| (host.to_owned(), port));
        return Err(BadHost { meant });
    }
    let bare = without_brackets(text);
    if bare.is_empty() || is_number(bare) { Err(BadHost { meant: None }) } else { Ok(bare) }
}

fn without_brackets(text: &str) -> &str {
    text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text)
}

/// Splits `HOST:PORT`, `[HOST]:PORT`, `:PORT` or `PORT`. An IPv6 address without brackets has no
/// port behind it.
fn split_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    let bare = without_brackets(host);
    let is_plain = bare.len() < host.len() || !host.contains(':');
    let is_decimal = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    if !is_plain || !is_decimal {
        return None;
    }
    Some((bare, port.parse().ok()?))
}

/// True if `inet_aton(3)`, and so the resolver, reads an address of one number.
fn is_number(text: &str) -> bool {
    let hex = text.strip_prefix("0x").or(text.strip_prefix("0X"));
    let (digits, radix) = hex.map_or((text, 10), |digits| (digits, 16));
    !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix))
}

/// The addresses of `host` with `port`, at least one, in the resolver's order of preference.
///
/// No time limit applies: getaddrinfo(3) has none.
pub fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    let addresses: Vec<_> = (host, port)
        .to_socket_addrs()
        .map_err(|error| {
            Failure::cannot(format_args!("find the address of \"{host}\""), &error).hint(HOST_FORMS)
        })?
        .collect();
    if addresses.is_empty() {
        return Err(Failure::new(Exit::Failed, format!("\"{host}\" has no address")));
    }
    Ok(addresses)
}

/// A new connection.
#[derive(Debug)]
pub struct Connected {
    /// The blocking socket.
    pub stream: TcpStream,
    /// The address that accepted it.
    pub address: SocketAddr,
    /// The time that the handshake took: one round trip.
    pub round_trip: Duration,
}

/// Connects to the first address of `host` that accepts, all attempts within `timeout`. Each gets
/// an equal share of the time left, so an address that drops packets leaves time for the next.
pub fn connect(host: &str, port: u16, timeout: Duration) -> Result<Connected, Failure> {
    let addresses = resolve(host, port)?;
    let deadline = now() + timeout;
    let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    let mut last_error = None;
    for address in addresses {
        let start = now();
        let share = deadline.saturating_duration_since(start) / left;
        left = left.saturating_sub(1).max(1);
        match TcpStream::connect_timeout(&address, share.max(MIN_TIMEOUT)) {
            Ok(stream) => match refuse_self_connection(&stream) {
                Ok(()) => return Ok(Connected { stream, address, round_trip: now() - start }),
                Err(error) => last_error = Some(error),
            },
            Err(error) => last_error = Some(error),
        }
    }
    let error = last_error.expect("there is at least one address");
    Err(cannot_connect(host_and_port(host, port), timeout, &error))
}

/// Fails with "connection refused" if a connected socket is its own peer.
///
/// Nobody listens at that address: the kernel has given the socket the very port that it was to
/// connect to, which is one of those for clients, and has connected it to itself (simultaneous
/// open, RFC 9293, 3.5). When it is closed, it resets itself, so that no TIME-WAIT holds the port
/// against a server that is started there.
pub fn refuse_self_connection(socket: &impl AsFd) -> io::Result<()> {
    let socket = SockRef::from(socket);
    // A peer that has already reset the connection has no address; it was another one.
    let Ok(peer) = socket.peer_addr() else { return Ok(()) };
    if socket.local_addr()? != peer {
        return Ok(());
    }
    socket.set_linger(Some(Duration::ZERO))?;
    Err(Errno::CONNREFUSED.into())
}

/// The failure to connect to `target` within `timeout`.
pub fn cannot_connect(target: impl fmt::Display, timeout: Duration, error: &io::Error) -> Failure {
    let failure = Failure::cannot(format_args!("connect to {target}"), error);
    match error.kind() {
        io::ErrorKind::ConnectionRefused => failure.hint("is the server running?"),
        // A nonblocking connect that is not done says "would block".
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
            let timeout = duration::format(timeout);
            let text = format!("cannot connect to {target}: no answer within {timeout}");
            // A client in the accept queue is connected (listen(2)).
            Failure::new(Exit::NoAnswer, text).hint(
                "the SYN is not answered: is the accept queue full, or is a firewall in the way?",
            )
        }
        _ => failure,
    }
}

/// `127.0.0.1:5000`, `[::1]:5000`.
fn host_and_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[expect(clippy::disallowed_methods, reason = "the time of a blocking connect")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};

    use socket2::{Domain, Socket, Type};

    #[test]
    fn a_host_is_a_name_or_an_address_and_may_stand_in_brackets() {
        for (text, host) in [
            ("localhost", "localhost"),
            ("127.0.0.1", "127.0.0.1"),
            ("127.1", "127.1"),
            ("::1", "::1"),
            ("[::1]", "::1"),
            (" [fe80::1%eth0] ", "fe80::1%eth0"),
            ("::5000", "::5000"),
            ("0xcafe.example", "0xcafe.example"),
        ] {
            assert_eq!(parse_host(text), Ok(host), "{text}");
        }
    }

    #[test]
    fn a_port_where_the_host_should_be_is_told_from_a_host() {
        for (text, host, port) in [
            ("5000", "127.0.0.1", 5000),
            (":5000", "127.0.0.1", 5000),
            ("0", "127.0.0.1", 0),
            ("localhost:5000", "localhost", 5000),
            ("10.0.0.7:80", "10.0.0.7", 80),
            ("[::1]:5000", "::1", 5000),
        ] {
            let meant = Some((host.to_owned(), port));
            assert_eq!(parse_host(text), Err(BadHost { meant }), "{text}");
        }
        for text in ["", " ", "[]", "70000", "0x1388", "0X7f000001", "017700000001", "5000:80"] {
            assert_eq!(parse_host(text), Err(BadHost { meant: None }), "{text}");
        }
    }

    #[test]
    fn a_socket_that_is_its_own_peer_is_refused_and_frees_its_port() {
        for host in [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()] {
            let any = SocketAddr::new(host, 0);
            let socket = Socket::new(Domain::for_address(any), Type::STREAM, None).unwrap();
            // A machine may have no IPv6.
            let Ok(()) = socket.bind(&any.into()) else { continue };
            let own = socket.local_addr().unwrap();
            socket.connect(&own).unwrap();
            let error = refuse_self_connection(&socket).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
            drop(socket);
            let successor = Socket::new(Domain::for_address(any), Type::STREAM, None).unwrap();
            successor.bind(&own).unwrap();
            successor.listen(1).unwrap();
        }
    }

    #[test]
    fn a_socket_with_another_peer_is_not_refused() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        refuse_self_connection(&stream).unwrap();
    }

    #[test]
    fn a_connect_that_takes_too_long_is_no_answer() {
        let error = io::Error::from(io::ErrorKind::TimedOut);
        let failure = cannot_connect("127.0.0.1:5000", Duration::from_secs(2), &error);
        assert_eq!(
            failure.to_string(),
            "cannot connect to 127.0.0.1:5000: no answer within 2 s \
             (the SYN is not answered: is the accept queue full, or is a firewall in the way?)"
        );
        assert_eq!(failure.exit, Exit::NoAnswer);
    }

    #[test]
    fn an_ipv6_host_is_shown_in_brackets() {
        let refused = io::Error::from(Errno::CONNREFUSED);
        let target = host_and_port("::1", 5000);
        let failure = cannot_connect(target, Duration::from_secs(2), &refused);
        assert_eq!(
            failure.to_string(),
            "cannot connect to [::1]:5000: connection refused (is the server running?)"
        );
    }
}
