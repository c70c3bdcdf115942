//! The rules of the tree that a test can check: layers, lengths, words and comments.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Layer of each module of the crate. A file imports only from lower layers and from its own
/// module.
const LAYERS: &[(usize, &[&str])] = &[
    (
        0,
        &[
            "background_writer",
            "buffer",
            "choice",
            "duration",
            "error",
            "escape",
            "explain",
            "number",
            "random",
        ],
    ),
    (1, &["arithmetic"]),
    (2, &["service"]),
    (3, &["session"]),
    (4, &["drive", "net", "signal"]),
    (5, &["reactor"]),
    (6, &["model", "client", "load"]),
    (7, &["subject"]),
    (8, &["with", "grade", "compare", "lesson"]),
    (9, &["cli"]),
    (10, &["main", "lib"]),
];

/// Most characters of a line.
const LINE_WIDTH: usize = 100;

/// Most lines of a source file before its tests.
const CHAPTER: usize = 350;

/// Most lines of a function.
const FUNCTION: usize = 65;

/// Entries of the top level, beside hidden files and what git ignores.
const TOP_LEVEL: &[&str] =
    &["Cargo.lock", "Cargo.toml", "LICENSE", "README.md", "scripts", "src", "target", "tests"];

/// Words that are retired, and the words of the field that took their places.
const RETIRED: &[(&str, &str)] = &[
    ("agenda", "event queue"),
    ("bells", "stop descriptors"),
    ("besiege", "attack"),
    ("book", "recorder"),
    ("company", "loop group"),
    ("complaint", "error"),
    ("confess", "report"),
    ("crew", "generator"),
    ("crowd", "clients"),
    ("deaf", "a client that does not read"),
    ("deed", "action"),
    ("depart", "close"),
    ("departed", "closed"),
    ("departure", "close"),
    ("dice", "random numbers"),
    ("door", "listener"),
    ("farewell", "closing line"),
    ("guest", "client"),
    ("house", "server"),
    ("knock", "connect"),
    ("knocked", "readable"),
    ("leaf", "listening state"),
    ("ledger", "stats"),
    ("let go", "close"),
    ("lexis", "lexer"),
    ("manners", "wrappers"),
    ("muster", "start"),
    ("polite", "a probe"),
    ("restock", "refill"),
    ("see off", "reap"),
    ("seen off", "reaped"),
    ("squeeze", "use the spare descriptor"),
    ("squeezed", "used the spare descriptor"),
    ("suspect", "diagnosis"),
    ("tally", "counts"),
    ("toil", "work"),
    ("treatment", "service options"),
    ("turn away", "reject"),
    ("turned away", "rejected"),
    ("unruly", "invisible"),
    ("visitor", "peer"),
    ("weather", "fault rates"),
];

/// Words with which no doc comment begins: a definition begins with a noun phrase.
const QUESTIONS: &[&str] = &["How", "What", "When", "Where", "Whether", "Who"];

struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// The lines before the tests, numbered from 1.
    fn chapter(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().map(|(n, line)| (n + 1, line));
        lines.take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
    }

    /// The same without comments.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.chapter().filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// Path of the module in the crate: `["net", "limiter"]`, or `["net"]` for `net/mod.rs`.
    fn module(&self) -> Vec<String> {
        let path = self.path.strip_prefix(root().join("src")).unwrap().with_extension("");
        let parts = path.iter().map(|part| part.to_str().unwrap().to_owned());
        parts.filter(|part| part != "mod").collect()
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files under a folder, but for those of a build.
fn files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if !path.is_dir() {
                found.push(path);
            } else if !path.ends_with("target") {
                folders.push(path);
            }
        }
    }
    found.sort();
    found
}

fn sources(folder: &str) -> Vec<Source> {
    let paths = files(folder).into_iter();
    let paths = paths.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let found: Vec<_> =
        paths.map(|path| Source { text: fs::read_to_string(&path).unwrap(), path }).collect();
    assert!(found.len() > 2, "no sources under {folder}");
    found
}

/// Fails with all violations of a rule at once.
#[track_caller]
fn assert_none(violations: &[String]) {
    assert!(violations.is_empty(), "{} violations:\n{}", violations.len(), violations.join("\n"));
}

#[test]
fn a_file_imports_only_from_lower_layers() {
    let layers: BTreeMap<&str, usize> = LAYERS
        .iter()
        .flat_map(|&(layer, modules)| modules.iter().map(move |&module| (module, layer)))
        .collect();
    let layer_of = |module: &str| {
        *layers.get(module).unwrap_or_else(|| panic!("the module {module} has no layer"))
    };
    let mut imports = 0;
    for source in sources("src") {
        let module = &source.module()[0];
        let own = layer_of(module);
        for (n, line) in source.code() {
            for name in
                names_after(line, "crate::").into_iter().chain(names_after(line, "socklab::"))
            {
                imports += 1;
                let fine = name == *module || layer_of(&name) < own;
                assert!(fine, "{}:{n}: {module} imports from {name}", source.path.display());
            }
        }
    }
    assert!(imports > 20, "only {imports} imports were seen");
}

