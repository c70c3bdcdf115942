//! The quiz: ten little sums, a mark for each right answer, a quarter of one off for a wrong one.
//!
//! | waiting for | the client says | it reads |
//! | --- | --- | --- |
//! | a yes | `yes`, `y`, `yess`, in any case | nothing: its name comes next |
//! | | `YesBob`: both at once | the first question |
//! | | anything else | [`REFUSAL`], the end |
//! | a name | anything | the first question |
//! | an answer | anything | the verdict, then the next question or the total and the closing_line |
//!
//! To a client that sends lines, a message is a line. Any other takes what one receive brings for
//! one message, so there must be time between two of them: [`MAX_SLEEP`].

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::game::{Answer, Game, Question, Rules};
use super::{Event, Framing, Next, Output, Peer, Service};
use crate::random::Random;

/// Between two messages that nothing but time keeps apart. With a millisecond, two games of three
/// hang: the client reads two messages as one and waits for the second.
pub const MAX_SLEEP: Duration = Duration::from_millis(200);

/// For whoever does not say yes.
const REFUSAL: &str = "I hope you make a wise choice next time!";

const RIGHT: &str = "⭐ Correct answer ⭐";
const WRONG: &str = "Wrong answer👎";

/// How far the conversation has come.
#[derive(Debug)]
enum State {
    /// Nobody has said yes yet.
    AwaitingYes,
    /// Somebody has said yes, and says its name next.
    AwaitingName,
    /// Questions and answers.
    Playing(Play),
    /// The total was told and recorded; this is still to be said.
    Closing(&'static str),
}

#[derive(Debug)]
struct Play {
    game: Game,
    random: Random,
    begun: Instant,
    /// The question that waits for its answer.
    asked: Option<Question>,
}

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

    /// Somebody may have said yes, and perhaps its name with it.
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
        let game = Game::new(&self.rules, self.peer, name);
        let (number, name, seed) = (self.peer.number, game.name.escape_ascii(), game.seed);
        log::info!("client {number}: \"{name}\" plays with seed {seed}");
        let random = Random::new(seed);
        self.state = State::Playing(Play { game, random, begun: now, asked: None });
        self.proceed(now, out)
    }

    /// What follows a name or a pause: the next question, or the total.
    fn proceed(&mut self, now: Instant, out: &mut Output<'_>) -> Next {
        let State::Playing(play) = &mut self.state else { return Next::Read };
        play.game.lasted = now - play.begun;
        if !play.game.is_over() {
            let question = Question::draw(&mut play.random);
            write!(out, " -> {question}  ").expect("an output takes all that is written to it");
            play.asked = Some(question);
            return Next::Read;
        }
        let total = play.game.total();
        let closing_line = play.game.closing_line();
        // Recorded first: what a player was told, no crash can lose.
        self.record_game("has");
        self.state = State::Closing(closing_line);
        out.write(total.as_bytes());
        pause(now, out)
    }

    fn mark(&mut self, text: &[u8], now: Instant, out: &mut Output<'_>) -> Next {
        let State::Playing(play) = &mut self.state else { return Next::Read };
        let Some(question) = play.asked.take() else { return Next::Read };
        play.game.lasted = now - play.begun;
        let answer = Answer::to(question, text.trim_ascii());
        let correct = answer.correct;
        let (number, said) = (self.peer.number, answer.text.escape_ascii());
        let mark = if correct { "+1" } else { "-0.25" };
        log::info!("client {number}: {question} = \"{said}\": {mark}");
        play.game.answers.push(answer);
        out.write(if correct { RIGHT } else { WRONG }.as_bytes());
        pause(now, out)
    }

    /// Logs and records a game, at its end or where it was given up.
    fn record_game(&self, verb: &str) {
        let State::Playing(Play { game, .. }) = &self.state else { return };
        let (number, name, total) = (self.peer.number, game.name.escape_ascii(), game.total());
        let (answered, questions) = (game.answers.len(), game.questions);
        log::info!(
            "client {number}: \"{name}\" {verb} {total} ({answered} of {questions} answered)"
        );
        if let Some(board) = &self.rules.board {
            board.record(game);
        }
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
            (State::Closing(closing_line), Event::Timeout) => {
                out.write(closing_line.as_bytes());
                Next::Close
            }
            _ => Next::Read,
        }
    }
}

impl Drop for Quiz {
    /// A game that was given up counts, too.
    fn drop(&mut self) {
        self.record_game("gave up with");
    }
}

/// Leaves time for what was said to be read by itself, if nothing else keeps it apart.
fn pause(now: Instant, out: &Output<'_>) -> Next {
    Next::SleepUntil(if out.is_delimited() { now } else { now + MAX_SLEEP })
}

/// What follows a yes, if that is how the text begins: nothing, or a name.
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
        // `yessBob`; but `yesSam` and `yessam` are Sam.
        [b's', name @ ..] if name.first().is_some_and(u8::is_ascii_uppercase) => name,
        name => name.trim_ascii(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_yes_may_bring_the_name_along() {
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
