//! The quiz's results as a table that a spreadsheet opens: a row for each game, at the end of a
//! file.
//!
//! A row is one write to a file that is opened for appending, by one thread and, as the file is
//! locked, one process at a time. So rows do not mix, and what is written stays when the program
//! crashes. Who opens the table in a spreadsheet and saves it puts another file in its place: the
//! rows that follow go there.
//!
//! Nothing that a player said can be more than text in one cell: control characters are escaped,
//! and what a spreadsheet would take for a formula begins with an apostrophe.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use rustix::fs::{FlockOperation, flock};

use crate::error::{Exit, Failure, cause_of};
use crate::service::Game;
use crate::session::RecordSink;

/// The characters that may begin a formula, the last four as they are written in East Asia.
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
    /// The last line has no end, because writing it failed half-way; the next row begins with one.
    torn: bool,
}

impl Results {
    /// Opens the file, or begins a new one, for games of so many questions.
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
            return Err(Failure::new(Exit::Failed, text).hint("another file, perhaps?"));
        }
        Ok(Self { path: path.to_owned(), header, table: Mutex::new(table) })
    }

    /// Turns to the file that has been put in the place of ours, if one has. What cannot be opened
    /// is no better place for a row than where the rows before it are.
    fn reopen_if_replaced(&self, table: &mut Table) {
        if !table.file.metadata().is_ok_and(|ours| is_at(&ours, &self.path)) {
            match Table::open(&self.path, &self.header) {
                Ok((found, _)) => *table = found,
                Err(error) => {
                    let (name, cause) = (self.path.display(), cause_of(&error));
                    log::error!("cannot write results to {name} any more: {cause}");
                }
            }
        }
    }
}

impl RecordSink for Results {
    fn record(&self, game: &Game) {
        // Whoever panicked with the table in hand left it with whole lines, or torn and marked so.
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        self.reopen_if_replaced(&mut table);
        if let Err(error) = line(row(game, clock())).and_then(|line| table.append(&line)) {
            let (number, cause) = (game.peer.number, cause_of(&error));
            log::error!("cannot write the result of client {number}: {cause}");
        }
    }
}

impl Table {
    /// The table at `path`, begun with `header` if it is new, and its first line otherwise.
    fn open(path: &Path, header: &[u8]) -> io::Result<(Self, Option<String>)> {
        let file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        // Where this fails, the file is closed and so unlocked.
        lock(&file, FlockOperation::LockExclusive);
        let mut table = Self { file, torn: false };
        let first = table.first_line()?;
        if first.is_none() {
            table.append(header)?;
        }
        lock(&table.file, FlockOperation::Unlock);
        Ok((table, first))
    }

    /// The first line of a file that is not empty, without what editors add to it. Finds out on the
    /// way whether the last one is whole.
    fn first_line(&mut self) -> io::Result<Option<String>> {
        let metadata = self.file.metadata()?;
        // A pipe or a terminal has no first line that could be read back.
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

    /// Appends one line, whole.
    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let mended: Vec<u8>;
        let line = if self.torn {
            mended = [b"\n", line].concat();
            &mended
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

/// Whether this is the file at `path`.
fn is_at(file: &Metadata, path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (file.dev(), file.ino()))
}

/// Makes other processes wait, or wait no longer. What cannot be locked, such as a terminal, can be
/// written to all the same.
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

/// A game's row. The questions that were not answered have empty cells.
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

/// The cells as a line of the table.
fn line(cells: Vec<String>) -> io::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(cells)?;
    writer.into_inner().map_err(csv::IntoInnerError::into_error)
}

/// What a player said, as text that no spreadsheet and no terminal takes for more than text.
fn sanitize_cell(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let mut cell = String::with_capacity(said.len());
    // A negative number is not a formula, and is worth being read as a number.
    let is_number = said.strip_prefix('-').is_some_and(|digits| {
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    if said.starts_with(FORMULA) && !is_number {
        cell.push('\'');
    }
    for letter in said.chars() {
        // The separators of lines and paragraphs, and what turns the direction of writing around.
        let invisible = matches!(letter, '\u{61c}' | '\u{200b}'..='\u{200f}' |
            '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        if letter.is_control() || invisible {
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

    /// What turns the direction of writing around (Unicode's `Bidi_Control`).
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
    fn whatever_a_player_says_is_text_in_one_cell_of_one_line() {
        let any_bytes: Vec<u8> = (0..=255).collect();
        for said in [
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
            let cells = row(&game(said, said), SystemTime::UNIX_EPOCH);
            let line = line(cells.clone()).unwrap();
            assert_eq!(memchr::memchr_iter(b'\n', &line).count(), 1);
            let mut reader =
                csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_slice());
            let read = reader.records().next().unwrap().unwrap();
            assert!(read.iter().eq(cells.iter()), "{}", said.escape_ascii());
            for cell in [&read[2], &read[4]] {
                assert!(!cell.starts_with(FORMULA), "{cell:?}");
                assert!(!cell.contains(char::is_control), "{cell:?}");
                assert!(!cell.contains(BIDI), "{cell:?}");
            }
        }
    }

    #[test]
    fn a_file_is_begun_once_appended_to_and_mended() {
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
    fn rows_go_to_the_file_that_a_spreadsheet_has_put_in_the_place_of_ours() {
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
        // Nobody's file at all is begun anew.
        results.record(&game(b"Cleo", b"1"));
        let anew = fs::read_to_string(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let lines: Vec<&str> = anew.lines().collect();
        assert_eq!((lines.len(), lines[0]), (2, text.lines().next().unwrap()), "{anew}");
        // One that cannot be opened leaves the rows where they were: nothing else is lost by it.
        fs::create_dir(&path).unwrap();
        results.record(&game(b"Dan", b"1"));
        fs::remove_dir(&path).unwrap();
        results.record(&game(b"Eve", b"1"));
        let again = fs::read_to_string(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(again.lines().count(), 2, "{again}");
    }
}
