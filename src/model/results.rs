//! The results of the quiz: a CSV file to which a row is appended for each game.
//!
//! A row is one write to a file opened for appending. A mutex and a file lock let one thread of one
//! process write at a time. So rows do not mix, and a row that was written survives a crash of the
//! program. A spreadsheet that saves the table replaces the file: the following rows are written to
//! the new one.
//!
//! A player's text is always text in one cell: control characters are escaped, and an apostrophe is
//! put before anything that a spreadsheet would take for a formula.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use rustix::fs::{FlockOperation, flock};

use crate::error::{Exit, Failure, cause_of};
use crate::escape;
use crate::service::Game;
use crate::session::RecordSink;

/// The characters that may begin a formula, in ASCII and in the fullwidth forms of East Asia.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// A file of results.
#[derive(Debug)]
pub(super) struct Results {
    path: PathBuf,
    /// The first line.
    header: Vec<u8>,
    table: Mutex<Table>,
}

#[derive(Debug)]
struct Table {
    file: File,
    /// True if the last line has no newline, because writing it failed. The next row then begins
    /// with one.
    torn: bool,
}

impl Results {
    /// Opens the file, or creates it, for games of `questions` questions. Fails if the columns of
    /// the file are other ones.
    pub(super) fn open(path: &Path, questions: u32) -> Result<Self, Failure> {
        let name = path.display();
        let cannot = |error| Failure::cannot(format_args!("write results to {name}"), &error);
        let header = line(header(questions)).map_err(cannot)?;
        let (table, first) = Table::open(path, &header).map_err(cannot)?;
        if first.is_some_and(|first| first != String::from_utf8_lossy(&header).trim_end()) {
            let text = format!(
                "cannot write results to {name}: \
                 its columns are not those of games with {questions} questions"
            );
            return Err(Failure::new(Exit::Failed, text).hint("name another file"));
        }
        Ok(Self { path: path.to_owned(), header, table: Mutex::new(table) })
    }

    /// Opens the file at the path if it is no longer the one that is open. If that fails, rows are
    /// still written to the old file.
    fn reopen_if_replaced(&self, table: &mut Table) {
        if !table.file.metadata().is_ok_and(|ours| is_at(&ours, &self.path)) {
            match Table::open(&self.path, &self.header) {
                Ok((found, _)) => *table = found,
                Err(error) => {
                    let (name, cause) = (self.path.display(), cause_of(&error));
                    let hint = "results go to the file that it has replaced";
                    log::error!("cannot open {name}: {cause} ({hint})");
                }
            }
        }
    }
}

impl RecordSink for Results {
    fn record(&self, game: &Game) {
        // A thread that panicked with the lock left whole lines, or a torn one that is marked.
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        self.reopen_if_replaced(&mut table);
        if let Err(error) = line(row(game, clock())).and_then(|line| table.append(&line)) {
            let (number, cause) = (game.peer.number, cause_of(&error));
            log::error!("cannot write the result of client {number}: {cause}");
        }
    }
}

impl Table {
    /// Opens the table at `path`. Writes `header` if it is empty, and returns its first line
    /// otherwise.
    fn open(path: &Path, header: &[u8]) -> io::Result<(Self, Option<String>)> {
        let file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        // On an error below the file is closed, which unlocks it.
        lock(&file, FlockOperation::LockExclusive);
        let mut table = Self { file, torn: false };
        let first = table.first_line()?;
        if first.is_none() {
            table.append(header)?;
        }
        lock(&table.file, FlockOperation::Unlock);
        Ok((table, first))
    }

    /// The first line of a file that is not empty, without a byte order mark and trailing blanks.
    /// Also finds out whether the last line is torn.
    fn first_line(&mut self) -> io::Result<Option<String>> {
        let metadata = self.file.metadata()?;
        // The first line of a pipe or a terminal cannot be read back.
        if !metadata.is_file() || metadata.len() == 0 {
            return Ok(None);
        }
        let mut first = Vec::new();
        let mut start = BufReader::new(&self.file);
        start.read_until(b'\n', &mut first)?;
        self.file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        self.file.read_exact(&mut last)?;
        self.torn = last != *b"\n";
        let first = String::from_utf8_lossy(&first);
        Ok(Some(first.trim_start_matches('\u{feff}').trim_end().to_owned()))
    }

    /// Appends one line, which ends with a newline.
    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let separated: Vec<u8>;
        let line = if self.torn {
            separated = [b"\n", line].concat();
            &separated
        } else {
            line
        };
        self.torn = true;
        lock(&self.file, FlockOperation::LockExclusive);
        let written = self.file.write_all(line).and_then(|()| self.file.flush());
        lock(&self.file, FlockOperation::Unlock);
        written?;
        self.torn = false;
        Ok(())
    }
}

/// True if `file` is the metadata of the file at `path`.
fn is_at(file: &Metadata, path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (file.dev(), file.ino()))
}

/// Locks or unlocks the file against other processes (flock(2)). A file that cannot be locked, such
/// as a terminal, is written without a lock.
fn lock(file: &File, operation: FlockOperation) {
    flock(file, operation).ok();
}

fn header(questions: u32) -> Vec<String> {
    let mut cells = ["time", "seed", "name", "address"].map(str::to_owned).to_vec();
    for n in 1..=questions {
        cells.extend([format!("answer {n}"), format!("correct {n}")]);
    }
    cells.extend(["total", "seconds"].map(str::to_owned));
    cells
}

