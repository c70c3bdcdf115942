//! The last output of a subject, kept to be shown when something fails.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::escape;

/// The most bytes that are kept.
const KEPT: usize = 64 * 1024;

/// The most bytes of a line that are shown.
const SHOWN: usize = 300;

/// The longest wait for the end of the pipes: a process that nobody can end may hold one.
const FINISH_TIME: Duration = Duration::from_secs(1);

/// The most bytes received by one call.
const READ_SIZE: usize = 4096;

/// The last lines of a subject's stdout and stderr.
#[derive(Clone, Debug, Default)]
pub(super) struct Output(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    kept: Mutex<Kept>,
    /// Notified at the end of a pipe.
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Kept {
    bytes: VecDeque<u8>,
    /// All bytes that have come, also those that are not kept.
    received: u64,
    /// Pipes that have not ended.
    open: usize,
}

impl Output {
    /// Keeps what comes out of `pipe`, in a thread of its own that ends with the pipe.
    pub(super) fn keep(&self, mut pipe: impl Read + Send + 'static) -> io::Result<()> {
        let output = self.clone();
        self.kept().open += 1;
        let read = move || {
            let mut bytes = [0; READ_SIZE];
            loop {
                match pipe.read(&mut bytes) {
                    Ok(0) => break,
                    Ok(len) => output.push(&bytes[..len]),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => break,
                }
            }
            output.kept().open -= 1;
            output.0.ended.notify_all();
        };
        thread::Builder::new().name("output".to_owned()).spawn(read).map(drop)
    }

    fn push(&self, bytes: &[u8]) {
        let mut kept = self.kept();
        kept.received += bytes.len() as u64;
        kept.bytes.extend(bytes);
        let surplus = kept.bytes.len().saturating_sub(KEPT);
        kept.bytes.drain(..surplus);
    }

    /// The number of bytes that have come.
    pub(super) fn received(&self) -> u64 {
        self.kept().received
    }

    /// Waits for the end of the pipes, once nobody is left to write to them.
    pub(super) fn finish(&self) {
        let wait = self.0.ended.wait_timeout_while(self.kept(), FINISH_TIME, |kept| kept.open > 0);
        drop(wait);
    }

    /// The last `most` lines, cut if they are long, with hidden characters escaped. Left out are
    /// empty ones, and those that mark a place in the line above.
    pub(super) fn last_lines(&self, most: usize) -> Vec<String> {
        let kept: Vec<u8> = self.kept().bytes.iter().copied().collect();
        let lines = kept.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii_end);
        let says = |line: &&[u8]| line.iter().any(|byte| !b" \t^~".contains(byte));
        let lines: Vec<_> = lines.filter(says).collect();
        let last = &lines[lines.len().saturating_sub(most)..];
        let shown = |line: &&[u8]| match line.get(..SHOWN) {
            Some(beginning) => escape::for_failure(beginning) + "...",
            None => escape::for_failure(line),
        };
        last.iter().map(shown).collect()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_older_ones_dropped() {
        let output = Output::default();
        output.push(&vec![b'x'; KEPT]);
        output.push(b"\none\n\ntwo\x1b[2J\n  ^^~\nthree");
        assert_eq!(output.last_lines(2), ["two\\x1b[2J", "three"]);
        assert_eq!(output.last_lines(9).len(), 4);
        assert_eq!(output.kept().bytes.len(), KEPT);
    }
}
