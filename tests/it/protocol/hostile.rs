//! Arbitrary bytes as messages, names and answers. Nothing crashes, waits without end or spins, and
//! nothing reaches the log or the table of results unescaped.

use std::sync::Arc;
use std::time::Duration;

use socklab::buffer::{BUFFER_SIZE, Pool};
use socklab::choice::Choice;
use socklab::escape::is_hidden;
use socklab::random::Random;
use socklab::service::{Rules, ServiceKind, ServiceSpec};
use socklab::session::{FramingMode, GAP, LINE_GAP, Limits, OUTBOX_LIMIT};

use crate::common::connection::{Connection, peer};
use crate::common::file::TempPath;
use crate::common::server::{CONCURRENT, Server};

/// Bytes with a meaning to some part of the server, or to a program that shows its output.
const SPECIAL: [&[u8]; 34] = [
    b"\n",
    b"\n",
    b"\r\n",
    b"\0",
    b"\0\0\0\0",
    b"\n\0",
    b"\0\x05",
    b"\0\xff",
    b"\xff",
    b"\xff\xfa\x18",
    b"\xff\xf0",
    b"\xff\xfb\x01",
    b"yes",
    b"Bob",
    b"12,5",
    b"add 1 2",
    b"7",
    b"1 + 2",
    b"9**9**9",
    b"((((",
    b"=1+1",
    b"@SUM(A1)",
    b"\",\"",
    b"'",
    b"\x1b]0;title\x07",
    b"\x7f\x08\t",
    b"\xc2\x9b2J",
    b"\x9b2J",
    b"\xe2\x80\xae",
    b"\xe2\x80\x8b\xc2\xad",
    b"\xe2\x80\xa8\xf3\xa0\x81\x81",
    b"\xd8\x9c\xe2\x81\xa6",
    b"\xf0\x9f",
    b"\xed\xa0\xbd",
];

/// Up to `most` pieces, each a special sequence, any byte, or rarely a long run of one byte.
fn arbitrary_bytes(random: &mut Random, most: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..random.below(most + 1) {
        match random.below(40) {
            0..20 => bytes.extend(SPECIAL[random.below(34) as usize]),
            20..39 => bytes.extend(random.draw().to_le_bytes().first()),
            _ => bytes.extend(vec![random.draw().to_le_bytes()[0]; random.below(5000) as usize]),
        }
    }
    bytes
}

fn any_service(random: &mut Random) -> ServiceSpec {
    let kind =
        ServiceKind::ALL[random.below(u32::try_from(ServiceKind::ALL.len()).unwrap()) as usize];
    let mut spec = ServiceSpec {
        greeting: Arc::from("Hello!"),
        rules: Rules { seed: random.draw(), questions: 3 },
        ..kind.into()
    };
    match random.below(4) {
        0 => spec.banner = Some(Arc::from("Welcome")),
        1 => spec.once = true,
        _ => {}
    }
    spec
}

/// Advances the clock by `time`, and stops at each deadline on the way. Fails if that never ends.
fn advance(connection: &mut Connection, time: Duration) {
    let until = connection.now + time;
    let mut steps = 0;
    while let Some(due) = connection.session.deadline().filter(|&due| due <= until) {
        connection.wait(due.saturating_duration_since(connection.now));
        steps += 1;
        assert!(steps < 10_000, "the session spins");
    }
    connection.wait(until - connection.now);
}

