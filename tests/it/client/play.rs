//! The client of the quiz against small scripted servers, one for each behaviour.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::BorrowedFd;
use std::time::Duration;

use socklab::client::play::{Player, Typed, play};
use socklab::client::{Connection, DEFAULT_TIMEOUT, PrintMode, Printer, Prompt};
use socklab::error::{Exit, Failure};

use super::script::{HOST, SHORT, ScriptedServer, accept, assert_failure};

/// A user whose countdown takes no time.
const PERSON: Player = Player::Person { second: Duration::ZERO };

const REFUSAL: &str = "I hope you make a wise choice next time!";

/// Output of a game with a right, a wrong and a right answer, without its last line, the time.
const GAME: &str = "\
Question 1 -> 3+4
⭐ Correct answer ⭐
Question 2 -> 5%2
Wrong answer👎
Question 3 -> 1-9
⭐ Correct answer ⭐
Total: 1.75
Better luck next time!
";

const ANSWERS: &[&str] = &["Yes", "Bob", "7", "2", "-8"];

/// A server that follows its script.
struct Scripted(ScriptedServer);

impl Scripted {
    /// Follows a script for one connection.
    fn new(script: impl FnOnce(Peer) + Send + 'static) -> Self {
        Self::listening(|listener| script(Peer::accept(&listener)))
    }

    fn listening(script: impl FnOnce(TcpListener) + Send + 'static) -> Self {
        Self(ScriptedServer::start(script))
    }

    /// Runs the player with these lines as input. Returns its output and its result.
    fn played(
        &self,
        player: Player,
        lines: &[&str],
        timeout: Duration,
    ) -> (String, Result<(), Failure>) {
        let mut printed = Vec::new();
        let mut output = Printer::new(&mut printed, PrintMode::Escaped);
        let mut lines = lines.iter();
        let typed = |_, _: BorrowedFd<'_>| Ok(lines.next().map(|&line| line.into()).into());
        let connect = || Connection::open(HOST, self.0.port, timeout);
        let result = play(connect, typed, &mut output, player);
        (String::from_utf8(printed).unwrap(), result)
    }

    /// The same for a program and a success. Returns the output.
    fn prints(&self, lines: &[&str]) -> String {
        let (printed, result) = self.played(Player::Program, lines, DEFAULT_TIMEOUT);
        result.unwrap();
        printed
    }
}

/// The server's end of a connection.
struct Peer {
    stream: TcpStream,
}

impl Peer {
    fn accept(listener: &TcpListener) -> Self {
        Self { stream: accept(listener) }
    }

    /// A message as the original servers read one: what one receive returns. Empty at the end.
    fn message(&mut self) -> String {
        let mut buffer = [0; 1024];
        let received = self.stream.read(&mut buffer).unwrap_or(0);
        String::from_utf8(buffer[..received].into()).unwrap()
    }

    /// Expects `text`: a line in any number of pieces, or else exactly one receive.
    fn expect(&mut self, text: &str) {
        if text.ends_with('\n') {
            let mut line = vec![0; text.len()];
            self.stream.read_exact(&mut line).unwrap();
            assert_eq!(String::from_utf8(line).unwrap(), text);
        } else {
            assert_eq!(self.message(), text);
        }
    }

    fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    /// Waits for the end of input.
    fn wait_for_end(&mut self) {
        let _ = io::copy(&mut self.stream, &mut io::sink());
    }

    /// Plays three questions. Sends the texts of `sends` before each answer and after the last.
    fn game(&mut self, delimiter: &str, sends: [&[&str]; 4]) {
        for (texts, answer) in sends.into_iter().zip(["7", "2", "-8", ""]) {
            for text in texts {
                self.send(text);
            }
            if !answer.is_empty() {
                self.expect(&format!("{answer}{delimiter}"));
            }
        }
    }
}

/// The output without its last line, which is the time taken.
fn without_time(printed: &str) -> &str {
    let (game, time) = printed.trim_end().rsplit_once('\n').unwrap();
    let seconds = time.strip_prefix("Time taken: ").unwrap().strip_suffix(" seconds").unwrap();
    assert!(seconds.parse::<f64>().is_ok(), "{time}");
    &printed[..=game.len()]
}

/// A line server. `rest` is its script from the first question on.
fn line_server(rest: impl FnOnce(&mut Peer) + Send + 'static) -> Scripted {
    Scripted::new(move |mut peer| {
        peer.expect("Yes\n");
        peer.expect("Bob\n");
        rest(&mut peer);
    })
}

