//! A server that follows a script, on a port of its own.

use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socklab::error::{Exit, Failure};

pub const HOST: &str = "127.0.0.1";

/// Short enough for a test to wait it out, long enough for a busy machine to answer in.
pub const SHORT: Duration = Duration::from_millis(200);

/// The server. Dropping it waits for the script's end, so that a script's panic is the test's.
pub struct ScriptedServer {
    pub port: u16,
    thread: Option<JoinHandle<()>>,
}

impl ScriptedServer {
    pub fn start(script: impl FnOnce(TcpListener) + Send + 'static) -> Self {
        let listener = TcpListener::bind((HOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let thread = thread::Builder::new().spawn(move || script(listener)).unwrap();
        Self { port, thread: Some(thread) }
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        let ended = self.thread.take().expect("joined only here").join();
        if !thread::panicking() {
            ended.unwrap();
        }
    }
}

/// The server's end of the next connection.
pub fn accept(listener: &TcpListener) -> TcpStream {
    let stream = listener.accept().unwrap().0;
    stream.set_nodelay(true).unwrap();
    stream
}

#[track_caller]
pub fn assert_failure(result: Result<(), Failure>, exit: Exit, text: &str) {
    let failure = result.unwrap_err();
    assert_eq!((failure.to_string().as_str(), failure.exit), (text, exit));
}