#[test]
fn every_service_takes_arbitrary_bytes_and_every_session_ends() {
    let mut random = Random::new(55);
    for _ in 0..20_000 {
        let framing_mode = [FramingMode::Auto, FramingMode::Line][random.below(2) as usize];
        let max_message = [8, 300, 4096, 32_768][random.below(4) as usize];
        let limits = Limits { framing_mode, max_message, ..Limits::default() };
        let mut connection =
            Connection::with_limits(any_service(&mut random).build(peer(1)), limits);
        if random.below(2) == 0 {
            connection.pool = Pool::of_small_blocks();
        }
        if random.below(2) == 0 {
            let yes: &[u8] =
                [&b"yes\nBob\n"[..], b"yesBob", b"\0\x06yesBob"][random.below(3) as usize];
            connection.receive(yes, usize::MAX);
            advance(&mut connection, GAP);
        }
        for _ in 0..random.below(6) {
            let bytes = match random.below(500) {
                // As much as one receive takes, with more behind it.
                0 => [vec![b'1'; BUFFER_SIZE - 1], arbitrary_bytes(&mut random, 3)].concat(),
                _ => arbitrary_bytes(&mut random, 12),
            };
            let piece = [1, 7, usize::MAX][random.below(3) as usize];
            connection.receive(&bytes, piece);
            let time = [Duration::ZERO, GAP / 5, GAP, LINE_GAP][random.below(4) as usize];
            advance(&mut connection, time);
            assert!(connection.session.bytes_held() <= 2 * BUFFER_SIZE + OUTBOX_LIMIT);
        }
        for _ in 0..1000 {
            if connection.finished {
                break;
            }
            connection.end_input();
            advance(&mut connection, LINE_GAP);
        }
        assert!(connection.finished, "the session does not end");
    }
}

/// True for lines of which a terminal shows every character.
fn is_plain(text: &str) -> bool {
    !text.contains(|letter| letter != '\n' && is_hidden(letter))
}

#[test]
fn the_log_escapes_everything_that_clients_sent() {
    let mut random = Random::new(7);
    for model in CONCURRENT {
        for service in ["calc", "echo", "hello", "fourops"] {
            for framing in ["auto", "line"] {
                let server = Server::start(&[
                    "--model",
                    model,
                    "--service",
                    service,
                    "--framing",
                    framing,
                    "-v",
                ]);
                let mut clients = server.connect_many(8);
                for client in &mut clients {
                    let mut bytes = arbitrary_bytes(&mut random, 30);
                    bytes.truncate(300);
                    client.send(&bytes);
                    client.half_close();
                }
                for client in &mut clients {
                    client.rest();
                }
                drop(clients);
                let log = server.stop();
                assert!(log.contains("client 8 connected"), "{log}");
                assert!(is_plain(&log), "{}", log.escape_debug());
            }
        }
    }
}

#[test]
fn the_results_table_escapes_everything_that_players_sent() {
    let mut random = Random::new(8);
    for model in CONCURRENT {
        let file = TempPath::new(&format!("hostile-{model}.csv"));
        let options = ["--service", "quiz", "--questions", "2", "--max-clients", "50", "-v"];
        let results = ["--model", model, "--results", file.as_str()];
        let server = Server::start(&[&options[..], &results].concat());
        let mut players = server.connect_many(50);
        for player in &mut players {
            let mut line = || {
                let mut bytes = arbitrary_bytes(&mut random, 8);
                bytes.truncate(100);
                bytes.retain(|&byte| byte != b'\n' && byte != 0);
                // A leading 255 may begin a telnet sequence, which is not part of the line.
                let first = if bytes.first() == Some(&0xff) { &b"x"[..] } else { b"" };
                [first, &bytes, b"\n"].concat()
            };
            player.send(&[b"yes\n".to_vec(), line(), line(), line()].concat());
            player.half_close();
        }
        for player in &mut players {
            assert!(player.rest().trim_ascii_end().ends_with(b"!"), "the closing line");
        }
        drop(players);
        let log = server.stop();
        assert!(is_plain(&log), "{}", log.escape_debug());
        let text = file.read();
        assert!(is_plain(&text), "{}", text.escape_debug());
        assert_eq!(text.lines().count(), 51, "{text}");
        let mut table = csv::Reader::from_reader(text.as_bytes());
        for row in table.records() {
            for cell in &row.unwrap() {
                let is_formula = cell.starts_with(['=', '+', '-', '@']);
                assert!(!is_formula || cell.parse::<f64>().is_ok(), "{cell:?}");
            }
        }
    }
}