/// An original server, which takes a yes with a newline for a no. `rest` is its script from the
/// first question on.
fn original_server(rest: impl FnOnce(&mut Peer) + Send + 'static) -> Scripted {
    Scripted::listening(move |listener| {
        let mut peer = Peer::accept(&listener);
        peer.expect("Yes\n");
        peer.send(REFUSAL);
        drop(peer);
        let mut peer = Peer::accept(&listener);
        peer.expect("Yes");
        peer.expect("Bob");
        rest(&mut peer);
    })
}

#[test]
fn a_game_with_a_line_server_is_played() {
    let server = line_server(|peer| {
        let sends: [&[&str]; 4] = [
            &[" -> 3+4  \n"],
            &["⭐ Correct answer ⭐\n", " -> 5%2  \n"],
            &["Wrong answer👎\n -> 1-9  \n"],
            &["⭐ Correct answer ⭐\n", "1.75\n", "Better luck next time!\n"],
        ];
        peer.game("\n", sends);
    });
    assert_eq!(without_time(&server.prints(ANSWERS)), GAME);
}

#[test]
fn a_game_with_an_original_server_is_played_without_newlines() {
    let server = original_server(|peer| {
        let sends: [&[&str]; 4] = [
            &[" -> 3+4  "],
            &["⭐ Correct answer ⭐", " -> 5%2  "],
            &["Wrong answer👎", " -> 1-9  "],
            &["⭐ Correct answer ⭐", "1.75", "Better luck next time!"],
        ];
        peer.game("", sends);
    });
    assert_eq!(without_time(&server.prints(ANSWERS)), GAME);
}

#[test]
fn merged_messages_are_taken_apart() {
    let server = original_server(|peer| {
        let sends: [&[&str]; 4] = [
            &[" -> 3+4  "],
            &["⭐ Correct answer ⭐ -> 5%2  "],
            &["Wrong answer👎 -> 1-9  "],
            &["⭐ Correct answer ⭐1.75Better luck next time!"],
        ];
        peer.game("", sends);
    });
    assert_eq!(without_time(&server.prints(ANSWERS)), GAME);
}

#[test]
fn a_paced_game_is_played() {
    let server = line_server(|peer| {
        let pause = || {
            // Nothing ends this wait: it is the pause of a paced server between two messages.
            std::sync::mpsc::channel::<()>().1.recv_timeout(SHORT).ok();
        };
        peer.send(" -> 3+4  ");
        peer.expect("7\n");
        for text in ["⭐ Correct answer ⭐", "1", "Better luck next time!"] {
            peer.send(text);
            pause();
        }
    });
    let printed = server.prints(&["Yes", "Bob", "7"]);
    let expected = "Question 1 -> 3+4\n⭐ Correct answer ⭐\nTotal: 1\nBetter luck next time!\n";
    assert_eq!(without_time(&printed), expected);
}

#[test]
fn a_refusal_is_printed_and_is_a_success() {
    for word in ["No", "maybe", ""] {
        let server = Scripted::new(move |mut peer| {
            peer.expect(&format!("{word}\n"));
            peer.send(REFUSAL);
        });
        assert_eq!(server.prints(&[word]), format!("{REFUSAL}\n"));
    }
}

#[test]
fn a_yes_is_repeated_once_without_a_newline_and_then_refused() {
    let server = Scripted::listening(|listener| {
        for text in ["yes\n", "yes"] {
            let mut peer = Peer::accept(&listener);
            peer.expect(text);
            peer.send(REFUSAL);
        }
    });
    assert_eq!(server.prints(&["yes", "Bob"]), format!("{REFUSAL}\n"));
}

#[test]
fn a_blank_answer_is_sent_as_a_space_where_there_are_no_newlines() {
    let server = original_server(|peer| {
        peer.send(" -> 3+4  ");
        peer.expect(" ");
        peer.send("Wrong answer👎-0.25Better luck next time!");
    });
    let printed = server.prints(&["Yes", "Bob", ""]);
    assert!(printed.contains("\nTotal: -0.25\n"), "{printed}");
}

#[test]
fn a_busy_reply_ends_the_game_before_the_first_prompt() {
    let server = Scripted::new(|mut peer| {
        peer.send("busy: the server is full, try again later\n");
        peer.stream.shutdown(Shutdown::Write).unwrap();
        peer.wait_for_end();
    });
    let (printed, result) = server.played(PERSON, ANSWERS, DEFAULT_TIMEOUT);
    assert_eq!(printed, "");
    let text = "the server replied: busy: the server is full, try again later";
    assert_failure(result, Exit::Busy, text);
}

