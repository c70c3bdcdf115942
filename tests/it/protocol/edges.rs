//! The session exactly at its limits, and its counters: bytes in, bytes out, time as an argument.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socklab::buffer::{BUFFER_SIZE, Pool, SMALL_BLOCK};
use socklab::choice::Choice;
use socklab::service::{self, Busy, Event, Framing, MAX_REPLY, Next, Output};
use socklab::session::{
    CloseReason, Context, FramingMode, GAP, LINE_GAP, Limits, MAX_MESSAGE_LIMIT, OUTBOX_LIMIT,
    Traffic, Want,
};

use crate::common::assert_bytes;
use crate::common::connection::Connection;
use crate::common::transcript::Service;

/// Answers `=N` with N bytes, `hush` with nothing, `thumb` with a thumb, `nap` with [`YAWN`] bytes
/// before it sleeps, and any other message with its length.
struct Counting;

const YAWN: usize = 1023;

const NAP: Duration = LINE_GAP.saturating_mul(2);

impl service::Service for Counting {
    fn framing(&self) -> Framing {
        Framing::Messages
    }

    fn step(&mut self, event: Event<'_>, now: Instant, out: &mut Output<'_>) -> Next {
        match event {
            Event::Open | Event::Message(b"hush") => {}
            Event::Message(b"nap") => {
                out.write(&[b'a'; YAWN]);
                return Next::ReadUntil(now);
            }
            Event::Message(b"thumb") => out.write("\u{1f44e}".as_bytes()),
            Event::Message(text) => {
                let number = str::from_utf8(text).ok().and_then(|text| text.strip_prefix('='));
                match number.and_then(|number| number.parse().ok()) {
                    Some(length) => out.write(&vec![b'x'; length]),
                    None => out.write(text.len().to_string().as_bytes()),
                }
            }
            Event::Timeout => return Next::SleepUntil(now + NAP),
        }
        Next::Read
    }
}

fn counting(limits: Limits) -> Connection {
    Connection::with_limits(Box::new(Counting), limits)
}

/// Number of bytes that the session wants to send.
fn unsent(connection: &mut Connection) -> usize {
    let mut turn = connection.activate();
    let Want::Send(bytes) = turn.want() else { panic!("there is something to send") };
    bytes.len()
}

#[test]
fn a_line_ends_at_its_newline_whatever_the_bytes_around_it() {
    for framing_mode in [FramingMode::Auto, FramingMode::Line] {
        let mut connection = counting(Limits { framing_mode, ..Limits::default() });
        let bytes = if cfg!(miri) { 126..130 } else { 1..255 };
        for byte in bytes.filter(|byte| !b"\r\n".contains(byte)) {
            for length in 1..20 {
                let mut lines = vec![byte; length];
                // Bytes that a search by machine words might take for the newline before them.
                lines.extend([b'\n', b'.', 11, b'\n', byte, 9, 138, b'\n']);
                connection.output.clear();
                connection.receive(&lines, usize::MAX);
                let output = String::from_utf8_lossy(&connection.output);
                assert_eq!(output, format!("{length}\n2\n3\n"), "{}", lines.escape_ascii());
            }
        }
    }
}

#[test]
fn no_message_is_served_while_half_a_buffer_of_replies_is_unsent() {
    let mut connection = counting(Limits::default());
    connection.reading = false;
    connection.exchange(Some(&b"=1023\n".repeat(100)));
    assert_eq!(unsent(&mut connection), BUFFER_SIZE / 2);
}

#[test]
fn a_service_is_not_woken_while_half_a_buffer_of_replies_is_unsent() {
    let mut connection = counting(Limits::default());
    connection.reading = false;
    connection.exchange(Some(&[&b"=1023\n".repeat(31)[..], b"nap\n"].concat()));
    assert_eq!(unsent(&mut connection), BUFFER_SIZE / 2);
    assert_eq!(connection.session.deadline(), Some(connection.now + Limits::default().unread));
}

#[test]
fn the_longest_reply_fits_behind_half_a_buffer_of_replies() {
    let mut connection = counting(Limits::default());
    connection.reading = false;
    let nearly = b"=1023\n".repeat(31);
    let longest = format!("={MAX_REPLY}\r\n1\n");
    connection.exchange(Some(&[&nearly, &b"=1022\n"[..], longest.as_bytes()].concat()));
    // NUL behind CR and LF takes 2 more bytes, and only a client that has read all replies gets it.
    assert_eq!(unsent(&mut connection), OUTBOX_LIMIT - 2);
}

#[test]
fn the_largest_message_limit_is_half_a_buffer() {
    let limits = || Limits { max_message: MAX_MESSAGE_LIMIT, ..Limits::default() };
    for (length, ending) in
        [(BUFFER_SIZE / 2, None), (BUFFER_SIZE / 2 + 1, Some(CloseReason::TooLong))]
    {
        let mut connection = counting(limits());
        connection.receive(&[&vec![b'.'; length], &b"\r\n"[..]].concat(), 40_000);
        assert_eq!(connection.session.close_reason(), ending);
    }
}

