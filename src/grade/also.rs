//! A teacher's own tests: any program that prints TAP, version 12, 13 or 14.
//!
//! | a line of its stdout | meaning |
//! | --- | --- |
//! | `ok N - TEXT`, `not ok N - TEXT` | a point |
//! | the same with `# SKIP WHY` | a point that does not apply |
//! | `not ok N - TEXT # TODO WHY` | the same: the property is not asked for yet |
//! | `# TEXT` or a YAML block behind a point that fails | its evidence |
//! | `1..N` | the plan, before or behind the points |
//! | `Bail out! WHY` | the end |
//!
//! All others are ignored, indented ones too: they are the points of a subtest, which has a point
//! of its own. A script that does not keep its plan, or does not end well, is a point that fails.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::report::{Fault, Outcome, Point};
use crate::duration;
use crate::escape;
use crate::subject::{EndStatus, Finished, Spec, run_program};

/// The time limit of a script.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// The property of the point for the script itself.
const PROPERTY: &str = "the script runs all its tests";

/// Runs a script while a server of `spec` listens on `address`. In its environment are HOST and
/// PORT, that address, and `SERVER_CMD`, the command that starts another one, with its places.
/// If it does not end in the time that is `left`, the rest of it is `not_run`.
pub(super) fn run(
    script: &Path,
    spec: &Spec,
    address: SocketAddr,
    left: Duration,
    not_run: Outcome,
) -> Vec<Point> {
    let environment: [(&str, OsString); 3] = [
        ("SERVER_CMD", spec.command.shell_line()),
        ("HOST", address.ip().to_string().into()),
        ("PORT", address.port().to_string().into()),
    ];
    // A name without a slash is a file of this directory, and no command.
    let program = match script.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new(".").join(script),
        _ => script.to_owned(),
    };
    let name = script.to_string_lossy();
    match run_program(spec, &[program.into()], &environment, TIME_LIMIT.min(left)) {
        Ok(finished) => {
            let is_cut = finished.end.is_none() && left < TIME_LIMIT;
            points(&name, &finished, is_cut.then_some(not_run))
        }
        Err(error) => vec![failed(&name, format!("it cannot be started: {error}"), &[])],
    }
}

/// The point for a script itself.
pub(super) fn point_of(script: &Path, outcome: Outcome) -> Point {
    point(&script.to_string_lossy(), PROPERTY, outcome)
}

/// The points of a script that has ended, or was cut with this outcome for its rest.
fn points(name: &str, finished: &Finished, cut: Option<Outcome>) -> Vec<Point> {
    let mut tap = Tap::new(name);
    for line in finished.stdout.split(|&byte| byte == b'\n') {
        if tap.bailed_out.is_some() {
            break;
        }
        tap.read(&escape::for_failure(line.trim_ascii_end()));
    }
    let problem = tap.problem(finished.end);
    let mut points = tap.points;
    if let Some(outcome) = cut {
        points.push(point(name, PROPERTY, outcome));
    } else if let Some(seen) = problem {
        points.push(failed(name, seen, &finished.last_errors));
    } else if let Some(reason) = tap.skipped_all {
        points.push(point(name, PROPERTY, Outcome::Skipped(reason)));
    }
    points
}

fn point(name: &str, property: &str, outcome: Outcome) -> Point {
    Point { name: name.to_owned(), property: property.to_owned(), outcome }
}

/// The point of a script that does not run all its tests.
fn failed(name: &str, seen: String, errors: &[String]) -> Point {
    point(name, PROPERTY, Outcome::Fails(Fault::new(seen, "").evidence(errors.to_vec())))
}

/// The lines of a script, as far as they are read.
struct Tap<'n> {
    name: &'n str,
    points: Vec<Point>,
    plan: Option<usize>,
    /// The reason of a plan without tests.
    skipped_all: Option<String>,
    /// The reason to go no further.
    bailed_out: Option<String>,
    /// Set within a YAML block.
    in_block: bool,
}

impl<'n> Tap<'n> {
    fn new(name: &'n str) -> Self {
        let (points, plan) = (Vec::new(), None);
        Self { name, points, plan, skipped_all: None, bailed_out: None, in_block: false }
    }

    fn read(&mut self, line: &str) {
        if self.in_block || line == "  ---" {
            self.in_block = line != "  ...";
            if !matches!(line, "  ---" | "  ...") {
                self.add_evidence(line);
            }
        } else if let Some(comment) = line.strip_prefix('#') {
            self.add_evidence(comment);
        } else if let Some(reason) = line.strip_prefix("Bail out!") {
            self.bailed_out = Some(reason.trim().to_owned());
        } else if let Some(plan) = line.strip_prefix("1..") {
            self.read_plan(plan);
        } else if let Some(test) = after_word(line, "ok") {
            self.read_test(test, true);
        } else if let Some(test) = after_word(line, "not ok") {
            self.read_test(test, false);
        }
    }

