//! Framing `auto`: the bytes of each kind of client, and the replies, with the test's own clock.

use std::time::Duration;

use socket2::SockRef;
use socklab::buffer::BUFFER_SIZE;
use socklab::session::{CloseReason, FramingMode, GAP, LINE_GAP, LINGER_BYTES, Limits};

use crate::common::assert_bytes;
use crate::common::connection::{Connection, peer};
use crate::common::server::{CONCURRENT, Server};
use crate::common::transcript::Service;

const MOMENT: Duration = Duration::from_millis(5);

fn calc() -> Connection {
    Connection::to(Service::Calc)
}

/// True if the session waits for a gap, and not only for the idle timeout.
fn awaits_gap(connection: &Connection) -> bool {
    connection.session.deadline() < Some(connection.now + Limits::default().idle / 2)
}

/// Sends `input` in pieces of each size, waits for `silence`, and expects `output`.
#[track_caller]
fn answers(input: &[u8], silence: Duration, output: &[u8]) {
    for piece in [1, 3, usize::MAX] {
        let mut connection = calc();
        connection.receive(input, piece);
        connection.wait(silence);
        assert_eq!(
            connection.output.escape_ascii().to_string(),
            output.escape_ascii().to_string(),
            "{} in pieces of {piece}",
            input.escape_ascii()
        );
    }
}

#[test]
fn a_bare_message_ends_after_the_gap_and_its_reply_is_bare() {
    let mut connection = calc();
    connection.receive(b"1 + 2", usize::MAX);
    assert_eq!(connection.session.deadline(), Some(connection.now + GAP));
    connection.wait(GAP / 2);
    assert_eq!(connection.output, b"");
    connection.wait(GAP / 2);
    assert_eq!(connection.output, b"3");
    connection.receive(b"3 + 4", usize::MAX);
    connection.wait(GAP);
    assert_eq!(connection.output, b"37");
}

#[test]
fn a_message_in_three_sends_5_ms_apart_is_one_message() {
    let mut connection = calc();
    for part in [b"1 +", b" 2 ", b"+ 3"] {
        connection.receive(part, usize::MAX);
        connection.wait(MOMENT);
    }
    assert_eq!(connection.output, b"");
    connection.wait(GAP);
    assert_eq!(connection.output, b"6");
}

#[test]
fn a_nul_terminated_message_gets_a_nul_terminated_reply() {
    answers(b"1 + 2\0", GAP, b"3\0");
}

#[test]
fn a_buffer_sent_whole_is_the_string_at_its_front() {
    answers(&[&b"1 + 2"[..], &[0; 1019]].concat(), GAP, b"3\0");
    answers(b"1 + 2\0 stale 9 * 9\n\0\0 bytes \xff\xfe", GAP, b"3\0");
}

#[test]
fn a_line_in_a_buffer_of_nuls_is_answered_with_a_line_and_a_nul() {
    // In pieces, the line is answered before its NUL arrives: see the next test.
    for (input, output) in
        [(&b"1 + 2\n\0"[..], &b"3\n\0"[..]), (b"1 + 2\r\n\0\0\0stale\n", b"3\r\n\0")]
    {
        let mut connection = calc();
        connection.receive(input, usize::MAX);
        connection.wait(GAP);
        assert_bytes(&connection.output, output);
    }
}

#[test]
fn a_nul_that_comes_after_its_line_was_answered_is_no_message() {
    let mut connection = calc();
    connection.receive(b"1 + 2\n", usize::MAX);
    assert_eq!(connection.output, b"3\n");
    connection.receive(b"\0\0stale", usize::MAX);
    connection.wait(GAP);
    assert_eq!(connection.output, b"3\n");
    connection.receive(b"3 + 4\n\0", usize::MAX);
    connection.wait(GAP);
    assert_eq!(connection.output, b"3\n7\n\0");
}

