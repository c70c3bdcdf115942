//! The tree's own rules, kept by an ordinary test.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Which module of the crate stands in which layer. A file imports only from lower layers, and from
/// its own module. A module that is not in this table has no place in the house yet.
const LAYERS: &[(usize, &[&str])] = &[
    (0, &["buffer", "choice", "duration", "error", "escape", "random"]),
    (1, &["arithmetic"]),
    (2, &["service"]),
    (3, &["session"]),
    (4, &["drive", "net", "signal"]),
    (5, &["reactor"]),
    (6, &["model", "client", "load"]),
    (7, &["cli"]),
    (8, &["main", "lib"]),
];

/// The widest line, in characters.
const LINE_WIDTH: usize = 100;

/// The longest chapter: lines of a file before its tests.
const CHAPTER: usize = 360;

/// The longest function, in lines.
const FUNCTION: usize = 70;

/// What may stand at the top of the tree, beside hidden files and what git ignores.
const TOP_LEVEL: &[&str] =
    &["Cargo.lock", "Cargo.toml", "LICENSE", "README.md", "scripts", "src", "target", "tests"];

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

    /// The module of the crate that the file belongs to.
    fn module(&self) -> String {
        let path = self.path.strip_prefix(root().join("src")).unwrap();
        let first = path.iter().next().unwrap().to_str().unwrap();
        first.trim_end_matches(".rs").to_owned()
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push(Source { path, text });
            }
        }
    }
    assert!(found.len() > 2, "no sources under {folder}");
    found
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
        let module = source.module();
        let own = layer_of(&module);
        for (n, line) in source.chapter() {
            for name in
                names_after(line, "crate::").into_iter().chain(names_after(line, "socklab::"))
            {
                imports += 1;
                let fine = name == module || layer_of(&name) < own;
                assert!(fine, "{}:{n}: {module} imports from {name}", source.path.display());
            }
        }
    }
    assert!(imports > 20, "only {imports} imports were seen");
}

/// The modules named right after `prefix` in the code of a line.
fn names_after(line: &str, prefix: &str) -> Vec<String> {
    if line.trim_start().starts_with("//") {
        return Vec::new();
    }
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

#[test]
fn lines_chapters_and_functions_fit_a_page() {
    for source in sources("src").into_iter().chain(sources("tests")) {
        let name = source.path.display();
        for (n, line) in source.text.lines().enumerate() {
            let width = line.chars().count();
            // A row of a table cannot be broken.
            let fits = width <= LINE_WIDTH || line.starts_with("//! |");
            assert!(fits, "{name}:{}: {width} characters", n + 1);
        }
        if source.path.starts_with(root().join("src")) {
            let length = source.chapter().count();
            assert!(length <= CHAPTER, "{name}: {length} lines before its tests");
        }
        let mut begun: Option<(usize, String)> = None;
        for (n, line) in source.chapter() {
            let code = line.trim_start();
            let indent = &line[..line.len() - code.len()];
            let words = ["fn ", "pub fn ", "pub(super) fn ", "pub(crate) fn ", "const fn "];
            if begun.is_none() && words.iter().any(|word| code.starts_with(word)) {
                begun = Some((n, format!("{indent}}}")));
            }
            if let Some((start, end)) = begun.take_if(|(_, end)| line == end) {
                let length = n - start + 1;
                assert!(length <= FUNCTION, "{name}:{start}: {length} lines{}", end.trim());
            }
        }
    }
}

#[test]
fn every_file_says_what_it_is_about() {
    for source in sources("src").into_iter().chain(sources("tests")) {
        assert!(source.text.starts_with("//! "), "{}: no module text", source.path.display());
    }
}

#[test]
fn the_top_level_holds_what_it_should_and_nothing_else() {
    for entry in fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name.starts_with('.') || TOP_LEVEL.contains(&name.as_str()), "what is {name}?");
    }
}
