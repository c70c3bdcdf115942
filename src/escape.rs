//! Escaping of text from a peer for a terminal, a log line or a table.
//!
//! | reader | function | lines | quotes and backslashes |
//! | --- | --- | --- | --- |
//! | a person on a terminal | [`for_terminal`] | stay | stay |
//! | a failure, on one line | [`for_failure`] | escaped | stay |
//! | a log | [`for_log`] | escaped | a backslash is escaped |
//! | a report that quotes an excerpt | [`excerpt`], [`quoted`] | escaped | both are escaped |
//! | a table of results | [`is_hidden`] | | |
//!
//! All of them escape the same characters, those that [`is_hidden`] lists, and show all others.

use std::fmt::Write as _;

/// True if a reader would not see the character: a terminal obeys it, or it has no glyph of its
/// own and makes two different texts look the same.
///
/// In terms of Unicode 16 these are the general categories Cc (control), Cf (format: the soft
/// hyphen, direction marks, joiners, tags), Zl and Zp (separators of lines and paragraphs), and
/// what else has the property `Default_Ignorable_Code_Point`. The variation selectors of the
/// basic plane are shown: emoji have them.
pub fn is_hidden(letter: char) -> bool {
    letter.is_control() || is_format(letter) || is_ignorable(letter)
}

/// Categories Cf, Zl and Zp.
fn is_format(letter: char) -> bool {
    matches!(
        letter,
        '\u{ad}'
            | '\u{600}'..='\u{605}'
            | '\u{61c}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{890}'..='\u{891}'
            | '\u{8e2}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{110bd}'
            | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
    )
}

/// `Default_Ignorable_Code_Point` beyond category Cf, without U+FE00 to U+FE0F. Tags and the
/// variation selectors of plane 14, which can carry hidden text, are in the last range.
fn is_ignorable(letter: char) -> bool {
    matches!(
        letter,
        '\u{34f}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{3164}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// `text` for a person. Lines stay, and the carriage return of a line's end is dropped.
pub fn for_terminal(text: &[u8]) -> String {
    escape(text, Style { keeps_lines: true, escapes: "" })
}

/// `text` on one line. It may hold escaped text, which is not escaped again.
pub fn for_failure(text: &[u8]) -> String {
    escape(text, Style { keeps_lines: false, escapes: "" })
}

/// `text` on one line, from which the bytes can be told: a backslash is doubled.
pub fn for_log(text: &[u8]) -> String {
    escape(text, Style { keeps_lines: false, escapes: "\\" })
}

/// The first `max` bytes of `text` as in the log, then `...` if there is more. Double quotes are
/// escaped, so that the result can stand between them.
pub fn excerpt(text: &[u8], max: usize) -> String {
    let mut shown = escape(beginning(text, max), Style { keeps_lines: false, escapes: "\\\"" });
    if text.len() > max {
        shown += "...";
    }
    shown
}

/// The same between double quotes. If it is cut, its length stands behind it.
pub fn quoted(text: &[u8], max: usize) -> String {
    if text.len() <= max {
        return format!("\"{}\"", excerpt(text, max));
    }
    format!("\"{}\"... ({} bytes)", excerpt(beginning(text, max), max), text.len())
}

/// At most `max` bytes of `text`, not cut within a character.
pub fn beginning(text: &[u8], max: usize) -> &[u8] {
    if text.len() <= max {
        return text;
    }
    let mut length = 0;
    for chunk in text.utf8_chunks() {
        let valid = chunk.valid();
        if length + valid.len() > max {
            let end = (0..=max - length).rfind(|&end| valid.is_char_boundary(end));
            return &text[..length + end.unwrap_or(0)];
        }
        length += valid.len() + chunk.invalid().len();
        if length >= max {
            break;
        }
    }
    &text[..length.min(max)]
}

/// The differences between the readers.
#[derive(Clone, Copy)]
struct Style {
    keeps_lines: bool,
    /// Characters that get a backslash.
    escapes: &'static str,
}

/// `text` with its hidden characters and its bytes that are not UTF-8 made visible.
fn escape(text: &[u8], style: Style) -> String {
    let mut shown = String::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        let mut letters = chunk.valid().chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '\n' if style.keeps_lines => shown.push(letter),
                '\r' if style.keeps_lines && letters.peek() == Some(&'\n') => {}
                '\t' | '\r' | '\n' => shown.extend(letter.escape_default()),
                _ if letter.is_ascii_control() => write_hex(&mut shown, letter as u32),
                _ if is_hidden(letter) => shown.extend(letter.escape_unicode()),
                _ => {
                    if style.escapes.contains(letter) {
                        shown.push('\\');
                    }
                    shown.push(letter);
                }
            }
        }
        for byte in chunk.invalid() {
            write_hex(&mut shown, u32::from(*byte));
        }
    }
    shown
}