#[test]
fn a_nul_that_comes_a_gap_after_a_line_begins_a_message() {
    let mut connection = calc();
    connection.receive(b"1 + 2\n", usize::MAX);
    connection.wait(GAP);
    connection.receive(b"\0\x053 + 4", usize::MAX);
    assert_eq!(connection.output, b"3\n\0\x017");
    connection.receive(b"1 + 2\n", usize::MAX);
    connection.wait(GAP);
    connection.output.clear();
    connection.receive(&[0; 100], usize::MAX);
    connection.wait(GAP);
    assert_eq!(connection.output, b"SyntaxError: invalid syntax (<string>, line 0)\0");
}

#[test]
fn continued_padding_is_never_a_message() {
    let mut connection = calc();
    connection.receive(b"1 + 2\n", usize::MAX);
    for _ in 0..20 {
        connection.wait(MOMENT);
        connection.receive(b"\0\x05stale\n", usize::MAX);
    }
    connection.wait(LINE_GAP);
    assert_eq!(connection.output, b"3\n");
    assert!(!awaits_gap(&connection));
}

#[test]
fn half_a_line_of_a_client_that_pads_its_lines_waits_a_second() {
    let mut connection = calc();
    connection.receive(b"1\n\0", usize::MAX);
    connection.wait(GAP);
    connection.receive(b"2 + ", usize::MAX);
    connection.wait(LINE_GAP.saturating_sub(MOMENT));
    connection.receive(b"2\n\0", usize::MAX);
    connection.wait(GAP);
    assert_eq!(connection.output, b"1\n\x004\n\0");
}

#[test]
fn a_buffer_of_nuls_is_an_empty_message() {
    let error = b"SyntaxError: invalid syntax (<string>, line 0)\0";
    answers(&[0; 1024], GAP, error);
    answers(&[0], GAP, error);
}

#[test]
fn the_next_padded_message_is_served_like_the_first() {
    let mut connection = calc();
    for _ in 0..3 {
        connection.receive(&[&b"6 * 7"[..], &[0; 200]].concat(), 64);
        connection.wait(GAP);
    }
    assert_eq!(connection.output, b"42\x0042\x0042\0");
}

#[test]
fn javas_write_utf_is_answered_in_the_same_form_and_without_a_gap() {
    answers(b"\0\x051 + 2", Duration::ZERO, b"\0\x013");
    answers(b"\0\x051 + 2\0\x041//0", Duration::ZERO, &utf(&["3", ZERO_DIVISION]));
}

#[test]
fn an_empty_write_utf_text_is_a_message_once_the_client_has_used_write_utf() {
    let error = "SyntaxError: invalid syntax (<string>, line 0)";
    for piece in [1, usize::MAX] {
        let mut connection = calc();
        connection.receive(b"\0\x051 + 2", piece);
        connection.receive(b"\0\0", piece);
        connection.wait(GAP);
        connection.receive(b"\0\x053 + 4", piece);
        let expected = utf(&["3", error, "7"]);
        assert_bytes(&connection.output, &expected);
    }
}

const ZERO_DIVISION: &str = "ZeroDivisionError: integer division or modulo by zero";

/// Texts as Java's `DataOutputStream.writeUTF` sends them.
fn utf(texts: &[&str]) -> Vec<u8> {
    let with_length = |text: &&str| {
        let length = u16::try_from(text.len()).unwrap();
        [&length.to_be_bytes()[..], text.as_bytes()].concat()
    };
    texts.iter().flat_map(with_length).collect()
}

#[test]
fn half_of_a_write_utf_waits_for_the_other_half() {
    let mut connection = calc();
    connection.receive(b"\0\x051 +", usize::MAX);
    connection.wait(LINE_GAP);
    assert_eq!(connection.output, b"");
    connection.receive(b" 2", usize::MAX);
    assert_eq!(connection.output, b"\0\x013");
}

#[test]
fn whole_lines_wait_for_no_gap() {
    let mut connection = calc();
    connection.receive(b"1\n2\r\n3\n", usize::MAX);
    assert_eq!(connection.output, b"1\n2\r\n3\n");
    assert!(!awaits_gap(&connection));
}

