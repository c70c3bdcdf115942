//! Addresses: the resolver, and a connection to the first address of a host that accepts one.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};
use std::{fmt, io};

use crate::duration;
use crate::error::{Exit, Failure};

/// The shortest time that a connection attempt is given; std refuses zero.
const MIN_TIMEOUT: Duration = Duration::from_millis(1);

/// The addresses of `host` with `port`, at least one, in the resolver's order of preference.
///
/// No time limit applies: getaddrinfo(3) has none.
pub fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    let addresses: Vec<_> = (host, port)
        .to_socket_addrs()
        .map_err(|error| {
            Failure::cannot(format_args!("find the address of {host:?}"), &error)
                .hint("expected a host name or an address such as 127.0.0.1 or ::1")
        })?
        .collect();
    if addresses.is_empty() {
        return Err(Failure::new(Exit::Failed, format!("{host:?} has no address")));
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
            Ok(stream) => return Ok(Connected { stream, address, round_trip: now() - start }),
            Err(error) => last_error = Some(error),
        }
    }
    let error = last_error.expect("there is at least one address");
    Err(cannot_connect(host_and_port(host, port), timeout, &error))
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
            Failure::new(Exit::NoAnswer, text).hint("is the server busy with another client?")
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

    #[test]
    fn a_connect_that_takes_too_long_is_no_answer() {
        let error = io::Error::from(io::ErrorKind::TimedOut);
        let failure = cannot_connect("127.0.0.1:5000", Duration::from_secs(2), &error);
        assert_eq!(
            failure.to_string(),
            "cannot connect to 127.0.0.1:5000: no answer within 2 s \
             (is the server busy with another client?)"
        );
        assert_eq!(failure.exit, Exit::NoAnswer);
    }

    #[test]
    fn an_ipv6_host_is_shown_in_brackets() {
        let refused = io::Error::from_raw_os_error(rustix::io::Errno::CONNREFUSED.raw_os_error());
        let target = host_and_port("::1", 5000);
        let failure = cannot_connect(target, Duration::from_secs(2), &refused);
        assert_eq!(
            failure.to_string(),
            "cannot connect to [::1]:5000: connection refused (is the server running?)"
        );
    }
}