/// The modules named right after `prefix` in a line of code.
fn names_after(line: &str, prefix: &str) -> Vec<String> {
    let name = |rest: &str| -> Vec<String> {
        if let Some(list) = rest.strip_prefix('{') {
            return list.split(", ").map(first_word).collect();
        }
        vec![first_word(rest)]
    };
    let found = line.match_indices(prefix).filter(|&(at, _)| {
        at == 0 || !line[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_')
    });
    found.flat_map(|(at, _)| name(&line[at + prefix.len()..])).collect()
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
}

/// A path in code, relative to the crate: `["session", "Limits"]`.
type Import = Vec<String>;

/// The paths behind every `crate::`, `self::` and `super::` in the code, one for each name.
fn imports(source: &Source, code: &str) -> Vec<Import> {
    let module = source.module();
    let mut found = Vec::new();
    for prefix in ["crate::", "self::", "super::"] {
        for (at, _) in code.match_indices(prefix) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|before| before.is_alphanumeric() || "_:".contains(before)) {
                continue;
            }
            let mut rest = &code[at..];
            let mut base = if prefix == "crate::" { Vec::new() } else { module.clone() };
            rest = rest.strip_prefix("crate::").or(rest.strip_prefix("self::")).unwrap_or(rest);
            while let Some(after) = rest.strip_prefix("super::") {
                base.pop();
                rest = after;
            }
            expand(&base, rest, &mut found);
        }
    }
    found
}

/// Adds the paths that `text` begins with to `found`, each behind `base`. Returns the rest of it.
fn expand<'t>(base: &[String], text: &'t str, found: &mut Vec<Import>) -> &'t str {
    let text = text.trim_start();
    if let Some(mut list) = text.strip_prefix('{') {
        loop {
            list = expand(base, list, found).trim_start_matches([' ', ',', '\n']);
            if list.is_empty() || list.starts_with('}') {
                return list.get(1..).unwrap_or("");
            }
        }
    }
    let name = first_word(text);
    let rest = &text[name.len()..];
    let path = [base, std::slice::from_ref(&name)].concat();
    if let Some(inner) = rest.strip_prefix("::")
        && inner.starts_with(|first: char| first.is_alphabetic() || "_{".contains(first))
    {
        return expand(&path, inner, found);
    }
    found.push(path);
    // Skips `as NAME` and whatever else is no list.
    &rest[rest.find([',', '}']).unwrap_or(rest.len())..]
}

/// Modules of a folder import each other in one direction only. A folder's `mod.rs` may import from
/// its files and they from it: they are one module to the others.
#[test]
fn no_modules_import_each_other_in_a_circle() {
    let sources = sources("src");
    let code_of = |source: &Source| {
        source.code().fold(String::new(), |code, (_, line)| code + line.trim() + "\n")
    };
    let modules: BTreeMap<Vec<String>, Vec<Import>> =
        sources.iter().map(|source| (source.module(), imports(source, &code_of(source)))).collect();
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (module, imports) in &modules {
        for import in imports {
            // The longest beginning of the path that is a module.
            let lengths = (1..=import.len()).rev();
            let target = lengths.map(|n| &import[..n]).find(|path| modules.contains_key(*path));
            let Some(target) = target else { continue };
            let common = module.iter().zip(target).take_while(|(a, b)| a == b).count();
            if common < module.len() && common < target.len() {
                let [from, to] = [module, target].map(|path| path[..=common].join("::"));
                graph.entry(from).or_default().insert(to);
            }
        }
    }
    assert!(graph.len() > 20, "only {} modules have imports", graph.len());
    let mut done = BTreeSet::new();
    for module in graph.keys() {
        if let Some(circle) = circle(&graph, module, &mut Vec::new(), &mut done) {
            panic!("a circle of imports: {}", circle.join(" -> "));
        }
    }
}

/// A circle that is reached from `module`, by depth-first search.
fn circle<'g>(
    graph: &'g BTreeMap<String, BTreeSet<String>>,
    module: &'g str,
    way: &mut Vec<&'g str>,
    done: &mut BTreeSet<&'g str>,
) -> Option<Vec<&'g str>> {
    if let Some(at) = way.iter().position(|&before| before == module) {
        return Some([&way[at..], &[module]].concat());
    }
    if !done.insert(module) {
        return None;
    }
    way.push(module);
    let imports = graph.get(module).into_iter().flatten();
    let found = imports.into_iter().find_map(|import| circle(graph, import, way, done));
    way.pop();
    found
}

