//! The services by name, with their settings.

use std::net::SocketAddr;
use std::sync::Arc;

use super::calc::Calc;
use super::echo::Echo;
use super::fourops::Fourops;
use super::hello::{GREETING, Hello};
use super::quiz::Quiz;
use super::wrappers::{Banner, Once};
use super::{Rules, Service};
use crate::arithmetic::Dialect;
use crate::choice::choices;

choices! {
    /// A service, by its name.
    pub enum ServiceKind {
        /// An expression in, its value back.
        Calc = "calc",
        /// Every byte back, unchanged.
        Echo = "echo",
        /// One message in, a greeting back, then close.
        Hello = "hello",
        /// A quiz of sums, with marks.
        Quiz = "quiz",
        /// Two numbers in, their sum, difference, product and quotient back.
        Fourops = "fourops",
    }
}

/// The client of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its number in the log.
    pub number: u64,
    /// Its address, unless it is at the other end of a pipe or the like.
    pub address: Option<SocketAddr>,
}

/// A service with its settings, from which the service of each connection is built.
#[derive(Clone, Debug)]
pub struct ServiceSpec {
    /// The service itself.
    pub kind: ServiceKind,
    /// The arithmetic of calc.
    pub dialect: Dialect,
    /// The reply of calc to every error, instead of the error's own text.
    pub error_text: Option<Arc<str>>,
    /// The greeting of hello.
    pub greeting: Arc<str>,
    /// The rules of the quiz.
    pub rules: Rules,
    /// A first line for every client.
    pub banner: Option<Arc<str>>,
    /// True if calc, echo and fourops close after one reply. Hello always does, quiz never does.
    pub once: bool,
}

impl From<ServiceKind> for ServiceSpec {
    /// The service with its default settings.
    fn from(kind: ServiceKind) -> Self {
        Self {
            kind,
            dialect: Dialect::Python,
            error_text: None,
            greeting: GREETING.into(),
            rules: Rules::default(),
            banner: None,
            once: false,
        }
    }
}

impl ServiceSpec {
    /// Builds the service of a new connection.
    pub fn build(&self, peer: Peer) -> Box<dyn Service> {
        let mut service: Box<dyn Service> = match self.kind {
            ServiceKind::Calc => Box::new(Calc::new(self.dialect, self.error_text.clone())),
            ServiceKind::Echo => Box::new(Echo),
            ServiceKind::Hello => Box::new(Hello::new(Arc::clone(&self.greeting))),
            ServiceKind::Quiz => Box::new(Quiz::new(self.rules, peer)),
            ServiceKind::Fourops => Box::new(Fourops),
        };
        if self.once && self.kind != ServiceKind::Quiz {
            service = Box::new(Once::new(service));
        }
        if let Some(text) = &self.banner {
            service = Box::new(Banner::new(Arc::clone(text), service));
        }
        service
    }
}
