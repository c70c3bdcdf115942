//! Output that never blocks: lines go into a bounded queue, and a thread of its own writes them.
//!
//! The log goes to whatever stderr is: a pipe that nobody reads, a stopped terminal, a full disk.
//! No loop, no worker and no stop may wait for that.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// The most bytes of lines that wait to be written.
const QUEUE_LIMIT: usize = 1 << 20;

/// The most waits of a flush while the destination has room: the thread that writes only lacks a
/// processor then.
const FLUSH_TURNS: usize = 20;

/// A destination for lines, which may block.
type Destination = Box<dyn Write + Send>;

/// A queue of lines with a thread that writes them. The thread starts with the first line. Where it
/// cannot be started, a line is written by whoever adds it, if the destination has room; if not, it
/// waits for the next one.
pub struct BackgroundWriter {
    shared: Arc<Shared>,
    /// True once the thread has started.
    started: Mutex<bool>,
    name: &'static str,
    /// False if a write to the destination would block now.
    has_room: fn() -> bool,
}

struct Shared {
    queue: Mutex<Queue>,
    /// Notified when a line is added or was written.
    changed: Condvar,
    /// Taken by the thread.
    destination: Mutex<Option<Destination>>,
}

#[derive(Default)]
struct Queue {
    lines: VecDeque<Vec<u8>>,
    /// The length of all lines, at most [`QUEUE_LIMIT`].
    bytes: usize,
    /// Lines that found no room and are not reported yet.
    dropped: u64,
    /// True while a line is being written.
    writing: bool,
}

impl Queue {
    fn add(&mut self, line: &[u8]) {
        if self.bytes + line.len() > QUEUE_LIMIT {
            self.dropped += 1;
            return;
        }
        self.bytes += line.len();
        self.lines.push_back(line.to_vec());
    }

    /// Takes the oldest line, or the report of those that were dropped.
    fn take(&mut self) -> Option<Vec<u8>> {
        if let Some(line) = self.lines.pop_front() {
            self.bytes -= line.len();
            return Some(line);
        }
        let dropped = std::mem::take(&mut self.dropped);
        let report = || format!("{dropped} lines were dropped here: nobody read them in time\n");
        (dropped > 0).then(|| report().into())
    }
}

impl BackgroundWriter {
    /// A writer whose thread has this name. `has_room` is false if a write to the destination would
    /// block.
    pub fn new(
        name: &'static str,
        destination: impl Write + Send + 'static,
        has_room: fn() -> bool,
    ) -> Self {
        let destination = Mutex::new(Some(Box::new(destination) as Destination));
        let shared = Shared { queue: Mutex::default(), changed: Condvar::new(), destination };
        Self { shared: Arc::new(shared), started: Mutex::default(), name, has_room }
    }

    /// Adds a line, which has its newline. A line that finds no room is dropped and counted.
    pub fn push(&self, line: &[u8]) {
        let started = self.start();
        self.shared.queue().add(line);
        self.shared.changed.notify_all();
        if started.is_err() {
            self.shared.write_while(self.has_room);
        }
    }

    /// Waits until all lines are written, for at most `patience`, or 20 times that while the
    /// destination has room.
    pub fn flush(&self, patience: Duration) {
        if !*self.started.lock().unwrap_or_else(PoisonError::into_inner) {
            return self.shared.write_while(self.has_room);
        }
        for _ in 0..FLUSH_TURNS {
            let busy = |queue: &mut Queue| queue.writing || !queue.lines.is_empty();
            let waited =
                self.shared.changed.wait_timeout_while(self.shared.queue(), patience, busy);
            let (queue, result) = waited.unwrap_or_else(PoisonError::into_inner);
            drop(queue);
            if !result.timed_out() || !(self.has_room)() {
                return;
            }
        }
    }

    /// Starts the thread, if it has not started.
    fn start(&self) -> io::Result<()> {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        if !*started {
            let shared = Arc::clone(&self.shared);
            let body = move || shared.write_all();
            thread::Builder::new().name(self.name.to_owned()).spawn(body)?;
            *started = true;
        }
        Ok(())
    }
}