#[test]
fn lines_chapters_and_functions_fit_a_page() {
    let mut violations = Vec::new();
    for source in sources("src").into_iter().chain(sources("tests")) {
        let name = source.path.strip_prefix(root()).unwrap().display();
        for (n, line) in source.text.lines().enumerate() {
            let width = line.chars().count();
            // A row of a table cannot be broken.
            if width > LINE_WIDTH && !line.starts_with("//! |") {
                violations.push(format!("{name}:{}: {width} characters", n + 1));
            }
        }
        let length = source.chapter().count();
        if source.path.starts_with(root().join("src")) && length > CHAPTER {
            violations.push(format!("{name}: {length} lines before its tests"));
        }
        for (start, length) in functions(&source) {
            if length > FUNCTION {
                violations.push(format!("{name}:{start}: a function of {length} lines"));
            }
        }
    }
    assert_none(&violations);
}

/// The first line and the number of lines of each function, as rustfmt formats it.
fn functions(source: &Source) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut begun: Option<(usize, String)> = None;
    for (n, line) in source.chapter() {
        let code = line.trim_start();
        let indent = &line[..line.len() - code.len()];
        let is_head = code.starts_with("fn ") || code.starts_with("pub") && code.contains(" fn ");
        let is_head = is_head || code.starts_with("const fn ");
        if begun.is_none() && is_head && !code.ends_with(['}', ';']) {
            begun = Some((n, indent.to_owned()));
        }
        let is_end = |indent: &str| {
            line.strip_prefix(indent).is_some_and(|rest| {
                // The second is the end of a declaration in a trait.
                rest == "}" || rest.starts_with(')') && rest.ends_with(';')
            })
        };
        if let Some((start, _)) = begun.take_if(|(_, indent)| is_end(indent)) {
            found.push((start, n - start + 1));
        }
    }
    found
}

#[test]
fn every_file_says_what_it_is_about() {
    for source in sources("src").into_iter().chain(sources("tests")) {
        assert!(source.text.starts_with("//! "), "{}: no module text", source.path.display());
    }
}

#[test]
fn retired_words_do_not_come_back() {
    let folders = ["src", "tests", "scripts"].into_iter().flat_map(files);
    let mut violations = Vec::new();
    for path in folders.chain([root().join("README.md")]) {
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        // This file lists them all.
        if name == "tests/tidy.rs" {
            continue;
        }
        // Binary files are skipped.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for (n, line) in [name.as_str()].into_iter().chain(text.lines()).enumerate() {
            let line = format!(" {} ", words(line).join(" "));
            for (word, instead) in RETIRED {
                let found = [format!(" {word} "), format!(" {word}s ")];
                if found.iter().any(|found| line.contains(found)) {
                    violations.push(format!("{name}:{n}: \"{word}\": say \"{instead}\""));
                }
            }
        }
    }
    assert_none(&violations);
}

/// The words of a line in lower case. `LimitedListener` and `spare_fd` are two words each.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for letter in line.chars() {
        let begins = letter.is_uppercase() && before.is_lowercase();
        if begins || !letter.is_alphanumeric() {
            words.push(String::new());
        }
        if letter.is_alphanumeric() {
            words.last_mut().unwrap().extend(letter.to_lowercase());
        }
        before = letter;
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn a_doc_comment_begins_with_no_question() {
    let mut violations = Vec::new();
    for source in sources("src").into_iter().chain(sources("tests")) {
        let name = source.path.strip_prefix(root()).unwrap().display();
        let mut documented = false;
        for (n, line) in source.text.lines().enumerate() {
            let line = line.trim_start();
            let doc = line.strip_prefix("/// ").or(line.strip_prefix("//! "));
            let word = doc.map(first_word).unwrap_or_default();
            if !documented && QUESTIONS.contains(&word.as_str()) {
                violations.push(format!("{name}:{}: {line}", n + 1));
            }
            documented = line.starts_with("///") || line.starts_with("//!");
        }
    }
    assert_none(&violations);
}

/// The anchors `// mutant: NAME` in src, and the table of the script that changes their lines.
#[test]
fn every_planted_fault_has_one_anchor() {
    let script = fs::read_to_string(root().join("scripts/mutate-simulator")).unwrap();
    let faults = script.lines().filter_map(|line| line.strip_prefix("fault ")?.split(' ').next());
    let sources = sources("src");
    let lines = sources.iter().flat_map(|source| source.text.lines());
    let anchors = lines.filter_map(|line| line.split_once("// mutant: "));
    let mut anchors: Vec<&str> = anchors.flat_map(|(_, names)| names.split(", ")).collect();
    let mut faults: Vec<&str> = faults.collect();
    anchors.sort_unstable();
    faults.sort_unstable();
    assert_eq!(anchors, faults);
}

#[test]
fn the_top_level_holds_what_it_should_and_nothing_else() {
    for entry in fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name.starts_with('.') || TOP_LEVEL.contains(&name.as_str()), "what is {name}?");
    }
}
