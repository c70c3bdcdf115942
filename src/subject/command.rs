//! The command that starts a subject, with the places for the host and the port.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// The place for the host in a command.
const HOST_PLACE: &str = "{host}";

/// The place for the port.
const PORT_PLACE: &str = "{port}";

/// The characters beside letters and digits that mean themselves to a shell: those of a place are
/// among them, because a list in braces has a comma or two dots.
const PLAIN: &[u8] = b"{}-_./:=+%@";

/// A command with places for the host and the port. One word is a line for `sh -c`; several words
/// are a program and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<OsString>);

impl Template {
    /// A command of at least one word.
    pub fn new(words: Vec<OsString>) -> Self {
        assert!(!words.is_empty(), "a command has a program");
        Self(words)
    }

    /// True if the port is passed to the command. Otherwise only the environment has it.
    pub fn has_port(&self) -> bool {
        let place = PORT_PLACE.as_bytes();
        self.0.iter().any(|word| word.as_bytes().windows(place.len()).any(|part| part == place))
    }

    /// The program and its arguments for this host and port.
    pub fn fill(&self, host: &str, port: u16) -> Vec<OsString> {
        let mut words = self.fill_words(host, port);
        if words.len() == 1 {
            words.splice(..0, ["/bin/sh".into(), "-c".into()]);
        }
        words
    }

    /// The words for this host and port, also if there is only one.
    pub fn fill_words(&self, host: &str, port: u16) -> Vec<OsString> {
        let port = port.to_string();
        let fill = |word: &OsString| {
            let word = replace(word.as_bytes(), HOST_PLACE.as_bytes(), host.as_bytes());
            OsString::from_vec(replace(&word, PORT_PLACE.as_bytes(), port.as_bytes()))
        };
        self.0.iter().map(fill).collect()
    }

    /// The command as a line for `sh -c`, with its places.
    pub fn shell_line(&self) -> OsString {
        match &self.0[..] {
            [line] => line.clone(),
            words => words.iter().map(quote).collect::<Vec<_>>().join(OsStr::new(" ")),
        }
    }

    /// The command as it was given, in one line.
    pub fn text(&self) -> String {
        let words = self.0.iter().map(|word| word.to_string_lossy());
        words.collect::<Vec<_>>().join(" ")
    }
}

/// A word for a shell: quoted, unless it has nothing but letters that mean themselves.
fn quote(word: &OsString) -> OsString {
    let is_plain = |&byte: &u8| byte.is_ascii_alphanumeric() || PLAIN.contains(&byte);
    if !word.is_empty() && word.as_bytes().iter().all(is_plain) {
        return word.clone();
    }
    let quoted = replace(word.as_bytes(), b"'", b"'\\''");
    OsString::from_vec([b"'", &quoted[..], b"'"].concat())
}

fn replace(text: &[u8], place: &[u8], value: &[u8]) -> Vec<u8> {
    let mut filled = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.windows(place.len()).position(|part| part == place) {
        filled.extend_from_slice(&rest[..at]);
        filled.extend_from_slice(value);
        rest = &rest[at + place.len()..];
    }
    filled.extend_from_slice(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(words: &[&str]) -> Vec<OsString> {
        Template::new(words.iter().map(Into::into).collect()).fill("127.0.0.1", 5000)
    }

    #[test]
    fn one_word_is_a_line_for_the_shell() {
        assert_eq!(filled(&["./s {port} 2>log"]), ["/bin/sh", "-c", "./s 5000 2>log"]);
    }

    #[test]
    fn several_words_are_a_program_and_its_arguments() {
        assert_eq!(filled(&["./my server", "{host}:{port}"]), ["./my server", "127.0.0.1:5000"]);
    }

    #[test]
    fn a_line_for_a_shell_has_the_same_words() {
        let line =
            |words: &[&str]| Template::new(words.iter().map(Into::into).collect()).shell_line();
        assert_eq!(line(&["./my server {port}"]), "./my server {port}");
        let words = ["./my server", "-p{port}", "it's", "", "$HOME", "{host}"];
        assert_eq!(line(&words), r"'./my server' -p{port} 'it'\''s' '' '$HOME' {host}");
    }

    #[test]
    fn a_command_without_a_place_for_the_port_says_so() {
        let has_port = |word: &str| Template::new(vec![word.into()]).has_port();
        assert!(has_port("./s -p{port}") && !has_port("./s {host}"));
    }
}