impl Write for &BackgroundWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes lines while there is room, if no thread does.
    fn write_while(&self, has_room: impl Fn() -> bool) {
        let mut destination = self.destination.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(destination) = destination.as_mut() else { return };
        while has_room() {
            let Some(line) = self.queue().take() else { return };
            destination.write_all(&line).and_then(|()| destination.flush()).ok();
        }
    }

    /// Writes line after line, without end. A line that cannot be written is lost.
    fn write_all(&self) {
        let destination = self.destination.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut destination = destination.expect("one thread is started");
        let mut queue = self.queue();
        loop {
            let idle = |queue: &mut Queue| queue.lines.is_empty() && queue.dropped == 0;
            queue = self.changed.wait_while(queue, idle).unwrap_or_else(PoisonError::into_inner);
            let Some(line) = queue.take() else { continue };
            queue.writing = true;
            drop(queue);
            destination.write_all(&line).and_then(|()| destination.flush()).ok();
            queue = self.queue();
            queue.writing = false;
            self.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// A destination that writes a line only when the test lets it.
    struct Gate {
        open: Receiver<()>,
        written: Sender<Vec<u8>>,
    }

    impl Write for Gate {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.open.recv().map_err(io::Error::other)?;
            self.written.send(line.to_vec()).map_err(io::Error::other)?;
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_destination_that_blocks_blocks_nobody_and_what_is_dropped_is_counted() {
        let (open, wait) = channel();
        let (written, read) = channel();
        let writer = BackgroundWriter::new("test", Gate { open: wait, written }, || false);
        let line = vec![b'x'; QUEUE_LIMIT / 4];
        // One may be in the thread's hands, and four fit into the queue.
        for _ in 0..20 {
            writer.push(&line);
        }
        writer.flush(Duration::ZERO);
        for _ in 0..30 {
            open.send(()).unwrap();
        }
        let mut lines = 0;
        let last = loop {
            let line = read.recv().unwrap();
            if line[0] != b'x' {
                break String::from_utf8(line).unwrap();
            }
            lines += 1;
        };
        let dropped = 20 - lines;
        assert!((4..=5).contains(&lines));
        assert_eq!(last, format!("{dropped} lines were dropped here: nobody read them in time\n"));
    }

    #[test]
    fn a_flush_waits_longer_while_there_is_room() {
        static ROOM: AtomicUsize = AtomicUsize::new(3);
        let has_room = || ROOM.fetch_sub(1, Ordering::Relaxed) > 1;
        let (open, wait) = channel();
        let (written, read) = channel();
        let writer = BackgroundWriter::new("test", Gate { open: wait, written }, has_room);
        writer.push(b"a");
        writer.flush(Duration::ZERO);
        assert_eq!(ROOM.load(Ordering::Relaxed), 0, "it asks after each wait");
        open.send(()).unwrap();
        assert_eq!(read.recv().unwrap(), b"a");
    }

    #[test]
    fn without_a_thread_lines_are_written_while_there_is_room() {
        let (open, wait) = channel();
        let (written, read) = channel();
        let writer = BackgroundWriter::new("test", Gate { open: wait, written }, || true);
        let room = std::cell::Cell::new(2);
        let has_room = || room.replace(room.get() - 1) > 0;
        for line in ["a", "b", "c"] {
            writer.shared.queue().add(line.as_bytes());
            open.send(()).unwrap();
        }
        writer.shared.write_while(has_room);
        assert_eq!(read.try_iter().collect::<Vec<_>>(), [b"a", b"b"]);
        room.set(9);
        writer.shared.queue().add(&vec![b'x'; QUEUE_LIMIT]);
        open.send(()).unwrap();
        writer.shared.write_while(has_room);
        let report = b"1 lines were dropped here: nobody read them in time\n";
        assert_eq!(read.try_iter().collect::<Vec<_>>(), [&b"c"[..], report]);
    }
}