#[test]
fn a_server_that_closes_in_the_middle_of_the_game_is_a_failure() {
    let server = line_server(|peer| {
        peer.send(" -> 3+4  \n");
        peer.expect("7\n");
        peer.send("⭐ Correct answer ⭐\n");
    });
    let (printed, result) = server.played(Player::Program, ANSWERS, DEFAULT_TIMEOUT);
    assert_eq!(printed, "Question 1 -> 3+4\n⭐ Correct answer ⭐\n");
    let text = "the server closed the connection in the middle of the game \
                (was it stopped, or does it take no answer but an integer?)";
    assert_failure(result, Exit::Failed, text);
}

#[test]
fn a_server_that_closes_before_the_first_question_is_a_failure() {
    let server = line_server(|_| {});
    let (_, result) = server.played(Player::Program, ANSWERS, DEFAULT_TIMEOUT);
    let text = "the server closed the connection before it answered \
                (is the server full, or did it fail?)";
    assert_failure(result, Exit::Failed, text);
}

#[test]
fn a_silent_server_is_no_answer_after_the_timeout() {
    let server = line_server(|peer| {
        peer.send(" -> 3+4  \n");
        peer.expect("7\n");
        peer.wait_for_end();
    });
    let (_, result) = server.played(Player::Program, ANSWERS, SHORT);
    let text = "no answer within 200 ms (is the server busy?)";
    assert_failure(result, Exit::NoAnswer, text);
}

#[test]
fn a_server_that_sends_no_question_is_no_answer_after_the_timeout() {
    let server = line_server(|peer| while peer.stream.write_all(b"wait\n").is_ok() {});
    let (printed, result) = server.played(Player::Program, ANSWERS, SHORT);
    assert_eq!(printed, "");
    assert_eq!(result.unwrap_err().exit, Exit::NoAnswer);
}

#[test]
fn a_flood_before_the_first_question_ends_at_the_deadline() {
    let server = line_server(|peer| while peer.stream.write_all(&b"3\n".repeat(8192)).is_ok() {});
    let (printed, result) = server.played(Player::Program, ANSWERS, SHORT);
    assert_eq!(printed, "");
    let failure = result.unwrap_err();
    assert_eq!(failure.exit, Exit::NoAnswer, "{failure}");
    let text = "no question within 200 ms; the server says \"3\\n3\\n";
    assert!(failure.to_string().starts_with(text), "{failure}");
}

#[test]
fn a_flood_within_a_game_ends_at_the_deadline() {
    let server = line_server(|peer| {
        peer.send(" -> 3+4  \n");
        peer.expect("7\n");
        while peer.stream.write_all(&b"well done\n".repeat(1000)).is_ok() {}
    });
    let (_, result) = server.played(Player::Program, ANSWERS, SHORT);
    // A flood is cut anywhere, so a line may seem to have no end.
    assert!(matches!(result.unwrap_err().exit, Exit::NoAnswer | Exit::Failed));
}

#[test]
fn a_server_that_is_no_quiz_is_a_failure_that_quotes_it() {
    // As calc and echo answer, line by line.
    let server = line_server(|peer| {
        peer.send("NameError: name 'Yes' is not defined\nNameError: name 'Bob' is not defined\n");
        peer.wait_for_end();
    });
    let (printed, result) = server.played(Player::Program, ANSWERS, SHORT);
    assert_eq!(printed, "");
    let text = "the server asks no question; it says \"NameError: name 'Yes' is not defined\\n\
                NameError: name 'Bob' is not defined\" (is it a quiz server?)";
    assert_failure(result, Exit::Failed, text);

    // As hello and fourops answer: one reply, then the end.
    let server = Scripted::listening(|listener| {
        for text in ["Yes\n", "Yes"] {
            let mut peer = Peer::accept(&listener);
            peer.expect(text);
            peer.send("Hello from the server!\n");
        }
    });
    let (printed, result) = server.played(Player::Program, ANSWERS, DEFAULT_TIMEOUT);
    assert_eq!(printed, "");
    let text = "the server asks no question; it says \"Hello from the server!\" \
                (is it a quiz server?)";
    assert_failure(result, Exit::Failed, text);
}

#[test]
fn a_server_that_leaves_while_the_player_is_quiet_ends_the_game() {
    let server = line_server(|peer| peer.send(" -> 3+4  \nthe server stops\n"));
    let mut printed = Vec::new();
    let mut output = Printer::new(&mut printed, PrintMode::Escaped);
    let mut lines = ["Yes", "Bob"].into_iter();
    let typed = |_, _: BorrowedFd<'_>| match lines.next() {
        Some(line) => Ok(Typed::Line(line.into())),
        None => Ok(Typed::ServerClosed),
    };
    let connect = || Connection::open(HOST, server.0.port, DEFAULT_TIMEOUT);
    let failure = play(connect, typed, &mut output, Player::Program).unwrap_err();
    assert!(failure.to_string().starts_with("the server closed the connection in the middle"));
    assert_eq!(printed, b"Question 1 -> 3+4\nthe server stops\n");
}

