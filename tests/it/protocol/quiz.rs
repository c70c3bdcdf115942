//! The quiz: whole games with the test's own clock, and many concurrent games over TCP.

use std::collections::HashSet;
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use socklab::random::Random;
use socklab::service::{
    Game, MAX_SLEEP, Receipt, RecordSink, RecordState, Rules, ServiceKind, ServiceSpec,
};
use socklab::session::GAP;
use socklab::session::{CloseReason, Context};

use crate::common::connection::{Connection, peer};
use crate::common::file::TempPath;
use crate::common::server::{BUSY, CONCURRENT, Client, MODELS, Server};

const RIGHT: &str = "⭐ Correct answer ⭐";
const WRONG: &str = "Wrong answer👎";

/// The number of questions of a game.
const QUESTIONS: u32 = 10;

/// A record sink that keeps its records in memory.
#[derive(Debug, Default)]
struct Records {
    games: Mutex<Vec<Game>>,
    /// The receipts of records that the test has not kept yet; none if they are kept at once.
    pending: Option<Mutex<Vec<Receipt>>>,
}

impl RecordSink for Records {
    fn record(&self, game: Box<Game>) -> Receipt {
        self.games.lock().unwrap().push(*game);
        let Some(pending) = &self.pending else { return Receipt::new(RecordState::Kept) };
        let receipt = Receipt::new(RecordState::Pending);
        pending.lock().unwrap().push(receipt.clone());
        receipt
    }

    fn flush(&self, _: Duration) {}
}

impl Records {
    fn names(&self) -> Vec<Vec<u8>> {
        self.games.lock().unwrap().iter().map(|game| game.name.to_vec()).collect()
    }
}

/// A player without a socket, with a clock and a receive queue of its own.
struct Player {
    connection: Connection,
    /// Bytes sent, and not yet received by the server.
    queue: Vec<u8>,
    /// End of each message, both ways.
    terminator: &'static str,
}

impl Player {
    fn new(seed: u64, terminator: &'static str, records: Option<Arc<dyn RecordSink>>) -> Self {
        let rules = Rules { seed, questions: QUESTIONS };
        let spec = ServiceSpec { rules, ..ServiceKind::Quiz.into() };
        let context = Context { records, ..Context::default() };
        let connection = Connection::with_context(spec.build(peer(1)), context);
        Self { connection, queue: Vec::new(), terminator }
    }

    fn send(&mut self, text: &str) {
        self.queue.extend([text, self.terminator].concat().bytes());
    }

    /// Receives once, after any wait; empty at the end of output.
    fn receive(&mut self) -> String {
        let connection = &mut self.connection;
        while connection.output.is_empty() && !connection.shut_down && !connection.finished {
            let taken = match &self.queue {
                queue if queue.is_empty() => 0,
                queue => connection.exchange(Some(queue)),
            };
            self.queue.drain(..taken);
            if taken == 0 {
                let deadline = connection.session.deadline().unwrap();
                connection.wait(deadline.saturating_duration_since(connection.now));
            }
        }
        let received = std::mem::take(&mut connection.output);
        // Java writes the thumb as two surrogates. Here both forms are the same.
        let received = match received.strip_suffix(b"\xed\xa0\xbd\xed\xb1\x8e") {
            Some(before) => [before, "\u{1f44e}".as_bytes()].concat(),
            None => received,
        };
        let received = String::from_utf8(received).unwrap();
        if received.is_empty() {
            return received;
        }
        received.strip_suffix(self.terminator).expect("every message has its terminator").to_owned()
    }
}

/// The right answer to `question`, which must be one question and nothing else.
#[track_caller]
fn solve(question: &str) -> i64 {
    let sum = question.strip_prefix(" -> ").and_then(|rest| rest.strip_suffix("  "));
    let sum: Vec<char> =
        sum.unwrap_or_else(|| panic!("no question: {question:?}")).chars().collect();
    let [left, operator, right] = sum[..] else { panic!("no sum: {question:?}") };
    let [left, right] = [left, right].map(|digit| i64::from(digit.to_digit(10).unwrap()));
    match operator {
        '+' => left + right,
        '-' => left - right,
        '*' => left * right,
        '%' => left % right,
        _ => panic!("no operator: {question:?}"),
    }
}

/// The sum of ten times 1 or -0.25, as Python prints it.
fn total(right: u32) -> String {
    let total = f64::from(right) - f64::from(QUESTIONS - right) / 4.0;
    if right == QUESTIONS { "10".to_owned() } else { format!("{total:?}") }
}

fn closing_line(right: u32) -> &'static str {
    match right {
        10 => "Bravo!",
        7..=9 => "You did great!",
        _ => "Better luck next time!",
    }
}

