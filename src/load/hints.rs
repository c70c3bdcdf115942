//! Signs that a server is of another kind than the load is for.

use super::MAX_SHOWN;
use crate::escape;

/// The beginnings of lines by which servers are known, in lower case.
const KNOWN: [(&str, &str); 10] = [
    ("http/", "an HTTP server"),
    ("<!doctype", "an HTTP server"),
    ("<html", "an HTTP server"),
    ("ssh-", "an SSH server"),
    ("220 ", "a server of mail or FTP"),
    ("220-", "a server of mail or FTP"),
    ("-err", "a redis server: see --send"),
    ("error\r\n", "a memcached server: see --send"),
    ("protocol mismatch", "an SSH server"),
    ("hello from the server!", "the service hello"),
];

/// The hint that the first reply that is not right gives, if it does.
pub(super) fn of_reply(line: &[u8], request: &[u8], expected: &[u8]) -> Option<String> {
    let start: Vec<u8> = line.iter().take(MAX_SHOWN).map(u8::to_ascii_lowercase).collect();
    let known = KNOWN.iter().find(|(begins, _)| start.starts_with(begins.as_bytes()));
    let is_echo = request == expected;
    let kind = if let Some((_, kind)) = known {
        kind
    } else if !is_echo && line.trim_ascii() == request.trim_ascii() {
        "an echo server: see --service echo"
    } else if is_echo && line.windows(7).any(|part| part == b"Error: ") {
        "a calculator: see --service calc"
    } else {
        return None;
    };
    let shown = escape::excerpt(line, MAX_SHOWN);
    Some(format!("it looks like {kind}; its first reply is \"{shown}\""))
}

/// The hint that a reply without its newline gives.
pub(super) fn of_unended(reply: &[u8]) -> String {
    let shown = escape::excerpt(reply, MAX_SHOWN);
    format!("no newline comes after the reply \"{shown}\": --bare is for servers without newlines")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_known_by_their_first_line() {
        for (line, kind) in [
            ("HTTP/1.1 400 Bad Request\r\n", "an HTTP server"),
            ("<!DOCTYPE HTML>\n", "an HTTP server"),
            ("-ERR unknown command '0'\r\n", "redis"),
            ("1 + 2\r\n", "an echo server"),
        ] {
            let hint = of_reply(line.as_bytes(), b"1 + 2\n", b"3\n").unwrap();
            assert!(hint.contains(kind), "{hint}");
        }
        for wrong in [&b"4\n"[..], b"2201\n"] {
            assert_eq!(of_reply(wrong, b"1100 + 1100\n", b"2200\n"), None);
        }
        let error = b"NameError: name '000abc' is not defined\n";
        let hint = of_reply(error, b"000abc\n", b"000abc\n").unwrap();
        assert!(hint.contains("a calculator"), "{hint}");
    }
}
