//! The line editor of the terminal, with a history.
//!
//! One editor serves the whole conversation, so that what is typed ahead of a prompt is kept: it
//! reads all that the terminal has, and keeps what is behind the line for the next one. Between two
//! prompts the terminal is in its own mode, so that Ctrl-C ends the client while it waits.

use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, fcntl_getfl, open};
use rustix::stdio::{dup2_stdin, dup2_stdout, stdin, stdout};
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{Behavior, Cmd, Editor, KeyEvent, Modifiers};

use super::terminal::Prompt;
use crate::error::{Exit, Failure};

/// The line editor of the terminal.
#[derive(Default)]
pub(super) struct LineEditor {
    /// Created by the first prompt, so that the terminal is left alone where there is none.
    editor: Option<Editor<(), MemHistory>>,
}

impl LineEditor {
    /// Shows a prompt and reads a line; `None` after Ctrl-D or Ctrl-C.
    pub(super) fn line(&mut self, prompt: Prompt) -> Result<Option<String>, Failure> {
        let editor = match &mut self.editor {
            Some(editor) => editor,
            none => none.insert(new_editor().map_err(cannot_read)?),
        };
        loop {
            match editor.readline(&prompt.text()) {
                Ok(line) => {
                    if prompt == Prompt::Message {
                        editor.add_history_entry(&line).map_err(cannot_read)?;
                    }
                    return Ok(Some(line));
                }
                Err(ReadlineError::Eof | ReadlineError::Interrupted) => return Ok(None),
                // What the editor has read ahead is lost with it, and there is no other way to it.
                Err(ReadlineError::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {
                    let text = "socklab: this is not UTF-8 and is dropped; please type it again";
                    writeln!(io::stderr(), "{text}").ok();
                }
                // The reader of the prompt has left, so no failure could be shown.
                Err(ReadlineError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                    return Ok(None);
                }
                Err(error) => return Err(cannot_read(error)),
            }
        }
    }
}

fn new_editor() -> rustyline::Result<Editor<(), MemHistory>> {
    reopen_non_blocking()?;
    // The prompts go to the terminal even if the replies go to a file.
    let behavior = if io::stdout().is_terminal() { Behavior::Stdio } else { Behavior::PreferTerm };
    let config = rustyline::Config::builder().behavior(behavior).build();
    let mut editor = Editor::with_history(config, MemHistory::new())?;
    // An end of input that is typed between two prompts is a NUL when the editor comes to read it
    // (n_tty of Linux, on leaving the canonical mode).
    editor.bind_sequence(KeyEvent::new('\0', Modifiers::NONE), Cmd::EndOfFile);
    Ok(editor)
}

/// Opens the terminal anew where it is non-blocking, which the editor does not expect. The mode
/// belongs to the open file, which other programs share, so it is not changed.
fn reopen_non_blocking() -> io::Result<()> {
    if let Some(terminal) = reopened(stdin())? {
        dup2_stdin(terminal)?;
    }
    if let Some(terminal) = reopened(stdout())? {
        dup2_stdout(terminal)?;
    }
    Ok(())
}

/// The terminal `fd` opened anew, if it is a terminal and non-blocking.
fn reopened(fd: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    if !fd.is_terminal() || !fcntl_getfl(fd)?.contains(OFlags::NONBLOCK) {
        return Ok(None);
    }
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    Ok(Some(open(path, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?))
}

fn cannot_read(error: ReadlineError) -> Failure {
    match error {
        ReadlineError::Io(error) => Failure::cannot("read from the terminal", &error),
        other => Failure::new(Exit::Failed, format!("cannot read from the terminal: {other}")),
    }
}