/// The row of a game. Questions without an answer have empty cells.
fn row(game: &Game, now: SystemTime) -> Vec<String> {
    let mut cells = vec![
        humantime::format_rfc3339_seconds(now).to_string(),
        game.seed.to_string(),
        sanitize_cell(&game.name),
        game.peer.address.to_string(),
    ];
    let mut answers = game.answers.iter();
    for _ in 0..game.questions {
        cells.extend(match answers.next() {
            Some(answer) => [sanitize_cell(&answer.text), u8::from(answer.correct).to_string()],
            None => [String::new(), String::new()],
        });
    }
    cells.extend([game.total(), format!("{:.1}", game.lasted.as_secs_f64())]);
    cells
}

/// The cells as a line of CSV.
fn line(cells: Vec<String>) -> io::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(cells)?;
    writer.into_inner().map_err(csv::IntoInnerError::into_error)
}

/// A player's text as a cell that is plain text to every spreadsheet and terminal.
fn sanitize_cell(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut cell = String::with_capacity(text.len());
    // A negative number is not a formula, and a spreadsheet may read it as a number.
    let is_number = text.strip_prefix('-').is_some_and(|digits| {
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    if text.starts_with(FORMULA) && !is_number {
        cell.push('\'');
    }
    for letter in text.chars() {
        if letter.is_control() || escape::is_invisible(letter) {
            cell.extend(letter.escape_default());
        } else {
            cell.push(letter);
        }
    }
    cell
}

#[expect(clippy::disallowed_methods, reason = "the table's edge: a row says when it was written")]
fn clock() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::{Answer, Peer};
    use std::time::Duration;

    /// The characters that control the direction of text (Unicode's property `Bidi_Control`).
    const BIDI: [char; 12] = [
        '\u{61c}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}',
        '\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}',
    ];

    fn game(name: &[u8], answer: &[u8]) -> Game {
        Game {
            seed: 7,
            peer: Peer { number: 3, address: ([127, 0, 0, 1], 4242).into() },
            name: name.into(),
            questions: 2,
            answers: vec![Answer { text: answer.into(), correct: false }],
            lasted: Duration::from_millis(12_345),
        }
    }

    #[test]
    fn a_row_has_a_cell_for_each_column() {
        let row = row(&game(b"Bob", b"-3"), SystemTime::UNIX_EPOCH);
        let cells =
            ["1970-01-01T00:00:00Z", "7", "Bob", "127.0.0.1:4242", "-3", "0", "", "", "-0.25"];
        assert_eq!(row[..9], cells);
        assert_eq!(row[9], "12.3");
        assert_eq!(row.len(), header(2).len());
    }

    #[test]
    fn every_text_of_a_player_is_text_in_one_cell_of_one_line() {
        let any_bytes: Vec<u8> = (0..=255).collect();
        for text in [
            &b"=1+1"[..],
            b"+1",
            b"-1+1",
            b"@SUM(A1)",
            b"\t=1",
            b"\r=1",
            b"a,b",
            b"\"quoted\", she said",
            b"two\nlines",
            b"\x1b[2J",
            "＝1".as_bytes(),
            "\u{202e}drow".as_bytes(),
            "\u{61c}\u{2066}\u{200f}".as_bytes(),
            b"-",
            b"",
            &any_bytes,
        ] {
            let cells = row(&game(text, text), SystemTime::UNIX_EPOCH);
            let line = line(cells.clone()).unwrap();
            assert_eq!(memchr::memchr_iter(b'\n', &line).count(), 1);
            let mut reader =
                csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_slice());
            let read = reader.records().next().unwrap().unwrap();
            assert!(read.iter().eq(cells.iter()), "{}", text.escape_ascii());
            for cell in [&read[2], &read[4]] {
                assert!(!cell.starts_with(FORMULA), "{cell:?}");
                assert!(!cell.contains(char::is_control), "{cell:?}");
                assert!(!cell.contains(BIDI), "{cell:?}");
            }
        }
    }

    #[test]
    fn a_file_gets_its_header_once_and_rows_after_a_torn_line() {
        let path = std::env::temp_dir().join(format!("socklab-results-{}", std::process::id()));
        fs::remove_file(&path).ok();
        Results::open(&path, 2).unwrap().record(&game(b"Ann", b"1"));
        // A crash in the middle of a row.
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"1999-").unwrap();
        Results::open(&path, 2).unwrap().record(&game(b"Bob", b"1"));
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
        assert!(failure.to_string().contains("columns"), "{failure}");
    }

    #[test]
    fn rows_go_to_the_file_with_which_a_spreadsheet_has_replaced_ours() {
        let path = std::env::temp_dir().join(format!("socklab-saved-{}", std::process::id()));
        let saved = path.with_extension("saved");
        fs::remove_file(&path).ok();
        let results = Results::open(&path, 2).unwrap();
        results.record(&game(b"Ann", b"1"));
        fs::copy(&path, &saved).unwrap();
        fs::rename(&saved, &path).unwrap();
        results.record(&game(b"Bob", b"1"));
        let text = fs::read_to_string(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(text.lines().count(), 3, "{text}");
        // A removed file is created again.
        results.record(&game(b"Cleo", b"1"));
        let created = fs::read_to_string(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let lines: Vec<&str> = created.lines().collect();
        assert_eq!((lines.len(), lines[0]), (2, text.lines().next().unwrap()), "{created}");
        // A path that cannot be opened loses only the rows written meanwhile.
        fs::create_dir(&path).unwrap();
        results.record(&game(b"Dan", b"1"));
        fs::remove_dir(&path).unwrap();
        results.record(&game(b"Eve", b"1"));
        let again = fs::read_to_string(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(again.lines().count(), 2, "{again}");
    }
}
