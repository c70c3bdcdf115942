//! The quiz's player against small servers of every habit, each a script on a port of its own.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use socklab::client::play::{Player, play};
use socklab::client::{Connection, DEFAULT_TIMEOUT, PrintMode, Printer, Prompt};
use socklab::error::{Exit, Failure};

use super::script::{HOST, SHORT, ScriptedServer, accept, assert_failure};

/// A person whose countdown a test need not wait for.
const PERSON: Player = Player::Person { second: Duration::ZERO };

const REFUSAL: &str = "I hope you make a wise choice next time!";

/// What a game of right, wrong, right looks like to the player, but for the time it took.
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
    /// Serves one connection.
    fn new(script: impl FnOnce(Peer) + Send + 'static) -> Self {
        Self::listening(|listener| script(Peer::accept(&listener)))
    }

    fn listening(script: impl FnOnce(TcpListener) + Send + 'static) -> Self {
        Self(ScriptedServer::start(script))
    }

    /// What a player with these lines reads, and how it ends.
    fn played(
        &self,
        player: Player,
        lines: &[&str],
        timeout: Duration,
    ) -> (String, Result<(), Failure>) {
        let mut printed = Vec::new();
        let mut output = Printer::new(&mut printed, PrintMode::Escaped);
        let mut lines = lines.iter();
        let typed = |_| Ok(lines.next().map(|&line| line.into()));
        let connect = || Connection::open(HOST, self.0.port, timeout);
        let result = play(connect, typed, &mut output, player);
        (String::from_utf8(printed).unwrap(), result)
    }

    /// What a program with these lines reads when all goes well.
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

    /// What one call receives, as the first quiz servers read a message; empty at the end.
    fn message(&mut self) -> String {
        let mut room = [0; 1024];
        let received = self.stream.read(&mut room).unwrap_or(0);
        String::from_utf8(room[..received].into()).unwrap()
    }

    /// Hears exactly this: a line, however it is cut, or else all that one call receives.
    fn hear(&mut self, text: &str) {
        if text.ends_with('\n') {
            let mut line = vec![0; text.len()];
            self.stream.read_exact(&mut line).unwrap();
            assert_eq!(String::from_utf8(line).unwrap(), text);
        } else {
            assert_eq!(self.message(), text);
        }
    }

    fn say(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    /// Waits until the player has left.
    fn until_end(&mut self) {
        let _ = io::copy(&mut self.stream, &mut io::sink());
    }

    /// One game of three questions: what is said after each of the five messages.
    fn game(&mut self, delimiter: &str, after: [&[&str]; 4]) {
        for (said, answer) in after.into_iter().zip(["7", "2", "-8", ""]) {
            for text in said {
                self.say(text);
            }
            if !answer.is_empty() {
                self.hear(&format!("{answer}{delimiter}"));
            }
        }
    }
}

/// The game's text, less its last line, which tells the time.
fn without_time(printed: &str) -> &str {
    let (game, time) = printed.trim_end().rsplit_once('\n').unwrap();
    let seconds = time.strip_prefix("Time taken: ").unwrap().strip_suffix(" seconds").unwrap();
    assert!(seconds.parse::<f64>().is_ok(), "{time}");
    &printed[..=game.len()]
}

/// Serves a line player up to the first question.
fn line_server(rest: impl FnOnce(&mut Peer) + Send + 'static) -> Scripted {
    Scripted::new(move |mut peer| {
        peer.hear("Yes\n");
        peer.hear("Bob\n");
        rest(&mut peer);
    })
}

/// One of the first quiz servers: it takes a word with a newline for a no, and the rest is for
/// `rest` to say.
fn first_server(rest: impl FnOnce(&mut Peer) + Send + 'static) -> Scripted {
    Scripted::listening(move |listener| {
        let mut peer = Peer::accept(&listener);
        peer.hear("Yes\n");
        peer.say(REFUSAL);
        drop(peer);
        let mut peer = Peer::accept(&listener);
        peer.hear("Yes");
        peer.hear("Bob");
        rest(&mut peer);
    })
}

#[test]
fn a_server_of_lines_is_played() {
    let server = line_server(|peer| {
        let after: [&[&str]; 4] = [
            &[" -> 3+4  \n"],
            &["⭐ Correct answer ⭐\n", " -> 5%2  \n"],
            &["Wrong answer👎\n -> 1-9  \n"],
            &["⭐ Correct answer ⭐\n", "1.75\n", "Better luck next time!\n"],
        ];
        peer.game("\n", after);
    });
    assert_eq!(without_time(&server.prints(ANSWERS)), GAME);
}

