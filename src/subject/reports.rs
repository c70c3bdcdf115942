//! The reports that we receive from a supervisor, a line each.

use std::borrow::Cow;
use std::io::{self, BufRead, BufReader};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// The receiving side of the connection to a supervisor.
#[derive(Debug)]
pub(super) struct Reports {
    stream: BufReader<UnixStream>,
    /// The part of a report that had come when a wait ended.
    begun: Vec<u8>,
}

impl Reports {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self { stream: BufReader::new(stream), begun: Vec::new() }
    }

    /// Receives a report, or none at the end of the connection. Waits for it for at most
    /// `patience`; if that is none, without limit. If the report has not come whole by then, fails
    /// with `WouldBlock`, and a later call receives it.
    pub(super) fn receive(&mut self, patience: Option<Duration>) -> io::Result<Option<String>> {
        let socket = self.stream.get_ref();
        let wait = patience.filter(|patience| !patience.is_zero());
        socket.set_nonblocking(wait != patience)?;
        socket.set_read_timeout(wait)?;
        self.stream.read_until(b'\n', &mut self.begun)?;
        let line = std::mem::take(&mut self.begun);
        let line = line.strip_suffix(b"\n").map(String::from_utf8_lossy);
        Ok(line.map(Cow::into_owned))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Write};

    use super::*;

    #[test]
    fn a_report_that_comes_in_pieces_is_received_whole() {
        let (mut supervisor, ours) = UnixStream::pair().unwrap();
        let mut reports = Reports::new(ours);
        for (piece, patience) in
            [("", Duration::ZERO), ("ended ", Duration::ZERO), ("exit 3", Duration::from_millis(1))]
        {
            supervisor.write_all(piece.as_bytes()).unwrap();
            let error = reports.receive(Some(patience)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
        }
        supervisor.write_all(b"\ngone\n").unwrap();
        drop(supervisor);
        assert_eq!(reports.receive(Some(Duration::ZERO)).unwrap().unwrap(), "ended exit 3");
        assert_eq!(reports.receive(None).unwrap().unwrap(), "gone");
        assert_eq!(reports.receive(None).unwrap(), None);
    }
}
