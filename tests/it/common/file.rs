//! Files of a test in the directory for temporary files.

use std::path::{Path, PathBuf};
use std::{env, fs, process};

/// A path that no other test uses; what is there is removed before and after the test.
pub struct TempPath(PathBuf);

impl TempPath {
    pub fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("socklab-{}-{name}", process::id()));
        remove(&path);
        Self(path)
    }

    pub fn as_path(&self) -> &Path {
        &self.0
    }

    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap()
    }

    pub fn read(&self) -> String {
        fs::read_to_string(&self.0).unwrap()
    }
}

impl Drop for TempPath {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

/// Removes a file or a directory, if there is one.
fn remove(path: &Path) {
    fs::remove_file(path).or_else(|_| fs::remove_dir_all(path)).ok();
}
