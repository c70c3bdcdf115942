//! The pipes between a loop and the processes that serve its clients.
//!
//! Nothing is ever written to the first: it ends when the loop stops or is no more, and then the
//! children drain. A signal could not do that: one that comes while a child is handed a client
//! would end the child, and with it the requests of the client. So the children leave the process
//! group to which a terminal sends Ctrl-C, and block its signals until they have. In the second
//! pipe a child reports why a connection has ended, right before it closes it. Its traffic is
//! counted then.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use mio::unix::SourceFd;
use mio::{Interest, Registry};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::pipe::pipe;

use super::config::ParentPipes;
use super::report::Report;
use crate::reactor::Source;

/// The most bytes of reports that one read takes.
const REPORTS_SIZE: usize = 4096;

/// The two pipes between the loop and its children.
pub(super) struct ControlPipes {
    /// Our end of the pipe whose end tells the children to drain.
    keepalive: Option<OwnedFd>,
    /// The children's end of it.
    until: OwnedFd,
    /// Our end of the pipe for reports.
    reports: File,
    /// The children's end of it.
    report: OwnedFd,
    /// The beginning of a report that has not come whole.
    partial: Vec<u8>,
}

impl ControlPipes {
    /// Two pipes without children.
    pub(super) fn new() -> io::Result<Self> {
        let (until, keepalive) = pipe()?;
        let (reports, report) = pipe()?;
        for our_own in [keepalive.as_fd(), reports.as_fd()] {
            fcntl_setfd(our_own, FdFlags::CLOEXEC)?;
        }
        fcntl_setfl(&reports, fcntl_getfl(&reports)? | OFlags::NONBLOCK)?;
        let (keepalive, partial) = (Some(keepalive), Vec::new());
        Ok(Self { keepalive, until, reports: reports.into(), report, partial })
    }

    /// The paths of the children's ends.
    pub(super) fn of_child(&self) -> ParentPipes {
        let path = |pipe: &OwnedFd| open_file(pipe).into();
        ParentPipes { until: path(&self.until), report: path(&self.report) }
    }

    /// Tells the children to drain.
    pub(super) fn end_keepalive(&mut self) {
        self.keepalive = None;
    }

    /// True if the children were told to drain.
    pub(super) fn is_ended(&self) -> bool {
        self.keepalive.is_none()
    }

    /// Makes a report an event of the loop's waker.
    pub(super) fn register_reports(&self, registry: &Registry) -> io::Result<()> {
        let mut source = SourceFd(&self.reports.as_raw_fd());
        registry.register(&mut source, Source::Waker.token(), Interest::READABLE)
    }

    /// The reports that have come since the last call.
    pub(super) fn reports(&mut self) -> Vec<Report> {
        let mut room = [0; REPORTS_SIZE];
        // The pipe does not end while we hold its other end. Any error means that it is empty.
        while let Ok(n) = self.reports.read(&mut room) {
            self.partial.extend_from_slice(&room[..n]);
            if n < room.len() {
                break;
            }
        }
        let whole = memchr::memrchr(b'\n', &self.partial).map_or(0, |end| end + 1);
        let whole: Vec<u8> = self.partial.drain(..whole).collect();
        String::from_utf8_lossy(&whole).lines().filter_map(Report::parse).collect()
    }
}

/// The path of an open file. Unlike `/dev/fd`, it is there where `/proc/self/exe` is.
pub(super) fn open_file(file: &impl AsRawFd) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}
