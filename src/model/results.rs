//! The file of quiz results: a CSV table to which a thread of its own appends a row for each game.
//!
//! The file is not locked, and no loop waits for it. A row is one write(2) to a file opened
//! for appending, so the rows of several processes do not mix, and what was written survives a
//! crash of the program. The file is opened anew for each row: a spreadsheet that saves the table
//! puts another file in its place, and an editor or a shell may have emptied it.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use rustix::fs::OFlags;

use super::row;
use crate::error::{Exit, Failure, cause_of};
use crate::service::{Game, Receipt, RecordSink, RecordState};

/// The most records that wait to be written.
const QUEUE_LENGTH: usize = 1024;

/// The looks at a line without an end before it counts as torn, and the time between two of them.
const LOOKS: usize = 50;
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// The mode of a new file: it has names and addresses of people in it.
const MODE: u32 = 0o640;

/// A game, and the receipt to be marked when its row is written.
type Record = (Box<Game>, Receipt);

/// A file of results, and the thread that writes it.
#[derive(Debug)]
pub(super) struct Results {
    queue: SyncSender<Record>,
    pending: Arc<Pending>,
}

/// The number of records that are not written yet.
#[derive(Debug, Default)]
struct Pending {
    count: Mutex<usize>,
    /// Notified when a record was written, or could not be.
    changed: Condvar,
}

impl Pending {
    fn add(&self) {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    }

    fn remove(&self) {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.changed.notify_all();
    }
}

impl Results {
    /// Opens the file, or begins a new one, for games of `questions` questions.
    pub(super) fn open(path: &Path, questions: u32) -> Result<Self, Failure> {
        let table = Table { path: path.to_owned(), header: row::header(questions) };
        table.begin()?;
        let (queue, records) = sync_channel::<Record>(QUEUE_LENGTH);
        let pending = Arc::<Pending>::default();
        let shared = Arc::clone(&pending);
        let body = move || {
            for (game, receipt) in records {
                receipt.set(table.write(&game));
                shared.remove();
            }
        };
        let started = thread::Builder::new().name("results".to_owned()).spawn(body);
        started.map_err(|error| Failure::cannot("start a thread for results", &error))?;
        Ok(Self { queue, pending })
    }
}

impl RecordSink for Results {
    fn record(&self, game: Box<Game>) -> Receipt {
        let receipt = Receipt::new(RecordState::Pending);
        let number = game.peer.number;
        self.pending.add();
        if self.queue.try_send((game, receipt.clone())).is_err() {
            log::error!("cannot write the result of client {number}: too many are waiting");
            receipt.set(RecordState::Failed);
            self.pending.remove();
        }
        receipt
    }

    fn flush(&self, patience: Duration) {
        let count = self.pending.count.lock().unwrap_or_else(PoisonError::into_inner);
        let some = |count: &mut usize| *count > 0;
        let waited = self.pending.changed.wait_timeout_while(count, patience, some);
        let (count, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if *count > 0 {
            log::error!("{count} results are lost: they could not be written in time");
        }
    }
}

/// The table, as the thread writes it.
#[derive(Debug)]
struct Table {
    path: PathBuf,
    /// The names of the columns.
    header: Vec<String>,
}

impl Table {
    /// Creates the file with its header, or checks that the header is the one of this table.
    fn begin(&self) -> Result<(), Failure> {
        let name = self.path.display();
        let cannot = |error| Failure::cannot(format_args!("write results to {name}"), &error);
        let file = self.open().map_err(cannot)?;
        if file.metadata().map_err(cannot)?.len() == 0 {
            return append(&file, &row::line(&self.header).map_err(cannot)?).map_err(cannot);
        }
        let mut first = Vec::new();
        BufReader::new(&file).read_until(b'\n', &mut first).map_err(cannot)?;
        if row::cells(&first) == self.header {
            return Ok(());
        }
        let questions = (self.header.len() - row::header(0).len()) / 2;
        let text = format!(
            "cannot write results to {name}: \
             its columns are not those of games with {questions} questions"
        );
        Err(Failure::new(Exit::Failed, text).hint("name another file"))
    }

    /// Opens the file as it is now. A FIFO without a reader must not block the program, and rows
    /// are kept only by a regular file.
    fn open(&self) -> io::Result<File> {
        let nonblock = OFlags::NONBLOCK.bits().cast_signed();
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(MODE).custom_flags(nonblock);
        let file = options.open(&self.path)?;
        if file.metadata()?.is_file() { Ok(file) } else { Err(not_regular()) }
    }

    /// Appends the row of a game. A failure is logged.
    fn write(&self, game: &Game) -> RecordState {
        match self.try_write(game) {
            Ok(()) => RecordState::Kept,
            Err(error) => {
                let (number, cause) = (game.peer.number, cause_of(&error));
                log::error!("cannot write the result of client {number}: {cause}");
                RecordState::Failed
            }
        }
    }