/// The size of the buffer in which the session wants to receive, in bytes.
fn room(connection: &mut Connection) -> usize {
    match connection.activate().want() {
        Want::Receive(room) => room.len(),
        want => panic!("the session does not receive: {want:?}"),
    }
}

#[test]
fn small_blocks_become_large_when_a_receive_fills_one() {
    let mut connection = Connection::to(Service::Calc);
    connection.pool = Pool::of_small_blocks();
    connection.receive(b"1 + 2\n", usize::MAX);
    let line = [&b" ".repeat(SMALL_BLOCK - 7)[..], b"3 + 4\n"].concat();
    connection.receive(&line, usize::MAX);
    assert_eq!(connection.output, b"3\n7\n");
    assert_eq!(room(&mut connection), SMALL_BLOCK);

    connection.receive(&b" ".repeat(SMALL_BLOCK - 1), usize::MAX);
    assert_eq!(room(&mut connection), 1);
    connection.receive(b"5", 1);
    assert_eq!(room(&mut connection), BUFFER_SIZE - SMALL_BLOCK);
    connection.receive(b" + 6\n", 1);
    assert_eq!(connection.output, b"3\n7\n11\n");
}

#[test]
#[cfg_attr(miri, ignore = "it moves megabytes")]
fn a_lingering_session_discards_up_to_16_mebibytes() {
    let mut connection = Connection::with(Box::new(Busy::full()));
    connection.exchange(None);
    let block = vec![b'x'; BUFFER_SIZE];
    for _ in 0..16 * 1024 * 1024 / BUFFER_SIZE {
        assert_eq!(connection.exchange(Some(&block)), BUFFER_SIZE);
    }
    assert!(!connection.finished);
    connection.exchange(Some(b"x"));
    assert!(connection.finished);
}

#[test]
fn stale_bytes_behind_a_batch_are_not_kept() {
    let mut connection = Connection::to(Service::Calc);
    connection.receive(b"1\n22\n3\0 and what stood there before", usize::MAX);
    assert_eq!(connection.output, b"1\n22\n");
    // The message, its NUL, and the byte that tells this NUL from the first byte of a length.
    assert_eq!(connection.session.bytes_held(), 3);
    connection.wait(GAP);
    assert_eq!(connection.output, b"1\n22\n3\0");
}

#[test]
fn a_gap_ends_no_message_while_the_service_sleeps() {
    let mut connection = counting(Limits::default());
    connection.receive(b"nap\nhalf", usize::MAX);
    assert_eq!(connection.output.len(), YAWN + 1);
    connection.wait(Duration::ZERO);
    assert_eq!(connection.session.deadline(), Some(connection.now + NAP));
}

#[test]
fn a_length_prefixed_reply_has_its_length_and_an_empty_one_is_not_sent() {
    let mut connection = counting(Limits::default());
    let input = b"\0\x04hush\0\x05thumb\0\x04hush\0\x05thumb\0\x01.\0\x02=9";
    connection.receive(input, usize::MAX);
    let output =
        b"\0\x06\xed\xa0\xbd\xed\xb1\x8e\0\x06\xed\xa0\xbd\xed\xb1\x8e\0\x011\0\x09xxxxxxxxx";
    assert_bytes(&connection.output, output);
}

#[test]
fn traffic_counts_served_bytes_and_no_discarded_ones() {
    let context = Context::default();
    let traffic = Arc::clone(&context.traffic);
    let counted = |traffic: &Traffic| (traffic.messages(), traffic.received(), traffic.sent());
    let mut connection = Connection::with_context(Box::new(Counting), context);
    connection.receive(b"one\n", usize::MAX);
    assert_eq!(counted(&traffic), (1, 4, 2));
    connection.receive(b"two\nthree\n=60000\n", usize::MAX);
    assert_eq!(counted(&traffic), (4, 21, 60_007));
    traffic.add(5, 6, 7);
    assert_eq!(counted(&traffic), (9, 27, 60_014));

    let mut connection = counting(Limits { max_message: 5, ..Limits::default() });
    connection.receive(b"too long\nmore", usize::MAX);
    assert_eq!(connection.session.close_reason(), Some(CloseReason::TooLong));
    assert_eq!(counted(&traffic), (9, 27, 60_014), "the other session has its own counters");
}

#[test]
fn every_close_reason_has_a_distinct_name_and_text() {
    let names: BTreeSet<_> = CloseReason::ALL.iter().map(|reason| reason.name()).collect();
    let texts: BTreeSet<_> = CloseReason::ALL.iter().map(ToString::to_string).collect();
    assert_eq!((names.len(), texts.len()), (CloseReason::ALL.len(), CloseReason::ALL.len()));
}