#[test]
fn half_a_line_of_a_line_client_waits_a_second() {
    let mut connection = calc();
    connection.receive(b"1\n2 + ", usize::MAX);
    connection.wait(LINE_GAP.saturating_sub(MOMENT));
    connection.receive(b"2\n", usize::MAX);
    assert_eq!(connection.output, b"1\n4\n");
    connection.receive(b"5", usize::MAX);
    connection.wait(LINE_GAP);
    assert_eq!(connection.output, b"1\n4\n5");
}

#[test]
fn the_end_of_input_ends_every_message() {
    for (input, output) in [
        (&b"1 + 2"[..], &b"3"[..]),
        (b"1 + 2\0stale", b"3\0"),
        (b"1 + 2\n\0stale", b"3\n\0"),
        (b"\0\x051 + 2", b"\0\x013"),
        (b"\0\x091 + 2", b"\0\x013"),
        (b"1\n2", b"1\n2"),
    ] {
        let mut connection = calc();
        connection.receive(input, usize::MAX);
        connection.end_input();
        assert_bytes(&connection.output, output);
        assert!(connection.finished);
    }
}

#[test]
fn telnet_options_are_refused_and_subnegotiations_are_skipped() {
    let refusals = b"\xff\xfe\x01\xff\xfc\x033\r\n";
    answers(b"\xff\xfb\x01\xff\xfd\x031 + 2\r\n", Duration::ZERO, refusals);
    answers(b"\xff\xfa\x18\0xterm\xff\xf01 + 2\r\n", Duration::ZERO, b"3\r\n");
}

#[test]
fn a_terminal_in_character_mode_that_talks_telnet_is_served_by_lines() {
    for piece in [1, 3, usize::MAX] {
        let limits = Limits { framing_mode: FramingMode::Line, ..Limits::default() };
        let mut connection = Connection::with_limits(Service::Calc.spec().build(peer(1)), limits);
        // Telnet sends this when it is set to character mode.
        connection.receive(b"\xff\xfd\x03\xff\xfd\x01", piece);
        for key in "1 + 2\r\n".bytes() {
            connection.receive(&[key], piece);
            connection.wait(LINE_GAP);
        }
        assert_eq!(connection.output, b"\xff\xfc\x03\xff\xfc\x013\r\n");
    }
}

#[test]
fn every_telnet_request_is_refused_and_no_refusal_is_answered() {
    // An interrupt in telnet: IP, the urgent DM, and a request for a timing mark. After it telnet
    // shows nothing until the mark is answered, each time.
    let interrupt = b"\xff\xf4\xff\xf2\xff\xfd\x06";
    answers(&interrupt.repeat(2), GAP, b"\xff\xfc\x06\xff\xfc\x06");
    answers(&[&b"1\r\n"[..], interrupt, b"2\r\n"].concat(), GAP, b"1\r\n\xff\xfc\x062\r\n");
    for option in [0, 1, b'\n', b'\r', 34, 254, 255] {
        answers(&[0xff, 0xfd, option], GAP, &[0xff, 0xfc, option]);
        answers(&[0xff, 0xfb, option], GAP, &[0xff, 0xfe, option]);
        answers(&[0xff, 0xfe, option, 0xff, 0xfc, option], GAP, b"");
    }
    let mut connection = calc();
    connection.receive(b"\xff\xfd\x06", 1);
    connection.end_input();
    assert_eq!(connection.output, b"\xff\xfc\x06");
    assert!(connection.finished);
}

fn by_lines() -> Connection {
    let limits = Limits { framing_mode: FramingMode::Line, ..Limits::default() };
    Connection::with_limits(Service::Calc.spec().build(peer(1)), limits)
}

#[test]
fn the_return_key_of_a_terminal_ends_a_line_whatever_it_sends() {
    for end in [&b"\r\0"[..], b"\r", b"\r\n"] {
        // Each key by itself, or the whole line in one piece.
        for pause in [Duration::from_millis(200), Duration::ZERO] {
            let mut connection = by_lines();
            for (question, replies) in [("6*7", "42\r\n"), ("1+1", "42\r\n2\r\n")] {
                for key in question.bytes() {
                    connection.receive(&[key], usize::MAX);
                    connection.wait(pause);
                }
                connection.receive(end, usize::MAX);
                connection.wait(GAP);
                assert_bytes(&connection.output, replies.as_bytes());
                assert!(!awaits_gap(&connection));
            }
        }
    }
}

