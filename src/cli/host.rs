//! The parser of the argument HOST, which knows the usual slips.

use std::ffi::OsStr;

use clap::builder::TypedValueParser;
use clap::{Arg, Command};

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
