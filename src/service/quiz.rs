//! The quiz: ten simple sums. A right answer adds one mark, a wrong one takes off a quarter.
//!
//! | the service awaits | the client sends | the client reads |
//! | --- | --- | --- |
//! | a yes | `yes`, `y`, `yess`, in any case | nothing: the name is awaited |
//! | | `YesBob`: a yes with the name | the first question |
//! | | anything else | [`REFUSAL`], then close |
//! | a name | anything | the first question |
//! | an answer | anything | the verdict, then the next question, or the total and the closing line |
//!
//! A client that sends lines also receives lines. Any other client takes the bytes of one receive
//! for one message, so messages to it are separated by time: [`MAX_SLEEP`].

use std::fmt::Write as _;
use std::mem;
use std::time::{Duration, Instant};

use super::game::{Answer, Game, Question, Rules};
use super::{Event, Framing, Next, Output, Peer, Receipt, RecordState, Service};
use crate::escape;
use crate::random::Random;

/// The time between two messages that nothing else separates, and so the longest sleep of a
/// service. With 1 ms two games of three hang: the client reads two messages as one, and waits for
/// the second.
pub const MAX_SLEEP: Duration = Duration::from_millis(200);

/// The reply to a client that does not say yes.
pub const REFUSAL: &str = "I hope you make a wise choice next time!";

const RIGHT: &str = "⭐ Correct answer ⭐";
const WRONG: &str = "Wrong answer👎";

/// The state of the conversation.
#[derive(Debug)]
enum State {
    AwaitingYes,
    AwaitingName,
    /// Questions and answers.
    Playing(Play),
    /// The record of the game is being written; the total waits for it.
    Recording(Recording),
    /// The total was sent; this line comes next.
    Closing(String),
}

#[derive(Debug)]
struct Play {
    game: Game,
    random: Random,
    begun: Instant,
    /// The question without an answer.
    asked: Option<Question>,
}

#[derive(Debug)]
struct Recording {
    receipt: Receipt,
    total: String,
    closing_line: &'static str,
    /// The end of the player's patience.
    until: Instant,
    /// The time of the next look at the receipt.
    look_at: Instant,
}

/// The longest wait for the record of a game. After that the player is told that it is not kept.
const RECORD_TIMEOUT: Duration = Duration::from_secs(1);

/// The time between two looks at a receipt.
const RECORD_INTERVAL: Duration = Duration::from_millis(5);

/// The most delay of a look that counts against the record. With a longer one the process was
/// halted, and the writer with it. Each late look counts as this much, so a machine that is always
/// late makes at most 40 of them.
const LATENESS: Duration = Duration::from_millis(25);

/// The end of the closing line of a game whose record is not kept.
const NOT_RECORDED: &str = " (your result could not be saved)";

/// One player's game.
#[derive(Debug)]
pub(super) struct Quiz {
    rules: Rules,
    peer: Peer,
    state: State,
}

impl Quiz {
    pub(super) fn new(rules: Rules, peer: Peer) -> Self {
        Self { rules, peer, state: State::AwaitingYes }
    }

    /// Handles the answer to the invitation: a yes, perhaps followed by a name.
    fn answer_invitation(&mut self, text: &[u8], now: Instant, out: &mut Output<'_>) -> Next {
        match parse_yes(text.trim_ascii()) {
            None => {
                out.write(REFUSAL.as_bytes());
                Next::Close
            }
            Some([]) => {
                self.state = State::AwaitingName;
                Next::Read
            }
            Some(name) => self.begin(name, now, out),
        }
    }

    fn begin(&mut self, name: &[u8], now: Instant, out: &mut Output<'_>) -> Next {
        let game = Game::new(self.rules, self.peer, name);
        let (number, name, seed) = (self.peer.number, escape::for_log(&game.name), game.seed);
        log::info!("client {number}: \"{name}\" plays with seed {seed}");
        let random = Random::new(seed);
        self.state = State::Playing(Play { game, random, begun: now, asked: None });
        self.proceed(now, out)
    }

    /// Sends the next question, or the total after the last one.
    fn proceed(&mut self, now: Instant, out: &mut Output<'_>) -> Next {
        let State::Playing(play) = &mut self.state else { return Next::Read };
        play.game.lasted = now - play.begun;
        if !play.game.is_over() {
            let question = Question::draw(&mut play.random);
            write!(out, " -> {question}  ").expect("an output takes all that is written to it");
            play.asked = Some(question);
            return Next::Read;
        }
        let (total, closing_line) = (play.game.total(), play.game.closing_line());
        let Some(game) = self.end_game("has") else { return Next::Close };
        let (receipt, until) = (out.record(game), now + RECORD_TIMEOUT);
        self.state =
            State::Recording(Recording { receipt, total, closing_line, until, look_at: now });
        self.report(now, out)
    }

