//! The words of lessons, which the foot of a lesson explains to a reader who knows Python sockets.

/// The words that a lesson may print, in the order of a connection's life, with their meanings.
const WORDS: [(&str, &str); 34] = [
    ("LISTEN", "waits for clients"),
    ("SYN", "the packet that asks for a connection"),
    ("SYN-SENT", "its SYN has no answer yet"),
    ("ESTABLISHED", "connected"),
    ("acknowledged", "reported as arrived by the other end's kernel"),
    ("FIN", "a packet: this side sends no more"),
    ("end of input", "recv returns b\"\""),
    ("FIN-WAIT-2", "has sent its FIN, awaits the peer's"),
    ("CLOSE-WAIT", "the peer has sent its FIN, this end not yet"),
    ("TIME-WAIT", "both have closed, this end first; kept 60 s for late packets"),
    ("RST", "a packet, reset: the connection is over at once"),
    ("gone", "the kernel no longer lists this end"),
    ("ss", "the program that lists sockets"),
    ("descriptor", "the number of an open socket or file, s.fileno()"),
    ("ulimit -n", "the limit on descriptors of a process"),
    ("sendto", "the system call behind send"),
    ("O_NONBLOCK", "setblocking(False)"),
    ("poll", "like select: waits until a socket is ready"),
    ("POLLIN", "readable"),
    ("POLLOUT", "writable"),
    ("epoll", "like select, on Linux: select.epoll, or inside selectors"),
    ("EPOLLET", "edge-triggered"),
    ("EPOLLEXCLUSIVE", "a flag of epoll: do not wake all"),
    ("EPOLLHUP", "the event that the connection is over"),
    ("SIGPIPE", "a signal that ends a process by default"),
    ("SIGCHLD", "the signal that a child has ended"),
    ("SO_KEEPALIVE", "an option: ask a silent peer whether it is there"),
    ("SO_LINGER", "an option: what close does with unsent bytes"),
    ("TCP_USER_TIMEOUT", "an option: the longest wait for an acknowledgement"),
    ("TCP_NODELAY", "an option: send small pieces at once"),
    ("TCP_QUICKACK", "an option: acknowledge at once"),
    ("loopback", "the network inside this machine, 127.0.0.1"),
    ("backlog", "the limit on clients that wait for accept"),
    ("zombie", "has ended, and its parent has not yet called waitpid"),
];

/// The exceptions for which Python has a class. The others are an `OSError` with that errno.
const EXCEPTIONS: [(&str, &str); 6] = [
    ("EAGAIN", "BlockingIOError; after settimeout, TimeoutError"),
    ("ECONNREFUSED", "ConnectionRefusedError"),
    ("ECONNRESET", "ConnectionResetError"),
    ("EINTR", "InterruptedError"),
    ("EPIPE", "BrokenPipeError"),
    ("ETIMEDOUT", "TimeoutError"),
];

/// The others, with the text that Python shows.
const OTHERS: [(&str, &str); 4] = [
    ("EADDRINUSE", "Address already in use"),
    ("EADDRNOTAVAIL", "Cannot assign requested address"),
    ("EHOSTUNREACH", "No route to host"),
    ("EMFILE", "Too many open files"),
];

/// The lines that explain the words of a text, of at most so many characters each.
pub(super) fn explain(text: &str, width: usize) -> Vec<String> {
    let words = WORDS.iter().map(|&(word, meaning)| (word, meaning.to_owned()));
    let exceptions = EXCEPTIONS.iter().map(|&(errno, class)| (errno, class.to_owned()));
    let others =
        OTHERS.iter().map(|&(errno, text)| (errno, format!("OSError, errno.{errno}: {text}")));
    let mut lines = paragraph("Words: ", words, text, width);
    lines.extend(paragraph("Errors in Python: ", exceptions.chain(others), text, width));
    lines
}

/// A paragraph with the meanings of those words that the text has; empty if it has none.
fn paragraph<'a>(
    heading: &str,
    words: impl Iterator<Item = (&'a str, String)>,
    text: &str,
    width: usize,
) -> Vec<String> {
    let meanings: Vec<_> = words
        .filter(|(word, _)| has_word(text, word))
        .map(|(word, meaning)| format!("{word} ({meaning})"))
        .collect();
    if meanings.is_empty() {
        return Vec::new();
    }
    wrapped(heading, &meanings.join(", "), width)
}

/// The lines of a text that begins with a heading.
pub(super) fn wrapped(heading: &str, text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![heading.trim_end().to_owned()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("it has the heading");
        if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(format!("    {word}"));
        }
    }
    lines
}

/// True if the text has the word, also in the plural, but not as a part of another one: FIN is no
/// part of FIN-WAIT-2.
fn has_word(text: &str, word: &str) -> bool {
    let joins = |letter: char| letter.is_alphanumeric() || letter == '-' || letter == '_';
    text.match_indices(word).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + word.len()..]);
        let after = after.strip_prefix('s').unwrap_or(after);
        !before.ends_with(joins) && !after.starts_with(joins)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_words_of_the_text_are_explained() {
        let text = "client CLOSE-WAIT  server FIN-WAIT-2, send EPIPE, SYNs";
        let [words, errors] = &explain(text, 1000)[..] else { panic!("two paragraphs") };
        assert!(words.starts_with("Words: SYN (the packet"), "{words}");
        assert!(words.contains("), CLOSE-WAIT (the peer"), "{words}");
        assert!(!words.contains(" FIN ("), "{words}");
        assert_eq!(errors, "Errors in Python: EPIPE (BrokenPipeError)");
        assert!(explain("connect succeeds", 40).is_empty());
    }

    #[test]
    fn a_long_paragraph_is_wrapped() {
        assert_eq!(wrapped("So:", "one two three", 13), ["So: one two", "    three"]);
    }
}
