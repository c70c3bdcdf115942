//! Escaping of text from a peer for a terminal, a log line or a table.
//!
//! | for | function | not escaped |
//! | --- | --- | --- |
//! | a person on a terminal | [`for_terminal`] | newlines, and letters of every language |
//! | a log or a report | [`excerpt`] | printable ASCII |
//! | a table of results | [`is_invisible`] | every visible character |

use std::fmt::Write as _;

/// True for a character that a terminal interprets instead of showing it: a control character (C0,
/// DEL, C1), or one that reorders the text around it.
pub fn is_control_like(letter: char) -> bool {
    letter.is_control() || is_bidi_control(letter)
}

/// True for a character that changes the direction of text: Unicode's property `Bidi_Control`, the
/// marks, embeddings, overrides and isolates of UAX #9.
pub fn is_bidi_control(letter: char) -> bool {
    matches!(
        letter,
        '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

/// True for a character without a glyph of its own: it controls direction, separates lines or
/// paragraphs, or has no width. A terminal may receive it (U+200D joins emoji), but in a table it
/// would make two different cells look the same.
pub fn is_invisible(letter: char) -> bool {
    is_bidi_control(letter)
        || matches!(
            letter,
            '\u{200b}'..='\u{200d}' | '\u{2028}'..='\u{2029}' | '\u{2060}'..='\u{2065}' | '\u{feff}'
        )
}

/// `text` with everything escaped that a terminal could interpret: [control-like
/// characters](is_control_like) except the newline, alone or after a carriage return, and bytes
/// that are not UTF-8.
pub fn for_terminal(text: &[u8]) -> String {
    let mut shown = String::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        let mut letters = chunk.valid().chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '\n' => shown.push(letter),
                '\r' if letters.peek() == Some(&'\n') => {}
                '\t' | '\r' => shown.extend(letter.escape_default()),
                _ if letter.is_ascii_control() => write_hex(&mut shown, letter as u32),
                _ if is_control_like(letter) => shown.extend(letter.escape_unicode()),
                _ => shown.push(letter),
            }
        }
        for byte in chunk.invalid() {
            write_hex(&mut shown, u32::from(*byte));
        }
    }
    shown
}

/// The first `max` bytes of `text` as printable ASCII on one line, then `...` if there is more.
/// Quotes and backslashes are escaped, so that the result can stand between quotes.
pub fn excerpt(text: &[u8], max: usize) -> String {
    let shown = text[..text.len().min(max)].escape_ascii().to_string();
    if text.len() > max { shown + "..." } else { shown }
}

fn write_hex(to: &mut String, code: u32) {
    write!(to, "\\x{code:02x}").expect("writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_receives_no_control_character() {
        assert_eq!(for_terminal(b"\x1b]0;title\x07"), "\\x1b]0;title\\x07");
        assert_eq!(for_terminal(b"\0\t\x08\x7f\r"), "\\x00\\t\\x08\\x7f\\r");
        assert_eq!(for_terminal("\u{9b}31m \u{202e}66".as_bytes()), "\\u{9b}31m \\u{202e}66");
        assert_eq!(for_terminal(b"\x9b31m\xff"), "\\x9b31m\\xff");
    }

    #[test]
    fn lines_and_letters_of_any_language_stay_as_they_are() {
        assert_eq!(for_terminal("⭐ ja 👎 \\n".as_bytes()), "⭐ ja 👎 \\n");
        assert_eq!(for_terminal(b"sum: 17\r\nproduct: 60\n"), "sum: 17\nproduct: 60\n");
    }

    #[test]
    fn an_excerpt_is_one_line_of_ascii() {
        assert_eq!(excerpt(b"\x1b[2J\"\n", 60), r#"\x1b[2J\"\n"#);
        assert_eq!(excerpt("ü12".as_bytes(), 4), r"\xc3\xbc12");
        assert_eq!(excerpt("ü12".as_bytes(), 3), r"\xc3\xbc1...");
    }

    #[test]
    fn directional_controls_are_invisible_and_an_emoji_is_not() {
        for letter in ['\u{61c}', '\u{200f}', '\u{202a}', '\u{202e}', '\u{2066}', '\u{2069}'] {
            assert!(is_bidi_control(letter) && is_invisible(letter), "{}", letter.escape_unicode());
        }
        for letter in ['\u{200b}', '\u{2029}', '\u{2060}', '\u{feff}'] {
            assert!(!is_bidi_control(letter) && is_invisible(letter));
        }
        for letter in ['a', 'ü', '⭐', '\u{a0}', '\u{202f}', '\u{206a}'] {
            assert!(!is_invisible(letter), "{}", letter.escape_unicode());
        }
    }
}