/// Plays a paced game. Answers come up to half a second after their question, or before it; each
/// message of the server must come by itself.
fn play_paced(seed: u64, terminator: &'static str, random: &mut Random) {
    let mut player = Player::new(seed, terminator, None);
    player.send("yes");
    if random.below(2) == 0 || terminator == "\0" {
        // Without the gap, the name belongs to the same message.
        player.expect_silence_for(GAP);
    }
    player.send("Bob");
    let (mut right, mut early) = (0, false);
    let mut last: Option<Instant> = None;
    for _ in 0..QUESTIONS {
        let question = player.receive();
        player.expect_pause_since(last);
        let answer = solve(&question);
        let wrong = early || random.below(4) == 0;
        right += u32::from(!wrong);
        if !early {
            let think = Duration::from_millis(u64::from(random.below(500)));
            player.connection.wait(think);
            player.send(&(answer + i64::from(wrong)).to_string());
        }
        assert_eq!(player.receive(), if wrong { WRONG } else { RIGHT });
        last = Some(player.connection.now);
        // An answer that comes before its question waits for it, and is wrong.
        early = random.below(10) == 0;
        if early {
            player.send("seven");
        }
    }
    for expected in [&*total(right), closing_line(right)] {
        assert_eq!(player.receive(), expected);
        player.expect_pause_since(last);
        last = Some(player.connection.now);
    }
    assert_eq!(player.receive(), "");
}

impl Player {
    fn expect_silence_for(&mut self, time: Duration) {
        let taken = self.connection.exchange(Some(&self.queue));
        self.queue.drain(..taken);
        self.connection.wait(time);
        assert!(self.connection.output.is_empty());
    }

    /// Receives up to the end of output.
    fn receive_all(&mut self) -> String {
        let messages = std::iter::repeat_with(|| self.receive());
        let messages: Vec<String> = messages.take_while(|message| !message.is_empty()).collect();
        messages.join(self.terminator)
    }

    #[track_caller]
    fn expect_pause_since(&self, last: Option<Instant>) {
        assert!(last.is_none_or(|last| self.connection.now - last >= MAX_SLEEP));
    }
}

#[test]
fn ten_thousand_paced_games_have_no_message_merged_with_another() {
    let mut random = Random::new(4);
    for seed in 0..10_000 {
        play_paced(seed, if seed % 2 == 0 { "" } else { "\0" }, &mut random);
    }
}

#[test]
fn a_line_client_may_send_a_whole_game_at_once_and_is_not_paced() {
    for terminator in ["\n", "\r\n"] {
        let mut player = Player::new(1, terminator, None);
        let start = player.connection.now;
        for text in ["YES", "Bob", "1", "2", "3", "4", "5", "6", "7", "8", "9", "x"] {
            player.send(text);
        }
        let received = player.receive_all();
        let lines: Vec<&str> = received.split(terminator).collect();
        let mut right = 0;
        for (pair, n) in lines.chunks(2).zip(1..=QUESTIONS) {
            let correct = n < QUESTIONS && solve(pair[0]) == i64::from(n);
            right += u32::from(correct);
            assert_eq!(pair[1], if correct { RIGHT } else { WRONG });
        }
        assert_eq!(lines[20..], [&*total(right), closing_line(right)]);
        assert_eq!(player.connection.now, start);
    }
}

#[test]
fn a_length_prefixed_client_is_not_paced() {
    let mut player = Player::new(1, "", None);
    let start = player.connection.now;
    player.queue.extend(b"\0\x03Yes\0\x03Bob\0\x01x");
    assert_eq!(player.receive(), format!("\0\x09 -> 5*8  \0\x12{WRONG}"));
    assert_eq!(player.receive(), "\0\x09 -> 5+4  ");
    assert_eq!(player.connection.now, start);
}

#[test]
fn the_seed_determines_the_questions() {
    let questions = |seed| {
        let mut player = Player::new(seed, "\n", None);
        player.send("y");
        player.send("Bob");
        let mut questions = Vec::new();
        for _ in 0..QUESTIONS {
            questions.push(player.receive());
            player.send("0");
            player.receive();
        }
        questions
    };
    assert_eq!(questions(7), questions(7));
    let games: HashSet<_> = (0..100).map(questions).collect();
    assert_eq!(games.len(), 100);
    // The questions of a seed are the same in every version.
    assert_eq!(questions(7)[..3], [" -> 7*7  ", " -> 3-8  ", " -> 8-4  "]);
}

#[test]
fn anything_but_yes_is_refused_in_one_line() {
    for text in ["no", "", "maybe", "ye", "yellow", "\u{1f44d}"] {
        let mut player = Player::new(1, "\n", None);
        player.send(text);
        assert_eq!(player.receive(), "I hope you make a wise choice next time!");
        assert_eq!(player.receive(), "");
    }
}