    fn read_plan(&mut self, plan: &str) {
        let (count, reason) = plan.split_once('#').unwrap_or((plan, ""));
        self.plan = count.trim().parse().ok();
        if self.plan == Some(0) {
            let reason = split_keyword(reason).map_or(reason, |(_, reason)| reason).trim();
            let reason = if reason.is_empty() { "the script skips all its tests" } else { reason };
            self.skipped_all = Some(reason.to_owned());
        }
    }

    fn read_test(&mut self, text: &str, holds: bool) {
        let text = text.trim_start();
        let (number, rest) = text.split_once(' ').unwrap_or((text, ""));
        let text = if number.parse::<u64>().is_ok() { rest.trim_start() } else { text };
        let text = text.strip_prefix('-').unwrap_or(text);
        let (description, directive) = split_directive(text);
        let description = match description.trim() {
            "" => format!("test {}", self.points.len() + 1),
            text => text.to_owned(),
        };
        let outcome = match (directive, holds) {
            (Some((Keyword::Skip, reason)), _) => Outcome::Skipped(reason),
            (Some((Keyword::Todo, reason)), false) => Outcome::Skipped(format!("to do: {reason}")),
            (_, true) => Outcome::Holds(None),
            (None, false) => Outcome::Fails(Fault::new("the script says: not ok", "")),
        };
        let name = format!("{}: {description}", self.name);
        self.points.push(point(&name, &description, outcome));
    }

    fn add_evidence(&mut self, text: &str) {
        if let Some(Point { outcome: Outcome::Fails(fault), .. }) = self.points.last_mut() {
            let text = text.trim();
            if !text.is_empty() && !text.starts_with("Subtest") {
                fault.evidence.push(text.to_owned());
            }
        }
    }

    /// The reason why the points are not the whole truth.
    fn problem(&self, end: Option<EndStatus>) -> Option<String> {
        let Some(end) = end else {
            return Some(format!("it did not end within {}", duration::format(TIME_LIMIT)));
        };
        if let Some(reason) = &self.bailed_out {
            return Some(format!("it bailed out: {reason}"));
        }
        if let EndStatus::Signal(_) = end {
            return Some(format!("it was ended by {end}"));
        }
        let count = self.points.len();
        let fails = self.points.iter().any(|point| matches!(point.outcome, Outcome::Fails(_)));
        match self.plan {
            None if count == 0 => Some(format!("it printed no TAP and ended with {end}")),
            None => Some(format!("it printed no plan (1..{count}) and ended with {end}")),
            Some(plan) if plan != count => {
                Some(format!("it planned {plan} tests, ran {count}, and ended with {end}"))
            }
            Some(_) if end != EndStatus::Exit(0) && !fails => {
                Some(format!("none of its tests failed, but it ended with {end}"))
            }
            Some(_) => None,
        }
    }
}

/// The text behind a word that begins a line.
fn after_word<'t>(line: &'t str, word: &str) -> Option<&'t str> {
    line.strip_prefix(word).filter(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
}

/// The keyword of a directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keyword {
    Skip,
    Todo,
}

/// A description without its escapes, and the directive behind it.
fn split_directive(text: &str) -> (String, Option<(Keyword, String)>) {
    let mut description = String::new();
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => {
                let escaped = letters.next_if(|&(_, next)| matches!(next, '\\' | '#'));
                description.push(escaped.map_or('\\', |(_, next)| next));
            }
            '#' => match split_keyword(&text[at + 1..]) {
                Some((keyword, reason)) => {
                    return (description, Some((keyword, reason.to_owned())));
                }
                None => description.push('#'),
            },
            _ => description.push(letter),
        }
    }
    (description, None)
}