#[test]
fn lines_that_end_in_cr_nul_are_answered_without_a_gap() {
    for piece in [1, 2, 3, usize::MAX] {
        let mut connection = by_lines();
        connection.receive(b"1\r\x002\n3\r\n4\r\0", piece);
        assert_bytes(&connection.output, b"1\r\n2\n3\r\n4\r\n");
        assert!(!awaits_gap(&connection));
        // Only a NUL behind a CR ends a line.
        connection.output.clear();
        connection.receive(b"\0\r\0", piece);
        let error = b"SyntaxError: source code string cannot contain null bytes\r\n";
        assert_bytes(&connection.output, error);
    }
}

#[test]
fn a_late_half_of_a_line_end_is_no_line() {
    for half in [b"\n", b"\0"] {
        for late in [GAP, LINE_GAP, 10 * LINE_GAP] {
            let mut connection = by_lines();
            connection.receive(b"6*7\r", usize::MAX);
            connection.wait(late);
            assert_bytes(&connection.output, b"42\r\n");
            connection.receive(half, usize::MAX);
            connection.wait(LINE_GAP);
            assert_bytes(&connection.output, b"42\r\n");
            connection.receive(b"1+1\n", usize::MAX);
            assert_bytes(&connection.output, b"42\r\n2\n");
        }
    }
}

#[test]
fn a_cr_without_a_pause_ends_no_line() {
    let mut connection = by_lines();
    connection.receive(b"6*7\r", usize::MAX);
    connection.wait(GAP.saturating_sub(MOMENT));
    connection.receive(b"\r", usize::MAX);
    connection.wait(GAP.saturating_sub(MOMENT));
    connection.receive(b" ", usize::MAX);
    connection.wait(LINE_GAP);
    assert_eq!(connection.output, b"");
    assert!(connection.session.deadline() > Some(connection.now + LINE_GAP), "no CR is at the end");

    let mut connection = by_lines();
    connection.receive(b"6*7\r", usize::MAX);
    connection.end_input();
    assert_bytes(&connection.output, b"42\r\n");
    assert!(connection.finished);
}

#[test]
fn a_telnet_command_in_pieces_is_skipped_without_a_reply() {
    for piece in [1, 3, usize::MAX] {
        let mut connection = calc();
        connection.receive(b"\xff\xfc\x01", piece);
        connection.wait(GAP);
        assert_eq!(connection.output, b"");
        assert!(!awaits_gap(&connection));
        connection.receive(b"1 + 2\r\n", piece);
        assert_eq!(connection.output, b"3\r\n");
    }
}

#[test]
fn a_malformed_telnet_sequence_is_a_message() {
    for (input, end) in [
        (&b"\xff"[..], ""),
        (b"\xff\xfb", ""),
        (b"\xff\xfa\x18", ""),
        (b"\xff\xfa\x18\n", "\n"),
        (b"\xff\xff", ""),
        (b"\xffabc\n", "\n"),
        (b"\xff\0", "\0"),
    ] {
        for ends in [true, false] {
            let mut connection = calc();
            connection.receive(input, usize::MAX);
            if ends {
                connection.end_input();
            } else {
                connection.wait(GAP);
                assert!(!awaits_gap(&connection));
            }
            assert!(!connection.output.is_empty(), "{}", input.escape_ascii());
            assert!(connection.output.ends_with(end.as_bytes()), "{}", input.escape_ascii());
        }
    }
}