#[test]
fn a_name_may_be_any_bytes_and_is_recorded() {
    let records = Arc::new(Records::default());
    let all: Vec<u8> = (1..=255).filter(|&byte| byte != b'\n').collect();
    for name in [&all[..], b"\x1b[2J", b"=1+1", b"", b"\xf0\x9f", &[b'x'; 4000]] {
        let mut player = Player::new(1, "\n", Some(records.clone()));
        player.send("yes");
        player.queue.extend([b"Bob ", name, b"\n"].concat());
        let answer = solve(&player.receive());
        player.queue.extend([name, b"\n"].concat());
        assert_eq!(player.receive(), WRONG);
        solve(&player.receive());
        player.send(&answer.to_string());
        drop(player);
    }
    let names = records.names();
    assert_eq!(names.len(), 6, "each unfinished game is recorded");
    assert!(names.iter().all(|name| name.starts_with(b"Bob") && name.len() <= 256));
}

#[test]
fn a_game_is_recorded_once_and_before_its_player_sees_the_total() {
    let records = Arc::new(Records::default());
    let mut player = Player::new(1, "", Some(records.clone()));
    player.send("YesBob");
    for _ in 0..QUESTIONS {
        let answer = solve(&player.receive());
        player.send(&answer.to_string());
        assert_eq!(player.receive(), RIGHT);
    }
    assert!(records.names().is_empty());
    // The total is in the outbox, and not sent.
    player.connection.reading = false;
    player.connection.wait(MAX_SLEEP);
    assert_eq!((player.connection.output.len(), records.names().len()), (0, 1));
    player.connection.session.cut(CloseReason::PeerReset);
    let games = records.games.lock().unwrap();
    assert_eq!(games.len(), 1);
    assert_eq!((&*games[0].total(), games[0].is_over()), ("10", true));
    assert!(
        games[0].lasted >= MAX_SLEEP * QUESTIONS && games[0].lasted < MAX_SLEEP * QUESTIONS * 2
    );
    assert_eq!(games[0].peer, peer(1));
}

/// Plays a game of which the record is set to `state` after `wait`, and returns its last two
/// messages.
fn end_of_game(state: RecordState, wait: Duration) -> [String; 2] {
    let pending = Some(Mutex::default());
    let records = Arc::new(Records { pending, ..Records::default() });
    let mut player = Player::new(1, "\n", Some(records.clone()));
    player.send("YesBob");
    for n in 1..=QUESTIONS {
        let answer = solve(&player.receive());
        player.send(&answer.to_string());
        if n == QUESTIONS {
            player.connection.reading = false;
        } else {
            assert_eq!(player.receive(), RIGHT);
        }
    }
    let queue = std::mem::take(&mut player.queue);
    player.connection.exchange(Some(&queue));
    player.connection.reading = true;
    assert_eq!(player.receive(), RIGHT);
    let until = player.connection.now + wait;
    player.connection.wait(Duration::ZERO);
    while player.connection.now < until {
        assert!(player.connection.output.is_empty(), "the total waits for the record");
        player.connection.wait(Duration::from_millis(10));
    }
    records.pending.as_ref().unwrap().lock().unwrap()[0].set(state);
    [player.receive(), player.receive()]
}

#[test]
fn a_player_reads_the_total_when_its_record_is_kept() {
    let wait = Duration::from_millis(300);
    assert_eq!(end_of_game(RecordState::Kept, wait), ["10", "Bravo!"]);
}

#[test]
fn a_player_whose_record_is_not_kept_within_a_second_is_told_so() {
    let told = ["10", "Bravo! (your result could not be saved)"];
    assert_eq!(end_of_game(RecordState::Failed, Duration::from_millis(10)), told);
    assert_eq!(end_of_game(RecordState::Pending, Duration::from_millis(990)), told);
}

impl Client {
    /// Receives once.
    fn receive(&mut self) -> String {
        let mut bytes = [0; 1024];
        let n = self.stream.read(&mut bytes).unwrap();
        String::from_utf8(bytes[..n].to_vec()).unwrap()
    }
}

/// Plays as the original client does: one send, one receive, and no newlines.
fn play_over_tcp(mut client: Client, name: &str) {
    client.send(b"Yes");
    client.send(name.as_bytes());
    for _ in 0..3 {
        let answer = solve(&client.receive());
        client.send(answer.to_string().as_bytes());
        assert_eq!(client.receive(), RIGHT);
    }
    assert_eq!([client.receive(), client.receive()], ["3", "Bravo!"]);
    assert_eq!(client.receive(), "");
}