/// The keyword and the reason of a directive, as `skipped: no network`.
fn split_keyword(text: &str) -> Option<(Keyword, &str)> {
    let text = text.trim();
    let keyword = match text.get(..4)?.to_ascii_lowercase().as_str() {
        "skip" => Keyword::Skip,
        "todo" => Keyword::Todo,
        _ => return None,
    };
    let (_, reason) = text.split_once(char::is_whitespace).unwrap_or_default();
    Some((keyword, reason.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The points of a script that prints `stdout` and ends with this status.
    fn after(stdout: &str, end: Option<EndStatus>) -> Vec<Point> {
        let last_errors = vec!["its stderr".to_owned()];
        let finished = Finished { end, stdout: stdout.into(), last_errors };
        points("t.sh", &finished, None)
    }

    /// The points of a script that ends well, a line each.
    #[track_caller]
    fn told(stdout: &str) -> Vec<String> {
        after(stdout, Some(EndStatus::Exit(0))).iter().map(line).collect()
    }

    fn line(point: &Point) -> String {
        match &point.outcome {
            Outcome::Holds(_) => format!("ok {}", point.name),
            Outcome::Fails(fault) => {
                format!("NO {}: {} {:?}", point.name, fault.seen, fault.evidence)
            }
            Outcome::Skipped(reason) => format!("-- {}: {reason}", point.name),
            Outcome::Untested(reason) | Outcome::NotRun(reason) => {
                format!("?? {}: {reason}", point.name)
            }
        }
    }

    /// The reason for which the script itself is a point that fails, the last one.
    #[track_caller]
    fn problem(stdout: &str, end: Option<EndStatus>) -> String {
        let points = after(stdout, end);
        let last = points.last().expect("a point");
        assert_eq!((&last.name[..], &last.property[..]), ("t.sh", PROPERTY));
        match &last.outcome {
            Outcome::Fails(fault) => {
                assert_eq!(fault.evidence, ["its stderr"]);
                fault.seen.clone()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_line_of_a_test_is_a_point() {
        let stdout = "TAP version 14\n1..7\nok 1 - it adds\nok\nok 3 plain\r\nnot ok - 4 apples\n\
            # wanted 4\n#   got 5 \n\nok 5 - # SKIP no ncat\nok 6 - late # skipped: slow\nnoise\n\
            not ok 7 - fast # TODO some day\n";
        let expected = [
            "ok t.sh: it adds",
            "ok t.sh: test 2",
            "ok t.sh: plain",
            "NO t.sh: 4 apples: the script says: not ok [\"wanted 4\", \"got 5\"]",
            "-- t.sh: test 5: no ncat",
            "-- t.sh: late: slow",
            "-- t.sh: fast: to do: some day",
        ];
        assert_eq!(told(stdout), expected);
    }

    #[test]
    fn a_sign_that_is_escaped_begins_no_directive() {
        let stdout = "ok 1 - C\\# \\\\ C# skirts # TODO\nok 2 - \\# SKIP x\n1..2\n";
        assert_eq!(told(stdout), ["ok t.sh: C# \\ C# skirts", "ok t.sh: # SKIP x"]);
    }

    #[test]
    fn a_block_behind_a_failure_is_evidence_and_a_subtest_is_not() {
        let stdout = [
            "1..2",
            "# Subtest: one",
            "    not ok 1 - inner",
            "    1..1",
            "not ok 1 - one",
            "  ---",
            "  got: 5",
            "  # wanted: 4",
            "  ok 2 - a text",
            "  ...",
            "# Subtest: two",
            "    ok 1",
            "ok 2 - two",
            "# end",
        ];
        let evidence = r##"["got: 5", "# wanted: 4", "ok 2 - a text"]"##;
        let failure = format!("NO t.sh: one: the script says: not ok {evidence}");
        assert_eq!(told(&stdout.join("\n")), [&failure, "ok t.sh: two"]);
    }

    #[test]
    fn a_script_that_skips_all_its_tests_says_why() {
        assert_eq!(told("1..0 # SKIP no ncat\n"), ["-- t.sh: no ncat"]);
        assert_eq!(told("1..0\n"), ["-- t.sh: the script skips all its tests"]);
    }

    #[test]
    fn a_script_that_does_not_run_all_its_tests_is_a_failure() {
        let ok = Some(EndStatus::Exit(0));
        let planned = "it planned 3 tests, ran 1, and ended with exit status 0";
        assert_eq!(problem("1..3\nok 1\n", ok), planned);
        assert_eq!(problem("1..0\nok 1\n", ok), planned.replace('3', "0"));
        let no_plan = "it printed no plan (1..1) and ended with exit status 0";
        assert_eq!(problem("ok 1\n", ok), no_plan);
        assert_eq!(problem("hello\n", ok), "it printed no TAP and ended with exit status 0");
        let bailed = "it bailed out: no server";
        assert_eq!(problem("1..1\nok 1\nBail out!  no server\nok 2\n", ok), bailed);
        let killed = Some(EndStatus::Signal(9));
        assert_eq!(problem("1..1\nok 1\n", killed), "it was ended by SIGKILL");
        assert_eq!(problem("1..1\nok 1\n", None), "it did not end within 60 s");
    }

    #[test]
    fn an_exit_status_is_explained_by_a_failed_test() {
        let one = Some(EndStatus::Exit(1));
        let seen = "none of its tests failed, but it ended with exit status 1";
        assert_eq!(problem("1..1\nok 1\n", one), seen);
        let points = after("1..1\nnot ok 1 - it adds\n", one);
        assert_eq!(points.len(), 1, "{points:?}");
    }
}