#[test]
fn an_input_that_ends_in_the_middle_is_a_failure() {
    let text = "the input ended in the middle of the game \
                (one line each for yes, the name and every answer)";
    let server = line_server(|peer| {
        peer.send(" -> 3+4  \n");
        peer.wait_for_end();
    });
    let (printed, result) = server.played(Player::Program, &["Yes", "Bob"], DEFAULT_TIMEOUT);
    assert_eq!(printed, "Question 1 -> 3+4\n");
    assert_failure(result, Exit::Failed, text);

    let server = Scripted::new(|mut peer| peer.wait_for_end());
    let (_, result) = server.played(Player::Program, &["Yes"], DEFAULT_TIMEOUT);
    assert_failure(result, Exit::Failed, text);
}

#[test]
fn an_empty_input_is_a_success() {
    let server = Scripted::new(|mut peer| peer.wait_for_end());
    assert_eq!(server.prints(&[]), "");
}

#[test]
fn an_interactive_player_sees_the_rules_and_a_countdown() {
    let server = line_server(|peer| {
        peer.send(" -> 3+4  \n");
        peer.expect("7\n");
        peer.send("⭐ Correct answer ⭐\n1\nBetter luck next time!\n");
    });
    let mut printed = Vec::new();
    let mut output = Printer::new(&mut printed, PrintMode::Escaped);
    let mut prompts = Vec::new();
    let mut lines = [" ", "Yes", "", "Bob", "", "7"].into_iter();
    let typed = |prompt, _: BorrowedFd<'_>| {
        prompts.push(prompt);
        Ok(lines.next().map(String::from).into())
    };
    let connect = || Connection::open(HOST, server.0.port, DEFAULT_TIMEOUT);
    play(connect, typed, &mut output, PERSON).unwrap();
    let printed = String::from_utf8(printed).unwrap();
    let (rules, game) = printed.split_once("\n\n").unwrap();
    assert!(rules.starts_with("The quiz:\n"), "{rules}");
    let expected = "3 ...\n2 ...\n1 ...\nQuestion 1 -> 3+4\n⭐ Correct answer ⭐\nTotal: 1\n\
                    Better luck next time!\n";
    assert_eq!(without_time(game), expected);
    let asked = [Prompt::Ready, Prompt::Name, Prompt::Answer];
    assert_eq!(prompts, asked.map(|prompt| [prompt, prompt]).concat());
}

#[test]
fn an_interactive_player_may_quit_at_any_prompt() {
    let server = line_server(|peer| {
        peer.send(" -> 3+4  \n");
        peer.wait_for_end();
    });
    server.played(PERSON, &["Yes", "Bob", "quit"], DEFAULT_TIMEOUT).1.unwrap();
    let server = Scripted::new(|mut peer| peer.wait_for_end());
    server.played(PERSON, &["Yes"], DEFAULT_TIMEOUT).1.unwrap();
}

#[test]
fn a_countdown_ends_when_the_server_closes() {
    let server = line_server(|peer| peer.send("the building is on fire\n"));
    let player = Player::Person { second: Duration::from_secs(3600) };
    let refused = Scripted::listening(drop);
    let mut ports = [server.0.port, refused.0.port].into_iter();
    let mut printed = Vec::new();
    let mut output = Printer::new(&mut printed, PrintMode::Escaped);
    let mut lines = ["Yes", "Bob"].into_iter();
    let typed = |_, _: BorrowedFd<'_>| Ok(lines.next().map(String::from).into());
    let connect = || Connection::open(HOST, ports.next().unwrap(), SHORT);
    assert_eq!(play(connect, typed, &mut output, player).unwrap_err().exit, Exit::Failed);
    assert!(printed.ends_with(b"\n3 ...\n"));
}

#[test]
fn what_the_server_sends_is_escaped() {
    let server = Scripted::new(|mut peer| {
        peer.send("\x1b[2Jwelcome\n");
        peer.expect("Yes\n");
        peer.expect("Bob\n");
        peer.send(" -> \x1b[31m3+4  \n");
        peer.expect("7\n");
        peer.send("\x07Correct answer\n1\n\u{202e}Bravo!\n");
    });
    let printed = server.prints(&["Yes", "Bob\r", "7\nrm"]);
    let expected = "\\x1b[2Jwelcome\nQuestion 1 -> \\x1b[31m3+4\n\\x07Correct answer\n\
                    Total: 1\n\\u{202e}Bravo!\n";
    assert_eq!(without_time(&printed), expected);
}