#[test]
fn a_message_that_fills_the_buffer_to_its_last_byte_is_too_long() {
    let limit = "ValueError: message too long (limit 4096 bytes)";
    for (first, end, reply_end) in
        [(b'1', &b"\0"[..], "\0"), (b'1', b"\n\0", "\n\0"), (0xff, b"", "\n")]
    {
        let mut input = vec![first; BUFFER_SIZE];
        if first == 0xff {
            // A subnegotiation (RFC 855) without an end.
            input[1..].fill(0xfa);
        }
        input.truncate(BUFFER_SIZE - end.len());
        input.extend(end);
        let mut connection = calc();
        connection.receive(&input, usize::MAX);
        assert_eq!(String::from_utf8_lossy(&connection.output), format!("{limit}{reply_end}"));
        assert_eq!(connection.session.close_reason(), Some(CloseReason::TooLong));
    }
}

#[test]
fn a_message_without_an_end_is_too_long_at_the_limit() {
    let mut connection = calc();
    connection.receive(&[b'1'; 5000], usize::MAX);
    assert_eq!(connection.output, b"ValueError: message too long (limit 4096 bytes)\n");
    assert_eq!(connection.session.close_reason(), Some(CloseReason::TooLong));
}

#[test]
#[cfg_attr(miri, ignore = "it moves megabytes")]
fn endless_padding_costs_no_memory() {
    let mut connection = calc();
    connection.receive(b"1 + 2", usize::MAX);
    let padding = vec![0; 60_000];
    for _ in 0..100 {
        connection.receive(&padding, usize::MAX);
        assert!(connection.session.bytes_held() < 100);
    }
    connection.wait(GAP);
    assert_eq!(connection.output, b"3\0");
}

/// Sends `block` again and again, and expects that the session takes `LINGER_BYTES` of it.
#[track_caller]
fn is_closed_after_16_mebibytes_of(connection: &mut Connection, block: &[u8]) {
    let blocks = LINGER_BYTES as usize / block.len();
    for sent in 0..blocks + 2 {
        if connection.session.close_reason().is_some() {
            assert!(sent > blocks - 2, "after {sent} blocks of {blocks}");
            break;
        }
        connection.receive(block, usize::MAX);
        // So short a silence ends no message.
        connection.wait(Duration::from_nanos(1));
        connection.output.retain(|&byte| byte < 0x80);
    }
    assert_eq!(connection.session.close_reason(), Some(CloseReason::TooLong));
    let output = String::from_utf8_lossy(&connection.output);
    let refusal = "ValueError: message too long (limit 4096 bytes)\n";
    assert!(output.ends_with(refusal), "{output:?}");
    assert!(connection.shut_down && !connection.finished, "it lingers");
}

#[test]
#[cfg_attr(miri, ignore = "it moves megabytes")]
fn endless_input_that_is_no_message_is_too_long() {
    let padding = vec![0; 50_000];
    let stale = b"stale\n\0\xff".repeat(5000);
    let subnegotiation = [&b"\xff\xfa"[..], &b"x".repeat(50_000), b"\xff\xf0"].concat();
    let request = [&b"\xff\xfd\x06"[..], &subnegotiation].concat();
    for (first, block) in [
        (&b"a\0"[..], &padding),
        (b"a\0", &stale),
        (b"a\n\0", &stale),
        (b"\0\0", &padding),
        (b"", &subnegotiation),
        (b"1\n", &request),
    ] {
        let mut connection = calc();
        connection.receive(first, usize::MAX);
        is_closed_after_16_mebibytes_of(&mut connection, block);
    }
    // A NUL that comes after its line was answered.
    let mut connection = calc();
    connection.receive(b"1\n", usize::MAX);
    is_closed_after_16_mebibytes_of(&mut connection, &padding);
}

#[test]
#[cfg_attr(miri, ignore = "it moves megabytes")]
fn padding_is_counted_for_each_message() {
    let mut connection = calc();
    let buffer = [&b"1\0"[..], &b"\0".repeat(50_000)].concat();
    let blocks = LINGER_BYTES as usize / 50_000 * 2 / 3;
    for _ in 0..3 {
        for _ in 0..blocks {
            connection.receive(&buffer, usize::MAX);
        }
        connection.wait(GAP);
    }
    assert_eq!(connection.output, b"1\x001\x001\0");
}

