//! The command `show`: every lesson runs, and the kernel does as it expects.

use std::io::Write;
use std::process::{Output, Stdio};

use crate::common::server::socklab;

/// The most lines of a lesson.
const LINES: usize = 24;

/// The most characters of a line.
const COLUMNS: usize = 100;

/// Lessons that change the network.
const OF_AN_OWN_NETWORK: [&str; 3] = ["self-connect", "vanished", "ports"];

fn show(args: &[&str]) -> Output {
    socklab(&["show"]).args(args).stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The topics, as the command lists them.
fn topics() -> Vec<String> {
    let list = text(&show(&[]).stdout);
    let topics = list.lines().filter_map(|line| line.strip_prefix("  "));
    topics.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

#[test]
fn every_lesson_does_as_expected_on_one_screen() {
    let topics = topics();
    assert_eq!(topics.len(), 29);
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    for topic in topics {
        assert!(readme.contains(&format!("| `{topic}` |")), "{topic} is not in the README");
        let Output { status, stdout, stderr } = show(&[&topic]);
        let (told, errors) = (text(&stdout), text(&stderr));
        if errors.contains("left out") {
            assert!(OF_AN_OWN_NETWORK.contains(&&*topic), "{topic}: {errors}");
            continue;
        }
        assert!(status.success(), "{topic}:\n{told}{errors}");
        let sure = told.lines().any(|line| line.starts_with("This kernel ("));
        assert!(sure || told.contains("Cannot tell: "), "{topic}:\n{told}");
        assert!(told.lines().count() <= LINES, "{topic}:\n{told}");
        let long = told.lines().find(|line| line.chars().count() > COLUMNS);
        assert_eq!(long, None, "{topic}");
        assert_eq!(unexplained(&told), None, "{topic}:\n{told}");
    }
}

/// An error or a state that a lesson prints, and its last lines do not explain.
fn unexplained(told: &str) -> Option<&str> {
    let conclusion = told.find("\nThis kernel (").or_else(|| told.find("\nCannot tell: "));
    let (told, end) = told.split_at(conclusion.unwrap());
    let end: Vec<_> = end.split_whitespace().collect();
    let explained = |word: &str| end.join(" ").contains(&format!("{word} ("));
    let of_name = |letter: char| letter.is_ascii_uppercase() || "-12".contains(letter);
    let is_name = |word: &&str| {
        let begins = word.starts_with('E') || word.trim_start_matches('-').contains('-');
        begins && word.len() > 3 && word.chars().all(of_name)
    };
    let mut words = told.split(|letter: char| !letter.is_alphanumeric() && !"-_".contains(letter));
    words.find(|word| is_name(word) && !explained(word))
}

#[test]
fn without_an_own_network_the_lessons_that_change_it_are_left_out() {
    let Output { status, stdout, stderr } = show(&["--all", "--network", "shared"]);
    let told = text(&stdout);
    assert!(status.success(), "{told}{}", text(&stderr));
    let left_out = told.lines().find(|line| line.starts_with("left out")).unwrap();
    for topic in topics() {
        let changes_it = OF_AN_OWN_NETWORK.contains(&&*topic);
        assert_eq!(left_out.contains(&*topic), changes_it, "{topic}");
        assert_eq!(told.contains(&format!("{topic}: ")), !changes_it, "{topic}");
    }
    let alone = show(&["ports", "--network", "shared"]);
    assert_eq!(alone.status.code(), Some(1));
    assert!(text(&alone.stderr).contains("left out"), "it would change this machine's ports");
}

#[test]
fn a_lesson_asks_before_it_tells() {
    let mut lesson = socklab(&["show", "acked", "--predict"]);
    let mut lesson = lesson.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    lesson.stdin.take().unwrap().write_all(b"seven\n2\n").unwrap();
    let output = lesson.wait_with_output().unwrap();
    let told = text(&output.stdout);
    let [asked, shown, compared] =
        ["1 to 3? 1 to 3? ", "client   send 5000", "You said: perhaps nothing; that is so."]
            .map(|part| told.find(part).unwrap_or_else(|| panic!("{part} is missing:\n{told}")));
    assert!(asked < shown && shown < compared, "{told}");
    assert!(output.status.success());
}

#[test]
fn an_unknown_topic_is_a_usage_error_that_names_the_nearest() {
    let output = show(&["time-wiat"]);
    assert_eq!(output.status.code(), Some(2));
    let error = text(&output.stderr);
    assert!(error.contains("'time-wait'"), "{error}");
}
