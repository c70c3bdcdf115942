//! The parsers of the argument HOST, which know the usual slips.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use clap::builder::TypedValueParser;
use clap::{Arg, Command};

use crate::load::host_and_port;
use crate::net::address::parse_host;

/// A parser of a host name or an address; `least_port` is the lowest port that may follow it.
pub(super) fn host(least_port: u16) -> impl TypedValueParser<Value = String> {
    HostParser { least_port }
}

#[derive(Clone, Copy)]
struct HostParser {
    least_port: u16,
}

impl TypedValueParser for HostParser {
    type Value = String;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<String, clap::Error> {
        let program = command.get_bin_name().unwrap_or(command.get_name()).to_owned();
        let least_port = self.least_port;
        let parser = move |text: &str| match parse_host(text) {
            Ok(host) => Ok(host.to_owned()),
            Err(bad) => Err(match &bad.meant {
                Some((host, port)) if *port >= least_port => {
                    format!("{bad}, as in: {program} {host} {port}")
                }
                _ => bad.to_string(),
            }),
        };
        parser.parse_ref(command, arg, value)
    }
}

/// The server of a load: all forms of it.
#[derive(Clone, Debug)]
pub(super) enum ServerArg {
    /// A name or an address, without a port.
    Host(String),
    /// `HOST:PORT`.
    HostPort(String, u16),
    /// `unix:PATH`.
    Unix(PathBuf),
}

/// A parser of `HOST`, `HOST:PORT` and `unix:PATH`.
#[derive(Clone, Copy)]
pub(super) struct ServerParser;

impl TypedValueParser for ServerParser {
    type Value = ServerArg;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<ServerArg, clap::Error> {
        if let Some(path) = value.as_bytes().strip_prefix(b"unix:") {
            return Ok(ServerArg::Unix(OsStr::from_bytes(path).into()));
        }
        if let Some((host, port)) = value.to_str().and_then(host_and_port) {
            return Ok(ServerArg::HostPort(host, port));
        }
        HostParser { least_port: 1 }.parse_ref(command, arg, value).map(ServerArg::Host)
    }
}
