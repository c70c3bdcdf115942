//! A report as the XML of `JUnit`.

use std::io;

use quick_junit::{NonSuccessKind, Property, TestCase, TestCaseStatus, TestSuite};

use super::{one_line, summary};
use crate::grade::report::{Fault, Outcome, Report};

/// The name of the report and of its only suite.
const SUITE: &str = "socklab grade";

/// The class of the tests.
const CLASS: &str = "socklab.grade";

pub(super) fn write(report: &Report, out: &mut impl io::Write) -> io::Result<()> {
    let mut suite = TestSuite::new(SUITE);
    let facts = [
        ("command", report.command.clone()),
        ("address", report.address.to_string()),
        ("startup_ms", report.startup.as_millis().to_string()),
        ("seed", report.seed.to_string()),
    ];
    let dialogue = report.dialogue.iter().map(|peculiarity| ("dialogue", peculiarity.clone()));
    for (name, value) in facts.into_iter().chain(dialogue) {
        suite.add_property(Property::new(name, xml_line(&value)));
    }
    for point in &report.points {
        let (status, seen) = match &point.outcome {
            Outcome::Holds(seen) => (TestCaseStatus::success(), seen.as_deref()),
            Outcome::Fails(fault) => (failure(fault), None),
            Outcome::Skipped(reason) => {
                let mut status = TestCaseStatus::skipped();
                status.set_message(xml_line(reason));
                (status, None)
            }
            Outcome::Untested(reason) => {
                let mut status = TestCaseStatus::skipped();
                status.set_message(xml_line(&format!("could not be tested: {reason}")));
                (status, None)
            }
            Outcome::NotRun(reason) => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
                status.set_message(xml_line(&format!("was not run: {reason}")));
                (status, None)
            }
        };
        let mut case = TestCase::new(xml_line(&point.name), status);
        case.set_classname(CLASS);
        if let Some(seen) = seen {
            case.set_system_out(xml_line(seen));
        }
        suite.add_test_case(case);
    }
    suite.set_system_out(xml_line(&summary(report)));
    let mut document = quick_junit::Report::new(SUITE);
    document.add_test_suite(suite);
    document.serialize(out).map_err(io::Error::other)
}

fn failure(fault: &Fault) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_message(xml_line(&fault.seen));
    let lines = [&fault.advice].into_iter().chain(&fault.evidence).filter(|line| !line.is_empty());
    let body: Vec<_> = lines.map(|line| xml_line(line)).collect();
    if !body.is_empty() {
        status.set_description(body.join("\n"));
    }
    status
}

/// A text on one line, of characters that a document may contain. XML has no way to write the last
/// two of the basic plane, not even as references, and they are no hidden characters.
fn xml_line(text: &str) -> String {
    one_line(text).replace('\u{fffe}', "\\u{fffe}").replace('\u{ffff}', "\\u{ffff}")
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::{hostile, sample, written};
    use super::*;

    #[test]
    fn each_test_is_a_case_with_its_reason() {
        let text = written(&sample(), Format::Junit);
        let cases = r#"
        <testcase name="four-operators" classname="socklab.grade"/>
        <testcase name="who-serves" classname="socklab.grade">
            <system-out>one thread waits in select</system-out>
        </testcase>
        <testcase name="two-in-one" classname="socklab.grade">
            <failure message="asked &quot;1+1\n2+2\n&quot; in one packet, got"#;
        assert!(text.contains(cases), "{text}");
        let cases = r#"
            <failure message="nobody else was served for 1.0 s">the only thread stands in sendto
5 of 6 sockets block</failure>
        </testcase>
        <testcase name="half-close" classname="socklab.grade">
            <skipped message="no end of input"/>
        </testcase>
        <testcase name="mine.sh: it adds" classname="socklab.grade"/>
        <testcase name="reset" classname="socklab.grade">
            <skipped message="could not be tested: see second-after-first"/>
        </testcase>
        <testcase name="restart" classname="socklab.grade">
            <error message="was not run: the time was over"/>
        </testcase>"#;
        assert!(text.contains(cases), "{text}");
        let suite = r#" tests="8" skipped="2" errors="1" failures="2">"#;
        assert!(text.contains(suite), "{text}");
    }

    #[test]
    fn any_text_gives_a_document() {
        let report = hostile();
        let text = written(&report, Format::Junit);
        let read = quick_junit::Report::deserialize_from_str(&text).expect("it is a document");
        let cases = &read.test_suites[0].test_cases;
        assert_eq!(cases.len(), 8);
        assert_eq!(cases[0].name.as_str(), xml_line(&report.points[0].name));
        let is_char = |letter: char| !matches!(letter, '\0'..' ' | '\u{fffe}' | '\u{ffff}');
        assert!(text.chars().all(|letter| letter == '\n' || is_char(letter)), "{text}");
    }
}