#[test]
fn fifty_concurrent_undelimited_games_all_end_and_are_recorded() {
    for model in CONCURRENT {
        let file = TempPath::new(&format!("quiz-{model}.csv"));
        let options = ["--service", "quiz", "--questions", "3", "--max-clients", "50", "-q"];
        let results = ["--model", model, "--results", file.as_str()];
        let server = Server::start(&[&options[..], &results].concat());
        let players: Vec<_> = (0..50)
            .map(|n| {
                let client = server.connect();
                let play = move || play_over_tcp(client, &format!("Player {n}, \"the =1\""));
                thread::Builder::new().spawn(play).unwrap()
            })
            .collect();
        for player in players {
            player.join().unwrap();
        }
        let text = file.read();
        assert_eq!(text.lines().count(), 51, "{model}: {text}");
        for n in 0..50 {
            let cell = format!(",\"Player {n}, \"\"the =1\"\"\",127.0.0.1:");
            assert_eq!(text.matches(&cell).count(), 1, "{model}: {text}");
        }
    }
}

#[test]
fn three_play_concurrently_and_the_fourth_is_told_busy() {
    for model in CONCURRENT {
        let server = Server::start(&["--service", "quiz", "--model", model]);
        let mut players = server.connect_many(3);
        for player in &mut players {
            player.send(b"y\nBob\n");
            solve(player.receive().trim_end_matches('\n'));
        }
        assert_eq!(server.connect().rest(), BUSY, "{model}");
    }
}

#[test]
fn every_model_records_a_game_before_its_player_reads_the_total() {
    for model in MODELS {
        let file = TempPath::new(&format!("total-{model}.csv"));
        let options = ["--service", "quiz", "--questions", "1", "--seed", "1", "--model", model];
        let server = Server::start(&[&options[..], &["--results", file.as_str()]].concat());
        let mut client = server.connect();
        client.send(b"yes\n=1+1\n40\n");
        let mut received = String::new();
        while !received.contains("\n1\n") {
            received += &client.receive();
        }
        let text = file.read();
        assert!(text.contains(",1,'=1+1,127.0.0.1:"), "{model}: {text}");
        assert!(text.contains(",40,1,1,"), "{model}: {text}");
        assert!(received.starts_with(" -> 5*8  \n"), "{model}: {received}");
    }
}

#[test]
fn a_stop_records_every_game_that_was_begun() {
    for model in CONCURRENT {
        // Also a game that is forced to end within a pause.
        for drain in ["5s", "1ms"] {
            let file = TempPath::new(&format!("stop-{model}.csv"));
            let options = ["--service", "quiz", "--max-clients", "50", "-q", "--model", model];
            let results = ["--drain-timeout", drain, "--results", file.as_str()];
            let server = Server::start(&[&options[..], &results].concat());
            let mut players = server.connect_many(50);
            for player in &mut players {
                player.send(b"YesBob");
            }
            for player in &mut players {
                solve(&player.receive());
                player.send(b"x");
            }
            for player in &mut players {
                // More may follow: fifty processes take longer to start than a pause.
                assert!(player.receive().starts_with(WRONG));
            }
            server.signal(Signal::TERM);
            for mut player in players {
                // End of input, or a reset.
                player.stream.read_to_end(&mut Vec::new()).ok();
            }
            assert!(server.wait().success());
            let text = file.read();
            assert_eq!(text.lines().count(), 51, "{model}, {drain}: {text}");
        }
    }
}

#[test]
fn the_log_has_the_whole_game_and_at_debug_every_message() {
    let options = ["--service", "quiz", "--questions", "1", "--seed", "1", "-v"];
    let server = Server::start(&[&options[..], &["--banner", "Welcome"]].concat());
    let mut client = server.connect();
    client.send(b"\0\x03yes\0\x03Bob\0\x0240");
    client.rest();
    drop(client);
    let log = server.stop();
    for line in [
        "INFO ] client 1: \"Bob\" plays with seed 1\n",
        "INFO ] client 1: 5*8 = \"40\": +1\n",
        "INFO ] client 1: \"Bob\" has 1 (1 of 1 answered)\n",
        "DEBUG] client 1: -> \"Welcome\"\n",
        "DEBUG] client 1: \"yes\" -> \"\"\n",
        "DEBUG] client 1: \"Bob\" -> \" -> 5*8  \"\n",
        "DEBUG] client 1: \"40\" -> \"⭐ Correct answer ⭐\"\n",
        "DEBUG] client 1: -> \"1\"\n",
        "DEBUG] client 1: -> \"Bravo!\"\n",
    ] {
        assert_eq!(log.matches(line).count(), 1, "{line:?} in {log}");
    }
}