#[test]
fn one_of_the_first_servers_is_played_without_newlines() {
    let server = first_server(|peer| {
        let after: [&[&str]; 4] = [
            &[" -> 3+4  "],
            &["⭐ Correct answer ⭐", " -> 5%2  "],
            &["Wrong answer👎", " -> 1-9  "],
            &["⭐ Correct answer ⭐", "1.75", "Better luck next time!"],
        ];
        peer.game("", after);
    });
    assert_eq!(without_time(&server.prints(ANSWERS)), GAME);
}

#[test]
fn messages_glued_together_are_played() {
    let server = first_server(|peer| {
        let after: [&[&str]; 4] = [
            &[" -> 3+4  "],
            &["⭐ Correct answer ⭐ -> 5%2  "],
            &["Wrong answer👎 -> 1-9  "],
            &["⭐ Correct answer ⭐1.75Better luck next time!"],
        ];
        peer.game("", after);
    });
    assert_eq!(without_time(&server.prints(ANSWERS)), GAME);
}

#[test]
fn messages_far_apart_are_played() {
    let server = line_server(|peer| {
        let pause = || {
            // A wait that nothing ends: what a paced server does between two messages.
            std::sync::mpsc::channel::<()>().1.recv_timeout(SHORT).ok();
        };
        peer.say(" -> 3+4  ");
        peer.hear("7\n");
        for text in ["⭐ Correct answer ⭐", "1", "Better luck next time!"] {
            peer.say(text);
            pause();
        }
    });
    let printed = server.prints(&["Yes", "Bob", "7"]);
    let expected = "Question 1 -> 3+4\n⭐ Correct answer ⭐\nTotal: 1\nBetter luck next time!\n";
    assert_eq!(without_time(&printed), expected);
}

#[test]
fn a_no_is_answered_by_a_sentence_and_is_no_failure() {
    for said in ["No", "maybe", ""] {
        let server = Scripted::new(move |mut peer| {
            peer.hear(&format!("{said}\n"));
            peer.say(REFUSAL);
        });
        assert_eq!(server.prints(&[said]), format!("{REFUSAL}\n"));
    }
}

#[test]
fn a_server_that_refuses_every_yes_is_believed_the_second_time() {
    let server = Scripted::listening(|listener| {
        for said in ["yes\n", "yes"] {
            let mut peer = Peer::accept(&listener);
            peer.hear(said);
            peer.say(REFUSAL);
        }
    });
    assert_eq!(server.prints(&["yes", "Bob"]), format!("{REFUSAL}\n"));
}

#[test]
fn a_blank_answer_of_a_program_is_sent_even_without_newlines() {
    let server = first_server(|peer| {
        peer.say(" -> 3+4  ");
        peer.hear(" ");
        peer.say("Wrong answer👎-0.25Better luck next time!");
    });
    let printed = server.prints(&["Yes", "Bob", ""]);
    assert!(printed.contains("\nTotal: -0.25\n"), "{printed}");
}

#[test]
fn a_full_server_is_told_apart_before_anything_is_asked() {
    let server = Scripted::new(|mut peer| {
        peer.say("busy: the server is full, try again later\n");
        peer.stream.shutdown(Shutdown::Write).unwrap();
        peer.until_end();
    });
    let (printed, result) = server.played(PERSON, ANSWERS, DEFAULT_TIMEOUT);
    assert_eq!(printed, "");
    let text = "the server replied: busy: the server is full, try again later";
    assert_failure(result, Exit::Busy, text);
}

#[test]
fn a_server_that_leaves_in_the_middle_is_a_failure() {
    let server = line_server(|peer| {
        peer.say(" -> 3+4  \n");
        peer.hear("7\n");
        peer.say("⭐ Correct answer ⭐\n");
    });
    let (printed, result) = server.played(Player::Program, ANSWERS, DEFAULT_TIMEOUT);
    assert_eq!(printed, "Question 1 -> 3+4\n⭐ Correct answer ⭐\n");
    let text = "the server closed the connection in the middle of the game \
                (was it stopped, or does it take no answer but an integer?)";
    assert_failure(result, Exit::Failed, text);
}

#[test]
fn a_server_that_leaves_before_the_first_question_is_a_failure() {
    let server = line_server(|_| {});
    let (_, result) = server.played(Player::Program, ANSWERS, DEFAULT_TIMEOUT);
    let text = "the server closed the connection before it answered \
                (is the server full, or did it fail?)";
    assert_failure(result, Exit::Failed, text);
}

