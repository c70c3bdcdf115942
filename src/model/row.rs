//! The rows of the table of results: what a player sent stays text in one cell.
//!
//! Hidden characters are escaped. An apostrophe is put before what a spreadsheet would take for a
//! formula, at the beginning of a cell or after a character that some spreadsheets take for the end
//! of a cell.

use std::io;
use std::time::SystemTime;

use crate::escape;
use crate::service::Game;

/// The characters that may begin a formula, in ASCII and in the fullwidth forms of East Asia.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// The characters that some spreadsheets take for the end of a cell.
const SEPARATORS: [char; 4] = [',', ';', '|', ':'];

/// The names of the columns.
pub(super) fn header(questions: u32) -> Vec<String> {
    let mut cells = ["time", "seed", "name", "address"].map(str::to_owned).to_vec();
    for n in 1..=questions {
        cells.extend([format!("answer {n}"), format!("correct {n}")]);
    }
    cells.extend(["total", "seconds"].map(str::to_owned));
    cells
}

/// The cells of a game. A question without an answer has empty cells.
pub(super) fn cells_of(game: &Game, now: SystemTime) -> Vec<String> {
    let mut cells = vec![
        humantime::format_rfc3339_seconds(now).to_string(),
        game.seed.to_string(),
        sanitize_cell(&game.name),
        game.peer.address.map(|address| address.to_string()).unwrap_or_default(),
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
pub(super) fn line(cells: &[String]) -> io::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(cells)?;
    writer.into_inner().map_err(csv::IntoInnerError::into_error)
}

/// The cells of a line, without what editors add to a file.
pub(super) fn cells(line: &[u8]) -> Vec<String> {
    let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(line);
    let record = reader.records().next().and_then(Result::ok).unwrap_or_default();
    record.iter().map(str::to_owned).collect()
}

/// A player's text, as text that no spreadsheet and no terminal takes for more.
fn sanitize_cell(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut cell = String::with_capacity(text.len());
    // A negative number is not a formula, and is worth being read as a number.
    let is_number = text.strip_prefix('-').is_some_and(|digits| {
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    let mut begins_cell = !is_number;
    for letter in text.chars() {
        if begins_cell && FORMULA.contains(&letter) {
            cell.push('\'');
        }
        begins_cell = SEPARATORS.contains(&letter) || begins_cell && letter == ' ';
        if escape::is_hidden(letter) {
            cell.extend(letter.escape_default());
        } else {
            cell.push(letter);
        }
    }
    cell
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::service::{Answer, Peer};

    fn game(name: &[u8], answer: &[u8]) -> Game {
        Game {
            seed: 7,
            peer: Peer { number: 3, address: Some(([127, 0, 0, 1], 4242).into()) },
            name: name.into(),
            questions: 2,
            answers: vec![Answer { text: answer.into(), correct: false }],
            lasted: Duration::from_millis(12_345),
        }
    }

    #[test]
    fn a_row_has_a_cell_for_each_column() {
        let row = cells_of(&game(b"Bob", b"-3"), SystemTime::UNIX_EPOCH);
        let cells =
            ["1970-01-01T00:00:00Z", "7", "Bob", "127.0.0.1:4242", "-3", "0", "", "", "-0.25"];
        assert_eq!(row[..9], cells);
        assert_eq!(row[9], "12.3");
        assert_eq!(row.len(), header(2).len());
    }

    #[test]
    fn any_text_of_a_player_is_text_in_one_cell_of_one_line() {
        let any_bytes: Vec<u8> = (0..=255).collect();
        for text in [
            &b"=1+1"[..],
            b"+1",
            b"-1+1",
            b"@SUM(A1)",
            b"\t=1",
            b"\r=1",
            b"a,b",
            b"Bob;=HYPERLINK(\"http://x\")",
            b"Bob, =1",
            b"a|-1",
            b"  =1",
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
            let cells = cells_of(&game(text, text), SystemTime::UNIX_EPOCH);
            let line = line(&cells).unwrap();
            assert_eq!(memchr::memchr_iter(b'\n', &line).count(), 1);
            let read = super::cells(&line);
            assert_eq!(read, cells, "{}", text.escape_ascii());
            for cell in [&read[2], &read[4]] {
                for part in cell.split(SEPARATORS) {
                    let part = part.trim_start();
                    assert!(part == "-" || !part.starts_with(FORMULA), "{cell:?}");
                }
                assert!(!cell.contains(escape::is_hidden), "{cell:?}");
            }
        }
    }
}