#[test]
fn a_greeting_to_a_bare_message_has_no_newline() {
    let mut connection = Connection::to(Service::Hello);
    connection.receive(b"Hello from the client!", usize::MAX);
    connection.wait(GAP);
    assert_eq!(connection.output, b"Hello from the server!");
    assert!(connection.shut_down);
}

#[test]
fn every_telnet_command_of_two_bytes_is_skipped() {
    for command in 236..=249 {
        let skipped = [0xff, command];
        answers(&skipped, GAP, b"");
        answers(&[&skipped, &b"1+1\r\n"[..]].concat(), Duration::ZERO, b"2\r\n");
        answers(&[&b"1+1\n"[..], &skipped, b"2+2\n"].concat(), Duration::ZERO, b"2\n4\n");
        let mut connection = calc();
        connection.receive(&skipped, usize::MAX);
        connection.end_input();
        assert!(connection.output.is_empty() && connection.finished, "{command}");
    }
}

#[test]
fn the_urgent_half_of_a_telnet_command_is_part_of_the_stream() {
    for model in CONCURRENT {
        // By lines no gap can end the message between the sends.
        let server = Server::start(&["--model", model, "--framing", "line"]);
        let mut telnet = server.connect();
        for _ in 0..3 {
            telnet.send(b"\xff\xf4\xff");
            SockRef::from(&telnet.stream).send_out_of_band(b"\xf2").unwrap();
            telnet.ask(b"\xff\xfd\x061+1\n", b"\xff\xfc\x062\n");
        }
    }
}

/// A message of more work than a light one, with the value 4.
const HEAVY: &[u8] = b"2**12500 % 7";

#[test]
fn a_heavy_message_is_framed_once_whatever_ends_it() {
    let heavy = |before: &[u8], after: &[u8]| [before, HEAVY, after].concat();
    let length = [0, u8::try_from(HEAVY.len()).unwrap()];
    for (input, output) in [
        (heavy(b"", b"\n"), &b"4\n"[..]),
        (heavy(b"1 + 2\n", b"\r\n3 + 4\n"), b"3\n4\r\n7\n"),
        (heavy(b"", &heavy(b"\n", b"\n1")), b"4\n4\n1"),
        (heavy(b"", b""), b"4"),
        (heavy(b"1 + 2\n", b""), b"3\n4"),
        (heavy(b"", b"\0"), b"4\0"),
        (heavy(b"", &[b"\0", &[b'x'; 500][..]].concat()), b"4\0"),
        (heavy(&length, &[0, 5, b'1', b' ', b'+', b' ', b'2']), b"\0\x014\0\x013"),
        (heavy(b"\xff\xf1", b"\n"), b"4\n"),
    ] {
        for piece in [1, 3, usize::MAX] {
            let mut connection = calc();
            let mut sent = 0;
            // A session that yields takes no input until it is activated again.
            while sent < input.len() {
                let end = input.len().min(sent.saturating_add(piece));
                sent += connection.exchange(Some(&input[sent..end]));
            }
            connection.wait(LINE_GAP);
            while connection.yielded {
                connection.exchange(None);
            }
            connection.wait(LINE_GAP);
            connection.exchange(None);
            assert_bytes(&connection.output, output);
        }
    }
}

#[test]
fn a_heavy_message_is_served_when_the_session_goes_on() {
    let mut connection = calc();
    connection.exchange(Some(&[b"1 + 2\n", HEAVY, b"\n3 + 4\n"].concat()));
    assert!(connection.yielded);
    assert_bytes(&connection.output, b"3\n");
    assert!(!awaits_gap(&connection));
    assert!(connection.session.is_heavy());
    // The input may end, and the server stop, meanwhile.
    let now = connection.now;
    connection.activate().end_input(now);
    connection.exchange(None);
    assert_bytes(&connection.output, b"3\n4\n7\n");
    assert_eq!(connection.session.close_reason(), Some(CloseReason::Drained));
}