#[test]
fn a_silent_server_is_left_after_the_timeout() {
    let server = line_server(|peer| {
        peer.say(" -> 3+4  \n");
        peer.hear("7\n");
        peer.until_end();
    });
    let (_, result) = server.played(Player::Program, ANSWERS, SHORT);
    let text = "no answer within 200 ms (is the server busy with another client?)";
    assert_failure(result, Exit::NoAnswer, text);
}

#[test]
fn a_server_that_talks_on_without_playing_is_left_after_the_timeout() {
    let server = line_server(|peer| while peer.stream.write_all(b"wait\n").is_ok() {});
    let (printed, result) = server.played(Player::Program, ANSWERS, SHORT);
    assert_eq!(printed, "");
    assert_eq!(result.unwrap_err().exit, Exit::NoAnswer);
}

#[test]
fn an_input_that_ends_in_the_middle_is_a_failure() {
    let text = "the input ended in the middle of the game \
                (one line each for yes, the name and every answer)";
    let server = line_server(|peer| {
        peer.say(" -> 3+4  \n");
        peer.until_end();
    });
    let (printed, result) = server.played(Player::Program, &["Yes", "Bob"], DEFAULT_TIMEOUT);
    assert_eq!(printed, "Question 1 -> 3+4\n");
    assert_failure(result, Exit::Failed, text);

    let server = Scripted::new(|mut peer| peer.until_end());
    let (_, result) = server.played(Player::Program, &["Yes"], DEFAULT_TIMEOUT);
    assert_failure(result, Exit::Failed, text);
}

#[test]
fn an_empty_input_is_a_success() {
    let server = Scripted::new(|mut peer| peer.until_end());
    assert_eq!(server.prints(&[]), "");
}

#[test]
fn a_person_reads_the_rules_and_is_counted_down() {
    let server = line_server(|peer| {
        peer.say(" -> 3+4  \n");
        peer.hear("7\n");
        peer.say("⭐ Correct answer ⭐\n1\nBetter luck next time!\n");
    });
    let mut printed = Vec::new();
    let mut output = Printer::new(&mut printed, PrintMode::Escaped);
    let mut prompts = Vec::new();
    let mut lines = [" ", "Yes", "", "Bob", "", "7"].into_iter();
    let typed = |prompt| {
        prompts.push(prompt);
        Ok(lines.next().map(Into::into))
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
fn a_person_may_leave_at_any_prompt() {
    let server = line_server(|peer| {
        peer.say(" -> 3+4  \n");
        peer.until_end();
    });
    server.played(PERSON, &["Yes", "Bob", "quit"], DEFAULT_TIMEOUT).1.unwrap();
    let server = Scripted::new(|mut peer| peer.until_end());
    server.played(PERSON, &["Yes"], DEFAULT_TIMEOUT).1.unwrap();
}

#[test]
fn a_countdown_takes_its_time_and_ends_when_the_server_leaves() {
    let server = line_server(|peer| peer.say("the building is on fire\n"));
    let player = Player::Person { second: Duration::from_secs(3600) };
    let refused = Scripted::listening(drop);
    let mut ports = [server.0.port, refused.0.port].into_iter();
    let mut printed = Vec::new();
    let mut output = Printer::new(&mut printed, PrintMode::Escaped);
    let mut lines = ["Yes", "Bob"].into_iter();
    let typed = |_| Ok(lines.next().map(Into::into));
    let connect = || Connection::open(HOST, ports.next().unwrap(), SHORT);
    assert_eq!(play(connect, typed, &mut output, player).unwrap_err().exit, Exit::Failed);
    assert!(printed.ends_with(b"\n3 ...\n"));
}

#[test]
fn what_a_server_says_is_escaped() {
    let server = Scripted::new(|mut peer| {
        peer.say("\x1b[2Jwelcome\n");
        peer.hear("Yes\n");
        peer.hear("Bob\n");
        peer.say(" -> \x1b[31m3+4  \n");
        peer.hear("7\n");
        peer.say("\x07Correct answer\n1\n\u{202e}Bravo!\n");
    });
    let printed = server.prints(&["Yes", "Bob\r", "7\nrm"]);
    let expected = "\\x1b[2Jwelcome\nQuestion 1 -> \\x1b[31m3+4\n\\x07Correct answer\n\
                    Total: 1\n\\u{202e}Bravo!\n";
    assert_eq!(without_time(&printed), expected);
}