/// The bytes that a text with the escapes of C stands for: letters such as `\r` and `\n` (and
/// `\e`, the escape character), one to three octal digits, and `\x` with one or two digits.
pub fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at + 1..];
        let Some(letter) = rest.chars().next() else {
            return Err("a backslash ends it; a plain backslash is written \\\\".to_owned());
        };
        let byte = match letter {
            '0'..='7' => take_number(&mut rest, 8, 3),
            'x' => {
                rest = &rest[1..];
                take_number(&mut rest, 16, 2)
            }
            _ => {
                rest = &rest[letter.len_utf8()..];
                let letters = r#"abefnrtv\'"?"#.chars().zip(*b"\x07\x08\x1b\x0c\n\r\t\x0b\\'\"?");
                letters.into_iter().find(|(name, _)| *name == letter).map(|(_, byte)| byte)
            }
        };
        bytes.push(byte.ok_or_else(|| format!("it has no escape of C at \"\\{letter}\""))?);
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

/// Takes at most `most` digits, at least one, from the beginning of a text.
fn take_number(text: &mut &str, radix: u32, most: usize) -> Option<u8> {
    let digits = text.chars().take(most).take_while(|letter| letter.is_digit(radix)).count();
    let (number, rest) = text.split_at(digits);
    *text = rest;
    u8::from_str_radix(number, radix).ok()
}

fn write_hex(to: &mut String, code: u32) {
    write!(to, "\\x{code:02x}").expect("writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nothing() {
        assert_eq!(for_terminal(b"\x1b]0;title\x07"), "\\x1b]0;title\\x07");
        assert_eq!(for_terminal(b"\0\t\x08\x7f\r"), "\\x00\\t\\x08\\x7f\\r");
        assert_eq!(for_terminal("\u{9b}31m \u{202e}66".as_bytes()), "\\u{9b}31m \\u{202e}66");
        assert_eq!(for_terminal(b"\x9b31m\xff"), "\\x9b31m\\xff");
    }

    #[test]
    fn what_cannot_be_seen_is_escaped_for_every_reader() {
        for hidden in [
            '\u{85}',
            '\u{ad}',
            '\u{34f}',
            '\u{61c}',
            '\u{180e}',
            '\u{200b}',
            '\u{200d}',
            '\u{200f}',
            '\u{2028}',
            '\u{2029}',
            '\u{202e}',
            '\u{2060}',
            '\u{2066}',
            '\u{206a}',
            '\u{3164}',
            '\u{feff}',
            '\u{fffb}',
            '\u{e0001}',
            '\u{e0041}',
            '\u{e0100}',
        ] {
            let text = format!("6{hidden}6");
            let shown = format!("6\\u{{{:x}}}6", hidden as u32);
            assert!(is_hidden(hidden), "{shown}");
            let text = text.as_bytes();
            let readers = [for_terminal(text), for_failure(text), for_log(text), excerpt(text, 9)];
            assert_eq!(readers, [(); 4].map(|()| shown.clone()));
        }
    }

    #[test]
    fn lines_and_letters_of_any_language_stay_as_they_are() {
        assert_eq!(for_terminal("⭐ ja 👎 \\n".as_bytes()), "⭐ ja 👎 \\n");
        assert_eq!(for_terminal(b"sum: 17\r\nproduct: 60\n"), "sum: 17\nproduct: 60\n");
        for shown in ['a', 'ü', '⭐', '\u{a0}', '\u{202f}', '\u{301}', '\u{fe0f}', '\u{fffd}'] {
            assert!(!is_hidden(shown), "{}", shown.escape_unicode());
        }
    }

    #[test]
    fn a_log_line_shows_quotes_and_umlauts_and_tells_a_backslash_from_an_escape() {
        assert_eq!(for_log("hä? 'x' \"y\"".as_bytes()), "hä? 'x' \"y\"");
        assert_eq!(for_log(b"\x1b\\x1b\r\n"), "\\x1b\\\\x1b\\r\\n");
    }

    #[test]
    fn a_failure_is_one_line_and_is_not_escaped_twice() {
        assert_eq!(for_failure(b"\\x1b[2J\n\x1b"), "\\x1b[2J\\n\\x1b");
    }

    #[test]
    fn an_excerpt_is_one_line_without_a_bare_quote() {
        assert_eq!(excerpt(b"\x1b[2J\"'\\\n", 60), r#"\x1b[2J\"'\\\n"#);
    }

    #[test]
    fn an_excerpt_is_not_cut_within_a_character() {
        assert_eq!(excerpt("ü12".as_bytes(), 4), "ü12");
        assert_eq!(excerpt("ü12".as_bytes(), 3), "ü1...");
        assert_eq!(excerpt("1ü2".as_bytes(), 2), "1...");
        assert_eq!(excerpt(b"\xff\xfeab", 1), "\\xff...");
        assert_eq!(excerpt(b"\xffabc", 2), "\\xffa...");
        assert_eq!(excerpt(b"abc", 0), "...");
    }

    #[test]
    fn the_escapes_of_c_stand_for_bytes() {
        for (text, bytes) in [
            (r"PING\r\n", &b"PING\r\n"[..]),
            (r"\0\12\1234\x0\x7fg\xff", b"\0\n\x534\0\x7fg\xff"),
            (r#"\a\b\e\f\t\v\\\'\"\?"#, b"\x07\x08\x1b\x0c\t\x0b\\'\"?"),
            ("\u{fc} any", b"\xc3\xbc any"),
        ] {
            assert_eq!(unescape(text).as_deref(), Ok(bytes), "{text}");
        }
        for text in [r"\", r"1\", r"\x", r"\xg", r"\400", r"\8", r"\c", "\\\u{fc}"] {
            assert!(unescape(text).is_err(), "{text}");
        }
    }
}