    /// Sends the total when the record of the game is safe: no crash can lose what a player was
    /// told.
    fn report(&mut self, now: Instant, out: &mut Output<'_>) -> Next {
        let State::Recording(recording) = &mut self.state else { return Next::Read };
        let state = recording.receipt.state();
        let late = now.saturating_duration_since(recording.look_at);
        recording.until += late.saturating_sub(LATENESS); // mutant: count-a-halt-as-patience
        // mutant: wait-for-no-record, wait-for-a-record-without-end
        if state == RecordState::Pending && now < recording.until {
            recording.look_at = now + RECORD_INTERVAL;
            return Next::SleepUntil(recording.look_at);
        }
        out.write(recording.total.as_bytes());
        let mut closing_line = recording.closing_line.to_owned();
        if state != RecordState::Kept {
            closing_line.push_str(NOT_RECORDED);
            log::warn!("client {}: the result is not kept", self.peer.number);
        }
        self.state = State::Closing(closing_line);
        pause(now, out)
    }

    /// Marks the answer to the last question.
    fn mark(&mut self, text: &[u8], now: Instant, out: &mut Output<'_>) -> Next {
        let State::Playing(play) = &mut self.state else { return Next::Read };
        let Some(question) = play.asked.take() else { return Next::Read };
        play.game.lasted = now - play.begun;
        let answer = Answer::to(question, text.trim_ascii());
        let correct = answer.correct;
        let (number, text) = (self.peer.number, escape::for_log(&answer.text));
        let mark = if correct { "+1" } else { "-0.25" };
        log::info!("client {number}: {question} = \"{text}\": {mark}");
        play.game.answers.push(answer);
        out.write(if correct { RIGHT } else { WRONG }.as_bytes());
        pause(now, out)
    }

    /// Ends a game that is over or was given up, and returns its record.
    fn end_game(&mut self, verb: &str) -> Option<Box<Game>> {
        let state = mem::replace(&mut self.state, State::Closing(String::new()));
        let State::Playing(Play { game, .. }) = state else {
            self.state = state;
            return None;
        };
        let (number, name, total) = (self.peer.number, escape::for_log(&game.name), game.total());
        let (answered, questions) = (game.answers.len(), game.questions);
        log::info!(
            "client {number}: \"{name}\" {verb} {total} ({answered} of {questions} answered)"
        );
        Some(Box::new(game))
    }
}

impl Service for Quiz {
    fn framing(&self) -> Framing {
        Framing::Messages
    }

    fn step(&mut self, event: Event<'_>, now: Instant, out: &mut Output<'_>) -> Next {
        match (&self.state, event) {
            (State::AwaitingYes, Event::Message(text)) => self.answer_invitation(text, now, out),
            (State::AwaitingName, Event::Message(name)) => self.begin(name.trim_ascii(), now, out),
            (State::Playing(_), Event::Message(answer)) => self.mark(answer, now, out),
            (State::Playing(_), Event::Timeout) => self.proceed(now, out),
            (State::Recording(_), Event::Timeout) => self.report(now, out),
            (State::Closing(closing_line), Event::Timeout) => {
                out.write(closing_line.as_bytes());
                Next::Close
            }
            _ => Next::Read,
        }
    }

    /// A game that is given up has a record as well.
    fn take_record(&mut self) -> Option<Box<Game>> {
        self.end_game("gave up with")
    }
}

/// Separates a message from the next one by time, if nothing else separates them.
fn pause(now: Instant, out: &Output<'_>) -> Next {
    Next::SleepUntil(if out.is_delimited() { now } else { now + MAX_SLEEP })
}

/// The text after a yes: nothing, or a name. `None` if `text` does not begin with a yes.
fn parse_yes(text: &[u8]) -> Option<&[u8]> {
    if text.eq_ignore_ascii_case(b"y") {
        return Some(b"");
    }
    let (yes, rest) = text.split_at_checked(3)?;
    if !yes.eq_ignore_ascii_case(b"yes") {
        return None;
    }
    Some(match rest {
        b"s" | b"S" => b"",
        // `yessBob` is Bob, but `yesSam` is Sam, and `yessam` is sam.
        [b's', name @ ..] if name.first().is_some_and(u8::is_ascii_uppercase) => name,
        name => name.trim_ascii(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_yes_may_be_followed_by_the_name() {
        let rows: [(&str, Option<&str>); 12] = [
            ("y", Some("")),
            ("Y", Some("")),
            ("yes", Some("")),
            ("YES", Some("")),
            ("Yess", Some("")),
            ("YesBob", Some("Bob")),
            ("yes Bob", Some("Bob")),
            ("yessBob", Some("Bob")),
            ("YesSam", Some("Sam")),
            ("no", None),
            ("yellow", None),
            ("", None),
        ];
        for (text, name) in rows {
            assert_eq!(parse_yes(text.as_bytes()), name.map(str::as_bytes), "{text}");
        }
    }
}