    fn try_write(&self, game: &Game) -> io::Result<()> {
        let mut file = self.open()?;
        let mut bytes = Vec::new();
        if file.metadata()?.len() == 0 {
            bytes.extend(row::line(&self.header)?);
        } else if is_torn(&mut file)? {
            bytes.push(b'\n');
        }
        bytes.extend(row::line(&row::cells_of(game, clock()))?);
        append(&file, &bytes)
    }
}

/// Appends in one write. What is written in part stays a line of its own.
fn append(mut file: &File, bytes: &[u8]) -> io::Result<()> {
    let written = file.write(bytes)?;
    if written == bytes.len() { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
}

/// True if another process, or an editor, has left a line without an end. One that a process is
/// writing just now has its end soon: the kernel shows a long row in parts.
fn is_torn(file: &mut File) -> io::Result<bool> {
    for look in 0..LOOKS {
        if look > 0 {
            thread::park_timeout(LOOK_AGAIN);
        }
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last == *b"\n" {
            return Ok(false);
        }
    }
    Ok(true)
}

fn not_regular() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")
}

#[expect(
    clippy::disallowed_methods,
    reason = "the table's edge: a row has the time of its writing"
)]
fn clock() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::service::{Answer, Peer};

    fn game(name: &str) -> Game {
        Game {
            seed: 7,
            peer: Peer { number: 3, address: Some(([127, 0, 0, 1], 4242).into()) },
            name: name.as_bytes().into(),
            questions: 2,
            answers: vec![Answer { text: Box::from(*b"1"), correct: false }],
            lasted: Duration::from_millis(12_345),
        }
    }

    /// A path that no other test uses.
    fn path(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("socklab-{name}-{}", std::process::id()));
        fs::remove_file(&path).ok();
        path
    }

    fn record(results: &Results, name: &str) {
        let receipt = results.record(Box::new(game(name)));
        results.flush(Duration::from_secs(1));
        assert_eq!(receipt.state(), RecordState::Kept);
    }

    #[test]
    fn a_file_is_begun_once_appended_to_and_mended() {
        let path = path("results");
        record(&Results::open(&path, 2).unwrap(), "Ann");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE & !0o022);
        // A crash in the middle of a row, of this process or of another.
        let results = Results::open(&path, 2).unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"1999-").unwrap();
        record(&results, "Bob");
        let failure = Results::open(&path, 3).unwrap_err();
        let text = fs::read_to_string(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert_eq!(
            lines[0],
            "time,seed,name,address,answer 1,correct 1,answer 2,correct 2,total,seconds"
        );
        assert!(lines[1].contains(",7,Ann,") && lines[3].contains(",7,Bob,"), "{text}");
        assert!(failure.to_string().contains("games with 3 questions"), "{failure}");
    }

    #[test]
    fn a_file_that_was_replaced_emptied_or_removed_has_a_header_and_the_next_row() {
        let path = path("saved");
        let results = Results::open(&path, 2).unwrap();
        let header = fs::read_to_string(&path).unwrap();
        let write = |name: &str, lines: usize| {
            let receipt = results.record(Box::new(game(name)));
            while receipt.state() == RecordState::Pending {
                thread::yield_now();
            }
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.starts_with(&header) && text.contains(name), "{text}");
            assert_eq!(text.lines().count(), lines, "{text}");
        };
        write("Ann", 2);
        fs::copy(&path, path.with_extension("saved")).unwrap();
        fs::rename(path.with_extension("saved"), &path).unwrap();
        write("Bob", 3);
        File::create(&path).unwrap();
        write("Cleo", 2);
        fs::remove_file(&path).unwrap();
        write("Dan", 2);
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_row_that_another_process_is_writing_is_not_taken_for_a_torn_one() {
        let path = path("two-writers");
        // Longer than a page: the kernel shows the first part before the rest is written.
        let name = "x".repeat(10_000);
        let writers = [(); 2].map(|()| Results::open(&path, 2).unwrap());
        for _ in 0..500 {
            for results in &writers {
                results.record(Box::new(game(&name)));
            }
        }
        for results in &writers {
            results.flush(Duration::from_secs(60));
        }
        let text = fs::read_to_string(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(text.lines().filter(|line| line.is_empty()).count(), 0);
        assert_eq!(text.lines().count(), 1001);
    }

    #[test]
    fn a_header_that_a_spreadsheet_has_quoted_is_the_same_header() {
        let path = path("quoted");
        let quoted: Vec<String> = row::header(2).iter().map(|cell| format!("\"{cell}\"")).collect();
        fs::write(&path, format!("\u{feff}{}\r\n", quoted.join(","))).unwrap();
        record(&Results::open(&path, 2).unwrap(), "Ann");
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_is_no_regular_file_is_refused_without_waiting_for_it() {
        let fifo = path("fifo");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &fifo,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        for path in [&fifo, Path::new("/dev/null")] {
            let failure = Results::open(path, 2).unwrap_err().to_string();
            assert!(failure.contains("it is not a regular file"), "{failure}");
        }
        fs::remove_file(&fifo).unwrap();
    }
}
